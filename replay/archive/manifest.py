"""
The manifest: who, when, with which options, and, once sealed, the index of blocks with their digests.

It is there from the start with `sealed: false`. It ends without a newline, so that no part of it is a whole manifest, and holds a digest
of itself. `facts` is the caller's and goes in as it is; everything else belongs to this room.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Literal, get_args

from replay.archive.codec import FORMAT
from replay.archive.shapes import Mismatch, shape_of
from replay.model import ArchiveError

NAME: Final = "manifest.json"

_LENGTH_MAX: Final = 1 << 32
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")

type Kind = Literal["recording", "observed"]
KINDS: Final[tuple[str, ...]] = get_args(Kind.__value__)

type Holds = Literal["head", "records", "body"]


class NewerFormatError(ArchiveError):
    """The archive was written by a newer tool: nothing of it is guessed at."""


@dataclass(frozen=True, slots=True)
class Block:
    """Where a block is and what is in it."""

    offset: int
    length: int
    sha256: str
    """Of the compressed bytes."""
    holds: Holds
    records: int = 0
    first_event: int | None = None
    last_event: int | None = None
    body: str | None = None
    """The digest by which records refer to the big body that this block holds alone."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A file of blocks."""

    file: str
    bytes: int
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class SnapshotFile:
    """A snapshot beside the segments."""

    file: str
    bytes: int
    sha256: str


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
    ended_at: float | None = None
    segments: tuple[Segment, ...] = ()
    snapshots: tuple[SnapshotFile, ...] = ()
    counts: Mapping[str, Any] = field(default_factory=dict)
    format: int = FORMAT

    def as_json(self) -> dict[str, Any]:
        """Give the whole content as JSON values, with its own digest."""
        content = {"format": self.format, **asdict(self)}
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


def digest_of_blocks(segments: tuple[Segment, ...]) -> str:
    """Name the content of an archive: SHA-256 over the digests of its blocks, in order."""
    return hashlib.sha256("\n".join(block.sha256 for segment in segments for block in segment.blocks).encode()).hexdigest()


def newer_format(path: Path, number: int) -> NewerFormatError:
    """Say that a format is too new."""
    return NewerFormatError(f"{path}: format {number} is newer than this tool, which reads up to {FORMAT}; update signet-parity")


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
    head = _HEAD.decode({name: value for name, value in content.items() if name not in {"facts", "counts"}})
    facts, counts = content["facts"], content["counts"]
    if not isinstance(facts, dict) or not isinstance(counts, dict):
        raise Mismatch("facts or counts are no map")
    for block in (block for segment in head.segments for block in segment.blocks):
        if block.offset < 0 or not 0 < block.length < _LENGTH_MAX or (block.body is not None) != (block.holds == "body"):
            raise Mismatch("a block has no sane place")
        if block.body is not None and _DIGEST.fullmatch(block.body) is None:
            raise Mismatch("a body has no digest")
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
    ended_at: float | None
    segments: tuple[Segment, ...]
    snapshots: tuple[SnapshotFile, ...]


_HEAD: Final = shape_of(_Head)


def _self_digest(content: Mapping[str, Any]) -> str:
    try:
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return ""
    return hashlib.sha256(text.encode()).hexdigest()
