"""
Learn ids from an answer, and see cheaply where there is nothing to learn.

An answer that is equal to the recorded one byte for byte and holds nothing that looks like an id or a time teaches nothing and contradicts
nothing. All else goes to `replay.identity.learn`; what went there once as equal and came back without a contradiction need not go again.
"""

from dataclasses import replace
from typing import Final

from replay.identity import Bindings, learn, may_hold
from replay.model import Binding, Exchange, Header, Response

_SEEN_MAX: Final = 1024
_SAYS_NOTHING: Final = frozenset({b"date", b"content-length", b"content-type", b"connection", b"keep-alive", b"transfer-encoding", b"vary"})


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

    def whole(self, exchange: Exchange, observed: Response, *, dull: bool = False) -> list[Binding]:
        """Learn from a whole answer; *dull*: the body of the recorded one is known to hold nothing that looks like an id."""
        recorded = exchange.outcome
        if not isinstance(recorded, Response):
            return []
        body = recorded.body
        equal = body == observed.body and self._is_dull(recorded.headers) and self._is_dull(observed.headers)
        if equal and (not body or dull):
            return []
        key = hash(body)
        if equal and (key in self._equal or not may_hold(body or b"")):
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
        if any(name.lower() not in _SAYS_NOTHING and may_hold(value) for name, value in headers):
            return False
        if len(self._dull) >= _SEEN_MAX:
            self._dull.clear()
        self._dull.add(headers)
        return True
