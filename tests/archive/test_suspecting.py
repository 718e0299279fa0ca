"""What still looks like a secret, where bodies come in chunks."""

import itertools

import pytest

from replay.archive import suspecting
from replay.archive.suspecting import LeftSecret, Suspecting
from replay.model import Answered, Chunk, Chunks, Ended, EndReason, Record, Response
from replay.redact import Redactor

_KEY = b"sig_sk_0123456789ab_" + b"Ss9-_" * 8 + b"xyz"
_HEADERS = ((b"content-type", b"application/json"),)


def in_chunks(data: bytes, *cuts: int) -> list[Record]:
    """Make the records of a body that is cut at places."""
    ends = [0, *cuts, len(data)]
    pieces = [data[start:end] for start, end in itertools.pairwise(ends)]
    answer = Response(b"HTTP/1.1", 200, b"OK", _HEADERS, None)
    return [
        Answered(1, 2, 1.0, answer),
        *(Chunks(1, (Chunk(3 + place, 1.0, piece),)) for place, piece in enumerate(pieces)),
        Ended(1, 99, 2.0, EndReason.COMPLETE, answer, b"", headers_event=2, streamed=True),
    ]


def suspects(records: list[Record]) -> list[LeftSecret]:
    """Give what is suspected of them."""
    look = Suspecting()
    return [*(suspect for record in records for suspect in look.look(record)), *look.rest()]


def test_a_secret_across_chunks_is_seen() -> None:
    """Wherever a border cuts it, a secret is named with the chunk in which it begins, behind its public prefix."""
    body = b'{"a":"' + _KEY + b'"}'
    begins = body.index(b"Ss9")
    for cut in range(7, 6 + len(_KEY)):
        [found] = suspects(in_chunks(body, cut))
        place = ("chunk:3", begins) if cut > begins else ("chunk:4", begins - cut)
        assert (found.where, found.start, found.kind) == (*place, "api-key")
    assert len(suspects(in_chunks(body, 6)[:-1])) == 1


def test_a_placeholder_across_chunks_is_none() -> None:
    """Half a placeholder is no secret."""
    body = Redactor(b"k" * 32).text(b'{"token":"' + _KEY + b'","password":"correct horse battery"}')
    for cut in range(1, len(body)):
        assert suspects(in_chunks(body, cut)) == []


@pytest.mark.parametrize("where", [0, 50_000, 199_990])
def test_a_body_beyond_what_is_held(monkeypatch: pytest.MonkeyPatch, where: int) -> None:
    """Of a body that is not held whole nothing is overlooked, and nothing told twice."""
    monkeypatch.setattr(suspecting, "HELD_BYTES_MAX", 100_000)
    body = b"x " * (where // 2) + _KEY + b" y" * ((200_000 - where) // 2)
    found = suspects(in_chunks(body, *range(1000, len(body), 1000)))
    assert [suspect.kind for suspect in found] == ["api-key"]
    assert suspects(in_chunks(b"x " * 100_000, 70_000, 140_000)) == []
