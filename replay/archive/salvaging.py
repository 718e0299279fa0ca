"""
Finding what is whole in an archive that was not sealed, or was damaged after.

How this works
--------------
With a sealed manifest, its index says where each block is: those whose digest agrees are whole, wherever the damage lies. Without one,
each segment is walked frame by frame from its start, up to the first thing that is no whole frame of whole entries. Behind that point
nothing is believed: a recorded body may itself hold bytes that look like a frame.

A block counts as whole only if the big bodies that its records refer to are whole too.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from replay.archive.blocks import Frame, Tail, walk
from replay.archive.codec import FORMAT, Body, SegmentHead, decode, digest_of, records_of
from replay.archive.counts import Tally, events_of
from replay.archive.manifest import Block, Kind, Manifest, NewerFormatError, Segment, SnapshotFile, digest_of_blocks, newer_format
from replay.archive.segments import open_segment, read_block, segment_name
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

    def words(self) -> str:
        """Say what is there."""
        count = sum(block.holds == "records" for segment in self.segments for block in segment.blocks)
        return f"{count} whole blocks, {self.tally.records['exchange']} exchanges whole, {len(self.tally.open)} open"

    def manifest(self) -> Manifest:
        """Give a manifest for what is whole: the old one's words, our own index. It is never sealed."""
        guessed: Kind = "observed" if self.observed else "recording"
        facts: dict[str, Any] = dict(self.known.facts) if self.known else {}
        identity = self.known.id if self.known else self.head.archive if self.head else f"salvaged-{digest_of_blocks(self.segments)[:16]}"
        return Manifest(
            id=identity,
            kind=self.known.kind if self.known else self.head.kind if self.head else guessed,
            started_at=self.known.started_at if self.known else 0.0,
            tool=self.known.tool if self.known else "",
            facts=facts,
            segments=self.segments,
            snapshots=self.snapshots,
            counts=self.tally.as_json(),
        )


def scan(path: Path, files: list[Path], known: Manifest | None) -> Salvage:
    """
    Find what is whole.

    Raises:
        ArchiveError: a segment was written by a newer tool, or can't be opened.
    """
    finder = _Finder(known)
    indexed = {segment.file: segment for segment in known.segments} if known else {}
    found = tuple(finder.by_index(file, indexed[file.name]) if file.name in indexed else finder.by_walking(file) for file in files)
    for name in sorted(indexed.keys() - {file.name for file in files}):
        finder.damage.append(f"{path / name}: missing")
        finder.lose(indexed[name].blocks)
    return Salvage(
        known=known,
        head=finder.head,
        observed=finder.observed,
        segments=found,
        snapshots=known.snapshots if known else (),
        damage=tuple(finder.damage),
        lost_events=tuple(finder.lost_events),
        tally=finder.tally,
    )


class _Finder:
    """Gathers what is whole over all segments."""

    def __init__(self, known: Manifest | None) -> None:
        self.identity = known.id if known else None
        self.head: SegmentHead | None = None
        self.observed = False
        self.damage: list[str] = []
        self.lost_events: list[tuple[int, int]] = []
        self._walked: tuple[int, int] = (0, 0)
        """Number and whole bytes of the segment that was walked last."""
        self._latest: SegmentHead | None = None
        self.tally = Tally()

    def by_index(self, path: Path, segment: Segment) -> Segment:
        """Keep the blocks of a segment that are still the ones that were sealed."""
        whole: list[Block] = []
        bodies: set[bytes] = set()
        with open_segment(path) as file:
            for block in segment.blocks:
                try:
                    frame = Frame(block.offset, block.length, block.sha256, read_block(file, block))
                    whole.append(self._look_into(path, frame, bodies))
                except ArchiveError as error:
                    self._leave(path, block.offset, block.length, error)
                    self.lose([block])
        return Segment(path.name, segment.bytes, tuple(whole))

    def lose(self, blocks: Iterable[Block]) -> None:
        """Note what the index says of blocks that are gone."""
        self.lost_events += [
            (block.first_event, block.last_event) for block in blocks if block.first_event is not None and block.last_event is not None
        ]

    def by_walking(self, path: Path) -> Segment:
        """Keep the blocks of a segment up to the first that is not whole."""
        whole: list[Block] = []
        bodies: set[bytes] = set()
        length = 0
        self._latest = None
        with open_segment(path) as file:
            size = path.stat().st_size
            try:
                for found in walk(file):
                    length = found.offset
                    if isinstance(found, Tail):
                        raise ArchiveError(found.reason)  # noqa: TRY301 - the same end as any other damage
                    whole.append(self._look_into(path, found, bodies))
                    if self._latest is not None and found.offset == 0:
                        self._follow(path, self._latest)
                    length = found.offset + found.length
            except ArchiveError as error:
                self._leave(path, length, size - length, error)
        if self._latest is not None:
            self._walked = (self._latest.number, length)
        return Segment(path.name, length, tuple(whole))

    def _follow(self, path: Path, head: SegmentHead) -> None:
        """Look whether the segment before is as long as it was when this one was begun: cut between two blocks, it looks whole."""
        number, length = self._walked
        if (number, length) != (head.number - 1, head.previous_bytes):
            self.damage.append(f"{path}: the segment before it is missing, or shorter than its {head.previous_bytes} bytes")
            # A stream that was opened before and ended after may lack chunks.
            self.lost_events.append((self.tally.last_event, self.tally.last_event + 1))

    def _leave(self, path: Path, offset: int, length: int, error: ArchiveError) -> None:
        if isinstance(error, NewerFormatError):
            raise error
        self.damage.append(f"{path}: {length} bytes at byte {offset} left: {error}")

    def _look_into(self, path: Path, frame: Frame, bodies: set[bytes]) -> Block:
        """Decode a block, count what is in it, and say what the index should say of it."""

        def stored(digest: bytes) -> bytes:
            if digest not in bodies:
                raise ArchiveError("a big body that it refers to is not whole")
            return b""

        place = Block(frame.offset, frame.length, frame.sha256, "records")
        match list(decode(frame.raw, stored)):
            case [SegmentHead() as head]:
                self._accept(path, head)
                return replace(place, holds="head")
            case [Body() as body]:
                digest = digest_of(body.data)
                bodies.add(digest)
                return replace(place, holds="body", body=digest.hex())
            case _ if frame.offset == 0:
                raise ArchiveError("the segment does not begin with its head")
            case entries:
                return self._count(place, records_of(entries))

    def _count(self, place: Block, records: list[Record]) -> Block:
        events = [number for record in records for run in events_of(record) for number in run]
        for record in records:
            self.tally.add(record)
            self.observed |= isinstance(record, Binding | Wait | DaemonRecord)
        return replace(place, records=len(records), first_event=min(events, default=None), last_event=max(events, default=None))

    def _accept(self, path: Path, head: SegmentHead) -> None:
        if head.format > FORMAT:
            raise newer_format(path, head.format)
        self.identity = self.identity or head.archive
        if head.archive != self.identity:
            raise ArchiveError("the segment belongs to another archive")
        if path.name != segment_name(head.number):
            raise ArchiveError(f"the segment is number {head.number} of its archive")
        self.head = self.head or head
        self._latest = head
