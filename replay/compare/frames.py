"""
JSON bodies that are the same but for whole strings and numbers, compared without reading them.

How this works
--------------
Between its quotation marks a JSON text falls into pieces: strings, and what stands between them. Two bodies of as many pieces are laid beside
each other. Where pieces differ, both must be strings that hold an id or a time, or hold one number: these alone are related, by the same
relations as anywhere. What is left is the *frame*, equal on both sides; it is read once to know that it is JSON, and where in it the
differing pieces stand, and is remembered. Wherever a relation does not hold, an id is not known yet, or anything else is unusual, nothing is
said, and the pair is compared at length.
"""

import re
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from itertools import compress
from operator import ne
from typing import Final

from replay.compare.blinding import role_of, spans_of
from replay.compare.keys import is_map, skeleton_child
from replay.compare.leaves import relate
from replay.compare.moments import timely
from replay.compare.state import Place, Scene, Side
from replay.content import Number, Value, parse

_KEPT: Final = 2048
_BODY_CHARS_MAX: Final = 32_768
_PIECES_MAX: Final = 256
"""More pieces that differ, and comparing at length is as fast."""
_NUMBER: Final = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_SIGNS: Final = re.compile(r"[{}\[\],:]|[^{}\[\],:\s]+")
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_NIL: Final = "00000000-0000-0000-0000-000000000000"
_STAMP: Final = re.compile(r"20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]\.[0-9]{3}Z")
_PLAIN: Final = re.compile(f"{_UUID.pattern}|{_STAMP.pattern}")
_UUID_CHARS: Final = 36
_STAMP_CHARS: Final = 24
_BLANK: Final = "\0"
_BACKSLASH, _QUOTE = "\\\1", "\\\2"
"""What stands for an escaped backslash and an escaped quotation mark: control signs can't stand in JSON themselves."""

type Spots = tuple[Place, ...] | None

_NEW: Final[Spots] = (Place("new"),)
_ONCE: Final[Spots] = (Place("seen once"),)


class Frames:
    """The frames that were read, in one comparison."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Spots] = OrderedDict()
        self._asides: dict[int, Side] = {}

    def same(self, left: bytes, right: bytes, scene: Scene) -> bool:
        """
        Tell whether two unequal JSON bodies surely are the same up to ids, times and measured numbers; False says nothing.

        What is let pass is counted, where the answer is yes. Binds nothing.
        """
        if scene.bytewise or len(left) > _BODY_CHARS_MAX or b"\0" in left or b"\\u" in left:
            return False
        try:
            one, two = _pieces(left), _pieces(right)
        except UnicodeDecodeError:
            return False
        if len(one) != len(two):
            return False
        apart = list(compress(range(len(one)), map(ne, one, two)))
        if len(apart) > _PIECES_MAX:
            return False
        frame = one.copy()
        for at in apart:
            if at % 2:
                if not _PLAIN.fullmatch(one[at]) and role_of(one[at]) is None and not spans_of(one[at]):
                    return False
                frame[at] = _BLANK
            else:
                frame[at], other = _NUMBER.sub(_BLANK, one[at]), _NUMBER.sub(_BLANK, two[at])
                if frame[at] != other or other.count(_BLANK) != 1:
                    return False
        if scene.side.bindings.renames and _touch(frame, scene.side):
            return False
        spots = self._spots(left, '"'.join(frame), one, apart)
        return spots is not None and self._related([(one[at], two[at], spot) for at, spot in zip(apart, spots, strict=True)], apart, scene)

    def _spots(self, left: bytes, frame: str, one: list[str], apart: list[int]) -> Spots:
        known = self._known.get(frame, _NEW)
        if known is _NEW:
            # a frame that never comes again is not worth being read: the long way is as fast
            self._known[frame] = _ONCE
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)
            return None
        if known is not _ONCE:
            return known
        content = parse(left, b"application/json")
        spots = _places(one, apart, content.value) if content.kind == "json" and not content.notes else None  # type: ignore[arg-type]  # by kind
        self._known[frame] = spots
        return spots

    def _related(self, leaves: list[tuple[str, str, Place]], apart: list[int], scene: Scene) -> bool:
        aside = self._aside(scene.side)
        trial = replace(scene, side=aside, binding=False, counting=True)
        bindings = scene.side.bindings
        for (one, two, place), at in zip(leaves, apart, strict=True):
            recorded: Value = one
            observed: Value = two
            if at % 2 == 0:
                recorded, observed = (Number(found[0]) for found in (_NUMBER.search(one), _NUMBER.search(two)) if found is not None)
            elif "\\" in one or "\\" in two:
                return False
            elif (
                len(one) == len(two) == _UUID_CHARS
                and bindings.observed_for(one) == two != _NIL
                and _UUID.fullmatch(one)
                and _UUID.fullmatch(two)
            ):
                trial.tolerate("renamed id", place.path)
                continue
            elif _is_moved(one, two, place, trial):
                trial.tolerate("timestamp (ms,Z)", place.path)
                continue
            if relate(recorded, observed, trial, place):
                return False
        if any("not verified" in relation for relation, _, _ in aside.tolerated):
            return False
        if scene.counting:
            scene.side.tolerated.update(aside.tolerated)
        return True

    def _aside(self, side: Side) -> Side:
        """Give a side that knows what this one knows, and counts for itself."""
        aside = self._asides.get(id(side))
        if aside is None:
            aside = self._asides[id(side)] = replace(side)
        aside.tolerated, aside.not_compared, aside.clock = type(side.tolerated)(), type(side.not_compared)(), side.clock
        return aside


def _is_moved(one: str, two: str, place: Place, scene: Scene) -> bool:
    """Whether two texts are times as most are spelt, each right in its own run: what `relate` would find out, in a tenth of the time."""
    if not len(one) == len(two) == _STAMP_CHARS or not _STAMP.fullmatch(one) or not _STAMP.fullmatch(two) or place.path.startswith("$.started"):
        return False
    try:
        left, right = datetime.fromisoformat(one).timestamp(), datetime.fromisoformat(two).timestamp()
    except ValueError:
        return False
    return timely(left, right, 1.0, scene)


def pieces_of(body: bytes) -> list[str]:
    """Give the strings of a JSON body and of the JSON in its strings, to any depth, among other pieces of it."""
    if b"\\" in body:
        body = body.replace(b"\\", b"")
    return body.decode("utf-8", "surrogateescape").split('"')


def _pieces(body: bytes) -> list[str]:
    text = body.decode("utf-8")
    if '\\"' in text:
        text = text.replace("\\\\", _BACKSLASH).replace('\\"', _QUOTE)
    return text.split('"')


def _touch(frame: list[str], side: Side) -> bool:
    """Whether a piece that both have may be an id with another name over there, or hold one."""
    if side.bindings.touch(frame):
        return True
    nested = [word for piece in frame if "\2" in piece for word in piece.replace(_BACKSLASH, "").split("\2")]
    return bool(nested) and side.bindings.touch(word.rstrip("\\") for word in nested)


def _places(pieces: list[str], wanted: list[int], value: Value) -> Spots:
    """Say where in a JSON text that holds *value* the wanted pieces stand; None where one of them is a key."""
    leaves = _leaves(value, Place())
    found: list[Place] = []
    left = iter(wanted)
    want = next(left, None)
    in_lists: list[bool] = []
    at_key = False
    for at, piece in enumerate(pieces):
        if want is None:
            break
        if at % 2:
            if at_key:
                if at == want:
                    return None
                at_key = False
                continue
            place = next(leaves)
            if at == want:
                found.append(place)
                want = next(left, None)
            continue
        if piece == ":":
            continue
        for sign in _SIGNS.findall(piece):
            if sign in "{[":
                in_lists.append(sign == "[")
                at_key = sign == "{"
            elif sign in "}]":
                in_lists.pop()
                at_key = False
            elif sign == ",":
                at_key = not in_lists[-1]
            elif sign != ":":
                place = next(leaves)
                if at == want and _NUMBER.fullmatch(sign):
                    found.append(place)
                    want = next(left, None)
    return tuple(found) if want is None else None


def _leaves(value: Value, place: Place) -> Iterator[Place]:
    """Give the places of all leaves as the walker spells them, in the order of the text."""
    if isinstance(value, dict):
        mapped = is_map(value)
        for key, below in value.items():
            path = skeleton_child(place.path, key, mapped=mapped)
            yield from _leaves(below, Place(path, path, key))
    elif isinstance(value, list):
        inner = Place(f"{place.at}[*]", f"{place.path}[*]", place.key)
        for below in value:
            yield from _leaves(below, inner)
    else:
        yield place


__all__ = ["Frames", "pieces_of"]
