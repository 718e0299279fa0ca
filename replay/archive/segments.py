"""
Segment files: how they are called, and how one is read.

How this works
--------------
`SegmentFile` is one segment, open for reading, encrypted or not. By its index it gives any block, whose digest must agree; by walking it
gives its blocks from the start, up to the first thing that is none. The index is the last block; the trailer behind it says where.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

from replay.archive import blocks
from replay.archive.blocks import Frame, Tail
from replay.archive.codec import Body, SegmentHead, decode, digest_of, entry_ends, no_bodies
from replay.archive.encryption import BLOCK_BYTES_MAX, FRAME, Cipher, KeyHeader, open_cipher, read_header
from replay.archive.formats import FORMAT
from replay.archive.index import Block, Index, check_row
from replay.archive.keyring import Keyring
from replay.archive.manifest import Segment
from replay.archive.shapes import Mismatch
from replay.model import ArchiveError, Record

_NAME: Final = re.compile(r"segment-([0-9]{6,})\.msgpack\.zst(\.enc)?")
_ENCRYPTED: Final = ".enc"


def segment_name(number: int, *, encrypted: bool = False) -> str:
    """Name the n-th segment, from 1."""
    return f"segment-{number:06}.msgpack.zst{_ENCRYPTED if encrypted else ''}"


def segment_number(name: str) -> int | None:
    """Give the number in a segment's name; None where it is none."""
    found = _NAME.fullmatch(name)
    return int(found[1]) if found else None


def segment_files(folder: Path) -> list[Path]:
    """
    Give the segments of an archive, in order.

    Raises:
        ArchiveError: one is no file, or is there twice.
    """
    found = sorted((number, path) for path in folder.iterdir() if (number := segment_number(path.name)) is not None)
    for _, path in found:
        if path.exists() and not path.is_file():
            raise ArchiveError(f"{path}: can't be read: no file (a folder, or a pipe that may never end)")
    numbers = [number for number, _ in found]
    if len(set(numbers)) != len(numbers):
        raise ArchiveError(f"{folder}: a segment is there twice, encrypted and not")
    return [path for _, path in found]


class SegmentFile:
    """One segment, open for reading."""

    def __init__(self, path: Path, file: BinaryIO, number: int, header: tuple[Cipher, int, str] | None) -> None:
        self.path = path
        self.number = number
        self._file = file
        self.cipher = header[0] if header else None
        self._base = header[1] if header else 0
        self.key_header = header[2] if header else None
        """Digest of the header with its keys."""
        self.length = file.seek(0, 2) - self._base
        """Without that header."""

    @classmethod
    def open(cls, path: Path, keys: Keyring, archive: str | None, number: int = FORMAT) -> Self:
        """
        Open a segment of an archive, written in the format with this number. *archive*: its id, where it is known.

        Raises:
            LockedError: it is encrypted, and none of the keys opens it.
            ArchiveError: it can't be opened, or does not belong there.
        """
        try:
            file = path.open("rb")
        except OSError as error:
            raise ArchiveError(f"{path}: can't be read: {error.strerror or error}") from error
        try:
            return cls(path, file, number, _unlock(path, file, keys, archive) if path.suffix == _ENCRYPTED else None)
        except ArchiveError as error:
            file.close()
            raise type(error)(f"{path}: {error}") from error
        except OSError as error:
            file.close()
            raise ArchiveError(f"{path}: can't be read: {error.strerror or error}") from error

    def fetch(self, offset: int, length: int) -> bytes:
        """
        Give bytes as they lie there, fewer where it ends before.

        Raises:
            ArchiveError: they can't be read.
        """
        try:
            self._file.seek(self._base + offset)
            return self._file.read(length)
        except (OSError, ValueError, OverflowError) as error:
            raise ArchiveError(f"can't be read: {error}") from error

    def read(self, block: Block) -> bytes:
        """
        Give what a block holds, unpacked.

        Raises:
            ArchiveError: it is not the block that the index names.
        """
        stored = self.fetch(block.offset, block.length)
        if hashlib.sha256(stored).hexdigest() != block.sha256:
            raise ArchiveError("damaged: its digest is not the one in the index")
        if self.cipher is None:
            return blocks.decompress(stored)
        found = self.cipher.open(block.number, stored)
        if (found.holds, found.last) != (block.holds, block.holds == "index"):
            raise ArchiveError("not the block that the index names")
        return blocks.decompress(found.data)

    def is_whole(self, block: Block) -> bool:
        """Whether the bytes at a block's place are those that the index names."""
        try:
            return hashlib.sha256(self.fetch(block.offset, block.length)).hexdigest() == block.sha256
        except ArchiveError:
            return False

    def index(self) -> tuple[Block, Index]:
        """
        Read the index: the block that it is in, and what it says.

        Raises:
            ArchiveError: there is none, or it is damaged or can't be true.
        """
        place = blocks.index_place(self.fetch(max(0, self.length - blocks.TRAILER_BYTES), blocks.TRAILER_BYTES))
        end = self.length - blocks.TRAILER_BYTES
        if place is None or not 0 < place < end:
            raise ArchiveError(f"{self.path}: cut: its end is not there")
        stored = self.fetch(place, end - place)
        digest = hashlib.sha256(stored).hexdigest()
        try:
            if self.cipher is None:
                entries = list(decode(blocks.decompress(stored), no_bodies, self.number))
                count = -1
            else:
                # the number of the last block is not known before it is open: the blocks before it are counted
                count = self._count(place)
                found = self.cipher.open(count, stored)
                if (found.holds, found.last) != ("index", True):
                    raise ArchiveError("not an end")  # noqa: TRY301 - gets its place below
                entries = list(decode(blocks.decompress(found.data), no_bodies, self.number))
            if len(entries) != 1 or not isinstance(entries[0], Index):
                raise ArchiveError("no index where it should be")  # noqa: TRY301 - same
            index = entries[0]
            check_row(index.blocks, place)
            if count not in {-1, len(index.blocks)}:
                raise ArchiveError("not all blocks are in it")  # noqa: TRY301 - same
        except (ArchiveError, Mismatch) as error:
            raise ArchiveError(f"{self.path}: its index is damaged: {error}") from error
        return Block(place, len(stored), digest, "index", number=len(index.blocks)), index

    def walk(self) -> Iterator[tuple[Frame, Block] | Tail]:
        """Give each whole block from the start; where something else follows than the end, a `Tail` comes last."""
        self._file.seek(self._base)
        for number, found in enumerate(blocks.walk(self._file) if self.cipher is None else self._walk_encrypted(self.cipher)):
            if isinstance(found, Tail):
                yield found
                return
            yield found, Block(found.offset, found.length, found.sha256, "records", number=number)

    def close(self) -> None:
        """Let the file go."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _walk_encrypted(self, cipher: Cipher) -> Iterator[Frame | Tail]:
        offset, number, ended = 0, 0, False
        while offset < self.length:
            rest = self.length - offset
            if ended and rest == blocks.TRAILER_BYTES and blocks.index_place(self.fetch(offset, rest)) is not None:
                return
            _, length = FRAME.unpack(self.fetch(offset, FRAME.size)) if rest >= FRAME.size else (0, BLOCK_BYTES_MAX)
            if ended or length > BLOCK_BYTES_MAX or FRAME.size + length > rest:
                yield Tail(offset, "a half-written block")
                return
            stored = self.fetch(offset, FRAME.size + length)
            try:
                found = cipher.open(number, stored)
                if found.last != (found.holds == "index"):
                    raise ArchiveError("an end that is none")  # noqa: TRY301 - the same end as any other damage
                raw = blocks.decompress(found.data)
            except ArchiveError as error:
                yield Tail(offset, str(error))
                return
            yield Frame(offset, len(stored), hashlib.sha256(stored).hexdigest(), raw)
            ended = found.last
            offset += len(stored)
            number += 1

    def _count(self, end: int) -> int:
        """Count the encrypted blocks before an offset by their frames."""
        offset = count = 0
        while offset < end:
            begin = self.fetch(offset, FRAME.size)
            if len(begin) < FRAME.size:
                break
            offset += FRAME.size + FRAME.unpack(begin)[1]
            count += 1
        return count


def _unlock(path: Path, file: BinaryIO, keys: Keyring, archive: str | None) -> tuple[Cipher, int, str]:
    header, base, digest = read_header(file)
    if not belongs(header, path, archive):
        raise ArchiveError("it belongs to another archive, or elsewhere in this one")
    return open_cipher(header, keys), base, digest


def belongs(header: KeyHeader, path: Path, archive: str | None) -> bool:
    """Whether a header is that of the segment at a path."""
    return header.what == "segment" and header.number == segment_number(path.name) and archive in {None, header.archive}


def load_index(file: SegmentFile, segment: Segment, archive: str) -> Sequence[Block]:
    """
    Give the blocks of a segment that is listed.

    Raises:
        ArchiveError: its index is not the one that was sealed.
    """
    if segment.blocks is not None:
        return segment.blocks
    place, index = file.index()
    if (place.offset, place.sha256) != (segment.index, segment.sha256) or segment.key_header != file.key_header:
        raise ArchiveError(f"{file.path}: damaged: its index is not the one that was sealed")
    if index.archive != archive or index.number != segment_number(file.path.name):
        raise ArchiveError(f"{file.path}: it belongs to another archive, or elsewhere in this one")
    return index.blocks


def read_segment(file: SegmentFile, places: Sequence[Block]) -> Iterator[Record]:
    """
    Give the records of a segment, one by one.

    Raises:
        ArchiveError: a block is not the one that was sealed (while iterating).
    """
    bodies = bodies_of(file, places)
    for block in places:
        if block.holds == "records":
            for _, _, record in read_block(file, block, bodies):
                yield record


def read_block(file: SegmentFile, block: Block, bodies: "Bodies") -> Iterator[tuple[int, int, Record]]:
    """
    Give the records of a block, each with where it begins and ends in what the block holds, unpacked.

    Raises:
        ArchiveError: it is not the block that was sealed (while iterating).
    """
    found = 0
    try:
        raw = file.read(block)
        ends = entry_ends(raw)
        for entry in decode(raw, bodies.content, file.number):
            if isinstance(entry, SegmentHead | Body | Index):
                raise ArchiveError("something else than records is in it")  # noqa: TRY301 - gets its place below
            yield ends[found], ends[found + 1], entry
            found += 1
        if found != block.records:
            raise ArchiveError(f"{found} records where {block.records} were written")  # noqa: TRY301 - same
    except ArchiveError as error:
        raise ArchiveError(f"{file.path}: the block at byte {block.offset}: {error}") from error


def bodies_of(file: SegmentFile, places: Sequence[Block]) -> "Bodies":
    """Give the big bodies of a segment."""
    return Bodies(file, {bytes.fromhex(block.body): block for block in places if block.body is not None})


def read_head(file: SegmentFile, places: Sequence[Block]) -> SegmentHead:
    """
    Give the first entry of a segment.

    Raises:
        ArchiveError: it is not whole.
    """
    try:
        entries = list(decode(file.read(places[0]), no_bodies, file.number)) if places else []
    except ArchiveError as error:
        raise ArchiveError(f"{file.path}: its head: {error}") from error
    if len(entries) != 1 or not isinstance(entries[0], SegmentHead):
        raise ArchiveError(f"{file.path}: it does not begin with its head")
    return entries[0]


@dataclass(slots=True)
class Bodies:
    """The big bodies of one segment, fetched when asked for; the last one is kept, because equal ones come in a row."""

    file: SegmentFile
    places: Mapping[bytes, Block]
    last: tuple[bytes, bytes] = (b"", b"")

    def content(self, digest: bytes) -> bytes:
        """
        Give the content that a digest names.

        Raises:
            ArchiveError: it is not in the segment, or damaged.
        """
        if self.last[0] != digest:
            place = self.places.get(digest)
            if place is None:
                raise ArchiveError(f"the body {digest.hex()} is not in the segment")
            entries = list(decode(self.file.read(place), no_bodies, self.file.number))
            if len(entries) != 1 or not isinstance(entries[0], Body) or digest_of(entries[0].data) != digest:
                raise ArchiveError(f"the body {digest.hex()} is damaged")
            self.last = (digest, entries[0].data)
        return self.last[1]
