"""
Pair what no key pairs: by what two items have in common that their siblings have not.

How this works
--------------
An item's features are its members with their texts, a few levels deep; times, ids, flags, measured and empty values say nothing. A feature
weighs the less the more siblings share it. Two texts of several words that differ a little share a part. Who may be alike is looked up by
features that few items have, never by asking all pairs, so the work grows with the number of items and not with its square. The best matches
are taken first; what is not alike by half stays alone.

Two items that disagree in what kind of thing they are are two things, unless a single member differs and the rest can be nobody else's.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from replay.compare.blinding import blind, measured, role_of
from replay.compare.naming import KINDS, content_of, plain_key
from replay.content import Number, Value
from replay.identity import ID_KINDS, TIME_KINDS, Bindings

_LIKENESS_MIN: Final = 0.5
_DEPTH_MAX: Final = 3
_WRAPPED_DEPTH: Final = 2
_FEATURES_MAX: Final = 64
_SIBLINGS_MAX: Final = 20
"""Siblings on each side, beside those to be paired, by which it is told what all of them have."""
_RARE_MAX: Final = 24
"""A feature that more items have points at nobody."""
_CANDIDATES_MAX: Final = 48
_WORDS_MIN: Final = 4
_WORDS_MAX: Final = 400
_TELLING_CHARS_MIN: Final = 12
_PLACES_PER_CHANGE: Final = 3
"""A list in a list may differ in every third place."""

_KINDS: Final = frozenset(map(plain_key, KINDS))

type _Path = tuple[str, ...]
type _Translate = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class _Item:
    value: Value
    features: Mapping[_Path, str]
    words: Mapping[_Path, frozenset[str]]
    """Of texts that are long enough to be alike in part."""


def pair_alike(
    recorded: Sequence[Value], observed: Sequence[Value], alone: tuple[Sequence[int], Sequence[int]], bindings: Bindings
) -> list[tuple[int, int]]:
    """Pair items of two lists that are *alone* there (their indices on both sides), the most alike first."""
    left, right = alone
    if not left or not right:
        return []
    ones, twos = {n: _item(recorded[n], bindings.observed_for) for n in left}, {n: _item(observed[n], _known(bindings)) for n in right}
    counts = _sharing(recorded, ones, bindings.observed_for), _sharing(observed, twos, _known(bindings))
    index: dict[object, list[int]] = {}
    for number, item in twos.items():
        for clue in _clues(item):
            index.setdefault(clue, []).append(number)
    scores = [
        (score, one, two)
        for one, item in ones.items()
        for two in _candidates(item, index)
        if (score := _likeness(item, twos[two], counts, bindings)) >= _LIKENESS_MIN
    ]
    scores.sort(key=lambda row: (-row[0], abs(row[1] - row[2]), row[1], row[2]))
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for _, one, two in scores:
        if one not in pairs and two not in taken:
            pairs[one] = two
            taken.add(two)
    return list(pairs.items())


def _known(bindings: Bindings) -> _Translate:
    return lambda text: text if bindings.recorded_for(text) is not None else None


def _item(value: Value, translate: _Translate) -> _Item:
    features: dict[_Path, str] = {}
    words: dict[_Path, frozenset[str]] = {}
    for path, leaf in _members(value, ()):
        text = _text_of(path, leaf, translate)
        if text is None:
            continue
        features[path] = text
        if isinstance(leaf, str) and len(split := text.split()[:_WORDS_MAX]) >= _WORDS_MIN:
            words[path] = frozenset(split)
        if len(features) >= _FEATURES_MAX:
            break
    return _Item(value, features, words)


def _members(value: Value, path: _Path) -> Iterator[tuple[_Path, Value]]:
    """Give the members of an item, their names in one spelling."""
    if isinstance(value, dict) and len(path) < _DEPTH_MAX:
        for key, below in value.items():
            yield from _members(below, (*path, plain_key(key)))
    elif isinstance(value, list) and not path:
        for position, below in enumerate(value[:_FEATURES_MAX]):
            yield from _members(below, (str(position),))
    else:
        yield path, value


def _text_of(path: _Path, leaf: Value, translate: _Translate) -> str | None:
    """Give what a member says of its item; None for nothing."""
    match leaf:
        case str() if leaf:
            known = translate(leaf)
            if known is not None:
                return known
            role = role_of(leaf)
            return None if role is not None and role.kind in TIME_KINDS | ID_KINDS else blind(leaf)
        case Number():
            return None if path and measured(path[-1]) else leaf.text
        case list() | dict() if leaf:
            return content_of(leaf)
    return None


def _sharing(items: Sequence[Value], chosen: Mapping[int, _Item], translate: _Translate) -> Counter[tuple[_Path, str]]:
    """Count how many of an item's siblings have each of its features."""
    counts = Counter(feature for item in chosen.values() for feature in item.features.items())
    if len(chosen) < len(items):
        step = max(1, (len(items) - len(chosen)) // _SIBLINGS_MAX)
        others = [n for n in range(len(items)) if n not in chosen][::step][:_SIBLINGS_MAX]
        counts.update(feature for n in others for feature in _item(items[n], translate).features.items())
    return counts


def _clues(item: _Item) -> Iterator[object]:
    yield from item.features.items()
    for path in item.words:
        yield from ((path, *two) for two in pairwise(item.features[path].split()[:_WORDS_MAX]))


def _candidates(item: _Item, index: Mapping[object, list[int]]) -> list[int]:
    found: Counter[int] = Counter()
    for clue in _clues(item):
        places = index.get(clue, ())
        if len(places) <= _RARE_MAX:
            found.update(places)
    return [number for number, _ in found.most_common(_CANDIDATES_MAX)]


type _Counts = tuple[Counter[tuple[_Path, str]], Counter[tuple[_Path, str]]]


def _likeness(one: _Item, two: _Item, counts: _Counts, bindings: Bindings) -> float:
    """How much of what tells two items from their siblings they have in common, from 0 to 1."""
    shared = total = 0.0
    differing, telling = 0, False
    for path in one.features.keys() | two.features.keys():
        left, right = one.features.get(path), two.features.get(path)
        rarity = [1.0 / max(1, counts[0][path, text], counts[1][path, text]) for text in (left, right) if text is not None]
        weight = max(rarity) * (2.0 if path in one.words or path in two.words else 1.0)
        total += weight
        if left == right:
            shared += weight
            telling = telling or (rarity[0] == 1.0 and left is not None and len(left) >= _TELLING_CHARS_MIN)
            continue
        differing += 1
        if path in one.words and path in two.words:
            common = one.words[path] & two.words[path]
            shared += weight * len(common) / len(one.words[path] | two.words[path])
    if _have_other_ids(one.value, two.value, bindings) or (_disagree(one, two) and not (differing == 1 and telling)):
        return 0.0
    if isinstance(one.value, list) and differing * _PLACES_PER_CHANGE > len(one.features):
        return 0.0  # of a short row of numbers one alone says nothing
    return shared / total if total else 0.0


def are_two_things(one: Value, two: Value, bindings: Bindings) -> bool:
    """Whether two items say of themselves that they are different things, by their kind or by an id that is known to be another's."""
    return _have_other_ids(one, two, bindings) or _disagree(_item(one, bindings.observed_for), _item(two, _known(bindings)))


def _disagree(one: _Item, two: _Item) -> bool:
    """Whether two items say of themselves that they are different kinds of things."""
    if type(one.value) is not type(two.value):
        return True
    # its own members, and those of what it wraps
    own = ((path, left) for path, left in one.features.items() if path and len(path) <= _WRAPPED_DEPTH)
    return any(path[-1] in _KINDS and two.features.get(path, left) != left for path, left in own)


def _have_other_ids(one: Value, two: Value, bindings: Bindings) -> bool:
    """Whether an id in one item is known for sure to stand for another than the one in the other."""
    if not isinstance(one, dict) or not isinstance(two, dict):
        return False
    for key, left in one.items():
        right = two.get(key)
        if isinstance(left, str) and isinstance(right, str) and key.lower().endswith("id") and bindings.firm_for(left) not in {None, right}:
            return True
        if isinstance(left, dict) and isinstance(right, dict) and _have_other_ids(left, right, bindings):
            return True
    return False
