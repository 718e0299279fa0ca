"""Process 1 of the container: forwards, collects, and ends last."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

INIT = Path(__file__).parents[2] / "deploy" / "container_init.py"
AS_PROCESS_1 = """
import ctypes, runpy, sys
assert ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0  # PR_SET_CHILD_SUBREAPER: orphans come to us, as to process 1
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
RECORDER = """
import os, signal, subprocess, sys
writer = subprocess.Popen([sys.executable, "-c", sys.argv[1], sys.argv[2]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
writer.stdout.readline()
signal.signal(signal.SIGTERM, lambda *_: os._exit(7))
print(os.getpid(), flush=True)
while True:
    signal.pause()
"""
WRITER = """
import pathlib, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
sys.stdin.read()
pathlib.Path(sys.argv[1]).write_text("sealed")
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="containers, and PR_SET_CHILD_SUBREAPER, are Linux's")


def run(*command: str) -> subprocess.Popen[str]:
    """Start the init with a command."""
    return subprocess.Popen([sys.executable, "-c", AS_PROCESS_1, str(INIT), *command], stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize(("how", "code"), [("init gets SIGTERM", 7), ("recorder is killed", 128 + 9)])
def test_the_writer_is_waited_for(tmp_path: Path, how: str, code: int) -> None:
    """Stopped in order or killed, the recorder's exit code comes out only after its orphaned writer has sealed."""
    with run(sys.executable, "-c", RECORDER, WRITER, str(tmp_path / "sealed")) as init:
        assert init.stdout
        recorder = int(init.stdout.readline())
        if how == "init gets SIGTERM":
            init.send_signal(signal.SIGTERM)
        else:
            subprocess.run(["kill", "-KILL", str(recorder)], check=True)
        assert init.wait(timeout=30) == code
    assert (tmp_path / "sealed").read_text() == "sealed"


@pytest.mark.parametrize("code", [0, 2, 3])
def test_exit_codes_come_out(code: int) -> None:
    """The recorder's exit code is the container's."""
    with run(sys.executable, "-c", f"raise SystemExit({code})") as init:
        assert init.wait(timeout=30) == code
