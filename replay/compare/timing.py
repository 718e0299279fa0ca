"""
Timing: the literal rule counted, and what the run's own control lets stand.

The literal rule (over 2× or over 100 ms against the recording) is counted for every pair. It opens as a divergence only where the candidate
is over the same limit against the control of this run, by more than the run's noise floor, and on a route whose evidence is enough: more
than half of at least three samples over 100 ms late, or of at least ten over twice as slow (a few milliseconds happen by chance), or one
sample that is over a second late. The rest is counted as not enough evidence; it is no pass.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

FLOOR_MS_MIN: Final = 5.0
TIMES: Final = 2.0
LATER_MS: Final = 100.0
SAMPLES_MIN: Final = 3
SAMPLES_MIN_TIMES: Final = 10
ROUTES_MIN: Final = 5
"""With fewer routes there is no usual shift to speak of."""
ALONE_MS_MIN: Final = 1000.0


@dataclass(frozen=True, slots=True)
class Sample:
    """The durations of one compared exchange, in milliseconds."""

    exchange: int
    route: str
    recorded_ms: float
    observed_ms: float
    control_ms: float | None


@dataclass(frozen=True, slots=True)
class TimingResult:
    """What the durations say."""

    late: tuple[Sample, ...]
    """Those that open."""
    counts: tuple[tuple[str, int], ...]
    floor_ms: float


def judge_timing(samples: Sequence[Sample]) -> TimingResult:
    """Apply the rule to all samples of a run."""
    floor = noise_floor_ms(samples)
    counts: Counter[str] = Counter()
    by_route: dict[str, list[Sample]] = {}
    for sample in samples:
        counts["pairs timed"] += 1
        counts["over 2x the recording"] += sample.observed_ms > TIMES * sample.recorded_ms
        counts["over 100 ms more than the recording"] += sample.observed_ms > sample.recorded_ms + LATER_MS
        counts["faster than half the recording"] += TIMES * sample.observed_ms < sample.recorded_ms
        counts["without control, so not judged"] += sample.control_ms is None
        by_route.setdefault(sample.route, []).append(sample)
    late: list[Sample] = []
    for members in by_route.values():
        over = [sample for sample in members if _over(sample, floor)]
        much = [sample for sample in over if _later(sample)]
        enough = _is_most(over, members, SAMPLES_MIN_TIMES)
        enough_much = _is_most(much, members, SAMPLES_MIN)
        opened = [sample for sample in over if enough or (enough_much and sample in much) or _by_far(sample)]
        late.extend(opened)
        counts["over, but not enough evidence"] += len(over) - len(opened)
    return TimingResult(tuple(late), tuple(sorted(counts.items())), floor)


def noise_floor_ms(samples: Sequence[Sample]) -> float:
    """
    How far two durations lie apart by chance, at least 5 ms.

    Three times the larger of: the scatter of the primary's own two durations, and the usual shift of a route between the two replays. These
    ran one after the other, so a machine that was busier during one of them shifts all routes; only what stands out from that is a finding.
    """
    apart = [sample.control_ms - sample.recorded_ms for sample in samples if sample.control_ms is not None]
    if not apart:
        return FLOOR_MS_MIN
    middle = median(apart)
    shifts: dict[str, list[float]] = {}
    for sample in samples:
        if sample.control_ms is not None:
            shifts.setdefault(sample.route, []).append(sample.observed_ms - sample.control_ms)
    shift = median(abs(median(values)) for values in shifts.values()) if len(shifts) >= ROUTES_MIN else 0.0
    return max(FLOOR_MS_MIN, 3.0 * median(abs(value - middle) for value in apart), 3.0 * shift)


def _is_most(some: Sequence[Sample], members: Sequence[Sample], at_least: int) -> bool:
    return len(members) >= at_least and 2 * len(some) > len(members)


def _later(sample: Sample) -> bool:
    return sample.control_ms is not None and sample.observed_ms > max(sample.control_ms, sample.recorded_ms) + LATER_MS


def _over(sample: Sample, floor: float) -> bool:
    if sample.control_ms is None:
        return False
    against_recording = _beyond(sample.observed_ms, sample.recorded_ms)
    return against_recording and _beyond(sample.observed_ms, sample.control_ms) and sample.observed_ms - sample.control_ms > floor


def _beyond(later_ms: float, base_ms: float) -> bool:
    return later_ms > TIMES * base_ms or later_ms > base_ms + LATER_MS


def _by_far(sample: Sample) -> bool:
    return sample.control_ms is not None and sample.observed_ms - max(sample.control_ms, sample.recorded_ms) > ALONE_MS_MIN
