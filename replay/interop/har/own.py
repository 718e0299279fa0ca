"""An entry that we wrote ourselves, back to the very exchange."""

from collections.abc import Iterator

from replay.interop.har.access import Place
from replay.interop.har.entries import FORMAT
from replay.interop.har.urls import read_url
from replay.model import Chunk, Connection, EndReason, Exchange, Header, NoResponse, Outcome, Redaction, Request, Response


def is_ours(entry: Place) -> bool:
    """
    Whether an entry brings the part of our own.

    Raises:
        ArchiveError: it does, in a format that is newer than this tool.

    """
    own = entry.field("_parity")
    if not own or not own.field("format"):
        return False
    if own.field("format").whole() > FORMAT:
        own.field("format").refuse(f"format {FORMAT} or older: import it with the tool that wrote it")
    return True


def read_own(entry: Place) -> Exchange:
    """
    Read an entry with our own part.

    Raises:
        ArchiveError: a part of it is missing, of a wrong type, or contradicts another.

    """
    own = entry.field("_parity")
    events, times, connection = own.field("events"), own.field("times"), own.field("connection")
    request = _request(entry.field("request"), own.field("request"))
    outcome, chunks = _outcome(entry.field("response"), own)
    headers, first, sent = events.field("headers"), times.field("first_byte"), times.field("request_ended")
    exchange = Exchange(
        id=own.field("id").whole(1),
        request=request,
        outcome=outcome,
        connection=Connection(connection.field("client").text(), _optional(connection.field("server")), _optional(connection.field("peer"))),
        opened_event=events.field("opened").whole(1),
        ended_event=events.field("ended").whole(1),
        started_at=times.field("started").at(),
        ended_at=times.field("ended").at(),
        end=_end(own.field("end")),
        lane=own.field("lane").text(),
        headers_event=headers.whole(1) if headers else None,
        request_ended_at=sent.at() if sent else None,
        first_byte_at=first.at() if first else None,
        chunks=chunks,
        request_chunks=tuple(_chunks(own.field("request").field("chunks"), request.body)),
        redactions=tuple(_redaction(item) for item in own.field("redactions").items()),
        note=entry.field("comment").text(""),
        opaque=own.field("opaque").base64() if own.field("opaque") else b"",
    )
    if any(not exchange.opened_event < event < exchange.ended_event for event in events_of(exchange)[1:-1]):
        events.refuse("event numbers from the opening to the end")
    return exchange


def events_of(exchange: Exchange) -> list[int]:
    """Give every event number of an exchange: the opening first, the end last."""
    head = [exchange.headers_event] if exchange.headers_event is not None else []
    chunks = [chunk.event for chunk in (*exchange.request_chunks, *exchange.chunks)]
    return [exchange.opened_event, *head, *chunks, exchange.ended_event]


def _request(shown: Place, own: Place) -> Request:
    body: bytes | None
    if "body" in own.object():
        body = own.field("body").base64() if own.field("body") else None
    else:
        body = _bytes(shown.field("postData").field("text"))
    if own.field("target"):
        target = own.field("target").latin()
    else:
        parts = read_url(shown.field("url").text())
        target = parts.target.encode("utf-8", "surrogatepass") if parts else shown.field("url").refuse("an http URL")
    return Request(
        method=_exact(own.field("method"), shown.field("method")),
        target=target,
        version=_exact(own.field("version"), shown.field("httpVersion")),
        headers=_headers(own.field("headers"), shown.field("headers")),
        body=body,
        trailers=tuple(_pairs(own.field("trailers"))),
    )


def _outcome(shown: Place, own: Place) -> tuple[Outcome, tuple[Chunk, ...]]:
    kept = own.field("response")
    if not kept:
        return NoResponse(own.field("error").text()), ()
    content = shown.field("content")
    body: bytes | None
    if "body" in kept.object():
        body = kept.field("body").base64() if kept.field("body") else None
    elif content.field("encoding").text("") == "base64":
        body = content.field("text").base64()
    else:
        body = _bytes(content.field("text"))
    response = Response(
        version=_exact(kept.field("version"), shown.field("httpVersion")),
        status=shown.field("status").whole(),
        reason=_exact(kept.field("reason"), shown.field("statusText")),
        headers=_headers(kept.field("headers"), shown.field("headers")),
        body=body,
        trailers=tuple(_pairs(kept.field("trailers"))),
    )
    chunks = tuple(_chunks(kept.field("chunks"), body))
    if chunks and body != b"".join(chunk.data for chunk in chunks):
        kept.field("chunks").refuse("chunks that add up to the body")
    return response, chunks


def _chunks(place: Place, body: bytes | None) -> Iterator[Chunk]:
    start = 0
    for item in place.items():
        event, at, part = _row(item, 3)
        if isinstance(part.value, str):
            data = part.base64()
        else:
            length = part.whole()
            data = (body or b"")[start : start + length]
            if len(data) != length:
                part.refuse("a length within the body")
        start += len(data)
        yield Chunk(event.whole(1), at.at(), data)
    if start and body is not None and start != len(body):
        place.refuse("chunks that add up to the body")


def _redaction(item: Place) -> Redaction:
    where, start, length, kind = _row(item, 4)
    return Redaction(where.text(), start.whole(), length.whole(), kind.text())


def _headers(exact: Place, shown: Place) -> tuple[Header, ...]:
    if exact:
        return tuple(_pairs(exact))
    return tuple((_bytes(item.field("name")), _bytes(item.field("value"))) for item in shown.items())


def _pairs(place: Place) -> Iterator[Header]:
    for item in place.items():
        name, value = _row(item, 2)
        yield name.latin(), value.latin()


def _row(place: Place, length: int) -> list[Place]:
    row = list(place.items())
    if len(row) != length:
        place.refuse(f"a list of {length}")
    return row


def _exact(exact: Place, shown: Place) -> bytes:
    return exact.latin() if exact else _bytes(shown)


def _bytes(place: Place) -> bytes:
    return place.text("").encode("utf-8", "surrogatepass")


def _optional(place: Place) -> str | None:
    return place.text() if place else None


def _end(place: Place) -> EndReason:
    try:
        return EndReason(place.text())
    except ValueError:
        return place.refuse("a way in which an exchange ends, such as `complete`")
