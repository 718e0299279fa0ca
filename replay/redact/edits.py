"""Spans to be replaced, and replacing them without moving anything else."""

from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from replay.model import Redaction

type Find = Callable[[bytes], list["Edit"]]

_ROUNDS_MAX: Final = 4


@dataclass(frozen=True, slots=True)
class Edit:
    """A span of secret bytes and what stands there instead, of the same length. A placeholder that is there already is its own."""

    start: int
    kind: str
    replacement: bytes

    @property
    def end(self) -> int:
        """Where the span ends."""
        return self.start + len(self.replacement)


def apply_edits(data: bytes, edits: Iterable[Edit]) -> bytes:
    """Replace each edit's span. The length of *data* does not change; edits may come in any order but must not overlap."""
    edits = list(edits)
    if not edits:
        return data
    out = bytearray(data)
    for edit in edits:
        out[edit.start : edit.end] = edit.replacement
    return bytes(out)


def merge_edits(*lists: list[Edit]) -> list[Edit]:
    """Put lists of edits together, in order of place: where two overlap, that of the earlier list (and earlier in it) stays."""
    if sum(map(bool, lists)) <= 1 and all(len(edits) <= 1 for edits in lists):
        return next((edits for edits in lists if edits), [])
    starts: list[int] = []
    kept: list[Edit] = []
    for edits in lists:
        for edit in edits:
            at = bisect_left(starts, edit.start)
            if (at > 0 and kept[at - 1].end > edit.start) or (at < len(kept) and starts[at] < edit.end):
                continue
            starts.insert(at, edit.start)
            kept.insert(at, edit)
    return kept


def redactions_of(where: str, edits: Iterable[Edit]) -> tuple[Redaction, ...]:
    """Declare *edits* as spans at one place, in order."""
    return tuple(
        Redaction(where=where, start=edit.start, length=len(edit.replacement), kind=edit.kind) for edit in sorted(edits, key=lambda e: e.start)
    )


def settle(data: bytes, edits: list[Edit], find: Find) -> tuple[bytes, list[Edit]]:
    """Apply edits and look again until nothing changes, so that redacting twice gives the same bytes."""
    clean = apply_edits(data, edits)
    for _ in range(_ROUNDS_MAX):
        again = find(clean)
        edits = merge_edits(again, edits)
        changed = apply_edits(clean, again)
        if changed == clean:
            break
        clean = changed
    return clean, edits
