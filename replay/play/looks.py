"""
Look at a daemon's job tables, read-only, often, and without the daemon feeling it.

How this works
--------------
Connections stay open. A look first asks SQLite whether anybody wrote since the last one (`PRAGMA data_version`, which reads one page of
shared memory and takes no lock); only then are the counts asked again. So a description's query must depend on rows alone, not on the time.
A database that is not there yet has nothing left to do; one that was replaced by another file is opened again.

A daemon may make anything of its database: a pipe (opening one waits for ever), a view without end. So only a file is opened, a query
has a bound, and the query that met it is not asked again.
"""

import sqlite3
import stat
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from replay.play.job import Drained

_BUSY_S: Final = 2.0
_QUERY_S: Final = 10.0
"""How long one query may take."""
_STEPS: Final = 100_000
"""After how many steps of its machine SQLite asks whether to go on."""


@dataclass(frozen=True, slots=True)
class Left:
    """What is left to do, at one look."""

    counts: Mapping[str, int]
    """By worker."""
    unreadable: Mapping[str, str] = field(default_factory=dict)
    """Why a worker's table can't be read."""


class Looks:
    """The open connections. For use by one thread at a time; `close` it."""

    def __init__(self, drained: Sequence[Drained], *, query_s: float = _QUERY_S) -> None:
        self._query_s = query_s
        self._databases: dict[Path, _Database] = {}
        for worker in drained:
            self._database(worker.database).workers.append(worker)
        self.queries = 0
        """How many queries were made beside the questions whether anything changed."""

    def look(self) -> Left:
        """Count what each worker has left; never raises for what a daemon's database is like."""
        counts: dict[str, int] = {}
        unreadable: dict[str, str] = {}
        for database in self._databases.values():
            if not database.workers:
                continue
            if database.moved():
                self.queries += len(database.workers)
                database.count()
            counts.update(database.counts)
            unreadable.update(database.unreadable)
        return Left(counts, unreadable)

    def number(self, path: Path, sql: str, parameters: Mapping[str, str]) -> int | None:
        """Ask for one number; None where there is no database, no such table, or no number."""
        self.queries += 1
        return self._database(path).number(sql, parameters)

    def close(self) -> None:
        """Close the connections."""
        for database in self._databases.values():
            database.close()

    def _database(self, path: Path) -> "_Database":
        return self._databases.setdefault(path, _Database(path, self._query_s))


class _Database:
    def __init__(self, path: Path, query_s: float) -> None:
        self._path = path
        self._query_s = query_s
        self._endless: set[str] = set()
        """Queries that met their bound."""
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._version: int | None = None
        self.workers: list[Drained] = []
        self.counts: dict[str, int] = {}
        self.unreadable: dict[str, str] = {}

    def moved(self) -> bool:
        """Whether the counts may have changed since they were made; afterwards they count as known."""
        try:
            connection = self._open()
            version = None if connection is None else int(connection.execute("PRAGMA data_version").fetchone()[0])
        except (sqlite3.Error, OSError) as error:
            self._give_up(str(error))
            return False
        if connection is None:
            self.counts = dict.fromkeys((worker.worker for worker in self.workers), 0)
            self.unreadable.clear()
            return False
        before, self._version = self._version, version
        return version != before

    def count(self) -> None:
        """Count for each worker."""
        assert self._connection is not None
        self.counts.clear()
        self.unreadable.clear()
        for worker in self.workers:
            try:
                row = self._ask(self._connection, worker.sql, {})
                self.counts[worker.worker] = int(row[0] or 0) if row is not None else 0
            except (sqlite3.Error, ValueError, TypeError, OverflowError) as error:
                self.unreadable[worker.worker] = str(error)
                self._version = None

    def number(self, sql: str, parameters: Mapping[str, str]) -> int | None:
        with suppress(sqlite3.Error, OSError, ValueError, TypeError, OverflowError):
            connection = self._open()
            row = None if connection is None else self._ask(connection, sql, parameters)
            return None if row is None or row[0] is None else int(row[0])
        return None

    def close(self) -> None:
        connection, self._connection = self._connection, None
        self._file = self._version = None
        if connection is not None:
            connection.close()

    def _ask(self, connection: sqlite3.Connection, sql: str, parameters: Mapping[str, str]) -> tuple[Any, ...] | None:
        if sql in self._endless:
            raise sqlite3.OperationalError(f"it took longer than {self._query_s:g} s")
        until = time.monotonic() + self._query_s
        connection.set_progress_handler(lambda: time.monotonic() > until, _STEPS)
        try:
            row: tuple[Any, ...] | None = connection.execute(sql, dict(parameters)).fetchone()
        except sqlite3.OperationalError:
            if time.monotonic() > until:
                self._endless.add(sql)
            raise
        finally:
            connection.set_progress_handler(None, 0)
        return row

    def _open(self) -> sqlite3.Connection | None:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            self.close()
            return None
        if not stat.S_ISREG(status.st_mode):
            raise OSError("no file is there")
        if self._connection is None or self._file != (status.st_dev, status.st_ino):
            self.close()
            uri = f"file:{quote(str(self._path.absolute()))}?mode=ro"
            self._connection = sqlite3.connect(uri, uri=True, timeout=_BUSY_S, check_same_thread=False, isolation_level=None)
            self._file = (status.st_dev, status.st_ino)
        return self._connection

    def _give_up(self, why: str) -> None:
        self.close()
        self.counts.clear()
        self.unreadable = dict.fromkeys((worker.worker for worker in self.workers), why)
