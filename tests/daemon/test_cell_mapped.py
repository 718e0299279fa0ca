import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from replay.daemon import Companion, Mount, cell, started_cell
from replay.model import DaemonError


def test_a_mapped_cell_is_another_port_and_another_path(bench: Any) -> None:
    """Without namespaces the daemon works on its copy at a scratch path and a free port, and the facts tell both."""
    report = bench.run(
        bench.spec(home="/tmp/js-home"),  # noqa: S108
        "seen['cwd'] = get('/health')['directory']; seen['home'] = get('/health')['environment']['HOME']",
        workspace="/tmp/ws-recorded",  # noqa: S108
        kind="mapped",
    )
    facts = report.facts
    assert (report.kind, facts["kind"], report.player_exit) == ("mapped", "mapped", 0)
    assert bench.seen() == {"cwd": str(report.workspace), "home": str(report.directory / "home")}
    assert facts["workspace"] == str(report.workspace)
    assert facts["recorded_workspace"] == "/tmp/ws-recorded"  # noqa: S108
    assert facts["port"] != facts["recorded_port"] == 3850
    assert facts["namespaces"] == {}
    assert report.namespaces == ""


def test_a_mapped_cell_says_what_it_can_not_do(bench: Any) -> None:
    """The notes name the open way out, the moved path and port, and each mount that is not there."""
    report = bench.run(
        bench.spec(mounts=(Mount(str(bench.state), "/nowhere/fixtures"),)),
        workspace="/tmp/ws-recorded",  # noqa: S108
        kind="mapped",
        machine_id="5ca1ab1e0000c0ffee00cafe00f00d00",
    )
    assert report.notes == tuple(report.facts["notes"])
    assert [note.split(": ", 1)[1] for note in report.notes] == [
        "the way out is not blocked, and the host's files are not protected",
        f"the workspace is at {report.workspace}, recorded at /tmp/ws-recorded",
        f"the port is {report.facts['port']}, recorded 3850",
        "the machine id is the host's, and a store of secrets that was sealed for the snapshot's stays closed",
        "nothing is mounted at /nowhere/fixtures",
    ]


def test_a_mapped_cell_tells_whether_the_recorded_port_is_anothers(bench: Any) -> None:
    """While something of the host listens on the recorded port, loop-backs would reach it: the facts say so."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        assert bench.run(bench.spec(), kind="mapped", recorded_port=port).facts["recorded_port_taken"] is True
    assert bench.run(bench.spec(), kind="mapped", recorded_port=port).facts["recorded_port_taken"] is False


def test_a_fixed_port_that_is_taken_is_refused(bench: Any) -> None:
    """A mapped cell shares the host's ports and never talks to what it did not start."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        with pytest.raises(DaemonError, match=f"port {port} is taken on this host"):
            bench.run(bench.spec(port=port), kind="mapped")


def test_a_companion_is_never_mistaken_for_what_the_host_runs(bench: Any) -> None:
    """Where something of the host listens on a companion's port, the cell is refused."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        companion = Companion(("{python}", "-c", "import signal; signal.pause()"), ready_port=port)
        with pytest.raises(DaemonError, match=f"port {port} is taken already"):
            bench.run(bench.spec(companions=(companion,)), kind="mapped")


def test_a_mount_at_home_is_copied_into_the_scratch_home(bench: Any) -> None:
    """What would be mounted at HOME is there in a mapped cell too, as a copy."""
    pristine = bench.folder / "home"
    pristine.mkdir()
    (pristine / ".gitconfig").write_text("[user]")
    spec = bench.spec(home="/tmp/js-home", mounts=(Mount(str(pristine), "/tmp/js-home"),))  # noqa: S108
    report = bench.run(spec, "seen['files'] = os.listdir(get('/health')['environment']['HOME'])", kind="mapped")
    assert bench.seen() == {"files": [".gitconfig"]}
    assert not any("nothing is mounted" in note for note in report.notes)


@pytest.mark.usefixtures("namespaces")
def test_nothing_is_left_of_a_mapped_cell(bench: Any, pids_of: Callable[[str], list[int]]) -> None:
    """What the daemon started in a session of its own is killed with it."""
    bench.run(bench.spec("leaves"), kind="mapped")
    assert pids_of(str(bench.program)) == []


@pytest.mark.usefixtures("namespaces")
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_when_the_first_process_is_killed(
    bench: Any, end: signal.Signals, pids_of: Callable[[str], list[int]], await_ends: Callable[[list[int], float], list[int]]
) -> None:
    """Daemon, what it left in a session of its own, and player end with the cell's first process, also when that can't see to it."""
    out = bench.folder / "out"
    out.mkdir()
    os.mkfifo(out / "there")
    player = bench.player(f"open({str(out / 'there')!r}, 'w').close(); signal.pause()")
    spec, scratch = bench.spec("leaves"), bench.folder / "scratch"
    with started_cell(spec, state=bench.state, recorded_workspace=None, player=player, scratch=scratch, kind="mapped") as running:
        (out / "there").read_text()  # until the player is there
        pids = pids_of(str(bench.folder))
        first = next(pid for pid in pids if "replay.daemon.cell_init" in words(pid) and "keeper.py" not in words(pid))
        assert len(pids) == 5  # keeper, first process, daemon, what it left, player
        os.kill(first, end)
        assert running.is_over(20.0)
        with pytest.raises(DaemonError, match="told to end" if end == signal.SIGTERM else "was it killed"):
            running.wait()
    assert await_ends(pids, 5.0) == []


def words(pid: int) -> str:
    """Give the command line of a process."""
    return Path(f"/proc/{pid}/cmdline").read_text()


def test_the_fallback_is_taken_where_there_are_no_namespaces(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """`auto` runs a mapped cell, `namespace` is refused with the reason."""
    monkeypatch.setattr(cell, "probe_namespaces", lambda: "unshare: Operation not permitted")
    assert bench.run(bench.spec()).kind == "mapped"
    with pytest.raises(DaemonError, match=r"makes no namespace cells: unshare: Operation not permitted"):
        bench.run(bench.spec(), kind="namespace")


def test_a_missing_unshare_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """The probe says which program and package are missing."""
    monkeypatch.setenv("PATH", os.devnull)
    reason = cell.probe_namespaces()
    assert reason is not None
    assert "unshare" in reason or "Linux" in reason


def test_the_players_exit_code_passes(bench: Any) -> None:
    """Whatever the player ends with is in the report."""
    report = bench.run(bench.spec(), "sys.exit(2)", kind="mapped")
    assert (report.player_exit, report.died, report.daemon_exit) == (2, False, -15)
    assert report.log == Path(report.facts["log"])
