"""
Compare JSON-RPC messages, as MCP sends them: one, a batch, or the events of a stream.

How this works
--------------
Replies are paired by their id (a batch may be answered in any order), calls and notifications by their method. Whether a call succeeded comes
first: a result that became an error, or a tool's error (`isError`), is one decisive `rpc-error`, and the rest of the message follows from it.
In results, tools, prompts and resources are paired by what they are called, and their input schemas are walked, in which `required` and `enum`
are sets; blocks of content stand for one another by their index, and JSON in their text is opened. All else is walked like any JSON.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from replay.compare.difference import ABSENT, Difference, type_name
from replay.compare.state import Place, Scene
from replay.compare.walk import walk_pair
from replay.content import Content, Event, Number, Value, align, dump
from replay.model import Absent, DifferenceClass

type _Object = Mapping[str, Value]
type _Message = tuple[Place, dict[str, Value]]

_NAMED_BY: Final = MappingProxyType({"tools": "name", "prompts": "name", "resources": "uri", "resourceTemplates": "uriTemplate"})
"""Lists of a result, and what their items are called by."""
_SETS: Final = frozenset({"required", "enum", "type"})
"""Members of a schema whose order says nothing."""
_SCHEMAS: Final = frozenset({"inputSchema", "outputSchema"})


def messages_of(content: Content) -> list[_Message]:
    """Give the JSON-RPC messages of a body with their places; none where the body is no JSON-RPC, or not all of it."""
    parts: list[tuple[Place, Value]]
    if content.kind == "json" and isinstance(content.value, dict):
        parts = [(Place("$", "$"), content.value)]
    elif content.kind == "json" and isinstance(content.value, list):
        parts = [(Place(f"$[{index}]", "$[*]"), value) for index, value in enumerate(content.value)]
    elif content.kind == "sse":
        events: Sequence[Event] = content.value  # type: ignore[assignment]  # by kind
        parts = [(Place(f"$.<sse>[{index}].data", "$.<sse>[*].data"), event.data) for index, event in enumerate(events)]
    else:
        return []
    messages = [(place, value) for place, value in parts if isinstance(value, dict) and _is_message(value)]
    return messages if len(messages) == len(parts) else []


def compare_messages(recorded: Sequence[_Message], observed: Sequence[_Message], scene: Scene) -> Iterator[Difference]:
    """Yield the differences of the messages of two bodies."""
    if len(recorded) == len(observed) == 1:
        yield from _message(recorded[0][1], observed[0][1], scene, recorded[0][0])
        return
    laid = align([_key(message) for _, message in recorded], [_key(message) for _, message in observed])
    if laid.moved:
        scene.tolerate("replies in another order", recorded[0][0].path)
    pairs = [(pair.left, pair.right) for pair in laid.pairs]
    left, right = list(laid.left_only), list(laid.right_only)
    pairs += zip(left, right, strict=False)  # an error often has no id: it stands for the reply that is not there
    for one, two in sorted(pairs):
        yield from _message(recorded[one][1], observed[two][1], scene, recorded[one][0])
    shared = min(len(left), len(right))
    for index in left[shared:]:
        place, message = recorded[index]
        yield Difference(DifferenceClass.STRUCTURAL, "missing-item", place.path, place.at, message, ABSENT, f"{_sort(message)} → absent")
    for index in right[shared:]:
        place, message = observed[index]
        at = place.at.replace("[", "[+", 1)
        yield Difference(DifferenceClass.STRUCTURAL, "extra-item", place.path, at, ABSENT, message, f"absent → {_sort(message)}")


def _is_message(value: _Object) -> bool:
    return isinstance(value.get("jsonrpc"), str) and bool(value.keys() & {"result", "error", "method"})


def _sort(message: _Object) -> str:
    return "call" if "method" in message else "reply"


def _key(message: _Object) -> tuple[str, str, str]:
    return _sort(message), dump(message.get("method", "")), dump(message.get("id", ""))


# --- one message ---


def _message(recorded: dict[str, Value], observed: dict[str, Value], scene: Scene, place: Place) -> Iterator[Difference]:
    one, two = _outcome(recorded), _outcome(observed)
    heads = [{key: value for key, value in side.items() if key not in {"result", "error"}} for side in (recorded, observed)]
    yield from walk_pair(heads[0], heads[1], scene, place)
    if one != two:
        yield from _decisive(recorded, observed, f"{one} → {two}", place)
    elif "error" in recorded and "error" in observed:
        yield from walk_pair(recorded["error"], observed["error"], scene, _below(place, "error"))
    elif "result" in recorded and "result" in observed:
        yield from _result(recorded["result"], observed["result"], scene, _below(place, "result"))


def _outcome(message: _Object) -> str:
    """Say how a call ended: `result`, `tool error`, or an error and its code."""
    if "error" in message:
        error = message["error"]
        code = error.get("code") if isinstance(error, dict) else None
        return f"error {code.text[:12]}" if isinstance(code, Number) else "error"
    result = message.get("result")
    if isinstance(result, dict) and result.get("isError") is True:
        return "tool error"
    return "result" if "result" in message else "call"


def _decisive(recorded: _Object, observed: _Object, change: str, place: Place) -> Iterator[Difference]:
    one, two = (side.get("error", side.get("result", ABSENT)) for side in (recorded, observed))
    both_results = "result" in recorded and "result" in observed
    where = _below(place, "result.isError" if both_results else "error")
    # Another code of an error is another value in the same shape; an error for a result is another shape.
    kind = (
        DifferenceClass.SEMANTIC
        if isinstance(recorded.get("error"), dict) and isinstance(observed.get("error"), dict)
        else DifferenceClass.STRUCTURAL
    )
    yield Difference(kind, "rpc-error", where.path, where.at, _told(one), _told(two), change)
    if one is not ABSENT and two is not ABSENT and one != two:
        below = _below(place, "result" if "result" in recorded else "error")
        words = f"{'result' if 'result' in recorded else 'error'} → {'result' if 'result' in observed else 'error'}"
        reason = f"the call's outcome ({change})"
        yield Difference(DifferenceClass.STRUCTURAL, "body", below.path, below.at, one, two, words, "", (), reason)


def _told(part: Value | Absent) -> Value | Absent:
    """What an error says; a result is not told again."""
    if not isinstance(part, dict):
        return part
    if part.get("isError") is True:
        blocks = part.get("content")
        first = blocks[0] if isinstance(blocks, list) and blocks else None
        return {"isError": True, "says": first.get("text") if isinstance(first, dict) else None}
    said: dict[str, Value] = {key: part[key] for key in ("code", "message") if key in part}
    return said or "no error"


def _below(place: Place, step: str) -> Place:
    return Place(f"{place.at}.{step}", f"{place.path}.{step}", step)


# --- results ---


def _result(recorded: Value, observed: Value, scene: Scene, place: Place) -> Iterator[Difference]:
    if not isinstance(recorded, dict) or not isinstance(observed, dict):
        yield from walk_pair(recorded, observed, scene, place)
        return
    apart: set[str] = set()
    for key in (*_NAMED_BY, "content", "protocolVersion"):
        one, two = recorded.get(key), observed.get(key)
        below = Place(f"{place.at}.{key}", f"{place.path}.{key}", key)
        if isinstance(one, list) and isinstance(two, list) and (key == "content" or _are_named(one, two, _NAMED_BY.get(key, ""))):
            apart.add(key)
            yield from _blocks(one, two, scene, below) if key == "content" else _named(one, two, _NAMED_BY[key], scene, below)
        elif key == "protocolVersion" and isinstance(one, str) and isinstance(two, str):
            apart.add(key)
            if one != two:  # spelt like a date, and no time
                yield Difference(DifferenceClass.SEMANTIC, "value", below.path, below.at, one, two, "another protocol version")
    rest = [{key: value for key, value in side.items() if key not in apart} for side in (recorded, observed)]
    yield from walk_pair(rest[0], rest[1], scene, place)


def _are_named(one: list[Value], two: list[Value], name: str) -> bool:
    return all(isinstance(item, dict) and isinstance(item.get(name), str) for item in (*one, *two))


def _named(recorded: list[Value], observed: list[Value], name: str, scene: Scene, place: Place) -> Iterator[Difference]:
    names = [[item[name] if isinstance(item, dict) else None for item in side] for side in (recorded, observed)]
    laid = align([str(one) for one in names[0]], [str(two) for two in names[1]])
    for pair in laid.pairs:
        one, two = recorded[pair.left], _with_sets(recorded[pair.left], observed[pair.right], inside=False)
        inner = replace(scene, binding=False) if pair.weak else scene
        yield from walk_pair(one, two, inner, Place(f"{place.at}[{pair.left}]", f"{place.path}[*]", place.key))
    if laid.moved:
        # The order of a catalogue is not the product: one finding, so that it is known.
        told: list[Value] = [names[0][pair.left] for pair in laid.pairs]
        other: list[Value] = [names[1][pair.right] for pair in sorted(laid.pairs, key=lambda pair: pair.right)]
        yield Difference(DifferenceClass.SEMANTIC, "order", place.path, place.at, told, other, "order")
    yield from _alone(recorded, laid.left_only, place, missing=True)
    yield from _alone(observed, laid.right_only, place, missing=False)


def _blocks(recorded: list[Value], observed: list[Value], scene: Scene, place: Place) -> Iterator[Difference]:
    shared = min(len(recorded), len(observed))
    for index in range(shared):
        yield from walk_pair(recorded[index], observed[index], scene, Place(f"{place.at}[{index}]", f"{place.path}[*]", place.key))
    yield from _alone(recorded, range(shared, len(recorded)), place, missing=True)
    yield from _alone(observed, range(shared, len(observed)), place, missing=False)


def _alone(items: Sequence[Value], indices: Sequence[int], place: Place, *, missing: bool) -> Iterator[Difference]:
    for index in indices:
        value, path = items[index], f"{place.path}[*]"
        if missing:
            at, change = f"{place.at}[{index}]", f"{type_name(value)} → absent"
            yield Difference(DifferenceClass.SEMANTIC, "missing-item", path, at, value, ABSENT, change)
        else:
            at, change = f"{place.at}[+{index}]", f"absent → {type_name(value)}"
            yield Difference(DifferenceClass.SEMANTIC, "extra-item", path, at, ABSENT, value, change)


def _with_sets(recorded: Value, observed: Value, *, inside: bool) -> Value:
    """Give the observed value with the sets of its schemas in the recorded order, where they are the same sets."""
    if isinstance(recorded, dict) and isinstance(observed, dict):
        return {
            key: recorded[key]
            if inside and key in _SETS and _same_set(recorded.get(key), value)
            else _with_sets(recorded[key], value, inside=inside or key in _SCHEMAS)
            if key in recorded
            else value
            for key, value in observed.items()
        }
    if isinstance(recorded, list) and isinstance(observed, list) and len(recorded) == len(observed):
        return [_with_sets(one, two, inside=inside) for one, two in zip(recorded, observed, strict=True)]
    return observed


def _same_set(one: Value, two: Value) -> bool:
    if not isinstance(one, list) or not isinstance(two, list) or len(one) != len(two):
        return False
    return sorted(map(dump, one)) == sorted(map(dump, two))
