"""API keys that were there before a recording began, and have a placeholder in it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from replay.jobs.old_keys import find_taken_keys, renew_keys
from replay.model import Connection, Ended, EndReason, Opened, ParityError, Record, Request, Response
from replay.redact import Redactor
from replay.workspace.tokens import is_api_key

_KEY = b"sig_sk_0123456789ab_" + b"Ss9-_" * 8 + b"xyz"
_OTHER = b"sig_sk_ba9876543210_" + b"Tt8-_" * 8 + b"abc"


def asking(number: int, key: bytes, status: int, *, redacted: bool = True, error: str = "invalid api key") -> Iterator[Record]:
    """Make the records of an exchange that showed a key."""
    request = Request(b"GET", b"/api/memories", b"HTTP/1.1", ((b"Authorization", b"Bearer " + key),))
    if redacted:
        request, _ = Redactor(b"k" * 32).request(request, "GET /api/memories")
    answer = Response(b"HTTP/1.1", status, b"", (), f'{{"error":"{error}"}}'.encode() if status == 401 else b"{}")
    yield Opened(number, number * 3, 1.0, Connection("c"), request)
    yield Ended(number, number * 3 + 2, 2.0, EndReason.COMPLETE, answer, b"")


def state_with(folder: Path, *prefixes: str) -> Path:
    """Make a workspace whose keys have stand-ins for their hashes."""
    (folder / "memory").mkdir(parents=True)
    stand_in = Redactor(b"k" * 32).text(b"Bearer " + b"A1b2" * 16)[7:].decode()
    with closing(sqlite3.connect(folder / "memory" / "memories.db")) as database, database:
        database.execute("create table api_keys (prefix text, key_hash text)")
        database.executemany("insert into api_keys values (?, ?)", [(prefix, stand_in) for prefix in prefixes])
    return folder


def hashes(state: Path) -> dict[str, str]:
    """Give prefix → hash of the rows."""
    with closing(sqlite3.connect(state / "memory" / "memories.db")) as database:
        return dict(database.execute("select prefix, key_hash from api_keys").fetchall())


def test_only_keys_that_had_a_row() -> None:
    """A key that was taken, or refused because it was revoked, had one; what was refused for itself had none."""
    third = b"sig_sk_cccccccccccc_" + b"Uu7-_" * 8 + b"xyz"
    taken = find_taken_keys([*asking(1, _KEY, 200), *asking(2, _OTHER, 401), *asking(3, third, 401, redacted=False, error="api key revoked")])
    assert set(taken) == {"sig_sk_0123456789ab", "sig_sk_cccccccccccc"}
    assert "REDACTED" in taken["sig_sk_0123456789ab"]


@pytest.mark.parametrize("spelling", ["sig_sk_", ""])
def test_their_rows_get_a_fresh_keys_hash(tmp_path: Path, spelling: str) -> None:
    """The row of a taken key gets the hash of a key of the same prefix, any other row stays; the daemons keep the digits alone."""
    state = state_with(tmp_path / "ws", f"{spelling}0123456789ab", f"{spelling}ba9876543210")
    taken = find_taken_keys(asking(1, _KEY, 200))
    fresh = renew_keys(state, taken)
    key = fresh[taken["sig_sk_0123456789ab"]]
    assert key.startswith("sig_sk_0123456789ab_")
    assert key not in {_KEY.decode(), taken["sig_sk_0123456789ab"]}
    rows = hashes(state)
    assert is_api_key(rows[f"{spelling}0123456789ab"], key)
    assert "REDACTED" in rows[f"{spelling}ba9876543210"]


def test_an_end_to_come_is_as_far_away(tmp_path: Path) -> None:
    """A key that had an hour left when the recording began has one left; one that had ended then stays so."""
    state = state_with(tmp_path / "ws", "0123456789ab", "ba9876543210")
    began = 1_795_419_000.0  # 2026-11-23T07:30:00Z
    with closing(sqlite3.connect(state / "memory" / "memories.db")) as database, database:
        database.execute("alter table api_keys add column expires_at text")
        database.execute("update api_keys set expires_at = '2026-11-23T08:30:00.000Z' where prefix = '0123456789ab'")
        database.execute("update api_keys set expires_at = '2026-11-23T06:30:00.000Z' where prefix = 'ba9876543210'")
    taken = find_taken_keys([*asking(1, _KEY, 200), *asking(2, _OTHER, 401, error="api key expired")])
    assert len(renew_keys(state, taken, began, clock=lambda: began + 864_000)) == 2
    with closing(sqlite3.connect(state / "memory" / "memories.db")) as database:
        ends = dict(database.execute("select prefix, expires_at from api_keys").fetchall())
    assert ends == {"0123456789ab": "2026-12-03T08:30:00.000Z", "ba9876543210": "2026-11-23T06:30:00.000Z"}


def test_without_a_database_or_keys(tmp_path: Path) -> None:
    """Where there is nothing to renew nothing is done; a damaged database is our own error."""
    taken = find_taken_keys(asking(1, _KEY, 200))
    assert renew_keys(tmp_path, taken) == {}
    assert renew_keys(state_with(tmp_path / "ws", "sig_sk_0123456789ab"), {}) == {}
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memories.db").write_bytes(b"SQLite format 3\0" + b"junk" * 500)
    with pytest.raises(ParityError, match="can't be put there"):
        renew_keys(tmp_path, taken)
