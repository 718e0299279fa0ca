"""The process that plays inside a cell: `python -m replay.play - CELL_FACTS.json`, with the job on standard input (or in a file)."""

import asyncio
import gc
import importlib
import sys
import traceback
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, Final

from replay.model import ParityError
from replay.play import play_inside, read_job

_GARBAGE_MIN: Final = 20_000


def _run[T](playing: Coroutine[Any, Any, T]) -> T:
    """Run on uvloop, where it is there; look for garbage seldom, for an exchange leaves no cycles and looking took a fifth of the time."""
    gc.set_threshold(_GARBAGE_MIN, 20, 20)
    try:
        uvloop = importlib.import_module("uvloop")
    except ImportError:
        return asyncio.run(playing)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(playing)


def main(arguments: Sequence[str]) -> int:
    """Play by the files named; gives the exit code and says on stderr what came of it."""
    if len(arguments) != 2:
        sys.stderr.write("usage: python -m replay.play JOB.json|- CELL_FACTS.json\n")
        return 2
    try:
        played = _run(play_inside(read_job(Path(arguments[0])), Path(arguments[1])))
    except ParityError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except Exception:  # noqa: BLE001 - a bug must not look like a judgement
        traceback.print_exc()
        return 70
    sys.stderr.write(f"{played.planned} planned, {played.observed} observed, {played.gaps} gaps\n")
    return 0 if played.complete else 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
