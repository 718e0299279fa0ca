"""Two bodies as lines that can be laid beside each other: pretty-printed JSON with its numbers as they were written."""

import difflib
import json
import re
from collections.abc import Iterable, Sequence
from typing import Final

from replay.model import Answer, IdMapping
from replay.report.text import cut, plural

BODY_LINES_MAX: Final = 60


def body_difference(primary: Answer, candidate: Answer, ids: Sequence[IdMapping], at: str) -> list[str]:
    """Give the bodies as a unified difference of pretty-printed lines; mapped ids are written as the recorded ones."""
    try:
        asked, given = _parsed(primary.body), _parsed(_renamed(candidate.body, ids))
        left, right = _lines(asked), _lines(_in_order_of(given, asked))
    except RecursionError:
        # Nested deeper than anybody reads: told as it is.
        left, right = primary.body.split("\n"), candidate.body.split("\n")
    rows = list(
        difflib.unified_diff(left, right, "primary", "candidate (mapped ids as recorded; what is tolerated shows too)", n=3, lineterm="")
    )
    if not rows:
        return ["the bodies are equal" + (" but for the mapped ids" if primary.body != candidate.body else "")]
    first = _start(rows, at)
    shown = [cut(row, 200) for row in rows[first : first + BODY_LINES_MAX]]
    before = [f"… {plural(first, 'line')} before"] if first else []
    left_out = len(rows) - first - BODY_LINES_MAX
    after = [f"… {plural(left_out, 'more line')}: `report --format html` shows them all"] if left_out > 0 else []
    return [*before, *shown, *after]


def _start(rows: Sequence[str], at: str) -> int:
    """Say from which row on a long difference is shown: a little before the one that changes the leaf at *at*."""
    key = f'"{re.split(r"[.\[]", at.rstrip("]0123456789["))[-1]}":'
    place = next((place for place, row in enumerate(rows) if row[:1] in {"-", "+"} and key in row), 0)
    return place - BODY_LINES_MAX // 3 if len(rows) > BODY_LINES_MAX and place > BODY_LINES_MAX * 2 // 3 else 0


def _renamed(body: str, ids: Iterable[IdMapping]) -> str:
    for mapping in ids:
        if mapping.observed:
            body = body.replace(mapping.observed, mapping.recorded)
    return body


def _parsed(body: str) -> object:
    """Parse a body; what is no JSON stays as it is, in a `_Written`."""
    try:
        # Numbers stay as they were written: 1.0 is not 1. A key that is there twice would vanish in a dict, so pairs are looked at.
        return json.loads(body, parse_float=_Written, parse_int=_Written, parse_constant=_Written, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        return _Written(body)


def _in_order_of(value: object, model: object) -> object:
    """Put an object's keys in the order of the model's: their order means nothing, and equal lines meet."""
    match value, model:
        case dict(), dict():
            names = [*(name for name in model if name in value), *(name for name in value if name not in model)]
            return {name: _in_order_of(value[name], model.get(name)) for name in names}
        case list(), list():
            return [_in_order_of(item, model[min(place, len(model) - 1)] if model else None) for place, item in enumerate(value)]
        case _:
            return value


def _lines(value: object) -> list[str]:
    return _text(value, "").split("\n")


class _Written(str):
    """A number, or a whole body, as it was written."""

    __slots__ = ()


def _text(value: object, pad: str) -> str:
    """Write a JSON value with two spaces of indent; every line feed is one of its own."""
    match value:
        case _Written():
            return str(value)
        case dict() if value:
            inner = ",\n".join(f"{pad}  {json.dumps(key, ensure_ascii=False)}: {_text(below, pad + '  ')}" for key, below in value.items())
            return f"{{\n{inner}\n{pad}}}"
        case list() if value:
            inner = ",\n".join(f"{pad}  {_text(below, pad + '  ')}" for below in value)
            return f"[\n{inner}\n{pad}]"
        case _:
            return json.dumps(value, ensure_ascii=False)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a key is there twice")
    return members
