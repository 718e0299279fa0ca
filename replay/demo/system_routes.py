"""The routes for the daemon itself: health, files, database, pipeline, tasks, secrets, streams."""

import os
import queue
import time
from collections.abc import Iterator
from typing import Any, Final

from replay.demo.faults import DELETED_SECRET
from replay.demo.jobs import enqueue
from replay.demo.runtimes import VERSION
from replay.demo.schema import DATABASE, SAMPLES_FORBIDDEN
from replay.demo.values import EVENTS_TYPE, Reply, Request, frame, refuse
from replay.demo.watcher import HARNESS_FILE
from replay.demo.world import World, new_id
from replay.model import ParityError
from replay.workspace import secrets

LISTEN_S: Final = 0.1
_SUFFIXES: Final = (".md", ".yaml")


def uptime_s(world: World) -> float:
    """Say how long the daemon has been up."""
    return round(time.monotonic() - world.started_s, 3)


def health(world: World, _: Request) -> Reply:
    """Say that the daemon is well."""
    pending = world.database.count("SELECT COUNT(*) FROM memory_jobs WHERE status IN ('pending', 'leased')")
    return Reply(
        200,
        {
            "status": "healthy",
            "uptime": uptime_s(world),
            "pid": os.getpid(),
            "version": VERSION,
            "port": world.port,
            "agentsDir": str(world.workspace),
            "db": True,
            "shuttingDown": world.stopping.is_set(),
            "updateAvailable": False,
            "pendingRestart": False,
            "pipeline": {"extractionRunning": True, "extractionStalled": False, "extractionPending": pending, "extractionBackoffMs": 0},
        },
    )


def status(world: World, _: Request) -> Reply:
    """Say how the daemon stands."""
    return Reply(
        200,
        {
            "status": "running",
            "version": VERSION,
            "pid": os.getpid(),
            "uptime": uptime_s(world),
            "startedAt": world.started_at,
            "port": world.port,
            "host": world.host,
            "bindHost": world.host,
            "networkMode": "localhost",
            "agentId": "default",
            "agentsDir": str(world.workspace),
            "memoryDb": str(world.workspace / DATABASE),
            "activeSessions": 0,
            "bypassedSessions": 0,
            "embedding": {"provider": "none", "model": "none", "available": False},
        },
    )


def list_files(world: World, _: Request) -> Reply:
    """Give the configuration and identity files."""
    names = sorted(path.name for path in world.workspace.iterdir() if path.suffix in _SUFFIXES and path.is_file())
    files = []
    for name in names:
        content = (world.workspace / name).read_text(encoding="utf-8", errors="replace")
        files.append({"name": name, "content": content, "size": len(content.encode())})
    return Reply(200, {"files": files})


def write_file(world: World, request: Request) -> Reply:
    """Write one of these files; the watcher sees it."""
    name, content = request.body.get("file"), request.body.get("content")
    if not isinstance(name, str) or not isinstance(content, str):
        raise refuse(400, "file and content are required")
    if "/" in name or "\\" in name or name.startswith(".") or not name.endswith(_SUFFIXES):
        raise refuse(400, "Invalid file name")
    world.watcher.write(name, content.encode())
    world.note("config", f"Config file saved: {name}")
    return Reply(200, {"success": True})


def identity(world: World, _: Request) -> Reply:
    """Give what IDENTITY.md says."""
    path = world.workspace / "IDENTITY.md"
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    pairs = (line.partition(":") for line in text.splitlines() if ":" in line)
    known = {key.strip(" -*").lower(): value.strip() for key, _, value in pairs}
    return Reply(200, {key: known.get(key, "") for key in ("name", "creature", "vibe")})


def harnesses(world: World, _: Request) -> Reply:
    """Give the harnesses, and when the watcher last wrote to them."""
    seen = world.database.row("SELECT seen_at, generation FROM watched_files WHERE path = 'AGENTS.md'")
    target = world.workspace / HARNESS_FILE
    size = target.stat().st_size if target.is_file() else 0
    entry = {"name": "OpenCode", "id": "opencode", "path": str(target), "exists": target.is_file(), "size": size}
    return Reply(200, {"harnesses": [{**entry, "lastSeen": seen["seen_at"] if seen else None}]})


def schema(world: World, _: Request) -> Reply:
    """Give the tables with their columns and indexes."""
    rows = world.database.rows("SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name")
    shadows = tuple(f"{row['name']}_" for row in rows if str(row["sql"]).startswith("CREATE VIRTUAL"))
    tables = [_describe(world, row["name"], row["sql"]) for row in rows if not str(row["name"]).startswith(shadows)]
    groups = sorted({table["group"] for table in tables})
    return Reply(200, {"generatedAt": world.runtime.now(), "tables": tables, "groups": groups})


def _describe(world: World, name: str, sql: str) -> dict[str, Any]:
    columns = world.database.rows(f"PRAGMA table_info({name})")
    indexes = world.database.rows(f"PRAGMA index_list({name})")
    return {
        "name": name,
        "group": name.partition("_")[0],
        "kind": "virtual" if sql.startswith("CREATE VIRTUAL") else "table",
        "rowCount": world.database.count(f"SELECT COUNT(*) FROM {name}"),  # noqa: S608 (a name out of sqlite_master)
        "sampleAllowed": name not in SAMPLES_FORBIDDEN,
        "columns": [
            {
                "name": row["name"],
                "type": row["type"],
                "notNull": bool(row["notnull"]),
                "defaultValue": row["dflt_value"],
                "primaryKey": row["pk"],
            }
            for row in columns
        ],
        "indexes": sorted(({"name": row["name"], "unique": bool(row["unique"])} for row in indexes), key=lambda index: str(index["name"])),
        "sql": sql,
    }


def sample(world: World, request: Request) -> Reply:
    """Give a table's first rows."""
    name = request.parameters["table"]
    if world.database.row("SELECT name FROM sqlite_master WHERE type = 'table' AND name = ?", name) is None:
        raise refuse(404, "table not found")
    if name in SAMPLES_FORBIDDEN:
        raise refuse(403, "sampling is not allowed for this table")
    limit = min(request.number("limit", 10), 50)
    return Reply(200, {"table": name, "limit": limit, "rows": world.database.rows(f"SELECT * FROM {name} ORDER BY rowid LIMIT {limit}")})  # noqa: S608 (a known name)


def pipeline_status(world: World, _: Request) -> Reply:
    """Count the jobs by state."""
    found = {row["status"]: row["n"] for row in world.database.rows("SELECT status, COUNT(*) AS n FROM memory_jobs GROUP BY status")}
    states = ("pending", "leased", "completed", "failed", "dead")
    summary = {state: 0 for state in states if not (world.runtime.differs("pipeline-queue-keys") and state in ("failed", "dead"))}
    queues = {"memory": {state: found.get(state, 0) for state in states}, "summary": summary}
    return Reply(200, {"enabled": True, "paused": False, "mode": "controlled-write", "queues": queues, "checkedAt": world.runtime.now()})


def nudge(world: World, _: Request) -> Reply:
    """Ask the worker to look at its queue."""
    del world
    return Reply(200, {"nudged": True})


def list_tasks(world: World, _: Request) -> Reply:
    """List the scheduled tasks."""
    return Reply(200, {"tasks": [_show_task(row) for row in world.database.rows("SELECT * FROM scheduled_tasks ORDER BY rowid")]})


def add_task(world: World, request: Request) -> Reply:
    """Add a scheduled task."""
    name, prompt = request.body.get("name"), request.body.get("prompt")
    if not isinstance(name, str) or not isinstance(prompt, str) or not name or not prompt:
        raise refuse(400, "name and prompt are required")
    cron = str(request.body.get("cron_expression", "0 9 * * *"))
    task = {"id": new_id(), "name": name, "prompt": prompt, "cron_expression": cron, "created_at": world.runtime.now()}
    world.database.insert("scheduled_tasks", **task)
    return Reply(201, {"id": task["id"], "nextRunAt": None})


def run_task(world: World, request: Request) -> Reply:
    """Start a task; a job does it."""
    task, run_id = _task(world, request), new_id()
    with world.database.change():
        world.database.insert("task_runs", id=run_id, task_id=task["id"], status="running", started_at=world.runtime.now())
        enqueue(world, "task_run", payload={"run_id": run_id, "prompt": task["prompt"]})
    return Reply(202, {"runId": run_id, "status": "running"})


def list_runs(world: World, request: Request) -> Reply:
    """List a task's runs, newest first."""
    task = _task(world, request)
    rows = world.database.rows("SELECT * FROM task_runs WHERE task_id = ? ORDER BY rowid DESC", task["id"])
    return Reply(200, {"runs": rows, "total": len(rows)})


def stream_task(world: World, request: Request) -> Reply:
    """Give the output of a task's latest run as events; ends with it."""
    task = _task(world, request)
    run = world.database.row("SELECT * FROM task_runs WHERE task_id = ? ORDER BY rowid DESC LIMIT 1", task["id"])
    events: list[dict[str, Any]] = [{"type": "connected", "taskId": task["id"]}]
    if run is not None and not world.runtime.differs("task-stream-ends"):
        lines = str(run["output"] or "").splitlines()
        events += [{"type": "run-output", "runId": run["id"], "stream": "stdout", "chunk": line} for line in lines]
        events.append({"type": "run-completed", "runId": run["id"], "status": run["status"], "completedAt": run["completed_at"]})
    if "stream-cut-early" in world.faults and len(events) > 1:
        events.pop()
    return Reply(200, content_type=EVENTS_TYPE, stream=lambda: (frame(event, world.runtime.dump) for event in events))


def _task(world: World, request: Request) -> dict[str, Any]:
    row = world.database.row("SELECT * FROM scheduled_tasks WHERE id = ?", request.parameters["id"])
    if row is None:
        raise refuse(404, "Task not found")
    return row


def _show_task(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "enabled": bool(row["enabled"])}


def list_secrets(world: World, _: Request) -> Reply:
    """List the names of secrets."""
    return Reply(200, {"secrets": list(secrets.read(world.workspace / secrets.FILE).names)})


def put_secret(world: World, request: Request) -> Reply:
    """Store a secret."""
    path, name, value = world.workspace / secrets.FILE, request.parameters["name"], request.body.get("value")
    if not isinstance(value, str) or (not value and not world.runtime.differs("secret-empty-value")):
        raise refuse(400, "value is required")
    try:
        if world.runtime.differs("secret-plaintext") or "plaintext-secret" in world.faults:
            secrets.put_plain(path, name, value, now=world.runtime.now())
        else:
            secrets.put(path, name, value, key=secrets.derive_key(world.machine_id), now=world.runtime.now())
    except ParityError as error:
        raise refuse(400, "Invalid secret name or store") from error
    return Reply(200, {"success": True, "name": name})


def delete_secret(world: World, request: Request) -> Reply:
    """Remove a secret."""
    path, name = world.workspace / secrets.FILE, request.parameters["name"]
    if name == DELETED_SECRET and "secret-kept" in world.faults and name in secrets.read(path).secrets:
        return Reply(200, {"success": True, "name": name})
    if secrets.delete(path, name):
        return Reply(200, {"success": True, "name": name})
    if world.runtime.differs("secret-delete-absent"):
        return Reply(200, {"success": True, "name": name, "existed": False})
    raise refuse(404, f"Secret '{name}' not found")


def stream_log(world: World, _: Request) -> Reply:
    """Give what happens as events until the listener leaves; the other runtime ends at once."""
    # From before the answer's head is out, so that nothing is missed that is asked for after it.
    told = world.log.open()

    def events() -> Iterator[bytes]:
        try:
            yield frame({"type": "connected"}, world.runtime.dump)
            while not world.runtime.differs("log-stream-ends") and not world.stopping.is_set():
                try:
                    yield frame(told.get(timeout=LISTEN_S), world.runtime.dump)
                except queue.Empty:
                    yield b""
        finally:
            world.log.close(told)

    return Reply(200, content_type=EVENTS_TYPE, stream=events)
