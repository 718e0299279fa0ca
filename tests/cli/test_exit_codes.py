"""Exit codes: 0 judged and good, 1 judged and not good, 2 could not judge, 70 a bug in the tool."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

BODY = b'{"name": "alpha", "kept": true}'


@pytest.mark.parametrize(("observed", "code"), [(BODY, 0), (BODY.replace(b"alpha", b"beta"), 1), (BODY[:-1], 1)])
def test_a_judged_run_says_good_or_not(
    observed: bytes, code: int, pair: Callable[..., tuple[Path, Path]], signet_parity: Any, tmp_path: Path
) -> None:
    """Equal answers are 0; another value and a cut body are 1."""
    recorded, other = pair(BODY, observed)

    assert signet_parity("compare", recorded, other, "--run", tmp_path / "a.run").code == code


@pytest.mark.parametrize("crash", [RuntimeError("broken"), AssertionError("broken"), RecursionError("broken")])
def test_a_crash_is_neither_good_nor_not_good(
    crash: Exception, pair: Callable[..., tuple[Path, Path]], signet_parity: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug outside of one exchange's comparison ends with 70, says so, and leaves no run."""
    import replay.jobs.judging as job

    def fail(*_: object, **__: object) -> None:
        raise crash

    monkeypatch.setattr(job, "judge", fail)
    recorded, observed = pair(BODY, BODY)
    outcome = signet_parity("compare", recorded, observed, "--run", tmp_path / "a.run")

    assert outcome.code == 70
    assert "this is a bug in signet-parity" in outcome.err
    assert not (tmp_path / "a.run").exists()


def test_a_full_machine_is_no_bug(signet_parity: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What the machine refuses can't be judged, and is nobody's bug."""
    import replay.jobs.looking as job

    def refuse(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(job, "describe", refuse)
    assert signet_parity("inspect", tmp_path).code == 2


@pytest.mark.parametrize("words", [("--help",), ("compare", "--help")])
def test_help_is_good(words: tuple[str, ...], signet_parity: Any) -> None:
    """Help was asked for and given."""
    assert signet_parity(*words).code == 0


@pytest.mark.parametrize("words", [(), ("no-such-verb",), ("compare", "--no-such-option"), ("rules",)])
def test_wrong_words_could_not_be_judged(words: tuple[str, ...], signet_parity: Any) -> None:
    """Nothing, an unknown verb and an unknown option are usage errors."""
    assert signet_parity(*words).code == 2


def test_a_control_of_its_own_is_asked_for(pair: Callable[..., tuple[Path, Path]], signet_parity: Any, tmp_path: Path) -> None:
    """The observed archive can't witness for itself, nor can the recording: every difference would be excused."""
    recorded, observed = pair(BODY, BODY.replace(b"alpha", b"beta"))

    for control in (recorded, observed):
        outcome = signet_parity("compare", recorded, observed, "--control", control, "--run", tmp_path / "a.run")
        assert outcome.code == 2
        assert "must be three archives" in outcome.err


def test_noise_is_not_learned_from_a_candidate(archive: Callable[..., Path], signet_parity: Any, tmp_path: Path) -> None:
    """What two daemons do differently is no noise of one."""
    one = archive("js.parity", BODY, facts={"daemon": {"name": "js"}})
    two = archive("rust.parity", BODY, facts={"daemon": {"name": "rust"}})
    outcome = signet_parity("noise", one, two, "--out", tmp_path / "noise.json")

    assert outcome.code == 2
    assert "these archives are of js, rust" in outcome.err
