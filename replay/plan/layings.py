"""
Which recorded changes of files are laid in place by the replay, and where in its order.

How this works
--------------
A recorder sees that a file of the workspace changed, and not who did it. What the daemon writes itself must not be laid: that would hide
where the replayed daemon writes something else. A change is the daemon's where

- the file is one that the daemon keeps (`MEMORY.md`, what it wrote of a session, its lists of tools and sources, the secrets, …), or
- a request that writes this very file was open at the time, or had just ended (`POST /api/config` for the file that it names, say).

Every other change is a person's edit, and a step of the replay like a request. So is a file that a request names by its path: it is laid
before that request is sent.

A change is noticed a moment after it was made, so its event number may be higher than that of a request that came after it. The file's own
time of change tells where it belongs; where that is far from the notice (a file that was moved keeps its time), the notice counts.
"""

import json
import re
from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from replay.model import Attachment, Exchange, WorkspaceChange
from replay.plan.steps import Laying, Unlaid
from replay.plan.table import SENT, Table

KEPT_BY_THE_DAEMON: Final = "the daemon writes this file itself"
IN_THE_STATE: Final = "made before the snapshot was taken"
OUT_OF_SCOPE: Final = "not in what is replayed"
NO_CONTENT: Final = "its content was not recorded"
NOT_THERE: Final = "was not there when it was recorded"
NO_STEP: Final = "named by a request that is not sent"

_NOTICED_S: Final = 0.25
"""A change is noticed within this time, and what a request writes is written before this time after its end."""
_PATHS_TOLD: Final = 5
_WRITINGS_MAX: Final = 64
"""How many of the last requests that write files may have made a change."""
_ITS_OWN: Final = re.compile(
    r"(agents/[^/]+/)?MEMORY\.md"
    r"|memory/MEMORY\.(backup|bak|pre)[^/]*"
    r"|memory/[^/]+--[a-z2-7]{16}--(summary|transcript|compaction|manifest)\.md"
    r"|memory/[^/]+/transcripts/.*|memory/\..*"
    r"|SIGNET-ARCHITECTURE\.md|agents/[^/]+/workspace/.*"
    r"|\.gitignore|sources\.json|marketplace/.*|\.clawdhub/.*|\.secrets(/.*)?|\.daemon(/.*)?|\.git(/.*)?"
    r"|.*\.(db|sqlite3?)([-.].*)?",
    re.DOTALL,
)
_CONFIGURATION: Final = re.compile(r"(agent|AGENT)\.yaml|config\.yaml")
_IN_THE_ROOT: Final = re.compile(r"[^/]+\.(md|ya?ml)")
_SKILL: Final = re.compile(r"skills/.*", re.DOTALL)
_ANY: Final = re.compile(r".*", re.DOTALL)
_WRITTEN_BY: Final[Mapping[str, re.Pattern[str]]] = MappingProxyType(
    {
        "POST /api/config": _IN_THE_ROOT,
        "POST /api/config/provider-safety/rollback": _CONFIGURATION,
        "POST /api/pipeline/pause": _CONFIGURATION,
        "POST /api/pipeline/resume": _CONFIGURATION,
        "POST /api/update/config": _CONFIGURATION,
        "POST /api/git/config": _CONFIGURATION,
        "POST /api/skills/install": _SKILL,
        "DELETE /api/skills/:name": _SKILL,
        "POST /api/git/pull": _ANY,
        "POST /api/git/sync": _ANY,
    }
)
"""By route, which files of the workspace a daemon writes to answer it."""

type Change = WorkspaceChange | Attachment


@dataclass(frozen=True, slots=True)
class Holds:
    """Between which event numbers a change is laid."""

    after: int = 0
    """What was changed up to it, the state holds."""
    until: int | None = None
    """What was changed from it on is not replayed; None: to the end."""


@dataclass(frozen=True, slots=True)
class Writing:
    """A request that has the daemon write files."""

    route: str
    opened_event: int
    started_at: float
    ended_at: float
    files: re.Pattern[str]
    named: str | None
    """The one file that it names, where it does."""

    def made(self, change: WorkspaceChange) -> bool:
        """Whether a change is this request's."""
        if change.event < self.opened_event or moment_of(change) > self.ended_at + _NOTICED_S:
            return False
        return self.files.fullmatch(change.path) is not None and self.named in {None, change.path}


def writing_of(exchange: Exchange, route: str) -> Writing | None:
    """Give what a request has the daemon write; None for one that writes no watched file."""
    files = _WRITTEN_BY.get(route)
    if files is None:
        return None
    return Writing(route, exchange.opened_event, exchange.started_at, exchange.ended_at, files, _named(exchange))


def moment_of(change: WorkspaceChange) -> float:
    """Give when a change was made: the file's own time, unless that is far from when it was noticed."""
    made = change.modified_at
    return made if made is not None and 0.0 <= change.at - made <= _NOTICED_S else change.at


class Unlayable:
    """What is not laid, counted by reason."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._paths: dict[str, list[str]] = {}

    def add(self, why: str, path: str) -> None:
        """Count one."""
        self._counts[why] += 1
        paths = self._paths.setdefault(why, [])
        if len(paths) < _PATHS_TOLD and path not in paths:
            paths.append(path)

    def told(self) -> tuple[Unlaid, ...]:
        """Give all, the most frequent reason first."""
        return tuple(Unlaid(why, count, tuple(self._paths[why])) for why, count in self._counts.most_common())


def find_layings(
    changes: Iterable[Change], writings: Sequence[Writing], table: Table, ends: Sequence[int], *, holds: Holds, unlayable: Unlayable
) -> list[Laying]:
    """
    Give what is laid, in the order in which it is; the rest is added to *unlayable*.

    *writings* are in the order of their starts, and so is the table. *ends* are the event numbers at which what is sent ended, in order.
    """
    sent = array("I", table.rows(SENT))
    opened = array("q", (table.opened[row] for row in sent))
    laid: list[Laying] = []
    for change in changes:
        if isinstance(change, Attachment):
            row = table.row_of(change.exchange)
            is_sent = row is not None and bool(table.flags[row] & SENT)
            why = why_not_attached(change) if is_sent else NO_STEP
            if row is not None and not why:
                laid.append(Laying(0, table.opened[row] - 1, change, table.started_at[row]))
        else:
            why = why_not(change, writings, holds)
            if not why:
                laid.append(_in_order(change, opened, lambda place: table.started_at[sent[place]]))
        if why:
            unlayable.add(why, change.path)
    laid.sort(key=lambda laying: (laying.event, laying.record.event))
    return [replace(laying, after=bisect_right(ends, laying.event)) for laying in laid]


def why_not(change: WorkspaceChange, writings: Sequence[Writing], holds: Holds) -> str:
    """Say why a change is not laid; empty for a person's edit that is."""
    if change.event <= holds.after:
        return IN_THE_STATE
    if holds.until is not None and change.event >= holds.until:
        return OUT_OF_SCOPE
    if is_kept(change):
        return KEPT_BY_THE_DAEMON
    # of requests that follow each other closely the last one that had begun
    begun = bisect_left(writings, change.event, key=lambda writing: writing.opened_event)
    writer = next((writing for writing in reversed(writings[max(0, begun - _WRITINGS_MAX) : begun]) if writing.made(change)), None)
    if writer is not None:
        return f"written by {writer.route}"
    if change.content is None and change.modified_at is not None:
        return NO_CONTENT
    return ""


def is_kept(change: Change) -> bool:
    """Whether the daemon keeps a file itself."""
    return isinstance(change, WorkspaceChange) and _ITS_OWN.fullmatch(change.path) is not None


def why_not_attached(attachment: Attachment) -> str:
    """Say why a file that a request names is not laid; empty where it is."""
    if attachment.content is None:
        return NOT_THERE if attachment.note == "not there" else f"{NO_CONTENT} ({attachment.note.partition(':')[0] or 'no reason told'})"
    return ""


def _in_order(change: WorkspaceChange, opened: Sequence[int], started_at: Callable[[int], float]) -> Laying:
    """Put an edit before the requests that came after it but were noticed first."""
    moment = moment_of(change)
    place = first = bisect_left(opened, change.event)
    while place and moment < started_at(place - 1) <= change.at + _NOTICED_S:
        place -= 1
    return Laying(0, change.event if place == first else opened[place] - 1, change, moment)


def _named(exchange: Exchange) -> str | None:
    try:
        told = json.loads(exchange.request.body or b"")
    except ValueError:
        return None
    file = told.get("file") if isinstance(told, dict) else None
    return file if isinstance(file, str) else None
