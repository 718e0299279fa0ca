"""
What is asked and what must come back, computable on both sides from the request target alone.

How this works
--------------
An `Ask` is drawn from a seed. Its target tells the server everything (`/t/<id>?kind=…&size=…`), and the server's answer follows from the
target and, for a body that was sent, from its checksum. So the client knows what the server must have said without having seen it, and a
recording can be held against that byte for byte, whoever died in between.

The text is plain words: nothing in it looks like a secret, so that redaction, which is on, leaves it as it is.
"""

import itertools
import json
import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import parse_qs, urlsplit

type Kind = Literal["small", "post", "big", "chunked", "head", "empty", "pair", "send-chunked", "stream", "up", "down", "endless"]
type Die = Literal["", "before", "head", "middle"]
"""Where the server resets the connection: before an answer, after its head, in the middle of its body."""
type Leave = Literal["", "asking", "body", "half", "answer"]
"""Where the client goes: in the head, in the body, by closing its sending half, in the middle of the answer."""

MEBI: Final = 1 << 20
_LINE: Final = "the quick brown fox jumps over the lazy dog and rests"
_USUAL: Final[dict[Kind, float]] = {
    "small": 34,
    "post": 22,
    "big": 7,
    "chunked": 9,
    "head": 5,
    "empty": 5,
    "pair": 8,
    "send-chunked": 5,
    "stream": 5,
    "up": 0.4,
    "down": 0.4,
}


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, and what it makes the server do."""

    id: str
    kind: Kind
    sent: int = 0
    """Bytes of text in the request's body."""
    size: int = 0
    """Bytes of text in the answer, or events of a stream."""
    pause_ms: int = 0
    """Between the pieces of an answer in pieces."""
    die: Die = ""
    leave: Leave = ""

    @property
    def method(self) -> str:
        """The request's method."""
        return {"head": "HEAD", "post": "POST", "send-chunked": "POST", "up": "POST"}.get(self.kind, "GET")

    @property
    def target(self) -> str:
        """The request's target; it says all of the ask but `leave`."""
        return f"/t/{self.id}?kind={self.kind}&sent={self.sent}&size={self.size}&pause={self.pause_ms}&die={self.die}"

    @property
    def body(self) -> bytes:
        """The request's body."""
        return document(f"{self.id} asks", self.sent) if self.method == "POST" else b""


def ask_of(target: str) -> Ask | None:
    """Read an ask back from its target; None where it is none."""
    parts = urlsplit(target)
    values = {name: found[0] for name, found in parse_qs(parts.query, keep_blank_values=True).items()}
    try:
        return Ask(
            parts.path.removeprefix("/t/"),
            values["kind"],  # type: ignore[arg-type]
            int(values["sent"]),
            int(values["size"]),
            int(values["pause"]),
            values["die"],  # type: ignore[arg-type]
        )
    except (KeyError, ValueError):
        return None


def document(name: str, size: int) -> bytes:
    """Give a JSON document that holds about so many bytes of text, unlike that of any other name."""
    lines = (f"{name} {number:07d} {_LINE}. " for number in itertools.count())
    step = len(name) + len(_LINE) + 11
    text = "".join(itertools.islice(lines, -(-size // step)))[:size]
    return json.dumps({"name": name, "text": text}).encode()


def event(name: str, number: int) -> bytes:
    """Give one event of a stream."""
    return f"id: {number}\ndata: {name} {number:07d} {_LINE}\n\n".encode()


def answer_pieces(ask: Ask) -> Iterator[bytes]:
    """Give the body of the answer as the server sends it, piece by piece; without end for an endless stream."""
    if ask.kind == "endless":
        yield from (event(ask.id, number) for number in itertools.count())
    elif ask.kind == "stream":
        yield from (event(ask.id, number) for number in range(ask.size))
    elif ask.kind == "chunked":
        whole = document(ask.id, ask.size)
        yield from (whole[start : start + 700] for start in range(0, len(whole), 700))
    elif ask.method == "POST":
        body = ask.body
        yield json.dumps({"id": ask.id, "received": len(body), "checksum": zlib.crc32(body)}).encode()
    elif ask.kind != "empty":
        yield document(ask.id, ask.size)


def answer_body(ask: Ask, at_least: int = 0) -> bytes:
    """Give the whole body of the answer; of an endless stream the beginning that holds so many bytes. Empty for HEAD."""
    if ask.kind != "endless":
        return b"" if ask.kind == "head" else b"".join(answer_pieces(ask))
    pieces = []
    for piece in answer_pieces(ask):
        pieces.append(piece)
        at_least -= len(piece)
        if at_least < 0:
            break
    return b"".join(pieces)


def draw(seed: str, count: int, *, dying: float = 0.0, leaving: float = 0.0) -> list[list[Ask]]:
    """
    Draw what one connection asks, in turns; a pipelined pair is one turn. *dying* and *leaving* are the shares that break off.

    The ids begin with the seed, so two workers of one run need different ones.
    """
    dice = random.Random(seed)  # noqa: S311  # nothing secret is drawn here
    return [_turn(dice, f"{seed}-{number}", dying, leaving) for number in range(count)]


def _turn(dice: random.Random, name: str, dying: float, leaving: float) -> list[Ask]:
    [kind] = dice.choices(list(_USUAL), list(_USUAL.values()))
    if kind == "pair":
        return [Ask(f"{name}-{half}", "pair", size=dice.randrange(20, 3_000)) for half in "ab"]
    sent = {"post": dice.randrange(2, 6_000), "send-chunked": dice.randrange(2, 20_000), "up": dice.randrange(3 * MEBI, 11 * MEBI)}
    size = {"big": 200_000, "down": dice.randrange(3 * MEBI, 11 * MEBI), "stream": dice.randrange(1, 12), "chunked": dice.randrange(10, 9_000)}
    pause = dice.randrange(5, 60) if kind == "stream" else dice.randrange(3) if kind == "chunked" else 0
    fate = dice.random()
    die: Die = dice.choice(("before", "head", "middle")) if fate < dying else ""
    leave: Leave = dice.choice(("asking", "body", "half", "answer")) if dying <= fate < dying + leaving else ""
    return [Ask(name, kind, sent.get(kind, 0), size.get(kind, dice.randrange(20, 2_500)), pause, die, leave)]
