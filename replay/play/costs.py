"""
What the player itself costs, measured while it plays.

Each kind of delay is counted in classes whose width is an eighth of their size, so that any number of exchanges takes the same memory and a
percentile is right to some percent.
"""

import time
from collections import Counter
from typing import Final

_PARTS: Final = 3
"""Two to this power classes for each doubling."""


class Delays:
    """How long something took, many times over."""

    def __init__(self) -> None:
        self._classes: Counter[int] = Counter()
        self._count = 0

    def add(self, seconds: float) -> None:
        """Count one."""
        units = int(seconds * 1e7) + (1 << _PARTS)  # tenths of a microsecond
        shift = units.bit_length() - _PARTS - 1
        self._classes[shift << _PARTS | (units >> shift) - (1 << _PARTS)] += 1
        self._count += 1

    def percentile_us(self, percent: float) -> float:
        """Give what *percent* of them did not pass, in microseconds; 0 without any."""
        left = self._count * percent / 100
        for number in sorted(self._classes):
            left -= self._classes[number]
            if left <= 0:
                shift, part = number >> _PARTS, number & ((1 << _PARTS) - 1)
                return (((part + (1 << _PARTS)) << shift) + (1 << shift) / 2 - (1 << _PARTS)) / 10
        return 0.0


class Costs:
    """The player's own time: from when an exchange may be sent to when it is, from its last byte to its record, and CPU."""

    def __init__(self) -> None:
        self.sending = Delays()
        self.recording = Delays()
        self._cpu_s = time.process_time()

    def told(self, exchanges: int) -> dict[str, float]:
        """Give the figures by name, for `Statistics`."""
        cpu_us = (time.process_time() - self._cpu_s) * 1e6 / max(1, exchanges)
        return {
            "own_send_p50_us": self.sending.percentile_us(50),
            "own_send_p99_us": self.sending.percentile_us(99),
            "own_record_p50_us": self.recording.percentile_us(50),
            "own_record_p99_us": self.recording.percentile_us(99),
            "own_cpu_us": round(cpu_us, 1),
        }
