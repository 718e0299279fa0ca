"""On which clock a replayed daemon runs: the host's, or one that shows the time as recorded."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from replay.archive import Archive
from replay.daemon import DaemonSpec
from replay.daemon.clock import CLOCKS, check, find_library, shift
from replay.model import Opened, UsageError
from replay.plan import Stretch


@dataclass(frozen=True, slots=True)
class Clock:
    """A daemon's clock."""

    behind_s: int = 0
    """By how many seconds it is behind the host's; 0 where it is the host's."""
    notes: tuple[str, ...] = ()
    """What a replay says of it; nothing where it is the host's."""


def began_at(recorded: Archive, stretch: Stretch) -> float | None:
    """Give the time of the first request of a stretch (seconds since the epoch); None where there is none."""
    opened = (record for record in recorded.records() if isinstance(record, Opened) and record.event > stretch.after)
    return next((record.at for record in opened), None)


def check_clock(name: str, spec: DaemonSpec | None) -> None:
    """
    Make sure that a replay can have the clock that is asked for, before anything is laid out.

    Raises:
        UsageError: it can't; the text says how it could.

    """
    if name not in CLOCKS:
        raise UsageError(f"--clock {name}: must be now or recorded")
    if name == "now":
        return
    if spec is None:
        raise UsageError("--clock recorded: the clock of a --target that runs already can't be set; start a --daemon")
    find_library(spec)


def set_clock(spec: DaemonSpec, name: str, began: float | None, *, clock: Callable[[], float] = time.time) -> tuple[DaemonSpec, Clock]:
    """
    Give a description whose daemon runs on the clock asked for, and what that is.

    Raises:
        UsageError: there is no libfaketime, or it does not work.

    """
    check_clock(name, spec)
    if name == "now" or began is None:
        return spec, Clock()
    library = find_library(spec)
    behind_s = int(clock() - began)
    check(library, behind_s, now=clock())
    note = f"clock: the daemon runs at the recording's time, {behind_s:,} s behind this host ({library.name})"
    return shift(spec, behind_s, library), Clock(behind_s, (note,))
