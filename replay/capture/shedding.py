"""
What the recorder leaves out, step by step, when its writer cannot follow; pure.

How this works
--------------
What waits for the writer is held in memory up to a bound. As it fills, the recorder leaves out more, in steps that the operator configures
as `what@percent`: `bodies` (big bodies go, everything else stays), `routes` (of new exchanges that only read, one in ten is kept; writes are
all kept, since a replay needs them), and at 100 % everything. A step is taken back when the queue has shrunk to half of where it began, so
that it does not flicker. Each change of step is said aloud, and everything that was left out is counted in the archive.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

BIG_BODY_BYTES: Final = 64 * 1024
KEPT_ONE_IN: Final = 10
READING: Final = frozenset({b"GET", b"HEAD", b"OPTIONS"})


class Step(IntEnum):
    """How much is left out."""

    NOTHING = 0
    BODIES = 1
    ROUTES = 2
    EVERYTHING = 3


_NAMES: Final = {"bodies": Step.BODIES, "routes": Step.ROUTES}
WORDS: Final = {
    Step.NOTHING: "everything is recorded again",
    Step.BODIES: f"bodies over {BIG_BODY_BYTES // 1024} kB are left out",
    Step.ROUTES: f"of requests that only read, one in {KEPT_ONE_IN} is recorded",
    Step.EVERYTHING: "nothing more is recorded until the writer has caught up",
}


@dataclass(frozen=True, slots=True)
class Thresholds:
    """At how many queued bytes each step begins; None: it is never taken."""

    bodies: int | None
    routes: int | None
    everything: int


def parse_steps(text: str, queue_bytes_max: int) -> Thresholds:
    """
    Read `bodies@50,routes@75` (percent of the queue); a step that is not named is not taken.

    Raises:
        ValueError: in words, what is wrong.
    """
    found: dict[Step, int] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, _, percent = part.partition("@")
        if name not in _NAMES or not percent.isascii() or not percent.isdigit() or not 1 <= int(percent) <= 100:
            raise ValueError(f"{part!r} is no step; write bodies@PERCENT or routes@PERCENT, such as bodies@50,routes@75")
        if _NAMES[name] in found:
            raise ValueError(f"{name!r} stands there twice")
        found[_NAMES[name]] = queue_bytes_max * int(percent) // 100
    return Thresholds(found.get(Step.BODIES), found.get(Step.ROUTES), queue_bytes_max)


class Shedding:
    """Which step is in force, given how much is queued."""

    def __init__(self, thresholds: Thresholds) -> None:
        steps = ((Step.EVERYTHING, thresholds.everything), (Step.ROUTES, thresholds.routes), (Step.BODIES, thresholds.bodies))
        self._begins = [(step, begins) for step, begins in steps if begins is not None]
        self._least = min(begins for _, begins in self._begins)
        self.step = Step.NOTHING
        self.deepest = Step.NOTHING
        """The furthest step that was ever taken."""

    def update(self, queued_bytes: int) -> bool:
        """Take or take back steps; whether something changed."""
        if queued_bytes < self._least and self.step is Step.NOTHING:
            return False
        wanted = next((step for step, begins in self._begins if queued_bytes >= begins), Step.NOTHING)
        if wanted < self.step:
            held = next((step for step, begins in self._begins if step <= self.step and queued_bytes > begins // 2), Step.NOTHING)
            wanted = max(wanted, held)
        changed, self.step = wanted is not self.step, wanted
        self.deepest = max(self.deepest, wanted)
        return changed
