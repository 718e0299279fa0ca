"""
What the benches share: interleaved rounds, medians, peak memory, and figures said in plain text.

Absolute figures of a busy machine mean little. So what is compared runs in the same process or side by side, in rounds whose order turns,
and each figure is a median over rounds; a ratio is the median of the ratios of single rounds, so that a slow minute hits both sides of it.
"""

import multiprocessing
import multiprocessing.connection
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

MEBI: Final = 1024 * 1024
SAMPLES: Final = Path(__file__).parents[2].parent / "shared" / "samples"
"""The real recordings; not on every machine."""


def say(text: str = "") -> None:
    """Print one line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def say_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print columns, the first to the left and figures to the right."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, *rows):
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        say("  " + "  ".join(cells).rstrip())


def take_turns[K](names: Sequence[K], round_number: int) -> list[K]:
    """Give the names in an order that begins elsewhere in each round, so that none always comes first."""
    start = round_number % len(names)
    return [*names[start:], *names[:start]]


def measure(works: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Run every piece of work once a round, in turning order; gives the seconds of each round by name."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds):
        for name in take_turns(list(works), number):
            started = time.perf_counter()
            works[name]()
            seconds[name].append(time.perf_counter() - started)
    return seconds


def ratio(one: Sequence[float], other: Sequence[float]) -> float:
    """Give the median over rounds of *one* divided by *other* in the same round."""
    return statistics.median(left / right for left, right in zip(one, other, strict=True))


def percentile(values: Sequence[float], percent: float) -> float:
    """Give the value that *percent* of the values do not pass."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def bounds(estimate: Callable[[Sequence[int]], float], rounds: int, *, draws: int = 1_000, seed: int = 20_261_123) -> tuple[float, float, float]:
    """
    Give a figure and its 95 % bootstrap interval: (lower, figure, upper).

    *estimate* makes the figure from the numbers of rounds; the interval comes from rounds drawn with replacement. Rounds and not single
    requests are drawn, because what disturbs a request disturbs its neighbours too. Half of what lies outside lies above, so the upper end is a
    one-sided bound of 97.5 %.
    """
    draw = random.Random(seed)  # noqa: S311  # nothing secret is drawn here
    found = sorted(estimate(draw.choices(range(rounds), k=rounds)) for _ in range(draws))
    return found[int(draws * 0.025)], estimate(range(rounds)), found[int(draws * 0.975)]


def peak_rss(pid: int) -> int:
    """
    Give the most memory that a process has ever had resident, in bytes (VmHWM).

    Raises:
        OSError: the process is gone, or this is no Linux.

    """
    return _status(pid, "VmHWM:")


def cpu_s(pid: int) -> float:
    """
    Give the seconds of CPU that a process itself has used, in user and kernel mode.

    Raises:
        OSError: the process is gone, or this is no Linux.

    """
    # the process's own clock as Linux numbers it; /proc only counts hundredths of a second
    return time.clock_gettime_ns(~pid << 3 | 2) / 1e9


def peak_of(work: Callable[..., object], *arguments: object) -> tuple[int, int]:
    """
    Do *work* (a function of a module) in a process of its own; gives its peak memory and what it had before, in bytes.

    Raises:
        RuntimeError: the work failed; what it said is on stderr.

    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_report_peak, args=(theirs, work, arguments))
    process.start()
    theirs.close()
    try:
        before, peak = ours.recv()
    except EOFError:
        raise RuntimeError(f"{work} failed in its own process") from None
    finally:
        process.join()
        ours.close()
    return int(peak), int(before)


def _report_peak(
    pipe: "multiprocessing.connection.Connection[tuple[int, int], object]", work: Callable[..., object], arguments: tuple[object, ...]
) -> None:
    before = _status(os.getpid(), "VmRSS:")
    work(*arguments)
    pipe.send((before, peak_rss(os.getpid())))


def memory(pid: int) -> tuple[int, int]:
    """
    Give what a process has resident now, and its proportional share of it, in bytes (Rss, Pss).

    Raises:
        OSError: the process is gone, or this is no Linux.

    """
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text("utf-8").splitlines()
    found = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.startswith(("Rss:", "Pss:"))}
    return found["Rss"], found["Pss"]


def _status(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


@contextmanager
def scratch() -> Iterator[Path]:
    """Give a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="signet-parity-bench-") as folder:
        yield Path(folder)
