"""What an archive holds beside its exchanges, gathered in one pass and told in lines or as JSON."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from replay.archive import Archive, Dropped
from replay.jobs.asked import Rows, miss_words, place_of, table_lines
from replay.model import Attachment, Gap, Opened, ProviderCall, Record, SnapshotRecord, Statistics, WorkspaceChange
from replay.play.providing import MISS, PREFIX, tabulate_counts
from replay.report import visible
from replay.report.text import duration, moment

_SHOWN_MAX: Final = 20
"""How many files are named on a terminal; JSON names all."""
_DROPPED: Final = "retention took segments {0} to {1} away ({2}): exchanges up to {3}, events {4} to {5}, {6}"


@dataclass(slots=True)
class Contents:
    """What was counted so far; `add` is given every record once."""

    lanes: Counter[str] = field(default_factory=Counter)
    """Exchanges that were opened, by lane."""
    gaps: Counter[str] = field(default_factory=Counter)
    """What is missing, by reason: how many, not how often it was said."""
    snapshots: list[SnapshotRecord] = field(default_factory=list)
    changes: list[tuple[WorkspaceChange, int | None]] = field(default_factory=list)
    """Without their contents, but with how many bytes those have; None where there is none."""
    attachments: list[tuple[Attachment, int | None]] = field(default_factory=list)
    """Likewise."""
    statistics: Statistics | None = None
    """The last ones: they count from the recorder's start."""
    provider_calls: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """What a replayed daemon asked its models: by lane, stage and tier."""
    missed: list[str] = field(default_factory=list)
    """Of these what was not recorded, in words."""

    def add(self, record: Record) -> None:
        """Count one more record."""
        match record:
            case Opened():
                self.lanes[record.lane] += 1
            case Gap():
                self.gaps[str(record.reason)] += record.count
            case SnapshotRecord():
                self.snapshots.append(record)
            case WorkspaceChange():
                self.changes.append((replace(record, content=None), _size(record.content)))
            case Attachment():
                self.attachments.append((replace(record, content=None), _size(record.content)))
            case Statistics():
                # A player says its own and its lanes' apart.
                self.statistics = record if self.statistics is None else replace(record, values={**self.statistics.values, **record.values})
            case ProviderCall():
                self.provider_calls[place_of(record)] += 1
                if place_of(record)[2] == MISS:
                    self.missed.append(miss_words(record))

    def asked(self) -> Rows:
        """Give what was asked of models, by lane and stage."""
        values = {} if self.statistics is None else dict(self.statistics.values)
        told = {f"{PREFIX}/{'/'.join(place)}": count for place, count in self.provider_calls.items()}
        return tabulate_counts({**values, **told})


def contents_of(archive: Archive) -> Contents:
    """Read an archive once. Raises `ArchiveError` where it is damaged."""
    found = Contents()
    for record in archive.records():
        found.add(record)
    found.snapshots = archive.snapshots()
    return found


def as_json(found: Contents, facts: Mapping[str, Any], dropped: Sequence[Dropped]) -> dict[str, Any]:
    """Give it as plain JSON values."""
    return {
        "lanes": dict(sorted(found.lanes.items())),
        "sampling": facts.get("sampling"),
        "snapshots": [_snapshot(record) for record in found.snapshots],
        "workspace_changes": [
            {"event": each.event, "at": each.at, "path": each.path, "bytes": size, "gone": each.modified_at is None, "note": each.note}
            for each, size in found.changes
        ],
        "attachments": [
            {"event": each.event, "exchange": each.exchange, "path": each.path, "bytes": size, "note": each.note}
            for each, size in found.attachments
        ],
        "provider_calls": found.provider_calls.total(),
        "asked": [{"lane": lane, "stage": stage, **row} for (lane, stage), row in sorted(found.asked().items())],
        "missed": list(found.missed),
        "dropped": [
            {
                "first_segment": each.first_segment,
                "last_segment": each.last_segment,
                "bytes": each.bytes,
                "at": each.at,
                "first_event": each.summary.first_event,
                "last_event": each.summary.last_event,
                "last_exchange": each.summary.last_exchange,
                "exchanges": each.summary.records.get("exchange", 0),
            }
            for each in dropped
        ],
        "own": None if found.statistics is None else {"at": found.statistics.at, **found.statistics.values},
    }


def lines(found: Contents, facts: Mapping[str, Any], dropped: Sequence[Dropped]) -> Iterator[str]:
    """Tell it in lines that are safe on a terminal; nothing where there is nothing to tell."""
    if len(found.lanes) > 1 or (found.lanes and "daemon" not in found.lanes):
        yield "lanes: " + " · ".join(f"{count:,} {visible(lane)}" for lane, count in sorted(found.lanes.items(), key=lambda row: -row[1]))
    rate = _rate(facts)
    if rate is not None:
        yield f"SAMPLED: only a part of the traffic was recorded ({visible(rate)}); {found.gaps['sampled out']:,} exchanges were left out"
    for each in dropped:
        held = each.summary
        yield "dropped: " + _DROPPED.format(
            each.first_segment,
            each.last_segment,
            moment(each.at),
            held.last_exchange or 0,
            held.first_event or 0,
            held.last_event or 0,
            _bytes(each.bytes),
        )
    yield from map(_snapshot_line, found.snapshots)
    yield from _files("changed in the workspace", [_change_words(each, size) for each, size in found.changes])
    yield from _files("attached", [f"#{each.exchange} {each.path}: {_size_words(size, each.note)}" for each, size in found.attachments])
    if found.provider_calls:
        yield f"asked of models: {found.provider_calls.total():,}"
        yield from table_lines(found.asked())
        yield from _files("not recorded, and answered with an error", found.missed)
    if found.statistics is not None:
        yield "own cost: " + own_cost(found.statistics.values)


def own_cost(values: Mapping[str, float]) -> str:
    """Say what recording cost; what is no recorder's is listed as it is."""
    if "hook_calls" not in values:
        own = {name: value for name, value in values.items() if not name.startswith(f"{PREFIX}/")}
        return " · ".join(f"{visible(name)} {value:g}" for name, value in sorted(own.items())) or "nothing"
    calls, half, most, longest = (values.get(f"hook_{name}", 0.0) for name in ("calls", "p50_us", "p99_us", "max_us"))
    parts = [
        f"{calls:,.0f} hooks, {half:.0f} µs p50, {most:.0f} µs p99, {longest:,.0f} µs max",
        f"queue {_bytes(values.get('queue_bytes_max', 0.0))} max",
        f"writer {values.get('writer_cpu_s', 0.0):.1f} s of CPU, {_bytes(values.get('writer_rss_peak_bytes', 0.0))} of memory",
        f"{values.get('records_lost', 0.0):,.0f} records lost",
    ]
    return " · ".join(parts)


def _rate(facts: Mapping[str, Any]) -> str | None:
    told = facts.get("sampling")
    if not isinstance(told, dict) or not isinstance(rate := told.get("rate"), int | float) or rate >= 1:
        return None
    return f"{rate:.3g} of it, whole by {told.get('by', 'connection')}"


def _snapshot(record: SnapshotRecord) -> dict[str, Any]:
    return {
        "file": record.file,
        "taken_at": record.taken_at,
        "at": record.at,
        "duration_ms": record.duration_ms,
        "events": [record.event_before, record.event_after],
        "workspace": record.workspace,
        "files": record.files,
        "bytes": record.bytes,
        "changed_meanwhile": list(record.changed_meanwhile),
        "replaced": dict(record.replaced),
        "left_out": list(record.left_out),
    }


def _snapshot_line(record: SnapshotRecord) -> str:
    parts = [
        f"snapshot at {record.taken_at}: {visible(record.file)}, {record.files:,} files, {_bytes(record.bytes)}",
        f"between events {record.event_before} and {record.event_after}",
        f"took {duration(record.duration_ms)}",
    ]
    if record.replaced:
        parts.append("replaced " + ", ".join(f"{count:,} {visible(kind)}" for kind, count in sorted(record.replaced.items())))
    if record.left_out:
        parts.append(f"{len(record.left_out):,} left out")
    if record.changed_meanwhile:
        names = ", ".join(visible(name) for name in record.changed_meanwhile[:_SHOWN_MAX])
        more = f" and {len(record.changed_meanwhile) - _SHOWN_MAX:,} more" if len(record.changed_meanwhile) > _SHOWN_MAX else ""
        parts.append(f"CHANGED WHILE COPIED: {names}{more}")
    return " · ".join(parts)


def _files(what: str, told: list[str]) -> Iterator[str]:
    if told:
        yield f"{what}: {len(told):,}"
        yield from (f"  {visible(text)}" for text in told[:_SHOWN_MAX])
        if len(told) > _SHOWN_MAX:
            yield f"  … and {len(told) - _SHOWN_MAX:,} more (--json has them all)"


def _change_words(change: WorkspaceChange, size: int | None) -> str:
    return f"{change.path}: {'gone' if change.modified_at is None else _size_words(size, change.note)} (event {change.event})"


def _size_words(size: int | None, note: str) -> str:
    return f"left out: {note}" if size is None else f"{_bytes(size)}{f' ({note})' if note else ''}"


def _size(content: bytes | None) -> int | None:
    return None if content is None else len(content)


def _bytes(count: float) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count:.0f} B"


__all__ = ["Contents", "as_json", "contents_of", "lines", "own_cost"]
