"""One snapshot on its way: wanted, begun when its first event number has come, ended where it takes too long."""

import selectors
import time
from pathlib import Path
from typing import Literal

from replay.archive import ArchiveWriter
from replay.capture.snapshots import SnapshotOrder, SnapshotProcess, SnapshotResult
from replay.capture.writing.configuration import Configuration
from replay.model import ParityError, SnapshotRecord

type Occasion = Literal["start", "rotation", "seal"]


class SnapshotRun:
    """Takes one snapshot for the archive of *writer*, in a process of its own."""

    def __init__(self, config: Configuration, occasion: Occasion, writer: ArchiveWriter) -> None:
        self.folder = writer.path
        """The archive that it is for."""
        self.event_before: int | None = None
        self.over = False
        self._occasion = occasion
        self._seconds = config.snapshot_seconds
        self._file = writer.path / writer.next_snapshot_name()
        self._order = SnapshotOrder(
            workspace=Path(config.workspace),
            destination=self._file,
            archive_id=writer.archive_id,
            recipients=config.recipients,
            redaction_key=Path(config.key_path) if config.redact else None,
            rules=Path(config.rules) if config.rules else None,
        )
        self._process: SnapshotProcess | None = None
        self._failed = ""
        self._at = 0.0
        self._until = 0.0

    def begin(self, event: int, selector: selectors.BaseSelector) -> None:
        """Start the process, and have its answer waited for."""
        self.event_before = event
        self._at = time.time()
        self._until = time.monotonic() + self._seconds
        try:
            self._process = SnapshotProcess.start(self._order)
        except ParityError as error:
            self._failed = str(error)
            return
        selector.register(self._process, selectors.EVENT_READ)

    def is_at(self, descriptor: int) -> bool:
        """Whether this is where its answer is waited for."""
        return self._process is not None and self._process.fileno() == descriptor

    def collect(self, selector: selectors.BaseSelector) -> SnapshotResult | str:
        """Give what was taken, or why nothing was; an answer must have come."""
        process = self._let_go(selector)
        try:
            return process.collect() if process is not None else self._failed
        except ParityError as error:
            return str(error)

    def look(self, selector: selectors.BaseSelector) -> str:
        """Give why nothing was taken and nothing will be; empty while there is hope."""
        if not self._failed and time.monotonic() > self._until:
            self._failed = f"no snapshot of {self._order.workspace}: not done within {self._seconds:g} s"
        if self._failed:
            self.close(selector)
        return self._failed

    def record(self, taken: SnapshotResult, event_after: int) -> SnapshotRecord:
        """Say what was taken."""
        assert self.event_before is not None
        return SnapshotRecord(
            file=self._file.name,
            event_before=self.event_before,
            event_after=event_after,
            workspace=str(self._order.workspace),
            files=taken.files,
            bytes=taken.bytes,
            digest=taken.digest,
            left_out=taken.left_out,
            taken_at=self._occasion,
            at=self._at,
            duration_ms=taken.duration_ms,
            changed_meanwhile=taken.changed_meanwhile,
            replaced=taken.replaced,
            machine_id=taken.machine_id,
        )

    def discard(self) -> None:
        """Take away the file, which belongs to no archive any more."""
        self._file.unlink(missing_ok=True)

    def close(self, selector: selectors.BaseSelector) -> None:
        """End the process; what it had made is taken away."""
        process = self._let_go(selector)
        if process is not None:
            process.stop()
            self.discard()

    def _let_go(self, selector: selectors.BaseSelector) -> SnapshotProcess | None:
        process, self._process, self.over = self._process, None, True
        if process is not None:
            selector.unregister(process)
        return process
