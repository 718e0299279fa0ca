"""
Reading an archive.

How this works
--------------
A sealed archive lists its segments, and each segment brings its index of blocks. Opening looks at the files' sizes and at the last index
only; any other index, and each block's digest, is checked when it is read, so that a big archive opens at once and a damaged one never
gives a wrong record. An archive that is not sealed, or does not agree with its seal, is scanned: what is whole is given with `salvage`, and
without it only counted, so that the refusal can say what is there.

Big bodies are fetched from their own block when a record that refers to them is unpacked; one is kept in memory, no more.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from replay.archive.catalogue import Catalogue
from replay.archive.encryption import LockedError
from replay.archive.extraction import Extraction, Limits, extract
from replay.archive.formats import FORMAT, NewerFormatError
from replay.archive.index import Block
from replay.archive.joining import Joined, join
from replay.archive.keyring import Keyring
from replay.archive.manifest import NAME, Dropped, Manifest, Segment, digest_of_segments, dropped_to, load
from replay.archive.roll import Roll
from replay.archive.salvaging import Salvage, scan
from replay.archive.segments import SegmentFile, load_index, read_head, read_segment, segment_files, segment_number
from replay.archive.snapshots import open_snapshot, snapshot_digest
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
    """SHA-256 over the digests of its segments: the same for the same content."""
    damage: tuple[str, ...]
    """Why it was salvaged, and what had to be left, in words; empty where it is whole."""
    lost_events: tuple[tuple[int, int], ...]
    """Runs of event numbers in which a salvage found damaged blocks, first and last; empty otherwise."""
    dropped: tuple[Dropped, ...]
    """What retention took away, oldest first: their event numbers are declared, and no holes."""
    segments: tuple[Segment, ...] = field(repr=False)
    format: int = FORMAT
    """In which it was written."""
    keys: Keyring = field(default_factory=Keyring, repr=False)

    def records(self) -> Iterator[Record]:
        """
        Give every record in the order in which it was written, block by block.

        Raises:
            ArchiveError: a block is damaged or gone (while iterating).
        """
        for segment in self.segments:
            if segment.blocks == ():
                # a salvage found nothing whole in it
                continue
            with self.open_segment(segment) as file:
                yield from read_segment(file, load_index(file, segment, self.id))

    def blocks(self, segment: Segment) -> Sequence[Block]:
        """
        Give the blocks of one of the segments.

        Raises:
            ArchiveError: its index is damaged or gone.
        """
        if segment.blocks is not None:
            return segment.blocks
        with self.open_segment(segment) as file:
            return load_index(file, segment, self.id)

    def join(self) -> Joined:
        """Read all records once and give the exchanges and the gaps. Raises as `records()` does."""
        try:
            return join(self.records(), self.lost_events, self.dropped_exchange)
        except ArchiveError as error:
            raise error if str(error).startswith(str(self.path)) else ArchiveError(f"{self.path}: {error}") from error

    def catalogue(self) -> Catalogue:
        """Give what finds its exchanges again one by one, where there may be too many to hold."""
        return Catalogue(self)

    def roll(self) -> Roll:
        """Give what tells which exchanges it holds, and gives each of them again, fast."""
        return Roll(self)

    @property
    def dropped_exchange(self) -> int:
        """The highest exchange that was opened in a segment which retention took away; 0: none."""
        return max((dropped.summary.last_exchange or 0 for dropped in self.dropped), default=0)

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
        """Give the snapshots that are there, in order; the first has number 1. Raises as `records()` does."""
        found = [record for record in self.records() if isinstance(record, SnapshotRecord)]
        carried = self.carried_snapshot()
        return found if carried is None else [carried, *found]

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
        if snapshot_digest(path) != record.digest:
            raise ArchiveError(f"{path}: damaged; it is not the snapshot that was recorded")
        return extract(path, destination, Limits() if limits is None else limits, lambda source: open_snapshot(source, self.keys, self.id))

    def unpack_snapshot(self, number: int, destination: Path) -> Path:
        """Unpack a snapshot (from 1) to a new folder and give the folder. Raises as `extract_snapshot()` does."""
        return self.extract_snapshot(number, destination).root

    def open_segment(self, segment: Segment) -> SegmentFile:
        """Open the file of one of the segments; raises ArchiveError where it can't be. It is the caller's to close."""
        return SegmentFile.open(self.path / segment.file, self.keys, self.id, self.format)

    def carried_snapshot(self) -> SnapshotRecord | None:
        """Give the newest snapshot before the first segment that is kept, where the ones before it are gone; raises as `blocks()` does."""
        first = self.segments[0] if self.segments else None
        if first is None or first.blocks == () or not self.dropped:
            return None
        with self.open_segment(first) as file:
            return read_head(file, load_index(file, first, self.id)).snapshot


def read(path: Path, *, salvage: bool = False, keys: Keyring | None = None) -> Archive:
    """
    Open an archive, with *keys* where it is encrypted.

    An unsealed, cut or damaged one is an error that says what is there. With *salvage*, exactly its whole blocks are given and
    `Archive.salvaged` is true; an archive that is sealed and whole is given as it is, also then. One that was sealed as cut, because its
    recorder died, is whole in itself, but what came last may lack: it too needs *salvage*.

    Raises:
        ArchiveError: there is no archive, it is damaged, foreign, encrypted for other keys (it says which), or newer than this tool.
    """
    keys = Keyring() if keys is None else keys
    files = find_segments(path)
    manifest, trouble = None, ""
    try:
        manifest = load(path)
        files = [file for file in files if (segment_number(file.name) or 0) > dropped_to(manifest)]
        trouble = trouble_with(path, manifest, files, keys, every_block=salvage)
        if not trouble:
            return _whole(path, manifest, keys, salvage=salvage)
    except (NewerFormatError, CutError, LockedError):
        raise
    except ArchiveError as error:
        if not files:
            raise
        trouble = str(error)
    try:
        found = scan(path, files, manifest, keys)
    except LockedError as error:
        raise LockedError(f"{error} ({trouble})") from error
    if salvage:
        return _salvaged(path, found, trouble, keys)
    raise ArchiveError(f"{trouble} ({found.words()}); use --salvage to read what is whole")


def is_archive(path: Path) -> bool:
    """Whether a folder is an archive, whole or not; never raises."""
    try:
        return path.is_dir() and (_has_manifest(path) or any(segment_number(entry.name) is not None for entry in path.iterdir()))
    except OSError:
        return False


def find_segments(path: Path) -> list[Path]:
    """
    Give the segments of an archive, in order; empty where only a manifest is there.

    Raises:
        ArchiveError: there is no archive.
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


def trouble_with(path: Path, manifest: Manifest, files: Sequence[Path], keys: Keyring, *, every_block: bool) -> str:
    """
    Say what keeps an archive from being read as a sealed one; empty where nothing does.

    Looks at the files' sizes and the last index, and with *every_block* at every digest too.

    Raises:
        LockedError: it is encrypted, and none of the keys opens it.
    """
    if not manifest.sealed:
        return f"{path}: not sealed: recorder killed, or still running?"
    listed = {segment.file for segment in manifest.segments}
    for name in sorted({file.name for file in files} ^ listed):
        return f"{path / name}: {'missing' if name in listed else 'not listed in the sealed manifest'}"
    sizes = [*((entry.file, entry.bytes) for entry in manifest.segments), *((entry.file, entry.bytes) for entry in manifest.snapshots)]
    for name, sealed in sizes:
        try:
            size = (path / name).stat().st_size
        except OSError as error:
            return f"{path / name}: can't be read: {error.strerror}"
        if size != sealed:
            return f"{path / name}: {'cut' if size < sealed else 'grown'}: {size} bytes where {sealed} were sealed"
    try:
        return _trouble_inside(path, manifest, keys, every_block=every_block)
    except LockedError:
        raise
    except ArchiveError as error:
        return str(error)


def _trouble_inside(path: Path, manifest: Manifest, keys: Keyring, *, every_block: bool) -> str:
    numbers = [segment_number(segment.file) or 0 for segment in manifest.segments]
    if not numbers or numbers != list(range(dropped_to(manifest) + 1, numbers[-1] + 1)):
        return f"{path / NAME}: the segments it lists do not stand in a row"
    for segment in manifest.segments if every_block else manifest.segments[-1:]:
        with SegmentFile.open(path / segment.file, keys, manifest.id, manifest.format) as file:
            places = load_index(file, segment, manifest.id)
            if segment is manifest.segments[-1] and segment.blocks is None:
                _, index = file.index()
                if not index.ended or index.first_segment != numbers[0]:
                    return f"{file.path}: it is not the last segment, or not all of those that were sealed are listed before it"
            if every_block:
                for block in places:
                    if not file.is_whole(block):
                        return f"{file.path}: the block at byte {block.offset} is damaged"
    return ""


class CutError(ArchiveError):
    """An archive that was sealed as cut."""


def _whole(path: Path, manifest: Manifest, keys: Keyring, *, salvage: bool) -> Archive:
    archive = _sealed(path, manifest, keys)
    if manifest.cut is None:
        return archive
    cut = f"{path}: cut: {manifest.cut}"
    if not salvage:
        raise CutError(f"{cut}; what came last may lack; use --salvage to read what is there")
    return replace(archive, salvaged=True, damage=(cut,))


def _has_manifest(path: Path) -> bool:
    try:
        load(path)
    except NewerFormatError:
        return True
    except ArchiveError:
        return False
    return True


def _sealed(path: Path, manifest: Manifest, keys: Keyring) -> Archive:
    return Archive(
        path=path,
        manifest=manifest.as_json(),
        id=manifest.id,
        kind=manifest.kind,
        salvaged=False,
        facts=dict(manifest.facts),
        digest=digest_of_segments(manifest.segments),
        damage=(),
        lost_events=(),
        dropped=manifest.dropped,
        segments=manifest.segments,
        format=manifest.format,
        keys=keys,
    )


def _salvaged(path: Path, found: Salvage, trouble: str, keys: Keyring) -> Archive:
    manifest = found.manifest()
    return replace(_sealed(path, manifest, keys), salvaged=True, damage=(trouble, *found.damage), lost_events=found.lost_events)
