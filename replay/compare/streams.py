"""
Compare two event streams: their events as a sequence, and how they ended.

How this works
--------------
Keep-alives and comments are set apart and counted. Events are paired without crossing where they say the same but for ids, times and measured
numbers; what then stands elsewhere on the other side was *moved* (one `stream-order` for the stream, however many moved); what stands between
the same neighbours and is of the same type *changed*, and is walked; the rest is missing or more (`stream-events`). An event that came later
than the recorded client stayed is nobody's fault: that client could not have seen it. When each event came is for timing to judge
(`timed_events`).
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Final

from replay.compare.blinding import blind
from replay.compare.difference import ABSENT, Difference
from replay.compare.laying import Laid, Sequences, lay
from replay.compare.state import Place, Scene
from replay.compare.walk import walk_pair
from replay.content import Content, Event, Number, Value, event_ends, parse
from replay.model import DifferenceClass, EndReason, Exchange, Response

_LEFT_OPEN: Final = "left open"
_STREAM_ENDS: Final = {
    EndReason.COMPLETE: "ended by the daemon",
    EndReason.SERVER_CLOSED: "broken off by the daemon",
    EndReason.CLIENT_LEFT: _LEFT_OPEN,
    EndReason.TIMEOUT: _LEFT_OPEN,
}
_TYPE: Final = re.compile(r"[A-Za-z][A-Za-z_.:-]{0,40}")
_TOLD_MAX: Final = 200
"""Of thousands of missing events so many are told one by one, and the rest in one finding."""
_SHOWN_MAX: Final = 60
_UNREAD_KEYS_MAX: Final = 100_000
"""Beyond this many events on a side they are paired by their very text: blinding each would take minutes."""


@dataclass(frozen=True, slots=True)
class TimedEvent:
    """One event that both streams have, and when each side's client had it whole, in milliseconds after its request."""

    at: str
    """`$.<sse>[3]`, in the recorded stream."""
    label: str
    """Its type, in words."""
    recorded_ms: float
    observed_ms: float


def compare_streams(recorded: Exchange, observed: Exchange, one: Content, two: Content, scene: Scene) -> Iterator[Difference]:
    """Yield the differences of two event streams, but for how they ended."""
    if one.comments or two.comments:
        scene.side.not_compared["stream keep-alives and comments"] += len(one.comments) + len(two.comments)
    left, right = _whole_events(recorded, observed, one, scene), _whole_events(recorded, observed, two, scene)
    laid = _lay(left, right)
    for index, other in laid.stayed:
        if _is_same(left[index], right[other], scene):
            continue
        yield from walk_pair(event_value(left[index]), event_value(right[other]), scene, Place(f"$.<sse>[{index}]", "$.<sse>[*]"))
    # What was moved or changed may stand for another event of its kind, so ids met there prove nothing.
    unbound = replace(scene, binding=False)
    for index, other in sorted(laid.moved + laid.changed):
        yield from walk_pair(event_value(left[index]), event_value(right[other]), unbound, Place(f"$.<sse>[{index}]", "$.<sse>[*]"))
    if laid.moved:
        yield _order(left, right, laid)
    yield from _alone(left, laid.left_only, "event missing")
    late = _after_leaving(recorded, observed, laid, len(right))
    if late:
        scene.side.not_compared["stream events that came after the recorded client had left"] += len(late)
    yield from _alone(right, [index for index in laid.right_only if index not in late], "event more")


def _is_same(one: Event, two: Event, scene: Scene) -> bool:
    """Whether two events are the same in every sign, and hold no id that may have another name over there."""
    if one.text != two.text or (one.name, one.id, one.retry, one.finished) != (two.name, two.id, two.retry, two.finished):
        return False
    return len(scene.side.bindings) == 0 or scene.side.bindings.leaves(one.text.encode("utf-8", "surrogateescape"))


def event_value(event: Event) -> Value:
    """Everything of an event that a client can see."""
    value: dict[str, Value] = {"event": event.name, "data": event.data}
    if event.id is not None:
        value["lastEventId"] = event.id
    if event.retry is not None:
        value["retry"] = Number(str(event.retry))
    return value


def compare_ends(recorded: Exchange, observed: Exchange, content: Content) -> Iterator[Difference]:
    """Yield how an answer ended otherwise: whole, broken off by the daemon, or left open until its client went."""
    if recorded.end is EndReason.PROXY_STOPPED:
        return
    if content.kind in {"sse", "ndjson"}:
        one, two = _STREAM_ENDS.get(recorded.end), _STREAM_ENDS.get(observed.end)
    elif recorded.end is EndReason.COMPLETE:
        # Of an answer that came whole: the bytes may be all there, and a client still waits for the end, or reports that it was cut.
        one, two = _STREAM_ENDS[recorded.end], _STREAM_ENDS.get(observed.end)
    else:
        return
    if one is not None and two is not None and one != two:
        yield Difference(DifferenceClass.STRUCTURAL, "stream-end", "stream", "stream", one, two, f"{one} → {two}")


def timed_events(recorded: Exchange, observed: Exchange) -> tuple[TimedEvent, ...]:
    """
    Give the events that both streams have, with their times on both sides; in the recorded order.

    Empty where one of them is no event stream, or was not recorded in chunks.
    """
    contents = [_stream(exchange) for exchange in (recorded, observed)]
    if any(content is None for content in contents):
        return ()
    left, right = (tuple(content.value) for content in contents if content is not None)  # type: ignore[arg-type]
    times, others = event_times_ms(recorded), event_times_ms(observed)
    laid = _lay(left, right)  # type: ignore[arg-type]  # by kind
    return tuple(
        TimedEvent(f"$.<sse>[{index}]", _label(left[index]), times[index], others[other])  # type: ignore[arg-type]
        for index, other in sorted(laid.stayed + laid.changed)
        if index < len(times) and other < len(others)
    )


def event_times_ms(exchange: Exchange) -> tuple[float, ...]:
    """Give for each event of a stream when its client had it whole, in milliseconds after the request; empty without chunks."""
    outcome = exchange.outcome
    if not exchange.chunks or not isinstance(outcome, Response) or not outcome.body:
        return ()
    ends = list(accumulate(len(chunk.data) for chunk in exchange.chunks))
    last = len(ends) - 1
    return tuple((exchange.chunks[min(bisect_left(ends, end), last)].at - exchange.started_at) * 1000.0 for end in event_ends(outcome.body))


def _stream(exchange: Exchange) -> Content | None:
    outcome = exchange.outcome
    if not exchange.chunks or not isinstance(outcome, Response) or not outcome.body:
        return None
    content = parse(outcome.body, outcome.header(b"content-type"))
    return content if content.kind == "sse" else None


def _whole_events(recorded: Exchange, observed: Exchange, content: Content, scene: Scene) -> Sequence[Event]:
    """All events; without an unfinished last one where a client left: whether it did so in mid-event is its own affair."""
    events: Sequence[Event] = content.value  # type: ignore[assignment]  # by kind
    if events and not events[-1].finished and EndReason.CLIENT_LEFT in {recorded.end, observed.end}:
        scene.side.not_compared["stream events that a leaving client saw in part"] += 1
        return events[:-1]
    return events


# --- which event stands for which ---


def _lay(left: Sequence[Event], right: Sequence[Event]) -> Laid:
    big = max(len(left), len(right)) > _UNREAD_KEYS_MAX
    keys, others = ([event.text if big else _key(event) for event in side] for side in (left, right))
    return lay(
        Sequences(keys, others, lambda n: _type_of(left[n]), lambda n: _type_of(right[n]), lambda n: _name(left[n]), lambda n: _name(right[n]))
    )


def _name(event: Event) -> str:
    label = _label(event)
    return "" if label == "message" else label


def _key(event: Event) -> str:
    return f"{event.name} {blind(event.data)}"


def _type_of(event: Event) -> tuple[str, object]:
    """What kind of event it is: its name, and its data's own type, or else its members."""
    data = event.data
    if not isinstance(data, dict):
        return event.name, type(data)
    kind = data.get("type")
    return event.name, kind if isinstance(kind, str) else frozenset(data)


def _label(event: Event) -> str:
    """Call an event by its type; empty where it has none that is a plain word."""
    kind = event.data.get("type") if isinstance(event.data, dict) else None
    word = kind if isinstance(kind, str) and event.name == "message" else event.name
    return word if _TYPE.fullmatch(word) else ""


# --- what is told ---


def _order(left: Sequence[Event], right: Sequence[Event], laid: Laid) -> Difference:
    """One difference for a stream: both orders of the events around those that moved."""
    first = min(index for index, _ in laid.moved)
    pairs = sorted(laid.stayed + laid.moved)
    near = [(index, other) for index, other in pairs if index >= first][:_SHOWN_MAX]
    one: list[Value] = [_shown(left[index]) for index, _ in near]
    two: list[Value] = [_shown(right[other]) for other in sorted(other for _, other in near)]
    at = f"$.<sse>[{first}]"
    return Difference(DifferenceClass.STRUCTURAL, "stream-order", "$.<sse>", at, one, two, "order of events")


def _shown(event: Event) -> Value:
    return f"{_label(event) or 'event'}: {event.text[:80]}"


def _alone(events: Sequence[Event], indices: Sequence[int], words: str) -> Iterator[Difference]:
    missing = words == "event missing"
    for index in indices[:_TOLD_MAX]:
        label = _label(events[index])
        value, at = event_value(events[index]), f"$.<sse>[{'' if missing else '+'}{index}]"
        transition = words if label in {"", "message"} else f"{words} ({label})"
        yield _told(at, value, transition, missing=missing)
    if len(indices) > _TOLD_MAX:
        at = f"$.<sse>[{'' if missing else '+'}{indices[_TOLD_MAX]}]"
        yield _told(at, f"{len(indices) - _TOLD_MAX:,} more such events", f"{words}, many", missing=missing)


def _told(at: str, value: Value, transition: str, *, missing: bool) -> Difference:
    recorded, observed = (value, ABSENT) if missing else (ABSENT, value)
    return Difference(DifferenceClass.STRUCTURAL, "stream-events", "$.<sse>[*]", at, recorded, observed, transition)


def _after_leaving(recorded: Exchange, observed: Exchange, laid: Laid, count: int) -> set[int]:
    """Which events at the observed stream's end came later than the recorded client stayed."""
    if recorded.end is not EndReason.CLIENT_LEFT or not laid.right_only or laid.right_only[-1] != count - 1:
        return set()
    times = event_times_ms(observed)
    late: set[int] = set()
    for index in reversed(laid.right_only):
        if index != count - 1 - len(late) or index >= len(times) or times[index] <= recorded.duration_ms:
            break
        late.add(index)
    return late
