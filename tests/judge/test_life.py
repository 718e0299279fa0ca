"""The life of a cause over the nights."""

import pytest

from replay.judge import Life, Night, Stage, live


def night(number: int, *opened: str, judged: bool = True) -> Night:
    """Make the night of a day."""
    return Night(f"runs/{number}", float(number), frozenset(opened), judged)


@pytest.mark.parametrize(
    ("before", "life"),
    [
        ([], Life(Stage.NEW, 9.0, 9.0, 1)),
        ([night(1, "b")], Life(Stage.NEW, 9.0, 9.0, 1)),
        ([night(1), night(2, "a"), night(3, "a")], Life(Stage.STILL, 2.0, 2.0, 3)),
        ([night(1, "a"), night(2), night(3, "a")], Life(Stage.STILL, 3.0, 1.0, 3)),
        ([night(1, "a"), night(2)], Life(Stage.BACK, 9.0, 1.0, 2)),
    ],
)
def test_what_is_open_is_new_still_there_or_back(before: list[Night], life: Life) -> None:
    """A cause is new, still there since the night that its stretch began, or back."""
    assert live(night(9, "a"), before)["a"] == life
    assert live(night(9, "a"), reversed(before))["a"] == life


def test_what_is_no_longer_open_is_gone() -> None:
    """What was open in the judged night before is gone; what was gone before that is not told again."""
    before = [night(1, "a", "b"), night(2, "a")]
    assert live(night(9), before) == {"a": Life(Stage.GONE, 1.0, 1.0, 2)}


def test_a_night_that_was_not_judged_tells_nothing() -> None:
    """Between two nights that saw a cause, one without judgement makes it neither gone nor back; an incomplete tonight buries nothing."""
    before = [night(1, "a"), night(2, judged=False)]
    assert live(night(9, "a"), before)["a"].stage is Stage.STILL
    assert live(night(9, judged=False), before) == {}


def test_tonight_is_not_its_own_past() -> None:
    """A run that stands in the ledger already, or a later one, is not taken for a night before."""
    before = [night(9, "a"), night(10, "a")]
    assert live(night(9, "a"), before)["a"].stage is Stage.NEW
