"""
What an archive holds, exchange by exchange, without holding it.

How this works
--------------
`scan` reads the records once, forward. It gives each exchange when its end is read, and remembers of it only where its records lie: a few
dozen bytes. Of what is still open it holds the head, and of a stream's chunks only their places. Afterwards `Shelf.exchange` gives any
exchange again, out of the few blocks in which it lies. The last blocks are kept, as packed msgpack and not as records, so that whoever asks
in the order of the recording has each block read about once, however long a stream stood open.

Whether an exchange is whole is only known at the end of the scan: a later record may say that a part of it was not written.
"""

from array import array
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from replay.archive.codec import Body, SegmentHead, decode_one
from replay.archive.index import Block, Index
from replay.archive.joining import Parts, join_parts, may_lack_chunks, opened_twice, torn_gap
from replay.archive.segments import Bodies, SegmentFile, bodies_of, load_index, read_block
from replay.model import (
    Answered,
    ArchiveError,
    Attachment,
    Chunks,
    Ended,
    Exchange,
    Gap,
    GapReason,
    Opened,
    Record,
    SnapshotRecord,
    WorkspaceChange,
)

if TYPE_CHECKING:
    from replay.archive.reading import Archive

_BLOCKS_KEPT: Final = 24
_SEGMENTS_OPEN: Final = 3


class Place(NamedTuple):
    """Where a record lies."""

    segment: int
    """From 0."""
    block: int
    begin: int
    """In what the block holds, unpacked."""
    end: int


class Beside(NamedTuple):
    """A record that is no part of an exchange, and where it lies."""

    place: Place
    record: WorkspaceChange | Attachment | SnapshotRecord


class _Places:
    """Places by exchange number, packed; numbers mostly rise, and those that do not lie beside."""

    def __init__(self) -> None:
        self._numbers = array("q")
        self._packed = array("I")
        self._odd: dict[int, Place] = {}

    def __len__(self) -> int:
        return len(self._numbers) + len(self._odd)

    def numbers(self) -> Iterator[int]:
        """Give all numbers."""
        yield from self._numbers
        yield from self._odd

    def add(self, number: int, place: Place) -> bool:
        """Take one; False where the number is there already."""
        if not self._numbers or number > self._numbers[-1]:
            if number in self._odd:
                return False
            self._numbers.append(number)
            self._packed.extend(place)
            return True
        if self.find(number) is not None:
            return False
        self._odd[number] = place
        return True

    def find(self, number: int) -> Place | None:
        """Give a number's place; None where it has none."""
        at = bisect_left(self._numbers, number)
        if at < len(self._numbers) and self._numbers[at] == number:
            return Place(*self._packed[4 * at : 4 * at + 4])
        return self._odd.get(number)


class Catalogue:
    """Where the exchanges of an archive lie. `scan` it first, to its end."""

    def __init__(self, archive: "Archive") -> None:
        self._archive = archive
        self._opened = _Places()
        self._ended = _Places()
        self._chunks: dict[int, array[int]] = {}
        self.gaps: tuple[Gap, ...] = ()
        """What is listed as missing, and what was opened and has no end."""
        self.lacking: frozenset[int] = frozenset()
        """Exchanges that were given by the scan and are not whole after all."""
        self.late: set[int] = set()
        """Exchanges of which a part, or word of one, came behind their end: they were given without it."""
        self.shed: set[int] = set()
        """Exchanges of which the recorder left a body out on purpose."""

    def scan(self) -> Iterator[Exchange | Beside]:
        """
        Give every exchange that has a beginning and an end, in the order of the records of their ends, and what lies beside them.

        Raises:
            ArchiveError: a block is damaged or gone (while iterating), or an exchange was opened or ended twice.
        """
        heads: dict[int, Opened] = {}
        orphans: set[int] = set()  # ended, and not opened before
        parts = Parts(self._archive.dropped_exchange)
        gaps: list[Gap] = []
        torn: dict[int, int] = {}
        self.shed = shed = set()
        with self.open() as shelf:
            for place, record in self._records():
                match record:
                    case Opened(exchange=number):
                        if not self._opened.add(number, place):
                            raise self._twice(number, "opened")
                        if number in orphans:
                            orphans.discard(number)
                            parts.forget(number)
                            yield shelf.exchange(number)
                            continue
                        heads[number] = record
                        parts.add(record)
                    case Chunks(exchange=number):
                        self._chunks.setdefault(number, array("I")).extend(place)
                        if number not in heads and self._opened.find(number) is not None:
                            self.late.add(number)
                            continue
                        parts.add(record)
                    case Answered(exchange=number):
                        if number in heads or self._opened.find(number) is None:
                            parts.add(record)
                    case Ended(exchange=number):
                        if not self._ended.add(number, place):
                            raise self._twice(number, "ended")
                        head = heads.pop(number, None)
                        if head is None:
                            orphans.add(number)
                            parts.add(record)
                            continue
                        parts.forget(number)
                        if may_lack_chunks(head, record, self._archive.lost_events):
                            torn[number] = head.event
                        yield join_parts(head, shelf.chunks(self._chunks.get(number)), record, shed=number in shed)
                    case Gap():
                        parts.add(record)
                        gaps.append(record)
                        if record.reason is GapReason.SHED and record.exchange is not None:
                            shed.add(record.exchange)
                            if self._ended.find(record.exchange) is not None:
                                self.late.add(record.exchange)
                    case WorkspaceChange() | Attachment() | SnapshotRecord():
                        yield Beside(place, record)
        unwritten = frozenset(gap.exchange for gap in gaps if gap.exchange is not None and gap.reason is GapReason.NOT_WRITTEN)
        said = [torn_gap(number, event) for number, event in sorted(torn.items()) if number not in unwritten]
        self.gaps = (*gaps, *said, *parts.unsaid())
        self.lacking = unwritten | torn.keys()

    def whole(self) -> Iterator[int]:
        """Give the numbers of the exchanges that are whole, rising but for those whose beginnings stand out of order."""
        return (number for number in self._opened.numbers() if number not in self.lacking and self._ended.find(number) is not None)

    @contextmanager
    def open(self) -> Iterator["Shelf"]:
        """Open the archive's files for reading exchanges in any order."""
        shelf = Shelf(self._archive, self)
        try:
            yield shelf
        finally:
            shelf.close()

    def places(self, number: int) -> tuple[Place, "array[int] | None", Place]:
        """Give where the parts of an exchange lie."""
        opened, ended = self._opened.find(number), self._ended.find(number)
        if opened is None or ended is None:
            raise KeyError(number)
        return opened, self._chunks.get(number), ended

    def _twice(self, number: int, what: str) -> ArchiveError:
        return ArchiveError(f"{self._archive.path}: {opened_twice(number, what)}")

    def _records(self) -> Iterator[tuple[Place, Record]]:
        for at, segment in enumerate(self._archive.segments):
            if segment.blocks == ():
                continue
            with self._archive.open_segment(segment) as file:
                blocks = load_index(file, segment, self._archive.id)
                bodies = bodies_of(file, blocks)
                for number, block in enumerate(blocks):
                    if block.holds == "records":
                        for begin, end, record in read_block(file, block, bodies):
                            yield Place(at, number, begin, end), record


@dataclass(slots=True)
class _OpenSegment:
    file: SegmentFile
    blocks: tuple[Block, ...]
    bodies: Bodies


class Shelf:
    """Gives exchanges out of the blocks in which they lie."""

    def __init__(self, archive: "Archive", catalogue: Catalogue) -> None:
        self._archive = archive
        self._catalogue = catalogue
        self._segments: OrderedDict[int, _OpenSegment] = OrderedDict()
        self._raw: OrderedDict[tuple[int, int], bytes] = OrderedDict()

    def exchange(self, number: int) -> Exchange:
        """
        Give one exchange.

        Raises:
            ArchiveError: a block is damaged or gone.
            KeyError: it is not in the archive, or a part only.
        """
        opened, chunks, ended = self._catalogue.places(number)
        head, rest = self.record(opened), self.record(ended)
        if not isinstance(head, Opened) or not isinstance(rest, Ended):
            raise ArchiveError(f"{self._archive.path}: exchange {number} is not where it was: the archive was changed while it was read")
        return join_parts(head, self.chunks(chunks), rest, shed=number in self._catalogue.shed)

    def chunks(self, packed: "array[int] | None") -> Iterator[Chunks]:
        """Give the runs of chunks that lie at packed places."""
        for at in range(0, len(packed or ()), 4):
            assert packed is not None
            record = self.record(Place(*packed[at : at + 4]))
            if isinstance(record, Chunks):
                yield record

    def close(self) -> None:
        """Let the files go."""
        for segment in self._segments.values():
            segment.file.close()
        self._segments.clear()
        self._raw.clear()

    def record(self, place: Place) -> Record:
        """Give the record at a place; raises ArchiveError where its block is damaged or gone."""
        segment = self._segment(place.segment)
        raw = self._raw.get((place.segment, place.block))
        if raw is None:
            block = segment.blocks[place.block]
            try:
                raw = segment.file.read(block)
            except ArchiveError as error:
                raise ArchiveError(f"{segment.file.path}: the block at byte {block.offset}: {error}") from error
            self._raw[place.segment, place.block] = raw
            if len(self._raw) > _BLOCKS_KEPT:
                self._raw.popitem(last=False)
        else:
            self._raw.move_to_end((place.segment, place.block))
        entry = decode_one(raw[place.begin : place.end], segment.bodies.content, segment.file.number)
        assert not isinstance(entry, SegmentHead | Body | Index)
        return entry

    def _segment(self, number: int) -> _OpenSegment:
        found = self._segments.get(number)
        if found is None:
            listed = self._archive.segments[number]
            file = self._archive.open_segment(listed)
            try:
                blocks = tuple(load_index(file, listed, self._archive.id))
                found = _OpenSegment(file, blocks, bodies_of(file, blocks))
            except ArchiveError:
                file.close()
                raise
            self._segments[number] = found
            if len(self._segments) > _SEGMENTS_OPEN:
                self._segments.popitem(last=False)[1].file.close()
        else:
            self._segments.move_to_end(number)
        return found


__all__ = ["Beside", "Catalogue", "Place", "Shelf"]
