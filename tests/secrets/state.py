"""A workspace with secrets wherever one holds them, and the edits that are made while it is recorded."""

import gzip
import os
import sqlite3
import subprocess
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from replay.workspace import secrets as store
from tests.secrets.texts import Secrets, Text, escaped, piece, render, text

MACHINE_ID: Final = ".machine-id"
TABLES: Final = """
CREATE TABLE api_keys (id TEXT PRIMARY KEY, name TEXT, key_hash TEXT);
CREATE TABLE memories (id INTEGER PRIMARY KEY, content TEXT, extra BLOB);
CREATE VIRTUAL TABLE memories_fts USING fts5(content, content=memories, content_rowid=id);
CREATE TRIGGER memories_in AFTER INSERT ON memories BEGIN INSERT INTO memories_fts(rowid, content) VALUES (new.id, new.content); END;
CREATE TABLE settings (name TEXT, access_token TEXT);
"""


def files() -> Mapping[str, Text]:
    """Give the text files that the workspace begins with."""
    return {
        "agent.yaml": text(b"name: planted\nllm:\n  provider: openai\n  apiKey: <<openai>>\nauth:\n  password: <<weak password>>\n"),
        "AGENTS.md": text(b"# Agents\nUse `<<api key>>` and ${HOME}.\n"),
        ".env": text(b"# of the tools\nANY_SECRET=<<env file>>\nexport ANTHROPIC_API_KEY='<<anthropic>>'\nSTORED=<<stored>>\n"),
        "memory/note.md": (b"# Note\nblob ", piece(b'{"password":"<<encoded>>"}', "base64"), b" and <<stored>>"),
        "memory/main/transcripts/transcript.jsonl": (b'{"content":"', *escaped(b'{"secret":"<<transcript>>"}', 1), b'"}\n'),
        "marketplace/installed.json": text(
            b'{"servers":[{"id":"s","config":{"env":{"ANY":"<<server env>>"},"url":"https://h/?token=<<query token>>"}}]}'
        ),
        ".daemon/logs/signet.log": text(b"login with <<api key>>\n"),
    }


EDITS: Final[Mapping[str, Text]] = {
    "agent.yaml": text(b"name: planted\nllm:\n  apiKey: <<openai>>\n  secretKey: <<edited>>\n"),
    "memory/edited.md": (b"now <<api key>>, ", piece(b'{"auth_token":"<<edited>>"}', "base64"), b"\n"),
    "USER.md": (b'```json\n{"text":"', *escaped(b'{"clientSecret":"<<nested>>"}', 1), b'"}\n```\n'),
}
"""What is written while the recorder runs."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A database's cell with a secret in it."""

    query: str
    content: Text


CELLS: Final = (
    Cell("SELECT key_hash FROM api_keys WHERE id = 'k1'", text(b"<<key hash>>")),
    Cell("SELECT access_token FROM settings", text(b"<<column>>")),
    Cell("SELECT content FROM memories WHERE id = 1", text(b"note password=<<cell>> and <<api key>>")),
    Cell("SELECT content FROM memories WHERE id = 2", text(b"full text of <<indexed>> here")),
    Cell("SELECT extra FROM memories WHERE id = 3", (b'{"x":"', piece(b'{"token":"<<cell>>"}', "base64"), b'"}')),
)


def make(workspace: Path, secrets: Secrets) -> sqlite3.Connection:
    """Make the workspace; gives the connection of its daemon, which holds the database in WAL mode."""
    for name, content in files().items():
        _write(workspace / name, render(content, secrets))
    _write(workspace / "memory" / (secrets["file name"].value.decode() + ".md"), b"# a name\n")
    (workspace / "link").symlink_to(f"memory/{secrets['file name'].value.decode()}.md")
    _write(workspace / "log.gz", gzip.compress(b"password=" + secrets["packed log"].value, mtime=0))
    _write(workspace / MACHINE_ID, secrets["machine id"].value)
    _write(workspace / ".daemon/auth-secret", secrets["auth secret"].value)
    (workspace / ".secrets").mkdir()
    key = store.derive_key(secrets["machine id"].value.decode())
    sealed = store.encrypt(key, secrets["stored"].value.decode(), nonce=b"n" * 24)
    day = "2026-11-23T00:00:00.000Z"
    store.write(workspace / store.FILE, store.Store({"STORED": store.Secret(sealed, day, day)}))
    _git(workspace, secrets)
    return _database(workspace / "memory/memories.db", secrets)


def edit(workspace: Path, secrets: Secrets) -> None:
    """Write the edits, and a file whose name is a secret."""
    for name, content in EDITS.items():
        _write(workspace / name, render(content, secrets))
    _write(workspace / "memory" / (secrets["git token"].value.decode() + ".md"), b"# another name\n")


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _database(path: Path, secrets: Secrets) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL").fetchall()
    connection.execute("PRAGMA secure_delete=OFF").fetchall()
    connection.executescript(TABLES)
    wanted = {cell.query: render(cell.content, secrets) for cell in CELLS}
    values = [wanted[cell.query] for cell in CELLS]
    with connection:
        connection.execute("INSERT INTO api_keys VALUES ('k1', 'ci', ?)", (values[0].decode(),))
        connection.execute("INSERT INTO settings VALUES ('any', ?)", (values[1].decode(),))
        connection.execute("INSERT INTO memories VALUES (1, ?, NULL)", (values[2].decode(),))
        connection.execute("INSERT INTO memories VALUES (2, ?, NULL)", (values[3].decode(),))
        connection.execute("INSERT INTO memories VALUES (3, 'blob', ?)", (values[4],))
        connection.execute("INSERT INTO settings VALUES ('gone', ?)", ("x" * 600 + secrets["deleted row"].value.decode(),))
    with connection:
        connection.execute("DELETE FROM settings WHERE name = 'gone'")
    return connection


def _git(workspace: Path, secrets: Secrets) -> None:
    """Make one repository whose history holds secrets, and one that has them beside its history."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(workspace), "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}

    def git(folder: Path, *words: str) -> None:
        who = ("-c", "user.name=Planted", "-c", "user.email=planted@example.org", "-c", "init.defaultBranch=main")
        subprocess.run(["git", *who, *words], cwd=folder, env=environment, check=True, capture_output=True)

    git(workspace, "init", "-q")
    _write(workspace / "old.txt", b"client_secret: " + secrets["git history"].value + b"\n")
    git(workspace, "add", "old.txt")
    git(workspace, "commit", "-q", "-m", "old")
    (workspace / "old.txt").unlink()
    git(workspace, "rm", "-q", "--cached", "old.txt")
    git(workspace, "commit", "-q", "-m", f"new, with {secrets['api key'].value.decode()}")
    beside = workspace / "skills" / "fetched"
    _write(beside / "SKILL.md", b"# Clean\n")
    git(beside, "init", "-q")
    git(beside, "add", "SKILL.md")
    git(beside, "commit", "-q", "-m", "clean")
    _write(beside / secrets["staged name"].value.decode(), b"staged\n")
    git(beside, "add", secrets["staged name"].value.decode())
    _write(beside / ".git/FETCH_HEAD", b"0\tbranch 'main' of https://me:" + secrets["fetched"].value + b"@git.example/r\n")
    git(workspace, "remote", "add", "origin", f"https://me:{secrets['git config'].value.decode()}@git.example/r.git")


def with_cells(path: Path) -> list[bytes]:
    """Read the cells from a copy of the database."""
    with closing(sqlite3.connect(path)) as connection:
        found = [connection.execute(cell.query).fetchone()[0] for cell in CELLS]
    return [cell.encode() if isinstance(cell, str) else bytes(cell) for cell in found]
