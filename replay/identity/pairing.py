"""
Which item of a recorded list stands for which of an observed one.

Order and membership differ from run to run, so position proves nothing. Items are paired by what they say with ids and times blanked, in passes
from strict to lenient: items whose own id is firmly bound, items whose whole content is the same, items that are the same but for numbers, items
of unknown id with the same name or text. What comes after is only likely: ids bound by order, names that are the same but for numbers, and items
that are more like each other than like any other (`likeness`). Where several items say the same, they are paired in order if both sides have
equally many, and that is only likely, too.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from typing import Final

from replay.content import Value
from replay.identity.blanking import Blanks, own_id
from replay.identity.likeness import pair_alike

type Paired = tuple[int, int, bool]
"""Index on the left, index on the right, and whether the two are only likely to be one thing."""

type _Name = tuple[frozenset[str], tuple[tuple[str, str], ...]]
"""An item's members, and what those say by which it goes."""

_DIGITS: Final = re.compile(r"[0-9]+")
_NAMES: Final = ("content", "name", "title", "path", "key", "label", "sessionKey", "session_key", "description", "query", "type")


class Pairing:
    """Pairs the lists of one pair of answers."""

    def __init__(self, blanks: Blanks) -> None:
        self._blanks = blanks
        self._bindings = blanks.bindings
        self._chosen = blanks.chosen

    def items(self, left: list[Value], right: list[Value]) -> list[Paired]:
        """Pair the items of two lists; those of numbers alone, which hold nothing to be paired, give none."""
        if len(left) == len(right) == 1 and self._may_be_one(left[0], right[0]):
            return [(0, 0, False)]  # what is in them decides, and is read but once
        if not any(isinstance(item, str | list | dict) for item in left):
            return []
        rest_left, rest_right = list(range(len(left))), list(range(len(right)))
        pairs: list[Paired] = []
        passes: tuple[tuple[Callable[[Value], Hashable], Callable[[Value], Hashable], bool], ...] = (
            (self._own_id_left, own_id, False),
            (lambda item: self._blanks.canon(item, back=False), lambda item: self._blanks.canon(item, back=True), False),
            (
                lambda item: self._blanks.canon(item, back=False, numbers=False),
                lambda item: self._blanks.canon(item, back=True, numbers=False),
                False,
            ),
            (self._name_left, self._name_right, False),
            (self._likely_id_left, own_id, True),
            (lambda item: _numberless(self._name_left(item)), lambda item: _numberless(self._name_right(item)), True),
        )
        for key_left, key_right, likely in passes:
            if not rest_left or not rest_right:
                break
            found = pair_by_key([left[index] for index in rest_left], [right[index] for index in rest_right], key_left, key_right)
            pairs.extend((rest_left[one], rest_right[two], loose or likely) for one, two, loose in found)
            done_left = {rest_left[one] for one, _, _ in found}
            done_right = {rest_right[two] for _, two, _ in found}
            rest_left = [index for index in rest_left if index not in done_left]
            rest_right = [index for index in rest_right if index not in done_right]
        alike = [index for index in rest_left if self._own_id_left(left[index]) is None]
        others = [index for index in rest_right if self._name_is_free(right[index])]
        found_alike = pair_alike([left[index] for index in alike], [right[index] for index in others], self._blanks.blank)
        pairs.extend((alike[one], others[two], True) for one, two in found_alike)
        done_left, done_right = {alike[one] for one, _ in found_alike}, {others[two] for _, two in found_alike}
        rest_left = [index for index in rest_left if index not in done_left]
        rest_right = [index for index in rest_right if index not in done_right]
        if len(rest_left) == len(rest_right) == 1:
            last_left, last_right = left[rest_left[0]], right[rest_right[0]]
            if self._name(last_left) is None and _same_shape(last_left, last_right):
                pairs.append((rest_left[0], rest_right[0], True))
        return pairs

    def _may_be_one(self, left: Value, right: Value) -> bool:
        """Whether the only items of two lists are of one kind, and nothing that they go by says that they are two things."""
        if isinstance(left, dict) and isinstance(right, dict):
            name = self._name(left)
            return own_id(left) is None and own_id(right) is None and name is not None and name == self._name(right)
        return type(left) is type(right) and isinstance(left, str | list)

    def _own_id_left(self, item: Value) -> Hashable:
        own = own_id(item)
        return None if own is None else self._bindings.firm_for(own) or (own if own in self._chosen else None)

    def _likely_id_left(self, item: Value) -> Hashable:
        own = own_id(item)
        return None if own is None else self._bindings.observed_for(own)

    def _name_left(self, item: Value) -> _Name | None:
        return None if self._own_id_left(item) is not None else self._name(item)

    def _name_right(self, item: Value) -> _Name | None:
        return self._name(item) if self._name_is_free(item) else None

    def _name_is_free(self, item: Value) -> bool:
        """Whether an observed item's own id stands for no recorded one yet."""
        own = own_id(item)
        return own is None or (own not in self._chosen and self._bindings.firm_back(own) is None)

    def _name(self, item: Value) -> _Name | None:
        if not isinstance(item, dict):
            return None
        said = tuple((key, self._blanks.blank(text)) for key in _NAMES if isinstance(text := item.get(key), str))
        return (frozenset(item), said) if said else None


def pair_by_key[T](left: Sequence[T], right: Sequence[T], key_left: Callable[[T], Hashable], key_right: Callable[[T], Hashable]) -> list[Paired]:
    """Pair by key, in order, where both sides have equally many of a key; None is no key."""
    groups: defaultdict[Hashable, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for index, item in enumerate(left):
        groups[key_left(item)][0].append(index)
    for index, item in enumerate(right):
        groups[key_right(item)][1].append(index)
    return [
        (one, two, len(ones) > 1)
        for key, (ones, twos) in groups.items()
        if key is not None and len(ones) == len(twos)
        for one, two in zip(ones, twos, strict=True)
    ]


def _numberless(name: _Name | None) -> Hashable:
    return None if name is None else (name[0], tuple((key, _DIGITS.sub("0", text)) for key, text in name[1]))


def _same_shape(left: Value, right: Value) -> bool:
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys()
    return type(left) is type(right)
