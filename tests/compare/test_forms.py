"""One thing in two forms: the habit is named, and what is said is compared behind it."""

import json
from typing import Any

import pytest

from replay.compare.difference import Difference
from replay.compare.state import Place, Scene, Side, Window
from replay.compare.walk import walk_pair
from replay.content import load
from replay.identity import Bindings

START, LATER = 1_700_000_000.0, 1_700_086_400.0


def walk(one: Any, two: Any, route: str = "GET /x") -> list[Difference]:
    """Walk two Python values as the JSON that they would be."""
    scene = Scene(Side(Bindings()), route, 1, Window(START, START + 10, START + 11), Window(LATER, LATER + 10, LATER + 11))
    return list(walk_pair(load(json.dumps(one))[0], load(json.dumps(two))[0], scene, Place()))


def told(one: Any, two: Any) -> list[tuple[str, str, str]]:
    """Give kind, place and quirk of each difference."""
    return sorted((found.kind, found.at, found.quirk) for found in walk(one, two))


@pytest.mark.parametrize(
    ("one", "two", "quirk"),
    [
        (0, False, "q-boolean-as-number"),
        (True, 1, "q-boolean-as-number"),
        ("true", True, "q-boolean-as-text"),
        ("12", 12, "q-number-as-text"),
        (1.5, "1.5", "q-number-as-text"),
        ("2023-11-14T22:13:25.000Z", 1_700_000_005_000, "q-time-as-number"),
        (1_700_000_005, "2023-11-14T22:13:25Z", "q-time-as-number"),
        ('["a","b"]', ["a", "b"], "q-json-as-text"),
        ({"a": 1}, '{"a": 1}', "q-json-as-text"),
        ("a, b", ["a", "b"], "q-list-as-text"),
        (["a"], "a", "q-wrapped"),
        (5, [5], "q-wrapped"),
        ({"a": 1, "b": 2}, [{"a": 1, "b": 2}], "q-wrapped"),
        (None, [], "q-empty-for-null"),
        ("", None, "q-null-for-empty"),
        (None, "undefined", "q-null-as-text"),
    ],
)
def test_the_same_in_another_form_is_one_named_finding(one: Any, two: Any, quirk: str) -> None:
    """Where both say the same, another type is all that differs, and its habit has a name."""
    assert told({"a": one}, {"a": two}) == [("type", "$.a", quirk)]


@pytest.mark.parametrize(
    ("one", "two", "behind"),
    [
        (0, True, ("value", "$.a")),
        ("12", 13, ("value", "$.a")),
        ('{"b":1,"c":2}', {"b": 1, "c": 3}, ("value", "$.a.<json>.c")),
        ("a, b, c", ["a", "b"], ("missing-item", "$.a[2]")),
        ("a", ["b"], ("value", "$.a[0]")),
        ("2023-11-14T22:13:25.000Z", 1_600_000_005_000, ("value", "$.a")),
    ],
)
def test_a_habit_hides_no_value(one: Any, two: Any, behind: tuple[str, str]) -> None:
    """Where they do not say the same, that is a finding beside the habit."""
    found = walk({"a": one}, {"a": two})

    assert behind in {(item.kind, item.at) for item in found}
    assert [item.quirk != "" for item in found if item.kind == "type"] == [True]


@pytest.mark.parametrize(("one", "two"), [(7, True), ("oslo", 3), ("a, b", ["c", "d"]), (None, "x"), ("x", {"a": 1}), ([1, 2], 1), (None, 0)])
def test_what_has_no_common_form_has_no_name(one: Any, two: Any) -> None:
    """Two values that are no forms of one thing only differ in type."""
    assert told({"a": one}, {"a": two}) == [("type", "$.a", "")]


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [
        ({"a": None}, {}, ("missing-key", "q-null-left-out")),
        ({}, {"a": None}, ("extra-key", "q-null-added")),
        ({"a": []}, {}, ("missing-key", "q-empty-left-out")),
        ({}, {"a": ""}, ("extra-key", "q-empty-added")),
        ({"a": 0}, {}, ("missing-key", "")),
    ],
)
def test_what_is_left_out_where_it_says_nothing(one: Any, two: Any, expected: tuple[str, str]) -> None:
    """A key that holds nothing is named as such where one side has it."""
    assert [(found.kind, found.quirk) for found in walk(one, two)] == [expected]


def test_case_goes_both_ways() -> None:
    """Keys in another case are named with how their spelling changed, and their values are compared."""
    one = {"created_at": 1, "fileCount": 2, "x": 0}
    two = {"createdAt": 1, "file_count": 3, "x": 0}

    assert {(found.kind, found.at, found.transition) for found in walk(one, two)} == {
        ("respelt-key", "$.created_at", "snake_case → camelCase"),
        ("respelt-key", "$.fileCount", "camelCase → snake_case"),
        ("value", "$.fileCount", "number"),
    }


@pytest.mark.parametrize(
    ("one", "path"),
    [
        ({"GET /api/x": 1, "POST /api/y": 2}, "$.*"),
        ({"2026-11-23": 1}, "$.*"),
        ({"agent:main": 1, "agent:other": 2}, "$.*"),
        ({"11111111-1111-4111-8111-111111111111": 1}, "$.*"),
        ({f"tool_{n}": {"count": 1, "errors": n} for n in range(5)}, "$.*.count"),
        ({f"tool_{n}": {"count": 1} for n in range(5)}, "$.tool_0.count"),
        ({"a": 1, "b": 2, "c": 3, "d": 4, "e": 5, "f": 6}, "$.a"),
        ({"version": 1, "memory": {"a": 1, "b": 2}}, "$.version"),
    ],
)
def test_keys_that_are_data_are_one_place(one: dict[str, Any], path: str) -> None:
    """The keys of a map are blanked in the skeleton, and kept in the concrete place."""
    first = next(iter(one))
    changed = {**one, first: {**one[first], "count": 9} if isinstance(one[first], dict) else 9}
    (found,) = walk(one, changed)

    assert found.path == path
    assert first in found.at


def test_json_in_a_text_may_be_written_otherwise() -> None:
    """White space and the order of keys in a text that holds JSON say nothing; what it holds does."""
    assert told({"t": '{"a":1,"b":2}'}, {"t": '{ "b": 2, "a": 1 }'}) == []
    assert told({"t": '{"a":1,"b":2}'}, {"t": '{ "b": 2, "a": 3 }'}) == [("value", "$.t.<json>.a", "")]
