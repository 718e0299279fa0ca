"""
The processes of a cell: started, watched, stopped, none left over.

How this works
--------------
One loop of one thread waits for everything: a death (SIGCHLD writes to a pipe), the order to stop (SIGTERM, or the end of standard
input, which is how the death of the tool is seen), or the end of a time. Every child gets a session of its own, so that a signal
to its group reaches what it started. On Linux orphans come back to this process (it is pid 1 of the cell, or a subreaper) and are
reaped and, at the end, killed.
"""

import ctypes
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, Final, Self

from replay.model import DaemonError

LOG_TAIL_BYTES: Final = 4_000
_PR_SET_CHILD_SUBREAPER: Final = 36
_SWEEPS_MAX: Final = 50
_STDOUT: Final = 1


class Stopped(Exception):  # noqa: N818 - it is an order, not an error
    """The cell was told to end."""


@dataclass(slots=True)
class Child:
    """A running or ended process of the cell."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self.process.returncode

    def log_tail(self) -> str:
        """Give the end of what it wrote."""
        return read_tail(self.log)


@dataclass(slots=True)
class Children:
    """All processes of one cell. A context manager: leaving it ends them all."""

    watch_input: bool
    """Whether the end of standard input is an order to stop."""
    _children: list[Child] = field(default_factory=list)
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    _pipe: tuple[int, int] = (-1, -1)
    stopped: bool = False
    """Whether the order to stop has come."""

    def __enter__(self) -> Self:
        self._pipe = os.pipe()
        for end in self._pipe:
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, self._note)
        signal.signal(signal.SIGTERM, self._note)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._selector.register(self._pipe[0], selectors.EVENT_READ)
        if self.watch_input:
            self._selector.register(0, selectors.EVENT_READ)
        if sys.platform == "linux":
            ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        return self

    def __exit__(self, *_: object) -> None:
        for child in reversed(self._children):
            self.stop(child, 0.0)
        self._sweep()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._selector.close()
        for end in self._pipe:
            os.close(end)

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        directory: Path,
        log: Path | None,
        given: bytes = b"",
    ) -> Child:
        """
        Start a process in a session of its own; without a log it writes to our standard output. What is *given* it reads on its input.

        Raises: DaemonError where it can't be started.
        """
        output = _STDOUT if log is None else os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            process = subprocess.Popen(
                list(command),
                env=dict(environment),
                cwd=directory,
                stdin=subprocess.PIPE if given else subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        except OSError as error:
            raise DaemonError(
                f"{name}: can't start {command[0]!r}: {error.strerror or error}. "
                "If it lies in a place that the cell hides (/tmp, /run), name its directory in `visible`."
            ) from error
        finally:
            if log is not None:
                os.close(output)
        child = Child(name, process, log or Path(os.devnull))
        self._children.append(child)
        if process.stdin is not None:
            # it may be more than a pipe holds, and nobody here waits for a reader
            threading.Thread(target=_give, args=(process.stdin, given), daemon=True).start()
        return child

    def wait(self, timeout_s: float) -> None:
        """
        Wait until a child ended, or the time is over, whichever is first.

        Raises: Stopped.
        """
        if self.stopped:
            raise Stopped
        for key, _ in self._selector.select(max(timeout_s, 0.0)):
            if key.fd == self._pipe[0]:
                self.stopped |= signal.SIGTERM in _drain(key.fd)
            elif not _drain(key.fd):
                self.stopped = True
        self.reap()
        if self.stopped:
            raise Stopped

    def reap(self) -> None:
        """Take the exit codes of all that ended, orphans too."""
        for child in self._children:
            child.process.poll()
        known = {child.process.pid: child for child in self._children if child.exit_code is None}
        while sys.platform == "linux":
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                return
            if ended.si_pid in known:  # it ended between the two looks
                known[ended.si_pid].process.poll()
            else:
                os.waitpid(ended.si_pid, 0)

    def wait_for(self, child: Child, timeout_s: float | None) -> int | None:
        """
        Wait for the end of one child; None where the time was over first.

        Raises: Stopped.
        """
        until = None if timeout_s is None else time.monotonic() + timeout_s
        self.reap()
        while child.exit_code is None:
            left = 1.0 if until is None else until - time.monotonic()
            if left <= 0:
                return None
            self.wait(min(left, 1.0))
        return child.exit_code

    def stop(self, child: Child, timeout_s: float) -> bool:
        """Send SIGTERM to a child, wait, then SIGKILL to its group. Returns whether it went by itself in time."""
        if child.exit_code is None and timeout_s > 0:
            _signal_group(child, signal.SIGTERM)
            try:
                child.process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                _signal_group(child, signal.SIGKILL)
                child.process.wait()
                return False
        _signal_group(child, signal.SIGKILL)  # what it started and left behind
        if child.exit_code is None:
            child.process.wait()
        return True

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        """Do nothing: the signal's number is in the pipe already."""

    def _sweep(self) -> None:
        """Kill what escaped its group: orphans come back to this process."""
        for _ in range(_SWEEPS_MAX):
            orphans = _own_children()
            if not orphans:
                return
            for pid in orphans:
                _kill(pid)
            for pid in orphans:
                try:
                    os.waitpid(pid, 0)
                except ChildProcessError:
                    continue


def read_tail(path: Path, bytes_max: int = LOG_TAIL_BYTES) -> str:
    """Give the last bytes of a log as text; empty where there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - bytes_max))
            return file.read(bytes_max).decode("utf-8", "replace")
    except OSError:
        return ""


def _give(stream: IO[bytes], data: bytes) -> None:
    with suppress(OSError), stream:  # a process that ended without reading it all has its own exit code
        stream.write(data)


def _drain(fd: int) -> bytes:
    try:
        return os.read(fd, 4096)
    except BlockingIOError:
        return b"\0"


def _signal_group(child: Child, number: signal.Signals) -> None:
    try:
        os.killpg(child.process.pid, number)
    except (ProcessLookupError, PermissionError):  # nobody left in it (macOS says PermissionError for zombies)
        return


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _own_children() -> list[int]:
    try:
        text = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii")
    except OSError:  # no Linux, or a kernel without this file
        return []
    return [int(pid) for pid in text.split()]
