"""
Bodies as HAR wants to see them, and back.

HAR holds a body decoded: without its content-encoding, as text where it is text. That is what people look at; the bytes on the wire are
another thing, and `exact` says whether they can be had from it.
"""

import codecs
import zlib
from base64 import b64encode
from dataclasses import dataclass
from typing import Final

from replay.model import Header

_INFLATED_BYTES_MAX: Final = 64 * 1024 * 1024
"""A body that unpacks to more is shown as it is."""
_ALWAYS_UTF8: Final = ("application/json", "text/event-stream", "application/x-ndjson", "application/jsonl")
_CHARSETS: Final = frozenset(
    {"ascii", "utf-8", "utf-16", "utf-16-le", "utf-16-be", "iso8859-1", "iso8859-2", "iso8859-15", "koi8-r", "big5", "gbk", "gb2312"}
    | {"gb18030", "euc_jp", "euc_kr", "shift_jis", "iso2022_jp", *(f"cp125{digit}" for digit in range(9))}
)
"""Python's names of what web pages are written in; its other codecs are no charsets (`hex`), or too slow to feed with anything (`idna`)."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A body in a HAR."""

    text: str
    base64: bool
    bytes: int
    """Of the decoded body."""
    exact: bool
    """Whether text (or base64) alone gives the bytes of the wire."""


def show(body: bytes, headers: tuple[Header, ...]) -> Shown:
    """Give a body as HAR holds it: unpacked where its content-encoding is one we can read, text where it surely is, base64 otherwise."""
    unpacked = unpack(body, values(headers, b"content-encoding"))
    plain = body if unpacked is None else unpacked
    text = _as_text(plain, media_type(headers))
    if text is None:
        return Shown(b64encode(plain).decode("ascii"), base64=True, bytes=len(plain), exact=plain == body)
    return Shown(text, base64=False, bytes=len(plain), exact=plain == body)


def unpack(body: bytes, encodings: str) -> bytes | None:
    """Give *body* without its content-encoding; None where there is none, it is not one of gzip and deflate, or does not hold."""
    encoding = encodings.strip().lower()
    if encoding not in {"gzip", "x-gzip", "deflate"} or not body:
        return None
    for bits in (31,) if encoding != "deflate" else (15, -15):
        inflating = zlib.decompressobj(bits)
        try:
            plain = inflating.decompress(body, _INFLATED_BYTES_MAX)
        except zlib.error:
            continue
        if inflating.eof and not inflating.unused_data:
            return plain
    return None


def charset_of(mime: str) -> str | None:
    """Give Python's name of the charset that a media type names; None where it names none, or none that is known."""
    for part in mime.split(";")[1:]:
        name, _, value = part.partition("=")
        if name.strip().lower() == "charset":
            try:
                found = codecs.lookup(value.strip().strip("\"'").encode("ascii", "replace").decode()).name
            except (LookupError, ValueError):
                return None
            return found if found in _CHARSETS else None
    return None


def is_utf8_by_type(mime: str) -> bool:
    """Whether a media type is UTF-8 without saying so."""
    base = mime.partition(";")[0].strip().lower()
    return base in _ALWAYS_UTF8 or base.endswith("+json")


def media_type(headers: tuple[Header, ...]) -> str:
    """Give the first content-type, empty where there is none."""
    return next((value.decode("latin-1") for name, value in headers if name.lower() == b"content-type"), "")


def values(headers: tuple[Header, ...], name: bytes) -> str:
    """Give all values of a header, joined; empty where there is none."""
    return ", ".join(value.decode("latin-1") for key, value in headers if key.lower() == name)


def _as_text(body: bytes, mime: str) -> str | None:
    """Give the text of a body where every reader of the HAR makes the same bytes of it again."""
    if not body.isascii() and charset_of(mime) != "utf-8" and not is_utf8_by_type(mime):
        return None
    if charset_of(mime) in {"utf-16", "utf-16-le", "utf-16-be", "iso2022_jp"} or b"\0" in body:
        return None
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return None
