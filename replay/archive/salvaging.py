"""
Finding what is whole in an archive that was not sealed, or was damaged after.

How this works
--------------
A segment that was closed says itself where its blocks are: those whose digest agrees are whole, wherever the damage lies. One without an
index, or with a damaged one, is walked block by block from its start, up to the first thing that is no whole block of whole entries. Behind
that point nothing is believed: a recorded body may itself hold bytes that look like a block.

A block counts as whole only if the big bodies that its records refer to are whole too.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from replay.archive.blocks import Tail
from replay.archive.codec import Body, SegmentHead, decode, digest_of, records_of
from replay.archive.counts import Tally, events_of
from replay.archive.encryption import LockedError
from replay.archive.formats import FORMAT, NewerFormatError
from replay.archive.index import Block, Index, Summary
from replay.archive.keyring import Keyring
from replay.archive.manifest import Dropped, Kind, Manifest, Segment, SnapshotFile, digest_of_segments, dropped_to
from replay.archive.segments import SegmentFile, load_index, segment_number
from replay.model import ArchiveError, Binding, DaemonRecord, Record, Wait


@dataclass(frozen=True, slots=True)
class Salvage:
    """What is whole."""

    known: Manifest | None
    """The manifest, if that much is there."""
    head: SegmentHead | None
    observed: bool
    """Whether something was seen that only a replay writes."""
    segments: tuple[Segment, ...]
    snapshots: tuple[SnapshotFile, ...]
    damage: tuple[str, ...]
    lost_events: tuple[tuple[int, int], ...]
    """Runs of event numbers, first and last, in which damaged blocks lie, as far as an index says so."""
    tally: Tally
    format: int

    def words(self) -> str:
        """Say what is there."""
        count = sum(block.holds == "records" for segment in self.segments for block in segment.blocks or ())
        return f"{count} whole blocks, {self.tally.records['exchange']} exchanges whole, {len(self.tally.open)} open"

    def manifest(self) -> Manifest:
        """Give a manifest for what is whole: the old one's words, our own index. It is never sealed."""
        guessed: Kind = "observed" if self.observed else "recording"
        facts: dict[str, Any] = dict(self.known.facts) if self.known else {}
        identity = self.known.id if self.known else self.head.archive if self.head else f"salvaged-{digest_of_segments(self.segments)[:16]}"
        dropped: tuple[Dropped, ...] = self.known.dropped if self.known else ()
        return Manifest(
            id=identity,
            kind=self.known.kind if self.known else self.head.kind if self.head else guessed,
            started_at=self.known.started_at if self.known else 0.0,
            tool=self.known.tool if self.known else "",
            facts=facts,
            recipients=self.known.recipients if self.known else (),
            segments=self.segments,
            snapshots=self.snapshots,
            dropped=dropped,
            counts=self.tally.as_json(),
            format=self.format,
        )


def scan(path: Path, files: Sequence[Path], known: Manifest | None, keys: Keyring) -> Salvage:
    """
    Find what is whole.

    Raises:
        LockedError: it is encrypted, and none of the keys opens any of it.
        ArchiveError: a segment was written by a newer tool.
    """
    finder = _Finder(known, keys)
    found = tuple(finder.look_at(file) for file in files)
    for name in sorted(finder.listed.keys() - {file.name for file in files}):
        finder.damage.append(f"{path / name}: missing")
        finder.lose_segment(finder.listed[name])
    if finder.locked is not None and finder.head is None:
        raise finder.locked
    return Salvage(
        known=known,
        head=finder.head,
        observed=finder.observed,
        segments=found,
        snapshots=known.snapshots if known else (),
        damage=tuple(finder.damage),
        lost_events=tuple(finder.lost_events),
        tally=finder.tally,
        format=finder.format,
    )


class _Finder:
    """Gathers what is whole over all segments."""

    def __init__(self, known: Manifest | None, keys: Keyring) -> None:
        self.listed = {segment.file: segment for segment in known.segments} if known and known.sealed else {}
        self.format = known.format if known else FORMAT
        self.head: SegmentHead | None = None
        self.locked: LockedError | None = None
        self.observed = False
        self.damage: list[str] = []
        self.lost_events: list[tuple[int, int]] = []
        self.tally = Tally()
        self._identity = known.id if known else None
        self._keys = keys
        self._before: tuple[int, int, str] = (dropped_to(known), -1, "")
        """Number, length and the index's digest of the segment before; length -1: it was dropped, and nobody knows."""
        self._latest: SegmentHead | None = None

    def look_at(self, path: Path) -> Segment:
        """Keep the blocks of a segment that are whole."""
        self._latest = None
        listed = self.listed.get(path.name)
        whole: list[Block] = []
        length, digest = 0, ""
        try:
            with SegmentFile.open(path, self._keys, self._identity, self.format) as file:
                try:
                    places, digest = self._index(file, listed)
                except ArchiveError as error:
                    if listed is not None:
                        self._say(error)
                    length = self._walk(file, whole)
                    if listed is not None and length < listed.index:
                        self.lose_segment(listed)
                else:
                    self._take(file, places, whole)
                    length = file.length
        except LockedError as error:
            self.locked = error
            self._say(error)
        except ArchiveError as error:
            self._say(error)
        if self._latest is not None:
            self._before = (self._latest.number, length, digest)
        return Segment(path.name, length, 0, digest, None, Summary(), tuple(whole))

    def lose_segment(self, segment: Segment) -> None:
        """Note what is known of a segment that is gone, or of which nobody knows what is gone."""
        if segment.blocks is not None:
            self._lose(segment.blocks)
        elif segment.summary.first_event is not None and segment.summary.last_event is not None:
            self.lost_events.append((segment.summary.first_event, segment.summary.last_event))

    def _lose(self, blocks: Iterable[Block]) -> None:
        self.lost_events += [
            (block.first_event, block.last_event) for block in blocks if block.first_event is not None and block.last_event is not None
        ]

    def _index(self, file: SegmentFile, listed: Segment | None) -> tuple[Sequence[Block], str]:
        """Give the blocks and the digest of the index: as it was sealed, or the segment's own where no seal says which."""
        if listed is not None:
            return load_index(file, listed, self._identity or ""), listed.sha256 if listed.blocks is None else ""
        place, index = file.index()
        if index.number != segment_number(file.path.name) or self._identity not in {None, index.archive}:
            raise ArchiveError(f"{file.path}: it belongs to another archive, or elsewhere in this one")
        return index.blocks, place.sha256

    def _take(self, file: SegmentFile, places: Sequence[Block], whole: list[Block]) -> None:
        """Keep the blocks that are still those that the index names."""
        bodies: set[bytes] = set()
        for block in places:
            try:
                whole.append(self._look_into(file, block, file.read(block), bodies))
            except ArchiveError as error:
                self._leave(file.path, block.offset, block.length, error)
                self._lose([block])

    def _walk(self, file: SegmentFile, whole: list[Block]) -> int:
        """Keep the blocks up to the first that is not whole, and give how far that is."""
        bodies: set[bytes] = set()
        length = 0
        try:
            for found in file.walk():
                if isinstance(found, Tail):
                    length = found.offset
                    raise ArchiveError(found.reason)  # noqa: TRY301 - the same end as any other damage
                frame, block = found
                length = frame.offset
                whole.append(self._look_into(file, block, frame.raw, bodies))
                length = frame.offset + frame.length
        except ArchiveError as error:
            self._leave(file.path, length, file.length - length, error)
        return length

    def _say(self, error: ArchiveError) -> None:
        if isinstance(error, NewerFormatError):
            raise error
        self.damage.append(str(error))

    def _leave(self, path: Path, offset: int, length: int, error: ArchiveError) -> None:
        if isinstance(error, NewerFormatError):
            raise error
        self.damage.append(f"{path}: {length} bytes at byte {offset} left: {error}")

    def _look_into(self, file: SegmentFile, place: Block, raw: bytes, bodies: set[bytes]) -> Block:
        """Decode a block, count what is in it, and say what the index should say of it."""

        def stored(digest: bytes) -> bytes:
            if digest not in bodies:
                raise ArchiveError("a big body that it refers to is not whole")
            return b""

        match list(decode(raw, stored, file.number)):
            case [SegmentHead() as head]:
                self._accept(file, head)
                return replace(place, holds="head")
            case [Body() as body]:
                digest = digest_of(body.data)
                bodies.add(digest)
                return replace(place, holds="body", body=digest.hex())
            case [Index()]:
                return replace(place, holds="index")
            case _ if place.offset == 0:
                raise ArchiveError("the segment does not begin with its head")
            case entries:
                return self._count(place, records_of(entries))

    def _count(self, place: Block, records: list[Record]) -> Block:
        events = [number for record in records for run in events_of(record) for number in run]
        for record in records:
            self.tally.add(record)
            self.observed |= isinstance(record, Binding | Wait | DaemonRecord)
        return replace(place, records=len(records), first_event=min(events, default=None), last_event=max(events, default=None))

    def _accept(self, file: SegmentFile, head: SegmentHead) -> None:
        self._identity = self._identity or head.archive
        if head.archive != self._identity:
            raise ArchiveError("the segment belongs to another archive")
        if segment_number(file.path.name) != head.number:
            raise ArchiveError(f"the segment is number {head.number} of its archive")
        file.number = self.format = head.format
        self.head = self.head or head
        self._latest = head
        self._follow(file.path, head)

    def _follow(self, path: Path, head: SegmentHead) -> None:
        """Look whether the segment before is as it was when this one was begun: cut between two blocks, it looks whole."""
        number, length, digest = self._before
        changed = length >= 0 and (length, digest) != (head.previous_bytes, head.previous)
        if head.number > 1 and (number != head.number - 1 or changed):
            self.damage.append(f"{path}: the segment before it is missing, or not the one of {head.previous_bytes} bytes that it follows")
            # A stream that was opened before and ended after may lack chunks.
            last = self.tally.last_event or 0
            self.lost_events.append((last, last + 1))
