"""The tool's own acceptance: every fault of the demo is found where it must be, and without a fault nothing is."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest

from replay.archive import read
from replay.demo import FAULTS
from replay.jobs.judging import Basis, compare_run, measure_noise
from replay.jobs.tour import assess, planted
from replay.model import Verdict
from replay.runs import Run

type Play = Callable[[str, str, tuple[str, ...]], Path]
NOW = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
QUICK = ("missing-key", "reordered-recall", "plaintext-secret")
"""Faults of three kinds (answer, order, state) that the default run tries too."""


def silent(_what: str, _done: int, _of: int) -> None:
    """Hear of progress and say nothing."""


def judged(folder: Path, observed: Path, basis: Basis) -> Run:
    """Compare an observed archive with the demo's recording and its control."""
    archives = [read(folder / "recording.parity"), read(observed), read(folder / "control.parity")]
    return compare_run(archives[0], archives[1], archives[2:], basis, run_path=observed.with_suffix(".run"), seed=7, now=NOW, progress=silent)


def opened(run: Run) -> list[str]:
    """Say what is open, in words."""
    return [f"{item.route} {item.path} {item.kind}: {item.primary} → {item.candidate}" for item in run.clusters if item.verdict is Verdict.OPEN]


def find_fault(name: str, folder: Path, play: Play) -> None:
    """Replay with one fault and see that it is found in its domain and class."""
    run = judged(folder, play(f"fault-{name}", "js", (name,)), Basis())
    missed, _ = assess(run, planted("js", [name]))

    assert missed == (), opened(run)
    assert run.canaries.found == run.canaries.planted


@pytest.mark.parametrize("name", QUICK)
def test_a_fault_is_found(name: str, demo_folder: Path, replay_on: Play) -> None:
    """A fault of the daemon is found in its domain and class."""
    find_fault(name, demo_folder, replay_on)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(FAULTS) - set(QUICK)))
def test_every_other_fault_is_found(name: str, demo_folder: Path, replay_on: Play) -> None:
    """Each of all the faults, one by one, is found in its domain and class."""
    find_fault(name, demo_folder, replay_on)


@pytest.mark.slow
def test_the_primary_against_itself_is_silent(demo_folder: Path, replay_on: Play) -> None:
    """The js daemon replayed twenty times, with noise learned from other runs, has no open cluster in any of them."""
    learned = [read(demo_folder / "recording.parity"), *(read(replay_on(f"noise-{number}", "js", ())) for number in range(3))]
    basis = Basis(noise=measure_noise(learned, silent))

    loud = {}
    for number in range(20):
        found = opened(judged(demo_folder, replay_on(f"again-{number}", "js", ()), basis))
        if found:
            loud[number] = found

    assert loud == {}
