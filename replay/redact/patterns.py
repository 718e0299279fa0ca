r"""
Shapes of secrets that an operator writes: a small language that can't run away.

A shape is a row of characters and classes (`[A-Za-z0-9_-]`, `\d`, `\w`), each of which may be repeated by `?`, `{n}` or `{m,n}`. It begins
with two or more plain characters, so that it is found fast, and has at least four in all and 1024 at most. There are no groups, no `*` and no
`+`. A repetition takes all it can and gives nothing back, so a search takes linear time. What stands before the first class is kept.
"""

import re
from dataclasses import dataclass
from typing import Final

from replay.model import RuleError
from replay.redact.edits import Edit
from replay.redact.placeholder import LONG_TAG, SHORT_TAG, is_placeholder, make_opaque

_ATOM: Final = re.compile(
    r"(?:(?P<class>\[(?!\^?\])(?:\\[\\\]\[^dw-]|[^\\\[\]])+\]|\\[dw])|\\(?P<escaped>[^A-Za-z0-9])|(?P<plain>[^\\\[\](){}|?*+^$.]))"
    r"(?P<times>\?|\{\d{1,4}(?:,\d{1,4})?\})?"
)
_BYTES_MAX: Final = 1024
_BYTES_MIN: Final = 4
_LITERAL_MIN: Final = 2
_PLACEHOLDER_RUN: Final = re.compile(rb"[A-Za-z0-9_~-]{1,1100}")


@dataclass(frozen=True, slots=True)
class Pattern:
    """A shape, ready to be searched for."""

    source: str
    compiled: re.Pattern[bytes]
    kept_bytes: int
    """How much of its beginning is public."""

    def find(self, data: bytes, kind: str, key: bytes) -> list[Edit]:
        """Find the shape, and what already stands for it."""
        edits = []
        for match in self.compiled.finditer(data):
            start = match.start() + self.kept_bytes
            secret = data[start : match.end()]
            if not _stands_at(data, start):
                edits.append(Edit(start, kind, secret if is_placeholder(secret) else make_opaque(key, secret, len(secret))))
        return edits

    def fits(self, data: bytes, edit: Edit) -> bool:
        """Whether an edit's span is of this shape, with or without the beginning that is kept."""
        return any(self.compiled.fullmatch(data, max(0, start), edit.end) is not None for start in (edit.start, edit.start - self.kept_bytes))


def parse_pattern(source: str) -> Pattern:
    """
    Read a shape.

    Raises:
        RuleError: it is none, can match too little or too much, or begins with no plain characters.

    """
    parts: list[str] = []
    literal = 0
    leads = True
    shortest = longest = at = 0
    while at < len(source):
        match = _ATOM.match(source, at)
        if match is None:
            raise RuleError(f"the pattern is no shape at {source[at : at + 12]!r}: only characters, classes, and ?, {{n}} or {{m,n}} behind one")
        at = match.end()
        least, most = _times(match["times"])
        if most < least:
            raise RuleError(f"{match['times']!r} repeats less at most than at least")
        shortest += least
        longest += most
        plain = match["escaped"] or match["plain"]
        leads = leads and plain is not None and match["times"] is None
        if leads:
            literal += len((plain or "").encode())
        parts.append((re.escape(plain) if plain else match["class"]) + (f"{{{least},{most}}}+" if match["times"] else ""))
    if shortest < _BYTES_MIN or literal < _LITERAL_MIN:
        raise RuleError(f"the pattern must begin with {_LITERAL_MIN} plain characters and match {_BYTES_MIN} at least")
    if longest > _BYTES_MAX:
        raise RuleError(f"the pattern may match {longest} characters, more than the bound of {_BYTES_MAX}")
    try:
        compiled = re.compile("".join(parts).encode(), re.ASCII)
    except re.error as error:
        raise RuleError(f"the pattern is no shape: {error}") from error
    return Pattern(source, compiled, 0 if leads else literal)


def _times(written: str | None) -> tuple[int, int]:
    if written is None:
        return 1, 1
    if written == "?":
        return 0, 1
    least, comma, most = written[1:-1].partition(",")
    return int(least), int(most) if comma else int(least)


def _stands_at(data: bytes, start: int) -> bool:
    """Whether a placeholder begins at *start*, however long."""
    if not data.startswith((LONG_TAG, SHORT_TAG), start):
        return False
    match = _PLACEHOLDER_RUN.match(data, start)
    run = match[0] if match else b""
    return any(is_placeholder(run[:length]) for length in range(len(run), 0, -1))
