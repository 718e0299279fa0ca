"""
When the events of a stream came: what of it says something about the daemon.

The first event tells how soon a daemon begins. It counts where the control had one at once: otherwise it waited for something that others did,
and that comes when the replay does it. The time from one event to the next counts only where all sides' daemons ended their streams themselves:
a stream that was left open tells of things as they happen, at the replay's pace.
"""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Final

from replay.compare.streams import TimedEvent, timed_events
from replay.compare.timing import Sample
from replay.model import EndReason, Exchange

FIRST: Final = "first event"
GAP: Final = "event gap"
AT_ONCE_MS: Final = 100.0


def event_samples(recorded: Exchange, observed: Exchange, control: Exchange | None, route: str) -> Iterator[Sample]:
    """Yield the first event's time and the times from each event to the next one, of events that all sides have; nothing for other answers."""
    if not recorded.chunks or not observed.chunks:
        return
    events = timed_events(recorded, observed)
    beside = {} if control is None else {event.at: event.observed_ms for event in timed_events(recorded, control)}
    if control is not None:
        events = tuple(event for event in events if event.at in beside)
    if not events:
        return
    first = events[0]
    if first.at == "$.<sse>[0]" and beside.get(first.at, first.recorded_ms) <= AT_ONCE_MS:
        yield Sample(recorded.id, route, first.recorded_ms, first.observed_ms, beside.get(first.at), FIRST, first.at)
    sides = [recorded, observed, *([control] if control is not None else [])]
    if all(side.end is EndReason.COMPLETE for side in sides):
        yield from (_gap(recorded.id, route, one, two, beside) for one, two in pairwise(events))


def _gap(exchange: int, route: str, one: TimedEvent, two: TimedEvent, beside: Mapping[str, float]) -> Sample:
    control_ms = beside[two.at] - beside[one.at] if two.at in beside else None
    return Sample(exchange, route, two.recorded_ms - one.recorded_ms, two.observed_ms - one.observed_ms, control_ms, GAP, two.at)
