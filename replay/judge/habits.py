"""Habits of a writer: what the two values of a place alone show, whatever thing or route it belongs to."""

import re
from typing import Final

from replay.judge.kinds import Context, Kin, text_of, value_of
from replay.judge.quirks import QUIRKS
from replay.judge.sights import Sight, similar_words
from replay.judge.things import words

HABITS: Final = frozenset(QUIRKS) - {"q-json-as-text", "q-letter-case", "q-null"}
"""Quirks of a writer: whatever thing or route shows them, they are one habit. The others say what a difference looks like, and not why."""

_EMPTY: Final = frozenset({'""', "[]", "{}", '"[]"', '"{}"'})
_HTML: Final = re.compile(r"</?[a-z][a-z0-9]*(?:\s[^<>]*)?>")


def of_habit(place: Sight, _: Context) -> Kin | None:
    """Know a habit by the quirk that comparison saw, or by the two values."""
    quirk = place.finding.quirk
    if quirk in HABITS:
        return Kin("habit", (quirk, ""))
    if place.cluster.kind in {"type", "value"}:
        if place.cluster.primary == "null" and place.cluster.candidate in _EMPTY:
            return Kin("habit", ("q-empty-for-null", ""))
        if place.cluster.candidate == "null" and place.cluster.primary in _EMPTY:
            return Kin("habit", ("q-null-for-empty", ""))
        if place.cluster.candidate == "null" and place.thing.row:
            return Kin("habit", ("q-unset", ""))
        one, two = text_of(place.cluster.primary), text_of(place.cluster.candidate)
        if one and two and _written_as_list(one, two):
            return Kin("habit", ("q-list-as-text", ""))
        if one and two and _case(one) and _case(two) and _case(one) != _case(two) and similar_words(one, two):
            return Kin("habit", ("q-word-case", f"{_case(one)} → {_case(two)}"))
        if one and two and words(place.thing.field)[-1:] == ["by"]:
            return Kin("habit", ("q-actor", ""))
        if one and two and _HTML.search(one) and _HTML.search(two):
            return Kin("habit", ("q-html-markup", ""))
    return None


def _written_as_list(one: str, two: str) -> bool:
    """Whether one text lists in JSON what the other one lists between commas."""
    for listed, plain in ((one, two), (two, one)):
        value = value_of(listed) if listed.startswith("[") else None
        if isinstance(value, list) and value and ",".join(map(str, value)).replace(" ", "") == plain.replace(" ", ""):
            return True
    return False


def _case(text: str) -> str:
    if not text.replace("_", "").replace("-", "").isalnum() or len(words(text)) < 2:
        return ""
    return "snake case" if "_" in text else "kebab case" if "-" in text else "camel case" if text != text.lower() else ""
