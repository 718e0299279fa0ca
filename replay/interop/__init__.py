"""The room interop."""
