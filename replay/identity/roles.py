"""
What a string or a number is, by its shape: an id of some kind, a time in some format, a duration.

How this works
--------------
One regular expression names every shape that may also stand inside longer text. It can only start at a word's beginning and each
repetition is bounded, so that a search through megabytes takes linear time. Shapes that would be found by chance in prose (12 hex
digits, 16 letters of base 32) count only when they are the whole string. A string made of such spans and short names between them,
as `source-index:obsidian:<16 hex>:<ms>`, is a *composed* id; its parts are what gets bound.
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from replay.content import Number
from replay.identity.scanning import may_hold, windows

ID_KINDS: Final = frozenset({"uuid", "api-key", "api-key-id", "api-key-prefix", "bearer", "digest", "time-id", "token", "prefix", "placeholder"})
"""Kinds whose values a daemon makes and that must map one to one."""

TIME_KINDS: Final = frozenset({"timestamp", "date", "epoch"})


@dataclass(frozen=True, slots=True)
class Role:
    """What a value is. Roles are equal when kind and format are; the instant is extra."""

    kind: str
    """One of `ID_KINDS` or `TIME_KINDS`, or `composed`, `duration`."""
    format: str = ""
    """How it is spelt: `ms,Z` · `ns,+00:00` · `s,none,space` · `ms,Z,file.` · `english` · `hex64` · `epoch-ms` · a composed skeleton."""
    seconds: float | None = field(default=None, compare=False)
    """The instant of a time, in seconds since the epoch (zone-less times are taken as UTC); the amount of a duration, in seconds."""

    def __str__(self) -> str:
        return f"{self.kind}({self.format})" if self.format else self.kind


@dataclass(frozen=True, slots=True)
class Span:
    """An id or a time inside a text."""

    start: int
    end: int
    role: Role


_MONTHS: Final = "January|February|March|April|May|June|July|August|September|October|November|December"
_SHORT_MONTHS: Final = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
_DAYS: Final = "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday"
_SHORT_DAYS: Final = "Mon|Tue|Wed|Thu|Fri|Sat|Sun"
_END: Final = r"(?![0-9A-Za-z])"
_EPOCH_MS: Final = r"(?:1[4-9]|2[0-3])[0-9]{11}"

_SHAPES: Final = rf"""
(?<![0-9A-Za-z])(?:
  (?P<apikey>sig_sk_[0-9a-f]{{12}}_[A-Za-z0-9_-]{{43}}){_END}
| (?P<keyprefix>sig_sk_[0-9a-f]{{12}})(?![0-9A-Za-z_-])
| (?P<bearer>eyJ[A-Za-z0-9_-]{{17,2000}}\.[A-Za-z0-9_-]{{43}}){_END}
| (?P<uuid>[0-9a-fA-F]{{8}}-[0-9a-fA-F]{{4}}-[0-9a-fA-F]{{4}}-[0-9a-fA-F]{{4}}-[0-9a-fA-F]{{12}}){_END}
| (?P<stamp>(?:19|20)[0-9]{{2}}-[01][0-9]-[0-3][0-9]
    (?: (?P<mark>[Tt\ ])(?P<hour>[0-2][0-9]):(?P<minute>[0-5][0-9])(?::(?P<second>[0-6][0-9])(?:\.(?P<digits>[0-9]{{1,9}}))?)?
        (?P<zone>Z|z|[+-][0-2][0-9]:?[0-5][0-9])?
      | T[0-2][0-9]-[0-5][0-9]-[0-6][0-9](?:[.-][0-9]{{3,9}})?Z?
    )){_END}
| (?P<date>(?:19|20)[0-9]{{2}}-[01][0-9]-[0-3][0-9]){_END}
| (?P<http>(?:{_SHORT_DAYS}),\ [0-9]{{2}}\ (?:{_SHORT_MONTHS})\ [0-9]{{4}}\ [0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}\ GMT){_END}
| (?P<english>(?:(?:{_DAYS}),\ )?(?:{_MONTHS})\ [0-3]?[0-9],\ (?:19|20)[0-9]{{2}}
    (?:(?:\ at|,)?\ [0-2]?[0-9]:[0-5][0-9](?::[0-5][0-9])?(?:[\ \u202f][AP]M)?)?){_END}
| (?P<digest>[0-9a-f]{{64}}|[0-9a-f]{{40}}|[0-9a-f]{{32}}|(?<=[0-9A-Za-z]:)[0-9a-f]{{16}}){_END}
| (?P<timeid>[a-z][a-z0-9]{{1,20}}_{_EPOCH_MS}(?:_[0-9]{{1,6}})?|(?<=[0-9A-Za-z][:_]){_EPOCH_MS}){_END}
| (?P<keyid>key_[A-Za-z0-9_-]{{16}})(?![0-9A-Za-z_-])
| (?P<token>(?:(?<=--)|(?<=\#))[a-z2-7]{{16}}){_END}
| (?P<base36>[k-s][0-9a-z]{{7}}-(?=[0-9a-z]{{5,13}}{_END})[0-9a-z]{{5,13}}){_END}
)
"""
_ENGLISH: Final = re.compile(
    rf"(?P<month>{_MONTHS}) (?P<day>[0-3]?[0-9]), (?P<year>[0-9]{{4}})"
    r"(?:(?: at|,)? (?P<hour>[0-2]?[0-9]):(?P<minute>[0-5][0-9])(?::(?P<second>[0-5][0-9]))?(?:[ \u202f](?P<half>[AP]M))?)?"
)
_FIND: Final = re.compile(_SHAPES, re.VERBOSE)
_LENIENT_BASE36: Final = re.compile(r"[k-s][0-9a-z]{7}-[0-9a-z]{4,13}")
_BASE32: Final = re.compile(r"[a-z2-7]{16}")
_HEX12: Final = re.compile(r"[0-9a-f]{12}|[0-9a-f]{16}")
_PLACEHOLDER: Final = re.compile(r"REDACTED[A-Za-z0-9_-]{12,4096}|~~[A-Za-z0-9_-]{2,17}")
_GLUE: Final = re.compile(r"[A-Za-z0-9_.:/#@%~+-]*")
_COMPOSED_LENGTH_MAX: Final = 400
_SHORT_LENGTH_MAX: Final = 120
_PRECISION: Final = {0: "s", 3: "ms", 6: "us", 9: "ns"}

_WORDS: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[a-z]?[0-9]+")
_MEASURED: Final = frozenset({"duration", "latency", "elapsed", "uptime", "took"})
_STATISTICS: Final = frozenset({"p50", "p90", "p95", "p99", "mean", "avg", "ms"})
_UNITS: Final = {"ms": 0.001, "millis": 0.001, "sec": 1.0, "secs": 1.0, "seconds": 1.0, "us": 1e-6, "ns": 1e-9}
_CONFIGURED: Final = frozenset(
    {
        "timeout",
        "poll",
        "interval",
        "window",
        "max",
        "limit",
        "ttl",
        "budget",
        "retention",
        "debounce",
        "cooldown",
        "deadline",
        "backoff",
        "delay",
        "stall",
        "grace",
    }
)
_EPOCH_LOW: Final = 1_400_000_000
_EPOCH_HIGH: Final = 2_400_000_000


def find(text: str) -> list[Span]:
    """Give the ids and times inside a text, in order, not overlapping."""
    if len(text) <= _SHORT_LENGTH_MAX:
        return list(_find_again(text))
    if text.isascii():
        return [span for start, end in windows(text.encode("ascii")) for span in _find(text, start, end)]
    return _find(text, 0, len(text)) if may_hold(text.encode("utf-8", "surrogatepass")) else []


@lru_cache(maxsize=8192)
def _find_again(text: str) -> tuple[Span, ...]:
    """Find in short texts: values of headers and names come again and again."""
    return tuple(_find(text, 0, len(text)))


def _find(text: str, start: int, end: int) -> list[Span]:
    found: list[Span] = []
    for match in _FIND.finditer(text, start, end):
        role = _role(match)
        if role is not None:
            found.append(Span(match.start(), match.end(), role))
    return found


def skeleton(text: str, spans: list[Span] | None = None) -> str:
    """Give the text with each id and time replaced by its kind, as `temporal:memory:<uuid>:valid`."""
    parts: list[str] = []
    at = 0
    for span in find(text) if spans is None else spans:
        parts.append(text[at : span.start])
        parts.append(f"<{span.role.kind}>")
        at = span.end
    parts.append(text[at:])
    return "".join(parts)


def classify(text: str) -> Role | None:
    """Name what a whole string is; None where its shape says nothing. What stands in for a redacted secret is a `placeholder`."""
    if text.startswith(("REDACTED", "~~")) and _PLACEHOLDER.fullmatch(text):
        return Role("placeholder")
    if len(text) > _COMPOSED_LENGTH_MAX and not text.startswith("eyJ"):
        return None
    spans = find(text)
    if len(spans) == 1 and spans[0].start == 0 and spans[0].end == len(text):
        return spans[0].role
    if _BASE32.fullmatch(text) and any(character.isdigit() for character in text):
        return Role("token", "base32")
    if _HEX12.fullmatch(text) and any(map(str.isdigit, text)) and not text.isdigit():
        return Role("prefix" if len(text) == 12 else "digest", f"hex{len(text)}")
    if spans and any(span.role.kind in ID_KINDS or span.role.kind == "timestamp" for span in spans):
        blank = skeleton(text, spans)
        if _GLUE.fullmatch(re.sub(r"<[a-z-]+>", "", blank)):
            return Role("composed", blank)
    return None


def fits(role: Role, text: str) -> bool:
    """
    Tell whether a text may have a role, less strictly than `classify`.

    For a value beside one whose role is known: an id of base 36 may lack digits, a token too.
    """
    other = classify(text)
    if other is not None:
        return other.kind == role.kind
    if role.kind == "time-id":
        return _LENIENT_BASE36.fullmatch(text) is not None
    if role.kind == "token":
        return _BASE32.fullmatch(text) is not None
    return role.kind in {"prefix", "digest"} and _HEX12.fullmatch(text) is not None


def is_duration_key(key: str) -> bool:
    """Tell whether a member of this name holds a measured duration (configured limits and intervals are none)."""
    words = [word.lower() for word in _WORDS.findall(key)]
    if not words or not _CONFIGURED.isdisjoint(words):
        return False
    return not _MEASURED.isdisjoint(words) or key.lower() in _STATISTICS or (len(words) > 1 and words[-1] in _UNITS)


def classify_number(key: str, number: Number) -> Role | None:
    """Name what a number is, by its member's name and its range: an epoch in ms or s, or a duration; None where neither."""
    if is_duration_key(key):
        words = [word.lower() for word in _WORDS.findall(key)]
        unit = _UNITS.get(words[-1], 1.0 if "uptime" in words else 0.001)
        return Role("duration", "s" if unit == 1.0 else "ms", float(number.value) * unit)
    if number.text.isdigit() and len(number.text) in {10, 13}:
        seconds = int(number.text) / (1000.0 if len(number.text) == 13 else 1.0)
        if _EPOCH_LOW <= seconds <= _EPOCH_HIGH:
            return Role("epoch", "epoch-ms" if len(number.text) == 13 else "epoch-s", seconds)
    return None


def _role(match: re.Match[str]) -> Role | None:
    text = match.group()
    match match.lastgroup:
        case "apikey":
            return Role("api-key")
        case "keyprefix":
            return Role("api-key-prefix")
        case "bearer":
            return Role("bearer")
        case "uuid":
            return Role("uuid", "" if text == text.lower() else "upper")
        case "stamp" | "mark" | "hour" | "minute" | "second" | "digits" | "zone":
            return _stamp(match)
        case "date":
            return Role("date", "iso", _seconds(text))
        case "http":
            return Role("timestamp", "http", _parsed(text, "%a, %d %b %Y %H:%M:%S GMT"))
        case "english":
            return Role("date", "english", _english(text))
        case "digest":
            return Role("digest", f"hex{len(text)}") if not text.isdigit() else None
        case "timeid":
            return Role("time-id", "epoch-ms" if text.isdigit() else "name_ms")
        case "keyid":
            return Role("api-key-id")
        case "token":
            return Role("token", "base32")
        case _:
            return Role("time-id", "base36") if _is_base36_time(text) else None


def _is_base36_time(text: str) -> bool:
    return any(map(str.isdigit, text)) and 1.5e12 < int(text[:8], 36) < 2.3e12


def _stamp(match: re.Match[str]) -> Role:
    text = match.group()
    if match.group("mark") is None:  # the form for file names: `-` for `:`
        time = text[11:].rstrip("Z")
        plain = f"{text[:10]}T{time[:8].replace('-', ':')}" + (f".{time[9:]}" if len(time) > 8 else "")
        zone = "Z" if text.endswith("Z") else "none"
        return Role("timestamp", f"{_PRECISION.get(max(len(time) - 9, 0), 'odd')},{zone},file{time[8:9]}", _seconds(plain))
    if match.group("second") is None:
        precision = "min"
    else:
        digits = len(match.group("digits") or "")
        precision = _PRECISION.get(digits, f"{digits} digits")
    zone = match.group("zone")
    spelling = f"{precision},{zone or 'none'}" + (",space" if match.group("mark") == " " else "")
    return Role("timestamp", spelling, _seconds(text))


def _seconds(text: str) -> float | None:
    """Give the instant of an ISO time; None for one that no calendar has. Digits beyond microseconds are added by hand."""
    whole, dot, rest = text.partition(".")
    digits = re.match(r"[0-9]*", rest)
    fraction = digits.group() if digits else ""
    zone = rest[len(fraction) :] if dot else ""
    try:
        moment = datetime.fromisoformat((whole + zone).upper().replace(" ", "T"))
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return (moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(seconds=1) + (float(f"0.{fraction}") if fraction else 0.0)
    except (ValueError, OverflowError):
        return None


def _english(text: str) -> float | None:
    """Give the instant of a date in English words, taken as UTC; None for one that no calendar has."""
    match = _ENGLISH.search(text)
    if match is None:
        return None
    day = _parsed(f"{match['month']} {match['day']} {match['year']}", "%B %d %Y")
    if day is None or match["hour"] is None:
        return day
    hour = int(match["hour"])
    if match["half"]:
        hour = hour % 12 + (12 if match["half"] == "PM" else 0)
    return day + 3600.0 * hour + 60.0 * int(match["minute"]) + float(match["second"] or 0)


def _parsed(text: str, form: str) -> float | None:
    try:
        return datetime.strptime(text, form).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None
