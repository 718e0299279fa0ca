# ruff: noqa: INP001 (copied into the image by itself)
"""
Process 1 of the container: starts the recorder, and ends when the last process has ended.

An ordinary init (`docker run --init`) ends with the program it started, and with process 1 everything in the container is killed. The
recorder's writer outlives mitmdump for a moment, to seal the recording, also where mitmdump was killed. So this one forwards signals to
mitmdump alone, collects every process that ends, and gives mitmdump's exit code once none is left.
"""

import os
import signal
import sys
from contextlib import suppress
from types import FrameType


def main(command: list[str]) -> int:
    """Run *command*; give its exit code, 128 and the signal's number where one ended it."""
    forwarded = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    # Blocked until the child is known, so that none is lost.
    signal.pthread_sigmask(signal.SIG_BLOCK, forwarded)
    child = os.posix_spawnp(command[0], command, os.environ, setsigmask=(), setsigdef=forwarded)
    running = True

    def forward(number: int, _: FrameType | None) -> None:
        if running:
            with suppress(ProcessLookupError):  # it ended just now
                os.kill(child, number)

    for number in forwarded:
        signal.signal(number, forward)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, forwarded)
    code = 0
    while True:
        try:
            ended, status = os.waitpid(-1, 0)
        except ChildProcessError:
            return code
        if ended == child:
            running = False
            code = os.waitstatus_to_exitcode(status)
            code = 128 - code if code < 0 else code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
