"""
A thread that looks at the job tables all the time, and at once when it is asked to.

SQLite may have to wait for a lock, and the walk must not; and how long the tables held something can only be told by looking often. A look
that costs much is made less often: the daemon shall not feel that it is watched.
"""

import asyncio
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final

from replay.play.looks import Left, Looks

EVERY_S: Final = 0.03
_SHARE_MAX: Final = 0.05
"""How much of the time looking may take, where nobody asks."""

type _Asked = tuple[Callable[[], object], "asyncio.Future[object]"]


class Sampler:
    """Owns the connections while it runs. `start` and `stop` it in a running loop."""

    def __init__(self, looks: Looks, told: Callable[[float, Left], None], clock: Callable[[], float], *, every_s: float = EVERY_S) -> None:
        self._looks = looks
        self._told = told
        self._clock = clock
        self._every_s = every_s
        self._asked: SimpleQueue[_Asked | None] = SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self.looks = 0
        """How many looks were made."""
        self.looking_s = 0.0
        """How long they took together."""

    def start(self) -> None:
        """Begin to look."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="job tables", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """Look no more, and close the connections."""
        if self._thread is not None:
            self._asked.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None

    def values(self) -> dict[str, float]:
        """Say what looking cost, for `Statistics`."""
        return {"looks": float(self.looks), "look_queries": float(self._looks.queries), "looking_ms": round(self.looking_s * 1000.0, 1)}

    async def look(self) -> Left:
        """Give what was left at a look that began after this call."""
        left = await self._ask(self._look)
        assert isinstance(left, Left)
        return left

    async def number(self, path: Path, sql: str, parameters: Mapping[str, str]) -> int | None:
        """Ask for one number, as `Looks.number` does."""
        number = await self._ask(lambda: self._looks.number(path, sql, parameters))
        assert number is None or isinstance(number, int)
        return number

    async def _ask(self, question: Callable[[], object]) -> object:
        assert self._loop is not None
        answer: asyncio.Future[object] = self._loop.create_future()
        self._asked.put((question, answer))
        return await answer

    def _run(self) -> None:
        pause_s = self._every_s
        while True:
            try:
                asked = self._asked.get(timeout=pause_s)
            except Empty:
                before = self.looking_s
                with suppress(Exception):  # whoever asks next meets it, and is told
                    self._look()
                pause_s = max(self._every_s, (self.looking_s - before) / _SHARE_MAX)
                continue
            if asked is None:
                self._looks.close()
                return
            question, answer = asked
            try:
                self._tell(_answer, answer, question())
            except Exception as error:  # noqa: BLE001  # a bug must end the replay, not have it wait for ever
                self._tell(_fail, answer, error)

    def _look(self) -> Left:
        started = self._clock()
        left = self._looks.look()
        ended = self._clock()
        self.looks += 1
        self.looking_s += ended - started
        self._tell(self._told, ended, left)
        return left

    def _tell(self, callback: Callable[..., None], *values: object) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(callback, *values)


def _fail(answer: "asyncio.Future[object]", error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)


def _answer(answer: "asyncio.Future[object]", value: object) -> None:
    if not answer.done():
        answer.set_result(value)
