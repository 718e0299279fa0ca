"""The room evidence."""
