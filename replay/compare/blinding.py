"""Values without what changes from run to run by nature: ids, times, measured numbers. For pairing and likeness, never for equality."""

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


@lru_cache(maxsize=2048)
def spans_of(text: str) -> tuple[Span, ...]:
    """Give the ids and times inside a text."""
    return tuple(find(text))


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
            return {blind_text(name): _blinded(item, name) for name, item in sorted(value.items())}
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
