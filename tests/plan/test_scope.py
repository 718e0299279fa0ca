"""What is asked for: a stretch, one exchange with what it depends on, and never what acts outside."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.model import Connection, EndReason, Exchange, Gap, GapReason, Request, Response, UsageError
from replay.plan import Births, Dependence, Stretch, depend, find_loopbacks, keys_of, make_plan
from replay.routes import ACTS_OUTSIDE, Route, match, route_of, table

A, B, C = (f"{number}1111111-0000-4000-8000-00000000000{number}" for number in (1, 2, 3))


def asked(
    number: int,
    method: str,
    target: str,
    body: Any = None,
    answer: Any = None,
    *,
    status: int = 200,
    headers: tuple[tuple[bytes, bytes], ...] = (),
) -> Exchange:
    """Build an exchange; the n-th spans the events 2n - 1 and 2n."""
    raw = b"" if body is None else json.dumps(body).encode()
    kind = ((b"Content-Type", b"application/json"),) if raw else ()
    request = Request(method.encode(), target.encode(), b"HTTP/1.1", ((b"Host", b"x"), *kind, *headers), raw)
    outcome = Response(b"HTTP/1.1", status, b"OK", (), json.dumps(answer or {}).encode())
    return Exchange(number, request, outcome, Connection("c"), 2 * number - 1, 2 * number, float(number), number + 0.5, EndReason.COMPLETE)


def dependence(exchanges: list[Exchange], only: int, stretch: Stretch | None = None) -> Dependence:
    """Find what one of the exchanges depends on."""
    loopbacks = find_loopbacks(exchanges)
    births = Births(exchanges, unasked=loopbacks.keys())
    routes = {exchange.id: route_of(exchange.request) for exchange in exchanges}
    return depend(exchanges, births, routes, loopbacks, only=only, stretch=stretch or Stretch())


# --- what acts outside ---


OUTSIDE = [route for route in table() if route.replay_class in ACTS_OUTSIDE]


@pytest.mark.parametrize("route", OUTSIDE, ids=lambda route: route.name)
def test_every_route_that_acts_outside_is_left_out(route: Route) -> None:
    """Of the whole table: left out by default, sent when allowed by its name, its template, its class, or all."""
    target = "/".join("x1" if part.startswith(":") else part for part in route.template.split("/"))
    exchange = asked(1, route.method, target, {})
    assert match(route.method, target) == route
    (gap,) = make_plan([exchange]).gaps
    assert (gap.reason, gap.detail) == (GapReason.UNSAFE, f"{route.name} ({route.replay_class}); allow it by name")
    for name in (route.name, route.template, route.replay_class, "all"):
        assert len(make_plan([exchange], allow=frozenset({name})).steps) == 1
    assert make_plan([exchange], allow=ACTS_OUTSIDE - {route.replay_class}).steps == ()


def test_there_are_routes_that_act_outside() -> None:
    """The table names both classes, so that the test above tests something."""
    assert {route.replay_class for route in OUTSIDE} == ACTS_OUTSIDE
    assert len(OUTSIDE) > 80


@pytest.mark.parametrize(("status", "steps"), [(200, 0), (400, 0), (500, 0), (404, 1), (405, 1), (501, 1)])
def test_a_write_to_an_unknown_route(status: int, steps: int) -> None:
    """What the recorded daemon served and the table does not know is left out; what it had no route for either is sent."""
    exchange = asked(1, "POST", "/api/new/thing", {}, status=status)
    assert route_of(exchange.request).replay_class == "unknown"
    assert len(make_plan([exchange]).steps) == steps
    assert len(make_plan([exchange], allow=frozenset({"unknown"})).steps) == 1
    assert make_plan([exchange], reads_only=True).steps == ()
    assert len(make_plan([asked(1, "GET", "/api/new/thing", status=status)]).steps) == 1


# --- one exchange ---


def test_one_exchange_brings_what_made_its_state() -> None:
    """The givers of its ids, the writes of the same ids before it, and what those need in turn; nothing after it, nothing else."""
    exchanges = [
        asked(1, "POST", "/api/auth/login", {"username": "a"}),
        asked(2, "POST", "/api/memory/remember", {"content": "one"}, {"id": A}),
        asked(3, "POST", "/api/memory/remember", {"content": "two"}, {"id": B}),
        asked(4, "POST", "/api/memory/remember", {"content": "three"}, {"id": C}),
        asked(5, "PATCH", f"/api/memory/{A}", {"if_version": 1}),
        asked(6, "POST", "/api/memory/modify", {"patches": [{"id": A}, {"id": B}]}),
        asked(7, "PATCH", f"/api/memory/{C}", {"if_version": 1}),
        asked(8, "GET", f"/api/memory/{B}"),
        asked(9, "PATCH", f"/api/memory/{A}", {"if_version": 3}),
        asked(10, "DELETE", f"/api/memory/{A}"),
    ]
    found = dependence(exchanges, 9)
    assert found.why == {
        2: f"gives uuid {A}",
        3: f"gives uuid {B}",
        5: f"writes uuid {A}",
        6: f"writes uuid {A}",
        9: "it was asked for",
    }
    assert found.writes_left_out == 3  # the login, the third memory, and its change
    made = make_plan(exchanges, only=9)
    assert [step.exchange.id for step in made.steps] == [2, 3, 5, 6, 9]
    assert {gap.reason for gap in made.gaps} == {GapReason.OUT_OF_SCOPE}
    assert made.planned == 10


def test_one_exchange_follows_keys_that_clients_chose() -> None:
    """A secret's name, a task's, a path and the session of what is asked of a session bring the writes before that name them."""
    session = ((b"x-signet-session-key", b"s-1"),)
    exchanges = [
        asked(1, "POST", "/api/secrets/TOKEN", {"value": "x"}),
        asked(2, "POST", "/api/secrets/OTHER", {"value": "x"}, headers=session),
        asked(3, "POST", "/api/hooks/session-start", {"sessionKey": "s-1"}),
        asked(4, "POST", "/api/documents", {"path": "/w/notes.md"}),
        asked(5, "DELETE", "/api/secrets/TOKEN"),
        asked(6, "POST", "/api/hooks/user-prompt-submit", {"sessionKey": "s-1"}),
        asked(7, "POST", "/api/documents", {"path": "/w/notes.md"}, headers=session),
        asked(8, "GET", "/api/memories", headers=session),
    ]
    assert list(dependence(exchanges, 5).why) == [1, 5]
    assert list(dependence(exchanges, 6).why) == [2, 3, 6]
    found = dependence(exchanges, 7)
    assert list(found.why) == [4, 7]
    assert found.lays("notes.md")
    assert not found.lays("other.md")
    listed = dependence(exchanges, 8)
    assert list(listed.why) == [8]
    assert listed.writes_left_out == 7


def test_one_exchange_of_a_session_whose_key_is_an_id() -> None:
    """A session's key that looks like an id does not bring the writes that were made in its name."""
    headers = ((b"x-signet-session-key", A.encode()),)
    exchanges = [
        asked(1, "POST", "/api/memory/remember", {}, {"id": B}, headers=headers),
        asked(2, "POST", "/api/memory/remember", {}, headers=headers),
        asked(3, "GET", f"/api/memory/{B}", headers=headers),
    ]
    assert list(dependence(exchanges, 3).why) == [1, 3]


def test_one_exchange_that_is_not_there() -> None:
    """An exchange that is not in the recording, or not in the stretch, is refused."""
    with pytest.raises(UsageError, match="no exchange 9 in the recording"):
        make_plan([asked(1, "GET", "/health")], only=9)
    with pytest.raises(UsageError, match=r"exchange 1 lies outside of the stretch .*event 1"):
        make_plan([asked(1, "GET", "/health"), asked(2, "GET", "/health")], only=1, stretch=Stretch(after=2))


def test_keys_are_told_apart_by_what_they_are_about() -> None:
    """The same name of two kinds of things is two keys; an id in a path is none."""
    secret, task, memory = (
        asked(1, "POST", "/api/secrets/night", {}),
        asked(1, "POST", "/api/tasks", {"name": "night"}),
        asked(1, "GET", f"/api/memory/{A}"),
    )
    assert [keys_of(one.request, route_of(one.request)) for one in (secret, task, memory)] == [
        {("secrets", "night")},
        {("tasks", "night")},
        frozenset(),
    ]


# --- a stretch ---


@given(st.integers(0, 30), st.integers(1, 30), st.permutations(list(range(1, 17))))
def test_a_stretch_loses_nothing(after: int, length: int, events: list[int]) -> None:
    """Whatever overlaps: what was opened in the stretch is a step, all else a gap that nobody asked for, none is both or neither."""
    stretch = Stretch(after, after + length, max(0, after - 1), 2)
    spans = [sorted(events[at : at + 2]) for at in range(0, len(events), 2)]
    request = Request(b"GET", b"/health", b"HTTP/1.1", ())
    exchanges = [
        Exchange(number, request, Response(b"HTTP/1.1", 200, b"OK", (), b"{}"), Connection(str(number)), opened, ended, opened, ended)
        for number, (opened, ended) in enumerate(spans, 1)
    ]
    made = make_plan(exchanges, stretch=stretch)
    assert {step.exchange.id for step in made.steps} == {one.id for one in exchanges if after < one.opened_event < after + length}
    assert {gap.reason for gap in made.gaps} <= {GapReason.OUT_OF_SCOPE}
    assert made.planned == len(exchanges) == len({step.exchange.id for step in made.steps} | {gap.exchange for gap in made.gaps})


def test_ids_from_before_a_stretch() -> None:
    """An id that was seen before the stretch counts as chosen, wherever; what no state holds is told to the steps that name it."""
    exchanges = [
        asked(1, "POST", "/api/memory/remember", {}, {"id": A}),
        asked(2, "GET", "/api/memories", answer={"memories": [{"id": A}, {"id": B}]}),
        asked(3, "GET", "/api/memories", answer={"memories": [{"id": B}, {"id": C}]}),
        asked(4, "POST", "/api/memory/modify", {"patches": [{"id": A}, {"id": B}, {"id": C}]}),
    ]
    made = make_plan(exchanges, stretch=Stretch(after=4, snapshot=2), lost=frozenset({A}))
    assert {A, B} <= made.chosen
    assert C not in made.chosen
    assert [(need.exchange, need.id) for need in made.steps[-1].needs] == [(3, C)]
    assert [(need.exchange, need.id) for need in made.steps[-1].lost] == [(1, A)]


def test_what_the_recorder_lost_outside_of_a_stretch() -> None:
    """A cut exchange outside of the stretch was not asked for; one inside stays cut."""
    gaps = [Gap(GapReason.CUT, 1, 8), Gap(GapReason.CUT, 7, 9), Gap(GapReason.CUT, None, 7)]
    made = make_plan([asked(4, "GET", "/health")], gaps=gaps, stretch=Stretch(after=2, until=20))
    assert {gap.exchange: gap.reason for gap in made.gaps} == {8: GapReason.OUT_OF_SCOPE, 9: GapReason.CUT, 7: GapReason.OUT_OF_SCOPE}
