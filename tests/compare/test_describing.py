"""How two small values differ, in words."""

import json

import pytest

from replay.compare.describing import LINES_MAX, describe


def test_each_change_is_a_sentence() -> None:
    """Changed, added and removed members are told apart, a mostly different object part by part."""
    lines = describe('{"a":1,"b":2,"c":{"x":1,"y":2,"z":3}}', '{"a":2,"d":4,"c":{"x":9,"y":8,"z":7}}')

    assert len(lines) == 6
    assert any("root['a']" in line and "1" in line and "2" in line for line in lines)


def test_order_counts() -> None:
    """The same items in another order are a difference."""
    assert describe("[1,2]", "[2,1]") != ()


def test_one_is_not_true() -> None:
    """A number that became a boolean is told."""
    assert len(describe('{"a":1}', '{"a":true}')) == 1


def test_long_lists_are_cut_and_say_so() -> None:
    """More changes than fit are counted."""
    one, two = (json.dumps([start + 2 * number for number in range(40)]) for start in (0, 1))

    assert describe(one, two)[LINES_MAX:] == ("… and 28 more",)


@pytest.mark.parametrize(("primary", "candidate"), [(None, "1"), ("1", None), ("1", "2"), ('"a"', '"b"'), ("{", "{}"), ("{}", "[]")])
def test_what_needs_no_words_has_none(primary: str | None, candidate: str | None) -> None:
    """Leaves, absent sides and other types are said elsewhere."""
    assert describe(primary, candidate) == ()
