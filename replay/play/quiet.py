"""
Wait until the daemon's background work is done, where the recording left time for it.

How this works
--------------
Each worker has a query that counts what it has left. A wait ends when every count is down, seen twice in a row: what one worker ends may be
another's beginning. A worker whose count does not move for the length of its bound is stuck: that is said once, and from then on the count at
which it stuck counts as down. For what held it may be over one day (a pipeline that was paused), it is given a sixth of its bound for these
rows the next time, then half of that, and soon nothing; for rows that come later half its bound, then half of that, until it moves again.
One that moves all the time and never gets down is given six bounds, the next time half of that, and so on, until it was down once.

Where the recording paused without a write before it, the tables are still looked at: a read may queue work, too. And a worker that does not
move is given no more time than the recording had, or a third of its bound where that is longer.

What no job table shows is told by the daemon's own words: an answer of 202, or one that names a state such as `running`, says that work goes
on. If a job table took it up, or the next request asks how far it is, that is enough; else a part of the recorded pause is waited.
Named pollers are waited for as `pollers` says.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Final, Protocol

from replay.model import Outcome, Wait, WorkspaceChange
from replay.plan import Laying, Step
from replay.plan.silences import PAUSE_S
from replay.play.accounting import Accounting
from replay.play.job import Drained, Poller
from replay.play.looks import Left
from replay.play.pollers import Pollers
from replay.play.polls import asks_about, goes_on

_LOOK_AGAIN_S: Final = 0.025
_BOUNDS_MAX: Final = 6
"""A worker that moves, but never gets down, is waited for this many bounds at most."""
_BLIND_S: Final = 2.0
"""What is waited of a pause where no job table is known."""
_PROVIDER: Final = "calls of the model provider"
_PROVIDER_BOUND_S: Final = 30.0
_CALM_LOOKS: Final = 2
_BOUND_S_MIN: Final = 0.5
_BOUND_SHARE_MIN: Final = 1 / 3
_AGAIN_SHARE: Final = 1 / 6
"""What a worker that stuck is given once more for the same rows, and half of it the next time, for what held it may be over."""


class Watch(Protocol):
    """Who looks into the daemon's databases."""

    async def look(self) -> Left:
        """Give what is left, at a look that begins after the call."""
        ...

    async def number(self, path: Path, sql: str, parameters: Mapping[str, str]) -> int | None:
        """Give one number; None where there is none."""
        ...


@dataclass(slots=True)
class _Waited:
    """A worker that had something left during one wait."""

    last: int
    moved_at: float
    until: float
    outcome: str = "drained"
    detail: str = ""


@dataclass(frozen=True, slots=True)
class _Draining:
    """One wait."""

    started: float
    had_s: float
    """How long the recording paused."""
    waited: dict[str, _Waited] = field(default_factory=dict)
    given_up: set[str] = field(default_factory=set)


class Quiet:
    """Waits for a daemon's workers and named pollers."""

    def __init__(
        self,
        drained: Sequence[Drained],
        watch: Watch,
        accounting: Accounting,
        clock: Callable[[], float],
        *,
        pollers: Sequence[Poller] = (),
        settle_s: float = 0.05,
        settle_outside_s: float = 5.0,
        busy: Callable[[], int] = lambda: 0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._bounds_s = {worker.worker: worker.bound_s for worker in drained} | {_PROVIDER: _PROVIDER_BOUND_S}
        self._known = bool(drained)
        self._watch = watch
        self._accounting = accounting
        self._clock = clock
        self._settle_s = settle_s
        self._settle_outside_s = settle_outside_s
        self._busy = busy
        self._sleep = sleep
        self._pollers = Pollers(pollers, watch, accounting, clock, sleep=sleep)
        self._down_at: dict[str, int] = {}
        self._stuck: Counter[str] = Counter()
        """How many times a worker was stuck since it was last seen to move."""
        self._tried: Counter[str] = Counter()
        """How many times it was given a little more time for the rows at which it stuck."""
        self._overran: Counter[str] = Counter()
        """How many waits it moved through, without getting down, since it last did."""
        self._unreadable: set[str] = set()
        self._begun: bytes | None = None
        self.stuck: list[Wait] = []
        """The waits that met their bounds."""

    def looked(self, at: float, left: Left) -> None:
        """Count a look at the job tables: the sampler's door."""
        self._accounting.looked(at, busy=self._is_busy(left))

    async def lay(self, change: WorkspaceChange) -> None:
        """Say that a file of the workspace is about to be changed as recorded."""
        await self._pollers.lay(change)

    async def before(self, step: Step | Laying, exchange: int) -> list[Wait]:
        """
        Wait for what the daemon had done in the recording before this; gives a record for each worker or poller waited for.

        *exchange* names the place in the records.
        """
        waits: list[Wait] = []
        if step.settles:
            waits = await self._settle(step, exchange)
        elif step.pause_s > PAUSE_S and self._is_busy(await self._watch.look()):
            waits = await self._drain(exchange, step.pause_s)
        if isinstance(step, Step):
            polled = await self._pollers.wait(step)
            if polled is not None:
                waits += polled + await self._drain(exchange)  # a poller's finds are jobs
            await self._pollers.send(step)
        self.stuck += [wait for wait in waits if wait.outcome == "bound met"]
        return waits

    def ended(self, step: Step, outcome: Outcome) -> None:
        """Say how an exchange ended: its answer may say that work goes on."""
        if step.exchange.request.method != b"GET" and goes_on(outcome):
            self._begun = step.exchange.request.target

    async def _settle(self, step: Step | Laying, exchange: int) -> list[Wait]:
        started = self._clock()
        waits = await self._drain(exchange, step.pause_s)
        name, least_s = "settle after writes", self._settle_s
        if not self._known:
            name, least_s = "settle without job tables", max(least_s, _BLIND_S)
        begun, self._begun = self._begun, None
        if begun is not None and not waits and not (isinstance(step, Step) and asks_about(step.exchange, begun)):
            name, least_s = "settle after work begun", max(least_s, self._settle_outside_s)
        rest = min(step.pause_s, least_s) - (self._clock() - started)
        if rest > 0:
            await self._sleep(rest)
            self._accounting.waited(name, rest)
            waits += await self._drain(exchange, step.pause_s)  # what was only now put into the tables
        return waits

    async def _drain(self, before_exchange: int, had_s: float = inf) -> list[Wait]:
        """Wait until nothing is left, or what is left is stuck; *had_s*: how long the recording paused."""
        draining = _Draining(self._clock(), had_s)
        started = draining.started
        said: list[Wait] = []
        calm = 0
        while calm < _CALM_LOOKS:
            left = await self._watch.look()
            now = self._clock()
            for worker in left.unreadable.keys() - self._unreadable:
                self._unreadable.add(worker)
                detail = f"its table can't be read: {left.unreadable[worker]}"
                said.append(Wait(before_exchange, worker, (now - started) * 1000.0, "given up before", detail))
            counts = {**left.counts, _PROVIDER: self._busy()}
            busy = [self._is_waited_for(worker, count, draining, now) for worker, count in counts.items()]
            calm = 0 if any(busy) else calm + 1
            if calm < _CALM_LOOKS:
                await self._sleep(_LOOK_AGAIN_S)
        return said + [
            Wait(before_exchange, worker, (each.until - started) * 1000.0, each.outcome, each.detail) for worker, each in draining.waited.items()
        ]

    def _is_waited_for(self, worker: str, count: int, draining: _Draining, now: float) -> bool:
        whole_s, stuck_at = self._bounds_s[worker], self._down_at.get(worker, 0)
        if count == 0:
            self._overran[worker] = 0
        if count < stuck_at:  # what was stuck has moved
            del self._down_at[worker]
            stuck_at = self._stuck[worker] = self._tried[worker] = 0
        known = count <= stuck_at
        again_s = whole_s * _AGAIN_SHARE / 2 ** self._tried[worker]
        if count == 0 or (known and again_s < _BOUND_S_MIN):
            return False
        if worker in draining.given_up and known:
            return False
        state = draining.waited.setdefault(worker, _Waited(count, now, now))
        if count != state.last:
            if count < state.last:
                self._stuck[worker] = 0
            state.last, state.moved_at = count, now
        state.until = now
        before = self._stuck[worker]
        bound_s = min(max(whole_s / 2**before, _BOUND_S_MIN), max(draining.had_s, whole_s * _BOUND_SHARE_MIN), again_s if known else whole_s)
        idle_s, whole_wait_s = now - state.moved_at, now - draining.started
        if idle_s < bound_s and whole_wait_s < _BOUNDS_MAX * whole_s / 2 ** self._overran[worker]:
            return True
        self._down_at[worker] = count
        self._overran[worker] += idle_s < bound_s
        self._stuck[worker] += idle_s >= bound_s and not known
        self._tried[worker] = self._tried[worker] + 1 if known else 0
        state.outcome = "given up before" if before or known else "bound met"
        state.detail = f"{count} left, no progress for {idle_s:.1f} of {whole_wait_s:.1f} s; given up"
        draining.given_up.add(worker)
        return False

    def _is_busy(self, left: Left) -> bool:
        return any(self._is_left(worker, count) for worker, count in left.counts.items())

    def _is_left(self, worker: str, count: int) -> bool:
        return count > self._down_at.get(worker, 0)
