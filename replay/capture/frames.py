"""
What goes from mitmdump to the writer process through a pipe, and how.

How this works
--------------
A *message* is a tuple of plain values whose first item says its kind (`OPENED`, `CHUNK`, …). Messages gather for some milliseconds and go
as one *frame*: lengths and time, the messages as `marshal` packs them (both ends are the same interpreter, and nothing packs plain tuples
faster), and after them the big byte strings, which are handed to the system as they are: a body is never copied in the proxy.

In the packed part a big byte string is replaced by its length as a complex number, which no message holds for any other reason.
"""

import marshal
import struct
from collections.abc import Iterator, Sequence
from typing import Any, Final

from replay.model import (
    Answered,
    Chunk,
    Chunks,
    Connection,
    Ended,
    EndReason,
    Gap,
    GapReason,
    NoResponse,
    Opened,
    Outcome,
    ParityError,
    Record,
    Request,
    Response,
)

CONFIG: Final = 0
OPENED: Final = 1
ANSWERED: Final = 2
CHUNK: Final = 3
ENDED: Final = 4
GAP: Final = 5
"""Its last value says whether it stands for the end of its exchange."""
NUMBER: Final = 6
"""A number that the writer asked for: (NUMBER, ticket, event)."""
STATISTICS: Final = 7
"""What the proxy measured of itself: (STATISTICS, at, values)."""
STOP: Final = 8
"""The proxy ends in order: (STOP, reason)."""
SURE: Final = 9
"""Everything before is to be on disk: (SURE, serial), which the writer answers when it is."""

type Message = tuple[Any, ...]
type Buffer = bytes | memoryview

RAW_BYTES: Final = 8 * 1024
"""Byte strings from this length on go beside the packed part."""
FRAME_BYTES_MAX: Final = 1 << 31
_HEAD: Final = struct.Struct("<IIQd")
_MAGIC: Final = 0x50415249
_VERSION: Final = 2
"""Of marshal: without its table of shared references, which costs more than it saves here."""
_NOT_PLAIN: Final = "it held values of a kind that traffic has not"


class BrokenFrameError(ParityError):
    """What came through the pipe is no frame: the other end is another program, or broke down in the middle of one."""


def pack(messages: Sequence[Message], sent_at: float) -> list[Buffer]:
    """
    Make one frame of messages, as buffers to be written one after the other; *sent_at* is wall clock.

    Raises:
        ValueError: a message holds something else than plain values (`plain_of` gives it without).
    """
    raws: list[bytes] = []
    small = [_without_raws(message, raws) if message[0] in (CHUNK, ENDED) else message for message in messages]
    packed = marshal.dumps(small, _VERSION)
    return [_HEAD.pack(_MAGIC, len(packed), sum(map(len, raws)), sent_at) + packed, *raws]


def plain_of(message: Message) -> tuple[Message, ...]:
    """Give a message of the traffic; where it holds something else than plain values, a gap for each of its event numbers instead."""
    try:
        marshal.dumps(message, _VERSION)
    except ValueError:
        kind, exchange, event = message[:3]
        head = message[9] if kind == ENDED else None
        numbers = (event,) if head is None else (head, event)
        reason = GapReason.NOT_WRITTEN.value
        # the last one stands for the end of the exchange, where the message did
        return tuple((GAP, reason, number, exchange, 1, _NOT_PLAIN, kind == ENDED and number == event) for number in numbers)
    return (message,)


class Unpacker:
    """Gives the messages of whole frames out of pieces of any length."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self.sent_at = 0.0
        """When the frame was made whose messages were given last (wall clock)."""

    def feed(self, data: bytes) -> Iterator[Message]:
        """
        Take what was read, and give what is whole.

        Raises:
            BrokenFrameError: this is no frame.
        """
        self._pending += data
        while len(self._pending) >= _HEAD.size:
            magic, packed, raw, sent_at = _HEAD.unpack_from(self._pending)
            if magic != _MAGIC or packed + raw > FRAME_BYTES_MAX:
                raise BrokenFrameError("what comes from the proxy is no frame; the recorder and its writer are not of the same version?")
            end = _HEAD.size + packed + raw
            if len(self._pending) < end:
                return
            with memoryview(self._pending) as view:
                try:
                    messages = marshal.loads(view[_HEAD.size : _HEAD.size + packed])  # noqa: S302 - our own process wrote it
                except (ValueError, EOFError, TypeError) as error:
                    raise BrokenFrameError(f"a frame from the proxy is damaged ({error})") from error
                raws = bytes(view[_HEAD.size + packed : end])
            del self._pending[:end]
            self.sent_at = sent_at
            place = 0
            for message in messages:
                whole, place = _with_raws(message, raws, place)
                yield whole


def size_of(message: Message) -> int:
    """Say about how much memory a message holds, in bytes: its bodies, and a flat sum for the rest."""
    kind = message[0]
    if kind == CHUNK:
        return 200 + len(message[5])
    if kind == ENDED:
        answer, body = message[5], message[6]
        return 600 + (len(body) if body else 0) + (len(answer[4]) if type(answer) is tuple and answer[4] else 0)
    return 1000


def record_of(message: Message) -> Record:
    """
    Turn a message into the record that it stands for.

    Raises:
        BrokenFrameError: it stands for none.
    """
    match message:
        case (1, exchange, event, at, client, peer, lane, method, target, version, headers):
            return Opened(exchange, event, at, Connection(client, peer=peer), Request(method, target, version, headers), lane)
        case (2, exchange, event, at, version, status, reason, headers):
            return Answered(exchange, event, at, Response(version, status, reason, headers, None))
        case (3, exchange, event, at, side, data):
            return Chunks(exchange, (Chunk(event, at, data),), side)
        case (4, exchange, event, at, end, answer, body, trailers, server, headers_event, asked_at, first_at, streamed, request_streamed, note):
            outcome: Outcome = Response(*answer) if isinstance(answer, tuple) else NoResponse(answer)
            return Ended(
                exchange=exchange,
                event=event,
                at=at,
                end=EndReason(end),
                outcome=outcome,
                request_body=body,
                request_trailers=trailers,
                server_connection=server,
                headers_event=headers_event,
                request_ended_at=asked_at,
                first_byte_at=first_at,
                streamed=streamed,
                request_streamed=request_streamed,
                note=note,
            )
        case (5, reason, event, exchange, count, detail, _):
            return Gap(GapReason(reason), event, exchange, count, detail)
    raise BrokenFrameError(f"a message of kind {message[0]!r} stands for no record")


def _without_raws(message: Message, raws: list[bytes]) -> Message:
    if message[0] == CHUNK:
        data = message[5]
        return (*message[:5], _set_aside(data, raws)) if len(data) >= RAW_BYTES else message
    answer, body = message[5], message[6]
    if type(answer) is tuple and answer[4] is not None and len(answer[4]) >= RAW_BYTES:
        answer = (*answer[:4], _set_aside(answer[4], raws), answer[5])
    if body is not None and len(body) >= RAW_BYTES:
        body = _set_aside(body, raws)
    return message if answer is message[5] and body is message[6] else (*message[:5], answer, body, *message[7:])


def _set_aside(data: bytes, raws: list[bytes]) -> complex:
    raws.append(data)
    return complex(len(data), 0)


def _with_raws(message: Message, raws: bytes, place: int) -> tuple[Message, int]:
    """Put big byte strings back, from a place in them on; gives the place behind."""
    if message[0] == CHUNK:
        data, place = _back(message[5], raws, place)
        return (*message[:5], data), place
    if message[0] == ENDED:
        answer = message[5]
        if type(answer) is tuple:
            data, place = _back(answer[4], raws, place)
            answer = (*answer[:4], data, answer[5])
        body, place = _back(message[6], raws, place)
        return (*message[:5], answer, body, *message[7:]), place
    return message, place


def _back(value: Any, raws: bytes, place: int) -> tuple[Any, int]:
    if type(value) is not complex:
        return value, place
    end = place + int(value.real)
    return raws[place:end], end
