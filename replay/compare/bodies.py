"""
Compare the bodies of two answers by what they hold.

JSON is walked (a client that keeps the first of doubled keys is asked, too); NDJSON is walked by line and forms by name; event streams and
JSON-RPC have modules of their own; text is told by the lines that differ, pages by what they load; bytes are equal or not, by digest, each with
the kind that they begin like.
"""

import hashlib
import re
import zlib
from collections.abc import Iterator
from typing import Final, cast

from replay.compare.difference import Difference
from replay.compare.layouts import compare_layouts
from replay.compare.lines import compare_lines
from replay.compare.pages import compare_pages
from replay.compare.rpc import compare_messages, messages_of
from replay.compare.state import Place, Scene
from replay.compare.streams import compare_streams, event_value
from replay.compare.texts import narrow
from replay.compare.walk import walk_pair
from replay.content import Content, Event, Value, parse, sniff
from replay.model import DifferenceClass, EndReason, Exchange, Response

_OPENED_BYTES_MAX: Final = 64_000_000
"""A compressed body that holds more is compared as it is."""
_REFUSALS: Final = (
    ("Failed to deserialize query string", "q-typed-body"),
    ("Invalid URL", "q-typed-body"),
    ("Failed to deserialize", "q-typed-body"),
    ("Failed to parse the request body", "q-typed-body"),
    ("Expected request with `Content-Type", "q-typed-body"),
    ("Failed to buffer the request body", "q-body-limit"),
)
"""How typed extractors of Rust's web framework begin to say no, in plain text, where the primary writes JSON."""
_ENVELOPES: Final = ("error", "message", "detail", "errors", "title")
_WHERE: Final = re.compile(r"^line \d+ | at byte \d+|line \d+ column \d+ \(char \d+\)")


def content_of(response: Response) -> Content:
    """Read an answer's body; a compressed one is opened first."""
    return parse(_opened(response), response.header(b"content-type"))


def _opened(response: Response) -> bytes:
    body, coding = response.body or b"", response.header(b"content-encoding")
    if not body or coding is None or coding.strip().lower() not in {b"gzip", b"x-gzip", b"deflate"}:
        return body
    reader = zlib.decompressobj(47)  # gzip or zlib, as it says itself
    try:
        data = reader.decompress(body, _OPENED_BYTES_MAX)
    except zlib.error:
        return body
    return data if reader.eof else body


def compare_bodies(recorded: Exchange, observed: Exchange, one: Content, two: Content, scene: Scene) -> Iterator[Difference]:
    """Yield how two bodies of one kind differ, and how they are written where that is odd on one side."""
    yield from _by_kind(recorded, observed, one, two, scene)
    yield from _notes(recorded, observed, one, two)
    if scene.bytewise:
        yield from compare_layouts(_body(recorded), _body(observed), one, two)


def body_difference(kind: str, one: Content, two: Content, derived_from: str, refused: int = 0) -> Difference:
    """Make one difference of two bodies as a whole; *refused* is the observed status, which tells what some of them are."""
    return Difference(
        DifferenceClass.STRUCTURAL,
        kind,
        "body",
        "body",
        as_value(one),
        as_value(two),
        f"{one.kind} → {two.kind}",
        body_quirk(one, two, refused),
        (),
        derived_from,
    )


def body_quirk(one: Content, two: Content, status: int) -> str:
    """Name the habit that two bodies show which have nothing to do with each other; empty where none is known."""
    if two.kind == "html" and one.kind != "html":
        return "q-html-fallback"
    if one.kind == "json" and two.kind == "text" and status >= 400 and isinstance(two.value, str):
        text = two.value
        return next((quirk for beginning, quirk in _REFUSALS if text.startswith(beginning)), "")
    shapes = _envelope(one.value), _envelope(two.value)
    if status >= 400 and all(shapes) and shapes[0] != shapes[1]:
        return "q-error-envelope"
    return ""


def as_value(content: Content) -> Value:
    """Give what a body holds as one JSON value, for people and for walking."""
    match content.kind:
        case "empty":
            return ""
        case "binary":
            assert isinstance(content.value, bytes)
            digest = hashlib.sha256(content.value).hexdigest()
            return f"{sniff(content.value)}, {len(content.value)} bytes, sha256 {digest}"
        case "sse":
            return [event_value(event) for event in content.value if isinstance(event, Event)]  # type: ignore[union-attr]
        case "ndjson":
            return list(content.value)  # type: ignore[arg-type]
        case "form":
            return _form(content.value)  # type: ignore[arg-type]
        case _:
            return content.value  # type: ignore[return-value]


def _form(pairs: tuple[tuple[str, str], ...]) -> Value:
    """Fields by name; one that is repeated is a list."""
    fields: dict[str, list[Value]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in fields.items()}


def _by_kind(recorded: Exchange, observed: Exchange, one: Content, two: Content, scene: Scene) -> Iterator[Difference]:
    messages = messages_of(one)
    others = messages_of(two) if messages else []
    if messages and others:
        yield from compare_messages(messages, others, scene)
        if one.kind == "sse":
            yield from _wrappings(one, two, scene)
        return
    match one.kind:
        case "sse":
            yield from compare_streams(recorded, observed, one, two, scene)
        case "binary":
            yield from _bytes(one, two)
        case "html":
            assert isinstance(one.value, str)
            assert isinstance(two.value, str)
            for found in compare_pages(one.value, two.value, scene):
                yield from narrow(found, scene)
        case "text":
            for found in walk_pair(as_value(one), as_value(two), scene, Place()):
                yield from narrow(found, scene)
        case "json":
            yield from _json(one, two, scene, _both_refuse(recorded, observed))
        case "ndjson":
            yield from compare_lines(cast("tuple[Value, ...]", one.value), cast("tuple[Value, ...]", two.value), scene)
        case _:
            suffix = f"$.<{one.kind}>"
            yield from walk_pair(as_value(one), as_value(two), scene, Place(suffix, suffix))


def _both_refuse(recorded: Exchange, observed: Exchange) -> bool:
    return all(isinstance(side.outcome, Response) and side.outcome.status >= 400 for side in (recorded, observed))


def _wrappings(one: Content, two: Content, scene: Scene) -> Iterator[Difference]:
    """What a stream wraps its messages in: names and ids of events."""
    left, right = (
        [{key: value for key, value in event_value(event).items() if key != "data"} for event in content.value if isinstance(event, Event)]  # type: ignore[union-attr]
        for content in (one, two)
    )
    for index, (wrapped, other) in enumerate(zip(left, right, strict=False)):
        yield from walk_pair(wrapped, other, scene, Place(f"$.<sse>[{index}]", "$.<sse>[*]"))


def _bytes(one: Content, two: Content) -> Iterator[Difference]:
    assert isinstance(one.value, bytes)
    assert isinstance(two.value, bytes)
    left, right = sniff(one.value), sniff(two.value)
    if left != right:
        change = f"{left} → {right}"
        yield Difference(DifferenceClass.STRUCTURAL, "body-kind", "body", "body", as_value(one), as_value(two), change)
    elif one.value != two.value:
        yield Difference(DifferenceClass.SEMANTIC, "value", "body", "body", as_value(one), as_value(two), left)


# --- JSON ---


def _json(one: Content, two: Content, scene: Scene, refused: bool) -> Iterator[Difference]:  # noqa: FBT001
    left, right = as_value(one), as_value(two)
    if refused and (shapes := (_envelope(left), _envelope(right))) and all(shapes) and shapes[0] != shapes[1]:
        yield from _envelopes(left, right, shapes, scene)
        return
    found = list(walk_pair(left, right, scene, Place()))
    yield from found
    if one.as_first is not None or two.as_first is not None:
        known = {(item.kind, item.at) for item in found}
        first, other = (left if one.as_first is None else one.as_first), (right if two.as_first is None else two.as_first)
        for item in walk_pair(first, other, scene, Place()):
            if (item.kind, item.at) not in known:
                yield item


def _envelope(value: object) -> str:
    """Name the shape in which an error is told; empty where it is none that is known."""
    if not isinstance(value, dict):
        return ""
    for name in _ENVELOPES:
        inner = value.get(name)
        if isinstance(inner, str):
            return f"{name}: text"
        if isinstance(inner, dict):
            return f"{name}: object"
        if isinstance(inner, list):
            return f"{name}: list"
    return ""


def _envelopes(one: Value, two: Value, shapes: tuple[str, str], scene: Scene) -> Iterator[Difference]:
    """One difference for the envelope, one more where it says something else, and whatever else the two bodies hold."""
    assert isinstance(one, dict)
    assert isinstance(two, dict)
    change = f"{shapes[0]} → {shapes[1]}"
    yield Difference(DifferenceClass.STRUCTURAL, "error-envelope", "$", "$", one, two, change, "q-error-envelope")
    said = _said(one), _said(two)
    if None not in said:
        yield from walk_pair(said[0], said[1], scene, Place("$.<error>", "$.<error>", "error"))
    rest = [{key: value for key, value in side.items() if key not in _ENVELOPES} for side in (one, two)]
    yield from walk_pair(rest[0], rest[1], scene, Place())


def _said(value: Value) -> Value:
    """What an error says to people; None where it cannot be told."""
    for name in _ENVELOPES:
        if not isinstance(value, dict):
            break
        if name in value:
            value = value[name]
    return value if isinstance(value, str) else None


# --- how a body is written ---


def _notes(recorded: Exchange, observed: Exchange, one: Content, two: Content) -> Iterator[Difference]:
    if one.kind == "sse" and EndReason.CLIENT_LEFT in {recorded.end, observed.end}:
        # Whether the client left in the middle of an event is the client's affair.
        return
    odd_one, odd_two = _structural_notes(one), _structural_notes(two)
    if odd_one != odd_two:
        yield Difference(
            DifferenceClass.STRUCTURAL, "body-form", "body", "body", "; ".join(odd_one), "; ".join(odd_two), "how the body is written"
        )


def _structural_notes(content: Content) -> tuple[str, ...]:
    """Notes on the body that a client could trip over: duplicate keys, no UTF-8, no JSON. Where it stands in the body does not matter."""
    return tuple(sorted({_WHERE.sub("", note) for note in content.notes if not note.startswith("JSON, but the media type")}))


def _body(exchange: Exchange) -> bytes:
    return _opened(exchange.outcome) if isinstance(exchange.outcome, Response) else b""
