"""
Packing a folder as `tar.zst`, the same bytes for the same folder.

Names in order, owners dropped, times kept to the nanosecond (a daemon may read them). Hard links become files of their own. What an
unpacker must refuse (links out of the tree, devices, sockets) is left out and said. Encrypted, it is the same `tar.zst` in sealed pieces.
"""

import hashlib
import os
import stat
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from replay.archive import blocks
from replay.archive.disk import Disk
from replay.archive.encryption import new_cipher
from replay.archive.naming import link_stays_inside
from replay.archive.snapshots import PieceWriter, SnapshotError, is_encrypted, snapshot_number
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
    """Of the packed file, without the header with its keys where it is encrypted: `SnapshotRecord.digest`."""
    left_out: tuple[str, ...]


def pack_snapshot(
    directory: Path, destination: Path, *, recipients: Sequence[bytes] = (), archive_id: str = "", disk: Disk | None = None
) -> Packed:
    """
    Pack a folder into a new file of an archive, readable by its owner alone, encrypted where there are *recipients*.

    The file's name is one that `ArchiveWriter.next_snapshot_name()` gave. Another process than the writer's may do this.

    Raises:
        SnapshotError: the folder can't be read, changed while it was, or the file can't be written; then no file is left.
    """
    if not directory.is_dir():
        raise SnapshotError(f"{directory}: no folder to take a snapshot of")
    if is_encrypted(destination) != bool(recipients):
        raise SnapshotError(f"{destination}: its name does not say whether it is encrypted")
    disk = Disk() if disk is None else disk
    draft = destination.with_name(f".{destination.name}.draft")
    try:
        cipher = new_cipher(recipients, archive_id, "snapshot", snapshot_number(destination.name) or 0) if recipients else None
        header = b"" if cipher is None else cipher.header.render()
        with disk.create(draft) as file:
            if header:
                disk.append(file, header)
            hashed = _Hashed(disk, file)
            pieces = None if cipher is None else PieceWriter(cipher, hashed)
            with blocks.packing_stream(hashed if pieces is None else pieces) as stream:
                files, size, left_out = _pack_into(directory, stream)
            if pieces is not None:
                pieces.finish()
            disk.settle(file)
        draft.replace(destination)
        disk.settle_folder(destination.parent)
    except (OSError, tarfile.TarError, ValueError, ArchiveError) as error:
        with suppress(OSError):
            disk.remove(draft)
        raise SnapshotError(f"{destination}: the snapshot of {directory} failed: {error}") from error
    return Packed(files, size, len(header) + hashed.length, hashed.digest.hexdigest(), tuple(left_out))


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
