"""
The answers that one lane's recording holds, by key.

How this works
--------------
Built in one pass. An entry keeps its request's text and its answer's body packed (zlib), and a body that came several times once. Each of an
entry's keys leads to all entries that bear it, in recorded order: the first that was not given yet is given, and when all were, the last one
again and again. A stricter key wins over a more tolerant one even then.
"""

import hashlib
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from replay.model import EndReason, Exchange, Header, Response
from replay.play.providing.asks import Ask, Kind, Shape, read_ask
from replay.play.providing.keys import Understood, understand
from replay.play.providing.plain import Present
from replay.play.providing.wires import read_reply

_PACKED_FROM_BYTES: Final = 160
OK: Final = 200
_CANDIDATES_MAX: Final = 48
"""How many recorded texts are looked at for the nearest: those whose lengths are closest."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """An answer as it was recorded."""

    status: int
    """0: none came."""
    reason: bytes
    headers: tuple[Header, ...]
    body: bytes
    """Packed."""
    sizes: tuple[int, ...]
    """Of the pieces in which it came; empty where it was gathered first."""
    whole: bool
    """Whether it came to its end; else the daemon left it, or the provider broke off."""
    broken: bool = False
    """Whether the provider broke off."""


@dataclass(slots=True)
class Entry:
    """One recorded call."""

    exchange: int
    stage: str
    shape: Shape
    kind: Kind
    model: str
    stream: bool
    text: bytes
    """What was asked, packed; the body where it is no text."""
    length: int
    answer: Recorded
    item: int | None = None
    """Which of several texts that were embedded at once, or of the items of a list; None: the call as a whole."""
    in_part: bool = True
    """Whether it belongs to the part of the recording that is replayed; what does not is given after what does, and is not missed."""
    given: int = 0
    """How often it was given."""


@dataclass(frozen=True, slots=True)
class Found:
    """An entry, and by which key."""

    entry: Entry
    by: str
    again: bool
    """Whether it was given before: all that bear the key were."""


class Store:
    """What one lane of a recording answered."""

    def __init__(self, present: Present) -> None:
        self._present = present
        self._entries: list[Entry] = []
        self._by_key: dict[bytes, int | list[int]] = {}
        self._next: dict[bytes, int] = {}
        self._by_stage: dict[str, list[int]] = {}
        self._shared: dict[object, object] = {}

    def __len__(self) -> int:
        return sum(1 for entry in self._entries if entry.item is None)

    def fill(self, exchanges: Iterable[Exchange], *, in_part: bool = True) -> "Store":
        """Take a lane's exchanges, in recorded order, those of the part that is replayed first; gives itself."""
        for exchange in exchanges:
            request = exchange.request
            ask = read_ask(request.method, request.target, request.body or b"")
            answer = self._answer(exchange)
            understood = understand(ask, self._present)
            whole = self._put(understood, exchange.id, answer, None, in_part=in_part)
            if answer.status != OK:
                continue
            if len(ask.texts) > 1:
                for index, text in enumerate(ask.texts):
                    self._put(understand(single(ask, text), self._present), exchange.id, answer, index, in_part=in_part)
            for index, digests in enumerate(understood.items):
                self._enter(replace(whole, item=index), digests)
        return self

    def find(self, asked: Understood) -> Found | None:
        """Give the answer that is next for what was asked, and note that it was given; None where no key is known."""
        for by, digest in asked.keys:
            if digest in self._by_key:
                return self._take(digest, by)
        return None

    def find_items(self, asked: Understood) -> list[Found] | None:
        """
        Give for each item of a list the answer to a list that held it, as `find` does; None where one is not known.

        Each is found `by` a list about the same (`items`) or, where there is none, by any of the stage (`any items`).
        """
        known = [next((digest for digest in digests if digest in self._by_key), b"") for digests in asked.items]
        if not known or not all(known):
            return None
        return [self._take(digest, "items" if digest == same else "any items") for digest, (same, _) in zip(known, asked.items, strict=True)]

    def likely(self, asked: Understood) -> Iterator[Entry]:
        """Give recorded calls of the same stage that may be the nearest to one that was missed."""
        entries = [self._entries[number] for number in self._by_stage.get(asked.stage, ())]
        length = len(_text(asked.ask))
        yield from sorted(entries, key=lambda entry: (abs(entry.length - length), entry.exchange))[:_CANDIDATES_MAX]

    def calls(self) -> Mapping[str, int]:
        """Count the recorded calls by stage, of the part that is replayed."""
        return Counter(entry.stage for entry in self._entries if entry.item is None and entry.in_part)

    def unasked(self) -> Sequence[tuple[str, int]]:
        """Give stage and exchange of every recorded call that was never given."""
        items = {entry.exchange for entry in self._entries if entry.item is not None and entry.given}
        whole = (entry for entry in self._entries if entry.item is None and entry.in_part)
        return [(entry.stage, entry.exchange) for entry in whole if not entry.given and entry.exchange not in items]

    def _take(self, digest: bytes, by: str) -> Found:
        at = self._by_key[digest]
        numbers = [at] if isinstance(at, int) else at
        # What was given stays given, so that of many equal calls (probes) each is looked at once.
        next_ = self._next.get(digest, 0)
        while next_ < len(numbers) and self._entries[numbers[next_]].given:
            next_ += 1
        if len(numbers) > 1:
            self._next[digest] = next_
        entry = self._entries[numbers[min(next_, len(numbers) - 1)]]
        entry.given += 1
        return Found(entry, by, again=next_ == len(numbers))

    def _put(self, understood: Understood, exchange: int, answer: Recorded, item: int | None, *, in_part: bool) -> Entry:
        ask = understood.ask
        text = _text(ask)
        entry = Entry(
            exchange=exchange,
            stage=understood.stage,
            shape=ask.shape,
            kind=ask.kind,
            model=self._once(ask.model),
            stream=ask.stream,
            text=self._packed(text.encode("utf-8", "surrogatepass")),
            length=len(text),
            answer=answer,
            item=item,
            in_part=in_part,
        )
        self._by_stage.setdefault(entry.stage, []).append(len(self._entries))
        self._enter(entry, [digest for _, digest in understood.keys])
        return entry

    def _enter(self, entry: Entry, digests: Iterable[bytes]) -> None:
        number = len(self._entries)
        self._entries.append(entry)
        for digest in digests:
            at = self._by_key.get(digest)
            if at is None:
                self._by_key[digest] = number
            elif isinstance(at, int):
                self._by_key[digest] = [at, number]
            else:
                at.append(number)

    def _answer(self, exchange: Exchange) -> Recorded:
        outcome = exchange.outcome
        if not isinstance(outcome, Response):
            return Recorded(0, b"", (), b"", (), whole=False, broken=exchange.end is not EndReason.CLIENT_LEFT)
        sizes = tuple(len(chunk.data) for chunk in exchange.chunks if chunk.data)
        body = b"".join(chunk.data for chunk in exchange.chunks) if outcome.body is None else outcome.body
        whole = exchange.end is EndReason.COMPLETE
        return Recorded(
            status=outcome.status,
            reason=outcome.reason,
            headers=self._once(outcome.headers),
            body=self._packed(body),
            sizes=self._once(sizes),
            whole=whole,
            broken=not whole and exchange.end is not EndReason.CLIENT_LEFT,
        )

    def _packed(self, data: bytes) -> bytes:
        packed = pack(data)
        digest = hashlib.blake2b(packed, digest_size=16).digest()
        if digest not in self._shared:
            self._shared[digest] = packed
        return self._shared[digest]  # type: ignore[return-value]  # what a digest leads to is bytes

    def _once[T](self, value: T) -> T:
        return self._shared.setdefault((type(value), value), value)  # type: ignore[return-value]  # equal values of one type


def single(ask: Ask, text: str) -> Ask:
    """Give the ask for one of several texts."""
    return replace(ask, texts=(text,), body=f"{ask.model}\n{text}".encode("utf-8", "surrogatepass"))


def pack(data: bytes) -> bytes:
    """Make bytes small, where that is worth it."""
    return b"\x01" + zlib.compress(data) if len(data) >= _PACKED_FROM_BYTES else b"\x00" + data


def unpack(data: bytes) -> bytes:
    """Give what was packed."""
    return zlib.decompress(data[1:]) if data[:1] == b"\x01" else data[1:]


def text_of(entry: Entry) -> str:
    """Give what was asked when an entry was recorded."""
    return unpack(entry.text).decode("utf-8", "surrogatepass")


def vector_of(entry: Entry) -> object:
    """Give the vector of an entry of one text; None where its answer holds none."""
    reply = read_reply(entry.shape, entry.kind, unpack(entry.answer.body), stream=False)
    index = entry.item or 0
    return None if reply is None or index >= len(reply.vectors) else reply.vectors[index]


def _text(ask: Ask) -> str:
    return ask.text if ask.texts else ask.body.decode("utf-8", "surrogateescape")
