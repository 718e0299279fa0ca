"""SQLite without touching it."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from replay.model import ParityError
from replay.workspace import backup, is_sqlite, open_read_only


def make_database(path: Path, *, mode: str = "wal") -> sqlite3.Connection:
    """Give an open connection to a new database with one row."""
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA journal_mode={mode}")
    connection.execute("CREATE TABLE t (x)")
    connection.execute("INSERT INTO t VALUES (1)")
    connection.commit()
    return connection


def rows(path: Path) -> list[int]:
    """Give the column of the table."""
    with closing(open_read_only(path)) as connection:
        return [row[0] for row in connection.execute("SELECT x FROM t ORDER BY x")]


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_closed_database_is_left_alone(tmp_path: Path, mode: str) -> None:
    """Reading and copying a database that nobody has open makes no file beside it and changes no byte."""
    path = tmp_path / "source" / "a #?%.db"
    path.parent.mkdir()
    make_database(path, mode=mode).close()
    before = path.read_bytes()
    backup(path, tmp_path / "copy.db")

    assert rows(path) == [1]
    assert rows(tmp_path / "copy.db") == [1]
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir() if entry.name != "source"] == ["copy.db"]


def test_open_database_is_read_with_what_is_in_its_log(tmp_path: Path) -> None:
    """Committed rows that are only in the write-ahead log are in the reading and in the copy."""
    path = tmp_path / "a.db"
    with closing(make_database(path)) as writer:
        writer.execute("INSERT INTO t VALUES (2)")
        writer.commit()
        writer.execute("INSERT INTO t VALUES (3)")
        backup(path, tmp_path / "copy.db")

        assert rows(path) == [1, 2]
        assert rows(tmp_path / "copy.db") == [1, 2]
        with closing(open_read_only(path)) as reader, pytest.raises(sqlite3.OperationalError):
            reader.execute("DELETE FROM t")


def test_log_left_by_a_killed_daemon_is_recovered_in_the_copy_only(tmp_path: Path) -> None:
    """A write-ahead log without its index is merged into the copy, and the source keeps its files."""
    live, source = tmp_path / "live", tmp_path / "source"
    live.mkdir()
    source.mkdir()
    with closing(make_database(live / "a.db")) as writer:
        writer.execute("INSERT INTO t VALUES (2)")
        writer.commit()
        for name in ("a.db", "a.db-wal"):
            (source / name).write_bytes((live / name).read_bytes())
    before = {path.name: path.read_bytes() for path in source.iterdir()}
    backup(source / "a.db", tmp_path / "copy.db")

    assert rows(tmp_path / "copy.db") == [1, 2]
    assert {path.name: path.read_bytes() for path in source.iterdir()} == before


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    """Text, a folder and nothing are no databases; a damaged one is an error of ours."""
    text = tmp_path / "text"
    text.write_text("SQLite")
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)

    assert not any(is_sqlite(path) for path in (text, tmp_path, tmp_path / "none"))
    for path in (text, tmp_path / "none", damaged):
        with pytest.raises(ParityError):
            backup(path, tmp_path / "copy.db")
    with pytest.raises(ParityError):
        open_read_only(text)
