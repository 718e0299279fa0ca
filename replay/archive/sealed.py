"""
Files beside archives that are made of what an archive holds, encrypted by the same scheme.

A sealed file has a data key of its own, sealed to each recipient, and stands in pieces of a mebibyte, each bound to its place and to the
file's own id: one that was cut, changed or put together of two does not open.
"""

import io
import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

from replay.archive.encryption import new_cipher, open_cipher, read_header
from replay.archive.keyring import Keyring
from replay.archive.snapshots import PieceReader, PieceWriter
from replay.model import ArchiveError


def write_sealed(file: BinaryIO, content: Iterable[bytes], recipients: Sequence[bytes]) -> None:
    """
    Write *content* to an open, empty file, encrypted to each of the *recipients* (X25519 public keys of 32 bytes).

    Raises:
        ArchiveError: there is no recipient, or one is no key.
        OSError: the disk refuses.
    """
    if not recipients:
        raise ArchiveError("nobody could open it; a sealed file needs a recipient")
    cipher = new_cipher(recipients, secrets.token_hex(16), "file", 0)
    file.write(cipher.header.render())
    pieces = PieceWriter(cipher, file)
    for part in content:
        pieces.write(part)
    pieces.finish()


def read_sealed(path: Path, keys: Keyring) -> bytes:
    """
    Give the content of a sealed file, whole.

    Raises:
        LockedError: none of the keys opens it; says which would.
        ArchiveError: it can't be read, or is damaged or cut.
    """
    try:
        with path.open("rb") as file:
            header, base, _ = read_header(file)
            if header.what != "file":
                raise ArchiveError("it is a part of an archive")  # noqa: TRY301 - gets its place below
            cipher = open_cipher(header, keys)
            file.seek(base)
            with io.BufferedReader(PieceReader(path, file, cipher)) as pieces:
                return pieces.read()
    except OSError as error:
        raise ArchiveError(f"{path}: can't be read: {error.strerror or error}") from error
    except ArchiveError as error:
        raise error if str(error).startswith(str(path)) else type(error)(f"{path}: {error}") from error
