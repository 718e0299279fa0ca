"""
The file watcher: sees that a watched file changed, whoever changed it, and does what follows.

How this works
--------------
A thread looks at the watched files' identity, size and time every 25 ms and at their content where those moved. For each change
it raises the file's generation in table `watched_files`; a change of AGENTS.md is also written on to the harness's own copy.
A file that is written through the watcher is marked as pending first, so that `schema.DRAINED` says when the watcher has caught up.
"""

import hashlib
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from replay.demo.database import Database
from replay.demo.runtimes import Runtime
from replay.model import ParityError
from replay.workspace import read_configuration
from replay.workspace.files import write_whole

WATCHED: Final = ("agent.yaml", "AGENTS.md", "IDENTITY.md", "MEMORY.md", "SOUL.md", "USER.md")
HARNESS_FILE: Final = "harnesses/opencode/AGENTS.md"
_PERIOD_S: Final = 0.025
_HEADER: Final = "<!-- made from AGENTS.md: edit that -->\n\n"


def digest_of(path: Path) -> str:
    """Give the digest of a file's content; empty where there is no file."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return ""


class Watcher:
    """Watches one workspace."""

    def __init__(self, workspace: Path, database: Database, runtime: Runtime) -> None:
        self._workspace = workspace
        self._database = database
        self._runtime = runtime
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._seen: dict[str, tuple[int, int, int]] = {}
        self.configuration: Mapping[str, Any] = {}
        """agent.yaml as it was last readable."""
        self._thread = threading.Thread(target=self._watch, name="watcher", daemon=True)

    def start(self) -> None:
        """Take the files as they are, make the harness's copy, and begin to watch."""
        for name in WATCHED:
            self._look(name)
        self._write_harness_copy()
        self._thread.start()

    def stop(self) -> None:
        """End watching."""
        self._stop.set()
        self._thread.join()

    def write(self, name: str, content: bytes) -> None:
        """Write a file of the workspace's root; a watched one is pending until its change is seen."""
        with self._lock:
            if name in WATCHED:
                self._database.run("UPDATE watched_files SET pending = 1 WHERE path = ?", name)
            write_whole(self._workspace / name, content, mode=0o644)

    def _watch(self) -> None:
        while not self._stop.wait(_PERIOD_S):
            for name in WATCHED:
                self._look(name)

    def _look(self, name: str) -> None:
        # Under the lock no file is between being marked as pending and being written.
        with self._lock:
            self._look_locked(name)

    def _look_locked(self, name: str) -> None:
        path = self._workspace / name
        try:
            status = path.stat()
            mark = (status.st_ino, status.st_size, status.st_mtime_ns)
        except FileNotFoundError:
            mark = (0, 0, 0)
        if self._seen.get(name) == mark:
            return
        self._seen[name] = mark
        digest = digest_of(path)
        if name == "agent.yaml":
            self._reload()
        known = self._database.row("SELECT digest FROM watched_files WHERE path = ?", name)
        if known is None:
            self._database.insert("watched_files", path=name, digest=digest, generation=1, pending=0, seen_at=self._runtime.now())
        elif known["digest"] == digest:
            self._database.run("UPDATE watched_files SET pending = 0 WHERE path = ?", name)
        else:
            if name == "AGENTS.md":
                self._write_harness_copy()
            self._database.run(
                "UPDATE watched_files SET digest = ?, generation = generation + 1, pending = 0, seen_at = ? WHERE path = ?",
                digest,
                self._runtime.now(),
                name,
            )

    def _reload(self) -> None:
        try:
            self.configuration = read_configuration(self._workspace)
        except ParityError as error:
            # A half-edited file must not lock anybody out: the last good one stays.
            sys.stderr.write(f"configuration not read: {error}\n")

    def _write_harness_copy(self) -> None:
        source = self._workspace / "AGENTS.md"
        if not source.is_file():
            return
        content = _HEADER.encode() + source.read_bytes()
        target = self._workspace / HARNESS_FILE
        if not target.is_file() or target.read_bytes() != content:
            write_whole(target, content, mode=0o644)
