"""
`python -P -m replay.capture.writing`: read frames from standard input, answer on standard output.

Exit codes: 0 the archive was sealed, as whole or as cut · 2 it could not be, or what came is no frame.
"""

import contextlib
import gc
import json
import os
import selectors
import signal
import sys
from typing import Any, Final

from replay.capture.frames import BrokenFrameError, Unpacker
from replay.capture.writing.process import TICK_SECONDS, Writer

_READ_BYTES: Final = 1 << 20
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    """Write until the pipe ends."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    os.umask(0o077)
    with contextlib.suppress(AttributeError, OSError):
        # it takes no processor away from whoever has one, the daemon and its clients, at the moment that it wakes
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    # records live for milliseconds and hold no cycles: the collector would only look at them again and again
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    unpacker = Unpacker()
    with selectors.DefaultSelector() as selector:
        selector.register(0, selectors.EVENT_READ)
        writer = Writer(_say, selector)
        try:
            while not writer.done:
                for key, _ in selector.select(TICK_SECONDS):
                    if key.fd != 0:
                        writer.woken(key.fd)
                    elif not _take(writer, unpacker):
                        writer.cut("the proxy ended without a word")
                writer.tick()
        except BrokenFrameError as error:
            _say({"alarm": str(error)})
            writer.cut(str(error))
            return 2
    return 0 if writer.sealed else 2


def _take(writer: Writer, unpacker: Unpacker) -> bool:
    """Take what is in the pipe; False where that has ended."""
    data = os.read(0, _READ_BYTES)
    for message in unpacker.feed(data):
        writer.take(message, unpacker.sent_at)
    return bool(data)


def _say(answer: dict[str, Any]) -> None:
    """Answer the proxy, if it is still there."""
    line = json.dumps(answer, ensure_ascii=True).encode() + b"\n"
    with contextlib.suppress(OSError):
        while line:
            line = line[os.write(1, line) :]


if __name__ == "__main__":
    sys.exit(main())
