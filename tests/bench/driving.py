"""
The client of the benches: many connections in one process, without a framework, so that it costs a fraction of what it measures.

Every answer's status, length and last bytes are checked. A wrong one ends the bench: figures of answers that never came mean nothing.
"""

import select
import socket
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from tests.bench.serving import LARGE_BYTES, SMALL_BYTES, TAIL

SMALL: Final = b"/api/memories?limit=17"
LARGE: Final = b"/api/memory/search?q=everything"
_GET: Final = b"GET %b HTTP/1.1\r\nhost: 127.0.0.1:%d\r\naccept: application/json\r\nuser-agent: bench\r\n\r\n"
_POST: Final = b"POST %b HTTP/1.1\r\nhost: 127.0.0.1:%d\r\nuser-agent: bench\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
_STALLED_S: Final = 30.0
_MARK: Final = b'"sent_ns":'


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as bytes, and how long the body of its answer must be."""

    request: bytes
    answer_bytes: int


def ask(target: bytes, port: int) -> Asked:
    """Give the request for one of the server's JSON answers."""
    size = LARGE_BYTES if target == LARGE else SMALL_BYTES
    return Asked(_GET % (target, port), size)


def tell(target: bytes, port: int, body: bytes) -> Asked:
    """Give a POST; its answer is a small one."""
    return Asked(_POST % (target, port, len(body)) + body, SMALL_BYTES)


@dataclass
class Link:
    """One kept-alive connection, with at most one request on its way."""

    socket: socket.socket
    room: bytearray = field(default_factory=lambda: bytearray(LARGE_BYTES + 4_096))
    have: int = 0
    whole: int = 0
    """How many bytes the answer has, head and body; 0 while its head has not come."""
    asked: Asked | None = None
    due: float = 0.0
    """When the present request should have been sent."""

    def send(self, asked: Asked, due: float) -> None:
        """Send a request."""
        self.asked, self.due, self.have, self.whole = asked, due, 0, 0
        if self.socket.send(asked.request) != len(asked.request):
            raise ConnectionError("a request did not fit into the socket's buffer")

    def receive(self) -> bool:
        """Take what has come; says whether the answer is whole, which is checked then."""
        got = self.socket.recv_into(memoryview(self.room)[self.have :])
        if not got:
            raise ConnectionError(f"the connection was closed in the middle: {bytes(self.room[:200])!r}")
        self.have += got
        if not self.whole:
            end = self.room.find(b"\r\n\r\n", 0, self.have)
            if end < 0:
                return False
            at = self.room.find(b"content-length:", 0, end)
            if at < 0 or not self.room.startswith(b"HTTP/1.1 200"):
                raise ValueError(f"another answer than the server's: {bytes(self.room[:200])!r}")
            length = int(self.room[at + 15 : self.room.index(b"\r\n", at)])
            assert self.asked is not None
            if length != self.asked.answer_bytes:
                raise ValueError(f"an answer of {length} bytes instead of {self.asked.answer_bytes}")
            self.whole = end + 4 + length
        if self.have < self.whole:
            return False
        if self.have != self.whole or self.room[self.whole - len(TAIL) : self.whole] != TAIL:
            raise ValueError(f"an answer that ends in another way: {bytes(self.room[self.whole - 9 : self.have])!r}")
        return True


def connect(port: int) -> socket.socket:
    """Open a connection whose small requests leave at once."""
    link = socket.create_connection(("127.0.0.1", port), timeout=_STALLED_S)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return link


@contextmanager
def linked(port: int, count: int) -> Iterator[list[Link]]:
    """Have *count* connections."""
    links = [Link(connect(port)) for _ in range(count)]
    try:
        yield links
    finally:
        for link in links:
            link.socket.close()


def saturate(links: Sequence[Link], asked: Asked, seconds: float, *, requests_max: int = 1 << 60) -> tuple[int, float]:
    """Keep one request on its way on every connection for *seconds*; gives how many were answered, and the seconds until the last was."""
    with select.epoll() as poll:
        by_number = {link.socket.fileno(): link for link in links}
        for number in by_number:
            poll.register(number, select.EPOLLIN)
        started = time.perf_counter()
        end = started + seconds
        sent = 0
        for link in links[:requests_max]:
            link.send(asked, started)
            sent += 1
        done = 0
        while done < sent:
            ready = poll.poll(_STALLED_S)
            if not ready:
                raise TimeoutError(f"no answer for {_STALLED_S:.0f} s; {sent - done} are on their way")
            more = time.perf_counter() < end
            for number, _ in ready:
                link = by_number[number]
                if link.receive():
                    done += 1
                    if more and sent < requests_max:
                        link.send(asked, 0.0)
                        sent += 1
        return done, time.perf_counter() - started


def drive_at(links: Sequence[Link], asked: Sequence[Asked], rate: float, seconds: float) -> list[float]:
    """
    Ask *rate* times a second, whether the answers come or not; gives the seconds from when each should have been sent to its last byte.

    A request that finds no free connection waits for one, and the wait counts.
    """
    free = deque(links)
    busy: dict[socket.socket, Link] = {}
    taken: list[float] = []
    count, sent = int(rate * seconds), 0
    started = time.perf_counter() + 0.005
    while len(taken) < count:
        now = time.perf_counter()
        while free and sent < count and (due := started + sent / rate) <= now:
            link = free.popleft()
            link.send(asked[sent % len(asked)], due)
            busy[link.socket] = link
            sent += 1
        pause = max(0.0, started + sent / rate - time.perf_counter()) if free and sent < count else _STALLED_S
        # select and not epoll, which only knows whole milliseconds
        ready, _, _ = select.select(busy, (), (), pause)
        if not ready and pause == _STALLED_S:
            raise TimeoutError(f"no answer for {_STALLED_S:.0f} s; {len(busy)} are on their way")
        for one in ready:
            link = busy[one]
            if link.receive():
                taken.append(time.perf_counter() - link.due)
                free.append(busy.pop(one))
    return taken


@dataclass(frozen=True, slots=True)
class Streamed:
    """What clients of streams saw, in seconds."""

    first_s: list[float]
    """From the request to the first event, of each stream."""
    lag_s: list[float]
    """From when the server made an event to when the client had it; of all events but the first."""


def stream(port: int, *, streams: int, events: int, every_ms: int) -> Streamed:
    """
    Open streams side by side and take *events* from each.

    Raises:
        ValueError: an answer is no stream, or holds another number of events.

    """
    found = Streamed([], [])
    target = b"/api/logs/stream?events=%d&every_ms=%d" % (events, every_ms)
    open_: dict[socket.socket, tuple[float, list[bytes], list[int]]] = {}
    try:
        for _ in range(streams):
            link = connect(port)
            open_[link] = (time.monotonic(), [], [])
            link.sendall(_GET % (target, port))
        while open_:
            ready, _, _ = select.select(open_, (), (), _STALLED_S)
            if not ready:
                raise TimeoutError(f"no event for {_STALLED_S:.0f} s")
            for one in ready:
                data = one.recv(65_536)
                now = time.monotonic()
                asked_at, before, seen = open_[one]
                whole = b"".join(before) + data
                before[:] = [whole]
                marks = whole.count(_MARK)
                if marks > len(seen):
                    at = 0
                    for number in range(marks):
                        at = whole.index(_MARK, at) + len(_MARK)
                        if number < len(seen):
                            continue
                        sent_ns = int(whole[at : at + 20])
                        seen.append(sent_ns)
                        if number == 0:
                            found.first_s.append(now - asked_at)
                        else:
                            found.lag_s.append(now - sent_ns / 1e9)
                if whole.endswith(b"0\r\n\r\n") or not data:
                    if len(seen) != events or not whole.startswith(b"HTTP/1.1 200"):
                        raise ValueError(f"a stream of {len(seen)} events instead of {events}: {whole[:200]!r}")
                    del open_[one]
                    one.close()
    finally:
        for link in open_:
            link.close()
    return found
