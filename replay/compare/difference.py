"""A difference between two answers at one place: what the walker yields before witnesses and verdicts are heard."""

from dataclasses import dataclass

from replay.content import Number, Value, dump
from replay.model import ABSENT, Absent, DifferenceClass, IdMapping

SHOWN_MAX = 4000
"""Characters of a value kept for people; the rest is counted."""


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
    if len(text) <= SHOWN_MAX:
        return text
    return dump(f"{text[:SHOWN_MAX]}… ({len(text) - SHOWN_MAX} more characters)")


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
