"""Redaction across the borders of chunks."""

import gzip
import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay.model import Answered, Chunk, Chunks, Connection, Ended, EndReason, Gap, GapReason, Opened, Record, Request, Response
from replay.redact import RecordRedactor, Redactor, scan
from replay.redact import streams as streaming

KEY = b"sig_sk_0123456789ab_" + b"Kk0-_" * 8 + b"xyz"
STREAM = (
    b'data: {"a":"hello ' + KEY + b' and, more","password":"a, b} \\" c","x":{"y":"{\\"token\\":\\"abcdefgh12345\\"}"}}\n\n'
    b"data: https://me:pa,ss}word@host/ x, sk-" + b"a1B2" * 8 + b"\n-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG\n9w0BAQEF\n"
    b"-----END PRIVATE KEY-----\nBearer abcdef1234567890 , dGhlIHBhc3N3b3JkPWh1bnRlcjJodW50ZXIyIGl0IGlz\n\npassword: a, b c\nend"
)
PIECES = st.sampled_from(
    [
        KEY,
        b'"password":"a,b}c"',
        b"https://me:p,w@h",
        b"token=abc123def456",
        b"\n",
        b",",
        b" ",
        b'{"a":',
        b"}",
        b"\\",
        b'"',
        b"eyJhIjoxfQ." + b"s" * 43,
    ]
)


def feed(redactor: Redactor, pieces: list[bytes], route: str = "GET /x") -> list[Record]:
    """Give what comes out for an answer in *pieces*."""
    stream = RecordRedactor(redactor)
    out = [
        record for event, piece in enumerate(pieces, 2) for record in stream.feed(Chunks(1, (Chunk(event, float(event), piece),)), route)
    ] + stream.flush()
    assert stream.held_bytes == 0
    return out


def chunks_of(records: list[Record]) -> list[Chunk]:
    """Give the chunks of records."""
    return [chunk for record in records if isinstance(record, Chunks) for chunk in record.chunks]


def test_split_anywhere(redactor: Redactor) -> None:
    """Wherever a stream is cut in two, the joined bytes are those of the whole, and lengths, times and events stay."""
    whole, _ = redactor.response_body(STREAM, "GET /x")
    assert whole is not None
    assert scan(whole) == []
    for at in range(len(STREAM) + 1):
        out = chunks_of(feed(redactor, [STREAM[:at], STREAM[at:]]))
        assert b"".join(chunk.data for chunk in out) == whole
        assert [(chunk.event, chunk.at, len(chunk.data)) for chunk in out] == [(2, 2.0, at), (3, 3.0, len(STREAM) - at)]


@settings(max_examples=60, deadline=None)
@given(st.lists(PIECES, max_size=12).map(b"".join), st.lists(st.integers(0, 400), max_size=6))
def test_pieces_agree_with_the_whole(text: bytes, cuts: list[int]) -> None:
    """However a text is cut, nothing that the whole would hide is seen, and no byte moves."""
    redactor = Redactor(b"k" * 32)
    bounds = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    got = b"".join(chunk.data for chunk in chunks_of(feed(redactor, [text[left:right] for left, right in itertools.pairwise(bounds)])))
    assert len(got) == len(text)
    assert KEY[20:] not in got
    assert scan(got) == []


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=8))
def test_any_bytes_pass(pieces: list[bytes]) -> None:
    """Any bytes come out again, in chunks of their own lengths."""
    out = chunks_of(feed(Redactor(b"k" * 32), pieces))
    assert [len(chunk.data) for chunk in out] == [len(piece) for piece in pieces]


def test_spans_are_declared_in_each_chunk(redactor: Redactor) -> None:
    """A secret across a border is declared in both chunks, and the spans cover what was replaced."""
    text = b"data: " + KEY + b"\n"
    out = feed(redactor, [text[:40], text[40:]])
    spans = {item.where: (item.start, item.length) for record in out if isinstance(record, Chunks) for item in record.redactions}
    assert spans == {"chunk:2": (26, 14), "chunk:3": (0, 29)}


def test_a_line_is_not_held(redactor: Redactor) -> None:
    """An event that ends with its line is given out at once, and records of other exchanges never wait."""
    stream = RecordRedactor(redactor)
    event = Chunks(1, (Chunk(2, 0.0, b"data: x\n\n"),))
    assert stream.feed(event, "GET /x") == [event]
    assert stream.feed(Chunks(1, (Chunk(3, 0.0, b"data: sig_sk_01"),)), "GET /x") == []
    other = Opened(2, 4, 0.0, Connection("c"), Request(b"GET", b"/", b"HTTP/1.1", ()))
    assert stream.feed(other, "GET /y") == [other]
    gap = Gap(GapReason.SHED, 5, 1)
    assert [type(record) for record in stream.feed(gap, "GET /x")] == [Chunks, Gap]


def test_the_end_comes_after_what_was_held(redactor: Redactor) -> None:
    """The end of an exchange gives out its held chunks first."""
    stream = RecordRedactor(redactor)
    assert stream.feed(Chunks(1, (Chunk(2, 0.0, KEY[:30]),)), "GET /x") == []
    ended = Ended(1, 3, 0.0, EndReason.COMPLETE, Response(b"HTTP/1.1", 200, b"OK", (), None), b"", streamed=True)
    assert [type(record) for record in stream.feed(ended, "GET /x")] == [Chunks, Ended]


def test_idle(redactor: Redactor) -> None:
    """A tail that does not grow is given out after a minute of silence, with what is in it replaced."""
    stream = RecordRedactor(redactor)
    stream.feed(Chunks(1, (Chunk(2, 0.0, b"x " + KEY),)), "GET /x")
    out = [record for _ in range(streaming.IDLE_CALLS_MAX) for record in stream.idle()]
    assert len(chunks_of(out)) == 1
    assert KEY not in chunks_of(out)[0].data


@pytest.mark.parametrize("size", [3, 1000, 64 * 1024])
def test_named_fields_in_chunks(redactor: Redactor, size: int) -> None:
    """A field named by its route is found in a body that came in chunks, as in the whole."""
    body = json.dumps({"job": {"pad": "x y " * 400, "stdout": "nothing that a shape would show", "id": "job_1"}}).encode()
    route = "GET /api/secrets/exec/:jobId"
    out = chunks_of(feed(redactor, [body[at : at + size] for at in range(0, len(body), size)], route))
    assert b"".join(chunk.data for chunk in out) == redactor.response_body(body, route)[0]


def test_a_body_beyond_the_bound(redactor: Redactor) -> None:
    """Beyond the bound a field is still known by its key, and no more than the bound is held."""
    stream = RecordRedactor(redactor)
    piece = b'"pad":"' + b"x y " * 64_000 + b'",\n'
    route = "GET /api/secrets/exec/:jobId"
    out = []
    for event in range(40):
        out += stream.feed(Chunks(1, (Chunk(event, 0.0, piece),)), route)
        assert stream.held_bytes <= streaming.WHOLE_MAX_BYTES
    out += stream.feed(Chunks(1, (Chunk(40, 0.0, b'"stdout":"what was'),)), route)
    out += stream.feed(Chunks(1, (Chunk(41, 0.0, b' said"}'),)), route) + stream.flush()
    got = b"".join(chunk.data for chunk in chunks_of(out))
    assert len(got) == 40 * len(piece) + len(b'"stdout":"what was said"}')
    assert b"what was" not in got


def test_all_that_is_held_is_bounded(redactor: Redactor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many held bodies together stay within their bound."""
    monkeypatch.setattr(streaming, "HELD_MAX_BYTES", 10_000)
    monkeypatch.setattr(streaming, "SIDES_HELD_MAX", 3)
    stream = RecordRedactor(redactor)
    count = 0
    for exchange in range(30):
        out = stream.feed(Chunks(exchange, (Chunk(exchange, 0.0, b'{"stdout":"' + b"x" * 4000),)), "GET /api/secrets/exec/:jobId")
        count += len(chunks_of(out))
        assert stream.held_bytes <= 10_000
    assert count + len(chunks_of(stream.flush())) == 30


def test_compressed_chunks(redactor: Redactor) -> None:
    """A compressed body in chunks is opened as a whole; what comes out decodes and says that it was compressed again."""
    body = gzip.compress(b"a text; password=hunter2hunter2; " + b"".join(b"and line %d of it, " % number for number in range(300)), 0)
    stream = RecordRedactor(redactor)
    head = Response(b"HTTP/1.1", 200, b"OK", ((b"content-encoding", b"gzip"),), None)
    out = stream.feed(Answered(1, 2, 0.0, head), "GET /x")
    for event, at in enumerate(range(0, len(body), 9), 3):
        out += stream.feed(Chunks(1, (Chunk(event, 0.0, body[at : at + 9]),)), "GET /x")
    out += stream.flush()
    got = b"".join(chunk.data for chunk in chunks_of(out))
    assert len(got) == len(body)
    assert b"hunter2" not in gzip.decompress(got)
    assert {item.kind for record in out if isinstance(record, Chunks) for item in record.redactions} == {"recompressed"}
