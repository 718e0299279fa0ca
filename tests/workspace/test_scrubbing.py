"""Replacing what is in a database's cells."""

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from replay.model import ParityError
from replay.workspace import scrub_database

CANARY = "canary0secret0of0words"
STAND_IN = "REDACTED00000000words0"


def hide(_: str, content: bytes) -> bytes:
    """Replace the one secret."""
    return content.replace(CANARY.encode(), STAND_IN.encode())


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Give a connection to a new database in `d.db`."""
    with closing(sqlite3.connect(tmp_path / "d.db", isolation_level=None)) as connection:
        yield connection


def scrub(tmp_path: Path, database: sqlite3.Connection) -> tuple[tuple[str, ...], sqlite3.Connection]:
    """Scrub the database and open what came of it; nothing of the secret is in the file."""
    database.close()
    notes = scrub_database(tmp_path / "d.db", hide)
    content = (tmp_path / "d.db").read_bytes().lower()
    assert CANARY.encode() not in content
    connection = sqlite3.connect(tmp_path / "d.db")
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    return notes, connection


def test_secret_is_gone_from_cells_free_pages_and_deleted_rows(tmp_path: Path, database: sqlite3.Connection) -> None:
    """Neither a cell nor what SQLite keeps of deleted and updated rows shows the secret."""
    database.execute("PRAGMA secure_delete=OFF")
    database.execute("CREATE TABLE t (x, y BLOB)")
    for number in range(300):
        database.execute("INSERT INTO t VALUES (?, ?)", (f"{CANARY} {number} " + "x" * 900, f"b {CANARY}".encode()))
    database.execute("DELETE FROM t WHERE rowid % 3")
    database.execute("UPDATE t SET x = 'short' WHERE rowid % 2")
    assert (tmp_path / "d.db").read_bytes().count(CANARY.encode()) > 100
    _, connection = scrub(tmp_path, database)
    with closing(connection):
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (100,)
        assert connection.execute("SELECT count(*) FROM t WHERE typeof(y) = 'blob' AND typeof(x) = 'text'").fetchone() == (100,)
        assert connection.execute("SELECT y FROM t LIMIT 1").fetchone() == (f"b {STAND_IN}".encode(),)


@pytest.mark.parametrize("content", ["content='t', content_rowid='rowid'", ""])
def test_full_text_index_follows_and_finds_the_same_rows(tmp_path: Path, database: sqlite3.Connection, content: str) -> None:
    """The index holds no word of the secret, also of rows that were deleted, and finds every other word where it was."""
    database.execute("CREATE TABLE t (id TEXT PRIMARY KEY, body TEXT)")
    database.execute(f"CREATE VIRTUAL TABLE t_fts USING fts5(body{', ' + content if content else ''})")
    for number in range(200):
        database.execute("INSERT INTO t VALUES (?, ?)", (f"id{number}", f"harbour {number} {CANARY if number % 7 == 0 else 'quay'}"))
    database.execute("DELETE FROM t WHERE rowid % 5 = 0")
    database.execute("INSERT INTO t_fts (rowid, body) SELECT rowid, body FROM t WHERE rowid % 11")
    before = {word: database.execute("SELECT rowid FROM t_fts WHERE t_fts MATCH ?", (word,)).fetchall() for word in ("harbour", "quay", "13")}
    gone = [rowid for (rowid,) in database.execute("SELECT rowid FROM t WHERE rowid % 77 = 0")]
    _, connection = scrub(tmp_path, database)
    with closing(connection):
        for word, rows in before.items():
            assert connection.execute("SELECT rowid FROM t_fts WHERE t_fts MATCH ?", (word,)).fetchall() == rows
        found = connection.execute("SELECT rowid FROM t_fts WHERE t_fts MATCH ?", (STAND_IN,)).fetchall()
        assert len(found) > 10
        assert not {rowid for (rowid,) in found} & set(gone)


def test_triggers_do_not_fire_and_stay(tmp_path: Path, database: sqlite3.Connection) -> None:
    """Replacing adds no audit row, and the triggers are there afterwards."""
    database.executescript(
        "CREATE TABLE t (x); CREATE TABLE audit (x); INSERT INTO t VALUES ('canary0secret0of0words');"
        "CREATE TRIGGER au AFTER UPDATE ON t BEGIN INSERT INTO audit VALUES (old.x); END;"
        "CREATE TRIGGER guard BEFORE UPDATE ON t BEGIN SELECT RAISE(ABORT, 'no'); END;"
    )
    _, connection = scrub(tmp_path, database)
    with closing(connection):
        assert connection.execute("SELECT x FROM t").fetchall() == [(STAND_IN,)]
        assert connection.execute("SELECT count(*) FROM audit").fetchone() == (0,)
        assert connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' ORDER BY name").fetchall() == [("au",), ("guard",)]


def test_keys_references_and_row_ids_stay_in_step(tmp_path: Path, database: sqlite3.Connection) -> None:
    """Secrets in keys change on both sides alike, in tables with and without row ids; row ids never move."""
    database.executescript(
        "CREATE TABLE a (k TEXT PRIMARY KEY, n) WITHOUT ROWID; CREATE TABLE b (k TEXT REFERENCES a (k), rowid TEXT);"
        "INSERT INTO a VALUES ('canary0secret0of0words', 1), ('z', 2); INSERT INTO b VALUES ('gone', ''), ('canary0secret0of0words', 'mine');"
        "CREATE TABLE plain (x); INSERT INTO plain VALUES (1), (2), (3); DELETE FROM plain WHERE x < 3; DELETE FROM b WHERE k = 'gone';"
        "CREATE TABLE made (x TEXT, y TEXT GENERATED ALWAYS AS (x || '!') STORED); INSERT INTO made VALUES ('canary0secret0of0words');"
    )
    _, connection = scrub(tmp_path, database)
    with closing(connection):
        assert connection.execute("SELECT a.n, b.rowid, b._rowid_ FROM a JOIN b USING (k)").fetchall() == [(1, "mine", 2)]
        assert connection.execute("SELECT rowid, x FROM plain").fetchall() == [(3, 3)]
        assert connection.execute("SELECT y FROM made").fetchall() == [(f"{STAND_IN}!",)]


def test_hash_beside_a_text_is_made_anew(tmp_path: Path, database: sqlite3.Connection) -> None:
    """The daemon's own hash of a text, by which it knows duplicates, is that of the new text."""
    content = f"  The Key is\n{CANARY}. "
    normal = f"the key is {CANARY}"
    database.execute("CREATE TABLE t (content TEXT, content_hash TEXT, raw TEXT, other TEXT)")
    raw = hashlib.sha256(content.encode()).hexdigest()
    database.execute("INSERT INTO t VALUES (?, ?, ?, ?)", (content, hashlib.sha256(normal.encode()).hexdigest(), raw, "f" * 64))
    _, connection = scrub(tmp_path, database)
    expected = hashlib.sha256(f"the key is {STAND_IN.lower()}".encode()).hexdigest()
    with closing(connection):
        found = connection.execute("SELECT content_hash, raw, other FROM t").fetchone()
    assert found == (expected, hashlib.sha256(content.replace(CANARY, STAND_IN).encode()).hexdigest(), "f" * 64)


def test_virtual_table_of_an_unknown_module_is_not_touched(tmp_path: Path, database: sqlite3.Connection) -> None:
    """A vector table stays as it is where its extension is not there, its own tables included."""
    database.executescript(
        "CREATE TABLE v_rowids (rowid INTEGER PRIMARY KEY, id TEXT); INSERT INTO v_rowids VALUES (7, 'a');"
        "CREATE TABLE t (x); INSERT INTO t VALUES ('canary0secret0of0words'); PRAGMA writable_schema=ON;"
        "INSERT INTO sqlite_master VALUES ('table', 'v', 'v', 0, 'CREATE VIRTUAL TABLE v USING vec0(id TEXT PRIMARY KEY, embedding FLOAT[8])');"
    )
    _, connection = scrub(tmp_path, database)
    with closing(connection):
        assert connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'v'").fetchall() == [(0,)]
        assert connection.execute("SELECT * FROM v_rowids").fetchall() == [(7, "a")]


def test_text_that_is_no_utf8_keeps_its_bytes(tmp_path: Path, database: sqlite3.Connection) -> None:
    """Bytes around the secret stay as they are."""
    database.execute("CREATE TABLE t (x TEXT)")
    database.execute("INSERT INTO t VALUES (CAST(? AS TEXT))", (b"\xff\xfe " + CANARY.encode(),))
    _, connection = scrub(tmp_path, database)
    with closing(connection):
        connection.text_factory = bytes
        assert connection.execute("SELECT x, typeof(x) FROM t").fetchall() == [(b"\xff\xfe " + STAND_IN.encode(), b"text")]


def test_short_secrets_do_not_break_a_unique_column(tmp_path: Path) -> None:
    """Where different secrets get the same stand-in, a column that wants different ones still has them."""
    with closing(sqlite3.connect(tmp_path / "d.db", isolation_level=None)) as connection:
        connection.executescript("CREATE TABLE t (x TEXT UNIQUE); INSERT INTO t VALUES ('abc'), ('def')")
    scrub_database(tmp_path / "d.db", lambda _, __: b"~~~")
    with closing(sqlite3.connect(tmp_path / "d.db")) as connection:
        found = [x for (x,) in connection.execute("SELECT x FROM t ORDER BY rowid")]
    assert found[0] == "~~~"
    assert found[1].startswith("~~~~")


def test_damaged_database_is_an_error(tmp_path: Path) -> None:
    """What SQLite can't read is named, and the file stays."""
    path = tmp_path / "d.db"
    path.write_bytes(b"SQLite format 3\0" + b"\x07" * 4000)
    with pytest.raises(ParityError, match=r"d\.db"):
        scrub_database(path, hide)
    assert [entry.name for entry in tmp_path.iterdir()] == ["d.db"]
