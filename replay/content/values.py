"""
JSON values that keep what JSON texts distinguish and Python's own types do not.

A number keeps its spelling (`1`, `1.0` and `1e0` are three values), duplicate keys and non-JSON constants are noted, and lone
surrogates survive. `load` reads, `dump` writes compactly with every number as it was spelt.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from json.encoder import encode_basestring
from typing import Final

type Value = bool | Number | str | list[Value] | dict[str, Value] | None
"""A parsed JSON value."""

_DEPTH_MAX: Final = 200
"""Deeper nesting counts as no JSON, so that walks may be recursive."""

_NUMBER_DIGITS_MAX: Final = 4000
"""Python refuses to convert longer integers by default."""


@dataclass(frozen=True, slots=True)
class Number:
    """A JSON number as it was spelt. Equal only to a number of the same spelling; compare `.value` for the amount."""

    text: str

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


class NotJsonError(ValueError):
    """The text is not JSON; the message says where."""


def load(text: str) -> tuple[Value, tuple[str, ...]]:
    """
    Read one JSON text; also gives notes on what is odd in it (duplicate keys, NaN).

    Raises:
        NotJsonError: it is not JSON, or nested too deeply to be read.

    """
    notes: list[str] = []

    def pairs(items: list[tuple[str, Value]]) -> dict[str, Value]:
        value = dict(items)
        if len(value) != len(items):
            seen: set[str] = set()
            for key, _ in items:
                if key in seen:
                    notes.append(f"duplicate key {encode_basestring(key)}")
                seen.add(key)
        return value

    def constant(name: str) -> Number:
        notes.append(f"{name} is not JSON")
        return Number(name)

    try:
        value: Value = json.loads(text, parse_int=Number, parse_float=Number, parse_constant=constant, object_pairs_hook=pairs)
    except RecursionError as error:
        raise NotJsonError("nested too deeply") from error
    except ValueError as error:
        raise NotJsonError(str(error)) from error
    if text.count("[") + text.count("{") > _DEPTH_MAX and _depth(value) > _DEPTH_MAX:
        raise NotJsonError("nested too deeply")
    return value, tuple(notes)


def _depth(value: Value) -> int:
    depth = 0
    level: list[Value] = [value]
    while level:
        level = [
            below
            for item in level
            if isinstance(item, dict | list)
            for below in (item.values() if isinstance(item, dict) else item)
            if isinstance(below, dict | list)
        ]
        depth += 1
    return depth


def embedded(text: str) -> dict[str, Value] | list[Value] | None:
    """Read a string that itself holds a JSON object or array; None where it holds none."""
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
    parts: list[str] = []
    _dump(value, parts.append)
    return "".join(parts)


def _dump(value: Value, write: Callable[[str], None]) -> None:
    match value:
        case None:
            write("null")
        case True:
            write("true")
        case False:
            write("false")
        case Number():
            write(value.text)
        case str():
            write(encode_basestring(value))
        case list():
            write("[")
            for position, item in enumerate(value):
                if position:
                    write(",")
                _dump(item, write)
            write("]")
        case _:
            write("{")
            for position, (key, item) in enumerate(value.items()):
                if position:
                    write(",")
                write(encode_basestring(key))
                write(":")
                _dump(item, write)
            write("}")
