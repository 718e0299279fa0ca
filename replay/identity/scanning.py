"""
See quickly that a text holds no id and no time.

Every shape that `roles.find` knows has a word (letters, digits, `_` and `-`) with a digit that is ten characters long or begins as a year, but
for a few which begin with marks of their own. So the words around digits are looked at, by searches for single bytes: most texts are prose with
few digits.
"""

from typing import Final

_WORD_LENGTH_MIN: Final = 10
_MARKS: Final = (b"eyJ", b"sig_sk_", b"key_", b"--", b"#")
_CENTURIES: Final = (b"19", b"20")
_CLASSES: Final = bytes(
    ord("0") if 48 <= code <= 57 else ord("a") if 65 <= code <= 90 or 97 <= code <= 122 or code in b"_-" else ord(" ") for code in range(256)
)


def may_hold(data: bytes) -> bool:
    """Tell whether ASCII or UTF-8 text may hold what `roles.find` finds: what this denies holds none, what it affirms may be anything."""
    if any(mark in data for mark in _MARKS):
        return True
    classes = data.translate(_CLASSES)
    at = classes.find(b"0")
    while at >= 0:
        start, end = classes.rfind(b" ", 0, at) + 1, classes.find(b" ", at)
        end = len(classes) if end < 0 else end
        if end - start >= _WORD_LENGTH_MIN or data.startswith(_CENTURIES, start):
            return True
        at = classes.find(b"0", end)
    return False
