"""
Blocks: standard zstd frames with a checksum, each holding whole entries.

`zstd -dc` reads a segment anywhere, because a segment is nothing but such frames one after the other. A frame that is cut, or whose
checksum is off, is never given out. A closed segment ends with a *trailer*, a skippable frame that says where its index stands; what it
says is only believed where the index agrees.
"""

import hashlib
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, cast

from replay.model import ArchiveError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LEVEL: Final = 3
"""Of blocks: the next ones take several times as long, for a few percent."""
PACKING_LEVEL: Final = 6
"""Of snapshots, which are packed by a process that gives way to all others."""

DamagedStreamError = zstd.ZstdError
"""Raised where what is packed is damaged."""

RAW_BYTES_MAX: Final = 1 << 30
"""No block is bigger than this when unpacked: a file that claims to be is refused before it fills the memory."""

_STEP_BYTES: Final = 1 << 20
_TRAILER: Final = struct.Struct("<IIQ8s")
_TRAILER_BEGIN: Final = struct.pack("<II", 0x184D2A5F, 16)
_TRAILER_END: Final = b"parityix"
TRAILER_BYTES: Final = _TRAILER.size


def trailer(index: int) -> bytes:
    """Give what stands at the very end of a closed segment; *index* is the offset of its last block."""
    return _TRAILER_BEGIN + struct.pack("<Q8s", index, _TRAILER_END)


def index_place(end: bytes) -> int | None:
    """Give what the last bytes of a segment say of its index; None where they are no trailer."""
    place = _TRAILER.unpack(end)[2] if len(end) == TRAILER_BYTES else 0
    return place if end == trailer(place) else None


@dataclass(frozen=True, slots=True)
class Frame:
    """A whole block as found in a file."""

    offset: int
    length: int
    sha256: str
    """Of the compressed bytes."""
    raw: bytes


@dataclass(frozen=True, slots=True)
class Tail:
    """What stands behind the last whole block."""

    offset: int
    reason: str


def compress(raw: bytes) -> bytes:
    """
    Make one frame.

    Raises:
        ArchiveError: it would be bigger than a block may be.
    """
    if len(raw) > RAW_BYTES_MAX:
        raise ArchiveError(f"a block of {len(raw)} bytes is more than the format takes ({RAW_BYTES_MAX})")
    parameter = zstd.CompressionParameter
    return zstd.compress(raw, options={parameter.compression_level: LEVEL, parameter.checksum_flag: 1})


def decompress(frame: bytes) -> bytes:
    """
    Unpack exactly one whole frame.

    Raises:
        ArchiveError: it is damaged, cut, too big, or more than one.
    """
    unpacker = zstd.ZstdDecompressor()
    raw = _fill(unpacker, frame)
    if not unpacker.eof:
        raise ArchiveError("the block is cut")
    if unpacker.unused_data:
        raise ArchiveError("something stands behind the block")
    return raw


def walk(file: BinaryIO) -> Iterator[Frame | Tail]:
    """
    Give each whole frame from where a file stands; where something else follows than a trailer, a `Tail` comes last.

    After the first damage nothing more is given: what looks like a frame behind it may be a part of a recorded body.
    """
    offset, ahead = 0, b""
    while True:
        ahead = _more(file, ahead)
        if not ahead:
            return
        if ahead.startswith(_TRAILER_BEGIN):
            if index_place(ahead + file.read(1)) is None:
                yield Tail(offset, "a half-written end, or more behind the end")
            return
        unpacker = zstd.ZstdDecompressor()
        taken = bytearray()
        raw: list[bytes] = []
        size = 0
        while not unpacker.eof:
            data = ahead or file.read(_STEP_BYTES)
            ahead = b""
            if not data:
                break
            taken += data
            try:
                raw.append(_fill(unpacker, data, size))
            except ArchiveError as error:
                yield Tail(offset, str(error))
                return
            size += len(raw[-1])
        if not unpacker.eof:
            yield Tail(offset, "a half-written block")
            return
        ahead = unpacker.unused_data
        length = len(taken) - len(ahead)
        whole = memoryview(taken)[:length]
        yield Frame(offset, length, hashlib.sha256(whole).hexdigest(), b"".join(raw))
        offset += length


def _more(file: BinaryIO, ahead: bytes) -> bytes:
    """Have enough ahead to tell a trailer, where there is as much."""
    while len(ahead) < TRAILER_BYTES and (data := file.read(_STEP_BYTES)):
        ahead += data
    return ahead


def _fill(unpacker: "zstd.ZstdDecompressor", data: bytes, already: int = 0) -> bytes:
    """Feed data to an unpacker and take all it gives, in steps, so that the limit holds before the memory is taken."""
    parts: list[bytes] = []
    size = already
    try:
        while True:
            part = unpacker.decompress(data, max_length=_STEP_BYTES)
            data = b""
            parts.append(part)
            size += len(part)
            if size > RAW_BYTES_MAX:
                raise ArchiveError("the block claims to be bigger than a block may be")
            if unpacker.eof or (unpacker.needs_input and len(part) < _STEP_BYTES):
                return b"".join(parts)
    except zstd.ZstdError as error:
        raise ArchiveError("the block is damaged") from error


def packing_stream(file: Any) -> BinaryIO:
    """Give a stream that packs what is written to it into a file, as one frame with a checksum; close it to finish."""
    parameter = zstd.CompressionParameter
    return cast("BinaryIO", zstd.ZstdFile(file, "wb", options={parameter.compression_level: PACKING_LEVEL, parameter.checksum_flag: 1}))


def unpacking_stream(file: BinaryIO) -> BinaryIO:
    """Give a stream of what is packed in a file; reading raises `EOFError` where it is cut, `DamagedStreamError` where it is damaged."""
    return cast("BinaryIO", zstd.ZstdFile(file, "rb"))
