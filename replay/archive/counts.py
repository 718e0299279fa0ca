"""Counting what an archive holds: the same count when it is written, salvaged and verified."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from replay.archive.index import Summary
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

_RUNS: Final = frozenset({GapReason.NOT_WRITTEN, GapReason.SHED})
_NAMES: Final = {kind: name for name, kind in RECORD_TYPES.items()}


@dataclass(slots=True)
class Tally:
    """Running counts over records, in any order. Its size does not grow with what was counted, but for exchanges that are open."""

    records: Counter[str] = field(default_factory=Counter)
    """By type on disk."""
    chunks: int = 0
    gaps: Counter[str] = field(default_factory=Counter)
    redactions: Counter[str] = field(default_factory=Counter)
    """By kind."""
    open: dict[int, int] = field(default_factory=dict)
    """Exchanges that were opened and have not ended yet, with the segment in which they were opened."""
    segment: int = 1
    """The number of the segment that is counted now."""
    first_event: int | None = None
    last_event: int | None = None
    first_exchange: int | None = None
    last_exchange: int | None = None

    def add(self, record: Record) -> None:
        """Count one more record."""
        self.records[_NAMES[type(record)]] += 1
        if isinstance(record, Opened | Ended) and not record.redactions:  # nearly all of them
            self._add_plain(record)
            return
        for first, last in events_of(record):
            self._reach(first, last)
        for redaction in redactions_of(record):
            self.redactions[redaction.kind] += 1
        match record:
            case Opened(exchange=number):
                self.open[number] = self.segment
                self._reach_exchange(number)
            case Chunks():
                self.chunks += len(record.chunks)
            case Ended():
                self.open.pop(record.exchange, None)
            case Gap():
                self.gaps[record.reason.value] += record.count
            case SnapshotRecord():
                self.redactions.update(record.replaced)

    def _add_plain(self, record: Opened | Ended) -> None:
        number, event = record.exchange, record.event
        if isinstance(record, Opened):
            self.open[number] = self.segment
            self._reach_exchange(number)
            self._reach(event, event)
        else:
            self.open.pop(number, None)
            self._reach(event if record.headers_event is None else min(event, record.headers_event), event)

    def include(self, summary: Summary) -> None:
        """Count what a segment holds, all at once; not which exchanges are open."""
        self.records.update(summary.records)
        self.chunks += summary.chunks
        self.gaps.update(summary.gaps)
        self.redactions.update(summary.redactions)
        if summary.first_event is not None and summary.last_event is not None:
            self._reach(summary.first_event, summary.last_event)
        for number in (summary.first_exchange, summary.last_exchange):
            if number is not None:
                self._reach_exchange(number)

    def forget_open(self, segment: int) -> None:
        """Forget exchanges that were opened in a segment up to this one: it is no longer there."""
        for number in [number for number, opened_in in self.open.items() if opened_in <= segment]:
            del self.open[number]

    def summary(self) -> Summary:
        """Give the counts as an index holds them."""
        return Summary(
            first_event=self.first_event,
            last_event=self.last_event,
            first_exchange=self.first_exchange,
            last_exchange=self.last_exchange,
            records={name: count for name, count in sorted(self.records.items()) if count},
            chunks=self.chunks,
            gaps=dict(sorted(self.gaps.items())),
            redactions=dict(sorted(self.redactions.items())),
        )

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
            "last_event": self.last_event or 0,
        }

    def _reach(self, first: int, last: int) -> None:
        if self.first_event is None or first < self.first_event:
            self.first_event = first
        if self.last_event is None or last > self.last_event:
            self.last_event = last

    def _reach_exchange(self, number: int) -> None:
        if self.first_exchange is None or number < self.first_exchange:
            self.first_exchange = number
        if self.last_exchange is None or number > self.last_exchange:
            self.last_exchange = number


def redactions_of(record: Record) -> tuple[Redaction, ...]:
    """Give the spans of a record that were replaced before it was written."""
    match record:
        case Opened() | Ended() | Chunks() | Answered() | WorkspaceChange() | Attachment():
            return record.redactions
        case _:
            return ()


def events_of(record: Record) -> Iterator[tuple[int, int]]:
    """
    Give the event numbers that a record accounts for, as runs: the first and the last number of each.

    A gap with an event stands for as many numbers from its own on as it counts where it is `not written` or `shed`; a snapshot for the two it
    lies between.
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
                run = max(1, record.count) if record.reason in _RUNS else 1
                yield record.event, record.event + run - 1
