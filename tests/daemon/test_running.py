import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from replay.daemon import Companion, Ready, running
from replay.daemon.asking import ask, free_port, listens
from replay.model import DaemonError, UsageError


def test_a_daemon_runs_on_the_host_while_the_block_lasts(bench: Any) -> None:
    """It works on the given directory and port, and is gone afterwards."""
    port = free_port()
    with running(bench.spec(), workspace=bench.state, port=port, scratch=bench.folder / "scratch") as daemon:
        reply = ask("127.0.0.1", port, "/health")
        assert reply is not None
        assert reply.fields()["directory"] == str(bench.state) == str(daemon.workspace)
        assert (daemon.url, daemon.version) == (f"http://127.0.0.1:{port}", "7.7")
        assert daemon.log_tail() == "daemon speaks\n"
    assert not listens("127.0.0.1", port)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("dies", r"ended with exit code 1 before it was ready[\s\S]*no such table"),
        ("never", r"did not give 200 \(the last answer was 503\) within 1 s[\s\S]*daemon speaks"),
    ],
)
def test_a_daemon_that_does_not_come_up_says_why(bench: Any, fault: str, says: str) -> None:
    """Exit code or last status, and the end of its log."""
    spec = bench.spec(fault, ready=Ready(timeout_s=1.0))
    with pytest.raises(DaemonError, match=says), running(spec, workspace=bench.state, port=free_port()):
        pass


def test_a_taken_port_is_refused(bench: Any) -> None:
    """What listens there already is never taken for the daemon."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        with pytest.raises(DaemonError, match=f"port {port} is taken"), running(bench.spec(), workspace=bench.state, port=port):
            pass


def test_a_description_for_cells_is_refused(bench: Any) -> None:
    """Companions and mounts need a cell."""
    spec = bench.spec(companions=(Companion(("x",)),))
    with pytest.raises(UsageError, match="companions and mounts are for cells"), running(spec, workspace=bench.state, port=free_port()):
        pass


def test_a_daemon_dies_with_the_process_that_started_it(
    bench: Any, pids_of: Callable[[str], list[int]], await_ends: Callable[[list[int], float], list[int]]
) -> None:
    """After a SIGKILL of the tool the daemon is gone too."""
    tool = f"""
import signal, sys
from pathlib import Path
from replay.daemon import DaemonSpec, running
folder = Path({str(bench.folder)!r})
spec = DaemonSpec("tiny", "js", ("{{python}}", str(folder / "tiny.py"), "{{port}}", "-", "-"))
with running(spec, workspace=folder / "state", port={free_port()}, scratch=folder / "scratch"):
    print("up", flush=True)
    signal.pause()
"""
    with subprocess.Popen([sys.executable, "-c", tool], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        pids = pids_of(str(bench.program))
        assert len(pids) == 1
        process.kill()
    assert await_ends(pids, 10.0) == []
