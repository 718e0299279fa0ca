"""
Two values of different JSON types that may say the same in two forms: a habit of a writer, which has a name, beside what they say.

`common_form` brings both to one type. Another type is a finding in any case; the habit's name is on it, and what the two values then say is
compared like any other values, so a habit never hides a change of value behind it. Where no common form is known, the types differ, and that is
all there is to say.
"""

import re
from collections import Counter
from dataclasses import dataclass
from typing import Final

from replay.compare.blinding import blind, epoch, role_of
from replay.content import Number, Value, embedded
from replay.identity import TIME_KINDS

_NUMBER: Final = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_PLAIN_WORDS: Final = {"true": True, "false": False}
_NOTHING: Final = frozenset({"null", "undefined"})
_UNITS: Final = {"s": 1.0, "ms": 1000.0}


@dataclass(frozen=True, slots=True)
class Form:
    """Both values in one form."""

    quirk: str
    recorded: Value
    observed: Value
    step: str = ""
    """What the concrete path gains; the skeleton gains the same with indices blanked."""


def common_form(recorded: Value, observed: Value) -> Form | None:
    """Bring two values of different JSON types to one; None where neither is the other in a known form."""
    if is_empty(recorded) and observed is None:
        return Form("q-null-for-empty", None, None)
    if recorded is None and is_empty(observed):
        return Form("q-empty-for-null", None, None)
    form = _towards(recorded, observed)
    if form is not None:
        return form
    form = _towards(observed, recorded)
    return None if form is None else Form(form.quirk, form.observed, form.recorded, form.step)


def is_empty(value: Value) -> bool:
    """Whether a value holds nothing: an empty text, list or object."""
    return isinstance(value, str | list | dict) and not value


def _towards(one: Value, two: Value) -> Form | None:
    """Bring *one*, the simpler or the more textual, to the form of *two*."""
    match one, two:
        case str(), None if one in _NOTHING:
            return Form("q-null-as-text", None, None)
        case bool(), Number() if two.text in {"0", "1"}:
            return Form("q-boolean-as-number", one, two.text == "1")
        case str(), bool() if one in _PLAIN_WORDS:
            return Form("q-boolean-as-text", _PLAIN_WORDS[one], two)
        case str(), Number():
            return _as_number(one, two)
        case str(), list() | dict():
            return _as_container(one, two)
        case ((Number() | bool()), list()) if len(two) == 1 and type(two[0]) is type(one):
            return Form("q-wrapped", one, two[0], "[0]")
        case dict(), list() if len(two) == 1 and isinstance(two[0], dict) and two[0].keys() == one.keys():
            return Form("q-wrapped", one, two[0], "[0]")
    return None


def _as_number(one: str, two: Number) -> Form | None:
    if _NUMBER.fullmatch(one):
        return Form("q-number-as-text", Number(one), two)
    role, moment = role_of(one), epoch(two.value)
    if role is None or role.kind not in TIME_KINDS or role.seconds is None or moment is None:
        return None
    amount = role.seconds * _UNITS[moment[1]]
    return Form("q-time-as-number", Number(str(round(amount)) if two.integral else repr(amount)), two)


def _as_container(one: str, two: "list[Value] | dict[str, Value]") -> Form | None:
    opened = embedded(one)
    if opened is not None and type(opened) is type(two):
        return Form("q-json-as-text", opened, two, ".<json>")
    if not isinstance(two, list):
        return None
    if len(two) == 1 and isinstance(two[0], str) and "," not in one:
        return Form("q-wrapped", one, two[0], "[0]")
    parts: list[Value] = [part.strip() for part in one.split(",") if part.strip()]
    return Form("q-list-as-text", parts, two) if _share_half(parts, two) else None


def _share_half(parts: list[Value], items: list[Value]) -> bool:
    """Whether two lists of texts have at least half of the longer one in common: else a text is no list of these."""
    if not all(isinstance(item, str) for item in items):
        return False
    common = Counter(map(blind, parts)) & Counter(map(blind, items))
    return 2 * common.total() >= max(len(parts), len(items))
