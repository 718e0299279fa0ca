"""Which routes are compared byte for byte, and which by meaning: by meaning, unless people say otherwise."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

BYTES: Final = "bytes"
MEANING: Final = "meaning"


@dataclass(frozen=True, slots=True)
class Modes:
    """What people say of routes: (route pattern, mode), as `("GET /api/export/*", "bytes")`."""

    entries: tuple[tuple[str, str], ...] = ()

    def bytewise(self, route: str) -> bool:
        """Tell whether a route is compared byte for byte; of several patterns the one that fixes most of the route decides."""
        return bool(self.entries) and _bytewise(self.entries, route)


@lru_cache(maxsize=1024)
def _bytewise(entries: tuple[tuple[str, str], ...], route: str) -> bool:
    fitting = [(len(pattern.replace("*", "")), "*" not in pattern, mode) for pattern, mode in entries if _covers(pattern, route)]
    return bool(fitting) and max(fitting)[2] == BYTES


def _covers(pattern: str, route: str) -> bool:
    """Match a whole route; `*` stands for any run of characters. Linear in both lengths' product."""
    pieces = pattern.split("*")
    if len(pieces) == 1:
        return pattern == route
    first, *middle, last = pieces
    if len(first) + len(last) > len(route) or not route.startswith(first) or not route.endswith(last):
        return False
    at, end = len(first), len(route) - len(last)
    for piece in middle:
        found = route.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return True
