"""
The client that knows the truth: raw sockets, several connections, and a log of what was sent and what came back.

A request that fails is logged as that and never sent again; the next one takes a new connection. Whatever is drawn comes from the seed, so
that the same seed asks the same in the same order of each connection, whatever stands in between.
"""

import asyncio
import hashlib
import random
import socket
import struct
import time
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Final

from tests.faults.truth import Ask, answer_body, draw

type Headers = tuple[tuple[bytes, bytes], ...]

BOUND_S: Final = 40.0
"""No answer takes longer; a client that waits this long says so."""


@dataclass(slots=True)
class Told:
    """What the client can say of one request."""

    ask: Ask
    begun_at: float
    """Wall clock of the client, which no fault touches."""
    head_sent: bool = False
    """Whether the head of the request went out whole."""
    sent: bool = False
    """Whether all of the request did."""
    status: int | None = None
    headers: Headers = ()
    body: bytes = b""
    """What came; empty again once it was found to be the truth or its beginning (`received` says how much that was)."""
    received: int = 0
    """Bytes of the body."""
    true: bool = False
    """Whether what came of the body is what the server says, or its beginning."""
    whole: bool = False
    """Whether the answer came to its end."""
    ended_at: float = 0.0
    stall_s: float = 0.0
    """The longest wait for anything."""
    trouble: str = ""

    @property
    def served(self) -> bool:
        """Whether the server's own answer came, whole and true."""
        return self.whole and self.true and self.status in (200, 204)

    def settle(self, trouble: str = "") -> None:
        """Close the entry: judge what came."""
        self.ended_at = time.time()
        self.trouble = trouble
        self.received = len(self.body)
        self.true = self.body == answer_body(self.ask, self.received)[: self.received]
        if self.whole and self.ask.kind != "endless":
            self.true = self.body == answer_body(self.ask)
        if self.true:
            self.body = b""

    @property
    def served_as(self) -> tuple[object, ...]:
        """What two proxies must do alike: status, headers, and all of the body."""
        return (self.status, self.headers, self.whole, self.true, self.received, hashlib.sha256(self.body).hexdigest())

    @property
    def kind_of_end(self) -> tuple[object, ...]:
        """What two proxies must do alike where timing decides how far an answer came."""
        return (self.status, tuple(name for name, _ in self.headers), self.whole, self.true or self.status not in (200, 204))


@dataclass(slots=True)
class Log:
    """What the client says of a run, in the order in which the requests began."""

    told: list[Told] = field(default_factory=list)
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    """Set where the endless streams are to be left, and nothing further is to be asked."""

    def begin(self, ask: Ask) -> Told:
        """Open an entry."""
        entry = Told(ask, time.time())
        self.told.append(entry)
        return entry


async def drive(
    log: Log,
    port: int,
    seed: str,
    *,
    turns: int = 40,
    workers: int = 8,
    streams: int = 3,
    think_ms: int = 120,
    dying: float = 0.0,
    leaving: float = 0.0,
) -> None:
    """Ask all that the seed draws, with endless streams open throughout; the log is whole when this returns."""
    open_streams = [asyncio.create_task(_watch(log, port, f"{seed}-s{number}")) for number in range(streams)]
    try:
        async with asyncio.TaskGroup() as group:
            for number in range(workers):
                name = f"{seed}-w{number}"
                plan = draw(name, turns, dying=dying, leaving=leaving)
                group.create_task(_work(log, port, plan, random.Random(f"{name} thinks"), think_ms))  # noqa: S311  # nothing secret is drawn here
    finally:
        log.stop.set()
        await asyncio.gather(*open_streams)


async def _work(log: Log, port: int, plan: list[list[Ask]], dice: random.Random, think_ms: int) -> None:
    link: _Link | None = None
    for turn in plan:
        if log.stop.is_set():
            break
        await asyncio.sleep(dice.random() * think_ms / 1000)
        entries = [log.begin(ask) for ask in turn]
        try:
            async with asyncio.timeout(BOUND_S):
                link = link or await _Link.open(port)
                good = await link.converse(entries)
        except (OSError, EOFError, TimeoutError, ValueError) as error:
            good = False
            for entry in entries:
                if not entry.ended_at:
                    entry.settle(repr(error))
        if not good and link is not None:
            await link.close()
            link = None
    if link is not None:
        await link.close()


async def _watch(log: Log, port: int, name: str) -> None:
    """Hold one endless stream open until the log stops; where it breaks, begin another one."""
    count = 0
    while not log.stop.is_set():
        count += 1
        entry = log.begin(Ask(f"{name}-{count}", "endless", pause_ms=40))
        link = None
        try:
            link = await _Link.open(port)
            reading = asyncio.create_task(link.converse([entry]))
            stopping = asyncio.create_task(log.stop.wait())
            await asyncio.wait((reading, stopping), return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            if not reading.done():
                reading.cancel()
                await asyncio.wait((reading,))
                entry.settle("left")
            else:
                reading.result()
        except (OSError, EOFError, ValueError) as error:
            if not entry.ended_at:
                entry.settle(repr(error))
            await asyncio.sleep(0.1)
        finally:
            if link is not None:
                await link.close()


class _Link:
    """One connection to the proxy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        self._reader = reader
        self._writer = writer
        self._port = port

    @classmethod
    async def open(cls, port: int) -> "_Link":
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        return cls(reader, writer, port)

    async def converse(self, entries: list[Told]) -> bool:
        """Send the requests in one go and read their answers; whether the connection is still good."""
        leave = entries[0].ask.leave
        data = b"".join(self._render(entry.ask) for entry in entries)
        head = data.index(b"\r\n\r\n") + 4
        if leave == "asking" or (leave == "body" and len(data) < head + 2):
            return await self._leave(entries[0], data[: head // 2])
        if leave == "body":
            entries[0].head_sent = True
            return await self._leave(entries[0], data[: (head + len(data)) // 2])
        self._writer.write(data)
        for entry in entries:
            entry.head_sent = entry.sent = True
        sending = asyncio.create_task(self._writer.drain())
        try:
            if leave == "half":
                self._writer.write_eof()
            for entry in entries:
                if not await self._read_answer(entry):
                    return False
        finally:
            sending.cancel()
            await asyncio.wait((sending,))
            if not sending.cancelled():
                sending.exception()
        return leave != "half"

    def _render(self, ask: Ask) -> bytes:
        head = f"{ask.method} {ask.target} HTTP/1.1\r\nHost: daemon.example:3850\r\nX-Number: {ask.id}\r\nAccept: */*\r\n"
        body = ask.body
        if ask.kind == "send-chunked":
            pieces = [body[start : start + 1_500] for start in range(0, len(body), 1_500)]
            chunked = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
            return f"{head}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n".encode() + chunked + b"0\r\n\r\n"
        if ask.method == "POST":
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        return f"{head}\r\n".encode() + body

    async def _leave(self, entry: Told, data: bytes) -> bool:
        self._writer.write(data)
        await self._writer.drain()
        self._reset()
        entry.settle("left while asking")
        return False

    async def _read_answer(self, entry: Told) -> bool:
        while True:
            line, *lines = (await self._await(entry, self._reader.readuntil(b"\r\n\r\n")))[:-4].split(b"\r\n")
            entry.status = int(line.split(b" ")[1])
            if entry.status >= 200:
                break
        entry.headers = tuple((name, value.strip()) for name, _, value in (item.partition(b":") for item in lines))
        if entry.ask.leave == "answer":
            self._reset()
            entry.settle("left while it was answered")
            return False
        fields = {name.lower(): value for name, value in entry.headers}
        if entry.ask.method != "HEAD" and entry.status != 204:
            await self._read_body(entry, fields)
        entry.whole = True
        entry.settle()
        return fields.get(b"connection", b"").lower() != b"close"

    async def _read_body(self, entry: Told, fields: dict[bytes, bytes]) -> None:
        body = bytearray()
        try:
            if b"content-length" in fields:
                while len(body) < int(fields[b"content-length"]):
                    piece = await self._await(entry, self._reader.read(min(1 << 16, int(fields[b"content-length"]) - len(body))))
                    if not piece:
                        raise EOFError("closed in the middle of the body")
                    body += piece
                return
            if b"chunked" not in fields.get(b"transfer-encoding", b""):
                body += await self._await(entry, self._reader.read(-1))
                return
            while size := int(await self._await(entry, self._reader.readuntil(b"\r\n")), 16):
                body += (await self._await(entry, self._reader.readexactly(size + 2)))[:-2]
            await self._reader.readuntil(b"\r\n")
        finally:
            entry.body = bytes(body)

    async def _await[T](self, entry: Told, coming: Awaitable[T]) -> T:
        began = time.monotonic()
        try:
            return await coming
        finally:
            entry.stall_s = max(entry.stall_s, time.monotonic() - began)

    def _reset(self) -> None:
        link: socket.socket = self._writer.get_extra_info("socket")
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def close(self) -> None:
        """Close the connection, whatever state it is in."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except OSError:
            return
