"""What goes through the pipe comes out again, however it is cut into pieces."""

import contextlib
import marshal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.capture.frames import (
    ANSWERED,
    CHUNK,
    ENDED,
    GAP,
    NUMBER,
    OPENED,
    RAW_BYTES,
    BrokenFrameError,
    Unpacker,
    pack,
    record_of,
    size_of,
)
from replay.model import Answered, Chunks, Ended, EndReason, Gap, GapReason, NoResponse, Opened, Response

HEADERS = ((b"Host", b"x"), (b"X-Twice", b"\xff"), (b"x-twice", b""))
_OCTETS = st.binary(max_size=60) | st.integers(RAW_BYTES - 1, RAW_BYTES + 2).map(lambda size: b"\xa5" * size)
_MAYBE = st.none() | _OCTETS
_ANSWERS = st.text(max_size=5) | st.tuples(
    st.just(b"HTTP/1.1"), st.integers(100, 599), st.just(b"OK"), st.just(HEADERS), _MAYBE, st.just(HEADERS)
)
_MESSAGES = st.one_of(
    st.tuples(st.just(CHUNK), st.integers(1, 9), st.integers(1, 99), st.floats(0, 1e9), st.sampled_from(["request", "response"]), _OCTETS),
    st.tuples(
        *(st.just(ENDED), st.integers(1, 9), st.integers(1, 99), st.floats(0, 1e9), st.sampled_from([reason.value for reason in EndReason])),
        *(_ANSWERS, _MAYBE, st.just(HEADERS), st.none() | st.just("s"), st.none() | st.integers(1, 9)),
        *(st.none(), st.none(), st.booleans(), st.booleans(), st.text(max_size=5)),
    ),
    st.tuples(
        st.just(GAP),
        st.sampled_from(list(GapReason)).map(lambda reason: reason.value),
        st.none(),
        st.just(3),
        st.just(1),
        st.just(""),
        st.booleans(),
    ),
    st.tuples(st.just(NUMBER), st.integers(1, 9), st.integers(1, 99)),
)


def wire(frames: list[list[Any]]) -> bytes:
    """Give the bytes of frames as they stand in the pipe."""
    return b"".join(bytes(buffer) for frame in frames for buffer in pack(frame, 1.5))


@given(st.lists(st.lists(_MESSAGES, max_size=4), max_size=3), st.integers(1, 700))
def test_messages_come_out_as_they_went_in(frames: list[list[Any]], step: int) -> None:
    """Any messages, cut into pieces of any length, come out whole and in order."""
    data = wire(frames)
    unpacker = Unpacker()
    found = [message for at in range(0, len(data), step * 97) for message in unpacker.feed(data[at : at + step * 97])]
    assert found == [message for frame in frames for message in frame]


def test_bodies_are_not_copied() -> None:
    """A big body is handed to the system as the very object that the flow holds."""
    body = b"b" * RAW_BYTES
    buffers = pack([(CHUNK, 1, 2, 0.0, "response", body)], 0.0)
    assert any(buffer is body for buffer in buffers)


@given(st.binary(max_size=200))
def test_anything_else_is_refused(data: bytes) -> None:
    """Bytes that are no frame give nothing or our own error."""
    with contextlib.suppress(BrokenFrameError):
        assert list(Unpacker().feed(data)) == []


@given(st.lists(_MESSAGES, min_size=1, max_size=3), st.data())
def test_a_cut_frame_gives_nothing(messages: list[Any], data: st.DataObject) -> None:
    """A frame of which the end is missing gives no message."""
    whole = wire([messages])
    length = data.draw(st.integers(0, len(whole) - 1))
    assert list(Unpacker().feed(whole[:length])) == []


@pytest.mark.parametrize(
    ("message", "record"),
    [
        ((OPENED, 1, 2, 3.0, "c", "p:1", "daemon", b"GET", b"/", b"HTTP/1.1", HEADERS), Opened),
        ((ANSWERED, 1, 2, 3.0, b"HTTP/1.1", 200, b"OK", HEADERS), Answered),
        ((CHUNK, 1, 2, 3.0, "request", b"x"), Chunks),
        ((GAP, "shed", None, 1, 1, "why", False), Gap),
        ((ENDED, 1, 5, 3.0, "complete", (b"HTTP/1.1", 200, b"OK", HEADERS, b"b", ()), b"", (), "s", 4, 1.0, 2.0, False, False, ""), Ended),
    ],
)
def test_each_kind_stands_for_its_record(message: Any, record: type) -> None:
    """A message becomes the record that it stands for, and its size is that of its bodies at least."""
    found = record_of(message)
    assert type(found) is record
    assert size_of(message) > 100


def test_an_end_without_an_answer() -> None:
    """Words in place of an answer are no answer of the daemon."""
    found = record_of((ENDED, 1, 5, 3.0, "proxy error", "refused", None, (), None, None, None, None, False, False, ""))
    assert isinstance(found, Ended)
    assert (found.outcome, found.end) == (NoResponse("refused"), EndReason.PROXY_ERROR)
    assert not isinstance(found.outcome, Response)


@pytest.mark.parametrize("message", [(99,), (NUMBER, 1, 2), (OPENED, 1)])
def test_what_stands_for_no_record(message: Any) -> None:
    """A message of another kind or shape is our own error."""
    with pytest.raises(BrokenFrameError):
        record_of(message)
    assert marshal.dumps(message)
