"""Measured amounts: what two values prove, and the faults that a tolerance by the key's name alone would hide."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.compare.leaves import relate
from replay.compare.state import Place, Scene, Side, Window
from replay.content import Number
from replay.identity import Bindings

START = 1_700_000_000.0


def scene() -> Scene:
    """Make a scene ten seconds into two runs of one minute."""
    window = Window(START, START + 10, START + 10.01)
    return Scene(Side(Bindings.of(())), "GET /health", 1, window, window)


def related(key: str, one: str, two: str) -> list[str]:
    """Relate two numbers, as they are spelt, under a key: the transitions of what is found."""
    return [found.transition for found in relate(Number(one), Number(two), scene(), Place(f"$.{key}", f"$.{key}", key))]


@pytest.mark.parametrize(
    ("key", "one", "two"),
    [("durationMs", "250", "0.25"), ("durationMs", "250.5", "250500.5"), ("latency_ms", "40", "40000"), ("rss", "180", "184320000")],
)
def test_a_unit_that_became_another_is_found(key: str, one: str, two: str) -> None:
    """Milliseconds written as seconds or microseconds, megabytes as bytes: a tolerance by name would hide a thousandfold."""
    assert related(key, one, two) == ["measured, out of proportion"]


@pytest.mark.parametrize(
    ("key", "one", "two"),
    [
        ("durationMs", "3", "900"),
        ("durationMs", "0", "72"),
        ("p95", "47", "27"),
        ("pid", "2", "30517"),
        ("rss", "302", "31"),
        ("openFds", "0", "16"),
    ],
)
def test_another_daemon_may_be_faster_or_smaller(key: str, one: str, two: str) -> None:
    """Amounts in proportion are let pass: two runs of one daemon lie as far apart."""
    assert related(key, one, two) == []


@pytest.mark.parametrize(
    ("key", "one", "two", "found"),
    [
        ("durationMs", "250", "0", "measured → zero"),
        ("durationMs", "5", "-5", "measured → negative"),
        ("durationMs", "12", "99000000", "measured, out of proportion"),
        ("uptimeSec", "12", "100", "longer than the run"),
        ("dbSizeBytes", "5316608", "5316609", "whole pages → odd bytes"),
        ("dbSizeBytes", "5316608", "0", "measured → zero"),
        ("durationMs", "5", "1" + "0" * 400, "measured → beyond floats"),
    ],
)
def test_an_amount_that_can_not_be_is_found(key: str, one: str, two: str, found: str) -> None:
    """Nothing, less than nothing, longer than the run, part of a page: none of these is a measurement of the same thing."""
    assert related(key, one, two) == [found]


@given(st.integers(0, 10**6), st.integers(501, 10**6))
def test_what_is_far_out_of_proportion_is_never_let_pass(low: int, times: int) -> None:
    """However large, a duration beyond 500 times another is found from 20 ms on."""
    high = max(low, 1) * times
    assert bool(related("durationMs", str(low), str(high))) or high < 20


@given(st.text(max_size=20), st.integers(20, 10**6))
def test_messages_hide_no_unit(before: str, amount: int) -> None:
    """A duration in a message for people must be in proportion, too; other words never change."""
    text = f"done in {amount} ms"
    place = Place("$.message", "$.message", "message")

    assert relate(text, f"done in {amount + 1} ms", scene(), place) == ()
    assert relate(text, f"done in {amount * 1000} ms", scene(), place)[0].transition == "message: measured, out of proportion"
    assert relate(text, f"done in {amount + 1} s", scene(), place) != ()
    other: Any = f"{before}done in {amount + 1} ms"
    assert (relate(text, other, scene(), place) == ()) == (not before)


@pytest.mark.parametrize(("key", "found"), [("totalBytes", 1), ("createdAt", 0), ("next_run_at", 0), ("limit", 1)])
def test_a_count_is_no_time(key: str, found: int) -> None:
    """A number in the range of epochs is a time outside the run only where its key says so: a changed count is found."""
    assert len(related(key, "1800000000", "1800000004")) == found


@pytest.mark.parametrize(
    ("one", "two", "found"),
    [
        (1_500_000.0, 12.0, []),
        (1_500_000.0, 2_000_000.0, []),
        (12.0, 40.0, []),
        (1_500_000.0, 12_000.0, ["longer than the run"]),
        (12.0, 12_000.0, ["longer than the run"]),
        (12.0, 0.012, ["shorter than the run"]),
        (12.0, 0.0, ["shorter than the run"]),
    ],
)
def test_a_daemon_of_weeks_is_replayed_by_a_fresh_one(one: float, two: float, found: list[str]) -> None:
    """A production daemon is up for weeks and a replayed one for seconds; milliseconds for seconds, or a start within the run, are found."""
    assert related("uptime", str(one), str(two)) == found
