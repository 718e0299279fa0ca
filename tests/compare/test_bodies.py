"""Bodies that are no plain JSON, refusals, and byte for byte."""

import gzip
import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from replay.compare.difference import shown
from replay.compare.exchanges import compare_exchange
from replay.compare.modes import Modes
from replay.compare.state import Scene
from replay.content import dump
from replay.model import Exchange

type Maker = Callable[..., Exchange]
type Scenes = Callable[[], Scene]

TEXT = b"text/plain"
FORM = b"application/x-www-form-urlencoded"
NDJSON = b"application/x-ndjson"


def told(one: Exchange, two: Exchange, scene: Scene) -> list[tuple[str, str, str]]:
    """Give (kind, place, transition) of all that differs."""
    return [(item.kind, item.at, item.transition) for item in compare_exchange(one, two, scene)]


# --- text and pages ---

PAGE = "\n".join(["# Memory", "", *(f"- fact number {n} that somebody wrote down with care" for n in range(40)), "", "made by hand"])


def test_a_long_text_tells_the_line_that_differs(exchange: Maker, scene: Scenes) -> None:
    """One changed line of forty is one finding at its line, with that line and not the page."""
    (found,) = compare_exchange(
        exchange(raw=PAGE.encode(), media=TEXT), exchange(raw=PAGE.replace("number 7 ", "number 8 ").encode(), media=TEXT), scene()
    )

    assert (found.kind, found.path, found.at) == ("value", "$", "$.<line>[9]")
    assert found.recorded == "- fact number 7 that somebody wrote down with care"


def test_lines_that_are_gone_or_more_are_told(exchange: Maker, scene: Scenes) -> None:
    """A line less and a line more are two findings."""
    other = PAGE.replace("- fact number 3 that somebody wrote down with care\n", "").replace("made by hand", "made by hand\nand more")

    assert told(exchange(raw=PAGE.encode(), media=TEXT), exchange(raw=other.encode(), media=TEXT), scene()) == [
        ("missing-item", "$.<line>[5]", "line missing"),
        ("extra-item", "$.<line>[+43]", "line more"),
    ]


def test_another_text_is_one_difference(exchange: Maker, scene: Scenes) -> None:
    """A text with hardly a line in common is not told line by line."""
    other = "\n".join(f"nothing of this was there before, line {n}" for n in range(40))

    assert told(exchange(raw=PAGE.encode(), media=TEXT), exchange(raw=other.encode(), media=TEXT), scene()) == [("value", "$", "text")]


def test_a_long_line_shows_the_part_that_differs(exchange: Maker, scene: Scenes) -> None:
    """Of a text of one long line people see the differing part with a little around it."""
    one, two = ("word " * 2000 + end + " word" * 2000 for end in ("here", "there"))
    (found,) = compare_exchange(exchange(raw=one.encode(), media=TEXT), exchange(raw=two.encode(), media=TEXT), scene())

    assert isinstance(found.observed, str)
    assert "there" in found.observed
    assert len(found.observed) < 300


def test_a_page_may_load_files_of_another_build(exchange: Maker, scene: Scenes) -> None:
    """A hash in the name of a file is a role; another file, title or text is found at its own place."""
    here = scene()
    page = '<html><head><title>Home</title><script src="/app/start.CX3fB2aQ.js"></script></head><body>Hello</body></html>'
    one = exchange(raw=page.encode(), media=b"text/html")

    assert told(one, exchange(raw=page.replace("CX3fB2aQ", "Zq91LmNp").encode(), media=b"text/html"), here) == []
    assert here.side.tolerated["hash in the name of a file", here.route, "$"] == 1
    other = page.replace("Home", "Away").replace("start.CX3fB2aQ", "begin.CX3fB2aQ").replace("Hello", "Bye")
    assert [item[1] for item in told(one, exchange(raw=other.encode(), media=b"text/html"), scene())] == [
        "$.<html>.loads[0]",
        "$.<html>.title",
        "$",
    ]


# --- bytes, forms and lines ---


def test_bytes_differ_by_kind_or_by_content(exchange: Maker, scene: Scenes) -> None:
    """A gzip where a picture was is another kind of body; another picture is another value."""
    picture, packed = b"\x89PNG\r\n\x1a\n\xff\0", gzip.compress(b"x", mtime=0)
    media = b"application/octet-stream"

    assert told(exchange(raw=picture, media=media), exchange(raw=packed, media=media), scene()) == [("body-kind", "body", "png → gzip")]
    assert told(exchange(raw=picture, media=media), exchange(raw=picture + b"\1", media=media), scene()) == [("value", "body", "png")]


def test_a_compressed_body_is_opened(exchange: Maker, scene: Scenes) -> None:
    """Two ways to pack one answer are one answer; what is in it is walked."""
    coded = ((b"content-encoding", b"gzip"),)
    one, two, three = (gzip.compress(json.dumps(body).encode(), level, mtime=0) for body, level in (({"a": 1}, 1), ({"a": 1}, 9), ({"a": 2}, 9)))

    assert told(exchange(raw=one, headers=coded), exchange(raw=two, headers=coded), scene()) == []
    assert told(exchange(raw=one, headers=coded), exchange(raw=three, headers=coded), scene()) == [("value", "$.a", "number")]
    assert told(exchange(raw=one[:9], headers=coded), exchange(raw=one[:9], headers=coded), scene()) == []


def test_forms_are_compared_by_name(exchange: Maker, scene: Scenes) -> None:
    """The order of fields says nothing, their values and repeats do."""
    one = exchange(raw=b"a=1&b=2&b=3", media=FORM)

    assert told(one, exchange(raw=b"b=2&a=1&b=3", media=FORM), scene()) == []
    assert [item[:2] for item in told(one, exchange(raw=b"a=1&b=2&b=4", media=FORM), scene())] == [("value", "$.<form>.b[1]")]
    assert [item[0] for item in told(one, exchange(raw=b"b=2&b=3", media=FORM), scene())] == ["missing-key"]


def test_lines_of_json_are_walked(exchange: Maker, scene: Scenes) -> None:
    """A line that says something else differs at its leaf, a lost line is missing."""
    one = exchange(raw=b'{"id":"a","n":1}\n{"id":"b","n":2}\n', media=NDJSON)

    assert told(one, exchange(raw=b'{"id":"a","n":1}\n{"id":"b","n":3}\n', media=NDJSON), scene()) == [("value", "$.<ndjson>[1].n", "number")]
    assert told(one, exchange(raw=b'{"id":"a","n":1}\n', media=NDJSON), scene()) == [("missing-item", "$.<ndjson>[1]", "object → absent")]


def test_a_line_that_changed_stands_where_it_stood(exchange: Maker, scene: Scenes) -> None:
    """Between the same neighbours a line with another content is one that changed, however little is alike; another order is one finding."""
    lines = [b'{"event":"start","n":%d}' % n for n in range(4)]
    other = [*lines[:2], b'{"event":"start","n":77}', lines[3]]
    swapped = [lines[1], lines[0], *lines[2:]]

    assert told(exchange(raw=b"\n".join(lines), media=NDJSON), exchange(raw=b"\n".join(other), media=NDJSON), scene()) == [
        ("value", "$.<ndjson>[2].n", "number")
    ]
    assert told(exchange(raw=b"\n".join(lines), media=NDJSON), exchange(raw=b"\n".join(swapped), media=NDJSON), scene()) == [
        ("order", "$.<ndjson>", "order")
    ]
    assert [item[0] for item in told(exchange(raw=b"1\n2\n", media=NDJSON), exchange(raw=b"2\n", media=NDJSON), scene())] == ["missing-item"]


# --- doubled keys and refusals ---


@pytest.mark.parametrize(
    ("one", "two"), [(b'{"a":1,"a":2}', b'{"a":3,"a":2}'), (b'{"a":1,"a":2}', b'{"a":1,"a":3}'), (b'{"a":2}', b'{"a":1,"a":2}')]
)
def test_doubled_keys_must_agree_for_every_client(exchange: Maker, scene: Scenes, one: bytes, two: bytes) -> None:
    """What a client sees that keeps the first value, and one that keeps the last, must both be the same."""
    assert ("value", "$.a", "number") in told(exchange(raw=one), exchange(raw=two), scene())
    assert told(exchange(raw=one), exchange(raw=one), scene()) == []


@pytest.mark.parametrize(
    ("said", "status", "quirk"),
    [
        (b"Failed to deserialize the JSON body into the target type: missing field", 422, "q-typed-body"),
        (b"Expected request with `Content-Type: application/json`", 415, "q-typed-body"),
        (b"Failed to deserialize query string: limit: invalid digit", 400, "q-typed-body"),
        (b"Failed to buffer the request body: length limit exceeded", 413, "q-body-limit"),
        (b"no", 400, ""),
    ],
)
def test_typed_refusals_are_named(exchange: Maker, scene: Scenes, said: bytes, status: int, quirk: str) -> None:
    """A refusal in plain text by a typed extractor, where the primary writes JSON, is a known habit."""
    found = compare_exchange(exchange(body={"error": "x"}, status=400), exchange(raw=said, media=TEXT, status=status), scene())

    assert {item.quirk for item in found if item.kind in {"status", "body-kind"}} == {quirk}


def test_an_error_in_another_envelope_is_one_difference(exchange: Maker, scene: Scenes) -> None:
    """`error` as text against an object with a message is one habit; another text is found beside it, and so is what else they hold."""
    one = exchange(body={"error": "no such thing", "id": 1}, status=404)
    same, other = ({"error": {"message": text, "details": None}, "id": ident} for text, ident in (("no such thing", 1), ("gone", 2)))

    assert told(one, exchange(body=same, status=404), scene()) == [("error-envelope", "$", "error: text → error: object")]
    assert told(one, exchange(body=other, status=404), scene()) == [
        ("error-envelope", "$", "error: text → error: object"),
        ("value", "$.<error>", "text"),
        ("value", "$.id", "number"),
    ]


# --- byte for byte ---


@pytest.mark.parametrize(
    ("one", "two", "transitions"),
    [
        (b'{"a":1,"b":2}', b'{"b":2,"a":1}', ["order of keys"]),
        (b'{"a":[{"x":1,"y":2}]}', b'{"a": [{"y":2,"x":1}]}', ["order of keys", "white space"]),
        (b'{"a":1}', b'{\n  "a": 1\n}', ["white space"]),
        (b'{"a":"\\u00e9/"}', '{"a":"é\\/"}'.encode(), ["escapes in texts"]),
        (b"[1]", b"[1]\n", ["white space"]),
        (b'{"a":1}', b'{"a":1}', []),
    ],
)
def test_byte_for_byte_says_what_differs(exchange: Maker, scene: Scenes, one: bytes, two: bytes, transitions: list[str]) -> None:
    """What is equal in meaning and not in bytes is a `bytes` finding that names what differs; by meaning it is none."""
    assert told(exchange(raw=one), exchange(raw=two), scene()) == []
    assert [item[2] for item in told(exchange(raw=one), exchange(raw=two), replace(scene(), bytewise=True))] == transitions


def test_other_parts_are_no_other_white_space(exchange: Maker, scene: Scenes) -> None:
    """Where one side has parts that the other lacks, only what stands between the same signs says how white space is set."""
    here = replace(scene(), bytewise=True)
    one, two, three = b'{"a":[1],"b":2}', b'{"a":[1]}', b'{"a": [1]}'

    assert [item[2] for item in told(exchange(raw=one), exchange(raw=two), here)] == ["integer → absent"]
    assert [item[2] for item in told(exchange(raw=one), exchange(raw=three), here)] == ["integer → absent", "white space"]


def test_byte_for_byte_ids_are_still_ids(exchange: Maker, scene: Scenes) -> None:
    """An id that stands for another one is no difference of bytes."""
    here = replace(scene(), bytewise=True)
    one, two = (exchange(body={"id": ident}) for ident in ("82e9beee-9b05-4be8-84dc-a46eec3e988a", "a9b629f8-1d8a-48f4-a775-94f7864f1411"))

    assert told(one, two, here) == []


def test_forms_and_lines_byte_for_byte(exchange: Maker, scene: Scenes) -> None:
    """How fields are encoded and lines end counts byte for byte."""
    here = replace(scene(), bytewise=True)

    assert [item[2] for item in told(exchange(raw=b"a=b+c", media=FORM), exchange(raw=b"a=b%20c", media=FORM), here)] == ["encoding of fields"]
    assert [item[2] for item in told(exchange(raw=b"a=1&b=2", media=FORM), exchange(raw=b"b=2&a=1", media=FORM), here)] == ["order of fields"]
    lines = [exchange(raw=raw, media=NDJSON) for raw in (b'{"a":1,"b":2}\n', b'{"b":2,"a":1}\r\n')]
    assert [item[2] for item in told(lines[0], lines[1], here)] == ["ends of lines", "order of keys"]


def test_modes_are_told_by_route() -> None:
    """The pattern that says most of a route decides; without one a route is compared by meaning."""
    modes = Modes((("*", "meaning"), ("GET /api/export/**", "bytes"), ("GET /api/export/live", "meaning")))

    assert modes.bytewise("GET /api/export/all")
    assert modes.bytewise("GET /api/export/all/of/it")
    assert not modes.bytewise("GET /api/export/live")
    assert not modes.bytewise("POST /api/export/all")
    assert not Modes().bytewise("GET /")
    assert Modes((("* /api/*/exp*", "bytes"),)).bytewise("PUT /api/a/export")
    assert not Modes((("GET /api/*", "bytes"),)).bytewise("GET /api/a/b")
    assert Modes((("*", "bytes"),)).bytewise("GET /")


# --- what a finding keeps ---


def test_values_that_differ_in_what_is_cut_are_told_apart() -> None:
    """A long value is cut for people, and its end still counts: ids and times in it aside."""
    one, two = (shown(["x" * 5_000, end]) for end in ("a", "b"))
    first, second = (shown(["x" * 5_000, end]) for end in ("82e9beee-9b05-4be8-84dc-a46eec3e988a", "a9b629f8-1d8a-48f4-a775-94f7864f1411"))

    assert one is not None
    assert one.endswith('more characters)"')
    assert one != two
    assert first == second
    assert shown("x" * 50_000) == dump("x" * 50_000)
