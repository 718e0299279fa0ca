"""How long a replay takes, as told before it."""

from pathlib import Path

import pytest

from replay.jobs.estimating import estimate
from replay.model import Connection, EndReason, Exchange, Request, Response
from replay.plan import make_plan
from replay.play import Job


def exchange(number: int, events: tuple[int, int], times: tuple[float, float], *, method: str = "GET", left: bool = False) -> Exchange:
    """Build an exchange between two events and two times; a `POST` remembers something."""
    target = b"/api/memory/remember" if method == "POST" else b"/health"
    return Exchange(
        number,
        Request(method.encode(), target, b"HTTP/1.1", ((b"Host", b"x"),)),
        Response(b"HTTP/1.1", 200, b"OK", (), b"{}"),
        Connection(str(number)),
        *events,
        *times,
        EndReason.CLIENT_LEFT if left else EndReason.COMPLETE,
    )


def test_what_overlapped_overlaps() -> None:
    """Two exchanges beside each other take as long as the longer one, two in a row as long as both; thinking takes no time."""
    made = make_plan([exchange(1, (1, 3), (0.0, 2.0)), exchange(2, (2, 4), (0.5, 3.5)), exchange(3, (5, 6), (13.5, 14.5))])
    found = estimate(made)
    assert found.service_s == pytest.approx(4.0)
    assert found.least_s == found.most_s == found.service_s
    assert found.recorded_s == pytest.approx(14.5)


def test_a_pause_after_a_write_is_a_wait() -> None:
    """A wait takes at least what the player always waits, and at the most the recorded pause."""
    made = make_plan([exchange(1, (1, 2), (0.0, 1.0), method="POST"), exchange(2, (3, 4), (11.0, 12.0))])
    found = estimate(made)
    assert (found.service_s, found.least_s, found.most_s) == pytest.approx((2.0, 2.0 + Job(Path(), Path()).settle_s, 12.0))
    assert estimate(made, drained=False).least_s == pytest.approx(4.0)


def test_a_stream_that_was_left_takes_as_long_as_what_ran_beside() -> None:
    """A stream of an hour that the client left is left when the exchanges beside it have ended."""
    made = make_plan([exchange(1, (1, 5), (0.0, 3600.0), left=True), exchange(2, (2, 3), (1.0, 2.0)), exchange(3, (6, 7), (3600.0, 3601.0))])
    assert estimate(made).service_s == pytest.approx(2.0)


def test_a_pace_takes_its_time() -> None:
    """At the recorded pace a replay takes as long as the recording, at twice the pace half of it; nothing takes nothing."""
    made = make_plan([exchange(1, (1, 2), (0.0, 1.0)), exchange(2, (3, 4), (9.0, 10.0))])
    assert estimate(made, "recorded").least_s == pytest.approx(10.0)
    assert estimate(made, 2.0).least_s == pytest.approx(5.0)
    assert estimate(make_plan([])).most_s == 0.0
