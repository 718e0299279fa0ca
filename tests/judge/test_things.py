"""What a place speaks of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.content import child
from replay.judge.things import parent, steps, thing_of


@pytest.mark.parametrize(
    ("route", "path", "noun", "home", "field", "row"),
    [
        ("GET /api/memories", "$.memories[*].who", "memory", "memory", "who", True),
        ("GET /api/memory/:id", "$.who", "memory", "memory", "who", True),
        ("POST /api/hooks/session-start", "$.memories[*].who", "memory", "memory", "who", True),
        ("GET /api/knowledge/constellation", "$.entities[*].aspects[*].status", "aspect", "knowledge", "status", True),
        ("GET /api/knowledge/navigation/groups", "$.entity.status", "entity", "knowledge", "status", True),
        ("GET /api/knowledge/stats", "$.entityCount", "entity", "knowledge", "entityCount", False),
        ("GET /api/sources", "$.sources[*].indexJob.status", "source", "source", "status", True),
        ("GET /api/status", "$.queues.memory.dead", "status", "status", "dead", False),
        ("CALL /memory/get", "$.result.content[*].text.<json>.who", "memory", "memory", "who", True),
        ("GET /nobody/knows", "$.a", "nobody", "nobody", "a", False),
        (None, "status", "", "", "", False),
    ],
)
def test_a_place_speaks_of_a_thing_wherever_it_is_shown(route: str | None, path: str, noun: str, home: str, field: str, *, row: bool) -> None:
    """The nearest thing on the path names it, else the route; a row is told from what counts rows."""
    thing = thing_of(route, path)
    assert (thing.noun, thing.home, thing.field, thing.row) == (noun, home, field, row)


@given(st.lists(st.text(max_size=8) | st.just(7), max_size=5))
def test_any_path_can_be_taken_apart(keys: list[str | int]) -> None:
    """Whatever the keys hold (dots, brackets, quotes, line feeds), a path has one step for each, and its parent one less."""
    path = "$"
    for key in keys:
        path = child(path, key)
    assert len(steps(path)) == len(keys)
    if keys:
        assert len(steps(parent(path))) == len(keys) - 1
