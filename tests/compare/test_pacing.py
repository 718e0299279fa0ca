"""When the events of a stream came."""

import json
from collections.abc import Callable
from dataclasses import replace

from replay.compare.pacing import FIRST, GAP, event_samples
from replay.compare.timing import Sample, judge_timing
from replay.model import Chunk, EndReason, Exchange

type Maker = Callable[..., Exchange]


def stream(make: Maker, *times_ms: float, end: EndReason = EndReason.COMPLETE) -> Exchange:
    """Make a stream of numbered events that came at these times after the request."""
    parts = [f'data: {{"type":"token","n":{number}}}\n\n'.encode() for number in range(len(times_ms))]
    made = make(raw=b"".join(parts), media=b"text/event-stream")
    chunks = tuple(Chunk(n, made.started_at + ms / 1000, part) for n, (part, ms) in enumerate(zip(parts, times_ms, strict=True)))
    return replace(made, chunks=chunks, end=end)


def told(rows: list[Sample]) -> list[tuple[object, ...]]:
    """Give what each sample says, to the millisecond."""
    return [
        (row.part, row.at, *(None if ms is None else round(ms) for ms in (row.recorded_ms, row.observed_ms, row.control_ms))) for row in rows
    ]


def test_the_first_event_and_the_gaps_are_timed(exchange: Maker) -> None:
    """A stream that its daemon ended gives its first event's time and the time from each event to the next, on all sides."""
    rows = list(event_samples(stream(exchange, 10, 20, 40), stream(exchange, 12, 400, 420), stream(exchange, 11, 21, 45), "GET /s"))

    assert told(rows) == [
        (FIRST, "$.<sse>[0]", 10, 12, 11),
        (GAP, "$.<sse>[1]", 10, 388, 10),
        (GAP, "$.<sse>[2]", 20, 20, 24),
    ]


def test_a_stream_left_open_tells_of_its_first_event_alone(exchange: Maker) -> None:
    """What a subscription tells later comes at the replay's pace; a first event that the control had to wait for, too."""
    one, two = stream(exchange, 10, 500, end=EndReason.CLIENT_LEFT), stream(exchange, 12, 900, end=EndReason.CLIENT_LEFT)

    assert told(list(event_samples(one, two, one, "GET /s"))) == [(FIRST, "$.<sse>[0]", 10, 12, 10)]
    assert list(event_samples(one, two, stream(exchange, 400, 500, end=EndReason.CLIENT_LEFT), "GET /s")) == []


def test_without_a_control_events_are_timed_and_not_judged(exchange: Maker) -> None:
    """There is a sample without the control's time; other answers give none."""
    rows = list(event_samples(stream(exchange, 10, 20), stream(exchange, 900, 910), None, "GET /s"))

    assert told(rows) == [(FIRST, "$.<sse>[0]", 10, 900, None), (GAP, "$.<sse>[1]", 10, 10, None)]
    assert judge_timing(rows).late == ()
    assert list(event_samples(exchange(raw=json.dumps(1).encode()), exchange(raw=b"1"), None, "GET /s")) == []


def test_late_events_open_apart_from_durations(exchange: Maker) -> None:
    """Streams whose events come 300 ms late open at the events; how long whole answers of the route take is judged by itself."""
    rows = [
        replace(row, exchange=20 * number)
        for number in range(5)
        for row in event_samples(stream(exchange, 10, 20), stream(exchange, 12, 322), stream(exchange, 11, 21), "GET /s")
    ]
    result = judge_timing([*rows, *(Sample(500 + number, "GET /s", 5, 5, 5) for number in range(20))])

    assert {(row.part, row.at) for row in result.late} == {(GAP, "$.<sse>[1]")}
    assert {row.route: row.outcome for row in result.timings}["GET /s (event gap)"] == "late"
    assert dict(result.counts)["stream events timed"] == 10
