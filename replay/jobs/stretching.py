"""
What a stretch of a recording needs from before it, and whether the snapshot that it starts from has it.

An id that was born before is as it was recorded, if it lies in the state: in a database, or in a file. What lies nowhere there was in the
daemon's memory (a job of `secrets exec`, a request of inference, an MCP session), or the state holds only its hash. Requests that name it
will be answered otherwise than recorded, by any daemon; they are sent all the same, with a note from which a difference of status follows.
Sessions are claimed in memory: those that were open before are not claimed at the start.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from replay.archive import Archive
from replay.identity import classify, find
from replay.model import Exchange, ParityError
from replay.plan import Stretch, ids_of_request, keys_of, known_before
from replay.routes import route_of
from replay.workspace import is_sqlite, open_read_only

_SHOWN_MAX: Final = 3
_PROOFS: Final = frozenset({"bearer", "api-key"})
"""Made again for the replayed daemon, whatever its state."""
_FILE_BYTES_MAX: Final = 64 << 20
_CHARS_MIN: Final = 8


@dataclass(frozen=True, slots=True)
class Remembered:
    """What requests of a stretch name that is older than it."""

    kept: Mapping[str, int] = field(default_factory=dict)
    """Ids that the state holds, each with the exchange that was the first to bear it."""
    lost: Mapping[str, int] = field(default_factory=dict)
    """The same of ids that it does not hold."""
    sessions: Mapping[str, int] = field(default_factory=dict)
    """Sessions that were named before and in it, each with the first exchange of the stretch that does."""
    open_at_start: tuple[int, ...] = ()
    """Exchanges that were open while the snapshot was taken: the state may hold what they did, or a part of it."""
    open_at_end: tuple[int, ...] = ()
    """Exchanges that began in the stretch and ended after it."""
    unread: tuple[str, ...] = ()
    """Files of the state that could not be searched, and why."""

    def lines(self) -> list[str]:
        """Say all of it, a line each."""
        told = []
        if self.open_at_start:
            told.append(f"open at the start, not sent, and the state may hold a part of what they did: {_exchanges(self.open_at_start)}")
        if self.open_at_end:
            told.append(f"began in the stretch and ended after it: {_exchanges(self.open_at_end)}")
        if self.kept:
            told.append(f"{len(self.kept):,} ids from before the stretch, which the state holds ({_kinds(self.kept)})")
        if self.lost:
            first = ", ".join(f"{_kind(word)} {word} of #{number}" for word, number in list(self.lost.items())[:_SHOWN_MAX])
            more = f", and {len(self.lost) - _SHOWN_MAX:,} more" if len(self.lost) > _SHOWN_MAX else ""
            told.append(
                f"{len(self.lost):,} ids from before the stretch, which the state does not hold (the daemon had them in memory, "
                f"or keeps only a hash): {first}{more}"
            )
        if self.sessions:
            first = ", ".join(f"{key} (#{number})" for key, number in list(self.sessions.items())[:_SHOWN_MAX])
            more = f", and {len(self.sessions) - _SHOWN_MAX:,} more" if len(self.sessions) > _SHOWN_MAX else ""
            told.append(f"{len(self.sessions):,} sessions go on from before; their claims and context were in memory: {first}{more}")
        told += [f"not searched for ids: {text}" for text in self.unread]
        return told


def find_remembered(recorded: Archive, stretch: Stretch, state: Path) -> Remembered:
    """
    Find what a stretch needs from before, and look it up in the workspace it starts from.

    Raises:
        ArchiveError: the recording is damaged.

    """
    exchanges = sorted((one for one in recorded.exchanges() if one.lane == "daemon"), key=lambda one: one.opened_event)
    inside = [one for one in exchanges if stretch.holds(one.opened_event)]
    open_at_end = tuple(one.id for one in inside if stretch.until is not None and one.ended_event >= stretch.until)
    if not stretch.after:
        return Remembered(open_at_end=open_at_end)
    before = [one for one in exchanges if one.opened_event <= stretch.after]
    known = known_before(exchanges, stretch)
    asked = {word for one in inside for word in ids_of_request(one.request) if word in known}
    wanted = {word: number for word, number in known.items() if word in asked and _kind(word) not in {*_PROOFS, "timestamp"}}
    there, unread = search(state, wanted.keys())
    return Remembered(
        kept={word: number for word, number in wanted.items() if word in there},
        lost={word: number for word, number in wanted.items() if word not in there},
        sessions=_sessions(before, inside),
        open_at_start=tuple(one.id for one in before if one.ended_event > stretch.began),
        open_at_end=open_at_end,
        unread=unread,
    )


def search(state: Path, wanted: Iterable[str]) -> tuple[frozenset[str], tuple[str, ...]]:
    """Say which ids lie in a workspace, in a database's rows or in a file or its name; and what could not be read."""
    missing = set(wanted)
    there: set[str] = set()
    unread: list[str] = []
    for path in sorted(state.rglob("*")) if missing else ():
        if not missing:
            break
        if not path.is_file() or path.is_symlink():
            continue
        name = str(path.relative_to(state))
        try:
            texts = _rows(path) if is_sqlite(path) else _texts(path)
            for text in (name, *texts):
                found = missing.intersection(text[span.start : span.end] for span in find(text))
                there |= found
                missing -= found
        except (OSError, sqlite3.Error, ParityError) as error:
            unread.append(f"{name} ({error})")
    return frozenset(there), tuple(unread)


def _rows(database: Path) -> Iterator[str]:
    with closing(open_read_only(database)) as connection:
        connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
        tables = [
            str(row[0]) for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'")
        ]
        for table in tables:
            quoted = table.replace('"', '""')
            for row in connection.execute(f'SELECT * FROM "{quoted}"'):  # noqa: S608  # the name is quoted
                yield from (value for value in row if isinstance(value, str) and len(value) >= _CHARS_MIN)


def _texts(path: Path) -> Iterator[str]:
    if path.stat().st_size > _FILE_BYTES_MAX:
        raise ParityError(f"more than {_FILE_BYTES_MAX >> 20} MiB")
    data = path.read_bytes()
    if b"\0" not in data[:4096]:
        yield data.decode("utf-8", "replace")


def _sessions(before: Iterable[Exchange], inside: Iterable[Exchange]) -> dict[str, int]:
    opened = {key for one in before for key in _session_keys(one)}
    found: dict[str, int] = {}
    for one in inside:
        for key in _session_keys(one):
            if key in opened:
                found.setdefault(key, one.id)
    return found


def _session_keys(exchange: Exchange) -> list[str]:
    return sorted(key for family, key in keys_of(exchange.request, route_of(exchange.request)) if family == "session")


def _exchanges(numbers: tuple[int, ...]) -> str:
    shown = ", ".join(f"#{number}" for number in numbers[:_SHOWN_MAX])
    return f"{len(numbers):,} ({shown}{', …' if len(numbers) > _SHOWN_MAX else ''})"


def _kinds(words: Iterable[str]) -> str:
    return ", ".join(f"{count:,} {kind}" for kind, count in sorted(Counter(_kind(word) for word in words).items()))


def _kind(word: str) -> str:
    role = classify(word)
    return "id" if role is None else role.kind


__all__ = ["Remembered", "find_remembered", "search"]
