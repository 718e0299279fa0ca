"""
What an id stands for, told by the other things that are known of its row, so that the same row can be found in another database.

Pure: a row is described by names and plain values, and what may be asked of another database's row of the same table follows from that. Times
never count, for they are the run's own; ids count as what they are bound to, and not at all where they are not; states, amounts and results
change while a daemon works, so they only decide between rows that are the same otherwise.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from replay.content import Number, Value, embedded, parse
from replay.identity import ID_KINDS, TIME_KINDS, Bindings, find
from replay.model import Response

type Plain = str | int | float | None
"""A value that a column holds."""

_CHANGING: Final = frozenset({"status", "state", "phase", "result", "error", "lasterror", "message", "progress", "output", "updatedby"})
_OBJECTS_MAX: Final = 2000


@dataclass(frozen=True, slots=True)
class Term:
    """What a row must hold in a column."""

    column: str
    value: Plain
    firm: bool
    """False where daemons change it as they work: such terms only decide between several rows."""


def describe(word: str, answer: Response) -> Mapping[str, Plain] | None:
    """Give what an answer says of the thing whose id is *word*: names and plain values; None where it speaks of no such thing."""
    content = parse(answer.body or b"", answer.header(b"content-type"))
    if content.kind != "json":
        return None
    todo: list[Value] = [content.value]  # type: ignore[list-item]  # by kind
    for _ in range(_OBJECTS_MAX):
        if not todo:
            break
        value = todo.pop(0)
        if isinstance(value, list):
            todo.extend(value)
        elif isinstance(value, dict):
            if value.get("id") == word:
                return {name: _plain_value(item) for name, item in value.items() if item is None or isinstance(item, str | bool | Number)}
            todo.extend(value.values())
        elif isinstance(value, str) and (inner := embedded(value)) is not None:
            todo.append(inner)
    return None


def plain_name(name: str) -> str:
    """Give a member's or column's name without its spelling: `memoryId` and `memory_id` are one."""
    return name.replace("_", "").replace("-", "").lower()


def created_at(described: Mapping[str, Plain]) -> float | None:
    """Give when a thing was made, in seconds since the epoch, as far as its row says so."""
    for name, value in described.items():
        if plain_name(name) in {"createdat", "created"} and isinstance(value, str):
            spans = find(value)
            if len(spans) == 1 and spans[0].role.seconds is not None:
                return spans[0].role.seconds
    return None


def terms_of(described: Mapping[str, Plain], columns: Iterable[str], bindings: Bindings, chosen: Collection[str]) -> list[Term]:
    """Give what the candidate's row must hold, for the columns of one of its tables."""
    by_name = {plain_name(column): column for column in columns}
    terms: list[Term] = []
    for name, value in described.items():
        column = by_name.get(plain_name(name))
        if column is None or plain_name(name) == "id":
            continue
        if not isinstance(value, str):
            terms.append(Term(column, value, firm=False))
            continue
        spans = find(value)
        words = [value[span.start : span.end] for span in spans if span.role.kind in ID_KINDS]
        timed = any(span.role.kind in TIME_KINDS for span in spans)
        if timed or any(bindings.observed_for(word) is None and word not in chosen for word in words):
            continue
        terms.append(Term(column, bindings.rewrite_text(value), firm=bool(value) and plain_name(name) not in _CHANGING))
    return terms


def _plain_value(value: Value) -> Plain:
    if isinstance(value, bool):
        return int(value)
    return value.value if isinstance(value, Number) else value if isinstance(value, str) else None
