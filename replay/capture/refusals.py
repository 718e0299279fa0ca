"""
What mitmproxy refuses, or cuts, before any hook or without a word to one: only its log says so.

A handler on that log counts by kind; it also runs where the log is not shown. It keeps no text: the lines hold what the client sent.
"""

import logging
from collections import Counter
from typing import Any, Final

_LOGGER: Final = "mitmproxy.proxy.server"
_BEGINNINGS: Final = (
    ("Client closed connection before completing request headers", "requests whose head was not whole when the client left"),
    ("Client TLS handshake failed", "connections with TLS to a port without it"),
)
_INSIDE: Final = (": Bad HTTP request line: ", ": Invalid header line: ")
MALFORMED: Final = "requests with a malformed head, which mitmproxy refused"
_CUT: Final = "Closing connection due to inactivity"
_CRASHED: Final = "mitmproxy has crashed!"
_KEPT_MAX: Final = 10_000


class Refusals(logging.Handler):
    """Counts what was refused, and knows the clients that mitmproxy cut off for their silence, or broke down over."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self._counts: Counter[str] = Counter()
        self.cut: set[Any] = set()
        self.crashed: set[Any] = set()
        """Over whose traffic mitmproxy broke down; both are addresses of clients."""

    def emit(self, record: logging.LogRecord) -> None:
        """Look at one line; must neither raise nor log."""
        text = record.msg
        if not isinstance(text, str):
            return
        if text.startswith(_CUT):
            if len(self.cut) < _KEPT_MAX:
                self.cut.add(getattr(record, "client", None))
        elif text.startswith(_CRASHED):
            if len(self.crashed) < _KEPT_MAX:
                self.crashed.add(getattr(record, "client", None))
        elif any(words in text[:200] for words in _INSIDE):
            self._counts[MALFORMED] += 1
        else:
            for beginning, kind in _BEGINNINGS:
                if text.startswith(beginning):
                    self._counts[kind] += 1

    def forget(self, client: Any) -> None:
        """Let go of a client that is gone: its address may be another's next."""
        self.cut.discard(client)
        self.crashed.discard(client)

    def take(self) -> dict[str, int]:
        """Give the counts since they were last taken, by kind in words."""
        counts, self._counts = self._counts, Counter()
        return dict(counts)

    def attach(self) -> None:
        """Begin to listen."""
        logging.getLogger(_LOGGER).addHandler(self)

    def detach(self) -> None:
        """Listen no more."""
        logging.getLogger(_LOGGER).removeHandler(self)
