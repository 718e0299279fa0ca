"""How two small values differ, in words."""

import json

import pytest

from replay.compare.describing import LINES_MAX, describe


def test_each_change_is_a_sentence() -> None:
    """Changed, added and removed members are told apart, a mostly different object part by part."""
    lines = describe('{"a":1,"b":2,"c":{"x":1,"y":2,"z":3}}', '{"a":2,"d":4,"c":{"x":9,"y":8,"z":7}}')

    assert len(lines) == 6
    assert any("root['a']" in line and "1" in line and "2" in line for line in lines)


@pytest.mark.parametrize(
    ("primary", "candidate", "expected"),
    [
        ("[1,2,3]", "[2,3,1]", ("The 3 items that both have stand in another order.",)),
        ('["a","b","b"]', '["b","a"]', ('Only the primary has "b".', "The 2 items that both have stand in another order.")),
        ('["a"]', '["a",{"k":1},{"k":1}]', ('Only the candidate has {"k": 1} (2 times).',)),
        ("[true]", "[1]", ("Only the primary has true.", "Only the candidate has 1.")),
        ("[1]", "[1]", ()),
    ],
)
def test_lists_are_told_by_item(primary: str, candidate: str, expected: tuple[str, ...]) -> None:
    """Of lists it is told who is in only one of them, how often, and whether the others moved."""
    assert describe(primary, candidate) == expected


@pytest.mark.parametrize(
    ("primary", "candidate"),
    [('{"__a":1}', '{"__a":2}'), ('{"a":1}', '{"a":1.0}'), ('{"a":1e400}', '{"a":1e500}'), ('{"a":["x","x"]}', '{"a":["x"]}')],
)
def test_nothing_is_ignored(primary: str, candidate: str) -> None:
    """What DeepDiff passes over by default is told."""
    assert len(describe(primary, candidate)) == 1


def test_one_is_not_true() -> None:
    """A number that became a boolean is told."""
    assert len(describe('{"a":1}', '{"a":true}')) == 1


def test_long_lists_are_cut_and_say_so() -> None:
    """More changes than fit are counted."""
    one, two = (json.dumps({str(number): start + 2 * number for number in range(40)}) for start in (0, 1))

    assert describe(one, two)[LINES_MAX:] == ("… and 28 more",)


@pytest.mark.parametrize(("primary", "candidate"), [(None, "1"), ("1", None), ("1", "2"), ('"a"', '"b"'), ("{", "{}"), ("{}", "[]")])
def test_what_needs_no_words_has_none(primary: str | None, candidate: str | None) -> None:
    """Leaves, absent sides and other types are said elsewhere."""
    assert describe(primary, candidate) == ()
