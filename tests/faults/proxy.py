"""
A real mitmdump, bare or with the recorder, and what can be done to it and to its writer.

The bare one streams what the recorder streams (a server's events, and bodies over 1 MiB), since without that mitmproxy holds an endless
stream for ever, and answers 502 where a server dies in a body that it was gathering: what is compared is the recorder, not mitmproxy's
default.
"""

import asyncio
import os
import re
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

SCRIPT: Final = Path(__file__).parents[2] / "addons" / "record.py"
UP_S: Final = 30.0
_BARE: Final = '''
def responseheaders(flow):
    """Let events pass at once."""
    if flow.response and flow.response.headers.get("content-type", "").startswith("text/event-stream"):
        flow.response.stream = True
'''


@dataclass(slots=True)
class Proxy:
    """A running mitmdump."""

    process: asyncio.subprocess.Process
    port: int
    said: Path
    """All that it writes to standard output and error."""
    writers: set[int] = field(default_factory=set)
    """Every writer process that was seen."""

    @property
    def output(self) -> str:
        """Everything said so far."""
        return self.said.read_text("utf-8", "replace")

    def writer(self) -> int | None:
        """Give the process that writes, if the recorder has one of its own at present."""
        for pid in _children(self.process.pid):
            try:
                command = Path(f"/proc/{pid}/cmdline").read_bytes()
            except OSError:
                continue
            if b"replay.capture.writing" in command:
                self.writers.add(pid)
                return pid
        return None

    def rss_bytes(self) -> int:
        """Say how much memory mitmdump itself holds."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def waited_s(self) -> float:
        """Say for how long mitmdump has been ready to run and had no processor, all in all; 0.0 where the system does not count it."""
        try:
            return int(Path(f"/proc/{self.process.pid}/schedstat").read_text().split()[1]) / 1e9
        except OSError:
            return 0.0

    async def wait_for(self, pattern: str, bound_s: float) -> bool:
        """Wait until the output matches; False where it does not in time."""
        return await happens(lambda: re.search(pattern, self.output) is not None, bound_s)

    async def end(self, number: signal.Signals = signal.SIGTERM, bound_s: float = 60.0) -> int:
        """Send a signal, wait for mitmdump and for the writers to be gone; give mitmdump's exit code."""
        self.writer()
        if self.process.returncode is None:
            self.process.send_signal(number)
        code = await asyncio.wait_for(self.process.wait(), bound_s)
        if not await happens(lambda: not any(is_alive(pid) for pid in self.writers), bound_s):
            raise TimeoutError(f"a writer outlives its mitmdump by {bound_s:g} s; it said: {self.output[-2000:]}")
        return code


async def start(
    folder: Path,
    upstream: int,
    *,
    output: Path | None,
    prefix: tuple[str, ...] = (),
    before: str = "",
    options: tuple[str, ...] = (),
    gathers: bool = False,
) -> Proxy:
    """
    Start mitmdump before *upstream* and wait until it listens; without *output* it is a bare one.

    *prefix* is put before the command (to enter a namespace), *before* is a folder for PYTHONPATH. A bare one hands big bodies on as they
    come, as the recorder does with answers, unless it *gathers* them, as mitmproxy does by itself.
    """
    name = "bare" if output is None else "ours"
    script = SCRIPT
    if output is None:
        script = folder / "bare.py"
        script.write_text(_BARE)
    arguments = ["-s", str(script), "--set", f"confdir={folder / 'mitmproxy'}", "--set", "flow_detail=0", "--listen-host", "127.0.0.1"]
    if output is None:
        arguments += [] if gathers else ["--set", "stream_large_bodies=1m"]
    else:
        arguments += ["--set", f"parity_output={output}", *options]
    arguments += ["--mode", f"reverse:http://127.0.0.1:{upstream}", "-p", "0", "--set", "keep_host_header=true"]
    said = folder / f"{name}.log"
    environment = {**os.environ, "XDG_CONFIG_HOME": str(folder / "config"), "PYTHONUNBUFFERED": "1"}
    if before:
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (before, environment.get("PYTHONPATH", ""))))
    with said.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            *prefix,
            str(Path(sys.executable).with_name("mitmdump")),
            *arguments,
            cwd=folder,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=file,
            stderr=asyncio.subprocess.STDOUT,
        )
    proxy = Proxy(process, 0, said)
    if (
        not await happens(lambda: process.returncode is not None or "listening at 127.0.0.1:" in proxy.output, UP_S)
        or process.returncode is not None
    ):
        await proxy.end(signal.SIGKILL)
        raise TimeoutError(f"mitmdump does not listen; it said: {proxy.output}")
    found = re.search(r"listening at 127\.0\.0\.1:(\d+)", proxy.output)
    assert found is not None
    proxy.port = int(found[1])
    return proxy


async def happens(probe: Callable[[], bool], bound_s: float) -> bool:
    """Wait until something is so; False where it is not in time."""
    try:
        async with asyncio.timeout(bound_s):
            while not probe():  # noqa: ASYNC110 - what is awaited is in other processes
                await asyncio.sleep(0.03)
    except TimeoutError:
        return False
    return True


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that is dead and not yet buried does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for task in Path(f"/proc/{pid}/task").iterdir() for word in (task / "children").read_text().split()]
    except OSError:
        return []
