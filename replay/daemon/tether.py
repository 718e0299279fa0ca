"""
Runs a command that dies with the tool: `python tether.py PARENT_PID COMMAND…`.

Started by its path, with nothing else of this package loaded, for it stands between the tool and every cell.
On Linux the kernel kills the command when the parent is gone; elsewhere it is run as it is.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1


def tie(parent: int) -> None:
    """Ask the kernel for a SIGKILL at the parent's death; end here if it is dead already."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit(1)


def tethered(command: Sequence[str]) -> list[str]:
    """Give the command that runs *command* and dies with this process, also when that is killed."""
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]


if __name__ == "__main__":
    tie(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - nothing is to stand between the tool and the cell
