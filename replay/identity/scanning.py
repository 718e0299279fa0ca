"""
See quickly where a text may hold ids and times, and where it holds none.

How this works
--------------
Every shape that `roles.find` knows has a word (letters, digits, `_` and `-`) with a digit that is ten characters long or begins as a year, but
for a few which begin with marks of their own. So long words and lone numbers of four digits are looked for, by plain searches in copies of the
text that show only the classes of its characters, and only what stands around them is given to the search itself.
"""

import re
from typing import Final

_MARGIN: Final = 48
"""No time is written longer than this before or behind its year or its date."""
_MARKS: Final = (b"eyJ", b"sig_sk_", b"key_", b"--", b"#")
_MARKED: Final = re.compile(rb"eyJ|sig_sk_|key_[A-Za-z0-9_-]{16}|(?:--|#)[a-z2-7]{16}")
_CENTURIES: Final = (b"19", b"20")
_LONG_WORD: Final = b"a" * 10
_YEAR: Final = b" 0000 "


def _classes(digits: str, letters: str, joints: str) -> bytes:
    """Give a table that makes classes of bytes: those of digits, of letters, of `_` and `-`, and a space for all others."""
    named = {**dict.fromkeys(b"0123456789", digits), **dict.fromkeys(b"_-", joints)}
    return "".join(named.get(code, letters if chr(code).isalpha() and code < 128 else " ") for code in range(256)).encode()


_WORDS: Final = _classes("a", "a", "a")
_NUMBERS: Final = _classes("0", "a", " ")


def may_hold(data: bytes) -> bool:
    """Tell whether ASCII or UTF-8 text may hold what `roles.find` finds: what this denies holds none, what it affirms may be anything."""
    if not (b"19" in data or b"20" in data or _LONG_WORD in data.translate(_WORDS) or _is_marked(data)):
        return False
    return bool(windows(data))


def _is_marked(data: bytes) -> bool:
    token, key, number, dashes, hash_mark = _MARKS
    marked = token in data or hash_mark in data or dashes in data or key in data or number in data
    return marked and _MARKED.search(data) is not None


def windows(data: bytes) -> list[tuple[int, int]]:
    """
    Give the stretches (start, end) of a text in which all lies that `roles.find` finds in it, in order, not overlapping.

    Each ends at the end of a word.
    """
    if _is_marked(data):
        return [(0, len(data))]
    words, numbers = data.translate(_WORDS), b" %b " % data.translate(_NUMBERS)
    places: list[tuple[int, int]] = []
    at = words.find(_LONG_WORD)
    while at >= 0:
        end = words.find(b" ", at)
        end = len(words) if end < 0 else end
        if numbers.find(b"0", at + 1, end + 1) >= 0:
            places.append((at, end))
        at = words.find(_LONG_WORD, end)
    at = numbers.find(_YEAR)
    while at >= 0:
        if data.startswith(_CENTURIES, at):
            places.append((at, at + 4))
        at = numbers.find(_YEAR, at + 5)
    found: list[tuple[int, int]] = []
    looked_from, space = 0, -1
    for start, end in sorted(places):
        # While one word is still going on its end is known: looking for it again and again would be quadratic.
        if not looked_from <= end + _MARGIN <= space:
            looked_from = end + _MARGIN
            space = words.find(b" ", looked_from)
            space = len(words) if space < 0 else space
        begin, until = max(0, start - _MARGIN), space
        if found and begin <= found[-1][1]:
            begin, until = found[-1][0], max(until, found.pop()[1])
        found.append((begin, until))
    return found
