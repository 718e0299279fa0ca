"""Mutants: one fault each, made by exact span, whatever the body is."""

import json
import random

import pytest

from replay.content import parse
from replay.judge.mutants import OPERATORS, Ground, Material, apply, mutant, mutants
from replay.judge.spots import spots_of
from replay.model import Chunk, Connection, DifferenceClass, EndReason, Exchange, Request, Response

ID = "7e7c630b-c29c-449b-881e-9115bd2c0f39"
OTHER = "36b7f652-fae6-44ea-a9dd-39dd38323f12"
WHEN = "2026-11-23T23:35:51.361Z"
BODY = (
    f'{{ "items": [{{"id":"{ID}","score":0.5,"n":1200,"at":"{WHEN}"}}, {{"id":"{OTHER}","score":1.25,"n":7,"at":"{WHEN}"}}],\n'
    '  "ok": true, "none": null, "text": "The Helios ingestion service é retries 3 times", "inner": "{\\"kept\\": [1, 2]}"}\n'
)
STREAM = 'event: a\ndata: {"n": 1}\n\n: still here\n\ndata: {"n": 2}\n\ndata: {"n": 3}\n\n'


def dice(seed: int) -> random.Random:
    """Give dice that can be thrown again."""
    return random.Random(seed)  # noqa: S311  # a draw that can be repeated, no secret


def answer(body: str = BODY, media: bytes = b"application/json") -> Response:
    """Make an answer."""
    return Response(b"HTTP/1.1", 200, b"OK", ((b"content-type", media), (b"x-own", b"1")), body.encode())


def drawn(operator: str, response: Response, *, ids: tuple[str, ...] = (), seed: int = 1) -> Response | None:
    """Draw a mutant of one operator."""
    made = mutant(Ground.of(response), operator, dice(seed), Material(ids))
    return None if made is None else made.response


@pytest.mark.parametrize("operator", OPERATORS)
def test_each_operator_changes_something_somewhere(operator: str) -> None:
    """Of a JSON answer, a stream, a text and bytes, at least one has a place for each fault, and it is never what was there."""
    found = [
        made
        for response in (
            answer(),
            answer(STREAM, b"text/event-stream"),
            answer("Plain words only", b"text/plain"),
            Response(b"HTTP/1.1", 200, b"OK", ((b"content-type", b"image/png"),), b"\x89PNG\x00\xff"),
        )
        if (made := mutant(Ground.of(response), operator, dice(3), Material((OTHER.replace("3", "4"),), answer("{}")))) is not None
        and (made.response != response or made.end is not None)
    ]

    assert found
    assert {made.operator for made in found} == {operator}


def test_the_same_dice_give_the_same_mutants() -> None:
    """A seed draws the same faults again."""
    one, two = (list(mutants(answer(), dice(7))) for _ in range(2))

    assert one == two
    assert len({made.operator for made in one}) == len(one) > 30


@pytest.mark.parametrize("seed", range(20))
def test_all_but_the_place_stays_as_it_was(seed: int) -> None:
    """A change of a value leaves every other byte: white space, spelling of numbers, escapes."""
    changed = drawn("digit changed", answer(), seed=seed)

    assert changed is not None
    assert changed.body is not None
    assert sum(one != two for one, two in zip(changed.body, BODY.encode(), strict=True)) == 1


@pytest.mark.parametrize("operator", [name for name in OPERATORS if name not in {"body cut", "body emptied"}])
def test_json_stays_json(operator: str) -> None:
    """But for a body that is cut or emptied, a mutant of JSON is JSON."""
    for seed in range(5):
        changed = drawn(operator, answer(), ids=(OTHER,), seed=seed)
        if changed is not None:
            json.loads(changed.body or b"")


def test_the_places_are_those_of_the_comparer() -> None:
    """Values in lists, in JSON in strings, in events and in lines are named as findings name them."""
    response = answer()
    places = {spot.at: spot.path for spot in spots_of(response.body or b"", parse(response.body or b"", b"application/json"))}
    events = answer(STREAM, b"text/event-stream")

    assert places["$.items[1].id"] == "$.items[*].id"
    assert places["$.inner.<json>.kept[0]"] == "$.inner.<json>.kept[*]"
    assert [spot.at for spot in Ground.of(events).spots if spot.kind == "number"] == [f"$.<sse>[{n}].data.n" for n in range(3)]
    assert [spot.at for spot in Ground.of(answer("1\n2\n", b"application/x-ndjson")).spots] == ["$.<ndjson>[0]", "$.<ndjson>[1]"]


def test_a_change_inside_a_string_goes_outwards() -> None:
    """What changes in JSON that is a string stands escaped in the body."""
    response = answer('{"inner": "{\\"kept\\": true}"}')
    changed = drawn("boolean flipped", response)

    assert changed is not None
    assert json.loads(json.loads(changed.body or b"")["inner"]) == {"kept": False}


def test_classes_are_the_missions() -> None:
    """A lost key is structural, a list's order semantic, an id of another answer structural."""
    found = {made.operator: made.difference for made in mutants(answer(), dice(1), Material((ID.replace("7", "8"),)))}

    assert found["key dropped"] is found["id of another answer"] is DifferenceClass.STRUCTURAL
    assert found["list reordered"] is found["time, an hour off"] is DifferenceClass.SEMANTIC


def test_a_stream_keeps_its_times() -> None:
    """The events of a changed stream come when they came; one that broke off says so."""
    chunks = tuple(Chunk(n, float(n), part.encode() + b"\n\n") for n, part in enumerate(STREAM.split("\n\n")[:-1], 1))
    request = Request(b"GET", b"/x", b"HTTP/1.1", ())
    exchange = Exchange(1, request, answer(STREAM, b"text/event-stream"), Connection("c"), 1, 9, 0.0, 9.0, chunks=chunks)
    ground = Ground.of(answer(STREAM, b"text/event-stream"))
    dropped, broken = (mutant(ground, name, dice(1), Material()) for name in ("event dropped", "stream broken off"))
    assert dropped is not None
    assert broken is not None
    shorter = apply(dropped, exchange)

    assert [chunk.at for chunk in shorter.chunks] == [1.0, 2.0, 3.0]
    assert b"".join(chunk.data for chunk in shorter.chunks) == dropped.response.body
    assert apply(broken, exchange).end is EndReason.SERVER_CLOSED


@pytest.mark.parametrize("operator", OPERATORS)
def test_odd_text_is_no_hindrance(operator: str) -> None:
    """Lone surrogates, escapes, no UTF-8 and JSON in strings of strings can be changed like anything else."""
    inner = json.dumps({"deep": json.dumps({"odd": "\ud83d cut off 3 words", "n": 7, "id": ID})})
    response = answer(json.dumps({"inner": inner, "odd": "\ud83d lone and \u20ac 3", "\udc00": [1, 2]}))
    broken = Response(b"HTTP/1.1", 200, b"OK", response.headers, b'{"bytes": "\xff\xfe words here 3", "n": 1}')
    for seed in range(6):
        for given in (response, broken):
            drawn(operator, given, ids=(OTHER,), seed=seed)


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_number_of_many_digits_is_no_hindrance(operator: str) -> None:
    """A number that is longer than Python reads gets those faults that fit it, and none breaks off."""
    body = '{"n": ' + "9" * 5000 + ', "exponent": 1e999999}'
    made = mutant(Ground.of(answer(body)), operator, dice(1), Material())
    assert made is None or made.response != answer(body)
