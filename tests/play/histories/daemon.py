"""
A model of a daemon: small enough to be sure of, and with all that makes a replay hard.

Ids are drawn from a generator that is seeded differently for each run. Memories have versions, and a change may name the one that it expects.
Jobs are done by a background worker in a job table (SQLite), or after so many polls. There are sessions with an epoch, streams with their id in
the header, ids in keys and in JSON inside a string, tokens that confirm, and lists whose ties stand in any order.

A `Fault` is planted by the content of the request that it strikes: that is the same in each run.
"""

import asyncio
import json
import random
import re
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import parse_qs, urlsplit

DATABASE: Final = Path("memory") / "memories.db"
DRAINED: Final = "SELECT count(*) FROM memory_jobs WHERE status IN ('pending', 'leased')"
FAULTS: Final = ("write lost", "change lost", "id swapped", "version stuck", "endless job", "wrong status", "row deleted", "change refused")
"""What may be wrong with it."""
BESIDE: Final = "importance off"
"""What may be wrong with it beside any of these."""
POLLS: Final = 2
"""How often a document's job is asked for before it is done."""
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS memories (
  id TEXT PRIMARY KEY, content TEXT, importance INTEGER, version INTEGER, created_at TEXT, deleted INTEGER DEFAULT 0);
CREATE TABLE IF NOT EXISTS memory_jobs (id TEXT PRIMARY KEY, memory TEXT, status TEXT);
CREATE TABLE IF NOT EXISTS history (id TEXT, memory TEXT, event TEXT, version INTEGER, content TEXT);
"""


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong, and at which request: the one with this content."""

    kind: str
    content: str
    """Empty: at each request of its kind."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request."""

    method: str
    path: str
    query: dict[str, str]
    body: dict[str, Any]
    authorization: str


type Reply = tuple[int, dict[str, Any]]


class Model:
    """One run of the daemon, on a real port, with its state in a real database."""

    def __init__(self, workspace: Path, seed: int, *faults: Fault) -> None:
        self.workspace = workspace
        self.port = 0
        self._dice = random.Random(seed)  # noqa: S311  # ids of a test
        self._faults = faults
        (workspace / DATABASE).parent.mkdir(parents=True)
        self._database = sqlite3.connect(workspace / DATABASE, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=OFF")
        self._database.executescript(_TABLES)
        self._polls: dict[str, int] = {}
        self._sessions: dict[str, int] = {}
        self._confirming: dict[str, list[str]] = {}
        self._generating: dict[str, asyncio.Event] = {}
        self._listeners: list[asyncio.Queue[dict[str, Any]]] = []
        self._work = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self._keep(asyncio.create_task(self._run_jobs()))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._database.close()

    def pending(self) -> int:
        """Give how many jobs are not done."""
        return int(self._database.execute(DRAINED).fetchone()[0])

    # --- the wire ---

    def _keep(self, task: "asyncio.Task[None]") -> None:
        self._tasks.add(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._keep(task)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head.split("\r\n")[1:])}
                raw = await reader.readexactly(int(headers.get("content-length", "0")))
                method, target, _ = head.split(" ", 2)
                parts = urlsplit(target)
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                asked = Asked(method, parts.path, query, json.loads(raw) if raw else {}, headers.get("authorization", ""))
                if parts.path == "/api/inference/stream":
                    await self._generate(reader, writer)
                    return
                if parts.path == "/api/logs/stream":
                    await self._log(reader, writer)
                    return
                status, body = self._answer(asked)
                text = json.dumps(body).encode()
                writer.write(f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(text)}\r\n\r\n".encode() + text)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            return
        finally:
            writer.close()

    async def _generate(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Stream until somebody cancels the request, which is named in the header only."""
        number = self._new_id()
        self._generating[number] = asyncio.Event()
        _begin_stream(writer, f"x-signet-request-id: {number}\r\n")
        _send_event(writer, {"type": "delta", "text": "Once upon a time"})
        gone = asyncio.ensure_future(reader.read(1))
        cancelled = asyncio.ensure_future(self._generating[number].wait())
        await asyncio.wait({gone, cancelled}, return_when=asyncio.FIRST_COMPLETED)
        if cancelled.done():
            _send_event(writer, {"type": "cancelled", "requestId": number})
            writer.write(b"0\r\n\r\n")
            await writer.drain()
        gone.cancel()
        cancelled.cancel()

    async def _log(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Stream what is written down of sessions until the client leaves."""
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._listeners.append(queue)
        _begin_stream(writer, "")
        _send_event(writer, {"type": "connected"})
        gone = asyncio.ensure_future(reader.read(1))
        while not gone.done():
            following = asyncio.ensure_future(queue.get())
            await asyncio.wait({gone, following}, return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                _send_event(writer, following.result())
            following.cancel()
        self._listeners.remove(queue)

    # --- the routes ---

    def _answer(self, asked: Asked) -> Reply:
        if asked.authorization:  # nobody has one that is good
            return 401, {"error": "unauthorized"}
        for method, pattern, handler in _ROUTES:
            found = re.fullmatch(pattern, asked.path)
            if found is not None and method == asked.method:
                return handler(self, asked, *found.groups())
        return 404, {"error": "Not found"}

    def remember(self, asked: Asked) -> Reply:
        """Keep a new memory, and a job for it."""
        content, number, job = asked.body["content"], self._new_id(), self._new_id()
        if not self._strikes("write lost", content):
            importance = asked.body.get("importance", 1) + 4 * self._strikes(BESIDE, content)
            values = (number, content, importance, _now())
            self._database.execute("INSERT INTO memories (id, content, importance, version, created_at) VALUES (?, ?, ?, 1, ?)", values)
            self._write_history(number, "created", 1, content)
            status = "stuck" if self._strikes("endless job", content) else "pending"
            self._database.execute("INSERT INTO memory_jobs VALUES (?, ?, ?)", (job, number, status))
            self._work.set()
        shown = number
        if self._strikes("id swapped", content):
            row = self._database.execute("SELECT id FROM memories WHERE id != ? ORDER BY content LIMIT 1", (number,)).fetchone()
            shown = number if row is None else row[0]
        return (200 if self._strikes("wrong status", content) else 201), {"id": shown, "jobId": job, "version": 1, "status": "created"}

    def show(self, _asked: Asked, number: str) -> Reply:
        """Show a memory."""
        row = self._row(number)
        return (404, {"error": "not found", "id": number}) if row is None else (200, self._shown(row))

    def change(self, asked: Asked, number: str) -> Reply:
        """Change a memory, if it has the version that the client expects."""
        row, content, expected = self._row(number), asked.body["content"], asked.body.get("if_version")
        if row is None:
            return 404, {"error": "not found", "id": number}
        version = row[3]
        if (expected is not None and expected != version) or self._strikes("change refused", content):
            return 409, {"error": "version conflict", "currentVersion": version}
        if self._strikes("change lost", content):
            return 200, {"id": number, "newVersion": version + 1}
        after = version + (not self._strikes("version stuck", content))
        self._database.execute("UPDATE memories SET content = ?, version = ? WHERE id = ?", (content, after, number))
        self._write_history(number, "updated", after, content)
        if self._strikes("row deleted", content):
            other = self._database.execute(
                "SELECT id FROM memories WHERE id != ? AND NOT deleted ORDER BY content LIMIT 1", (number,)
            ).fetchone()
            if other is not None:
                self._database.execute("UPDATE memories SET deleted = 1 WHERE id = ?", other)
        return 200, {"id": number, "newVersion": after}

    def delete(self, _asked: Asked, number: str) -> Reply:
        """Delete a memory."""
        if self._row(number) is None:
            return 404, {"error": "not found", "id": number}
        self._database.execute("UPDATE memories SET deleted = 1 WHERE id = ?", (number,))
        return 200, {"id": number, "deleted": True}

    def show_history(self, _asked: Asked, number: str) -> Reply:
        """Show what happened to a memory."""
        rows = self._database.execute("SELECT id, event, version, content FROM history WHERE memory = ? ORDER BY rowid", (number,))
        events = [{"id": one, "event": event, "version": version, "content": content} for one, event, version, content in rows]
        return 200, {"memoryId": number, "history": events}

    def list_all(self, _asked: Asked) -> Reply:
        """List all memories, by their content."""
        rows = self._database.execute("SELECT * FROM memories WHERE NOT deleted ORDER BY content").fetchall()
        return 200, {"memories": [self._shown(row) for row in rows]}

    def search(self, _asked: Asked) -> Reply:
        """List all memories by importance; those of the same importance stand in any order."""
        rows = self._database.execute("SELECT * FROM memories WHERE NOT deleted").fetchall()
        self._dice.shuffle(rows)
        rows.sort(key=lambda row: -row[2])
        return 200, {"results": [{"id": row[0], "content": row[1], "importance": row[2]} for row in rows]}

    def rate(self, asked: Asked) -> Reply:
        """Take ratings whose keys are ids."""
        known = {number: score for number, score in asked.body["feedback"].items() if self._row(number) is not None}
        return 200, {"rated": known}

    def forget(self, asked: Asked) -> Reply:
        """Forget some memories: first asked for a token, then with it."""
        token = asked.body.get("confirm_token")
        if token is None:
            fresh = f"{self._dice.getrandbits(256):064x}"
            self._confirming[fresh] = [number for number in asked.body["ids"] if self._row(number) is not None]
            return 200, {"confirmToken": fresh, "count": len(self._confirming[fresh])}
        if token not in self._confirming:
            return 400, {"error": "unknown token"}
        numbers = self._confirming.pop(token)
        for number in numbers:
            self._database.execute("UPDATE memories SET deleted = 1 WHERE id = ?", (number,))
        return 200, {"forgotten": numbers}

    def show_job(self, _asked: Asked, number: str) -> Reply:
        """Show how far a job is."""
        if number in self._polls:
            self._polls[number] -= 1
            return 200, {"id": number, "status": "completed" if self._polls[number] <= 0 else "running"}
        row = self._database.execute("SELECT id, status FROM memory_jobs WHERE id = ?", (number,)).fetchone()
        return (404, {"error": "no such job"}) if row is None else (200, {"id": row[0], "status": "pending" if row[1] == "stuck" else row[1]})

    def add_document(self, asked: Asked) -> Reply:
        """Take a document; its job is done after some polls."""
        job = self._new_id()
        self._polls[job] = POLLS + 1
        return 202, {"id": self._new_id(), "jobId": job, "title": asked.body["title"]}

    def start_session(self, asked: Asked) -> Reply:
        """Begin a session, or a new epoch of it."""
        key = asked.body["sessionKey"]
        self._sessions[key] = self._sessions.get(key, 0) + 1
        self._tell({"type": "session", "sessionKey": key, "trace": self._new_id()})
        return 200, {"sessionKey": key, "contextEpoch": self._sessions[key]}

    def prompt(self, asked: Asked) -> Reply:
        """Take a prompt of a session that was begun."""
        epoch = self._sessions.get(asked.body["sessionKey"])
        self._tell({"type": "prompt", "sessionKey": asked.body["sessionKey"]})
        return (409, {"error": "no session"}) if epoch is None else (200, {"contextEpoch": epoch, "inject": f"epoch {epoch}"})

    def call_tool(self, asked: Asked) -> Reply:
        """Show a memory as a tool does: JSON inside a string."""
        params = asked.body["params"]
        status, body = self.show(asked, params["arguments"]["id"])
        text = json.dumps(body)
        return 200, {"jsonrpc": "2.0", "id": asked.body["id"], "result": {"content": [{"type": "text", "text": text}], "isError": status != 200}}

    def cancel(self, _asked: Asked, number: str) -> Reply:
        """End a stream."""
        event = self._generating.pop(number, None)
        if event is None:
            return 404, {"error": "no such request"}
        event.set()
        return 200, {"cancelled": True}

    # --- the state ---

    def _strikes(self, kind: str, content: str) -> bool:
        return any(fault.kind == kind and fault.content in {"", content} for fault in self._faults)

    def _new_id(self) -> str:
        digits = f"{self._dice.getrandbits(128):032x}"
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"

    def _row(self, number: str) -> Any:
        return self._database.execute("SELECT * FROM memories WHERE id = ? AND NOT deleted", (number,)).fetchone()

    @staticmethod
    def _shown(row: Any) -> dict[str, Any]:
        number, content, importance, version, created_at, _ = row
        return {"id": number, "content": content, "importance": importance, "version": version, "createdAt": created_at}

    def _write_history(self, number: str, event: str, version: int, content: str) -> None:
        self._database.execute("INSERT INTO history VALUES (?, ?, ?, ?, ?)", (self._new_id(), number, event, version, content))

    def _tell(self, event: dict[str, Any]) -> None:
        for queue in self._listeners:
            queue.put_nowait(event)

    async def _run_jobs(self) -> None:
        """Do the jobs of the table, one after the other, some time after they were put there."""
        try:
            while True:
                await self._work.wait()
                self._work.clear()
                while (
                    row := self._database.execute("SELECT id FROM memory_jobs WHERE status = 'pending' ORDER BY rowid LIMIT 1").fetchone()
                ) is not None:
                    await asyncio.sleep(0.001 + 0.004 * self._dice.random())
                    self._database.execute("UPDATE memory_jobs SET status = 'completed' WHERE id = ?", row)
        except asyncio.CancelledError:
            return


def _begin_stream(writer: asyncio.StreamWriter, headers: str) -> None:
    writer.write(f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n{headers}transfer-encoding: chunked\r\n\r\n".encode())


def _send_event(writer: asyncio.StreamWriter, event: dict[str, Any]) -> None:
    data = f"data: {json.dumps(event)}\n\n".encode()
    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_ROUTES: Final[tuple[tuple[str, str, Callable[..., Reply]], ...]] = (
    ("POST", "/api/memory/remember", Model.remember),
    ("POST", "/api/memory/feedback", Model.rate),
    ("POST", "/api/memory/forget", Model.forget),
    ("GET", "/api/memory/jobs/([^/]+)", Model.show_job),
    ("GET", "/api/memory/([^/]+)/history", Model.show_history),
    ("GET", "/api/memory/([^/]+)", Model.show),
    ("PATCH", "/api/memory/([^/]+)", Model.change),
    ("DELETE", "/api/memory/([^/]+)", Model.delete),
    ("GET", "/api/memories", Model.list_all),
    ("GET", "/memory/search", Model.search),
    ("POST", "/api/documents", Model.add_document),
    ("POST", "/api/hooks/session-start", Model.start_session),
    ("POST", "/api/hooks/user-prompt-submit", Model.prompt),
    ("POST", "/mcp", Model.call_tool),
    ("DELETE", "/api/inference/requests/([^/]+)", Model.cancel),
)
