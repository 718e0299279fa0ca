"""One daemon as a process: how it starts, watches, answers oddities and ends."""

import json
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from replay.demo import DRAINED, make_workspace
from replay.demo.client import Client
from replay.demo.client import main as run_client
from replay.demo.git import git
from replay.demo.schema import DATABASE
from replay.model import UsageError
from replay.workspace import CopyLimits, copy_workspace

PASSWORD = "demo-only-password"  # noqa: S105 (made up)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Give a new workspace."""
    make_workspace(tmp_path / "workspace", 1)
    return tmp_path / "workspace"


def log_in(client: Client) -> None:
    """Give the client a token."""
    client.token = client.ask("POST", "/api/auth/login", {"username": "admin", "password": PASSWORD}).value("token")


def test_workspace_comes_of_its_seed(tmp_path: Path) -> None:
    """The same seed gives the same rows, files and commit; another seed other ids; a filled folder is refused."""

    def content(name: str, seed: int) -> tuple[list[Any], str, str]:
        path = tmp_path / name
        make_workspace(path, seed)
        with closing(sqlite3.connect(path / DATABASE)) as connection:
            rows = connection.execute("SELECT * FROM memories").fetchall()
        return rows, git(path, "rev-parse", "HEAD")[1], (path / ".demo-machine-id").read_text()

    first = content("a", 1)
    assert content("b", 1) == first
    assert content("c", 2)[0] != first[0]
    assert first[1] == content("d", 1)[1]
    with pytest.raises(UsageError, match="not empty"):
        make_workspace(tmp_path, 1)


def test_daemon_ends_cleanly_with_a_listener(workspace: Path, daemon: Callable[..., Any]) -> None:
    """SIGTERM ends a daemon with code 0 while a stream is open, and its database is whole in one file."""
    with daemon(workspace) as (base, process), Client(base, workspace) as client:
        log_in(client)
        stream = client.listen("/api/logs/stream")
        assert len(stream.read(1)) == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
        stream.leave()

    assert not [path.name for path in (workspace / "memory").iterdir() if path.name != "memories.db"]


def test_answers_are_told_to_listeners(workspace: Path, daemon: Callable[..., Any]) -> None:
    """A listener hears of what others do, at once, and the daemon goes on when it leaves."""
    with daemon(workspace) as (base, _), Client(base, workspace) as client:
        log_in(client)
        stream = client.listen("/api/logs/stream")
        stream.read(1)
        client.ask("POST", "/api/memory/remember", {"content": "Fog over the sound."})
        (event,) = stream.read(1)
        stream.leave()

        assert json.loads(event.removeprefix(b"data:"))["message"] == "Memory saved"
        assert client.ask("GET", "/health").status == 200


def test_edits_by_hand_are_seen(workspace: Path, daemon: Callable[..., Any]) -> None:
    """A file that is changed beside the daemon is written on to the harness, and a changed mode opens the doors."""
    with daemon(workspace) as (base, _), Client(base, workspace) as client:
        log_in(client)
        before = client.ask("GET", "/api/harnesses").value("harnesses", 0, "size")
        (workspace / "AGENTS.md").write_text("# Agents\n\nSay nothing.\n")
        (workspace / "agent.yaml").write_text("auth: {mode: local}\n")
        sizes = (client.ask("GET", "/api/harnesses").value("harnesses", 0, "size") for _ in range(2000))
        assert next(size for size in sizes if size != before) > 0
        statuses = (client.ask("GET", "/api/memories", token="").status for _ in range(2000))

        assert next(status for status in statuses if status != 401) == 200
        assert client.ask("POST", "/api/auth/login", {"username": "admin", "password": PASSWORD}).status == 400


def test_jobs_go_through_their_states(workspace: Path, daemon: Callable[..., Any]) -> None:
    """A remembered memory's job is leased once and completed; then nothing is left by the queries that say so."""
    with daemon(workspace) as (base, _), Client(base, workspace) as client:
        log_in(client)
        client.ask("POST", "/api/memory/remember", {"content": "Fog over the sound."})
        client.settle()
    with closing(sqlite3.connect(workspace / DATABASE)) as connection:
        rows = connection.execute("SELECT job_type, status, attempts FROM memory_jobs").fetchall()
        left = [connection.execute(sql).fetchone()[0] for sql in DRAINED.values()]

    assert rows == [("extract", "completed", 1)]
    assert left == [0, 0]


def test_state_goes_over_to_the_other_runtime(workspace: Path, daemon: Callable[..., Any]) -> None:
    """What one runtime remembered and stored, the other finds; a token of the one opens the other."""
    with daemon(workspace, "js") as (base, _), Client(base, workspace) as client:
        log_in(client)
        token = client.token
        client.ask("POST", "/api/memory/remember", {"content": "Fog over the sound."})
        client.ask("POST", "/api/secrets/A", {"value": "made-up"})
        client.settle()
    with daemon(workspace, "rust") as (base, _), Client(base, workspace) as client:
        client.token = token

        assert client.ask("GET", "/memory/search?q=fog").value("results", 0, "content") == "Fog over the sound."
        assert client.ask("GET", "/api/secrets").value("secrets") == ["A"]


def test_odd_requests_are_answered(workspace: Path, daemon: Callable[..., Any]) -> None:
    """Bad JSON, bad numbers, a broken secrets file, unknown methods: an answer each time, and never a traceback."""
    with daemon(workspace) as (base, process), Client(base, workspace) as client:
        log_in(client)
        (workspace / ".secrets").mkdir()
        (workspace / ".secrets/secrets.enc").write_text("{")
        odd: tuple[tuple[str, str, Any], ...] = (
            ("GET", "/api/memories?limit=-1&offset=x", None),
            ("GET", "/api/memories?limit=99999999999999999999", None),
            ("PATCH", "/api/memory/%00", {"content": "x", "reason": "y"}),
            ("POST", "/api/memory/remember", [1]),
            ("POST", "/api/memory/remember", {"content": "x", "type": {"a": 1}, "importance": [], "tags": 5, "project": {}}),
            ("POST", "/api/memory/recall", {"query": '"*()'}),
            ("POST", "/api/memory/modify", {"patches": [1, {}], "reason": ""}),
            ("POST", "/api/auth/api-keys", {"name": "x", "role": ["a"]}),
            ("POST", "/api/auth/token", {"role": {}}),
            ("POST", "/api/git/config", {"syncInterval": True, "branch": 1}),
            ("POST", "/api/documents", {"content": "x", "title": []}),
            ("POST", "/api/tasks", {"name": "x", "prompt": "y", "cron_expression": None}),
            ("POST", "/mcp", b"[]"),
            ("GET", "/mcp", None),
            ("GET", "/api/secrets", None),
            ("POST", "/api/secrets/A", {"value": "made-up"}),
            ("DELETE", "/api/secrets/A", None),
            ("GET", "/api/diagnostics/database/tables/%27;--/sample", None),
            ("PUT", "/api/memories", None),
            ("OPTIONS", "/api/memories", None),
            ("HEAD", "/health", None),
        )
        statuses = [client.ask(method, target, body).status for method, target, body in odd]
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=10)

    assert said == ""
    assert all(200 <= status < 600 for status in statuses)
    assert (workspace / ".secrets/secrets.enc").read_text() == "{"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: (path / DATABASE).unlink(), "no database there"),
        (lambda path: (path / ".demo-machine-id").unlink(), "no machine id"),
    ],
)
def test_what_is_no_workspace_is_refused(workspace: Path, change: Callable[[Path], None], message: str) -> None:
    """A daemon without its files says what is missing and ends with 2."""
    change(workspace)
    command = [sys.executable, "-m", "replay.demo.daemon", "--runtime", "js", "--port", "0", "--workspace", str(workspace)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)

    assert done.returncode == 2
    assert message in done.stderr


def test_taken_port_and_unknown_fault_are_refused(workspace: Path) -> None:
    """A port in use and a fault that is none end the daemon with 2 and a message."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        command = [sys.executable, "-m", "replay.demo.daemon", "--runtime", "js", "--workspace", str(workspace), "--port"]
        busy = subprocess.run([*command, str(taken.getsockname()[1])], capture_output=True, text=True, check=False, timeout=20)
        odd = subprocess.run([*command, "0", "--fault", "nope"], capture_output=True, text=True, check=False, timeout=20)

    assert (busy.returncode, "can't listen there" in busy.stderr) == (2, True)
    assert (odd.returncode, "no fault named nope" in odd.stderr) == (2, True)


def test_client_says_when_nobody_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The client without a daemon, or without a proper address, ends with 2 and a message."""
    with closing(socket.create_server(("127.0.0.1", 0))) as held:
        port = held.getsockname()[1]

    assert run_client(["--base", f"http://127.0.0.1:{port}", "--workspace", str(tmp_path)]) == 2
    assert run_client(["--base", "ftp://x", "--workspace", str(tmp_path)]) == 2
    assert "Connection refused" in capsys.readouterr().err


def test_snapshot_of_a_running_daemon_starts_another(workspace: Path, daemon: Callable[..., Any], tmp_path: Path) -> None:
    """A copy taken beside a running daemon, without its secrets, is a workspace that the other runtime starts from."""
    with daemon(workspace, "js") as (base, _), Client(base, workspace) as client:
        log_in(client)
        client.ask("POST", "/api/memory/remember", {"content": "Fog over the sound."})
        client.ask("POST", "/api/secrets/A", {"value": "made-up"})
        left_out = copy_workspace(workspace, tmp_path / "copy", CopyLimits()).left_out

        assert left_out == (".daemon/auth-secret: secret", ".secrets: secret")
    with daemon(tmp_path / "copy", "rust") as (base, _), Client(base, tmp_path / "copy") as client:
        log_in(client)

        assert client.ask("GET", "/memory/search?q=fog").value("results", 0, "content") == "Fog over the sound."
        assert client.ask("GET", "/api/secrets").value("secrets") == []
        assert client.ask("GET", "/api/git/status").value("branch") == "main"
