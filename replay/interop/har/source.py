"""A HAR file, read whole and parsed, whatever it holds."""

import hashlib
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from replay.interop.har.access import Place
from replay.model import ArchiveError, UsageError

BYTES_MAX: Final = 1 << 30
"""A HAR is one JSON value and has to be read whole; more than this is refused, compressed or not."""


@dataclass(frozen=True, slots=True)
class HarFile:
    """What a HAR file holds."""

    log: Place
    """The value of `log`, an object."""
    digest: str
    """SHA-256 of its (uncompressed) bytes."""
    bytes: int


def read_har_file(path: Path, *, bytes_max: int = BYTES_MAX) -> HarFile:
    """
    Read a HAR file (`.har`, or `.zhar` as mitmproxy compresses it).

    Raises:
        UsageError: the file is not there, can't be read, or is too big.
        ArchiveError: it is cut or no HAR; the text says where.

    """
    try:
        if not path.is_file():
            raise UsageError(f"{path}: there is no such file; give a HAR file (browsers: “Save all as HAR with content”)")
        if path.stat().st_size > bytes_max:
            raise UsageError(f"{path}: {path.stat().st_size} bytes are more than the {bytes_max} that are read at once; export it in parts")
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: can't be read ({error.strerror or error})") from error
    if path.suffix.lower() == ".zhar":
        data = _inflate(path, data, bytes_max)
    parsed = Place("the file", _parse(path, data))
    try:
        log = Place("log", parsed.object().get("log"))
        if not isinstance(log.value, dict):
            log.refuse("an object")
        if not isinstance(log.value.get("entries"), list):
            log.field("entries").refuse("a list")
    except ArchiveError as error:
        raise ArchiveError(f"{path}: is no HAR: {error}") from error
    return HarFile(log, hashlib.sha256(data).hexdigest(), len(data))


def _parse(path: Path, data: bytes) -> Any:
    if not data.strip():
        raise ArchiveError(f"{path}: is empty; nothing was imported")
    try:
        # UTF-8 with or without a mark; browsers on Windows have written UTF-16, too
        text = data.decode("utf-16" if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise ArchiveError(f"{path}: is no text in UTF-8 or UTF-16 (at byte {error.start}); nothing was imported") from error
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        at_end = error.pos >= len(text.rstrip()) - 1 or error.msg.startswith("Unterminated")
        what = "is cut" if at_end and error.msg != "Extra data" else "is damaged"
        raise ArchiveError(f"{path}: {what}: {error.msg} in line {error.lineno}, column {error.colno}; nothing was imported") from error
    except RecursionError as error:
        raise ArchiveError(f"{path}: is nested too deeply to be a HAR; nothing was imported") from error
    except ValueError as error:
        raise ArchiveError(f"{path}: holds a number of too many digits; nothing was imported") from error


def _inflate(path: Path, data: bytes, bytes_max: int) -> bytes:
    inflating = zlib.decompressobj()
    try:
        plain = inflating.decompress(data, bytes_max + 1)
    except zlib.error as error:
        raise ArchiveError(f"{path}: the compressed data can't be read ({error})") from error
    if len(plain) > bytes_max:
        raise UsageError(f"{path}: unpacks to more than the {bytes_max} bytes that are read at once; export it in parts")
    if not inflating.eof:
        raise ArchiveError(f"{path}: the compressed data breaks off; nothing was imported")
    return plain
