"""Sequences whose order counts."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from replay.content import match_in_order

KEYS = st.lists(st.sampled_from("abcd"), max_size=12)


@given(left=KEYS, right=KEYS)
def test_pairs_are_equal_and_never_cross(left: list[str], right: list[str]) -> None:
    """Every pair is of equal items, and pairs rise on both sides."""
    pairs = match_in_order(left, right)

    assert all(left[one] == right[two] for one, two in pairs)
    assert all(first[0] < second[0] and first[1] < second[1] for first, second in pairwise(pairs))


@given(left=KEYS)
def test_a_sequence_lies_beside_itself(left: list[str]) -> None:
    """Each item of a sequence stands for itself."""
    assert match_in_order(left, left) == [(index, index) for index in range(len(left))]


def test_what_is_in_between_is_left_out() -> None:
    """A missing, an extra and a moved item have no partner."""
    assert match_in_order("abcde", "abde") == [(0, 0), (1, 1), (3, 2), (4, 3)]
    assert match_in_order("abde", "abcde") == [(0, 0), (1, 1), (2, 3), (3, 4)]
    assert len(match_in_order("abcd", "acbd")) == 3


def test_repeats_without_anchors_are_solved_exactly() -> None:
    """Where nothing is unique the longest common run is found all the same."""
    assert len(match_in_order("aabbaabb", "abababab")) == 6


def test_long_sequences_take_linear_time() -> None:
    """Twenty thousand items without an anchor are paired, each with one that is near."""
    left = [index % 3 for index in range(20_000)]
    right = [(index * 7) % 3 for index in range(20_000)]

    assert len(match_in_order(left, right)) > 5_000
