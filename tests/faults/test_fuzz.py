"""The malformed messages; `fuzz.py` sends as many as wanted through the recorder."""

import random

from tests.faults import garbage


def test_garbage_is_drawn_the_same_way_each_time() -> None:
    """The seed decides all, and what it draws is of many kinds."""

    def some() -> list[bytes]:
        dice = random.Random("x")  # noqa: S311  # nothing secret is drawn here
        return [message for number in range(300) for message in (garbage.request(dice, number), garbage.answer(dice))]

    assert some() == some()
    assert len(set(some())) > 500
