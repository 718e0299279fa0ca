"""
A writer that stands still: `python -m tests.faults.memory --seconds 20` stops it under load and looks at mitmdump's memory.

The same load goes through a bare mitmdump first. Ours may hold 64 MB more at most, however long the writer stands; clients are served as
ever; when the writer goes on, it catches up, and whatever was left out meanwhile is counted in the archive and said aloud.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.faults.client import Log, Told, drive
from tests.faults.judging import Loss, gather, judge
from tests.faults.matrix import STALL_S_MAX, upstream_process
from tests.faults.proxy import Proxy, start

MORE_BYTES_MAX: Final = 64 * 1024 * 1024
_EVERY_S: Final = 0.1
_TURNS: Final = 100_000
"""More than there is time for."""


@dataclass(slots=True)
class Report:
    """What came of it."""

    bare_bytes: int = 0
    """The most that the bare mitmdump held."""
    ours_bytes: int = 0
    requests: int = 0
    megabytes: float = 0.0
    """That clients got in answers."""
    stall_s: float = 0.0
    bare_stall_s: float = 0.0
    loss: Loss = field(default_factory=lambda: Loss(0, 0, 0))
    gaps: dict[str, int] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


async def run(seconds: float, seed: str, folder: Path) -> Report:
    """Stop the writer so long. *folder* must be there and empty."""
    report = Report()
    async with upstream_process() as servers:
        proxy = await start(folder, servers[0].port, output=None, gathers=True)
        told, report.bare_bytes = await _load(proxy, seed, seconds, stop=False)
        await proxy.end()
        report.bare_stall_s = max(entry.stall_s for entry in told)
        archives = folder / "archives"
        archives.mkdir()
        proxy = await start(folder, servers[0].port, output=archives / "out.parity")
        try:
            told, report.ours_bytes = await _load(proxy, seed, seconds, stop=True)
        finally:
            await proxy.end(bound_s=120)
    report.said = [line for line in proxy.output.splitlines() if "parity" in line]
    report.requests = len(told)
    report.megabytes = sum(entry.received for entry in told) / 1e6
    report.stall_s = max(entry.stall_s for entry in told)
    _judge(archives, told, report)
    return report


async def _load(proxy: Proxy, seed: str, seconds: float, *, stop: bool) -> tuple[list[Told], int]:
    """Drive a proxy for so long and three seconds more; give the log and the most memory it held."""
    log = Log()
    most = 0

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, proxy.rss_bytes())
            await asyncio.sleep(_EVERY_S)

    watching = asyncio.create_task(watch())
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(drive(log, proxy.port, seed, turns=_TURNS, think_ms=20))
            await asyncio.sleep(1)
            pid = proxy.writer() if stop else None
            if pid is not None:
                os.kill(pid, signal.SIGSTOP)
            try:
                await asyncio.sleep(seconds)
            finally:
                if pid is not None:
                    os.kill(pid, signal.SIGCONT)
            await asyncio.sleep(2)
            log.stop.set()
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
    return log.told, most


def _judge(archives: Path, told: list[Told], report: Report) -> None:
    parts = gather(archives)
    report.wrong, report.loss = judge(parts, told)
    for gap in (gap for part in parts for gap in part.gaps):
        report.gaps[gap.reason.value] = report.gaps.get(gap.reason.value, 0) + gap.count
    report.wrong += [f"{part.path.name}: {part.problems[:3]}" for part in parts if not part.good]
    if len(parts) != 1:
        report.wrong.append(f"{len(parts)} archives, though the writer only stood still")
    if report.ours_bytes > report.bare_bytes + MORE_BYTES_MAX:
        report.wrong.append(f"mitmdump held {report.ours_bytes / 1e6:.0f} MB, the bare one {report.bare_bytes / 1e6:.0f} MB")
    bad = [entry for entry in told if not (entry.true if entry.ask.kind == "endless" else entry.served)]
    report.wrong += [f"{entry.ask.id} ({entry.ask.kind}): {entry.status} {entry.trouble}" for entry in bad]
    if report.stall_s > STALL_S_MAX + 2 * report.bare_stall_s:
        report.wrong.append(f"a client waited {report.stall_s:.2f} s, {report.bare_stall_s:.2f} s with a bare proxy")
    if report.loss.lost and not any("keep up" in line or "behind" in line or "left out" in line for line in report.said):
        report.wrong.append(f"{report.loss.lost} exchanges are not whole, and nothing was said: {report.said}")


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description="mitmdump's memory while the writer stands still.")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--seed", default="1")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="parity-memory-") as folder:
        report = asyncio.run(run(chosen.seconds, chosen.seed, Path(folder)))
    sys.stdout.write(
        f"{report.requests} requests, {report.megabytes:.0f} MB of answers; memory {report.ours_bytes / 1e6:.0f} MB, "
        f"bare {report.bare_bytes / 1e6:.0f} MB; longest wait {report.stall_s:.2f} s, bare {report.bare_stall_s:.2f} s\n"
        f"not whole on record: {report.loss.lost}: listed {report.loss.listed}, unnamed {report.loss.unnamed}, left out "
        f"{report.loss.left_out}; gaps {report.gaps}\n"
    )
    sys.stdout.writelines(f"  said {line[:300]}\n" for line in report.said)
    sys.stdout.writelines(f"  WRONG {what[:300]}\n" for what in report.wrong[:40])
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
