"""
Real mitmdumps for the benches, and what each of them and its children cost.

Where there are two cores or more, mitmdump (of whichever kind) has the last one to itself, and everything else (client, server, and the
processes that mitmdump starts, such as the recorder's writer) shares the first one. So every kind of proxy has the same core under the
same conditions: `-w` writes within the proxy, and that shows; the recorder's writer slows client and server and not its own proxy, and
its CPU is said apart. Read both: on a host whose cores are all busy, the sum is what recording costs.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench.measuring import cpu_s
from tests.bench.serving import await_listener, free_port

SCRIPT: Final = Path(__file__).parents[2] / "addons" / "record.py"
TEE: Final = '''"""Hand streams on as they come and note nothing."""


def responseheaders(flow):
    if flow.response.headers.get("content-type", "").startswith("text/event-stream"):
        flow.response.stream = lambda data: data
'''
_STOP_S: Final = 120.0
_URGENT: Final = -15
_LOOK_S: Final = 0.05
_QUIET: Final = 4


def hurry() -> None:
    """
    Have this process, and what it starts from now on, go before other work of the machine.

    Raises:
        PermissionError: that needs root.

    """
    os.setpriority(os.PRIO_PROCESS, 0, _URGENT)
    # where Linux groups work by sessions, niceness only counts within one, and the group has its own
    with suppress(PermissionError):  # leads a group of processes already; then it is that session
        os.setsid()
    with suppress(FileNotFoundError):
        Path("/proc/self/autogroup").write_text(str(_URGENT), "ascii")


def pin_this_process() -> bool:
    """Put this process, and what it starts from now on, on the first core; False where there is only one."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        return False
    os.sched_setaffinity(0, {cores[0]})
    return True


@dataclass(slots=True)
class Proxy:
    """A running mitmdump."""

    name: str
    port: int
    pid: int
    pinned: bool

    def children(self) -> list[int]:
        """Give the processes below it; those that are gone by now are left out."""
        return list(_below(self.pid))

    def place(self) -> None:
        """Put it on a core of its own and its children on the other one."""
        if not self.pinned:
            return
        here = os.sched_getaffinity(0)
        cores = set(range(os.cpu_count() or 1))
        alone = {max(cores - here)}
        _pin(self.pid, alone)
        for child in self.children():
            _pin(child, here)
            if os.getpriority(os.PRIO_PROCESS, 0) == _URGENT:
                # the writer has a session of its own, and so a group of its own
                with suppress(OSError):
                    Path(f"/proc/{child}/autogroup").write_text(str(_URGENT), "ascii")

    def own_cpu_s(self) -> float:
        """Give the CPU of mitmdump alone, in seconds."""
        return cpu_s(self.pid)

    def writer_cpu_s(self) -> float:
        """Give the CPU of its children, in seconds; 0 where it has none."""
        total = 0.0
        for child in self.children():
            with suppress(OSError):
                total += cpu_s(child)
        return total

    def settle(self, timeout_s: float = 60.0) -> float:
        """
        Wait until its children are done with what they still have to do; gives the seconds that took (0: they were).

        Done is who has needed no CPU to speak of for a fifth of a second, and did not wait for the disk.
        """
        started = busy_at = time.monotonic()
        before, quiet, pause = self.own_cpu_s() + self.writer_cpu_s(), 0, threading.Event()
        while self.children() and quiet < _QUIET and time.monotonic() - started < timeout_s:
            pause.wait(_LOOK_S)
            now = self.own_cpu_s() + self.writer_cpu_s()
            if now - before < _LOOK_S / 10 and not any(map(_waits_for_disk, self.children())):
                quiet += 1
            else:
                quiet, busy_at = 0, time.monotonic()
            before = now
        return busy_at - started


def _waits_for_disk(pid: int) -> bool:
    try:
        states = [(task / "stat").read_text("ascii", "replace").rpartition(")")[2].split()[0] for task in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:
        return False
    return "D" in states


def _below(pid: int) -> Iterator[int]:
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield int(child)
                yield from _below(int(child))
    except OSError:
        return


def _pin(pid: int, cores: set[int]) -> None:
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(ProcessLookupError):
                os.sched_setaffinity(int(task.name), cores)


@contextmanager
def mitmdump(name: str, arguments: Sequence[str], upstream: int, folder: Path, *, pinned: bool) -> Iterator[Proxy]:
    """
    Have a mitmdump before the server on port *upstream*; it is ended by TERM, and what it then still writes is waited for.

    Raises:
        TimeoutError: it does not listen.
        RuntimeError: it did not end well.

    """
    port = free_port()
    # -q for all: a line on the terminal for each flow costs more than what is measured here.
    command = [str(Path(sys.executable).parent / "mitmdump"), "-q", "--mode", f"reverse:http://127.0.0.1:{upstream}"]
    command += ["--listen-host", "127.0.0.1", "-p", str(port), *arguments]
    environment = {**os.environ, "XDG_CONFIG_HOME": str(folder / "config")}
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment)
    try:
        await_listener(port)
        proxy = Proxy(name, port, process.pid, pinned)
        proxy.place()
        yield proxy
        if process.poll() is not None:
            raise RuntimeError(f"{name}: mitmdump ended by itself with {process.returncode}")
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(_STOP_S)
