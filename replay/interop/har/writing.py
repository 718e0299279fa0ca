"""An archive becomes a HAR file."""

import json
import os
from collections import Counter
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, TextIO

from replay.archive import Archive
from replay.interop.har.entries import FORMAT, write_entry
from replay.model import (
    RECORD_TYPES,
    Answered,
    Chunks,
    End,
    Ended,
    Exchange,
    Gap,
    Opened,
    UsageError,
)


@dataclass(frozen=True, slots=True)
class HarExport:
    """What was written."""

    entries: int
    left_out: dict[str, int]
    """Records of an archive for which a HAR has no place, by type."""


def export_har(archive: Archive, destination: Path) -> HarExport:
    """
    Write every exchange of *archive* as an entry of a new HAR file (mode 0600), in the order in which they started.

    A file that was cut short does not stay.

    Raises:
        UsageError: there is something at *destination* already, or it can't be written.
        ArchiveError: the archive is damaged.

    """
    if destination.exists():
        raise UsageError(f"{destination}: is there already; name another file")
    joined = archive.join()
    left_out = Counter(_TYPES[type(record)] for record in archive.records() if not isinstance(record, _HELD))
    partial = destination.with_name(f".{destination.name}.partial")
    try:
        partial.unlink(missing_ok=True)
        # never into a file that was there: it may be another's, or open to others
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                _write(file, archive, joined.exchanges, joined.gaps, dict(left_out))
            partial.rename(destination)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"{destination}: can't be written ({error.strerror or error})") from error
    return HarExport(len(joined.exchanges), dict(left_out))


def _write(file: TextIO, archive: Archive, exchanges: tuple[Exchange, ...], gaps: tuple[Gap, ...], left_out: dict[str, int]) -> None:
    """Write entry by entry: the whole is never in memory as text."""
    own = {
        "format": FORMAT,
        "archive": archive.id,
        "kind": archive.kind,
        "gaps": [_gap(gap) for gap in gaps],
        "left_out": left_out,
    }
    head = {
        "version": "1.2",
        "creator": {"name": "signet-parity", "version": metadata.version("signet-parity")},
        "comment": "what HAR has no word for stands under _parity",
        "pages": [],
        "_parity": own,
    }
    file.write('{"log": ' + json.dumps(head, allow_nan=False)[:-1] + ', "entries": [')
    origin = _origin(archive)
    lines = (json.dumps(write_entry(exchange, origin), allow_nan=False) for exchange in exchanges)
    file.writelines(f"{',' if index else ''}\n{line}" for index, line in enumerate(lines))
    file.write("\n]}}\n")


def _gap(gap: Gap) -> dict[str, Any]:
    return {"reason": gap.reason.value, "event": gap.event, "exchange": gap.exchange, "count": gap.count, "detail": gap.detail}


def _origin(archive: Archive) -> str:
    daemon = archive.facts.get("daemon")
    if isinstance(daemon, dict) and isinstance(daemon.get("host"), str) and isinstance(daemon.get("port"), int):
        return f"{daemon['host']}:{daemon['port']}"
    return "127.0.0.1"


_TYPES = {kind: name for name, kind in RECORD_TYPES.items()}
_HELD = (Opened, Answered, Chunks, Ended, Gap, End)
