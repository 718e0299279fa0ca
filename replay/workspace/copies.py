"""
A consistent copy of a workspace, taken beside a running daemon and without writing to it.

How this works
--------------
Databases are copied by SQLite's backup interface, which gives one committed state, and leave their `-wal` and `-shm` behind.
Every other regular file is copied as it is; one that changed while it was read is read again. What can't or must not be in a
copy is left out and named with a reason: secret files, logs, sockets and devices, links that leave the tree.
"""

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from replay.model import ParityError, UsageError
from replay.workspace.databases import backup, companions, is_sqlite
from replay.workspace.secrets import FILE as SECRETS_FILE
from replay.workspace.tokens import AUTH_SECRET_FILE

_SECRETS_FOLDER: Final = SECRETS_FILE.partition("/")[0]
_ALWAYS_LEFT_OUT: Final = {".daemon/logs": "the daemon's log", ".daemon/pid": "the running daemon's"}
_ATTEMPTS: Final = 3


def copy_workspace(source: Path, destination: Path, *, with_secrets: bool) -> tuple[str, ...]:
    """
    Copy the workspace *source* to the new folder *destination* (mode 0700), and say what was left out: `path: reason`, sorted.

    Without *with_secrets* the store of secrets and the key that signs tokens stay behind. *source* is never written to.

    Raises:
        UsageError: *source* is no folder, or *destination* has something in it or lies inside *source*.
        ParityError: a database can't be copied, or the space is out.
    """
    if not source.is_dir():
        raise UsageError(f"{source}: no such folder; name the daemon's workspace")
    if destination.resolve().is_relative_to(source.resolve()):
        raise UsageError(f"{destination}: lies inside the workspace {source}; copy to somewhere else")
    try:
        destination.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(destination.iterdir()):
            raise UsageError(f"{destination}: is not empty; name a new folder")
        return tuple(sorted(_copy_folder(source, source, destination, with_secrets=with_secrets)))
    except OSError as error:
        raise ParityError(f"{source}: can't be copied to {destination} ({error}); check permissions and space") from error


def _copy_folder(root: Path, folder: Path, destination: Path, *, with_secrets: bool) -> Iterator[str]:
    entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    databases = {entry.name for entry in entries if entry.is_file(follow_symlinks=False) and is_sqlite(Path(entry.path))}
    beside = {path.name for name in databases for path in companions(folder / name)}
    for entry in entries:
        path, target = Path(entry.path), destination / entry.name
        name = path.relative_to(root).as_posix()
        reason = _reason_to_leave_out(name, with_secrets=with_secrets)
        if reason:
            yield f"{name}: {reason}"
        elif entry.is_symlink():
            yield from _copy_link(root, path, target, name)
        elif entry.is_dir(follow_symlinks=False):
            target.mkdir(mode=0o700)
            yield from _copy_folder(root, path, target, with_secrets=with_secrets)
            shutil.copymode(path, target)
        elif entry.name in databases:
            backup(path, target)
        elif entry.name in beside:
            continue
        elif entry.is_file(follow_symlinks=False):
            yield from _copy_file(path, target, name)
        else:
            yield f"{name}: a socket, pipe or device"


def _reason_to_leave_out(name: str, *, with_secrets: bool) -> str:
    if name in _ALWAYS_LEFT_OUT:
        return _ALWAYS_LEFT_OUT[name]
    if not with_secrets and name in (_SECRETS_FOLDER, AUTH_SECRET_FILE):
        return "secret"
    return ""


def _copy_link(root: Path, path: Path, target: Path, name: str) -> Iterator[str]:
    pointed = path.readlink()
    inside = (path.parent / pointed).resolve().is_relative_to(root.resolve())
    if pointed.is_absolute() or not inside:
        yield f"{name}: a link to {pointed}, {'an absolute path' if inside else 'out of the workspace'}"
        return
    target.symlink_to(pointed)


def _copy_file(path: Path, target: Path, name: str) -> Iterator[str]:
    try:
        for _ in range(_ATTEMPTS):
            before = path.stat()
            if not stat.S_ISREG(before.st_mode):
                yield f"{name}: changed its kind while it was copied"
                return
            shutil.copyfile(path, target)
            after = path.stat()
            if (before.st_mtime_ns, before.st_size, before.st_ino) == (after.st_mtime_ns, after.st_size, after.st_ino):
                break
        else:
            target.unlink()
            yield f"{name}: kept changing while it was copied"
            return
        shutil.copystat(path, target)
    except FileNotFoundError:
        target.unlink(missing_ok=True)
        yield f"{name}: went away while it was copied"
    except PermissionError:
        yield f"{name}: not readable"
