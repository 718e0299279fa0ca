"""The tables of a daemon's databases: which there are, which one a thing is kept in, and the rows that hold given values."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from replay.model import ParityError
from replay.play.describing import Plain, Term, plain_name
from replay.workspace import is_sqlite, open_read_only

_DATABASES: Final = ("*.db", "*.sqlite", "*.sqlite3", "*/*.db", "*/*.sqlite", "*/*.sqlite3")
_LIKE_ENOUGH: Final = 0.5
"""Which share of what an answer says of a thing a table must have columns for, to be that thing's table."""
_COLUMNS_MIN: Final = 2
_ROWS_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class KnownRow:
    """What is known of a recorded row."""

    fields: Mapping[str, Plain]
    table: str | None = None
    database: Path | None = None
    """The recording's own database that holds it; None where an answer describes it."""


def find_databases(workspace: Path | None) -> list[Path]:
    """Give the SQLite files of a workspace, at its top and one folder below; none of no workspace."""
    if workspace is None:
        return []
    return [path for pattern in _DATABASES for path in sorted(workspace.glob(pattern)) if is_sqlite(path)]


def _tables(connection: sqlite3.Connection) -> Iterator[tuple[str, list[str]]]:
    """Give the tables whose rows have an id, with their columns."""
    names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY name")
    for (name,) in names.fetchall():
        if '"' not in name:
            columns = [str(row[1]) for row in connection.execute(f'PRAGMA table_info("{name}")')]
            if "id" in columns:
                yield str(name), [column for column in columns if '"' not in column]


def tables_for(row: KnownRow, connection: sqlite3.Connection) -> list[tuple[str, list[str]]]:
    """Give the table of that name, or those that have the most of the described thing's members for columns."""
    tables = list(_tables(connection))
    if row.table is not None:
        return [(name, columns) for name, columns in tables if name == row.table]
    wanted = {plain_name(name) for name in row.fields} - {"id"}
    shares = [(len(wanted & {plain_name(column) for column in columns}), name, columns) for name, columns in tables]
    best = max((share for share, _, _ in shares), default=0)
    if best < _COLUMNS_MIN or best < _LIKE_ENOUGH * len(wanted):
        return []
    return [(name, columns) for share, name, columns in shares if share == best]


def row_of(path: Path, word: str) -> KnownRow | None:
    """Give the row whose id is *word*; None where there is none, or the database can't be read."""
    try:
        with closing(open_read_only(path)) as connection:
            for table, columns in _tables(connection):
                row = connection.execute(f'SELECT * FROM "{table}" WHERE id IS ?', (word,)).fetchone()  # noqa: S608 - a name of the schema
                if row is not None:
                    fields = {column: row[column] for column in columns if isinstance(row[column], str | int | float | None)}
                    return KnownRow(fields, table, path)
    except (sqlite3.Error, ParityError):
        return None
    return None


def select(connection: sqlite3.Connection, table: str, terms: Sequence[Term]) -> list[str]:
    """Give the ids of the rows that hold all of it, in the order of their making. Raises sqlite3.Error."""
    where = " AND ".join(f'"{term.column}" IS ?' for term in terms)
    sql = f'SELECT id FROM "{table}" WHERE {where} ORDER BY rowid LIMIT {_ROWS_MAX}'  # noqa: S608 - names of the schema; values are bound
    return [row[0] for row in connection.execute(sql, [term.value for term in terms]) if isinstance(row[0], str)]
