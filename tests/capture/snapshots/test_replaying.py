"""What a daemon makes of a snapshot."""

import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from typing import Any

from replay.capture.snapshots import SnapshotOrder
from replay.demo.client import Client
from replay.redact import is_placeholder
from replay.workspace import secrets


def test_daemon_starts_and_works_on_it(take: Callable[[SnapshotOrder], Any], order: SnapshotOrder) -> None:
    """Searches, new rows, git and the store of secrets work; what the daemon seals anew opens beside what was there."""
    taken = take(order)
    command = [sys.executable, "-m", "replay.demo.daemon", "--runtime", "js", "--port", "0", "--workspace", str(taken.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().removeprefix("listening on ").strip()
        with Client(f"http://{address}", taken.root) as client:
            assert client.ask("GET", "/health").status == 200
            recalled = client.ask("POST", "/api/memory/recall", {"query": "harbour"})
            remembered = client.ask("POST", "/api/memory/remember", {"content": "The tide table hangs by the door."})
            stored = client.ask("POST", "/api/secrets/FRESH", {"value": "made up here"})
            repository = client.ask("GET", "/api/git/status")
        process.terminate()
    assert (recalled.status, remembered.status, stored.status) == (200, 200, 200)
    assert b"harbour" in recalled.body
    assert b'"isRepo":true' in repository.body.replace(b" ", b"")
    store, key = secrets.read(taken.root / secrets.FILE), secrets.derive_key(taken.result.machine_id)
    assert secrets.reveal(store, "FRESH", key) == "made up here"
    assert is_placeholder((secrets.reveal(store, "AGAIN", key) or "").encode())
    with closing(taken.open_database()) as connection:
        assert connection.execute("SELECT count(*) FROM memories_fts WHERE memories_fts MATCH 'tide'").fetchone() != (0,)
