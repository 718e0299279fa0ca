"""
What has ended, and who waits for it.

How this works
--------------
Steps wait for a number of ended exchanges, counted in the order of their recorded ends: the *front*. It is moved on by each end, and wakes
those whose number it has reached, and nobody else. Which exchanges are done is a bit each, so that weeks of traffic fit.
"""

import heapq
from collections.abc import Callable, Sequence


class Marks:
    """A set of small numbers, one bit each."""

    def __init__(self) -> None:
        self._bits = bytearray()
        self._count = 0

    def __contains__(self, number: int) -> bool:
        place = number >> 3
        return place < len(self._bits) and bool(self._bits[place] >> (number & 7) & 1)

    def __len__(self) -> int:
        return self._count

    def add(self, number: int) -> None:
        """Take a number (0 or more) in."""
        if number in self:
            return
        place = number >> 3
        if place >= len(self._bits):
            self._bits.extend(bytes(max(place + 1 - len(self._bits), 1024)))
        self._bits[place] |= 1 << (number & 7)
        self._count += 1


class Front:
    """How many exchanges have ended without a hole, in the order of their recorded ends."""

    def __init__(self, ends: Sequence[int]) -> None:
        self.count = 0
        self.done = Marks()
        """The exchanges that are over, also those beyond a hole."""
        self._ends = ends
        self._length = len(ends)
        self._waiting: list[tuple[int, int, Callable[[], None]]] = []
        self._tickets = 0

    def finish(self, exchange: int) -> None:
        """Note that an exchange is over."""
        self.done.add(exchange)
        while self.count < self._length and self._ends[self.count] in self.done:
            self.count += 1
        while self._waiting and self._waiting[0][0] <= self.count:
            heapq.heappop(self._waiting)[2]()

    def when(self, count: int, then: Callable[[], None]) -> None:
        """Call *then* once as many have ended: at once where they have."""
        if self.count >= count:
            then()
            return
        self._tickets += 1
        heapq.heappush(self._waiting, (count, self._tickets, then))
