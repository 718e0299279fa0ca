"""One recorded exchange against one observed one."""

from collections.abc import Callable

import pytest

from replay.compare.exchanges import compare_exchange
from replay.compare.state import Scene
from replay.model import EndReason, Exchange, NoResponse, Response

type Maker = Callable[..., Exchange]
type Scenes = Callable[[], Scene]


def kinds(one: Exchange, two: Exchange, scene: Scene) -> list[str]:
    """Give the kinds of all differences."""
    return [found.kind for found in compare_exchange(one, two, scene)]


def test_equal_answers_have_no_difference(exchange: Maker, scene: Scenes) -> None:
    """The same answer again is no difference."""
    assert kinds(exchange(body={"a": 1}), exchange(body={"a": 1}), scene()) == []


def test_no_answer_is_structural(exchange: Maker, scene: Scenes, no_answer: NoResponse) -> None:
    """An answer that did not come is one structural difference."""
    found = compare_exchange(exchange(body={}), exchange(outcome=no_answer), scene())

    assert [(item.kind, str(item.difference)) for item in found] == [("no-response", "structural")]


def test_another_status_class_derives_the_body(exchange: Maker, scene: Scenes) -> None:
    """Where 200 became 404 the body's difference follows from it and is said once."""
    found = compare_exchange(exchange(body={"a": 1, "b": 2}), exchange(body={"error": "no"}, status=404), scene())

    assert [(item.kind, bool(item.derived_from)) for item in found] == [("status", False), ("body", True)]


def test_another_status_of_the_same_class_hides_nothing(exchange: Maker, scene: Scenes) -> None:
    """200 against 201 is found, and so is what differs in the body."""
    assert kinds(exchange(body={"a": 1}), exchange(body={"a": 2}, status=201), scene()) == ["status", "value"]


def test_html_for_json_is_a_body_kind(exchange: Maker, scene: Scenes) -> None:
    """A page where JSON was is found, with its usual cause."""
    found = compare_exchange(exchange(body={}), exchange(raw=b"<!doctype html>", media=b"text/html"), scene())

    assert [(item.kind, item.quirk) for item in found] == [("body-kind", "q-html-fallback"), ("content-type", "q-content-type")]


def test_one_unreadable_body_is_found(exchange: Maker, scene: Scenes) -> None:
    """A body that is JSON on one side only never counts as equal."""
    assert "body-kind" in kinds(exchange(body={"a": 1}), exchange(raw=b'{"a": 1', media=b"application/json"), scene())


def test_duplicate_keys_are_found(exchange: Maker, scene: Scenes) -> None:
    """A duplicate key is a difference though every reader sees the same value."""
    assert kinds(exchange(raw=b'{"a":1}'), exchange(raw=b'{"a":1,"a":1}'), scene()) == ["body-form"]


@pytest.mark.parametrize("name", [b"retry-after", b"WWW-Authenticate", b"access-control-allow-origin", b"x-made-up"])
def test_a_missing_header_is_found(exchange: Maker, scene: Scenes, name: bytes) -> None:
    """Every header counts, unless it is the transport's."""
    assert kinds(exchange(body={}, headers=((name, b"1"),)), exchange(body={}), scene()) == ["header"]


def test_transport_headers_are_left_out_and_counted(exchange: Maker, scene: Scenes) -> None:
    """Date and length are not compared, and the count says so."""
    here = scene()

    assert kinds(exchange(body={}, headers=((b"Date", b"x"),)), exchange(body={}, headers=((b"date", b"y"),)), here) == []
    assert here.side.not_compared["header date"] == 1


def test_a_charset_counts_and_its_spelling_does_not(exchange: Maker, scene: Scenes) -> None:
    """`application/json; charset=UTF-8` differs from `application/json` and equals `application/json;charset=utf-8`."""
    one = exchange(body={}, media=b"application/json; charset=UTF-8")

    assert kinds(one, exchange(body={}), scene()) == ["content-type"]
    assert kinds(one, exchange(body={}, media=b"application/json;charset=utf-8"), scene()) == []


EVENTS = b'data: {"type":"connected"}\n\ndata: {"n":1}\n\n'


def test_a_missing_event_is_structural(exchange: Maker, scene: Scenes) -> None:
    """A stream that ends an event early is found in its events."""
    one = exchange(raw=EVENTS, media=b"text/event-stream")
    two = exchange(raw=EVENTS[:28], media=b"text/event-stream")

    assert kinds(one, two, scene()) == ["stream-events"]


def test_keep_alives_are_no_events(exchange: Maker, scene: Scenes) -> None:
    """Comments in a stream are not compared, and counted."""
    here = scene()
    one = exchange(raw=EVENTS, media=b"text/event-stream")
    two = exchange(raw=b": ping\n\n" + EVENTS, media=b"text/event-stream")

    assert kinds(one, two, here) == []
    assert here.side.not_compared["stream keep-alives and comments"] == 1


def test_a_stream_that_the_daemon_ends_is_found(exchange: Maker, scene: Scenes) -> None:
    """A stream left open in the recording and closed by the candidate differs in its end."""
    one = exchange(raw=EVENTS, media=b"text/event-stream", end=EndReason.CLIENT_LEFT)
    two = exchange(raw=EVENTS, media=b"text/event-stream")

    assert kinds(one, two, scene()) == ["stream-end"]
    assert kinds(two, one, scene()) == ["stream-end"]


def test_binary_bodies_are_compared_by_bytes(exchange: Maker, scene: Scenes) -> None:
    """One byte of a picture is enough."""
    one = exchange(raw=b"\x89PNG\0\xff\x01", media=b"image/png")

    assert kinds(one, exchange(raw=b"\x89PNG\0\xff\x02", media=b"image/png"), scene()) == ["value"]
    assert kinds(one, one, scene()) == []


def test_head_announces_something_or_nothing(exchange: Maker, scene: Scenes) -> None:
    """An answer to HEAD without a length differs from one with: the length is all there is of the body."""
    one = exchange(raw=b"", method=b"HEAD", headers=((b"Content-Length", b"412"),))
    two = exchange(raw=b"", method=b"HEAD", headers=((b"Content-Length", b"0"),))

    assert kinds(one, two, scene()) == ["header"]
    assert kinds(one, exchange(raw=b"", method=b"HEAD", headers=((b"content-length", b"398"),)), scene()) == []


def test_still_at_it_and_done_are_two_bodies(exchange: Maker, scene: Scenes) -> None:
    """Where 202 became 200 the body's difference follows from it."""
    found = compare_exchange(exchange(body={"status": "computing"}, status=202), exchange(body={"offset": 0, "nodes": []}), scene())

    assert [(item.kind, bool(item.derived_from)) for item in found] == [("status", False), ("body", True)]


@pytest.mark.parametrize("end", [EndReason.TIMEOUT, EndReason.SERVER_CLOSED])
def test_a_whole_answer_that_does_not_end_is_found(exchange: Maker, scene: Scenes, end: EndReason) -> None:
    """All bytes of a body may be there, and its client still waits for the end, or reports that it was cut."""
    assert kinds(exchange(body={}), exchange(body={}, end=end), scene()) == ["stream-end"]
    assert kinds(
        exchange(raw=b"data: x\n\n", media=b"text/event-stream"), exchange(raw=b"data: x\n\n", media=b"text/event-stream", end=end), scene()
    )


@pytest.mark.parametrize("other", [b"id: 2\ndata: x\n\n", b"data: x\n\n", b"id: 1\nretry: 9\ndata: x\n\n", b"id: 1\ndata: x\n"])
def test_all_of_an_event_is_compared(exchange: Maker, scene: Scenes, other: bytes) -> None:
    """An event's id, its retry time, and whether it was finished are part of what a client sees."""
    one = exchange(raw=b"id: 1\ndata: x\n\n", media=b"text/event-stream")

    assert len(kinds(one, exchange(raw=other, media=b"text/event-stream"), scene())) == 1


def test_a_second_content_type_is_found(exchange: Maker, scene: Scenes) -> None:
    """A content type said twice is not one spelt differently."""
    assert kinds(exchange(body={}), exchange(body={}, headers=((b"content-type", b"text/html"),)), scene()) == ["content-type"]


def test_a_body_that_was_never_seen_is_not_compared(exchange: Maker, scene: Scenes) -> None:
    """Where the recorded client left before the body came, status and headers are compared, and the body is counted as left out."""
    here = scene()
    unseen = exchange(outcome=Response(b"HTTP/1.1", 200, b"", ((b"content-type", b"application/json"),), None), end=EndReason.CLIENT_LEFT)

    assert kinds(unseen, exchange(body={"a": 1}), here) == []
    assert here.side.not_compared["bodies that the recording does not hold"] == 1
    assert kinds(unseen, exchange(body={"a": 1}, status=500), here) == ["status"]
    assert kinds(exchange(body={"a": 1}), unseen, scene()) == ["body-missing"]
