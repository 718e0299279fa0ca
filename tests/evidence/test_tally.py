"""Counts of a run by domain and feature."""

from dataclasses import replace

import pytest

from replay.evidence import Tally, box, domains, features
from replay.model import DOMAINS, DifferenceClass, Pair, Verdict
from replay.runs import Run


def test_nine_domains_always(run: Run) -> None:
    """All nine domains are there in their order, also those that nothing was planned in."""
    assert [row.domain for row in domains(run)] == list(DOMAINS)
    empty = domains(replace(run, pairs=(), divergences=(), findings=()))
    assert [row.tally for row in empty] == [Tally()] * 9


def test_a_domain_beyond_the_nine_is_not_lost(run: Run) -> None:
    """A domain that the run names beyond the nine is counted after them."""
    odd = replace(run, pairs=(*run.pairs, Pair(999, "weather", "GET /rain", "GET", "/rain", None)))
    assert [row.domain for row in domains(odd)] == [*DOMAINS, "weather"]
    assert sum(row.tally.planned for row in domains(odd)) == odd.planned


def test_every_exchange_is_in_one_box(run: Run) -> None:
    """Open, documented before noise, noise, gap and identical: each exchange is counted once."""
    write = next(row.tally for row in domains(run) if row.domain == "write")
    assert write == Tally(planned=12, identical=8, semantic=1, documented=1, noise=1, gaps={"unsafe": 1})
    assert (write.compared, write.open, write.explained, write.gap_count) == (11, 1, 2, 1)
    for row in domains(run):
        tally = row.tally
        assert tally.planned == tally.compared + tally.gap_count
        assert tally.compared == tally.identical + tally.open + tally.explained


def test_state_is_counted_beside_exchanges(run: Run) -> None:
    """A divergence of a row does not make an exchange divergent; it is counted as state."""
    secrets = next(row.tally for row in domains(run) if row.domain == "secrets")
    assert secrets == Tally(planned=12, identical=12, state_open=1)
    assert [(row.feature, row.tally.state_open) for row in features(run) if row.tally.state_open] == [("http: $.n", 1)]


@pytest.mark.parametrize(
    ("changes", "verdicts", "name"),
    [
        ({"gap": "cut", "worst": DifferenceClass.TIMING}, [Verdict.OPEN], "gap"),
        ({"worst": DifferenceClass.TIMING, "findings": 2}, [Verdict.OPEN, Verdict.NOISE], "timing"),
        ({}, [], "identical"),
        ({"findings": 1}, [Verdict.DERIVED, Verdict.NOISE], "derived"),
        ({"findings": 1}, [], "infidelity"),
    ],
)
def test_boxes(changes: dict[str, object], verdicts: list[Verdict], name: str) -> None:
    """The box goes by gap, then worst open class, then identical, then the strongest excuse; a finding without a verdict is no pass."""
    pair = replace(Pair(1, "read", "GET /", "GET", "/", None), **changes)  # type: ignore[arg-type]  # by name
    assert box(pair, verdicts) == name
