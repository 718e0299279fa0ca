"""
Which item of one list stands for which of another.

How this works
--------------
Strongest evidence first: an id (or several) that the bindings know; equal content with ids, times and durations blanked; a name that both go
by; and last, likeness. Only the first three say what an item *is*, and bind the ids found in it. Likeness compares what tells siblings apart
(texts and numbers that are not the same in all of them, no times, flags or empty values) and takes the best matches first; two items that
disagree in what kind of thing they are never pair. What stays alone is a missing or extra item: better two honest findings than one pair of
strangers.
"""

from collections.abc import Callable, Sequence
from typing import Final

from replay.compare.blinding import blind, measured
from replay.content import Alignment, Number, Pairing, Value, align
from replay.identity import TIME_KINDS, classify
from replay.identity.roles import ID_KINDS

_NAMES: Final = ("key", "name", "path", "title", "label", "slug", "url", "command", "content")
_KINDS: Final = frozenset(
    {"operation", "trigger", "kind", "name", "type", "entityType", "entity_type", "key", "title", "action", "event", "role", "category"}
)
"""Members that say what kind of thing an item is: two that disagree here are two things."""
_LIKENESS_MIN: Final = 0.5
_LIKENESS_ITEMS_MAX: Final = 200
"""Beyond this many unpaired items on a side likeness is not tried: it is quadratic."""


def align_items(
    recorded: Sequence[Value],
    observed: Sequence[Value],
    observed_for: Callable[[str], str | None],
    recorded_for: Callable[[str], str | None],
) -> Alignment:
    """Pair the items of two lists; pairs that rest on likeness or order alone are weak."""
    free_left, free_right = list(range(len(recorded))), list(range(len(observed)))
    pairs: list[Pairing] = []

    def step(left_keys: list[object], right_keys: list[object]) -> None:
        nonlocal free_left, free_right
        chosen_left = [n for n, key in zip(free_left, left_keys, strict=True) if key is not None]
        chosen_right = [n for n, key in zip(free_right, right_keys, strict=True) if key is not None]
        found = align([key for key in left_keys if key is not None], [key for key in right_keys if key is not None])
        pairs.extend(Pairing(chosen_left[pair.left], chosen_right[pair.right], pair.weak) for pair in found.pairs)
        used_left = {chosen_left[pair.left] for pair in found.pairs}
        used_right = {chosen_right[pair.right] for pair in found.pairs}
        free_left = [n for n in free_left if n not in used_left]
        free_right = [n for n in free_right if n not in used_right]

    def own(text: str) -> str | None:
        return text if recorded_for(text) is not None else None

    step([_bound_ids(recorded[n], observed_for) for n in free_left], [_bound_ids(observed[n], own) for n in free_right])
    step([_named(recorded[n], "id") for n in free_left], [_named(observed[n], "id") for n in free_right])
    step([blind(recorded[n]) for n in free_left], [blind(observed[n]) for n in free_right])
    for name in _NAMES:
        if not free_left or not free_right:
            break
        step([_named(recorded[n], name) for n in free_left], [_named(observed[n], name) for n in free_right])
    pairs.extend(_alike(recorded, observed, free_left, free_right, observed_for))
    used_left, used_right = {pair.left for pair in pairs}, {pair.right for pair in pairs}
    pairs.sort(key=lambda pair: pair.left)
    return Alignment(
        tuple(pairs),
        tuple(n for n in range(len(recorded)) if n not in used_left),
        tuple(n for n in range(len(observed)) if n not in used_right),
    )


def sketch(item: Value) -> Value:
    """What an item is called, for people."""
    for holder in _holders(item):
        for name in ("content", "name", "title", "key", "path", "id"):
            value = holder.get(name)
            if isinstance(value, str) and value:
                return value[:80]
    return item if not isinstance(item, dict | list) else blind(item)[:80]


def _holders(item: Value) -> list[dict[str, Value]]:
    """An item, and the one object in it where there is just one: lists often wrap each thing once."""
    if not isinstance(item, dict):
        return []
    inner = [value for value in item.values() if isinstance(value, dict)]
    return [item, *inner] if len(inner) == 1 else [item]


def _bound_ids(item: Value, translate: Callable[[str], str | None]) -> object:
    """The item's own id as the other side has it; without one, all bound ids that it names."""
    for holder in _holders(item):
        value = holder.get("id")
        if isinstance(value, str) and (known := translate(value)) is not None:
            return known
    named = [
        (key, known)
        for holder in _holders(item)
        for key, value in holder.items()
        if key.lower().endswith("id") and key != "id" and isinstance(value, str) and (known := translate(value)) is not None
    ]
    return tuple(sorted(named)) or None


def _named(item: Value, name: str) -> object:
    """What an item is called by *name*; None where it has no such name."""
    for holder in _holders(item):
        value = holder.get(name)
        if isinstance(value, str | Number) and value:
            return blind(value) if name != "id" else value
    return None


def _alike(
    recorded: Sequence[Value], observed: Sequence[Value], left: list[int], right: list[int], observed_for: Callable[[str], str | None]
) -> list[Pairing]:
    """Pair what is left by likeness; leaves by their order where both sides have equally many left."""
    if not left or not right:
        return []
    leaves = not any(isinstance(recorded[n], dict | list) for n in left) and not any(isinstance(observed[n], dict | list) for n in right)
    if leaves:
        return [Pairing(one, two, weak=True) for one, two in zip(left, right, strict=True)] if len(left) == len(right) else []
    if len(left) > _LIKENESS_ITEMS_MAX or len(right) > _LIKENESS_ITEMS_MAX:
        return []
    features = {n: _features(recorded[n]) for n in left}
    others = {n: _features(observed[n]) for n in right}
    common = _common([*features.values(), *others.values()])
    scores = [
        (score, one, two)
        for one in left
        for two in right
        if (score := _likeness(features[one], others[two], common)) >= _LIKENESS_MIN
        and not _disagree(recorded[one], observed[two], observed_for)
    ]
    scores.sort(key=lambda row: (-row[0], abs(row[1] - row[2]), row[1], row[2]))
    pairs: list[Pairing] = []
    taken_left: set[int] = set()
    taken_right: set[int] = set()
    for _, one, two in scores:
        if one not in taken_left and two not in taken_right:
            taken_left.add(one)
            taken_right.add(two)
            pairs.append(Pairing(one, two, weak=True))
    return pairs


def _features(item: Value) -> dict[str, str]:
    """What may tell an item from its siblings: member → text. Times, flags, ids and empty values say nothing."""
    if isinstance(item, list):
        return {str(position): blind(part) for position, part in enumerate(item[:50])}
    found: dict[str, str] = {}
    for depth, holder in enumerate(_holders(item)):
        for key, value in holder.items():
            if isinstance(value, str):
                role = classify(value)
                if value and (role is None or role.kind not in TIME_KINDS | ID_KINDS):
                    found[f"{depth}.{key}"] = blind(value)
            elif isinstance(value, Number):
                if not measured(key):
                    found[f"{depth}.{key}"] = value.text
            elif isinstance(value, list | dict) and value and not (isinstance(value, dict) and depth == 0 and len(_holders(item)) > 1):
                found[f"{depth}.{key}"] = blind(value)
    return found


def _common(features: list[dict[str, str]]) -> frozenset[tuple[str, str]]:
    """Members whose value all items share: they tell nobody apart. None where there is only one item on each side."""
    if len(features) <= 2:
        return frozenset()
    first, *rest = features
    return frozenset(pair for pair in first.items() if all(other.get(pair[0]) == pair[1] for other in rest))


def _likeness(one: dict[str, str], two: dict[str, str], common: frozenset[tuple[str, str]]) -> float:
    keys = {key for key in one.keys() | two.keys() if (key, one.get(key, "")) not in common}
    if not keys:
        return 1.0
    return sum(one.get(key) == two.get(key) for key in keys) / len(keys)


def _disagree(recorded: Value, observed: Value, observed_for: Callable[[str], str | None]) -> bool:
    """Whether two items say of themselves that they are different things, by kind or by an id that is known to be another's."""
    if not isinstance(recorded, dict) or not isinstance(observed, dict):
        return type(recorded) is not type(observed)
    for one, two in zip(_holders(recorded), _holders(observed), strict=False):
        for key, left in one.items():
            right = two.get(key)
            if not isinstance(left, str) or not isinstance(right, str) or not left or not right:
                continue
            if key in _KINDS and blind(left) != blind(right):
                return True
            if key.lower().endswith("id") and observed_for(left) not in {None, right}:
                return True
    return False
