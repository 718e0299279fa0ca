"""
Whether what the candidate and the control say at one place is the same, though they said it in two replays.

Times agree where both are as far from their own exchange; ids where both stand for the same recorded one, or both for none. Everything else
must be the same but for the ids, times and measured numbers inside it.
"""

from collections.abc import Callable
from typing import Final

from replay.compare.blinding import blind, epoch, role_of
from replay.compare.state import Side
from replay.content import Number, Value
from replay.identity import ID_KINDS, TIME_KINDS, Role
from replay.model import Exchange

_SLACK_S: Final = 5.0
_COARSE_S: Final = 60.0
_DAY_S: Final = 86_400.0


def agreement(observed: Exchange, control: Exchange, candidate_side: Side, control_side: Side) -> Callable[[Value, Value], bool]:
    """Give the judge of one pair of answers: (observed value, control value) → whether they agree."""

    def agree(one: Value, two: Value) -> bool:
        if isinstance(one, str) and isinstance(two, str):
            left, right = role_of(one), role_of(two)
            if left is not None and right is not None:
                if left.kind in TIME_KINDS and right.kind in TIME_KINDS:
                    alike = left.format == right.format and _same_distance(left, observed.started_at, right, control.started_at)
                    return one == two or alike
                if left.kind in ID_KINDS and right.kind in ID_KINDS:
                    return candidate_side.bindings.recorded_for(one) == control_side.bindings.recorded_for(two)
        if isinstance(one, Number) and isinstance(two, Number):
            first, second = epoch(one.value), epoch(two.value)
            if first is not None and second is not None:
                return first[1] == second[1] and _near(first[0], observed.started_at, second[0], control.started_at, _SLACK_S)
        return blind(one) == blind(two)

    return agree


def _same_distance(one: Role, one_now: float, two: Role, two_now: float) -> bool:
    if one.seconds is None or two.seconds is None:
        # A date that no calendar has stands for no moment, so for none that another one does.
        return False
    coarse = _DAY_S if one.kind == "date" else _COARSE_S if one.format.startswith("min") else 0.0
    return _near(one.seconds, one_now, two.seconds, two_now, _SLACK_S + coarse)


def _near(one_s: float, one_now: float, two_s: float, two_now: float, slack_s: float) -> bool:
    """Whether two times are the same moment, or as far from their own exchange's now."""
    return one_s == two_s or abs((one_s - one_now) - (two_s - two_now)) <= slack_s
