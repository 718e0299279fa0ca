"""
The server behind the proxies of the benches: a process of its own whose answers are made before anybody asks.

    GET  /api/memories?limit=…        2 kB of JSON
    GET  /api/memory/search?q=…       200 kB of JSON
    GET  /api/export?bytes=N          N bytes of JSON, other ones each time
    POST anything                     2 kB of JSON, once the body has come
    GET  /api/logs/stream?every_ms=N  server-sent events until the client goes, or `&events=N` of them; each says when it was sent

Answers differ from each other (4,096 small and 64 large ones, seeded), for equal ones would vanish in any compressor, and are as
compressible as text of drawn words is. Of one kind all have the same length, so that a client can check every one.
"""

import asyncio
import itertools
import multiprocessing
import random
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

SMALL_BYTES: Final = 2_000
LARGE_BYTES: Final = 200_000
TAIL: Final = b'"}]}'
"""How every answer that is no stream ends."""
_KINDS: Final = {SMALL_BYTES: 4_096, LARGE_BYTES: 64}
_TEXT_BYTES: Final = 24_000_000
_UP_S: Final = 20.0
_LENGTH: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_NUMBER: Final = re.compile(rb"[?&](\w+)=(\d+)")
_FRAME: Final = b'{"results":[{"content":"'
_HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
_STREAM_HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n"
_EVENT: Final = 'data: {"sent_ns":%020d,"level":"info","message":"%s"}\n\n'


def drawn_text(size: int, seed: int) -> bytes:
    """Give *size* bytes of JSON-safe text: drawn words, numbers and ids."""
    draw = random.Random(seed)  # noqa: S311  # nothing secret is drawn here
    words = ["".join(draw.choices("etaoinshrdlucmfwyp", k=draw.randint(2, 9))) for _ in range(4_000)]
    parts: list[str] = []
    made = 0
    while made < size:
        piece = " ".join(draw.choices(words, k=12)) + f" {draw.getrandbits(64):016x} {draw.randint(1, 99_999)} "
        parts.append(piece)
        made += len(piece)
    return "".join(parts).encode()[:size]


def answer_of(text: bytes, size: int) -> bytes:
    """Give JSON of exactly *size* bytes around as much of *text* as fits, in items of 400 bytes."""
    body = bytearray(b'{"results":[')
    item = b'{"id":"m%06d","type":"fact","pinned":false,"content":"%s"},'
    for number in itertools.count():
        start = number * 400
        piece = item % (number, text[start : start + 400])
        if len(body) + len(piece) + 60 > size:
            break
        body += piece
    last = b'{"id":"last","content":"'
    body += last + text[-(size - len(body) - len(last) - len(TAIL)) :] + TAIL
    assert len(body) == size
    return bytes(body)


def answers(size: int) -> list[bytes]:
    """Give different whole answers, head and body, with bodies of *size* bytes."""
    text = drawn_text(size * _KINDS[size], size)
    return [_HEAD % size + answer_of(text[at : at + size], size) for at in range(0, len(text), size)]


class Large:
    """JSON of several megabytes, other one each time, in the same order each time that this is made."""

    def __init__(self) -> None:
        self._text = drawn_text(_TEXT_BYTES, 3)
        self._at = 0

    def body(self, size: int) -> list[bytes]:
        """Give the pieces of a body of *size* bytes."""
        start = self._at % (len(self._text) - size)
        self._at += 1_000_003
        return [_FRAME, self._text[start : start + size - len(_FRAME) - len(TAIL)], TAIL]


class _Bodies:
    """What is answered; made once."""

    def __init__(self) -> None:
        self.small = itertools.cycle(answers(SMALL_BYTES))
        self.large = itertools.cycle(answers(LARGE_BYTES))
        self._exports: Large | None = None

    def export(self, size: int) -> Iterator[bytes]:
        """Give the pieces of an answer with a body of *size* bytes."""
        if self._exports is None:
            self._exports = Large()
        yield _HEAD % size
        yield from self._exports.body(size)


class _Server(asyncio.Protocol):
    """Answers every request as soon as it is whole."""

    def __init__(self, bodies: _Bodies) -> None:
        self._bodies = bodies
        self._pending = b""
        self._target: bytes | None = None
        self._left = 0
        """Bytes of the body of the present request that are still to come."""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back; a large answer shall leave in one system call."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)

    def connection_lost(self, _: Exception | None) -> None:
        """End a stream."""
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Answer what is whole."""
        while data:
            if self._left:
                self._left -= (taken := min(self._left, len(data)))
                data = data[taken:]
            else:
                head, end, rest = (self._pending + data).partition(b"\r\n\r\n")
                if not end:
                    self._pending = head
                    return
                self._pending, data = b"", rest
                found = _LENGTH.search(head)
                self._left = int(found[1]) if found else 0
                self._target = head.split(b" ", 2)[1] if head.startswith(b"GET") else b""
            if not self._left and self._target is not None:
                target, self._target = self._target, None
                self._answer(target)

    def _answer(self, target: bytes) -> None:
        if target.startswith(b"/api/memory/search"):
            self._transport.write(next(self._bodies.large))
        elif target.startswith(b"/api/logs/stream"):
            asked = {name: int(value) for name, value in _NUMBER.findall(target)}
            self._transport.write(_STREAM_HEAD)
            self._stream(asked.get(b"events", 1 << 60), asked[b"every_ms"] / 1000, asyncio.get_running_loop().time())
        elif target.startswith(b"/api/export"):
            for piece in self._bodies.export(int(target.partition(b"bytes=")[2])):
                self._transport.write(piece)
        else:
            self._transport.write(next(self._bodies.small))

    def _stream(self, left: int, every_s: float, due: float) -> None:
        if not left:
            self._transport.write(b"0\r\n\r\n")
            return
        # the timer first, so that the stamp is taken as late as can be
        self._timer = asyncio.get_running_loop().call_at(due + every_s, self._stream, left - 1, every_s, due + every_s)
        event = (_EVENT % (time.monotonic_ns(), "something happened in the daemon " * 2)).encode()
        self._transport.write(b"%x\r\n%b\r\n" % (len(event), event))


def serve(port: int) -> None:
    """Serve until this process is ended."""

    async def forever() -> None:
        bodies = _Bodies()
        server = await asyncio.get_running_loop().create_server(lambda: _Server(bodies), "127.0.0.1", port)
        await server.serve_forever()

    asyncio.run(forever())


@contextmanager
def serving() -> Iterator[int]:
    """Have a server in a process of its own; gives its port."""
    port = free_port()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(port,), daemon=True)
    process.start()
    try:
        await_listener(port)
        yield port
    finally:
        process.terminate()
        process.join()


def await_listener(port: int) -> None:
    """
    Wait until something listens.

    Raises:
        TimeoutError: nothing does after 20 seconds.

    """
    pause, end = threading.Event(), time.monotonic() + _UP_S
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        pause.wait(0.05)
    raise TimeoutError(f"nothing listens on port {port}")


def free_port() -> int:
    """Give a port that was free a moment ago."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
