"""
Tell a daemon that hangs from a request that does.

How this works
--------------
A request that is late without a byte proves nothing: the route may be slow, or eight of them may wait for one lock. Only where the
daemon sent nothing at all, on any connection, since that request was sent, it is *suspected*: it is asked for its health over a connection of
its own, and the walk waits, for what was sent now would only meet its bound too and be called slow for nothing. Any byte on any connection
ends the suspicion. None within the bound: the daemon hangs, and the replay ends as incomplete. So a hanging daemon ends a replay within the
time for which others wait for an exchange, and this one.
"""

import asyncio
from collections.abc import Callable
from typing import Final

_ASK: Final = b"GET /health HTTP/1.1\r\nHost: %b:%d\r\nConnection: close\r\n\r\n"
_AGAIN_S: Final = 0.5


class Watch:
    """Watches one daemon."""

    def __init__(self, host: str, port: int, bound_s: float, *, cleared: Callable[[], None], hangs: Callable[[str], None]) -> None:
        self._host = host
        self._port = port
        self._bound_s = bound_s
        self._cleared = cleared
        self._hangs = hangs
        self._heard = 0
        self._task: asyncio.Task[None] | None = None
        self.asked = 0
        """How often the daemon was asked for its health."""

    @property
    def heard(self) -> int:
        """How many pieces the daemon has sent so far."""
        return self._heard

    @property
    def suspects(self) -> bool:
        """Whether it is not known now whether the daemon lives."""
        return self._task is not None

    def hear(self) -> None:
        """Note that the daemon sent something."""
        self._heard += 1
        if self._task is not None:
            self._clear()

    def suspect(self, heard: int) -> None:
        """Say that a request met its bound without an answer; *heard* is what the daemon had sent when it was sent."""
        if self._heard == heard and self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._ask())

    def stop(self) -> None:
        """Ask no more."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()

    def _clear(self) -> None:
        self.stop()
        self._cleared()

    async def _ask(self) -> None:
        self.asked += 1
        try:
            async with asyncio.timeout(self._bound_s):
                while not await self._answers():  # noqa: ASYNC110  # another process is asked
                    await asyncio.sleep(_AGAIN_S)
        except TimeoutError:
            self._task = None
            self._hangs(f"it hangs: nothing came on any connection, and no answer to GET /health within {self._bound_s:g} s")
            return
        self._heard += 1  # an answer like any other: what else hangs now hangs by itself
        self._task = None
        self._cleared()

    async def _answers(self) -> bool:
        try:
            reader, writer = await asyncio.open_connection(self._host, self._port)
        except OSError:
            return False
        try:
            writer.write(_ASK % (self._host.encode(), self._port))
            return bool(await reader.read(1))
        except OSError:
            return False
        finally:
            writer.transport.abort()
