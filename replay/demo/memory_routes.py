"""The routes for memories, recall, documents and their jobs."""

import hashlib
from collections.abc import Iterator
from typing import Any

from replay.demo import memories
from replay.demo.database import Row
from replay.demo.jobs import enqueue
from replay.demo.values import LINES_TYPE, Reply, Request, refuse
from replay.demo.world import World, new_id


def _subject(request: Request) -> str:
    return request.caller.subject if request.caller else "unknown"


def _wanted(world: World, request: Request, *, deleted: bool = False) -> Row:
    row = memories.fetch(world, request.parameters["id"], deleted=deleted)
    if row is None:
        raise refuse(404, "not found")
    return row


def remember(world: World, request: Request) -> Reply:
    """Keep a memory."""
    content = request.body.get("content")
    if not isinstance(content, str) or not content.strip():
        raise refuse(400, "content is required")
    return Reply(200, memories.remember(world, dict(request.body), who=_subject(request)))


def recall(world: World, request: Request) -> Reply:
    """Find memories."""
    query = request.body.get("query")
    if not isinstance(query, str) or not query.strip():
        raise refuse(400, "query is required")
    limit = request.body.get("limit", 10)
    return Reply(200, memories.recall(world, query, limit if isinstance(limit, int) and 0 < limit <= 100 else 10))


def search(world: World, request: Request) -> Reply:
    """Find memories without counting that they were asked for."""
    rows = memories.find(world, request.query.get("q", ""), request.number("limit", 10))
    return Reply(200, {"results": [{"id": row["id"], "content": row["content"], "score": round(row["score"], 6)} for row in rows]})


def search_under_memory(world: World, request: Request) -> Reply:
    """Do as `search` does, at a path that the `js` runtime takes for the id `search`."""
    if not world.runtime.differs("memory-search-route"):
        raise refuse(404, "not found")
    return search(world, request)


def list_all(world: World, request: Request) -> Reply:
    """List memories, newest first."""
    return Reply(200, memories.list_memories(world, request.number("limit", 50), request.number("offset", 0)))


def show(world: World, request: Request) -> Reply:
    """Show one memory."""
    row = _wanted(world, request)
    if "stale-read" in world.faults and row["id"] in world.earlier:
        row = world.earlier[row["id"]]
    return Reply(200, memories.show(row))


def history(world: World, request: Request) -> Reply:
    """Show what happened to one memory, deleted or not."""
    memory_id = request.parameters["id"]
    if world.database.row("SELECT id FROM memories WHERE id = ?", memory_id) is None:
        raise refuse(404, "not found")
    rows = world.database.rows("SELECT * FROM memory_history WHERE memory_id = ? ORDER BY rowid", memory_id)
    return Reply(200, {"memoryId": memory_id, "history": [{key: row[key] for key in row if key != "memory_id"} for row in rows]})


def change(world: World, request: Request) -> Reply:
    """Change a memory's content, where it still has the version that the caller knows."""
    row = _wanted(world, request)
    content, reason = request.body.get("content"), request.body.get("reason")
    if not isinstance(content, str) or not content.strip() or not isinstance(reason, str):
        raise refuse(400, "content and reason are required")
    _check_version(row, request.body.get("if_version"))
    version = memories.change(world, row, content=content.strip(), who=_subject(request), reason=reason)
    return Reply(200, {"id": row["id"], "status": "updated", "currentVersion": row["version"], "newVersion": version})


def modify(world: World, request: Request) -> Reply:
    """Change several memories, each for itself."""
    patches, reason = request.body.get("patches"), request.body.get("reason")
    if not isinstance(patches, list) or not 0 < len(patches) <= 200 or not isinstance(reason, str):
        raise refuse(400, "patches and reason are required")
    results = []
    for patch in patches:
        row = memories.fetch(world, str(patch.get("id"))) if isinstance(patch, dict) else None
        if row is None or not isinstance(patch.get("content"), str):
            results.append({"id": patch.get("id") if isinstance(patch, dict) else None, "status": "not_found"})
            continue
        version = memories.change(world, row, content=patch["content"], who=_subject(request), reason=reason)
        results.append({"id": row["id"], "status": "updated", "currentVersion": row["version"], "newVersion": version})
    return Reply(200, {"total": len(results), "updated": sum(item["status"] == "updated" for item in results), "results": results})


def delete(world: World, request: Request) -> Reply:
    """Forget one memory."""
    row = _wanted(world, request)
    wanted = request.query.get("if_version")
    _check_version(row, int(wanted) if wanted and wanted.isascii() and wanted.isdigit() else None)
    version = memories.set_deleted(world, row, deleted=True, who=_subject(request), reason=request.query.get("reason"))
    return Reply(200, {"id": row["id"], "status": "deleted", "currentVersion": row["version"], "newVersion": version})


def recover(world: World, request: Request) -> Reply:
    """Bring a forgotten memory back."""
    row = _wanted(world, request, deleted=True)
    version = memories.set_deleted(world, row, deleted=False, who=_subject(request), reason=None)
    return Reply(200, {"id": row["id"], "status": "recovered", "currentVersion": row["version"], "newVersion": version})


def _check_version(row: Row, wanted: Any) -> None:
    if isinstance(wanted, int) and wanted != row["version"]:
        known = {"id": row["id"], "status": "version_conflict", "currentVersion": row["version"]}
        raise refuse(409, "if_version does not match", **known)


def forget(world: World, request: Request) -> Reply:
    """Show what a query would forget, or forget it: that takes the token of the preview."""
    query = request.body.get("query")
    if not isinstance(query, str) or not query.strip():
        raise refuse(400, "query is required")
    rows = memories.find(world, query, 25)
    token = hashlib.sha256("|".join(sorted(row["id"] for row in rows)).encode()).hexdigest()[:32]
    if request.body.get("mode", "preview") == "preview":
        keys = ("id", "score", "pinned", "version")
        candidates = [{**{key: row[key] for key in keys}, "pinned": bool(row["pinned"]), "score": round(row["score"], 3)} for row in rows]
        return Reply(200, {"mode": "preview", "count": len(rows), "requiresConfirm": True, "confirmToken": token, "candidates": candidates})
    if request.body.get("confirm_token") != token:
        raise refuse(400, "confirm_token does not match", confirmToken=token)
    for row in rows:
        memories.set_deleted(world, row, deleted=True, who=_subject(request), reason=str(request.body.get("reason", "")))
    return Reply(200, {"mode": "execute", "deleted": len(rows), "results": [{"id": row["id"], "status": "deleted"} for row in rows]})


def feedback(world: World, request: Request) -> Reply:
    """Take ratings, keyed by memory."""
    ratings = request.body.get("feedback")
    if not isinstance(ratings, dict):
        raise refuse(400, "feedback is required")
    accepted = [memory_id for memory_id in ratings if memories.fetch(world, memory_id)]
    return Reply(200, {"ok": True, "received": len(ratings), "accepted": len(accepted), "ratings": {key: ratings[key] for key in accepted}})


def add_document(world: World, request: Request) -> Reply:
    """Take a document; a job cuts it into chunks."""
    content = request.body.get("content")
    if not isinstance(content, str) or not content.strip():
        raise refuse(400, "content is required")
    document_id, now = new_id(), world.runtime.now()
    with world.database.change():
        title = request.body.get("title")
        row = {"id": document_id, "title": title, "source_type": "text", "content": content, "created_at": now, "updated_at": now}
        world.database.insert("documents", **row)
        job_id = enqueue(world, "document_ingest", document_id=document_id)
    world.note("documents", "Document queued")
    return Reply(201, {"id": document_id, "status": "queued", "jobId": job_id})


def list_documents(world: World, _: Request) -> Reply:
    """List the documents."""
    rows = world.database.rows("SELECT * FROM documents ORDER BY rowid")
    return Reply(200, {"documents": [_show_document(row) for row in rows], "total": len(rows)})


def show_document(world: World, request: Request) -> Reply:
    """Show one document."""
    return Reply(200, _show_document(_document(world, request)))


def show_chunks(world: World, request: Request) -> Reply:
    """Show a document's chunks."""
    row = _document(world, request)
    chunks = world.database.rows("SELECT * FROM document_chunks WHERE document_id = ? ORDER BY chunk_index", row["id"])
    return Reply(200, {"chunks": [{key: chunk[key] for key in ("id", "chunk_index", "content")} for chunk in chunks]})


def delete_document(world: World, request: Request) -> Reply:
    """Remove a document and its chunks."""
    row = _document(world, request)
    with world.database.change():
        chunks = world.database.run("DELETE FROM document_chunks WHERE document_id = ?", row["id"])
        world.database.run("DELETE FROM documents WHERE id = ?", row["id"])
    return Reply(200, {"deleted": True, "chunksRemoved": chunks})


def _document(world: World, request: Request) -> Row:
    row = world.database.row("SELECT * FROM documents WHERE id = ?", request.parameters["id"])
    if row is None:
        raise refuse(404, "Document not found")
    return row


def _show_document(row: Row) -> dict[str, Any]:
    return {key: row[key] for key in ("id", "title", "source_type", "status", "chunk_count", "created_at", "updated_at")}


def show_job(world: World, request: Request) -> Reply:
    """Show one job."""
    row = world.database.row("SELECT * FROM memory_jobs WHERE id = ?", request.parameters["id"])
    if row is None:
        raise refuse(404, "Job not found")
    keys = ("id", "memory_id", "document_id", "job_type", "status", "result", "attempts", "max_attempts", "error", "created_at", "updated_at")
    return Reply(200, {key: row[key] for key in (*keys, "completed_at")})


def export_searches(world: World, _: Request) -> Reply:
    """Give all searches, one JSON value a line."""
    rows = world.database.rows("SELECT * FROM memory_searches ORDER BY sequence")
    if "lost-line" in world.faults:
        rows = rows[:-1]

    def lines() -> Iterator[bytes]:
        for row in rows:
            entry = {"event": "memory.search", "id": row["id"], "query": row["query"], "resultCount": row["result_count"]}
            yield (world.runtime.dump({**entry, "timestamp": row["created_at"]}) + "\n").encode()

    return Reply(200, content_type=LINES_TYPE, stream=lines)
