"""Bodies under a content encoding."""

import gzip
import zlib

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from replay.redact import Redactor, scan
from replay.redact.compressed import UnreadError, decode_body, encode_body

brotli = pytest.importorskip("brotli")
TEXT = b"a text; password=hunter2hunter2; " + b"".join(b"and line %d of it, " % (number * 7919 % 1000) for number in range(300))
PACKED = {
    b"gzip": gzip.compress(TEXT, 1),
    b"deflate": zlib.compress(TEXT, 1),
    b"br": brotli.compress(TEXT, quality=1),
    b"zstd": zstd.compress(TEXT, 1),
    b"gzip, br": brotli.compress(gzip.compress(TEXT)),
}


@pytest.mark.parametrize("encoding", PACKED)
def test_opened_and_packed_again(redactor: Redactor, encoding: bytes) -> None:
    """A secret inside is replaced, the body decodes as before, and doing it again changes nothing."""
    body = PACKED[encoding]
    assert scan(body, encoding)[0].kind == "compressed password"
    clean, redactions = redactor.response_body(body, "GET /x", encoding)
    assert clean is not None
    decoded = decode_body(clean, encoding)
    assert decoded is not None
    assert len(decoded.data) == len(TEXT)
    assert b"hunter2" not in decoded.data
    assert [(item.start, item.length, item.kind) for item in redactions] == [(0, len(clean), "recompressed")]
    assert scan(clean, encoding) == []
    assert redactor.response_body(clean, "GET /x", encoding) == (clean, redactions)


@given(st.binary(max_size=3000), st.integers(0, 300))
def test_padding(data: bytes, room: int) -> None:
    """A gzip body is padded to any length that has room, and still decodes."""
    length = len(gzip.compress(data, 6)) + room
    packed = encode_body(data, ("gzip",), length)
    assert len(packed) == length
    assert gzip.decompress(packed) == data


@pytest.mark.parametrize(
    ("body", "encoding"), [(PACKED[b"gzip"][:-20], b"gzip"), (b"no gzip", b"gzip"), (b"x", b"rot13"), (PACKED[b"br"][:-5], b"br")]
)
def test_what_can_not_be_read(redactor: Redactor, body: bytes, encoding: bytes) -> None:
    """What can't be decoded is said by the scan; on a route with named fields it is replaced as a whole, elsewhere kept."""
    with pytest.raises(UnreadError):
        decode_body(body, encoding)
    assert [suspect.kind for suspect in scan(body, encoding)] == ["compressed, not looked into"]
    assert redactor.request_body(body, "GET /x", encoding) == (body, ())
    clean, redactions = redactor.request_body(body, "POST /api/auth/login", encoding)
    assert clean != body
    assert [item.kind for item in redactions] == ["unread"]


def test_a_bomb(redactor: Redactor) -> None:
    """What decodes to more than the bound is not decoded to its end."""
    bomb = gzip.compress(bytes(80 * 1024 * 1024), 1)
    with pytest.raises(UnreadError, match="bound"):
        decode_body(bomb, b"gzip")
