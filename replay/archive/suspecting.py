"""
What in an archive still looks like a secret, by place and kind, never by value.

How this works
--------------
Records are looked at one by one, except that the chunks of a body are joined first: a chunk's border may lie inside a secret, which would
not be seen, or inside a placeholder, half of which looks like a secret. A body is held until its exchange ends, up to a bound; beyond it,
what is held is looked at, and its end is kept to be looked at again with what follows.
"""

import json
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from replay.model import (
    Answered,
    Attachment,
    Chunk,
    Chunks,
    DaemonRecord,
    Ended,
    Header,
    Opened,
    ProviderCall,
    Record,
    Response,
    WorkspaceChange,
)
from replay.redact import scan

HELD_BYTES_MAX: Final = 8 * 1024 * 1024
"""Of one body."""
ALL_HELD_BYTES_MAX: Final = 64 * 1024 * 1024
_KEPT_BYTES: Final = 64 * 1024
"""No secret is longer."""


@dataclass(frozen=True, slots=True)
class LeftSecret:
    """A place that still looks like a secret."""

    exchange: int | None
    """None: it belongs to no exchange."""
    where: str
    """As in `Redaction.where`, also `request.trailer:<n>`, `response.trailer:<n>`, `opaque`, `workspace`, `attachment`, `provider.request`,
    `provider.response`, `daemon.log` and `manifest.facts`."""
    kind: str
    start: int
    length: int
    """In bytes."""


@dataclass(slots=True)
class _Body:
    """Chunks of one side of an exchange."""

    chunks: list[Chunk] = field(default_factory=list)
    bytes: int = 0


class Suspecting:
    """Takes records in the order in which they were written, and gives what still looks like a secret."""

    def __init__(self) -> None:
        self._bodies: dict[tuple[int, str], _Body] = {}
        self._encodings: dict[int, bytes] = {}
        """Of answers whose chunks are to come."""
        self._bytes = 0

    def look(self, record: Record) -> Iterator[LeftSecret]:
        """Look at one record, or keep it for later."""
        if isinstance(record, Chunks):
            yield from self._keep(record)
            return
        if isinstance(record, Answered):
            self._encodings[record.exchange] = record.response.header(b"content-encoding") or b""
        for exchange, where, data, encoding in _places(record):
            for suspect in scan(data, encoding):
                yield LeftSecret(exchange, where, suspect.kind, suspect.start, suspect.length)
        if isinstance(record, Ended):
            for side in ("request", "response"):
                yield from self._end(record.exchange, side)
            self._encodings.pop(record.exchange, None)

    def rest(self) -> Iterator[LeftSecret]:
        """Look at what is still kept: bodies whose exchange has no end."""
        for exchange, side in list(self._bodies):
            yield from self._end(exchange, side)

    def _keep(self, record: Chunks) -> Iterator[LeftSecret]:
        key = record.exchange, record.side
        body = self._bodies.setdefault(key, _Body())
        body.chunks += record.chunks
        size = sum(len(chunk.data) for chunk in record.chunks)
        body.bytes += size
        self._bytes += size
        if body.bytes > HELD_BYTES_MAX:
            yield from self._look_at(key, _KEPT_BYTES)
        while self._bytes > ALL_HELD_BYTES_MAX:
            yield from self._look_at(max(self._bodies, key=lambda each: self._bodies[each].bytes), _KEPT_BYTES)

    def _end(self, exchange: int, side: str) -> Iterator[LeftSecret]:
        if (exchange, side) in self._bodies:
            yield from self._look_at((exchange, side), 0)
            self._bytes -= self._bodies.pop((exchange, side)).bytes

    def _look_at(self, key: tuple[int, str], kept: int) -> Iterator[LeftSecret]:
        """Look at a body as far as it came; so many bytes of its end are looked at again with what follows."""
        body = self._bodies[key]
        whole = b"".join(chunk.data for chunk in body.chunks)
        sure = len(whole) - kept
        starts = [0]
        for chunk in body.chunks:
            starts.append(starts[-1] + len(chunk.data))
        for suspect in scan(whole, self._encodings.get(key[0], b"") if key[1] == "response" else b""):
            if kept and suspect.start >= sure:
                continue
            place = bisect_right(starts, suspect.start, hi=len(body.chunks)) - 1
            yield LeftSecret(key[0], f"chunk:{body.chunks[place].event}", suspect.kind, suspect.start - starts[place], suspect.length)
        if kept:
            last = body.chunks[-1]
            body.chunks = [Chunk(last.event, last.at, whole[sure:])]
            self._bytes -= body.bytes - kept
            body.bytes = kept


def secrets_in_facts(facts: Mapping[str, Any]) -> Iterator[LeftSecret]:
    """Look at a manifest's facts."""
    for suspect in scan(json.dumps(facts, ensure_ascii=False).encode(errors="surrogatepass")):
        yield LeftSecret(None, "manifest.facts", suspect.kind, suspect.start, suspect.length)


def _places(record: Record) -> Iterator[tuple[int | None, str, bytes, bytes]]:
    """Give every place where traffic may hold a secret, named as redactions name it, with the encoding that was said of it."""
    match record:
        case Opened(exchange=number, request=request):
            yield number, "request.target", request.target, b""
            yield from _header_places(number, "request.header", request.headers)
            yield number, "request.body", request.body or b"", b""
        case Ended(exchange=number):
            yield number, "request.body", record.request_body or b"", b""
            yield from _header_places(number, "request.trailer", record.request_trailers)
            if isinstance(record.outcome, Response):
                yield from _header_places(number, "response.header", record.outcome.headers)
                yield number, "response.body", record.outcome.body or b"", record.outcome.header(b"content-encoding") or b""
                yield from _header_places(number, "response.trailer", record.outcome.trailers)
            yield number, "opaque", record.opaque, b""
        case WorkspaceChange():
            yield None, "workspace", record.content or b"", b""
        case Attachment(exchange=number):
            yield number, "attachment", record.content or b"", b""
        case Answered(exchange=number):
            yield from _header_places(number, "response.header", record.response.headers)
        case ProviderCall():
            yield None, "provider.request", record.request, b""
            yield None, "provider.response", record.response, b""
        case DaemonRecord():
            yield None, "daemon.log", record.log_tail.encode(errors="surrogatepass"), b""


def _header_places(number: int, where: str, headers: tuple[Header, ...]) -> Iterator[tuple[int, str, bytes, bytes]]:
    yield from ((number, f"{where}:{place}", value, b"") for place, (_, value) in enumerate(headers))
