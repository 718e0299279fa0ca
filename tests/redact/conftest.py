"""A redactor, and looking for a secret under every encoding."""

import base64
import gzip
import re
import zlib
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest

from replay.model import Answered, Attachment, Chunks, Ended, Opened, Record, Response, WorkspaceChange
from replay.redact import Redactor

type Holds = Callable[[Iterable[Record], bytes], bool]


@pytest.fixture
def redactor() -> Redactor:
    """Give a redactor under a fixed key."""
    return Redactor(b"k" * 32)


def parts_of(records: Iterable[Record]) -> list[bytes]:
    """Give all bytes that records hold, the chunks of a side joined."""
    out: list[bytes] = []
    sides: dict[tuple[int, str], bytes] = {}
    for record in records:
        message: Any = None
        if isinstance(record, Opened):
            message = record.request
            out.append(message.target)
        elif isinstance(record, Answered):
            message = record.response
        elif isinstance(record, Ended):
            out.append(record.request_body or b"")
            message = record.outcome if isinstance(record.outcome, Response) else None
        elif isinstance(record, Chunks):
            key = (record.exchange, record.side)
            sides[key] = sides.get(key, b"") + b"".join(chunk.data for chunk in record.chunks)
        elif isinstance(record, WorkspaceChange | Attachment):
            out += [record.path.encode(), record.content or b""]
        if message is not None:
            out += [value for _, value in message.headers]
            out.append(message.body or b"")
    return [*out, *sides.values()]


def views_of(data: bytes, depth: int = 0) -> Iterable[bytes]:
    """Give *data* and what it decodes to."""
    yield data
    if depth > 2:
        return
    inflated = b""
    try:
        inflated = gzip.decompress(data) if data.startswith(b"\x1f\x8b") else zlib.decompress(data) if data[:1] == b"\x78" else b""
    except (OSError, zlib.error):
        inflated = b""
    if inflated:
        yield from views_of(inflated, depth + 1)
    for view in (unquote_to_bytes(data), re.sub(rb"\\+u00([0-9a-f]{2})", lambda match: bytes.fromhex(match[1].decode()), data)):
        if view != data:
            yield from views_of(view, depth + 1)
    for match in re.finditer(rb"[A-Za-z0-9+/_-]{16,}", data):
        run = match[0].translate(bytes.maketrans(b"-_", b"+/"))
        run = run[: len(run) // 4 * 4] if len(run) % 4 == 1 else run
        yield from views_of(base64.b64decode(run + b"=" * (-len(run) % 4)), depth + 1)
        if re.fullmatch(rb"(?:[0-9a-f]{2})+", match[0]):
            yield bytes.fromhex(match[0].decode())


@pytest.fixture
def holds() -> Holds:
    """Give a function that says whether records hold a secret, under any encoding."""

    def find(records: Iterable[Record], secret: bytes) -> bool:
        return any(secret in view for part in parts_of(records) for view in views_of(part))

    return find
