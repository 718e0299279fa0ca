"""What has ended, who waits for it, and how long things took."""

import random

from hypothesis import given, strategies

from replay.play.costs import Delays
from replay.play.order import Front, Marks


@given(strategies.lists(strategies.integers(0, 20_000)))
def test_marks_are_a_set(numbers: list[int]) -> None:
    """Marks hold what was added, each once."""
    marks = Marks()
    for number in numbers:
        marks.add(number)
    assert len(marks) == len(set(numbers))
    assert all(number in marks for number in numbers)
    assert all((number in marks) == (number in set(numbers)) for number in range(100))


@given(strategies.permutations(range(1, 12)), strategies.permutations(range(1, 12)), strategies.lists(strategies.integers(0, 11)))
def test_the_front_wakes_whom_it_reaches(ends: list[int], done: list[int], waiting: list[int]) -> None:
    """Whoever waits for a number is called once, when as many have ended in the recorded order, and not before."""
    front = Front(ends)
    called: list[int] = []
    for number in waiting:
        front.when(number, lambda number=number: called.append(number))  # type: ignore[misc]  # it takes none
    for exchange in done:
        front.finish(exchange)
        over = set(done[: done.index(exchange) + 1])
        reached = next((place for place, each in enumerate(ends) if each not in over), len(ends))
        assert front.count == reached
        assert sorted(called) == sorted(number for number in waiting if number <= reached)


def test_marks_of_many_take_a_bit_each() -> None:
    """A million exchanges that are done take an eighth of a megabyte."""
    marks = Marks()
    for number in range(1, 1_000_001, 1000):
        marks.add(number)
    assert marks._bits.__sizeof__() < 300_000


def test_percentiles_are_right_to_some_percent() -> None:
    """Delays give percentiles within an eighth of what was counted."""
    draw = random.Random(7)  # noqa: S311  # nothing secret is drawn here
    values = sorted(draw.lognormvariate(-9, 1.5) for _ in range(5_000))
    delays = Delays()
    for value in values:
        delays.add(value)
    for percent in (1, 50, 90, 99):
        true_us = values[int(len(values) * percent / 100) - 1] * 1e6
        assert abs(delays.percentile_us(percent) - true_us) <= true_us / 8 + 1.0
    assert Delays().percentile_us(50) == 0.0
