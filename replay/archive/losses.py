"""What could not be written, as the gaps that say so; pure."""

from collections.abc import Iterator
from typing import Final

from replay.archive.counts import events_of
from replay.model import Answered, Chunks, Ended, Gap, GapReason, Opened, Record

_KEPT_MAX: Final = 10_000
"""Beyond this many, losses are said by runs of event numbers alone: a full disk must not fill the memory too."""


class Losses:
    """Records that were lost, waiting to be listed."""

    def __init__(self) -> None:
        self._gaps: list[Gap] = []

    def __len__(self) -> int:
        return sum(gap.count for gap in self._gaps)

    def add(self, record: Record) -> None:
        """Note that a record was lost. A gap that could not be written stays the gap that it is."""
        self._gaps += [record] if isinstance(record, Gap) else _gaps_for(record)
        if len(self._gaps) > _KEPT_MAX:
            self._gaps = list(_folded(self._gaps))

    def batches(self, size: int) -> Iterator[list[Gap]]:
        """Give what has to be listed, in the order of events, so many at a time; each batch is over with `said()`."""
        # a list that breaks off in the middle then leaves no holes below what it has said
        self._gaps.sort(key=lambda gap: (gap.event is None, gap.event or 0))
        while self._gaps:
            yield self._gaps[:size]

    def said(self, gaps: list[Gap]) -> None:
        """Forget a batch: it is in the archive."""
        del self._gaps[: len(gaps)]


def _gaps_for(record: Record) -> list[Gap]:
    exchange = record.exchange if isinstance(record, Opened | Answered | Chunks | Ended) else None
    what = f"a record of type {type(record).__name__} could not be written"
    runs = list(events_of(record))
    if not runs:
        return [Gap(GapReason.NOT_WRITTEN, exchange=exchange, detail=what)]
    return [Gap(GapReason.NOT_WRITTEN, event=first, exchange=exchange, count=last - first + 1, detail=what) for first, last in runs]


def _folded(gaps: list[Gap]) -> Iterator[Gap]:
    """Join event numbers that lie side by side, and say each exchange that was touched once."""
    own = [gap for gap in gaps if gap.reason is not GapReason.NOT_WRITTEN]
    yield from own
    first, last = 0, -1
    for start, end in sorted((gap.event, gap.event + gap.count - 1) for gap in gaps if gap.event is not None and gap not in own):
        if start > last + 1:
            if last >= first:
                yield Gap(GapReason.NOT_WRITTEN, event=first, count=last - first + 1, detail="could not be written")
            first = start
        last = max(last, end)
    if last >= first:
        yield Gap(GapReason.NOT_WRITTEN, event=first, count=last - first + 1, detail="could not be written")
    for exchange in sorted({gap.exchange for gap in gaps if gap.exchange is not None and gap.reason is GapReason.NOT_WRITTEN}):
        yield Gap(GapReason.NOT_WRITTEN, exchange=exchange, detail="a part of it could not be written")
    rest = sum(gap.count for gap in gaps if gap.event is None and gap.exchange is None and gap.reason is GapReason.NOT_WRITTEN)
    if rest:
        yield Gap(GapReason.NOT_WRITTEN, count=rest, detail="could not be written")
