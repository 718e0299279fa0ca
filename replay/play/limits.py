"""
Rate limits, neither hit nor missed because a replay runs at its own pace.

How this works
--------------
The daemon counts in memory, for each kind of request and each asker: the first one opens a window of a minute, so many pass in it, the rest
is refused with 429. A faster replay puts more into one window than the recording did. So the player keeps the same count beside the daemon,
and waits for the window's end in two cases only: where the window is full and the recorded request passed, and before the first request of
a recorded window in which some were refused, if something that was in a window before it would still count.

A limiter of the candidate that is too strict must show: the player never asks again after a 429. Limits that are not in the table (of
inference at once, of repairs an hour) are not waited for.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from replay.model import Ended, Opened, Response
from replay.play.credentials import asks_for_nothing
from replay.play.verdicts import HEADERS, words
from replay.workspace import tokens

_MARGIN_S: Final = 1.0
"""The daemon's window begins when it reads the request, a little after we sent it."""
_WINDOW_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Limit:
    """How many requests of a kind pass in a window."""

    name: str
    max: int
    methods: frozenset[bytes]
    paths: str
    """A pattern of the targets' paths."""
    window_s: float = _WINDOW_S
    by_peer: bool = False
    """Counted for an address, and in every mode; else for a subject, and only where credentials are asked for."""
    body: str = ""
    """A pattern that the body must hold."""


_POST: Final = frozenset({b"POST"})
_ANY: Final = frozenset({b"GET", b"HEAD", b"POST", b"PATCH", b"PUT", b"DELETE"})
LIMITS: Final = (
    Limit("login", 5, _POST, r"/api/auth/login", by_peer=True),
    Limit("admin", 10, _ANY, r"/api/auth/(?:token|api-keys(?:/[^/]+)?)|/api/pipeline/(?:pause|resume)|/api/dream/promote"),
    Limit("batchForget", 5, _ANY, r"/api/memory/forget"),
    Limit("modify", 60, _ANY, r"/api/memory/modify"),
    Limit("modify", 60, frozenset({b"PATCH"}), r"/api/memory/[^/]+"),
    Limit("forget", 30, frozenset({b"DELETE"}), r"/api/memory/[^/]+"),
    Limit("recallLlm", 60, _POST, r"/api/memory/recall|/api/hooks/recall", body=r'"aggregate"\s*:\s*true'),
    Limit("cross-agent-message", 120, _POST, r"/api/cross-agent/messages"),
)
"""What both daemons limit, with their defaults; names are those of `auth.rateLimits` in `agent.yaml`. The first that fits counts."""


@dataclass(slots=True)
class _Window:
    """One window of the recording."""

    opened_at: float
    passed: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class _Asked:
    """One limited request of the recording."""

    limit: Limit
    asker: str
    window: _Window
    counted: bool
    refused: bool
    first: bool


@dataclass(slots=True)
class _Here:
    """The candidate's window, as far as we know."""

    opened_at: float = float("-inf")
    passed: int = 0
    of: _Window | None = None


@dataclass(slots=True)
class Limits:
    """The limits of one replay: filled by `take` from the recording, then asked by the player."""

    limits: tuple[Limit, ...] = LIMITS
    _asked: dict[int, _Asked] = field(default_factory=dict)
    _windows: dict[tuple[str, str], _Window] = field(default_factory=dict)
    _here: dict[tuple[str, str], _Here] = field(default_factory=dict)

    def take(self, opened: Opened, ended: Ended) -> None:
        """Take one recorded exchange in; those of one kind come in the order of their ends, which is near enough that of the count."""
        if not isinstance(ended.outcome, Response):
            return
        request = opened.request
        limit = self._limit_of(request.method, request.target, ended.request_body or b"")
        refused = ended.outcome.status == 429
        if limit is None:
            return
        asker = "peer" if limit.by_peer else _asker(request.headers)
        window = self._windows.get((limit.name, asker))
        first = window is None or opened.at - window.opened_at >= limit.window_s
        if window is None or first:
            window = self._windows[limit.name, asker] = _Window(opened.at)
        # Over the admin limit the JS daemon breaks its own answer: a 500 where the window is full is a refusal as well.
        refused = refused or (ended.outcome.status >= 500 and window.passed >= limit.max)
        counted = not refused and _reaches_the_limiter(limit, ended.outcome)
        window.passed += counted
        window.refused += refused
        self._asked[opened.exchange] = _Asked(limit, asker, window, counted, refused, first)

    def wait_s(self, exchange: int, now: float) -> tuple[str, float]:
        """Say how long to wait before an exchange is sent (0: not at all), and for which limit."""
        asked = self._asked.get(exchange)
        if asked is None:
            return "", 0.0
        here = self._here.get((asked.limit.name, asked.asker), _Here())
        left_s = here.opened_at + asked.limit.window_s + _MARGIN_S - now
        if left_s <= 0 or not here.passed:
            return asked.limit.name, 0.0
        full = asked.counted and here.passed >= self._max(asked)
        fresh = asked.window.refused > 0 and here.of is not asked.window
        return asked.limit.name, left_s if full or fresh else 0.0

    def sent(self, exchange: int, now: float) -> tuple[str, ...]:
        """Count an exchange that is being sent; gives a note where a recorded refusal can't come again."""
        asked = self._asked.get(exchange)
        if asked is None:
            return ()
        here = self._here.setdefault((asked.limit.name, asked.asker), _Here())
        if now - here.opened_at >= asked.limit.window_s and asked.counted:
            here.opened_at, here.passed = now, 0
        here.of = asked.window
        here.passed += asked.counted
        if asked.refused and (not asked.window.passed or now - here.opened_at >= asked.limit.window_s):
            return (f"rate limit {asked.limit.name}: what filled its window was before the recording, or is too long ago here",)
        return ()

    @staticmethod
    def _max(asked: _Asked) -> int:
        """Give the limit as the recording shows it: what passed before a refusal; else as configured, unless more than that passed."""
        shown = asked.window.passed
        return shown if asked.window.refused and shown else max(asked.limit.max, shown)

    def _limit_of(self, method: bytes, target: bytes, body: bytes) -> Limit | None:
        path = target.partition(b"?")[0].decode("latin-1")
        for limit in self.limits:
            if method in limit.methods and re.fullmatch(limit.paths, path):
                return limit if not limit.body or re.search(limit.body, body.decode("utf-8", "replace")) else None
        return None


def limits_in(configuration: Mapping[str, Any]) -> tuple[Limit, ...]:
    """
    Give the limits that hold in a workspace by its `agent.yaml`; all of them where that is empty, so not known.

    Where no credentials are asked for, only addresses are counted.
    """
    settings = configuration.get("auth")
    is_local = asks_for_nothing(configuration)
    told = settings.get("rateLimits") if isinstance(settings, dict) else None
    told = told if isinstance(told, dict) else {}
    return tuple(_configured(limit, told.get(limit.name)) for limit in LIMITS if limit.by_peer or not is_local)


def _configured(limit: Limit, told: object) -> Limit:
    if not isinstance(told, dict):
        return limit
    most, window_ms = told.get("max"), told.get("windowMs")
    return replace(
        limit,
        max=int(most) if isinstance(most, int | float) and most > 0 else limit.max,
        window_s=window_ms / 1000.0 if isinstance(window_ms, int | float) and window_ms > 0 else limit.window_s,
    )


def _asker(headers: tuple[tuple[bytes, bytes], ...]) -> str:
    """Name who asks, as a limiter tells askers apart: a token by its subject, a key by itself."""
    for name, value in headers:
        if name.lower() in HEADERS:
            for word in words(value.decode("latin-1")):
                claims = tokens.claims(word)
                return str(claims.get("sub")) if claims is not None else tokens.api_key_prefix(word) or "anonymous"
    return "anonymous"


def _reaches_the_limiter(limit: Limit, answer: Response) -> bool:
    """Tell whether the limiter counted a request: who is not known, or may not do such a thing at all, is refused before it."""
    if limit.by_peer:
        return True
    return answer.status != 401 and not (answer.status == 403 and b"permission" in (answer.body or b""))
