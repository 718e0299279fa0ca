"""
See quickly where a text may hold ids and times, and where it holds none.

How this works
--------------
Every shape that `roles.find` knows has a word (letters, digits, `_` and `-`) with a digit that is ten characters long or begins as a year, but
for a few which begin with marks of their own. So the words around digits are looked at, by searches for single bytes, and only what stands
around such words is given to the search itself: most texts are prose with few digits.
"""

import re
from typing import Final

_WORD_LENGTH_MIN: Final = 10
_MARGIN: Final = 48
"""No time is written longer than this before or behind its year or its date."""
_MARKS: Final = (b"eyJ", b"sig_sk_", b"key_", b"--", b"#")
_MARKED: Final = re.compile(rb"eyJ|sig_sk_|key_[A-Za-z0-9_-]{16}|(?:--|#)[a-z2-7]{16}")
_CENTURIES: Final = (b"19", b"20")
_CLASSES: Final = bytes(
    ord("0") if 48 <= code <= 57 else ord("a") if 65 <= code <= 90 or 97 <= code <= 122 or code in b"_-" else ord(" ") for code in range(256)
)


def may_hold(data: bytes) -> bool:
    """Tell whether ASCII or UTF-8 text may hold what `roles.find` finds: what this denies holds none, what it affirms may be anything."""
    return bool(windows(data, 1))


def windows(data: bytes, count_max: int | None = None) -> list[tuple[int, int]]:
    """
    Give the stretches (start, end) of a text in which all lies that `roles.find` finds in it, in order, not overlapping.

    Each ends at the end of a word. With *count_max*, looks no further than that many.
    """
    if any(mark in data for mark in _MARKS) and _MARKED.search(data) is not None:
        return [(0, len(data))]
    found: list[tuple[int, int]] = []
    classes = data.translate(_CLASSES)
    at = classes.find(b"0")
    while at >= 0:
        start, end = classes.rfind(b" ", 0, at) + 1, classes.find(b" ", at)
        end = len(classes) if end < 0 else end
        if end - start >= _WORD_LENGTH_MIN or data.startswith(_CENTURIES, start):
            until = classes.find(b" ", end + _MARGIN)
            begin, until = max(0, start - _MARGIN), len(classes) if until < 0 else until
            if found and begin <= found[-1][1]:
                begin = found.pop()[0]
            elif len(found) == count_max:
                break
            found.append((begin, until))
        at = classes.find(b"0", end)
    return found
