"""
The thread that writes: everything slow happens here, none of it in the proxy's event loop.

How this works
--------------
`put` only queues. The thread takes records in order, redacts and appends them, and lets the writer close its block when it is a second old,
so that an idle recorder has all on disk within about a second. It waits a moment for more before it begins: woken for every single record
it would take the interpreter from the proxy in the middle of each exchange, and the work would cost twice as much.

What can't be written (a full queue, a disk that refuses) is counted, said through `alarm`, and followed by a new archive as soon as the disk
takes one again: its first record is a gap over all event numbers before it. Exchanges that were opened in the archive before are gaps in
the new one, too.
"""

import itertools
import logging
import os
import queue
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from replay.archive import ArchiveWriter
from replay.model import ArchiveError, Chunks, Ended, Gap, GapReason, Opened, ParityError, Record, Response
from replay.redact import Redactor, redact_record

QUEUE_BYTES_MAX = 256 * 1024 * 1024
IDLE_SECONDS = 0.25
GATHER_SECONDS = 0.01
"""How long the thread lets records gather; more of it would make the work at one go, and so the longest wait for the interpreter, longer."""
RETRY_SECONDS_MIN = 2.0
RETRY_SECONDS_MAX = 60.0
"""After trouble the disk is tried again in growing steps, and from the first step again once an archive has lasted that long."""
_RECORD_BYTES = 512
"""What a queued record is taken to hold beside its bodies."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Entry:
    record: Record
    route: str
    size: int


@dataclass(frozen=True, slots=True)
class _Snapshot:
    directory: Path
    workspace: str
    event_before: int
    event_after: int
    left_out: tuple[str, ...]
    done: threading.Event


@dataclass(frozen=True, slots=True)
class _Seal:
    event: int
    at: float
    reason: str


@dataclass(slots=True)
class _Loss:
    """What was not written since the last archive broke."""

    records: int = 0
    why: str = ""
    retry_at: float = 0.0
    said: bool = False


class Journal:
    """
    A queue of records and the thread that writes them to an archive at *path*.

    *alarm* is called from the thread with the words for each new trouble, and once more when it is over.
    """

    def __init__(
        self,
        path: Path,
        facts: Mapping[str, Any],
        redactor: Redactor | None,
        alarm: Callable[[str], None],
        *,
        queue_bytes_max: int = QUEUE_BYTES_MAX,
        create: Callable[..., ArchiveWriter] = ArchiveWriter.create,
    ) -> None:
        self.path = path
        self._facts = dict(facts)
        self._redactor = redactor
        self._alarm = alarm
        self._queue_bytes_max = queue_bytes_max
        self._create = create
        self._queue: queue.SimpleQueue[_Entry | _Snapshot | _Seal] = queue.SimpleQueue()
        self._queued_bytes = 0
        self._full = False
        self._lock = threading.Lock()
        self._writer: ArchiveWriter | None = None
        self._begun = False
        self._opened: set[int] = set()
        """Exchanges that were opened in the present archive and have not ended."""
        self._loss = _Loss()
        self._pause_s = RETRY_SECONDS_MIN
        self._begun_at = 0.0
        self._place: tuple[int, int] | None = None
        """The present archive's folder, by device and inode."""
        self._last_event = 0
        """The highest event number that came by."""
        self._floor = 0
        """Up to here the present archive's first gap accounts for the event numbers."""
        self.lost = 0
        """Records that were not written, all in all."""
        self._thread = threading.Thread(target=self._run, name="parity-journal", daemon=True)

    # --- the proxy's side: nothing here waits ---

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def put(self, record: Record, route: str = "") -> None:
        """Queue a record; where the queue is full it is dropped and counted."""
        size = _size(record)
        with self._lock:
            kept: tuple[Record, ...] = (record,)
            full = False
            if self._queued_bytes + size > self._queue_bytes_max:
                self.lost += 1
                full, self._full = not self._full, True
                kept, size = _stand_ins(record), _RECORD_BYTES
            elif self._queued_bytes < self._queue_bytes_max // 2:
                self._full = False
            self._queued_bytes += size * len(kept)
        for item in kept:
            self._queue.put(_Entry(item, route, size))
        if full:
            self._alarm(f"{self.path}: the disk does not keep up with the traffic; what can't be held in memory is counted as gaps")

    def put_snapshot(self, directory: Path, *, workspace: str, event_before: int, event_after: int, left_out: tuple[str, ...]) -> None:
        """Have a copy of the workspace packed into the archive; waits for it (call it from a thread of your own)."""
        done = threading.Event()
        self._queue.put(_Snapshot(directory, workspace, event_before, event_after, left_out, done))
        done.wait()

    def seal(self, *, event: int, at: float, reason: str, timeout_s: float = 30.0) -> bool:
        """Write all that is queued, seal the archive and end the thread; False where that was not done in time or not possible."""
        self._queue.put(_Seal(event, at, reason))
        self._thread.join(timeout_s)
        return not self._thread.is_alive() and self._writer is not None and self._writer.sealed

    # --- the thread's side ---

    def _run(self) -> None:
        self._begin()
        for item in self._items():
            if isinstance(item, _Seal):
                self._end(item)
                return
            if isinstance(item, _Snapshot):
                try:
                    self._attempt(partial(self._pack, item), 1)
                    self._last_event = max(self._last_event, item.event_after)
                finally:
                    item.done.set()
            elif isinstance(item, _Entry):
                with self._lock:
                    self._queued_bytes -= item.size
                self._write(item)
            elif self._writer is not None:
                self._attempt(self._tick, 0)

    def _items(self) -> Iterator[_Entry | _Snapshot | _Seal | None]:
        """Give what comes; None where nothing came for a while, or too long ago the disk was last looked after."""
        ticked = time.monotonic()
        while True:
            item = self._await_more() if self._queue.empty() else self._queue.get()
            if item is not None:
                yield item
            if item is None or time.monotonic() - ticked > IDLE_SECONDS:
                yield None
                ticked = time.monotonic()

    def _await_more(self) -> _Entry | _Snapshot | _Seal | None:
        """Wait for the next item, and a moment for those behind it; None where nothing came for a while."""
        try:
            item = self._queue.get(timeout=IDLE_SECONDS)
        except queue.Empty:
            return None
        time.sleep(GATHER_SECONDS)
        return item

    def _write(self, entry: _Entry) -> None:
        record: Record | None = entry.record
        if self._redactor is not None:
            try:
                record = redact_record(self._redactor, entry.record, entry.route)
            except Exception as error:
                # a bug of ours: what can't be redacted must not be written
                logger.exception("parity: a record could not be redacted")
                self._alarm(f"{self.path}: a record could not be redacted ({error!r}); it is counted as a gap")
                self.lost += 1
                for gap in _stand_ins(entry.record, "could not be redacted"):
                    self._attempt(partial(self._append, gap), 1)
                record = None
        if record is not None:
            self._attempt(partial(self._append, record), 1)
        self._last_event = max(self._last_event, _last_event(entry.record))

    def _append(self, record: Record) -> None:
        assert self._writer is not None
        if isinstance(record, Chunks | Ended) and record.exchange not in self._opened:
            for gap in _stand_ins(record, "its beginning was not written here"):
                if gap.event is None or gap.event > self._floor:
                    self._writer.append(gap)
            return
        self._writer.append(record)
        if isinstance(record, Opened):
            self._opened.add(record.exchange)
        elif isinstance(record, Ended):
            self._opened.discard(record.exchange)

    def _tick(self) -> None:
        assert self._writer is not None
        self._check_place()
        self._writer.tick()

    def _check_place(self) -> None:
        """
        Notice that the archive was moved or deleted: the system would take what is written to it all the same.

        Raises:
            ArchiveError: it is no longer at its path.
        """
        if _place_of(self.path) != self._place:
            raise ArchiveError(f"{self.path}: moved or deleted while it was written; what it held is where it was moved to, or gone")

    def _pack(self, item: _Snapshot) -> None:
        assert self._writer is not None
        self._writer.add_snapshot(
            item.directory,
            workspace=item.workspace,
            event_before=item.event_before,
            event_after=item.event_after,
            left_out=item.left_out,
        )

    def _attempt(self, act: Callable[[], object], records: int) -> None:
        """Do something with the archive; where the disk refuses, count *records* as lost and say so."""
        if self._writer is None and not self._begin():
            self._lose(records)
            return
        try:
            act()
        except ParityError as error:
            self._break(str(error), records)
        except Exception as error:
            logger.exception("parity: a record could not be written")
            self._break(f"{self.path}: {error!r}", records)

    def _begin(self, attempts: int = 3) -> bool:
        """Make the archive, or after a break the next one; False where that is not yet possible. A name that is taken is passed over."""
        if time.monotonic() < self._loss.retry_at:
            return False
        taken = not self._begun and os.path.lexists(self.path)
        path = _next_path(self.path) if self._begun or taken else self.path
        facts = {**self._facts, "continues": self.path.name} if self._begun else self._facts
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            writer = self._create(path, kind="recording", facts=facts)
            if self._last_event:
                # before anything else, so that event numbers have no hole
                where = f"in {self.path.name}, or lost" if self._begun else "lost"
                writer.append(Gap(GapReason.NOT_WRITTEN, event=1, count=self._last_event, detail=f"{where}: {self._loss.why}"))
        except (ParityError, OSError) as error:
            # the folder is ours, and nothing was written to it, unless another recorder took the name in this very moment
            if not isinstance(error.__context__, FileExistsError):
                shutil.rmtree(path, ignore_errors=True)
            elif attempts > 1:
                return self._begin(attempts - 1)
            self._loss.why = self._loss.why or str(error)
            self._postpone()
            if not self._loss.said:
                self._loss.said = True
                self._alarm(f"{error}; traffic passes, and is not recorded")
            return False
        if self._begun:
            lost = f"; {self._loss.records} records before it were not written" if self._loss.records else ""
            self._alarm(f"recording goes on in {path}{lost}")
        elif taken:
            logger.warning("parity: %s was there already; recording to %s", self.path, path)
        self._writer, self._begun, self._begun_at, self._floor = writer, True, time.monotonic(), self._last_event
        self.path, self._place, self._loss, self._opened = path, _place_of(path), _Loss(), set()
        return True

    def _break(self, why: str, records: int) -> None:
        """Give up the present archive."""
        writer, self._writer = self._writer, None
        if writer is not None:
            try:
                writer.close()
            except ParityError as error:
                why = f"{why}; {error}"
        if time.monotonic() - self._begun_at > RETRY_SECONDS_MAX:
            self._pause_s = RETRY_SECONDS_MIN
        self._loss = _Loss(why=why, said=True)
        self._postpone()
        self._lose(records)
        self._alarm(f"{why}; traffic passes, and is not recorded until the disk takes it again")

    def _postpone(self) -> None:
        self._loss.retry_at = time.monotonic() + self._pause_s
        self._pause_s = min(self._pause_s * 2, RETRY_SECONDS_MAX)

    def _lose(self, records: int) -> None:
        self._loss.records += records
        self.lost += records

    def _end(self, item: _Seal) -> None:
        self._loss.retry_at = 0.0
        self._attempt(partial(self._seal, item), 0)
        if self._writer is None and self._begun:
            # it broke at the very end: a new archive that says so is better than none
            self._loss.retry_at = 0.0
            self._attempt(partial(self._seal, item), 0)
        if self._loss.records:
            self._alarm(f"{self.path}: {self._loss.records} records were not written ({self._loss.why})")

    def _seal(self, item: _Seal) -> None:
        assert self._writer is not None
        self._check_place()
        self._writer.seal(event=item.event, at=item.at, reason=item.reason)


def _stand_ins(record: Record, why: str = "could not be held or written") -> tuple[Gap, ...]:
    """Give the gaps that stand for a record that is not written: they account for each of its event numbers."""
    exchange = getattr(record, "exchange", None)
    if isinstance(record, Gap):
        return (record,)
    if isinstance(record, Chunks):
        return tuple(Gap(GapReason.NOT_WRITTEN, event=chunk.event, exchange=exchange, detail=f"stream chunk: {why}") for chunk in record.chunks)
    what = "request" if isinstance(record, Opened) else "end of exchange" if isinstance(record, Ended) else type(record).__name__
    gaps = [Gap(GapReason.NOT_WRITTEN, event=_last_event(record) or None, exchange=exchange, detail=f"{what}: {why}")]
    if isinstance(record, Ended) and record.headers_event is not None:
        gaps.insert(0, Gap(GapReason.NOT_WRITTEN, event=record.headers_event, exchange=exchange, detail=f"head of an answer: {why}"))
    return tuple(gaps)


def _last_event(record: Record) -> int:
    if isinstance(record, Chunks):
        return record.chunks[-1].event
    return getattr(record, "event", None) or 0


def _size(record: Record) -> int:
    size = _RECORD_BYTES
    if isinstance(record, Chunks):
        size += sum(len(chunk.data) for chunk in record.chunks)
    elif isinstance(record, Ended):
        size += len(record.request_body or b"")
        if isinstance(record.outcome, Response):
            size += len(record.outcome.body or b"")
    return size


def _place_of(path: Path) -> tuple[int, int] | None:
    """Give device and inode of an archive's folder; None where it or its manifest is not there."""
    try:
        (path / "manifest.json").lstat()
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _next_path(path: Path) -> Path:
    """Give a free name for the archive that follows one: `x-2.parity`, then `x-3.parity` and so on."""
    stem, dash, number = path.stem.rpartition("-")
    base = stem if dash and number.isdecimal() and len(number) < 4 else path.stem
    return next(candidate for count in itertools.count(2) if not os.path.lexists(candidate := path.with_name(f"{base}-{count}{path.suffix}")))
