"""The timing rule."""

from replay.compare.timing import FLOOR_MS_MIN, Sample, judge_timing, noise_floor_ms


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
