"""
Turn records into msgpack and back.

Every entry of a block is one msgpack map with a `type`. Beside the record types of the model there are three that only this room knows:
`segment`, the first entry of each segment, which says what it belongs to when the manifest is gone; `index`, the last one of a closed
segment; and `body`, a big byte string that records refer to by its digest (a msgpack extension of type 1), so that equal ones are stored
once.

Strict both ways: bytes are a sequence of whole entries or an `ArchiveError`. Entries of older formats are converted before they are looked
at (`formats`).
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgpack

from replay.archive.formats import FORMAT, convert_entry
from replay.archive.index import Index
from replay.archive.shapes import Mismatch, Spill, keep, tagged
from replay.model import RECORD_TYPES, ArchiveError, Record, SnapshotRecord

BODY_BYTES: Final = 256 * 1024
"""A byte string longer than this is stored once per segment and referred to by its digest."""

_REFERENCE: Final = 1
_DIGEST_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class SegmentHead:
    """The first entry of a segment: what it belongs to."""

    format: int
    archive: str
    kind: Literal["recording", "observed"]
    number: int
    """From 1."""
    previous_bytes: int
    """How long the segment before was when it was closed, without a header with keys; 0 in the first."""
    previous: str = ""
    """SHA-256 of the last block of the segment before, as it lies on disk; empty in the first."""
    snapshot: SnapshotRecord | None = None
    """The newest snapshot before this segment: so it can be replayed also when all segments before are gone."""


@dataclass(frozen=True, slots=True)
class Body:
    """A byte string that records of the same segment refer to by the SHA-256 of its content."""

    data: bytes


class UnwritableError(ArchiveError):
    """A record holds what the format can't: nothing of it was written, and the archive is none the worse."""


type Entry = SegmentHead | Body | Index | Record
type Resolve = Callable[[bytes], bytes]
"""Gives the content for a digest of 32 bytes; raises `ArchiveError` where it is not there."""

_ENTRY = tagged({"segment": SegmentHead, "body": Body, "index": Index, **RECORD_TYPES})


def digest_of(data: bytes) -> bytes:
    """Name a content: its SHA-256, 32 bytes."""
    return hashlib.sha256(data).digest()


def no_bodies(digest: bytes) -> bytes:
    """
    Resolve nothing: for blocks in which no record refers to a body.

    Raises:
        ArchiveError: always.
    """
    raise ArchiveError(f"a reference to {digest.hex()} where none belongs")


def reference(digest: bytes) -> object:
    """Give what is packed in place of a big byte string."""
    return msgpack.ExtType(_REFERENCE, digest)


def encode(entry: Entry, spill: Spill = keep) -> bytes:
    """
    Pack one entry.

    Raises:
        ArchiveError: a value in it is not of the type that its field declares, or too big for the format.
    """
    try:
        packed = _ENTRY.encode(entry, spill)
        try:
            return bytes(msgpack.packb(packed, use_bin_type=True))
        except UnicodeEncodeError:
            # lone surrogates are rare, and looking for them costs every word a third of its time
            return bytes(msgpack.packb(packed, use_bin_type=True, unicode_errors="surrogatepass"))
    except (Mismatch, ValueError, OverflowError) as error:
        raise UnwritableError(f"a record can't be written: {type(entry).__name__}: {error}") from error


def decode(raw: bytes, resolve: Resolve, number: int = FORMAT) -> Iterator[Entry]:
    """
    Unpack the entries of a block, one by one. *number* is the format in which they were written.

    Raises:
        ArchiveError: the bytes end within an entry (msgpack itself would stay silent), or hold one that is not of this format.
    """
    unpacker = msgpack.Unpacker(ext_hook=_extension(resolve), max_buffer_size=max(1, len(raw)), **_UNPACKING)
    unpacker.feed(raw)
    while (place := unpacker.tell()) < len(raw):
        try:
            entry = _entry_of(unpacker.unpack(), number)
        except msgpack.OutOfData as error:
            raise ArchiveError(f"the block is cut within the entry at its byte {place}") from error
        except _REFUSALS as error:
            raise _none_of(number, place, error) from error
        yield entry


def decode_one(raw: bytes, resolve: Resolve, number: int = FORMAT) -> Entry:
    """
    Unpack the bytes of one entry: as `decode` would, without the cost of reading on.

    Raises:
        ArchiveError: the bytes are not one entry of this format.
    """
    try:
        return _entry_of(msgpack.unpackb(raw, ext_hook=_extension(resolve), **_UNPACKING), number)
    except _REFUSALS as error:
        raise _none_of(number, 0, error) from error


def raw_entries(raw: bytes, reference_to: Callable[[bytes], object]) -> list[Any]:
    """
    Unpack the entries of a block of the present format, unchecked; what a reference becomes is made by *reference_to*.

    Raises whatever msgpack raises, and `Mismatch`, where the bytes are none: the caller's to tell.
    """
    unpacking = {name: value for name, value in _UNPACKING.items() if name != "object_pairs_hook"}
    unpacker = msgpack.Unpacker(ext_hook=_extension(reference_to), max_buffer_size=max(1, len(raw)), **unpacking)
    unpacker.feed(raw)
    entries = list(unpacker)
    if unpacker.tell() != len(raw):
        raise Mismatch("the block is cut within an entry")
    return entries


def checked(value: Any) -> Entry:
    """
    Make an entry of what `raw_entries` gave, with all that it refers to put in.

    Raises:
        ArchiveError: it is none of this format.
    """
    try:
        return _entry_of(value, FORMAT)
    except _REFUSALS as error:
        raise ArchiveError(f"an entry is none of format {FORMAT}: {error}") from error


def _entry_of(value: Any, number: int) -> Entry:
    if isinstance(value, dict) and (number != FORMAT or value.get("type") == "segment"):
        value = convert_entry(value, number)
    entry: Entry = _ENTRY.decode(value)
    return entry


def _none_of(number: int, place: int, error: Exception) -> ArchiveError:
    return ArchiveError(f"the entry at byte {place} of the block is none of format {number}: {error}")


def _extension(resolve: Callable[[bytes], object]) -> Callable[[int, bytes], object]:
    def extension(code: int, data: bytes) -> object:
        if code != _REFERENCE or len(data) != _DIGEST_BYTES:
            raise Mismatch(f"unknown extension {code}")
        return resolve(data)

    return extension


def entry_ends(raw: bytes) -> list[int]:
    """Give where the entries of a block begin and end: n + 1 offsets for n entries. What is no msgpack ends the list early."""
    unpacker = msgpack.Unpacker(strict_map_key=False, max_buffer_size=max(1, len(raw)))
    unpacker.feed(raw)
    ends = [0]
    with suppress(msgpack.UnpackException, ValueError, RecursionError):
        while ends[-1] < len(raw):
            unpacker.skip()
            ends.append(unpacker.tell())
    return ends


def records_of(entries: list[Entry]) -> list[Record]:
    """
    Take entries that must be records, at least one.

    Raises:
        ArchiveError: there is something else among them, or nothing.
    """
    records = [entry for entry in entries if not isinstance(entry, SegmentHead | Body | Index)]
    if not records or len(records) != len(entries):
        raise ArchiveError("the block holds something else than records")
    return records


def _unique(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise Mismatch("a key stands there twice")
    return table


_REFUSALS: Final = (Mismatch, ValueError, TypeError, msgpack.UnpackException, RecursionError)
_UNPACKING: Final[dict[str, Any]] = {
    "raw": False,
    "use_list": False,
    "strict_map_key": True,
    "unicode_errors": "surrogatepass",
    "object_pairs_hook": _unique,
}
