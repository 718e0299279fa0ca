"""
Questions about a numbered list, whose items come together and in an order as the daemon's work happens to fall.

How this works
--------------
Which facts a worker finds waiting, and so puts into one question, depends on when it looks. What is asked about each does not. So such a
question is known by its set of items; and where it is a classification, whose answer says something of each item by its number, an item that
was recorded in another list is found there, and its result gets the number that it has now. Of which entity a fact is a matter falls so, too:
a list bears the name of whichever was first in a queue, or found it first. So an item that no list of the same entity held may come from one of
another; then that is told.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

_ENTITY: Final = re.compile(r"\nEntity: ([^\n]*)\n(?:Existing aspects|Aspects): ([^\n]*)\n")
_NUMBERED: Final = re.compile(r"\n\n(?:Facts:\n)?(1\. [\s\S]*?)\n\s*(?:Also determine the entity type[\s\S]*?)?\n?Return (?:a|one) JSON")
_ENTITIES: Final = re.compile(r"\n\nEntities:\n(1\. [\s\S]*?)\n\nRespond with")
_PLAN: Final = re.compile(r"\n(Original query: [\s\S]*?)\nCurrent evidence:\n(1\. [\s\S]*)\Z")
_NOTE: Final = re.compile(r"\n(Question: [\s\S]*?)\n\nEvidence:\n(1\. [\s\S]*)\Z")
_NUMBER: Final = re.compile(r"(?:\A|\n)([0-9]+)\. ")
_RESULTS: Final = "results"


@dataclass(frozen=True, slots=True)
class Listing:
    """A question about a list."""

    head: str
    """What it is about beside the list, such as an entity."""
    context: str
    """What the daemon knew already; it may change what a model says, and is told where it differs."""
    items: tuple[str, ...]
    each: bool
    """Whether the answer says something of each item by its number."""


def listing_of(stage: str, text: str) -> Listing | None:
    """Take a question about a list apart; None where it is none, or not as the daemons spell it."""
    match stage:
        case "classification" | "dependency":
            entity, block = _ENTITY.search(text), _NUMBERED.search(text)
            if entity is None or block is None:
                return None
            # A daemon finds an entity by its name without case, and names it as whoever came first did.
            return _listing(entity[1].casefold(), entity[2], block[1], each=True)
        case "entity types":
            block = _ENTITIES.search(text)
            return None if block is None else _listing("", "", block[1], each=True)
        case "recall plan" | "recall note":
            found = (_PLAN if stage == "recall plan" else _NOTE).search(text)
            return None if found is None else _listing(found[1], "", found[2], each=False)
    return None


def read_results(text: str) -> list[dict[str, Any]] | None:
    """Give what an answer says of each item, by its number `i`; None where it says nothing that can be read."""
    told = _json_in(text)
    rows = told.get(_RESULTS) if isinstance(told, dict) else told
    if not isinstance(rows, list) or not all(isinstance(row, dict) and isinstance(row.get("i"), int) for row in rows):
        return None
    return rows


def write_results(like: str, rows: Sequence[dict[str, Any]]) -> str:
    """Spell results as a recorded answer does: a list, or an object that holds one."""
    told = _json_in(like)
    return json.dumps({**told, _RESULTS: list(rows)} if isinstance(told, dict) else list(rows))


def _listing(head: str, context: str, block: str, *, each: bool) -> Listing | None:
    items: list[str] = []
    start = 0
    for match in _NUMBER.finditer(block):
        if int(match[1]) != len(items) + 1:
            continue  # a number that stands in an item
        if items:
            items[-1] = block[start : match.start()]
        items.append("")
        start = match.end()
    if not items:
        return None
    items[-1] = block[start:]
    return Listing(head, context, tuple(items), each)


def _json_in(text: str) -> Any:
    """Give the JSON that a model wrote, perhaps between other words."""
    found = [(text.find(opening), text.rfind(closing)) for opening, closing in (("{", "}"), ("[", "]"))]
    for start, end in sorted(pair for pair in found if -1 < pair[0] < pair[1]):
        try:
            return json.loads(text[start : end + 1])
        except (ValueError, RecursionError):
            continue
    return None
