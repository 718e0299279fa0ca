"""What the control says of a difference."""

import json
from typing import Any

import pytest

from replay.compare.difference import Difference
from replay.compare.state import Place, Scene, Side, Window
from replay.compare.walk import walk_pair
from replay.compare.witness import alone, hear
from replay.content import load
from replay.identity import Bindings
from replay.model import Witness


def walk(one: Any, two: Any) -> list[Difference]:
    """Walk two Python values as JSON."""
    window = Window(0.0, 1.0, 2.0)
    return list(walk_pair(load(json.dumps(one))[0], load(json.dumps(two))[0], Scene(Side(Bindings()), "", 1, window, window), Place()))


@pytest.mark.parametrize(
    ("recorded", "control", "observed", "witness"),
    [
        ({"a": "x"}, {"a": "x"}, {"a": "y"}, Witness.CANDIDATE),
        ({"a": "x"}, {"a": "y"}, {"a": "y"}, Witness.INFIDELITY),
        ({"a": "x"}, {"a": "z"}, {"a": "y"}, Witness.ALL_DIFFER),
        ({"a": "x"}, {}, {"a": "y"}, Witness.ALL_DIFFER),
        ({"a": {"b": "x"}}, {}, {"a": {"b": "y"}}, Witness.ALL_DIFFER),
        ({"a": {"b": "x"}}, {"a": {"b": "z"}}, {}, Witness.CANDIDATE),
        ({"a": {"b": "x"}}, {"a": {"b": "z"}}, {"a": "gone"}, Witness.CANDIDATE),
        (["x"], [], [], Witness.INFIDELITY),
        ([], ["x"], ["x"], Witness.INFIDELITY),
        ([], ["y"], ["x"], Witness.CANDIDATE),
        (["a", "b"], ["b", "a"], ["a"], Witness.CANDIDATE),
    ],
)
def test_three_witnesses(recorded: Any, control: Any, observed: Any, witness: Witness) -> None:
    """Each way in which recorded, control and observed can stand to each other has its name."""
    heard = hear(walk(recorded, observed), walk(recorded, control))

    assert [item.witness for item in heard] == [witness]


def test_without_a_control_nothing_is_confirmed() -> None:
    """No control, no confirmation."""
    assert [item.witness for item in hear(walk({"a": 1}, {"a": 2}), None)] == [Witness.UNCONFIRMED]


def test_the_primarys_noise_is_told_apart() -> None:
    """Where only the control differs it is the primary's own noise."""
    assert [item.at for item in alone(walk({"a": 1, "b": 1}, {"a": 1, "b": 2}), walk({"a": 1, "b": 1}, {"a": 3, "b": 2}))] == ["$.a"]
