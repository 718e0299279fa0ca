"""
The route table as data: which domain a request belongs to, and what replaying it would touch.

How this works
--------------
`signet.tsv` lists the daemon's routes as read from its source: domain, method, template, replay class.
`match()` is total. A literal segment beats a parameter, whatever order the daemon registered them in, because the table names places in
reports and does not decide what the daemon does. What no template covers is a static file (`(static)`) or unknown (`(unknown)`), and gets
the domain `read` or `write` from its method, so that nothing falls out of the denominators.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import Final
from urllib.parse import unquote

from replay.model import DOMAINS, Request

ACTS_OUTSIDE: Final = frozenset({"side-effect", "external-read"})
"""Replay classes that reach outside the cell (shells, remotes, model providers): left out of a replay unless allowed."""

REPLAY_CLASSES: Final = frozenset(
    {"read", "read-post", "volatile-read", "external-read", "stream", "mutating", "side-effect", "rpc", "static", "unknown"}
)

WRITES: Final = frozenset({"mutating", "side-effect", "rpc", "unknown"})
"""Replay classes that may change the daemon's state."""

_READING: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_PATHS_MAX: Final = 1024
"""So many paths are remembered with their routes: most traffic asks the same ones again and again."""


@dataclass(frozen=True, slots=True)
class Route:
    """One row of the table."""

    method: str
    """`GET`, `POST`, …, or `ALL`."""
    template: str
    """`/api/memory/:id`"""
    domain: str
    """One of `replay.model.DOMAINS`."""
    replay_class: str
    """One of `REPLAY_CLASSES`."""

    @property
    def name(self) -> str:
        """`POST /api/memory/:id`, the spelling of reports and rules."""
        return f"{self.method} {self.template}"


@dataclass(slots=True)
class _Node:
    """A segment of the tree of templates."""

    literal: dict[str, "_Node"] = field(default_factory=dict)
    parameter: "_Node | None" = None
    routes: dict[str, Route] = field(default_factory=dict)


@cache
def table() -> tuple[Route, ...]:
    """All known routes, in the order of the file."""
    rows = (files(__package__) / "signet.tsv").read_text("utf-8").splitlines()
    routes = []
    for row in rows[1:]:
        domain, method, template, replay_class = row.split("\t")
        assert domain in DOMAINS, row
        assert replay_class in REPLAY_CLASSES, row
        routes.append(Route(method, template, domain, replay_class))
    return tuple(routes)


def by_name() -> Mapping[str, Route]:
    """All known routes by their name."""
    return MappingProxyType({route.name: route for route in table()})


def match(method: str, target: str) -> Route:
    """
    Name the route of a request.

    *target* is the raw request target; query and fragment do not count, a trailing slash does. Percent signs are decoded and `.` and `..`
    resolved, as the daemon does, so a route is known however a client spells it.
    Never raises: what no template covers comes back as `(static)` (a path with a file's ending, or one outside `/api`, read)
    or `(unknown)`.
    """
    return _match(method.upper(), target.split("?", 1)[0].split("#", 1)[0])


@lru_cache(maxsize=_PATHS_MAX)
def _match(method: str, path: str) -> Route:
    if "://" in path:
        path = "/" + path.split("://", 1)[1].partition("/")[2]
    path = _plainly(path)
    segments = path.split("/")[1:]
    for wanted in (method, "GET" if method == "HEAD" else method, "ALL"):
        found = _find(_tree(), segments, wanted)
        if found is not None:
            return found
    domain = "read" if method in _READING else "write"
    if method in {"GET", "HEAD"} and not _is_api(path):
        return Route(method, "(static)", domain, "static")
    return Route(method, "(unknown)", domain, "read" if method in _READING else "unknown")


def route_of(request: Request) -> Route:
    """Name the route of a recorded request."""
    return match(request.method.decode("latin-1"), request.target.decode("latin-1"))


def _plainly(path: str) -> str:
    segments: list[str] = []
    for segment in re.split(r"[/\\]", path)[1:]:
        plain = unquote(segment, "latin-1").replace("/", "%2F").replace("?", "%3F").replace("#", "%23")
        if plain == "..":
            segments = segments[:-1]
        elif plain != ".":
            segments.append(plain)
    return "/" + "/".join(segments)


def _is_api(path: str) -> bool:
    first = path.split("/")[1] if path.startswith("/") and len(path) > 1 else ""
    return first in {"api", "v1", "mcp", "memory"}


@cache
def _tree() -> _Node:
    root = _Node()
    for route in table():
        node = root
        for segment in route.template.split("/")[1:]:
            if segment.startswith(":"):
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.literal.setdefault(segment, _Node())
        node.routes[route.method] = route
    return root


def _find(node: _Node, segments: list[str], method: str) -> Route | None:
    if not segments:
        return node.routes.get(method)
    head, rest = segments[0], segments[1:]
    branch = node.literal.get(head)
    if branch is not None:
        found = _find(branch, rest, method)
        if found is not None:
            return found
    if node.parameter is not None and head:
        return _find(node.parameter, rest, method)
    return None
