"""What two answers to the same request teach."""

import json
from typing import Any

from replay.identity import Bindings, learn, learn_pair
from replay.model import Response

R1, R2, R3 = (f"{digit * 8}-0000-4000-8000-00000000000{digit}" for digit in "123")
O1, O2, O3 = (f"{digit * 8}-0000-4000-8000-00000000000{digit}" for digit in "abc")


def answer(body: object, media: bytes = b"application/json", *headers: tuple[bytes, bytes]) -> Response:
    """Build a response."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(b"HTTP/1.1", 200, b"OK", ((b"content-type", media), *headers), raw)


def bound(recorded: object, observed: object, **options: Any) -> dict[str, str]:
    """Learn from two JSON bodies; give recorded id and observed id."""
    bindings = Bindings()
    return {one.recorded: one.observed for one in learn(answer(recorded), answer(observed), bindings, 7, **options)}


def test_ids_at_the_same_place() -> None:
    """Ids at the same key are bound, and say where they were born."""
    bindings = Bindings()
    (new,) = learn(answer({"id": R1, "type": "fact"}), answer({"id": O1, "type": "fact"}), bindings, 7)
    assert (new.kind, new.recorded, new.observed, new.exchange, new.path) == ("uuid", R1, O1, 7, "$.id")
    assert learn(answer({"id": R1}), answer({"id": O1}), bindings, 8) == []


def test_headers() -> None:
    """The request id header and a location are learned from."""
    left = answer({}, b"application/json", (b"X-Signet-Request-Id", R1.encode()), (b"location", f"/api/x/{R2}".encode()))
    right = answer({}, b"application/json", (b"x-signet-request-id", O1.encode()), (b"location", f"/api/x/{O2}".encode()))
    assert [one.path for one in learn(left, right, Bindings(), 1)] == ["header:x-signet-request-id", "header:location"]


def test_lists_align_by_content() -> None:
    """Items in another order, with other times and scores, are paired by what they say."""
    recorded = [{"id": R1, "content": "one", "score": 0.5}, {"id": R2, "content": "two", "score": 0.4}, {"id": R3, "content": "gone"}]
    observed = [{"id": O2, "content": "two", "score": 0.6}, {"id": O3, "content": "new"}, {"id": O1, "content": "one", "score": 0.5}]
    assert bound({"results": recorded}, {"results": observed}) == {R1: O1, R2: O2}


def test_bound_ids_lead_the_alignment() -> None:
    """Items whose id is known already are paired by it, and so teach the other ids in them."""
    bindings = Bindings()
    bindings.bind("uuid", R1, O1, 1, "$.id")
    recorded = [{"id": R1, "n": 1, "job": R2}, {"id": R3, "n": 1, "job": R3}]
    observed = [{"id": O3, "n": 2, "job": O3}, {"id": O1, "n": 3, "job": O2}]
    learn(answer(recorded), answer(observed), bindings, 2)
    assert bindings.observed_for(R2) == O2


def test_known_ids_are_not_paired_by_name() -> None:
    """Two items whose ids are known to stand for others say nothing about each other, though their texts are equal."""
    bindings = Bindings()
    bindings.bind("uuid", R1, O1, 1, "$.id")
    bindings.bind("uuid", R2, O2, 2, "$.id")
    learn(answer([{"id": R1, "content": "x", "n": 1}, {}]), answer([{"id": O2, "content": "x", "n": 2}, {}]), bindings, 3)
    assert bindings.contradictions == []


def test_ambiguous_items_are_paired_by_order_weakly() -> None:
    """Items that say the same pair by order if equally many, marked; otherwise not at all."""
    bindings = Bindings()
    new = learn(answer({"ids": [R1, R2]}), answer({"ids": [O1, O2]}), bindings, 1)
    assert [(one.recorded, one.observed) for one in new] == [(R1, O1), (R2, O2)]
    assert all(one.path.endswith(" (by order)") for one in new)
    assert bound({"ids": [R1, R2]}, {"ids": [O1, O2, O3]}) == {}


def test_keys_texts_and_json_in_strings() -> None:
    """Ids are learned from object keys, from texts that are equal but for them, and from JSON held in strings."""
    assert bound({f"GET /api/memory/{R1}": 4}, {f"GET /api/memory/{O1}": 5}) == {R1: O1}
    assert bound({"inject": f"# Seen {R1}\n2026-11-23"}, {"inject": f"# Seen {O1}\n2026-12-24"}) == {R1: O1}
    assert bound({"text": json.dumps({"id": R1})}, {"text": json.dumps({"id": O1})}) == {R1: O1}


def test_ids_of_another_form() -> None:
    """What the candidate calls an id stands for the recorded one, whatever it looks like; no time, empty text or other member does."""
    assert bound({"job": {"id": R1}, "memory_id": R2, "jobId": R3}, {"job": {"id": "01JDXK"}, "memory_id": "m-17", "jobId": O3}) == {
        R1: "01JDXK",
        R2: "m-17",
        R3: O3,
    }
    assert bound({"id": R1}, {"id": "key_WXQLVNI5hcmmMHei"}) == {R1: "key_WXQLVNI5hcmmMHei"}
    for other in ("", "two words", "2026-11-23T07:37:13.001Z", "\u00e9\u00e9\u00e9\u00e9"):
        assert bound({"id": R1}, {"id": other}) == {}
    assert bound({"name": R1}, {"name": "m-17"}) == {}


def test_lines_of_markdown() -> None:
    """Lines that say the same teach, whatever else the text holds; those that differ in numbers teach weakly, others nothing."""
    left = f"# Notes\n\n- [a]({R1}.md)\n- seen {R2} 5m ago\n- gone {R3}\n"
    right = f"# Notes\n- new {O3}\n- seen {O2} 17m ago\n- [a]({O1}.md)\n"
    bindings = Bindings()
    learn(answer(left.encode(), b"text/markdown"), answer(right.encode(), b"text/markdown"), bindings, 1)
    assert [(one.recorded, one.observed, one.path) for one in bindings.records()] == [(R1, O1, "$"), (R2, O2, "$ (by order)")]


def test_single_items_that_say_different_things_teach_nothing() -> None:
    """The only item of a list stands for the only one of the other list if they say the same, not because they are alone."""
    assert bound({"results": [{"id": R1, "content": "one"}]}, {"results": [{"id": O1, "content": "two"}]}) == {}
    assert bound({"results": [{"id": R1, "content": "one", "n": 1}]}, {"results": [{"id": O1, "content": "one", "n": 2}]}) == {R1: O1}
    assert bound({"results": [{"id": R1, "n": True}]}, {"results": [{"id": O1, "n": False}]}) == {R1: O1}


def test_equal_bytes_are_not_parsed() -> None:
    """Ids in answers that are the same byte for byte stand for themselves; of very big ones that is said once."""
    assert bound({"id": R1}, {"id": R1}) == {R1: R1}
    body = b'{"id":"%s","x":"%s"}' % (R1.encode(), b"x" * 1_000_001)
    bindings = Bindings()
    assert learn(answer(body), answer(body), bindings, 9) == []
    assert bindings.unchanged == {9}


def test_placeholders_spelt_in_the_text_break_nothing() -> None:
    """A text that says `<uuid>` where the other has one is no pair."""
    assert bound({"a": f"<uuid> {R1}"}, {"a": f"{O1} {O2}"}) == {}


def test_times_and_composed_ids() -> None:
    """Precise times are bound, coarse ones are not; the parts of composed ids are."""
    taught = bound(
        {"createdAt": "2026-11-23T07:37:13.001Z", "day": "2026-11-23", "job": "source-index:github:e157d79a502b59af:1795419497464"},
        {"createdAt": "2026-12-01T00:00:00.002Z", "day": "2026-12-01", "job": "source-index:github:e157d79a502b59af:1796083200002"},
    )
    assert taught == {
        "2026-11-23T07:37:13.001Z": "2026-12-01T00:00:00.002Z",
        "e157d79a502b59af": "e157d79a502b59af",
        "1795419497464": "1796083200002",
    }


def test_client_chosen_ids_are_never_bound() -> None:
    """An id that the client chose stays what it is."""
    assert bound({"session": R1, "id": R2}, {"session": O1, "id": O2}, chosen={R1}) == {R2: O2}


def test_placeholders_stand_for_what_is_at_their_place() -> None:
    """A redacted secret is bound to the value that was observed, whatever that looks like."""
    assert bound({"stdout": "~~rlZ1cz3ht5Kx5Y"}, {"stdout": "plain words"}) == {"~~rlZ1cz3ht5Kx5Y": "plain words"}
    assert bound({"stdout": "~~ of course"}, {"stdout": "plain words"}) == {}


def test_streams_and_lines() -> None:
    """Events and NDJSON lines are aligned and learned from."""
    left = f'event: meta\ndata: {{"requestId":"{R1}"}}\n\nevent: done\ndata: {{"id":"{R2}"}}\n\n'
    right = f': hi\n\nevent: meta\ndata: {{"requestId":"{O1}"}}\n\nevent: delta\ndata: {{}}\n\nevent: done\ndata: {{"id":"{O2}"}}\n\n'
    bindings = Bindings()
    learn(answer(left.encode(), b"text/event-stream"), answer(right.encode(), b"text/event-stream"), bindings, 3)
    assert bindings.observed_for(R1) == O1
    assert bindings.observed_for(R2) == O2
    lines = Bindings()
    media = b"application/x-ndjson"
    learn(
        answer(f'{{"id":"{R1}","n":"a"}}\n{{"id":"{R2}","n":"b"}}\n'.encode(), media),
        answer(f'{{"id":"{O2}","n":"b"}}\n'.encode(), media),
        lines,
        3,
    )
    assert lines.records()[0].recorded == R2


def test_contradictions_are_kept() -> None:
    """Two recorded ids that became one are said."""
    bindings = Bindings()
    learn(answer({"a": R1, "b": R2}), answer({"a": O1, "b": O1}), bindings, 4)
    assert len(bindings.contradictions) == 1


def test_values_alone_can_teach() -> None:
    """One event's data is enough to go on with, and the whole stream sets it right."""
    bindings = Bindings()
    learn_pair({"id": R1}, {"id": O2}, bindings, 2, path="$.<sse>[0].data")
    assert bindings.observed_for(R1) == O2
    left = f'data: {{"id":"{R1}","message":"one"}}\n\ndata: {{"id":"{R2}","message":"two"}}\n\n'
    right = f'data: {{"id":"{O2}","message":"two"}}\n\ndata: {{"id":"{O1}","message":"one"}}\n\n'
    learn(answer(left.encode(), b"text/event-stream"), answer(right.encode(), b"text/event-stream"), bindings, 2)
    assert (bindings.observed_for(R1), bindings.observed_for(R2), bindings.contradictions) == (O1, O2, [])


def test_different_kinds_teach_nothing() -> None:
    """An HTML page against JSON, or an answer without a body, binds nothing."""
    bindings = Bindings()
    assert learn(answer({"id": R1}), answer(b"<p>", b"text/html"), bindings, 1) == []
    assert learn(answer(b""), answer({"id": R1}), bindings, 1) == []
