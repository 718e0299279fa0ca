"""The room redact."""
