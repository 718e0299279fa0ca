"""
Playing from before the daemon starts: where a cell says which recorded lanes to serve, the player listens first and waits for the facts.

How this works
--------------
A cell that has lanes starts its player before the daemon, for a daemon asks its models while it starts. `lanes.json` then lies beside the place
of the facts, which are not there yet. The player reads the recording, listens, says so by a file `listening`, and waits until the facts are
there. If the daemon dies before, the cell ends the player; nothing was observed, and nothing is written. Without `lanes.json` the facts are
there already.
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from replay.archive import read
from replay.daemon.lanes import LANES, LISTENING, read_lanes
from replay.identity import Bindings
from replay.play.job import Job, read_facts
from replay.play.playing import Played, daemons_clock, play
from replay.play.providing import Provider

_LOOK_AGAIN_S: Final = 0.02


async def play_inside(job: Job, facts: Path, *, clock: Callable[[], float] = time.time) -> Played:
    """
    Play a job in a cell whose facts are at a path, or will be.

    Raises:
        ArchiveError: the recording can't be read, or the observed archive not be written.
        DaemonError: a lane's address is taken.
        UsageError: the facts are none, or the recording has no exchange `only`.

    """
    lanes = read_lanes(facts.with_name(LANES))
    if not lanes:
        return await play(job, read_facts(facts), clock=clock)
    recorded = read(job.recorded, salvage=job.salvage, keys=job.keys)
    behind = daemons_clock(clock, job.clock_behind_s)
    provider = Provider(recorded, lanes, Bindings(), clock=behind, stretch=job.stretch, secrets=job.replacements)
    async with provider:
        facts.with_name(LISTENING).touch()
        while not facts.exists():  # noqa: ASYNC110, ASYNC240 - another process makes it, and a look is no work
            await asyncio.sleep(_LOOK_AGAIN_S)
        return await play(job, read_facts(facts), clock=clock, provider=provider)
