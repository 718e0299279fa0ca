"""
The faults: what each needs, does and takes back, and what it may excuse.

Each is a function that strikes a running proxy at a moment that the caller drew, waits out what it needs to, and takes the fault back
where an operator would. It says which requests the fault itself hit: those may end otherwise than with a bare proxy. No fault of the disk
or the writer excuses any.
"""

import asyncio
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from tests.faults.places import Place, lacks, let_go, make_ext4, make_tmpfs
from tests.faults.proxy import Proxy, happens, is_alive

SLOW_BYTES_PER_S: Final = 1 << 20
_GOES_ON_S: Final = 30.0
"""By then a recorder whose disk is good again has begun its next archive."""


@dataclass(slots=True)
class Upstream:
    """The server's process."""

    process: asyncio.subprocess.Process
    port: int


@dataclass(slots=True)
class Scene:
    """What a fault can reach, and what it leaves behind for the judgement."""

    folder: Path
    archives: Path
    """The folder of archives, as seen from outside."""
    proxy: Proxy
    upstream: Upstream
    restart_upstream: Callable[[int], Awaitable[Upstream]]
    dice: random.Random
    place: Place | None = None
    struck_at: float = 0.0
    lifted_at: float = 0.0
    kept: list[Path] = field(default_factory=list)
    """Folders beside the archives' own in which archives were left."""
    announced: list[str] = field(default_factory=list)
    """What the recorder must have said aloud, as patterns."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A row of the matrix."""

    name: str
    strike: Callable[[Scene], Awaitable[None]]
    disk: Literal["", "tmpfs", "ext4"] = ""
    size_mib: int = 64
    throttled: bool = False
    ends_proxy: bool = False
    """Whether mitmdump itself dies of it."""
    hits_traffic: bool = False
    """Whether requests under way at that time are excused."""
    needs_writer: bool = False
    goes_on: bool = False
    """Whether a further archive must be there in the end."""
    false_clock: bool = False
    at_end: bool = False
    """Whether it strikes while the proxy ends, and not in the traffic."""
    may_cut: bool = False
    """Whether the last archive may be one that is not sealed."""
    known: str = ""
    """Where the recorder is known to fall short: what is wrong then; the test suite leaves it out, the script does not."""
    dying: float = 0.0
    leaving: float = 0.0

    async def lacks(self) -> str:
        """Say why it can't be had on this machine; empty where it can."""
        return await lacks(ext4=self.disk == "ext4", throttle=self.throttled) if self.disk else ""

    async def make_place(self, folder: Path) -> Place | None:
        """Make the disk that it needs, if any."""
        if not self.disk:
            return None
        return await (make_tmpfs(folder, f"{self.size_mib}m") if self.disk == "tmpfs" else make_ext4(folder, self.size_mib))


async def _nothing(scene: Scene) -> None:
    """Let it run undisturbed: the matrix's own control."""
    scene.struck_at = scene.lifted_at = time.time()


async def _kill_proxy(scene: Scene) -> None:
    """KILL mitmdump."""
    scene.proxy.writer()
    scene.struck_at = time.time()
    scene.proxy.process.kill()
    await scene.proxy.process.wait()


async def _kill_writer(scene: Scene) -> None:
    """KILL the writer; another one has to follow."""
    pid = await _settled_writer(scene)
    scene.struck_at = time.time()
    os.kill(pid, signal.SIGKILL)
    await happens(lambda: scene.proxy.writer() not in (None, pid), _GOES_ON_S)
    scene.lifted_at = time.time()


async def _settled(scene: Scene) -> None:
    """
    Wait until there is an archive.

    What comes in the first second, while the writer starts, waits in the pipe. Struck then, there is none, and the next is the first.
    """
    await happens(lambda: any(scene.archives.glob("*.parity/manifest.json")), _GOES_ON_S)


async def _settled_writer(scene: Scene) -> int:
    pid = scene.proxy.writer()
    assert pid is not None
    await _settled(scene)
    return pid


async def _kill_writer_at_end(scene: Scene) -> None:
    """KILL the writer while the proxy ends and the archive is being sealed, or just before or after."""
    pid = scene.proxy.writer()
    assert pid is not None
    await asyncio.sleep(0.5 * scene.dice.random())
    scene.struck_at = time.time()
    if is_alive(pid):
        os.kill(pid, signal.SIGKILL)


async def _kill_writers(scene: Scene) -> None:
    """KILL the writer, and the one that follows, as soon as it is there or a little later, and the third."""
    for _ in range(3):
        pid = await _settled_writer(scene)
        scene.struck_at = scene.struck_at or time.time()
        os.kill(pid, signal.SIGKILL)
        await happens(lambda gone=pid: scene.proxy.writer() not in (None, gone), _GOES_ON_S)  # type: ignore[misc]
        await asyncio.sleep(scene.dice.random())
    scene.lifted_at = time.time()


async def _kill_both(scene: Scene) -> None:
    """KILL the writer and at once mitmdump: what neither had handed to the system is gone."""
    pid = await _settled_writer(scene)
    scene.struck_at = time.time()
    os.kill(pid, signal.SIGKILL)
    scene.proxy.process.kill()
    await scene.proxy.process.wait()


async def _fill_disk(scene: Scene) -> None:
    """Have the disk full, then give it room."""
    assert scene.place is not None
    await _settled(scene)
    scene.struck_at = time.time()
    # what is left is a page or two, so that a block is cut in the middle
    filler, left = scene.place.inside / "filler", scene.dice.randrange(8)
    await scene.place.run(f"dd if=/dev/zero of={filler} bs=1k 2>/dev/null || true; truncate -s -{left}k {filler}")
    await scene.proxy.wait_for("not recorded|No space left", 20)
    await asyncio.sleep(scene.dice.random())
    await scene.place.run(f"rm {filler}")
    scene.lifted_at = time.time()
    scene.announced += ["not recorded", "goes on in"]
    await scene.proxy.wait_for("goes on in", _GOES_ON_S)


async def _kill_on_full_disk(scene: Scene) -> None:
    """Have the disk full for good, and KILL mitmdump: the writer can't even say so, but it ends."""
    assert scene.place is not None
    await _settled(scene)
    scene.struck_at = time.time()
    await scene.place.run(f"dd if=/dev/zero of={scene.place.inside / 'filler'} bs=1k 2>/dev/null || true")
    await asyncio.sleep(3 * scene.dice.random())
    scene.proxy.writer()
    scene.proxy.process.kill()
    await scene.proxy.process.wait()


async def _break_disk(scene: Scene) -> None:
    """Have the kernel turn the disk read-only; the operator puts another one in its place."""
    assert scene.place is not None
    await _settled(scene)
    scene.struck_at = time.time()
    await scene.place.break_down()
    await scene.proxy.wait_for("not recorded|Read-only", 20)
    await asyncio.sleep(scene.dice.random())
    scene.kept.append(await _keep(scene))
    await scene.place.replace()
    scene.lifted_at = time.time()
    scene.announced += ["not recorded", "goes on in"]
    await scene.proxy.wait_for("goes on in", _GOES_ON_S)


async def _keep(scene: Scene) -> Path:
    assert scene.place is not None
    kept = scene.folder / "kept"
    kept.mkdir()
    process = await asyncio.create_subprocess_exec("cp", "-a", f"{scene.place.seen}/.", str(kept))
    await process.wait()
    return kept


async def _slow_disk(scene: Scene) -> None:
    """Let the disk take 1 MB a second for the rest of the run."""
    assert scene.place is not None
    scene.struck_at = time.time()
    pids = {scene.proxy.process.pid, scene.proxy.writer() or scene.proxy.process.pid}
    group = await scene.place.slow_down(SLOW_BYTES_PER_S, pids)
    await asyncio.sleep(4 + 2 * scene.dice.random())
    let_go(group)
    scene.lifted_at = time.time()


async def _freeze_disk(scene: Scene) -> None:
    """Let every write hang for some seconds."""
    assert scene.place is not None
    scene.struck_at = time.time()
    await scene.place.freeze()
    await asyncio.sleep(3 + 2 * scene.dice.random())
    await scene.place.thaw()
    scene.lifted_at = time.time()


async def _stop_writer(scene: Scene) -> None:
    """STOP the writer for some seconds: it hangs without a disk's help."""
    pid = scene.proxy.writer()
    assert pid is not None
    scene.struck_at = time.time()
    os.kill(pid, signal.SIGSTOP)
    await asyncio.sleep(3 + 2 * scene.dice.random())
    if is_alive(pid):
        os.kill(pid, signal.SIGCONT)
    scene.lifted_at = time.time()


async def _signal_writer(scene: Scene) -> None:
    """Send the writer what service managers and terminals send to a whole group; it ends by the end of its pipe alone."""
    pid = scene.proxy.writer()
    assert pid is not None
    scene.struck_at = time.time()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(pid, number)
        await asyncio.sleep(0.2 * scene.dice.random())
    scene.lifted_at = time.time()


async def _turn_clock_back(scene: Scene) -> None:
    """Turn the clock back a day, for mitmdump and its writer (`write_clock`)."""
    scene.struck_at = time.time()
    (scene.folder / "clock" / "back").write_text("86400")
    await asyncio.sleep(0.2)
    scene.lifted_at = time.time()


async def _kill_upstream(scene: Scene) -> None:
    """KILL the server in the middle of all it does, and start it again at the same port."""
    scene.struck_at = time.time()
    scene.upstream.process.kill()
    await scene.upstream.process.wait()
    await asyncio.sleep(scene.dice.random())
    scene.upstream = await scene.restart_upstream(scene.upstream.port)
    scene.lifted_at = time.time()


def write_clock(folder: Path) -> str:
    """
    Make a clock that can be turned back, and give what to put on PYTHONPATH.

    Wall clock belongs to no namespace, and the host's own is not ours to turn. So `time.time` of each Python process is replaced at its
    start (`sitecustomize`) by one that subtracts what the file `back` holds. What reads the clock without it (`datetime.now`, file times
    of the kernel) is not turned.
    """
    clock = folder / "clock"
    clock.mkdir()
    (clock / "sitecustomize.py").write_text(
        "import os, time\n"
        f"_place, _real = {str(clock / 'back')!r}, time.time\n"
        "_seen = [0.0, 0]\n"
        "def _false():\n"
        "    now = time.monotonic()\n"
        "    if now - _seen[0] > 0.05:\n"
        "        _seen[:] = [now, 86400 if os.path.exists(_place) else 0]\n"
        "    return _real() - _seen[1]\n"
        "time.time = _false\n"
    )
    return str(clock)


FAULTS: Final = (
    Fault("nothing", _nothing),
    Fault("KILL of proxy", _kill_proxy, ends_proxy=True, hits_traffic=True),
    Fault("KILL of writer", _kill_writer, needs_writer=True, goes_on=True),
    Fault("KILLs of writers", _kill_writers, needs_writer=True, goes_on=True),
    Fault("KILL of both", _kill_both, needs_writer=True, ends_proxy=True, hits_traffic=True),
    Fault("KILL at the end", _kill_writer_at_end, needs_writer=True, at_end=True, may_cut=True),
    Fault("disk full", _fill_disk, disk="tmpfs", size_mib=96, goes_on=True),
    Fault("KILL on full disk", _kill_on_full_disk, disk="tmpfs", size_mib=96, needs_writer=True, ends_proxy=True, hits_traffic=True),
    Fault("read-only", _break_disk, disk="ext4", goes_on=True),
    Fault("slow disk", _slow_disk, disk="ext4", throttled=True, size_mib=160),
    Fault("disk hangs", _freeze_disk, disk="ext4", size_mib=160),
    Fault("writer hangs", _stop_writer, needs_writer=True),
    Fault("writer signalled", _signal_writer, needs_writer=True),
    Fault("clock back", _turn_clock_back, false_clock=True),
    Fault("upstream dies", _kill_upstream, hits_traffic=True),
    Fault("upstream breaks off", _nothing, dying=0.12),
    Fault("client dies", _nothing, leaving=0.15),
)
