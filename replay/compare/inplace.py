"""Pair the items of two lists that nothing else pairs, where both stand between the same neighbours and hardly anything changed."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from replay.compare.blinding import blind_text
from replay.content import Pairing, Value

_PARTS_MAX: Final = 500
"""Parts of two items that are looked at to see whether a single one changed."""

type _Translate = Callable[[str], str | None]
type _Sides = tuple[Sequence[Value], Sequence[Value]]
type _Free = tuple[Sequence[int], Sequence[int]]
"""The indices of the items on both sides that are alone."""


def pair_in_place(sides: _Sides, free: _Free, pairs: Sequence[Pairing], observed_for: _Translate) -> list[tuple[int, int]]:
    """
    Pair those that stand between the same neighbours, in their order, where both sides have equally many there.

    A leaf may have become anything, and anything a leaf; of objects and lists only one leaf may be another, or they are strangers.
    """
    gaps: dict[int, tuple[list[int], list[int]]] = {}
    for side, before in enumerate(_neighbours(sides, pairs)):
        for number in free[side]:
            gaps.setdefault(before[number], ([], []))[side].append(number)
    return [
        (one, two)
        for left, right in gaps.values()
        if len(left) == len(right)
        for one, two in zip(left, right, strict=True)
        if _may_be(sides[0][one], sides[1][two], observed_for)
    ]


def _neighbours(sides: _Sides, pairs: Sequence[Pairing]) -> Iterator[dict[int, int]]:
    """Give for each item that is alone the last pair before it, by that pair's index on the right."""
    for side in (0, 1):
        partner = {pair.right if side else pair.left: pair.right for pair in pairs}
        before: dict[int, int] = {}
        last = -1
        for number in range(len(sides[side])):
            if number in partner:
                last = partner[number]
            else:
                before[number] = last
        yield before


def _may_be(one: Value, two: Value, observed_for: _Translate) -> bool:
    if not (isinstance(one, dict | list) and one and isinstance(two, dict | list) and two):
        return True
    return type(one) is type(two) and _changes(one, two, observed_for) <= 1


def _changes(one: Value, two: Value, observed_for: _Translate) -> int:
    """Count the leaves and parts in which two items differ, up to two, in as many parts as are looked at."""
    found = seen = 0
    stack: list[tuple[Value, Value]] = [(one, two)]
    while stack and found <= 1 and seen < _PARTS_MAX:
        left, right = stack.pop()
        seen += 1
        if isinstance(left, dict) and isinstance(right, dict) and left and right:
            found += len(left.keys() ^ right.keys())
            stack.extend((left[key], right[key]) for key in left if key in right)
        elif isinstance(left, list) and isinstance(right, list) and left and right:
            found += abs(len(left) - len(right))
            stack.extend(zip(left, right, strict=False))
        elif not _alike(left, right, observed_for):
            found += 1
    return found


def _alike(one: Value, two: Value, observed_for: _Translate) -> bool:
    if not isinstance(one, str) or not isinstance(two, str):
        return type(one) is type(two) and one == two
    known = observed_for(one)
    return known == two if known is not None else one == two or ("<time>" in (blank := blind_text(one)) and blank == blind_text(two))
