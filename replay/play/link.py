"""
Connections to the daemon: one for each recorded client connection, kept alive as that one was.

How this works
--------------
A connection is a protocol of the event loop: what comes is handed to the `Taker` that asked in the callback that brought it, so that times
are those of the arrival. A request is written to the socket at once (the loop would first run all else that is ready); only what the socket
does not take goes the loop's way. Whether the daemon closed an idle connection is asked of the socket itself before it is used again.

`Links` bounds how many idle connections are held: beyond that, the one that was idle longest is closed and made again when it is needed.
"""

import asyncio
import os
import select
import time
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, cast

_CONNECT_S: Final = 5.0
_CLOSE_S: Final = 1.0
_IDLE_MAX: Final = 256
_PIECE_BYTES: Final = 65536


class RefusedError(Exception):
    """Nobody listens any more."""


class Taker(Protocol):
    """Who asked over a link, and takes what comes."""

    def take(self, data: bytes) -> None:
        """Take a piece of the answer."""

    def lose(self, why: str) -> None:
        """Learn that the connection is gone, and why in words; an empty text: the daemon closed it."""


class _Wire(asyncio.Protocol):
    """One connection, from its making to its end."""

    def __init__(self, live: set["_Wire"], went: Callable[[], None]) -> None:
        self._live = live
        self._went = went
        self._poll = select.poll()
        self._descriptor = -1
        self._spare: int | None = None
        self.taker: Taker | None = None

    @property
    def is_quiet(self) -> bool:
        """Whether neither its end nor bytes that nobody asked for wait in it, and nothing of an earlier request is still to go."""
        return not self._transport.is_closing() and not self._transport.get_write_buffer_size() and not self._poll.poll(0)

    def write(self, raw: bytes) -> None:
        """Send bytes at once, as many as go."""
        try:
            sent = os.write(self._descriptor, raw)
        except OSError:  # full, or gone: the loop will say which
            sent = 0
        if sent < len(raw):
            if self._spare is None:
                self._spare = os.dup(self._descriptor)
            self._transport.write(raw[sent:])

    def close(self) -> None:
        """Close it, whatever it still had to send."""
        self.taker = None
        if self._transport.get_write_buffer_size():
            self._transport.abort()
        else:
            self._transport.close()

    # --- called by the loop ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is of no class of asyncio
        self._descriptor = transport.get_extra_info("socket").fileno()
        self._poll.register(self._descriptor, select.POLLIN)
        self._live.add(self)

    def data_received(self, data: bytes) -> None:
        if self.taker is not None:
            self.taker.take(data)
        else:
            self.close()  # bytes that nobody asked for: what came next would be taken for an answer

    def eof_received(self) -> None:
        self._lose("")

    def connection_lost(self, exc: Exception | None) -> None:
        self._live.discard(self)
        if self._spare is not None:
            self._take_rest(self._spare)
            os.close(self._spare)
            self._spare = None
        self._lose("" if exc is None else str(exc))
        if not self._live:
            self._went()

    def _take_rest(self, descriptor: int) -> None:
        """
        Take what came before the connection broke under a request that was still being sent.

        A daemon that answers early (413) and closes is told apart by this: the loop drops the connection at the failed write, unread.
        """
        while self.taker is not None:
            try:
                data = os.read(descriptor, _PIECE_BYTES)
            except OSError:
                return
            if not data:
                return
            self.taker.take(data)

    def _lose(self, why: str) -> None:
        taker, self.taker = self.taker, None
        if taker is not None:
            taker.lose(why)


class Link:
    """
    The connection that stands for one recorded client connection, made again where it is gone.

    Not for use by two requests at once: who sends holds it until it is given back.
    """

    def __init__(self, connect: Callable[[], Awaitable[_Wire]]) -> None:
        self._connect = connect
        self._wire: _Wire | None = None
        self.opened = 0
        """How many connections were made."""
        self.reused = False
        """Whether the last request went over a connection that had served one before."""
        self.wants_fresh = False
        """Whether the next request should go over a new connection."""
        self.used_at: float | None = None
        """When it was given back, on the monotonic clock."""

    @property
    def is_ready(self) -> bool:
        """Whether a request can be sent now."""
        return self._wire is not None and self._wire.is_quiet

    async def make_ready(self) -> None:
        """
        See to it that there is a connection: the old one, or a new one where the daemon closed it.

        Raises:
            RefusedError: no connection could be made.

        """
        if not self.is_ready:
            self.close()
            self._wire = await self._connect()
            self.opened += 1

    def send(self, raw: bytes, taker: Taker) -> None:
        """Send a request's bytes. The link must be ready."""
        assert self._wire is not None
        self._wire.taker = taker
        self._wire.write(raw)

    def end(self, *, keeps_alive: bool) -> None:
        """Hand on nothing more; the connection stays where it can be used again."""
        if not keeps_alive or self._wire is None:
            self.close()
        else:
            self._wire.taker = None
            self.reused = True

    def close(self) -> None:
        """Close the connection; the next request makes a new one."""
        wire, self._wire, self.reused = self._wire, None, False
        if wire is not None:
            wire.close()


class Links:
    """All connections of a replay."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._idle: dict[str, Link] = {}
        self._busy: dict[str, Link] = {}
        self._live: set[_Wire] = set()
        self._none_live: asyncio.Future[None] | None = None
        self.opened = 0
        """How many connections were made."""
        self.dropped = 0
        """How many were closed while idle because there were so many."""

    def take(self, client: str) -> Link:
        """Give the link of a recorded client connection, to be held; a new one where that one is held."""
        link = self._idle.pop(client, None)
        if link is None:
            link = Link(self._connect)
        self._busy[client] = link
        return link

    def give_back(self, client: str, link: Link) -> None:
        """Let others use a link; one that another replaced meanwhile is closed."""
        link.used_at = time.monotonic()
        if self._busy.get(client) is not link:
            link.close()
            return
        del self._busy[client]
        self._idle[client] = link
        if len(self._idle) > _IDLE_MAX:
            self._idle.pop(next(iter(self._idle))).close()
            self.dropped += 1

    async def close(self) -> None:
        """Close all and wait, for a moment, until they are gone."""
        for link in (*self._idle.values(), *self._busy.values()):
            link.close()
        if self._live:
            self._none_live = asyncio.get_running_loop().create_future()
            await asyncio.wait({self._none_live}, timeout=_CLOSE_S)

    def _went(self) -> None:
        if self._none_live is not None and not self._none_live.done():
            self._none_live.set_result(None)

    async def _connect(self) -> _Wire:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_CONNECT_S):
                _, wire = await loop.create_connection(lambda: _Wire(self._live, self._went), self._host, self._port)
        except (OSError, TimeoutError) as error:
            raise RefusedError(f"{self._host}:{self._port}: {error or 'no connection'}") from error
        self.opened += 1
        return wire
