"""
Packing a folder as `tar.zst`, the same bytes for the same folder.

Names in order, owners dropped, times kept to the nanosecond (a daemon may read them). Hard links become files of their own. What an
unpacker must refuse (links out of the tree, devices, sockets) is left out and said.
"""

import hashlib
import os
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from replay.archive import blocks
from replay.archive.disk import Disk
from replay.archive.naming import link_stays_inside
from replay.model import ArchiveError


@dataclass(frozen=True, slots=True)
class Packed:
    """What was packed."""

    files: int
    """Regular files."""
    bytes: int
    """Their sizes summed."""
    file_bytes: int
    """The size of the packed file."""
    sha256: str
    left_out: tuple[str, ...]


def pack(directory: Path, destination: Path, disk: Disk) -> Packed:
    """
    Pack a folder into a new file, readable by its owner alone.

    Raises:
        ArchiveError: the folder can't be read, changed while it was, or the file can't be written; then no file is left.
    """
    if not directory.is_dir():
        raise ArchiveError(f"{directory}: no folder to take a snapshot of")
    draft = destination.with_name(f".{destination.name}.draft")
    try:
        with disk.create(draft) as file:
            hashed = _Hashed(disk, file)
            with blocks.packing_stream(hashed) as stream:
                files, size, left_out = _pack_into(directory, stream)
            disk.settle(file)
        draft.replace(destination)
        disk.settle_folder(destination.parent)
    except (OSError, tarfile.TarError, ValueError) as error:
        draft.unlink(missing_ok=True)
        raise ArchiveError(f"{destination}: the snapshot of {directory} failed: {error}") from error
    return Packed(files, size, hashed.length, hashed.digest.hexdigest(), tuple(left_out))


def _pack_into(directory: Path, stream: BinaryIO) -> tuple[int, int, list[str]]:
    files, size = 0, 0
    left_out: list[str] = []
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for name, entry in _walk(directory):
            info = _describe(name, entry)
            if info is None:
                left_out.append(f"{name}: neither file, folder nor a link inside the workspace")
            elif info.isreg():
                with entry.open("rb") as content:
                    tar.addfile(info, content)
                files += 1
                size += info.size
            else:
                tar.addfile(info)
    return files, size, left_out


def _walk(directory: Path) -> Iterator[tuple[str, Path]]:
    """Give everything below a folder, a folder before what is in it, in the order of the names' bytes."""
    pending = [("", directory)]
    while pending:
        name, path = pending.pop()
        if name:
            yield name, path
        if path.is_dir() and not path.is_symlink():
            below = sorted(os.scandir(path), key=lambda entry: os.fsencode(entry.name), reverse=True)
            pending += [(f"{name}/{entry.name}" if name else entry.name, path / entry.name) for entry in below]


def _describe(name: str, path: Path) -> tarfile.TarInfo | None:
    status = path.lstat()
    info = tarfile.TarInfo(name)
    info.mode = stat.S_IMODE(status.st_mode) & 0o777
    seconds, nanoseconds = divmod(status.st_mtime_ns, 1_000_000_000)
    info.mtime = seconds
    if nanoseconds:
        info.pax_headers = {"mtime": f"{seconds}.{nanoseconds:09}"}
    if stat.S_ISREG(status.st_mode):
        info.size = status.st_size
        return info
    if stat.S_ISDIR(status.st_mode):
        info.type = tarfile.DIRTYPE
        return info
    if stat.S_ISLNK(status.st_mode):
        info.type = tarfile.SYMTYPE
        info.linkname = os.fsdecode(path.readlink())
        return info if link_stays_inside(name, info.linkname) else None
    return None


class _Hashed:
    """A file to write to that names what went through it."""

    def __init__(self, disk: Disk, file: BinaryIO) -> None:
        self._disk = disk
        self._file = file
        self.digest = hashlib.sha256()
        self.length = 0

    def write(self, data: bytes) -> int:
        """Write all, and count it."""
        self._disk.append(self._file, data)
        self.digest.update(data)
        self.length += len(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is held back here."""
