"""
The manifest: who, when, with which options, and, once sealed, the segments with the digests of their indexes.

It is there from the start with `sealed: false`. It grows with the number of segments alone. It ends without a newline, so that no part of
it is a whole manifest, and holds a digest of itself. `facts` is the caller's and goes in as it is; everything else belongs to this room.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final, Literal, get_args

from replay.archive.formats import FORMAT, convert_manifest, newer_format
from replay.archive.index import Block, Summary, check_blocks
from replay.archive.shapes import Mismatch, shape_of
from replay.model import ArchiveError

NAME: Final = "manifest.json"
RECIPIENT_KEYS: Final = "recipient_keys"
"""The one fact that is this room's: the recipients' public keys, in hexadecimal, so that what is made of the archive can be for them too."""

type Kind = Literal["recording", "observed"]
KINDS: Final[tuple[str, ...]] = get_args(Kind.__value__)


@dataclass(frozen=True, slots=True)
class Segment:
    """A file of blocks."""

    file: str
    bytes: int
    index: int
    """Where the block with its index stands."""
    sha256: str
    """Of that block, which holds the digests of all others."""
    key_header: str | None
    """SHA-256 of the header with its keys, where it is encrypted."""
    summary: Summary
    blocks: tuple[Block, ...] | None = None
    """Its blocks, where its own index is not to be asked: format 0 had it in the manifest, and a salvage takes only what is whole."""


@dataclass(frozen=True, slots=True)
class SnapshotFile:
    """A snapshot beside the segments."""

    file: str
    bytes: int
    sha256: str
    """Without the header with its keys, where it is encrypted."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """Segments that retention took away, side by side, and what they held."""

    first_segment: int
    last_segment: int
    last_snapshot: int
    """Snapshots up to this number went too; 0: none."""
    bytes: int
    at: float
    """When, wall clock."""
    summary: Summary


@dataclass(frozen=True, slots=True)
class Manifest:
    """What `manifest.json` says."""

    id: str
    """Random, hexadecimal."""
    kind: Kind
    started_at: float
    tool: str
    facts: Mapping[str, Any]
    sealed: bool = False
    cut: str | None = None
    """Why what came last may lack, though it was sealed: the recorder ended before it could say so."""
    ended_at: float | None = None
    recipients: tuple[str, ...] = ()
    """Ids of the public keys that it is encrypted to; empty: it is not."""
    segments: tuple[Segment, ...] = ()
    snapshots: tuple[SnapshotFile, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    """What retention took away, oldest first."""
    counts: Mapping[str, Any] = field(default_factory=dict)
    format: int = FORMAT

    def as_json(self) -> dict[str, Any]:
        """Give the whole content as JSON values, with its own digest."""
        segments = [replace(segment, blocks=None) for segment in self.segments]
        content = {"format": self.format, **asdict(replace(self, segments=tuple(segments)))}
        for segment in content["segments"]:
            del segment["blocks"]
        return {**content, "sha256": _self_digest(content)}

    def render(self) -> bytes:
        """
        Give the file's bytes.

        Raises:
            ArchiveError: the facts are no JSON.
        """
        try:
            return json.dumps(self.as_json(), indent=1, ensure_ascii=True, allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise ArchiveError(f"{NAME}: the facts can't be written as JSON: {error}") from error


def digest_of_segments(segments: tuple[Segment, ...]) -> str:
    """Name the content of an archive: SHA-256 over the digests of its segments' indexes, in order; over those of its blocks in format 0."""
    digests = [[segment.sha256] if segment.blocks is None else [block.sha256 for block in segment.blocks] for segment in segments]
    return hashlib.sha256("\n".join(digest for row in digests for digest in row).encode()).hexdigest()


def dropped_to(manifest: "Manifest | None") -> int:
    """Give the number of the last segment that retention took away; 0: none."""
    return max((dropped.last_segment for dropped in manifest.dropped), default=0) if manifest else 0


def load(folder: Path) -> Manifest:
    """
    Read the manifest of an archive.

    Raises:
        ArchiveError: it is missing, cut, damaged, foreign, or of a newer format.
    """
    path = folder / NAME
    try:
        if path.exists() and not path.is_file():
            raise ArchiveError(f"{path}: can't be read: no file (a folder, or a pipe that may never end)")
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ArchiveError(f"{path}: missing") from None
    except OSError as error:
        raise ArchiveError(f"{path}: can't be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ArchiveError(f"{path}: cut or damaged ({error})") from error
    return _parse(content, path)


def _parse(content: Any, path: Path) -> Manifest:
    number = content.get("format") if isinstance(content, dict) else None
    if type(number) is not int or "segments" not in content:
        raise ArchiveError(f"{path}: not an archive of signet-parity")
    if number > FORMAT:
        raise newer_format(path, number)
    if number < 0 or content.pop("sha256", None) != _self_digest(content):
        raise ArchiveError(f"{path}: damaged, or changed after it was written")
    try:
        return _manifest(content)
    except (TypeError, KeyError, AttributeError, Mismatch) as error:
        raise ArchiveError(f"{path}: not an archive of signet-parity: {error}") from error


def _manifest(content: dict[str, Any]) -> Manifest:
    """Take what is in the file; whoever made it may have got the digest right and the rest wrong."""
    number = content["format"]
    if number == FORMAT:
        # a manifest of this format says nothing of blocks
        content = {**content, "segments": [{"blocks": None, **segment} for segment in content["segments"]]}
        if any(segment["blocks"] is not None for segment in content["segments"]):
            raise Mismatch("an index in the manifest")
    else:
        content = convert_manifest(content, number)
    head = _HEAD.decode({name: value for name, value in content.items() if name not in {"facts", "counts"}})
    facts, counts = content["facts"], content["counts"]
    if not isinstance(facts, dict) or not isinstance(counts, dict):
        raise Mismatch("facts or counts are no map")
    for segment in head.segments:
        check_blocks(segment.blocks or ())
    if any(Path(entry.file).name != entry.file for entry in (*head.segments, *head.snapshots)):
        raise Mismatch("a file lies outside the archive")
    return Manifest(facts=facts, counts=counts, **{part.name: getattr(head, part.name) for part in fields(head)})


@dataclass(frozen=True, slots=True)
class _Head:
    """The manifest without what is open JSON: what is checked field by field."""

    format: int
    id: str
    kind: Kind
    started_at: float
    tool: str
    sealed: bool
    cut: str | None
    ended_at: float | None
    recipients: tuple[str, ...]
    segments: tuple[Segment, ...]
    snapshots: tuple[SnapshotFile, ...]
    dropped: tuple[Dropped, ...]


_HEAD: Final = shape_of(_Head)


def _self_digest(content: Mapping[str, Any]) -> str:
    try:
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return ""
    return hashlib.sha256(text.encode()).hexdigest()
