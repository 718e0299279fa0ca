"""
Moments that a client worked out from its own clock, moved to the replay's time.

How this works
--------------
A replay has two times at once. Rows of the state that it starts from keep the recorded times; rows that it makes itself get the daemon's
now. So a moment from before the recording stays what it is, and a moment from then on becomes the moment at which the replay was, or would
be, as far. `Moments` is that map. It never turns two moments round, so that a row lies in `since … until` here if its like did there.

Only what asks is moved, never what is stored or said: query parameters and members that bound a search or end a credential (`RULES`). The
text of a memory, and the time that a client gives for one, stay: the daemon shall give them back as they came, and one that puts its own
now in their place is found that way. What an answer gave is an id's business: it is bound, and not touched here. Far moments (a search
until 2099) are nobody's now and stay too.
"""

import re
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final
from urllib.parse import quote, unquote

from replay.identity import Bindings
from replay.model import Exchange, Request

NEAR_S: Final = 35 * 86400.0
"""How far from the request's own time a moment may lie that is taken for one that the client worked out from it."""

_STEP_S: Final = 1.0
_STAMP: Final = re.compile(
    r"(?P<day>[0-9]{4}-[01][0-9]-[0-3][0-9])"
    r"(?:(?P<mark>[Tt ])(?P<time>[0-2][0-9]:[0-5][0-9]:[0-5][0-9])(?:\.(?P<digits>[0-9]{1,9}))?(?P<zone>[Zz]|[+-][0-2][0-9]:?[0-5][0-9])?)?"
)
_END: Final = b"expiresAt"
_EPOCH: Final = re.compile(r"[12][0-9]{9}(?:[0-9]{3})?")


@dataclass(frozen=True, slots=True)
class Rule:
    """Where moments are that ask."""

    paths: frozenset[str]
    """Targets' paths; empty: all."""
    query: frozenset[str]
    """Names of query parameters."""
    members: frozenset[str]
    """Names of members of a JSON body, at any depth."""
    reason: str


_BOUNDS: Final = frozenset({"since", "until", "before", "after"})
_RECALLS: Final = frozenset({"/api/memory/recall", "/api/hooks/recall"})
RULES: Final = (
    Rule(frozenset(), _BOUNDS | {"date", "at"}, frozenset(), "they bound a list by time, or name the day or the moment that is asked for"),
    Rule(_RECALLS | {"/mcp"}, frozenset(), _BOUNDS, "a recall's bounds; over MCP they are the tool's arguments"),
    Rule(_RECALLS, frozenset(), frozenset({"start", "end"}), "a recall's `time` bounds it as well"),
    Rule(frozenset({"/api/auth/api-keys"}), frozenset(), frozenset({"expiresAt"}), "a key that ends in a week shall not be born ended"),
)


_NAMED: Final = frozenset().union(*(rule.paths for rule in RULES))


class Moments:
    """
    The map from recorded to observed moments, both in seconds since the epoch.

    It grows with the replay, by at most one pair of numbers for each recorded second with a request in it.
    """

    def __init__(self) -> None:
        self._recorded = array("d")
        self._observed = array("d")

    def passed(self, recorded_at: float, observed_at: float) -> None:
        """Note that what was sent at one time is sent at the other."""
        if not self._recorded or recorded_at >= self._recorded[-1] + _STEP_S:
            self._recorded.append(recorded_at)
            self._observed.append(max(observed_at, self._observed[-1] if self._observed else observed_at))

    def move(self, moment: float, recorded_at: float, observed_at: float) -> float:
        """Give the observed moment for a recorded one, named by a request of *recorded_at* that is sent at *observed_at*."""
        if not self._recorded or moment < self._recorded[0]:
            return moment
        if moment >= recorded_at:
            return moment + observed_at - recorded_at
        at = bisect_right(self._recorded, moment) - 1
        left_r, left_o = self._recorded[at], self._observed[at]
        right_r, right_o = (self._recorded[at + 1], self._observed[at + 1]) if at + 1 < len(self._recorded) else (recorded_at, observed_at)
        share = (moment - left_r) / (right_r - left_r) if right_r > left_r else 1.0
        return left_o + min(1.0, share) * max(0.0, right_o - left_o)

    @property
    def began_at(self) -> float | None:
        """When the recording began; None before the first request."""
        return self._recorded[0] if self._recorded else None


class Dates:
    """Moves the moments in requests. *clock* is the daemon's."""

    def __init__(self, bindings: Bindings, *, clock: Callable[[], float]) -> None:
        self._bindings = bindings
        self._clock = clock
        self._moments = Moments()
        self.ends: dict[int, float] = {}
        """Exchange → when what it made ends here, as it was told the daemon."""
        self.counts: Counter[str] = Counter()

    def passed(self, exchange: Exchange) -> None:
        """Note that an exchange is about to be sent."""
        self._moments.passed(exchange.started_at, self._clock())

    def shift(self, exchange: Exchange, request: Request, *, count: bool = True) -> tuple[Request, list[str]]:
        """Give a request with its moments moved, and what was done in words, one for each; `counts` has them too, if *count*."""
        path, mark, query = request.target.partition(b"?")
        told: list[str] = []
        names, members = _asked_by(path)
        if mark and any(part.partition(b"=")[0].decode("latin-1") in names for part in query.split(b"&")):
            query = b"&".join(self._parameter(part, names, exchange, told) for part in query.split(b"&"))
        body = self._body(request.body, members, exchange, told) if request.body and members else request.body
        if told and count:
            self.counts["dates_shifted"] += len(told)
        return (replace(request, target=path + mark + query, body=body) if told else request), told

    def _parameter(self, part: bytes, names: frozenset[str], exchange: Exchange, told: list[str]) -> bytes:
        name, mark, value = part.partition(b"=")
        if not mark or name.decode("latin-1") not in names:
            return part
        raw = value.decode("latin-1")
        new = self._moved(unquote(raw), exchange)
        if new is None:
            return part
        told.append(f"date: {name.decode('latin-1')}={unquote(raw)} sent as {new}")
        return name + mark + quote(new, safe="" if "%3" in raw.lower() else ":").encode()

    def _body(self, body: bytes, members: frozenset[str], exchange: Exchange, told: list[str]) -> bytes:
        def moved(match: re.Match[bytes]) -> bytes:
            value = match[3].decode("latin-1")
            new = self._moved(value, exchange)
            if match[2] == _END:
                self._note_end(exchange.id, value if new is None else new)
            if new is None:
                return match[0]
            told.append(f"date: {match[2].decode('latin-1')} {value} sent as {new}")
            return match[1] + new.encode() + match[4]

        named = b"|".join(re.escape(member.encode()) for member in sorted(members))
        return re.sub(rb'("(' + named + rb')"\s*:\s*")([0-9][^"\\]{9,39})(")', moved, body)

    def _note_end(self, exchange: int, text: str) -> None:
        match = _STAMP.fullmatch(text)
        instant = _read(match) if match is not None else None
        if instant is not None:
            self.ends[exchange] = instant.timestamp()

    def _moved(self, text: str, exchange: Exchange) -> str | None:
        """Give a moment in its own spelling as the daemon shall get it; None where it stays."""
        if self._bindings.observed_for(text) is not None:
            return None
        if _EPOCH.fullmatch(text):
            unit = 1000.0 if len(text) == len("1795466287072") else 1.0
            moment = self._near(int(text) / unit, exchange)
            return None if moment is None else str(round(self._moments.move(moment, exchange.started_at, self._clock()) * unit))
        match = _STAMP.fullmatch(text)
        instant = _read(match) if match is not None else None
        if match is None or instant is None:
            return None
        if match["time"] is None:
            return self._day(instant, exchange)
        moment = self._near(instant.timestamp(), exchange)
        if moment is None:
            return None
        new = _spell(self._moments.move(moment, exchange.started_at, self._clock()), instant, match)
        return None if new == text else new

    def _day(self, day: datetime, exchange: Exchange) -> str | None:
        """A day of the recording, or one after it, is as many days from today as it was from the request's day."""
        began = self._moments.began_at
        if began is None or abs(day.timestamp() - exchange.started_at) > NEAR_S or day.date() < _utc(began).date():
            return None
        days = (_utc(self._clock()).date() - _utc(exchange.started_at).date()).days
        return (day + timedelta(days=days)).strftime("%Y-%m-%d") if days else None

    def _near(self, moment: float, exchange: Exchange) -> float | None:
        began = self._moments.began_at
        return moment if began is not None and moment >= began and abs(moment - exchange.started_at) <= NEAR_S else None


@cache
def _moments_of(path: str) -> tuple[frozenset[str], frozenset[str]]:
    rules = [rule for rule in RULES if not rule.paths or path in rule.paths]
    return frozenset().union(*(rule.query for rule in rules)), frozenset().union(*(rule.members for rule in rules))


def _asked_by(path: bytes) -> tuple[frozenset[str], frozenset[str]]:
    """Give the names of query parameters and of a body's members that ask for a moment, on a path."""
    named = path.decode("latin-1")
    return _moments_of(named if named in _NAMED else "")


def _utc(moment: float) -> datetime:
    return datetime.fromtimestamp(moment, UTC)


def _read(match: re.Match[str]) -> datetime | None:
    zone = (match["zone"] or "Z").upper().replace("Z", "+0000").replace(":", "")
    digits = (match["digits"] or "")[:6].ljust(6, "0")
    try:
        return datetime.strptime(f"{match['day']}T{match['time'] or '00:00:00'}.{digits}{zone}", "%Y-%m-%dT%H:%M:%S.%f%z")
    except ValueError:
        return None


def _spell(moment: float, like: datetime, match: re.Match[str]) -> str:
    """Write a moment as another is written: its zone, mark and digits."""
    told = datetime.fromtimestamp(moment, like.tzinfo)
    digits = f".{told.microsecond:06d}000"[: 1 + len(match["digits"])] if match["digits"] else ""
    return f"{told.strftime('%Y-%m-%d')}{match['mark']}{told.strftime('%H:%M:%S')}{digits}{match['zone'] or ''}"
