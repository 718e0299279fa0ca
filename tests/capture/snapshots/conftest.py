"""A workspace with secrets everywhere, and what a snapshot of it shows."""

import base64
import gzip
import sqlite3
import subprocess
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from replay.archive import Limits, extract
from replay.capture.snapshots.orders import SnapshotOrder, SnapshotResult
from replay.capture.snapshots.scratch import scratch_folder
from replay.capture.snapshots.taking import take_snapshot
from replay.demo import make_workspace
from replay.workspace import secrets, tokens

MACHINE_ID = "5ca1ab1e0000c0ffee00cafe00f00d00"

PLANTED: Mapping[str, str] = {
    "api key in a table": "sig_sk_0123456789ab_" + "Aq3" * 14 + "Z",
    "token in a table": tokens.mint(b"k" * 32, {"sub": "token:agent", "role": "agent", "scope": {}, "iat": 1, "exp": 2}),
    "hash of a key": "scrypt:73616c7473616c74:" + "9e" * 32,
    "password in JSON in a table": "correct-horse-battery-7",
    "provider key in a table": "sk-proj-" + "b7Q" * 12,
    "deleted row": "sk-ant-" + "d3L" * 12,
    "password in the git configuration": "hunter2hunter2",
    "password in a fetched head": "fetched-pass-99",
    "key in the git history": "sk-or-" + "h1S" * 12,
    "key in agent.yaml": "plain-provider-key-4711",
    "token in .env": "gateway-token-value-0815",
    "secret of the store": "bitwarden-session-0042-abc",
    "secret of the store, never sealed": "rust-daemon-plain-1234",
    "key in a file's name": "sig_sk_ba9876543210_" + "Nm5" * 14 + "Z",
    "token in a transcript": tokens.mint(b"q" * 32, {"sub": "dashboard:admin", "role": "admin", "scope": {}, "iat": 1, "exp": 2}),
    "key in a note": "xoxb-" + "123456789012-" + "n0T" * 8,
    "key in a compressed file": "ghp_" + "c0M" * 12,
    "key in a backup": "sk-" + "k8P" * 12,
    "machine id": MACHINE_ID,
    "key in the marketplace": "env-value-of-a-server-77",
}


@dataclass(frozen=True)
class Taken:
    """A snapshot, unpacked."""

    result: SnapshotResult
    root: Path
    tar: bytes

    def open_database(self, name: str = "memory/memories.db") -> sqlite3.Connection:
        """Open a database of it; the caller closes it."""
        return sqlite3.connect(self.root / name)


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """Make a demo's workspace with every planted secret in it."""
    workspace = tmp_path / "workspace"
    make_workspace(workspace, seed=3)
    _plant_files(workspace)
    _plant_git(workspace)
    with closing(sqlite3.connect(workspace / "memory/memories.db")) as connection:
        connection.execute("PRAGMA journal_mode=WAL").fetchall()
        _plant_rows(connection)
        with closing(sqlite3.connect(workspace / "memory/memories.db.bak-v1-17")) as other:
            connection.backup(other)
            other.execute("UPDATE memories SET who = ?", (PLANTED["key in a backup"],))
            other.commit()
    return workspace


def _plant_files(workspace: Path) -> None:
    (workspace / ".demo-machine-id").write_text(MACHINE_ID + "\n")
    (workspace / "agent.yaml").write_text(
        "configVersion: 2\nname: Demo\nembedding:\n  provider: openai\n"
        f"  api_key: {PLANTED['key in agent.yaml']}  # ours\n  dimensions: 768\n  base_url: $secret:OPENAI_URL\nmax_tokens: 4096\n"
    )
    (workspace / ".env").write_text(f'export GATEWAY_TOKEN="{PLANTED["token in .env"]}"\nPATH=/usr/bin\n')
    store = workspace / secrets.FILE
    key = secrets.derive_key(MACHINE_ID)
    now = "2026-01-01T00:00:00.000Z"
    secrets.put(store, "BITWARDEN_SESSION", PLANTED["secret of the store"], key=key, now=now)
    secrets.put(store, "AGAIN", PLANTED["secret of the store"], key=key, now=now)
    secrets.put_plain(store, "RUST", PLANTED["secret of the store, never sealed"], now=now)
    (workspace / "USER.md").write_text(f"The session is {PLANTED['secret of the store']}, I think.\n")
    tokens.make_auth_secret(workspace / tokens.AUTH_SECRET_FILE)
    (workspace / f"notes-{PLANTED['key in a file' + chr(39) + 's name']}.md").write_text("nothing\n")
    transcripts = workspace / "memory/codex/transcripts"
    transcripts.mkdir(parents=True)
    (transcripts / "transcript.jsonl").write_text(f'{{"text": "Authorization: Bearer {PLANTED["token in a transcript"]}"}}\n' * 3)
    (workspace / "memory/2026-01-02-note.md").write_text(f"Slack: {PLANTED['key in a note']}\n")
    (workspace / "old.log.gz").write_bytes(gzip.compress(f"key {PLANTED['key in a compressed file']}".encode()))
    (workspace / "clean.gz").write_bytes(gzip.compress(b"nothing in here", mtime=0))
    (workspace / "marketplace").mkdir()
    (workspace / "marketplace/mcp-servers.json").write_text(
        f'{{"servers": [{{"id": "x", "config": {{"command": "run", "env": {{"HARMLESS": "{PLANTED["key in the marketplace"]}"}}}}}}]}}'
    )


def _plant_git(workspace: Path) -> None:
    def git(*arguments: str) -> None:
        who = ["-c", "user.name=Demo", "-c", "user.email=demo@example.invalid", "-c", "core.hooksPath=/dev/null"]
        subprocess.run(["git", *who, *arguments], cwd=workspace, check=True, capture_output=True)

    (workspace / "deploy.txt").write_text(f"key {PLANTED['key in the git history']}\n")
    git("add", "deploy.txt")
    git("commit", "-q", "-m", "add the key")
    (workspace / "deploy.txt").write_text("key ?\n")
    git("commit", "-q", "-a", "-m", "take it out again")
    git("remote", "add", "upstream", f"https://me:{PLANTED['password in the git configuration']}@example.invalid/r.git")
    (workspace / ".git/FETCH_HEAD").write_text(
        f"{'0' * 40}\t\tbranch 'main' of https://me:{PLANTED['password in a fetched head']}@example.invalid/r\n"
    )


def _plant_rows(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA secure_delete=OFF")
    rowid = connection.execute("SELECT min(rowid) FROM memories").fetchone()[0]
    connection.execute("UPDATE memories SET content = content || ' Key: ' || ? WHERE rowid = ?", (PLANTED["api key in a table"], rowid))
    connection.execute("UPDATE memories SET content = content || ' and ' || ? WHERE rowid = ?", (PLANTED["provider key in a table"], rowid + 1))
    history = "INSERT INTO memory_history VALUES ('h1', (SELECT id FROM memories LIMIT 1), 'x', ?, NULL, 'me', NULL, 'now')"
    connection.execute(history, (f"Bearer {PLANTED['token in a table']}",))
    connection.execute(
        "INSERT INTO api_keys VALUES ('k1', 'sig_sk_0123456789ab', 'n', ?, 'agent', 'now', NULL, NULL)", (PLANTED["hash of a key"],)
    )
    job = f'{{"login": {{"user": "me", "password": "{PLANTED["password in JSON in a table"]}"}}, "tokens": 12}}'
    connection.execute("INSERT INTO memory_jobs (id, job_type, payload, created_at, updated_at) VALUES ('j1', 'extract', ?, 'a', 'b')", (job,))
    for number in range(50):
        gone = f"{PLANTED['deleted row']} {number} " + "y" * 700
        connection.execute(
            "INSERT INTO documents (id, source_type, content, created_at, updated_at) VALUES (?, 'x', ?, '', '')", (f"d{number}", gone)
        )
    connection.commit()
    connection.execute("DELETE FROM documents")
    connection.commit()


@pytest.fixture
def redaction_key(tmp_path: Path) -> Path:
    """Give a redaction key's file."""
    path = tmp_path / "redaction.key"
    path.write_bytes(bytes(range(32)))
    return path


@pytest.fixture
def order(planted: Path, redaction_key: Path, tmp_path: Path) -> SnapshotOrder:
    """Order a snapshot of the planted workspace."""
    (tmp_path / "archive.parity").mkdir()
    (tmp_path / "scratch").mkdir()
    return SnapshotOrder(
        planted,
        tmp_path / "archive.parity/snapshot-000001.tar.zst",
        "archive-1",
        redaction_key=redaction_key,
        scratch=tmp_path / "scratch",
        machine_id_files=(str(tmp_path / "no-machine-id"),),
    )


@pytest.fixture
def unpack(tmp_path: Path) -> Callable[[SnapshotResult, Path], Taken]:
    """Give what unpacks a snapshot."""

    def run(result: SnapshotResult, packed: Path) -> Taken:
        root = tmp_path / f"unpacked-{packed.name}"
        extract(packed, root, Limits())
        return Taken(result, root, b"".join(_contents(root)))

    return run


@pytest.fixture
def take(tmp_path: Path, unpack: Callable[[SnapshotResult, Path], Taken]) -> Callable[[SnapshotOrder], Taken]:
    """Give what takes a snapshot in this process, and unpacks it."""

    def run(order: SnapshotOrder) -> Taken:
        with scratch_folder(tmp_path) as scratch:
            return unpack(take_snapshot(order, scratch), order.destination)

    return run


def _contents(root: Path) -> Iterator[bytes]:
    """Give every name and content below *root*, git's objects and compressed files unpacked too."""
    for path in sorted(root.rglob("*")):
        yield path.name.encode()
        if path.is_file():
            content = path.read_bytes()
            yield content
            if path.parts[-3] == "objects" and len(path.parts[-2]) == 2:
                yield zlib.decompress(content)
            if path.suffix == ".gz":
                yield gzip.decompress(content)
            if path.name == "secrets.enc":
                yield from (base64.b64decode(secret.ciphertext) for secret in secrets.parse(content, "").secrets.values())


@pytest.fixture
def planted_secrets() -> Mapping[str, str]:
    """Give where → the secret that was planted there."""
    return PLANTED


@pytest.fixture
def rows() -> Callable[[sqlite3.Connection, str], list[Any]]:
    """Give all rows of a table with their row ids, where it has some."""

    def run(connection: sqlite3.Connection, table: str) -> list[Any]:
        try:
            return connection.execute(f'SELECT rowid, * FROM "{table}" ORDER BY rowid').fetchall()  # noqa: S608 (a name of the schema)
        except sqlite3.OperationalError:
            return connection.execute(f'SELECT * FROM "{table}" ORDER BY 1').fetchall()  # noqa: S608 (a name of the schema)

    return run
