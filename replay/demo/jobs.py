"""
The job table and its worker: pending → leased → completed, or dead.

One thread takes the oldest pending job, leases it, does its work and completes it, each step its own committed change, so that
anybody who reads the table sees the job on its way. Failures are final: the demo has nothing that is worth a second try.
"""

import json
import threading
from typing import Any, Final

from replay.demo.database import Row
from replay.demo.world import World, new_id

_PERIOD_S: Final = 0.02
_CHUNK_CHARACTERS: Final = 120


def enqueue(world: World, job_type: str, *, memory_id: str | None = None, document_id: str | None = None, payload: Any = None) -> str:
    """Add a job and give its id."""
    job_id, now = new_id(), world.runtime.now()
    world.database.insert(
        "memory_jobs",
        id=job_id,
        memory_id=memory_id,
        document_id=document_id,
        job_type=job_type,
        payload=None if payload is None else json.dumps(payload),
        created_at=now,
        updated_at=now,
    )
    return job_id


class Worker:
    """Works off the job table."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._thread = threading.Thread(target=self._work, name="worker", daemon=True)

    def start(self) -> None:
        """Begin; jobs that an earlier daemon left leased are pending again."""
        self._world.database.run("UPDATE memory_jobs SET status = 'pending' WHERE status = 'leased'")
        self._thread.start()

    def join(self) -> None:
        """Wait for the end, which `World.stopping` brings."""
        self._thread.join()

    def _work(self) -> None:
        while not self._world.stopping.wait(_PERIOD_S):
            job = self._lease()
            if job is not None:
                self._finish(job)

    def _lease(self) -> Row | None:
        database, now = self._world.database, self._world.runtime.now()
        with database.change():
            job = database.row("SELECT * FROM memory_jobs WHERE status = 'pending' ORDER BY rowid LIMIT 1")
            if job is not None:
                sql = "UPDATE memory_jobs SET status = 'leased', attempts = attempts + 1, leased_at = ?, updated_at = ? WHERE id = ?"
                database.run(sql, now, now, job["id"])
        return job

    def _finish(self, job: Row) -> None:
        world = self._world
        with world.database.change():
            if job["job_type"] == "document_ingest" and "failed-job" in world.faults:
                now = world.runtime.now()
                sql = "UPDATE memory_jobs SET status = 'dead', error = 'could not read the document', failed_at = ?, updated_at = ? WHERE id = ?"
                world.database.run(sql, now, now, job["id"])
                return
            result = _WORK[job["job_type"]](world, job)
            now = world.runtime.now()
            sql = "UPDATE memory_jobs SET status = 'completed', result = ?, completed_at = ?, updated_at = ? WHERE id = ?"
            world.database.run(sql, json.dumps(result), now, now, job["id"])


def _extract(world: World, job: Row) -> dict[str, Any]:
    world.database.run("UPDATE memories SET extraction_status = 'completed' WHERE id = ?", job["memory_id"])
    return {"facts": 0, "entities": 0}


def _ingest(world: World, job: Row) -> dict[str, Any]:
    document = world.database.row("SELECT content FROM documents WHERE id = ?", job["document_id"])
    if document is None:
        return {"chunks": 0}
    text = str(document["content"])
    chunks = [text[start : start + _CHUNK_CHARACTERS] for start in range(0, len(text), _CHUNK_CHARACTERS)]
    for index, chunk in enumerate(chunks):
        world.database.insert("document_chunks", id=new_id(), document_id=job["document_id"], chunk_index=index, content=chunk)
    sql = "UPDATE documents SET status = 'done', chunk_count = ?, updated_at = ? WHERE id = ?"
    world.database.run(sql, len(chunks), world.runtime.now(), job["document_id"])
    return {"chunks": len(chunks)}


def _run_task(world: World, job: Row) -> dict[str, Any]:
    run = json.loads(job["payload"])
    output = "\n".join(f"step {number}: {word}" for number, word in enumerate(str(run["prompt"]).split(), start=1))
    sql = "UPDATE task_runs SET status = 'completed', output = ?, completed_at = ? WHERE id = ?"
    world.database.run(sql, output, world.runtime.now(), run["run_id"])
    return {"lines": output.count("\n") + 1}


_WORK: Final = {"extract": _extract, "document_ingest": _ingest, "task_run": _run_task}
