"""How headers are compared, each by what a client does with it."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from replay.compare.exchanges import compare_exchange
from replay.compare.state import Scene
from replay.model import Exchange, Header, Response

type Maker = Callable[..., Exchange]
type Scenes = Callable[[], Scene]


def found(make: Maker, scene: Scene, one: list[Header], two: list[Header]) -> list[tuple[str, str]]:
    """Give (kind, transition) of all that differs in two heads."""
    differences = compare_exchange(make(body={}, headers=tuple(one)), make(body={}, headers=tuple(two)), scene)
    return [(item.kind, item.transition) for item in differences]


@pytest.mark.parametrize(
    ("name", "one", "two"),
    [
        (b"Vary", b"Origin, Origin", b"origin"),
        (b"vary", b"Origin, Accept", b"Accept,Origin"),
        (b"Allow", b"GET, HEAD", b"HEAD,GET"),
        (b"Cache-Control", b"no-cache, max-age=60", b"max-age=60,no-cache"),
        (b"access-control-allow-methods", b"GET,PUT", b"PUT, GET"),
        (b"retry-after", b"30", b"29"),
        (b"server-timing", b"db;dur=1.5", b"db;dur=20"),
        (b"www-authenticate", b"Bearer realm=x", b"bearer realm=x"),
        (b"etag", b'"5f18c2a90d"', b'"77ab91c0e2"'),
        (b"mcp-session-id", b"0123456789session", b"9876543210session"),
        (b"x-request-id", b"82e9beee-9b05-4be8-84dc-a46eec3e988a", b"a9b629f8-1d8a-48f4-a775-94f7864f1411"),
        (b"link", b'</a>; rel="next"', b"</a>;rel=next"),
        (b"set-cookie", b"s=abcdefgh12; Path=/; HttpOnly", b"s=hgfedcba34; httponly; path=/"),
    ],
)
def test_what_means_the_same_is_no_difference(exchange: Maker, scene: Scenes, name: bytes, one: bytes, two: bytes) -> None:
    """Sets in another order, values that are the daemon's own to choose and measured times are let pass, and counted."""
    here = scene()

    assert found(exchange, here, [(name, one)], [(name, two)]) == []
    if name not in {b"www-authenticate", b"link"}:
        assert here.side.tolerated


@pytest.mark.parametrize(
    ("name", "one", "two", "transition"),
    [
        (b"vary", b"Origin, Accept", b"Origin", "accept missing"),
        (b"allow", b"GET", b"GET, HEAD", "head more"),
        (b"cache-control", b"no-cache, max-age=60", b"no-store, max-age=90", "no-cache missing, no-store more, max-age: another amount"),
        (b"retry-after", b"30", b"300", "another time to wait"),
        (b"retry-after", b"30", b"0", "another time to wait"),
        (b"retry-after", b"30", b"Mon, 23 Nov 2026 22:08:01 GMT", "seconds → moment"),
        (b"x-ratelimit-limit", b"120", b"60", "text"),
        (b"etag", b'W/"5f18c2a90d"', b'"5f18c2a90d"', "weak → strong"),
        (b"etag", b'"1"', b'"2"', "text"),
        (b"link", b"</a>;rel=next", b"</a>;rel=prev", "value: text"),
        (b"location", b"/a/b", b"/a/c", "text"),
        (b"x-unknown", b"a", b"b", "text"),
    ],
)
def test_what_means_something_else_is_found(  # noqa: PLR0917  # the fixtures and one case
    exchange: Maker, scene: Scenes, name: bytes, one: bytes, two: bytes, transition: str
) -> None:
    """A member, an amount or a text that is another one is one difference of its header."""
    assert found(exchange, scene(), [(name, one)], [(name, two)]) == [("header", transition)]


def test_each_attribute_of_a_cookie_counts(exchange: Maker, scene: Scenes) -> None:
    """A cookie that lost its HttpOnly, lives longer or is gone is found; a new one, too."""
    cookie = b"s=abcdefgh12; Path=/; HttpOnly; Max-Age=60"

    assert found(exchange, scene(), [(b"set-cookie", cookie)], [(b"set-cookie", b"s=abcdefgh12; Path=/; Max-Age=600")]) == [
        ("header", "httponly missing"),
        ("header", "max-age: number"),
    ]
    assert found(exchange, scene(), [(b"set-cookie", cookie)], [(b"set-cookie", b"t" + cookie[1:])]) == [
        ("header", "cookie missing"),
        ("header", "cookie more"),
    ]


def test_an_opaque_value_stands_for_one_other(exchange: Maker, scene: Scenes) -> None:
    """An entity tag may be another one; the same recorded tag can't be two observed ones."""
    here = scene()
    one, two, three = ([(b"etag", value)] for value in (b'"5f18c2a90d"', b'"77ab91c0e2"', b'"0000000001"'))

    assert found(exchange, here, one, two) == []
    assert found(exchange, here, one, two) == []
    assert found(exchange, here, one, three) == [("header", "etag → another etag")]
    assert found(exchange, here, three, two) == [("header", "two recorded values of etag became one")]
    assert found(exchange, here, one, one) == [("header", "etag → another etag")]


def test_a_charset_is_told_from_another_type(exchange: Maker, scene: Scenes) -> None:
    """A content type that lost its charset has its usual cause, and another type has another."""
    html = exchange(raw=b"<p>", media=b"text/html; charset=utf-8")

    assert [item.quirk for item in compare_exchange(html, exchange(raw=b"<p>", media=b"text/html"), scene())] == ["q-charset"]
    assert [item.quirk for item in compare_exchange(html, exchange(raw=b"<p>", media=b"application/xhtml+xml"), scene())] == ["q-content-type"]


@pytest.mark.parametrize(("one", "two", "quirk"), [(b"chunked", b"12", "q-chunked"), (b"", b"12", ""), (b"chunked", b"", None)])
def test_head_names_chunked(exchange: Maker, scene: Scenes, one: bytes, two: bytes, quirk: str | None) -> None:
    """Where a HEAD answer announces no length because its body would be chunked, the finding says so."""
    left, right = ((b"transfer-encoding" if value == b"chunked" else b"content-length", value) for value in (one, two))
    made = compare_exchange(exchange(raw=b"", method=b"HEAD", headers=(left,)), exchange(raw=b"", method=b"HEAD", headers=(right,)), scene())

    assert [item.quirk for item in made] == ([] if quirk is None else [quirk])


def test_byte_for_byte_the_spelling_counts(exchange: Maker, scene: Scenes) -> None:
    """On a route that is compared byte for byte another order of a list, or spelling of a type, is a difference."""
    here = replace(scene(), bytewise=True)

    assert found(exchange, here, [(b"vary", b"a, b")], [(b"vary", b"b, a")]) == [("bytes", "order, repetition or case of a list")]
    assert [
        item.kind
        for item in compare_exchange(exchange(body={}, media=b"text/plain;charset=x"), exchange(body={}, media=b"text/plain; charset=X"), here)
    ] == ["bytes"]


def test_trailers_are_headers_that_come_late(exchange: Maker, scene: Scenes) -> None:
    """A trailer that is another one is found at its own place."""
    one = exchange(body={})
    assert isinstance(one.outcome, Response)
    two = replace(one, outcome=replace(one.outcome, trailers=((b"x-sum", b"1"),)))

    assert [(item.path, item.transition) for item in compare_exchange(one, two, scene())] == [("trailer:x-sum", "absent → present")]
