"""
Folders for a snapshot in the making, which leave nothing behind.

A folder holds a lock as long as its process lives. What a killed process left is taken away by the next one: only folders of this
user and of this name, and only where nobody holds the lock.
"""

import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from replay.model import ParityError

PREFIX: Final = "parity-snapshot-"
_LOCK: Final = "lock"
_UNLOCKED_S: Final = 3600.0
"""A folder without a lock in it may be one that is just being made; after this it is not."""
_DISK_FOLDER: Final = Path("/var/tmp")  # noqa: S108 (folders in it are made by mkdtemp)
"""Lies on a disk, where `/tmp` may be memory."""


def choose_place(named: Path | None, destination: Path, need_bytes: int) -> Path:
    """
    Choose where to work: *named*, else the first of `$TMPDIR`, `/var/tmp`, the temporary folder and *destination* that has the room.

    Raises:
        ParityError: none has.
    """
    places = [named] if named else usual_places(None, destination)
    free = {place: shutil.disk_usage(place).free for place in places if place.is_dir() and os.access(place, os.W_OK | os.X_OK)}
    for place, there in free.items():
        if there >= need_bytes:
            return place
    listed = ", ".join(f"{place} ({there} bytes free)" for place, there in free.items()) or "none that can be written to"
    raise ParityError(f"a snapshot needs about {need_bytes} bytes to work in; looked at {listed}; make room, or set TMPDIR for the recorder")


@contextmanager
def scratch_folder(place: Path) -> Iterator[Path]:
    """Give a new folder (0700) below *place*; it is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
    try:
        with (folder / _LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_left_behind(places: Iterable[Path]) -> int:
    """Take away what killed processes of this user left below *places*; gives how many folders."""
    return sum(_remove_dead(folder) for place in dict.fromkeys(places) if place.is_dir() for folder in sorted(place.glob(f"{PREFIX}*")))


def usual_places(named: Path | None, destination: Path) -> tuple[Path, ...]:
    """Name every folder in which a predecessor may have worked."""
    given = os.environ.get("TMPDIR")
    return (*([named] if named else []), *([Path(given)] if given else []), _DISK_FOLDER, Path(tempfile.gettempdir()), destination)


def _remove_dead(folder: Path) -> bool:
    try:
        status = folder.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
            return False
        lock = folder / _LOCK
        if not lock.exists():
            if time.time() - status.st_mtime < _UNLOCKED_S:
                return False
        else:
            with lock.open("r+") as held:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False  # somebody lives in it, or took it away
    with suppress(OSError):
        shutil.rmtree(folder)
    return not folder.exists()
