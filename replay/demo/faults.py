"""
What may be broken on purpose: each fault changes bytes on the wire, or rows and files, always at the same place.

`--fault NAME` switches one on, on either runtime. Faults of kind `http` are made in `alterations`; those of kind `state` sit in
the code that writes, and `evidence` shows the row or file that is wrong.
"""

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from replay.demo.schema import DATABASE
from replay.model import DifferenceClass, UsageError
from replay.workspace import open_read_only
from replay.workspace import secrets as secret_store

_STRUCTURAL: Final = DifferenceClass.STRUCTURAL
_SEMANTIC: Final = DifferenceClass.SEMANTIC
_WORD: Final = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to be wrong."""

    description: str
    domain: str
    difference: DifferenceClass
    where: str
    """The route whose answer shows it; for a fault that no answer shows, the file."""
    kind: Literal["http", "state"] = "http"
    state: str = ""
    """For state: the table or file that is wrong."""

    @property
    def shows_in_traffic(self) -> bool:
        """Whether an answer differs because of it."""
        return self.where != self.state


FAULTS: Final[dict[str, Fault]] = {
    "wrong-status": Fault("making an API key answers 200 instead of 201", "auth", _STRUCTURAL, "POST /api/auth/api-keys"),
    "missing-header": Fault("a refusal for want of a token has no WWW-Authenticate", "auth", _STRUCTURAL, "GET /api/auth/api-keys"),
    "wrong-role": Fault("whoami calls every role operator", "auth", _SEMANTIC, "GET /api/auth/whoami"),
    "missing-key": Fault("the pipeline's status lacks paused", "pipeline-workers", _STRUCTURAL, "GET /api/pipeline/status"),
    "null-for-absent": Fault("a memory without a project says project: null", "read", _STRUCTURAL, "GET /api/memory/:id"),
    "number-as-string": Fault("the count of uncommitted changes is text", "git-sync", _STRUCTURAL, "GET /api/git/status"),
    "reordered-recall": Fault("recall gives the worst match first", "read", _SEMANTIC, "POST /api/memory/recall"),
    "late-answer": Fault("the list of secrets comes 300 ms late", "secrets", DifferenceClass.TIMING, "GET /api/secrets"),
    "stream-cut-early": Fault("a task's stream lacks its last event", "pipeline-workers", _STRUCTURAL, "GET /api/tasks/:id/stream"),
    # Its job names the right id, and so shows it first; that the document is not found then follows.
    "wrong-id-returned": Fault(
        "a new document is announced under an id that it does not have", "pipeline-workers", _STRUCTURAL, "GET /api/memory/jobs/:id"
    ),
    "foreign-id": Fault("changing a memory answers with the id of another", "write", _STRUCTURAL, "PATCH /api/memory/:id"),
    "flipped-flag": Fault("remembering says that the memory was embedded", "write", _SEMANTIC, "POST /api/memory/remember"),
    "swapped-memories": Fault("in the list two memories have each other's content", "read", _SEMANTIC, "GET /api/memories"),
    "stale-read": Fault("a changed memory is read as it was before", "read", _SEMANTIC, "GET /api/memory/:id"),
    "extra-item": Fault("a harness is listed that is not there", "file-watcher", _SEMANTIC, "GET /api/harnesses"),
    "truncated-text": Fault("the content of AGENTS.md is cut", "file-watcher", _SEMANTIC, "GET /api/config"),
    "case-changed": Fault("what memory_get gives through /mcp is in small letters", "mcp", _SEMANTIC, "ALL /mcp"),
    "error-code": Fault("an unknown method through /mcp is -32603 instead of -32601", "mcp", _SEMANTIC, "ALL /mcp"),
    "off-by-one": Fault("the total of memories is one too many", "read", _SEMANTIC, "GET /api/memories"),
    "wrong-content-type": Fault("the schema comes as text/plain", "schema", _STRUCTURAL, "GET /api/diagnostics/database/schema"),
    "lost-line": Fault("the export of searches lacks its last line", "read", _SEMANTIC, "GET /api/telemetry/memory-search/export"),
    "lost-setting": Fault("a change of git's settings is confirmed and forgotten", "git-sync", _SEMANTIC, "GET /api/git/config"),
    "lost-write": Fault("remembering a decision is confirmed and not written", "read", _STRUCTURAL, "GET /api/memory/:id", "state", "memories"),
    "stale-index": Fault("a changed memory is still found by its old words", "read", _SEMANTIC, "GET /memory/search", "state", "memories_fts"),
    "failed-job": Fault("ingesting a document ends dead", "pipeline-workers", _SEMANTIC, "GET /api/memory/jobs/:id", "state", "memory_jobs"),
    "missing-index": Fault("start-up drops an index", "schema", _SEMANTIC, "GET /api/diagnostics/database/schema", "state", "sqlite_master"),
    "secret-kept": Fault("deleting a secret is confirmed and not done", "secrets", _SEMANTIC, "GET /api/secrets", "state", secret_store.FILE),
    "plaintext-secret": Fault("a secret is stored unencrypted", "secrets", _SEMANTIC, secret_store.FILE, "state", secret_store.FILE),
}
"""Name → fault."""

FORGOTTEN_TYPE: Final = "decision"
"""Memories of this type are those that `lost-write` loses."""
DELETED_SECRET: Final = "DEMO_OBSOLETE"  # noqa: S105 (a name)
"""The secret that the client deletes, and that `secret-kept` keeps."""


def check_names(names: frozenset[str]) -> frozenset[str]:
    """
    Give *names* back when each names a fault.

    Raises:
        UsageError: one does not.
    """
    unknown = names - FAULTS.keys()
    if unknown:
        raise UsageError(f"no fault named {', '.join(sorted(unknown))}; there are {', '.join(FAULTS)}")
    return names


def evidence(name: str, workspace: Path) -> str:
    """
    Name the row or file that is wrong after the client ran on a daemon with this fault; empty where nothing wrong is there.

    Raises:
        UsageError: no such fault, or one that leaves no trace in the state.
    """
    check_names(frozenset({name}))
    if name not in _EVIDENCE:
        raise UsageError(f"fault {name} changes answers only, not the state")
    if FAULTS[name].state == secret_store.FILE:
        return _secret_evidence(name, workspace)
    with closing(open_read_only(workspace / DATABASE)) as connection:
        return _EVIDENCE[name](connection)


def _lost_write(connection: sqlite3.Connection) -> str:
    (kept,) = connection.execute("SELECT COUNT(*) FROM memories WHERE type = ?", (FORGOTTEN_TYPE,)).fetchone()
    return f"memories: no row of type {FORGOTTEN_TYPE}" if kept == 0 else ""


def _stale_index(connection: sqlite3.Connection) -> str:
    rows = connection.execute("SELECT rowid, id, content FROM memories WHERE version > 1").fetchall()
    for row in rows:
        query = " AND ".join(f'"{word}"' for word in _WORD.findall(row["content"]))
        found = {hit[0] for hit in connection.execute("SELECT rowid FROM memories_fts WHERE memories_fts MATCH ?", (query,))}
        if row["rowid"] not in found:
            return f"memories_fts: row {row['rowid']} (memory {row['id']}) is not found by the words of its content {row['content']!r}"
    return ""


def _failed_job(connection: sqlite3.Connection) -> str:
    row = connection.execute("SELECT id, error FROM memory_jobs WHERE job_type = 'document_ingest' AND status = 'dead'").fetchone()
    return f"memory_jobs: row {row['id']} is dead ({row['error']})" if row else ""


def _missing_index(connection: sqlite3.Connection) -> str:
    names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'index'")}
    return "" if "idx_memories_created" in names else "sqlite_master: no index idx_memories_created"


def _secret_evidence(name: str, workspace: Path) -> str:
    store = secret_store.read(workspace / secret_store.FILE)
    if name == "secret-kept":
        return f"{secret_store.FILE}: still holds {DELETED_SECRET}" if DELETED_SECRET in store.secrets else ""
    leaks = [secret for secret, entry in store.secrets.items() if secret_store.leaked_text(entry.ciphertext) is not None]
    return f"{secret_store.FILE}: readable without a key: {', '.join(leaks)}" if leaks else ""


_EVIDENCE: Final[dict[str, Callable[[sqlite3.Connection], str]]] = {
    "lost-write": _lost_write,
    "stale-index": _stale_index,
    "failed-job": _failed_job,
    "missing-index": _missing_index,
    "secret-kept": lambda _: "",
    "plaintext-secret": lambda _: "",
}
