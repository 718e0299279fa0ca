"""Bytes to answers, requests to bytes."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.model import Request
from replay.play.wire import AnswerReader, NotHttpError, request_bytes

ANSWERS = {
    "length": b"HTTP/1.1 200 OK fine\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 3\r\n\r\nabc",
    "chunked": b"HTTP/1.1 200 OK fine\r\nX-A: 1\r\nx-a: 2\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n",
    "interim": b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\nHTTP/1.1 200 OK fine\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 3\r\n\r\nabc",
    "to the end": b"HTTP/1.1 200 OK fine\r\nX-A: 1\r\nx-a: 2\r\n\r\nabc",
}


@given(st.sampled_from(sorted(ANSWERS)), st.lists(st.integers(0, 200), max_size=6))
def test_however_it_is_cut(name: str, cuts: list[int]) -> None:
    """An answer is the same however its bytes are cut."""
    raw = ANSWERS[name]
    answer = AnswerReader(b"GET")
    places = [0, *sorted(min(cut, len(raw)) for cut in cuts), len(raw)]
    for start, end in itertools.pairwise(places):
        answer.feed(raw[start:end])
    assert answer.whole is (name != "to the end")
    assert answer.end_of_stream()
    assert (answer.version, answer.status, answer.reason, answer.take()) == (b"HTTP/1.1", 200, b"OK fine", b"abc")
    assert answer.headers[:2] == [(b"X-A", b"1"), (b"x-a", b"2")]
    assert answer.keeps_alive is (name != "to the end")
    assert answer.interim == ([100] if name == "interim" else [])


@pytest.mark.parametrize(
    ("method", "raw"), [(b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"), (b"GET", b"HTTP/1.1 204 No Content\r\n\r\n")]
)
def test_answers_without_a_body(method: bytes, raw: bytes) -> None:
    """An answer to HEAD and a 204 are whole with their heads, and the connection stays."""
    answer = AnswerReader(method)
    answer.feed(raw)
    assert answer.whole
    assert answer.keeps_alive


def test_a_cut_answer_is_not_whole() -> None:
    """A connection that ends within a framed answer, or within its head, leaves it cut."""
    for raw in (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", b"HTTP/1.1 200 O", b""):
        answer = AnswerReader(b"GET")
        answer.feed(raw)
        assert not answer.end_of_stream()
        assert answer.any_byte is bool(raw)


def test_connection_close_and_old_versions() -> None:
    """A connection that the daemon wants closed is not used again."""
    for head in (b"HTTP/1.1 200 OK\r\nConnection: close", b"HTTP/1.0 200 OK"):
        answer = AnswerReader(b"GET")
        answer.feed(head + b"\r\nContent-Length: 0\r\n\r\n")
        assert answer.whole
        assert not answer.keeps_alive


def test_what_is_not_http() -> None:
    """Other bytes are an error that says so."""
    with pytest.raises(NotHttpError):
        AnswerReader(b"GET").feed(b"SSH-2.0-OpenSSH\r\n")


def test_requests_are_spelt_as_recorded() -> None:
    """Headers keep case, order and duplicates; a chunked body is chunked with its trailers."""
    plain = Request(b"POST", b"/a?b=%20", b"HTTP/1.0", ((b"hOST", b"x"), (b"X", b"1"), (b"x", b"2")), b"body")
    assert request_bytes(plain) == b"POST /a?b=%20 HTTP/1.0\r\nhOST: x\r\nX: 1\r\nx: 2\r\n\r\nbody"
    chunked = Request(b"POST", b"/", b"HTTP/1.1", ((b"transfer-encoding", b"Chunked"),), b"body", ((b"t", b"u"),))
    assert request_bytes(chunked) == b"POST / HTTP/1.1\r\ntransfer-encoding: Chunked\r\n\r\n4\r\nbody\r\n0\r\nt: u\r\n\r\n"


@pytest.mark.parametrize(
    "pieces",
    [
        [b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 2000],
        [b"HTTP/1.1 200 OK\r\n", b"a: b\r\n" * 300],
        [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n" * 60],
    ],
)
def test_an_answer_without_end_is_cut(pieces: list[bytes]) -> None:
    """Body, headers or interim answers: beyond the bound it is no answer any more."""
    reader = AnswerReader(b"GET", bytes_max=1000)
    reader.feed(pieces[0])

    with pytest.raises(NotHttpError, match="longer than 1000 bytes"):
        reader.feed(pieces[1])
