"""Whatever an answer looks like: if the candidate gives the same with other ids, later requests are the same with other ids."""

import json
import random
from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from replay.content import rewrite, rewrite_target
from replay.identity import Bindings, learn
from replay.model import Request, Response

type Json = Any

_HEX, _BASE32, _BASE64 = "0123456789abcdef", "abcdefghijklmnopqrstuvwxyz234567", "ABCXYZabcxyz0123456789"


def _id(kind: int, random_: random.Random) -> str:
    """Make an id of one of nine kinds."""

    def some(characters: str, count: int) -> str:
        return "".join(random_.choice(characters) for _ in range(count))

    ms = random_.randrange(1_700_000_000_000, 1_900_000_000_000)
    match kind:
        case 0:
            return "-".join(some(_HEX, count) for count in (8, 4, 4, 4, 12))
        case 1:
            return f"key_{some(_BASE64, 16)}"
        case 2:
            return some(_HEX, 30) + "a1"
        case 3:
            return some(_HEX, 62) + "b2"
        case 4:
            return f"agent_{ms}_{random_.randrange(100)}"
        case 5:
            return f"sess:compaction:{ms}"
        case 6:
            return f"chatcmpl_{ms}"
        case 7:
            return f"memory/x--{some(_BASE32, 15)}7--note.md"
        case _:
            return (
                f"2026-11-{random_.randrange(10, 29)}T{random_.randrange(10, 24)}:{random_.randrange(10, 60)}:01.{random_.randrange(100, 999)}Z"
            )


@st.composite
def renamings(draw: st.DrawFn) -> dict[str, str]:
    """Give up to six recorded ids, each with another of its kind in its place."""
    random_ = random.Random(draw(st.integers(0, 2**32)))  # noqa: S311 - drawn
    kinds = draw(st.lists(st.integers(0, 8), min_size=1, max_size=6))
    pairs: dict[str, str] = {}
    for kind in kinds:
        one, two = _id(kind, random_), _id(kind, random_)
        if one not in pairs and two not in pairs.values() and one not in pairs.values() and two not in pairs:
            pairs[one] = two
    return pairs


_FRAMES = ("{}", "{}", "see {}.", "temporal:memory:{}:valid", '[it](a/{}.md) \u00e9 \\ "q"', "- {}\n- {}\n", "\u2026{} at 5")


def jsons(words: list[str]) -> st.SearchStrategy[Json]:
    """Give JSON values that hold some of the words: as values, as keys, inside text, and in JSON inside strings."""
    texts = st.builds(lambda frame, word: frame.replace("{}", word), st.sampled_from(_FRAMES), st.sampled_from(words))
    keys = st.one_of(st.sampled_from(["id", "content", "name", "items", "memoryId", "n"]), st.sampled_from(words), st.just("POST /x/{}"))
    leaves = st.one_of(texts, st.sampled_from(["plain", "", "<uuid>"]), st.integers(0, 3), st.booleans(), st.none())
    return st.recursive(
        leaves,
        lambda below: st.one_of(
            st.lists(below, max_size=4),
            st.dictionaries(keys, below, max_size=4),
            st.dictionaries(keys, below, max_size=3).map(json.dumps),
        ),
        max_leaves=12,
    )


def renamed(text: str, pairs: Mapping[str, str]) -> str:
    """Put other ids in the place of a text's."""
    for number, one in enumerate(pairs):
        text = text.replace(one, f"\0{number}\0")
    for number, two in enumerate(pairs.values()):
        text = text.replace(f"\0{number}\0", two)
    return text


def answer(body: str | bytes, media: bytes = b"application/json") -> Response:
    """Build a response."""
    return Response(b"HTTP/1.1", 200, b"OK", ((b"content-type", media),), body if isinstance(body, bytes) else body.encode())


@settings(max_examples=60, deadline=None)
@given(renamings(), st.data())
def test_the_same_answer_with_other_ids(pairs: dict[str, str], data: st.DataObject) -> None:
    """A request that names ids of an answer is sent with exactly the observed ones, and nothing contradicts."""
    said = data.draw(jsons(list(pairs)))
    recorded = json.dumps(said)
    asked = json.dumps(data.draw(jsons(list(pairs))))
    given_ids = {one: two for one, two in pairs.items() if one in recorded}
    bindings = Bindings()
    learn(answer(recorded), answer(renamed(recorded, pairs)), bindings, 1)
    assert bindings.contradictions == []
    sent, _ = rewrite(asked.encode(), b"application/json", bindings.edits)
    assert sent.decode() == renamed(asked, given_ids)
    for one, two in given_ids.items():
        path = one.replace("/", "%2F").replace(":", "%3A")
        wanted = two.replace("/", "%2F").replace(":", "%3A")
        assert rewrite_target(f"/api/{path}?id={path}".encode(), bindings.edits)[0] == f"/api/{wanted}?id={wanted}".encode()


@settings(max_examples=60, deadline=None)
@given(renamings(), st.data())
def test_lists_in_another_order(pairs: dict[str, str], data: st.DataObject) -> None:
    """Items that say different things are told apart whatever their order and whatever else is in the list."""
    items = [{"id": one, "content": f"about {number}", "score": number / 7} for number, one in enumerate(pairs)]
    observed = json.loads(renamed(json.dumps(items), pairs))
    observed.append({"id": "99999999-9999-4999-8999-999999999999", "content": "more", "score": 0})
    shuffled = data.draw(st.permutations(observed))
    bindings = Bindings()
    learn(answer(json.dumps({"items": items})), answer(json.dumps({"items": shuffled})), bindings, 1)
    assert bindings.contradictions == []
    text = " ".join(pairs)
    assert bindings.rewrite_text(text) == renamed(text, pairs)


@settings(max_examples=60, deadline=None)
@given(renamings(), st.data())
def test_chosen_ids_never_change(pairs: dict[str, str], data: st.DataObject) -> None:
    """Ids that clients chose are not bound, wherever an answer shows them, and whatever stands in their place."""
    recorded = json.dumps(data.draw(jsons(list(pairs))))
    chosen = [one for one in pairs if not one.startswith(("sess:", "memory/"))]
    bindings = Bindings()
    learn(answer(recorded), answer(renamed(recorded, pairs)), bindings, 1, chosen=chosen)
    assert all(bindings.observed_for(one) is None for one in chosen)


_MEDIA = st.sampled_from([b"application/json", b"text/event-stream", b"application/x-ndjson", b"text/markdown", b"text/html", b"image/png", b""])
_PIECES = st.sampled_from(
    [
        b'{"id":',
        b'"11111111-0000-4000-8000-000000000001"',
        b"}",
        b"[",
        b"]",
        b",",
        b"data: ",
        b"\n\n",
        b"<uuid>",
        b'"if_version":3',
        b"\xff",
        b'\\"',
    ]
)
_BODIES = st.one_of(st.binary(max_size=60), st.lists(_PIECES, max_size=12).map(b"".join))


@settings(max_examples=100, deadline=None)
@given(_BODIES, _BODIES, _BODIES, _MEDIA)
def test_any_bytes(left: bytes, right: bytes, asked: bytes, media: bytes) -> None:
    """No answer and no request makes learning or rewriting fail; equal answers change no request."""
    bindings = Bindings()
    learn(answer(left, media), answer(right, media), bindings, 1, request=Request(b"GET", b"/", b"HTTP/1.1", (), asked))
    rewrite(asked, media, bindings.edits)
    bindings.counters.rewrite(Request(b"GET", b"/?if_version=1", b"HTTP/1.1", (), asked))
    same = Bindings()
    learn(answer(left, media), answer(left, media), same, 1)
    assert rewrite(asked, media, same.edits) == (asked, 0)


_WORDS = st.one_of(
    st.sampled_from(
        ["a", "id", "x=1", "é", "%41", "\\u0031", "/", "?", "&", "=", '"', "{", "}", ":", ",", " ", "+", "_", "-", "2026", "12345678901"]
    ),
    st.builds(_id, st.integers(0, 8), st.randoms(use_true_random=False)),
)


@settings(deadline=None, max_examples=300)
@given(bound=st.lists(st.builds(_id, st.integers(0, 8), st.randoms(use_true_random=False)), max_size=3), data=st.data())
def test_what_is_left_at_a_glance_is_left_at_a_closer_look(bound: list[str], data: st.DataObject) -> None:
    """Where the quick look says that nothing can be put into a target or body, the thorough one puts nothing there, in any form."""
    bindings = Bindings()
    for number, word in enumerate(bound):
        bindings.bind("uuid", word, f"other-{number}", 1, "$")
    words = data.draw(st.lists(st.one_of(_WORDS, st.sampled_from(bound)) if bound else _WORDS, max_size=8))
    raw = "".join(words).encode()
    for text in (raw, b'{"a": "%b"}' % raw):
        if bindings.leaves(text):
            assert rewrite_target(text, bindings.edits) == (text, 0)
            for media in (b"application/json", b"application/x-www-form-urlencoded", b"text/event-stream", b"application/x-ndjson", None):
                assert rewrite(text, media, bindings.edits) == (text, 0)
