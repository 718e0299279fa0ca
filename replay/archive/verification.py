"""
Saying what is wrong with an archive, without stopping at the first thing.

Looked at: the seal, every digest, the counts against what is really there, event numbers without holes (recordings), and that each
opened exchange is finished or listed as a gap. Beside it, every place that still looks like a secret is named, by place and kind, never
by value: an archive imported without redaction has those by design, so they are no problem of its integrity.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from replay.archive.counts import Tally, events_of
from replay.archive.joining import OPENED_BEFORE, Parts
from replay.archive.keyring import Keyring
from replay.archive.manifest import Dropped
from replay.archive.numbering import EventNumbers
from replay.archive.reading import Archive, read
from replay.archive.snapshots import open_snapshot, snapshot_digest
from replay.archive.suspecting import LeftSecret, Suspecting, secrets_in_facts
from replay.model import (
    ArchiveError,
    Ended,
    Opened,
    Record,
    SnapshotRecord,
)

_STEP_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found out about an archive."""

    path: Path
    sealed: bool
    """Sealed, and everything that was sealed is still as it was."""
    problems: tuple[str, ...]
    """In words; empty: nothing is wrong."""
    counts: dict[str, int]
    """Records by type, and `chunks`, `blocks`, `events`."""
    exchanges: int
    open_exchanges: int
    """Opened and not ended."""
    gaps: dict[str, int]
    """By reason, as the archive itself lists them."""
    redactions: dict[str, int]
    """By kind."""
    suspects: tuple[LeftSecret, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)
    """The manifest's."""
    dropped: tuple[Dropped, ...] = ()
    """What retention took away."""

    @property
    def good(self) -> bool:
        """Whether nothing is wrong. Suspects are said, not judged."""
        return not self.problems


def verify(path: Path, keys: Keyring | None = None, also: Callable[[Record], None] | None = None) -> Verification:
    """
    Look at all of an archive. A damaged one comes back with its problems; what is whole in it is counted.

    *also* is given each record, for a caller that wants to know more of an archive that may be too big to be read twice.

    Raises:
        ArchiveError: there is no archive at all, one that none of the *keys* opens, or a newer one.
    """
    archive = read(path, salvage=True, keys=keys)
    sealed = bool(archive.manifest["sealed"])
    problems = list(archive.damage)
    look = _Look(archive)
    try:
        look.over_all(also or _nothing)
    except ArchiveError as error:
        problems.append(str(error))
    problems += look.problems(holes=sealed and archive.kind == "recording")
    if sealed:
        problems += _against_manifest(path, archive.manifest["counts"], look.tally)
    problems += [said for record in look.snapshots for said in _snapshot_trouble(archive, record)]
    return Verification(
        path=path,
        sealed=not archive.salvaged,
        problems=tuple(problems),
        counts=look.counts(),
        exchanges=look.tally.records["exchange"],
        open_exchanges=len(look.tally.open),
        gaps=dict(look.tally.gaps),
        redactions=dict(look.tally.redactions),
        suspects=(*secrets_in_facts(archive.facts), *look.suspects),
        facts=archive.facts,
        dropped=archive.dropped,
    )


def _nothing(_: Record) -> None:
    """Look at nothing."""


class _Look:
    """One pass over all records, holding numbers only."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self.tally = Tally()
        self.suspects: list[LeftSecret] = []
        self.snapshots: list[SnapshotRecord] = []
        self._blocks = 0
        self._events = EventNumbers()
        self._opened: set[int] = set()
        self._ended: set[int] = set()
        self._parts = Parts(archive.dropped_exchange)
        self._twice: list[str] = []
        for dropped in archive.dropped:
            if dropped.summary.first_event is not None and dropped.summary.last_event is not None:
                self._events.add(dropped.summary.first_event, dropped.summary.last_event)

    def over_all(self, also: Callable[[Record], None]) -> None:
        """Look at each record once, and have *also* look. Raises `ArchiveError` where a block can't be read."""
        for segment in self._archive.segments:
            self._blocks += len(self._archive.blocks(segment))
        self.snapshots = self._archive.snapshots()
        suspecting = Suspecting()
        for record in self._archive.records():
            self.tally.add(record)
            for first, last in events_of(record):
                self._events.add(first, last)
            self.suspects += suspecting.look(record)
            self._note(record)
            also(record)
        self.suspects += suspecting.rest()

    def counts(self) -> dict[str, int]:
        """Give records by type, chunks, blocks, and the highest event number."""
        return {**self.tally.records, "chunks": self.tally.chunks, "blocks": self._blocks, "events": self.tally.last_event or 0}

    def problems(self, *, holes: bool) -> list[str]:
        """Say what is inconsistent; *holes*: also which event numbers are missing."""
        unsaid = [gap for gap in self._parts.unsaid() if gap.detail != OPENED_BEFORE]
        found = [*self._twice, *(f"exchange {gap.exchange}: {gap.detail}, and no gap says why" for gap in unsaid)]
        if holes:
            found += [f"event numbers {first} to {last} are missing" for first, last in self._events.holes()]
        return [f"{self._archive.path}: {what}" for what in found]

    def _note(self, record: Record) -> None:
        self._parts.add(record)
        match record:
            case Opened():
                if record.exchange in self._opened:
                    self._twice.append(f"exchange {record.exchange} was opened twice")
                self._opened.add(record.exchange)
            case Ended():
                if record.exchange in self._ended:
                    self._twice.append(f"exchange {record.exchange} was ended twice")
                self._ended.add(record.exchange)


def _against_manifest(path: Path, counts: Mapping[str, Any], tally: Tally) -> Iterator[str]:
    found = tally.as_json()
    for name in sorted(found.keys() | counts.keys()):
        if found.get(name) != counts.get(name):
            yield f"{path}: the manifest counts {counts.get(name)} for {name!r}, the records give {found.get(name)}"


def _snapshot_trouble(archive: Archive, record: SnapshotRecord) -> Iterator[str]:
    path = archive.path / record.file
    if Path(record.file).name != record.file:
        yield f"{archive.path}: a snapshot lies outside the archive"
        return
    try:
        if snapshot_digest(path) != record.digest:
            yield f"{path}: damaged; it is not the snapshot that was recorded"
            return
        with open_snapshot(path, archive.keys, archive.id) as file:
            while file.read(_STEP_BYTES):
                pass
    except ArchiveError as error:
        yield str(error)
