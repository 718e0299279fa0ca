"""What a comparison of two archives carries from exchange to exchange: bindings, time windows, and counts of what was tolerated."""

from collections import Counter
from dataclasses import dataclass, field

from replay.identity import Bindings


@dataclass(frozen=True, slots=True)
class Window:
    """When an exchange, and the run that it belongs to, took place; seconds since the epoch."""

    run_started_at: float
    started_at: float
    ended_at: float


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

    def tolerate(self, relation: str, path: str) -> None:
        """Count a leaf that is let pass."""
        if self.counting:
            self.side.tolerated[relation, self.route, path] += 1
