"""
API keys that were there before a recording began.

A redacted snapshot holds a stand-in for each key's hash, and recorded requests a placeholder for each key. So that a replayed daemon knows
the asker as the recorded one did, the key's row gets the hash of a fresh key with the same public prefix, and the fresh one is sent: the id,
role, scope and revocation of the row stay. An end that was still to come when the recording began is as far from the replay's start. What
was refused for another reason than a revocation or an end gets none, and is refused again.
"""

import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from replay.model import ParityError, Record
from replay.play.verdicts import Verdict, survey
from replay.workspace.copies import MAIN_DATABASE
from replay.workspace.tokens import api_key_prefix, hash_api_key, make_api_key

_KNOWN: Final = (Verdict.GOOD, Verdict.REVOKED, Verdict.EXPIRED)
"""What the recorded daemon had a row for, the best first."""


def find_taken_keys(records: Iterable[Record]) -> dict[str, str]:
    """Give prefix → key (mostly a placeholder) of each API key that a recording shows to have had a row."""
    verdicts = survey(records, lambda _opened, _ended: None)
    keys = {key: verdicts.verdict(key) for key in verdicts.credentials() if api_key_prefix(key)}
    best_last = sorted((key for key, verdict in keys.items() if verdict in _KNOWN), key=lambda key: (-_KNOWN.index(keys[key]), key))
    return {str(api_key_prefix(key)): key for key in best_last}


def renew_keys(state: Path, taken: dict[str, str], began: float | None = None, *, clock: Callable[[], float] = time.time) -> dict[str, str]:
    """
    Give the rows of *taken* keys, in the workspace *state*, which is ours, the hashes of fresh ones; gives recorded key → fresh key.

    *began* is when the recording began; None where the daemon runs on the recording's clock.

    Raises:
        ParityError: the database can't be written to.
    """
    database = state / MAIN_DATABASE
    fresh: dict[str, str] = {}
    if not taken or not database.is_file():
        return fresh
    try:
        with closing(sqlite3.connect(database)) as connection, connection:
            columns = {row[1] for row in connection.execute("PRAGMA table_info(api_keys)")}
            if not {"prefix", "key_hash"} <= columns:
                return fresh
            ends = "expires_at" if "expires_at" in columns else "NULL"
            for prefix, end in connection.execute(f"SELECT prefix, {ends} FROM api_keys").fetchall():  # noqa: S608 (one of two words)
                # The daemons keep the twelve digits alone.
                whole = prefix if str(prefix).startswith("sig_sk_") else f"sig_sk_{prefix}"
                if whole in taken:
                    key = _key(whole)
                    connection.execute("UPDATE api_keys SET key_hash = ? WHERE prefix = ?", (hash_api_key(key, secrets.token_hex(16)), prefix))
                    fresh[taken[whole]] = key
                    moved = None if began is None else _moved(end, began, clock())
                    if moved is not None:
                        connection.execute("UPDATE api_keys SET expires_at = ? WHERE prefix = ?", (moved, prefix))
    except sqlite3.Error as error:
        raise ParityError(f"{database}: the API keys of the recording can't be put there ({error})") from error
    return fresh


def _moved(end: object, began: float, now: float) -> str | None:
    """Give an end that was to come as far from *now* as it was from *began*; None where it had come, or there is none."""
    try:
        at = datetime.fromisoformat(end) if isinstance(end, str) else None
    except ValueError:
        return None
    if at is None or at.timestamp() <= began:
        return None
    return datetime.fromtimestamp(at.timestamp() - began + now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _key(prefix: str) -> str:
    """Draw a key with a given prefix."""
    return f"{prefix}{make_api_key()[len(prefix) :]}"
