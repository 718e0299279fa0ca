"""Which of the oldest segments and snapshots go, and how what went is said; pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from replay.archive.counts import Tally
from replay.archive.index import Summary
from replay.archive.manifest import Dropped, Segment, SnapshotFile
from replay.model import SnapshotRecord

_LISTED_MAX: Final = 64
"""Beyond this many, what went first is said in one: a manifest must not grow for ever."""


@dataclass(frozen=True, slots=True)
class ClosedSegment:
    """A closed segment that is still there."""

    number: int
    segment: Segment
    closed_at: float
    """Wall clock."""


@dataclass(frozen=True, slots=True)
class KeptSnapshot:
    """A snapshot that is still there."""

    number: int
    file: SnapshotFile
    record: SnapshotRecord
    segment: int
    """The number of the segment that holds its record."""


@dataclass(slots=True)
class Kept:
    """What a writer keeps of its archive beside the open segment, oldest first."""

    segments: list[ClosedSegment] = field(default_factory=list)
    snapshots: list[KeptSnapshot] = field(default_factory=list)

    def first_segment(self, number: int) -> int:
        """Give the lowest number that is kept; *number* is that of the open segment."""
        return self.segments[0].number if self.segments else number

    @property
    def newest_snapshot(self) -> SnapshotRecord | None:
        """The record of the newest snapshot."""
        return self.snapshots[-1].record if self.snapshots else None

    def plan(self, open_bytes: int, *, bytes_max: int | None, seconds_max: float | None, now: float) -> Dropped | None:
        """Say what goes, if anything does; *open_bytes* is how long the open segment is, *now* wall clock."""
        count = count_to_drop(self.segments, self.snapshots, open_bytes, bytes_max=bytes_max, seconds_max=seconds_max, now=now)
        if not count:
            return None
        segments = self.segments[:count]
        return describe_dropped(segments, self.snapshots[: needless(self.snapshots, segments[-1].number + 1)], now)

    def forget(self, dropped: Dropped) -> list[str]:
        """Let what goes go, and give the names of its files."""
        count = needless(self.snapshots, dropped.last_segment + 1)
        names = [part.segment.file for part in self.segments if part.number <= dropped.last_segment]
        names += [snapshot.file.file for snapshot in self.snapshots[:count]]
        self.segments = [part for part in self.segments if part.number > dropped.last_segment]
        self.snapshots = self.snapshots[count:]
        return names


def count_to_drop(
    closed: Sequence[ClosedSegment],
    snapshots: Sequence[KeptSnapshot],
    open_bytes: int,
    *,
    bytes_max: int | None,
    seconds_max: float | None,
    now: float,
) -> int:
    """Say how many of the closed segments, oldest first, go: those too old, and as many as make the whole small enough."""
    count = 0
    if seconds_max is not None:
        while count < len(closed) and now - closed[count].closed_at > seconds_max:
            count += 1
    if bytes_max is not None:
        while count < len(closed) and _bytes(closed[count:], snapshots, open_bytes) > bytes_max:
            count += 1
    return count


def needless(snapshots: Sequence[KeptSnapshot], first_segment: int) -> int:
    """Say how many snapshots, oldest first, nobody needs: a replay of what is kept starts from the newest before it, or a later one."""
    before = sum(snapshot.segment < first_segment for snapshot in snapshots)
    return max(0, before - 1)


def _bytes(closed: Sequence[ClosedSegment], snapshots: Sequence[KeptSnapshot], open_bytes: int) -> int:
    kept = snapshots[needless(snapshots, closed[0].number) :] if closed else snapshots
    return open_bytes + sum(part.segment.bytes for part in closed) + sum(snapshot.file.bytes for snapshot in kept)


def describe_dropped(closed: Sequence[ClosedSegment], snapshots: Sequence[KeptSnapshot], now: float) -> Dropped:
    """Say what goes: closed segments side by side, at least one, and snapshots."""
    return Dropped(
        first_segment=closed[0].number,
        last_segment=closed[-1].number,
        last_snapshot=max((snapshot.number for snapshot in snapshots), default=0),
        bytes=sum(part.segment.bytes for part in closed) + sum(snapshot.file.bytes for snapshot in snapshots),
        at=now,
        summary=_together(part.segment.summary for part in closed),
    )


def fold(dropped: Sequence[Dropped]) -> tuple[Dropped, ...]:
    """Join the oldest entries, where there are many."""
    excess = len(dropped) - _LISTED_MAX + 1
    if excess < 2:
        return tuple(dropped)
    old = dropped[:excess]
    joined = Dropped(
        first_segment=old[0].first_segment,
        last_segment=old[-1].last_segment,
        last_snapshot=max(entry.last_snapshot for entry in old),
        bytes=sum(entry.bytes for entry in old),
        at=old[-1].at,
        summary=_together(entry.summary for entry in old),
    )
    return (joined, *dropped[excess:])


def _together(summaries: Iterable[Summary]) -> Summary:
    tally = Tally()
    for summary in summaries:
        tally.include(summary)
    return tally.summary()
