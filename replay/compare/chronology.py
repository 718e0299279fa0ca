"""
Lists in the order of their items' own times.

A list of events, logs or rows is sorted by a time of each item. Two things that happened at once in one run may have happened one after the
other in the next, and then stand the other way round: that follows from their times, each of which is held against the runs' clock by itself.
So such an order is no difference where it is proved: one time member that all items on both sides have only falls (or only rises) along both
lists, and wherever two items changed places their times differ on one side at least. A list that was shuffled, or whose ties changed places
with nothing to show for it, still differs.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from replay.compare.blinding import epoch, names_time, role_of
from replay.content import Alignment, Number, Value
from replay.identity import TIME_KINDS

_ITEMS_MIN: Final = 2


def follows_times(recorded: Sequence[Value], observed: Sequence[Value], alignment: Alignment) -> bool:
    """Whether the order of both lists is that of their items' own times, so that another order follows from other times."""
    first = recorded[0] if recorded else None
    if not isinstance(first, dict) or len(alignment.pairs) < _ITEMS_MIN:
        return False
    for name, value in first.items():
        if _moment(name, value) is None:
            continue
        left, right = _moments(recorded, name), _moments(observed, name)
        if left and right and _sorted_alike(left, right) and _explained(alignment, left, right):
            return True
    return False


def _moments(items: Sequence[Value], name: str) -> list[float]:
    """All items' times of this name; empty where one has none."""
    found = [_moment(name, item.get(name)) if isinstance(item, dict) else None for item in items]
    known = [moment for moment in found if moment is not None]
    return known if len(known) == len(found) else []


def _moment(name: str, value: Value) -> float | None:
    if isinstance(value, str):
        role = role_of(value)
        return role.seconds if role is not None and role.kind in TIME_KINDS else None
    if isinstance(value, Number) and names_time(name):
        found = epoch(value.value)
        return None if found is None else found[0]
    return None


def _sorted_alike(left: Sequence[float], right: Sequence[float]) -> bool:
    falls = all(one >= two for moments in (left, right) for one, two in pairwise(moments))
    rises = all(one <= two for moments in (left, right) for one, two in pairwise(moments))
    return falls != rises


def _explained(alignment: Alignment, left: Sequence[float], right: Sequence[float]) -> bool:
    """Whether each two neighbours that changed places have times that tell them apart, on one side at least."""
    there = sorted(alignment.pairs, key=lambda pair: pair.right)
    changed = [(one, two) for one, two in pairwise(there) if one.left > two.left]
    return all(left[one.left] != left[two.left] or right[one.right] != right[two.right] for one, two in changed)
