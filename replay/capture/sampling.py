"""
Recording only a part of the traffic, so that what is recorded can still be replayed.

Whether an exchange is taken is decided by a hash of its connection, or of its session where it names one, so that what belongs together is
taken or left as one: a replay needs the request that gave an id as well as the one that uses it.
"""

import hashlib
from collections.abc import Mapping
from typing import Final

SESSION_HEADERS: Final = ("x-signet-session-key", "x-signet-session-id", "mcp-session-id")
_KEPT_MAX: Final = 4096


class Sampling:
    """Takes about *rate* (0 to 1) of all connections or sessions; *by* is `connection` or `session`."""

    def __init__(self, rate: float, by: str) -> None:
        self.rate = rate
        self.by = by
        self._decided: dict[str, bool] = {}

    def takes(self, client: str, headers: Mapping[str, str]) -> bool:
        """Whether an exchange of this connection, with these headers (looked up without case), is recorded."""
        key = client
        if self.by == "session":
            key = next((value for name in SESSION_HEADERS if (value := headers.get(name))), client)
        decided = self._decided.get(key)
        if decided is None:
            if len(self._decided) >= _KEPT_MAX:
                self._decided.clear()
            digest = hashlib.blake2b(key.encode("utf-8", "surrogateescape"), digest_size=8).digest()
            decided = self._decided[key] = int.from_bytes(digest) < self.rate * 2**64
        return decided
