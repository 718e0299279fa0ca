"""
Faults of one value of an answer: each operator changes one span of a page.

The class of each is the mission's: another shape (a key, a type, an id that is another one's) is structural; another value, order or membership
in the same shape is semantic.
"""

import datetime as dt
import random
import re
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from replay.compare.blinding import epoch, role_of
from replay.content import embedded
from replay.identity import ID_KINDS, TIME_KINDS
from replay.judge.spots import Spot, spell
from replay.model import DifferenceClass

_STRUCTURAL: Final = DifferenceClass.STRUCTURAL
_SEMANTIC: Final = DifferenceClass.SEMANTIC
_WORD: Final = re.compile(r"[A-Za-z]{4,}")
_DIGIT: Final = re.compile(r"\d")
_DIGITS_MAX: Final = 400
_ISO: Final = re.compile(r"(\d{4}-\d\d-\d\d)([T ])(\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:?\d\d)?\Z")
_MADE_UP: Final = "planted"
_LIKE: Final = MappingProxyType(
    {"{": f'{{"id":"{_MADE_UP}"}}', "[": f'["{_MADE_UP}"]', '"': f'"{_MADE_UP}"', "n": "null", "t": "false", "f": "true"}
)
"""What is planted among items that begin so; among numbers, a number."""
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")


@dataclass(frozen=True, slots=True)
class Change:
    """A span of a spot's page and what stands there instead."""

    start: int
    end: int
    new: str
    at: str = ""
    """The place that differs, where it is not the spot itself."""
    path: str = ""


type Changer = Callable[[Spot, random.Random, Sequence[str]], Change | None]
"""From a place, the dice and other answers' ids to a change; None where the place does not suit."""


@dataclass(frozen=True, slots=True)
class ValueFault:
    """One kind of fault of a value."""

    kinds: frozenset[str]
    """The kinds of spots that it suits."""
    difference: DifferenceClass
    change: Changer


def _drop_key(spot: Spot, dice: random.Random, _: Sequence[str]) -> Change | None:
    if not spot.members:
        return None
    number = dice.randrange(len(spot.members))
    _, begins, value = spot.members[number]
    if number:
        start, end = _before(spot.page.text, begins), value.end
    else:
        start, end = begins, spot.members[1][1] if len(spot.members) > 1 else value.end
    return Change(start, end, "", value.at, value.path)


def _before(text: str, position: int) -> int:
    """Give where the comma before a member or item stands."""
    return text.rindex(",", 0, position)


def _extra_key(spot: Spot, dice: random.Random, _: Sequence[str]) -> Change | None:
    value = dice.choice(["null", "true", "0", '""', '"x"', "[]"])
    name = f"{_MADE_UP}{dice.randrange(1000)}"
    at, path = f"{spot.at}.{name}", f"{spot.path}.{name}"
    return Change(spot.end - 1, spot.end - 1, f'{"," if spot.members else ""}"{name}":{value}', at, path)


def _null(spot: Spot, _dice: random.Random, _: Sequence[str]) -> Change | None:
    return Change(spot.start, spot.end, "null") if spot.kind != "null" else None


def _not_null(spot: Spot, dice: random.Random, _: Sequence[str]) -> Change | None:
    return Change(spot.start, spot.end, dice.choice(['""', "0", "false", "[]", "{}"]))


def _number_as_text(spot: Spot, _dice: random.Random, _: Sequence[str]) -> Change:
    return Change(spot.start, spot.end, f'"{spot.source}"')


def _text_as_number(spot: Spot, dice: random.Random, _: Sequence[str]) -> Change:
    return Change(spot.start, spot.end, spot.value if spot.value.isdecimal() and not spot.value.startswith("0") else str(dice.randrange(1000)))


def _boolean_as_number(spot: Spot, _dice: random.Random, _: Sequence[str]) -> Change:
    return Change(spot.start, spot.end, "1" if spot.source == "true" else "0")


def _object_as_list(spot: Spot, _dice: random.Random, _: Sequence[str]) -> Change:
    return Change(spot.start, spot.end, "[" + ",".join(value.source for _, _, value in spot.members) + "]")


def _list_as_object(spot: Spot, _dice: random.Random, _: Sequence[str]) -> Change:
    return Change(spot.start, spot.end, "{" + ",".join(f'"{number}":{item.source}' for number, item in enumerate(spot.items)) + "}")


def _flip(spot: Spot, _dice: random.Random, _: Sequence[str]) -> Change:
    return Change(spot.start, spot.end, "false" if spot.source == "true" else "true")


def _off_by_one(spot: Spot, dice: random.Random, _: Sequence[str]) -> Change | None:
    if not _is_whole(spot) or _is_epoch(spot):
        return None
    return Change(spot.start, spot.end, str(int(spot.source) + dice.choice([1, -1])))


def _is_whole(spot: Spot) -> bool:
    """Whether a number is whole, and no longer than Python reads: what hostile answers hold has other faults."""
    return len(spot.source) <= _DIGITS_MAX and spot.source.lstrip("-").isdigit()


def _is_epoch(spot: Spot) -> bool:
    value = float(spot.source)
    return abs(value) < 1e15 and epoch(value) is not None


def _other_sign(spot: Spot, _dice: random.Random, _: Sequence[str]) -> Change | None:
    if float(spot.source) == 0.0:
        return None
    return Change(spot.start, spot.end, spot.source[1:] if spot.source.startswith("-") else f"-{spot.source}")


def _other_unit(spot: Spot, _dice: random.Random, _: Sequence[str]) -> Change | None:
    if not _is_whole(spot) or abs(int(spot.source)) < 1000:
        return None
    return Change(spot.start, spot.end, str(int(spot.source) // 1000))


def _larger_unit(spot: Spot, _dice: random.Random, _: Sequence[str]) -> Change | None:
    if not _is_whole(spot) or int(spot.source) == 0:
        return None
    return Change(spot.start, spot.end, f"{spot.source}000")


def _digit(spot: Spot, dice: random.Random, _: Sequence[str]) -> Change | None:
    """Change one digit: of a number, or in a text; none of an id or a time, which have faults of their own."""
    if _is_epoch(spot) if spot.kind == "number" else _is_role(spot.value):
        return None
    digits = [found.start() for found in _DIGIT.finditer(spot.source)]
    if spot.kind == "number":
        digits = [place for place in digits if place > 0 or len(spot.source) == 1]
    elif _in_escape(spot.source) or embedded(spot.value) is not None:
        return None
    if not digits:
        return None
    place = dice.choice(digits)
    new = dice.choice([digit for digit in "123456789" if digit != spot.source[place]])
    return Change(spot.start + place, spot.start + place + 1, new)


def _in_escape(source: str) -> bool:
    return "\\u" in source


def _is_role(text: str) -> bool:
    role = role_of(text)
    return role is not None and role.kind != "composed"


def _case(spot: Spot, dice: random.Random, _: Sequence[str]) -> Change | None:
    word = _word(spot, dice)
    return None if word is None else Change(*word, spot.page.text[word[0] : word[1]].swapcase())


def _space(spot: Spot, dice: random.Random, _: Sequence[str]) -> Change | None:
    word = _word(spot, dice)
    if word is None:
        return None
    place = dice.randrange(word[0] + 1, word[1])
    return Change(place, place, " ")


def _word(spot: Spot, dice: random.Random) -> tuple[int, int] | None:
    """Pick a word of a text that is no id, no time and no JSON."""
    if _is_role(spot.value) or embedded(spot.value) is not None or "\\" in spot.source:
        return None
    words = [found.span() for found in _WORD.finditer(spot.source)]
    if not words:
        return None
    start, end = dice.choice(words)
    return spot.start + start, spot.start + end


def _cut_text(spot: Spot, dice: random.Random, _: Sequence[str]) -> Change | None:
    if len(spot.value) < 8 or _is_role(spot.value) or embedded(spot.value) is not None:
        return None
    kept = spot.value[: dice.randrange(4, len(spot.value))].rstrip()
    return Change(spot.start, spot.end, spell(kept) if spot.kind == "string" else kept)


def _empty_text(spot: Spot, _dice: random.Random, _: Sequence[str]) -> Change | None:
    return Change(spot.start, spot.end, '""') if spot.kind == "string" and spot.value and not _is_id(spot) else None


def _is_id(spot: Spot) -> bool:
    role = role_of(spot.value)
    return spot.kind == "string" and role is not None and role.kind in ID_KINDS


def _empty_id(spot: Spot, _dice: random.Random, _: Sequence[str]) -> Change | None:
    return Change(spot.start, spot.end, '""') if _is_id(spot) else None


def _nil_id(spot: Spot, _dice: random.Random, _: Sequence[str]) -> Change | None:
    if not _is_id(spot) or not _UUID.match(spot.value):
        return None
    return Change(spot.start, spot.end, '"00000000-0000-0000-0000-000000000000"')


def _foreign_id(spot: Spot, dice: random.Random, ids: Sequence[str]) -> Change | None:
    """Put an id of another answer, of the same kind, for the one that is here."""
    if not _is_id(spot):
        return None
    role = role_of(spot.value)
    if role is None:
        return None
    alike = [text for text in ids if text != spot.value and (other := role_of(text)) is not None and other.kind == role.kind]
    return Change(spot.start, spot.end, spell(dice.choice(alike))) if alike else None


def _other_id(spot: Spot, dice: random.Random, _: Sequence[str]) -> Change | None:
    """Put an id that nobody ever gave."""
    if not _is_id(spot) or not _UUID.match(spot.value):
        return None
    made = uuid.UUID(int=dice.getrandbits(128), version=4)
    return Change(spot.start, spot.end, f'"{made}"')


def _swap_ids(spot: Spot, dice: random.Random, _: Sequence[str]) -> Change | None:
    """Swap the ids of two items of a list."""
    owners = [value for item in spot.items for key, _, value in item.members if key == "id" and _is_id(value)]
    if len(owners) < 2:
        return None
    one, two = sorted(dice.sample(owners, 2), key=lambda item: item.start)
    text = spot.page.text
    if one.source == two.source:
        return None
    return Change(one.start, two.end, two.source + text[one.end : two.start] + one.source)


def _reorder(spot: Spot, dice: random.Random, _: Sequence[str]) -> Change | None:
    """Swap two neighbours that are not the same."""
    places = [n for n in range(len(spot.items) - 1) if spot.items[n].source != spot.items[n + 1].source]
    if not places:
        return None
    number = dice.choice(places)
    one, two = spot.items[number], spot.items[number + 1]
    return Change(one.start, two.end, two.source + spot.page.text[one.end : two.start] + one.source)


def _truncate(spot: Spot, dice: random.Random, _: Sequence[str]) -> Change | None:
    if not spot.items:
        return None
    kept = dice.randrange(len(spot.items))
    start = spot.items[kept - 1].end if kept else spot.items[0].start
    return Change(start, spot.items[-1].end, "")


def _drop_item(spot: Spot, dice: random.Random, _: Sequence[str]) -> Change | None:
    if not spot.items:
        return None
    number = dice.randrange(len(spot.items))
    item = spot.items[number]
    if number:
        return Change(_before(spot.page.text, item.start), item.end, "")
    return Change(item.start, spot.items[1].start if len(spot.items) > 1 else item.end, "")


def _duplicate(spot: Spot, dice: random.Random, _: Sequence[str]) -> Change | None:
    if not spot.items:
        return None
    item = dice.choice(spot.items)
    return Change(item.end, item.end, f",{item.source}")


def _extra_item(spot: Spot, dice: random.Random, _: Sequence[str]) -> Change:
    new = dice.choice(["null", "0", f'"{_MADE_UP}"', "{}", f'{{"id":"{_MADE_UP}"}}'])
    if spot.items:
        # of a type that the list has: one of another type changes its shape, which other faults do
        new = _LIKE.get(spot.page.text[dice.choice(spot.items).start], "7")
    return Change(spot.end - 1, spot.end - 1, f",{new}" if spot.items else new)


def _iso(spot: Spot) -> re.Match[str] | None:
    role = role_of(spot.value)
    return _ISO.match(spot.value) if role is not None and role.kind in TIME_KINDS else None


def _time_precision(spot: Spot, _dice: random.Random, _: Sequence[str]) -> Change | None:
    found = _iso(spot)
    if found is None:
        return None
    fraction = found[4]
    new = "" if fraction else ".000"
    return Change(spot.start, spot.end, f'"{found[1]}{found[2]}{found[3]}{new}{found[5] or ""}"')


def _time_zone(spot: Spot, _dice: random.Random, _: Sequence[str]) -> Change | None:
    found = _iso(spot)
    if found is None:
        return None
    return Change(spot.start, spot.end, f'"{found[1]}{found[2]}{found[3]}{found[4] or ""}{"+00:00" if found[5] == "Z" else "Z"}"')


def _hour_off(spot: Spot, dice: random.Random, _: Sequence[str]) -> Change | None:
    return _moved(spot, dt.timedelta(hours=dice.choice([1, -1])))


def _day_off(spot: Spot, dice: random.Random, _: Sequence[str]) -> Change | None:
    return _moved(spot, dt.timedelta(days=dice.choice([1, -1])))


def _moved(spot: Spot, by: dt.timedelta) -> Change | None:
    if spot.kind == "number":
        value = float(spot.source)
        known = epoch(value) if spot.source.isdigit() else None
        if known is None:
            return None
        return Change(spot.start, spot.end, str(int(spot.source) + int(by.total_seconds()) * (1000 if known[1] == "ms" else 1)))
    found = _iso(spot)
    if found is None:
        return None
    try:
        moment = dt.datetime.fromisoformat(f"{found[1]}T{found[3]}") + by
    except ValueError:
        return None
    return Change(spot.start, spot.end, f'"{moment:%Y-%m-%d}{found[2]}{moment:%H:%M:%S}{found[4] or ""}{found[5] or ""}"')


def _kinds(*kinds: str) -> frozenset[str]:
    return frozenset(kinds)


_SCALARS: Final = _kinds("string", "number", "boolean", "list", "object")
_LIST: Final = _kinds("list")
_TEXTS: Final = _kinds("string", "text")

VALUES: Final = MappingProxyType(
    {
        "key dropped": ValueFault(_kinds("object"), _STRUCTURAL, _drop_key),
        "key more": ValueFault(_kinds("object"), _STRUCTURAL, _extra_key),
        "value to null": ValueFault(_SCALARS, _STRUCTURAL, _null),
        "null to value": ValueFault(_kinds("null"), _STRUCTURAL, _not_null),
        "number to text": ValueFault(_kinds("number"), _STRUCTURAL, _number_as_text),
        "text to number": ValueFault(_kinds("string"), _STRUCTURAL, _text_as_number),
        "boolean to number": ValueFault(_kinds("boolean"), _STRUCTURAL, _boolean_as_number),
        "object to list": ValueFault(_kinds("object"), _STRUCTURAL, _object_as_list),
        "list to object": ValueFault(_LIST, _STRUCTURAL, _list_as_object),
        "boolean flipped": ValueFault(_kinds("boolean"), _SEMANTIC, _flip),
        "off by one": ValueFault(_kinds("number"), _SEMANTIC, _off_by_one),
        "other sign": ValueFault(_kinds("number"), _SEMANTIC, _other_sign),
        "unit, a thousandth": ValueFault(_kinds("number"), _SEMANTIC, _other_unit),
        "unit, a thousandfold": ValueFault(_kinds("number"), _SEMANTIC, _larger_unit),
        "digit changed": ValueFault(_kinds("number", "string", "text"), _SEMANTIC, _digit),
        "letter case": ValueFault(_TEXTS, _SEMANTIC, _case),
        "white space in a word": ValueFault(_TEXTS, _SEMANTIC, _space),
        "text cut": ValueFault(_TEXTS, _SEMANTIC, _cut_text),
        "text emptied": ValueFault(_kinds("string"), _SEMANTIC, _empty_text),
        "id emptied": ValueFault(_kinds("string"), _SEMANTIC, _empty_id),
        "id of zeros": ValueFault(_kinds("string"), _STRUCTURAL, _nil_id),
        "id of another answer": ValueFault(_kinds("string"), _STRUCTURAL, _foreign_id),
        "id unheard of": ValueFault(_kinds("string"), _STRUCTURAL, _other_id),
        "ids swapped": ValueFault(_LIST, _STRUCTURAL, _swap_ids),
        "list reordered": ValueFault(_LIST, _SEMANTIC, _reorder),
        "list cut": ValueFault(_LIST, _SEMANTIC, _truncate),
        "item dropped": ValueFault(_LIST, _SEMANTIC, _drop_item),
        "item twice": ValueFault(_LIST, _SEMANTIC, _duplicate),
        "item more": ValueFault(_LIST, _SEMANTIC, _extra_item),
        "time, other precision": ValueFault(_kinds("string"), _SEMANTIC, _time_precision),
        "time, other zone": ValueFault(_kinds("string"), _SEMANTIC, _time_zone),
        "time, an hour off": ValueFault(_kinds("string", "number"), _SEMANTIC, _hour_off),
        "time, a day off": ValueFault(_kinds("string", "number"), _SEMANTIC, _day_off),
    }
)
"""Faults of one value, by name."""
