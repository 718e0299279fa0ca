"""
Replacing what is in a database's cells, so that nothing of the old content is left in the file.

How this works
--------------
Only a copy is ever scrubbed. Each cell of each ordinary table goes through the caller's *mask*; what it changes is put back by plain
`UPDATE` while triggers, foreign keys and checks are off, so no row is added and no index left behind. Full-text indexes keep the words of
their rows in tables of their own, deleted ones too: they are built anew from their content, and rows that were in the table but not in the
index are taken out again. Then `VACUUM INTO` writes a new file: freed pages and the remains of deleted rows, which the daemon's file
holds and the backup interface copies, do not come along. Row ids stay as they are, because the indexes refer to them.

Virtual tables of other modules (`vec0`) are never touched, so the module need not be there: their tables are pages like any other.

Where a changed text has its SHA-256 beside it in the same row (as it stands, or in the daemon's normal form), that is made anew too,
so that a daemon still finds the row as a duplicate.
"""

import hashlib
import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from replay.model import ParityError

type Mask = Callable[[str, bytes], bytes]
"""(name of the column, content of a TEXT or BLOB cell) → what shall stand there."""

_BATCH_ROWS: Final = 100
_MODULE: Final = re.compile(r"USING\s+[\"'`\[]?(\w+)", re.IGNORECASE)
_OPTION: Final = re.compile(r"[(,]\s*(content|content_rowid)\s*=\s*(?:'([^']*)'|\"([^\"]*)\"|([^\s,)]+))", re.IGNORECASE)
_INDEX_TABLES: Final = {
    "fts5": ("_data", "_idx", "_docsize", "_config"),
    "fts4": ("_segments", "_segdir", "_docsize", "_stat"),
    "fts3": ("_segments", "_segdir"),
    "vec0": ("_vector_chunks00",),
}
"""Module → the tables that hold nothing but what is made from others, or numbers."""
_ROW_NAMES: Final = ("rowid", "_rowid_", "oid")
_SPACES: Final = re.compile(r"\s+")


class _Text(bytes):
    """A TEXT cell, undecoded: it need not be UTF-8, and differs from a BLOB."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class _Table:
    """An ordinary table and how its rows are named."""

    name: str
    columns: tuple[str, ...]
    """Those that can be written to."""
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Virtual:
    """A virtual table of a full-text module."""

    name: str
    module: str
    content: str | None
    """The table that it indexes; None: its own; empty: none at all."""
    content_rowid: str


def scrub_database(path: Path, mask: Mask) -> tuple[str, ...]:
    """
    Pass every cell of the database at *path*, a copy that nobody else has open, through *mask*, and leave nothing of what it replaced.

    Gives what had to be dropped on the way, in words. *path* is replaced by a new file with the same mode; it takes as much space
    beside it for a while.

    Raises:
        ParityError: it is damaged, needs what this SQLite lacks (FTS5, a tokenizer, a collation), or the space is out.
    """
    beside = path.with_name(f"{path.name}.scrubbed")
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            notes = _scrub(connection, mask)
            beside.unlink(missing_ok=True)
            connection.execute("VACUUM INTO ?", (str(beside),))
        beside.chmod(path.stat().st_mode & 0o777)
        beside.replace(path)
    except (sqlite3.Error, OSError) as error:
        raise ParityError(f"{path.name}: its secrets can't be replaced ({error}); check the database, the space and SQLite's modules") from error
    finally:
        beside.unlink(missing_ok=True)
    return notes


def _scrub(connection: sqlite3.Connection, mask: Mask) -> tuple[str, ...]:
    connection.text_factory = _Text
    connection.setconfig(sqlite3.SQLITE_DBCONFIG_ENABLE_TRIGGER, False)
    for pragma in ("foreign_keys=OFF", "ignore_check_constraints=ON", "journal_mode=DELETE", "synchronous=OFF", "cache_size=-16000"):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    connection.execute("BEGIN")
    indexes = list(_indexes(connection))
    for table in list(_tables(connection)):
        _scrub_table(connection, table, mask)
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE name IN ('sqlite_stat3', 'sqlite_stat4')").fetchall():
        # Samples of what columns hold, for the query planner.
        connection.execute(f"DELETE FROM {_quote(_words(name))}")  # noqa: S608 (quoted)
    notes = [note for index in indexes for note in _build_anew(connection, index)]
    connection.execute("COMMIT")
    return tuple(notes)


def _indexes(connection: sqlite3.Connection) -> Iterator[_Virtual]:
    for name, sql in _virtual_tables(connection):
        module = _module(sql)
        if module in {"fts3", "fts4", "fts5"}:
            options = {found[1].lower(): found[2] or found[3] or found[4] or "" for found in _OPTION.finditer(sql)}
            yield _Virtual(name, module, options.get("content"), options.get("content_rowid", "rowid"))


def _tables(connection: sqlite3.Connection) -> Iterator[_Table]:
    derived = {name + ending for name, sql in _virtual_tables(connection) for ending in _INDEX_TABLES.get(_module(sql), ())}
    for (raw,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0 ORDER BY name").fetchall():
        name = _words(raw)
        if name not in derived and not name.startswith("sqlite_"):
            yield _describe(connection, name)


def _virtual_tables(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    found = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table' AND rootpage = 0 ORDER BY name").fetchall()
    return [(_words(name), _words(sql)) for name, sql in found]


def _module(sql: str) -> str:
    found = _MODULE.search(sql)
    return found[1].lower() if found else ""


def _describe(connection: sqlite3.Connection, name: str) -> _Table:
    columns = connection.execute(f"PRAGMA table_xinfo({_quote(name)})").fetchall()
    names = [_words(column[1]) for column in columns]
    writable = tuple(text for text, column in zip(names, columns, strict=True) if column[6] == 0)
    keys = tuple(text for _, text in sorted((column[5], text) for text, column in zip(names, columns, strict=True) if column[5]))
    taken = {text.lower() for text in names}
    for row_name in _ROW_NAMES:
        if row_name not in taken:
            try:
                connection.execute(f"SELECT {row_name} FROM {_quote(name)} LIMIT 0")  # noqa: S608 (quoted)
            except sqlite3.OperationalError:
                break  # WITHOUT ROWID
            return _Table(name, writable, (row_name,))
    return _Table(name, writable, keys)


def _scrub_table(connection: sqlite3.Connection, table: _Table, mask: Mask) -> None:
    """Go through a table in the order of its keys, a batch at a time, so that what is changed is not met again."""
    if not table.columns or not table.keys:
        return
    keys = [key if key in _ROW_NAMES and key not in table.columns else _quote(key) for key in table.keys]
    selected = ", ".join((*keys, *map(_quote, table.columns)))
    order = ", ".join(keys)
    where = f"({order}) > ({', '.join('?' * len(keys))})"
    last: Sequence[Any] | None = None
    while True:
        rows = connection.execute(
            f"SELECT {selected} FROM {_quote(table.name)} {f'WHERE {where}' if last is not None else ''} ORDER BY {order} LIMIT {_BATCH_ROWS}",  # noqa: S608 (quoted)
            () if last is None else [_parameter(value) for value in last],
        ).fetchall()
        if not rows:
            return
        last = rows[-1][: len(keys)]
        for row in rows:
            changed = _masked(table.columns, row[len(keys) :], mask)
            if changed:
                _update(connection, table.name, keys, row[: len(keys)], changed)


def _masked(columns: Sequence[str], cells: Sequence[Any], mask: Mask) -> dict[str, bytes]:
    """Give the cells of a row that change, hashes of changed texts included."""
    changed: dict[str, bytes] = {}
    hashes: dict[bytes, bytes] = {}
    for column, cell in zip(columns, cells, strict=True):
        if isinstance(cell, bytes) and cell:
            new = mask(column, bytes(cell))
            if new != cell:
                changed[column] = _Text(new) if isinstance(cell, _Text) else new
                hashes |= dict(zip(_hashes(cell), _hashes(new), strict=True))
    if hashes:
        for column, cell in zip(columns, cells, strict=True):
            if isinstance(cell, _Text) and column not in changed and bytes(cell) in hashes:
                changed[column] = _Text(hashes[bytes(cell)])
    return changed


def _hashes(content: bytes) -> tuple[bytes, bytes]:
    """Give the SHA-256 of a text as it stands, and in the daemon's normal form, in hex."""
    normal = _SPACES.sub(" ", content.decode(errors="replace").lower().strip()).rstrip(".,!?;:")
    return hashlib.sha256(content).hexdigest().encode(), hashlib.sha256(normal.encode(errors="replace")).hexdigest().encode()


def _update(connection: sqlite3.Connection, table: str, keys: Sequence[str], named: Sequence[Any], changed: dict[str, bytes]) -> None:
    where = " AND ".join(f"{key} IS ?" for key in keys)
    bound = [_parameter(value) for value in named]

    def put(cells: dict[str, bytes]) -> None:
        sets = ", ".join(f"{_quote(column)} = {_placed(cell)}" for column, cell in cells.items())
        connection.execute(
            f"UPDATE {_quote(table)} SET {sets} WHERE {where}",  # noqa: S608 (quoted)
            [*(_parameter(cell) for cell in cells.values()), *bound],
        )

    try:
        put(changed)
    except sqlite3.IntegrityError:
        # Secrets that are too short to be told apart, where the table wants different ones: their row makes them differ.
        mark = hashlib.sha256(repr(named).encode()).hexdigest()[:12].encode()
        put({column: type(cell)(cell + b"~" + mark) for column, cell in changed.items()})


def _build_anew(connection: sqlite3.Connection, index: _Virtual) -> Iterator[str]:
    name = _quote(index.name)
    if index.content == "":
        if index.module != "fts5":
            raise ParityError(f"{index.name}: an index without content can't be searched for secrets; drop it, or record without redaction")
        connection.execute(f"INSERT INTO {name} ({name}) VALUES ('delete-all')")  # noqa: S608 (quoted)
        yield f"{index.name}: was emptied, because it holds words without the text that they came from"
        return
    outside = _rows_outside(connection, index) if index.module == "fts5" and index.content else ()
    connection.execute(f"INSERT INTO {name} ({name}) VALUES ('rebuild')")  # noqa: S608 (quoted)
    if outside:
        columns = ", ".join(_quote(_words(row[1])) for row in connection.execute(f"PRAGMA table_info({name})"))
        rowid = _row_name(index)
        connection.executemany(
            f"INSERT INTO {name} ({name}, rowid, {columns}) SELECT 'delete', {rowid}, {columns}"  # noqa: S608 (quoted)
            f" FROM {_quote(index.content or '')} WHERE {rowid} = ?",
            [(row,) for row in outside],
        )
        connection.execute(f"INSERT INTO {name} ({name}) VALUES ('optimize')")  # noqa: S608 (quoted)


def _rows_outside(connection: sqlite3.Connection, index: _Virtual) -> tuple[int, ...]:
    """Give the rows of the table that the index does not hold."""
    query = f"SELECT {_row_name(index)} FROM {_quote(index.content or '')} EXCEPT SELECT id FROM {_quote(index.name + '_docsize')}"  # noqa: S608 (quoted)
    try:
        return tuple(int(row[0]) for row in connection.execute(query))
    except sqlite3.OperationalError:
        return ()  # it keeps no sizes, so nobody can say


def _row_name(index: _Virtual) -> str:
    return index.content_rowid if index.content_rowid.lower() in _ROW_NAMES else _quote(index.content_rowid)


def _placed(cell: bytes) -> str:
    return "CAST(? AS TEXT)" if isinstance(cell, _Text) and not _is_utf8(cell) else "?"


def _parameter(value: Any) -> Any:
    """Give a cell as SQLite takes it: a TEXT as text where that can be."""
    if isinstance(value, _Text):
        return value.decode() if _is_utf8(value) else bytes(value)
    return value


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _words(raw: bytes | None) -> str:
    return (raw or b"").decode(errors="surrogateescape")


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


__all__ = ["Mask", "scrub_database"]
