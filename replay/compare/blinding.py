"""Values without what changes from run to run by nature: ids, times, measured numbers. For pairing and likeness, never for equality."""

import re
from functools import lru_cache
from typing import Final

from replay.content import Number, Value, dump
from replay.identity import TIME_KINDS, Role, Span, classify, find, is_duration_key

_PROCESS: Final = frozenset(
    {
        "pid",
        "rss",
        "heapUsed",
        "heapTotal",
        "external",
        "arrayBuffers",
        "heapUsedMb",
        "rssMb",
        "loadPerCpu",
        "fdCount",
        "openFds",
        "dbSizeBytes",
        "walSizeBytes",
        "cpuPercent",
    }
)


@lru_cache(maxsize=4096)
def measured(key: str) -> bool:
    """Whether a key's name says that its number is measured: a duration or a fact of the process, not a setting."""
    return key in _PROCESS or is_duration_key(key)


def is_process_fact(key: str) -> bool:
    """Whether a key's name says that its number is a fact of the daemon's process: memory, load, open files."""
    return key in _PROCESS


_TIME_WORDS: Final = re.compile(
    r"(?:^|[a-z0-9_])(?:At|Time|Timestamp|Date|Ts|Exp|Iat|Nbf|Until|Since|Expires|Expiry|Epoch|Created|Updated|Seen|Started|Ended|Ms|Now|Last|Next)$"
    r"|(?:^|_)(?:at|time|timestamp|date|ts|exp|iat|nbf|until|since|expires|expiry|epoch|created|updated|seen|started|ended|ms|now|last|next)$"
)


@lru_cache(maxsize=4096)
def names_time(key: str) -> bool:
    """Whether a key's name says that its number may be a moment."""
    return _TIME_WORDS.search(key) is not None


def epoch(value: float) -> tuple[float, str] | None:
    """Read a number as epoch seconds or milliseconds between 2001 and 2100 (seconds, unit); None where it is neither."""
    if 1e12 <= value < 4.1e12:
        return float(value) / 1000.0, "ms"
    if 1e9 <= value < 4.1e9:
        return float(value), "s"
    return None


@lru_cache(maxsize=8192)
def role_of(text: str) -> Role | None:
    """Name what a whole string is; None where its shape says nothing."""
    return classify(text)


_PLACEHOLDER: Final = re.compile(r"REDACTED[A-Za-z0-9_-]{12,4096}")


@lru_cache(maxsize=2048)
def spans_of(text: str) -> tuple[Span, ...]:
    """Give the ids and times inside a text, and what stands in for redacted secrets there."""
    found = tuple(find(text))
    if "REDACTED" not in text:
        return found
    hidden = [Span(match.start(), match.end(), Role("placeholder")) for match in _PLACEHOLDER.finditer(text)]
    apart = [span for span in found if not any(one.start < span.end and span.start < one.end for one in hidden)]
    return tuple(sorted((*hidden, *apart), key=lambda span: span.start))


@lru_cache(maxsize=8192)
def blind_text(text: str) -> str:
    """A text with its ids and times replaced by their kinds."""
    role = role_of(text)
    if role is not None and role.kind != "composed":
        return _blank(role)
    spans = spans_of(text)
    if not spans:
        return text
    pieces, position = [], 0
    for span in spans:
        pieces.append(text[position : span.start])
        pieces.append(_blank(span.role))
        position = span.end
    pieces.append(text[position:])
    return "".join(pieces)


def blind(value: Value) -> str:
    """A value's compact JSON with ids, times and measured numbers replaced: equal for two renderings of one thing."""
    return dump(_blinded(value, ""))


def _blinded(value: Value, key: str) -> Value:
    match value:
        case dict():
            rows = [(blind_text(name), _blinded(item, name)) for name, item in value.items()]
            names = {name for name, _ in rows}
            # Blanked names may have become one: the order of what stands under them must not depend on the ids that they were.
            rows.sort(key=lambda row: (row[0], "" if len(names) == len(rows) else dump(row[1])))
            return dict(rows) if len(names) == len(rows) else [[name, item] for name, item in rows]
        case list():
            return [_blinded(item, key) for item in value]
        case str():
            return blind_text(value)
        case Number() if measured(key) or epoch(value.value) is not None:
            return "<number>"
        case _:
            return value


def _blank(role: Role) -> str:
    return "<time>" if role.kind in TIME_KINDS else f"<{role.kind}>"
