"""Wherever a body is cut, the same is replaced."""

import itertools
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from replay.model import Answered, Chunk, Chunks, Connection, Ended, EndReason, Opened, Record, Request, Response, Side
from replay.redact import RecordRedactor, Redactor
from replay.routes import match
from tests.secrets.steps import Step, steps
from tests.secrets.texts import Text, render, spots
from tests.secrets.values import draw

SECRETS = draw(20_261_123)
SIDES: tuple[Side, Side] = ("request", "response")
BODIES = [
    (step, side)
    for step in steps(Path("/named"))
    for side, content, encoding in zip(SIDES, (step.body, step.answer), (step.body_encoding, step.answer_encoding), strict=True)
    if not encoding and any(spots(content, SECRETS))
]
DRAWS = 30
STREAM = ((b"Content-Type", b"text/event-stream"),)


def hand_over(body: bytes, cuts: list[int], route: str, side: Side) -> list[bytes]:
    """Redact *body* as the chunks that *cuts* make of it; gives the chunks again."""
    redactor = RecordRedactor(Redactor(b"k" * 32))
    edges = [0, *cuts, len(body)]
    chunks = [body[start:end] for start, end in itertools.pairwise(edges)]
    records: list[Record] = [
        Opened(1, 1, 0.0, Connection("c"), Request(b"POST", b"/", b"HTTP/1.1", ())),
        Answered(1, 2, 0.0, Response(b"HTTP/1.1", 200, b"", STREAM, None)),
        *(Chunks(1, (Chunk(3 + number, 0.0, chunk),), side) for number, chunk in enumerate(chunks)),
        Ended(1, 9999, 0.0, EndReason.COMPLETE, Response(b"HTTP/1.1", 200, b"", STREAM, None), None),
    ]
    given = [out for record in records for out in redactor.feed(record, route)]
    seen = [chunk.data for record in given if isinstance(record, Chunks) for chunk in record.chunks]
    assert list(map(len, seen)) == list(map(len, chunks))
    return seen


def ways_to_cut(length: int, content: Text, streams: bool) -> Iterator[list[int]]:  # noqa: FBT001
    """Give every single cut of a stream, those inside and around secrets of another body, some drawn ones, and one byte at a time."""
    random_ = random.Random(length)  # noqa: S311  # the same each time
    near = {place for start, end, _ in spots(content, SECRETS) for place in (start, start + 1, (start + end) // 2, end - 1, end, end + 1)}
    yield from ([place] for place in (range(1, length) if streams else sorted(near)) if 0 < place < length)
    for _ in range(DRAWS):
        yield sorted(random_.sample(range(1, length), min(length - 1, random_.choice((2, 5, 20)))))
    if length < 2000:
        yield list(range(1, length))


@pytest.mark.parametrize(("step", "side"), BODIES, ids=lambda value: getattr(value, "method", str(value)))
def test_a_cut_changes_nothing(step: Step, side: Side) -> None:
    """A body that is redacted in chunks, however cut, is byte for byte what it is in one, and holds none of its secrets."""
    content = step.body if side == "request" else step.answer
    body = render(content, SECRETS)
    route = match(step.method, render(step.target, SECRETS).partition(b"?")[0].decode()).name
    (whole,) = hand_over(body, [], route, side)
    assert not [part.secret for _, _, part in spots(content, SECRETS) for core in SECRETS[part.secret].hidden if core in whole]
    for cuts in ways_to_cut(len(body), content, step.streams):
        assert b"".join(hand_over(body, cuts, route, side)) == whole, cuts
