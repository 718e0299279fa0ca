"""
Count chances: how often each place of an answer was there on both sides of two runs, and what its numbers and times were.

A difference says little without the number of times that there was none. So noise is learned from the differences of control runs *and* from
this survey of all that their answers hold, equal or not. Places are spelt as the comparer spells them.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from replay.compare.amounts import as_float
from replay.compare.blinding import blind_text, measured, role_of
from replay.compare.state import Clock
from replay.content import Content, Event, Number, Value, child, embedded, parse
from replay.identity import TIME_KINDS
from replay.model import Exchange, Response

_DEPTH_MAX: Final = 60
_TIME_LENGTH_MAX: Final = 40
_ONE_TEXT: Final = frozenset({"json", "text", "html"})

type Spot = tuple[str, str]
"""Route and path."""


@dataclass(slots=True)
class Survey:
    """What pairs of runs of one daemon hold."""

    instances: Counter[Spot] = field(default_factory=Counter)
    """How often a place was there on both sides."""
    amounts: dict[Spot, tuple[float, float, float]] = field(default_factory=dict)
    """Of measured numbers: the least, the greatest, and how many times the smaller the larger of two that stand for each other was."""
    times_apart_s: list[float] = field(default_factory=list)
    """How far times lay from where the runs' clock puts them."""

    def add(self, route: str, one: Exchange, two: Exchange, clock: Clock) -> None:
        """Count what two answers hold."""
        if not isinstance(one.outcome, Response) or not isinstance(two.outcome, Response) or one.outcome.status != two.outcome.status:
            return
        left, right = _places(one.outcome), _places(two.outcome)
        for path in left.keys() & right.keys():
            values, others = left[path], right[path]
            self.instances[route, path] += min(len(values), len(others))
            for value, other in zip(values, others, strict=False):
                self._measure((route, path), value, other, clock)

    def _measure(self, spot: Spot, one: Value, two: Value, clock: Clock) -> None:
        if isinstance(one, Number) and isinstance(two, Number):
            if measured(spot[1].rpartition(".")[2].partition("[")[0]):
                self._amounts(spot, as_float(one), as_float(two))
        elif isinstance(one, str) and isinstance(two, str) and len(one) < _TIME_LENGTH_MAX and "[*]" not in spot[1]:
            # In a list it takes more than its index to tell which item stands for which.
            left, right = role_of(one), role_of(two)
            if left is None or right is None or left != right or left.kind not in TIME_KINDS or not clock.recorded:
                return
            if left.seconds is not None and right.seconds is not None and left.seconds >= clock.recorded[0]:
                low, high = clock.around(left.seconds)
                self.times_apart_s.append(max(low - right.seconds, right.seconds - high, 0.0) + (high - low) / 2)

    def _amounts(self, spot: Spot, one: float, two: float) -> None:
        if not (math.isfinite(one) and math.isfinite(two)):
            return
        low, high, times = self.amounts.get(spot, (one, one, 1.0))
        smaller, larger = min(one, two), max(one, two)
        if smaller > 0:
            times = max(times, larger / smaller)
        self.amounts[spot] = min(low, smaller), max(high, larger), times


def _places(response: Response) -> dict[str, list[Value]]:
    """All nodes of an answer by their path; the value for leaves, None for objects and lists."""
    found: dict[str, list[Value]] = defaultdict(list)
    for path, value in _nodes(parse(response.body or b"", response.header(b"content-type"))):
        found[path].append(value)
    return found


def _nodes(content: Content) -> Iterator[tuple[str, Value]]:
    if content.kind in {"binary", "empty"}:
        return
    suffix = "" if content.kind in _ONE_TEXT else f".<{content.kind}>"
    yield from _below(_plain(content), f"$.{suffix[1:]}" if suffix else "$", 0)


def _plain(content: Content) -> Value:
    if content.kind == "sse":
        return [{"event": event.name, "data": event.data} for event in content.value if isinstance(event, Event)]  # type: ignore[union-attr]
    if content.kind in {"ndjson", "form"}:
        return [list(item) if isinstance(item, tuple) else item for item in content.value]  # type: ignore[union-attr,misc]
    return content.value  # type: ignore[return-value]  # by kind


def _below(value: Value, path: str, depth: int) -> Iterator[tuple[str, Value]]:
    if depth > _DEPTH_MAX:
        return
    match value:
        case dict():
            yield path, None
            for key, item in value.items():
                yield from _below(item, child(path, blind_text(key)), depth + 1)
        case list():
            yield path, None
            for item in value:
                yield from _below(item, f"{path}[*]", depth + 1)
        case str():
            yield path, value
            inner = embedded(value)
            if inner is not None:
                yield from _below(inner, f"{path}.<json>", depth + 1)
        case _:
            yield path, value


def survey_of(pairs: Iterable[tuple[str, Exchange, Exchange]], clock: Clock) -> Survey:
    """Survey pairs of exchanges: (route, one, two)."""
    survey = Survey()
    for route, one, two in pairs:
        survey.add(route, one, two, clock)
    return survey
