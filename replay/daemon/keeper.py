"""
Runs a command and ends whatever it leaves behind: `python keeper.py COMMAND…`.

A mapped cell has no namespace that dies with its first process. So on Linux this process stands above that one: orphans come back to it, and
when the command is gone, however it went, they are killed. It lives as long as the command does, also when the tool is killed: the command
sees that by itself, by the end of its input. Told to end (SIGTERM), it kills the command first.

Started by its path, with nothing else of this package loaded.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_SWEEPS_MAX = 200


def kept(command: Sequence[str]) -> list[str]:
    """Give the command that runs *command* and leaves nothing of it behind; elsewhere than on Linux the command itself."""
    if sys.platform != "linux":
        return list(command)
    return [sys.executable, "-I", "-S", __file__, *command]


def keep(command: Sequence[str]) -> int:
    """Run a command to its end, then end its orphans. Gives its exit code, or 128 and the signal that ended it."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    child = os.fork()
    if child == 0:
        os.execvp(command[0], list(command))  # noqa: S606 - the command is this package's own
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGKILL))
    while True:
        ended, status = os.wait()
        if ended == child:
            break
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # its pid may be another's by now
    for _ in range(_SWEEPS_MAX):
        orphans = [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii").split()]
        if not orphans:
            break
        for pid in orphans:
            os.kill(pid, signal.SIGKILL)  # not reaped yet, so it is there
        for pid in orphans:
            os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(keep(sys.argv[1:]))
