"""Checks TOML tables against the keys and types that they may have, and finds the line of what is wrong."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from replay.model import UsageError

type Place = tuple[str | int, ...]
"""Keys and list positions from the top of the file: `("companions", 0, "ready_port")`."""

_HEADER: Final = re.compile(r"^\s*\[\[?\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")
_NAMES: Final = {str: "text", int: "a whole number", float: "a number", bool: "true or false", list: "a list", dict: "a table"}


@dataclass(frozen=True, slots=True)
class Source:
    """One TOML text and where it is from."""

    where: str
    name: str
    folder: Path | None
    """What relative paths are relative to; None for a built-in text."""
    text: str

    def at(self, place: Place) -> str:
        """Say where a place is: `file.toml:12`."""
        line = line_of(self.text, place)
        return self.where if line is None else f"{self.where}:{line}"

    def expect_texts(self, values: Sequence[Any], place: Place) -> None:
        """
        Make sure that all values are texts.

        Raises: UsageError.
        """
        for value in values:
            if not isinstance(value, str):
                raise UsageError(f"{self.at(place)}: {_path(place)} holds {value!r}; only text belongs there (put it in quotes).")


def read_table(table: object, shape: Mapping[str, tuple[type, ...]], place: Place, source: Source, *, needed: Sequence[str] = ()) -> None:
    """
    Make sure that a table has only known keys, of the right types, and the needed ones.

    Raises: UsageError that names file, line, key and what would be right.
    """
    if not isinstance(table, dict):
        raise UsageError(f"{source.at(place)}: {_path(place)} must be a table, not {table!r}.")
    for key, value in table.items():
        where = source.at((*place, key))
        if key not in shape:
            near = get_close_matches(key, shape, n=1)
            meant = f" Did you mean {near[0]!r}?" if near else f" There are: {', '.join(shape)}."
            raise UsageError(f"{where}: unknown key {_path((*place, key))!r}.{meant}")
        wanted = shape[key]
        # bool is an int to Python, and not to the person who wrote the file.
        if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
            raise UsageError(f"{where}: {_path((*place, key))} must be {_NAMES[wanted[-1]]}, not {value!r}.")
    for key in needed:
        if key not in table:
            raise UsageError(f"{source.at(place)}: {_path(place)} lacks {key!r}.")


def line_of(text: str, place: Place) -> int | None:
    """
    Find the line (from 1) on which a place stands; None where it can't be seen.

    A search by text, for tomllib keeps no lines: headers are followed, then the key is looked for below its header. The nearest
    line above is given where a key stands in an inline table.
    """
    names = [part for part in place if isinstance(part, str)]
    counts: dict[str, int] = {}
    header: tuple[str, ...] = ()
    position: int | None = None
    best: tuple[int, int] | None = None  # how many names of the place were met, line
    wanted = next((part for part in place if isinstance(part, int)), None)
    for number, line in enumerate(text.splitlines(), 1):
        matched = _HEADER.match(line)
        if matched and "=" not in line.split("#", 1)[0]:
            header = tuple(part.strip().strip("\"'") for part in matched[1].split("."))
            if line.lstrip().startswith("[["):
                position = counts.get(matched[1], 0)
                counts[matched[1]] = position + 1
            met = header if header == tuple(names[: len(header)]) else ()
        elif "=" in line:
            key = tuple(part.strip().strip("\"'") for part in line.split("=", 1)[0].split("."))
            met = (*header, *key)
            met = met if met == tuple(names[: len(met)]) else ()
        else:
            continue
        if header and wanted is not None and position is not None and position != wanted:
            continue
        if met and (best is None or len(met) > best[0]):
            best = (len(met), number)
    return best[1] if best else None


def _path(place: Place) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")
