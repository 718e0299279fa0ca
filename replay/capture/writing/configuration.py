"""What the proxy tells its writer at the start: plain values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Configuration:
    """How to write. Paths are absolute texts; 0 and empty mean: not wanted, or without a bound."""

    path: str
    """Where the archive is to be."""
    facts: Mapping[str, Any]
    redact: bool
    key_path: str
    rules: str
    """A file of own redaction rules."""
    recipients: tuple[bytes, ...]
    """Public keys (X25519, 32 bytes each) that may read what is written."""
    workspace: str
    watch: bool
    attach: tuple[str, ...]
    """Folders from which files that requests name may be taken."""
    snapshots: tuple[str, ...]
    """Of `start`, `rotation`, `seal`."""
    snapshot_seconds: float
    """How long one may take."""
    segment_bytes: int
    segment_seconds: float
    keep_bytes: int
    keep_seconds: float
    floor: int
    """Event numbers up to here are another archive's."""
    continues: str
    """That archive's name."""

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Configuration":
        """Take what came through the pipe, from the same version of this code."""
        return cls(**values)
