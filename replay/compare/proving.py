"""
Which member of a list's items is their key: learned from the two lists themselves.

A member, or two together, is a key where no two items of a list share it, nearly all have it, and most of it is there on both sides. Times are
none (they change), and numbers are none by themselves (they count, rank and measure). An id counts by what it is known to be over there.
"""

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Final

from replay.compare.blinding import role_of
from replay.compare.naming import NAMES, plain_key
from replay.content import Number, Value
from replay.identity import TIME_KINDS

_COMMON_MIN: Final = 3
"""A member whose name says nothing must be common to as many items at least."""
_PRESENT_SHARE_MIN: Final = 0.8
_COMMON_SHARE_MIN: Final = 0.5
_NUMBERED: Final = ("version", "index", "position", "step", "seq", "line", "page")
"""Numbers that tell apart the parts of one thing; together with what says which thing, they are keys."""
_PARTS_MAX: Final = 6

type Column = tuple[str, ...]
"""The way to a member: its name, or those of the one object that all items wrap and of a member of that."""
type Keys = list[object]
"""The key of each item; None where it has none."""


def prove_keys(
    recorded: Sequence[Value], observed: Sequence[Value], observed_for: Callable[[str], str | None], *, two_members: bool = False
) -> list[tuple[Keys, Keys]]:
    """Give the keys of all items on both sides for each member that is proven to be one, the surest first; or for each *two members*."""
    here, there = _columns(recorded), _columns(observed)
    columns = {column: (_read(recorded, here[column]), _read(observed, there[column])) for column in here if column in there}
    texts = {
        column: ([_known(value, observed_for) for value in left], right)
        for column, (left, right) in columns.items()
        if _is_text(left) and _is_text(right)
    }
    proven: list[tuple[tuple[int, int, Column], Keys, Keys]] = []
    if not two_members:
        for column, (left, right) in texts.items():
            common = _common(left, right, any_name=column[-1] not in NAMES)
            if common:
                sure = NAMES.index(column[-1]) if column[-1] in NAMES else len(NAMES)
                proven.append(((sure, -common, column), left, right))
    else:
        parts = {**texts, **{column: sides for column, sides in columns.items() if column[-1].lower().endswith(_NUMBERED)}}
        for one, two in combinations(sorted(parts)[:_PARTS_MAX], 2):
            left, right = _joined(parts[one][0], parts[two][0]), _joined(parts[one][1], parts[two][1])
            common = _common(left, right, any_name=True)
            if common:
                proven.append(((0, -common, one), left, right))
    proven.sort(key=lambda row: row[0])
    return [(left, right) for _, left, right in proven]


def _columns(items: Sequence[Value]) -> dict[Column, Column]:
    """Give the members of the first items, and of the one object that they wrap: by their names in one spelling, as they are spelt."""
    columns: dict[Column, Column] = {}
    for item in items[:2]:
        if not isinstance(item, dict):
            continue
        inner = [(key, value) for key, value in item.items() if isinstance(value, dict)]
        found: list[Column] = [(key,) for key, value in item.items() if isinstance(value, str | Number)]
        if len(inner) == 1:
            found += [(inner[0][0], key) for key, value in inner[0][1].items() if isinstance(value, str | Number)]
        for column in found:
            columns.setdefault(tuple(map(plain_key, column)), column)
    return columns


def _read(items: Sequence[Value], column: Column) -> Keys:
    holders: Sequence[Value] = items
    for name in column[:-1]:
        holders = [item.get(name) if isinstance(item, dict) else None for item in holders]
    last = column[-1]
    found = [item.get(last) if isinstance(item, dict) else None for item in holders]
    return [value.text if isinstance(value, Number) else value if isinstance(value, str) and value else None for value in found]


def _is_text(values: Keys) -> bool:
    """Whether a member holds texts that are no times."""
    first = next((value for value in values if isinstance(value, str)), None)
    if first is None or _is_number(first):
        return False
    role = role_of(first)
    return role is None or role.kind not in TIME_KINDS


def _is_number(text: str) -> bool:
    return text.lstrip("-").replace(".", "", 1).isdigit()


def _known(value: object, observed_for: Callable[[str], str | None]) -> object:
    return (observed_for(value) or value) if isinstance(value, str) else value


def _common(left: Keys, right: Keys, *, any_name: bool) -> int:
    """Give how many items have a key on both sides; 0 where it is none."""
    sides = []
    for keys in (left, right):
        present = [key for key in keys if key is not None]
        distinct = set(present)
        if len(distinct) < len(present) or len(present) < _PRESENT_SHARE_MIN * len(keys):
            return 0
        sides.append(distinct)
    common, fewer = len(sides[0] & sides[1]), min(len(left), len(right))
    return common if common >= _COMMON_SHARE_MIN * fewer and common >= (_COMMON_MIN if any_name else 1) else 0


def _joined(one: Keys, two: Keys) -> Keys:
    return [None if left is None or right is None else (left, right) for left, right in zip(one, two, strict=True)]
