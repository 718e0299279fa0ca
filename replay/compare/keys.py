"""
Which key of one object stands for which of another, and how a key is spelt in a skeleton path.

How this works
--------------
Most objects are records: their keys are names that a programmer chose. Some are maps: their keys are data (routes, dates, ids, sessions, tools),
and a thousand of them are one place, so they are blanked as `.*` in a skeleton. The rule looks at the recorded object alone, so that it says the
same every night and of every candidate: a key that is no identifier is data; an object with mostly such keys is a map; and so is one whose many
values are objects of one shape.

A key that only one side has may stand for one that only the other has: because an id in it is known by another name there, because an unknown id
is the key of the same value, or because it is the same word in another case.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from replay.compare.blinding import blind_text
from replay.compare.naming import content_of, plain_key
from replay.compare.state import Scene
from replay.content import Value, align, child

_IDENTIFIER: Final = re.compile(r"[A-Za-z_$@][A-Za-z0-9_$-]{0,63}")
_ONE_SHAPE_KEYS_MIN: Final = 5
_SHAPE_MEMBERS_MIN: Final = 2
_KEY: Final = ".*"
"""How a key that is data is spelt in a skeleton: as the pattern that matches it."""


@dataclass(frozen=True, slots=True)
class Renaming:
    """Which observed key stands for a recorded one of another name."""

    names: Mapping[str, str] = field(default_factory=dict)
    """By ids."""
    respelt: Mapping[str, str] = field(default_factory=dict)
    """By letter case and word breaks alone."""
    weak: frozenset[str] = frozenset()
    """Recorded keys whose partner rests on likeness or order, so that ids below prove nothing."""


def is_map(value: Mapping[str, Value]) -> bool:
    """Whether an object's keys are data: most are no identifiers, or many have values of one shape."""
    data = _data_keys(tuple(value))
    if data:
        return 2 * data >= len(value)
    if len(value) < _ONE_SHAPE_KEYS_MIN:
        return False
    shapes = iter(value.values())
    first = next(shapes)
    if not isinstance(first, dict) or len(first) < _SHAPE_MEMBERS_MIN:
        return False
    members = first.keys()
    return all(isinstance(other, dict) and other.keys() == members for other in shapes)


def skeleton_child(path: str, key: str, *, mapped: bool) -> str:
    """Give the skeleton path of a member; of a map (*mapped*), or where the key is plainly data, the key is blanked."""
    return path + (_KEY if mapped or _is_data(key) else step_of(key))


@lru_cache(maxsize=8192)
def step_of(key: str) -> str:
    """Give what a path gains by an object's key."""
    return child("", key)


@lru_cache(maxsize=1024)
def _data_keys(keys: tuple[str, ...]) -> int:
    return sum(map(_is_data, keys))


@lru_cache(maxsize=8192)
def _is_data(key: str) -> bool:
    return _IDENTIFIER.fullmatch(key) is None or blind_text(key) != key


type _Side = tuple[Sequence[str], Mapping[str, Value]]
"""Keys that only this side's object has, and the object."""


def match_keys(recorded: _Side, observed: _Side, scene: Scene, path: str) -> Renaming:
    """Pair the keys that only the recorded object has with those that only the observed one has; each object comes behind its lone keys."""
    left, right = recorded[0], observed[0]
    if not left or not right:
        return Renaming()
    names, weak = _by_ids(recorded, observed, scene)
    for _ in names:
        scene.tolerate("renamed id in a key", path)
    taken = set(names.values())
    return Renaming(names, _respelt([key for key in left if key not in names], [key for key in right if key not in taken]), frozenset(weak))


def case_change(recorded: str, observed: str) -> str:
    """Say how a key's spelling changed, such as `snake_case → camelCase`."""
    return f"{_case(recorded)} → {_case(observed)}"


def _case(key: str) -> str:
    if "_" in key.strip("_"):
        return "SNAKE_CASE" if key.isupper() else "snake_case"
    if "-" in key:
        return "kebab-case"
    if key.islower():
        return "lowercase"
    return "UPPERCASE" if key.isupper() else "PascalCase" if key[:1].isupper() else "camelCase"


def _by_ids(recorded: _Side, observed: _Side, scene: Scene) -> tuple[dict[str, str], set[str]]:
    (left, values), (right, other_values) = recorded, observed
    names: dict[str, str] = {}
    free = dict.fromkeys(right)
    known: set[str] = set()
    for key in left:
        wanted = scene.side.bindings.rewrite_text(key)
        if wanted == key:
            continue
        known.add(key)
        if wanted in free:
            names[key] = wanted
            del free[wanted]
    # An id that is known to have another name, or to be the name of another one, does not become this one's because their values are alike.
    rest = [key for key in left if key not in known and blind_text(key) != key]
    others = [key for key in free if blind_text(key) != key and scene.side.bindings.recorded_for(key) is None]
    weak: set[str] = set()
    if rest and others:
        alike = align(
            [(blind_text(key), content_of(values[key])) for key in rest], [(blind_text(key), content_of(other_values[key])) for key in others]
        )
        for pair in alike.pairs:
            names[rest[pair.left]] = others[pair.right]
            if pair.weak:
                weak.add(rest[pair.left])
        # The only one of its kind that is left on both sides, though something below it changed.
        alone = align([blind_text(rest[n]) for n in alike.left_only], [blind_text(others[n]) for n in alike.right_only])
        for pair in alone.pairs:
            if not pair.weak:
                key = rest[alike.left_only[pair.left]]
                names[key] = others[alike.right_only[pair.right]]
                weak.add(key)
    return names, weak


def _respelt(left: Sequence[str], right: Sequence[str]) -> dict[str, str]:
    """Which recorded field is there in another spelling (snake or camel case), where just one can be meant on each side."""
    if not left or not right:
        return {}
    plain_left, plain_right = Counter(map(plain_key, left)), Counter(map(plain_key, right))
    by_plain = {plain_key(key): key for key in right}
    return {key: by_plain[plain_key(key)] for key in left if plain_left[plain_key(key)] == plain_right[plain_key(key)] == 1}
