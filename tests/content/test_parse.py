"""What bodies hold."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.content import Content, Event, Number, dump, embedded, event_ends, load, parse, read_events, strings, walk
from replay.content.values import NotJsonError

JSON = b"application/json"


def test_numbers_keep_their_spelling() -> None:
    """1, 1.0 and 1e0 are three values of the same amount."""
    content = parse(b"[1, 1.0, 1e0, 123456789012345678901234567890, 1e400]", JSON)
    assert content.value == [Number("1"), Number("1.0"), Number("1e0"), Number("123456789012345678901234567890"), Number("1e400")]
    assert Number("1") != Number("1.0")
    assert Number("1").value == Number("1e0").value == 1
    assert Number("123456789012345678901234567890").value == 123456789012345678901234567890
    assert Number("9" * 9000).value == float("inf")


def test_odd_json_is_noted_not_lost() -> None:
    """Duplicate keys, NaN and lone surrogates are read and said."""
    content = parse(b'{"a":1,"a":2,"b":NaN,"c":"\\ud800"}', JSON)
    assert content.kind == "json"
    assert content.value == {"a": Number("2"), "b": Number("NaN"), "c": "\ud800"}
    assert content.notes == ("NaN is not JSON", 'duplicate key "a"')


@pytest.mark.parametrize(
    ("body", "media", "kind"),
    [
        (b"", JSON, "empty"),
        (b'{"a":1}', b"text/plain; charset=UTF-8", "json"),
        (b'{"a":1}', None, "json"),
        (b"not found", b"text/plain", "text"),
        (b"{broken", JSON, "text"),
        (b"<html>", b"text/html; charset=utf-8", "html"),
        (b"\x89PNG\x00", b"image/png", "binary"),
        (b"\xff\xfe", None, "binary"),
        (b"a=1&b=%C3%A9", b"application/x-www-form-urlencoded", "form"),
        (b'{"a":1}\n{"a":2}\n', b"application/x-ndjson", "ndjson"),
        (b"data: 1\n\n", b"text/event-stream", "sse"),
        (b"[" * 100_000, JSON, "text"),
        (b"[" * 900 + b"]" * 900, JSON, "text"),
        (b'{"a":"\xff"}', JSON, "json"),
    ],
)
def test_kinds(body: bytes, media: bytes | None, kind: str) -> None:
    """A body is what it holds, whatever its media type says."""
    assert parse(body, media).kind == kind


def test_form_and_ndjson_values() -> None:
    """Forms are pairs; each line of NDJSON is a value, and a broken line is its text with a note."""
    assert parse(b"a=1&b=%C3%A9+x&c=", b"application/x-www-form-urlencoded").value == (("a", "1"), ("b", "é x"), ("c", ""))
    content = parse(b'{"a":1}\nbroken\n', b"application/x-ndjson")
    assert content.value == ({"a": Number("1")}, "broken")
    assert content.notes[0].startswith("line 2 is not JSON")


def test_event_stream() -> None:
    """Events follow the standard: names, joined data, ids, comments apart, the unfinished last one marked."""
    text = ': hello\r\nevent: meta\r\nid: 7\r\ndata: {"a":1}\r\n\r\nretry: 500\ndata: one\ndata:two\n\n: keepalive\n\ndata: [DONE]'
    content = parse(text.encode(), b"text/event-stream; charset=utf-8")
    assert content.value == (
        Event(name="meta", data={"a": Number("1")}, text='{"a":1}', id="7", json=True),
        Event(name="message", data="one\ntwo", text="one\ntwo", retry=500),
        Event(name="message", data="[DONE]", text="[DONE]", finished=False),
    )
    assert content.comments == ("hello", "keepalive")
    assert content.notes == ("the last event is unfinished",)


def test_event_without_data_is_none() -> None:
    """A name without data gives no event, as in browsers; a cut field name counts as an unfinished event."""
    assert read_events("event: x\n\n") == ((), ())
    (event,), _ = read_events("da")
    assert not event.finished
    assert read_events("\n") == ((), ())


def test_strings_reach_keys_and_json_in_strings() -> None:
    """Every string is found with its path: values, keys, and those of JSON held in a string."""
    inner = json.dumps({"id": "x", "deep": json.dumps(["y"])})
    content = parse(json.dumps({"result": [{"text": inner}], "a b": None}).encode(), JSON)
    found = dict(strings(content))
    assert found["$.result~key"] == "result"
    assert found["$.result[0].text.<json>.id"] == "x"
    assert found["$.result[0].text.<json>.deep.<json>[0]"] == "y"
    assert '$["a b"]~key' in found


def test_walk_gives_leaves_in_order() -> None:
    """Leaves come in order, empty containers among them."""
    value, _ = load('{"a":[1,{}],"b":[],"c":{"d":null}}')
    assert [path for path, _ in walk(value)] == ["$.a[0]", "$.a[1]", "$.b", "$.c.d"]


def test_embedded_only_takes_objects_and_lists() -> None:
    """A string that looks like JSON and is none stays a string."""
    assert embedded('{"a":[]}') == {"a": []}
    assert embedded(" [1]\n") == [Number("1")]
    assert embedded("[agent 5]") is None
    assert embedded("12") is None
    assert embedded('"x"') is None


@given(st.binary(max_size=300), st.sampled_from([None, JSON, b"text/plain", b"text/event-stream", b"application/x-ndjson", b"image/png", b";"]))
def test_parse_is_total(body: bytes, media: bytes | None) -> None:
    """Any bytes under any media type are read without an error, and so are their strings."""
    content = parse(body, media)
    assert isinstance(content, Content)
    list(strings(content))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
        max_leaves=12,
    )
)
def test_dump_writes_what_load_reads(value: object) -> None:
    """Reading, writing and reading again gives the same value."""
    first, _ = load(json.dumps(value))
    assert load(dump(first))[0] == first


def test_not_json_says_where() -> None:
    """The error names the place."""
    with pytest.raises(NotJsonError, match="char 1"):
        load("{,}")


def test_doubled_keys_give_both_readings() -> None:
    """A body with a doubled key holds what a client that keeps the first value sees, too."""
    content = parse(b'{"a":1,"a":2}', JSON)

    assert (content.value, content.as_first) == ({"a": Number("2")}, {"a": Number("1")})
    assert parse(b'{"a":1}', JSON).as_first is None


def test_thousands_of_broken_lines_are_some_notes() -> None:
    """Of a stream of broken lines a few are told, and the rest counted."""
    assert len(parse(b"{broken\n" * 500, b"application/x-ndjson").notes) == 21


@given(st.lists(st.sampled_from(["data: a", "data", "event: x", ": c", "", "id: 1", "ev"]), max_size=12), st.sampled_from(["\n", "\r\n", "\r"]))
def test_each_event_has_its_end(lines: list[str], end: str) -> None:
    """There is one end for each event, and what comes before it holds just the events so far."""
    body = end.join(lines).encode()
    events, _ = read_events(body.decode())
    ends = event_ends(body)

    assert len(ends) == len(events)
    for number, stop in enumerate(ends, 1):
        assert len([event for event in read_events(body[:stop].decode())[0] if event.data or event.name]) >= number


def test_later_events_of_a_huge_stream_stay_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a bound events are not read as JSON."""
    monkeypatch.setattr("replay.content.sse.READ_EVENTS_MAX", 1)
    events, _ = read_events("data: 1\n\ndata: 2\n\n")

    assert [event.json for event in events] == [True, False]
