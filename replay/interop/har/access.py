"""Values out of parsed JSON, each with its place, so that an error can name it: `log.entries[12].request.method`."""

import math
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Never

from replay.model import ArchiveError

WHOLE_MAX: Final = 2**53
"""Beyond it, JSON readers do not agree on a whole number."""
_SHOWN_CHARACTERS_MAX: Final = 40


@dataclass(frozen=True, slots=True)
class Place:
    """A value, or nothing (None), and where it stands."""

    name: str
    value: Any

    def __bool__(self) -> bool:
        """Whether something is here: JSON's null counts as nothing."""
        return self.value is not None

    def field(self, key: str) -> "Place":
        """Give a field of an object; nothing where it is absent. Raises ArchiveError where this is no object."""
        return Place(f"{self.name}.{key}", self.object().get(key))

    def fields(self, *keys: str) -> "Place":
        """Give the first field that is there."""
        return next((found for key in keys if (found := self.field(key))), self.field(keys[0]))

    def object(self) -> dict[str, Any]:
        """Give this as an object; an empty one where nothing is here. Raises ArchiveError where it is anything else."""
        if self.value is None:
            return {}
        return self.value if isinstance(self.value, dict) else self.refuse("an object")

    def items(self) -> Iterator["Place"]:
        """Give the items of a list; none where nothing is here. Raises ArchiveError where it is anything else."""
        values = [] if self.value is None else self.value
        if not isinstance(values, list):
            self.refuse("a list")
        return (Place(f"{self.name}[{index}]", value) for index, value in enumerate(values))

    def text(self, otherwise: str | None = None) -> str:
        """Give a string, *otherwise* where nothing is here. Raises ArchiveError where it is anything else, or needed and not here."""
        if self.value is None and otherwise is not None:
            return otherwise
        return self.value if isinstance(self.value, str) else self.refuse("a string")

    def latin(self) -> bytes:
        """Give the bytes that a string of our own stands for, one character each. Raises ArchiveError where it can't."""
        try:
            return self.text().encode("latin-1")
        except UnicodeEncodeError:
            return self.refuse("a string of bytes (no character above U+00FF)")

    def base64(self) -> bytes:
        """Give the bytes of a base64 string. Raises ArchiveError where it is none."""
        text = self.text()
        try:
            return b64decode("".join(text.split()), validate=True)
        except (Base64Error, ValueError):
            return self.refuse("base64")

    def number(self) -> float:
        """Give a finite number. Raises ArchiveError where it is anything else."""
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            self.refuse("a number")
        try:
            found = float(self.value)
        except OverflowError:
            return self.refuse("a number of a sane size")
        return found if math.isfinite(found) else self.refuse("a finite number")

    def at(self) -> float:
        """Give a time in seconds since the epoch. Raises ArchiveError where it is none, or beyond the year 9999."""
        found = self.number()
        return found if 0 <= found < 253_402_300_800 else self.refuse("a time from 1970 to 9999")

    def whole(self, least: int = 0) -> int:
        """Give a whole number of at least *least*. Raises ArchiveError where it is none, or beyond 2^53."""
        if isinstance(self.value, bool) or not isinstance(self.value, int) or not least <= self.value <= WHOLE_MAX:
            self.refuse(f"a whole number from {least} to 2^53")
        return int(self.value)

    def refuse(self, wanted: str) -> Never:
        """Raise ArchiveError: this is not what is wanted."""
        if self.value is None:
            raise ArchiveError(f"{self.name}: is missing; {wanted} must stand here")
        shown = str(self.value) if isinstance(self.value, str | float) or self.value is True or self.value is False else ""
        shown = f" ({shown[:_SHOWN_CHARACTERS_MAX]!r})" if shown else ""
        raise ArchiveError(f"{self.name}: {_KINDS.get(type(self.value), 'something else')}{shown}, where {wanted} must stand")


_KINDS: Final = {dict: "an object", list: "a list", str: "a string", bool: "a truth value", int: "a whole number", float: "a number"}
