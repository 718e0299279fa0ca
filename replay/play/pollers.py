"""
Named pollers: workers of the daemon that look for something to do by the clock, such as an import of Markdown files every 30 s.

How this works
--------------
A description names a poller, its period, and what starts something for it: a file of the workspace that changes, or a request. From then on
something is *due*. It is waited for before the first exchange for which the recording proves that the poller had run: it came at least a
period later, or its recorded answer quotes the file. Where the recording left less time and shows nothing, nobody knows which came first,
and nothing is waited for. That a poller has run is seen by a number in the database that changed, or else by its period having passed; so
no wait is longer than the period and a margin.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, Protocol

from replay.model import Exchange, Response, Wait, WorkspaceChange
from replay.plan import Step
from replay.play.accounting import Accounting
from replay.play.job import Poller

_MARGIN_S: Final = 3.0
_LOOK_AGAIN_S: Final = 0.1
_QUOTE_CHARS_MIN: Final = 40
_QUOTES_MAX: Final = 4


class Numbers(Protocol):
    """Who can be asked for a number in a database."""

    async def number(self, path: Path, sql: str, parameters: Mapping[str, str]) -> int | None:
        """Give it; None where there is none."""
        ...


@dataclass(frozen=True, slots=True)
class _Due:
    """Something that a poller has to do."""

    recorded_at: float
    at: float
    parameters: Mapping[str, str]
    before: int | None
    """What the poller's number was then."""
    quotes: tuple[bytes, ...]


class Pollers:
    """What is due for each named poller."""

    def __init__(
        self,
        pollers: Sequence[Poller],
        numbers: Numbers,
        accounting: Accounting,
        clock: Callable[[], float],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._numbers = numbers
        self._accounting = accounting
        self._clock = clock
        self._sleep = sleep
        self._due: dict[Poller, list[_Due]] = {poller: [] for poller in pollers}

    async def lay(self, change: WorkspaceChange) -> None:
        """Say that a file of the workspace is about to be changed as recorded."""
        if change.content is None:
            return  # gone, or not known
        for poller, due in self._due.items():
            if _matches(change.path, poller.files) and not _matches(change.path, poller.files_except):
                path = PurePosixPath(change.path)
                parameters = {"path": change.path, "name": path.name, "stem": path.stem}
                due.append(await self._begin(poller, change.at, parameters, _quotes(change.content)))

    async def send(self, step: Step) -> None:
        """Say that a request is about to be sent."""
        names = {step.route.name, step.route.template, step.route.replay_class}
        for poller, due in self._due.items():
            if not names.isdisjoint(poller.routes):
                due.append(await self._begin(poller, step.exchange.ended_at, {"path": "", "name": "", "stem": ""}, ()))

    async def wait(self, step: Step) -> list[Wait] | None:
        """
        Wait for every poller that had run before this exchange in the recording.

        Gives a record for each that was waited for: none where all had run here, too; None where nothing was due.
        """
        waits: list[Wait] | None = None
        for poller, due in self._due.items():
            ripe = [each for each in due if _had_run(poller, each, step.exchange)]
            if ripe:
                self._due[poller] = [each for each in due if each not in ripe]
                waits = (waits or []) + [wait for wait in [await self._wait_for(poller, ripe, step.exchange.id)] if wait is not None]
        return waits

    async def _begin(self, poller: Poller, recorded_at: float, parameters: Mapping[str, str], quotes: tuple[bytes, ...]) -> _Due:
        before = await self._number(poller, parameters)
        return _Due(recorded_at, self._clock(), parameters, before, quotes)

    async def _number(self, poller: Poller, parameters: Mapping[str, str]) -> int | None:
        if poller.database is None:
            return None
        return await self._numbers.number(poller.database, poller.sql, parameters)

    async def _wait_for(self, poller: Poller, ripe: Sequence[_Due], exchange: int) -> Wait | None:
        started = self._clock()
        last_s = max(each.at for each in ripe) + poller.every_s + (_MARGIN_S if poller.database is not None else 0.0)
        left, looked_again = list(ripe), False
        while True:
            left = [each for each in left if poller.database is None or await self._number(poller, each.parameters) == each.before]
            now = self._clock()
            if not left or now >= last_s:
                break
            looked_again = True
            await self._sleep(min(_LOOK_AGAIN_S, last_s - now))
        if not looked_again:
            return None  # it had run already
        self._accounting.polled(started, now)
        names = ", ".join(sorted({each.parameters["name"] for each in ripe} - {""})[:3])
        if not left or poller.database is None:
            outcome, how = "drained", "seen to have run" if not left else f"its period of {poller.every_s:g} s has passed"
        else:
            outcome, how = "bound met", f"its period of {poller.every_s:g} s has passed and nothing shows that it ran"
        return Wait(exchange, poller.name, (now - started) * 1000.0, outcome, f"{how}{': ' if names else ''}{names}")


def _had_run(poller: Poller, due: _Due, exchange: Exchange) -> bool:
    """Tell whether the recording proves that the poller had run before an exchange."""
    if exchange.started_at - due.recorded_at >= poller.every_s:
        return True
    outcome = exchange.outcome
    return isinstance(outcome, Response) and bool(outcome.body) and any(quote in (outcome.body or b"") for quote in due.quotes)


def _matches(path: str, patterns: Sequence[str]) -> bool:
    """Tell whether a path in the workspace is meant; `*` stays within one name."""
    parts = PurePosixPath(path)
    return any(parts.match(pattern) and len(parts.parts) == len(PurePosixPath(pattern).parts) for pattern in patterns)


def _quotes(content: bytes) -> tuple[bytes, ...]:
    """Give the longest lines of a text as they would stand in a JSON answer."""
    lines = (line.strip() for line in content.decode("utf-8", "replace").splitlines())
    long = sorted({line for line in lines if len(line) >= _QUOTE_CHARS_MIN}, key=lambda line: (-len(line), line))[:_QUOTES_MAX]
    return tuple({json.dumps(line, ensure_ascii=ascii_only)[1:-1].encode() for line in long for ascii_only in (True, False)})
