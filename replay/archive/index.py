"""The index of a segment: where each of its blocks is and what is in it; its last block holds it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from replay.archive.shapes import Mismatch

type Holds = Literal["head", "records", "body", "index"]

_LENGTH_MAX: Final = 1 << 32
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Block:
    """Where a block is and what is in it."""

    offset: int
    """From the start of the segment, behind the header with its keys where it is encrypted."""
    length: int
    sha256: str
    """Of the bytes as they lie on disk."""
    holds: Holds
    number: int = 0
    """From 0, in its segment."""
    records: int = 0
    first_event: int | None = None
    last_event: int | None = None
    body: str | None = None
    """The digest by which records refer to the big body that this block holds alone."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a segment holds, in numbers."""

    first_event: int | None = None
    last_event: int | None = None
    first_exchange: int | None = None
    """The lowest of those that were opened in it."""
    last_exchange: int | None = None
    records: dict[str, int] = field(default_factory=dict)
    """By type on disk."""
    chunks: int = 0
    gaps: dict[str, int] = field(default_factory=dict)
    redactions: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Index:
    """The last entry of a closed segment."""

    archive: str
    number: int
    """Of the segment."""
    first_segment: int
    """The lowest number that retention had kept when this was written."""
    ended: bool
    """Whether the archive ends with this segment."""
    summary: Summary
    blocks: tuple[Block, ...]
    """All blocks before this one."""


def check_blocks(blocks: Sequence[Block]) -> None:
    """
    Look whether an index can be true: whoever made it may have got the digest right and the rest wrong.

    Raises:
        Mismatch: it can't.
    """
    for block in blocks:
        if block.offset < 0 or not 0 < block.length < _LENGTH_MAX or (block.body is not None) != (block.holds == "body"):
            raise Mismatch("a block has no sane place")
        if block.body is not None and _DIGEST.fullmatch(block.body) is None:
            raise Mismatch("a body has no digest")


def check_row(blocks: Sequence[Block], end: int) -> None:
    """
    Look whether blocks stand one behind the other from 0 to an end.

    Raises:
        Mismatch: they don't.
    """
    check_blocks(blocks)
    place = 0
    for number, block in enumerate(blocks):
        if (block.number, block.offset) != (number, place) or (block.holds == "head") != (number == 0) or block.holds == "index":
            raise Mismatch("the blocks do not stand in a row")
        place += block.length
    if place != end:
        raise Mismatch("the blocks do not reach the index")
