"""
Where ids come from: the first answer that bears each one, and those that clients chose.

How this works
--------------
Ids are found by their shape in the raw text of requests and answers; neither JSON's escapes nor JSON in strings change an id's
characters, so no parsing is needed. Every appearance has an event number: a request's at its opening, a header's when the response's
head came, a stream chunk's its own, a whole body's at the end. An id that stood in a request before any answer bore it was chosen by a
client (or read elsewhere), and no replay can give it a new value.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Final
from urllib.parse import unquote

from replay.identity import ID_KINDS, find
from replay.model import Exchange, Request, Response

_PRECISE: Final = ("ms,", "us,", "ns,")


class Births:
    """
    The first appearances of all ids of a recording.

    The requests of those that are *unasked* were no client's, and count for nothing. Ids that were *known* before any of these exchanges
    count as chosen.
    """

    def __init__(self, exchanges: Iterable[Exchange], *, unasked: AbstractSet[int] = frozenset(), known: AbstractSet[str] = frozenset()) -> None:
        self._asked: dict[int, tuple[str, ...]] = {}
        self._answers: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        first_asked: dict[str, int] = {}
        for exchange in exchanges:
            asked = () if exchange.id in unasked else ids_of_request(exchange.request)
            self._asked[exchange.id] = asked
            for word in asked:
                first_asked[word] = min(first_asked.get(word, exchange.opened_event), exchange.opened_event)
            for event, word in _answered(exchange):
                self._answers[word].append((event, exchange.id))
        for places in self._answers.values():
            places.sort()
        self._givers = {word: [exchange for _, exchange in places] for word, places in self._answers.items()}
        self.chosen = frozenset(known).union(
            word for word, event in first_asked.items() if word not in self._answers or event < self._answers[word][0][0]
        )
        """The ids that clients chose."""

    def asked(self, exchange: int) -> tuple[str, ...]:
        """Give the ids in an exchange's request that an answer gave, in order."""
        return tuple(word for word in self._asked.get(exchange, ()) if word not in self.chosen)

    def givers(self, word: str, before: int) -> Sequence[int]:
        """Give the exchanges whose answers bore an id before an event number, the first one first."""
        return self._givers.get(word, [])[: bisect_left(self._answers.get(word, []), (before,))]


def ids_of_request(request: Request) -> tuple[str, ...]:
    """Give the ids and precise times in a request's target, headers and body, each once, in order."""
    texts = [unquote(request.target.decode("utf-8", "surrogateescape"), errors="surrogateescape")]
    texts += [value.decode("latin-1") for _, value in request.headers]
    texts.append((request.body or b"").decode("utf-8", "surrogateescape"))
    return tuple(dict.fromkeys(word for text in texts for word in _ids(text)))


def ids_of_answer(exchange: Exchange) -> tuple[str, ...]:
    """Give the ids and precise times in an exchange's answer, each once."""
    return tuple(word for _, word in _answered(exchange))


def _answered(exchange: Exchange) -> Iterable[tuple[int, str]]:
    outcome = exchange.outcome
    if not isinstance(outcome, Response):
        return
    head = exchange.headers_event or exchange.ended_event
    seen: set[str] = set()
    for _, value in outcome.headers:
        for word in _ids(value.decode("latin-1")):
            if word not in seen:
                seen.add(word)
                yield head, word
    if not exchange.chunks:
        for word in _ids((outcome.body or b"").decode("utf-8", "surrogateescape")):
            if word not in seen:
                seen.add(word)
                yield exchange.ended_event, word
        return
    ends: list[tuple[int, int]] = []  # where each chunk ends in the whole body, and its event
    size = 0
    for chunk in exchange.chunks:
        size += len(chunk.data)
        ends.append((size, chunk.event))
    body = b"".join(chunk.data for chunk in exchange.chunks).decode("latin-1")  # one character a byte: ids are ASCII
    at = 0
    for span in find(body):
        word = body[span.start : span.end]
        while ends[at][0] < span.end:
            at += 1
        if word not in seen and _counts(span.role.kind, span.role.format):
            seen.add(word)
            yield ends[at][1], word


def _ids(text: str) -> list[str]:
    return [text[span.start : span.end] for span in find(text) if _counts(span.role.kind, span.role.format)]


def _counts(kind: str, form: str) -> bool:
    return kind in ID_KINDS or (kind == "timestamp" and form.startswith(_PRECISE))
