"""
Walk two parsed answers side by side and yield every difference.

How this works
--------------
Equal parts are passed at once. Objects are compared by key, lists after alignment, leaves by `leaves.relate`.
Strings that hold JSON on both sides are opened. Nothing here knows rules or noise: what is not equal and in no tolerated relation is a
`Difference`.

Lists: items are paired by what is known to be the same (a bound id), then by equal content with ids, times and durations blanked, then by the
name they go by, then by likeness. What stays alone is a missing or extra item. Paired items in another order are one `order` difference.
Positions alone pair items only where both sides have equally many left and they are leaves.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from replay.compare.difference import ABSENT, Difference, type_name
from replay.compare.leaves import blind, blind_text, relate
from replay.compare.state import Place, Scene
from replay.content import Alignment, Number, Pairing, Value, align, child, embedded
from replay.model import DifferenceClass

_NAMES: Final = ("id", "key", "name", "path", "title", "content", "label", "version", "slug", "event", "type", "url", "command")
_LIKENESS_MIN: Final = 0.5
_LIKENESS_ITEMS_MAX: Final = 200
"""Beyond this many unpaired items on a side likeness is not tried: it is quadratic."""


def walk_pair(recorded: Value, observed: Value, scene: Scene, place: Place) -> Iterator[Difference]:
    """Yield the differences of two values that stand at *place*."""
    if recorded is observed:
        return
    match recorded, observed:
        case dict(), dict():
            yield from _objects(recorded, observed, scene, place)
        case list(), list():
            yield from _lists(recorded, observed, scene, place)
        case str(), str() if recorded != observed and (inner := _opened(recorded, observed)) is not None:
            yield from walk_pair(*inner, scene, Place(f"{place.at}.<json>", f"{place.path}.<json>", place.key))
        case _:
            found = relate(recorded, observed, scene, place)
            if found is not None:
                yield Difference(
                    found.difference, found.kind, place.path, place.at, recorded, observed, found.transition, found.quirk, found.ids
                )


def _opened(recorded: str, observed: str) -> tuple[Value, Value] | None:
    left = embedded(recorded)
    if left is None:
        return None
    right = embedded(observed)
    if right is None or type(left) is not type(right):
        return None
    return left, right


def _objects(recorded: dict[str, Value], observed: dict[str, Value], scene: Scene, place: Place) -> Iterator[Difference]:
    at, path = place.at, place.path
    renamed = _keys(recorded, observed, scene, path)
    for key, value in recorded.items():
        here, skeleton = child(at, key), child(path, blind_text(key))
        other = renamed.get(key, key)
        if other in observed:
            yield from walk_pair(value, observed[other], scene, Place(here, skeleton, key))
        else:
            quirk = "q-null-left-out" if value is None else _respelt(key, observed, recorded)
            yield Difference(DifferenceClass.STRUCTURAL, "missing-key", skeleton, here, value, ABSENT, f"{type_name(value)} → absent", quirk)
    taken = {renamed.get(key, key) for key in recorded}
    for key, value in observed.items():
        if key not in taken:
            quirk = "q-null-added" if value is None else _respelt(key, recorded, observed)
            yield Difference(
                DifferenceClass.STRUCTURAL,
                "extra-key",
                child(path, blind_text(key)),
                child(at, key),
                ABSENT,
                value,
                f"absent → {type_name(value)}",
                quirk,
            )


def _keys(recorded: dict[str, Value], observed: dict[str, Value], scene: Scene, path: str) -> dict[str, str]:
    """Which observed key stands for a recorded one, where ids are part of the key."""
    left = [key for key in recorded if key not in observed]
    right = [key for key in observed if key not in recorded]
    renamed: dict[str, str] = {}
    if not left or not right:
        return renamed
    free = dict.fromkeys(right)
    for key in left:
        wanted = scene.side.bindings.rewrite_text(key)
        if wanted != key and wanted in free:
            renamed[key] = wanted
            del free[wanted]
            scene.tolerate("renamed id in a key", path)
    rest = [key for key in left if key not in renamed and blind_text(key) != key]
    others = [key for key in free if blind_text(key) != key]
    if rest and others:
        left_keys = [(blind_text(key), blind(recorded[key])) for key in rest]
        right_keys = [(blind_text(key), blind(observed[key])) for key in others]
        for pair in align(left_keys, right_keys).pairs:
            renamed[rest[pair.left]] = others[pair.right]
            scene.tolerate("renamed id in a key", path)
    return renamed


def _respelt(key: str, there: dict[str, Value], here: dict[str, Value]) -> str:
    """Whether the other side has the same field in snake or camel case."""
    plain = key.replace("_", "").lower()
    twins = (other for other in there if other not in here and other.replace("_", "").lower() == plain)
    return "q-key-case" if next(twins, None) is not None else ""


def _lists(recorded: list[Value], observed: list[Value], scene: Scene, place: Place) -> Iterator[Difference]:
    at, path = place.at, place.path
    skeleton = f"{path}[*]"
    if not recorded and not observed:
        return
    if len(recorded) == len(observed) and _numbers(recorded) and _numbers(observed):
        alignment = Alignment(tuple(Pairing(n, n) for n in range(len(recorded))), (), ())
    else:
        alignment = _aligned(recorded, observed, scene)
    for pair in alignment.pairs:
        # A weak pair's items may stand for each other, so ids met there prove nothing and must not be bound.
        inner = scene if not pair.weak else _unbound(scene)
        yield from walk_pair(recorded[pair.left], observed[pair.right], inner, Place(f"{at}[{pair.left}]", skeleton, place.key))
    if alignment.moved:
        yield Difference(
            DifferenceClass.SEMANTIC,
            "order",
            path,
            at,
            [_sketch(recorded[pair.left]) for pair in alignment.pairs],
            [_sketch(observed[pair.right]) for pair in sorted(alignment.pairs, key=lambda item: item.right)],
            "order",
        )
    for index in alignment.left_only:
        value = recorded[index]
        yield Difference(DifferenceClass.SEMANTIC, "missing-item", skeleton, f"{at}[{index}]", value, ABSENT, f"{type_name(value)} → absent")
    for index in alignment.right_only:
        value = observed[index]
        yield Difference(DifferenceClass.SEMANTIC, "extra-item", skeleton, f"{at}[+{index}]", ABSENT, value, f"absent → {type_name(value)}")


def _aligned(recorded: list[Value], observed: list[Value], scene: Scene) -> Alignment:
    """Pair the items of two lists, strongest evidence first."""
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

    bound = scene.side.bindings
    step(
        [_own_id(recorded[n], bound.observed_for) for n in free_left],
        [_own_id(observed[n], lambda text: text if bound.recorded_for(text) is not None else None) for n in free_right],
    )
    step([blind(recorded[n]) for n in free_left], [blind(observed[n]) for n in free_right])
    for name in _NAMES:
        if not free_left or not free_right:
            break
        step([_named(recorded[n], name) for n in free_left], [_named(observed[n], name) for n in free_right])
    pairs.extend(_alike(recorded, observed, free_left, free_right))
    used_left = {pair.left for pair in pairs}
    used_right = {pair.right for pair in pairs}
    pairs.sort(key=lambda pair: pair.left)
    return Alignment(
        tuple(pairs),
        tuple(n for n in range(len(recorded)) if n not in used_left),
        tuple(n for n in range(len(observed)) if n not in used_right),
    )


def _alike(recorded: list[Value], observed: list[Value], left: list[int], right: list[int]) -> list[Pairing]:
    """Pair what is left by likeness; leaves by their order where both sides have equally many left."""
    if not left or not right:
        return []
    leaves = not any(isinstance(recorded[n], dict | list) for n in left) and not any(isinstance(observed[n], dict | list) for n in right)
    if leaves or len(left) > _LIKENESS_ITEMS_MAX or len(right) > _LIKENESS_ITEMS_MAX:
        return [Pairing(one, two) for one, two in zip(left, right, strict=True)] if len(left) == len(right) else []
    if len(left) == len(right) == 1:
        return [Pairing(left[0], right[0])] if type(recorded[left[0]]) is type(observed[right[0]]) else []
    pairs = []
    free = list(right)
    for one in left:
        scores = [(_likeness(recorded[one], observed[two]), -two) for two in free]
        if scores and max(scores)[0] >= _LIKENESS_MIN:
            two = -max(scores)[1]
            free.remove(two)
            # Likeness says what an item resembles, not what it is: no ids are bound on its word.
            pairs.append(Pairing(one, two, weak=True))
    return pairs


def _likeness(recorded: Value, observed: Value) -> float:
    if isinstance(recorded, dict) and isinstance(observed, dict):
        keys = recorded.keys() | observed.keys()
        same = sum(1 for key in keys if key in recorded and key in observed and blind(recorded[key]) == blind(observed[key]))
        return same / len(keys) if keys else 1.0
    return 1.0 if blind(recorded) == blind(observed) else 0.0


def _own_id(item: Value, translate: Callable[[str], str | None]) -> object:
    if isinstance(item, dict):
        value = item.get("id")
        if isinstance(value, str):
            return translate(value)
    return None


def _named(item: Value, name: str) -> object:
    """What an item, or the one object in it, is called by *name*; None where it has no such name."""
    if not isinstance(item, dict):
        return None
    inner = [value for value in item.values() if isinstance(value, dict)]
    for holder in (item, *(inner if len(inner) == 1 else ())):
        value = holder.get(name)
        if isinstance(value, str | Number) and value:
            return blind(value) if name != "id" else value
    return None


def _sketch(item: Value) -> Value:
    """What an item is called, for people."""
    if isinstance(item, dict):
        inner = [value for value in item.values() if isinstance(value, dict)]
        for holder in (item, *(inner if len(inner) == 1 else ())):
            for name in ("content", "name", "title", "key", "path", "id"):
                value = holder.get(name)
                if isinstance(value, str) and value:
                    return value[:80]
    return item if not isinstance(item, dict | list) else blind(item)[:80]


def _numbers(items: list[Value]) -> bool:
    return all(isinstance(item, Number) for item in items)


def _unbound(scene: Scene) -> Scene:
    return replace(scene, binding=False) if scene.binding else scene
