"""Event streams: what is missing, more, moved and changed, how they end, and when each event came."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from replay.compare.exchanges import compare_exchange
from replay.compare.state import Scene
from replay.compare.streams import event_times_ms, timed_events
from replay.model import Chunk, EndReason, Exchange

type Maker = Callable[..., Exchange]
type Scenes = Callable[[], Scene]


def stream(make: Maker, *events: Any, times_ms: tuple[float, ...] = (), **options: Any) -> Exchange:
    """Make an answer of events; each in a chunk of its own where *times_ms* says when it came."""
    parts = [f"data: {json.dumps(event)}\n\n".encode() for event in events]
    made = make(raw=b"".join(parts), media=b"text/event-stream", **options)
    if not times_ms:
        return made
    chunks = tuple(Chunk(n, made.started_at + ms / 1000, part) for n, (part, ms) in enumerate(zip(parts, times_ms, strict=True)))
    return replace(made, chunks=chunks)


def token(number: int) -> dict[str, Any]:
    """Make one event of a type that comes often."""
    return {"type": "token", "n": number}


DONE = {"type": "done", "total": 3}


def transitions(one: Exchange, two: Exchange, scene: Scene) -> list[tuple[str, str]]:
    """Give (kind, transition) of all that differs."""
    return [(item.kind, item.transition) for item in compare_exchange(one, two, scene)]


def test_a_swap_is_one_difference(exchange: Maker, scene: Scenes) -> None:
    """Two events in another order are one `stream-order`, and nothing missing."""
    one = stream(exchange, token(1), token(2), token(3), DONE)
    two = stream(exchange, token(2), token(1), token(3), DONE)

    assert transitions(one, two, scene()) == [("stream-order", "order of events")]


def test_a_reversed_stream_is_one_difference(exchange: Maker, scene: Scenes) -> None:
    """However many events moved, it is said once."""
    events = [token(number) for number in range(20)]

    assert transitions(stream(exchange, *events), stream(exchange, *reversed(events)), scene()) == [("stream-order", "order of events")]


def test_a_changed_event_is_walked(exchange: Maker, scene: Scenes) -> None:
    """An event that says something else between the same neighbours differs at its leaf."""
    one = stream(exchange, token(1), token(2), DONE)
    (found,) = compare_exchange(one, stream(exchange, token(1), token(7), DONE), scene())

    assert (found.kind, found.at, found.path) == ("value", "$.<sse>[1].data.n", "$.<sse>[*].data.n")


def test_missing_and_extra_events_are_named(exchange: Maker, scene: Scenes) -> None:
    """A lost end and an event more are two findings, each with the event's type."""
    one, two = stream(exchange, token(1), token(2), DONE), stream(exchange, token(1), {"type": "ping-back"}, token(2))

    assert transitions(one, two, scene()) == [
        ("stream-events", "event missing (done)"),
        ("stream-events", "event more (ping-back)"),
    ]


def test_a_repeated_event_is_found(exchange: Maker, scene: Scenes) -> None:
    """The same event once more is an event more."""
    one = stream(exchange, token(1), token(2))

    assert transitions(one, stream(exchange, token(1), token(2), token(2)), scene()) == [("stream-events", "event more (token)")]


def test_an_event_that_moved_and_changed_is_said_so(exchange: Maker, scene: Scenes) -> None:
    """The only event of its type at another place is the same event: its order and its leaf differ."""
    one = stream(exchange, DONE, token(1), token(2))
    two = stream(exchange, token(1), token(2), {**DONE, "total": 4})

    assert transitions(one, two, scene()) == [("value", "number"), ("stream-order", "order of events")]


def test_thousands_of_missing_events_are_told_in_part(exchange: Maker, scene: Scenes) -> None:
    """Of many missing events some are told one by one and the rest in one finding."""
    one = stream(exchange, *(token(number) for number in range(500)))

    assert len(transitions(one, stream(exchange, token(0)), scene())) == 201


def test_an_event_after_the_client_had_left_is_nobodys_fault(exchange: Maker, scene: Scenes) -> None:
    """What came later than the recorded client stayed it could not have seen; what came before that counts."""
    here = scene()
    one = stream(exchange, token(1), times_ms=(1.0,), duration_ms=10.0, end=EndReason.CLIENT_LEFT)
    late = stream(exchange, token(1), token(2), times_ms=(1.0, 50.0), duration_ms=60.0, end=EndReason.CLIENT_LEFT)
    soon = stream(exchange, token(1), token(2), times_ms=(1.0, 5.0), duration_ms=60.0, end=EndReason.CLIENT_LEFT)

    assert transitions(one, late, here) == []
    assert here.side.not_compared["stream events that came after the recorded client had left"] == 1
    assert transitions(one, soon, scene()) == [("stream-events", "event more (token)")]


def test_an_event_that_a_leaving_client_saw_in_part_is_left_out(exchange: Maker, scene: Scenes) -> None:
    """Whether a client leaves in the middle of an event is its own affair."""
    one = exchange(raw=b"data: 1\n\ndata: 2", media=b"text/event-stream", end=EndReason.CLIENT_LEFT)
    two = exchange(raw=b"data: 1\n\n", media=b"text/event-stream", end=EndReason.CLIENT_LEFT)

    assert transitions(one, two, scene()) == []


def test_events_have_times(exchange: Maker) -> None:
    """Each event came when the chunk came that ends it, and aligned events have both times."""
    one = stream(exchange, token(1), token(2), DONE, times_ms=(1.0, 2.0, 3.0))
    two = stream(exchange, token(1), DONE, times_ms=(5.0, 9.0))

    assert event_times_ms(one) == pytest.approx((1.0, 2.0, 3.0), abs=0.01)
    assert [(item.at, item.label) for item in timed_events(one, two)] == [("$.<sse>[0]", "token"), ("$.<sse>[2]", "done")]
    assert [item.observed_ms for item in timed_events(one, two)] == pytest.approx([5.0, 9.0], abs=0.01)
    assert timed_events(one, exchange(body={})) == ()


def test_byte_for_byte_the_framing_counts(exchange: Maker, scene: Scenes) -> None:
    """Events that are written otherwise and say the same differ in bytes alone."""
    one = exchange(raw=b"event: a\ndata: 1\n\n", media=b"text/event-stream")
    two = exchange(raw=b"event:a\r\ndata:1\r\n\r\n", media=b"text/event-stream")

    assert transitions(one, two, scene()) == []
    assert transitions(one, two, replace(scene(), bytewise=True)) == [("bytes", "ends of lines"), ("bytes", "framing of events")]
