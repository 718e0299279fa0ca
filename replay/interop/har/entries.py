"""
One exchange as an entry.

What the HAR fields hold, they hold as other tools expect it. `_parity` holds the rest, and of the former only what would not come back
from them byte for byte: bytes stand in it as base64 (bodies) or as one character a byte (everything else).
"""

from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl

from replay.interop.har.bodies import media_type, show
from replay.interop.har.urls import read_url, write_url
from replay.model import Chunk, Exchange, Header, Request, Response

FORMAT = 1
"""The version of `_parity`."""


def write_entry(exchange: Exchange, origin: str) -> dict[str, Any]:
    """Give the entry of an exchange; *origin* is the `host:port` of the daemon, for requests that name no usable Host."""
    request, asked = _request(exchange.request, exchange.lane if exchange.lane != "daemon" else origin)
    response, answered = _response(exchange)
    timings = _timings(exchange)
    own: dict[str, Any] = {
        "format": FORMAT,
        "id": exchange.id,
        "lane": exchange.lane,
        "events": {"opened": exchange.opened_event, "headers": exchange.headers_event, "ended": exchange.ended_event},
        "times": {
            "started": exchange.started_at,
            "request_ended": exchange.request_ended_at,
            "first_byte": exchange.first_byte_at,
            "ended": exchange.ended_at,
        },
        "connection": {"client": exchange.connection.client, "server": exchange.connection.server, "peer": exchange.connection.peer},
        "end": exchange.end.value,
        "request": asked | _chunks(exchange.request_chunks, exchange.request.body),
        "response": answered
        if answered is None
        else answered | _chunks(exchange.chunks, exchange.outcome.body if isinstance(exchange.outcome, Response) else None),
        "redactions": [[item.where, item.start, item.length, item.kind] for item in exchange.redactions],
        "opaque": b64encode(exchange.opaque).decode("ascii"),
    }
    if not isinstance(exchange.outcome, Response):
        own["error"] = exchange.outcome.error
    return {
        "startedDateTime": _date(exchange.started_at),
        "time": sum(value for value in timings.values() if value > 0),
        "request": request,
        "response": response,
        "cache": {},
        "timings": timings,
        "connection": exchange.connection.client,
        "comment": exchange.note,
        "_parity": own,
    }


def _request(request: Request, origin: str) -> tuple[dict[str, Any], dict[str, Any]]:
    url = write_url(request.target, request.header(b"host"), origin)
    shown: dict[str, Any] = {
        "method": request.method.decode("latin-1"),
        "url": url,
        "httpVersion": request.version.decode("latin-1"),
        "cookies": _cookies(request.headers, b"cookie"),
        "headers": _fields(request.headers),
        "queryString": _query(request.target),
        "headersSize": -1,
        "bodySize": -1 if request.body is None else len(request.body),
    }
    own = _exact(method=request.method, version=request.version) | _exact_headers(request.headers)
    parts = read_url(url)
    if parts is None or parts.target.encode() != request.target:
        own["target"] = request.target.decode("latin-1")
    if request.trailers:
        own["trailers"] = _pairs(request.trailers)
    if request.body is None:
        own["body"] = None
    elif request.body:
        shown["postData"] = _post_data(request.body, request.headers)
        if "comment" in shown["postData"]:
            own["body"] = b64encode(request.body).decode("ascii")
    return shown, own


def _post_data(body: bytes, headers: tuple[Header, ...]) -> dict[str, Any]:
    """HAR has no base64 for what is sent: a body that is no text stands in `_parity` alone."""
    mime = media_type(headers)
    text = show(body, ((b"content-type", mime.encode("latin-1")),))
    if text.base64:
        return {"mimeType": mime, "params": [], "text": "", "comment": "is no text: _parity.request.body holds it as base64"}
    params: list[dict[str, str]] = []
    if mime.partition(";")[0].strip().lower() == "application/x-www-form-urlencoded":
        params = _query(b"?" + body)
    return {"mimeType": mime, "params": params, "text": text.text}


def _response(exchange: Exchange) -> tuple[dict[str, Any], dict[str, Any] | None]:
    outcome = exchange.outcome
    if not isinstance(outcome, Response):
        nothing: dict[str, Any] = {"status": 0, "statusText": "", "httpVersion": "", "cookies": [], "headers": []}
        nothing |= {"content": {"size": 0, "mimeType": "x-unknown"}, "redirectURL": "", "headersSize": -1, "bodySize": -1}
        return nothing | {"_error": outcome.error}, None
    own = _exact(version=outcome.version, reason=outcome.reason) | _exact_headers(outcome.headers)
    if outcome.trailers:
        own["trailers"] = _pairs(outcome.trailers)
    content: dict[str, Any] = {"size": 0, "mimeType": media_type(outcome.headers) or "x-unknown"}
    if outcome.body is None:
        own["body"] = None
        content["comment"] = "the body was not recorded"
    elif outcome.body:
        shown = show(outcome.body, outcome.headers)
        content |= {"size": shown.bytes, "compression": shown.bytes - len(outcome.body), "text": shown.text}
        if shown.base64:
            content["encoding"] = "base64"
        if not shown.exact:
            own["body"] = b64encode(outcome.body).decode("ascii")
    return {
        "status": outcome.status,
        "statusText": outcome.reason.decode("latin-1"),
        "httpVersion": outcome.version.decode("latin-1"),
        "cookies": _cookies(outcome.headers, b"set-cookie"),
        "headers": _fields(outcome.headers),
        "content": content,
        "redirectURL": (outcome.header(b"location") or b"").decode("utf-8", "backslashreplace"),
        "headersSize": -1,
        "bodySize": -1 if outcome.body is None else len(outcome.body),
    }, own


def _timings(exchange: Exchange) -> dict[str, float]:
    """Give milliseconds; -1 is HAR's word for what does not apply, or is not known."""
    sent = exchange.request_ended_at if exchange.request_ended_at is not None else exchange.started_at
    first = exchange.first_byte_at if exchange.first_byte_at is not None else exchange.ended_at
    steps = {"send": sent - exchange.started_at, "wait": first - sent, "receive": exchange.ended_at - first}
    spans = {name: round(max(seconds, 0.0) * 1000, 3) for name, seconds in steps.items()}
    return {"blocked": -1, "dns": -1, "connect": -1, "ssl": -1, **spans}


def _date(at: float) -> str:
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    except (ValueError, OverflowError, OSError):
        return "1970-01-01T00:00:00.000000Z"


def _exact(**parts: bytes) -> dict[str, Any]:
    """Keep what is not ASCII: of a HAR's text nobody could tell the bytes."""
    return {name: data.decode("latin-1") for name, data in parts.items() if not data.isascii()}


def _exact_headers(headers: tuple[Header, ...]) -> dict[str, Any]:
    return {} if all(name.isascii() and value.isascii() for name, value in headers) else {"headers": _pairs(headers)}


def _pairs(headers: tuple[Header, ...]) -> list[list[str]]:
    return [[name.decode("latin-1"), value.decode("latin-1")] for name, value in headers]


def _fields(headers: tuple[Header, ...]) -> list[dict[str, str]]:
    return [{"name": _words(name), "value": _words(value)} for name, value in headers]


def _words(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _query(target: bytes) -> list[dict[str, str]]:
    query = target.partition(b"?")[2].decode("utf-8", "replace")
    return [{"name": name, "value": value} for name, value in parse_qsl(query, keep_blank_values=True)]


def _cookies(headers: tuple[Header, ...], name: bytes) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    for key, value in headers:
        if key.lower() == name:
            try:
                found += [{"name": morsel.key, "value": morsel.value} for morsel in SimpleCookie(value.decode("latin-1")).values()]
            except CookieError:
                continue  # the header itself stands in the entry
    return found


def _chunks(chunks: Sequence[Chunk], body: bytes | None) -> dict[str, Any]:
    """Give chunks as [event, time, length], or with their bytes where they do not add up to the body."""
    if not chunks:
        return {}
    if body == b"".join(chunk.data for chunk in chunks):
        return {"chunks": [[chunk.event, chunk.at, len(chunk.data)] for chunk in chunks]}
    return {"chunks": [[chunk.event, chunk.at, b64encode(chunk.data).decode("ascii")] for chunk in chunks]}
