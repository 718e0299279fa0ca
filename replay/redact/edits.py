"""Spans to be replaced, and replacing them without moving anything else."""

from collections.abc import Iterable
from dataclasses import dataclass

from replay.model import Redaction


@dataclass(frozen=True, slots=True)
class Edit:
    """A span of secret bytes and what stands there instead, of the same length."""

    start: int
    kind: str
    replacement: bytes


def apply_edits(data: bytes, edits: Iterable[Edit]) -> bytes:
    """Replace each edit's span. The length of *data* does not change; edits may come in any order but must not overlap."""
    edits = list(edits)
    if not edits:
        return data
    out = bytearray(data)
    for edit in edits:
        out[edit.start : edit.start + len(edit.replacement)] = edit.replacement
    return bytes(out)


def redactions_of(where: str, edits: Iterable[Edit]) -> tuple[Redaction, ...]:
    """Declare *edits* as spans at one place, in order."""
    return tuple(
        Redaction(where=where, start=edit.start, length=len(edit.replacement), kind=edit.kind) for edit in sorted(edits, key=lambda e: e.start)
    )
