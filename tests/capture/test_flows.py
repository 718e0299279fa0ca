"""What is read from mitmproxy's flows."""

import pytest

from replay.capture.flows import end_of, spell_plainly
from replay.model import EndReason
from replay.routes import match

CUT = "HTTP/1 protocol error: peer closed connection without sending complete message body (received 2 bytes, expected 99)"


@pytest.mark.parametrize(
    "target",
    [
        b"/api/auth/login?x=1",
        b"/api/auth/%6Cogin",
        b"/api/x/../auth/./login",
        b"/api/x/%2e%2E/auth/login#top",
        b"/../api\\auth\\login",
    ],
)
def test_a_route_is_found_however_it_is_spelt(target: bytes) -> None:
    """The daemon takes all of these for one route, so its secrets must be found in all of them."""
    assert match("POST", spell_plainly(target)).name == "POST /api/auth/login"


@pytest.mark.parametrize("target", [b"", b"*", b"/", b"/%", b"/\xff/%ff", b"/a%2Fb", b"//api/auth/login", b"/api/auth/login/"])
def test_other_targets_stay_others(target: bytes) -> None:
    """Nothing that a client sends is too odd, and what the daemon takes for another route is none of these."""
    assert match("POST", spell_plainly(target)).name != "POST /api/auth/login"


def test_who_cut_it() -> None:
    """Before the request is whole the client cut it, after the head of the answer the daemon did."""
    assert end_of(CUT, requested=False, answered=False) is EndReason.CLIENT_LEFT
    assert end_of(CUT, requested=True, answered=True) is EndReason.SERVER_CLOSED
    assert end_of("server closed connection", requested=True, answered=False) is EndReason.PROXY_ERROR
