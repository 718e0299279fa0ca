"""
JSON values that keep what JSON texts distinguish and Python's own types do not.

A number keeps its spelling (`1`, `1.0` and `1e0` are three values), duplicate keys and non-JSON constants are noted, and lone
surrogates survive. `load` reads, `dump` writes compactly with every number as it was spelt.

How this works
--------------
The standard library's scanner in C does the reading. It calls back for each number, which is looked up among those met lately, so that equal
numbers are one object and two readings of one answer compare at C's speed; and for each object, where a doubled key shows in the count. What is
odd is read once more, slowly, with notes. Bounds (nesting, parts) keep the time linear and the memory below some twenty times the text.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from json import JSONDecoder
from json.encoder import encode_basestring
from typing import Any, Final

type Value = bool | Number | str | list[Value] | dict[str, Value] | None
"""A parsed JSON value."""

_DEPTH_MAX: Final = 200
"""Deeper nesting counts as no JSON, so that walks may be recursive."""

_NUMBER_DIGITS_MAX: Final = 4000
"""Python refuses to convert longer integers by default."""

_CONTAINERS_MAX: Final = 1_000_000
_PARTS_MAX: Final = 8_000_000
"""Texts with more objects and lists, or more members and items, are not read: fifty megabytes of brackets would fill the memory."""

_SHORT_CHARACTERS: Final = 1_000_000
"""No text of so few characters has too many parts."""


class Number:
    """A JSON number as it was spelt. Equal only to a number of the same spelling; compare `.value` for the amount."""

    __slots__ = ("text",)
    __match_args__ = ("text",)
    text: str

    def __init__(self, text: str) -> None:
        _set_text(self, text)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a number does not change (its {name})")

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Number) and self.text == other.text)

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Number({self.text!r})"

    def __reduce__(self) -> tuple[type["Number"], tuple[str]]:
        return Number, (self.text,)

    @property
    def value(self) -> int | float:
        """The amount: exact for integers, otherwise the nearest float (infinite where it is too large)."""
        if self.integral and len(self.text) <= _NUMBER_DIGITS_MAX:
            return int(self.text)
        return float(self.text)

    @property
    def integral(self) -> bool:
        """Whether it is spelt as an integer."""
        return self.text.lstrip("-").isdigit()

    def same_amount(self, other: "Number") -> bool:
        """
        Tell whether a client reads the same amount from both, however they are spelt.

        Exact for integers of any length, and for what no float can hold.
        """
        one, two = self.value, other.value
        if one != two or one not in {float("inf"), float("-inf")}:
            return one == two
        return Decimal(self.text) == Decimal(other.text)


_set_text: Final[Callable[[Number, str], None]] = Number.__dict__["text"].__set__


class NotJsonError(ValueError):
    """The text is not JSON; the message says where."""


class _OddError(Exception):
    """There is something to be noted, so the text is to be read slowly."""


def _whole(members: list[tuple[str, Value]]) -> dict[str, Value]:
    value = dict(members)
    if len(value) != len(members):
        raise _OddError
    return value


def _refuse(_name: str) -> Any:
    raise _OddError


_number: Final = lru_cache(maxsize=16_384)(Number)
_PLAIN: Final = JSONDecoder(parse_int=_number, parse_float=_number, parse_constant=_refuse, object_pairs_hook=_whole)


@dataclass(slots=True)
class _Slow:
    """Reads what is odd, and notes it."""

    first_wins: bool
    notes: list[str]

    def pairs(self, members: list[tuple[str, Value]]) -> dict[str, Value]:
        value = dict(members)
        if len(value) == len(members):
            return value
        seen: set[str] = set()
        for key, _ in members:
            if key in seen:
                self.notes.append(f"duplicate key {encode_basestring(key)}")
            seen.add(key)
        return dict(reversed(members)) if self.first_wins else value

    def constant(self, name: str) -> Number:
        self.notes.append(f"{name} is not JSON")
        return Number(name)


def load(text: str, *, first_wins: bool = False) -> tuple[Value, tuple[str, ...]]:
    """
    Read one JSON text; also gives notes on what is odd in it (duplicate keys, NaN).

    Of a doubled key the last value counts, as in most clients; with *first_wins* the first.

    Raises:
        NotJsonError: it is not JSON, nested too deeply, or has too many parts to be read.

    """
    if len(text) > _SHORT_CHARACTERS and (text.count("[") + text.count("{") > _CONTAINERS_MAX or text.count(",") > _PARTS_MAX):
        raise NotJsonError(f"too many parts to be read (over {_CONTAINERS_MAX:,} objects and lists, or {_PARTS_MAX:,} members and items)")
    notes: list[str] = []
    try:
        try:
            value: Value = _PLAIN.decode(text)
        except _OddError:
            slow = _Slow(first_wins, notes)
            reader = JSONDecoder(parse_int=_number, parse_float=_number, parse_constant=slow.constant, object_pairs_hook=slow.pairs)
            value = reader.decode(text)
    except RecursionError as error:
        raise NotJsonError("nested too deeply") from error
    except ValueError as error:
        raise NotJsonError(str(error)) from error
    if text.count("[") + text.count("{") > _DEPTH_MAX and _depth(value) > _DEPTH_MAX:
        raise NotJsonError("nested too deeply")
    return value, tuple(notes)


def _depth(value: Value) -> int:
    depth = 0
    level: list[Any] = [value] if isinstance(value, dict | list) else []
    while level:
        depth += 1
        below: list[Any] = []
        for item in level:
            parts = item.values() if type(item) is dict else item
            kinds = set(map(type, parts))  # most lists hold leaves alone, which this sees at once
            if dict in kinds or list in kinds:
                below.extend(part for part in parts if type(part) is dict or type(part) is list)
        level = below
    return depth


def embedded(text: str) -> dict[str, Value] | list[Value] | None:
    """
    Read a string that itself holds a JSON object or array; None where it holds none.

    However deep JSON lies in JSON, each level doubles the signs that escape its quotation marks, so 64 MB hold no more than 26.
    """
    if not looks_embedded(text):
        return None
    try:
        value, _ = load(text)
    except NotJsonError:
        return None
    return value if isinstance(value, dict | list) else None


def looks_embedded(text: str) -> bool:
    """Tell cheaply whether a string can hold a JSON object or array."""
    if len(text) < 2:
        return False
    first, last = text[0], text[-1]
    if first in " \t\r\n" or last in " \t\r\n":
        stripped = text.strip(" \t\r\n")
        if len(stripped) < 2:
            return False
        first, last = stripped[0], stripped[-1]
    return (first == "{" and last == "}") or (first == "[" and last == "]")


def dump(value: Value) -> str:
    """Write a value as compact JSON, numbers as they were spelt, keys in their order."""
    kind = type(value)
    if kind is str:
        return encode_basestring(value)  # type: ignore[arg-type]  # by kind
    if kind is Number:
        return value.text  # type: ignore[union-attr]
    if kind is dict:
        return "{" + ",".join([f"{encode_basestring(key)}:{dump(item)}" for key, item in value.items()]) + "}"  # type: ignore[union-attr]
    if kind is list:
        return "[" + ",".join([dump(item) for item in value]) + "]"  # type: ignore[union-attr]
    return "null" if value is None else "true" if value else "false"
