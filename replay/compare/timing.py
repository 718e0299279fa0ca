"""
Timing: pair by pair against the control of the same run, beside the literal rule.

How this works
--------------
The literal rule (over 2× or over 100 ms against the recording) is counted for every pair, and opens nothing by itself: a recording is made on
another day, with other neighbours. A pair is *over* where the candidate is beyond the same limits against the recording and against the
control of this run, and by more than the run's noise floor against the control. A route is late where more than half of its pairs are over
(100 ms: at least three pairs; twice: at least ten) and chance can't be the reason: how often the control is over the recording is counted for
the run and for the route, and from that comes how likely as many are by chance. Some route of a run is wrongly called late with
a chance of at most 5 % (Holm), however many routes it has. Fewer pairs are not enough evidence; that is no pass.

One answer alone opens only where it hung: it is over a second late, and either the candidate hung more often than the control by more than
chance (a sign test, 5 %), or it took five times as long as anything that the primary answered in this run. (Of one daemon, even with
tails so heavy that durations have no variance, the latter happens in fewer than one run in fifty.)

Ratios are told by route with an interval of their median that holds for any distribution (see `chances`), and for all routes at once. The row
`*` is the middle of the routes' own medians: the machine's shift between the two replays, and the candidate's own usual speed, which nothing can
tell apart. No more of it than TOLERATED is taken out of the routes' outcomes, so a candidate that is slow everywhere stays slow.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import comb, exp, log
from typing import Final

from replay.compare.chances import admitted, chance_of_as_many, median_interval, middle, percentile
from replay.model import RouteTiming

FLOOR_MS_MIN: Final = 5.0
TIMES: Final = 2.0
LATER_MS: Final = 100.0
SAMPLES_MIN: Final = 3
SAMPLES_MIN_TIMES: Final = 10
"""So many where it is not 100 ms: a few milliseconds come in spells, and the pairs of a spell are not as many witnesses."""
ROUTES_MIN: Final = 5
"""With fewer routes there is no usual shift to speak of."""
ALONE_MS_MIN: Final = 1000.0
FAR: Final = 5.0
"""Times the longest of all that the primary needed."""
FALSE_ALARMS_MAX: Final = 0.05
"""The chance that a run has any route wrongly called late; and that any of its intervals misses."""
TOLERATED: Final = 1.5
"""So far apart lay the usual speeds of replays of one daemon on one machine, one after the other."""
SAME: Final = log(1.25)
"""A route that lies within a quarter of the usual shift is alike."""
SPELL: Final = 8
"""Exchanges so near to each other may have been held up by the same thing."""
UNKNOWN_PAIRS: Final = 4.0
"""As much as so many pairs does the whole run's rate say of a route that is not known yet."""
LEAST_MS: Final = 0.001
EVERY_ROUTE: Final = "*"
WHOLE: Final = "duration"

type Test = Callable[[Sample, float], bool]
"""Whether a sample counts, given the noise floor."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The durations of one compared exchange, or of one event of its stream, in milliseconds."""

    exchange: int
    route: str
    recorded_ms: float
    observed_ms: float
    control_ms: float | None
    part: str = WHOLE
    """`duration`, or of a stream `first event` or `event gap`: parts of different kinds are judged apart."""
    at: str = WHOLE
    """`duration`, or the event, such as `event 3`."""


@dataclass(frozen=True, slots=True)
class TimingResult:
    """What the durations say."""

    late: tuple[Sample, ...]
    """Those that open."""
    counts: tuple[tuple[str, int], ...]
    floor_ms: float
    timings: tuple[RouteTiming, ...] = ()
    """First all together (`*`), then by route."""


def judge_timing(samples: Sequence[Sample]) -> TimingResult:
    """Apply the rule to all samples of a run."""
    floor = noise_floor_ms(samples)
    groups: dict[tuple[str, str], list[Sample]] = {}
    for sample in samples:
        groups.setdefault((sample.route, sample.part), []).append(sample)
    shift = _shift(groups)
    busy = exp(max(0.0, shift))
    fair = {key: [_slowed(sample, busy) for sample in members] for key, members in groups.items()}
    late = _late_groups(fair, floor)
    hung = _hangs(samples, floor)
    opened: list[Sample] = []
    counts = _literal(samples)
    for key, members in groups.items():
        over = [sample for sample in members if _over(sample, floor)]
        tests = [late[key]] if key in late else []
        own = [sample for sample in over if sample in hung or any(test(_slowed(sample, busy), floor) for test in tests)]
        opened.extend(own)
        counts["over, but not enough evidence"] += len(over) - len(own)
    told = {(sample.route, sample.part) for sample in opened}
    return TimingResult(tuple(opened), tuple(sorted(counts.items())), floor, _timings(groups, told, shift, floor))


def noise_floor_ms(samples: Sequence[Sample]) -> float:
    """
    How far two durations lie apart by chance, at least 5 ms.

    Three times the larger of: the scatter of the primary's own two durations, and the usual shift of a route between the two replays (of which
    no more than a third of the 100 ms limit counts, so that no candidate that is slow everywhere hides behind it). These
    ran one after the other, so a machine that was busier during one of them shifts all routes; only what stands out from that is a finding.
    """
    apart = [sample.control_ms - sample.recorded_ms for sample in samples if sample.control_ms is not None]
    if not apart:
        return FLOOR_MS_MIN
    centre = middle(apart)
    shifts: dict[str, list[float]] = {}
    for sample in samples:
        if sample.control_ms is not None:
            shifts.setdefault(sample.route, []).append(sample.observed_ms - sample.control_ms)
    shift = middle([abs(middle(values)) for values in shifts.values()]) if len(shifts) >= ROUTES_MIN else 0.0
    return max(FLOOR_MS_MIN, 3.0 * middle([abs(value - centre) for value in apart]), min(3.0 * shift, LATER_MS))


def _literal(samples: Sequence[Sample]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for sample in samples:
        if sample.part != WHOLE:
            counts["stream events timed"] += 1
            continue
        counts["pairs timed"] += 1
        counts["over 2x the recording"] += sample.observed_ms > TIMES * sample.recorded_ms
        counts["over 100 ms more than the recording"] += sample.observed_ms > sample.recorded_ms + LATER_MS
        counts["faster than half the recording"] += TIMES * sample.observed_ms < sample.recorded_ms
        counts["without control, so not judged"] += sample.control_ms is None
    return counts


def _late_groups(groups: Mapping[tuple[str, str], Sequence[Sample]], floor: float) -> dict[tuple[str, str], Test]:
    """Give the routes that are late, and which pairs of them; the chance of any false alarm is small for all of them together."""
    judged = [(key, [sample for sample in members if sample.control_ms is not None]) for key, members in groups.items()]
    much = [(key, members, _later) for key, members in judged if len(members) >= SAMPLES_MIN]
    over = [(key, members, _over) for key, members in judged if len(members) >= SAMPLES_MIN_TIMES]
    chances = [
        *_chances([(members, test) for _, members, test in much], floor),
        *_chances([(members, test) for _, members, test in over], floor),
    ]
    stand = admitted(chances, FALSE_ALARMS_MAX)
    return {key: test for (key, members, test), stands in zip([*much, *over], stand, strict=True) if stands and _in_spells(members, test, floor)}


def _in_spells(members: Sequence[Sample], test: Test, floor: float) -> bool:
    """Whether the late ones came in more than one spell, or are many, or all: what held the machine up for a moment made its spell late."""
    places = sorted(sample.exchange for sample in members if test(sample, floor))
    spells = 1 + sum(later - sooner > SPELL for sooner, later in pairwise(places))
    return spells > 1 or len(places) >= SAMPLES_MIN_TIMES or len(places) == len(members)


def _chances(judged: Sequence[tuple[Sequence[Sample], Test]], floor: float) -> list[float]:
    """Say for each route how likely so many pairs are over by chance; 1 where it is not most of them."""
    # Of one daemon, the control is over the recording at least as often as the candidate is over both: this needs no more than that.
    own = [sum(test(_swapped(sample), floor) for sample in members) for members, test in judged]
    rate = (sum(own) + 1.0) / (sum(len(members) for members, _ in judged) + 2.0)
    told = []
    for (members, test), events in zip(judged, own, strict=True):
        over = sum(test(sample, floor) for sample in members)
        before = (UNKNOWN_PAIRS * rate + events, UNKNOWN_PAIRS * (1.0 - rate) + len(members) - events)
        told.append(chance_of_as_many(over, len(members), before=before) if 2 * over > len(members) else 1.0)
    return told


def _shift(groups: Mapping[tuple[str, str], Sequence[Sample]]) -> float:
    """Give the logarithm of how much slower the candidate's replay usually was, as far as that may be the machine's doing."""
    ratios = ([log(_ratio(sample)) for sample in members if sample.control_ms is not None] for key, members in groups.items() if key[1] == WHOLE)
    usual = [middle(values) for values in ratios if values]
    return min(max(middle(usual), -log(TOLERATED)), log(TOLERATED)) if len(usual) >= ROUTES_MIN else 0.0


def _slowed(sample: Sample, busy: float) -> Sample:
    return sample if sample.control_ms is None or busy <= 1.0 else replace(sample, control_ms=sample.control_ms * busy)


def _swapped(sample: Sample) -> Sample:
    """Put the control in the candidate's place, against the recording alone."""
    return replace(sample, observed_ms=sample.control_ms or 0.0, control_ms=sample.recorded_ms)


def _hangs(samples: Sequence[Sample], floor: float) -> set[Sample]:
    """Give the answers that are over a second late: all where it can't be chance that there are so many, else those far beyond all others."""
    hung = {sample for sample in samples if _is_hang(sample, floor)}
    # Of one daemon, the control hangs as often as the candidate does: each hang is either's with the same chance.
    ours = sum(
        _is_hang(replace(sample, observed_ms=sample.control_ms, control_ms=sample.observed_ms), floor)
        for sample in samples
        if sample.control_ms is not None
    )
    trials = len(hung) + ours
    if sum(comb(trials, count) for count in range(len(hung), trials + 1)) <= FALSE_ALARMS_MAX * 2**trials:
        return hung
    most = FAR * max((_slower(sample) for sample in samples), default=0.0)
    return {sample for sample in hung if sample.observed_ms > most}


def _is_hang(sample: Sample, floor: float) -> bool:
    return _over(sample, floor) and sample.observed_ms - _slower(sample) > ALONE_MS_MIN


def _timings(
    groups: Mapping[tuple[str, str], Sequence[Sample]], late: set[tuple[str, str]], shift: float, floor: float
) -> tuple[RouteTiming, ...]:
    rows = {key: [log(_ratio(sample)) for sample in members if sample.control_ms is not None] for key, members in groups.items()}
    miss = _share_of_each([len(values) for values in rows.values()])
    spans = {key: median_interval(values, miss) for key, values in rows.items()}
    usual = [middle(values) for key, values in rows.items() if values and key[1] == WHOLE]
    most = log(TOLERATED)
    told = []
    everyone = [sample for members in groups.values() for sample in members if sample.part == WHOLE]
    if len(groups) > 1 and everyone:
        span = median_interval(usual, FALSE_ALARMS_MAX)
        told.append(_row(EVERY_ROUTE, everyone, middle(usual) if usual else None, span, _speed(span, (-most, most))))
    for key in sorted(groups):
        members, values, route_span = groups[key], rows[key], spans[key]
        known = "late" if key in late else _outcome(members, route_span, (shift - SAME, shift + SAME), floor)
        name = key[0] if key[1] == WHOLE else f"{key[0]} ({key[1]})"
        told.append(_row(name, members, middle(values) if values else None, route_span, known))
    return tuple(told)


def _row(name: str, members: Sequence[Sample], ratio: float | None, span: tuple[float, float] | None, outcome: str) -> RouteTiming:
    controls = [sample.control_ms for sample in members if sample.control_ms is not None]
    return RouteTiming(
        route=name,
        pairs=len(members),
        recorded_ms=_percentiles([sample.recorded_ms for sample in members]),
        observed_ms=_percentiles([sample.observed_ms for sample in members]),
        control_ms=_percentiles(controls) if controls else None,
        ratio=None if ratio is None else exp(ratio),
        ratio_low=None if span is None else exp(span[0]),
        ratio_high=None if span is None else exp(span[1]),
        outcome=outcome if controls else "not judged",
    )


def _outcome(members: Sequence[Sample], span: tuple[float, float] | None, same: tuple[float, float], floor: float) -> str:
    """Say what an interval (of logarithms) shows. Alike is only what is shown to lie inside the limits."""
    speed = _speed(span, same)
    if speed != "alike" or span is None:
        return speed
    apart = [sample.observed_ms - sample.control_ms for sample in members if sample.control_ms is not None]
    return "alike" if span[1] <= log(TIMES) or max(apart) <= floor else "not enough evidence"


def _speed(span: tuple[float, float] | None, same: tuple[float, float]) -> str:
    if span is None:
        return "not enough evidence"
    return "slower" if span[0] > same[1] else "faster" if span[1] < same[0] else "alike"


def _share_of_each(counts: Sequence[int]) -> float:
    """
    Divide the chance of a miss among the intervals that there can be at all, so that all of them hold together.

    A route with so few pairs that it could have none is not counted among them (Tarone): it takes nothing from the others.
    """
    shares = 1
    while sum(2.0 ** (1 - min(count, 1000)) <= FALSE_ALARMS_MAX / shares for count in counts) > shares:
        shares += 1
    return FALSE_ALARMS_MAX / shares


def _percentiles(values: Sequence[float]) -> tuple[float, float, float]:
    ordered = sorted(values)
    return percentile(ordered, 0.5), percentile(ordered, 0.95), percentile(ordered, 0.99)


def _ratio(sample: Sample) -> float:
    return max(sample.observed_ms, LEAST_MS) / max(sample.control_ms or 0.0, LEAST_MS)


def _slower(sample: Sample) -> float:
    return max(sample.recorded_ms, sample.control_ms or 0.0)


def _later(sample: Sample, floor: float) -> bool:
    return _over(sample, floor) and sample.observed_ms > _slower(sample) + LATER_MS


def _over(sample: Sample, floor: float) -> bool:
    if sample.control_ms is None:
        return False
    against_recording = _beyond(sample.observed_ms, sample.recorded_ms)
    return against_recording and _beyond(sample.observed_ms, sample.control_ms) and sample.observed_ms - sample.control_ms > floor


def _beyond(later_ms: float, base_ms: float) -> bool:
    return later_ms > TIMES * base_ms or later_ms > base_ms + LATER_MS
