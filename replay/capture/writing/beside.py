"""
What belongs into a recording beside the traffic: snapshots, files that changed, files that requests named, and what is no longer kept.

Everything here needs a place among the event numbers, asks the proxy for one, and is appended when it has come.
"""

import os
import queue
import selectors
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Final

from replay.archive import SnapshotError
from replay.capture.attachments import named_files, read_attachments
from replay.capture.snapshots import SnapshotResult
from replay.capture.watching import Change, WorkspaceWatcher
from replay.capture.writing.configuration import Configuration
from replay.capture.writing.journal import Journal
from replay.capture.writing.snapshotting import Occasion, SnapshotRun
from replay.model import Attachment, Ended, Gap, GapReason, Opened, Record, SnapshotRecord, UsageError, WorkspaceChange

type Numbered = Callable[[int], None]

_RETAIN_SECONDS: Final = 60.0
_HELD_BYTES_MAX: Final = 64 * 1024 * 1024
_WATCH_AGAIN_SECONDS: Final = 2.0


class Beside:
    """Looks after what is beside the traffic. *number* asks for an event number, *write* appends a record, *alarm* says what failed."""

    def __init__(
        self,
        config: Configuration,
        number: Callable[[Numbered], None],
        write: Callable[[Record], None],
        alarm: Callable[[str], None],
        selector: selectors.BaseSelector,
    ) -> None:
        self._config = config
        self._number = number
        self._write = write
        self._alarm = alarm
        self._selector = selector
        self._roots = tuple(Path(root) for root in config.attach)
        self._workspace = Path(config.workspace) if config.workspace else None
        self._changes: queue.SimpleQueue[Change | str] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._held_bytes = 0
        """Contents in the queue."""
        self._bell, self._ringing = os.pipe()
        """Rung by the watcher's thread; answered where everything else is."""
        os.set_blocking(self._bell, False)
        os.set_blocking(self._ringing, False)
        selector.register(self._bell, selectors.EVENT_READ)
        self._watcher: WorkspaceWatcher | None = None
        self._unwatched = False
        """The workspace was not there when the watch should have begun."""
        self._watch_again_at = 0.0
        self._journal: Journal | None = None
        self._segment = 1
        self._path: Path | None = None
        self._snapshot: SnapshotRun | None = None
        self._waiting: list[Occasion] = []
        """Occasions for snapshots that have to wait for the present one."""
        self._then: Callable[[], None] | None = None
        self._retained_at = self._began = time.monotonic()
        self._began_at = time.time()

    def start(self, journal: Journal) -> None:
        """Take the first snapshot and begin to watch."""
        self._journal = journal
        # an archive that begins only later is another one, with a snapshot of its own
        self._path = journal.path if journal.writer is not None else None
        self._watch()
        self._want_snapshot("start")

    def ended(self, opened: Opened, ended: Ended) -> None:
        """Take the files that a request named; those outside the allowed folders are said by name alone."""
        request, body = opened.request, ended.request_body
        if not body or opened.lane != "daemon":
            return
        method, target = request.method.decode("latin-1"), request.target.decode("latin-1")
        for name in named_files(method, target, body, request.header(b"content-type")):
            for found in read_attachments(name, self._roots, workspace=self._workspace):
                self._append_numbered(partial(Attachment, exchange=opened.exchange, **asdict(found)))

    def woken(self, descriptor: int) -> None:
        """Take what the watcher or a snapshot's process says."""
        if descriptor == self._bell:
            with suppress(BlockingIOError):
                os.read(self._bell, 4096)
            self._take_changes()
        elif self._snapshot is not None and self._snapshot.is_at(descriptor):
            run = self._snapshot
            self._number(partial(self._end_snapshot, run, run.collect(self._selector)))

    def tick(self) -> None:
        """Take changes of files, notice rotation, and let go of what is no longer kept."""
        if self._watcher is None and self._unwatched and self._then is None and time.monotonic() >= self._watch_again_at:
            self._watch()
        self._take_changes()
        self._look_after_snapshot()
        journal = self._journal
        if journal is None or journal.writer is None or self._then is not None:
            return
        if journal.path != self._path:
            # another archive was begun: it has to stand alone
            self._path, self._segment = journal.path, journal.writer.segment_number
            self._want_snapshot("start")
        elif journal.writer.segment_number != self._segment:
            self._segment = journal.writer.segment_number
            self._want_snapshot("rotation")
            self._retained_at = 0.0
        if self._keeps and time.monotonic() - self._retained_at >= _RETAIN_SECONDS:
            self._retained_at = time.monotonic()
            journal.attempt(self._retain, 0)

    def stop(self, then: Callable[[], None]) -> None:
        """Take what is still to be taken, the last snapshot too, then call *then*."""
        self._unwatched = False
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher = None
        self._take_changes()
        self._waiting.clear()
        self._then = then
        if self._keeps and self._journal is not None and self._journal.writer is not None:
            self._journal.attempt(self._retain, 0)
        self._want_snapshot("seal")
        self._go_on()

    def close(self) -> None:
        """End what is still running; nothing more is taken."""
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher = None
        if self._snapshot is not None:
            self._snapshot.close(self._selector)
            self._snapshot = None
        self._selector.unregister(self._bell)
        os.close(self._bell)
        os.close(self._ringing)

    # --- files ---

    def _watch(self) -> None:
        """Begin to watch; where the workspace is not there, which is said once, `tick` tries again."""
        if self._workspace is None or not self._config.watch:
            return
        watcher = WorkspaceWatcher(self._workspace, self._notice, self._notice)
        try:
            watcher.start()
        except UsageError as error:
            if not self._unwatched:
                self._notice(f"{error}; nothing of it is recorded until it is there")
            self._unwatched = True
            self._watch_again_at = time.monotonic() + _WATCH_AGAIN_SECONDS
            return
        self._watcher = watcher

    def _notice(self, change: Change | str) -> None:
        """Take a change from the watcher's thread; where the disk hangs and too much waits already, without its content."""
        content = None if isinstance(change, str) else change.content
        with self._lock:
            full = content is not None and self._held_bytes + len(content) > _HELD_BYTES_MAX
            self._held_bytes += 0 if content is None or full else len(content)
        if full and isinstance(change, Change):
            change = replace(change, content=None, note="too many changes at once for the writer: left out")
        self._changes.put(change)
        with suppress(BlockingIOError):  # a full pipe rings already
            os.write(self._ringing, b"!")

    def _take_changes(self) -> None:
        while not self._changes.empty():
            change = self._changes.get()
            if isinstance(change, str):
                self._alarm(change)
                self._append_numbered(partial(Gap, GapReason.NOT_WRITTEN, detail=f"workspace: {change}"))
            else:
                with self._lock:
                    self._held_bytes -= len(change.content or b"")
                self._append_numbered(partial(WorkspaceChange, **asdict(change)))

    def _append_numbered(self, record: Callable[..., Record]) -> None:
        self._number(lambda event: self._write(record(event=event)))

    # --- snapshots ---

    def _want_snapshot(self, occasion: Occasion) -> None:
        if not self._config.workspace or occasion not in self._config.snapshots or self._journal is None:
            return
        if self._snapshot is not None:
            if occasion not in self._waiting:
                self._waiting.append(occasion)
        elif self._journal.writer is not None:
            run = self._snapshot = SnapshotRun(self._config, occasion, self._journal.writer)
            self._number(partial(run.begin, selector=self._selector))

    def _look_after_snapshot(self) -> None:
        run = self._snapshot
        if run is not None and run.event_before is not None and not run.over:
            failed = run.look(self._selector)
            if failed:
                self._number(partial(self._end_snapshot, run, failed))

    def _end_snapshot(self, run: SnapshotRun, taken: SnapshotResult | str, event: int) -> None:
        assert run.event_before is not None
        assert self._journal is not None
        if isinstance(taken, SnapshotResult) and (self._journal.path != run.folder or self._journal.writer is None):
            run.discard()
            taken = f"no snapshot of {self._config.workspace}: its archive broke off meanwhile"
        if isinstance(taken, str):
            self._give_up(run.event_before, event, taken)
        else:
            self._journal.attempt(partial(self._adopt, run, run.record(taken, event)), 1)
        self._snapshot = None
        if self._waiting:
            self._want_snapshot(self._waiting.pop(0))
        self._go_on()

    def _adopt(self, run: SnapshotRun, record: SnapshotRecord) -> None:
        assert self._journal is not None
        assert self._journal.writer is not None
        try:
            self._journal.writer.adopt_snapshot(record, run.folder / record.file)
        except SnapshotError as error:
            # it is not there any more, or another one: the archive itself is none the worse
            self._give_up(record.event_before, record.event_after, str(error))

    def _give_up(self, before: int, after: int, why: str) -> None:
        """Say that there is no snapshot where one should be."""
        self._alarm(why)
        for number in (before, after):
            self._write(Gap(GapReason.NOT_WRITTEN, event=number, detail=f"snapshot of the workspace: {why}"))

    def _go_on(self) -> None:
        if self._then is not None and self._snapshot is None and not self._waiting:
            then, self._then = self._then, None
            then()

    @property
    def _keeps(self) -> bool:
        """Whether there is a bound to what is kept."""
        return bool(self._config.keep_bytes or self._config.keep_seconds)

    def _retain(self) -> None:
        assert self._journal is not None
        assert self._journal.writer is not None
        keep_bytes, keep_seconds = self._config.keep_bytes or None, self._config.keep_seconds or None
        # a clock that is set forward must not make everything old at once
        now = self._began_at + (time.monotonic() - self._began)
        self._journal.writer.retain(bytes_max=keep_bytes, seconds_max=keep_seconds, now=now)
