"""The histogram of the hooks' times."""

from hypothesis import given
from hypothesis import strategies as st

from replay.capture.costs import Costs


@given(st.lists(st.integers(0, 10_000_000), min_size=1, max_size=300))
def test_percentiles_are_right_to_a_microsecond(times_ns: list[int]) -> None:
    """Median, 99th percentile and maximum are those of the times, up to the histogram's step."""
    costs = Costs()
    for taken in times_ns:
        costs.add(taken)
    values = costs.values()
    ordered = sorted(times_ns)
    assert values["hook_calls"] == len(times_ns)
    assert values["hook_max_us"] == max(times_ns) / 1000
    for name, percent in (("hook_p50_us", 50), ("hook_p99_us", 99)):
        rank = max(0, -(-len(ordered) * percent // 100) - 1)
        true_us = ordered[rank] / 1000
        assert true_us <= values[name] + 1e-9
        assert values[name] <= max(true_us + 1.0, values["hook_max_us"] if true_us >= 2000 else 0.0)


def test_nothing_measured() -> None:
    """Without a call everything is zero."""
    assert set(Costs().values().values()) == {0.0}
