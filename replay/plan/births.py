"""
Where ids come from: the first answer that bears each one, and those that clients chose.

How this works
--------------
Ids are found by their shape in the raw text of requests and answers; neither JSON's escapes nor JSON in strings change an id's
characters, so no parsing is needed. Every appearance has an event number: a request's at its opening, a header's when the response's
head came, a stream chunk's its own, a whole body's at the end. An id that stood in a request before any answer bore it was chosen by a
client (or read elsewhere), and no replay can give it a new value.
"""

import re
from collections.abc import Container, Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Final
from urllib.parse import unquote

from replay.identity import ID_KINDS, find, may_hold
from replay.model import Exchange, Header, Request, Response

_PRECISE: Final = ("ms,", "us,", "ns,")
_ID_CHARS_MIN: Final = 13
"""The shortest is a time in milliseconds."""
_HEADS_MAX: Final = 1024
_SPACED_TIME: Final = re.compile(rb"-[0-9]{2} [0-9]{2}:")
_PIECE: Final = re.compile(rb"(?<![0-9A-Za-z_.:+#-])[0-9A-Za-z_.:+#-]{13,}")
_LONE: Final = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,18}Z|[A-Za-z]+[.:]?|[0-9.]+"
)
"""What is one id from its beginning to its end, or surely none."""
_RUN: Final = re.compile(r"[0-9A-Za-z_.:+#-]{12}")
"""Each id has at least so many of these, and most texts of a request nowhere."""


class Asked:
    """The ids that requests name, each with the event at which it was named first."""

    def __init__(self) -> None:
        self.first: dict[str, int] = {}

    def add(self, words: Iterable[str], opened_event: int) -> None:
        """Take the ids that a request names."""
        for word in words:
            self.first[word] = min(self.first.get(word, opened_event), opened_event)


class Births:
    """
    The first appearances of the ids that requests name.

    The requests of those that are *unasked* were no client's, and count for nothing. Ids that were *known* before any of these exchanges
    count as chosen. Of each id two appearances are remembered, whatever there are: the first one, and the first one in an exchange that is
    kept. `take` the exchanges in the order of their starts; until one is taken, all that happened before it is known.
    """

    def __init__(
        self, exchanges: Sequence[Exchange] = (), *, unasked: AbstractSet[int] = frozenset(), known: AbstractSet[str] = frozenset()
    ) -> None:
        self._asked = Asked()
        self._known = known
        self._first: dict[str, tuple[int, int]] = {}
        self._kept: dict[str, tuple[int, int]] = {}
        self._words_of: dict[int, tuple[str, ...]] = {}
        for exchange in exchanges:
            words = () if exchange.id in unasked else ids_of_request(exchange.request)
            self._words_of[exchange.id] = words
            self._asked.add(words, exchange.opened_event)
        for exchange in exchanges:
            self.take(exchange, kept=True)

    @classmethod
    def begin(cls, asked: Asked, known: AbstractSet[str]) -> "Births":
        """Begin with what requests name, and no answer yet."""
        births = cls(known=known)
        births._asked = asked
        return births

    @property
    def is_idle(self) -> bool:
        """Whether no request names an id, so that no answer matters."""
        return not self._asked.first

    @property
    def chosen(self) -> frozenset[str]:
        """The ids that clients chose."""
        return frozenset(self._known).union(word for word in self._asked.first if self._is_chosen(word))

    def take(self, exchange: Exchange, *, kept: bool) -> None:
        """Take the answer of one more exchange, that is kept or not."""
        for event, word in answered(exchange, self._asked.first):
            place = (event, exchange.id)
            if place < self._first.get(word, (event + 1, 0)):
                self._first[word] = place
            if kept and place < self._kept.get(word, (event + 1, 0)):
                self._kept[word] = place

    def asked(self, exchange: int) -> tuple[str, ...]:
        """Give the ids in the request of one of the exchanges it was made with that an answer gave, in order."""
        return tuple(word for word in self._words_of.get(exchange, ()) if not self._is_chosen(word))

    def given(self, request: Request) -> tuple[str, ...]:
        """Give the ids in a request that an answer gave, in order."""
        return () if self.is_idle else tuple(word for word in ids_of_request(request) if not self._is_chosen(word))

    def givers(self, word: str, before: int) -> Sequence[int]:
        """Give the exchange whose answer was the first to bear an id, if that was before an event number."""
        return _before(self._first.get(word), before)

    def kept_givers(self, word: str, before: int) -> Sequence[int]:
        """Do as `givers` for the exchanges that are kept."""
        return _before(self._kept.get(word), before)

    def _is_chosen(self, word: str) -> bool:
        first = self._first.get(word)
        return word in self._known or first is None or self._asked.first.get(word, first[0]) < first[0]


class Answers:
    """Sees which answers hold nothing that looks like an id: most, and no more need be looked for in them."""

    def __init__(self) -> None:
        self._dull: set[tuple[Header, ...]] = set()

    def is_dull(self, exchange: Exchange) -> bool:
        """Whether neither the head nor the body of an answer holds an id or a precise time; False says nothing."""
        answer = exchange.outcome
        if not isinstance(answer, Response):
            return not exchange.chunks
        return not exchange.chunks and not may_hold(answer.body or b"") and self._is_head_dull(answer.headers)

    def _is_head_dull(self, headers: tuple[Header, ...]) -> bool:
        if headers in self._dull:
            return True
        if any(_ids(value.decode("latin-1")) for _, value in headers):
            return False
        if len(self._dull) >= _HEADS_MAX:
            self._dull.clear()
        self._dull.add(headers)
        return True


def _before(place: tuple[int, int] | None, event: int) -> Sequence[int]:
    return [place[1]] if place is not None and place[0] < event else []


def ids_of_request(request: Request) -> tuple[str, ...]:
    """Give the ids and precise times in a request's target, headers and body, each once, in order."""
    texts = [unquote(request.target.decode("utf-8", "surrogateescape"), errors="surrogateescape")]
    texts += [value.decode("latin-1") for _, value in request.headers]
    texts.append((request.body or b"").decode("utf-8", "surrogateescape"))
    return tuple(dict.fromkeys(word for text in texts for word in _ids(text)))


def ids_of_answer(exchange: Exchange) -> tuple[str, ...]:
    """Give the ids and precise times in an exchange's answer, each once."""
    return tuple(word for _, word in answered(exchange))


def answered(exchange: Exchange, wanted: Container[str] | None = None) -> Iterable[tuple[int, str]]:
    """Give the ids and precise times in an answer, each once, with the event at which it came; only those that are *wanted*, if told."""
    if wanted is None:
        yield from _answered(exchange)
    elif exchange.chunks:
        yield from ((event, word) for event, word in _answered(exchange) if word in wanted)
    elif isinstance(exchange.outcome, Response):
        in_head: set[str] = set()
        for _, value in exchange.outcome.headers:
            in_head |= _wanted_in(value, wanted)
        yield from ((exchange.headers_event or exchange.ended_event, word) for word in in_head)
        yield from ((exchange.ended_event, word) for word in _wanted_in(exchange.outcome.body or b"", wanted) - in_head)


def _wanted_in(text: bytes, wanted: Container[str]) -> set[str]:
    """
    Give the wanted ids in a text, in a tenth of the time that it takes to find all.

    An id has no white space in it, or is a time with one; its pieces between other characters are looked at alone.
    """
    if _SPACED_TIME.search(text):
        return {word for word in _ids(text.decode("latin-1")) if word in wanted}
    found: set[str] = set()
    for piece in _PIECE.findall(text):
        word = piece.decode("ascii")
        if word in wanted:
            found.add(word)
        elif not _LONE.fullmatch(word):
            found.update(part for part in _ids(word) if part in wanted)
    return found


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
    if len(text) < _ID_CHARS_MIN or not _RUN.search(text):
        return []
    return [text[span.start : span.end] for span in find(text) if _counts(span.role.kind, span.role.format)]


def _counts(kind: str, form: str) -> bool:
    return kind in ID_KINDS or (kind == "timestamp" and form.startswith(_PRECISE))
