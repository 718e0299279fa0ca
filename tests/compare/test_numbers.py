"""Numbers that no float can hold: nothing is near to infinity."""

from collections.abc import Callable

import pytest

from replay.compare.state import Place, Scene
from replay.compare.walk import walk_pair
from replay.content import load


@pytest.mark.parametrize(
    ("recorded", "observed"),
    [("1e999", "-1e999"), ("1e999", "0.5"), ("-1e999", "2.5e300"), ("NaN", "0.5"), ("1" + "0" * 400, "1.5"), ("9" * 10_000, "9" * 9_999 + "8")],
)
def test_what_overflows_is_never_tolerated(recorded: str, observed: str, scene: Callable[[], Scene]) -> None:
    """A number too large for a float differs from every number that is spelt otherwise."""
    assert list(walk_pair(load(recorded)[0], load(observed)[0], scene(), Place()))
    assert list(walk_pair(load(observed)[0], load(recorded)[0], scene(), Place()))
