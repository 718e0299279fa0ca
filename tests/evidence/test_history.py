"""The nights of a ledger."""

from dataclasses import replace

from replay.evidence import entry_from, entry_of_failure, history
from replay.judge import Stage, live
from replay.runs import Run


def test_a_ledger_tells_what_is_new_and_what_is_gone(run: Run) -> None:
    """Nights that were judged tell of causes; failed ones, and lines from before causes were counted, tell nothing."""
    first = replace(entry_from(run, name="runs/1"), verdict="fail", open_causes=("k-a", "k-b"), started_at=1.0)
    failed = entry_of_failure(name="runs/2", tool="t", started_at=2.0, seed=1, because="dead")
    old = replace(first, run="runs/0", open_causes=(), started_at=0.0)
    nights = history((old, first, failed))
    assert [night.judged for night in nights] == [False, True, False]
    tonight = replace(nights[1], name="runs/3", started_at=3.0, open=frozenset({"k-b", "k-c"}))
    assert {name: life.stage for name, life in live(tonight, nights).items()} == {"k-a": Stage.GONE, "k-b": Stage.STILL, "k-c": Stage.NEW}


def test_another_candidate_has_another_history(run: Run) -> None:
    """Only nights of the candidate that was asked for are told."""
    entry = entry_from(run, name="runs/1")
    assert len(history((entry,), daemon=entry.daemon)) == 1
    assert history((entry,), daemon="another 1") == ()
