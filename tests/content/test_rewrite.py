"""Exact-span rewriting, and alignment."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.content import align, rewrite, rewrite_target, rewrite_text

JSON = b"application/json"
MEDIA = st.sampled_from([None, JSON, b"text/plain", b"text/event-stream", b"application/x-ndjson", b"application/x-www-form-urlencoded"])


def swap(text: str) -> str:
    """Replace old by newer."""
    return text.replace("old", "newer")


def test_every_other_byte_stays() -> None:
    """White space, number spellings, escapes and duplicate keys around a replaced string stay as they were."""
    body = b'{ "a" : 1.0,\n "a":"\\u006fld \\/ old \\u00e9 \xc3\xa9", "old":{"x": 1e0 } }'
    new, count = rewrite(body, JSON, lambda text: [(at, at + 3, "newer") for at in range(len(text)) if text.startswith("old", at)])
    assert new == b'{ "a" : 1.0,\n "a":"newer \\/ newer \\u00e9 \xc3\xa9", "newer":{"x": 1e0 } }'
    assert count == 3


def test_json_in_strings_to_any_depth() -> None:
    """Strings that hold JSON are looked into and escaped again at every depth."""
    deep = json.dumps({"old": ["old", 'a "quote" old']})
    body = json.dumps({"t": json.dumps({"u": deep})}).encode()
    new, count = rewrite(body, JSON, swap)
    assert json.loads(json.loads(json.loads(new)["t"])["u"]) == {"newer": ["newer", 'a "quote" newer']}
    assert count == 3
    assert new == body.replace(b"old", b"newer")


def test_replacement_is_escaped() -> None:
    """Quotes, line ends and lone surrogates in a replacement are escaped once per depth."""
    body = json.dumps({"t": json.dumps({"u": "old"})}).encode()
    new, _ = rewrite(body, JSON, lambda text: text.replace("old", 'a"\n\ud800é'))
    assert json.loads(json.loads(new)["t"]) == {"u": 'a"\n\ud800é'}


@pytest.mark.parametrize(
    ("media", "body", "wanted"),
    [
        (b"text/event-stream", b': c\nid: old\ndata: {"a":"old"}\n\ndata: x old\r\ndata: old y\r\n\r\n', b"newer"),
        (b"text/event-stream", b'data: {"a":\ndata: "old", "b": "old"}\n\n', b"newer"),
        (b"application/x-ndjson", b'{"a":"old"}\nbroken old\n', b"newer"),
        (b"text/markdown", b"# old\n\nold", b"newer"),
        (b"application/x-www-form-urlencoded", b"a=old&old=1&b=x+old", b"newer"),
    ],
)
def test_other_kinds(media: bytes, body: bytes, wanted: bytes) -> None:
    """Streams, lines, forms and texts are rewritten in place."""
    assert rewrite(body, media, swap)[0] == body.replace(b"old", wanted)


def test_binary_and_broken_bodies() -> None:
    """Binary bodies stay; JSON that is cut is treated as text; invalid UTF-8 beside the span comes through."""
    assert rewrite(b"\xffold", b"image/png", swap) == (b"\xffold", 0)
    assert rewrite(b'{"a":"old', JSON, swap)[0] == b'{"a":"newer'
    assert rewrite(b'{"b":"\xff","a":"old\xfe"}', JSON, swap)[0] == b'{"b":"\xff","a":"newer\xfe"}'


def test_targets_are_seen_decoded() -> None:
    """Segments and query values are decoded for the replacement, and only a changed part is encoded again."""
    assert rewrite_target(b"/api/old/x?id=old&q=a%20b", swap) == (b"/api/newer/x?id=newer&q=a%20b", 2)
    assert rewrite_target(b"/a%2Fold", swap)[0] == b"/a%2Fnewer"
    assert rewrite_target(b"/a?since=old%3A00", lambda text: text.replace("old:00", "2026-11-23T07:37"))[0] == b"/a?since=2026-11-23T07%3A37"
    assert rewrite_target(b"/a?q=o+ld", lambda text: text.replace("o ld", "n ew"))[0] == b"/a?q=n+ew"
    assert rewrite_target(b"//%zz?%&=", swap) == (b"//%zz?%&=", 0)


@given(st.binary(max_size=300), MEDIA)
def test_nothing_replaced_nothing_changed(body: bytes, media: bytes | None) -> None:
    """When no string is replaced, any body comes back as it was."""
    assert rewrite(body, media, lambda text: text) == (body, 0)


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | inner.map(json.dumps), max_leaves=8), st.booleans())
def test_rewrite_equals_rewriting_the_values(value: object, ascii_only: bool) -> None:  # noqa: FBT001
    """Rewriting the bytes gives the same values as rewriting parsed strings."""
    body = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogateescape")
    new, _ = rewrite(body, JSON, lambda text: text.replace("0", '"x\\'))
    back, _ = rewrite(new, JSON, lambda text: text.replace('"x\\', "0"))
    if '"x\\' not in json.dumps(value) and "0" not in json.dumps(value):
        assert new == back == body
    json.loads(new)


def test_eleven_megabytes_take_linear_time() -> None:
    """A body of 11 MB, also one of many escapes, is rewritten in seconds."""
    started = time.perf_counter()
    plain = json.dumps({"content": "word old " * 1_200_000}).encode()
    assert rewrite(plain, JSON, swap)[1] == 1
    escaped = json.dumps({"content": json.dumps({"a": ['x"y old'] * 100_000})}).encode()
    assert rewrite(escaped, JSON, swap)[1] == 100_000
    assert time.perf_counter() - started < 20


def test_text_that_is_json() -> None:
    """A text that holds JSON is rewritten string by string."""
    assert rewrite_text('{"old":1}', swap) == ('{"newer":1}', 1)
    assert rewrite_text("old old", swap) == ("newer newer", 1)
    assert rewrite_text("x", swap) == ("x", 0)


def test_alignment_is_by_key() -> None:
    """Items pair by key in order; repeated keys make weak pairs; the rest is left over."""
    result = align(["a", "b", "c", "b"], ["b", "c", "a", "d"])
    assert [(pair.left, pair.right, pair.weak) for pair in result.pairs] == [(0, 2, False), (1, 0, True), (2, 1, False)]
    assert result.left_only == (3,)
    assert result.right_only == (3,)
    assert result.moved
    assert not align("ab", "ab").moved
