"""
Which item of one list is like which of another, where their ids are unknown and they do not say the same.

Two daemons may tell of one thing with other members, other authors, other orders. What they agree on still tells: of the members that both
have (spelt in snake or camel case) and that are not the same for all, most must be equal, and each of the two must be the other's best match,
with no second as good. So nothing is paired by chance, and what is paired so is only likely.
"""

from collections.abc import Callable, Sequence
from typing import Final

from replay.content import Number, Value, dump
from replay.identity.roles import is_duration_key

type Features = dict[str, str]

_PAIRS_MAX: Final = 2500
_FEATURES_MAX: Final = 60
_DEPTH_MAX: Final = 3
_LIKE_ENOUGH: Final = 0.5
_TELLING_LENGTH: Final = 4
"""Shorter texts, flags and numbers may be equal by chance."""
_NUMBER: Final = "\0"


def pair_alike(left: Sequence[Value], right: Sequence[Value], blank: Callable[[str], str]) -> list[tuple[int, int]]:
    """Pair the objects of two lists by likeness; *blank* takes ids and times out of texts. Nothing where there are too many to try all."""
    if not left or not right or len(left) * len(right) > _PAIRS_MAX:
        return []
    ones, twos = ([_features(item, blank) for item in items] for items in (left, right))
    everything = [item for item in (*ones, *twos) if item]
    if len(everything) > 2:
        first, *rest = everything
        common = {path for path, said in first.items() if all(other.get(path) == said for other in rest)}
        ones, twos = ([{path: said for path, said in item.items() if path not in common} for item in items] for items in (ones, twos))
    scores = [[_score(one, two) for two in twos] for one in ones]
    best_of_left = [_best(row) for row in scores]
    best_of_right = [_best([row[index] for row in scores]) for index in range(len(twos))]
    return [(one, two) for one, two in enumerate(best_of_left) if two is not None and best_of_right[two] == one]


def _best(scores: Sequence[float]) -> int | None:
    """Give the place of the highest score, where it is enough and no other equals it."""
    high = max(scores)
    return scores.index(high) if high >= _LIKE_ENOUGH and scores.count(high) == 1 else None


def _score(one: Features, two: Features) -> float:
    both = one.keys() & two.keys()
    equal = [path for path in both if one[path] == two[path]]
    return len(equal) / len(both) if any(len(one[path]) >= _TELLING_LENGTH and not one[path].startswith(_NUMBER) for path in equal) else 0.0


def _features(item: Value, blank: Callable[[str], str]) -> Features:
    found: Features = {}
    todo: list[tuple[str, Value, int]] = [("", item, 0)] if isinstance(item, dict) else []
    while todo and len(found) < _FEATURES_MAX:
        path, value, depth = todo.pop()
        match value:
            case dict() if depth < _DEPTH_MAX:
                todo.extend(
                    (f"{path}.{key.replace('_', '').lower()}", below, depth + 1) for key, below in value.items() if not is_duration_key(key)
                )
            case str():
                said = blank(value)
                if said == value or not said.startswith("<") or not said.endswith(">"):
                    found[path] = said
            case Number() | bool():
                found[path] = f"{_NUMBER}{dump(value)}"
            case _:
                pass
    return found
