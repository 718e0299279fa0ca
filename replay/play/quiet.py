"""
Wait until the daemon's background work is done, by looking into its own job tables.

How this works
--------------
Each worker has a query that counts what it has left. A wait ends when every count is down, seen twice in a row. A worker whose count does
not move for the length of its bound is stuck: that is said once, and from then on the count at which it stuck counts as down, so that the
worker is waited for again when it moves, and never again for the same rows.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from replay.model import ParityError, Wait
from replay.play.job import Drained
from replay.workspace import open_read_only

_POLL_S: Final = 0.04
_PASSES_MAX: Final = 5
_BOUNDS_MAX: Final = 6
"""A worker that moves, but never gets down, is waited for this many bounds at most."""


class Quiet:
    """Waits for a daemon's workers."""

    def __init__(self, drained: Sequence[Drained], clock: Callable[[], float]) -> None:
        self._drained = tuple(drained)
        self._clock = clock
        self._down_at: dict[str, int] = {}
        self._unreadable: set[str] = set()

    async def wait(self, before_exchange: int, least_s: float) -> list[Wait]:
        """Wait for all workers, and at least `least_s`; gives a record for each worker that was waited for."""
        started = self._clock()
        waits = await self._pass(before_exchange)
        rest = least_s - (self._clock() - started)
        if rest > 0:
            await asyncio.sleep(rest)
            waits += await self._pass(before_exchange)  # what was only now put into the tables
        return waits

    async def _pass(self, before_exchange: int) -> list[Wait]:
        """Wait for each worker in turn, and again while one of them had to be waited for: what one ends may be another's beginning."""
        waits: list[Wait] = []
        for _ in range(_PASSES_MAX):
            before = len(waits)
            for worker in self._drained:
                waits += await self._wait_for(worker, before_exchange)
            if len(waits) == before:
                break
        return waits

    async def _wait_for(self, worker: Drained, before_exchange: int) -> list[Wait]:
        if worker.worker in self._unreadable:
            return []
        started = moved = self._clock()
        last: int | None = None
        waited = calm = False
        while True:
            try:
                count = await asyncio.to_thread(_count, worker.database, worker.sql)
            except (sqlite3.Error, ParityError) as error:
                self._unreadable.add(worker.worker)
                return [self._record(worker, before_exchange, started, "given up before", f"its table can't be read: {error}")]
            now = self._clock()
            if count <= self._down_at.get(worker.worker, 0):
                self._down_at[worker.worker] = min(count, self._down_at.get(worker.worker, 0))
                if calm:
                    return [self._record(worker, before_exchange, started, "drained", "")] if waited else []
                calm = True
            else:
                waited, calm = True, False
                if count != last:
                    moved = now
            last = count
            if now - moved >= worker.bound_s or now - started >= _BOUNDS_MAX * worker.bound_s:
                self._down_at[worker.worker] = count
                detail = f"{count} left, no progress for {now - moved:.1f} s; not waited for again at this count"
                return [self._record(worker, before_exchange, started, "bound met", detail)]
            await asyncio.sleep(_POLL_S)

    def _record(self, worker: Drained, before_exchange: int, started: float, outcome: str, detail: str) -> Wait:
        return Wait(before_exchange, worker.worker, (self._clock() - started) * 1000.0, outcome, detail)


def _count(database: Path, sql: str) -> int:
    with closing(open_read_only(database)) as connection:
        row = connection.execute(sql).fetchone()
    return int(row[0]) if row is not None and row[0] is not None else 0
