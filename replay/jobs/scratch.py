"""
The private folder of one replay: the state, the cell, its logs, all in clear. It goes with the replay, and those of killed ones go at the next.

Each is `signet-parity-*` where temporary files lie, 0700, with a lock that dies with the tool and its cell. A folder that was kept for whoever
looks for the reason of a failure has no lock any more, and stays.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from os import getuid
from pathlib import Path
from typing import Final

from replay.jobs.locking import LOCK, hold, is_abandoned, release

OUTBOX: Final = "observed"
"""Where a cell's player writes that can't write beside the archive's own place."""
_PREFIX: Final = "signet-parity-"


@dataclass(frozen=True, slots=True)
class Scratch:
    """A folder for one replay."""

    path: Path
    held: tuple[int, ...]
    """Locks that the cell inherits: the folder is in use until that is gone, too."""


@contextmanager
def open_scratch(place: Path | None, *, private: bool) -> Iterator[Scratch]:
    """
    Give a folder for the cell; a temporary one is kept where something went wrong, if it holds a daemon's log.

    In a *place* that is named it stays whatever happens. Where it is *private*, because the recording is encrypted, nothing in clear is kept
    whatever happens: at most what was observed.
    """
    if place is not None:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        yield Scratch(Path(tempfile.mkdtemp(prefix="replay-", dir=place.absolute())), ())
        return
    path = Path(tempfile.mkdtemp(prefix=_PREFIX))
    lock = hold(path)
    try:
        yield Scratch(path, (lock,))
    except Exception:
        if private:
            remove_clear(path)
        elif not any(path.glob("*/daemon.log")):
            shutil.rmtree(path, ignore_errors=True)
        raise
    except BaseException:
        # Interrupted: what the daemon was doing then tells nobody anything.
        remove_clear(path)
        raise
    else:
        shutil.rmtree(path, ignore_errors=True)
    finally:
        release(path, lock)
        with suppress(OSError):  # something is in it
            path.rmdir()


def remove_abandoned() -> tuple[str, ...]:
    """Remove this user's folders of replays that were killed, but for what they observed; says in words what that is and where."""
    found = []
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            own = path.is_dir() and not path.is_symlink() and path.stat().st_uid == getuid()
        except OSError:
            continue
        if not own or not is_abandoned(path):
            continue
        remove_clear(path)
        found += [f"what a killed replay observed is kept in {entry}" for entry in path.glob(f"{OUTBOX}/*")]
        with suppress(OSError):
            path.rmdir()
    return tuple(found)


def remove_clear(scratch: Path) -> None:
    """Remove everything but what was observed and could not be brought to its place; the lock goes last."""
    with suppress(OSError):  # something is in it
        (scratch / OUTBOX).rmdir()
    for entry in scratch.iterdir():
        if entry.name not in {OUTBOX, LOCK}:
            shutil.rmtree(entry, ignore_errors=True)
    if not (scratch / OUTBOX).exists():
        with suppress(OSError):
            (scratch / LOCK).unlink()
