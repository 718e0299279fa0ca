"""
Exact chances for few samples: nothing here assumes a shape of durations, draws at random, or needs many of them.

The interval of a median is the one that order statistics give (the inverted sign test): it holds for any distribution, however heavy its tails,
needs no resampling and so no seed, and is honest about few samples: of five there is no interval. A bootstrap of a few heavy-tailed values
is far too narrow, and the signed-rank interval supposes symmetry, which ratios of durations do not have. Ties only widen it.
"""

from collections.abc import Sequence
from math import comb, exp, lgamma
from statistics import median


def median_interval(values: Sequence[float], miss: float) -> tuple[float, float] | None:
    """Give an interval that misses the true median with a chance of at most *miss*; None where there are too few values for one."""
    count = len(values)
    left, place = 0.0, 0
    whole = 2.0**count if count < 1000 else float("inf")
    if count >= 1000:
        # a normal tail is exact enough for so many, and a whole below it
        place = int(count / 2 - _deviations(miss) * count**0.5 / 2 - 1)
    else:
        while place < count // 2 and 2.0 * (left + comb(count, place)) / whole <= miss:
            left += comb(count, place)
            place += 1
    if place < 1:
        return None
    ordered = sorted(values)
    return ordered[place - 1], ordered[count - place]


def chance_of_as_many(events: int, trials: int, *, before: tuple[float, float]) -> float:
    """
    Say how likely at least *events* in *trials* are for whom *before* (events, non-events, both above 0) is known.

    The rate itself is taken as uncertain (a beta-binomial), so that little knowledge leaves much room for chance.
    """
    first, second = before
    return min(1.0, sum(_one(count, trials, first, second) for count in range(events, trials + 1)))


def admitted(chances: Sequence[float], level: float) -> list[bool]:
    """Say which of several findings stand when all together may be false with a chance of at most *level* (Holm)."""
    told = [False] * len(chances)
    order = sorted(range(len(chances)), key=lambda place: chances[place])
    for rank, place in enumerate(order):
        if chances[place] > level / (len(chances) - rank):
            break
        told[place] = True
    return told


def percentile(ordered: Sequence[float], share: float) -> float:
    """Give the value of a sorted, non-empty sequence below or at which *share* of it lie: one that was measured (nearest rank)."""
    place = -int(-share * len(ordered) // 1) - 1
    return ordered[min(max(place, 0), len(ordered) - 1)]


def middle(values: Sequence[float]) -> float:
    """Give the median; 0 of nothing."""
    return median(values) if values else 0.0


def _one(count: int, trials: int, first: float, second: float) -> float:
    told = lgamma(trials + 1) - lgamma(count + 1) - lgamma(trials - count + 1)
    told += lgamma(count + first) + lgamma(trials - count + second) - lgamma(trials + first + second)
    return exp(told + lgamma(first + second) - lgamma(first) - lgamma(second))


def _deviations(miss: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf(1.0 - miss / 2.0)
