"""
Snapshot files: how they are called, and how an encrypted one is written and read, in pieces of a mebibyte.

Each piece is bound to its place, and the last says that it is: one that was cut, or whose pieces were moved, does not read to its end.
"""

import hashlib
import io
import re
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from replay.archive.encryption import FRAME, Cipher, open_cipher, read_header
from replay.archive.keyring import Keyring
from replay.model import ArchiveError

PIECE_BYTES: Final = 1 << 20
_NAME: Final = re.compile(r"snapshot-([0-9]{6,})\.tar\.zst(\.enc)?")
_ENCRYPTED: Final = ".enc"
_STEP_BYTES: Final = 1 << 20
_STORED_BYTES_MAX: Final = PIECE_BYTES + 1024


class SnapshotError(ArchiveError):
    """A snapshot could not be taken. What was written is not harmed, and the writer goes on."""


class Sink(Protocol):
    """What takes bytes."""

    def write(self, data: bytes, /) -> int:
        """Take all."""
        ...


def snapshot_name(number: int, *, encrypted: bool = False) -> str:
    """Name the n-th snapshot, from 1."""
    return f"snapshot-{number:06}.tar.zst{_ENCRYPTED if encrypted else ''}"


def snapshot_number(name: str) -> int | None:
    """Give the number in a snapshot's name; None where it is none."""
    found = _NAME.fullmatch(name)
    return int(found[1]) if found else None


def is_encrypted(path: Path) -> bool:
    """Whether a file is called like an encrypted one."""
    return path.suffix == _ENCRYPTED


def snapshot_digest(path: Path) -> str:
    """
    Name the content of a snapshot: its SHA-256, without the header with its keys.

    Raises:
        ArchiveError: it can't be read.
    """
    try:
        with path.open("rb") as file:
            if is_encrypted(path):
                _, base, _ = read_header(file)
                file.seek(base)
            digest = hashlib.sha256()
            while data := file.read(_STEP_BYTES):
                digest.update(data)
            return digest.hexdigest()
    except OSError as error:
        raise ArchiveError(f"{path}: can't be read: {error.strerror or error}") from error
    except ArchiveError as error:
        raise type(error)(f"{path}: {error}") from error


def open_snapshot(path: Path, keys: Keyring, archive: str) -> AbstractContextManager[io.BufferedReader]:
    """
    Open a snapshot as the `tar.zst` that it is, encrypted or not.

    Raises:
        LockedError: it is encrypted, and none of the keys opens it.
        ArchiveError: it can't be read, or belongs elsewhere; while reading: it is damaged or cut.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise ArchiveError(f"{path}: can't be read: {error.strerror or error}") from error
    if not is_encrypted(path):
        return file
    try:
        header, base, _ = read_header(file)
        if (header.what, header.archive, header.number) != ("snapshot", archive, snapshot_number(path.name)):
            raise ArchiveError("it belongs to another archive, or elsewhere in this one")  # noqa: TRY301 - gets its place below
        cipher = open_cipher(header, keys)
        file.seek(base)
    except ArchiveError as error:
        file.close()
        raise type(error)(f"{path}: {error}") from error
    return io.BufferedReader(PieceReader(path, file, cipher), PIECE_BYTES)


class PieceWriter:
    """Encrypts what is written to it, piece by piece; `finish()` writes the last."""

    def __init__(self, cipher: Cipher, sink: Sink) -> None:
        self._cipher = cipher
        self._sink = sink
        self._held = bytearray()
        self._number = 0

    def write(self, data: bytes) -> int:
        """Take all of it."""
        self._held += data
        while len(self._held) > PIECE_BYTES:
            self._put(bytes(self._held[:PIECE_BYTES]), last=False)
            del self._held[:PIECE_BYTES]
        return len(data)

    def flush(self) -> None:
        """Nothing can be hurried: a piece is whole or not there."""

    def finish(self) -> None:
        """Write what is held as the last piece."""
        self._put(bytes(self._held), last=True)
        self._held.clear()

    def _put(self, data: bytes, *, last: bool) -> None:
        self._sink.write(self._cipher.seal(self._number, "piece", data, last=last))
        self._number += 1


class PieceReader(io.RawIOBase):
    """Opens the pieces of a file one by one."""

    def __init__(self, path: Path, file: BinaryIO, cipher: Cipher) -> None:
        super().__init__()
        self._path = path
        self._file = file
        self._cipher = cipher
        self._held = b""
        self._number = 0
        self._ended = False

    def readable(self) -> bool:
        """It is for reading."""
        return True

    def readinto(self, buffer: "bytearray | memoryview", /) -> int:  # type: ignore[override]
        """
        Give more of the content.

        Raises:
            ArchiveError: it is damaged or cut here.
        """
        while not self._held and not self._ended:
            self._held = self._next()
        count = min(len(buffer), len(self._held))
        buffer[:count] = self._held[:count]
        self._held = self._held[count:]
        return count

    def close(self) -> None:
        """Let the file go."""
        self._file.close()
        super().close()

    def _next(self) -> bytes:
        begin = self._file.read(FRAME.size)
        length = FRAME.unpack(begin)[1] if len(begin) == FRAME.size else _STORED_BYTES_MAX
        stored = begin + self._file.read(length) if length < _STORED_BYTES_MAX else begin
        try:
            found = self._cipher.open(self._number, stored)
            if found.holds != "piece":
                raise ArchiveError("something else than a piece")  # noqa: TRY301 - gets its place below
            if found.last and self._file.read(1):
                raise ArchiveError("something stands behind its end")  # noqa: TRY301 - same
        except ArchiveError as error:
            raise ArchiveError(f"{self._path}: piece {self._number}: {error}") from error
        self._number += 1
        self._ended = found.last
        return found.data
