"""What all handlers of one daemon share: its workspace, database, runtime, faults, and who listens to its log."""

import queue
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from replay.demo.database import Database, Row
from replay.demo.runtimes import Runtime
from replay.demo.watcher import Watcher


def new_id() -> str:
    """Draw an id."""
    return str(uuid.uuid4())


class Log:
    """What happens, told to whoever listens at the moment."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: list[queue.SimpleQueue[dict[str, Any]]] = []

    def tell(self, entry: dict[str, Any]) -> None:
        """Give *entry* to every listener."""
        with self._lock:
            for listener in self._listeners:
                listener.put(entry)

    def open(self) -> "queue.SimpleQueue[dict[str, Any]]":
        """Collect what is told from now on, until `close`."""
        listener: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        with self._lock:
            self._listeners.append(listener)
        return listener

    def close(self, listener: "queue.SimpleQueue[dict[str, Any]]") -> None:
        """End collecting."""
        with self._lock:
            self._listeners.remove(listener)


@dataclass(slots=True)
class World:
    """One daemon's insides."""

    workspace: Path
    host: str
    port: int
    runtime: Runtime
    faults: frozenset[str]
    database: Database
    watcher: Watcher
    machine_id: str
    auth_secret: bytes
    administrator: tuple[str, str]
    """User name and password."""
    log: Log = field(default_factory=Log)
    started_s: float = field(default_factory=time.monotonic)
    started_at: str = ""
    git: dict[str, Any] = field(default_factory=dict)
    """Settings of git that were changed at run time."""
    stopping: threading.Event = field(default_factory=threading.Event)
    earlier: dict[str, Row] = field(default_factory=dict)
    """Memory id → the row before its last change (for the fault `stale-read`)."""

    def note(self, category: str, message: str) -> None:
        """Put an entry into the log."""
        self.log.tell({"type": "log", "level": "info", "category": category, "message": message, "timestamp": self.runtime.now()})
