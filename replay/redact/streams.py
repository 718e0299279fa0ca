"""
Redaction of records as they come, across the borders of chunks.

How this works
--------------
`feed` takes one record and gives those that may be written now. Records other than chunks pass at once. The chunks of one side of one
exchange are a text that grows (`_Side`), in one of two ways:

*Running*: what was found is replaced up to a *safe* position, behind the last delimiter that no secret crosses; a chunk is given out as soon
as it lies before that position, so only the chunk with the unsafe tail is held (usually none: an event of a stream ends with a line). A tail
beyond `TAIL_MAX_BYTES` is taken as it stands. *Whole*: a body with fields named by its route, or under a content encoding, is held until
its end and redacted as one, with its fields and encodings. Beyond `WHOLE_MAX_BYTES` (or when all held bodies together pass
`HELD_MAX_BYTES`) it goes on as a running one, in which named fields are known by their last key alone: a secret then gets through only where
its key says nothing (`env.ANYTHING`). An encoded body beyond the bound is replaced blindly from its beginning on a route with named fields,
and otherwise written as it is: it is a suspect `compressed, not looked into` of a scan.

Each chunk keeps its own length, event and time; a span across a border is declared in both chunks. A body that was compressed
again to another length has its last chunks shortened, or the last one lengthened.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from replay.model import Answered, Chunk, Chunks, Ended, Gap, Opened, Record, Redaction, Side
from replay.redact.edits import Edit, settle
from replay.redact.open_ends import find_safe_end
from replay.redact.records import redact_record
from replay.redact.redactor import Redactor

TAIL_MAX_BYTES: Final = 64 * 1024
WHOLE_MAX_BYTES: Final = 8 * 1024 * 1024
HELD_MAX_BYTES: Final = 32 * 1024 * 1024
SIDES_HELD_MAX: Final = 4096
EXCHANGES_MAX: Final = 65536
IDLE_CALLS_MAX: Final = 60


@dataclass(slots=True)
class _Head:
    """What must be known of an exchange while it lasts."""

    route: str
    request_encoding: bytes = b""
    response_encoding: bytes = b""
    begun: set[Side] = field(default_factory=set)
    """Of which sides something was given out or held: what comes then is no beginning of a body."""


@dataclass(slots=True)
class _Side:
    """The held chunks of one side of an exchange."""

    exchange: int
    side: Side
    route: str
    encoding: bytes
    whole: bool
    chunks: list[Chunk] = field(default_factory=list)
    held_bytes: int = 0
    settled: int = 0
    """How many of the held bytes are redacted already."""
    redactions: list[Redaction] = field(default_factory=list)
    given: tuple[Redaction, ...] = ()
    """What the records that brought the chunks declared themselves."""
    blind: bool = False
    idle_calls: int = 0


class RecordRedactor:
    """Redacts records in the order in which they come. Holds back no more than the bounds of this module say."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._heads: OrderedDict[int, _Head] = OrderedDict()
        self._sides: OrderedDict[tuple[int, Side], _Side] = OrderedDict()
        self.held_bytes = 0
        """How much is held back now."""

    def feed(self, record: Record, route: str) -> list[Record]:
        """Take one record of an exchange on *route* (a name such as `POST /mcp`) and give the records to write now, in order."""
        if isinstance(record, Chunks):
            return self._chunks(record, route)
        if isinstance(record, Opened):
            self._remember(record.exchange, _Head(route, record.request.header(b"content-encoding") or b""))
        elif isinstance(record, Answered):
            head = self._head(record.exchange, route)
            head.response_encoding = record.response.header(b"content-encoding") or b""
        elif isinstance(record, Ended):
            head = self._heads.pop(record.exchange, _Head(route))
            before = self.flush(record.exchange)
            return [*before, redact_record(self._redactor, record, route, request_encoding=head.request_encoding)]
        elif isinstance(record, Gap) and record.exchange is not None:
            return [*self.flush(record.exchange), redact_record(self._redactor, record, route)]
        return [redact_record(self._redactor, record, route)]

    def flush(self, exchange: int | None = None) -> list[Record]:
        """Give all that is held of an exchange, or of all: nothing more of it comes, or what comes is apart."""
        sides = [side for side in self._sides.values() if exchange is None or side.exchange == exchange]
        return [record for side in sides for record in self._finish(side)]

    def idle(self) -> list[Record]:
        """
        Say that nothing came for a while (about a second).

        Gives what was held over 60 such calls without growing, as if its side had ended there.
        """
        out: list[Record] = []
        for side in list(self._sides.values()):
            side.idle_calls += 1
            if side.idle_calls >= IDLE_CALLS_MAX and not side.whole:
                out += self._finish(side)
        return out

    # --- chunks ---

    def _chunks(self, record: Chunks, route: str) -> list[Record]:
        side = self._side(record, route)
        side.chunks.extend(record.chunks)
        side.given += record.redactions
        side.idle_calls = 0
        grown = sum(len(chunk.data) for chunk in record.chunks)
        side.held_bytes += grown
        self.held_bytes += grown
        out: list[Record] = []
        if not side.whole:
            out = self._run(side)
        elif side.held_bytes > WHOLE_MAX_BYTES:
            out = self._loosen(side)
        return out + self._bound()

    def _run(self, side: _Side) -> list[Record]:
        """Redact up to the safe position, and give out the chunks before it."""
        text = b"".join([chunk.data for chunk in side.chunks])
        rest = text[side.settled :]
        if side.blind:
            return self._give(side, text[: side.settled] + self._redactor.blind(rest), [Edit(side.settled, "unread", rest)], len(text))
        if side.encoding and not side.whole:
            return self._give(side, text, [], len(text))

        def find(data: bytes) -> list[Edit]:
            return self._redactor.find_stream(data, side.side, side.route)

        edits = find(rest)
        safe = find_safe_end(rest, edits)
        if len(rest) - safe > TAIL_MAX_BYTES:
            safe = len(rest)
        clean = rest[:safe]
        if edits:
            clean, edits = settle(clean, [edit for edit in edits if edit.end <= safe], find)
        shifted = [replace(edit, start=edit.start + side.settled) for edit in edits if edit.end <= safe]
        return self._give(side, text[: side.settled] + clean + rest[safe:], shifted, side.settled + safe)

    def _finish(self, side: _Side) -> list[Record]:
        """Redact all that is held as it stands, and forget the side."""
        text = b"".join([chunk.data for chunk in side.chunks])
        rest = text[side.settled :]
        redact = self._redactor.request_body if side.side == "request" else self._redactor.response_body
        if side.blind or (side.encoding and not side.whole):
            out = self._run(side)
        elif side.whole:
            clean, redactions = redact(text, side.route, side.encoding)
            assert clean is not None
            out = self._give_whole(side, clean, redactions)
        else:
            edits = self._redactor.find_stream(rest, side.side, side.route)
            if edits:
                rest, edits = settle(rest, edits, lambda data: self._redactor.find_stream(data, side.side, side.route))
            shifted = [replace(edit, start=edit.start + side.settled) for edit in edits]
            out = self._give(side, text[: side.settled] + rest, shifted, len(text))
        self._sides.pop((side.exchange, side.side), None)
        return out

    def _loosen(self, side: _Side) -> list[Record]:
        """Go on without holding the whole."""
        side.whole = False
        side.blind = bool(side.encoding) and self._redactor.names_fields(side.side, side.route)
        return self._run(side)

    def _bound(self) -> list[Record]:
        out: list[Record] = []
        while self.held_bytes > HELD_MAX_BYTES:
            side = max(self._sides.values(), key=lambda side: side.held_bytes)
            out += self._loosen(side) if side.whole else self._finish(side)
        while len(self._sides) > SIDES_HELD_MAX:
            out += self._finish(next(iter(self._sides.values())))
        return out

    # --- giving out ---

    def _give(self, side: _Side, text: bytes, edits: Iterable[Edit], settled: int) -> list[Record]:
        """Cut *text* into the held chunks again, note the spans, and give out the chunks that end before *settled*."""
        side.redactions += _declare(side.chunks, edits)
        ready: list[Chunk] = []
        at = 0
        for chunk in side.chunks:
            end = at + len(chunk.data)
            if end > settled:
                break
            ready.append(replace(chunk, data=text[at:end]) if text[at:end] != chunk.data else chunk)
            at = end
        kept = side.chunks[len(ready) :]
        side.chunks = []
        position = at
        for chunk in kept:
            side.chunks.append(replace(chunk, data=text[position : position + len(chunk.data)]))
            position += len(chunk.data)
        side.settled = settled - at
        side.held_bytes -= at
        self.held_bytes -= at
        if not ready:
            return []
        if not side.chunks and not side.blind:
            # nothing is held: what comes next begins anew
            self._sides.pop((side.exchange, side.side), None) if not side.encoding else None
        events = {f"chunk:{chunk.event}" for chunk in ready}
        told = tuple(redaction for redaction in side.redactions if redaction.where in events)
        side.redactions = [redaction for redaction in side.redactions if redaction.where not in events]
        given, side.given = side.given, ()
        return [Chunks(side.exchange, tuple(ready), side.side, (*given, *told))]

    def _give_whole(self, side: _Side, clean: bytes, redactions: tuple[Redaction, ...]) -> list[Record]:
        edits = [Edit(item.start, item.kind, clean[item.start : item.start + item.length]) for item in redactions]
        if len(clean) != side.held_bytes:
            side.chunks = _resize(side.chunks, clean)
            self.held_bytes += len(clean) - side.held_bytes
            side.held_bytes = len(clean)
        return self._give(side, clean, edits, len(clean))

    # --- what is known of exchanges ---

    def _side(self, record: Chunks, route: str) -> _Side:
        key = (record.exchange, record.side)
        side = self._sides.get(key)
        if side is None:
            head = self._head(record.exchange, route)
            encoding = head.request_encoding if record.side == "request" else head.response_encoding
            encoding = b"" if encoding.strip().lower() == b"identity" else encoding
            named = self._redactor.names_fields(record.side, route)
            begun = record.side in head.begun
            head.begun.add(record.side)
            side = self._sides[key] = _Side(record.exchange, record.side, route, encoding, (bool(encoding) or named) and not begun)
            side.blind = begun and bool(encoding) and named
        return side

    def _head(self, exchange: int, route: str) -> _Head:
        head = self._heads.get(exchange)
        return head if head is not None else self._remember(exchange, _Head(route))

    def _remember(self, exchange: int, head: _Head) -> _Head:
        self._heads[exchange] = head
        while len(self._heads) > EXCHANGES_MAX:
            self._heads.popitem(last=False)
        return head


def _declare(chunks: list[Chunk], edits: Iterable[Edit]) -> list[Redaction]:
    """Declare spans of the joined chunks in each chunk that they touch."""
    wanted = sorted(edits, key=lambda edit: edit.start)
    out = []
    at = 0
    index = 0
    for chunk in chunks:
        end = at + len(chunk.data)
        while index < len(wanted) and wanted[index].end <= at:
            index += 1
        for edit in wanted[index:]:
            if edit.start >= end:
                break
            start = max(edit.start, at)
            length = min(edit.end, end) - start
            if length:
                out.append(Redaction(f"chunk:{chunk.event}", start - at, length, edit.kind))
        at = end
    return out


def _resize(chunks: list[Chunk], data: bytes) -> list[Chunk]:
    """Cut *data* by the lengths of *chunks*; the last one takes what is left."""
    out = []
    at = 0
    for index, chunk in enumerate(chunks):
        end = len(data) if index == len(chunks) - 1 else min(len(data), at + len(chunk.data))
        out.append(replace(chunk, data=data[at:end]))
        at = end
    return out
