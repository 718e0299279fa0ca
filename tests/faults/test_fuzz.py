"""Malformed messages through the recorder; `fuzz.py` sends as many as wanted."""

import asyncio
import random
from pathlib import Path

import pytest

from tests.faults import fuzz, garbage


@pytest.mark.slow
def test_malformed_messages(tmp_path: Path) -> None:
    """The recorder lives through garbage from both sides, serves and records what is good among it, and its archive verifies."""
    report = asyncio.run(fuzz.run(1_500, "test", tmp_path))
    assert report.wrong == []
    assert report.sent == 1_500
    assert report.good > 20


def test_garbage_is_drawn_the_same_way_each_time() -> None:
    """The seed decides all, and what it draws is of many kinds."""

    def some() -> list[bytes]:
        dice = random.Random("x")  # noqa: S311  # nothing secret is drawn here
        return [message for number in range(300) for message in (garbage.request(dice, number), garbage.answer(dice))]

    assert some() == some()
    assert len(set(some())) > 500
