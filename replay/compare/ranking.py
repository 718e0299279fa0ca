"""
The order of aligned items, where order says something and where it is the product.

A list is *ranked* where its route gives the best first (recall, search), or where its items carry a score, or a rank, that only falls, or
rises, along the list. There another order is a `rank` difference, told with how far each item went; elsewhere it is `order`. It is one
difference a list, about the items that both sides have: who is missing or more is said of each by itself.
Items of equal score, on both sides, may stand in any order among themselves: that is counted, and no difference. So is an order that follows
from the items' own times (`chronology`).
"""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from replay.compare.chronology import follows_times
from replay.compare.difference import Difference
from replay.compare.naming import sketch
from replay.compare.state import Place, Scene
from replay.content import Alignment, Number, Value
from replay.model import DifferenceClass

_RANKING_ROUTES: Final = ("recall", "search", "similar")
_SCORES: Final = ("score", "similarity", "relevance", "rank", "distance")
_MOVES_MAX: Final = 50
"""Items whose way is told; of more the number."""


def is_ranked(items: Sequence[Value], route: str, path: str) -> bool:
    """Whether a list gives the best first: by its route or path, or by a score in its items that only falls, or rises."""
    if len(items) < 2 or not isinstance(items[0], dict):
        return False
    outermost = "[" not in path
    if outermost and any(word in route or word in path for word in _RANKING_ROUTES):
        return True
    name = _score_name(items)
    if name is None:
        return False
    scores = [_score(item, name) for item in items]
    return all(one >= two for one, two in pairwise(scores)) or all(one <= two for one, two in pairwise(scores))


def order_difference(
    recorded: Sequence[Value], observed: Sequence[Value], alignment: Alignment, scene: Scene, place: Place, *, ranked: bool
) -> Iterator[Difference]:
    """Yield the one difference of two lists whose common items stand in another order."""
    if not alignment.moved:
        return
    name = _score_name([recorded[pair.left] for pair in alignment.pairs]) if ranked else None
    if name is not None and _only_ties(recorded, observed, alignment, name):
        scene.tolerate("items of equal score in another order", place.path)
        return
    if not ranked and follows_times(recorded, observed, alignment):
        scene.tolerate("items in the order of their own times", place.path)
        return
    there = sorted(alignment.pairs, key=lambda pair: pair.right)
    left: list[Value] = [sketch(recorded[pair.left]) for pair in alignment.pairs]
    right: list[Value] = [sketch(observed[pair.right]) for pair in there]
    if not ranked:
        yield Difference(DifferenceClass.SEMANTIC, "order", place.path, place.at, left, right, "order")
        return
    ranks = {pair.left: rank for rank, pair in enumerate(alignment.pairs, 1)}
    ways: list[Value] = [
        f"{rank} (was {ranks[pair.left]}): {said if isinstance(said, str) else _plain(said)}"
        for rank, (pair, said) in enumerate(zip(there, right, strict=True), 1)
        if rank != ranks[pair.left]
    ]
    told = [*ways[:_MOVES_MAX], *([f"… and {len(ways) - _MOVES_MAX} more"] if len(ways) > _MOVES_MAX else [])]
    transition = "another first" if there[0] is not alignment.pairs[0] else "another order below the first"
    yield Difference(DifferenceClass.SEMANTIC, "rank", place.path, place.at, left, told, transition)


def _plain(value: Value) -> str:
    return value.text if isinstance(value, Number) else str(value)


def _only_ties(recorded: Sequence[Value], observed: Sequence[Value], alignment: Alignment, name: str) -> bool:
    """Whether only items of equal score, here and there, changed places among themselves."""
    pairs = sorted(alignment.pairs, key=lambda pair: pair.right)
    groups: dict[int, int] = {}
    group = 0
    for before, pair in zip((None, *alignment.pairs), alignment.pairs, strict=False):
        if before is not None and _score(recorded[before.left], name) != _score(recorded[pair.left], name):
            group += 1
        groups[pair.left] = group
    for one, two in pairwise(pairs):
        if groups[one.left] > groups[two.left]:
            return False
        if groups[one.left] == groups[two.left] and _score(observed[one.right], name) != _score(observed[two.right], name):
            return False
    return True


def _score_name(items: Sequence[Value]) -> str | None:
    """Give the member that all items carry as a score."""
    first = items[0] if items else None
    if not isinstance(first, dict):
        return None
    for name in first:
        if name.lower().endswith(_SCORES) and all(isinstance(item, dict) and isinstance(item.get(name), Number) for item in items):
            return name
    return None


def _score(item: Value, name: str) -> float:
    value = item.get(name) if isinstance(item, dict) else None
    if not isinstance(value, Number):
        return math.nan
    try:
        return float(value.value)
    except OverflowError:
        return math.inf
