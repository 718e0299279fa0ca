"""
Hear the control: who of recorded (R), control (C) and observed (O) agrees at the place of a difference.

The control is compared with the recording like the candidate is. A difference of the candidate whose place is untouched in the control is the
candidate's own (C = R ≠ O). Where the control differs at the very same place to the very same value, it is the replay's doing (O = C ≠ R).
Where it differs otherwise there, or somewhere above or below, all three differ. Differences of the control alone are the primary's noise.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from replay.compare.blinding import blind
from replay.compare.difference import ABSENT, Difference
from replay.content import Value
from replay.model import Absent, Witness


@dataclass(frozen=True, slots=True)
class Heard:
    """A difference with what the control says of its place."""

    difference: Difference
    witness: Witness
    control: Value | Absent
    """What the control has there; the recorded value where it agrees with the recording."""


def hear(candidate: Sequence[Difference], control: Sequence[Difference] | None) -> list[Heard]:
    """Give each difference of the candidate its witness; without a control all are unconfirmed."""
    if control is None:
        return [Heard(found, Witness.UNCONFIRMED, ABSENT) for found in candidate]
    exact: dict[tuple[str, str], list[Difference]] = {}
    for found in control:
        exact.setdefault(_place(found), []).append(found)
    places = [found.at for found in control]
    heard = []
    for found in candidate:
        twins = exact.get(_place(found), [])
        same = next((twin for twin in twins if _equal(found.observed, twin.observed)), None)
        if same is not None:
            heard.append(Heard(found, Witness.INFIDELITY, same.observed))
        elif twins:
            heard.append(Heard(found, Witness.ALL_DIFFER, twins[0].observed))
        elif _touched(found, places):
            heard.append(Heard(found, Witness.ALL_DIFFER, ABSENT))
        else:
            heard.append(Heard(found, Witness.CANDIDATE, found.recorded))
    return heard


def alone(candidate: Iterable[Difference], control: Iterable[Difference]) -> list[Difference]:
    """List the control's differences at whose place the candidate agrees with the recording."""
    places = [found.at for found in candidate]
    return [found for found in control if not _touched(found, places)]


def _place(found: Difference) -> tuple[str, str]:
    if "[+" in found.at:
        # What only one side has stands at that side's own index, so the value says which item it is.
        return found.kind, f"{found.path} {blind(found.observed) if not isinstance(found.observed, Absent) else ''}"
    return found.kind, found.at


def _equal(one: Value | Absent, two: Value | Absent) -> bool:
    if isinstance(one, Absent) or isinstance(two, Absent):
        return one is two
    return blind(one) == blind(two)


def _touched(found: Difference, places: Iterable[str]) -> bool:
    """Whether a difference stands at, above or below one of *places*."""
    here = found.at
    return any(here == place or _below(here, place) or _below(place, here) for place in places)


def _below(inner: str, outer: str) -> bool:
    if outer == "body":
        return inner.startswith("$")
    return inner.startswith(outer) and inner[len(outer) : len(outer) + 1] in {".", "["}
