"""Record a history on the model, replay it on others, compare and judge: all by the real parts."""

import asyncio
import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from replay.archive import Archive, read
from replay.jobs.judging import Basis, compare_run
from replay.play import CellFacts, Drained, Job, Played, play
from replay.runs import Run
from tests.play.histories.clients import History, Lived, Recorder
from tests.play.histories.daemon import DATABASE, DRAINED, Fault, Model

NOW: Final = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
_DRAINED_BOUND_S: Final = 2.0
_REPLAY_BOUND_S: Final = 30.0
"""A replay that takes longer hangs: it takes a fraction of a second."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """A replay, and what it observed."""

    played: Played
    archive: Archive


async def live(history: History, folder: Path, seed: int, *faults: Fault, path: Path | None = None) -> Lived:
    """Have clients live a history on a fresh model; with a *path* it is recorded there."""
    async with Model(folder / f"live-{seed}", seed, *faults) as model:
        return await Recorder(model, path).live(history)


async def replay(recorded: Path, folder: Path, seed: int, *faults: Fault) -> Replayed:
    """Replay a recording on a fresh model."""
    observed = folder / f"observed-{seed}.parity"
    async with Model(folder / f"replay-{seed}", seed, *faults) as model:
        drained = Drained("worker", model.workspace / DATABASE, DRAINED, _DRAINED_BOUND_S)
        facts = CellFacts("none", "127.0.0.1", model.port, str(model.workspace), None, None, (drained,), None, {})
        job = Job(
            recorded=recorded,
            observed=observed,
            allow=frozenset({"all"}),
            request_bound_s=5.0,
            request_bound_max_s=5.0,
            stream_bound_s=0.3,
            settle_s=0.0,
            settle_outside_s=0.0,
            poll_bound_s=0.1,
        )
        async with asyncio.timeout(_REPLAY_BOUND_S):
            played = await play(job, facts)
    return Replayed(played, read(observed))


def judged(recorded: Path, observed: Archive, controls: list[Archive], folder: Path) -> Run:
    """Compare and judge."""
    return compare_run(
        read(recorded), observed, controls, Basis(), run_path=folder / "x.run", seed=1, now=NOW, progress=lambda _what, _done, _of: None
    )
