"""Control and candidate replayed from a state that is broken for both: whatever they agree on, the run proves nothing."""

import datetime as dt
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from replay.archive import read
from replay.jobs.judging import Basis, compare_run, exit_code
from replay.jobs.replaying import replay_archive
from replay.jobs.tour import demo_order

NOW = dt.datetime(2026, 11, 23, 3, tzinfo=dt.UTC)

pytestmark = pytest.mark.slow


def silent(_what: str, _done: int, _of: int) -> None:
    """Hear of progress and say nothing."""


def forget_memories(state: Path) -> None:
    """Empty the table that every recall looks into, as where nothing was embedded."""
    with sqlite3.connect(state / "memory" / "memories.db") as database:
        database.execute("DELETE FROM memories")
    database.close()


def open_doors(state: Path) -> None:
    """Have the daemon ask nobody for a token."""
    settings = state / "agent.yaml"
    settings.write_text(settings.read_text("utf-8").replace("mode: team", "mode: local"), "utf-8")


def lose_files(state: Path) -> None:
    """Take away files that requests ask for."""
    for name in ("AGENTS.md", "IDENTITY.md"):
        (state / name).unlink(missing_ok=True)


@pytest.mark.parametrize("harm", [None, forget_memories, open_doors, lose_files])
def test_a_state_that_is_broken_for_both_is_never_green(
    harm: Callable[[Path], None] | None,
    demo_folder: Path,
    tmp_path: Path,
) -> None:
    """A sound state gives a pass; a broken one an incomplete run, exit 2, whose sentence tells what was not faithful."""
    state = tmp_path / "state"
    recorded = read(demo_folder / "recording.parity")
    recorded.extract_snapshot(1, state)
    if harm is not None:
        harm(state)
    observed = []
    for half in ("control", "candidate"):
        order = replace(demo_order(demo_folder, f"{tmp_path.name}-{half}", "js", ()), state=state)
        replayed = replay_archive(order, silent)
        assert replayed.exit_code == 0, replayed.text
        observed.append(read(order.observed))
    run = compare_run(recorded, observed[1], [observed[0]], Basis(), run_path=tmp_path / "x.run", seed=1, now=NOW, progress=silent)
    assert (run.verdict, exit_code(run)) == (("pass", 0) if harm is None else ("incomplete", 2)), run.because
    assert harm is None or "faithful" in run.because
