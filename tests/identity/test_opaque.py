"""Words without a shape, found in texts."""

import itertools
import re
import time

from hypothesis import given
from hypothesis import strategies as st

from replay.identity.opaque import OpaqueWords

_CHARACTERS = st.sampled_from("ab1_-~ .")


@given(st.lists(st.text(_CHARACTERS, min_size=1, max_size=4), max_size=5), st.text(_CHARACTERS, max_size=30))
def test_finds_what_one_pattern_of_all_would(words: list[str], text: str) -> None:
    """Every place is one of a word that stands free, none overlap, and none is missed that nothing else covers."""
    opaque = OpaqueWords()
    for word in words:
        opaque.add(word)
    found = opaque.find(text, [])
    assert all(text[start:end] in words for start, end in found)
    assert all(one[1] <= two[0] for one, two in itertools.pairwise(found))
    for word in words:
        for match in re.finditer(rf"(?<![0-9A-Za-z])(?={re.escape(word)}(?![0-9A-Za-z]))", text):
            place = (match.start(), match.start() + len(word))
            assert any(start < place[1] and place[0] < end for start, end in found)


def test_what_is_taken_stays() -> None:
    """Places that another id covers are left alone; the longer word wins."""
    opaque = OpaqueWords()
    for word in ("b7ff332ed0c6", "b7ff332ed0c6_x", "two words"):
        opaque.add(word)
    text = "sig b7ff332ed0c6 b7ff332ed0c6_x two words"
    assert opaque.find(text, [(0, 16)]) == [(17, 31), (32, 41)]


def test_many_words_cost_no_more_than_few() -> None:
    """Adding thousands of words and looking for them in megabytes takes seconds at most: nothing is built anew for each."""
    opaque = OpaqueWords()
    text = " ".join(f"{number:016x}" for number in range(60_000))
    started = time.perf_counter()
    for number in range(20_000):
        opaque.add(f"{number:016x}")
        if number % 1000 == 0:
            opaque.find("a short text", [])
    assert len(opaque.find(text, [])) == 20_000
    assert time.perf_counter() - started < 5.0
