"""Lists in the order of their items' times: what races is no difference, what was shuffled is."""

from hypothesis import given
from hypothesis import strategies as st

from replay.compare.chronology import follows_times
from replay.content import Alignment, Pairing, Value


def rows(*moments: tuple[str, int], at: str = "createdAt") -> list[Value]:
    """Make items by name and milliseconds after noon."""
    return [{"name": name, at: f"2026-11-23T12:00:{ms // 1000:02}.{ms % 1000:03}Z"} for name, ms in moments]


def aligned(one: list[Value], two: list[Value]) -> Alignment:
    """Pair items by their names."""
    names = [item["name"] for item in two if isinstance(item, dict)]
    pairs = [(n, names.index(item["name"])) for n, item in enumerate(one) if isinstance(item, dict) and item["name"] in names]
    return Alignment(tuple(Pairing(left, right) for left, right in pairs), (), ())


def follows(one: list[Value], two: list[Value]) -> bool:
    """Ask of two lists."""
    return follows_times(one, two, aligned(one, two))


def test_a_race_that_the_times_show_is_no_difference() -> None:
    """Two rows made within a millisecond stand the other way round where their times do."""
    one, two = rows(("c", 9), ("b", 5), ("a", 5)), rows(("c", 9), ("a", 6), ("b", 5))

    assert follows(one, two)


def test_a_shuffled_list_differs() -> None:
    """Rows out of the order of their times are a fault of who sorts, and so is the opposite order."""
    one = rows(("c", 9), ("b", 5), ("a", 1))

    assert not follows(one, rows(("c", 9), ("a", 1), ("b", 5)))
    assert not follows(one, rows(("a", 1), ("b", 5), ("c", 9)))


def test_ties_that_nothing_shows_differ() -> None:
    """Rows of one moment on both sides have another order, and nothing that explains it."""
    assert not follows(rows(("c", 9), ("b", 5), ("a", 5)), rows(("c", 9), ("a", 5), ("b", 5)))
    assert not follows(rows(("b", 5), ("a", 5)), rows(("a", 5), ("b", 5)))


def test_only_a_time_that_all_have_orders() -> None:
    """An item without the time, or a list of names, has no order that times could show."""
    bare: list[Value] = [{"name": "b"}, {"name": "a"}]

    assert not follows(rows(("b", 5), ("a", 4)), bare)
    assert not follows_times(["b", "a"], ["a", "b"], Alignment((Pairing(0, 1), Pairing(1, 0)), (), ()))
    assert follows(rows(("b", 5), ("a", 4), at="updated_at"), rows(("a", 5), ("b", 4), at="updated_at"))


@given(st.lists(st.integers(0, 59_000), min_size=3, max_size=9, unique=True), st.data())
def test_a_swap_of_two_is_found(moments: list[int], data: st.DataObject) -> None:
    """In a list sorted by distinct times any two items that change places without their times are a difference."""
    one = rows(*((str(ms), ms) for ms in sorted(moments)))
    first, second = data.draw(st.permutations(range(len(one))))[:2]
    two = list(one)
    two[first], two[second] = two[second], two[first]

    assert not follows(one, two)
