"""
Make the two directions of a codec out of a value's own type hints.

How this works
--------------
`shape_of()` reads a type hint once and gives a `Shape`: one function that turns a value into what msgpack packs, and one that turns it
back. Both are strict. Encoding refuses a value that its hint does not allow, so that nothing is written which can't be read; decoding
refuses an unknown key, a missing key and a value of another type. A dataclass becomes a map of its field names, a tuple a list, an enum
its value. A union of dataclasses becomes a map with a `type`, the class name in lower case with dashes.

A mismatch is raised as `Mismatch`, whose text names the place inside the value, from the outside in.

Both are on the way of every exchange, so what is packed as it is (a word, a number, a header of two short byte strings) is only looked at,
not copied: msgpack packs a tuple as a list by itself, and gives one back where it is asked to. A map whose keys stand in the order of the
fields, as they are written, is taken by place.
"""

import dataclasses
import math
import re
from collections.abc import Callable, Mapping
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Final, Literal, TypeAliasType, Union, get_args, get_origin, get_type_hints

type Spill = Callable[[bytes], object]
"""Gives what to pack for a byte string: the bytes themselves, or a reference to where they are stored."""

SPILLED_BYTES_MIN: Final = 512
"""Shorter byte strings are always packed in their place, without asking."""


def keep(data: bytes) -> object:
    """Pack a byte string in its place, however big: the `Spill` that spills nothing."""
    return data


class Mismatch(ValueError):  # noqa: N818 - it says what was found, and never leaves this room
    """A value is not of the shape that its place asks for."""

    def inside(self, place: str) -> "Mismatch":
        """The same mismatch, seen from one level further out."""
        return Mismatch(f"{place}.{self}" if _PLACE.match(str(self)) else f"{place}: {self}")


_PLACE: Final = re.compile(r"[a-z_0-9]+[.:]")


@dataclasses.dataclass(frozen=True, slots=True)
class Shape:
    """Both directions for one type."""

    encode: Callable[[Any, Spill], Any]
    decode: Callable[[Any], Any]
    passed: frozenset[type] = frozenset()
    """Values of exactly these types are packed as they are."""
    taken: frozenset[type] = frozenset()
    """Values of exactly these types are given as they were unpacked."""


def shape_of(hint: Any) -> Shape:
    """
    Make the codec of a type hint.

    Raises:
        TypeError: the hint is of a kind that has no place in a record.
    """
    if isinstance(hint, TypeAliasType):
        return shape_of(hint.__value__)
    if hint in _SCALARS:
        return _SCALARS[hint]
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _enum(hint)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _fields(hint)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return _word(arguments)
    if origin is tuple:
        return _run_of(arguments[0]) if arguments[1:] == (...,) else _row([shape_of(part) for part in arguments])
    if origin is dict:
        return _table(shape_of(arguments[0]), shape_of(arguments[1]))
    if origin in (Union, UnionType):
        return _union(arguments)
    raise TypeError(f"no shape for {hint!r}")


# --- scalars ---


def _scalar(wanted: type) -> Shape:
    def decode(value: Any) -> Any:
        if type(value) is not wanted:
            raise Mismatch(f"{type(value).__name__} where {wanted.__name__} belongs")
        return value

    return Shape(lambda value, _: decode(value), decode, frozenset({wanted}), frozenset({wanted}))


def _encode_text(value: Any, _: Spill) -> str:
    if not isinstance(value, str):
        raise Mismatch(f"{type(value).__name__} where str belongs")
    return str(value)


def _encode_float(value: Any, _: Spill) -> float:
    # A type checker lets an int pass as a float; on disk a time is always a float.
    return _decode_float(float(value) if type(value) is int else value)


def _decode_float(value: Any) -> float:
    if type(value) is not float:
        raise Mismatch(f"{type(value).__name__} where float belongs")
    if not math.isfinite(value):
        raise Mismatch(f"{value} where a finite number belongs")
    return value


def _encode_bytes(value: Any, spill: Spill) -> Any:
    if type(value) is not bytes:
        raise Mismatch(f"{type(value).__name__} where bytes belongs")
    return spill(value) if len(value) >= SPILLED_BYTES_MIN else value


_SCALARS: Mapping[Any, Shape] = {
    int: _scalar(int),
    bool: _scalar(bool),
    NoneType: _scalar(NoneType),
    str: Shape(_encode_text, _scalar(str).decode, frozenset({str}), frozenset({str})),
    float: Shape(_encode_float, _decode_float),
    bytes: Shape(_encode_bytes, _scalar(bytes).decode, taken=frozenset({bytes})),
}


def _enum(wanted: type[Enum]) -> Shape:
    members = {member.value: member for member in wanted}
    words = {member: member.value for member in wanted}

    def encode(value: Any, _: Spill) -> Any:
        if type(value) is not wanted:
            raise Mismatch(f"{type(value).__name__} where {wanted.__name__} belongs")
        return words[value]

    def decode(value: Any) -> Any:
        if type(value) is not str:
            raise Mismatch(f"{type(value).__name__} where {wanted.__name__} belongs")
        member = members.get(value)
        if member is None:
            raise Mismatch(f"unknown {wanted.__name__}")
        return member

    return Shape(encode, decode)


def _word(allowed: tuple[str, ...]) -> Shape:
    def decode(value: Any) -> Any:
        if type(value) is not str or value not in allowed:
            raise Mismatch(f"none of {', '.join(allowed)}")
        return value

    return Shape(lambda value, _: decode(value), decode)


# --- containers ---


def _run_of(hint: Any) -> Shape:
    run = _run(shape_of(hint))
    plain = hint.__value__ if isinstance(hint, TypeAliasType) else hint
    if get_origin(plain) is not tuple or get_args(plain) != (bytes, bytes):
        return run

    def encode(pairs: Any, spill: Spill) -> Any:
        for pair in pairs if type(pairs) is tuple else ((),):
            if type(pair) is not tuple or len(pair) != 2:
                return run.encode(pairs, spill)
            name, value = pair
            if type(name) is not bytes or type(value) is not bytes or len(name) + len(value) >= SPILLED_BYTES_MIN:
                return run.encode(pairs, spill)
        return pairs

    def decode(pairs: Any) -> Any:
        for pair in pairs if type(pairs) is tuple else ((),):
            if type(pair) is not tuple or len(pair) != 2 or type(pair[0]) is not bytes or type(pair[1]) is not bytes:
                return run.decode(pairs)
        return pairs

    return Shape(encode, decode)


def _run(item: Shape) -> Shape:
    def encode(value: Any, spill: Spill) -> list[Any]:
        if not isinstance(value, tuple):
            raise Mismatch(f"{type(value).__name__} where tuple belongs")
        return [item.encode(part, spill) for part in value]

    def decode(value: Any) -> tuple[Any, ...]:
        if type(value) is not tuple and type(value) is not list:
            raise Mismatch(f"{type(value).__name__} where a list belongs")
        return tuple([item.decode(part) for part in value]) if value else ()

    return Shape(encode, decode)


def _row(items: list[Shape]) -> Shape:
    def encode(value: Any, spill: Spill) -> list[Any]:
        if not isinstance(value, tuple) or len(value) != len(items):
            raise Mismatch(f"no tuple of {len(items)}")
        return [item.encode(part, spill) for item, part in zip(items, value, strict=True)]

    def decode(value: Any) -> tuple[Any, ...]:
        if (type(value) is not tuple and type(value) is not list) or len(value) != len(items):
            raise Mismatch(f"no list of {len(items)}")
        return tuple([item.decode(part) for item, part in zip(items, value, strict=True)])

    return Shape(encode, decode)


def _table(key: Shape, item: Shape) -> Shape:
    def encode(value: Any, spill: Spill) -> dict[Any, Any]:
        if not isinstance(value, dict):
            raise Mismatch(f"{type(value).__name__} where dict belongs")
        return {key.encode(name, spill): item.encode(part, spill) for name, part in value.items()}

    def decode(value: Any) -> dict[Any, Any]:
        if type(value) is not dict:
            raise Mismatch(f"{type(value).__name__} where a map belongs")
        return {key.decode(name): item.decode(part) for name, part in value.items()}

    return Shape(encode, decode)


def _fields(wanted: type, tag: str | None = None) -> Shape:
    hints = get_type_hints(wanted)
    parts = [(field.name, shape_of(hints[field.name])) for field in dataclasses.fields(wanted)]
    named = [(name, part.passed, part.encode) for name, part in parts]
    start = {} if tag is None else {"type": tag}
    order = (*start, *(name for name, _ in parts))
    names = frozenset(order)
    untold = len(start)
    places = [(place, part.taken, part.decode, name) for place, (name, part) in enumerate(parts, untold)]

    def encode(value: Any, spill: Spill) -> dict[str, Any]:
        if type(value) is not wanted:
            raise Mismatch(f"{type(value).__name__} where {wanted.__name__} belongs")
        packed: dict[str, Any] = start.copy()
        for name, passed, pack in named:
            part = getattr(value, name)
            if type(part) not in passed:
                try:
                    part = pack(part, spill)
                except Mismatch as mismatch:
                    raise mismatch.inside(name) from None
            packed[name] = part
        return packed

    def decode(value: Any) -> Any:
        if type(value) is not dict:
            raise Mismatch(f"{type(value).__name__} where a map belongs")
        if tuple(value) == order:
            found = list(value.values())
        elif value.keys() == names:
            found = [value[name] for name in order]
        else:
            raise _wrong_keys(value.keys(), names)
        for place, taken, unpack, name in places:
            part = found[place]
            if type(part) not in taken:
                try:
                    found[place] = unpack(part)
                except Mismatch as mismatch:
                    raise mismatch.inside(name) from None
        return wanted(*found[untold:])

    return Shape(encode, decode)


def _wrong_keys(found: Any, names: frozenset[str]) -> Mismatch:
    missing = sorted(names - found)
    # Keys of a damaged file may be anything: their number is said, not their text.
    unknown = len(found - names)
    return Mismatch(f"missing {', '.join(missing)}" if missing else f"{unknown} unknown keys")


def _union(hints: tuple[Any, ...]) -> Shape:
    rest = [hint for hint in hints if hint is not NoneType]
    if len(rest) == 1:
        return _optional(shape_of(rest[0]))
    if len(rest) != len(hints) or not all(dataclasses.is_dataclass(hint) for hint in rest):
        raise TypeError(f"no shape for a union of {hints!r}")
    return tagged({_tag(hint): hint for hint in rest})


def _optional(item: Shape) -> Shape:
    return Shape(
        lambda value, spill: None if value is None else item.encode(value, spill),
        lambda value: None if value is None else item.decode(value),
        item.passed | {NoneType},
        item.taken | {NoneType},
    )


def tagged(types: Mapping[str, type]) -> Shape:
    """Make the codec of a union of dataclasses: a map with the key `type` beside the fields."""
    shapes = {name: _fields(wanted, name) for name, wanted in types.items()}
    encoders = {wanted: shapes[name].encode for name, wanted in types.items()}

    def encode(value: Any, spill: Spill) -> Any:
        pack = encoders.get(type(value))
        if pack is None:
            raise Mismatch(f"{type(value).__name__} is none of {', '.join(types)}")
        return pack(value, spill)

    def decode(value: Any) -> Any:
        if type(value) is not dict:
            raise Mismatch(f"{type(value).__name__} where a map belongs")
        name = value.get("type")
        shape = shapes.get(name) if type(name) is str else None
        if shape is None:
            raise Mismatch("unknown type")
        return shape.decode(value)

    return Shape(encode, decode)


def _tag(wanted: type) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", wanted.__name__).lower()
