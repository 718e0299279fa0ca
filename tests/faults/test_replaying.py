"""Parts of a replay are killed; `replaying.py` does it as often as wanted."""

from typing import Final

import pytest

from replay.daemon import probe_namespaces
from tests.faults.replaying import KINDS, Bench, Strike, prepare, run, strikes

pytestmark = pytest.mark.skipif(probe_namespaces() is not None, reason="this host makes no namespace cells")

TIMES: Final = 2


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Give the demo's recording, and undisturbed replays of it in a namespace."""
    return prepare(tmp_path_factory.mktemp("strikes"), ("namespace",))


@pytest.fixture(scope="module")
def whole_bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Give the same in each kind of cell."""
    return prepare(tmp_path_factory.mktemp("strikes"), KINDS)


@pytest.mark.slow
def test_a_killed_tool_takes_all_with_it_and_is_taken_up_again(bench: Bench) -> None:
    """After a SIGKILL of the tool nothing of it runs, what was on the disk is found, and `--resume` gives what an undisturbed replay gives."""
    strike = next(each for each in strikes(1, "1.0", kinds=("namespace",)) if each.name == "KILL of tool, namespace")
    result = run(bench, strike)
    assert result.wrong == []
    assert not result.late


@pytest.mark.slow
@pytest.mark.parametrize("strike", [pytest.param(strike, id=f"{strike.name} {strike.seed}") for strike in strikes(TIMES, "test")])
def test_what_a_strike_leaves(strike: Strike, whole_bench: Bench) -> None:
    """No process is left, no archive is lost, and the resumed replay is as an undisturbed one."""
    assert run(whole_bench, strike).wrong == []
