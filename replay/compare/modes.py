"""
Which routes are compared byte for byte, and which by meaning: by meaning, unless people say otherwise.

A pattern is a route with globs, as in rules: `*` is one segment (or the method), `*` inside a segment any characters of it, `**` any number of
segments; `*` alone is every route.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

BYTES: Final = "bytes"
_ALL: Final = frozenset({"*", "**"})
_EXACT: Final = 1_000
"""How much a pattern without any glob says."""


@dataclass(frozen=True, slots=True)
class Modes:
    """What people say of routes: (route pattern, `bytes` or `meaning`), as `("GET /api/export/*", "bytes")`."""

    entries: tuple[tuple[str, str], ...] = ()

    def bytewise(self, route: str) -> bool:
        """Tell whether a route is compared byte for byte; of several patterns the one that says most of the route decides."""
        return bool(self.entries) and _bytewise(self.entries, route)


@lru_cache(maxsize=1024)
def _bytewise(entries: tuple[tuple[str, str], ...], route: str) -> bool:
    fitting = [(_said(pattern), mode) for pattern, mode in entries if pattern in _ALL or _takes(_split(pattern), _split(route), _glob, "**")]
    return bool(fitting) and max(fitting)[1] == BYTES


def _split(route: str) -> tuple[str, ...]:
    method, space, path = route.partition(" ")
    return (method, *path.removeprefix("/").split("/")) if space else (method,)


def _said(pattern: str) -> int:
    if "*" not in pattern:
        return _EXACT
    return sum(0 if part == "**" else 1 if part == "*" else 5 if "*" in part else 10 for part in _split(pattern))


def _glob(pattern: str, text: str) -> bool:
    return _takes(pattern, text, lambda one, two: one == two, "*")


def _takes(pattern: Sequence[str], given: Sequence[str], fits: Callable[[str, str], bool], run: str) -> bool:
    """Whether a pattern takes all that is given; *run* stands for any number. In the product of both lengths."""
    states = {0}
    for part in pattern:
        if part == run:
            states = set(range(min(states), len(given) + 1)) if states else states
        else:
            states = {state + 1 for state in states if state < len(given) and fits(part, given[state])}
    return len(given) in states
