"""
Reading an archive.

How this works
--------------
A sealed archive brings its index of blocks. Opening it looks at the files' sizes only; each block's digest is checked when the block is
read, so that a big archive opens at once and a damaged one never gives a wrong record. An archive without an index (unsealed, or with a
damaged manifest) is walked frame by frame from the start: what is whole is given with `salvage`, and without it only counted, so that the
refusal can say what is there.

Big bodies are fetched from their own block when a record that refers to them is unpacked; one is kept in memory, no more.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from replay.archive.extraction import Extraction, Limits, extract
from replay.archive.joining import Joined, join
from replay.archive.manifest import NAME, Manifest, NewerFormatError, Segment, digest_of_blocks, load
from replay.archive.salvaging import Salvage, scan
from replay.archive.segments import block_is_whole, is_segment, open_segment, read_segment, segment_files
from replay.model import ArchiveError, Binding, DaemonRecord, Exchange, Gap, Record, SnapshotRecord, Wait


@dataclass(frozen=True, slots=True)
class Archive:
    """An opened archive. Its records are read from disk each time they are asked for."""

    path: Path
    manifest: dict[str, Any]
    """All that `manifest.json` says; in a salvaged archive what could be found out."""
    id: str
    kind: str
    """`recording` or `observed`."""
    salvaged: bool
    facts: dict[str, Any]
    digest: str
    """SHA-256 over the digests of its blocks: the same for the same content."""
    damage: tuple[str, ...]
    """Why it was salvaged, and what had to be left, in words; empty where it is whole."""
    lost_events: tuple[tuple[int, int], ...]
    """Runs of event numbers in which a salvage found damaged blocks, first and last; empty otherwise."""
    segments: tuple[Segment, ...] = field(repr=False)

    def records(self) -> Iterator[Record]:
        """
        Give every record in the order in which it was written, block by block.

        Raises:
            ArchiveError: a block is damaged or gone (while iterating).
        """
        for segment in self.segments:
            yield from read_segment(self.path / segment.file, segment)

    def join(self) -> Joined:
        """Read all records once and give the exchanges and the gaps. Raises as `records()` does."""
        try:
            return join(self.records(), self.lost_events)
        except ArchiveError as error:
            raise error if str(error).startswith(str(self.path)) else ArchiveError(f"{self.path}: {error}") from error

    def exchanges(self) -> list[Exchange]:
        """Give all whole exchanges, ordered by id. Raises as `records()` does."""
        return list(self.join().exchanges)

    def gaps(self) -> list[Gap]:
        """Give what is listed as missing, and what was opened and has no end. Raises as `records()` does."""
        return list(self.join().gaps)

    def bindings(self) -> list[Binding]:
        """Give the ids that were bound, in the order of their birth."""
        return [record for record in self.records() if isinstance(record, Binding)]

    def waits(self) -> list[Wait]:
        """Give the waits for background work."""
        return [record for record in self.records() if isinstance(record, Wait)]

    def daemon_records(self) -> list[DaemonRecord]:
        """Give the life of the replayed daemon."""
        return [record for record in self.records() if isinstance(record, DaemonRecord)]

    def snapshots(self) -> list[SnapshotRecord]:
        """Give the snapshots, in order; the first has number 1."""
        return [record for record in self.records() if isinstance(record, SnapshotRecord)]

    def extract_snapshot(self, number: int, destination: Path, limits: Limits | None = None) -> Extraction:
        """
        Unpack a snapshot (from 1) to a new folder, and say what was dropped.

        Raises:
            ArchiveError: there is no such snapshot, it is damaged, or it asks for what is refused; then nothing is left.
        """
        found = self.snapshots()
        if not 1 <= number <= len(found):
            raise ArchiveError(f"{self.path}: no snapshot {number}; it holds {len(found)}")
        record = found[number - 1]
        if Path(record.file).name != record.file:
            raise ArchiveError(f"{self.path}: snapshot {number} names a file outside the archive")
        path = self.path / record.file
        if file_digest(path) != record.digest:
            raise ArchiveError(f"{path}: damaged; it is not the snapshot that was recorded")
        return extract(path, destination, Limits() if limits is None else limits)

    def unpack_snapshot(self, number: int, destination: Path) -> Path:
        """Unpack a snapshot (from 1) to a new folder and give the folder. Raises as `extract_snapshot()` does."""
        return self.extract_snapshot(number, destination).root


def read(path: Path, *, salvage: bool = False) -> Archive:
    """
    Open an archive.

    An unsealed, cut or damaged one is an error that says what is there. With *salvage*, exactly its whole blocks are given and
    `Archive.salvaged` is true; an archive that is sealed and whole is given as it is, also then.

    Raises:
        ArchiveError: there is no archive, it is damaged, foreign, encrypted, or newer than this tool.
    """
    files = find_segments(path)
    manifest, trouble = None, ""
    try:
        manifest = load(path)
        trouble = trouble_with(path, manifest, files, every_block=salvage)
        if not trouble:
            return _sealed(path, manifest)
    except NewerFormatError:
        raise
    except ArchiveError as error:
        if not files:
            raise
        trouble = str(error)
    found = scan(path, files, manifest)
    if salvage:
        return _salvaged(path, found, trouble)
    raise ArchiveError(f"{trouble} ({found.words()}); use --salvage to read what is whole")


def is_archive(path: Path) -> bool:
    """Whether a folder is an archive, whole or not; never raises."""
    try:
        return path.is_dir() and (_has_manifest(path) or any(is_segment(entry.name) for entry in path.iterdir()))
    except OSError:
        return False


def find_segments(path: Path) -> list[Path]:
    """
    Give the segments of an archive, in order; empty where only a manifest is there.

    Raises:
        ArchiveError: there is no archive, or an encrypted one.
    """
    try:
        if not path.is_dir():
            what = "a file; an archive is a folder (`signet-parity import` makes one of a .mitm)" if path.exists() else "not there"
            raise ArchiveError(f"{path}: {what}")
        files = segment_files(path)
        if not files and not (path / NAME).exists():
            raise ArchiveError(f"{path}: not an archive: neither {NAME} nor a segment is in it")
    except OSError as error:
        raise ArchiveError(f"{path}: can't be read: {error.strerror or error}") from error
    return files


def trouble_with(path: Path, manifest: Manifest, files: list[Path], *, every_block: bool) -> str:
    """
    Say what keeps an archive from being read as a sealed one; empty where nothing does.

    Looks at the files' sizes, and with *every_block* at every digest too.
    """
    if not manifest.sealed:
        return f"{path}: not sealed: recorder killed, or still running?"
    listed = {segment.file: segment for segment in manifest.segments}
    for name in sorted({file.name for file in files} ^ listed.keys()):
        return f"{path / name}: {'missing' if name in listed else 'not listed in the sealed manifest'}"
    sizes = [*((entry.file, entry.bytes) for entry in manifest.segments), *((entry.file, entry.bytes) for entry in manifest.snapshots)]
    for name, sealed in sizes:
        try:
            size = (path / name).stat().st_size
        except OSError as error:
            return f"{path / name}: can't be read: {error.strerror}"
        if size != sealed:
            return f"{path / name}: {'cut' if size < sealed else 'grown'}: {size} bytes where {sealed} were sealed"
    if every_block:
        for segment in manifest.segments:
            with open_segment(path / segment.file) as file:
                for block in segment.blocks:
                    if not block_is_whole(file, block):
                        return f"{path / segment.file}: the block at byte {block.offset} is damaged"
    return ""


def _has_manifest(path: Path) -> bool:
    try:
        load(path)
    except NewerFormatError:
        return True
    except ArchiveError:
        return False
    return True


def _sealed(path: Path, manifest: Manifest) -> Archive:
    return Archive(
        path=path,
        manifest=manifest.as_json(),
        id=manifest.id,
        kind=manifest.kind,
        salvaged=False,
        facts=dict(manifest.facts),
        digest=digest_of_blocks(manifest.segments),
        damage=(),
        lost_events=(),
        segments=manifest.segments,
    )


def _salvaged(path: Path, found: Salvage, trouble: str) -> Archive:
    manifest = found.manifest()
    return replace(_sealed(path, manifest), salvaged=True, damage=(trouble, *found.damage), lost_events=found.lost_events)


def file_digest(path: Path) -> str:
    """
    Name the content of a file: its SHA-256.

    Raises:
        ArchiveError: it can't be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ArchiveError(f"{path}: can't be read: {error.strerror or error}") from error
