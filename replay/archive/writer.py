"""
Writing an archive, one record after the other.

How this works
--------------
Records gather in an open block, which is written as one zstd frame when it holds 64 records or 256 kB, or when its first record is a
second old (a caller whose records come seldom calls `tick()` now and then). Each block goes to the operating system at once, so that a
killed recorder loses at most the open block; the disk itself is waited for in `flush()` and `seal()`.

A block that can't be written (disk full) is cut off again and its records are lost: that is raised at once, and remembered. Every later
block begins by trying to write gaps of reason `not written` for what was lost, so an archive that could be sealed after all says what it
lacks. Only where the half block can't be cut off, or the disk itself fails in `flush()`, nothing more is taken.
"""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from replay.archive import manifest as manifests
from replay.archive.codec import BODY_BYTES, FORMAT, SegmentHead, digest_of, encode, reference
from replay.archive.counts import Tally, events_of
from replay.archive.disk import Disk
from replay.archive.losses import Losses
from replay.archive.manifest import Kind, Manifest, SnapshotFile
from replay.archive.packing import pack
from replay.archive.segments import OpenSegment
from replay.model import ArchiveError, End, Record, SnapshotRecord

BLOCK_RECORDS_MAX: Final = 64
BLOCK_BYTES_MAX: Final = 256 * 1024
BLOCK_SECONDS_MAX: Final = 1.0
SEGMENT_BYTES_MAX: Final = 256 * 1024 * 1024


class ArchiveWriter:
    """
    Writes one archive, from one thread. As a context manager it closes the files at the end, but does not seal by itself.

    Every method raises `ArchiveError`, which names the file, where the disk refuses. The caller may go on; what was lost is then listed.
    """

    def __init__(self, path: Path, manifest: Manifest, *, segment_bytes_max: int, clock: Callable[[], float], disk: Disk) -> None:
        self.path = path
        self._manifest = manifest
        self._segment_bytes_max = segment_bytes_max
        self._clock = clock
        self._disk = disk
        self._tally = Tally()
        self._snapshots: list[SnapshotFile] = []
        self._closed: list[manifests.Segment] = []
        self._open: list[tuple[Record, bytes]] = []
        self._open_bytes = 0
        self._open_since = 0.0
        self._lost = Losses()
        self._ended = False
        self._segment: OpenSegment | None = None

    @classmethod
    def create(
        cls,
        path: Path,
        *,
        kind: Kind,
        facts: Mapping[str, Any],
        started_at: float | None = None,
        segment_bytes_max: int = SEGMENT_BYTES_MAX,
        clock: Callable[[], float] = time.monotonic,
        disk: Disk | None = None,
    ) -> Self:
        """
        Make a new archive: a folder (0700) with an unsealed manifest and an empty first segment.

        *facts* is any JSON and goes into the manifest as it is. *started_at* is wall clock, now by default; *clock* is in seconds.

        Raises:
            ArchiveError: there is something at the path already, the facts are no JSON, or the disk refuses.
        """
        if kind not in manifests.KINDS:
            raise ArchiveError(f"{path}: no such kind of archive: {kind!r}")
        manifest = Manifest(
            id=secrets.token_hex(16),
            kind=kind,
            started_at=time.time() if started_at is None else started_at,
            tool=_tool(),
            facts=dict(facts),
        )
        manifest.render()
        disk = Disk() if disk is None else disk
        try:
            disk.make_folder(path)
        except FileExistsError:
            raise ArchiveError(f"{path}: there is something already; an archive is never written over") from None
        except OSError as error:
            raise ArchiveError(f"{path}: can't be made: {error.strerror or error}") from error
        writer = cls(path, manifest, segment_bytes_max=segment_bytes_max, clock=clock, disk=disk)
        writer._write_manifest(manifest)
        writer._segment = writer._new_segment(1, 0)
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
                self._rotate_if_full()
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
        """Write the open block if its first record is a second old."""
        if self._open and self._clock() - self._open_since >= BLOCK_SECONDS_MAX:
            self._close_block()

    def flush(self) -> None:
        """Write the open block and wait until all is on the disk itself."""
        self._ready()
        self._close_block()
        self._ready().settle()

    def note(self, **facts: Any) -> None:
        """Add to the facts of the manifest, or replace some, and write it."""
        self._ready()
        manifest = replace(self._manifest, facts={**self._manifest.facts, **facts})
        manifest.render()
        self._write_manifest(manifest)
        self._manifest = manifest

    def add_snapshot(self, directory: Path, *, workspace: str, event_before: int, event_after: int, left_out: Sequence[str]) -> SnapshotRecord:
        """
        Pack a folder, which must be a consistent copy already, beside the segments; append its record and give it.

        What can't be packed (sockets, links out of the tree) is added to *left_out*, in words.
        """
        self._ready()
        name = f"snapshot-{len(self._snapshots) + 1:06}.tar.zst"
        # A folder that can't be packed harms nothing that was written: the writer goes on.
        packed = pack(directory, self.path / name, self._disk)
        self._snapshots.append(SnapshotFile(name, packed.file_bytes, packed.sha256))
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
        self.append(record)
        self.flush()
        return record

    def seal(self, *, event: int, at: float, reason: str) -> None:
        """Write the `End` record, the index of blocks, counts and digests. Once sealed, further calls do nothing."""
        if self._manifest.sealed:
            return
        self._ready()
        self._close_block()
        if not self._ended:
            self._ready().write(encode(End(event, at, reason)), "records", records=1, events=[event])
            self._tally.add(End(event, at, reason))
            self._ended = True
        segment = self._ready()
        segment.settle()
        manifest = replace(
            self._manifest,
            sealed=True,
            ended_at=float(at),
            segments=(*self._closed, segment.index()),
            snapshots=tuple(self._snapshots),
            counts=self._tally.as_json(),
        )
        self._write_manifest(manifest)
        self._manifest = manifest
        self.close()

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
            if not segment.stuck and not self._manifest.sealed:
                self._close_block()
        finally:
            self._segment = None
            segment.file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    # --- what they don't ---

    def _ready(self) -> OpenSegment:
        if self._manifest.sealed:
            raise ArchiveError(f"{self.path}: sealed already; nothing can be added")
        if self._segment is None:
            raise ArchiveError(f"{self.path}: closed already; nothing can be added")
        if self._segment.stuck:
            raise ArchiveError(f"{self._segment.path}: nothing more is written after the disk failed; use --salvage to read what is whole")
        return self._segment

    def _new_segment(self, number: int, previous_bytes: int) -> OpenSegment:
        return OpenSegment.create(self._disk, self.path, SegmentHead(FORMAT, self._manifest.id, self._manifest.kind, number, previous_bytes))

    def _rotate_if_full(self) -> None:
        segment = self._ready()
        if segment.length < self._segment_bytes_max:
            return
        segment.settle()
        following = self._new_segment(len(self._closed) + 2, segment.length)
        segment.file.close()
        self._closed.append(segment.index())
        self._segment = following

    def _close_block(self) -> None:
        """Write what is open, after what has to be said of earlier losses. What can't be written is lost and remembered."""
        segment = self._ready()
        block, self._open, self._open_bytes = self._open, [], 0
        try:
            for gaps in self._lost.batches(BLOCK_RECORDS_MAX):
                self._write_block(segment, [(gap, encode(gap)) for gap in gaps])
                self._lost.said(gaps)
            if block:
                self._write_block(segment, block)
        except ArchiveError:
            for record, _ in block:
                self._lost.add(record)
            raise

    def _write_block(self, segment: OpenSegment, block: list[tuple[Record, bytes]]) -> None:
        events = [number for record, _ in block for run in events_of(record) for number in run]
        segment.write(b"".join(raw for _, raw in block), "records", records=len(block), events=events)
        for record, _ in block:
            self._tally.add(record)

    def _write_manifest(self, manifest: Manifest) -> None:
        try:
            self._disk.replace(self.path / manifests.NAME, manifest.render())
        except OSError as error:
            raise ArchiveError(
                f"{self.path / manifests.NAME}: can't be written: {error.strerror or error}; what was written before can be read with --salvage"
            ) from error


def _tool() -> str:
    try:
        return f"signet-parity {metadata.version('signet-parity')}"
    except metadata.PackageNotFoundError:
        return "signet-parity (not installed)"
