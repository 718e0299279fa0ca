"""What a snapshot's process is told and what it answers, as one line of JSON each."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from replay.capture.snapshots.stores import MACHINE_ID_FILES
from replay.model import UsageError
from replay.workspace import CopyLimits


@dataclass(frozen=True, slots=True)
class SnapshotOrder:
    """What is to be taken, and where it goes."""

    workspace: Path
    destination: Path
    """The new file, in the archive's folder."""
    archive_id: str
    recipients: tuple[bytes, ...] = ()
    """Public keys of 32 bytes; none: not encrypted."""
    redaction_key: Path | None = None
    """None: nothing is replaced; the daemon's own secret files stay behind all the same."""
    rules: Path | None = None
    """The operator's own redaction rules."""
    limits: CopyLimits = field(default_factory=CopyLimits)
    scratch: Path | None = None
    """Where the copy is made; None: where there is room on a disk."""
    machine_id_files: tuple[str, ...] = MACHINE_ID_FILES
    """Where the daemon's machine id may be; relative ones are the workspace's."""


@dataclass(frozen=True, slots=True)
class SnapshotResult:
    """What came of it."""

    files: int
    bytes: int
    """The files' sizes summed, before packing."""
    file_bytes: int
    """The size of the packed file."""
    digest: str
    """SHA-256 of the file, without the header with its keys where it is encrypted: `SnapshotRecord.digest`."""
    left_out: tuple[str, ...]
    changed_meanwhile: tuple[str, ...]
    replaced: dict[str, int]
    """How many secrets were replaced, by kind."""
    machine_id: str
    """The throw-away id that opens the store of secrets in it; empty where there is no such store."""
    duration_ms: float


def encode_order(order: SnapshotOrder) -> bytes:
    """Give the line for the process."""
    told = {
        "workspace": str(order.workspace.absolute()),
        "destination": str(order.destination.absolute()),
        "archive_id": order.archive_id,
        "recipients": [recipient.hex() for recipient in order.recipients],
        "redaction_key": None if order.redaction_key is None else str(order.redaction_key.absolute()),
        "rules": None if order.rules is None else str(order.rules.absolute()),
        "bytes_max": order.limits.bytes_max,
        "files_max": order.limits.files_max,
        "scratch": None if order.scratch is None else str(order.scratch.absolute()),
        "machine_id_files": list(order.machine_id_files),
    }
    return json.dumps(told).encode() + b"\n"


def decode_order(line: bytes) -> SnapshotOrder:
    """
    Read the line.

    Raises:
        UsageError: it is no order.
    """
    try:
        told: dict[str, Any] = json.loads(line)
        standard = CopyLimits()
        return SnapshotOrder(
            workspace=Path(told["workspace"]),
            destination=Path(told["destination"]),
            archive_id=str(told["archive_id"]),
            recipients=tuple(bytes.fromhex(recipient) for recipient in told.get("recipients") or ()),
            redaction_key=_path(told.get("redaction_key")),
            rules=_path(told.get("rules")),
            limits=CopyLimits(int(told.get("bytes_max") or standard.bytes_max), int(told.get("files_max") or standard.files_max)),
            scratch=_path(told.get("scratch")),
            machine_id_files=tuple(map(str, told.get("machine_id_files") or MACHINE_ID_FILES)),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UsageError(f"no order for a snapshot ({error!r}); it is one line of JSON with workspace, destination and archive_id") from error


def encode_result(result: SnapshotResult) -> bytes:
    """Give the line that the process answers with."""
    return json.dumps(asdict(result)).encode() + b"\n"


def decode_result(line: bytes) -> SnapshotResult:
    """
    Read the line.

    Raises:
        ValueError: it is no result.
    """
    try:
        told = json.loads(line)
        return SnapshotResult(**{**told, "left_out": tuple(told["left_out"]), "changed_meanwhile": tuple(told["changed_meanwhile"])})
    except (TypeError, KeyError) as error:
        raise ValueError(f"no result of a snapshot: {error!r}") from error


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None
