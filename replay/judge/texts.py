"""
What a noise fact keeps of texts and things: digests, never the text itself.

A text that a model wrote, or that was put together from what was there at the time, is never the same twice as a whole, but it is made of
sentences, lines and entries that are. Each such part is kept as the digest of its words, ids and times blanked and numbers apart: a part with a
changed letter is unknown, one with a number beyond those seen is, too.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from replay.compare.blinding import blind, blind_text, role_of
from replay.compare.naming import sketch
from replay.content import Number, Value, dump, load
from replay.identity import TIME_KINDS

_BREAKS: Final = re.compile(r"\n+|(?<=[.!?])[;\s]+|[,;:]\s+")
_NUMBER: Final = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w.]*<)")
_CUT: Final = re.compile(r"… \(\d+ more characters\)\Z")
"""How a value that was too long to show ends."""
_FAMILY_WORDS: Final = 4
_PARTS_MAX: Final = 2000

type Known = Mapping[str, tuple[tuple[float, float], ...]]
"""Digest of a part → least and greatest of each number in it."""


@dataclass(frozen=True, slots=True)
class Part:
    """One sentence, line or entry of a text."""

    digest: str
    numbers: tuple[float, ...]


def short_digest(text: str) -> str:
    """Give 16 characters that tell a text from others."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def value_of(shown: str | None) -> Value:
    """Read a value as findings hold it (compact JSON); what is none is taken as text."""
    if shown is None:
        return None
    try:
        return load(shown)[0]
    except ValueError:
        return shown


def decimals_of(text: str) -> int:
    """How many decimals a number is spelt with; those of an exponent count as full precision."""
    return 17 if "e" in text.lower() else len(text.partition(".")[2])


def digest_of(shown: str | None) -> str:
    """Give a short digest of a value without the ids and times inside it; a time by itself counts as it is."""
    if shown is None:
        return "none"
    value = value_of(shown)
    whole_time = isinstance(value, str) and (role := role_of(value)) is not None and role.kind in TIME_KINDS
    return short_digest(shown if whole_time else blind(value))


def asked_of(shown: str | None) -> Number:
    """Give how often something was asked, as findings on calls tell it."""
    value = value_of(shown)
    asked = value.get("asked") if isinstance(value, dict) else None
    return asked if isinstance(asked, Number) else Number("0")


def thing_of(shown: str | None) -> str:
    """Give a short digest of a list's item: all that it says, without ids, times and amounts. A number in it may be any."""
    return short_digest(dump(_outline(value_of(shown), "", words=0)))


def name_of(shown: str | None) -> str:
    """Give what an item is called, for people."""
    name = sketch(value_of(shown))
    return name if isinstance(name, str) else blind(name)


def family_of(shown: str | None) -> str:
    """Give a short digest of what an item is like: as `thing_of`, but of a longer text only how it begins."""
    return short_digest("family " + dump(_outline(value_of(shown), "", words=_FAMILY_WORDS)))


def _outline(value: Value, key: str, *, words: int) -> Value:
    match value:
        case dict():
            return {blind_text(name): _outline(item, name, words=words) for name, item in sorted(value.items())}
        case list():
            return [_outline(item, key, words=words) for item in value]
        case Number():
            return "<n>"
        case str() if (role := role_of(value)) is not None and role.kind != "composed":
            # Of an id or a time its kind, and how it is spelt: one of another precision is another item.
            return f"<{role}>"
        case str():
            plain = blind_text(_CUT.sub("", value))
            pieces = _NUMBER.sub("<n>", plain).split() if words else []
            return " ".join(pieces[:words]) if len(pieces) > words else plain
        case _:
            return value


def parts_of(shown: str | None) -> tuple[Part, ...]:
    """Split a text into its parts; nothing for what is none, or is an id or a time. Of a text that was cut the last part is left out."""
    value = value_of(shown)
    if not isinstance(value, str) or role_of(value) is not None:
        return ()
    cut = _CUT.search(value)
    pieces = [piece for piece in _BREAKS.split(value[: cut.start()] if cut else value) if piece][:_PARTS_MAX]
    return tuple(_part(piece) for piece in (pieces[:-1] if cut else pieces))


def _part(piece: str) -> Part:
    plain = blind_text(piece)
    return Part(short_digest(_NUMBER.sub("<n>", plain)), tuple(float(found) for found in _NUMBER.findall(plain)))


def widen(known: dict[str, tuple[tuple[float, float], ...]], parts: Iterable[Part]) -> None:
    """Learn *parts*."""
    for part in parts:
        old = known.get(part.digest)
        if old is None or len(old) != len(part.numbers):
            known[part.digest] = tuple((number, number) for number in part.numbers)
        else:
            known[part.digest] = tuple((min(low, new), max(high, new)) for (low, high), new in zip(old, part.numbers, strict=True))


def known_parts(parts: Iterable[Part], known: Known) -> bool:
    """Whether all parts were seen, each number within twice the span of those seen in its place."""
    parts = tuple(parts)
    return bool(parts) and all(_known(part, known) for part in parts)


def _known(part: Part, known: Known) -> bool:
    ranges = known.get(part.digest)
    if ranges is None or len(ranges) != len(part.numbers):
        return False
    return all(low - (high - low) / 2 <= number <= high + (high - low) / 2 for (low, high), number in zip(ranges, part.numbers, strict=True))


def written(known: Known) -> tuple[str, ...]:
    """Write parts down as a noise fact holds them."""
    return tuple(f"{digest}:{';'.join(f'{low!r},{high!r}' for low, high in ranges)}" for digest, ranges in sorted(known.items()))


def read_parts(rows: Iterable[str]) -> dict[str, tuple[tuple[float, float], ...]]:
    """
    Read what `written` wrote.

    Raises:
        ValueError: a row is none of it.

    """
    known = {}
    for row in rows:
        digest, _, numbers = row.partition(":")
        pairs = [pair.split(",") for pair in numbers.split(";") if pair]
        known[digest] = tuple((float(low), float(high)) for low, high in pairs)
    return known
