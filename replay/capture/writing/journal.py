"""
From records to an archive, and to the next one where that breaks.

How this works
--------------
`write` appends a record. What the disk refuses is counted, said through `alarm`, and followed by a new archive as soon as the disk takes one
again: its first record is a gap over all event numbers before it. Exchanges that were opened in the archive before are gaps in the new one,
too. A writer process that takes over from one that died begins in the same way, with the event number at which it begins as *floor*.
"""

import itertools
import logging
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from replay.archive import ArchiveWriter, UnwritableError
from replay.model import Answered, ArchiveError, Attachment, Chunks, Ended, Gap, GapReason, Opened, ParityError, Record

RETRY_SECONDS_MIN = 2.0
RETRY_SECONDS_MAX = 60.0
"""After trouble the disk is tried again in growing steps, and from the first step again once an archive has lasted that long."""
_WHAT = {Opened: "request", Answered: "head of an answer", Ended: "end of exchange"}

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Loss:
    """What was not written since the last archive broke."""

    records: int = 0
    why: str = ""
    retry_at: float = 0.0
    said: bool = False


class Journal:
    """
    Appends records to an archive at *path*, and to `x-2.parity` and so on where it breaks.

    *alarm* is called with the words for each new trouble, and once more when it is over. *floor* is the event number up to which an archive
    before this one (*continues*, by name) accounts for the numbers.
    """

    def __init__(
        self,
        path: Path,
        facts: Mapping[str, Any],
        alarm: Callable[[str], None],
        *,
        create: Callable[..., ArchiveWriter] = ArchiveWriter.create,
        floor: int = 0,
        continues: str = "",
    ) -> None:
        self.path = path
        self._facts = {**facts, "continues": continues} if continues else dict(facts)
        self._alarm = alarm
        self._create = create
        self._writer: ArchiveWriter | None = None
        self._begun = False
        self._opened: set[int] = set()
        """Exchanges that were opened in the present archive and have not ended."""
        self._loss = _Loss(why=f"its writer ended ({continues})" if continues else "")
        self._pause_s = RETRY_SECONDS_MIN
        self._begun_at = 0.0
        self._place: tuple[int, int] | None = None
        """The present archive's folder, by device and inode."""
        self.last_event = floor
        """The highest event number that came by."""
        self._floor = 0
        """Up to here the present archive's first gap accounts for the event numbers."""
        self.lost = 0
        """Records that were not written, all in all."""

    @property
    def writer(self) -> ArchiveWriter | None:
        """The present archive; None where the disk refuses."""
        return self._writer

    def begin(self) -> bool:
        """Make the archive; False where the disk refuses, which is tried again later."""
        return self._writer is not None or self._begin()

    def write(self, record: Record) -> None:
        """Append a record, or count it as lost."""
        self.attempt(partial(self._append, record), 1)
        self.last_event = max(self.last_event, last_event_of(record))

    def tick(self) -> None:
        """Have an open block written when it is old enough; call it some times a second."""
        if self._writer is not None:
            self.attempt(self._tick, 0)
        else:
            self._begin()

    def settle(self) -> bool:
        """Wait until all is on the disk itself; False where it refuses."""
        if self._writer is not None:
            self.attempt(self._writer.flush, 0)
        return self._writer is not None

    def seal(self, *, event: int, at: float, reason: str, cut: bool = False) -> bool:
        """Seal the archive; where it breaks at the very end, a new one says so. False where not even that could be done."""
        seal = partial(self._seal, event, at, reason, cut=cut)
        self._loss.retry_at = 0.0
        self.attempt(seal, 0)
        if self._writer is None and self._begun:
            self._loss.retry_at = 0.0
            self.attempt(seal, 0)
        if self._loss.records:
            self._alarm(f"{self.path}: {self._loss.records} records were not written ({self._loss.why})")
        return self._writer is not None and self._writer.sealed

    def _append(self, record: Record) -> None:
        assert self._writer is not None
        if isinstance(record, Answered | Chunks | Ended) and record.exchange not in self._opened:
            for gap in stand_ins(record, "its beginning was not written here"):
                if gap.event is None or gap.event > self._floor:
                    self._writer.append(gap)
            return
        try:
            self._writer.append(record)
        except UnwritableError as error:
            # mitmproxy takes, for instance, a status of any size
            self.lost += 1
            self._alarm(f"{error}; it is counted as a gap")
            for gap in stand_ins(record, "the format can't hold it"):
                self._writer.append(gap)
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
        Notice that the archive, or its open segment, was moved or deleted: the system would take what is written to it all the same.

        Raises:
            ArchiveError: it is no longer at its path.
        """
        assert self._writer is not None
        if _place_of(self.path) != self._place or not os.path.lexists(self._writer.segment_path):
            raise ArchiveError(f"{self.path}: moved or deleted while it was written; what it held is where it was moved to, or gone")

    def attempt(self, act: Callable[[], object], records: int) -> None:
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
            if self.last_event:
                # before anything else, so that event numbers have no hole
                where = f"in {self.path.name}, or lost" if self._begun else "lost"
                writer.append(Gap(GapReason.NOT_WRITTEN, event=1, count=self.last_event, detail=f"{where}: {self._loss.why}"))
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
        elif self._loss.said:
            self._alarm(f"recording begins in {path}; {self._loss.records} records before it were not written")
        elif taken:
            logger.warning("parity: %s was there already; recording to %s", self.path, path)
        self._writer, self._begun, self._begun_at, self._floor = writer, True, time.monotonic(), self.last_event
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

    def _seal(self, event: int, at: float, reason: str, *, cut: bool) -> None:
        assert self._writer is not None
        self._check_place()
        self._writer.seal(event=event, at=at, reason=reason, cut=cut)


def stand_ins(record: Record, why: str = "could not be held or written") -> tuple[Gap, ...]:
    """Give the gaps that stand for a record that is not written: they account for each of its event numbers."""
    # a file beside an exchange is no part of it
    exchange = None if isinstance(record, Attachment) else getattr(record, "exchange", None)
    if isinstance(record, Gap):
        return (record,)
    if isinstance(record, Chunks):
        return tuple(Gap(GapReason.NOT_WRITTEN, event=chunk.event, exchange=exchange, detail=f"stream chunk: {why}") for chunk in record.chunks)
    what = _WHAT.get(type(record), type(record).__name__)
    gaps = [Gap(GapReason.NOT_WRITTEN, event=last_event_of(record) or None, exchange=exchange, detail=f"{what}: {why}")]
    if isinstance(record, Ended) and record.headers_event is not None:
        gaps.insert(0, Gap(GapReason.NOT_WRITTEN, event=record.headers_event, exchange=exchange, detail=f"head of an answer: {why}"))
    return tuple(gaps)


def last_event_of(record: Record) -> int:
    """Give the highest event number of a record; 0 where it has none."""
    if isinstance(record, Chunks):
        return record.chunks[-1].event
    return getattr(record, "event", None) or 0


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
