"""
The life of a cause over the nights: new, still there, back, or gone.

How this works
--------------
A night is what was open in one judged run. Ids of causes and of places last, so following one is looking it up in each night. A night that
could not be judged tells nothing: what is missing there is neither gone nor, when it shows again, back. The same function compares a run
with one other run: then there is one night.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    """Where in its life a cause is."""

    NEW = "new"
    """Open for the first time."""
    STILL = "still there"
    """Open in the judged night before, too."""
    BACK = "back"
    """Open, not in the judged night before, but earlier."""
    GONE = "gone"
    """Not open, but in the judged night before."""


@dataclass(frozen=True, slots=True)
class Night:
    """What was open in one run."""

    name: str
    started_at: float
    """Seconds since the epoch."""
    open: frozenset[str]
    """Ids of causes, or of places."""
    judged: bool = True
    """Whether the run was judged to its end."""


@dataclass(frozen=True, slots=True)
class Life:
    """The life of one cause or place, as of tonight."""

    stage: Stage
    since: float
    """When it was first seen open in the stretch that lasts until tonight (of one that is gone: until the night before), in seconds."""
    first: float
    """When it was first seen open at all."""
    nights: int
    """In how many judged nights it was open, tonight counted."""


def live(tonight: Night, before: Iterable[Night]) -> dict[str, Life]:
    """
    Give the life of each id that is open tonight, or was in the judged night before.

    *before* are the nights so far, in any order; those that were not judged, or began after tonight, are left out. A night of the same
    name as tonight's is tonight itself, judged before. Tonight's own judgement counts even where its run is incomplete, except that then
    nothing is gone.
    """
    past = [night for night in before if night.judged and night.name != tonight.name and night.started_at <= tonight.started_at]
    past.sort(key=lambda night: (night.started_at, night.name))
    last = past[-1].open if past else frozenset()
    gone = last - tonight.open if tonight.judged else frozenset()
    lives = {identifier: _alive(identifier, tonight, past) for identifier in sorted(tonight.open)}
    return lives | {identifier: _gone(identifier, past) for identifier in sorted(gone)}


def _alive(identifier: str, tonight: Night, past: Sequence[Night]) -> Life:
    seen = [night.started_at for night in past if identifier in night.open]
    if not seen:
        return Life(Stage.NEW, tonight.started_at, tonight.started_at, 1)
    stretch = _stretch(identifier, past)
    stage = Stage.STILL if stretch else Stage.BACK
    return Life(stage, stretch[0].started_at if stretch else tonight.started_at, seen[0], len(seen) + 1)


def _gone(identifier: str, past: Sequence[Night]) -> Life:
    seen = [night.started_at for night in past if identifier in night.open]
    return Life(Stage.GONE, _stretch(identifier, past)[0].started_at, seen[0], len(seen))


def _stretch(identifier: str, past: Sequence[Night]) -> Sequence[Night]:
    """Give the last nights that follow each other in which it was open; none where it was not in the very last."""
    start = len(past)
    while start and identifier in past[start - 1].open:
        start -= 1
    return past[start:]
