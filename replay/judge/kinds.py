"""What causes are read from: what defines one, what all places together show, and small readings of one place."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from replay.judge.sights import Sight
from replay.judge.things import steps, words

PRESENCE: Final = frozenset({"missing-key", "extra-key"})
FIELDS: Final = frozenset({"value", "type", "format"})
SEARCHES: Final = frozenset({"search", "recall", "similar", "browse"})
"""Words of routes and tools that look for something."""
_SHOWS: Final = SEARCHES | {"get", "list", "show", "status", "tree", "read", "report"}
"""Words of tools that show something and change nothing."""


@dataclass(frozen=True, slots=True)
class Kin:
    """What defines a cause."""

    kind: str
    key: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Context:
    """What only all places together show."""

    reshaped: frozenset[tuple[str, str]]
    """(what was asked, holder): objects that are another object altogether."""
    defaults: frozenset[tuple[str, str, str]]
    """(field, primary, candidate): pairs of values that stand in several families."""
    settings: frozenset[tuple[str, str, str]]
    """The same for pairs that are constant at a route."""
    constants: frozenset[str]
    """Ids of the clusters that show one pair of values in each exchange of their route."""
    ending: frozenset[str]
    """Routes whose streams end otherwise."""


def outermost(place: Sight) -> bool:
    """Whether a place is a key of the whole answer, and not of a thing that it shows."""
    taken = steps(place.cluster.path)
    if place.tool:
        # What a tool answers is JSON in a text: of a tool that shows something a thing, of any other what it says of its deed.
        return len(taken) > 1 and taken[-2].kind == "root" and not _SHOWS & set(words(place.tool))
    return len(taken) == 1 and not place.thing.row


def writes(place: Sight) -> bool:
    """Whether the route or tool does something, and does not just tell what there is."""
    if place.tool:
        return not _SHOWS & set(words(place.tool))
    return (place.cluster.route or "").partition(" ")[0] not in {"GET", "HEAD", "OPTIONS"}


def by_data(place: Sight) -> bool:
    """Whether a key is data: then it is a member of a collection, and no part of a shape."""
    taken = steps(place.cluster.path)
    return bool(taken) and taken[-1].kind == "data"


def text_of(value: str | None) -> str | None:
    """Give a JSON text's own text; None for any other value."""
    found = value_of(value)
    return found if isinstance(found, str) else None


def value_of(text: str | None) -> Any:
    """Read compact JSON; None where there is none."""
    try:
        return None if text is None else json.loads(text)
    except (ValueError, RecursionError):
        return None


def tally(values: Iterable[str]) -> list[str]:
    """Give different values, the most frequent first."""
    return [value for value, _ in sorted(Counter(values).items(), key=lambda item: (-item[1], item[0]))]
