"""Why an exchange is not sent, as far as it says itself."""

import re
from typing import Final

from replay.model import Exchange, Gap, GapReason, Response
from replay.routes import ACTS_OUTSIDE, Route

_TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TARGET: Final = re.compile(rb"[!-~\x80-\xff]+")
_READING: Final = frozenset({b"GET", b"HEAD", b"OPTIONS"})
_PURE: Final = frozenset({"read", "volatile-read", "stream", "static"})
_NO_ROUTE: Final = frozenset({404, 405, 501})


def malformed(exchange: Exchange) -> Gap | None:
    """Say why a request can't be sent as it was; None where it can."""
    request = exchange.request
    why = ""
    if request.body is None:
        why = "its body was not seen whole"
    elif request.version not in {b"HTTP/1.1", b"HTTP/1.0"}:
        why = f"{request.version.decode('latin-1')} can't be spoken by the player"
    elif request.method == b"CONNECT" or not _TOKEN.fullmatch(request.method):
        why = f"method {request.method.decode('latin-1')!r}"
    elif not _TARGET.fullmatch(request.target):
        why = "its target holds white space or control characters"
    elif any(not _TOKEN.fullmatch(name) or b"\n" in value or b"\r" in value or b"\0" in value for name, value in request.headers):
        why = "a header that would break the request"
    return Gap(GapReason.MALFORMED, event=exchange.opened_event, exchange=exchange.id, detail=why) if why else None


def out_of_scope(exchange: Exchange) -> Gap | None:
    """Say that an exchange is not on the daemon's lane; None where it is."""
    if exchange.lane != "daemon":
        return Gap(GapReason.OUT_OF_SCOPE, event=exchange.opened_event, exchange=exchange.id, detail=f"lane {exchange.lane}")
    return None


def changing(exchange: Exchange, route: Route, *, reads_only: bool) -> Gap | None:
    """Say that an exchange may change the daemon's state, where only reads are sent; None where it is sent."""
    if not reads_only or (exchange.request.method in _READING and route.replay_class in _PURE):
        return None
    detail = f"{route.name} ({route.replay_class}) may change a daemon that was not started for this replay; writes must be asked for"
    return Gap(GapReason.UNSAFE, event=exchange.opened_event, exchange=exchange.id, detail=detail)


def unsafe(exchange: Exchange, route: Route, allow: frozenset[str]) -> Gap | None:
    """Say that an exchange acts outside, or may, and is not allowed; None where it is sent."""
    if not allow.isdisjoint({"all", route.replay_class, route.name, route.template}):
        return None
    if route.replay_class == "unknown":
        # What the recorded daemon had no route for did nothing there, and is a question to the candidate like any other.
        if isinstance(exchange.outcome, Response) and exchange.outcome.status in _NO_ROUTE:
            return None
        detail = "no route of the table, and the recorded daemon served it: what it does is not known; --allow unknown"
    elif route.replay_class in ACTS_OUTSIDE:
        detail = f"{route.name} ({route.replay_class}); allow it by name"
    else:
        return None
    return Gap(GapReason.UNSAFE, event=exchange.opened_event, exchange=exchange.id, detail=detail)
