"""Which step of leaving out is in force."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.capture.shedding import Shedding, Step, Thresholds, parse_steps


def test_steps_come_in_order_and_go_late() -> None:
    """Each step begins at its mark, and is taken back only at half of it."""
    shedding = Shedding(parse_steps("bodies@50,routes@75", 1000))
    seen = []
    for queued in (0, 499, 500, 749, 750, 1000, 800, 501, 376, 375, 374, 251, 250, 0):
        shedding.update(queued)
        seen.append(shedding.step)
    assert seen == [
        *(Step.NOTHING, Step.NOTHING, Step.BODIES, Step.BODIES, Step.ROUTES, Step.EVERYTHING, Step.EVERYTHING, Step.EVERYTHING),
        *(Step.ROUTES, Step.BODIES, Step.BODIES, Step.BODIES, Step.NOTHING, Step.NOTHING),
    ]
    assert shedding.deepest is Step.EVERYTHING


def test_a_change_is_told_once() -> None:
    """`update` is true only where the step changed."""
    shedding = Shedding(Thresholds(None, None, 100))
    assert [shedding.update(queued) for queued in (1, 100, 120, 51, 50, 0)] == [False, True, False, False, True, False]


@given(st.lists(st.integers(0, 2000), max_size=40))
def test_a_full_queue_takes_nothing(queues: list[int]) -> None:
    """Whatever came before: at the bound everything is left out, at nothing queued nothing is."""
    shedding = Shedding(parse_steps("bodies@50", 1000))
    for queued in queues:
        shedding.update(queued)
    steps = []
    for queued in (1000, 0):
        shedding.update(queued)
        steps.append(shedding.step)
    assert steps == [Step.EVERYTHING, Step.NOTHING]


def test_no_steps_at_all() -> None:
    """Without a step named, only the bound itself holds."""
    assert parse_steps("", 8) == Thresholds(None, None, 8)


@pytest.mark.parametrize(
    "text", ["bodies", "bodies@", "bodies@0", "bodies@101", "bodies@x", "routes@-1", "all@50", "bodies@50,bodies@60", "bodies@٥"]
)
def test_what_is_no_step(text: str) -> None:
    """Anything else is refused in words."""
    with pytest.raises(ValueError, match=r"step|twice"):
        parse_steps(text, 1000)
