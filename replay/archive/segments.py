"""Segment files: how they are called, how one is read by its index, and the writer's hand on the one that is being written."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from replay.archive import blocks
from replay.archive.codec import Body, SegmentHead, decode, digest_of, encode
from replay.archive.disk import Disk
from replay.archive.manifest import Block, Holds, Segment
from replay.model import ArchiveError, Record

_NAME: Final = re.compile(r"segment-[0-9]{6}\.msgpack\.zst(\.enc)?")


def segment_name(number: int) -> str:
    """Name the n-th segment, from 1."""
    return f"segment-{number:06}.msgpack.zst"


def segment_files(folder: Path) -> list[Path]:
    """
    Give the segments of an archive, in order.

    Raises:
        ArchiveError: one is encrypted, or no file.
    """
    found = sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))
    for path in found:
        if path.suffix == ".enc":
            raise ArchiveError(f"{path}: encrypted; this version of signet-parity can't read encrypted archives")
        if path.exists() and not path.is_file():
            raise ArchiveError(f"{path}: can't be read: no file (a folder, or a pipe that may never end)")
    return found


def is_segment(name: str) -> bool:
    """Whether a file is called like a segment, encrypted or not."""
    return _NAME.fullmatch(name) is not None


def open_segment(path: Path) -> BinaryIO:
    """
    Open a segment for reading.

    Raises:
        ArchiveError: it can't be opened.
    """
    try:
        return path.open("rb")
    except OSError as error:
        raise ArchiveError(f"{path}: can't be read: {error.strerror or error}") from error


def read_segment(path: Path, segment: Segment) -> Iterator[Record]:
    """
    Give the records of a segment by its index, one by one.

    Raises:
        ArchiveError: a block is not the one that was sealed (while iterating).
    """
    places = {bytes.fromhex(block.body): block for block in segment.blocks if block.body is not None}
    with open_segment(path) as file:
        bodies = Bodies(file, places)
        for block in segment.blocks:
            if block.holds != "records":
                continue
            found = 0
            try:
                for entry in decode(read_block(file, block), bodies.content):
                    if isinstance(entry, SegmentHead | Body):
                        raise ArchiveError("something else than records is in it")  # noqa: TRY301 - gets its place below
                    found += 1
                    yield entry
                if found != block.records:
                    raise ArchiveError(f"{found} records where {block.records} were written")  # noqa: TRY301 - same
            except ArchiveError as error:
                raise ArchiveError(f"{path}: the block at byte {block.offset}: {error}") from error


def block_is_whole(file: BinaryIO, block: Block) -> bool:
    """Whether the bytes at a block's place are those that the index names."""
    try:
        return hashlib.sha256(_fetch(file, block)).hexdigest() == block.sha256
    except ArchiveError:
        return False


class Bodies:
    """The big bodies of one segment, fetched when asked for; the last one is kept, because equal ones come in a row."""

    def __init__(self, file: BinaryIO, places: Mapping[bytes, Block]) -> None:
        self._file = file
        self._places = places
        self._last: tuple[bytes, bytes] = (b"", b"")

    def content(self, digest: bytes) -> bytes:
        """
        Give the content that a digest names.

        Raises:
            ArchiveError: it is not in the segment, or damaged.
        """
        if self._last[0] != digest:
            place = self._places.get(digest)
            if place is None:
                raise ArchiveError(f"the body {digest.hex()} is not in the segment")
            entries = list(decode(read_block(self._file, place), self.content))
            if len(entries) != 1 or not isinstance(entries[0], Body) or digest_of(entries[0].data) != digest:
                raise ArchiveError(f"the body {digest.hex()} is damaged")
            self._last = (digest, entries[0].data)
        return self._last[1]


def read_block(file: BinaryIO, block: Block) -> bytes:
    """
    Give what a block holds, unpacked.

    Raises:
        ArchiveError: it is not the block that the index names.
    """
    frame = _fetch(file, block)
    if hashlib.sha256(frame).hexdigest() != block.sha256:
        raise ArchiveError("damaged: its digest is not the one in the index")
    return blocks.decompress(frame)


def _fetch(file: BinaryIO, block: Block) -> bytes:
    try:
        file.seek(block.offset)
        return file.read(block.length)
    except (OSError, ValueError, OverflowError) as error:
        raise ArchiveError(f"can't be read: {error}") from error


@dataclass(slots=True)
class OpenSegment:
    """The segment that is being written. A block that could not be written is cut off again, so that whole blocks stand there."""

    disk: Disk
    path: Path
    file: BinaryIO
    length: int = 0
    blocks: list[Block] = field(default_factory=list)
    bodies: set[bytes] = field(default_factory=set)
    """Digests of the big bodies that are in it."""
    stuck: bool = False
    """A half-written block could not be cut off again, or the disk lost what it had taken: nothing may follow."""

    @classmethod
    def create(cls, disk: Disk, folder: Path, head: SegmentHead) -> "OpenSegment":
        """
        Make a new segment with its head.

        Raises:
            ArchiveError: it can't be written.
        """
        path = folder / segment_name(head.number)
        try:
            file = disk.create(path)
        except OSError as error:
            raise _unwritten(path, error) from error
        segment = cls(disk, path, file)
        try:
            segment.write(encode(head), "head")
        except ArchiveError:
            file.close()
            disk.remove(path)
            raise
        return segment

    def write(self, raw: bytes, holds: Holds, *, records: int = 0, events: Sequence[int] = (), body: bytes | None = None) -> None:
        """
        Append one block. *events* are the event numbers in it, *body* the digest of what it holds.

        Raises:
            ArchiveError: it can't be written; the file ends with the block before, if the disk allows that much.
        """
        frame = blocks.compress(raw)
        try:
            self.disk.append(self.file, frame)
        except OSError as error:
            self._cut_back()
            raise _unwritten(self.path, error) from error
        self.blocks.append(
            Block(
                offset=self.length,
                length=len(frame),
                sha256=hashlib.sha256(frame).hexdigest(),
                holds=holds,
                records=records,
                first_event=min(events, default=None),
                last_event=max(events, default=None),
                body=body.hex() if body is not None else None,
            )
        )
        self.length += len(frame)

    def write_body(self, digest: bytes, data: bytes) -> None:
        """
        Store a big body once, in a block of its own.

        Raises:
            ArchiveError: it can't be written.
        """
        if digest not in self.bodies:
            self.write(encode(Body(data)), "body", body=digest)
            self.bodies.add(digest)

    def settle(self) -> None:
        """
        Wait until what was written is on the disk itself.

        Raises:
            ArchiveError: the disk refuses.
        """
        try:
            self.disk.settle(self.file)
        except OSError as error:
            # After a failed fsync the system may have dropped what it took, and says so only once.
            self.stuck = True
            raise _unwritten(self.path, error) from error

    def index(self) -> Segment:
        """Give what the manifest says of it."""
        return Segment(self.path.name, self.length, tuple(self.blocks))

    def _cut_back(self) -> None:
        try:
            self.disk.shorten(self.file, self.length)
        except OSError:
            # The half block stays; a salvage ignores it, and the writer writes no more.
            self.stuck = True


def _unwritten(path: Path, error: OSError) -> ArchiveError:
    return ArchiveError(
        f"{path}: can't be written: {error.strerror or error}; what was written before can be read with --salvage",
    )
