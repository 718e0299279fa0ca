"""What is read from mitmproxy's flows."""

import pytest
from mitmproxy import http
from mitmproxy.test import tflow

from replay.capture.flows import end_of, needs_fresh_connection
from replay.model import EndReason

CUT = "HTTP/1 protocol error: peer closed connection without sending complete message body (received 2 bytes, expected 99)"


def test_who_cut_it() -> None:
    """Before the request is whole the client cut it, after the head of the answer the daemon did."""
    assert end_of(CUT, requested=False, answered=False) is EndReason.CLIENT_LEFT
    assert end_of(CUT, requested=True, answered=True) is EndReason.SERVER_CLOSED
    assert end_of("server closed connection", requested=True, answered=False) is EndReason.PROXY_ERROR


def _answered(
    method: str, path: str, status: int = 200, media: str = "application/json", length: str | None = None, *names: tuple[bytes, bytes]
) -> http.HTTPFlow:
    fields = (*names, (b"content-length", length.encode())) if length is not None else names
    flow = tflow.tflow()
    flow.request = http.Request.make(method, f"http://127.0.0.1:3850{path}", headers=fields)
    flow.request.headers = http.Headers(fields)
    flow.response = http.Response.make(status, b"{}", {"Content-Type": media})
    return flow


@pytest.mark.parametrize(
    ("flow", "wanted"),
    [
        (_answered("GET", "/health"), False),
        (_answered("GET", "/api/nope", 404, "text/plain; charset=UTF-8"), False),
        (_answered("GET", "/logo.png", media="image/png"), True),
        (_answered("GET", "/data.json?v=1"), True),
        (_answered("GET", "/anything", media="text/html; charset=utf-8"), True),
        (_answered("HEAD", "/logo.png", media="image/png"), False),
        (_answered("POST", "/api/memory/recall", length="17"), False),
        (_answered("POST", "/api/auth/login", 400, length="53"), True),
        (_answered("POST", "/api/nope", 404, "text/plain", None, (b"transfer-encoding", b"chunked")), True),
        (_answered("POST", "/api/nope", 404, "text/plain", length="0"), False),
        (_answered("DELETE", "/api/documents/x", 404), False),
        (_answered("POST", "/api/hooks/session-start", 200, "application/json", "82", (b"x-signet-no-hooks", b"1")), True),
    ],
    ids=lambda value: f"{value.request.method} {value.request.path}" if isinstance(value, http.HTTPFlow) else "",
)
def test_after_what_a_connection_is_not_used_again(flow: http.HTTPFlow, *, wanted: bool) -> None:
    """After files and fallback pages, and where a request's body may have been left unread; not after what routes answer otherwise."""
    assert needs_fresh_connection(flow) is wanted


def test_a_connection_that_still_takes_the_request_is_kept() -> None:
    """An answer that comes before the request is whole, a refusal of a big one, leaves the connection to the daemon."""
    flow = _answered("POST", "/api/memory/recall", 413, "application/json", "11000000")
    flow.request.timestamp_end = None
    assert not needs_fresh_connection(flow)
