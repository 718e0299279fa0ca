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
from collections.abc import Sequence
from typing import Final

from replay.model import Exchange
from replay.routes import route_of

_ACTOR: Final = b"mcp-server"


def find_loopbacks(ordered: Sequence[Exchange]) -> dict[int, int]:
    """Give the loop-backs among exchanges that are in the order of their starts, each with the `/mcp` exchange that made it."""
    found: dict[int, int] = {}
    calling: list[Exchange] = []
    for exchange in ordered:
        calling = [call for call in calling if _until(call) > exchange.opened_event]
        if _says_so(exchange):
            # of calls that overlap, the one that began last is named; which of them it was can't be known, and does not matter
            around = next((call for call in reversed(calling) if _is_inside(exchange, call)), None)
            if around is not None:
                found[exchange.id] = around.id
        if exchange.lane == "daemon" and route_of(exchange.request).template == "/mcp":
            calling.append(exchange)
    return found


def _says_so(exchange: Exchange) -> bool:
    actor = exchange.request.header(b"x-signet-actor") or b""
    return exchange.lane == "daemon" and actor.strip().lower() == _ACTOR and _is_loopback(exchange.connection.peer)


def _is_inside(exchange: Exchange, call: Exchange) -> bool:
    # the call was opened before, or it would not be known yet
    return exchange.ended_event < _until(call) and exchange.connection.client != call.connection.client


def _until(call: Exchange) -> int:
    """Give the event number up to which a request of `/mcp` may have the daemon call itself."""
    return (call.headers_event or 0) if call.request.method == b"GET" else call.ended_event


def _is_loopback(peer: str | None) -> bool:
    """Whether `host:port` is this host; an address that was not seen is not."""
    host = (peer or "").rpartition(":")[0].strip("[]").partition("%")[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


__all__ = ["find_loopbacks"]
