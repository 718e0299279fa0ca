"""A difference between two answers at one place: what the walker yields before witnesses and verdicts are heard."""

import hashlib
from dataclasses import dataclass
from typing import Final

from replay.compare.blinding import blind
from replay.content import Number, Value, dump
from replay.model import ABSENT, Absent, DifferenceClass, IdMapping

SHOWN_MAX: Final = 4_000
"""Characters of a value kept for people; the rest is counted."""
TEXT_MAX: Final = 60_000
"""The same of a text: noise is learned from its sentences, so a text is kept whole where it is of any reasonable length."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Two values that are not equal up to what is tolerated."""

    difference: DifferenceClass
    kind: str
    path: str
    """Skeleton: indices blanked, ids in keys named by kind."""
    at: str
    """Concrete, in the recorded answer's indices; for what only the observed one has, in its own, marked `+`."""
    recorded: Value | Absent
    observed: Value | Absent
    transition: str = ""
    quirk: str = ""
    ids: tuple[IdMapping, ...] = ()
    derived_from: str = ""


def shown(value: Value | Absent) -> str | None:
    """Write a value as compact JSON for people, cut where it is long; None for nothing."""
    if isinstance(value, Absent):
        return None
    text = dump(value)
    limit = TEXT_MAX if isinstance(value, str) else SHOWN_MAX
    if len(text) <= limit:
        return text
    # Two values that differ only in what is cut must not be taken for one.
    digest = hashlib.sha256(blind(value).encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return dump(f"{text[:limit]}… {digest}… ({len(text) - limit} more characters)")


def type_name(value: Value | Absent) -> str:
    """Name a value's JSON type; numbers are told apart as `integer` and `float`."""
    match value:
        case Absent():
            return "absent"
        case None:
            return "null"
        case bool():
            return "boolean"
        case Number():
            return "integer" if value.integral else "float"
        case str():
            return "string"
        case list():
            return "list"
        case _:
            return "object"


__all__ = ["ABSENT", "Difference", "shown", "type_name"]
