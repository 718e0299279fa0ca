"""Faults of an answer as a whole: its status, headers, body and the events of a stream."""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from types import MappingProxyType
from typing import Final

from replay.content import Content
from replay.model import DifferenceClass, EndReason, Response

_STRUCTURAL: Final = DifferenceClass.STRUCTURAL
_SEMANTIC: Final = DifferenceClass.SEMANTIC
_TRANSPORT: Final = frozenset({b"date", b"content-length", b"connection", b"keep-alive", b"transfer-encoding", b"server", b"content-type"})
_BLANK: Final = re.compile(rb"(?<=\n\n)|(?<=\r\n\r\n)")
_SHOWN_MAX: Final = 200
_CODES: Final = (200, 201, 204, 400, 401, 403, 404, 409, 500, 503)


@dataclass(frozen=True, slots=True)
class Changed:
    """An answer with one fault, and where that stands."""

    response: Response
    at: str
    before: str = ""
    after: str = ""
    end: EndReason | None = None


type Changer = Callable[[Response, Content, random.Random, Response | None], Changed | None]
"""From an answer, what its body holds, the dice and an earlier answer of the route; None where it does not suit."""


@dataclass(frozen=True, slots=True)
class WholeFault:
    """One kind of fault of a whole answer."""

    difference: DifferenceClass
    change: Changer
    stream: bool = False
    """Whether it is one of a stream's events."""


def _status(answer: Response, _content: Content, dice: random.Random, _: Response | None) -> Changed:
    other = dice.choice([code for code in _CODES if code != answer.status])
    return Changed(replace(answer, status=other), "status", str(answer.status), str(other))


def _type(answer: Response, _content: Content, dice: random.Random, _: Response | None) -> Changed | None:
    own = (answer.header(b"content-type") or b"").split(b";")[0].strip().lower()
    other = dice.choice([name for name in (b"text/plain", b"text/html", b"application/json", b"application/octet-stream") if name != own])
    if not own:
        return None
    return _with_header(answer, b"content-type", other)


def _with_header(answer: Response, name: bytes, value: bytes | None) -> Changed:
    wanted = name.lower()
    before = answer.header(name) or b""
    headers = [item for item in answer.headers if item[0].lower() != wanted]
    if value is not None:
        headers.append((name, value))
    at = f"header:{wanted.decode('latin-1')}"
    return Changed(replace(answer, headers=tuple(headers)), at, before.decode("latin-1"), (value or b"").decode("latin-1"))


def _no_header(answer: Response, _content: Content, dice: random.Random, _: Response | None) -> Changed | None:
    names = sorted({name for name, _ in answer.headers if name.lower() not in _TRANSPORT})
    return _with_header(answer, dice.choice(names), None) if names else None


def _other_header(answer: Response, _content: Content, dice: random.Random, _: Response | None) -> Changed | None:
    names = sorted({name for name, value in answer.headers if name.lower() not in _TRANSPORT and value})
    if not names:
        return None
    name = dice.choice(names)
    value = answer.header(name) or b""
    return _with_header(answer, name, value + b"x")


def _header_more(answer: Response, _content: Content, _dice: random.Random, _: Response | None) -> Changed:
    return _with_header(answer, b"x-planted", b"1")


def _emptied(answer: Response, _content: Content, _dice: random.Random, _: Response | None) -> Changed | None:
    return Changed(replace(answer, body=b""), "body") if answer.body else None


def _cut(answer: Response, content: Content, dice: random.Random, _: Response | None) -> Changed | None:
    """Cut a JSON body in the middle, so that it is none any more."""
    if content.kind != "json" or answer.body is None or len(answer.body) < 4 or not isinstance(content.value, dict | list):
        return None
    return Changed(replace(answer, body=answer.body[: dice.randrange(1, len(answer.body.rstrip()))]), "body")


def _bytes(answer: Response, content: Content, dice: random.Random, _: Response | None) -> Changed | None:
    if content.kind != "binary" or not answer.body:
        return None
    place = dice.randrange(len(answer.body))
    new = bytes([answer.body[place] ^ 0x55])
    return Changed(replace(answer, body=answer.body[:place] + new + answer.body[place + 1 :]), "body")


def _stale(answer: Response, content: Content, _dice: random.Random, earlier: Response | None) -> Changed | None:
    """Give an earlier answer of the route again."""
    if earlier is None or content.kind == "empty" or earlier.body == answer.body or earlier.status != answer.status:
        return None
    before, after = ((body or b"")[:_SHOWN_MAX].decode("utf-8", "replace") for body in (answer.body, earlier.body))
    return Changed(replace(answer, body=earlier.body), "$", before, after)


def _events(answer: Response, content: Content) -> list[bytes] | None:
    """Give a stream's pieces, each with what ends it."""
    if answer.body is None or content.kind not in {"sse", "ndjson"}:
        return None
    pieces = answer.body.splitlines(keepends=True) if content.kind == "ndjson" else _BLANK.split(answer.body)
    return [piece for piece in pieces if piece]


def _with_events(answer: Response, content: Content, pieces: list[bytes], end: EndReason | None = None) -> Changed:
    return Changed(replace(answer, body=b"".join(pieces)), f"$.<{content.kind}>", end=end)


def _numbers(pieces: list[bytes]) -> list[int]:
    """Give which pieces bear data: comments are no events."""
    return [number for number, piece in enumerate(pieces) if b"data:" in piece or piece.lstrip()[:1] in {b"{", b"["}]


def _event_dropped(answer: Response, content: Content, dice: random.Random, _: Response | None) -> Changed | None:
    pieces = _events(answer, content)
    if pieces is None or not (real := _numbers(pieces)):
        return None
    del pieces[dice.choice(real)]
    return _with_events(answer, content, pieces)


def _event_twice(answer: Response, content: Content, dice: random.Random, _: Response | None) -> Changed | None:
    pieces = _events(answer, content)
    if pieces is None or not (real := _numbers(pieces)):
        return None
    number = dice.choice(real)
    pieces.insert(number, pieces[number])
    return _with_events(answer, content, pieces)


def _events_swapped(answer: Response, content: Content, dice: random.Random, _: Response | None) -> Changed | None:
    pieces = _events(answer, content)
    if pieces is None:
        return None
    real = _numbers(pieces)
    places = [(one, two) for one, two in pairwise(real) if pieces[one] != pieces[two]]
    if not places:
        return None
    one, two = dice.choice(places)
    pieces[one], pieces[two] = pieces[two], pieces[one]
    return _with_events(answer, content, pieces)


def _ended_early(answer: Response, content: Content, dice: random.Random, _: Response | None) -> Changed | None:
    pieces = _events(answer, content)
    if pieces is None or len(real := _numbers(pieces)) < 2:
        return None
    return _with_events(answer, content, pieces[: dice.choice(real[1:])])


def _broken_off(answer: Response, content: Content, _dice: random.Random, _: Response | None) -> Changed | None:
    if _events(answer, content) is None:
        return None
    return Changed(answer, "stream", "ended", "broken off", EndReason.SERVER_CLOSED)


WHOLES: Final = MappingProxyType(
    {
        "status": WholeFault(_STRUCTURAL, _status),
        "content type": WholeFault(_STRUCTURAL, _type),
        "header dropped": WholeFault(_STRUCTURAL, _no_header),
        "header changed": WholeFault(_SEMANTIC, _other_header),
        "header more": WholeFault(_STRUCTURAL, _header_more),
        "body emptied": WholeFault(_STRUCTURAL, _emptied),
        "body cut": WholeFault(_STRUCTURAL, _cut),
        "bytes changed": WholeFault(_SEMANTIC, _bytes),
        "answer of before": WholeFault(_SEMANTIC, _stale),
        "event dropped": WholeFault(_STRUCTURAL, _event_dropped, stream=True),
        "event twice": WholeFault(_STRUCTURAL, _event_twice, stream=True),
        "events swapped": WholeFault(_STRUCTURAL, _events_swapped, stream=True),
        "stream ended early": WholeFault(_STRUCTURAL, _ended_early, stream=True),
        "stream broken off": WholeFault(_STRUCTURAL, _broken_off, stream=True),
    }
)
"""Faults of a whole answer, by name."""
