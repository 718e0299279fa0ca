"""Flow states out of a file, with the place where it is damaged."""

import bz2
import gzip
import hashlib
import io
import lzma
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from mitmproxy.io import compat, tnetstring
from mitmproxy.net import encoding

from replay.model import ArchiveError, UsageError

type State = dict[str, Any]
"""A flow as mitmproxy writes it: nested dicts of bytes, text and numbers."""

_OPENERS: dict[str, Callable[[Path], Any]] = {
    ".xz": lzma.open,
    ".gz": gzip.open,
    ".bz2": bz2.open,
}
_DAMAGE = (ValueError, TypeError, IndexError, KeyError, AttributeError, AssertionError, RecursionError, OverflowError)


@dataclass(frozen=True, slots=True)
class FlowFile:
    """What a flow file holds."""

    states: tuple[State, ...]
    """In file order, migrated to this mitmproxy's format."""
    digest: str
    """SHA-256 of the uncompressed bytes that were read."""
    bytes: int
    damage: str
    """Where and how the file breaks off; empty where it is whole."""


def read_flow_file(path: Path) -> FlowFile:
    """
    Read all flows of a file, up to its end or the first damaged place.

    Raises:
        UsageError: the file is not there, or is a HAR file.
        ArchiveError: the file is empty or no flow file at all.

    """
    if not path.is_file():
        raise UsageError(f"{path}: there is no such file; give a flow file that mitmproxy wrote (`mitmdump -w FILE`)")
    data, cut = _decompress(path)
    if not data:
        raise ArchiveError(f"{path}: is empty{' (' + cut + ')' if cut else ''}; nothing was imported")
    if data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        raise UsageError(f"{path}: looks like JSON (perhaps HAR), not like a flow file of mitmproxy")
    states: list[State] = []
    stream = io.BytesIO(data)
    damage = ""
    while stream.tell() < len(data):
        begun = stream.tell()
        try:
            loaded: Any = tnetstring.load(stream)
            if not isinstance(loaded, dict):
                raise TypeError(f"a {type(loaded).__name__} where a flow should be")
            migrated: Any = compat.migrate_flow(loaded)
            states.append(migrated)
        except _DAMAGE as error:
            if begun == 0:
                raise ArchiveError(f"{path}: is no flow file of mitmproxy ({error}); nothing was imported") from error
            kind = "is cut" if isinstance(error, IndexError) or stream.tell() >= len(data) else "is damaged"
            damage = f"{kind} in flow {len(states) + 1}, which begins at byte {begun} of {len(data)}: {error}"
            break
    if cut and not damage:
        damage = f"is cut after flow {len(states)}: {cut}"
    return FlowFile(tuple(states), hashlib.sha256(data).hexdigest(), len(data), damage)


def _decompress(path: Path) -> tuple[bytes, str]:
    """Give what could be read, and what went wrong after it."""
    if path.suffix.lower() == ".zst":
        try:
            return encoding.decode_zstd(path.read_bytes()), ""
        except Exception as error:  # noqa: BLE001 mitmproxy's decoder has its own error type
            return b"", f"the compressed data can't be read ({error})"
    opener = _OPENERS.get(path.suffix.lower())
    if opener is None:
        return path.read_bytes(), ""
    parts: list[bytes] = []
    try:
        with opener(path) as file:
            read: BinaryIO = file
            while part := read.read(1 << 16):
                parts.append(part)
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        return b"".join(parts), f"the compressed data breaks off ({error or type(error).__name__})"
    return b"".join(parts), ""
