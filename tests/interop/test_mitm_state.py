"""One flow state and one exchange, there and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.interop.mitm.state import add, pack, subtract, unpack

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.binary(max_size=8) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


@given(VALUES, VALUES)
def test_what_is_subtracted_can_be_added(actual: object, rebuilt: object) -> None:
    """Whatever was rebuilt, the patch makes the actual value of it."""
    assert add(rebuilt, subtract(actual, rebuilt)) == actual


@given(VALUES)
def test_equal_values_need_no_patch(value: object) -> None:
    """Nothing is kept twice."""
    assert subtract(value, value) is None


@given(st.integers(0, 10**9), VALUES)
def test_packing(position: int, value: object) -> None:
    """The opaque part holds position and patch."""
    assert unpack(pack(position, subtract(value, {}))) == (position, subtract(value, {}))


@pytest.mark.parametrize("opaque", [b"", b"har:1", b"\xff\xfe"])
def test_what_is_not_ours_is_left(opaque: bytes) -> None:
    """The opaque part of another format is not touched."""
    assert unpack(opaque) == (None, None)
