"""
The process that takes one snapshot.

How this works
--------------
It reads its order from standard input and answers on standard output. Signals that go to the whole group (a terminal's, a service
manager's) are ignored: its owner decides. That its owner is gone shows by the end of standard input; a thread of its own waits for it,
because the work is done in long calls into SQLite. It has the working thread stand still (by a signal of its own, USR1), removes what was
begun and ends the process on the spot.
"""

import ctypes
import os
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import BinaryIO, Final

from replay.capture.snapshots.orders import SnapshotOrder, decode_order, encode_result
from replay.capture.snapshots.scratch import choose_place, remove_left_behind, scratch_folder, usual_places
from replay.capture.snapshots.taking import room_needed, take_snapshot
from replay.model import ParityError

EXIT_FAILED: Final = 2
_NICENESS: Final = 15
_ORDER_BYTES_MAX: Final = 1 << 20
_IOPRIO_SET: Final = {"x86_64": 251, "aarch64": 30}
_LOWEST_BEST_EFFORT: Final = (2 << 13) | 7
_REMOVALS_MAX: Final = 100
_STEP_S: Final = 0.02


def run(stdin: BinaryIO, stdout: BinaryIO) -> int:
    """Take the snapshot that *stdin* orders; gives the exit code."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, _stand_still)
    lower_priority()
    try:
        answer = _follow(decode_order(stdin.readline(_ORDER_BYTES_MAX)), stdin)
    except (ParityError, OSError) as error:
        _say(stdout, f"{error}\n".encode())
        return EXIT_FAILED
    except Exception as error:  # noqa: BLE001 (its owner must hear of it, whatever it is)
        traceback.print_exc()
        _say(stdout, f"the snapshot failed: {error!r}\n".encode())
        return EXIT_FAILED
    _say(stdout, answer)
    return 0


def lower_priority() -> None:
    """Step behind everybody else at the processor and the disk, as far as the system lets."""
    with suppress(OSError):
        os.nice(_NICENESS)
    with suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    call = _IOPRIO_SET.get(os.uname().machine)
    if sys.platform == "linux" and call is not None:
        with suppress(OSError):
            ctypes.CDLL(None).syscall(call, 1, 0, _LOWEST_BEST_EFFORT)


def _follow(order: SnapshotOrder, stdin: BinaryIO) -> bytes:
    folder = order.destination.parent
    remove_left_behind(usual_places(order.scratch, folder))
    place = choose_place(order.scratch, folder, room_needed(order.workspace))
    ending = threading.Lock()
    """Whoever takes it is the one that cleans up; it is never given back."""
    with scratch_folder(place) as scratch:
        _watch(stdin, lambda: _abandon(scratch, order.destination, ending))
        try:
            result = take_snapshot(order, scratch)
        finally:
            ending.acquire()
    return encode_result(result)


def _watch(stdin: BinaryIO, abandon: Callable[[], None]) -> None:
    descriptor = stdin.fileno()

    def wait() -> None:
        # not through the buffered reader, whose lock the interpreter wants when it ends
        with suppress(OSError):
            while os.read(descriptor, 1):
                continue
        abandon()

    threading.Thread(target=wait, daemon=True).start()


def _abandon(scratch: Path, destination: Path, ending: threading.Lock) -> None:
    """End at once and leave nothing, unless the process is ending by itself."""
    if not ending.acquire(blocking=False):
        return
    # The other thread stops at its next step; what a call into SQLite still makes by name fails once the folder is moved.
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
    gone = scratch.with_name(f"{scratch.name}-gone")
    with suppress(OSError):
        scratch.rename(gone)
    pause = threading.Event()
    for _ in range(_REMOVALS_MAX):
        shutil.rmtree(gone, ignore_errors=True)
        shutil.rmtree(scratch, ignore_errors=True)
        # A step that had begun may end only now.
        pause.wait(_STEP_S)
        if not gone.exists() and not scratch.exists():
            break
    for draft in destination.parent.glob(f".{destination.name}.draft*"):
        with suppress(OSError):
            draft.unlink()
    os._exit(EXIT_FAILED)


def _stand_still(_: int, __: FrameType | None) -> None:
    threading.Event().wait()


def _say(stdout: BinaryIO, line: bytes) -> None:
    with suppress(OSError):
        stdout.write(line)
        stdout.flush()
