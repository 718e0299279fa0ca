"""
Turns of two replays that run at the same time on one machine, so that both are timed under the same load and never by each other's.

How this works
--------------
Each side's player has a `Gate` and asks it before each step; the `Broker` of the tool lets one side send at a time. A side keeps its turn while
anything but a stream is in flight, so exchanges that overlap belong to one turn; then it leaves, and waits for its daemon's background work
without a turn. Next comes the side that is behind in the recording; who is first with a step that neither has sent alternates, drawn by a seed
in balanced pairs. So each exchange is asked of one side and right after, or before, of the other.

No side holds the other for ever: where one neither asks nor leaves for `SILENCE_S` (its daemon hangs, is dead, or works in the background), the
other goes on alone. How many exchanges were sent so, or caught up afterwards, each side counts for its archive. What a daemon does in the
background while it is not asked anything may still take time from the other; that can't be told apart from here.
"""

import asyncio
import json
import random
import selectors
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from replay.model import UsageError

SIDES: Final = ("candidate", "control")
SILENCE_S: Final = 30.0
"""How long one side waits for the other, which does nothing."""
_LINE_BYTES_MAX: Final = 4096
_TICK_S: Final = 0.5


class Gate:
    """One side's door; without a broker it is open."""

    def __init__(self, streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None) -> None:
        self._streams = streams
        self._has_turn = False
        self._paired = True
        self.counts: Counter[str] = Counter()
        """`turns`, `turns_waited_ms`, and `turns_not_taken`: exchanges that were sent without the other side's beside them."""

    @classmethod
    async def open(cls, path: Path | None, side: str) -> Self:
        """
        Connect one of `SIDES` to the broker at *path*; with None every step passes.

        Raises:
            UsageError: nobody listens there.

        """
        if path is None:
            return cls()
        try:
            reader, writer = await asyncio.open_unix_connection(str(path))
        except OSError as error:
            raise UsageError(f"{path}: whoever hands out turns to the two replays is not there ({error}); start both again") from error
        writer.write(json.dumps({"side": side}).encode() + b"\n")
        return cls((reader, writer))

    @property
    def has_turn(self) -> bool:
        """Whether this side may send."""
        return self._has_turn

    async def pass_(self, number: int) -> float:
        """
        Wait for the turn to send a step, numbered in recorded order; at once where this side has it and something is in flight.

        Gives the seconds that it waited.
        """
        if self._streams is None:
            return 0.0
        waited_s = 0.0
        if not self._has_turn:
            began = time.monotonic()
            self._paired = await self._ask(number)
            self.counts["turns"] += 1
            waited_s = time.monotonic() - began
            self.counts["turns_waited_ms"] += round(waited_s * 1000)
            self._has_turn = True
        self.counts["turns_not_taken"] += not self._paired
        return waited_s

    def leave(self) -> None:
        """Give the turn back: nothing but streams is in flight."""
        if self._streams is not None and self._has_turn:
            self._has_turn = False
            self._streams[1].write(b'{"leave": true}\n')

    def shut(self) -> None:
        """Stop waiting for a turn: the replay is over."""
        if self._streams is not None:
            self._streams[1].transport.abort()

    async def close(self) -> None:
        """Say that no more steps come."""
        if self._streams is not None:
            self._streams[1].close()
            with suppress(OSError):
                await self._streams[1].wait_closed()
            self._streams = None

    async def _ask(self, number: int) -> bool:
        assert self._streams is not None
        reader, writer = self._streams
        writer.write(json.dumps({"ask": number}).encode() + b"\n")
        try:
            line = await reader.readline()
            return bool(json.loads(line)["paired"])
        except (OSError, ValueError, KeyError):
            # The tool is gone, and so will this process be.
            await self.close()
            return False


class Turns:
    """
    Who may send; pure. `ask`, `leave` and `go` say what the sides do, `decide` who may send next.

    Times are seconds of any clock that goes forward.
    """

    def __init__(self, seed: str, *, silence_s: float = SILENCE_S) -> None:
        self._dice = random.Random(seed)  # noqa: S311 - a fair order, no secret
        self._silence_s = silence_s
        self._order: list[int] = []
        self._first: dict[int, int] = {}
        self._asking: list[int | None] = [None, None]
        self._at = [-1, -1]
        """The last step that each side was let through with."""
        self._alone_until = [-1, -1]
        self._sending = [False, False]
        self._there = [False, False]
        self._gone = [False, False]
        self._moved_at = [0.0, 0.0]

    def come(self, side: int, now: float) -> None:
        """A side is there; until then the other waits for it without a bound."""
        self._there[side], self._moved_at[side] = True, now

    def ask(self, side: int, number: int, now: float) -> None:
        """A side wants to send a step."""
        self._asking[side], self._sending[side], self._moved_at[side] = number, False, now

    def leave(self, side: int, now: float) -> None:
        """A side has nothing in flight any more."""
        self._sending[side], self._moved_at[side] = False, now

    def go(self, side: int, now: float) -> None:
        """A side is over, whatever the reason."""
        self._gone[side], self._sending[side], self._asking[side], self._moved_at[side] = True, False, None, now

    def decide(self, now: float) -> tuple[int, bool] | None:
        """Give the side that may send now, and whether the other side's turn is beside it; None: nobody."""
        choices = [side for side in (0, 1) if self._asking[side] is not None]
        if len(choices) == 2 and not any(self._sending):
            return self._let(self._next_of_both(), alone=False, now=now)
        for side in choices:
            other = 1 - side
            number = self._asking[side]
            assert number is not None
            if self._sending[side]:
                continue
            if self._gone[other]:
                return self._let(side, alone=number > self._at[other], now=now)
            if not self._sending[other] and self._at[other] >= number:
                return self._let(side, alone=False, now=now)
            # Once it went on alone it need not wait as long again before each step.
            waited_s = now - (self._moved_at[other] if self._alone_until[side] >= 0 else max(self._moved_at))
            if self._there[other] and waited_s >= self._silence_s:
                return self._let(side, alone=True, now=now)
        return None

    def _next_of_both(self) -> int:
        one, other = self._asking
        assert one is not None
        assert other is not None
        if one != other:
            return 0 if one < other else 1
        if one not in self._first:
            if not self._order:
                self._order = [0, 1]
                self._dice.shuffle(self._order)
            self._first = {one: self._order.pop()}
        return self._first[one]

    def _let(self, side: int, *, alone: bool, now: float) -> tuple[int, bool]:
        number = self._asking[side]
        assert number is not None
        caught_up = number <= self._alone_until[1 - side]
        if alone:
            self._alone_until[side] = number
        self._asking[side], self._sending[side], self._at[side], self._moved_at[side] = None, True, number, now
        return side, not alone and not caught_up


class Broker:
    """Hands out turns over a Unix socket, in a thread of its own. A context manager."""

    def __init__(self, path: Path, seed: str, *, silence_s: float = SILENCE_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._turns = Turns(seed, silence_s=silence_s)
        self._clock = clock
        self._selector = selectors.DefaultSelector()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._listener.bind(str(path))
        except OSError as error:
            self._listener.close()
            self._selector.close()
            raise UsageError(f"{path}: no socket can be made for the turns of two replays ({error}); name a shorter place") from error
        self._listener.listen(2)
        self._wake, self._woken = socket.socketpair()
        self._rest: dict[socket.socket, bytes] = {}
        self._sides: dict[socket.socket, int] = {}
        self._dead: list[int] = []
        self._thread = threading.Thread(target=self._serve, name="turns", daemon=True)

    def __enter__(self) -> Self:
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._wake.close()
        self._thread.join()
        for each in (self._listener, self._woken, *self._rest):
            each.close()
        self._selector.close()

    def give_up(self, side: int) -> None:
        """Say that a side's cell is over: it may never have connected."""
        self._dead.append(side)
        self._wake.send(b"x")

    def _serve(self) -> None:
        while True:
            for key, _ in self._selector.select(_TICK_S):
                if key.fileobj is self._listener:
                    connection, _ = self._listener.accept()
                    self._rest[connection] = b""
                    self._selector.register(connection, selectors.EVENT_READ)
                elif key.fileobj is self._woken:
                    if not self._woken.recv(64):
                        return
                    for side in self._dead:
                        self._turns.go(side, self._clock())
                elif isinstance(key.fileobj, socket.socket):
                    self._hear(key.fileobj)
            while (decided := self._turns.decide(self._clock())) is not None:
                self._tell(decided[0], paired=decided[1])

    def _hear(self, connection: socket.socket) -> None:
        try:
            data = connection.recv(_LINE_BYTES_MAX)
        except OSError:
            data = b""
        *lines, self._rest[connection] = (self._rest[connection] + data).split(b"\n")
        told = [_object(line) for line in lines]
        if not data or len(self._rest[connection]) > _LINE_BYTES_MAX or None in told:
            self._drop(connection)
            return
        for message in told:
            assert message is not None
            self._take(connection, message)

    def _take(self, connection: socket.socket, message: dict[str, Any]) -> None:
        side = self._sides.get(connection)
        if side is None:
            if message.get("side") in SIDES:
                self._sides[connection] = SIDES.index(message["side"])
                self._turns.come(self._sides[connection], self._clock())
        elif isinstance(message.get("ask"), int):
            self._turns.ask(side, message["ask"], self._clock())
        elif message.get("leave"):
            self._turns.leave(side, self._clock())

    def _drop(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        del self._rest[connection]
        side = self._sides.pop(connection, None)
        connection.close()
        if side is not None:
            self._turns.go(side, self._clock())

    def _tell(self, side: int, *, paired: bool) -> None:
        for connection, its in self._sides.items():
            if its == side:
                with suppress(OSError):  # its end is read next
                    connection.sendall(json.dumps({"paired": paired}).encode() + b"\n")


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
