"""The writer's hand on the segment that is being written."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from replay.archive import blocks
from replay.archive.codec import Body, SegmentHead, encode
from replay.archive.counts import Tally
from replay.archive.disk import Disk
from replay.archive.encryption import Cipher, new_cipher
from replay.archive.index import Block, Holds, Index
from replay.archive.manifest import Segment
from replay.archive.segments import segment_name
from replay.model import ArchiveError


@dataclass(slots=True)
class OpenSegment:
    """The segment that is being written. A block that could not be written is cut off again, so that whole blocks stand there."""

    disk: Disk
    path: Path
    head: SegmentHead
    file: BinaryIO
    tally: Tally
    cipher: Cipher | None = None
    base: int = 0
    """How long the header with its keys is."""
    key_header: str | None = None
    length: int = 0
    """Without that header."""
    blocks: list[Block] = field(default_factory=list)
    bodies: set[bytes] = field(default_factory=set)
    """Digests of the big bodies that are in it."""
    closed: Segment | None = None
    """What the manifest says of it, once its index is written: nothing may follow."""
    stuck: bool = False
    """A half-written block could not be cut off again, or the disk lost what it had taken: nothing may follow."""

    @classmethod
    def create(cls, disk: Disk, folder: Path, head: SegmentHead, recipients: Sequence[bytes], tally: Tally) -> "OpenSegment":
        """
        Make a new segment with its head, encrypted where there are recipients.

        Raises:
            ArchiveError: it can't be written.
        """
        path = folder / segment_name(head.number, encrypted=bool(recipients))
        cipher = new_cipher(recipients, head.archive, "segment", head.number) if recipients else None
        header = b"" if cipher is None else cipher.header.render()
        try:
            file = disk.create(path)
        except OSError as error:
            raise unwritten(path, error) from error
        digest = hashlib.sha256(header).hexdigest() if header else None
        segment = cls(disk, path, head, file, tally, cipher, len(header), digest)
        try:
            if header:
                disk.append(file, header)
            segment.write(encode(head), "head")
        except (ArchiveError, OSError) as error:
            file.close()
            disk.remove(path)
            raise error if isinstance(error, ArchiveError) else unwritten(path, error) from error
        return segment

    def write(
        self,
        raw: bytes,
        holds: Holds,
        *,
        records: int = 0,
        events: Sequence[int] = (),
        body: bytes | None = None,
        frame: bytes | None = None,
    ) -> None:
        """
        Append one block. *events* are the event numbers in it, *body* the digest of what it holds, *frame* what it is packed, if it is.

        Raises:
            ArchiveError: it can't be written; the file ends with the block before, if the disk allows that much.
        """
        stored = self._stored(raw, holds, frame)
        self._append(stored)
        self.blocks.append(
            Block(
                offset=self.length,
                length=len(stored),
                sha256=hashlib.sha256(stored).hexdigest(),
                holds=holds,
                number=len(self.blocks),
                records=records,
                first_event=min(events, default=None),
                last_event=max(events, default=None),
                body=body.hex() if body is not None else None,
            )
        )
        self.length += len(stored)

    def write_body(self, digest: bytes, data: bytes) -> None:
        """
        Store a big body once, in a block of its own.

        Raises:
            ArchiveError: it can't be written.
        """
        if digest not in self.bodies:
            self.write(encode(Body(data)), "body", body=digest)
            self.bodies.add(digest)

    def finish(self, first_segment: int, *, ended: bool) -> Segment:
        """
        Write the index and wait for the disk; done once. *ended*: the archive ends with it.

        Raises:
            ArchiveError: it can't be written; it may be tried again.
        """
        if self.closed is not None:
            return self.closed
        summary = self.tally.summary()
        index = Index(self.head.archive, self.head.number, first_segment, ended, summary, tuple(self.blocks))
        stored = self._stored(encode(index), "index")
        end = stored + blocks.trailer(self.length)
        self._append(end)
        self.settle()
        digest = hashlib.sha256(stored).hexdigest()
        self.closed = Segment(self.path.name, self.base + self.length + len(end), self.length, digest, self.key_header, summary)
        return self.closed

    def reopen(self) -> None:
        """Take the index off again: the segment that should follow could not be made."""
        self.closed = None
        self._cut_back()

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
            raise unwritten(self.path, error) from error

    def _stored(self, raw: bytes, holds: Holds, frame: bytes | None = None) -> bytes:
        frame = blocks.compress(raw) if frame is None else frame
        return frame if self.cipher is None else self.cipher.seal(len(self.blocks), holds, frame, last=holds == "index")

    def _append(self, stored: bytes) -> None:
        try:
            self.disk.append(self.file, stored)
        except OSError as error:
            self._cut_back()
            raise unwritten(self.path, error) from error

    def _cut_back(self) -> None:
        try:
            self.disk.shorten(self.file, self.base + self.length)
        except OSError:
            # The half block stays; a salvage ignores it, and the writer writes no more.
            self.stuck = True


def unwritten(path: Path, error: OSError) -> ArchiveError:
    """Say that the disk refused."""
    return ArchiveError(
        f"{path}: can't be written: {error.strerror or error}; what was written before can be read with --salvage",
    )
