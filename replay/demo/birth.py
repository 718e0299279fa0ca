"""
Where a demo daemon starts from: a workspace with a database, configuration, identity files and a git repository.

The same seed gives the same rows, file contents and commits; nothing in it is anybody's: names, texts and ids are made up.
"""

import hashlib
import random
import sqlite3
import uuid
from contextlib import closing
from pathlib import Path
from typing import Final

from replay.demo.git import git
from replay.demo.memories import content_hash
from replay.demo.schema import DATABASE, TABLES
from replay.model import DaemonError, UsageError

MACHINE_ID_FILE: Final = ".demo-machine-id"
"""The made-up machine id, from the workspace's root."""
_BORN: Final = "2026-01-05T08:00:00.000Z"
_GIT_DATE: Final = "2026-01-05T08:00:00+00:00"

_FILES: Final = {
    "agent.yaml": (
        "configVersion: 2\nname: Demo\nauth:\n  mode: team\ngit:\n  enabled: true\n  autoCommit: false\n  autoSync: false\n"
        "embedding:\n  provider: none\n  model: none\n  dimensions: 768\n"
    ),
    "AGENTS.md": "# Agents\n\nAnswer briefly. Say where a fact comes from.\nKeep to the harbour's own words.\n",
    "IDENTITY.md": "# Identity\n\n- name: Marlow\n- creature: heron\n- vibe: calm\n",
    ".gitignore": "/memory/\n/.secrets/\n/.daemon/\n/harnesses/\n/.demo-machine-id\n/SIGNET-ARCHITECTURE.md\n",
}
_MEMORIES: Final = (
    ("The north quay closes at dusk in winter and at nine in summer.", "fact", "harbour,hours", 0.8, None),
    ("Ferries to the islands leave from the north quay every second hour.", "fact", "ferry,islands", 0.7, "timetable"),
    ("The harbour master prefers mail to calls, and answers before noon.", "preference", None, 0.6, None),
    ("Islands without a jetty are served by a small boat on demand.", "fact", "islands", 0.5, "timetable"),
    ("Paint the old lighthouse white again before the spring tide.", "task", "lighthouse", 0.9, None),
    ("The ferry timetable changes on the first Monday of April.", "fact", "ferry", 0.95, "timetable"),
)
LONG_WORDS: Final = 130
"""How long the one long memory is: beyond what recall shows whole."""


def make_workspace(path: Path, seed: int) -> None:
    """
    Make the start state in the new or empty folder *path*.

    Raises:
        UsageError: something is in the folder already.
        DaemonError: git is not there or refuses.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(path.iterdir()):
        raise UsageError(f"{path}: is not empty; name a new folder for the demo's workspace")
    draw = random.Random(seed)
    for name, content in _FILES.items():
        (path / name).write_text(content, encoding="utf-8")
    (path / MACHINE_ID_FILE).write_text(hashlib.sha256(f"demo machine {seed}".encode()).hexdigest()[:32] + "\n", encoding="utf-8")
    (path / DATABASE).parent.mkdir()
    with closing(sqlite3.connect(path / DATABASE)) as connection:
        connection.executescript(TABLES)
        _fill(connection, draw)
        connection.commit()
    _make_repository(path)


def _fill(connection: sqlite3.Connection, draw: random.Random) -> None:
    connection.execute("INSERT INTO schema_migrations VALUES (1, ?, '-1a2b3c4d')", (_BORN,))
    stones = " ".join(draw.choice(("granite", "slate", "flint", "chalk")) for _ in range(LONG_WORDS))
    for hour, (content, kind, tags, importance, project) in enumerate(
        (*_MEMORIES, (f"Stones in the breakwater: {stones}.", "fact", None, 0.4, None))
    ):
        born = _BORN.replace("T08", f"T{8 + hour:02d}")
        row = (_id(draw), content, content_hash(content), kind, tags, importance, "demo", project, born, born, "completed")
        connection.execute(
            "INSERT INTO memories (id, content, content_hash, type, tags, importance, who, project, created_at, updated_at, extraction_status)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            row,
        )
    task, run = _id(draw), _id(draw)
    connection.execute("INSERT INTO scheduled_tasks VALUES (?, 'tides', 'look up the tides', '0 6 * * *', 0, ?)", (task, _BORN))
    connection.execute("INSERT INTO task_runs VALUES (?, ?, 'completed', 'high water at six', ?, ?)", (run, task, _BORN, _BORN))
    connection.execute("INSERT INTO connectors (id, provider, status, created_at) VALUES (?, 'filesystem', 'idle', ?)", (_id(draw), _BORN))


def _id(draw: random.Random) -> str:
    return str(uuid.UUID(int=draw.getrandbits(128), version=4))


def _make_repository(path: Path) -> None:
    steps = (
        ("init", "--quiet", "--initial-branch=main"),
        ("remote", "add", "origin", "./.git/demo-remote.git"),
        ("init", "--quiet", "--bare", "--initial-branch=main", ".git/demo-remote.git"),
        ("add", "--all"),
        ("commit", "--quiet", "--message", "Begin"),
        ("push", "--quiet", "origin", "main"),
    )
    for step in steps:
        went_well, said = git(path, *step, at=_GIT_DATE)
        if not went_well:
            raise DaemonError(f"{path}: git {step[0]} failed ({said}); the demo needs git")
    for hook in (path / ".git").rglob("hooks/*.sample"):
        hook.unlink()
