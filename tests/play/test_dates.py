"""Moments that clients worked out from their clocks: moved where they ask, left where they are stored or said."""

import asyncio
import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.identity import Bindings
from replay.model import Connection, Exchange, NoResponse, Request
from replay.play.dates import Dates, Moments

_BEGAN = 1_795_419_383.0  # 2026-11-23T07:36:23Z
_OFFSET = 20 * 86400 + 7


def asking(target: str, body: Any = None, *, at: float = _BEGAN + 10, method: str = "GET") -> Exchange:
    """Make a recorded exchange."""
    raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    return Exchange(2, Request(method.encode(), target.encode(), b"HTTP/1.1", (), raw), NoResponse("x"), Connection("c"), 3, 4, at, at)


def shifted(exchange: Exchange, bindings: Bindings | None = None, *, offset_s: float = _OFFSET) -> tuple[Request, list[str]]:
    """Shift a request in a replay that runs as fast as the recording, some days later."""
    now = [_BEGAN + offset_s]
    dates = Dates(bindings or Bindings(), clock=lambda: now[0])
    dates.passed(asking("/health", at=_BEGAN))
    now[0] = exchange.started_at + offset_s
    dates.passed(exchange)
    return dates.shift(exchange, exchange.request)


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ("/api/memory/search?since=2026-11-23T07:36:28Z&q=2026-11-23", "/api/memory/search?since=2026-12-13T07:36:35Z&q=2026-11-23"),
        ("/x?until=2026-11-24T00:00:00.5%2B01:00", "/x?until=2026-12-14T00:00:07.5%2B01:00"),
        ("/api/telemetry/stats?since=1795419388000", "/api/telemetry/stats?since=1797147395000"),
        ("/api/telemetry/stats?since=1795419388", "/api/telemetry/stats?since=1797147395"),
        ("/api/memory/timeline?date=2026-11-23&x=1", "/api/memory/timeline?date=2026-12-13&x=1"),
        ("/api/sessions?at=2026-11-23%2007:36:30", "/api/sessions?at=2026-12-13%2007:36:37"),
    ],
)
def test_a_query_that_asks_for_a_time_is_moved(asked: str, sent: str) -> None:
    """Each in its own spelling, in the place where it stands."""
    request, told = shifted(asking(asked))
    assert request.target.decode() == sent
    assert len(told) == 1


@pytest.mark.parametrize(
    "target",
    [
        "/x?since=2026-11-01T00:00:00Z",
        "/x?since=2026-11-22",
        "/x?until=2099-01-01T00:00:00Z",
        "/x?since=yesterday",
        "/x?since=2026-13-45",
        "/x?since=",
        "/x?since",
        "/x?name=2026-11-23",
        "/x/2026-11-23",
        "/x?since=7",
    ],
)
def test_what_is_no_moment_of_the_replay_stays(target: str) -> None:
    """Before the recording rows keep their times, and far away is nobody's now; names and paths are not asked."""
    request, told = shifted(asking(target))
    assert request.target.decode() == target
    assert told == []


def test_bounds_in_bodies_move_and_contents_do_not() -> None:
    """A recall's bounds and a key's end are moved; what a memory says, and when it says it was made, is the client's."""
    now = "2026-11-23T07:36:30.000Z"
    moved = "2026-12-13T07:36:37.000Z"
    recall = {"query": f"since {now}", "since": now, "time": {"start": now, "end": "2026-01-01T00:00:00Z"}}
    request, told = shifted(asking("/api/memory/recall", recall, method="POST"))
    assert json.loads(request.body or b"") == {**recall, "since": moved, "time": {"start": moved, "end": "2026-01-01T00:00:00Z"}}
    assert len(told) == 2
    stored = {"content": f"made {now}", "createdAt": now, "since": now}
    assert shifted(asking("/api/memory/remember", stored, method="POST"))[1] == []
    key = {"name": "x", "expiresAt": "2026-11-24T07:36:30.000Z"}
    assert json.loads(shifted(asking("/api/auth/api-keys", key, method="POST"))[0].body or b"")["expiresAt"] == "2026-12-14T07:36:37.000Z"


def test_what_an_answer_gave_is_left_to_its_binding() -> None:
    """A bound moment is an id."""
    bindings = Bindings()
    bindings.bind("timestamp", "2026-11-23T07:36:25.123Z", "2027-01-01T00:00:00.456Z", 1, "$")
    assert shifted(asking("/x?since=2026-11-23T07:36:25.123Z"), bindings)[1] == []


def test_days_stay_where_no_midnight_lies_between() -> None:
    """A replay on the same day asks for the same day, and a moment moves by what has passed."""
    assert shifted(asking("/x?date=2026-11-23"), offset_s=600)[1] == []
    assert shifted(asking("/x?until=2026-11-23T07:36:33Z"), offset_s=600)[0].target == b"/x?until=2026-11-23T07:46:33Z"


@given(
    st.lists(st.floats(min_value=0.0, max_value=500.0), min_size=1, max_size=30),
    st.floats(min_value=0.001, max_value=2.0),
    st.lists(st.floats(min_value=-1e6, max_value=1e6), min_size=2, max_size=8),
)
def test_no_two_moments_change_their_order(gaps: list[float], pace: float, asked: list[float]) -> None:
    """Whatever the pace, what was before stays before; before the recording nothing moves."""
    moments, recorded, observed = Moments(), _BEGAN, _BEGAN + _OFFSET
    for gap in gaps:
        moments.passed(recorded, observed)
        recorded, observed = recorded + gap, observed + gap * pace
    moments.passed(recorded, observed)
    moved = [moments.move(_BEGAN + each, recorded, observed) for each in sorted(asked)]
    assert all(one <= two + 1e-3 for one, two in pairwise(moved))
    assert all(new == _BEGAN + each for each, new in zip(sorted(asked), moved, strict=True) if each < -1)


def test_a_shifted_date_is_counted_and_noted(bench: Any) -> None:
    """The exchange says what was sent in its place, and the replay how many there were."""
    tape = bench.tape()
    tape.ask(1, "GET", "/health", {})
    tape.ask(2, "GET", "/api/memory/search?until=2026-11-24T00:00:00Z", {})

    async def run() -> None:
        async def answer(_: Any, writer: asyncio.StreamWriter) -> None:
            writer.write(bench.spell({}))

        async with bench.running(answer) as daemon:
            played, observed = await bench.play(tape, daemon.port)
        assert daemon.asked[1].target.startswith("/api/memory/search?until=20")
        assert daemon.asked[1].target != "/api/memory/search?until=2026-11-24T00:00:00Z"
        assert played.counts["dates_shifted"] == 1
        assert "date: until=2026-11-24T00:00:00Z sent as" in observed.exchanges()[1].note

    asyncio.run(run())
