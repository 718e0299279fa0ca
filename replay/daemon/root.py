"""
The file tree of a namespace cell.

How this works
--------------
First the host's tree is moved aside, to `/old` of a small memory file system, so that showing parts of it never shows the cell itself.
Then a new root is put together at `/new` and entered at the end. At first it shows every entry of the host's root.
A place that does not exist on the host (the recorded workspace, say) is made by *opening* the directory above it: that becomes a
memory file system of its own, in which the host's entries are shown again one by one. Some directories are never shown again but
start empty: `/tmp`, `/var/tmp`, `/run`, for they hold sockets and leftovers of the host. What a cell needs of them is placed by name.

Then everything is made read-only, and only what belongs to this run is made writable. So nothing a daemon does reaches the host's files.
"""

import contextlib
import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from replay.daemon import linux

EMPTY: Final = {"/tmp": 0o1777, "/var/tmp": 0o1777, "/run": 0o755, "/dev/shm": 0o1777}  # noqa: S108 - the cell's own, not the host's
"""Directories that start empty in a cell, and their modes."""
_HOST_SETTINGS: Final = ("sys", "sysrq-trigger", "irq", "bus", "fs", "acpi", "scsi")
"""What in `/proc` is the whole host's: the cell's root user may write there where the tool itself is run by root."""
_LINKS_MAX: Final = 40
_OLD: Final = Path("/old")
_NEW: Final = Path("/new")


@dataclass(frozen=True, slots=True)
class Placed:
    """A file or directory of the host and where the cell has it."""

    source: str
    target: str
    writable: bool


@dataclass(slots=True)
class _Tree:
    root: Path
    opened: set[str]
    """Directories of the cell's own, in which new entries can be made."""
    writable: list[str] = field(default_factory=list)
    """Places of this run; new entries below them are theirs."""

    def inside(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def resolve(self, path: str) -> str:
        """Follow links as the cell will: relative to its own root."""
        done, parts, links = "/", [part for part in path.split("/") if part], 0
        while parts:
            step = os.path.normpath(os.path.join(done, parts.pop(0)))  # noqa: PTH118 - text of another tree, no path of this one
            if self.inside(step).is_symlink():
                links += 1
                if links > _LINKS_MAX:
                    raise OSError(errno.ELOOP, f"{path}: too many links")
                text = str(self.inside(step).readlink())
                if text.startswith("/"):
                    done = "/"
                parts = [part for part in text.split("/") if part] + parts
            else:
                done = step
        return done

    def open(self, path: str) -> None:
        """Make a directory one in which new entries can be made."""
        if path in self.opened or any(path == own or path.startswith(f"{own}/") for own in self.writable):
            return
        target = self.inside(path)
        entries = [] if path in EMPTY else _entries(target)
        # The host's own directory stays reachable through this handle when the memory file system lies over it.
        handle = os.open(target, os.O_PATH | os.O_DIRECTORY)
        try:
            linux.mount_tmpfs(target, EMPTY.get(path, 0o755))
            for name, is_link, is_directory in entries:
                _show(_OLD / f"proc/self/fd/{handle}/{name}", target / name, is_link=is_link, is_directory=is_directory)
        finally:
            os.close(handle)
        self.opened.add(path)

    def place(self, item: Placed) -> Path | None:
        """Show a file or directory at its target, making the way there. None where a read-only one is seen there already."""
        target = self.resolve(item.target)
        parent = "/"
        for name in [part for part in target.split("/") if part][:-1]:
            step = os.path.join(parent, name)  # noqa: PTH118
            if not self.inside(step).is_dir():
                self.open(parent)
                self.inside(step).mkdir(exist_ok=True)
                self.opened.add(step)
            parent = step
        place = self.inside(target)
        source = _OLD / item.source.lstrip("/")
        is_directory = source.is_dir()
        if not item.writable and place.exists() and place.samefile(source):
            return None
        if not place.exists() or place.is_dir() != is_directory:
            self.open(parent)
            _make(place, is_directory=is_directory)
        linux.bind(source, place)
        if item.writable:
            self.writable.append(target)
        return place


def build_root(root: Path, placed: Sequence[Placed], masked: Sequence[str] = ()) -> tuple[str, ...]:
    """
    Put a cell's file tree together at an empty directory and enter it. Gives notes on what could not be had.

    Where one of the *masked* sockets of the host would show, `/dev/null` stands: a read-only place does not keep anybody from connecting. What
    lies in a place that was made writable for this run belongs to it, and is not masked.

    Must run in a mount namespace of its own. Raises: OSError.
    """
    # Links must be followed before the host's tree is moved aside.
    real = [replace(item, source=str(Path(item.source).resolve(strict=True))) for item in placed]
    linux.make_private()
    linux.mount_tmpfs(root, 0o755)
    for part in (_OLD, _NEW):
        (root / part.name).mkdir()
    linux.move_root(root, root / _OLD.name)
    root = _NEW
    linux.mount_tmpfs(root, 0o755)
    tree = _Tree(root, {"/"})
    for name, is_link, is_directory in _entries(_OLD):
        _show(_OLD / name, root / name, is_link=is_link, is_directory=is_directory)
    for path in EMPTY:
        if tree.inside(path).is_dir() and not tree.inside(path).is_symlink():
            tree.open(path)
    # What lies above comes first, so that nothing covers what lies below it.
    places = [(tree.place(item), item.writable) for item in sorted(real, key=lambda item: item.target.count("/"))]
    for path in masked:
        target = tree.resolve(path)
        if tree.inside(target).is_socket() and not any(target.startswith(f"{own}/") for own in tree.writable):
            linux.bind(_OLD / "dev/null", tree.inside(target))
    writable = [place for place, is_writable in places if is_writable and place is not None]
    writable += [tree.inside(path) for path in EMPTY if path in tree.opened]
    for name in _HOST_SETTINGS:
        place = tree.inside("/proc") / name
        if place.exists():
            linux.bind(place, place)  # a mount of its own, so that it stays closed where the rest of /proc is open
    notes = _close(root, [*writable, tree.inside("/proc")])
    linux.enter_root(root)
    return notes


def _close(root: Path, writable: Sequence[Path]) -> tuple[str, ...]:
    try:
        linux.set_read_only(root, on=True, recursive=True)
    except OSError as error:
        if error.errno != errno.ENOSYS:
            raise
        return ("this kernel (before Linux 5.12) can't make the host's files read-only for the cell",)
    for place in writable:
        linux.set_read_only(place, on=False, recursive=False)
    return ()


def _entries(directory: Path) -> list[tuple[str, bool, bool]]:
    """Give name, is it a link, is it a directory; nothing where another user's directory can't be read."""
    try:
        found = sorted(os.scandir(directory), key=lambda entry: entry.name)
    except PermissionError:
        return []
    return [(entry.name, entry.is_symlink(), entry.is_dir(follow_symlinks=False)) for entry in found]


def _show(source: Path, target: Path, *, is_link: bool, is_directory: bool) -> None:
    """Show one entry of a host directory at a place that does not exist yet."""
    if is_link:
        target.symlink_to(source.readlink())
        return
    _make(target, is_directory=is_directory)
    # Gone meanwhile, or of another user and not ours to show: an empty place stands for it.
    with contextlib.suppress(FileNotFoundError, PermissionError):
        linux.bind(source, target)


def _make(place: Path, *, is_directory: bool) -> None:
    if place.is_dir() and not is_directory:
        place.rmdir()
    elif place.exists() and is_directory:
        place.unlink()
    if is_directory:
        place.mkdir(exist_ok=True)
    else:
        place.touch()
