"""
Walk two parsed answers side by side and yield every difference.

How this works
--------------
What is equal is passed at once, without a look at its parts but for one: a text that is a recorded id with another name over there is not equal
to itself. Objects are compared by key (`keys`), lists after alignment (`aligning`), leaves by `leaves.relate`. Strings that hold JSON on both
sides are opened. Values of two types are brought to a common form where there is one (`forms`): the habit is one finding, and what the values
then say is walked like anything else. Nothing here knows rules or noise: what is not equal and in no tolerated relation is a `Difference`.

The pairs that are still to be walked lie on a stack of this module's own, so no nesting is too deep; below `_DEPTH_MAX` levels all that differs
is one difference. Members that differ are walked in the order of their names, so what is found does not depend on the order of keys.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Final, NamedTuple

from replay.compare.aligning import align_items
from replay.compare.difference import ABSENT, Difference, type_name
from replay.compare.forms import common_form, is_empty
from replay.compare.keys import Renaming, case_change, is_map, match_keys, skeleton_child, step_of
from replay.compare.leaves import relate
from replay.compare.ranking import is_ranked, order_difference
from replay.compare.state import Place, Scene
from replay.compare.vectors import compare_numbers, is_vector
from replay.content import Alignment, Number, Pairing, Value, embedded
from replay.identity import Bindings
from replay.model import DifferenceClass

_DEPTH_MAX: Final = 1000
"""Levels of an answer that are walked one by one. Places below are too long to be told."""
_SKIP_DEPTH_MAX: Final = 64
"""Levels at which whole parts are asked for equality, and lists are aligned: each such question looks at all that is below."""


class _Task(NamedTuple):
    """A pair that is still to be walked."""

    recorded: Value
    observed: Value
    scene: Scene
    place: Place
    depth: int
    changes: "_Changes | None" = None
    """Of two objects, where it is known already."""


def walk_pair(recorded: Value, observed: Value, scene: Scene, place: Place) -> Iterator[Difference]:
    """Yield the differences of two values that stand at *place*."""
    stack = [_Task(recorded, observed, scene, place, 0)]
    while stack:
        task = stack.pop()
        below: list[_Task] = []
        one, two = task.recorded, task.observed
        if type(one) is not type(two):
            yield from _types(task, below)
        elif isinstance(one, dict) and isinstance(two, dict):
            yield from _objects(one, two, task, below)
        elif isinstance(one, str) and isinstance(two, str):
            yield from _texts(one, two, task, below)
        elif isinstance(one, list) and isinstance(two, list):
            yield from _lists(one, two, task, below)
        else:
            yield from _leaves(task)
        stack.extend(reversed(below))


def _leaves(task: _Task) -> Iterator[Difference]:
    recorded, observed, scene, place = task.recorded, task.observed, task.scene, task.place
    for found in relate(recorded, observed, scene, place):
        yield Difference(found.difference, found.kind, place.path, place.at, recorded, observed, found.transition, found.quirk, found.ids)


def _texts(recorded: str, observed: str, task: _Task, below: list[_Task]) -> Iterator[Difference]:
    scene, place = task.scene, task.place
    left = embedded(recorded) if recorded != observed else None
    right = embedded(observed) if left is not None else None
    if left is None or right is None:
        yield from _leaves(task)
        return
    if not _skips(left, right, scene.side.bindings, task.depth):
        below.append(_Task(left, right, scene, Place(f"{place.at}.<json>", f"{place.path}.<json>", place.key), task.depth + 1))
    else:
        scene.tolerate("JSON in a text, written otherwise", place.path)


def _types(task: _Task, below: list[_Task]) -> Iterator[Difference]:
    """Another JSON type is a difference; what both say in a common form is walked beside it."""
    recorded, observed, scene, place, depth = task.recorded, task.observed, task.scene, task.place, task.depth
    form = common_form(recorded, observed)
    transition = f"{type_name(recorded)} → {type_name(observed)}"
    quirk = "" if form is None else form.quirk
    yield Difference(DifferenceClass.STRUCTURAL, "type", place.path, place.at, recorded, observed, transition, quirk)
    if form is not None:
        step = "[*]" if form.step == "[0]" else form.step
        below.append(_Task(form.recorded, form.observed, scene, Place(place.at + form.step, place.path + step, place.key), depth + 1))


# --- objects ---


def _objects(recorded: dict[str, Value], observed: dict[str, Value], task: _Task, below: list[_Task]) -> Iterator[Difference]:
    scene, place, depth = task.scene, task.place, task.depth
    if depth >= _DEPTH_MAX:
        if not _same(recorded, observed):
            yield _too_deep(place)
        return
    changed, left, right = task.changes or _changes(recorded, observed, scene.side.bindings, depth)
    if not changed and not left and not right:
        return
    at, path, mapped = place.at, place.path, is_map(recorded)
    for key in changed:
        inner = Place(at + step_of(key), skeleton_child(path, key, mapped=mapped), key)
        below.append(_Task(recorded[key], observed[key], scene, inner, depth + 1))
    renaming = match_keys((left, recorded), (right, observed), scene, path) if left and right else Renaming()
    taken = {*renaming.names.values(), *renaming.respelt.values()}
    for key in left:
        inner = Place(at + step_of(key), skeleton_child(path, key, mapped=mapped), key)
        value, other = recorded[key], renaming.names.get(key)
        if key in renaming.respelt:
            # The field is there under another spelling: one finding for the name, and its value is compared all the same.
            other = renaming.respelt[key]
            yield Difference(DifferenceClass.STRUCTURAL, "respelt-key", inner.path, inner.at, key, other, case_change(key, other), "q-key-case")
        if other is not None:
            below.append(_Task(value, observed[other], _unbound(scene) if key in renaming.weak else scene, inner, depth + 1))
        else:
            quirk = "q-null-left-out" if value is None else "q-empty-left-out" if is_empty(value) else ""
            yield Difference(
                DifferenceClass.STRUCTURAL, "missing-key", inner.path, inner.at, value, ABSENT, f"{type_name(value)} → absent", quirk
            )
    for key in right:
        if key not in taken:
            value = observed[key]
            quirk = "q-null-added" if value is None else "q-empty-added" if is_empty(value) else ""
            skeleton, transition = skeleton_child(path, key, mapped=mapped), f"absent → {type_name(value)}"
            yield Difference(DifferenceClass.STRUCTURAL, "extra-key", skeleton, at + step_of(key), ABSENT, value, transition, quirk)
    below.sort(key=lambda inner: inner.place.key)


type _Changes = tuple[list[str], list[str], list[str]]


def _changes(recorded: dict[str, Value], observed: dict[str, Value], bindings: Bindings, depth: int) -> _Changes:
    """Give the keys whose values are not simply equal, those of the recorded object alone, and those of the observed one alone."""
    changed: list[str] = []
    left: list[str] = []
    name, names, get = bindings.observed_for, bindings.version > 0, observed.get
    for key, value in recorded.items():
        other = get(key, ABSENT)
        if other is ABSENT:
            left.append(key)
        elif isinstance(value, str):
            if value != other or (names and name(value) not in {None, value}):
                changed.append(key)
        elif isinstance(value, Number):
            if not isinstance(other, Number) or value.text != other.text:
                changed.append(key)
        elif value is not other and not (isinstance(value, dict | list) and _skips(value, other, bindings, depth)):  # type: ignore[arg-type]
            changed.append(key)
    right = [key for key in observed if key not in recorded] if left or len(observed) > len(recorded) else []
    return changed, left, right


# --- lists ---


def _lists(recorded: list[Value], observed: list[Value], task: _Task, below: list[_Task]) -> Iterator[Difference]:
    scene, place, depth = task.scene, task.place, task.depth
    if not recorded and not observed:
        return
    if depth >= _DEPTH_MAX:
        if not _same(recorded, observed):
            yield _too_deep(place)
        return
    if is_vector(recorded, observed):
        yield from compare_numbers(recorded, observed, scene, place)
        return
    bindings, at, skeleton = scene.side.bindings, place.at, f"{place.path}[*]"
    if depth > _SKIP_DEPTH_MAX:
        alignment = _by_place(len(recorded), len(observed))
    else:
        equal: Callable[[Value, Value], bool] = lambda one, two: _skips(one, two, bindings, depth)  # noqa: E731  # passed on as it is
        alignment = align_items(recorded, observed, bindings, equal)
    for pair in alignment.pairs:
        one, two = recorded[pair.left], observed[pair.right]
        if pair.equal:
            continue
        changes = _changes(one, two, bindings, depth) if isinstance(one, dict) and isinstance(two, dict) else None
        if changes is not None and not any(changes):
            continue
        _give_way(one, two, scene, skeleton)
        # A weak pair's items may stand for each other, so ids met there prove nothing and must not be bound.
        inner = _unbound(scene) if pair.weak else scene
        below.append(_Task(one, two, inner, Place(f"{at}[{pair.left}]", skeleton, place.key), depth + 1, changes))
    yield from _repeated(recorded, observed, alignment, place)
    yield from order_difference(recorded, observed, alignment, scene, place, ranked=is_ranked(recorded, scene.route, place.path))
    yield from _alone(recorded, observed, alignment, place)


def _by_place(left: int, right: int) -> Alignment:
    """Pair by index alone: so far down nothing says more, and to look for it would look at all that is below."""
    common = min(left, right)
    return Alignment(tuple(Pairing(n, n, weak=True) for n in range(common)), tuple(range(common, left)), tuple(range(common, right)))


def _give_way(one: Value, two: Value, scene: Scene, skeleton: str) -> None:
    """Bind the ids of two items anew where one was bound to another by order alone: what an item is says more."""
    left, right, bindings = _id_of(one), _id_of(two), scene.side.bindings
    if left is None or right is None or not scene.binding or bindings.firm_for(left) is not None or bindings.firm_back(right) is not None:
        return
    known = bindings.born(left)
    if known is not None and known.observed != right:
        bindings.bind(known.kind, left, right, scene.exchange, f"{skeleton}.id")


def _alone(recorded: list[Value], observed: list[Value], alignment: Alignment, place: Place) -> Iterator[Difference]:
    """Items without a partner; one of a JSON type that no recorded item has is another shape of list, not one item more."""
    skeleton, known = f"{place.path}[*]", {_json_type(value) for value in recorded}
    for index in alignment.left_only:
        value, at = recorded[index], f"{place.at}[{index}]"
        yield Difference(DifferenceClass.SEMANTIC, "missing-item", skeleton, at, value, ABSENT, f"{type_name(value)} → absent")
    for index in alignment.right_only:
        value, at = observed[index], f"{place.at}[+{index}]"
        odd = bool(known) and _json_type(value) not in known
        yield Difference(
            DifferenceClass.STRUCTURAL if odd else DifferenceClass.SEMANTIC,
            "extra-item",
            skeleton,
            at,
            ABSENT,
            value,
            f"absent → {type_name(value)}",
        )


def _json_type(value: Value) -> str:
    """Name a value's type as JSON has it: whole and broken numbers are one."""
    return "number" if isinstance(value, Number) else type_name(value)


def _repeated(recorded: list[Value], observed: list[Value], alignment: Alignment, place: Place) -> Iterator[Difference]:
    """Find one id for several items where the recording has one for each; of items that are alike nothing else tells it."""
    seen: dict[str, str] = {}
    for pair in alignment.pairs:
        if not pair.weak:
            continue
        one, two = _id_of(recorded[pair.left]), _id_of(observed[pair.right])
        if one is not None and two is not None and seen.setdefault(two, one) != one:
            path, at = f"{place.path}[*].id", f"{place.at}[{pair.left}].id"
            yield Difference(DifferenceClass.STRUCTURAL, "identity", path, at, one, two, "several items with one id")


def _id_of(item: Value) -> str | None:
    value = item.get("id") if isinstance(item, dict) else None
    return value if isinstance(value, str) else None


# --- what is equal, and what is too deep ---


def _skips(recorded: Value, observed: Value, bindings: Bindings, depth: int) -> bool:
    """Whether two values are equal in every part, with no id in them that is known to have another name over there."""
    if depth > _SKIP_DEPTH_MAX:
        return False
    try:
        equal = recorded == observed
    except RecursionError:
        return False
    return equal and type(recorded) is type(observed) and (bindings.version == 0 or not _is_renamed(recorded, bindings))


def _is_renamed(value: Value, bindings: Bindings) -> bool:
    """Whether a text in a value is a recorded id that is known to have another name over there."""
    name, stack = bindings.observed_for, [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            if name(item) not in {None, item}:
                return True
        elif isinstance(item, list):
            stack.extend(item)
        elif isinstance(item, dict):
            stack.extend(item.values())
    return False


def _same(recorded: Value, observed: Value) -> bool:
    """Whether two values are equal, at any depth."""
    stack: list[tuple[Value, Value]] = [(recorded, observed)]
    while stack:
        one, two = stack.pop()
        pairs: Iterable[tuple[Value, Value]]
        if isinstance(one, dict) and isinstance(two, dict):
            if one.keys() != two.keys():
                return False
            pairs = [(one[key], two[key]) for key in one]
        elif isinstance(one, list) and isinstance(two, list):
            if len(one) != len(two):
                return False
            pairs = list(zip(one, two, strict=True))
        elif isinstance(one, dict | list) or isinstance(two, dict | list) or type(one) is not type(two) or one != two:
            return False
        else:
            continue
        stack.extend(pairs)
    return True


def _too_deep(place: Place) -> Difference:
    words = f"nested more than {_DEPTH_MAX} levels deep"
    return Difference(DifferenceClass.STRUCTURAL, "value", place.path, place.at, f"what is {words}", f"another, {words}", "something far below")


def _unbound(scene: Scene) -> Scene:
    return replace(scene, binding=False) if scene.binding else scene
