"""The daemon's one connection to its database: every use of it is one at a time, so readers never see half a change."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from replay.demo.schema import add_rust_objects
from replay.model import DaemonError

type Row = dict[str, Any]


class Database:
    """Rows in and out, under one lock."""

    def __init__(self, path: Path, *, with_rust_objects: bool, without_index: bool) -> None:
        if not path.is_file():
            raise DaemonError(f"{path}: no database there; make the workspace with replay.demo.make_workspace")
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode=WAL")
        if with_rust_objects:
            add_rust_objects(self._connection)
        if without_index:
            self._connection.execute("DROP INDEX IF EXISTS idx_memories_created")

    @contextmanager
    def change(self) -> Iterator[None]:
        """Hold the lock and a transaction: all of the block's statements are kept, or none. Blocks may nest."""
        with self._lock:
            outermost = not self._connection.in_transaction
            if outermost:
                self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                if outermost:
                    self._connection.execute("ROLLBACK")
                raise
            if outermost:
                self._connection.execute("COMMIT")

    def run(self, sql: str, *values: Any) -> int:
        """Run a statement and give how many rows it touched."""
        with self._lock:
            return self._connection.execute(sql, values).rowcount

    def rows(self, sql: str, *values: Any) -> list[Row]:
        """Give all rows of a query."""
        with self._lock:
            return [dict(row) for row in self._connection.execute(sql, values)]

    def row(self, sql: str, *values: Any) -> Row | None:
        """Give a query's first row; None where there is none."""
        return next(iter(self.rows(sql, *values)), None)

    def count(self, sql: str, *values: Any) -> int:
        """Give the number that a query yields in its first column."""
        with self._lock:
            return int(self._connection.execute(sql, values).fetchone()[0])

    def insert(self, table: str, **values: Any) -> None:
        """Add a row."""
        columns = ", ".join(values)
        self.run(f"INSERT INTO {table} ({columns}) VALUES ({', '.join('?' * len(values))})", *values.values())  # noqa: S608 (our own names)

    def close(self) -> None:
        """Give the file free; everything is in it then."""
        with self._lock:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            self._connection.close()
