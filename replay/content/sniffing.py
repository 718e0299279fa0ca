"""What bytes are, by how they begin: for bodies that are no text, where the media type may say anything."""

from typing import Final

_BEGINNINGS: Final = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"\x00\x00\x01\x00", "ico"),
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"SQLite format 3\x00", "sqlite"),
    (b"%PDF-", "pdf"),
    (b"\x7fELF", "elf"),
    (b"\x00asm", "wasm"),
    (b"wOFF", "woff"),
    (b"wOF2", "woff2"),
    (b"OTTO", "otf"),
    (b"\x00\x01\x00\x00\x00", "ttf"),
    (b"OggS", "ogg"),
    (b"ID3", "mp3"),
    (b"fLaC", "flac"),
    (b"\xcf\xfa\xed\xfe", "mach-o"),
    (b"MZ", "exe"),
)
_INSIDE: Final = (
    (0, b"RIFF", 8, b"WEBP", "webp"),
    (0, b"RIFF", 8, b"WAVE", "wav"),
    (4, b"ftyp", 4, b"ftyp", "mp4"),
    (257, b"ustar", 257, b"ustar", "tar"),
)


def sniff(data: bytes) -> str:
    """Name what bytes are by their first few; `bytes` where nothing is recognised."""
    for beginning, name in _BEGINNINGS:
        if data.startswith(beginning):
            return name
    for first, one, second, two, name in _INSIDE:
        if data.startswith(one, first) and data.startswith(two, second):
            return name
    return "bytes"
