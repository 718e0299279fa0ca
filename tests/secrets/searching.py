"""
Looking for planted values in what a recording left, without the project's own reader.

How this works
--------------
Every file of an archive is taken as it lies there and as it decodes: zstd frames through the command line tool, msgpack with all strings as
bytes (the chunks of one side of an exchange joined), tar members with their names and targets, git objects inflated, gzip. From each of
these come further views: base64 and hexadecimal runs, percent signs and JSON's escapes undone. In all of them each value is looked for in
every spelling: as it is, in lower case, base64 at the three offsets, hexadecimal, with every byte escaped, UTF-16.
"""

import base64
import binascii
import gzip
import io
import re
import subprocess
import tarfile
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import msgpack
from backports import zstd

_DEPTH_MAX: Final = 3
_RUN: Final = re.compile(rb"[A-Za-z0-9+/_-]{16,}")
_HEX: Final = re.compile(rb"(?:[0-9a-fA-F]{2}){8,}")
_UNICODE: Final = re.compile(rb"\\+u00([0-9a-fA-F]{2})")
_BASE64_ENOUGH: Final = 4


def unpack(archive: Path) -> Iterator[bytes]:
    """Give every file of an archive, and what it holds."""
    for path in sorted(archive.rglob("*")):
        yield path.name.encode()
        if not path.is_file():
            continue
        data = path.read_bytes()
        yield data
        if path.name.endswith(".zst"):
            data = subprocess.run(["zstd", "-dc", str(path)], capture_output=True, check=True).stdout
            yield data
            yield from _members(data) if ".tar" in path.name else _strings(data)


def spellings(value: bytes) -> set[bytes]:
    """Give every way in which a value may be written, of those that a plain search can know."""
    found = {value, value.lower(), value.hex().encode(), value.hex().upper().encode()}
    found |= {value.decode("latin-1").encode("utf-16-le"), value.decode("latin-1").encode("utf-16-be")}
    found |= {b"".join(b"%%%02x" % byte for byte in value), b"".join(b"%%%02X" % byte for byte in value)}
    found.add(b"".join(b"\\u%04x" % byte for byte in value))
    for shift in range(3):
        data = base64.b64encode(b"\0" * shift + value)
        # what the neighbours have a part in is cut off
        inner = data[(shift * 8 + 5) // 6 : len(data) - 4]
        if len(inner) >= _BASE64_ENOUGH + 4:
            found |= {inner, inner.replace(b"+", b"-").replace(b"/", b"_")}
    return found


def haystack(parts: Iterable[bytes]) -> bytes:
    """Put together everything in which is to be looked."""
    seen: set[bytes] = set()
    for part in parts:
        for view in _views(part, 0):
            seen.add(view)
    return b"\0\n".join(seen)


def find(hay: bytes, values: Iterable[bytes]) -> set[bytes]:
    """Give those *values* that occur in any spelling."""
    folded = hay.lower()
    return {value for value in values if value.lower() in folded or any(spelling in hay for spelling in spellings(value))}


def _strings(data: bytes) -> Iterator[bytes]:
    """Give every string of a segment, as raw msgpack; chunks joined as well."""
    sides: defaultdict[tuple[Any, Any], bytes] = defaultdict(bytes)
    unpacker = msgpack.Unpacker(io.BytesIO(data), raw=True, strict_map_key=False, max_buffer_size=0)
    for entry in unpacker:
        if entry.get(b"type") == b"chunks":
            for chunk in entry[b"chunks"]:
                sides[entry[b"exchange"], entry.get(b"side")] += _longest(chunk)
        yield from _flat(entry)
    yield from sides.values()


def _longest(chunk: Any) -> bytes:
    return max((part for part in _flat(chunk) if part not in {b"event", b"at", b"data"}), key=len, default=b"")


def _flat(value: Any) -> Iterator[bytes]:
    if isinstance(value, bytes):
        yield value
    elif isinstance(value, msgpack.ExtType):
        yield value.data
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(key)
            yield from _flat(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _flat(inner)


def _members(data: bytes) -> Iterator[bytes]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for member in tar:
            yield member.name.encode(errors="surrogateescape")
            yield member.linkname.encode(errors="surrogateescape")
            file = tar.extractfile(member) if member.isfile() else None
            if file is not None:
                yield file.read()


def _views(data: bytes, depth: int) -> Iterator[bytes]:
    yield data
    if depth >= _DEPTH_MAX or not data:
        return
    inflated = _inflate(data)
    if inflated:
        yield from _views(inflated, depth + 1)
        return
    found = [unquote_to_bytes(data)] if b"%" in data else []
    if b"\\" in data:
        found.append(_UNICODE.sub(lambda match: bytes.fromhex(match[1].decode()), data))
        found.append(re.sub(rb"\\+([\"\\/])", rb"\1", re.sub(rb"\\+n", b"\n", data)))
    for match in _RUN.finditer(data) if len(data) < 4 << 20 else ():
        run = match[0].replace(b"-", b"+").replace(b"_", b"/")
        run = run[: len(run) - (len(run) % 4 == 1)]
        found.append(base64.b64decode(run + b"=" * (-len(run) % 4)))
    found += [binascii.unhexlify(match[0]) for match in _HEX.finditer(data)]
    for view in found:
        if view != data:
            yield from _views(view, depth + 1)


def _inflate(data: bytes) -> bytes:
    try:
        if data.startswith(b"\x1f\x8b\x08"):
            return gzip.decompress(data)
        if data.startswith(b"\x28\xb5\x2f\xfd"):
            return zstd.decompress(data)
        if data[:1] == b"\x78":
            return zlib.decompress(data)
    except (OSError, EOFError, zlib.error, zstd.ZstdError):
        return b""
    return b""
