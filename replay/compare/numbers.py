"""Many small facts of a comparison, held in little room."""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

from replay.compare.timing import Sample

SAMPLES_MAX: Final = 100_000
_DENSE_MAX: Final = 1 << 27


class Numbers(AbstractSet[int]):
    """A set of exchange numbers: a bit for each."""

    def __init__(self) -> None:
        self._bits = bytearray()
        self._odd: set[int] = set()

    def add(self, number: int) -> None:
        """Take one."""
        if not 0 <= number < _DENSE_MAX:
            self._odd.add(number)
            return
        place = number >> 3
        if place >= len(self._bits):
            self._bits.extend(bytes(place + 1 - len(self._bits)))
        self._bits[place] |= 1 << (number & 7)

    def __contains__(self, number: object) -> bool:
        if not isinstance(number, int):
            return False
        place = number >> 3
        return number in self._odd or (0 <= place < len(self._bits) and bool(self._bits[place] >> (number & 7) & 1))

    def __iter__(self) -> Iterator[int]:
        yield from (number for number in range(8 * len(self._bits)) if number in self)
        yield from self._odd

    def __len__(self) -> int:
        return sum(map(int.bit_count, self._bits)) + len(self._odd)


class Samples:
    """
    Durations, of all exchanges, or where there are very many, of every n-th.

    What a hundred thousand do not show, a million do not either; which ones are kept does not hang on what they say.
    """

    def __init__(self, samples_max: int = SAMPLES_MAX) -> None:
        self._max = samples_max
        self._kept: list[tuple[int, str, float, float, float | None]] = []
        self._step = 1
        self._seen = 0

    def add(self, exchange: int, route: str, recorded_ms: float, observed_ms: float, control_ms: float | None) -> None:
        """Take the next one: the fields of a `Sample`."""
        if self._seen % self._step == 0:
            self._kept.append((exchange, route, recorded_ms, observed_ms, control_ms))
            if len(self._kept) > self._max:
                del self._kept[1::2]
                self._step *= 2
        self._seen += 1

    def kept(self) -> Sequence[Sample]:
        """Give those that are judged."""
        return [Sample(*fields) for fields in self._kept]

    def counts(self) -> tuple[tuple[str, int], ...]:
        """Say how many were left out; nothing where none was."""
        left_out = self._seen - len(self._kept)
        return (("pairs whose times were not looked at, of very many", left_out),) if left_out else ()
