"""
Pair the items of two lists by keys.

Equal keys pair up, those at the same index first, then in order; a key that occurs more than once on a side makes its pairs *weak*: they may
stand for each other. What is left on both sides stays unpaired. Positions never pair items by themselves: order is a finding of its own.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pairing:
    """The item at `left` in one list stands for the item at `right` in the other."""

    left: int
    right: int
    weak: bool = False
    """Another item has the same key, so the pair rests on order alone."""
    equal: bool = False
    """Both items are known to be the same in every part."""


@dataclass(frozen=True, slots=True)
class Alignment:
    """How two lists lie beside each other."""

    pairs: tuple[Pairing, ...]
    """In the left list's order."""
    left_only: tuple[int, ...]
    right_only: tuple[int, ...]

    @property
    def moved(self) -> bool:
        """Whether the paired items stand in another order on the right."""
        return any(one.right > two.right for one, two in zip(self.pairs, self.pairs[1:], strict=False))


def align(left: Sequence[Hashable], right: Sequence[Hashable]) -> Alignment:
    """Pair the items of two lists, given the key of each item."""
    repeated = {key for side in (left, right) for key, count in Counter(side).items() if count > 1}
    # Of several that are alike, those at the same index first: whatever else happened, they did not move.
    same = {index for index, (one, two) in enumerate(zip(left, right, strict=False)) if one == two and one in repeated} if repeated else set()
    places: defaultdict[Hashable, deque[int]] = defaultdict(deque)
    for index, key in enumerate(right):
        if index not in same:
            places[key].append(index)
    pairs: list[Pairing] = []
    left_only: list[int] = []
    for index, key in enumerate(left):
        if index in same:
            pairs.append(Pairing(index, index, weak=True))
        elif waiting := places.get(key):
            pairs.append(Pairing(index, waiting.popleft(), weak=key in repeated))
        else:
            left_only.append(index)
    right_only = sorted(index for indices in places.values() for index in indices)
    return Alignment(tuple(pairs), tuple(left_only), tuple(right_only))
