"""
Learn ids from an answer, and see cheaply where there is nothing to learn.

An answer that is equal to the recorded one byte for byte and holds nothing that looks like an id teaches nothing and contradicts nothing. All
else goes to `replay.identity.learn`; what went there once as equal and came back without a contradiction need not go again.
"""

import re
from dataclasses import replace
from typing import Final

from replay.identity import Bindings, learn
from replay.model import Binding, Exchange, Header, Response

_SEEN_MAX: Final = 4096
_SCANNED_BYTES_MAX: Final = 256 * 1024
_ID_LENGTH_MIN: Final = 12
_SAYS_NOTHING: Final = frozenset({b"date", b"content-length", b"content-type", b"connection", b"keep-alive", b"transfer-encoding", b"vary"})
_CLASSES: Final = bytes(
    ord("0") if 48 <= code <= 57 else ord("a") if (chr(code).isalpha() and code < 128) or code in b"_-" else ord(" ") for code in range(256)
)
_MOMENT: Final = re.compile(rb"(?:19|20)[0-9]{2}-[01][0-9]-[0-3][0-9](?:T[0-2][0-9])?")


class Learning:
    """Learns for one replay."""

    def __init__(self, bindings: Bindings, chosen: frozenset[str]) -> None:
        self.chosen = chosen
        """The ids that clients chose."""
        self.bindings = bindings
        self._equal: dict[int, None] = {}
        self._dull: set[tuple[Header, ...]] = set()

    def head(self, exchange: Exchange, observed: Response) -> list[Binding]:
        """Learn from the head of an answer that is still coming."""
        recorded = exchange.outcome
        if not isinstance(recorded, Response) or (self._is_dull(recorded.headers) and self._is_dull(observed.headers)):
            return []
        return learn(replace(recorded, body=b""), replace(observed, body=b""), self.bindings, exchange.id, chosen=self.chosen)

    def whole(self, exchange: Exchange, observed: Response) -> list[Binding]:
        """Learn from a whole answer."""
        recorded = exchange.outcome
        if not isinstance(recorded, Response):
            return []
        body = recorded.body
        equal = body == observed.body and self._is_dull(recorded.headers) and self._is_dull(observed.headers)
        if equal and (not body or not may_hold_ids(body)):
            return []
        key = hash(body)
        if equal and key in self._equal:
            return []
        said = len(self.bindings.contradictions)
        new = learn(recorded, observed, self.bindings, exchange.id, chosen=self.chosen, request=exchange.request)
        if equal and len(self.bindings.contradictions) == said:
            if len(self._equal) >= _SEEN_MAX:
                del self._equal[next(iter(self._equal))]
            self._equal[key] = None
        return new

    def _is_dull(self, headers: tuple[Header, ...]) -> bool:
        """Whether no header holds what looks like an id."""
        if headers in self._dull:
            return True
        if any(name.lower() not in _SAYS_NOTHING and may_hold_ids(value) for name, value in headers):
            return False
        if len(self._dull) >= _SEEN_MAX:
            self._dull.clear()
        self._dull.add(headers)
        return True


def may_hold_ids(data: bytes) -> bool:
    """
    Tell whether bytes may hold an id: a word of 12 letters, digits, `_` and `-` or more, with a digit, that is neither a number nor a moment.

    What it denies holds none; what it affirms may be anything.
    """
    if len(data) > _SCANNED_BYTES_MAX:
        return True
    classes = data.translate(_CLASSES)
    at = classes.find(b"0")
    while at >= 0:
        start = classes.rfind(b" ", 0, at) + 1
        end = classes.find(b" ", at)
        end = len(classes) if end < 0 else end
        if end - start >= _ID_LENGTH_MIN and _is_suspicious(data, start, end):
            return True
        at = classes.find(b"0", end)
    return False


def _is_suspicious(data: bytes, start: int, end: int) -> bool:
    word = data[start:end]
    if word.isdigit():  # a moment in milliseconds is part of an id only behind a name and a colon
        return start > 1 and data[start - 1 : start] == b":" and data[start - 2 : start - 1].isalnum()
    return _MOMENT.fullmatch(word) is None
