"""Which requests the daemon made itself, to serve `/mcp`."""

import json
from dataclasses import replace
from typing import Any

import pytest

from replay.model import Connection, Exchange, Gap, GapReason, Request, Response
from replay.plan import make_plan
from replay.plan.loopbacks import find_loopbacks

A = "11111111-0000-4000-8000-000000000001"
CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "memory_store"}}
FROM_HERE = "127.0.0.1:40001"


def exchange(
    number: int,
    opened: int,
    ended: int,
    target: str = "/api/memory/remember",
    *,
    method: str = "POST",
    body: Any = None,
    answer: Any = None,
    client: str = "daemon",
    peer: str | None = FROM_HERE,
    actor: bytes | None = b"mcp-server",
    lane: str = "daemon",
) -> Exchange:
    """Build an exchange between two event numbers; without more words it looks like a loop-back."""
    headers = ((b"Host", b"localhost:3850"), *(((b"X-Signet-Actor", actor),) if actor is not None else ()))
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = Request(method.encode(), target.encode(), b"HTTP/1.1", headers, raw)
    outcome = Response(b"HTTP/1.1", 200, b"OK", (), json.dumps(answer).encode())
    return Exchange(number, request, outcome, Connection(client, peer=peer), opened, ended, opened * 1e-3, ended * 1e-3, lane=lane)


def call(number: int, opened: int, ended: int, body: Any = CALL, **more: Any) -> Exchange:
    """Build a call of a tool."""
    return exchange(number, opened, ended, **{"target": "/mcp", "body": body, "client": "agent", "actor": None, **more})


def test_what_a_tool_asks_is_not_sent_again() -> None:
    """A request of the daemon to itself, inside an open tool's call, is a gap that names the call."""
    plan = make_plan([call(1, 1, 6), exchange(2, 2, 3), exchange(3, 4, 5), exchange(4, 7, 8)])

    assert [step.exchange.id for step in plan.steps] == [1, 4]
    assert [(gap.exchange, gap.reason) for gap in plan.gaps] == [(2, GapReason.LOOPBACK), (3, GapReason.LOOPBACK)]
    assert all("#1 of /mcp" in gap.detail for gap in plan.gaps)
    assert plan.planned == 4


@pytest.mark.parametrize(
    "odd",
    [
        {"opened_event": 1},
        {"ended_event": 8},
        {"opened_event": 8, "ended_event": 9},
        {"lane": "provider"},
        {"connection": Connection("agent", peer=FROM_HERE)},
        {"connection": Connection("daemon", peer="192.0.2.7:40001")},
        {"connection": Connection("daemon", peer="[2001:db8::1]:40001")},
        {"connection": Connection("daemon", peer=None)},
        {"connection": Connection("daemon", peer="nonsense")},
    ],
)
def test_one_sign_missing_is_a_clients_request(odd: dict[str, Any]) -> None:
    """Not inside the call, on another lane, on the call's own connection, or not from this host: none is a loop-back."""
    inside = exchange(2, 3, 4)
    both = [call(1, 2, 7), inside]
    assert find_loopbacks(both) == {2: 1}
    assert find_loopbacks(sorted([both[0], replace(inside, **odd)], key=lambda one: one.opened_event)) == {}


@pytest.mark.parametrize("actor", [None, b"", b"harness", b"mcp-server-2"])
def test_who_does_not_say_so_is_a_client(actor: bytes | None) -> None:
    """Without the tool's header, a request inside of a call is another client's."""
    assert find_loopbacks([call(1, 1, 4), exchange(2, 2, 3, actor=actor)]) == {}


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({}, {2: 1}),
        ({"body": [{"method": "ping"}, CALL]}, {2: 1}),
        ({"target": "/mcp?session=1"}, {2: 1}),
        ({"method": "GET"}, {}),
        ({"method": "DELETE"}, {2: 1}),
        ({"body": {"method": "tools/list"}}, {2: 1}),
        ({"body": b"no JSON"}, {2: 1}),
        ({"target": "/api/memory/recall"}, {}),
        ({"lane": "provider"}, {}),
    ],
)
def test_every_request_of_mcp_may_ask_the_daemon_back(more: dict[str, Any], says: dict[int, int]) -> None:
    """The daemon asks itself for its tools whatever the message is; a stream that stands open for hours makes nothing inside it a loop-back."""
    assert find_loopbacks([call(1, 1, 4, **more), exchange(2, 2, 3)]) == says


def test_before_a_stream_begins_the_daemon_asks_itself() -> None:
    """Of a `GET`, what lies before the head of its answer is the daemon's; what comes while the stream stands open is a client's."""
    opening = replace(call(1, 1, 9, method="GET", body=b""), headers_event=4)
    assert find_loopbacks([opening, exchange(2, 2, 3), exchange(3, 5, 6)]) == {2: 1}


@pytest.mark.parametrize("peer", ["127.0.0.1:1", "127.8.8.8:1", "::1:40001", "[::1]:40001", "::ffff:127.0.0.1:40001"])
def test_every_way_to_say_this_host(peer: str) -> None:
    """Loopback addresses of both families are this host."""
    assert find_loopbacks([call(1, 1, 4), exchange(2, 2, 3, peer=peer)]) == {2: 1}


def test_calls_that_overlap() -> None:
    """What lies inside either of two calls is theirs; what began in one and ended after it is nobody's."""
    calls = [call(1, 1, 6), call(2, 2, 9, client="other agent")]
    assert find_loopbacks([*calls, exchange(3, 3, 4), exchange(4, 5, 8), exchange(5, 7, 10)]) == {3: 2, 4: 2}


def test_an_id_of_a_loopback_is_the_daemons() -> None:
    """An id that the daemon made for its own request was chosen by no client: the call's answer binds it."""
    exchanges = [
        call(1, 1, 4, answer={"id": A}),
        exchange(2, 2, 3, f"/api/memory/{A}"),
        exchange(3, 5, 6, f"/api/memory/{A}", method="GET", client="agent", actor=None),
    ]
    plan = make_plan(exchanges)
    assert plan.chosen == frozenset()
    assert [need.exchange for need in plan.steps[1].needs] == [1]


def test_one_loopback_alone_is_its_call() -> None:
    """Asked for one loop-back only, the plan sends the call that makes it."""
    plan = make_plan([call(1, 1, 4), exchange(2, 2, 3), exchange(3, 5, 6)], only=2)
    assert [step.exchange.id for step in plan.steps] == [1]
    assert {gap.exchange: gap.reason for gap in plan.gaps} == {2: GapReason.LOOPBACK, 3: GapReason.OUT_OF_SCOPE}


def test_another_lane_is_planned_and_never_sent() -> None:
    """What the daemon asked its model is a gap that nobody asked for: it gives no ids and breaks no silence."""
    exchanges = [
        exchange(1, 1, 2, client="agent", actor=None),
        exchange(2, 3, 4, "/v1/chat/completions", answer={"id": A}, lane="provider"),
        replace(exchange(3, 5, 6, f"/api/memory/{A}", method="GET", client="agent", actor=None), started_at=9.0, ended_at=9.1),
    ]
    exchanges[1] = replace(exchanges[1], started_at=8.95, ended_at=8.99)
    plan = make_plan(exchanges)
    assert [(gap.exchange, gap.reason, gap.detail) for gap in plan.gaps] == [(2, GapReason.OUT_OF_SCOPE, "lane provider")]
    assert plan.planned == 3
    assert plan.chosen == {A}
    assert plan.steps[1].settles


def test_a_request_whose_body_was_shed_says_so() -> None:
    """Where the recorder left a request's body out, the gap has that reason, and not that the request was malformed."""
    bodiless = replace(exchange(1, 1, 2), request=replace(exchange(1, 1, 2).request, body=None))
    (gap,) = make_plan([bodiless], gaps=[Gap(GapReason.SHED, event=2, exchange=1, detail="the writer was behind")]).gaps
    assert (gap.reason, gap.exchange, gap.detail) == (GapReason.SHED, 1, "the writer was behind")
    (other,) = make_plan([bodiless], gaps=[Gap(GapReason.SHED, event=2, exchange=9)] * 0).gaps
    assert other.reason is GapReason.MALFORMED
