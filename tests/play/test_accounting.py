"""Where the time of a replay went."""

from hypothesis import given
from hypothesis import strategies as st

from replay.play.accounting import Accounting, Spans

_SPANS = st.lists(st.tuples(st.integers(0, 200), st.integers(0, 40)), max_size=60)


@given(_SPANS)
def test_spans_cover_each_moment_once(spans: list[tuple[int, int]]) -> None:
    """Spans in any order cover as much as the set of their moments."""
    union = Spans()
    for start, length in spans:
        union.add(start, start + length)
    assert union.total_s == len({moment for start, length in spans for moment in range(start, start + length)})


def test_many_spans_are_summed_up_and_never_counted_twice() -> None:
    """Of more spans than are held the old ones are summed up, and what lies among those is not counted again."""
    union = Spans()
    for number in range(20_000):
        union.add(number * 2.0, number * 2.0 + 1.0)
    union.add(0.0, 40_000.0)
    assert 20_000.0 < union.total_s < 40_000.0
    assert union.total_s - 20_000.0 < 5_000.0


def test_terms_overlap_in_their_union_only() -> None:
    """Service, jobs and pollers are counted each by itself, and once where they overlap."""
    accounting = Accounting()
    accounting.looked(0.0, busy=True)
    accounting.began(10.0)
    accounting.served(10.0, 12.0, over=12.0)
    accounting.looked(15.0, busy=True)
    accounting.looked(16.0, busy=False)
    accounting.looked(20.0, busy=False)
    accounting.polled(14.0, 18.0)
    accounting.served(20.0, 21.0, over=25.0)
    accounting.waited("settle after writes", 0.5)
    accounting.waited("settle after writes", 0.25)
    accounting.waited("nothing", 0.0)
    terms = accounting.terms()
    assert (terms.wall_s, terms.service_s, terms.jobs_s, terms.pollers_s) == (15.0, 3.0, 6.0, 4.0)
    assert terms.union_s == 9.0
    assert terms.ratio == 15.0 / 9.0
    assert terms.others_s == {"settle after writes": 0.75}
    assert terms.values()["wait_settle_after_writes_s"] == 0.75


def test_nothing_sent_has_no_ratio() -> None:
    """A replay that sent nothing took no time, and its ratio is 0."""
    terms = Accounting().terms()
    assert (terms.wall_s, terms.union_s, terms.ratio) == (0.0, 0.0, 0.0)
