"""
A consistent copy of a workspace, taken beside a running daemon and without writing to it.

How this works
--------------
Databases are copied by SQLite's backup interface, which gives one committed state, and leave their `-wal` and `-shm` behind.
Every other regular file is copied as it is; one that changed while it was read is read again, a few times. What can't or must not
be in a copy is left out and named with a reason: secret files, logs, sockets and devices, links that leave the tree.

When all is copied, everything is looked at once more: what was written meanwhile is named too, because its state then lies
somewhere between the copy's beginning and its end.
"""

import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from replay.model import ParityError, UsageError
from replay.workspace.databases import backup, companions, is_sqlite
from replay.workspace.secrets import FILE as SECRETS_FILE
from replay.workspace.tokens import AUTH_SECRET_FILE

SECRETS_FOLDER: Final = SECRETS_FILE.partition("/")[0]
MAIN_DATABASE: Final = "memory/memories.db"
"""Without it a copy is worth nothing; any other database may be left out."""
_LEFT_OUT: Final = {
    ".daemon/logs": "the daemon's log",
    ".daemon/pid": "the running daemon's",
    SECRETS_FOLDER: "secret",
    AUTH_SECRET_FILE: "secret",
}
_ATTEMPTS: Final = 3

type _Mark = tuple[int, int, int] | None
"""Time of change in nanoseconds, size, inode; None: not there."""


class CopyLimitError(ParityError):
    """The workspace is bigger than a copy may be."""


@dataclass(frozen=True, slots=True)
class CopyLimits:
    """How big a copy may grow."""

    bytes_max: int = 8 << 30
    """The sum of the files' sizes, holes included."""
    files_max: int = 200_000


@dataclass(frozen=True, slots=True)
class Copied:
    """What came of a copy."""

    files: int
    bytes: int
    left_out: tuple[str, ...]
    """`path: reason`, sorted."""
    changed_meanwhile: tuple[str, ...]
    """Files that were written between the copy's beginning and its end, sorted."""


def copy_workspace(source: Path, destination: Path, limits: CopyLimits) -> Copied:
    """
    Copy the workspace *source* to the new folder *destination* (mode 0700), within *limits*, and say what was left out and what changed.

    The store of secrets and the key that signs tokens stay behind. *source* is never written to.

    Raises:
        UsageError: *source* is no folder, or *destination* has something in it or lies inside *source*.
        CopyLimitError: *source* is bigger than the limits.
        ParityError: the main database can't be copied, or the space is out.
    """
    if not source.is_dir():
        raise UsageError(f"{source}: no such folder; name the daemon's workspace")
    if destination.resolve().is_relative_to(source.resolve()):
        raise UsageError(f"{destination}: lies inside the workspace {source}; copy to somewhere else")
    try:
        destination.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(destination.iterdir()):
            raise UsageError(f"{destination}: is not empty; name a new folder")
        copying = _Copying(source, limits)
        left_out = tuple(sorted(copying.copy_folder(source, destination)))
        return Copied(copying.files, copying.bytes, left_out, copying.changed())
    except OSError as error:
        raise ParityError(f"{source}: can't be copied to {destination} ({error}); check permissions and space") from error


@dataclass(slots=True)
class _Copying:
    """A copy on its way."""

    root: Path
    limits: CopyLimits
    files: int = 0
    bytes: int = 0
    _marks: dict[str, tuple[tuple[Path, _Mark], ...]] = field(default_factory=dict)
    """Name → the files that it is made of, as they were when it was copied."""

    def copy_folder(self, folder: Path, destination: Path) -> Iterator[str]:
        """Copy what is in a folder, and give what was left out."""
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        databases = {entry.name for entry in entries if entry.is_file(follow_symlinks=False) and is_sqlite(Path(entry.path))}
        beside = {path.name for name in databases for path in companions(folder / name)}
        for entry in entries:
            path, target = Path(entry.path), destination / entry.name
            name = path.relative_to(self.root).as_posix()
            reason = _LEFT_OUT.get(name)
            if reason:
                yield f"{name}: {reason}"
            elif entry.is_symlink():
                yield from _copy_link(self.root, path, target, name)
            elif entry.is_dir(follow_symlinks=False):
                target.mkdir(mode=0o700)
                yield from self.copy_folder(path, target)
                shutil.copystat(path, target)
            elif entry.name in databases:
                yield from self._copy_database(path, target, name)
            elif entry.name in beside:
                continue
            elif entry.is_file(follow_symlinks=False):
                yield from self._copy_file(path, target, name)
            else:
                yield f"{name}: a socket, pipe or device"

    def changed(self) -> tuple[str, ...]:
        """Name what is not as it was when it was copied."""
        return tuple(sorted(name for name, marks in self._marks.items() if any(_mark(path) != mark for path, mark in marks)))

    def _copy_database(self, path: Path, target: Path, name: str) -> Iterator[str]:
        self._count(path, *companions(path)[:1])
        self._remember(name, path, *companions(path)[:1])
        try:
            backup(path, target)
        except ParityError as error:
            target.unlink(missing_ok=True)
            if name == MAIN_DATABASE or not path.exists():
                raise
            yield f"{name}: {error}"

    def _copy_file(self, path: Path, target: Path, name: str) -> Iterator[str]:
        try:
            self._count(path)
            for _ in range(_ATTEMPTS):
                before = path.stat()
                if not stat.S_ISREG(before.st_mode):
                    yield f"{name}: changed its kind while it was copied"
                    return
                self._remember(name, path)
                shutil.copyfile(path, target)
                if _mark(path) == (before.st_mtime_ns, before.st_size, before.st_ino):
                    break
            shutil.copystat(path, target)
        except FileNotFoundError:
            target.unlink(missing_ok=True)
            self._marks.pop(name, None)
            yield f"{name}: went away while it was copied"
        except PermissionError:
            target.unlink(missing_ok=True)
            self._marks.pop(name, None)
            yield f"{name}: not readable"

    def _count(self, *paths: Path) -> None:
        self.files += 1
        self.bytes += sum(mark[1] for mark in map(_mark, paths) if mark is not None)
        if self.bytes > self.limits.bytes_max or self.files > self.limits.files_max:
            raise CopyLimitError(
                f"{self.root}: is bigger than a snapshot may be ({self.limits.bytes_max} bytes in {self.limits.files_max} files); "
                "take what is not the daemon's out of the workspace"
            )

    def _remember(self, name: str, *paths: Path) -> None:
        self._marks[name] = tuple((path, _mark(path)) for path in paths)


def _mark(path: Path) -> _Mark:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _copy_link(root: Path, path: Path, target: Path, name: str) -> Iterator[str]:
    pointed = path.readlink()
    inside = (path.parent / pointed).resolve().is_relative_to(root.resolve())
    if pointed.is_absolute() or not inside:
        yield f"{name}: a link to {pointed}, {'an absolute path' if inside else 'out of the workspace'}"
        return
    target.symlink_to(pointed)
