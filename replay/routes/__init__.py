"""The room routes."""
