"""
Hear the control: who of recorded (R), control (C) and observed (O) agrees at the place of a difference.

The control is compared with the recording like the candidate is. A difference of the candidate whose place is untouched in the control is the
candidate's own (C = R ≠ O). Where the control differs at the very same place to the very same value, it is the replay's doing (O = C ≠ R).
Where it differs otherwise there, or its part of the answer is missing or of another kind, all three differ. That a list's order differs in the
control says nothing of the items in it, and an item that only one answer has is the same item only where its content is.
Differences of the control alone are the primary's noise.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from replay.compare.blinding import blind
from replay.compare.difference import ABSENT, Difference
from replay.content import Value
from replay.model import Absent, Witness

_ORDERS: Final = frozenset({"order", "rank"})


@dataclass(frozen=True, slots=True)
class Heard:
    """A difference with what the control says of its place."""

    difference: Difference
    witness: Witness
    control: Value | Absent
    """What the control has there; the recorded value where it agrees with the recording."""


def same_blind(one: Value, two: Value) -> bool:
    """Whether two values are the same but for ids, times and measured numbers."""
    return blind(one) == blind(two)


def hear(
    candidate: Sequence[Difference], control: Sequence[Difference] | None, agree: Callable[[Value, Value], bool] = same_blind
) -> list[Heard]:
    """
    Give each difference of the candidate its witness; without a control all are unconfirmed.

    *agree* tells whether an observed value and the control's are the same up to what the two replays may differ in.
    """
    if control is None:
        return [Heard(found, Witness.UNCONFIRMED, ABSENT) for found in candidate]
    exact: dict[tuple[str, str], list[Difference]] = {}
    for found in control:
        exact.setdefault(_place(found), []).append(found)
    places = _Places.of(control)
    heard = []
    for found in candidate:
        twins = exact.get(_place(found), [])
        same = next((twin for twin in twins if _equal(found.observed, twin.observed, agree)), None)
        if same is not None:
            heard.append(Heard(found, Witness.INFIDELITY, same.observed))
        elif twins:
            heard.append(Heard(found, Witness.ALL_DIFFER, twins[0].observed))
        elif places.touch(found) and not _lost_whole(found, places):
            heard.append(Heard(found, Witness.ALL_DIFFER, ABSENT))
        else:
            heard.append(Heard(found, Witness.CANDIDATE, found.recorded))
    return heard


def _lost_whole(found: Difference, places: "_Places") -> bool:
    """Whether the candidate lost, or turned into something else, a part that the control still has and differs in only further below."""
    gone = isinstance(found.observed, Absent) or found.kind == "type"
    return gone and places.touch_only_below(found)


def alone(candidate: Iterable[Difference], control: Iterable[Difference]) -> list[Difference]:
    """List the control's differences at whose place the candidate agrees with the recording."""
    candidate = list(candidate)
    places, exact = _Places.of(candidate), {_place(found) for found in candidate}
    return [found for found in control if _place(found) not in exact and not places.touch(found)]


def _place(found: Difference) -> tuple[str, str]:
    if "[+" in found.at:
        # What only one side has stands at that side's own index, so the value says which item it is.
        return found.kind, f"{found.path} {blind(found.observed) if not isinstance(found.observed, Absent) else ''}"
    return found.kind, found.at


def _equal(one: Value | Absent, two: Value | Absent, agree: Callable[[Value, Value], bool]) -> bool:
    if isinstance(one, Absent) or isinstance(two, Absent):
        return one is two
    return agree(one, two)


@dataclass(frozen=True, slots=True)
class _Places:
    """Where parts of an answer differ. A list's order is no such part, and an item of one side alone stands at no common place."""

    own: frozenset[str]
    above: frozenset[str]
    """All places that one of them stands below."""

    @staticmethod
    def of(differences: Iterable[Difference]) -> "_Places":
        own = frozenset(found.at for found in differences if found.kind not in _ORDERS and "[+" not in found.at)
        return _Places(own, frozenset(outer for place in own for outer in _above(place)))

    def touch(self, found: Difference) -> bool:
        """Whether a difference stands at, above or below one of these places."""
        if found.kind in _ORDERS:
            return False
        below = any(outer in self.own for outer in _above(found.at))
        return below if "[+" in found.at else below or found.at in self.own or found.at in self.above

    def touch_only_below(self, found: Difference) -> bool:
        """Whether all that differs around a difference stands below it."""
        return found.at in self.above and found.at not in self.own and not any(outer in self.own for outer in _above(found.at))


def _above(place: str) -> list[str]:
    """Every place that *place* stands below."""
    outer = [place[:end] for end, sign in enumerate(place) if sign in ".[" and end]
    return [*outer, "body"] if place.startswith("$") else outer
