"""
API keys that were there before a recording began.

A redacted snapshot holds a stand-in for each key's hash, and recorded requests a placeholder for each key. So that a replayed daemon takes
a placeholder as the recorded one took the key, its row gets the placeholder's hash: the id, role and scope of the row stay. Only keys that
the recorded daemon took get one; what it refused is refused again.
"""

import hashlib
import re
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Final

from replay.model import Exchange, ParityError, Response
from replay.redact import is_placeholder
from replay.workspace.copies import MAIN_DATABASE
from replay.workspace.tokens import api_key_prefix, hash_api_key

_KEY: Final = re.compile(rb"sig_sk_[0-9a-f]{12}_[A-Za-z0-9_-]{43}")
_HEADERS: Final = frozenset({b"authorization", b"x-api-key"})
_UNAUTHORISED: Final = 401


def find_taken_keys(exchanges: Iterable[Exchange]) -> dict[str, str]:
    """Give prefix → placeholder of each redacted API key that a recorded answer shows to have been good."""
    taken: dict[str, str] = {}
    for exchange in exchanges:
        if not isinstance(exchange.outcome, Response) or exchange.outcome.status == _UNAUTHORISED:
            continue
        for name, value in exchange.request.headers:
            found = _KEY.search(value) if name.lower() in _HEADERS else None
            if found is not None and is_placeholder(found[0]):
                key = found[0].decode()
                taken.setdefault(api_key_prefix(key) or key, key)
    return taken


def renew_keys(state: Path, taken: dict[str, str]) -> int:
    """
    Put the hashes of *taken* keys in the place of their stand-ins, in the workspace *state*, which is ours; gives how many.

    Raises:
        ParityError: the database can't be written to.
    """
    database = state / MAIN_DATABASE
    if not taken or not database.is_file():
        return 0
    count = 0
    try:
        with closing(sqlite3.connect(database)) as connection, connection:
            columns = {row[1] for row in connection.execute("PRAGMA table_info(api_keys)")}
            if not {"prefix", "key_hash"} <= columns:
                return 0
            for prefix, stored in connection.execute("SELECT prefix, key_hash FROM api_keys").fetchall():
                key = taken.get(prefix)
                if key is not None and isinstance(stored, str) and is_placeholder(stored.encode()):
                    salt = hashlib.sha256(stored.encode()).hexdigest()[:32]
                    connection.execute("UPDATE api_keys SET key_hash = ? WHERE prefix = ?", (hash_api_key(key, salt), prefix))
                    count += 1
    except sqlite3.Error as error:
        raise ParityError(f"{database}: the API keys of the recording can't be put there ({error})") from error
    return count
