"""The verdict of a run: what must not pass, however little is open."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace

import pytest

from replay.jobs.judging import Basis, exit_code, judge_again
from replay.judge import NoiseModel, RuleSet
from replay.model import DifferenceClass, Finding, GapReason, Pair, Rule, Subject, UsageError, Verdict, Witness
from replay.runs import Canaries, Party, Run

NOW = dt.datetime(2026, 11, 23, 3, tzinfo=dt.UTC)
AWAKE = Canaries(planted=6, found=6)


def concluded(gaps: Sequence[GapReason], *, compared: int = 10, findings: tuple[Finding, ...] = (), canaries: Canaries = AWAKE) -> Run:
    """Judge a run of so many compared exchanges, with these gaps beside them."""
    party = Party("recorded", "a", "a.parity", "d", "js", 0.0, compared + len(gaps))
    reasons = [None] * compared + [str(reason) for reason in gaps]
    found = {finding.subject.id for finding in findings}
    pairs = tuple(Pair(n, "read", "GET /x", "GET", "/x", gap, findings=int(str(n) in found)) for n, gap in enumerate(reasons, 1))
    run = Run(party, party, None, "", "", 0.0, 0, "", pairs, findings, (), (), (), canaries=canaries)
    return judge_again(run, Basis(), now=NOW)


def finding(number: int, witness: Witness) -> Finding:
    """Make a finding about an exchange."""
    return Finding(
        "http", Subject("exchange", str(number)), "read", "GET /x", DifferenceClass.SEMANTIC, "value", "$", "$", "1", "2", witness=witness
    )


def test_equal_exchanges_pass() -> None:
    """Everything compared, nothing open, canaries found: good."""
    assert exit_code(concluded([])) == 0


@pytest.mark.parametrize(
    "reason",
    [GapReason.DEPENDENCY, GapReason.CREDENTIAL, GapReason.NO_RESPONSE, GapReason.CUT, GapReason.NOT_WRITTEN, GapReason.MALFORMED],
)
def test_too_many_gaps_are_no_pass(reason: GapReason) -> None:
    """Where a large part of what was to be compared was not, nothing is proved; a few gaps are only counted."""
    assert exit_code(concluded([reason] * 9)) == 2
    assert "too many gaps: 9 of 19" in concluded([reason] * 9).because
    assert exit_code(concluded([reason] * 2)) == 0


@pytest.mark.parametrize("reason", [GapReason.UNSAFE, GapReason.OUT_OF_SCOPE])
def test_what_was_left_out_by_order_does_not_void_a_run(reason: GapReason) -> None:
    """`--only`, and routes that nobody allowed, leave gaps that were asked for."""
    assert exit_code(concluded([reason] * 90)) == 0


@pytest.mark.parametrize("reason", [GapReason.NOT_OBSERVED, GapReason.DAEMON_DEAD, GapReason.COMPARER, GapReason.UNALIGNED])
def test_one_broken_exchange_voids_a_run(reason: GapReason) -> None:
    """What should have been observed and was not, or crashed the comparer, can't be judged around."""
    assert exit_code(concluded([reason])) == 2


def test_nothing_compared_is_no_pass() -> None:
    """A run of nothing but gaps is no good run."""
    assert exit_code(concluded([GapReason.UNSAFE], compared=0)) == 2


def test_a_sleeping_run_is_no_pass() -> None:
    """A canary that was not found voids a run, and so does having planted none where nothing is open."""
    explained = finding(1, Witness.INFIDELITY)

    assert exit_code(concluded([], canaries=Canaries(6, 5, 0, ("#1 GET /x: another status",)))) == 2
    assert exit_code(concluded([], compared=1, findings=(explained,), canaries=Canaries())) == 2
    assert exit_code(concluded([], compared=1, findings=(finding(1, Witness.CANDIDATE),), canaries=Canaries())) == 1


def test_rules_that_silence_everything_are_no_pass() -> None:
    """Where most canaries are let through, or one rule accepts whatever differs anywhere, green says nothing."""
    assert exit_code(concluded([], canaries=Canaries(6, 2, 4))) == 2
    assert exit_code(concluded([], canaries=Canaries(6, 3, 3))) == 0
    catch_all = Rule("all", "why", "who", "2027-03-31", Verdict.DOCUMENTED)
    run = concluded([])
    for rule, code in ((catch_all, 2), (replace(catch_all, route="GET /x"), 0), (replace(catch_all, verdict=Verdict.OPEN), 0)):
        assert exit_code(judge_again(run, Basis(RuleSet((rule,))), now=NOW)) == code


def test_noise_of_the_candidate_itself_is_refused() -> None:
    """What was learned from the observed archive excuses all that differs in it, so nothing is judged by it."""
    with pytest.raises(UsageError, match="learned from this very archive"):
        judge_again(concluded([]), Basis(noise=NoiseModel(archives=("d",))), now=NOW)
