"""
Writing an archive, one record after the other.

How this works
--------------
Records gather in an open block, which is written as one frame when it holds 64 records or 256 kB, or when its first record is a second old
(a caller whose records come seldom calls `tick()` now and then). Each block goes to the operating system at once, so that a killed recorder
loses at most the open block; the disk itself is waited for in `flush()`, at the end of a segment, and in `seal()`.

A segment that is big or old enough is closed with its index, and the next begun; where that fails, the open one goes on for now. What the
writer holds in memory grows with the blocks of the open segment and the number of closed ones alone. `retain()` takes the oldest closed ones
away and says so in the manifest.

Where there is a *packer*, blocks are compressed beside, in order, and written when they come back, so that whoever appends does not wait for
it; a few blocks more are open then.

A block that can't be written (disk full) is cut off again and its records are lost: that is raised at once, and remembered. Every later
block begins by trying to write gaps of reason `not written` for what was lost, so an archive that could be sealed after all says what it
lacks. Only where the half block can't be cut off, or the disk itself fails in `flush()`, nothing more is taken.
"""

import secrets
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from replay.archive import blocks
from replay.archive import manifest as manifests
from replay.archive.codec import BODY_BYTES, SegmentHead, digest_of, encode, reference
from replay.archive.counts import Tally, events_of
from replay.archive.disk import Disk
from replay.archive.encryption import recipient_ids
from replay.archive.formats import FORMAT
from replay.archive.losses import Losses
from replay.archive.manifest import Dropped, Kind, Manifest, SnapshotFile
from replay.archive.open_segment import OpenSegment, unwritten
from replay.archive.packing import pack_snapshot
from replay.archive.retention import ClosedSegment, Kept, KeptSnapshot, fold
from replay.archive.snapshots import SnapshotError, snapshot_name, snapshot_number
from replay.model import ArchiveError, End, Record, SnapshotRecord

BLOCK_RECORDS_MAX: Final = 64
BLOCK_BYTES_MAX: Final = 256 * 1024
BLOCK_SECONDS_MAX: Final = 1.0
SEGMENT_BYTES_MAX: Final = 256 * 1024 * 1024
SEGMENT_SECONDS_MAX: Final = 3600.0

_PACKED_MAX: Final = 8
"""So many blocks are compressed beside, no more."""

type _Block = list[tuple[Record, bytes]]


class ArchiveWriter:
    """
    Writes one archive, from one thread. As a context manager it closes the files at the end, but does not seal by itself.

    Every method raises `ArchiveError`, which names the file, where the disk refuses. The caller may go on; what was lost is then listed.
    """

    def __init__(
        self,
        path: Path,
        manifest: Manifest,
        *,
        recipients: Sequence[bytes],
        segment_bytes_max: int,
        segment_seconds_max: float,
        clock: Callable[[], float],
        disk: Disk,
        packer: Executor | None = None,
    ) -> None:
        self.path = path
        self._manifest = manifest
        self._recipients = tuple(recipients)
        self._segment_bytes_max = segment_bytes_max
        self._segment_seconds_max = segment_seconds_max
        self._segment_since = clock()
        self._rotate_again_at: float | None = None
        """When a rotation that failed is tried again."""
        self._clock = clock
        self._disk = disk
        self._kept = Kept()
        self._snapshot_names = 0
        self._undeleted: list[Path] = []
        self._open: list[tuple[Record, bytes]] = []
        self._open_bytes = 0
        self._open_since = 0.0
        self._lost = Losses()
        self._end: End | None = None
        self._segment: OpenSegment | None = None
        self._packer = packer
        self._packed: deque[tuple[_Block, bytes, Future[bytes]]] = deque()

    @classmethod
    def create(
        cls,
        path: Path,
        *,
        kind: Kind,
        facts: Mapping[str, Any],
        started_at: float | None = None,
        recipients: Sequence[bytes] = (),
        segment_bytes_max: int = SEGMENT_BYTES_MAX,
        segment_seconds_max: float = SEGMENT_SECONDS_MAX,
        clock: Callable[[], float] = time.monotonic,
        disk: Disk | None = None,
        packer: Executor | None = None,
    ) -> Self:
        """
        Make a new archive: a folder (0700) with an unsealed manifest and an empty first segment.

        *facts* is any JSON and goes into the manifest as it is, in clear: nothing of the traffic belongs there. *started_at* is wall clock,
        now by default; *clock* is in seconds. Where there are *recipients* (X25519 public keys of 32 bytes), everything but the manifest is
        encrypted to each of them. A *packer*, with one thread, compresses beside; it must outlive the writer.

        Raises:
            ArchiveError: there is something at the path already, the facts are no JSON, a recipient is no key, or the disk refuses.
        """
        if kind not in manifests.KINDS:
            raise ArchiveError(f"{path}: no such kind of archive: {kind!r}")
        manifest = Manifest(
            id=secrets.token_hex(16),
            kind=kind,
            started_at=time.time() if started_at is None else started_at,
            tool=_tool(),
            facts={**facts, **({manifests.RECIPIENT_KEYS: [public.hex() for public in dict.fromkeys(recipients)]} if recipients else {})},
            recipients=recipient_ids(recipients),
        )
        manifest.render()
        disk = Disk() if disk is None else disk
        try:
            disk.make_folder(path)
        except FileExistsError:
            raise ArchiveError(f"{path}: there is something already; an archive is never written over") from None
        except OSError as error:
            raise ArchiveError(f"{path}: can't be made: {error.strerror or error}") from error
        writer = cls(
            path,
            manifest,
            recipients=recipients,
            segment_bytes_max=segment_bytes_max,
            segment_seconds_max=segment_seconds_max,
            clock=clock,
            disk=disk,
            packer=packer,
        )
        writer._write_manifest(manifest)
        writer._segment = writer._new_segment(SegmentHead(FORMAT, manifest.id, kind, 1, 0), Tally())
        return writer

    # --- what callers do ---

    def append(self, record: Record) -> None:
        """Add a record. Big bodies go to the disk at once, everything else with its block."""
        self._ready()
        bodies: dict[bytes, bytes] = {}

        def spill(data: bytes) -> object:
            if len(data) <= BODY_BYTES:
                return data
            digest = digest_of(data)
            bodies[digest] = data
            return reference(digest)

        raw = encode(record, spill)
        try:
            if not self._open:
                self._rotate_if_due()
            if bodies:
                self._write_packed(wait=True)
            for digest, data in bodies.items():
                self._ready().write_body(digest, data)
        except ArchiveError:
            self._lost.add(record)
            raise
        if not self._open:
            self._open_since = self._clock()
        self._open.append((record, raw))
        self._open_bytes += len(raw)
        if len(self._open) >= BLOCK_RECORDS_MAX or self._open_bytes >= BLOCK_BYTES_MAX:
            self._close_block()
        else:
            self.tick()

    def tick(self) -> None:
        """Write the open block if its first record is a second old; begin a new segment if the open one is old enough."""
        if not self._open:
            if self._segment is not None:
                self._rotate_if_due()
        elif self._clock() - self._open_since >= BLOCK_SECONDS_MAX:
            self._close_block()
        if self._packed:
            self._write_packed()

    def flush(self) -> None:
        """Write the open block and wait until all is on the disk itself."""
        self._ready()
        self._close_block()
        self._write_packed(wait=True)
        self._ready().settle()

    def note(self, **facts: Any) -> None:
        """Add to the facts of the manifest, or replace some, and write it."""
        self._ready()
        manifest = replace(self._manifest, facts={**self._manifest.facts, **facts})
        manifest.render()
        self._write_manifest(manifest)
        self._manifest = manifest

    def rotate(self) -> None:
        """Close the open segment and begin the next; does nothing where no record is in it yet."""
        self._ready()
        self._close_block()
        self._rotate()

    def retain(self, bytes_max: int | None, seconds_max: float | None, now: float) -> Dropped | None:
        """
        Take whole closed segments away, oldest first, and with them the snapshots that nobody needs any more.

        Those go that were closed longer than *seconds_max* before *now* (wall clock), and as many as make the archive no bigger than
        *bytes_max*. The manifest says what went, before it goes. Gives that, or None where everything is kept.
        """
        self._ready()
        dropped = self._kept.plan(self._ready().length, bytes_max=bytes_max, seconds_max=seconds_max, now=now)
        if dropped is None:
            self._delete([])
            return None
        manifest = replace(self._manifest, dropped=fold([*self._manifest.dropped, dropped]))
        self._write_manifest(manifest)
        self._manifest = manifest
        self._ready().tally.forget_open(dropped.last_segment)
        self._delete(self._kept.forget(dropped))
        return dropped

    def next_snapshot_name(self) -> str:
        """Give the name of a new file in the archive's folder for `pack_snapshot()`; no name is given twice."""
        self._snapshot_names += 1
        return snapshot_name(self._snapshot_names, encrypted=bool(self._recipients))

    def adopt_snapshot(self, record: SnapshotRecord, draft: Path) -> None:
        """
        Take a snapshot that another process packed to a file of the archive's folder, and append its record.

        The digest that the record names is taken at its word: to look at gigabytes would hold the traffic up. `verify()` does.

        Raises:
            SnapshotError: the file is not there, or its name is none that `next_snapshot_name()` gave.
        """
        self._ready()
        number = snapshot_number(draft.name)
        if number is None or draft != self.path / record.file or not 0 < number <= self._snapshot_names:
            raise SnapshotError(f"{draft}: not a snapshot of {self.path} with a name that it gave")
        try:
            size = draft.stat().st_size
        except OSError as error:
            raise SnapshotError(f"{draft}: can't be read: {error.strerror or error}") from error
        if not size:
            raise SnapshotError(f"{draft}: empty")
        self.append(record)
        segment = self._ready().head.number
        self._kept.snapshots.append(KeptSnapshot(number, SnapshotFile(record.file, size, record.digest), record, segment))
        self.flush()

    def add_snapshot(self, directory: Path, *, workspace: str, event_before: int, event_after: int, left_out: Sequence[str]) -> SnapshotRecord:
        """
        Pack a folder, which must be a consistent copy already, beside the segments; append its record and give it.

        What can't be packed (sockets, links out of the tree) is added to *left_out*, in words.

        Raises:
            SnapshotError: the folder can't be packed; that harms nothing that was written, and the writer goes on.
        """
        self._ready()
        name = self.next_snapshot_name()
        try:
            packed = pack_snapshot(directory, self.path / name, recipients=self._recipients, archive_id=self.archive_id, disk=self._disk)
        except SnapshotError:
            self._snapshot_names -= 1
            raise
        record = SnapshotRecord(
            file=name,
            event_before=event_before,
            event_after=event_after,
            workspace=workspace,
            files=packed.files,
            bytes=packed.bytes,
            digest=packed.sha256,
            left_out=(*left_out, *packed.left_out),
        )
        self.adopt_snapshot(record, self.path / name)
        return record

    def seal(self, *, event: int, at: float, reason: str, cut: bool = False) -> None:
        """
        Write the `End` record, the last index, counts and digests. Once sealed, further calls do nothing.

        *cut*: the recorder ended before it could say so, for this reason; what came last may lack, and readers are told.
        """
        if self._manifest.sealed:
            return
        self._ready(ending=True)
        if self._end is None:
            self._close_block()
            self._write_packed(wait=True)
            end = End(event, float(at), reason, cut)
            self._write_block(self._ready(), [(end, encode(end))])
            self._end = end
        segment = self._ready(ending=True)
        last = segment.finish(self._kept.first_segment(segment.head.number), ended=True)
        segments = (*(part.segment for part in self._kept.segments), last)
        counts = Tally(open=segment.tally.open)
        for part in segments:
            counts.include(part.summary)
        manifest = replace(
            self._manifest,
            sealed=True,
            cut=self._end.reason if self._end.cut else None,
            ended_at=self._end.at,
            segments=segments,
            snapshots=tuple(snapshot.file for snapshot in self._kept.snapshots),
            counts=counts.as_json(),
        )
        self._write_manifest(manifest)
        self._manifest = manifest
        self.close()

    @property
    def archive_id(self) -> str:
        """Random, hexadecimal: what segments and snapshots belong to."""
        return self._manifest.id

    @property
    def segment_number(self) -> int:
        """The number of the open segment, from 1."""
        return self._ready().head.number

    @property
    def segment_path(self) -> Path:
        """Where the open segment is."""
        return self._ready().path

    @property
    def sealed(self) -> bool:
        """Whether the archive is complete."""
        return self._manifest.sealed

    @property
    def lost(self) -> int:
        """How many things were lost to failed writes and could not yet be listed as gaps."""
        return len(self._lost)

    def close(self) -> None:
        """Write what is open and let the file go. Without `seal()` the archive stays unsealed."""
        segment = self._segment
        if segment is None:
            return
        try:
            if not segment.stuck and self._end is None:
                self._close_block()
                self._write_packed(wait=True)
        finally:
            self._segment = None
            segment.file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    # --- what they don't ---

    def _ready(self, *, ending: bool = False) -> OpenSegment:
        if self._manifest.sealed:
            raise ArchiveError(f"{self.path}: sealed already; nothing can be added")
        if self._segment is None:
            raise ArchiveError(f"{self.path}: closed already; nothing can be added")
        if self._end is not None and not ending:
            raise ArchiveError(f"{self.path}: its end is written already; nothing can be added")
        if self._segment.stuck:
            raise ArchiveError(f"{self._segment.path}: nothing more is written after the disk failed; use --salvage to read what is whole")
        return self._segment

    def _new_segment(self, head: SegmentHead, tally: Tally) -> OpenSegment:
        return OpenSegment.create(self._disk, self.path, head, self._recipients, tally)

    def _rotate_if_due(self) -> None:
        segment = self._ready()
        now = self._clock()
        due = segment.length >= self._segment_bytes_max or now - self._segment_since >= self._segment_seconds_max
        if not due or (self._rotate_again_at is not None and now < self._rotate_again_at):
            return
        try:
            self._rotate()
        except ArchiveError:
            # Nothing is lost: the open segment goes on, and a disk that is full says so with the next block.
            if segment.stuck:
                raise
            self._rotate_again_at = now + BLOCK_SECONDS_MAX

    def _rotate(self) -> None:
        segment = self._ready()
        self._write_packed(wait=True)
        if len(segment.blocks) == 1:
            # no block but its head
            self._segment_since = self._clock()
            return
        number = segment.head.number
        closed = segment.finish(self._kept.first_segment(number), ended=False)
        length, snapshot = closed.bytes - segment.base, self._kept.newest_snapshot
        head = SegmentHead(FORMAT, self.archive_id, self._manifest.kind, number + 1, length, closed.sha256, snapshot)
        try:
            following = self._new_segment(head, Tally(open=segment.tally.open, segment=number + 1))
        except ArchiveError:
            segment.reopen()
            raise
        segment.file.close()
        self._kept.segments.append(ClosedSegment(number, closed, time.time()))
        self._segment, self._segment_since, self._rotate_again_at = following, self._clock(), None

    def _delete(self, names: Sequence[str]) -> None:
        """Take files away that the manifest says are gone; what the disk refuses is tried again the next time, and readers pass over it."""
        self._undeleted += [self.path / name for name in names]
        left = []
        for path in self._undeleted:
            try:
                self._disk.remove(path)
            except OSError:
                left.append(path)
        self._undeleted = left

    def _close_block(self) -> None:
        """Write what is open, after what has to be said of earlier losses. What can't be written is lost and remembered."""
        segment = self._ready()
        block, self._open, self._open_bytes = self._open, [], 0
        try:
            for gaps in self._lost.batches(BLOCK_RECORDS_MAX):
                self._write_packed(wait=True)
                self._write_block(segment, [(gap, encode(gap)) for gap in gaps])
                self._lost.said(gaps)
            if block and self._packer is not None:
                raw = b"".join(raw for _, raw in block)
                self._packed.append((block, raw, self._packer.submit(blocks.compress, raw)))
            elif block:
                self._write_block(segment, block)
        except ArchiveError:
            self._lose(block)
            raise
        self._write_packed()

    def _write_packed(self, *, wait: bool = False) -> None:
        """Write the blocks that are compressed by now, or with *wait* all. What can't be written is lost and remembered."""
        while self._packed and (wait or len(self._packed) > _PACKED_MAX or self._packed[0][2].done()):
            block, raw, frame = self._packed.popleft()
            try:
                self._write_block(self._ready(ending=True), block, raw, frame.result())
            except ArchiveError:
                self._lose(block)
                raise

    def _lose(self, block: _Block) -> None:
        for record, _ in block:
            self._lost.add(record)

    def _write_block(self, segment: OpenSegment, block: _Block, raw: bytes | None = None, frame: bytes | None = None) -> None:
        events = [number for record, _ in block for run in events_of(record) for number in run]
        joined = b"".join(raw for _, raw in block) if raw is None else raw
        segment.write(joined, "records", records=len(block), events=events, frame=frame)
        for record, _ in block:
            segment.tally.add(record)

    def _write_manifest(self, manifest: Manifest) -> None:
        try:
            self._disk.replace(self.path / manifests.NAME, manifest.render())
        except OSError as error:
            raise unwritten(self.path / manifests.NAME, error) from error


def _tool() -> str:
    try:
        return f"signet-parity {metadata.version('signet-parity')}"
    except metadata.PackageNotFoundError:
        return "signet-parity (not installed)"
