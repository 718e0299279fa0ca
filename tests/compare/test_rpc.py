"""JSON-RPC and MCP: replies by id, what a call came to, catalogues by name, blocks by index."""

import json
from collections.abc import Callable
from typing import Any

from replay.compare.exchanges import compare_exchange
from replay.compare.state import Scene
from replay.model import Exchange

type Maker = Callable[..., Exchange]
type Scenes = Callable[[], Scene]


def reply(result: Any, ident: Any = 1) -> dict[str, Any]:
    """Make a JSON-RPC reply."""
    return {"jsonrpc": "2.0", "id": ident, "result": result}


def error(code: int, message: str, ident: Any = 1) -> dict[str, Any]:
    """Make a JSON-RPC error."""
    return {"jsonrpc": "2.0", "id": ident, "error": {"code": code, "message": message}}


def text(value: Any, **more: Any) -> dict[str, Any]:
    """Make a tool's result with one block of text."""
    return {"content": [{"type": "text", "text": value if isinstance(value, str) else json.dumps(value)}], **more}


def found(make: Maker, scene: Scene, one: Any, two: Any) -> list[tuple[str, str, str, bool]]:
    """Give (kind, place, transition, derived) of all that differs."""
    made = compare_exchange(make(body=one), make(body=two), scene)
    return [(item.kind, item.at, item.transition, bool(item.derived_from)) for item in made]


def test_a_result_that_became_an_error_is_one_decisive_difference(exchange: Maker, scene: Scenes) -> None:
    """What the body lacks then follows from the call's outcome."""
    one, two = reply({"tools": [{"name": "a"}], "x": 1}), error(-32601, "no such method")

    assert found(exchange, scene(), one, two) == [
        ("rpc-error", "$.error", "result → error -32601", False),
        ("body", "$.result", "result → error", True),
    ]


def test_a_tools_error_is_one_decisive_difference(exchange: Maker, scene: Scenes) -> None:
    """`isError` decides, and its text follows from it; the finding shows what the tool said."""
    made = compare_exchange(exchange(body=reply(text({"a": 1}))), exchange(body=reply(text("unknown tool", isError=True))), scene())

    assert [(item.kind, item.path, bool(item.derived_from)) for item in made] == [
        ("rpc-error", "$.result.isError", False),
        ("body", "$.result", True),
    ]
    assert made[0].observed == {"isError": True, "says": "unknown tool"}
    assert made[0].transition == "result → tool error"


def test_another_error_code_is_decisive_too(exchange: Maker, scene: Scenes) -> None:
    """Two errors with different codes differ by their code; with one code by what they say."""
    assert found(exchange, scene(), error(-32600, "a"), error(-32602, "b"))[0][2] == "error -32600 → error -32602"
    assert found(exchange, scene(), error(-32600, "a"), error(-32600, "b")) == [("value", "$.error.message", "text", False)]


def test_another_error_code_is_another_value(exchange: Maker, scene: Scenes) -> None:
    """A code is a value in the same shape; an error for a result is another shape."""
    for one, kind in ((error(-32600, "a"), "semantic"), (reply({}), "structural")):
        first = compare_exchange(exchange(body=one), exchange(body=error(-32602, "a")), scene())[0]
        assert (first.kind, first.difference) == ("rpc-error", kind)


def test_batches_are_paired_by_id(exchange: Maker, scene: Scenes) -> None:
    """Replies of a batch may come in any order; one that lacks, or says something else, is found."""
    here = scene()
    one = [reply({"a": 1}, 1), reply({"a": 2}, 2), reply({"a": 3}, "x")]

    assert found(exchange, here, one, [one[2], one[0], one[1]]) == []
    assert here.side.tolerated["replies in another order", here.route, "$[*]"] == 1
    assert found(exchange, scene(), one, [one[0], reply({"a": 9}, 2), one[2]]) == [("value", "$[1].result.a", "number", False)]
    assert found(exchange, scene(), one, one[:2]) == [("missing-item", "$[2]", "reply → absent", False)]
    assert found(exchange, scene(), one[:2], one) == [("extra-item", "$[+2]", "absent → reply", False)]


def test_an_error_without_id_stands_for_the_reply_that_is_not_there(exchange: Maker, scene: Scenes) -> None:
    """A batch whose second reply became an error with a null id has one fault, not a missing and an extra reply."""
    one = [reply({}, 1), reply({}, 2)]
    kinds = [item[0] for item in found(exchange, scene(), one, [reply({}, 1), error(-32603, "x", None)])]

    assert kinds == ["type", "rpc-error", "body"]


def test_tools_are_paired_by_name(exchange: Maker, scene: Scenes) -> None:
    """A tool that is gone, a schema's member, and the order are told apart; sets in schemas have no order."""
    schema = {"type": "object", "properties": {"q": {"type": "string", "enum": ["a", "b"]}}, "required": ["q", "n"]}
    other = {"type": "object", "properties": {"q": {"type": "string", "enum": ["b", "a"]}}, "required": ["n", "q"]}
    one = reply({"tools": [{"name": "a", "inputSchema": schema}, {"name": "b"}, {"name": "c"}]})

    assert found(exchange, scene(), one, reply({"tools": [{"name": "a", "inputSchema": other}, {"name": "b"}, {"name": "c"}]})) == []
    two = reply({"tools": [{"name": "b"}, {"name": "a", "inputSchema": {**schema, "required": ["q"]}}]})
    assert found(exchange, scene(), one, two) == [
        ("missing-item", "$.result.tools[0].inputSchema.required[1]", "string → absent", False),
        ("order", "$.result.tools", "order", False),
        ("missing-item", "$.result.tools[2]", "object → absent", False),
    ]


def test_blocks_stand_by_their_index_and_json_in_text_is_opened(exchange: Maker, scene: Scenes) -> None:
    """A block's text that holds JSON differs at its leaf."""
    assert found(exchange, scene(), reply(text({"a": [1, 2]})), reply(text({"a": [1, 3]}))) == [
        ("value", "$.result.content[0].text.<json>.a[1]", "number", False)
    ]
    two = {"content": [*text("x")["content"], *text("y")["content"]]}
    assert found(exchange, scene(), reply(text("x")), reply(two)) == [("extra-item", "$.result.content[+1]", "absent → object", False)]


def test_a_protocol_version_is_no_time(exchange: Maker, scene: Scenes) -> None:
    """It is spelt like a date, and must be the same."""
    one, two = reply({"protocolVersion": "2025-06-18"}), reply({"protocolVersion": "2024-11-05"})

    assert found(exchange, scene(), one, two) == [("value", "$.result.protocolVersion", "another protocol version", False)]


def test_json_and_a_stream_may_say_the_same(exchange: Maker, scene: Scenes) -> None:
    """An answer in a stream where JSON was is one finding; what it says is compared all the same."""
    one = exchange(body=reply({"a": 1}))
    two = exchange(raw=b"event: message\ndata: " + json.dumps(reply({"a": 2})).encode() + b"\n\n", media=b"text/event-stream")

    assert [item.kind for item in compare_exchange(one, two, scene())] == ["body-kind", "value", "content-type"]


def test_messages_in_a_stream_are_paired_by_id(exchange: Maker, scene: Scenes) -> None:
    """Replies in events are compared as replies, and what wraps them as events."""
    media = b"text/event-stream"
    one = exchange(raw=b"event: message\nid: 1\ndata: " + json.dumps(reply({"a": 1})).encode() + b"\n\n", media=media)
    two = exchange(raw=b"id: 2\ndata: " + json.dumps(error(-1, "x")).encode() + b"\n\n", media=media)

    assert [item.kind for item in compare_exchange(one, two, scene())] == ["rpc-error", "body", "value"]
