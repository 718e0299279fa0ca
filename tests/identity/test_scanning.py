"""Seeing quickly that a text holds no id and no time."""

from hypothesis import given, strategies

from replay.identity import find, may_hold
from replay.identity.roles import _FIND, _find

SHAPES = strategies.sampled_from(
    [
        "aaaaaaaa-0000-4000-8000-00000000000a",
        "2026-11-14T09:12:03.511Z",
        "2026-11-14 09:12",
        "2026-11-14",
        "Sat, 14 Nov 2026 09:12:03 GMT",
        "November 14, 2026 at 9:12 PM",
        "May 5, 2026",
        "sig_sk_0123456789ab",
        "key_abcdefghijklmnop",
        "slug--abcdefghijklmnop",
        "obsidian:0123456789abcdef",
        "session:1763912345678",
        "session_1763912345678_2",
        "mabcdef1-abcde9",
        "d41d8cd98f00b204e9800998ecf8427e",
        "12.5",
        "0.123456789",
        "19",
        "in 2026",
    ]
)
TEXTS = strategies.lists(strategies.one_of(SHAPES, strategies.text(max_size=12)), max_size=6).map(" ".join)


@given(TEXTS)
def test_what_it_denies_holds_none(text: str) -> None:
    """A text of which it is denied that it may hold ids or times holds none."""
    if not may_hold(text.encode("utf-8", "surrogatepass")):
        assert _FIND.search(text) is None


LONG = strategies.lists(strategies.one_of(SHAPES, strategies.text(max_size=6), strategies.text("ab1.:-_ ", max_size=60)), max_size=12)


@given(LONG, strategies.sampled_from(["", " ", "-", ", ", ":", '","']), strategies.sampled_from(["", "words of prose, nothing else. " * 8]))
def test_finding_is_a_search_of_the_whole_text(parts: list[str], glue: str, prose: str) -> None:
    """What is found in a long text is what a search of all of it finds."""
    text = prose + glue.join(parts)
    assert find(text) == _find(text, 0, len(text))


def test_prose_is_denied() -> None:
    """Prose with some numbers needs no search."""
    assert not may_hold(b'{"rank": 3, "score": 0.517, "content": "what was said in turn 417, twice"}')
