"""
The fault matrix: `python tests/faults/matrix.py --times 50 --seed 1` runs each fault so many times and prints a table.

Every run has a server, a mitmdump with the recorder and a client of their own; what the client asks and when the fault strikes follows from
the seed and the number of the run, so that a failure can be repeated with `--only NAME --seed S --run N`. What a bare mitmdump does with the
same requests is measured once for each of a few traffic seeds. The exit code is 1 where anything was wrong.
"""

import argparse
import asyncio
import contextlib
import random
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.faults.client import Log, Told, drive
from tests.faults.judging import Loss, Part, compare_served, gather, judge
from tests.faults.proxy import Proxy, start
from tests.faults.strikes import FAULTS, Fault, Scene, Upstream, write_clock

TURNS: Final = 36
"""Of each of eight connections: about four seconds."""
TRAFFIC_SEEDS: Final = 4
STALL_S_MAX: Final = 2.5
"""
No fault may let a client wait longer for anything, beside the time for which mitmdump was ready and a busy machine did not let it run. The
server pauses for 60 ms at most; what hangs, hangs for longer than this.
"""
ROOT: Final = Path(__file__).parents[2]


@dataclass(slots=True)
class Result:
    """What came of one run."""

    fault: str
    seed: str
    wrong: list[str] = field(default_factory=list)
    requests: int = 0
    archives: int = 0
    loss: Loss = field(default_factory=lambda: Loss(0, 0, 0))
    stall_s: float = 0.0
    starved_s: float = 0.0
    """For how long mitmdump was ready to run and the machine did not let it."""
    rss_bytes: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class _Said:
    """What the clients say: until the fault was over, after it, and of a bare proxy."""

    first: list[Told]
    second: list[Told]
    bare: list[Told]


type References = dict[tuple[object, ...], list[Told]]


@contextlib.asynccontextmanager
async def upstream_process() -> AsyncIterator[list[Upstream]]:
    """Run the server; the list's last is the present one, and whoever starts another puts it there."""
    running = [await start_upstream(0)]
    try:
        yield running
    finally:
        for one in running:
            if one.process.returncode is None:
                one.process.kill()
            await one.process.wait()


async def start_upstream(port: int) -> Upstream:
    """Start the server and wait until it listens."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.faults.upstream", str(port), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    return Upstream(process, int(await process.stdout.readline()))


async def reference(fault: Fault, traffic: str, folder: Path) -> list[Told]:
    """Ask the same of a bare mitmdump, undisturbed but for what the requests themselves bring about."""
    async with upstream_process() as servers:
        proxy = await start(folder, servers[0].port, output=None)
        try:
            log = Log()
            await drive(log, proxy.port, traffic, turns=TURNS, dying=fault.dying, leaving=fault.leaving)
        finally:
            await proxy.end()
    return log.told


async def run(fault: Fault, seed: str, folder: Path, references: References, keep: Path | None = None) -> Result:
    """Run one fault once in a folder of its own, which must be there and empty. Where anything is wrong, all is copied to *keep*."""
    began = time.monotonic()
    dice = random.Random(f"{fault.name} {seed}")  # noqa: S311  # nothing secret is drawn here
    traffic = f"t{dice.randrange(TRAFFIC_SEEDS)}"
    key = (traffic, fault.dying, fault.leaving)
    if key not in references:
        references[key] = await reference(fault, traffic, folder)
    result = Result(fault.name, seed)
    place = await fault.make_place(folder)
    try:
        archives = place.inside if place else folder / "archives"
        archives.mkdir(exist_ok=True)
        async with upstream_process() as servers:

            async def restart(port: int) -> Upstream:
                servers.append(await start_upstream(port))
                return servers[-1]

            before = write_clock(folder) if fault.false_clock else ""
            proxy = await start(folder, servers[0].port, output=archives / "out.parity", prefix=place.prefix if place else (), before=before)
            try:
                scene = Scene(folder, place.seen if place else archives, proxy, servers[0], restart, dice, place)
                said = _Said(*await _act(fault, scene, traffic, result), references[key])
            finally:
                if proxy.process.returncode is None:
                    proxy.process.kill()
                    await proxy.process.wait()
        _judge(fault, scene, said, result)
        if keep is not None and result.wrong:
            _keep(scene, keep / f"{fault.name} {seed}".replace(" ", "-"))
    finally:
        if place is not None:
            await place.close()
    result.seconds = time.monotonic() - began
    return result


def _keep(scene: Scene, to: Path) -> None:
    for number, place in enumerate([*scene.kept, scene.archives]):
        shutil.copytree(place, to / str(number), ignore=shutil.ignore_patterns("filler", "lost+found"))
    shutil.copy(scene.proxy.said, to)


async def _act(fault: Fault, scene: Scene, traffic: str, result: Result) -> tuple[list[Told], list[Told]]:
    """Let the traffic run, strike, let it run on, and end the proxy; give what the clients say of the time until then, and after."""
    proxy = scene.proxy
    first, second = Log(), Log()
    watching = asyncio.create_task(_watch_memory(proxy, result))
    try:
        async with asyncio.TaskGroup() as group:
            driving = group.create_task(drive(first, proxy.port, traffic, turns=TURNS, dying=fault.dying, leaving=fault.leaving))
            await asyncio.sleep(0.2 + 2.2 * scene.dice.random())
            if not fault.at_end:
                await fault.strike(scene)
            if fault.ends_proxy:
                await asyncio.sleep(0.3)
                driving.cancel()
        if not fault.ends_proxy:
            await drive(second, proxy.port, f"{traffic}-again", turns=4, think_ms=30)
    finally:
        watching.cancel()
    ending = asyncio.create_task(proxy.end())
    if fault.at_end:
        await fault.strike(scene)
    code = await ending
    if not fault.ends_proxy and code != 0:
        result.wrong.append(f"mitmdump ended with {code}: {proxy.output[-600:]}")
    # one that was cancelled with its proxy was never settled
    for entry in [*first.told, *second.told]:
        if not entry.ended_at:
            entry.settle("given up")
    return first.told, second.told


async def _watch_memory(proxy: Proxy, result: Result) -> None:
    while True:
        with contextlib.suppress(OSError):
            result.rss_bytes = max(result.rss_bytes, proxy.rss_bytes())
            result.starved_s = max(result.starved_s, proxy.waited_s())
        proxy.writer()
        await asyncio.sleep(0.1)


def _judge(fault: Fault, scene: Scene, said: _Said, result: Result) -> None:
    parts = [part for kept in scene.kept for part in gather(kept)]
    parts += gather(scene.archives)
    told = [*said.first, *said.second]
    result.requests, result.archives = len(told), len(parts)
    wrong, result.loss = judge(parts, told, died_at=scene.struck_at if fault.ends_proxy or fault.may_cut else None)
    output = scene.proxy.output
    result.wrong += wrong
    result.wrong += _wrongly_served(fault, scene, said, result)
    result.wrong += _wrongly_ended(fault, parts)
    if fault.may_cut and parts and not parts[-1].good:
        scene.announced.append("NOT sealed")
    result.wrong += [f"never said: {words!r}" for words in scene.announced if words not in output]
    result.wrong += [f"said: {line}" for line in output.splitlines() if "Traceback" in line or "addon error" in line.lower()]
    if fault.goes_on:
        asked = {entry.ask.id for entry in said.second if entry.served}
        if missing := asked - {(exchange.request.header(b"x-number") or b"").decode() for part in parts[-1:] for exchange in part.exchanges}:
            result.wrong.append(f"{len(missing)} of {len(asked)} requests after the fault are not in the last archive: {sorted(missing)[:5]}")


def _wrongly_served(fault: Fault, scene: Scene, said: _Said, result: Result) -> list[str]:
    """Say what the clients saw of the fault that they would not have seen with a bare proxy."""
    first, second, bare = said.first, said.second, said.bare
    until = float("inf") if fault.ends_proxy else scene.lifted_at + 0.5
    excused: set[str] = set()
    if fault.hits_traffic:
        excused = {entry.ask.id for entry in first if entry.ended_at >= scene.struck_at - 0.1 and entry.begun_at <= until}
    if fault.ends_proxy:
        excused |= {entry.ask.id for entry in bare} - {entry.ask.id for entry in first}
    wrong = [f"served otherwise: {what}" for what in compare_served(bare, first, excused)]
    wrong += [f"after the fault: {entry.ask.id} ({entry.ask.kind}): {entry.status}, {entry.trouble}" for entry in second if _is_bad(entry)]
    if fault.hits_traffic:
        return wrong
    streams = [entry for entry in [*first, *second] if entry.ask.kind == "endless"]
    wrong += [f"a stream broke: {entry.ask.id}: {entry.trouble}" for entry in streams if entry.trouble != "left" or not entry.true]
    worst = max(first, key=lambda entry: entry.stall_s)
    result.stall_s = worst.stall_s
    if result.stall_s > STALL_S_MAX + result.starved_s:
        wrong.append(f"{worst.ask.id} ({worst.ask.kind}) waited {worst.stall_s:.2f} s; for want of a processor {result.starved_s:.2f} s in all")
    return wrong


def _is_bad(entry: Told) -> bool:
    return not entry.served if entry.ask.kind != "endless" else not entry.true


def _wrongly_ended(fault: Fault, parts: Sequence[Part]) -> list[str]:
    if not parts:
        return ["there is no archive"]
    last = parts[-1]
    wrong = []
    if fault.ends_proxy and last.good:
        wrong.append(f"{last.path.name} is good, though its recorder was killed")
    if not fault.ends_proxy and not fault.may_cut and not last.good:
        wrong.append(f"{last.path.name} is not good: {last.problems[:3]}")
    if fault.goes_on and len(parts) < 2:
        wrong.append("no further archive was begun")
    if not fault.goes_on and len(parts) > 1:
        wrong.append(f"{len(parts)} archives, though nothing should have broken the first: {[part.path.name for part in parts]}")
    return wrong


async def run_all(names: Sequence[str], times: int, seed: str, *, first: int = 0, keep: Path | None = None) -> list[Result]:
    """Run each fault so many times, the faults in turns; say each result as it comes."""
    references: References = {}
    results = []
    for number in range(first, first + times):
        for fault in FAULTS:
            if names and fault.name not in names:
                continue
            if lack := await fault.lacks():
                sys.stdout.write(f"{fault.name}: left out: {lack}\n")
                continue
            with tempfile.TemporaryDirectory(prefix="parity-faults-") as folder:
                try:
                    result = await run(fault, f"{seed}.{number}", Path(folder), references, keep)
                except Exception as error:  # noqa: BLE001 - one run that breaks down must not end the others
                    result = Result(fault.name, f"{seed}.{number}", [f"the run broke down: {error!r}"])
            results.append(result)
            sys.stdout.write(f"{fault.name} {result.seed}: {'; '.join(result.wrong[:6]) or 'as it should be'} ({result.seconds:.1f} s)\n")
            sys.stdout.flush()
    return results


def render(results: Sequence[Result]) -> str:
    """Give the table; figures beside the runs are the worst of any run."""
    heads = ("runs", "clean", "requests", "lost", "listed", "unnamed", "left out", "age s", "stall s", "RSS MB")
    lines = [f"{'fault':22}{''.join(f'{head:>10}' for head in heads)}  wrong in"]
    for name in dict.fromkeys(result.fault for result in results):
        own = [result for result in results if result.fault == name]
        bad = [result.seed for result in own if result.wrong]
        figures = (
            *(len(own), len(own) - len(bad), sum(result.requests for result in own)),
            *(max(result.loss.lost for result in own), max(result.loss.listed for result in own), max(result.loss.unnamed for result in own)),
            max(result.loss.left_out for result in own),
            *(round(max(result.loss.age_s for result in own), 2), round(max(result.stall_s for result in own), 2)),
            round(max(result.rss_bytes for result in own) / 1e6),
        )
        lines.append(f"{name:22}{''.join(f'{figure:>10}' for figure in figures)}  {', '.join(bad)}")
    return "\n".join(lines)


def main() -> int:
    """Run what the command line asks for."""
    names = ", ".join(fault.name for fault in FAULTS)
    parser = argparse.ArgumentParser(description="The recorder's fault matrix.")
    parser.add_argument("--times", type=int, default=3, help="runs of each fault")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--run", type=int, default=0, help="the number of the first run")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help=f"a fault (repeatable): {names}")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where to copy the archives of a run in which anything is wrong")
    chosen = parser.parse_args()
    results = asyncio.run(run_all(chosen.only, chosen.times, chosen.seed, first=chosen.run, keep=chosen.keep))
    sys.stdout.write(f"\n{render(results)}\n")
    return 1 if any(result.wrong for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
