"""API keys that were there before a recording began, and have a placeholder in it."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from replay.jobs.old_keys import find_taken_keys, renew_keys
from replay.model import Connection, Exchange, ParityError, Request, Response
from replay.redact import Redactor

_KEY = b"sig_sk_0123456789ab_" + b"Ss9-_" * 8 + b"xyz"
_OTHER = b"sig_sk_ba9876543210_" + b"Tt8-_" * 8 + b"abc"


def asking(number: int, key: bytes, status: int, *, redacted: bool = True) -> Exchange:
    """Make an exchange that showed a key."""
    request = Request(b"GET", b"/api/memories", b"HTTP/1.1", ((b"Authorization", b"Bearer " + key),))
    if redacted:
        request, _ = Redactor(b"k" * 32).request(request, "GET /api/memories")
    return Exchange(number, request, Response(b"HTTP/1.1", status, b"", ()), Connection("c"), number * 3, number * 3 + 2, 1.0, 2.0)


def state_with(folder: Path, *prefixes: str) -> Path:
    """Make a workspace whose keys have stand-ins for their hashes."""
    (folder / "memory").mkdir(parents=True)
    stand_in = Redactor(b"k" * 32).text(b"Bearer " + b"A1b2" * 16)[7:].decode()
    with closing(sqlite3.connect(folder / "memory" / "memories.db")) as database, database:
        database.execute("create table api_keys (prefix text, key_hash text)")
        database.executemany("insert into api_keys values (?, ?)", [(prefix, stand_in) for prefix in prefixes])
    return folder


def test_only_keys_that_were_taken() -> None:
    """A key that a recorded answer refused, or that stands there in clear, is none to be renewed."""
    taken = find_taken_keys([asking(1, _KEY, 200), asking(2, _OTHER, 401), asking(3, _OTHER, 200, redacted=False)])
    assert list(taken) == ["sig_sk_0123456789ab"]
    assert "REDACTED" in taken["sig_sk_0123456789ab"]


def test_their_rows_get_the_placeholders_hash(tmp_path: Path) -> None:
    """The row of a taken key gets another hash, any other row stays as it is."""
    state = state_with(tmp_path / "ws", "sig_sk_0123456789ab", "sig_sk_ba9876543210")
    assert renew_keys(state, find_taken_keys([asking(1, _KEY, 200)])) == 1
    with closing(sqlite3.connect(state / "memory" / "memories.db")) as database:
        rows = dict(database.execute("select prefix, key_hash from api_keys").fetchall())
    assert "REDACTED" not in rows["sig_sk_0123456789ab"]
    assert "REDACTED" in rows["sig_sk_ba9876543210"]


def test_without_a_database_or_keys(tmp_path: Path) -> None:
    """Where there is nothing to renew nothing is done; a damaged database is our own error."""
    taken = find_taken_keys([asking(1, _KEY, 200)])
    assert renew_keys(tmp_path, taken) == 0
    assert renew_keys(state_with(tmp_path / "ws", "sig_sk_0123456789ab"), {}) == 0
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memories.db").write_bytes(b"SQLite format 3\0" + b"junk" * 500)
    with pytest.raises(ParityError, match="can't be put there"):
        renew_keys(tmp_path, taken)
