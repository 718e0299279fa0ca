"""Things that two daemons tell in different words."""

import json
import time
from typing import Any

from replay.content import Value, load
from replay.identity import Bindings, find, learn, skeleton
from replay.identity.likeness import pair_alike
from replay.model import Response

R1, R2 = (f"{digit * 8}-0000-4000-8000-00000000000{digit}" for digit in "12")
O1, O2 = (f"{digit * 8}-0000-4000-8000-00000000000{digit}" for digit in "ab")


def values(items: list[Any]) -> list[Value]:
    """Read items as an answer would hold them."""
    value, _ = load(json.dumps(items))
    assert isinstance(value, list)
    return value


def pairs(left: list[Any], right: list[Any]) -> list[tuple[int, int]]:
    """Pair items by likeness."""
    return pair_alike(values(left), values(right), lambda text: skeleton(text, find(text)))


def learned(left: Any, right: Any, bindings: Bindings) -> list[tuple[str, str, str]]:
    """Learn from two bodies; give recorded, observed and path of what is new."""
    one, two = (Response(b"HTTP/1.1", 200, b"", ((b"content-type", b"application/json"),), json.dumps(item).encode()) for item in (left, right))
    return [(new.recorded, new.observed, new.path) for new in learn(one, two, bindings, 1)]


def test_batches_with_other_members() -> None:
    """Items of a batch are told apart by what they are, though the other daemon names another author and spells its members otherwise."""
    left = [
        {"id": R1, "operation": "create_link", "createdBy": "driver", "source_id": "d", "payload": {"link_type": "uses"}},
        {"id": R2, "operation": "create_entity", "createdBy": "driver", "source_id": "d", "payload": {"name": "Oslo"}},
    ]
    right = [
        {"payload": {"name": "Oslo"}, "id": O2, "operation": "create_entity", "createdBy": "operator", "sourceId": None, "count": 1},
        {"payload": {"linkType": "uses"}, "id": O1, "operation": "create_link", "createdBy": "operator", "sourceId": None, "count": 1},
    ]
    assert learned({"items": left}, {"items": right}, Bindings()) == [
        (R1, O1, "$.items[0].id (by order)"),
        (R2, O2, "$.items[1].id (by order)"),
    ]


def test_no_pair_without_evidence() -> None:
    """Flags and small numbers alone pair nothing, nor does what all items share, nor a match that another equals."""
    assert pairs([{"n": 1, "a": True}, {"n": 2}], [{"n": 1, "a": True}, {"n": 3}]) == []
    assert pairs([{"kind": "session", "x": "one one"}], [{"kind": "session", "x": "two two"}, {"kind": "session", "x": "three"}]) == []
    assert pairs([{"x": "same", "y": 1}], [{"x": "same", "y": 2}, {"x": "same", "y": 3}]) == []
    assert pairs([], [{"x": "same"}]) == []
    assert pairs(["text"], ["text"]) == []


def test_one_thing_that_may_be_another_is_only_likely() -> None:
    """At one place two things with different words are paired weakly, and the list that tells them apart sets it right."""
    first, second = {"id": R1, "question": "What of Priya?"}, {"id": R2, "question": "What of Tomas?"}
    one, two = {"id": O1, "question": "What of Priya?"}, {"id": O2, "question": "What of Tomas?"}
    bindings = Bindings()
    learned({"reflection": first}, {"reflection": two}, bindings)
    assert bindings.observed_for(R1) == O2
    learned({"reflection": first, "reflections": [first, second]}, {"reflection": two, "reflections": [two, one]}, bindings)
    assert (bindings.observed_for(R1), bindings.observed_for(R2)) == (O1, O2)
    assert bindings.contradictions == []


def test_too_many_are_not_tried() -> None:
    """Thousands of strangers on both sides cost nothing."""
    items = [{"content": f"left {number}", "n": number} for number in range(3000)]
    others = [{"content": f"right {number}", "n": -number} for number in range(3000)]
    started = time.perf_counter()
    learned({"items": items}, {"items": others}, Bindings())
    assert time.perf_counter() - started < 5.0
