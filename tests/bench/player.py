"""
How fast the demo's recording is replayed in a cell, and what the player itself needs for it, beside the pace at which it was recorded.

The demo is recorded once, through a real mitmdump. Then each round replays it on the demo's `js` daemon as fast as the order allows
(`asap`) and again at the recorded pace, in turning order, each in a fresh cell (a namespace cell, where this machine has them; the table
says which).

How to read it: *seconds* are from the first request's start to the last answer's end, as in the recording, and requests per second are over
them. *waits* is the part that the player spent waiting for the daemon's background work, *daemon* the time that the daemon's answers took
one after the other: where the order allows little overlap, `asap` can't be shorter than both together. *player CPU* is the player process's
own, of which importing it is named apart; *all CPU* is everything that the replay started (cell, daemon and player, by the usage of
children). Figures are medians over rounds. This file is not called `replay.py`, for a script's own folder comes first on the path and it
would hide the package.
"""

import resource
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from replay.archive import read
from replay.jobs.replaying import replay_archive
from replay.jobs.tour import demo_order, record_demo
from replay.model import Exchange
from tests.bench.measuring import cpu_s, ratio, say, say_table, scratch, take_turns

ROUNDS: Final = 3
PACES: Final = ("asap", "recorded")
_LOOK_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class Replayed:
    """What one replay took."""

    seconds: float
    requests: int
    waits_s: float
    daemon_s: float
    player_cpu_s: float
    all_cpu_s: float
    whole_s: float
    cell: str


class _Watch:
    """Looks for the one process that plays from a certain scratch folder, and keeps the CPU that it was last seen to have used."""

    def __init__(self, scratch_folder: Path) -> None:
        self.seconds = 0.0
        self._scratch = f"{scratch_folder}/".encode()
        self._pid: int | None = None

    def look(self) -> None:
        """Look once."""
        if self._pid is None:
            self._pid = self._find()
        if self._pid is not None:
            with suppress(OSError):
                self.seconds = max(self.seconds, cpu_s(self._pid))

    def _find(self) -> int | None:
        for process in Path("/proc").iterdir():
            if process.name.isdigit():
                with suppress(OSError):
                    words = (process / "cmdline").read_bytes().split(b"\0")
                    if words[1:3] == [b"-m", b"replay.play"] and any(word.startswith(self._scratch) for word in words[3:]):
                        return int(process.name)
        return None


@contextmanager
def _watching(scratch_folder: Path) -> Iterator[_Watch]:
    watch, done = _Watch(scratch_folder), threading.Event()

    def until_done() -> None:
        while not done.wait(_LOOK_S):
            watch.look()

    thread = threading.Thread(target=until_done)
    thread.start()
    try:
        yield watch
    finally:
        done.set()
        thread.join()


def main() -> None:
    """Measure and say."""
    with scratch() as folder:
        record_demo(folder, folder / "recording.parity")
        recorded = read(folder / "recording.parity").exchanges()
        rounds: dict[str, list[Replayed]] = {pace: [] for pace in PACES}
        for number in range(ROUNDS):
            for pace in take_turns(PACES, number):
                rounds[pace].append(_replay(folder, f"{pace}-{number}", pace))
    pace_s = _span_s(recorded)
    say(f"player: the demo's {len(recorded)} exchanges on demo-js, {ROUNDS} interleaved rounds, cell: {', '.join(_cells(rounds))}")
    say()
    rows = [["recorded", f"{pace_s:.2f}", f"{len(recorded) / pace_s:.0f}", "-", f"{_daemon_s(recorded):.2f}", "-", "-", "-"]]
    for pace, done in rounds.items():
        rows.append(
            [
                f"replay, {pace}",
                f"{_median(done, 'seconds'):.2f}",
                f"{statistics.median(item.requests / item.seconds for item in done):.0f}",
                *(f"{_median(done, name):.2f}" for name in ("waits_s", "daemon_s", "player_cpu_s", "all_cpu_s", "whole_s")),
            ]
        )
    say_table(["", "seconds", "req/s", "waits s", "daemon s", "player CPU s", "all CPU s", "whole replay s"], rows)
    say()
    asap = [item.seconds for item in rounds["asap"]]
    player = _median(rounds["asap"], "player_cpu_s")
    start = statistics.median(_import_cpu_s() for _ in range(ROUNDS))
    say(f"  asap / recorded pace as it was: {statistics.median(asap) / pace_s:.2f}; asap / replay at that pace: {_ratio(rounds):.2f}")
    say(f"  player CPU: {start:.2f} s to import it, {(player - start) * 1000 / len(recorded):.1f} ms a request beyond that")


def _replay(folder: Path, name: str, pace: str) -> Replayed:
    order = replace(demo_order(folder, name, "js", ()), pace=pace, scratch=folder / f"scratch-{name}")
    assert order.scratch is not None
    used, started = _children_s(), time.perf_counter()
    with _watching(order.scratch) as watch:
        done = replay_archive(order, lambda _what, _done, _all: None)
    whole_s, all_s = time.perf_counter() - started, _children_s() - used
    if done.exit_code or not watch.seconds:
        raise SystemExit(f"the replay is incomplete, or its player was not seen:\n{done.text}")
    observed = read(order.observed)
    exchanges, waits = observed.exchanges(), observed.waits()
    cell = done.report.kind if done.report else "none"
    waited_s = sum(item.duration_ms for item in waits) / 1000
    return Replayed(_span_s(exchanges), len(exchanges), waited_s, _daemon_s(exchanges), watch.seconds, all_s, whole_s, cell)


def _span_s(exchanges: list[Exchange]) -> float:
    return max(item.ended_at for item in exchanges) - min(item.started_at for item in exchanges)


def _daemon_s(exchanges: list[Exchange]) -> float:
    return sum(item.duration_ms for item in exchanges) / 1000


def _children_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _import_cpu_s() -> float:
    before = _children_s()
    subprocess.run([sys.executable, "-c", "import replay.play"], check=True)
    return _children_s() - before


def _median(done: list[Replayed], name: str) -> float:
    return statistics.median(float(getattr(item, name)) for item in done)


def _ratio(rounds: dict[str, list[Replayed]]) -> float:
    return ratio([item.seconds for item in rounds["asap"]], [item.seconds for item in rounds["recorded"]])


def _cells(rounds: dict[str, list[Replayed]]) -> list[str]:
    return sorted({item.cell for done in rounds.values() for item in done})


if __name__ == "__main__":
    main()
