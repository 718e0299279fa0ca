"""
Say where a replay's time went: how long the daemon served, how long its background work lasted, what was waited for beside.

How this works
--------------
Three things take time that is the daemon's own. *Service*: from a request sent to the last byte of its answer; an answer that was left, as
the recorded client did, was served until its last byte, for a stream that idles is no work. *Jobs*: from a look at the job tables that found
something left to the next look; what a stuck worker leaves for ever is not counted. *Pollers*: waits for a named poller, whose period is the
daemon's. Each is a set of spans of time, counted once where spans overlap, and their union is what a replay can't be faster than. All else
(pauses after writes, repeats of polls, the player's own work) is the replay's, and the ratio of the wall time to the union says how much.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_SPANS_MAX: Final = 4096


class Spans:
    """A union of spans of time, in seconds of one clock. Its memory has a bound: what lies far back is only summed up."""

    def __init__(self) -> None:
        self._starts: list[float] = []
        self._ends: list[float] = []
        self._folded_s = 0.0
        self._folded_until = float("-inf")

    def add(self, start: float, end: float) -> None:
        """Add a span; the part of it that lies before what was summed up is not counted."""
        start = max(start, self._folded_until)
        if end <= start:
            return
        first = bisect_left(self._ends, start)
        last = bisect_right(self._starts, end)
        if first < last:
            start, end = min(start, self._starts[first]), max(end, self._ends[last - 1])
        self._starts[first:last] = [start]
        self._ends[first:last] = [end]
        if len(self._starts) > _SPANS_MAX:
            self._fold(_SPANS_MAX // 2)

    @property
    def total_s(self) -> float:
        """How long all spans together are."""
        return self._folded_s + sum(end - start for start, end in zip(self._starts, self._ends, strict=True))

    def _fold(self, count: int) -> None:
        self._folded_s += sum(end - start for start, end in zip(self._starts[:count], self._ends[:count], strict=True))
        self._folded_until = self._ends[count - 1]
        del self._starts[:count], self._ends[:count]


@dataclass(frozen=True, slots=True)
class Terms:
    """Where the time went, in seconds."""

    wall_s: float
    """From the first request sent to the last answer's end."""
    service_s: float
    jobs_s: float
    pollers_s: float
    union_s: float
    """Service, jobs and pollers, overlaps counted once."""
    others_s: Mapping[str, float]
    """What the walk waited for beside, by name; it may overlap with the union."""

    @property
    def ratio(self) -> float:
        """How many times as long as the daemon needed the replay took; 0 where nothing was sent."""
        return self.wall_s / self.union_s if self.union_s > 0 else 0.0

    def values(self) -> dict[str, float]:
        """Give them for `Statistics`."""
        told = {
            "wall_s": self.wall_s,
            "service_s": self.service_s,
            "jobs_s": self.jobs_s,
            "pollers_s": self.pollers_s,
            "daemon_union_s": self.union_s,
            "wall_ratio": self.ratio,
        }
        told.update({f"wait_{name.replace(' ', '_')}_s": seconds for name, seconds in self.others_s.items()})
        return {name: round(value, 3) for name, value in told.items()}


class Accounting:
    """Gathers the spans while a replay runs. All times are of one clock, in seconds."""

    def __init__(self) -> None:
        self._service = Spans()
        self._jobs = Spans()
        self._pollers = Spans()
        self._union = Spans()
        self._others: dict[str, float] = {}
        self._began: float | None = None
        self._ended = 0.0
        self._busy_since: float | None = None

    def began(self, at: float) -> None:
        """Say that the first request is about to be sent; what the job tables held before is not the replay's."""
        if self._began is None:
            self._began = self._ended = at
            self._busy_since = None if self._busy_since is None else at

    def served(self, start: float, end: float, *, over: float) -> None:
        """Count a request sent at *start* whose last byte came at *end*; *over*: when the exchange was over, such as by being left."""
        self._ended = max(self._ended, over)
        self._add(self._service, start, end)

    def looked(self, at: float, *, busy: bool) -> None:
        """Count a look at the job tables: what was left at one look lasts until the next."""
        if self._busy_since is not None and self._began is not None:
            self._add(self._jobs, self._busy_since, at)
        self._busy_since = at if busy else None

    def polled(self, start: float, end: float) -> None:
        """Count a wait for a named poller."""
        self._add(self._pollers, start, end)

    def waited(self, name: str, seconds: float) -> None:
        """Count what the walk waited for beside; a wait for nothing is none."""
        if seconds > 0:
            self._others[name] = self._others.get(name, 0.0) + seconds

    def terms(self) -> Terms:
        """Sum up."""
        wall = 0.0 if self._began is None else self._ended - self._began
        others = dict(sorted(self._others.items()))
        return Terms(wall, self._service.total_s, self._jobs.total_s, self._pollers.total_s, self._union.total_s, others)

    def _add(self, spans: Spans, start: float, end: float) -> None:
        spans.add(start, end)
        self._union.add(start, end)
