"""A tiny real daemon, a state, and players that report what they see from inside a cell."""

import json
import os
import select
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from replay.daemon import CellReport, DaemonSpec, Ready, probe_namespaces, run_cell

DAEMON = """
import http.server, json, os, signal, subprocess, sys
port, fault, code = int(sys.argv[1]), sys.argv[2], sys.argv[3]
print("daemon speaks", flush=True)
if fault == "dies": sys.exit("no such table: memories")
if fault == "deaf": signal.signal(signal.SIGTERM, signal.SIG_IGN)
if fault == "leaves": subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()", sys.argv[0]], start_new_session=True)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/die":
            print("out of memory, say", flush=True)
            os._exit(9)
        status = 503 if fault == "never" else 302 if fault == "redirects" else 200
        body = {"version": "7.7", "agentsDir": os.getcwd(), "environment": dict(os.environ), "directory": os.getcwd()}
        if code != "-": eval(code)
        data = json.dumps(body).encode()
        self.send_response(status)
        if status == 302: self.send_header("Location", "http://192.0.2.1/")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
    def log_message(self, *_): pass
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""
"""Arguments: port, fault, an expression that may change `body`."""

PLAYER = """
import http.client, json, os, pathlib, signal, socket, subprocess, sys
facts = json.loads(pathlib.Path(sys.argv[-1]).read_text())
seen = {}
def get(path):
    connection = http.client.HTTPConnection(facts["host"], facts["port"], timeout=5)
    connection.request("GET", path)
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return answer
"""


@dataclass(frozen=True)
class Bench:
    """A folder with everything that a cell needs."""

    folder: Path
    state: Path
    program: Path

    def spec(self, fault: str = "-", code: str = "-", **fields: Any) -> DaemonSpec:
        """Describe the tiny daemon."""
        given: dict[str, Any] = {
            "name": "tiny",
            "runtime": "js",
            "command": ("{python}", str(self.program), "{port}", fault, code),
            "visible": (str(self.folder),),
            "ready": Ready(timeout_s=10.0),
            "stop_timeout_s": 5.0,
            **fields,
        }
        return DaemonSpec(**given)

    def player(self, code: str) -> Sequence[str]:
        """Make a player that runs some lines, in which `facts` and `get` are there and `seen` is written down."""
        out = self.folder / "out"
        out.mkdir(exist_ok=True)
        text = f"{PLAYER}{code}\npathlib.Path({str(out / 'seen.json')!r}).write_text(json.dumps(seen))\n"
        return [sys.executable, "-c", text]

    def seen(self) -> dict[str, Any]:
        """Give what the player wrote down."""
        value: dict[str, Any] = json.loads((self.folder / "out" / "seen.json").read_text())
        return value

    def run(self, spec: DaemonSpec, code: str = "", *, workspace: str | None = None, **fields: Any) -> CellReport:
        """Run a cell with a player of some lines."""
        player = self.player(code)
        return run_cell(
            spec,
            state=self.state,
            recorded_workspace=workspace,
            player=player,
            scratch=self.folder / "scratch",
            writable=[self.folder / "out"],
            **fields,
        )


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Give a tiny daemon and a state with two files."""
    program = tmp_path / "tiny.py"
    program.write_text(DAEMON)
    state = tmp_path / "state"
    (state / "memory").mkdir(parents=True)
    (state / "agent.yaml").write_text("version: 1\n")
    (state / "memory" / "memories.db").write_bytes(b"rows")
    return Bench(tmp_path, state, program)


@pytest.fixture(scope="session")
def namespaces() -> None:
    """Skip where the host permits no namespaces, saying why."""
    why_not = probe_namespaces()
    if why_not is not None:
        pytest.skip(f"no namespace cells on this host: {why_not}")


@pytest.fixture
def pids_of() -> Callable[[str], list[int]]:
    """Give a function that finds the processes with a text in their command line."""
    if not Path("/proc/self/cmdline").exists():
        pytest.skip("processes are looked for in /proc, which this host has not")

    def find(text: str) -> list[int]:
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if text.encode() in line:
                found.append(int(entry.name))
        return found

    return find


@pytest.fixture
def await_ends() -> Callable[[list[int], float], list[int]]:
    """Give a function that waits for processes that are not ours, at most so many seconds, and returns those still there."""

    def wait(pids: list[int], timeout_s: float) -> list[int]:
        left = []
        for pid in pids:
            try:
                handle = os.pidfd_open(pid)
            except ProcessLookupError:
                continue
            try:
                if not select.select([handle], [], [], timeout_s)[0]:
                    left.append(pid)
            finally:
                os.close(handle)
        return left

    return wait
