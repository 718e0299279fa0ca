"""One run of the process that takes a snapshot: started, listened to, ended where it takes too long."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, cast

from replay.archive import ArchiveWriter
from replay.capture.writing.configuration import Configuration
from replay.model import SnapshotRecord

_COMMAND: Final = ("-P", "-m", "replay.capture.snapshots")


@dataclass(frozen=True, slots=True)
class Taken:
    """What a snapshot's process made."""

    draft: Path
    """The packed file."""
    result: Mapping[str, Any]


class SnapshotRun:
    """
    A snapshot on its way: made when it is wanted, begun when its first event number has come.

    *folder* is the archive's, *writer* names the file.
    """

    def __init__(self, config: Configuration, occasion: str, folder: Path, writer: ArchiveWriter) -> None:
        self.folder = folder
        self.event_before: int | None = None
        self.over = False
        self._config = config
        self._occasion = occasion
        self._name = writer.next_snapshot_name()
        self._archive_id = writer.archive_id
        self._draft = folder / self._name
        self._process: subprocess.Popen[bytes] | None = None
        self._heard = b""
        self._at = 0.0
        self._until = 0.0
        self._failed = ""

    @property
    def descriptor(self) -> int | None:
        """Where to hear of it; None while it does not run."""
        return self._process.stdout.fileno() if self._process is not None and self._process.stdout is not None else None

    def begin(self, event: int) -> None:
        """Start the process."""
        self.event_before = event
        self._at = time.time()
        self._until = time.monotonic() + self._config.snapshot_seconds
        job = {
            "workspace": self._config.workspace,
            "destination": str(self._draft),
            "archive_id": self._archive_id,
            "recipients": [key.hex() for key in self._config.recipients],
            "redaction_key": self._config.key_path if self._config.redact else None,
            "rules": self._config.rules or None,
        }
        try:
            self._process = subprocess.Popen([sys.executable, *_COMMAND], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            # it ends when this pipe does: left open, it is the sign that we live
            self._process.stdin.write(json.dumps(job).encode() + b"\n")
            self._process.stdin.flush()
            os.set_blocking(self._process.stdout.fileno(), False)
        except OSError as error:
            self._failed = f"its process can't be started: {error}"

    def hear(self) -> bool:
        """Take what it said; False where it has closed its mouth."""
        if self.descriptor is None:
            return False
        try:
            data = os.read(self.descriptor, 1 << 20)
        except BlockingIOError:
            return True
        self._heard += data
        return bool(data)

    def look(self) -> Taken | str | None:
        """Give what it made, or why it made nothing; None while it is at it."""
        if self._failed:
            return self._failed
        assert self._process is not None
        if time.monotonic() > self._until:
            return f"not done within {self._config.snapshot_seconds:g} s"
        if self._process.poll() is None:
            return None
        os.set_blocking(self._process.stdout.fileno(), True)  # type: ignore[union-attr]
        while self.hear():
            pass
        try:
            result = json.loads(self._heard.split(b"\n", 1)[0])
        except ValueError:
            return f"its process ended with {self._process.returncode} and said nothing"
        return str(result["error"]) if "error" in result else Taken(self._draft, result)

    def record(self, taken: Taken, event_after: int) -> SnapshotRecord:
        """Say what was taken."""
        assert self.event_before is not None
        result = taken.result
        return SnapshotRecord(
            file=self._name,
            event_before=self.event_before,
            event_after=event_after,
            workspace=self._config.workspace,
            files=result["files"],
            bytes=result["bytes"],
            digest=result["digest"],
            left_out=tuple(result["left_out"]),
            taken_at=cast("Literal['start', 'rotation', 'seal']", self._occasion),
            at=self._at,
            duration_ms=float(result["duration_ms"]),
            changed_meanwhile=tuple(result["changed_meanwhile"]),
            replaced=dict(result["replaced"]),
        )

    def close(self) -> None:
        """Let go of the process; one that still runs is ended."""
        self.over = True
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.kill()
            process.wait()
            self._draft.unlink(missing_ok=True)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
