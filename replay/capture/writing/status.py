"""
How the recording goes, in a file that a monitor can read: `status.json` in the archive's folder, replaced at once every second.

`state` is `recording`, `waiting for the disk`, `sealed`, `cut` or `not sealed`; `updated_at` (seconds since the epoch) says when, so that a
recorder that hangs or is gone is seen by its age. Figures: `exchanges` ended and `open`, `gaps` by reason, `bytes` of bodies taken in and
`disk_bytes` written, `lag_ms` between the proxy's handing over and the writer's taking, `lost` records, and under `own` what the recorder
measured of itself (`Statistics` in the archive has the same). Nothing in it comes from traffic.
"""

import contextlib
import json
import os
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from replay.capture.writing.journal import Journal
from replay.model import Chunks, Ended, Gap, Record, Response

NAME: Final = "status.json"
_EVERY_SECONDS: Final = 1.0


class Status:
    """Counts what is written and says so now and then."""

    def __init__(self) -> None:
        self.lag_s = 0.0
        self._ended = 0
        self._body_bytes = 0
        self._gaps: Counter[str] = Counter()
        self._own: dict[str, float] = {}
        self._trouble: dict[str, Any] | None = None
        self._said_at = 0.0
        self._begun_at = time.time()

    def count(self, record: Record) -> None:
        """Count one record."""
        if isinstance(record, Chunks):
            self._body_bytes += sum(len(chunk.data) for chunk in record.chunks)
        elif isinstance(record, Ended):
            self._ended += 1
            self._body_bytes += len(record.request_body or b"")
            if isinstance(record.outcome, Response):
                self._body_bytes += len(record.outcome.body or b"")
        elif isinstance(record, Gap):
            self._gaps[record.reason.value] += record.count

    def tell(self, own: Mapping[str, float]) -> None:
        """Take what the recorder measured of itself."""
        self._own = dict(own)

    def trouble(self, text: str) -> None:
        """Note what went wrong last."""
        self._trouble = {"at": round(time.time(), 3), "text": text}

    def update(self, journal: Journal, still_open: int) -> None:
        """Write the file if a second has passed; *still_open* is how many exchanges have not ended."""
        now = time.monotonic()
        if now - self._said_at >= _EVERY_SECONDS:
            self._said_at = now
            self._say(journal, "recording" if journal.writer is not None else "waiting for the disk", still_open)

    def end(self, journal: Journal, state: str, still_open: int) -> None:
        """Write the file a last time."""
        self._say(journal, state, still_open)

    def _say(self, journal: Journal, state: str, still_open: int) -> None:
        content = {
            "state": state,
            "updated_at": round(time.time(), 3),
            "begun_at": round(self._begun_at, 3),
            "pid": {"writer": os.getpid(), "proxy": os.getppid()},
            "exchanges": self._ended,
            "open": still_open,
            "bytes": self._body_bytes,
            "disk_bytes": _size_of(journal.path),
            "lag_ms": round(self.lag_s * 1000.0, 3),
            "gaps": dict(sorted(self._gaps.items())),
            "lost": journal.lost,
            "own": {name: round(value, 6) for name, value in sorted(self._own.items())},
            "trouble": self._trouble,
        }
        draft = journal.path / f".{NAME}.draft"
        # a status that can't be written is no reason to do anything: the disk's own refusal is said elsewhere
        with contextlib.suppress(OSError):
            draft.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
            draft.replace(journal.path / NAME)


def _size_of(folder: Path) -> int:
    with contextlib.suppress(OSError):
        return sum(entry.stat(follow_symlinks=False).st_size for entry in os.scandir(folder))
    return 0
