"""
Ids that no answer ever gave: a client read them from the daemon's database, so they are looked up in the candidate's.

How this works
--------------
Such an id stands in a request before any answer bore it, and looks like one that the client chose. What tells them apart is its row: the
recorded answer describes it (`GET /api/memory/jobs/ID` answers with the job), or one of the recording's own snapshots holds it, made before
the request came. The candidate's tables are searched, read-only and just before the request is sent, for the one row that fits that
description (`describing`). One row: its id is bound, and the binding names the table and the columns that told. None, or several that nothing
tells apart: the request goes as it was recorded, with a note, and is counted. A row that stands for another recorded id already fits nothing.
An id that the candidate's database holds itself was there from the start, or is the client's own: it stays what it is.
"""

import asyncio
import re
import shutil
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from replay.archive import Archive
from replay.identity import Bindings
from replay.model import Binding, Exchange, ParityError, Response, SnapshotRecord
from replay.play.describing import created_at, describe, terms_of
from replay.play.tables import KnownRow, find_databases, row_of, select, tables_for
from replay.workspace import open_read_only

_TAIL: Final = re.compile(rb"-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}(?![0-9A-Za-z])")
"""A UUID from its first hyphen on: a search for a rare character is fast."""
_HEAD: Final = re.compile(rb"[0-9a-fA-F]{8}")
_BODY_BYTES_MAX: Final = 256 * 1024
_SNAPSHOT_BYTES_MAX: Final = 4_000_000_000
_MEMBERS_MIN: Final = 4
_AGAIN_S: Final = 0.1
_PATIENCE_S: Final = 1.5
_PATIENCE_ALL_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Looked:
    """What came of looking for the ids of one request."""

    bindings: tuple[Binding, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Fit:
    id: str
    path: str
    weak: bool


@dataclass(frozen=True, slots=True)
class _Misfit:
    why: str
    may_come: bool = False


_NOTHING: Final = Looked()


class Rows:
    """
    Looks for the rows of one candidate.

    Snapshots are unpacked below *folder* (None: where the system keeps temporary files), encrypted ones only where that is *private*.
    """

    def __init__(
        self,
        recorded: Archive,
        workspace: Path,
        bindings: Bindings,
        chosen: Collection[str],
        *,
        folder: Path | None = None,
        private: bool = True,
    ) -> None:
        self._recorded = recorded
        self._workspace = workspace
        self._bindings = bindings
        self._chosen = chosen
        self._folder = folder
        self._settled: set[str] = set()
        self._patience_s = _PATIENCE_ALL_S
        self._private = private
        self._unpacked: dict[int, Path | None] = {}
        self._snapshots: list[SnapshotRecord] | None = None
        self._temporary: list[Path] = []
        self.counts: Counter[str] = Counter()

    async def find(self, exchange: Exchange) -> Looked:
        """Bind the ids of a request that only rows explain; gives the new bindings, and what could not be found in words."""
        words = [word for word in self._words(exchange) if word not in self._settled]
        if not words:
            return _NOTHING
        found: list[Binding] = []
        notes: list[str] = []
        for word in words:
            self._settled.add(word)
            fit = await self._look(word, exchange)
            if isinstance(fit, _Fit):
                self._bindings.bind("uuid", word, fit.id, exchange.id, fit.path, weak=fit.weak)
                born = self._bindings.born(word)
                if born is not None:
                    found.append(born)
                self.counts["ids_from_rows"] += 1
            elif fit is not None:
                notes.append(f"{word} was given by no answer, and {fit.why}: sent as recorded")
                self.counts["ids_without_rows"] += 1
        return Looked(tuple(found), tuple(notes))

    def close(self) -> None:
        """Take away what was unpacked."""
        for folder in self._temporary:
            shutil.rmtree(folder, ignore_errors=True)
        self._temporary.clear()

    def _words(self, exchange: Exchange) -> Iterator[str]:
        request = exchange.request
        seen: set[str] = set()
        for raw in (request.target, (request.body or b"")[:_BODY_BYTES_MAX]):
            for match in _TAIL.finditer(raw):
                start = match.start() - 8
                if start < 0 or not _HEAD.fullmatch(raw, start, match.start()) or raw[start - 1 : start].isalnum():
                    continue
                word = raw[start : match.end()].decode("ascii")
                if word not in seen and word in self._chosen and self._bindings.observed_for(word) is None:
                    seen.add(word)
                    yield word

    async def _look(self, word: str, exchange: Exchange) -> _Fit | _Misfit | None:
        """Give the row that fits, why none does, or None where the id is no row's or is the same on both sides."""
        started = time.monotonic()
        row = await asyncio.to_thread(self._recorded_row, word, exchange)
        if row is None:
            return None
        while True:
            fit = await asyncio.to_thread(self._fit, word, row)
            spent = time.monotonic() - started
            patience_s = min(_PATIENCE_S, self._patience_s) if exchange.request.method == b"GET" else 0.0
            if not isinstance(fit, _Misfit) or not fit.may_come or spent > patience_s:
                self._patience_s = max(0.0, self._patience_s - spent)
                return fit
            await asyncio.sleep(_AGAIN_S)

    def _recorded_row(self, word: str, exchange: Exchange) -> KnownRow | None:
        answer = exchange.outcome
        if not isinstance(answer, Response) or answer.status == 404:
            return None
        fields = describe(word, answer) if 200 <= answer.status < 300 else None
        told = fields is not None and len(fields) >= _MEMBERS_MIN  # fewer are an echo, such as an id and `not found`
        if fields is not None and told:
            row: KnownRow | None = KnownRow(fields)
        elif any(row_of(path, word) for path in find_databases(self._workspace)):
            return None  # on both sides from the start: no snapshot need be unpacked to know that
        else:
            row = self._row_in_snapshots(word, exchange)
        if row is None:
            return None
        made = created_at(row.fields)
        return None if made is not None and made > exchange.started_at else row

    def _row_in_snapshots(self, word: str, exchange: Exchange) -> KnownRow | None:
        if self._snapshots is None:
            self._snapshots = self._recorded.snapshots()
        numbers = range(1, len(self._snapshots) + 1)
        later = [number for number in numbers if self._snapshots[number - 1].event_after >= exchange.opened_event]
        for number in (*later, *(number for number in reversed(numbers) if number not in later)):
            record = self._snapshots[number - 1]
            if record.bytes <= _SNAPSHOT_BYTES_MAX and (self._private or not record.file.endswith(".enc")):
                for path in find_databases(self._unpack(number)):
                    row = row_of(path, word)
                    if row is not None:
                        return row
        return None

    def _unpack(self, number: int) -> Path | None:
        if number not in self._unpacked:
            parent = Path(tempfile.mkdtemp(prefix="snapshot-", dir=self._folder))
            self._temporary.append(parent)
            try:
                self._unpacked[number] = self._recorded.unpack_snapshot(number, parent / "workspace")
            except (ParityError, OSError):
                self._unpacked[number] = None  # it can tell nothing; the count of ids without rows says so
        return self._unpacked[number]

    def _fit(self, word: str, row: KnownRow) -> _Fit | _Misfit | None:
        try:
            return self._fit_in(find_databases(self._workspace), word, row)
        except (sqlite3.Error, ParityError) as error:
            return _Misfit(f"the candidate's database can't be read ({error})")

    def _fit_in(self, databases: Sequence[Path], word: str, row: KnownRow) -> _Fit | _Misfit | None:
        fits: list[_Fit] = []
        worst = _Misfit("the candidate's database has no table for it")
        for path in databases:
            with closing(open_read_only(path)) as connection:
                for table, columns in tables_for(row, connection):
                    if connection.execute(f'SELECT 1 FROM "{table}" WHERE id IS ?', (word,)).fetchone() is not None:  # noqa: S608
                        return None
                    fit = self._fit_among(connection, table, columns, word, row)
                    if isinstance(fit, _Fit):
                        fits.append(fit)
                    else:
                        worst = fit
        if len(fits) > 1:
            return _Misfit(f"rows of {len(fits)} tables fit it")
        return fits[0] if fits else worst

    def _fit_among(self, connection: sqlite3.Connection, table: str, columns: Sequence[str], word: str, row: KnownRow) -> _Fit | _Misfit:
        terms = terms_of(row.fields, columns, self._bindings, self._chosen)
        firm = [term for term in terms if term.firm]
        if not firm:
            return _Misfit(f"nothing that stays the same is known of its row in {table}")
        path = f"row:{table}({', '.join(sorted(term.column for term in firm))})"
        rows = self._free(select(connection, table, firm), self._bindings.recorded_for)
        if len(rows) > 1:
            strict = self._free(select(connection, table, terms), self._bindings.recorded_for)
            rows = strict if len(strict) == 1 else rows
        if len(rows) == 1:
            return _Fit(rows[0], path, weak=False)
        if not rows:
            return _Misfit(f"no row of {table} fits it", may_come=True)
        return self._by_rank(rows, word, row, path) or _Misfit(f"{len(rows)} rows of {table} fit it")

    def _by_rank(self, rows: Sequence[str], word: str, row: KnownRow, path: str) -> _Fit | None:
        """Choose among rows that nothing tells apart by their order, where the recording has equally many."""
        if row.database is None or row.table is None:
            return None
        with closing(open_read_only(row.database)) as connection:
            nobody = Bindings()
            everything = frozenset(value for value in row.fields.values() if isinstance(value, str))
            terms = [term for term in terms_of(row.fields, row.fields, nobody, everything) if term.firm]
            there = self._free(select(connection, row.table, terms), self._bindings.observed_for)
        return _Fit(rows[there.index(word)], path, weak=True) if len(there) == len(rows) and word in there else None

    @staticmethod
    def _free(ids: Sequence[str], partner: Callable[[str], str | None]) -> list[str]:
        return [one for one in ids if partner(one) is None]
