"""What the recorder's own hooks cost the proxy, measured while they run: a histogram of their times, cheap enough to be always on."""

from typing import Final

_STEP_NS: Final = 1000
_BUCKETS: Final = 2000
"""Of a microsecond each; what took longer than two milliseconds is in the last."""


class Costs:
    """Times of hooks."""

    def __init__(self) -> None:
        self._counts = [0] * (_BUCKETS + 1)
        self._calls = 0
        self._total_ns = 0
        self._longest_ns = 0

    def add(self, taken_ns: int) -> None:
        """Count one call."""
        self._counts[taken_ns // _STEP_NS if taken_ns < _STEP_NS * _BUCKETS else _BUCKETS] += 1
        self._calls += 1
        self._total_ns += taken_ns
        self._longest_ns = max(self._longest_ns, taken_ns)

    def values(self) -> dict[str, float]:
        """Give calls, total, median, 99th percentile and maximum, by name."""
        return {
            "hook_calls": float(self._calls),
            "hook_total_s": self._total_ns / 1e9,
            "hook_p50_us": self._percentile(50),
            "hook_p99_us": self._percentile(99),
            "hook_max_us": self._longest_ns / 1000,
        }

    def _percentile(self, percent: float) -> float:
        wanted, seen = self._calls * percent / 100, 0
        for place, count in enumerate(self._counts):
            seen += count
            if seen and seen >= wanted:
                return min(float(place + 1), self._longest_ns / 1000) if place < _BUCKETS else self._longest_ns / 1000
        return 0.0
