"""
The roll of an archive: which exchanges it holds, and each of them again at the price of its bytes.

How this works
--------------
`call` goes through all blocks once and reads of each record only its first words: its type, the number of its exchange, and its time. What it
keeps is the number of a block for an exchange's beginning and one for its end, eight bytes for each exchange, so that an archive of millions
fits; and both times, sixteen more, until they are let go.
Records that are no part of an exchange are given out as they come.

After that any exchange can be had in any order, as a `Slip`: its records as they were unpacked, not yet checked and made into values. Whoever
only wants to know whether two exchanges are the same reads the slip; `Slip.exchange()` checks and joins it as `Archive.join` does. Blocks that
were read last are kept, so whoever asks about in the order of the recording has each block unpacked once. No file stays open.
"""

import re
import struct
from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import msgpack

from replay.archive.codec import Body, SegmentHead, checked, decode_one, entry_ends, raw_entries
from replay.archive.formats import FORMAT
from replay.archive.index import Block, Index
from replay.archive.joining import Parts, join_parts, may_lack_chunks, opened_twice, torn_gap
from replay.archive.segments import SegmentFile, bodies_of, load_index
from replay.model import Answered, ArchiveError, Chunks, Ended, Exchange, Gap, GapReason, Opened, Record

if TYPE_CHECKING:
    from replay.archive.manifest import Segment
    from replay.archive.reading import Archive

_BLOCKS_KEPT: Final = 4
"""Few, so that what is worked on stays near the processor; more where blocks come again that were let go."""
_BLOCKS_KEPT_MAX: Final = 64
_AHEAD: Final = 4
"""Numbers that are so many times further on than there are exchanges lie beside: nothing is made room for that is not there."""
_ROOM: Final = 4096
_INT: Final = rb"(?:[\x00-\x7f]|\xcc.|\xcd..|\xce....|\xcf.{8})"
_HEAD: Final = re.compile(
    rb"(?:[\x80-\x8f]|\xde..)\xa4type[\xa0-\xbf](opened|exchange|chunks|answered)\xa8exchange("
    + _INT
    + rb")(?:\xa5event"
    + _INT
    + rb"\xa2at\xcb(.{8}))?",
    re.DOTALL,
)
_TYPE: Final = re.compile(rb"(?:[\x80-\x8f]|\xde..)\xa4type[\xa0-\xbf]([a-z]{1,31})", re.DOTALL)
_BESIDE: Final = frozenset({b"gap", b"binding"})
_LANE: Final = b"\xa4lane\xa6daemon"
_USUAL_LANE: Final = _LANE + b"\xaaredactions\x90"
_DOUBLE: Final = struct.Struct(">d")


class Reference:
    """A big byte string that stands elsewhere in the segment."""

    __slots__ = ("digest",)

    def __init__(self, digest: bytes) -> None:
        self.digest = digest


class Slip:
    """The records of one exchange, as they were unpacked."""

    __slots__ = ("_roll", "chunked", "ended", "number", "opened", "segment")

    def __init__(self, roll: "Roll", number: int, opened: dict[str, Any], ended: dict[str, Any], segment: int, *, chunked: bool) -> None:
        self._roll = roll
        self.number = number
        self.opened = opened
        """The beginning: a map of the field names of `Opened`, unchecked. Big byte strings are `Reference`s."""
        self.ended = ended
        """The end, likewise of `Ended`."""
        self.segment = segment
        self.chunked = chunked
        """Whether parts of it stand in other records still."""

    def exchange(self) -> Exchange:
        """
        Give the exchange, checked and whole.

        Raises:
            ArchiveError: it is damaged, or none of the format.

        """
        return self._roll.joined(self)


class _Blocks:
    """Block numbers, and times, by exchange number: packed where numbers are dense, beside where they are not."""

    def __init__(self) -> None:
        self.packed = array("I", [0])
        """One more than the block's number; 0: there is none."""
        self.times = array("d", [0.0])
        self.odd: dict[int, int] = {}

    def find(self, number: int) -> int:
        """Give one more than the block's number; 0: there is none."""
        return self.packed[number] if 0 <= number < len(self.packed) else self.odd.get(number, 0)

    def put(self, number: int, block: int, at: float) -> bool:
        """Take one; False where there is one already."""
        if number == len(self.packed):
            self.packed.append(block + 1)
            self.times.append(at)
            return number not in self.odd
        if self.find(number):
            return False
        if 0 <= number < _AHEAD * len(self.packed) + _ROOM:
            missing = number + 1 - len(self.packed)
            if missing > 0:
                self.packed.frombytes(bytes(4 * missing))
                self.times.frombytes(bytes(8 * missing))
            self.packed[number], self.times[number] = block + 1, at
        else:
            self.odd[number] = block + 1
        return True

    def numbers(self) -> Iterator[int]:
        """Give all numbers, rising."""
        packed = (number for number, block in enumerate(self.packed) if block)
        return iter(sorted((*packed, *self.odd))) if self.odd else packed


class _Unpacked:
    """A block, unpacked."""

    __slots__ = ("chunks", "ended", "opened", "segment")

    def __init__(self, segment: int) -> None:
        self.segment = segment
        self.opened: dict[int, dict[str, Any]] = {}
        self.ended: dict[int, dict[str, Any]] = {}
        self.chunks: dict[int, list[dict[str, Any]]] = {}


class Roll:
    """Which exchanges an archive holds. `call` it first, to its end."""

    def __init__(self, archive: "Archive") -> None:
        self.archive = archive
        self._opened = _Blocks()
        self._ended = _Blocks()
        self._count = 0
        self._chunks: dict[int, list[int]] = {}
        self._answered: dict[int, int] = {}
        self._starts: list[int] = []
        """The number of each segment's first block, counted through all segments."""
        self._lists: OrderedDict[int, tuple[Block, ...]] = OrderedDict()
        self._kept: OrderedDict[int, _Unpacked] = OrderedDict()
        self._keep = _BLOCKS_KEPT
        self._gone: OrderedDict[int, None] = OrderedDict()
        """Blocks that were let go lately."""
        self._lacking: set[int] = set()
        self.beside: set[int] = set()
        """Exchanges of another lane than that of the daemon's clients."""
        self._shed: set[int] = set()
        self.gaps: tuple[Gap, ...] = ()
        """What is listed as missing, and what was opened and has no end, as `Archive.join` gives them."""
        self.quick = archive.format == FORMAT
        """Whether records stand there as this tool writes them; older ones are converted, which `slip` does not."""

    # --- calling ---

    def call(self) -> Iterator[Record]:
        """
        Go through the archive; gives the gaps and bindings in it as they come.

        Raises:
            ArchiveError: a block is damaged or gone (while iterating), or an exchange was opened or ended twice.

        """
        gaps: list[Gap] = []
        count = 0
        for at, segment in enumerate(self.archive.segments):
            self._starts.append(count)
            if segment.blocks == ():
                continue
            places = self._list(at)
            with self.archive.open_segment(segment) as file:
                for block in places:
                    if block.holds == "records":
                        raw = self._read(file.read, block, segment)
                        for record in self._note(raw, count + block.number, block, file, at):
                            if isinstance(record, Gap):
                                gaps.append(record)
                            yield record
            count += len(places)
        unwritten = {gap.exchange for gap in gaps if gap.exchange is not None and gap.reason is GapReason.NOT_WRITTEN}
        self._shed = {gap.exchange for gap in gaps if gap.exchange is not None and gap.reason is GapReason.SHED}
        torn = self._torn(unwritten)
        self._lacking = unwritten | torn.keys()
        self._count = sum(1 for _ in self.numbers())
        self.gaps = (*gaps, *(torn_gap(number, event) for number, event in sorted(torn.items())), *self._unsaid(gaps))

    def _note(self, raw: bytes, number: int, block: Block, file: SegmentFile, at: int) -> Iterator[Record]:
        written, segment = file.number, self.archive.segments[at]
        ends = entry_ends(raw)
        if ends[-1] != len(raw) or len(ends) - 1 != block.records:
            place = f"{self.archive.path / segment.file}: the block at byte {block.offset}"
            raise ArchiveError(f"{place}: {len(ends) - 1} whole records where {block.records} were written")
        head, at_once = _HEAD.match, written == FORMAT
        for begin, end in pairwise(ends):
            found = head(raw, begin, end) if at_once else None
            if found is not None:
                what, packed, stamp = found.groups()
                exchange = packed[0] if len(packed) == 1 else int.from_bytes(packed[1:], "big")
                if what == b"opened":
                    if not raw.endswith(_USUAL_LANE, begin, end) and raw.find(_LANE, found.end(), end) < 0:
                        self.beside.add(exchange)
                    if not self._opened.put(exchange, number, _time(stamp)):
                        raise self._twice(exchange, "opened")
                elif what == b"exchange":
                    if not self._ended.put(exchange, number, _time(stamp)):
                        raise self._twice(exchange, "ended")
                else:
                    self._take_part(what, exchange, number)
                continue
            kind = _TYPE.match(raw, begin, end) if at_once else None
            if kind is not None and kind[1] not in _BESIDE and kind[1] not in _PARTS:
                continue
            record = self._whole(raw[begin:end], block, file, at)
            match record:
                case Opened():
                    if record.lane != "daemon":
                        self.beside.add(record.exchange)
                    if not self._opened.put(record.exchange, number, record.at):
                        raise self._twice(record.exchange, "opened")
                case Ended():
                    if not self._ended.put(record.exchange, number, record.at):
                        raise self._twice(record.exchange, "ended")
                case Chunks():
                    self._take_part(b"chunks", record.exchange, number)
                case Answered():
                    self._take_part(b"answered", record.exchange, number)
                case _:
                    yield record

    def _take_part(self, what: bytes, exchange: int, block: int) -> None:
        if what == b"answered":
            self._answered[exchange] = block
            return
        blocks = self._chunks.setdefault(exchange, [])
        if not blocks or blocks[-1] != block:
            blocks.append(block)

    def _twice(self, exchange: int, what: str) -> ArchiveError:
        return ArchiveError(f"{self.archive.path}: {opened_twice(exchange, what)}")

    def _torn(self, unwritten: set[int]) -> dict[int, int]:
        """Which exchanges may lack a part that stood in a damaged block, and the event of their beginning."""
        lost = self.archive.lost_events
        torn: dict[int, int] = {}
        for number in self._both() if lost else ():
            if number not in unwritten:
                opened, ended = (
                    self._record(number, self._opened.find(number), "opened"),
                    self._record(number, self._ended.find(number), "ended"),
                )
                if isinstance(opened, Opened) and isinstance(ended, Ended) and may_lack_chunks(opened, ended, lost):
                    torn[number] = opened.event
        return torn

    def _unsaid(self, gaps: list[Gap]) -> tuple[Gap, ...]:
        parts = Parts(self.archive.dropped_exchange)
        for gap in gaps:
            parts.add(gap)
        halves = {*self._chunks, *self._answered}
        halves.update(number for number in self._opened.numbers() if not self._ended.find(number))
        halves.update(number for number in self._ended.numbers() if not self._opened.find(number))
        for number in sorted(halves):
            if self._opened.find(number) and self._ended.find(number):
                continue
            for record in self._parts(number):
                parts.add(record)
        return tuple(parts.unsaid())

    def _parts(self, number: int) -> Iterator[Record]:
        """Give the records of an exchange of which not all is there."""
        wanted = (Opened, Answered, Chunks, Ended)
        blocks = {self._opened.find(number) - 1, self._ended.find(number) - 1, self._answered.get(number, -1), *self._chunks.get(number, [])[:1]}
        for block in sorted(blocks - {-1}):
            at, place, segment = self._place(block)
            with self.archive.open_segment(segment) as file:
                raw = self._read(file.read, place, segment)
                ends = entry_ends(raw)
                for begin, end in pairwise(ends):
                    head = _HEAD.match(raw, begin, end)
                    if head is None or _int(head[2]) == number:
                        record = decode_one(raw[begin:end], bodies_of(file, self._list(at)).content, file.number)
                        if isinstance(record, wanted) and record.exchange == number:
                            yield record

    # --- asking ---

    def __contains__(self, number: object) -> bool:
        """Whether an exchange is there, whole."""
        return isinstance(number, int) and bool(self._opened.find(number) and self._ended.find(number)) and number not in self._lacking

    def __len__(self) -> int:
        """How many are there, whole."""
        return self._count

    def numbers(self) -> Iterator[int]:
        """Give the numbers of those that are there, whole, rising."""
        if self._lacking:
            return (number for number in self._both() if number not in self._lacking)
        return self._both()

    def times(self, number: int) -> tuple[float, float]:
        """Give when an exchange that is there began and ended, wall clock. Raises as `slip()` does."""
        began, ended = self._opened.times, self._ended.times
        if 0 <= number < len(began) and number < len(ended) and began[number] and ended[number]:
            return began[number], ended[number]
        exchange = self.exchange(number)
        return exchange.started_at, exchange.ended_at

    def forget_times(self) -> None:
        """Let go what `times` gives without reading: it is most of what is kept of each exchange, and is mostly asked for once."""
        self._opened.times, self._ended.times = array("d"), array("d")

    def slip(self, number: int) -> Slip:
        """
        Give the records of one exchange, unchecked.

        Raises:
            KeyError: it is not there, whole.
            ArchiveError: a block is damaged or gone, or what is in it is none of the format.

        """
        first, last = self._opened.find(number), self._ended.find(number)
        if not first or not last or number in self._lacking:
            raise KeyError(number)
        one = self._kept.get(first - 1) or self._block(first - 1)
        two = one if first == last else self._block(last - 1)
        try:
            return Slip(self, number, one.opened[number], two.ended[number], two.segment, chunked=number in self._chunks)
        except KeyError as error:
            raise ArchiveError(
                f"{self.archive.path}: exchange {number} is not where it was: the archive was changed while it was read"
            ) from error

    def exchange(self, number: int) -> Exchange:
        """Give one exchange, whole. Raises as `slip()` does."""
        if self.quick:
            return self.slip(number).exchange()
        if number not in self:
            raise KeyError(number)
        opened, ended = self._record(number, self._opened.find(number), "opened"), self._record(number, self._ended.find(number), "ended")
        if not isinstance(opened, Opened) or not isinstance(ended, Ended):
            raise ArchiveError(f"{self.archive.path}: exchange {number} is not where it was: the archive was changed while it was read")
        runs = [record for record in self._all(number) if isinstance(record, Chunks)]
        return join_parts(opened, runs, ended, shed=number in self._shed)

    def joined(self, slip: Slip) -> Exchange:
        """Give the exchange of a slip. Raises as `Slip.exchange()` does."""
        number = slip.number
        runs: list[Chunks] = []
        for block in self._chunks.get(number, ()) if slip.chunked else ():
            unpacked = self._block(block)
            runs += [_as(Chunks, checked(self._resolved(each, unpacked.segment))) for each in unpacked.chunks.get(number, ())]
        opened = _as(Opened, checked(self._resolved(slip.opened, self._place(self._opened.find(number) - 1)[0])))
        ended = _as(Ended, checked(self._resolved(slip.ended, slip.segment)))
        return join_parts(opened, runs, ended, shed=number in self._shed)

    # --- blocks ---

    def _both(self) -> Iterator[int]:
        if self._opened.odd or self._ended.odd:
            return (number for number in self._opened.numbers() if self._ended.find(number))
        return (number for number, (one, two) in enumerate(zip(self._opened.packed, self._ended.packed, strict=False)) if one and two)

    def _list(self, at: int) -> tuple[Block, ...]:
        found = self._lists.get(at)
        if found is None:
            segment = self.archive.segments[at]
            if segment.blocks is not None:
                found = segment.blocks
            else:
                with self.archive.open_segment(segment) as file:
                    found = tuple(load_index(file, segment, self.archive.id))
            self._lists[at] = found
            if len(self._lists) > 3:
                self._lists.popitem(last=False)
        return found

    def _place(self, number: int) -> tuple[int, Block, "Segment"]:
        low, high = 0, len(self._starts)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._starts[middle] <= number else (low, middle)
        return low, self._list(low)[number - self._starts[low]], self.archive.segments[low]

    def _read(self, read: Callable[[Block], bytes], block: Block, segment: "Segment") -> bytes:
        try:
            return read(block)
        except ArchiveError as error:
            raise ArchiveError(f"{self.archive.path / segment.file}: the block at byte {block.offset}: {error}") from error

    def _block(self, number: int) -> _Unpacked:
        found = self._kept.get(number)
        if found is not None:
            return found
        at, place, segment = self._place(number)
        with self.archive.open_segment(segment) as file:
            raw = self._read(file.read, place, segment)
        found = _Unpacked(at)
        try:
            for entry in raw_entries(raw, Reference):
                what = entry["type"]
                if what == "exchange":
                    found.ended[entry["exchange"]] = entry
                elif what == "opened":
                    found.opened[entry["exchange"]] = entry
                elif what == "chunks":
                    found.chunks.setdefault(entry["exchange"], []).append(entry)
        except (KeyError, TypeError, ValueError, msgpack.UnpackException, RecursionError) as error:
            raise ArchiveError(
                f"{self.archive.path / segment.file}: the block at byte {place.offset}: {type(error).__name__}: {error}"
            ) from error
        if number in self._gone:
            self._keep = min(2 * self._keep, _BLOCKS_KEPT_MAX)
        self._kept[number] = found
        if len(self._kept) > self._keep:
            gone, _ = self._kept.popitem(last=False)
            self._gone[gone] = None
            if len(self._gone) > _BLOCKS_KEPT_MAX:
                self._gone.popitem(last=False)
        return found

    def _resolved(self, value: Any, at: int) -> Any:
        """Give an unpacked entry with the big byte strings that it refers to."""
        if not _refers(value):
            return value
        with self.archive.open_segment(self.archive.segments[at]) as file:
            return _filled(value, bodies_of(file, self._list(at)).content)

    def _whole(self, raw: bytes, block: Block, file: SegmentFile, at: int) -> Record:
        try:
            entry = decode_one(raw, lambda digest: bodies_of(file, self._list(at)).content(digest), file.number)
            if isinstance(entry, SegmentHead | Body | Index):
                raise ArchiveError("something else than records is in it")  # noqa: TRY301 - gets its place below
        except ArchiveError as error:
            raise ArchiveError(f"{file.path}: the block at byte {block.offset}: {error}") from error
        return entry

    def _all(self, number: int) -> Iterator[Record]:
        blocks = {self._opened.find(number) - 1, self._ended.find(number) - 1, *self._chunks.get(number, [])}
        for block in sorted(blocks):
            at, place, segment = self._place(block)
            with self.archive.open_segment(segment) as file:
                raw = self._read(file.read, place, segment)
                bodies = bodies_of(file, self._list(at))
                ends = entry_ends(raw)
                for begin, end in pairwise(ends):
                    entry = decode_one(raw[begin:end], bodies.content, file.number)
                    if isinstance(entry, Opened | Chunks | Ended) and entry.exchange == number:
                        yield entry

    def _record(self, number: int, block: int, what: str) -> Record | None:
        wanted = Opened if what == "opened" else Ended
        return next((record for record in self._all(number) if isinstance(record, wanted)), None) if block else None


_PARTS: Final = frozenset({b"opened", b"exchange", b"chunks", b"answered"})


def _time(stamp: bytes | None) -> float:
    return 0.0 if stamp is None else float(_DOUBLE.unpack(stamp)[0])


def _int(packed: bytes) -> int:
    return packed[0] if len(packed) == 1 else int.from_bytes(packed[1:], "big")


def _as[Wanted](kind: type[Wanted], entry: object) -> Wanted:
    if not isinstance(entry, kind):
        raise ArchiveError(f"{type(entry).__name__} where {kind.__name__} belongs")
    return entry


def _refers(value: Any) -> bool:
    if type(value) is dict:
        return any(type(part) in _HOLDERS and _refers(part) for part in value.values())
    if type(value) is tuple:
        return any(type(part) in _HOLDERS and _refers(part) for part in value)
    return isinstance(value, Reference)


_HOLDERS: Final = frozenset({dict, tuple, Reference})


def _filled(value: Any, content: Callable[[bytes], bytes]) -> Any:
    if type(value) is dict:
        return {key: _filled(part, content) for key, part in value.items()}
    if type(value) is tuple:
        return tuple(_filled(part, content) for part in value)
    return content(value.digest) if isinstance(value, Reference) else value


__all__ = ["Reference", "Roll", "Slip"]
