"""
Pair the items of two lists by keys.

Equal keys pair up, in order; a key that occurs more than once on a side makes its pairs *weak*: they may stand for each other.
What is left on both sides stays unpaired. Positions never pair items by themselves: order is a finding of its own.
"""

from collections import defaultdict, deque
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
    places: defaultdict[Hashable, deque[int]] = defaultdict(deque)
    for index, key in enumerate(right):
        places[key].append(index)
    repeated_right = {key for key, indices in places.items() if len(indices) > 1}
    seen: set[Hashable] = set()
    repeated_left: set[Hashable] = set()
    for key in left:
        (repeated_left if key in seen else seen).add(key)
    pairs: list[Pairing] = []
    left_only: list[int] = []
    for index, key in enumerate(left):
        waiting = places.get(key)
        if waiting:
            pairs.append(Pairing(index, waiting.popleft(), weak=key in repeated_left or key in repeated_right))
        else:
            left_only.append(index)
    right_only = sorted(index for indices in places.values() for index in indices)
    return Alignment(tuple(pairs), tuple(left_only), tuple(right_only))
