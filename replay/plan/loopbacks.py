"""
Which recorded requests the daemon made itself: the calls with which it serves `/mcp`.

The JS daemon makes them for every request of `/mcp`, whatever its method: it asks itself for its tools' policy and its list of tools, and
then serves a tool by its own routes.

Such a call comes back to the daemon through the recorder, from the daemon's own host, while the `/mcp` request that caused it is open.
The replayed daemon makes it again, so it is never sent. Its headers prove nothing, since an MCP client on standard input and output sends
the same ones; all of these must hold, or it is a client's request like any other:

- it names itself a tool's call (`x-signet-actor: mcp-server`), on the daemon's lane, from a loopback address;
- its whole span, by event numbers, lies inside that of a request of `/mcp`; of a `GET`, before the head of its answer, for the stream that
  follows causes none;
- it came on another connection than that one.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from replay.model import Exchange
from replay.routes import route_of

_ACTOR: Final = b"mcp-server"


@dataclass(frozen=True, slots=True)
class Trace:
    """What decides of one exchange."""

    id: int
    opened_event: int
    ended_event: int
    until: int
    """The event number up to which a request of `/mcp` may have the daemon call itself; 0 for any other."""
    client: str
    says_so: bool
    """Whether it names itself a tool's call, and comes from this host."""


def trace_of(exchange: Exchange) -> Trace | None:
    """Give what decides of an exchange; None where it can be neither a loop-back nor a call that makes some."""
    says_so = _says_so(exchange)
    is_call = exchange.lane == "daemon" and route_of(exchange.request).template == "/mcp"
    if not says_so and not is_call:
        return None
    until = 0
    if is_call:
        until = (exchange.headers_event or 0) if exchange.request.method == b"GET" else exchange.ended_event
    return Trace(exchange.id, exchange.opened_event, exchange.ended_event, until, exchange.connection.client, says_so)


def find_loopbacks(exchanges: Iterable[Exchange]) -> dict[int, int]:
    """Give the loop-backs among exchanges, each with the `/mcp` exchange that made it."""
    return match_loopbacks(trace for exchange in exchanges for trace in [trace_of(exchange)] if trace is not None)


def match_loopbacks(traces: Iterable[Trace]) -> dict[int, int]:
    """Do as `find_loopbacks` for what decides of them."""
    found: dict[int, int] = {}
    calling: list[Trace] = []
    for trace in sorted(traces, key=lambda trace: trace.opened_event):
        calling = [call for call in calling if call.until > trace.opened_event]
        if trace.says_so:
            # of calls that overlap, the one that began last is named; which of them it was can't be known, and does not matter
            around = next((call for call in reversed(calling) if trace.ended_event < call.until and trace.client != call.client), None)
            if around is not None:
                found[trace.id] = around.id
        if trace.until:
            calling.append(trace)
    return found


def _says_so(exchange: Exchange) -> bool:
    actor = exchange.request.header(b"x-signet-actor") or b""
    return exchange.lane == "daemon" and actor.strip().lower() == _ACTOR and _is_loopback(exchange.connection.peer)


def _is_loopback(peer: str | None) -> bool:
    """Whether `host:port` is this host; an address that was not seen is not."""
    host = (peer or "").rpartition(":")[0].strip("[]").partition("%")[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


__all__ = ["Trace", "find_loopbacks", "match_loopbacks", "trace_of"]
