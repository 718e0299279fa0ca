"""Ordered sequences beside each other."""

from hypothesis import given
from hypothesis import strategies as st

from replay.compare.laying import Laid, Sequences, lay

WORDS = st.lists(st.sampled_from(["a1", "a2", "b1", "b2", "c1"]), max_size=10)


def laid(left: list[str], right: list[str]) -> Laid:
    """Lay words beside each other: their type is their letter, and a `c` has a name of its own."""
    names = [[word[0] if word[0] == "c" else "" for word in side] for side in (left, right)]
    return lay(
        Sequences(left, right, lambda n: left[n][0], lambda n: right[n][0], lambda n: names[0][n], lambda n: names[1][n]),
    )


@given(left=WORDS, right=WORDS)
def test_every_part_is_told_once(left: list[str], right: list[str]) -> None:
    """Each part of both sides is in just one pair, or alone; what stayed or moved by content is equal."""
    found = laid(left, right)
    pairs = found.stayed + found.moved + found.changed

    assert sorted([one for one, _ in pairs] + found.left_only) == list(range(len(left)))
    assert sorted([two for _, two in pairs] + found.right_only) == list(range(len(right)))
    assert all(left[one] == right[two] for one, two in found.stayed)
    assert all(left[one][0] == right[two][0] for one, two in found.changed)


@given(left=WORDS)
def test_a_sequence_stays(left: list[str]) -> None:
    """Beside itself nothing moved, changed, or is alone."""
    found = laid(left, left)

    assert len(found.stayed) == len(left)
    assert not found.moved + found.changed


def test_what_became_of_each_part() -> None:
    """A part may stay, move, change between its neighbours, or move and change where its name is its own."""
    assert laid(["a1", "b1", "a2"], ["a1", "b2", "a2"]).changed == [(1, 1)]
    assert laid(["a1", "b1"], ["b1", "a1"]).moved == [(0, 1)] or laid(["a1", "b1"], ["b1", "a1"]).moved == [(1, 0)]
    assert laid(["c1", "a1"], ["a1", "c2"]).moved == [(0, 1)]
    assert laid(["a1", "b1"], ["a1"]).left_only == [1]
