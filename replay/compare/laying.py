"""
Which part of an ordered sequence stands for which on the other side: stayed, moved, changed, missing or more.

How this works
--------------
Parts that say the same are paired without crossing: they *stayed*. Of what is left, a part that says the same elsewhere *moved*; parts of one
type between the same neighbours *changed*; the only part of a name on either side moved and changed. What then remains is on one side alone.
"""

from bisect import bisect_left
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from replay.content import match_in_order


@dataclass(frozen=True, slots=True)
class Sequences:
    """Two sequences, by what tells their parts apart."""

    left: Sequence[Hashable]
    """What each part says, but for what changes from run to run by nature."""
    right: Sequence[Hashable]
    left_type: Callable[[int], Hashable]
    """What sort of part stands at an index."""
    right_type: Callable[[int], Hashable]
    left_name: Callable[[int], str]
    """What a part is called; empty where that is nothing of its own."""
    right_name: Callable[[int], str]


@dataclass(frozen=True, slots=True)
class Laid:
    """Two sequences beside each other: pairs of (index on the left, index on the right), and what has no partner."""

    stayed: list[tuple[int, int]]
    moved: list[tuple[int, int]]
    changed: list[tuple[int, int]]
    left_only: list[int]
    right_only: list[int]


def lay(of: Sequences) -> Laid:
    """Lay two sequences beside each other."""
    stayed = match_in_order(of.left, of.right)
    left, right = _without(range(len(of.left)), stayed, 0), _without(range(len(of.right)), stayed, 1)
    waiting: defaultdict[Hashable, deque[int]] = defaultdict(deque)
    for index in right:
        waiting[of.right[index]].append(index)
    moved = [(index, waiting[of.left[index]].popleft()) for index in left if waiting.get(of.left[index])]
    left, right = _without(left, moved, 0), _without(right, moved, 1)
    changed = _between(of, stayed, left, right) if left and right else []
    left, right = _without(left, changed, 0), _without(right, changed, 1)
    elsewhere = _by_name(of, left, right) if left and right else []
    return Laid(stayed, moved + elsewhere, changed, _without(left, elsewhere, 0), _without(right, elsewhere, 1))


def _without(indices: Sequence[int], pairs: list[tuple[int, int]], side: int) -> list[int]:
    taken = {pair[side] for pair in pairs}
    return [index for index in indices if index not in taken]


def _between(of: Sequences, stayed: list[tuple[int, int]], left: list[int], right: list[int]) -> list[tuple[int, int]]:
    """Pair parts of one type between the same neighbours, in order."""
    changed: list[tuple[int, int]] = []
    for first, second in pairwise([(-1, -1), *stayed, (len(of.left), len(of.right))]):
        if second[0] - first[0] == 1 or second[1] - first[1] == 1:
            continue
        lefts = left[bisect_left(left, first[0] + 1) : bisect_left(left, second[0])]
        rights = right[bisect_left(right, first[1] + 1) : bisect_left(right, second[1])]
        if lefts and rights:
            pairs = match_in_order([of.left_type(n) for n in lefts], [of.right_type(n) for n in rights])
            changed.extend((lefts[one], rights[two]) for one, two in pairs)
    return changed


def _by_name(of: Sequences, left: list[int], right: list[int]) -> list[tuple[int, int]]:
    """Pair the only part of a name that is left on one side with the only one on the other."""
    names, others = {n: of.left_name(n) for n in left}, {of.right_name(n): n for n in right}
    many, more = Counter(names.values()), Counter(of.right_name(n) for n in right)
    return [(n, others[name]) for n, name in names.items() if name and many[name] == more[name] == 1]
