"""
Walk two parsed answers side by side and yield every difference.

How this works
--------------
Equal parts are passed at once. Objects are compared by key, lists after alignment, leaves by `leaves.relate`.
Strings that hold JSON on both sides are opened. Nothing here knows rules or noise: what is not equal and in no tolerated relation is a
`Difference`.

Lists are aligned first (`aligning`). What stays alone there is a missing or extra item. Paired items in another order are one `order`
difference.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from replay.compare.aligning import align_items, sketch
from replay.compare.blinding import blind, blind_text
from replay.compare.difference import ABSENT, Difference, type_name
from replay.compare.leaves import relate
from replay.compare.state import Place, Scene
from replay.content import Alignment, Number, Pairing, Value, align, child, embedded
from replay.model import DifferenceClass


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
            below = Place(f"{place.at}.<json>", f"{place.path}.<json>", place.key)
            if type(inner[0]) is type(inner[1]):
                yield from walk_pair(*inner, scene, below)
            else:
                change = f"{type_name(inner[0])} → {type_name(inner[1])}"
                yield Difference(DifferenceClass.STRUCTURAL, "type", below.path, below.at, inner[0], inner[1], change)
        case _:
            for found in relate(recorded, observed, scene, place):
                yield Difference(
                    found.difference, found.kind, place.path, place.at, recorded, observed, found.transition, found.quirk, found.ids
                )


def _opened(recorded: str, observed: str) -> tuple[Value, Value] | None:
    """What two strings hold where both hold JSON objects or lists."""
    left = embedded(recorded)
    right = None if left is None else embedded(observed)
    return None if left is None or right is None else (left, right)


def _objects(recorded: dict[str, Value], observed: dict[str, Value], scene: Scene, place: Place) -> Iterator[Difference]:
    at, path = place.at, place.path
    renamed = _keys(recorded, observed, scene, path)
    respelt = _respelt(recorded, observed, renamed)
    for key, value in recorded.items():
        inner = Place(child(at, key), child(path, blind_text(key)), key)
        other = respelt.get(key) or renamed.get(key, key)
        if key in respelt:
            # The field is there under another spelling: one finding for the name, and its value is compared all the same.
            yield Difference(
                DifferenceClass.STRUCTURAL, "respelt-key", inner.path, inner.at, key, other, "another spelling of the key", "q-key-case"
            )
        if other in observed:
            yield from walk_pair(value, observed[other], scene, inner)
        else:
            quirk = "q-null-left-out" if value is None else ""
            yield Difference(
                DifferenceClass.STRUCTURAL, "missing-key", inner.path, inner.at, value, ABSENT, f"{type_name(value)} → absent", quirk
            )
    taken = {respelt.get(key) or renamed.get(key, key) for key in recorded}
    for key, value in observed.items():
        if key not in taken:
            quirk = "q-null-added" if value is None else ""
            skeleton = child(path, blind_text(key))
            transition = f"absent → {type_name(value)}"
            yield Difference(DifferenceClass.STRUCTURAL, "extra-key", skeleton, child(at, key), ABSENT, value, transition, quirk)


def _respelt(recorded: dict[str, Value], observed: dict[str, Value], renamed: dict[str, str]) -> dict[str, str]:
    """Which recorded field is there in another spelling (snake or camel case), where just one can be meant on each side."""
    taken = set(renamed.values())
    left = [key for key in recorded if key not in observed and key not in renamed]
    right = [key for key in observed if key not in recorded and key not in taken]
    plain_left, plain_right = Counter(map(_plain, left)), Counter(map(_plain, right))
    by_plain = {_plain(key): key for key in right}
    return {key: by_plain[_plain(key)] for key in left if plain_left[_plain(key)] == plain_right[_plain(key)] == 1}


def _plain(key: str) -> str:
    return key.replace("_", "").replace("-", "").lower()


def _keys(recorded: dict[str, Value], observed: dict[str, Value], scene: Scene, path: str) -> dict[str, str]:
    """Which observed key stands for a recorded one, where ids are part of the key."""
    left = [key for key in recorded if key not in observed]
    right = [key for key in observed if key not in recorded]
    renamed: dict[str, str] = {}
    if not left or not right:
        return renamed
    free = dict.fromkeys(right)
    known: set[str] = set()
    for key in left:
        wanted = scene.side.bindings.rewrite_text(key)
        if wanted == key:
            continue
        known.add(key)
        if wanted in free:
            renamed[key] = wanted
            del free[wanted]
            scene.tolerate("renamed id in a key", path)
    # An id that is known to have another name, or to be the name of another one, does not become this one's because their values are alike.
    rest = [key for key in left if key not in known and blind_text(key) != key]
    others = [key for key in free if blind_text(key) != key and scene.side.bindings.recorded_for(key) is None]
    if rest and others:
        left_keys = [(blind_text(key), blind(recorded[key])) for key in rest]
        right_keys = [(blind_text(key), blind(observed[key])) for key in others]
        for pair in align(left_keys, right_keys).pairs:
            renamed[rest[pair.left]] = others[pair.right]
            scene.tolerate("renamed id in a key", path)
    return renamed


def _lists(recorded: list[Value], observed: list[Value], scene: Scene, place: Place) -> Iterator[Difference]:
    at, path = place.at, place.path
    skeleton = f"{path}[*]"
    if not recorded and not observed:
        return
    if len(recorded) == len(observed) and _numbers(recorded) and _numbers(observed):
        alignment = Alignment(tuple(Pairing(n, n) for n in range(len(recorded))), (), ())
    else:
        alignment = align_items(recorded, observed, scene.side.bindings.observed_for, scene.side.bindings.recorded_for)
    for pair in alignment.pairs:
        # A weak pair's items may stand for each other, so ids met there prove nothing and must not be bound.
        inner = scene if not pair.weak else _unbound(scene)
        yield from walk_pair(recorded[pair.left], observed[pair.right], inner, Place(f"{at}[{pair.left}]", skeleton, place.key))
    yield from _repeated(recorded, observed, alignment, place)
    if alignment.moved:
        yield Difference(
            DifferenceClass.SEMANTIC,
            "order",
            path,
            at,
            [sketch(recorded[pair.left]) for pair in alignment.pairs],
            [sketch(observed[pair.right]) for pair in sorted(alignment.pairs, key=lambda item: item.right)],
            "order",
        )
    for index in alignment.left_only:
        value = recorded[index]
        yield Difference(DifferenceClass.SEMANTIC, "missing-item", skeleton, f"{at}[{index}]", value, ABSENT, f"{type_name(value)} → absent")
    for index in alignment.right_only:
        value = observed[index]
        yield Difference(DifferenceClass.SEMANTIC, "extra-item", skeleton, f"{at}[+{index}]", ABSENT, value, f"absent → {type_name(value)}")


def _repeated(recorded: list[Value], observed: list[Value], alignment: Alignment, place: Place) -> Iterator[Difference]:
    """Find one id for several items where the recording has one for each; of items that are alike nothing else tells it."""
    seen: dict[str, str] = {}
    for pair in alignment.pairs:
        one, two = _id_of(recorded[pair.left]), _id_of(observed[pair.right])
        if not pair.weak or one is None or two is None:
            continue
        if seen.setdefault(two, one) != one:
            path, at = f"{place.path}[*].id", f"{place.at}[{pair.left}].id"
            yield Difference(DifferenceClass.STRUCTURAL, "identity", path, at, one, two, "several items with one id")


def _id_of(item: Value) -> str | None:
    value = item.get("id") if isinstance(item, dict) else None
    return value if isinstance(value, str) else None


def _numbers(items: list[Value]) -> bool:
    return all(isinstance(item, Number) for item in items)


def _unbound(scene: Scene) -> Scene:
    return replace(scene, binding=False) if scene.binding else scene
