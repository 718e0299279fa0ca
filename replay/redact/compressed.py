"""
Bodies under a content encoding: read (bounded), and written again at the same length where that can be had.

gzip is padded by a comment in its header and deflate by empty stored blocks, both of which every decoder skips; zstd by a skippable frame.
Where the new text does not fit at any level, the body gets another length, and the `content-length` header stays what it was.
"""

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

DECODED_MAX_BYTES: Final = 64 * 1024 * 1024
_NONE: Final = frozenset({b"", b"identity"})
_NAMES: Final = {b"gzip": "gzip", b"x-gzip": "gzip", b"deflate": "deflate", b"br": "br", b"zstd": "zstd"}
_GZIP_MAGIC: Final = b"\x1f\x8b\x08"
_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_COMMENTED: Final = 16
_EMPTY_BLOCK: Final = b"\x00\x00\x00\xff\xff"


class UnreadError(Exception):
    """A body could not be decoded as a whole: of an unknown encoding, damaged, cut, or over the bound."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A body without its encodings."""

    data: bytes
    encodings: tuple[str, ...]
    """As they were applied, first to last; never empty."""


def decode_body(body: bytes, header: bytes) -> Decoded | None:
    """
    Undo the encodings that *header* (a `content-encoding` value) names, or that the body itself shows; None where there are none.

    Raises:
        UnreadError: it can't be undone.

    """
    names = [name.strip().lower() for name in header.split(b",")] if header else []
    names = [name for name in names if name not in _NONE]
    encodings = []
    for name in names:
        if name not in _NAMES:
            raise UnreadError(f"unknown content encoding {name!r}")
        encodings.append(_NAMES[name])
    if not encodings:
        if body.startswith(_GZIP_MAGIC):
            encodings = ["gzip"]
        elif body.startswith(_ZSTD_MAGIC):
            encodings = ["zstd"]
        else:
            return None
    data = body
    for encoding in reversed(encodings):
        data = _decode(data, encoding)
    return Decoded(data, tuple(encodings))


def encode_body(data: bytes, encodings: tuple[str, ...], length: int) -> bytes:
    """Apply *encodings* again, to *length* bytes where that can be had."""
    for encoding in encodings[:-1]:
        data = next(_encodings(data, encoding))
    best = b""
    for encoded in _encodings(data, encodings[-1]):
        padded = _pad(encoded, encodings[-1], length)
        if len(padded) == length:
            return padded
        best = best or padded
    return best


def _decode(data: bytes, encoding: str) -> bytes:
    try:
        if encoding == "gzip":
            return _inflate(data, 31)
        if encoding == "deflate":
            try:
                return _inflate(data, 15)
            except (zlib.error, UnreadError):
                return _inflate(data, -15)
        return _unbrotli(data) if encoding == "br" else _unzstd(data)
    except (zlib.error, EOFError, OSError, ValueError) as error:
        raise UnreadError(f"can't be decoded as {encoding}: {error}") from error


def _inflate(data: bytes, window_bits: int) -> bytes:
    parts = []
    left = DECODED_MAX_BYTES
    while data:
        inflater = zlib.decompressobj(window_bits)
        part = inflater.decompress(data, left)
        parts.append(part)
        left -= len(part)
        if not inflater.eof:
            raise UnreadError("cut or over the bound")
        data = inflater.unused_data if window_bits == 31 else b""
        if data and not data.startswith(_GZIP_MAGIC):
            break
    return b"".join(parts)


def _unbrotli(data: bytes) -> bytes:
    brotli = _module("brotli")
    decoder = brotli.Decompressor()
    parts = []
    size = 0
    try:
        # in pieces, so that a bomb is met at the bound and not behind it
        for at in range(0, len(data), 1024):
            part = decoder.process(data[at : at + 1024])
            parts.append(part)
            size += len(part)
            if size > DECODED_MAX_BYTES:
                raise UnreadError("over the bound")
    except brotli.error as error:
        raise UnreadError(f"can't be decoded as br: {error}") from error
    if not decoder.is_finished():
        raise UnreadError("cut")
    return b"".join(parts)


def _unzstd(data: bytes) -> bytes:
    zstd = _module("backports.zstd")
    parts = []
    left = DECODED_MAX_BYTES
    while data:
        if data[1:4] == b"\x2a\x4d\x18" and data[0] & 0xF0 == 0x50:
            data = data[8 + int.from_bytes(data[4:8], "little") :]
            continue
        decoder = zstd.ZstdDecompressor()
        try:
            part = decoder.decompress(data, left)
        except zstd.ZstdError as error:
            raise UnreadError(f"can't be decoded as zstd: {error}") from error
        if not decoder.eof:
            raise UnreadError("cut or over the bound")
        parts.append(part)
        left -= len(part)
        data = decoder.unused_data
    return b"".join(parts)


def _encodings(data: bytes, encoding: str) -> Iterator[bytes]:
    """Encode in several ways, the likeliest to fit first."""
    if encoding == "gzip":
        for level in (6, 9, 4, 1):
            yield gzip.compress(data, level, mtime=0)
    elif encoding == "deflate":
        for level in (6, 9, 8, 7, 5, 4, 3, 2, 1):
            yield zlib.compress(data, level)
    elif encoding == "br":
        for quality in (5, 11):
            yield _module("brotli").compress(data, quality=quality)
    else:
        for level in (3, 10, 19):
            yield _module("backports.zstd").compress(data, level)


def _pad(encoded: bytes, encoding: str, length: int) -> bytes:
    missing = length - len(encoded)
    if missing <= 0:
        return encoded
    if encoding == "gzip":
        return encoded[:3] + bytes((encoded[3] | _COMMENTED,)) + encoded[4:10] + b" " * (missing - 1) + b"\x00" + encoded[10:]
    if encoding == "deflate":
        return encoded[:2] + _EMPTY_BLOCK * (missing // 5) + encoded[2:] if missing % 5 == 0 else encoded
    if encoding == "zstd" and missing >= 8:
        return encoded + b"\x50\x2a\x4d\x18" + (missing - 8).to_bytes(4, "little") + bytes(missing - 8)
    return encoded


def _module(name: str) -> Any:
    """Load a decoder when it is first needed: most recordings never do."""
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError as error:
        raise UnreadError(f"no decoder here: {error}") from error
