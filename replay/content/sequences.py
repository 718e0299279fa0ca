"""
Lay two sequences beside each other whose order counts: events of a stream, lines of a text.

How this works
--------------
What both begin and end with is passed at once. Between, keys that occur once on each side are anchors; of these the longest run in the same
order stays, and each stretch between two anchors is treated likewise. A stretch without anchors is solved exactly (longest common subsequence)
where it is small, and greedily, each with the next that is equal, where it is not. So a million lines take no longer than sorting them.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Hashable, Sequence
from itertools import pairwise
from typing import Final

_EXACT_CELLS_MAX: Final = 250_000
"""A stretch of at most this many cells (500 by 500) is solved exactly."""

_AHEAD_MAX: Final = 1_000
"""A pair that would leave out more than this many items costs more than it tells."""


def match_in_order(left: Sequence[Hashable], right: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Pair equal items of two sequences without crossing: (index on the left, index on the right), rising on both sides."""
    found: list[tuple[int, int]] = []
    stretches = [(0, len(left), 0, len(right))]
    while stretches:
        start, end, begin, until = stretches.pop()
        while start < end and begin < until and left[start] == right[begin]:
            found.append((start, begin))
            start, begin = start + 1, begin + 1
        while start < end and begin < until and left[end - 1] == right[until - 1]:
            end, until = end - 1, until - 1
            found.append((end, until))
        if start == end or begin == until:
            continue
        anchors = _anchors(left, right, (start, end, begin, until))
        if anchors:
            found.extend(anchors)
            edges = [(start - 1, begin - 1), *anchors, (end, until)]
            stretches.extend((one[0] + 1, two[0], one[1] + 1, two[1]) for one, two in pairwise(edges))
        elif (end - start) * (until - begin) <= _EXACT_CELLS_MAX:
            found.extend(_longest(left, right, (start, end, begin, until)))
        else:
            found.extend(_greedy(left, right, (start, end, begin, until)))
    found.sort()
    return found


type _Stretch = tuple[int, int, int, int]


def _anchors(left: Sequence[Hashable], right: Sequence[Hashable], stretch: _Stretch) -> list[tuple[int, int]]:
    """The longest run of pairs, rising on both sides, of keys that occur once on each."""
    start, end, begin, until = stretch
    one, two = _single(left, start, end), _single(right, begin, until)
    pairs = [(index, two[key]) for key, index in one.items() if key in two]
    tails: list[int] = []
    at: list[int] = []
    before: list[int] = []
    for position, (_, index) in enumerate(pairs):
        length = bisect_left(tails, index)
        before.append(at[length - 1] if length else -1)
        if length == len(tails):
            tails.append(index)
            at.append(position)
        else:
            tails[length], at[length] = index, position
    chain: list[tuple[int, int]] = []
    position = at[-1] if at else -1
    while position >= 0:
        chain.append(pairs[position])
        position = before[position]
    chain.reverse()
    return chain


def _single(items: Sequence[Hashable], start: int, end: int) -> dict[Hashable, int]:
    """Where each key stands that occurs once, in order."""
    places: dict[Hashable, int] = {}
    repeated: set[Hashable] = set()
    for index in range(start, end):
        key = items[index]
        if key in places:
            repeated.add(key)
        else:
            places[key] = index
    for key in repeated:
        del places[key]
    return places


def _longest(left: Sequence[Hashable], right: Sequence[Hashable], stretch: _Stretch) -> list[tuple[int, int]]:
    start, end, begin, until = stretch
    rows = [[0] * (until - begin + 1)]
    for index in range(end - 1, start - 1, -1):
        below, row, key = rows[-1], [0] * (until - begin + 1), left[index]
        for other in range(until - begin - 1, -1, -1):
            row[other] = below[other + 1] + 1 if key == right[begin + other] else max(below[other], row[other + 1])
        rows.append(row)
    rows.reverse()
    found: list[tuple[int, int]] = []
    index, other = 0, 0
    while index < end - start and other < until - begin:
        if left[start + index] == right[begin + other]:
            found.append((start + index, begin + other))
            index, other = index + 1, other + 1
        elif rows[index + 1][other] >= rows[index][other + 1]:
            index += 1
        else:
            other += 1
    return found


def _greedy(left: Sequence[Hashable], right: Sequence[Hashable], stretch: _Stretch) -> list[tuple[int, int]]:
    start, end, begin, until = stretch
    places: defaultdict[Hashable, list[int]] = defaultdict(list)
    for index in range(begin, until):
        places[right[index]].append(index)
    found: list[tuple[int, int]] = []
    free = begin
    for index in range(start, end):
        waiting = places.get(left[index])
        if waiting is None:
            continue
        spot = bisect_left(waiting, free)
        if spot < len(waiting) and waiting[spot] - free <= _AHEAD_MAX:
            found.append((index, waiting[spot]))
            free = waiting[spot] + 1
    return found
