"""What is read from mitmproxy's flows."""

from replay.capture.flows import end_of
from replay.model import EndReason

CUT = "HTTP/1 protocol error: peer closed connection without sending complete message body (received 2 bytes, expected 99)"


def test_who_cut_it() -> None:
    """Before the request is whole the client cut it, after the head of the answer the daemon did."""
    assert end_of(CUT, requested=False, answered=False) is EndReason.CLIENT_LEFT
    assert end_of(CUT, requested=True, answered=True) is EndReason.SERVER_CLOSED
    assert end_of("server closed connection", requested=True, answered=False) is EndReason.PROXY_ERROR
