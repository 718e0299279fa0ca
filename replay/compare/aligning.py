"""
Which item of one list stands for which of another.

How this works
--------------
Strongest evidence first, each step asking only those that are still alone: items that are equal where they stand; an id of its own that is
firmly bound; the same id on both sides; a key that the two lists prove to be one (`proving`); equal content, with ids as they are known and then
with ids and times blanked; a number or name that only one item on each side has; two members that together are a key; an id that is bound by
order alone; and last, likeness (`likeness`) and, for the one item or text that changed where it stood, its place.

All but the last two say what an item *is*, and bind the ids found in it. Items that are alike in everything may stand for each other: their
pairs are weak, too. Two items whose own ids are known to be other things pair only where nothing but the id differs and both are alone in one
place: a wrong id. What stays alone is a missing or extra item: better two honest findings than one pair of strangers. Every item is in one pair
at most, so repeated items are counted, and no step asks all pairs.
"""

import re
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import Final

from replay.compare.blinding import blind, blind_text
from replay.compare.inplace import pair_in_place
from replay.compare.likeness import are_two_things, pair_alike
from replay.compare.naming import NAMES, content_of, holders, sketch
from replay.compare.proving import prove_keys
from replay.content import Alignment, Number, Pairing, Value, align, walk
from replay.identity import Bindings

_COUNTED: Final = re.compile(r".*?(\d{1,9})")
_COUNTED_MIN: Final = 3

type _Translate = Callable[[str], str | None]
type _Keys = Sequence[Hashable | None]


def align_items(recorded: Sequence[Value], observed: Sequence[Value], bindings: Bindings, equal: Callable[[Value, Value], bool]) -> Alignment:
    """Pair the items of two lists; pairs that rest on likeness or order alone are weak. *equal* tells whether two items are the same."""
    work = _Work(recorded, observed, bindings)
    work.trim(equal)
    if work.open:
        _take_in_step(work)
    if work.open:
        _align_leaves(work, bindings.observed_for, bindings.recorded_for)
    if work.open:
        _align_things(work, bindings)
    if work.open:
        work.pair(pair_alike(recorded, observed, (work.containers(0), work.containers(1)), bindings))
    if work.open:
        work.pair(pair_in_place(work.sides, work.free, work.pairs, bindings.observed_for))
    return work.alignment()


class _Work:
    """Two lists, what is paired so far, and who is still alone."""

    def __init__(self, recorded: Sequence[Value], observed: Sequence[Value], bindings: Bindings) -> None:
        self.sides = (recorded, observed)
        self.bindings = bindings
        self.free: tuple[list[int], list[int]] = ([], [])
        self.pairs: list[Pairing] = []

    @property
    def open(self) -> bool:
        """Whether both sides have items that are alone."""
        return bool(self.free[0] and self.free[1])

    def trim(self, equal: Callable[[Value, Value], bool]) -> None:
        """Pair items that are equal at the same index, from the front and from the back."""
        left, right = self.sides
        same = {n for n, (one, two) in enumerate(zip(left, right, strict=False)) if equal(one, two)}
        self.pairs = [Pairing(n, n, equal=True) for n in sorted(same)]
        shift = len(right) - len(left)
        back: set[int] = set()
        for n in range(len(left) - 1, -1, -1) if shift else ():
            if n in same or n + shift in same or n + shift < 0 or not equal(left[n], right[n + shift]):
                break
            back.add(n)
        self.pairs += [Pairing(n, n + shift, equal=True) for n in sorted(back)]
        self.free = (
            [n for n in range(len(left)) if n not in same and n not in back],
            [n for n in range(len(right)) if n not in same and n - shift not in back],
        )

    def containers(self, side: int) -> list[int]:
        """Give the objects and lists of a side that are alone."""
        return [n for n in self.free[side] if isinstance(self.sides[side][n], dict | list)]

    def step(self, left: Callable[[Value], Hashable | None], right: Callable[[Value], Hashable | None], *, single: bool = False) -> None:
        """Pair items with equal keys; *single*: only those that have theirs for themselves."""
        if self.open:
            one, two = self.sides
            self.take([left(one[n]) for n in self.free[0]], [right(two[n]) for n in self.free[1]], single=single)

    def take(self, left: _Keys, right: _Keys, *, single: bool = False) -> None:
        """Do as `step` with the keys of the items that are alone; None is no key."""
        if single:
            counts = Counter(left), Counter(right)
            left = [key if counts[0][key] == 1 == counts[1][key] else None for key in left]
            right = [key if counts[0][key] == 1 == counts[1][key] else None for key in right]
        chosen = [[n for n, key in zip(free, keys, strict=True) if key is not None] for free, keys in zip(self.free, (left, right), strict=True)]
        found = align([key for key in left if key is not None], [key for key in right if key is not None])
        one, two = self.sides
        pairs = [Pairing(chosen[0][pair.left], chosen[1][pair.right], pair.weak) for pair in found.pairs]
        self._add([pair for pair in pairs if not _are_known_apart(one[pair.left], two[pair.right], self.bindings)])

    def pair(self, pairs: Sequence[tuple[int, int]]) -> None:
        """Pair items that only seem to be each other."""
        self._add([Pairing(one, two, weak=True) for one, two in pairs])

    def _add(self, pairs: Sequence[Pairing]) -> None:
        if not pairs:
            return
        self.pairs.extend(pairs)
        used = {pair.left for pair in pairs}, {pair.right for pair in pairs}
        self.free = [n for n in self.free[0] if n not in used[0]], [n for n in self.free[1] if n not in used[1]]

    def alignment(self) -> Alignment:
        """Give the result."""
        return Alignment(tuple(sorted(self.pairs, key=lambda pair: pair.left)), tuple(self.free[0]), tuple(self.free[1]))


def _take_in_step(work: _Work) -> None:
    """Pair objects one by one where both lists give the same names, each once, in the same order, and no known id says otherwise."""
    left, right = ([side[n] for n in free] for side, free in zip(work.sides, work.free, strict=True))
    first = left[0]
    if len(left) != len(right) or not isinstance(first, dict) or not all(isinstance(item, dict) for item in (*left, *right)):
        return
    for name in NAMES:
        if not isinstance(first.get(name), str):
            continue
        here, there = ([item.get(name) if isinstance(item, dict) else None for item in items] for items in (left, right))
        once = here == there and all(isinstance(text, str) for text in here) and len({*map(str, here)}) == len(here)
        if once and not any(_may_be_elsewhere(one, two, work.bindings) for one, two in zip(left, right, strict=True)):
            work.take(list(range(len(left))), list(range(len(right))))
            return


def _may_be_elsewhere(one: Value, two: Value, bindings: Bindings) -> bool:
    """Whether an own id of one of two items is bound, and not to the other's."""
    if bindings.version == 0:
        return False
    here, there = (item.get("id") if isinstance(item, dict) else None for item in (one, two))
    known = bindings.observed_for(here) if isinstance(here, str) else None
    return known != there if known is not None else isinstance(there, str) and bindings.recorded_for(there) is not None


def _are_known_apart(one: Value, two: Value, bindings: Bindings) -> bool:
    """Whether the own ids of two items are both known for sure, and to be other things."""
    if not isinstance(one, dict) or not isinstance(two, dict) or not len(bindings):
        return False
    here, there = one.get("id"), two.get("id")
    if not isinstance(here, str) or not isinstance(there, str):
        return False
    known = bindings.firm_for(here)
    return known is not None and known != there and bindings.firm_back(there) is not None


def _align_leaves(work: _Work, observed_for: _Translate, recorded_for: _Translate) -> None:
    """Pair texts, numbers, flags and nulls that are the same; ids as they are known, then as their kind."""

    def left(item: Value) -> Hashable | None:
        if isinstance(item, str):
            return "text", observed_for(item) or item
        return None if isinstance(item, dict | list) else (type(item).__name__, item)

    def right(item: Value) -> Hashable | None:
        return None if isinstance(item, dict | list) else ("text" if isinstance(item, str) else type(item).__name__, item)

    def kind(item: Value) -> Hashable | None:
        return blind_text(item) if isinstance(item, str) else None

    work.step(left, right)
    # An id that is known by another name does not become this one's because both are ids.
    work.step(
        lambda item: None if _is_known(item, observed_for) else kind(item), lambda item: None if _is_known(item, recorded_for) else kind(item)
    )


def _is_known(item: Value, translate: _Translate) -> bool:
    return isinstance(item, str) and translate(item) is not None


def _align_things(work: _Work, bindings: Bindings) -> None:
    """Pair objects and lists by what says which is which."""
    observed_for, recorded_for = bindings.observed_for, bindings.recorded_for

    def unbound_id(item: Value, translate: _Translate) -> Hashable | None:
        value = item.get("id") if isinstance(item, dict) else None
        return value if isinstance(value, str) and value and translate(value) in {None, value} else None

    def content(item: Value) -> str | None:
        return content_of(item) if isinstance(item, dict | list) else None

    def bound_id(item: Value) -> str | None:
        return _own_id(item, bindings.firm_for)

    def its_id(item: Value) -> str | None:
        return _own_id(item, _itself_where(bindings.firm_back))

    known = _itself_where(recorded_for)
    work.step(bound_id, its_id, single=True)
    if not all(map(_are_counted, work.sides)):
        work.step(lambda item: unbound_id(item, observed_for), lambda item: unbound_id(item, recorded_for), single=True)
    if work.open:
        _take_proven(work, observed_for)
    work.step(lambda item: _with_ids(content(item), item, observed_for), lambda item: _with_ids(content(item), item, known))
    work.step(content, content)
    work.step(_number_id, _number_id, single=True)
    for name in NAMES:
        work.step(lambda item, name=name: _named(item, name), lambda item, name=name: _named(item, name), single=True)  # type: ignore[misc]
    if work.open and min(map(len, work.sides)) > 1:
        _take_proven(work, observed_for, two_members=True)
    # Several with one id, which their content did not tell apart.
    work.step(bound_id, its_id)
    work.step(lambda item: unbound_id(item, observed_for), lambda item: unbound_id(item, recorded_for))
    if work.open:
        _take_bound_by_order(work, bindings)


def _are_counted(items: Sequence[Value]) -> bool:
    """Whether the ids of a list only count its items (`group_1`, `group_2`, …): they tell the place and not the thing."""
    found = [_COUNTED.fullmatch(own) if isinstance(own := item.get("id") if isinstance(item, dict) else None, str) else None for item in items]
    numbers = [int(match[1]) for match in found if match is not None]
    return len(items) >= _COUNTED_MIN and len(numbers) == len(items) and numbers == list(range(numbers[0], numbers[0] + len(items)))


def _itself_where(translate: _Translate) -> _Translate:
    """Give a text itself where it is known."""
    return lambda text: text if translate(text) is not None else None


def _take_bound_by_order(work: _Work, bindings: Bindings) -> None:
    """Pair items whose ids are bound, though by order alone, and that do not say of themselves that they are two things."""
    left, right = work.sides
    there = {own: n for n in work.free[1] if (own := _own_id(right[n], _itself_where(bindings.recorded_for))) is not None}
    bound = [(n, there[own]) for n in work.free[0] if (own := _own_id(left[n], bindings.observed_for)) in there and own is not None]
    work.pair([(one, two) for one, two in bound if not are_two_things(left[one], right[two], bindings)])


def _take_proven(work: _Work, observed_for: _Translate, *, two_members: bool = False) -> None:
    """Pair by the keys that the whole lists prove."""
    for left, right in prove_keys(*work.sides, observed_for, two_members=two_members):
        work.take([left[n] for n in work.free[0]], [right[n] for n in work.free[1]])
        if not work.open:
            break


def _own_id(item: Value, translate: _Translate) -> str | None:
    """The item's own id as the other side has it."""
    for holder in holders(item):
        value = holder.get("id")
        if isinstance(value, str) and (known := translate(value)) is not None:
            return known
    return None


def _with_ids(content: str | None, item: Value, translate: _Translate) -> Hashable | None:
    """An item's blanked content with all known ids in it; None where it names none."""
    known = tuple(other for _, leaf in walk(item) if isinstance(leaf, str) and (other := translate(leaf)) is not None) if content else ()
    return (content, known) if known else None


def _number_id(item: Value) -> str | None:
    value = item.get("id") if isinstance(item, dict) else None
    return value.text if isinstance(value, Number) else None


def _named(item: Value, name: str) -> str | None:
    """What an item is called by *name*; None where it has no such name."""
    for holder in holders(item):
        value = holder.get(name)
        if isinstance(value, str | Number) and value:
            return blind(value)
    return None


__all__ = ["align_items", "sketch"]
