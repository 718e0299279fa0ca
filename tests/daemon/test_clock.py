"""A daemon on the recording's clock."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from replay.daemon import DaemonSpec, load_daemon
from replay.daemon.clock import check, find_library, shift
from replay.jobs.clocks import check_clock, set_clock
from replay.model import UsageError

_BEHIND_S = 20 * 86400
_SPEC = DaemonSpec(name="tiny", runtime="js", command=("tiny",))


@pytest.fixture
def library() -> Path:
    """Give libfaketime, or skip where it is not there."""
    try:
        return find_library(_SPEC)
    except UsageError as error:
        pytest.skip(str(error))


@pytest.mark.usefixtures("namespaces")
def test_the_daemon_lives_at_the_recorded_time(bench: Any, library: Path) -> None:
    """Its clock is behind by as much as was asked for and moves on; durations are real; player and cell keep the host's time."""
    code = "body.update(now=__import__('time').time(), ticks=__import__('time').monotonic())"
    spec = shift(bench.spec(code=code), _BEHIND_S, library)
    report = bench.run(
        spec,
        'import time\nseen["first"] = get("/health")\ntime.sleep(0.2)\nseen["second"] = get("/health")\nseen["player"] = time.time()\n'
        'seen["ticks"] = time.monotonic()',
    )
    seen = bench.seen()
    assert report.player_exit == 0
    assert abs(seen["player"] - time.time()) < 60
    assert abs(seen["player"] - _BEHIND_S - seen["second"]["now"]) < 5
    assert seen["second"]["now"] - seen["first"]["now"] >= 0.2
    assert abs(seen["ticks"] - seen["second"]["ticks"]) < 5
    assert any("FAKETIME=-1728000" in word for word in report.facts["daemon"]["command"])


def test_set_clock_says_what_it_did(library: Path) -> None:
    """The description starts the daemon under the library; the note says by how much and by what."""
    began = time.time() - 5000
    spec, clock = set_clock(_SPEC, "recorded", began)
    assert 5000 <= clock.behind_s <= 5002
    assert spec.command[0] == "/usr/bin/env"
    assert spec.command[-1] == "tiny"
    assert f"LD_PRELOAD={library}" in spec.command
    assert "behind this host" in clock.notes[0]
    assert set_clock(_SPEC, "now", began) == (_SPEC, type(clock)())
    assert set_clock(_SPEC, "recorded", None)[0] == _SPEC


def test_without_the_library_it_is_said_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is named and not there, what is nowhere, and what is no such library are told before anything starts."""
    with pytest.raises(UsageError, match="is not there"):
        check_clock("recorded", replace(_SPEC, faketime=str(tmp_path / "none.so")))
    monkeypatch.setattr("replay.daemon.clock._FOLDERS", (str(tmp_path),))
    with pytest.raises(UsageError, match="apt install libfaketime"):
        check_clock("recorded", _SPEC)
    with pytest.raises(UsageError, match="must be now or recorded"):
        check_clock("yesterday", _SPEC)
    with pytest.raises(UsageError, match="can't be set"):
        check_clock("recorded", None)
    check_clock("now", None)
    broken = tmp_path / "libfaketimeMT.so.1"
    broken.write_bytes(b"no library")
    with pytest.raises(UsageError, match="does not shift"):
        check(broken, _BEHIND_S, now=time.time())


def test_a_description_names_the_library(tmp_path: Path) -> None:
    """A relative path is taken from the description's folder."""
    (tmp_path / "own.toml").write_text('command = ["x"]\nfaketime = "lib/libfaketimeMT.so.1"\n')
    assert load_daemon(str(tmp_path / "own.toml"), environment={}).faketime == str(tmp_path / "lib" / "libfaketimeMT.so.1")
