"""Which item stands for which: by what they are, never by where they stand, and better alone than with a stranger."""

import json
from typing import Any

import pytest

from replay.compare.aligning import align_items
from replay.content import Alignment, load
from replay.identity import Bindings

A, B, C, D, E, F = (f"{digit * 8}-1111-4111-8111-{digit * 12}" for digit in "123456")


def aligned(one: list[Any], two: list[Any], bindings: Bindings | None = None) -> Alignment:
    """Align two Python lists as the JSON that they would be."""
    left, right = load(json.dumps(one))[0], load(json.dumps(two))[0]
    assert isinstance(left, list)
    assert isinstance(right, list)
    known = bindings or Bindings()
    return align_items(left, right, known, lambda first, second: first == second and len(known) == 0)


def pairs(one: list[Any], two: list[Any], bindings: Bindings | None = None) -> list[tuple[int, int]]:
    """Give who stands for whom."""
    return [(pair.left, pair.right) for pair in aligned(one, two, bindings).pairs]


def test_a_known_id_is_the_surest() -> None:
    """An item is the one whose id stands for its own, whatever else both say."""
    known = Bindings()
    known.bind("uuid", A, C, 1, "$.id")
    known.bind("uuid", B, D, 1, "$.id")

    assert pairs([{"id": A, "name": "x"}, {"id": B, "name": "y"}], [{"id": D, "name": "x"}, {"id": C, "name": "y"}], known) == [(0, 1), (1, 0)]


def test_a_key_is_learned_from_the_lists() -> None:
    """A member that all items have, each its own, and that both sides share, is the key, whatever it is called."""
    one = [{"sessionKey": f"s{n}", "n": n, "on": True} for n in range(6)]
    two = [{"sessionKey": f"s{n}", "n": 7 * n, "on": False} for n in (5, 3, 1, 0, 2, 4)]

    assert pairs(one, two) == [(n, [5, 3, 1, 0, 2, 4].index(n)) for n in range(6)]


def test_two_members_may_be_the_key() -> None:
    """Where one id stands twice, the provider beside it tells which is which."""
    one = [{"id": "small", "provider": "x", "n": 1}, {"id": "small", "provider": "y", "n": 2}, {"id": "big", "provider": "x", "n": 3}]
    two = [{"id": "small", "provider": "y", "n": 5}, {"id": "small", "provider": "x", "n": 6}, {"id": "big", "provider": "x", "n": 7}]

    assert pairs(one, two) == [(0, 1), (1, 0), (2, 2)]


def test_a_key_may_be_spelt_otherwise() -> None:
    """A chunk's number is its number in snake case and in camel case."""
    one = [{"chunk_index": n, "content": f"alpha beta gamma delta {n} {n}"} for n in range(3)]
    two = [{"chunkIndex": n, "content": f"alpha beta gamma other {n + 1}"} for n in (2, 0, 1)]

    assert pairs(one, two) == [(0, 1), (1, 2), (2, 0)]


def test_an_id_bound_by_order_gives_way() -> None:
    """What rests on order alone does not make one thing of two of different kinds."""
    known = Bindings()
    known.bind("uuid", A, C, 1, "$[0].id", weak=True)
    known.bind("uuid", B, D, 1, "$[1].id", weak=True)
    one = [{"id": A, "trigger": "start", "n": 1}, {"id": B, "trigger": "end", "n": 1}]
    two = [{"id": C, "trigger": "end", "n": 2}, {"id": D, "trigger": "start", "n": 2}]

    assert (0, 0) not in pairs(one, two, known)
    assert (1, 1) not in pairs(one, two, known)


def test_rows_of_one_parent_are_not_one_row() -> None:
    """That two rows name the same thing does not make them the same row."""
    known = Bindings()
    known.bind("uuid", A, B, 1, "$.id")
    one = [{"id": C, "memoryId": A, "event": "none", "by": "pipeline", "why": "covered"}]
    two = [{"id": D, "memoryId": B, "event": "created", "by": "api", "why": None}]

    assert pairs(one, two, known) == []


def test_ids_that_count_say_less_than_names() -> None:
    """A group's number is its place; what it is called says which it is."""
    one = [{"id": f"group_{n}", "name": name} for n, name in enumerate("abcd")]
    two = [{"id": f"group_{n}", "name": name} for n, name in enumerate("xabc")]

    assert pairs(one, two) == [(0, 1), (1, 2), (2, 3)]


def test_repeated_items_are_counted() -> None:
    """Of three alike against two, one is missing."""
    found = aligned(["x", "x", "y", "x"], ["x", "y", "x"])

    assert (len(found.pairs), len(found.left_only), found.right_only) == (3, 1, ())


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [
        ([[1, 29]], [[10, 29]], []),
        ([{"name": "Lisbon", "n": 1}], [{"name": "Porto", "n": 2}], []),
        ([{"type": "text", "text": "one two three four five"}], [{"type": "text", "text": "one two three four six"}], [(0, 0)]),
        (
            [{"name": "search", "description": "Find what was said before"}],
            [{"name": "recall", "description": "Find what was said before"}],
            [(0, 0)],
        ),
    ],
    ids=["rows of numbers", "two places", "a word changed", "a new name"],
)
def test_likeness_pairs_no_strangers(one: list[Any], two: list[Any], expected: list[tuple[int, int]]) -> None:
    """What is alike by half is a pair, what only shares what all share is not."""
    assert [pair for pair in pairs([*one, {"other": "x"}], [{"other": "x"}, *two]) if pair != (len(one), 0)] == [(n, m + 1) for n, m in expected]


def test_an_item_that_moves_to_another_list_leaves_one() -> None:
    """It is missing here, and more there."""
    found = aligned([{"name": "a"}, {"name": "b"}], [{"name": "a"}])

    assert (found.left_only, found.right_only) == ((1,), ())


def test_long_lists_are_aligned_at_once() -> None:
    """Thousands of changed items find their own by what is rare in them, without asking all pairs."""
    one = [{"id": f"r{n}", "text": f"note {n} speaks of item {n * 7} and {n * 3}", "kind": "note"} for n in range(500)]
    two = [{"id": f"o{n}", "text": f"note {n} speaks of item {n * 7} or {n * 3}", "kind": "note"} for n in reversed(range(500))]

    assert pairs(one, two) == [(n, 499 - n) for n in range(500)]
