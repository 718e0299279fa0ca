"""
What a place speaks of: which thing (a memory, an entity, a plugin), and which field of it.

How this works
--------------
The route table says what things a daemon has: a literal segment before a parameter (`documents/:id`) names a collection, and so does a
plural one. A place belongs to the nearest such thing on its path (`$.entities[*].aspects[*].name` speaks of an aspect), else to that of its
route. So `$.memories[*].who` of one route and `$.who` of `GET /api/memory/:id` both speak of `who` of a memory, wherever it is shown.
All of it is read from the one place alone: what else a run has seen does not change it.
"""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from typing import Final

from replay.routes import table

_STEP: Final = re.compile(r'\.<(\w+)>|\.([^.\[]+)|\[("(?:[^"\\]|\\.)*")\]|\[([*+\d]+)\]')
_WORD: Final = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")
_NOT_THINGS: Final = frozenset({"stat", "analytics", "diagnostics", "metric", "setting", "detail", "result", "item", "status", "history"})
"""Words that look like a plural and name no collection."""
CALL: Final = "CALL"
"""The method of a tool's name that is written as a route: `CALL /memory/store`."""
_ANYTHING: Final = frozenset(
    {"config", "event", "file", "group", "job", "link", "message", "model", "provider", "run", "source", "table", "task", "version"}
)
"""Words that name one thing in their own family, and may mean anything elsewhere."""
_PREFIXES: Final = frozenset({"api", "v1", "v2"})
_COUNTING: Final = frozenset({"count", "total", "num"})


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a path's skeleton."""

    kind: str
    """`key`, `data` (a key that is no plain word, so most likely data), `item`, or `root` (JSON in text, an event's data, a line)."""
    name: str


@dataclass(frozen=True, slots=True)
class Thing:
    """What a place speaks of."""

    noun: str
    """Such as `memory`, `entity` or `telemetry event`."""
    field: str
    """The key, `*` for one that is data; empty for the thing itself."""
    listed: bool
    """Whether the place is an item of a list."""
    row: bool
    """Whether the place is a field of one such thing, and not a fact about all of them."""

    @property
    def stored(self) -> bool:
        """Whether it is one of a collection, and not an activity such as a hook or a repair."""
        return self.noun in _collections()

    @property
    def home(self) -> str:
        """The family that the thing belongs to: `knowledge` for an entity."""
        return _homes().get(self.noun, self.noun)


@lru_cache(maxsize=8192)
def steps(path: str) -> tuple[Step, ...]:
    """Take a path's skeleton apart; empty for places outside of a body."""
    if not path.startswith("$"):
        return ()
    found = []
    for root, key, data, index in _STEP.findall(path):
        if root:
            found.append(Step("root", root))
        elif index:
            found.append(Step("item", index))
        elif data:
            found.append(Step("data", data))
        else:
            # Programs name their fields in camel or snake case: a key with a hyphen comes from outside.
            found.append(Step("data" if "-" in key or key == "*" else "key", key))
    return tuple(found)


def parent(path: str) -> str:
    """Give the path of the object that holds a place."""
    matches = list(_STEP.finditer(path))
    return path[: matches[-1].start()] if matches else path


def words(key: str) -> list[str]:
    """Take a key apart into lower-case words, whatever case it is written in."""
    return [word.lower() for word in _WORD.findall(key)]


def singular(word: str) -> str:
    """Give a word's singular, as far as its letters tell."""
    if len(word) < 4 or word.endswith("ics"):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("ses", "xes", "ches")):
        return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def family(route: str | None) -> str:
    """Give the first word of a route's path: `memory` of `GET /api/memories`."""
    literals = _literals(route)
    return singular(literals[0]) if literals else (route or "").strip()


@lru_cache(maxsize=4096)
def route_noun(route: str | None) -> str:
    """Name the thing that a route, or a tool's name written as one, is about."""
    own = family(route)
    for literal in reversed(_literals(route)[1:]):
        if singular(literal) in _things():
            return _qualified(singular(literal), "" if route and route.startswith(CALL) else own)
    return own


@lru_cache(maxsize=8192)
def thing_of(route: str | None, path: str) -> Thing:
    """Say what a place speaks of."""
    taken = steps(path)
    listed = bool(taken) and taken[-1].kind == "item"
    own = family(route)
    noun = ""
    direct = True
    for place, step in enumerate(taken if listed else taken[:-1]):
        if step.kind in {"root", "item"}:
            direct = True
            continue
        many = place + 1 < len(taken) and taken[place + 1].kind == "item"
        if step.kind == "key" and (many or (direct and len(words(step.name)) == 1)) and (named := _named(step.name, own)):
            noun = named
        direct = False
    names = [step for step in taken if step.kind in {"key", "data"}]
    field = "" if not names else "*" if names[-1].kind == "data" else names[-1].name
    row = not listed and (bool(noun) or any(step.kind == "item" for step in taken) or (_shows_one(route) and len(taken) == 1))
    if not row and (counted := _counted(field, own)):
        noun = counted
    return Thing(noun or route_noun(route), field, listed, row)


def counts(field: str) -> bool:
    """Whether a field's name says that it counts things."""
    parts = words(field)
    return bool(parts) and (parts[-1] in _COUNTING or parts[0] == "total")


def _counted(field: str, own: str) -> str:
    """Name what a counting field counts: `entity` of `entityCount`."""
    if not counts(field):
        return ""
    return next((_qualified(singular(word), own) for word in words(field) if word not in _COUNTING and singular(word) in _things()), "")


def _named(key: str, own: str) -> str:
    parts = words(key)
    last = singular(parts[-1]) if parts else ""
    if last in _ANYTHING and _homes().get(last) != own:
        return ""
    return _qualified(last, own) if last in _things() else ""


def _qualified(noun: str, own: str) -> str:
    """A collection has one name everywhere; what is only listed (events, messages, models) goes by its family."""
    if noun in _collections() or noun == own:
        return noun
    return own if own in _families() else _homes().get(noun, own)


def _shows_one(route: str | None) -> bool:
    """Whether a route answers with one thing of a collection: the one that it names, makes, or does something with."""
    method, _, template = (route or "").partition(" ")
    last = template.rpartition("/")[2]
    if method in {"GET", "PATCH", "PUT"}:
        return last.startswith(":")
    return method == "POST" and (singular(last) in _collections() or "/:" in template)


def _literals(route: str | None) -> list[str]:
    template = (route or "").partition(" ")[2]
    return [part for part in _parts(template) if not part.startswith((":", "(", "*"))]


def _parts(template: str) -> list[str]:
    return [part for part in template.split("/") if part and part not in _PREFIXES]


@cache
def _collections() -> frozenset[str]:
    """What the route table shows one of: the word before a parameter."""
    pairs = {pair for route in table() for pair in pairwise(_parts(route.template))}
    return frozenset({singular(one) for one, two in pairs if two.startswith(":") and not one.startswith(":")} - _NOT_THINGS)


@cache
def _families() -> frozenset[str]:
    """The first words of the paths of the route table's own prefix."""
    return frozenset(family(route.name) for route in table() if route.template.startswith("/api/"))


@cache
def _homes() -> dict[str, str]:
    """Give each thing's family: the one that most of its routes are in."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for route in table():
        for literal in _literals(route.name):
            found[singular(literal)][family(route.name)] += 1
    homes = {noun: min(counted, key=lambda name: (-counted[name], name)) for noun, counted in found.items()}
    return homes | {name: name for name in _families() - _collections()}


@cache
def _things() -> frozenset[str]:
    """All things that the route table names: collections, and words in the plural."""
    plural = {part for route in table() for part in _parts(route.template) if singular(part) != part and not part.startswith(":")}
    return frozenset((_collections() | {singular(part) for part in plural}) - _NOT_THINGS)
