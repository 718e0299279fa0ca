"""One connection to the daemon, for one recorded client connection."""

import asyncio
from collections.abc import Callable
from typing import Final

from replay.play.wire import AnswerReader, NotHttpError

_PIECE_BYTES: Final = 256 * 1024
_CONNECT_S: Final = 5.0


class RefusedError(Exception):
    """Nobody listens any more."""


class Link:
    """
    Asks over one connection, and makes a new one where the daemon closed the old one.

    Not for use by two requests at once.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self.opened = 0
        """How many connections were made."""
        self.busy = False
        """Whether a request was sent and its answer is not over."""
        self.reused = False
        """Whether the last request went over a connection that had served one before."""

    async def make_ready(self) -> None:
        """
        See to it that there is a connection: the old one, or a new one where the daemon closed it.

        Raises:
            RefusedError: no connection could be made.

        """
        await asyncio.sleep(0)  # lets an end of the stream that is already here be seen
        if self._reader is None or self._reader.at_eof() or self._reader.exception() is not None:
            await self.close()
        self.reused = self._writer is not None
        if self._writer is None:
            await self._connect()

    def send(self, raw: bytes) -> None:
        """Send a request's bytes. The link must be ready."""
        assert self._writer is not None
        self.busy = True
        self._writer.write(raw)

    async def receive(self, answer: AnswerReader, progress: Callable[[], None]) -> str:
        """
        Read until the answer is whole; `progress` is called after each piece. Gives what went wrong, in words, or an empty text.

        The connection is closed where it can't be used again.
        """
        assert self._reader is not None
        trouble = ""
        while not answer.whole:
            try:
                piece = await self._reader.read(_PIECE_BYTES)
                if piece:
                    answer.feed(piece)
                elif not answer.end_of_stream():
                    trouble = "the daemon closed the connection " + (
                        "in the middle of its answer" if answer.any_byte else "before the first byte of an answer"
                    )
            except NotHttpError as error:
                trouble = f"what came is not HTTP: {error}"
            except OSError as error:
                trouble = f"the connection broke {'in the middle of' if answer.any_byte else 'before'} the answer: {error}"
            progress()
            if trouble:
                break
        self.busy = False
        if trouble or not answer.keeps_alive:
            await self.close()
        return trouble

    async def close(self) -> None:
        """Close the connection; the next request makes a new one."""
        writer, self._writer, self._reader = self._writer, None, None
        self.busy = False
        if writer is not None:
            writer.close()
            try:
                await asyncio.wait_for(writer.wait_closed(), 1.0)
            except (OSError, TimeoutError):
                writer.transport.abort()

    async def _connect(self) -> None:
        try:
            self._reader, self._writer = await asyncio.wait_for(asyncio.open_connection(self._host, self._port, limit=_PIECE_BYTES), _CONNECT_S)
        except (OSError, TimeoutError) as error:
            raise RefusedError(f"{self._host}:{self._port}: {error or 'no connection'}") from error
        self.opened += 1
