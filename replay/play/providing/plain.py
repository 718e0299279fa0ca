"""
A text with everything taken out of it that may differ without meaning anything: white space, ids, the moment at which it was written.

Two texts become one only where they say the same words, numbers and signs. Ids are masked by the order in which each first comes, so that
`a, b, a` never equals `a, b, b`; times are masked only where they are near the recording or the replay, so that a date in what a user wrote
long before stays what it is.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from replay.identity import find

DAY_S: Final = 86_400.0
_MADE: Final = frozenset({"uuid", "time-id", "api-key-id", "token"})
"""Kinds of ids that a daemon makes by chance. A digest is made of content, and stays."""
_TIMES: Final = frozenset({"date", "timestamp"})
_SHORT: Final = re.compile(r"(?<=\[)[0-9a-f]{8}(?=\])")
"""The first part of an id, as lists for people to read have it."""


@dataclass(frozen=True, slots=True)
class Plain:
    """A text as it is compared, and what was masked in it."""

    text: str
    ids: tuple[str, ...]
    """In the order in which each first comes."""
    times: tuple[str, ...]
    """Each where it stands."""


@dataclass(frozen=True, slots=True)
class Present:
    """Which times mean nothing but `now`: those of the recording, and those of the replay. Bounds in seconds since the epoch."""

    spans: tuple[tuple[float, float], ...] = ()

    def holds(self, seconds: float | None) -> bool:
        """Tell whether a time is one of them."""
        return seconds is not None and any(first <= seconds <= last for first, last in self.spans)

    @classmethod
    def of(cls, recorded: tuple[float, float], replayed_from: float) -> "Present":
        """Take the days over which a recording went, and those from a replay's start on."""
        first, last = recorded
        # The recorded host may have been west of Greenwich; a cell is at Greenwich. A replay of a week is none.
        return cls(((_day(first) - DAY_S, _day(last) + DAY_S), (_day(replayed_from), _day(replayed_from) + 7 * DAY_S)))


def tidy(text: str) -> str:
    """Spell a text one way: composed characters, single spaces, no line ends. Doing so twice changes nothing."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def plain(text: str, present: Present) -> Plain:
    """Mask a text's ids and its present times; never raises."""
    text = tidy(text)
    spans = [(span.start, span.end, span.role) for span in find(text)]
    taken = {start for start, _, _ in spans}
    marks: list[tuple[int, int, str]] = [(match.start(), match.end(), "short") for match in _SHORT.finditer(text) if match.start() not in taken]
    for start, end, role in spans:
        if role.kind in _MADE:
            marks.append((start, end, role.kind))
        elif role.kind in _TIMES and present.holds(role.seconds):
            marks.append((start, end, "time"))
    return _masked(text, sorted(marks))


def renamings(recorded: Plain, asked: Plain) -> dict[str, str]:
    """Give what stands in the asked text where the recorded has another id or time; of two texts that are the same when masked."""
    pairs = (*zip(recorded.ids, asked.ids, strict=False), *zip(recorded.times, asked.times, strict=False))
    found: dict[str, str] = {}
    for old, new in pairs:
        found.setdefault(old, new)
    return {old: new for old, new in found.items() if old != new}


def renamings_by_line(recorded: str, asked: str, present: Present) -> dict[str, str]:
    """Do as `renamings` for two texts that differ: of lines that are the same when masked, equal ones in their order."""
    lines: dict[str, list[Plain]] = {}
    for line in asked.splitlines():
        masked = plain(line, present)
        if masked.ids:
            lines.setdefault(masked.text, []).append(masked)
    found: dict[str, str] = {}
    for line in recorded.splitlines():
        masked = plain(line, present)
        others = lines.get(masked.text) if masked.ids else None
        if others:
            for old, new in zip(masked.ids, others.pop(0).ids, strict=False):
                found.setdefault(old, new)
    return {old: new for old, new in found.items() if old != new}


def put_in(text: str, names: Mapping[str, str]) -> str:
    """Put new names in the place of old ones, all at once."""
    if not names:
        return text
    pattern = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    # An id inside a longer word is another id.
    return re.sub(rf"(?<![0-9A-Za-z])(?:{pattern})(?![0-9A-Za-z])", lambda match: names[match.group()], text)


def _masked(text: str, marks: Sequence[tuple[int, int, str]]) -> Plain:
    parts: list[str] = []
    ids: dict[str, int] = {}
    times: list[str] = []
    at = 0
    for start, end, kind in marks:
        if start < at:
            continue
        name = text[start:end]
        parts.append(text[at:start])
        if kind == "time":
            times.append(name)
            parts.append("‹now›")
        else:
            parts.append(f"‹{kind} {ids.setdefault(name, len(ids) + 1)}›")
        at = end
    parts.append(text[at:])
    return Plain("".join(parts), tuple(ids), tuple(times))


def _day(seconds: float) -> float:
    return seconds - seconds % DAY_S
