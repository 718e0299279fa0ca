"""What an archive holds, in numbers that fit into memory however long it is: read once, exchange by exchange."""

from dataclasses import dataclass, field
from typing import Final

from replay.archive import Archive
from replay.model import Exchange, Gap, Response, SnapshotRecord
from replay.play.laying import NOT_LAID

_REFUSED_MAX: Final = 10


@dataclass(slots=True)
class Outline:
    """An archive without its bodies."""

    statuses: dict[int, int] = field(default_factory=dict)
    """By exchange that is whole: the answer's status; 0 without an answer."""
    gaps: tuple[Gap, ...] = ()
    span: tuple[Exchange, ...] = ()
    """The exchange that began first and the one that ended last, where there are any."""
    not_laid: list[str] = field(default_factory=list)
    """The first files that a replay could not lay, and why."""

    @property
    def planned(self) -> int:
        """How many exchanges are there, whole or as a gap."""
        return len(self.statuses.keys() | {gap.exchange for gap in self.gaps if gap.exchange is not None})


def outline(archive: Archive) -> Outline:
    """
    Read an archive once.

    Raises:
        ArchiveError: it is damaged.

    """
    found = Outline()
    catalogue = archive.catalogue()
    for each in catalogue.scan():
        if isinstance(each, Exchange):
            found.statuses[each.id] = each.outcome.status if isinstance(each.outcome, Response) else 0
            first, last = found.span or (each, each)
            found.span = (min(first, each, key=lambda one: one.started_at), max(last, each, key=lambda one: one.ended_at))
        elif isinstance(each.record, SnapshotRecord) or len(found.not_laid) >= _REFUSED_MAX:
            continue
        elif each.record.note.startswith(NOT_LAID):
            found.not_laid.append(f"{each.record.path}: {each.record.note.removeprefix(NOT_LAID)}")
    for number in catalogue.lacking:
        found.statuses.pop(number, None)
    found.gaps = catalogue.gaps
    return found
