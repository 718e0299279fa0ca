"""Placeholder docstring, written with the line of rooms at the end of this change."""
