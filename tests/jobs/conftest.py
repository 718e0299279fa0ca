"""One recording of the demo and one control, shared by all tests of a session."""

from collections.abc import Callable
from pathlib import Path

import pytest

from replay.jobs.replaying import replay_archive
from replay.jobs.tour import demo_order, record_demo, traces


def silent(_what: str, _done: int, _of: int) -> None:
    """Hear of progress and say nothing."""


@pytest.fixture(scope="session")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with the demo's recording and a control of it: a real mitmdump, real daemons, real cells."""
    folder = tmp_path_factory.mktemp("demo")
    record_demo(folder, folder / "recording.parity")
    replayed = replay_archive(demo_order(folder, "control", "js", ()), silent)
    assert replayed.exit_code == 0, replayed.text
    return folder


@pytest.fixture(scope="session")
def replay_on(demo_folder: Path) -> Callable[[str, str, tuple[str, ...]], Path]:
    """Give a function (name, runtime, faults) that replays the demo's recording once more and gives the observed archive."""

    def play(name: str, runtime: str, faults: tuple[str, ...]) -> Path:
        arguments = tuple(word for fault in faults for word in ("--fault", fault))
        order = demo_order(demo_folder, name, runtime, arguments)
        replayed = replay_archive(order, silent)
        assert replayed.exit_code == 0, replayed.text
        for fault, text in traces(replayed, faults):
            assert text, f"{fault} left nothing wrong behind"
        return order.observed

    return play
