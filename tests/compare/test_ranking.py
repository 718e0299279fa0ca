"""Order, rank, vectors, and depth."""

import json
from typing import Any

import pytest

from replay.compare.difference import Difference
from replay.compare.state import Place, Scene, Side, Window
from replay.compare.walk import walk_pair
from replay.content import Number, Value, load
from replay.identity import Bindings


def new_scene(route: str) -> Scene:
    """Make a scene without bindings."""
    window = Window(0.0, 1.0, 2.0)
    return Scene(Side(Bindings()), route, 1, window, window)


def walk(one: Any, two: Any, route: str = "GET /x", scene: Scene | None = None) -> list[Difference]:
    """Walk two Python values as the JSON that they would be."""
    return list(walk_pair(load(json.dumps(one))[0], load(json.dumps(two))[0], scene or new_scene(route), Place()))


def hits(*scores: tuple[str, float]) -> list[dict[str, Any]]:
    """Make results with scores."""
    return [{"content": content, "score": score} for content, score in scores]


RECALL = "POST /api/memory/recall"


def test_order_is_rank_where_it_is_the_product() -> None:
    """In a recall, and in a list by score, another order is one finding with how far each item went; elsewhere it is an order."""
    one, two = [{"name": "a"}, {"name": "b"}, {"name": "c"}], [{"name": "b"}, {"name": "c"}, {"name": "a"}]
    (ranked,) = walk({"results": one}, {"results": two}, RECALL)
    (ordered,) = walk({"results": one}, {"results": two})

    assert (ranked.kind, ranked.path, ranked.transition) == ("rank", "$.results", "another first")
    assert ranked.observed == ["1 (was 2): b", "2 (was 3): c", "3 (was 1): a"]
    assert (ordered.kind, ordered.path) == ("order", "$.results")
    by_score = walk(hits(("a", 0.9), ("b", 0.8), ("c", 0.7)), [hits(("a", 0.9))[0], *hits(("c", 0.8), ("b", 0.7))])
    assert {(found.kind, found.transition) for found in by_score} >= {("rank", "another order below the first"), ("value", "number")}


def test_membership_is_not_rank() -> None:
    """Who is missing or new says nothing of the order of the rest."""
    found = walk({"r": hits(("a", 3), ("b", 2), ("c", 1))}, {"r": hits(("b", 2), ("c", 1), ("d", 1))}, RECALL)

    assert [(item.kind, item.at) for item in found] == [("missing-item", "$.r[0]"), ("extra-item", "$.r[+2]")]


@pytest.mark.parametrize(("score", "other", "expected"), [(0.5, 0.5, []), (0.5, 0.4, ["rank", "value"])])
def test_ties_may_stand_in_any_order(score: float, other: float, expected: list[str]) -> None:
    """Items of equal score on both sides may swap, which is counted; where only one side has a tie they may not."""
    scene = new_scene(RECALL)
    found = walk(hits(("a", 0.9), ("b", 0.5), ("c", score)), hits(("a", 0.9), ("c", score), ("b", other)), scene=scene)

    assert sorted(item.kind for item in found) == expected
    assert ("items of equal score in another order" in {name for name, _, _ in scene.side.tolerated}) == (not expected)


def test_a_vector_is_one_thing() -> None:
    """A long list of numbers makes one finding, where it is furthest off; a short one, one for each."""
    one = [n / 100 for n in range(100)]
    two = [value + 0.001 * n for n, value in enumerate(one)]
    (found,) = walk({"v": one}, {"v": two})

    assert (found.kind, found.path, found.at) == ("value", "$.v[*]", "$.v[99]")
    assert len(walk([1, 2, 3], [4, 5, 6])) == 3
    assert [item.kind for item in walk([1, 2, 3], [3, 1, 2])] == ["order"]
    assert [(item.kind, item.transition) for item in walk(one, one[:50])] == [("type", "vector → vector of another length")]


@pytest.mark.parametrize(
    "wrap", [pytest.param(lambda value: [value], id="lists"), pytest.param(lambda value: {"a": value}, id="objects", marks=pytest.mark.slow)]
)
def test_no_nesting_is_too_deep(wrap: Any) -> None:
    """A hundred thousand levels are walked, what differs far below is one difference, and what is equal is none."""

    def nested(leaf: str) -> Value:
        value: Value = Number(leaf)
        for _ in range(100_000):
            value = wrap(value)
        return value

    (found,) = walk_pair(nested("1"), nested("2"), new_scene("GET /x"), Place())
    assert (found.kind, found.transition) == ("value", "something far below")
    assert list(walk_pair(nested("1"), nested("1"), new_scene("GET /x"), Place())) == []
