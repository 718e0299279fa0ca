"""A daemon on the host, for recording: an ordinary process on a given loopback port, without a player and without a cell."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Final

from replay.daemon.asking import ask, listens
from replay.daemon.launch import ending, quoted
from replay.daemon.layout import make_environment, make_stand_ins
from replay.daemon.processes import read_tail
from replay.daemon.spec import DaemonSpec, fill
from replay.daemon.tether import tethered
from replay.model import DaemonError, UsageError

_PAUSE_S: Final = 0.03


@dataclass(frozen=True, slots=True)
class Running:
    """A daemon that answers."""

    url: str
    """`http://127.0.0.1:PORT`"""
    host: str
    port: int
    workspace: Path
    pid: int
    log: Path
    version: str | None
    ready_s: float

    def log_tail(self) -> str:
        """Give the end of what it wrote."""
        return read_tail(self.log)


@contextmanager
def running(spec: DaemonSpec, *, workspace: Path, port: int, scratch: Path | None = None) -> Iterator[Running]:
    """
    Have a daemon running on this host while the block lasts; it works on `workspace` itself, no copy is made.

    HOME, log and stand-ins go to `scratch` (default: a directory that is deleted afterwards). Its process group is killed at the
    end, and on Linux it dies with this process. Call it from a thread that lives as long as the block.

    Raises: UsageError where the description needs companions or mounts; DaemonError where the port is taken, or it dies or is not
    ready in time, with the end of its log.
    """
    if spec.companions or spec.mounts:
        raise UsageError(f"daemon {spec.name}: companions and mounts are for cells; on the host start them yourself.")
    if listens(spec.host, port):
        raise DaemonError(f"daemon {spec.name}: port {port} is taken on this host. Name another one, or stop what listens there.")
    with ExitStack() as stack:
        own = scratch if scratch is not None else Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="signet-parity-")))
        own.mkdir(parents=True, exist_ok=True)
        directory = Path(tempfile.mkdtemp(prefix=f"{spec.name}-", dir=own))
        home = directory / "home"
        home.mkdir(mode=0o700)
        values = {"python": sys.executable, "workspace": str(workspace), "home": str(home), "host": spec.host, "port": str(port)}
        log = directory / "daemon.log"
        process = _start(spec, values, directory, log, workspace)
        stack.callback(_stop, process, spec.stop_timeout_s)
        started = time.monotonic()
        version = _wait_ready(spec, process, port, log)
        host = f"[{spec.host}]" if ":" in spec.host else spec.host
        yield Running(
            url=f"http://{host}:{port}",
            host=spec.host,
            port=port,
            workspace=workspace,
            pid=process.pid,
            log=log,
            version=version,
            ready_s=time.monotonic() - started,
        )


def _start(spec: DaemonSpec, values: dict[str, str], directory: Path, log: Path, workspace: Path) -> subprocess.Popen[bytes]:
    command = [fill(word, values) for word in spec.command]
    with log.open("wb") as output:
        return subprocess.Popen(
            tethered(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=spec.directory or workspace,
            env=make_environment(spec, values, stand_ins=make_stand_ins(directory, spec.stand_ins)),
            start_new_session=True,
        )


def _wait_ready(spec: DaemonSpec, process: subprocess.Popen[bytes], port: int, log: Path) -> str | None:
    until = time.monotonic() + spec.ready.timeout_s
    while True:
        reply = ask(spec.host, port, spec.ready.path)
        if process.poll() is not None:
            raise DaemonError(f"daemon {spec.name} ended {ending(process.returncode)} before it was ready.{quoted(read_tail(log))}")
        if reply is not None and reply.status == spec.ready.status:
            version = reply.fields().get("version")
            return version if isinstance(version, str) else None
        if time.monotonic() >= until:
            seen = "nothing answered" if reply is None else f"the last answer was {reply.status}"
            raise DaemonError(
                f"daemon {spec.name}: GET http://{spec.host}:{port}{spec.ready.path} did not give {spec.ready.status} ({seen}) "
                f"within {spec.ready.timeout_s:g} s.{quoted(read_tail(log))}"
            )
        with suppress(subprocess.TimeoutExpired):
            process.wait(_PAUSE_S)


def _stop(process: subprocess.Popen[bytes], timeout_s: float) -> None:
    for number, wait_s in ((SIGTERM, timeout_s), (SIGKILL, None)):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(wait_s)
