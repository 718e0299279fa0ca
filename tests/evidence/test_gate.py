"""Checklist, streak and gate."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from replay.evidence import Counts, Entry, Policy, checklist, entry_from, gate, streak
from replay.model import DOMAINS
from replay.runs import Run

Night = Callable[..., Entry]


def test_checklist_says_what_each_status_rests_on(run: Run) -> None:
    """A feature is divergent, proven, thin or not seen, with its n."""
    items = {(item.domain, item.feature): item for item in checklist(run, floor=6)}
    assert items["write", "GET /write/1"].status == "divergent"
    assert items["read", "GET /read/0"].status == "proven"
    assert items["read", "GET /read/0"].compared == 6
    assert {item.status for item in checklist(run, floor=7) if item.domain == "read"} == {"thin"}
    assert items["secrets", "http: $.n"].status == "divergent"


def test_checklist_keeps_domains_that_nothing_showed(run: Run) -> None:
    """A domain without any exchange is on the list as not seen."""
    bare = replace(run, pairs=(), divergences=(), findings=())
    assert [(item.domain, item.status) for item in checklist(bare)] == [(domain, "not seen") for domain in DOMAINS]


def test_checklist_takes_the_last_word_of_a_ledger(run: Run, night: Night) -> None:
    """Of several nights a feature stands as the last one that compared it left it."""
    entries = [entry_from(run, name="1"), night(1), replace(night(2), features={"write": {"GET /write/1": Counts(planned=6)}})]
    items = {(item.domain, item.feature): item.status for item in checklist(entries)}
    assert items["write", "GET /write/1"] == "proven"


def test_streak_counts_nights(night: Night) -> None:
    """Runs of one day are one night; a failed or void run, or another candidate, ends the streak."""
    assert streak([]) == 0
    assert streak([night(n) for n in range(3)]) == 3
    assert streak([night(0), night(0.25), night(1)]) == 2
    assert streak([night(0), night(1, verdict="fail"), night(2)]) == 1
    assert streak([night(0), night(1, verdict="incomplete")]) == 0
    assert streak([night(0), night(1, verdict="fail"), night(1.5)]) == 0
    other = {**night(0).parties, "observed": {"daemon": "rust 0"}}
    assert streak([night(0, parties=other), night(1)]) == 1


def test_gate_opens_on_enough_evidence(night: Night) -> None:
    """Seven good nights with every domain over its floor open the gate."""
    decision = gate([night(n) for n in range(7)], Policy())
    assert (decision.open, decision.blocks, decision.streak) == (True, (), 7)


@pytest.mark.parametrize(
    ("changes", "policy", "words"),
    [
        ({"verdict": "fail", "because": "2 open"}, Policy(), "is fail: 2 open"),
        ({"verdict": "incomplete"}, Policy(), "is incomplete"),
        ({}, Policy(nights=8), "7 of 8 nights"),
        ({}, Policy(floor=13), "mcp: 12 exchanges compared; the floor is 13"),
        ({}, Policy(floors={"git-sync": 50}), "git-sync: 12 exchanges compared; the floor is 50"),
        ({"domains": {}}, Policy(), "schema: 0 exchanges compared"),
        ({"gaps": {"unsafe": 20}}, Policy(), "20 of 108 planned exchanges are gaps"),
        ({"canaries": {"planted": 9, "found": 8}}, Policy(), "8 of 9 canaries found"),
        ({"canaries": {}}, Policy(), "no canaries were planted"),
        ({"parties": {"recorded": {"salvaged": True}, "observed": {"daemon": "rust 1"}}}, Policy(), "salvaged archive"),
        ({}, Policy(age_days_max=1), "the time now was not given"),
    ],
)
def test_gate_says_what_blocks(night: Night, changes: dict[str, object], policy: Policy, words: str) -> None:
    """Whatever is not good enough keeps the gate shut and is named."""
    decision = gate([*(night(n) for n in range(6)), night(6, **changes)], policy)
    assert not decision.open
    assert words in "; ".join(decision.blocks)


def test_gate_without_evidence_is_shut() -> None:
    """An empty ledger opens nothing."""
    assert gate([], Policy(nights=0, floor=0)).blocks == ("the ledger is empty: there is no evidence",)


def test_gate_looks_at_the_age_of_the_last_run(night: Night) -> None:
    """Evidence that is older than the policy allows blocks."""
    entries = [night(n) for n in range(7)]
    now = entries[-1].started_at + 2 * 86_400
    assert gate(entries, Policy(age_days_max=3), now=now).open
    assert "2.0 days old" in gate(entries, Policy(age_days_max=1), now=now).blocks[0]


def test_gate_tells_what_changed_within_the_streak(night: Night) -> None:
    """New rules within the streak do not block, but are told."""
    decision = gate([*(night(n) for n in range(6)), night(6, rules_digest="sha256:new")], Policy())
    assert decision.open
    assert decision.notes == ("the rules changed within the streak",)


def test_a_day_without_a_run_ends_the_streak(night: Night) -> None:
    """Nights in a row are days in a row: seven passes spread over ten days are no streak of seven."""
    decision = gate([*(night(n) for n in range(6)), night(9)], Policy())
    assert not decision.open
    assert decision.streak == 1
