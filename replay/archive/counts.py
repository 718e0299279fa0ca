"""Counting what an archive holds: the same count when it is written, salvaged and verified."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from replay.model import (
    RECORD_TYPES,
    Answered,
    Attachment,
    Chunks,
    End,
    Ended,
    Gap,
    GapReason,
    Opened,
    ProviderCall,
    Record,
    Redaction,
    SnapshotRecord,
    WorkspaceChange,
)

_NAMES: Final = {kind: name for name, kind in RECORD_TYPES.items()}


@dataclass(slots=True)
class Tally:
    """Running counts over records, in any order."""

    records: Counter[str] = field(default_factory=Counter)
    """By type on disk."""
    chunks: int = 0
    gaps: Counter[str] = field(default_factory=Counter)
    redactions: Counter[str] = field(default_factory=Counter)
    """By kind."""
    open: set[int] = field(default_factory=set)
    """Exchanges that were opened and have not ended yet."""
    last_event: int = 0

    def add(self, record: Record) -> None:
        """Count one more record."""
        self.records[_NAMES[type(record)]] += 1
        self.last_event = max([self.last_event, *(last for _, last in events_of(record))])
        self.redactions.update(redaction.kind for redaction in redactions_of(record))
        match record:
            case Opened():
                self.open.add(record.exchange)
            case Chunks():
                self.chunks += len(record.chunks)
            case Ended():
                self.open.discard(record.exchange)
            case Gap():
                self.gaps[record.reason.value] += record.count

    def as_json(self) -> dict[str, Any]:
        """Give the counts as the manifest holds them."""
        return {
            "opened": self.records["opened"],
            "exchanges": self.records["exchange"],
            "open": len(self.open),
            "chunks": self.chunks,
            "gaps": dict(sorted(self.gaps.items())),
            "redactions": dict(sorted(self.redactions.items())),
            "records": {name: count for name, count in sorted(self.records.items()) if count},
            "last_event": self.last_event,
        }


def redactions_of(record: Record) -> tuple[Redaction, ...]:
    """Give the spans of a record that were replaced before it was written."""
    return record.redactions if isinstance(record, Opened | Answered | Chunks | Ended | WorkspaceChange | Attachment) else ()


def events_of(record: Record) -> Iterator[tuple[int, int]]:
    """
    Give the event numbers that a record accounts for, as runs: the first and the last number of each.

    A gap of reason `not written` with a count stands for that many numbers from its own on; a snapshot for the two it lies between.
    """
    match record:
        case Opened() | Answered() | WorkspaceChange() | Attachment() | ProviderCall() | End():
            yield record.event, record.event
        case Chunks():
            yield from ((chunk.event, chunk.event) for chunk in record.chunks)
        case Ended():
            if record.headers_event is not None:
                yield record.headers_event, record.headers_event
            yield record.event, record.event
        case SnapshotRecord():
            yield record.event_before, record.event_before
            yield record.event_after, record.event_after
        case Gap():
            if record.event is not None:
                run = max(1, record.count) if record.reason is GapReason.NOT_WRITTEN else 1
                yield record.event, record.event + run - 1
