"""
API keys that were there before a recording began.

A redacted snapshot holds a stand-in for each key's hash, and recorded requests a placeholder for each key. So that a replayed daemon knows
the asker as the recorded one did, the key's row gets the hash of a fresh key with the same public prefix, and the fresh one is sent: the id,
role, scope and revocation of the row stay. What was refused for another reason than a revocation or an end gets none, and is refused again.
"""

import secrets
import sqlite3
from collections.abc import Iterable
from contextlib import closing
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


def renew_keys(state: Path, taken: dict[str, str]) -> dict[str, str]:
    """
    Give the rows of *taken* keys, in the workspace *state*, which is ours, the hashes of fresh ones; gives recorded key → fresh key.

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
            for (prefix,) in connection.execute("SELECT prefix FROM api_keys").fetchall():
                # The daemons keep the twelve digits alone.
                whole = prefix if str(prefix).startswith("sig_sk_") else f"sig_sk_{prefix}"
                if whole in taken:
                    key = _key(whole)
                    connection.execute("UPDATE api_keys SET key_hash = ? WHERE prefix = ?", (hash_api_key(key, secrets.token_hex(16)), prefix))
                    fresh[taken[whole]] = key
    except sqlite3.Error as error:
        raise ParityError(f"{database}: the API keys of the recording can't be put there ({error})") from error
    return fresh


def _key(prefix: str) -> str:
    """Draw a key with a given prefix."""
    return f"{prefix}{make_api_key()[len(prefix) :]}"
