"""
Replays of random histories on a model of a daemon.

On one like the recorded daemon nothing ever differs. On one with a planted fault exactly those exchanges differ in which clients who live the
same history on it see a difference; the first of them stands for itself, and all that come later hang on it by a thing's id.
"""

import asyncio
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from replay.model import Divergence, Response, Verdict
from tests.play.histories.clients import History, content_of, histories
from tests.play.histories.daemon import BESIDE, FAULTS, Fault
from tests.play.histories.replaying import judged, live, replay

ORDERS: Final = frozenset({"order", "rank"})
TIES: Final = "GET /memory/search"
"""Where the model itself gives another order each time."""
TWOFOLD: Final = ("change lost", "change refused", "version stuck")
"""Faults of a change, which say nothing of the thing's other values."""
HANGS: Final = re.compile(
    r"follows from (#(?P<exchange>\d+), (?:where .*|which did not give )(?P<thing>[0-9a-f-]{36})|the status|the body|the call's outcome)"
)
FIXED: Final = settings(
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)


def faults(history: History, kind: str) -> list[Fault]:
    """Give where a fault of a kind may strike; what strikes another memory does so where nothing runs beside."""
    struck = "patch" if kind in {"change lost", "change refused", "version stuck", "row deleted"} else "remember"
    beside = kind in {"row deleted", "id swapped"}
    return [
        Fault(kind, content_of(place))
        for place, op in history.places()
        if op.kind == struck and not (beside and len(history.rounds[place[0]]) > 1)
    ]


async def replay_on_its_like(history: History, folder: Path) -> None:
    """Record a history, replay it on an identical daemon, and assert that nothing differs."""
    lived = await live(history, folder, 1, path=folder / "r.parity")
    replayed = await replay(folder / "r.parity", folder, 2)
    assert replayed.played.complete
    assert replayed.played.gaps == 0
    run = judged(folder / "r.parity", replayed.archive, [], folder)
    assert run.compared == len(lived.answers) == replayed.played.observed
    assert [pair for pair in run.pairs if pair.primary_status != pair.candidate_status] == []
    assert [item.finding for item in run.divergences if (item.finding.route, item.finding.kind) != (TIES, "rank")] == []
    assert all(isinstance(one.outcome, Response) for one in replayed.archive.exchanges())


async def replay_on_a_faulty_one(history: History, fault: Fault, folder: Path) -> int:
    """Record a history, replay it on a daemon with a fault, and assert what is found; gives how many exchanges follow from the first."""
    lived = await live(history, folder, 1, path=folder / "r.parity")
    seen = await live(history, folder, 2, fault)
    replayed = await replay(folder / "r.parity", folder, 3, fault)
    assert replayed.played.gaps == 0
    run = judged(folder / "r.parity", replayed.archive, [], folder)
    found: dict[int, list[Divergence]] = {}
    for item in run.divergences:
        if item.finding.route != TIES:
            found.setdefault(int(item.finding.subject.id), []).append(item)
    differs = {number for number, answer in lived.answers.items() if seen.answers[number] != answer and not lived.asked[number].startswith(TIES)}
    at = lived.exchange_of[fault.content]
    assert min(found, default=0) == min(differs, default=0)
    assert all(number >= at for number in found)
    if fault.kind == "id swapped":
        # clients who live it go on with the wrong id, a replay with the lost one: from there on they see different things
        assert min(found) == at
    else:
        assert set(found) == differs
    if not found:
        return 0
    opened = [number for number, items in found.items() if any(item.verdict is Verdict.OPEN for item in items)]
    assert opened == [min(found)]
    for number, items in found.items():
        for item in items if number != opened[0] else ():
            assert item.verdict is Verdict.DERIVED, item
            hangs = HANGS.match(item.because)
            assert hangs is not None, item.because
            assert hangs["exchange"] in {None, str(opened[0])}, item.because
    return len(found) - 1


async def replay_on_one_with_two_faults(history: History, fault: Fault, folder: Path) -> None:
    """
    Replay a history on a daemon that keeps every importance wrong and fails at one change, and assert that neither fault hides the other.

    Both strike the same things, so each value hangs on a value of its own fault, and each fault has something that stands for itself.
    """
    await live(history, folder, 1, path=folder / "r.parity")
    replayed = await replay(folder / "r.parity", folder, 3, fault, Fault(BESIDE, ""))
    run = judged(folder / "r.parity", replayed.archive, [], folder)
    alone = await replay(folder / "r.parity", folder, 4, fault)
    shows = any(item.finding.kind not in ORDERS for item in judged(folder / "r.parity", alone.archive, [], folder / "alone").divergences)
    opened: set[bool] = set()
    for item in run.divergences:
        if item.finding.kind in ORDERS:
            continue
        ours = item.finding.path.endswith(".importance")
        if item.verdict is Verdict.OPEN:
            opened.add(ours)
        elif item.because.startswith("follows from #"):
            assert item.because.endswith(".importance)") is ours, item
    assert True in opened
    assert (False in opened) is shows


def within_a_folder(played: Callable[[Path], object]) -> None:
    """Run something in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        played(Path(folder))


@settings(FIXED, max_examples=9)
@given(histories())
def test_on_its_like_nothing_differs(history: History) -> None:
    """Whatever clients did, a replay on an identical daemon has every status, every answer and no gap."""
    within_a_folder(lambda folder: asyncio.run(replay_on_its_like(history, folder)))


@pytest.mark.parametrize("kind", FAULTS)
@settings(FIXED, max_examples=2)
@given(histories(), st.integers(0, 99))
def test_a_fault_is_found_where_it_is(kind: str, history: History, which: int) -> None:
    """A planted fault is found at the first exchange that shows it, and what follows hangs on that one by a named id."""
    there = faults(history, kind)
    assume(there)
    within_a_folder(lambda folder: asyncio.run(replay_on_a_faulty_one(history, there[which % len(there)], folder)))


@pytest.mark.parametrize("kind", TWOFOLD)
@settings(FIXED, max_examples=1)
@given(histories(), st.integers(0, 99))
def test_a_second_fault_of_the_same_thing_is_found(kind: str, history: History, which: int) -> None:
    """Two faults that strike one thing are told apart: what follows from the one does not hide the other."""
    there = faults(history, kind)
    assume(there)
    within_a_folder(lambda folder: asyncio.run(replay_on_one_with_two_faults(history, there[which % len(there)], folder)))


@pytest.mark.slow
@pytest.mark.parametrize("kind", TWOFOLD)
@settings(FIXED, max_examples=40)
@given(histories(), st.integers(0, 99))
def test_a_second_fault_of_the_same_thing_is_found_in_many(kind: str, history: History, which: int) -> None:
    """The same in hundreds of histories."""
    there = faults(history, kind)
    assume(there)
    within_a_folder(lambda folder: asyncio.run(replay_on_one_with_two_faults(history, there[which % len(there)], folder)))


@pytest.mark.slow
@settings(FIXED, max_examples=300)
@given(histories())
def test_on_its_like_nothing_differs_in_many(history: History) -> None:
    """The same in hundreds of histories."""
    within_a_folder(lambda folder: asyncio.run(replay_on_its_like(history, folder)))


@pytest.mark.slow
@pytest.mark.parametrize("kind", FAULTS)
@settings(FIXED, max_examples=40)
@given(histories(), st.integers(0, 99))
def test_a_fault_is_found_where_it_is_in_many(kind: str, history: History, which: int) -> None:
    """The same in hundreds of histories."""
    there = faults(history, kind)
    assume(there)
    within_a_folder(lambda folder: asyncio.run(replay_on_a_faulty_one(history, there[which % len(there)], folder)))
