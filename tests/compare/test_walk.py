"""The walker: nothing equal differs, nothing different is equal, and what is tolerated is counted."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from replay.compare.difference import Difference
from replay.compare.state import Place, Scene, Side, Window
from replay.compare.walk import walk_pair
from replay.content import Value, load
from replay.identity import Bindings

START = 1_700_000_000.0
LATER = START + 86_400
A = "11111111-1111-4111-8111-111111111111"
B = "22222222-2222-4222-8222-222222222222"
C = "33333333-3333-4333-8333-333333333333"
D = "44444444-4444-4444-8444-444444444444"

plain = st.text(st.characters(categories=["Lu", "Ll"], max_codepoint=0x2FF), max_size=8)
leaves = st.none() | st.booleans() | st.integers(-999, 999) | plain
documents = st.recursive(leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(plain, inner, max_size=4), max_leaves=20)


def new_scene() -> Scene:
    """Make a scene without any bindings."""
    recorded, observed = Window(START, START + 10, START + 11), Window(LATER, LATER + 10, LATER + 11)
    return Scene(Side(Bindings()), "GET /x", 1, recorded, observed)


def walk(one: Any, two: Any, scene: Scene | None = None) -> list[Difference]:
    """Walk two Python values as the JSON that they would be."""
    left, right = load(json.dumps(one))[0], load(json.dumps(two))[0]
    return list(walk_pair(left, right, scene or new_scene(), Place()))


def kinds(one: Any, two: Any) -> list[tuple[str, str]]:
    """Give (kind, path) of each difference."""
    return [(found.kind, found.path) for found in walk(one, two)]


@given(documents, documents)
def test_unequal_documents_differ(one: Any, two: Any) -> None:
    """Two documents without ids, times or durations that are not equal have a difference, in both directions."""
    assume(json.dumps(one, sort_keys=True) != json.dumps(two, sort_keys=True))

    assert walk(one, two)
    assert walk(two, one)


def test_what_deepdiff_sees_is_seen() -> None:
    """On a document with one change of each kind, DeepDiff (nothing ignored) and the walker report the same places."""
    from deepdiff import DeepDiff

    one = {"a": 1, "b": {"c": [1, 2, 3], "d": "x"}, "e": None, "f": True}
    two = {"a": 2, "b": {"c": [1, 2, 4], "d": "y"}, "g": None, "f": 1}
    oracle = DeepDiff(one, two, ignore_order=False, threshold_to_diff_deeper=0, ignore_numeric_type_changes=False)
    places = sum(len(rows) for rows in oracle.values())

    assert len(walk(one, two)) == places


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [
        ({"a": 1}, {}, [("missing-key", "$.a")]),
        ({}, {"a": 1}, [("extra-key", "$.a")]),
        ({"a": None}, {}, [("missing-key", "$.a")]),
        ({"a": 1}, {"a": "1"}, [("type", "$.a")]),
        ({"a": 1}, {"a": 1.0}, [("format", "$.a")]),
        ({"a": True}, {"a": 1}, [("type", "$.a")]),
        ({"a": True}, {"a": False}, [("value", "$.a")]),
        ({"a": None}, {"a": 0}, [("type", "$.a")]),
        (["x", "y"], ["y", "x"], [("order", "$")]),
        (["x", "y"], ["x"], [("missing-item", "$[*]")]),
        (["x"], ["x", "x"], [("extra-item", "$[*]")]),
        ([{"id": 1, "n": "x"}], [{"id": 1, "n": "z"}], [("value", "$[*].n")]),
        ({"t": json.dumps({"k": 1})}, {"t": json.dumps({"k": 2})}, [("value", "$.t.<json>.k")]),
        ({"t": json.dumps({"k": 1})}, {"t": json.dumps([1])}, [("type", "$.t.<json>")]),
        ({"t": "2023-11-14T22:13:25.123Z"}, {"t": "2023-11-15T22:13:25Z"}, [("format", "$.t")]),
        ({"t": "2023-11-14T22:13:25.123Z"}, {"t": ""}, [("value", "$.t")]),
        ({"t": "2023-11-14T22:13:25.123Z"}, {"t": "2023-11-14T22:13:25.999Z"}, [("value", "$.t")]),
        ({"id": A}, {"id": ""}, [("value", "$.id")]),
        ({"id": A}, {"id": None}, [("type", "$.id")]),
        ({"durationMs": 3}, {"durationMs": "3"}, [("type", "$.durationMs")]),
        ({"durationMs": 3}, {"durationMs": -3}, [("value", "$.durationMs")]),
        ({"durationMs": 3}, {"durationMs": 3.0}, [("format", "$.durationMs")]),
        ({"timeoutMs": 3}, {"timeoutMs": 4}, [("value", "$.timeoutMs")]),
        ({"backoffMs": 0}, {"backoffMs": 1000}, [("value", "$.backoffMs")]),
        ({"totalMs": 40}, {"totalMs": 0}, [("value", "$.totalMs")]),
        ({"heapUsed": 49}, {"heapUsed": 0}, [("value", "$.heapUsed")]),
        ({"content": "within 90 seconds"}, {"content": "within 5 seconds"}, [("value", "$.content")]),
        ({"startedAt": "2023-10-01T00:00:00.123Z"}, {"startedAt": "2024-11-15T22:13:19.456Z"}, [("value", "$.startedAt")]),
        ({"t": "March 3, 2026"}, {"t": "April 9, 2025"}, [("value", "$.t")]),
        ({"hash": "a" * 63 + "1"}, {"hash": "b" * 63 + "1"}, [("value", "$.hash")]),
        ({"token_count": 89}, {"tokenCount": 100}, [("respelt-key", "$.token_count"), ("value", "$.token_count")]),
        ({"content_type": None}, {"contentType": "text/plain"}, [("respelt-key", "$.content_type"), ("type", "$.content_type")]),
        (
            {"t": "2023-11-14T22:13:25.123Z"},
            {"t": "2023-11-15T10:00:00Z"},
            [("format", "$.t"), ("value", "$.t")],
        ),
        (
            [{"operation": "create", "n": 1, "who": "x"}],
            [{"operation": "add", "n": 1, "who": "x"}],
            [("value", "$[*].operation")],
        ),
        (
            [{"operation": "create", "n": 1, "who": "x"}],
            [{"operation": "add", "n": 2, "who": "x"}],
            [("missing-item", "$[*]"), ("extra-item", "$[*]")],
        ),
    ],
)
def test_each_kind_is_named(one: Any, two: Any, expected: list[tuple[str, str]]) -> None:
    """A difference bears the name of its kind and the skeleton of its place."""
    assert kinds(one, two) == expected


@pytest.mark.parametrize(
    ("one", "two", "relation"),
    [
        ({"id": A}, {"id": B}, "renamed id"),
        ({"t": "2023-11-14T22:13:25.123Z"}, {"t": "2023-11-15T22:13:26.456Z"}, "timestamp (ms,Z)"),
        ({"durationMs": 3}, {"durationMs": 900}, "duration or process fact"),
        ({"startedAt": "2023-10-01T00:00:00.123Z"}, {"startedAt": "2023-11-15T22:13:19.456Z"}, "timestamp (ms,Z)"),
        ({"durationMs": 3}, {"durationMs": 1.2}, "duration, whole beside fractional"),
        ({"t": f"memory {A} saved"}, {"t": f"memory {B} saved"}, "text around ids and times"),
        ({"message": "took 12 ms"}, {"message": "took 9 ms"}, "message around durations"),
        ({"t": "Tuesday, November 14, 2023 at 10:13 PM"}, {"t": "Wednesday, November 15, 2023 at 10:13 PM"}, "date (english)"),
        ({"x": 0.1 + 0.2}, {"x": 0.3}, "float, equal to 12 digits"),
        ({A: 1}, {B: 1}, "renamed id in a key"),
    ],
)
def test_what_is_tolerated_is_counted(one: Any, two: Any, relation: str) -> None:
    """Each tolerated leaf counts under the name of its relation."""
    scene = new_scene()

    assert walk(one, two, scene) == []
    assert relation in {name for name, _, _ in scene.side.tolerated}


def test_an_id_keeps_its_name() -> None:
    """A recorded id that was bound once is another id's name no longer."""
    scene = new_scene()
    walk({"id": A}, {"id": B}, scene)

    assert [found.kind for found in walk({"id": A}, {"id": C}, scene)] == ["identity"]


def test_two_ids_do_not_become_one() -> None:
    """Two recorded ids that share an observed one are a finding."""
    scene = new_scene()
    walk({"id": A}, {"id": B}, scene)

    assert [found.kind for found in walk({"id": C}, {"id": B}, scene)] == ["identity"]


def test_swapped_contents_are_found() -> None:
    """Two bound items that swapped their texts differ, though the list holds the same texts."""
    scene = new_scene()
    walk({"one": A, "two": C}, {"one": B, "two": D}, scene)
    swapped = walk([{"id": A, "content": "one"}, {"id": C, "content": "two"}], [{"id": B, "content": "two"}, {"id": D, "content": "one"}], scene)

    assert {(found.kind, found.path) for found in swapped} == {("value", "$[*].content")}


def test_strangers_are_not_paired() -> None:
    """A list's lone leftovers that share only flags, times and empty values are a missing and an extra item, and bind nothing."""
    scene = new_scene()
    place = {"id": A, "title": "Lisbon", "pinned": False, "project": None, "n": 4}
    skill = {"id": B, "title": "disposable", "pinned": False, "project": None, "n": 9}

    assert [found.kind for found in walk([place], [skill], scene)] == ["missing-item", "extra-item"]
    assert scene.side.bindings.observed_for(A) is None


def test_equal_ids_pair_before_all_else() -> None:
    """Items with literally the same id are the same, wherever they stand and whatever else changed."""
    one = [{"id": "a-1", "at": "2023-11-14T22:13:21.000Z", "v": "x"}, {"id": "a-2", "at": "2023-11-14T22:13:22.000Z", "v": "x"}]
    two = [{"id": "a-2", "at": "2023-11-14T22:13:22.000Z", "v": "y"}]

    assert sorted((found.kind, found.at) for found in walk(one, two)) == [
        ("missing-item", "$[0]"),
        ("value", "$[1].v"),
    ]


def test_items_with_anothers_id_do_not_pair() -> None:
    """Two items that resemble each other but name different known things are two things."""
    scene = new_scene()
    walk({"one": A, "two": C}, {"one": B, "two": D}, scene)
    found = walk([{"memoryId": A, "text": "x", "n": 1, "k": "v"}], [{"memoryId": D, "text": "x", "n": 2, "k": "v"}], scene)

    assert sorted(item.kind for item in found) == ["extra-item", "missing-item"]


def test_likeness_takes_the_best_match_first() -> None:
    """Two items that changed a little find each other, whatever order they come in."""
    one = [{"a": "x", "b": "y", "c": "z", "d": 1}, {"a": "p", "b": "q", "c": "r", "d": 2}]
    two = [{"a": "p", "b": "q", "c": "r", "d": 3}, {"a": "x", "b": "y", "c": "z", "d": 4}]

    assert sorted((found.kind, found.path) for found in walk(one, two)) == [
        ("order", "$"),
        ("value", "$[*].d"),
        ("value", "$[*].d"),
    ]


def test_order_is_found_beside_equal_items() -> None:
    """Items in another order are one order difference, and their parts are still compared."""
    found = walk([{"name": "a", "n": 1}, {"name": "b", "n": 2}], [{"name": "b", "n": 2}, {"name": "a", "n": 3}])

    assert sorted((item.kind, item.at) for item in found) == [("order", "$"), ("value", "$[0].n")]


def test_a_stale_time_is_found() -> None:
    """A time of the run must stay within the run."""
    stale = "2023-11-13T22:13:25.123Z"

    assert kinds({"at": "2023-11-14T22:13:25.123Z"}, {"at": stale}) == [("value", "$.at")]


def test_ten_thousand_items_are_not_quadratic() -> None:
    """A long list with one item missing is walked in one go."""
    one: list[Value] = [f"text number {number}" for number in range(10_000)]

    found = walk(one, one[:5000] + one[5001:])

    assert [(item.kind, item.at) for item in found] == [("missing-item", "$[5000]")]


def test_trials_bind_and_count_nothing(scene: Callable[[], Scene]) -> None:
    """With binding and counting off a comparison leaves no trace."""
    from dataclasses import replace

    trial = replace(scene(), binding=False, counting=False)
    walk({"id": A}, {"id": B}, trial)

    assert len(trial.side.bindings) == 0
    assert not trial.side.tolerated


@pytest.mark.parametrize("other", [C, D])
def test_a_key_that_is_another_id_is_found(other: str) -> None:
    """A key whose id is bound elsewhere, or that should have been the bound one, does not pass because the values below are alike."""
    scene = new_scene()
    scene.side.bindings.bind("uuid", A, B, 1, "$.id")
    scene.side.bindings.bind("uuid", "55555555-5555-4555-8555-555555555555", D, 1, "$.id")

    assert [found.kind for found in walk({A: {"n": 1}}, {other: {"n": 1}}, scene)] == ["missing-key", "extra-key"]


def test_one_id_for_two_like_items_is_found() -> None:
    """Items that are alike may stand for each other, but not all of them for one."""
    like = [{"id": A, "content": "same"}, {"id": B, "content": "same"}]

    assert kinds(like, [{"id": C, "content": "same"}, {"id": D, "content": "same"}]) == []
    assert kinds(like, [{"id": C, "content": "same"}, {"id": C, "content": "same"}]) == [("identity", "$[*].id")]


@pytest.mark.parametrize(("item", "shape"), [(["rule", 2], True), ("rule", True), ({"key": "other", "n": 7}, False)])
def test_an_item_of_another_type_is_another_shape(item: Any, *, shape: bool) -> None:
    """What no recorded item of a list is like, such as a list among objects, changes the shape of it; one object more does not."""
    found = walk([{"key": "a", "n": 1}, {"key": "rule", "n": 2}], [{"key": "a", "n": 1}, {"key": "rule", "n": 2}, item])

    assert [(one.kind, one.difference == "structural") for one in found] == [("extra-item", shape)]
