"""
Lists of numbers, compared element by element: an embedding, a row of counts.

A long one is one thing: all elements that differ in one way are one difference, at the element that is furthest off. Of two long ones of
different lengths that alone is said, for no element stands for another.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Final

from replay.compare.difference import Difference
from replay.compare.leaves import relate
from replay.compare.state import Place, Scene
from replay.content import Number, Value
from replay.model import DifferenceClass

_VECTOR_ITEMS_MIN: Final = 16
"""From this length on a list of numbers is one thing."""


def is_vector(recorded: Sequence[Value], observed: Sequence[Value]) -> bool:
    """Whether two lists hold numbers by place: as many on both sides and not the same ones in another order, or two long rows of fractions."""
    if not _numbers(recorded) or not _numbers(observed):
        return False
    if len(recorded) == len(observed):
        return _sorted(recorded) != _sorted(observed)
    long = min(len(recorded), len(observed)) >= _VECTOR_ITEMS_MIN
    return long and all(any("." in _text(item) for item in side) for side in (recorded, observed))


def compare_numbers(recorded: Sequence[Value], observed: Sequence[Value], scene: Scene, place: Place) -> Iterator[Difference]:
    """Yield how two vectors differ; in a long one, once for each way in which elements do."""
    if len(recorded) != len(observed):
        yield Difference(
            DifferenceClass.STRUCTURAL, "type", place.path, place.at, list(recorded), list(observed), "vector → vector of another length"
        )
        return
    skeleton = f"{place.path}[*]"
    furthest: dict[tuple[str, str, str], tuple[float, Difference]] = {}
    for index, (one, two) in enumerate(zip(recorded, observed, strict=True)):
        assert isinstance(one, Number)
        assert isinstance(two, Number)
        if one.text == two.text:
            continue
        at = f"{place.at}[{index}]"
        for found in relate(one, two, scene, Place(at, skeleton, place.key)):
            difference = Difference(found.difference, found.kind, skeleton, at, one, two, found.transition, found.quirk, found.ids)
            if len(recorded) < _VECTOR_ITEMS_MIN:
                yield difference
                continue
            way, distance = (found.kind, found.transition, found.quirk), _distance(one, two)
            if way not in furthest or distance > furthest[way][0]:
                furthest[way] = distance, difference
    for _, difference in furthest.values():
        yield difference


def _numbers(items: Sequence[Value]) -> bool:
    return bool(items) and all(isinstance(item, Number) for item in items)


def _sorted(items: Sequence[Value]) -> list[str]:
    return sorted(map(_text, items))


def _text(item: Value) -> str:
    assert isinstance(item, Number)
    return item.text


def _distance(one: Number, two: Number) -> float:
    left, right = one.value, two.value
    try:
        distance = abs(float(left) - float(right))
    except OverflowError:
        return math.inf
    return math.inf if math.isnan(distance) else distance
