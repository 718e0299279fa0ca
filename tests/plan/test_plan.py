"""What is replayed, in which order, and what it needs."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.model import Chunk, Connection, EndReason, Exchange, Gap, GapReason, NoResponse, Outcome, Request, Response, UsageError
from replay.plan import Births, Need, Plan, make_plan

A, B = "11111111-0000-4000-8000-000000000001", "22222222-0000-4000-8000-000000000002"


def exchange(
    number: int,
    opened: int,
    ended: int,
    target: str = "/health",
    answer: Any = None,
    *,
    method: str = "GET",
    body: bytes | None = b"",
    client: str = "c",
    at: float | None = None,
    **more: Any,
) -> Exchange:
    """Build an exchange between two event numbers; a second of wall clock an event."""
    outcome: Outcome = Response(b"HTTP/1.1", 200, b"OK", more.pop("headers", ()), json.dumps(answer or {}).encode())
    request = Request(method.encode(), target.encode(), more.pop("version", b"HTTP/1.1"), ((b"Host", b"x"),), body)
    return Exchange(
        number,
        request,
        more.pop("outcome", outcome),
        Connection(client),
        opened,
        ended,
        at if at is not None else opened * 0.001,
        ended * 0.001,
        **more,
    )


def after(plan: Plan) -> dict[int, int]:
    """Give the frontier of each step."""
    return {step.exchange.id: step.after for step in plan.steps}


def test_the_frontier_follows_ends_and_starts() -> None:
    """A step waits for all that ended before it began, and for nothing that overlapped it."""
    plan = make_plan([exchange(1, 1, 6), exchange(2, 2, 3), exchange(3, 4, 5), exchange(4, 7, 8)])
    assert after(plan) == {1: 0, 2: 0, 3: 1, 4: 3}
    assert [step.leave_after for step in plan.steps] == [2, 0, 1, 3]
    assert [step.previous for step in plan.steps] == [None, None, 2, 3]


@given(st.permutations(list(range(1, 17))))
def test_the_frontier_is_the_order_of_events(events: list[int]) -> None:
    """Whatever overlaps: a step waits for exactly those that ended before it began, and the frontier never falls."""
    spans = [sorted(events[at : at + 2]) for at in range(0, len(events), 2)]
    exchanges = [exchange(number, opened, ended, client=str(number)) for number, (opened, ended) in enumerate(spans, 1)]
    plan = make_plan(exchanges)
    ends = sorted(exchanges, key=lambda one: one.ended_event)
    for step in plan.steps:
        before = {one.id for one in exchanges if one.ended_event < step.exchange.opened_event}
        assert {one.id for one in ends[: step.after]} == before
        assert step.exchange in ends[step.leave_after :]
    fronts = [step.after for step in plan.steps]
    assert fronts == sorted(fronts)


def test_ids_are_needed_from_their_first_giver() -> None:
    """A request needs the exchange that first gave its id; what no answer gave before is the client's."""
    steps = make_plan(
        [
            exchange(1, 1, 2, "/api/memory/remember", {"id": A}, method="POST"),
            exchange(2, 3, 4, "/api/memories", {"ids": [A]}),
            exchange(3, 5, 6, f"/api/memory/{A}?session={B}", {"session": B}),
        ]
    )
    assert steps.steps[2].needs == (Need(1, A),)
    assert steps.chosen == {B}


def test_ids_of_open_streams() -> None:
    """An id out of a stream's chunk, even one split between two chunks, is known at that chunk's event."""
    text = f'data: {{"id":"{A}"}}\n\n'.encode()
    stream = exchange(
        1, 1, 9, "/api/os/events/stream", outcome=Response(b"HTTP/1.1", 200, b"", (), text), headers_event=2,
        chunks=(Chunk(3, 0.0, text[:20]), Chunk(4, 0.0, text[20:])), end=EndReason.CLIENT_LEFT,
    )  # fmt: skip
    plan = make_plan([stream, exchange(2, 5, 6, f"/api/tasks/{A}", client="d")])
    assert plan.steps[1].needs == (Need(1, A),)
    assert plan.steps[1].after == 0
    assert plan.steps[0].leave_after == 1
    early = Births([stream, exchange(2, 4, 6, f"/api/tasks/{A}")])
    assert early.givers(A, 4) == []
    assert early.givers(A, 5) == [1]


def test_what_acts_outside_is_left_out_unless_named() -> None:
    """Side effects are gaps, allowed by class, by route or all at once."""
    risky = [exchange(1, 1, 2, "/api/update/run", method="POST"), exchange(2, 3, 4, "/api/changelog")]
    assert [gap.reason for gap in make_plan(risky).gaps] == [GapReason.UNSAFE, GapReason.UNSAFE]
    assert len(make_plan(risky, allow=frozenset({"all"})).steps) == 2
    assert [step.exchange.id for step in make_plan(risky, allow=frozenset({"POST /api/update/run"})).steps] == [1]
    assert [step.exchange.id for step in make_plan(risky, allow=frozenset({"external-read"})).steps] == [2]


def test_what_needs_a_left_out_write_is_left_out() -> None:
    """A request for an id that only a left-out write gave is a gap of its own reason; one that a kept answer gave again is not."""
    run = exchange(1, 1, 2, "/api/secrets/exec", {"jobId": A}, method="POST")
    poll = exchange(2, 3, 4, f"/api/secrets/exec/{A}")
    (unsafe, dependent) = make_plan([run, poll]).gaps
    assert (unsafe.reason, dependent.reason) == (GapReason.UNSAFE, GapReason.DEPENDENCY)
    assert "from #1" in dependent.detail
    listed = exchange(3, 3, 4, "/api/memories", {"id": A})
    assert [gap.exchange for gap in make_plan([run, listed, exchange(4, 5, 6, f"/api/memory/{A}")]).gaps] == [1]


@pytest.mark.parametrize(
    "odd",
    [
        {"body": None},
        {"version": b"HTTP/2.0"},
        {"method": "CONNECT"},
        {"method": "GE T"},
        {"target": "/a b"},
    ],
)
def test_what_cannot_be_sent_is_malformed(odd: dict[str, Any]) -> None:
    """A request that the player can't send as it was is a gap that says why."""
    (gap,) = make_plan([exchange(1, 1, 2, **odd)]).gaps
    assert gap.reason is GapReason.MALFORMED
    assert gap.detail


def test_without_an_answer_it_is_sent_all_the_same() -> None:
    """An exchange whose answer the recording lacks is a step: what to make of it is not the plan's to say."""
    assert len(make_plan([exchange(1, 1, 2, outcome=NoResponse("closed"))]).steps) == 1


def test_only_one_and_what_it_needs() -> None:
    """`only` keeps an exchange and, through its ids, all that it needs; the rest is out of scope."""
    exchanges = [
        exchange(1, 1, 2, "/api/connectors", {"id": A}, method="POST"),
        exchange(2, 3, 4, "/health"),
        exchange(3, 5, 6, f"/api/documents?of={A}", {"id": B}, method="POST"),
        exchange(4, 7, 8, f"/api/documents/{B}"),
    ]
    plan = make_plan(exchanges, only=4)
    assert [step.exchange.id for step in plan.steps] == [1, 3, 4]
    assert [(gap.exchange, gap.reason) for gap in plan.gaps] == [(2, GapReason.OUT_OF_SCOPE)]
    assert plan.planned == 4
    with pytest.raises(UsageError, match="no exchange 9"):
        make_plan(exchanges, only=9)


def test_gaps_of_the_recording_are_planned_too() -> None:
    """An exchange of which the recording holds a part only stays a gap with its own reason."""
    plan = make_plan([exchange(1, 1, 2)], gaps=[Gap(GapReason.CUT, exchange=2), Gap(GapReason.NOT_WRITTEN, count=3)])
    assert plan.planned == 2
    assert plan.gaps[0].reason is GapReason.CUT


def test_the_replay_settles_where_time_was_left_after_a_write() -> None:
    """A silence after a write asks for quiet, once; one between reads does not."""
    plan = make_plan(
        [
            exchange(1, 1, 2, "/health"),
            exchange(2, 3, 4, "/api/memory/remember", method="POST", at=5.0),
            exchange(3, 5, 6, "/api/memories", at=9.0),
            exchange(4, 7, 8, "/api/memories", at=20.0),
        ]
    )
    assert [step.settles for step in plan.steps] == [False, False, True, False]
    assert plan.steps[2].pause_s == pytest.approx(4.0, abs=0.1)


def test_nothing_planned() -> None:
    """An empty recording is an empty plan."""
    assert make_plan([]).planned == 0


def test_a_foreign_daemon_is_only_read() -> None:
    """With reads only, whatever may change state is a gap of its own reason, even where all is allowed."""
    exchanges = [
        exchange(1, 1, 2, "/api/memories"),
        exchange(2, 3, 4, "/api/memory/remember", method="POST"),
        exchange(3, 5, 6, "/api/memory/recall", method="POST"),
        exchange(4, 7, 8, "/api/secrets/bitwarden/status"),
    ]

    made = make_plan(exchanges, allow=frozenset({"all"}), reads_only=True)

    assert [step.exchange.id for step in made.steps] == [1]
    assert {gap.reason for gap in made.gaps} == {GapReason.UNSAFE}
    assert made.planned == 4


def test_dull_answers() -> None:
    """A step says that its answer holds nothing like an id only where neither its head nor its body does."""
    steps = make_plan(
        [
            exchange(1, 1, 2, answer={"a": "nothing"}),
            exchange(2, 3, 4, answer={"a": A}),
            exchange(3, 5, 6, answer={"a": "nothing"}, headers=((b"x-id", A.encode()),)),
            exchange(4, 7, 8, f"/api/memory/{A}", answer={"a": "nothing"}),
        ]
    ).steps
    assert [step.dull for step in steps] == [True, False, False, True]
    assert [need.exchange for need in steps[3].needs] == [2]
