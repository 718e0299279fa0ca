"""
Listens where a daemon asks its models, and answers out of a recording.

How this works
--------------
One task a connection: read a request, have it answered, write the answer, again. A recorded stream is written in its recorded pieces, without
the recorded pauses. What the recorded daemon left before its end is held open after the last recorded piece until this one leaves too, or a
bound passes; what the provider broke off is broken off. Whatever comes in, nothing here raises: what is no HTTP gets 400, and is counted.
"""

import asyncio
import contextlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, Protocol

from replay.play.providing.asks import Ask, Kind, Shape, read_ask
from replay.play.providing.given import MISS, Given
from replay.play.providing.requests import Incoming, NotARequestError, RequestReader

_READ_BYTES: Final = 65_536
_HELD_MAX_S: Final = 600.0
"""Longer than any daemon's own patience with a model."""
_BODYLESS: Final = frozenset({204, 304})


class Answers(Protocol):
    """What knows the answers."""

    def answer(self, ask: Ask) -> Given:
        """Find what is to be answered."""


class Note(Protocol):
    """Is told of each call."""

    def __call__(self, ask: Ask, given: Given, *, left: bool) -> None:
        """Take one; *left*: the daemon left before its answer was written."""


class Server:
    """Serves one lane at one or more addresses."""

    def __init__(self, answers: Answers, note: Note, secrets: Mapping[str, str] | None = None) -> None:
        """Make one; of *secrets*, by placeholder, the log gets the placeholder, and the daemon the secret."""
        self._answers = answers
        self._note = note
        self._shown = [(_spelt(placeholder), _spelt(secret)) for placeholder, secret in (secrets or {}).items()]
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.busy = 0
        """How many requests were read whole whose answers are not yet written."""

    async def listen(self, host: str, port: int) -> int:
        """
        Listen at an address; gives the port, which is another where 0 was asked for.

        Raises:
            OSError: the address is taken, or is not this machine's.

        """
        server = await asyncio.start_server(self._accept, host, port)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop listening, and drop what is open."""
        for server in self._servers:
            server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        # It may have left, which what it was given is noted with; or the replay is over.
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await self._converse(reader, writer)
        self._tasks.discard(task)
        writer.close()
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await writer.wait_closed()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests = RequestReader()
        while True:
            try:
                incoming = await _next(requests, reader, writer)
            except NotARequestError as error:
                await self._refuse(writer, requests.method, str(error))
                return
            if incoming is None:
                return
            given = await self._reply(incoming, writer)
            if given.status == 0 or not given.whole:
                if given.broken:
                    writer.transport.abort()
                else:
                    await _hold(reader)
                return
            if not incoming.keeps:
                return

    async def _reply(self, incoming: Incoming, writer: asyncio.StreamWriter) -> Given:
        body = bytes(incoming.body)
        for placeholder, secret in self._shown:
            body = body.replace(secret, placeholder)
        ask = read_ask(incoming.method, incoming.target, body)
        given = self._answers.answer(ask)
        self.busy += 1
        left = True
        try:
            if given.status:
                await _write(writer, self._revealed(given), is_head=incoming.method == b"HEAD", keeps=incoming.keeps)
            left = False
        finally:
            self.busy -= 1
            self._note(ask, given, left=left)
        return given

    def _revealed(self, given: Given) -> Given:
        pieces = given.pieces
        for placeholder, secret in self._shown:
            pieces = tuple(piece.replace(placeholder, secret) for piece in pieces)
        return replace(given, pieces=pieces)

    async def _refuse(self, writer: asyncio.StreamWriter, method: str, why: str) -> None:
        body = b'{"error": "this is no request"}'
        given = Given(
            stage="malformed",
            tier=MISS,
            status=400,
            reason=b"Bad Request",
            headers=(),
            pieces=(body,),
            chunked=False,
            whole=True,
            broken=False,
            match={"tier": MISS, "why": why},
            made=True,
        )
        self._note(Ask(method or "?", "?", b"", Shape.OTHER, Kind.OTHER), given, left=False)
        await _write(writer, given, is_head=False, keeps=False)


async def _next(requests: RequestReader, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Incoming | None:
    """
    Read the next request; None where the other side left.

    Raises: NotARequestError; OSError.
    """
    while not requests.whole:
        data = await reader.read(_READ_BYTES)
        if not data:
            return None
        requests.feed(data)
        if requests.expects:
            requests.expects = False
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    return requests.whole.popleft()


async def _write(writer: asyncio.StreamWriter, given: Given, *, is_head: bool, keeps: bool) -> None:
    lines = [b"HTTP/1.1 %d %b" % (given.status, given.reason)]
    lines += [b"%b: %b" % header for header in given.headers]
    if given.chunked:
        lines.append(b"Transfer-Encoding: chunked")
    elif given.status not in _BODYLESS:
        # What was cut when it was recorded announced more than came: announced again, so that it looks cut again.
        more = 0 if given.whole else 1
        lines.append(b"Content-Length: %d" % (sum(map(len, given.pieces)) + more))
    if not keeps:
        lines.append(b"Connection: close")
    writer.write(b"\r\n".join(lines) + b"\r\n\r\n")
    if is_head or given.status in _BODYLESS:
        await writer.drain()
        return
    for piece in given.pieces:
        if not given.chunked:
            writer.write(piece)
        elif piece:
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        await writer.drain()
    if given.chunked and given.whole:
        writer.write(b"0\r\n\r\n")
        await writer.drain()


async def _hold(reader: asyncio.StreamReader) -> None:
    """Wait until the other side leaves, as it did when this was recorded."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_HELD_MAX_S):
            while await reader.read(_READ_BYTES):
                pass


def _spelt(text: str) -> bytes:
    """Spell a text as it stands in a JSON string."""
    return json.dumps(text, ensure_ascii=False)[1:-1].encode("utf-8", "surrogatepass")
