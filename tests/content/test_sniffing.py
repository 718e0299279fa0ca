"""What bytes are."""

import gzip
import io
import zipfile

import pytest

from replay.content import sniff


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\x89PNG\r\n\x1a\n\0", "png"),
        (b"SQLite format 3\0rest", "sqlite"),
        (b"%PDF-1.7", "pdf"),
        (b"\x7fELF\x02", "elf"),
        (b"\0asm\1\0\0\0", "wasm"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "webp"),
        (b"wOF2\0\1", "woff2"),
        (b"", "bytes"),
        (b"\xff\x00\xff", "bytes"),
    ],
)
def test_bytes_are_named_by_how_they_begin(data: bytes, name: str) -> None:
    """The first few bytes tell what a body is, whatever its media type says."""
    assert sniff(data) == name


def test_what_libraries_write_is_recognised() -> None:
    """Real gzip and zip files are named."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as written:
        written.writestr("a", "b")

    assert sniff(held.getvalue()) == "zip"
    assert sniff(gzip.compress(b"x")) == "gzip"
