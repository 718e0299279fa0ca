"""Chances counted in what answers hold."""

from collections.abc import Callable

import pytest

from replay.compare.state import Clock, Window
from replay.compare.surveying import survey_of
from replay.model import Exchange, NoResponse

type Maker = Callable[..., Exchange]
ROUTE = "GET /x"


def test_places_are_spelt_as_the_comparer_spells_them(exchange: Maker) -> None:
    """Lists, JSON in text, and ids in keys: a place is counted as often as both sides have it."""
    key = "8f68cd44-a43d-4466-a712-da361ac5f78c"
    one = exchange(1, {"items": [{"n": 1}, {"n": 2}, {"n": 3}], "text": '{"inner": [1]}', key: 1})
    two = exchange(1, {"items": [{"n": 1}, {"n": 2}], "text": '{"inner": [1]}', key: 1})
    found = survey_of([(ROUTE, one, two)], Clock()).instances

    assert found[ROUTE, "$.items[*].n"] == 2
    assert found[ROUTE, "$.items[*]"] == 2
    assert found[ROUTE, "$.text.<json>.inner[*]"] == 1
    assert (ROUTE, f"$.{key}") not in found


@pytest.mark.parametrize("status", [404, None])
def test_another_answer_is_no_chance(status: int | None, exchange: Maker) -> None:
    """Where one side refused or did not answer, its places had no chance to be equal."""
    other = exchange(1, {"n": 1}, status=status) if status else exchange(1, outcome=NoResponse("hung"))

    assert not survey_of([(ROUTE, exchange(1, {"n": 1}), other)], Clock()).instances


def test_events_and_lines_are_surveyed(exchange: Maker) -> None:
    """Streams have places, too: an event's data, a line's members."""
    stream = exchange(1, raw=b'data: {"n": 1}\n\ndata: {"n": 2}\n\n', media=b"text/event-stream")
    lines = exchange(2, raw=b'{"n": 1}\n{"n": 2}\n', media=b"application/x-ndjson")
    found = survey_of([(ROUTE, stream, stream), (ROUTE, lines, lines)], Clock()).instances

    assert found[ROUTE, "$.<sse>[*].data.n"] == 2
    assert found[ROUTE, "$.<ndjson>[*].n"] == 2


def test_bytes_and_depth_have_no_places(exchange: Maker) -> None:
    """What is no text, and what is nested beyond all use, is passed over."""
    bits = exchange(1, raw=b"\x89PNG\r\n\x1a\n\x00\x00", media=b"image/png")
    deep = exchange(2, raw=b"[" * 400 + b"]" * 400)

    assert not survey_of([(ROUTE, bits, bits)], Clock()).instances
    assert max(path.count("[") for _, path in survey_of([(ROUTE, deep, deep)], Clock()).instances) <= 60


def test_times_are_held_against_the_clock(exchange: Maker) -> None:
    """How far a time lies from where its run's exchanges put it is measured, but not in lists, whose items may be others."""
    one = exchange(1, {"at": "2023-11-14T22:13:30.000Z", "list": ["2023-11-14T22:13:30.000Z"]})
    two = exchange(1, {"at": "2023-11-14T22:13:31.000Z", "list": ["2023-11-14T22:14:31.000Z"]})
    clock = Clock.of([(Window(0, one.started_at, one.ended_at), Window(0, two.started_at, two.ended_at))])
    found = survey_of([(ROUTE, one, two)], clock).times_apart_s

    assert len(found) == 1
    assert 0.9 < found[0] < 1.1
