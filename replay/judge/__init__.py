"""The room judge."""
