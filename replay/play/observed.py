"""Writes the observed archive: the same records as a recorder, with the recorded ids and event numbers of its own."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from replay.archive import ArchiveWriter
from replay.model import (
    Chunk,
    Chunks,
    Connection,
    Ended,
    EndReason,
    Gap,
    GapReason,
    Opened,
    Outcome,
    Record,
    Request,
    Response,
)
from replay.play.order import Marks

_CHUNKS_MAX: Final = 32


class Observation:
    """One exchange while it is being observed."""

    __slots__ = (
        "_at",
        "_chunks",
        "_connection",
        "_ended_at",
        "_ended_event",
        "_event",
        "_exchange",
        "_observed",
        "_request",
        "first_byte_at",
        "headers_event",
        "request_ended_at",
        "streamed",
    )

    def __init__(self, observed: "Observed", exchange: int, at: float, request: Request, connection: Connection) -> None:
        self._observed = observed
        self._exchange = exchange
        self._event = observed.next_event()
        self._at = at
        self._request = request
        self._connection = connection
        self._chunks: list[Chunk] = []
        self._ended_event = 0
        self._ended_at = 0.0
        self.headers_event: int | None = None
        self.first_byte_at: float | None = None
        self.request_ended_at: float | None = None
        self.streamed = False

    def open(self) -> None:
        """Write the head of the request."""
        request = self._request
        head = Request(request.method, request.target, request.version, request.headers)
        self._observed.append(Opened(self._exchange, self._event, self._at, self._connection, head))

    def head(self, at: float, *, streamed: bool) -> None:
        """Note that the head came."""
        self.headers_event = self._observed.next_event()
        self.streamed = streamed
        if self.first_byte_at is None:
            self.first_byte_at = at

    def body(self, at: float, data: bytes) -> None:
        """Note a piece of a stream's body."""
        self._chunks.append(Chunk(self._observed.next_event(), at, data))
        if len(self._chunks) >= _CHUNKS_MAX:
            self._flush()

    def forget(self) -> None:
        """Drop the answer so far: the same request is asked again."""
        self.headers_event = None
        self.first_byte_at = None

    def note_end(self, at: float) -> None:
        """Note that the end came."""
        self._ended_event = self._observed.next_event()
        self._ended_at = at

    def end(self, end: EndReason, outcome: Outcome, *, note: str, server: str | None) -> None:
        """Write the rest; a stream's body is in its chunks already."""
        self._flush()
        if self.streamed and isinstance(outcome, Response):
            outcome = replace(outcome, body=None)
        record = Ended(
            exchange=self._exchange,
            event=self._ended_event,
            at=self._ended_at,
            end=end,
            outcome=outcome,
            request_body=self._request.body,
            request_trailers=self._request.trailers,
            server_connection=server,
            headers_event=self.headers_event,
            request_ended_at=self.request_ended_at,
            first_byte_at=self.first_byte_at,
            streamed=self.streamed,
            note=note,
        )
        self._observed.append(record)
        self._observed.ended.add(self._exchange)

    def _flush(self) -> None:
        if self._chunks:
            self._observed.append(Chunks(self._exchange, tuple(self._chunks)))
            self._chunks.clear()


class Observed:
    """The archive being written, and the count of what is in it."""

    def __init__(self, writer: ArchiveWriter, clock: Callable[[], float]) -> None:
        self._writer = writer
        self._clock = clock
        self._event = 0
        self.ended = Marks()
        self.gaps = Marks()

    def next_event(self) -> int:
        """Give the next event number."""
        self._event += 1
        return self._event

    def tick(self) -> None:
        """Let what is old enough reach the disk."""
        self._writer.tick()

    def append(self, record: Record) -> None:
        """Write a record."""
        self._writer.append(record)

    def open(self, exchange: int, at: float, request: Request, connection: Connection) -> Observation:
        """Begin to observe a request that is about to be sent; its head is written by `Observation.open`, once it is on its way."""
        return Observation(self, exchange, at, request, connection)

    def gap(self, reason: GapReason, exchange: int, detail: str) -> None:
        """Write that a planned exchange is not there."""
        assert exchange not in self.ended, exchange
        if exchange not in self.gaps:
            self.gaps.add(exchange)
            self._writer.append(Gap(reason, exchange=exchange, detail=detail))

    def take_over(self, gap: Gap) -> None:
        """Write a gap of the plan."""
        assert gap.exchange is not None
        self.gaps.add(gap.exchange)
        self._writer.append(Gap(gap.reason, exchange=gap.exchange, count=gap.count, detail=gap.detail))

    def seal(self, reason: str) -> None:
        """Close the archive."""
        self._writer.seal(event=self.next_event(), at=self._clock(), reason=reason)
