"""Folders that say whether somebody still works in them: a lock on a file, which the kernel takes back from whoever dies."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

LOCK: Final = "lock"
_DRAFT: Final = "lock.draft"


def hold(folder: Path) -> int:
    """
    Mark a folder as one that is worked in, as long as the descriptor that is given is open here or in a process that inherited it.

    Raises:
        OSError: the file system refuses.

    """
    draft = folder / _DRAFT
    descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        draft.rename(folder / LOCK)  # it never shows itself unlocked
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def release(folder: Path, descriptor: int) -> None:
    """Unmark a folder: from now on it is nobody's, and nobody takes it for one of a killed run."""
    with suppress(OSError):
        (folder / LOCK).unlink()
    os.close(descriptor)


def is_held(folder: Path) -> bool:
    """Whether somebody who is alive works in a folder, or the file system can't say; False where there is no lock."""
    return _look(folder) is True


def is_abandoned(folder: Path) -> bool:
    """Whether a folder was worked in by somebody who is dead; False where there is no lock, or the file system can't say."""
    return _look(folder) is False


def _look(folder: Path) -> bool | None:
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    except OSError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
