"""Looking for secrets inside compressed files: a clean one stays as it is, another is left out, because it can't be changed in place."""

import bz2
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, cast

_BYTES_MAX: Final = 256 << 20
"""Unpacked; more is not looked at."""
_PIECE_BYTES: Final = 4 << 20
_OVERLAP_BYTES: Final = 16 << 10
"""So much of a piece is looked at again with the next one: a secret may lie across."""
_ZSTANDARD: Final = b"\x28\xb5\x2f\xfd"
_ZIP: Final = b"PK\x03\x04"


def check_compressed(path: Path, is_clean: Callable[[bytes], bool]) -> str:
    """Give why a compressed file can't stay in a snapshot; empty where it can, and for files that are none."""
    with path.open("rb") as file:
        start = file.read(8)
    if start.startswith(_ZSTANDARD):
        return "compressed, and not looked through"
    try:
        seen = 0
        for piece in _pieces(path, start):
            seen += len(piece)
            if seen > _BYTES_MAX:
                return "compressed, and too big to look through"
            if not is_clean(piece):
                return "compressed, and holds secrets"
    except (OSError, EOFError, ValueError, RuntimeError, NotImplementedError, zlib.error, lzma.LZMAError, zipfile.BadZipFile):
        return "compressed, and can't be looked through"
    return ""


def _pieces(path: Path, start: bytes) -> Iterator[bytes]:
    if start.startswith(_ZIP):
        with zipfile.ZipFile(path) as packed:
            for name in packed.namelist():
                with packed.open(name) as member:
                    yield from _overlapping(cast("BinaryIO", member))
    elif start.startswith(b"\x1f\x8b"):
        with gzip.open(path) as stream:
            yield from _overlapping(cast("BinaryIO", stream))
    elif start.startswith(b"BZh"):
        with bz2.open(path) as stream:
            yield from _overlapping(cast("BinaryIO", stream))
    elif start.startswith(b"\xfd7zXZ\0"):
        with lzma.open(path) as stream:
            yield from _overlapping(cast("BinaryIO", stream))


def _overlapping(stream: BinaryIO) -> Iterator[bytes]:
    held = b""
    while data := stream.read(_PIECE_BYTES):
        yield held + data
        held = data[-_OVERLAP_BYTES:]
