"""The timing rule."""

import random
from collections.abc import Callable

import pytest

from replay.compare.chances import admitted, chance_of_as_many, median_interval, percentile
from replay.compare.timing import EVERY_ROUTE, FLOOR_MS_MIN, Sample, judge_timing, noise_floor_ms

TAILS: dict[str, Callable[[random.Random, float], float]] = {
    "light": lambda draw, base: base * draw.lognormvariate(0, 0.25),
    "no variance": lambda draw, base: base * draw.lognormvariate(0, 0.2) / (1.0 - draw.random()) ** 0.5,
    "ties": lambda draw, base: float(max(1, round(base * draw.lognormvariate(0, 0.3)))),
    "pauses": lambda draw, base: base * draw.lognormvariate(0, 0.25) + (300 if draw.random() < 0.03 else 0),
}


def samples(count: int, recorded: float, observed: float, control: float | None) -> list[Sample]:
    """Make equal samples of one route."""
    return [Sample(number, "GET /x", recorded, observed, control) for number in range(count)]


def counts(rows: list[Sample]) -> dict[str, int]:
    """Give the counts of the rule."""
    return dict(judge_timing(rows).counts)


def test_a_slow_route_opens() -> None:
    """Three of three answers that are 300 ms late open, each."""
    assert len(judge_timing(samples(3, 5, 305, 5)).late) == 3


def test_a_slow_recording_excuses() -> None:
    """What the control of the same run needs as well is not the candidate's."""
    assert judge_timing(samples(3, 5, 305, 300)).late == ()


def test_two_samples_are_not_enough() -> None:
    """Two late answers are counted as not enough evidence, and one that is over a second late opens alone."""
    assert counts(samples(2, 5, 305, 5))["over, but not enough evidence"] == 2
    assert len(judge_timing(samples(1, 5, 1105, 5)).late) == 1


def test_without_control_only_the_literal_rule_counts() -> None:
    """No control: the rule against the recording is counted, and nothing opens."""
    found = judge_timing(samples(4, 5, 305, None))

    assert found.late == ()
    assert dict(found.counts)["over 100 ms more than the recording"] == 4


def test_a_few_milliseconds_are_no_finding() -> None:
    """Twice of one millisecond lies below the floor."""
    assert judge_timing(samples(5, 1, 3, 1)).late == ()


def test_the_floor_is_measured() -> None:
    """The floor grows with the primary's own scatter, and is never below five milliseconds."""
    assert noise_floor_ms(samples(3, 5, 5, 5)) == FLOOR_MS_MIN
    assert noise_floor_ms([Sample(n, "r", 0, 0, float(20 * n)) for n in range(9)]) == 120.0


def test_faster_is_counted_apart() -> None:
    """A candidate that needs less than half is counted, not judged."""
    assert counts(samples(2, 50, 5, 50))["faster than half the recording"] == 2


def test_twice_as_slow_needs_ten_samples() -> None:
    """Twenty milliseconds for eight happen by chance: three samples are counted, ten of ten open."""
    assert counts(samples(3, 8, 20, 8))["over, but not enough evidence"] == 3
    assert len(judge_timing(samples(10, 8, 20, 8)).late) == 10


def test_a_busier_machine_is_no_finding() -> None:
    """Where all routes need six milliseconds more, none stands out; one that needs thirty more does."""
    busy = [Sample(10 * route + number, f"GET /{route}", 3, 9, 3) for route in range(6) for number in range(10)]
    slow = [Sample(900 + number, "GET /slow", 3, 33, 3) for number in range(10)]

    assert judge_timing(busy).late == ()
    assert {sample.route for sample in judge_timing(busy + slow).late} == {"GET /slow"}


def synthetic(seed: int, tail: str, *, slow: str = "", times: float = 3.0, later: float = 0.0, everywhere: float = 1.0) -> list[Sample]:
    """Draw a run of 100 routes with 1 to 25 pairs each, in random order; the *slow* route has 20 more, and its candidate is slower."""
    draw = random.Random(seed)  # noqa: S311  # test data
    bases = {f"GET /{number}": draw.lognormvariate(2, 1) for number in range(100)}
    plan = [route for route in bases for _ in range(draw.randint(1, 25))] + [slow] * (20 if slow else 0)
    draw.shuffle(plan)
    rows = []
    for number, route in enumerate(plan):
        recorded, observed, control = (TAILS[tail](draw, bases[route]) for _ in range(3))
        observed = observed * everywhere * (times if route == slow else 1.0) + (later if route == slow else 0.0)
        rows.append(Sample(number, route, recorded, observed, control))
    return rows


def _sample(draw: random.Random, number: int, route: str, base: float, times: float = 1.0) -> Sample:
    recorded, observed, control = (base * draw.lognormvariate(0, 0.3) for _ in range(3))
    return Sample(number, route, recorded, observed * times, control)


def outcomes(rows: list[Sample]) -> dict[str, set[str]]:
    """Give outcome → routes."""
    told: dict[str, set[str]] = {}
    for row in judge_timing(rows).timings:
        told.setdefault(row.outcome, set()).add(row.route)
    return told


@pytest.mark.parametrize("tail", TAILS)
def test_one_distribution_is_never_late(tail: str) -> None:
    """Where all three durations come from one distribution, at most one run in twenty has any late route, whatever its tails."""
    found = [outcomes(synthetic(seed, tail)) for seed in range(10)]

    assert sum("late" in told for told in found) <= (1 if tail == "no variance" else 0)
    assert not any("slower" in told or "faster" in told for told in found)


@pytest.mark.slow
@pytest.mark.parametrize("tail", TAILS)
def test_one_distribution_is_late_in_few_of_many_runs(tail: str) -> None:
    """Of 300 runs of 100 routes, at most 5 % have any late route."""
    assert sum("late" in outcomes(synthetic(seed, tail)) for seed in range(300)) <= 15


@pytest.mark.parametrize("tail", TAILS)
def test_one_slow_route_among_a_hundred_is_found(tail: str) -> None:
    """Three times as slow and 30 ms later on one route: it is late."""
    for seed in range(3):
        assert "GET /7" in outcomes(synthetic(seed, tail, slow="GET /7", later=30.0))["late"]


def test_a_slowdown_of_three_is_found() -> None:
    """A route of 30 ms that takes three times as long is late with twenty pairs, and no other is."""
    draw = random.Random(1)  # noqa: S311  # test data
    quick = [_sample(draw, number, f"GET /{number % 99}", 8) for number in range(990)]
    slow = [_sample(draw, 1000 + number, "GET /slow", 30, times=3) for number in range(20)]

    assert outcomes([*quick, *slow])["late"] == {"GET /slow"}


def test_one_sample_is_no_evidence() -> None:
    """One pair says nothing of a route, fast or slow, and has no interval; it is never alike."""
    row = judge_timing(samples(1, 5, 5, 5)).timings[0]

    assert (row.outcome, row.ratio, row.ratio_low) == ("not enough evidence", 1.0, None)
    assert judge_timing(samples(1, 5, 305, 5)).timings[0].outcome == "not enough evidence"


def test_without_a_control_no_route_is_judged() -> None:
    """Percentiles are told, a ratio is not."""
    row = judge_timing(samples(30, 5, 305, None)).timings[0]

    assert (row.outcome, row.ratio, row.control_ms) == ("not judged", None, None)
    assert row.observed_ms == (305, 305, 305)


def test_a_candidate_that_is_slow_everywhere_does_not_hide() -> None:
    """The usual shift is told in a row of its own, and no more of it than the machine may have done is taken out of the routes."""
    told = outcomes(synthetic(3, "light", everywhere=4.0))

    assert EVERY_ROUTE in told["slower"]
    assert len(told["slower"]) > 30
    late = [Sample(number, f"GET /{number % 20}", 5, 405, 5) for number in range(200)]
    assert len(outcomes(late)["late"]) == 20


def test_a_faster_route_is_told_apart() -> None:
    """A tenth of the time on one route is faster, and no divergence."""
    result = judge_timing(synthetic(2, "light", slow="GET /7", times=0.1))

    assert [row.route for row in result.timings if row.outcome == "faster"] == ["GET /7"]
    assert result.late == ()


def test_alike_is_shown_not_supposed() -> None:
    """Many equal pairs are alike; a few that could hide twice the time are not enough evidence."""
    wide = [Sample(number, "GET /x", 50, ms, 50) for number, ms in enumerate([20, 30, 50, 60, 90, 95, 101, 99])]

    assert judge_timing(samples(20, 50, 50, 50)).timings[0].outcome == "alike"
    assert judge_timing(wide).timings[0].outcome == "not enough evidence"


def test_a_spell_of_the_machine_is_no_route() -> None:
    """Two of three that were late one after the other were held up together; three of three are the route's own."""
    spell = [Sample(number, "GET /x", 5, ms, 5) for number, ms in ((182, 417.0), (183, 328.0), (185, 6.0))]
    rest = [Sample(300 + number, f"GET /{number % 9}", 5, 5, 5) for number in range(90)]

    assert judge_timing([*spell, *rest]).late == ()
    assert len(judge_timing([*(Sample(number, "GET /x", 5, 400, 5) for number in (182, 183, 185)), *rest]).late) == 3


def test_a_hang_opens_alone() -> None:
    """One answer after a minute opens where the primary never needed more than a second; after eight seconds of the primary it does not."""
    rest = [Sample(number, f"GET /{number % 9}", 900, 880, 910) for number in range(90)]
    hang = Sample(100, "POST /x", 2, 60_000, 1)

    assert judge_timing([*rest, hang]).late == (hang,)
    assert judge_timing([*rest, Sample(101, "POST /y", 20_000, 20_000, 20_000), hang]).late == ()


def test_hangs_of_the_candidate_alone_open_together() -> None:
    """Five answers that hang on five routes, and none of the control, are no chance; four against two may be."""
    rest = [Sample(number, f"GET /{number % 9}", 900, 880, 910) for number in range(90)]
    hung = [Sample(100 + 20 * number, f"GET /h{number}", 2, 4000, 1) for number in range(5)]
    ours = [Sample(300 + 20 * number, f"GET /c{number}", 2, 1, 4000) for number in range(2)]

    assert set(judge_timing([*rest, *hung]).late) == set(hung)
    assert judge_timing([*rest, *hung[:4], *ours]).late == ()


def test_the_interval_of_a_median_covers_it() -> None:
    """Of 400 draws with heavy tails at most a few miss; five values have no interval of 95 %."""
    draw = random.Random(5)  # noqa: S311  # test data
    missed = 0
    for _ in range(400):
        span = median_interval([draw.paretovariate(1.0) for _ in range(15)], 0.05)
        assert span is not None
        missed += not span[0] <= 2.0 <= span[1]

    assert missed <= 24
    assert median_interval([1, 2, 3, 4, 5], 0.05) is None
    assert median_interval(list(range(6)), 0.05) == (0, 5)
    assert median_interval([float(number) for number in range(5000)], 0.05) is not None


def test_chances_are_exact() -> None:
    """All counts together are certain, none is more likely than fewer, and several findings share one level."""
    assert chance_of_as_many(0, 9, before=(0.5, 3.0)) == pytest.approx(1.0)
    assert chance_of_as_many(3, 3, before=(1.0, 1.0)) == pytest.approx(0.25)
    assert admitted([0.001, 0.04, 0.02, 1.0], 0.05) == [True, False, False, False]
    assert [percentile([1, 2, 3, 4], share) for share in (0.5, 0.95, 0.0)] == [2, 4, 1]
