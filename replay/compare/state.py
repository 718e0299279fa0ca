"""What a comparison of two archives carries from exchange to exchange: bindings, time windows, and counts of what was tolerated."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final, Self

from replay.identity import Bindings

_BRIEF_S: Final = 2.0
"""The end of an exchange that lasted no longer is a mark of its run's clock."""


@dataclass(frozen=True, slots=True)
class Window:
    """When an exchange, and the run that it belongs to, took place; seconds since the epoch."""

    run_started_at: float
    started_at: float
    ended_at: float


@dataclass(frozen=True, slots=True)
class Clock:
    """
    Which moment of an observed run stands for one of the recorded run.

    The starts and ends of exchanges are marks that both runs have. What happened between two marks of one run happened between the same two of
    the other, give or take the slack of background work: a time from elsewhere in the run is stale.
    """

    recorded: tuple[float, ...] = ()
    """Seconds since the epoch, ascending."""
    earliest: tuple[float, ...] = ()
    """The earliest observed moment of each mark and all later ones: what overlapped may have changed places, and what waited comes late."""
    latest: tuple[float, ...] = ()
    """The latest observed moment of each mark and all earlier ones."""
    least: tuple[float, ...] = ()
    """By how many seconds the observed run lay behind the recorded one up to each mark, at least."""
    most: tuple[float, ...] = ()
    """The same, at most."""

    @classmethod
    def of(cls, windows: Iterable[tuple[Window, Window]]) -> Self:
        """
        Make the clock of two runs from the recorded and the observed window of each pair.

        Of a long exchange only the start is a mark: a stream ends when its client leaves, which says nothing of what happened then.
        """
        marks = []
        for one, two in windows:
            marks.append((one.started_at, two.started_at))
            if max(one.ended_at - one.started_at, two.ended_at - two.started_at) <= _BRIEF_S:
                marks.append((one.ended_at, two.ended_at))
        marks.sort()
        apart = [two - one for one, two in marks]
        return cls(
            tuple(one for one, _ in marks),
            tuple(accumulate((two for _, two in reversed(marks)), min))[::-1],
            tuple(accumulate((two for _, two in marks), max)),
            tuple(accumulate(apart, min)),
            tuple(accumulate(apart, max)),
        )

    def around(self, moment: float) -> tuple[float, float]:
        """Give the earliest and the latest observed moment that may stand for a recorded one; without marks, always."""
        if not self.recorded:
            return float("-inf"), float("inf")
        before, after = bisect_left(self.recorded, moment) - 1, bisect_right(self.recorded, moment)
        low = self.earliest[before] if before >= 0 else self.earliest[0] - (self.recorded[0] - moment)
        high = self.latest[after] if after < len(self.recorded) else self.latest[-1] + (moment - self.recorded[-1])
        return low, high

    def shifts(self, until: float) -> tuple[float, float]:
        """By how many seconds, least and most, the observed run's moments lie behind the recorded ones up to a recorded moment."""
        count = bisect_right(self.recorded, until)
        return (self.least[count - 1], self.most[count - 1]) if count else (float("-inf"), float("inf"))


@dataclass(slots=True)
class Side:
    """One observed (or control) archive against the recording."""

    bindings: Bindings
    born: dict[tuple[str, str], str] = field(default_factory=dict)
    """Where a recorded id of a kind was bound, in words."""
    tolerated: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """(relation, route, path) → leaves: everything that was let pass without being equal."""
    not_compared: Counter[str] = field(default_factory=Counter)
    """Parts that are left out on purpose."""
    clock: Clock = field(default_factory=Clock)
    """Of this archive and the recording."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the walker stands."""

    at: str = "$"
    """Concrete, in the recorded answer's indices."""
    path: str = "$"
    """The same as a skeleton: indices blanked, ids in keys named by their kind."""
    key: str = ""
    """The nearest object key."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One pair of exchanges while it is compared."""

    side: Side
    route: str
    exchange: int
    recorded: Window
    observed: Window
    binding: bool = True
    """Whether ids met here may be bound. Off where two items may stand for each other, and in trial comparisons (canaries)."""
    counting: bool = True
    """Whether what is tolerated counts. Off in trial comparisons."""
    bytewise: bool = False
    """Whether the route is compared byte for byte: what is equal in meaning alone is a finding, too."""

    def tolerate(self, relation: str, path: str) -> None:
        """Count a leaf that is let pass."""
        if self.counting:
            self.side.tolerated[relation, self.route, path] += 1
