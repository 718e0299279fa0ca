"""
Writes a file below a folder without being led out of it.

How this works
--------------
The way down is gone by descriptors, one step at a time, and no step follows a link. An existing file is written to in its place, as the
daemon's own watcher may be watching that very file: the new content goes over the old one in one call, and then the file gets its length,
so that nobody finds it empty meanwhile.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_REFUSED: Final = {
    errno.ELOOP: "a link is there or on the way",
    errno.EISDIR: "a folder is there",
    errno.ENOTDIR: "a file or a link is on the way",
    errno.EROFS: "nothing can be written there",
}


class RefusedPathError(Exception):
    """Nothing was written; the text says why."""


def put_file(root: Path, path: str, content: bytes) -> bool:
    """
    Give a file (path inside *root*, with slashes) its content, and make the folders on its way; False where it had it already.

    Raises:
        RefusedPathError: the path leads out of the root, or it can't be written.

    """
    with _below(root, path, make=True) as (folder, name):
        is_new = False
        try:
            file = os.open(name, _FILE, dir_fd=folder)
        except FileNotFoundError:
            file, is_new = os.open(name, _FILE | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=folder), True
        with os.fdopen(file, "r+b", buffering=0) as opened:
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode):
                raise RefusedPathError("something that is no file is there")
            if not is_new and status.st_size == len(content) and opened.read() == content:
                return False
            opened.seek(0)
            rest = memoryview(content)
            while rest:
                rest = rest[opened.write(rest) or 0 :]
            opened.truncate(len(content))
    return True


def put_folder(root: Path, path: str) -> bool:
    """Make a folder; False where it was there. Raises as `put_file` does."""
    with _below(root, path, make=True) as (folder, name):
        return _make(name, folder)


def remove_file(root: Path, path: str) -> bool:
    """Remove a file, or a link itself; False where there is none. Raises as `put_file` does."""
    try:
        with _below(root, path, make=False) as (folder, name):
            if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                raise RefusedPathError(_REFUSED[errno.EISDIR])
            os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return False
    return True


@contextmanager
def _below(root: Path, path: str, *, make: bool) -> Iterator[tuple[int, str]]:
    """Open the folder of a path; gives its descriptor and the last name."""
    *above, name = path.split("/")
    if not path or "\0" in path or any(part in {"", ".", ".."} for part in (*above, name)):
        raise RefusedPathError("no plain path inside the folder")
    try:
        folder = os.open(root, _FOLDER & ~os.O_NOFOLLOW)
        try:
            for part in above:
                if make:
                    _make(part, folder)
                inner = os.open(part, _FOLDER, dir_fd=folder)
                os.close(folder)
                folder = inner
            yield folder, name
        finally:
            os.close(folder)
    except FileNotFoundError:
        if not make:
            raise
        raise RefusedPathError("its folder is not there") from None
    except OSError as error:
        raise RefusedPathError(_REFUSED.get(error.errno or 0, error.strerror or str(error))) from error


def _make(name: str, folder: int) -> bool:
    try:
        os.mkdir(name, 0o755, dir_fd=folder)
    except FileExistsError:
        return False
    return True
