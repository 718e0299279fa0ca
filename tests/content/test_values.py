"""JSON values: how numbers, doubled keys and bounds are read."""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.content import Number, dump, load
from replay.content.values import NotJsonError

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=12)


@given(VALUES)
def test_what_json_wrote_is_read_back(value: object) -> None:
    """What the standard library writes is read with every value and every spelling as it was."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    assert dump(load(text)[0]) == text


def test_a_number_is_a_value() -> None:
    """A number does not change, is equal to its own spelling alone, and goes to another process as it is."""
    number = Number("1.50")

    with pytest.raises(AttributeError):
        number.text = "2"
    assert copy.deepcopy(number) == number
    assert {number: 1}[Number("1.50")] == 1
    assert number != Number("1.5")
    assert number.__eq__("1.50") is False


def test_equal_numbers_are_one_object() -> None:
    """So that two readings of one answer compare quickly."""
    assert load("[12345]")[0][0] is load("[12345]")[0][0]  # type: ignore[index]  # a list


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        ("1", "1.0", True),
        ("1e2", "100", True),
        ("9007199254740993", "9007199254740992", False),
        ("1" + "0" * 5000, "1" + "0" * 4999 + "1", False),
        ("1" + "0" * 5000, "1e5000", True),
        ("1e400", "1e401", False),
    ],
)
def test_amounts_are_exact(one: str, two: str, *, same: bool) -> None:
    """Integers of any length, and what no float can hold, are told apart by their amount."""
    assert Number(one).same_amount(Number(two)) is same


def test_the_first_of_doubled_keys_can_win() -> None:
    """A client that keeps the first value sees another object than one that keeps the last."""
    text = '{"a":1,"b":{"c":1,"c":2},"a":3}'

    assert load(text)[0] == {"a": Number("3"), "b": {"c": Number("2")}}
    assert load(text, first_wins=True)[0] == {"a": Number("1"), "b": {"c": Number("1")}}


@pytest.mark.parametrize("text", ["[" * 250 + "]" * 250, '{"a":' * 250 + "1" + "}" * 250, "[" + "[]," * 1_000_001 + "1]"])
def test_what_would_hang_a_reader_is_refused(text: str) -> None:
    """Nesting beyond 200 levels, or over a million lists, is said to be no JSON."""
    with pytest.raises(NotJsonError, match=r"nested too deeply|too many parts"):
        load(text)
