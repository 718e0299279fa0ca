"""
An entry of another tool: what it says, and nothing else.

Where HAR and the wire part (a decoded body, a joined header), the entry's word is taken and the loss is noted; where the entry is silent,
the exchange is silent, too. Only what HTTP itself makes certain is put in: a Host header that equals the url's authority.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from replay.interop.har.access import Place
from replay.interop.har.bodies import charset_of, unpack, values
from replay.interop.har.losses import Loss, Losses
from replay.interop.har.urls import Url
from replay.model import Connection, EndReason, Header, NoResponse, Outcome, Request, Response

_LEFT: Final = ("client disconnected", "err_aborted", "ns_binding_aborted", "cancelled", "canceled")
"""How tools say that it was the client that did not wait."""
_STEPS: Final = ("blocked", "dns", "connect", "send", "wait", "receive")
"""In the order in which they happen; `ssl` is a part of `connect`."""
_NO_BODY: Final = {204, 205, 304}


@dataclass(frozen=True, slots=True)
class Draft:
    """An exchange without its numbers."""

    request: Request
    outcome: Outcome
    connection: Connection
    lane: str
    started_at: float
    request_ended_at: float | None
    first_byte_at: float | None
    ended_at: float
    end: EndReason
    losses: Losses


def read_foreign(entry: Place, url: Url, number: int, before: float) -> Draft:
    """
    Read an entry of any tool; *number* counts entries from 1, *before* is when the entry before it started.

    Raises:
        ArchiveError: a part has another type than HAR 1.2 gives it; the text names the place.

    """
    losses = Losses()
    asked, answer = entry.field("request"), entry.field("response")
    started_at = _start(entry.field("startedDateTime"), before, losses)
    request = _request(asked, url, losses)
    outcome, end = _outcome(entry, answer, request, losses)
    answered = isinstance(outcome, Response)
    sent_at, first_at, ended_at = _times(entry, started_at, losses)
    connection = entry.field("connection")
    if not connection:
        losses.add(Loss.CONNECTION)
    name = str(connection.whole()) if isinstance(connection.value, int) else connection.text(f"entry {number}")
    if messages := list(entry.field("_webSocketMessages").items()):
        losses.add(Loss.WEB_SOCKET, str(len(messages)))
    if entry.field("_fetchedViaServiceWorker").value is True:
        losses.add(Loss.WORKER)
    if comment := entry.field("comment").text("").strip():
        losses.add(Loss.COMMENT, comment)
    return Draft(
        request=request,
        outcome=outcome,
        connection=Connection(_sound(name)),
        lane=url.lane,
        started_at=started_at,
        request_ended_at=sent_at,
        first_byte_at=first_at if answered else None,
        ended_at=ended_at,
        end=end,
        losses=losses,
    )


def _start(place: Place, before: float, losses: Losses) -> float:
    if not place or not place.text().strip():
        losses.add(Loss.START)
        return before
    try:
        found = datetime.fromisoformat(place.text().strip())
        if found.tzinfo is None:
            losses.add(Loss.ZONE)
            found = found.replace(tzinfo=UTC)
        return Place(place.name, found.timestamp()).at()
    except (ValueError, OverflowError):
        return place.refuse("a time such as 2026-11-23T12:00:00.000Z")


def _times(entry: Place, started_at: float, losses: Losses) -> tuple[float | None, float | None, float]:
    """Give when the request had gone, the first byte came, and all was over."""
    timings = entry.field("timings")
    steps = {step: _span(timings.field(step)) for step in _STEPS}
    total = _span(entry.field("time"))
    spent = sum(value for value in steps.values() if value is not None)
    if steps["wait"] is None or steps["send"] is None:
        losses.add(Loss.TIMINGS)
        if total is None and not spent:
            losses.add(Loss.DURATION)
        return None, None, started_at + max(total or 0.0, spent)
    sent_at = started_at + sum(steps[step] or 0.0 for step in _STEPS[:4])
    first_at = sent_at + steps["wait"]
    return sent_at, first_at, first_at + (steps["receive"] or 0.0)


def _span(place: Place) -> float | None:
    """Give milliseconds as seconds; None where it is absent or -1."""
    if not place or place.number() < 0:
        return None
    found = place.number() / 1000
    return found if found < 1e9 else place.refuse("a number of milliseconds")


def _request(asked: Place, url: Url, losses: Losses) -> Request:
    headers, pseudo = _headers(asked.field("headers"), losses)
    target = pseudo.get(b":path", b"")
    if not target.startswith(b"/"):
        target = _bytes(url.target, losses)
    if url.fragment:
        losses.add(Loss.FRAGMENT)
    if all(name.lower() != b"host" for name, _ in headers):
        if b":authority" not in pseudo:
            losses.add(Loss.HOST)
        headers = ((b"Host", pseudo.get(b":authority") or _bytes(url.authority, losses)), *headers)
    method = asked.field("method").text()
    return Request(
        method=_bytes(method, losses) if method else asked.field("method").refuse("a method"),
        target=target,
        version=_bytes(asked.field("httpVersion").text(""), losses),
        headers=headers,
        body=_sent(asked, headers, losses),
    )


def _sent(asked: Place, headers: tuple[Header, ...], losses: Losses) -> bytes | None:
    data = asked.field("postData")
    said = values(headers, b"content-length")
    if data.field("text").text(""):
        if data.fields("encoding", "_encoding").text("").lower() == "base64":
            body = data.field("text").base64()
        else:
            body = _encode(data.field("text").text(), data.field("mimeType").text(""), losses)
        if said.isdecimal() and said != str(len(body)):
            losses.add(Loss.REQUEST_LENGTH, f"{len(body)} for {said}")
        return body
    if any(True for _ in data.field("params").items()):
        losses.add(Loss.PARAMS)
        return None
    size = asked.field("bodySize")
    if (size and size.number() > 0) or (said not in {"", "0"}) or values(headers, b"transfer-encoding"):
        losses.add(Loss.REQUEST_BODY)
        return None
    return b""


def _outcome(entry: Place, answer: Place, request: Request, losses: Losses) -> tuple[Outcome, EndReason]:
    status = answer.field("status")
    if not status or status.number() <= 0:
        losses.add(Loss.STATUS)
        said = answer.fields("_error", "error", "statusText").text("") or entry.fields("_error", "error").text("")
        left = any(word in said.lower() for word in _LEFT)
        return NoResponse(_sound(said) or Loss.STATUS.value), EndReason.CLIENT_LEFT if left else EndReason.PROXY_ERROR
    if not 100 <= status.whole() <= 999:
        status.refuse("a status from 100 to 999")
    headers, _ = _headers(answer.field("headers"), losses)
    response = Response(
        version=_bytes(answer.field("httpVersion").text(""), losses),
        status=status.whole(),
        reason=_bytes(answer.field("statusText").text(""), losses),
        headers=headers,
        body=_received(answer, headers, no_body=request.method.upper() == b"HEAD" or status.whole() in _NO_BODY, losses=losses),
    )
    return response, EndReason.COMPLETE


def _received(answer: Place, headers: tuple[Header, ...], *, no_body: bool, losses: Losses) -> bytes | None:
    content = answer.field("content")
    text = content.field("text")
    encoded = values(headers, b"content-encoding")
    said = values(headers, b"content-length")
    sizes = [place.number() for place in (content.field("size"), answer.field("bodySize")) if place]
    if not text.text(""):
        if no_body or (not any(size > 0 for size in sizes) and (said == "0" or (text and said == "") or 0 in sizes[:1])):
            return b""
        losses.add(Loss.BODY)
        return None
    if no_body:
        losses.add(Loss.CACHED, f"{len(text.text())} characters")
        return b""
    encoding = content.field("encoding").text("").lower()
    if encoding == "base64":
        body = text.base64()
    else:
        body = _encode(text.text(), f"text/plain; charset={encoding}" if encoding else content.field("mimeType").text(""), losses)
    if encoded and encoded.lower() != "identity":
        if unpack(body, encoded) is None:
            losses.add(Loss.DECODED, encoded)
    elif said.isdecimal() and said != str(len(body)):
        losses.add(Loss.LENGTH, f"{len(body)} for {said}")
    if sizes and content.field("size") and sizes[0] > len(body):
        losses.add(Loss.CUT, f"{len(body)} of {sizes[0]:.0f}")
    return body


def _encode(text: str, mime: str, losses: Losses) -> bytes:
    if "�" in text:
        losses.add(Loss.REPLACED)
    charset = charset_of(mime) or "utf-8"
    try:
        return text.encode(charset)
    except UnicodeEncodeError:
        losses.add(Loss.CHARSET, charset)
        return text.encode("utf-8", "surrogatepass")


def _headers(place: Place, losses: Losses) -> tuple[tuple[Header, ...], dict[bytes, bytes]]:
    """Give the headers, and the pseudo headers of HTTP/2 apart."""
    headers: list[Header] = []
    pseudo: dict[bytes, bytes] = {}
    if not place:
        losses.add(Loss.NO_HEADERS)
    for item in place.items():
        pair = list(item.items()) if isinstance(item.value, list) else [item.field("name"), item.field("value")]
        if len(pair) != 2 or not pair[0] or not pair[1] or not pair[0].text():
            losses.add(Loss.HEADERS)
            continue
        name = _bytes(pair[0].text(), losses)
        if name.startswith(b":"):
            losses.add(Loss.PSEUDO)
            pseudo[name.lower()] = _bytes(pair[1].text(), losses)
            continue
        parts = pair[1].text().split("\n")
        if len(parts) > 1:
            losses.add(Loss.JOINED)
        headers += [(name, _bytes(part.removesuffix("\r"), losses)) for part in parts]
    return tuple(headers), pseudo


def _bytes(text: str, losses: Losses) -> bytes:
    if not text.isascii():
        losses.add(Loss.NOT_ASCII)
    return text.encode("utf-8", "surrogatepass")


def _sound(text: str) -> str:
    """Give a text that can be written anywhere."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
