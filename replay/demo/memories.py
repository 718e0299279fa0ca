"""Memories: remembered, found, changed, forgotten; all in SQLite, ranked by FTS5's bm25."""

import hashlib
import re
import time
from typing import Any, Final

from replay.demo.database import Row
from replay.demo.faults import FORGOTTEN_TYPE
from replay.demo.jobs import enqueue
from replay.demo.world import World, new_id

RECALL_CHARACTERS_MAX: Final = {"js": 500, "rust": 50_000}
_WORD: Final = re.compile(r"\w+")


def content_hash(content: str) -> str:
    """Give the digest by which a memory is known to be there already."""
    return hashlib.sha256(" ".join(content.lower().split()).rstrip(".,!?;:").encode()).hexdigest()


def remember(world: World, body: dict[str, Any], *, who: str) -> dict[str, Any]:
    """Keep a memory, or find that it is kept already; gives the answer of the route."""
    content = str(body["content"]).strip()
    digest = content_hash(content)
    tags = body.get("tags")
    row: Row = {
        "id": new_id(),
        "content": content,
        "content_hash": digest,
        "type": body.get("type", "fact"),
        "tags": ",".join(map(str, tags)) if isinstance(tags, list) else tags,
        "importance": body.get("importance", 0.8),
        "pinned": int(bool(body.get("pinned", False))),
        "who": body.get("who", who),
        "project": body.get("project"),
        "created_at": world.runtime.now(),
    }
    row["updated_at"] = row["created_at"]
    with world.database.change():
        known = world.database.row("SELECT * FROM memories WHERE content_hash = ? AND is_deleted = 0", digest)
        if known is None and not ("lost-write" in world.faults and row["type"] == FORGOTTEN_TYPE):
            world.database.insert("memories", **row)
            if world.runtime.differs("history-created-row"):
                add_history(world, row["id"], "created", old=None, new=content, who=who, reason=None)
            if not world.runtime.differs("remember-enqueues-nothing"):
                world.database.run("UPDATE memories SET extraction_status = 'pending' WHERE id = ?", row["id"])
                enqueue(world, "extract", memory_id=row["id"])
    world.note("memory", "Memory known already" if known else "Memory saved")
    shown = known or row
    answer = {
        "id": shown["id"],
        "type": shown["type"],
        "tags": shown["tags"],
        "pinned": bool(shown["pinned"]),
        "importance": shown["importance"],
        "content": shown["content"],
        "embedded": False,
        "entities_linked": 0,
        "hints_written": 0,
        "structured": False,
    }
    return {**answer, "deduped": True} if known else answer


def find(world: World, query: str, limit: int) -> list[Row]:
    """Give the memories that match any word of *query*, best first, each with a `score`."""
    words = _WORD.findall(query)
    if not words:
        return []
    expression = " OR ".join(f'"{word}"' for word in words)
    return world.database.rows(
        "SELECT m.*, -bm25(memories_fts) AS score FROM memories_fts JOIN memories m ON m.rowid = memories_fts.rowid"
        " WHERE memories_fts MATCH ? AND m.is_deleted = 0 ORDER BY bm25(memories_fts), m.rowid LIMIT ?",
        expression,
        limit,
    )


def recall(world: World, query: str, limit: int) -> dict[str, Any]:
    """Find memories and count that they were asked for; gives the answer of the route."""
    began = time.perf_counter_ns()
    with world.database.change():
        rows = find(world, query, limit)
        searched = time.perf_counter_ns()
        for row in rows:
            world.database.run("UPDATE memories SET access_count = access_count + 1 WHERE id = ?", row["id"])
        values = (new_id(), query, len(rows), world.runtime.now())
        world.database.run("INSERT INTO memory_searches (id, query, result_count, created_at) VALUES (?, ?, ?, ?)", *values)
    world.note("memory", f"Recall gave {len(rows)}")
    bound = RECALL_CHARACTERS_MAX["rust" if world.runtime.differs("recall-untruncated") else "js"]
    return {
        "results": [_recalled(row, bound) for row in rows],
        "query": query,
        "method": "keyword",
        "meta": {
            "totalReturned": len(rows),
            "hasSupplementary": False,
            "noHits": not rows,
            "timings": {
                "totalMs": _ms(time.perf_counter_ns() - began),
                "stages": [
                    {"name": "keyword", "durationMs": _ms(searched - began)},
                    {"name": "touch", "durationMs": _ms(time.perf_counter_ns() - searched)},
                ],
            },
        },
    }


def _recalled(row: Row, bound: int) -> dict[str, Any]:
    content = str(row["content"])
    return {
        "id": row["id"],
        "content": content[:bound],
        "content_length": len(content),
        "truncated": len(content) > bound,
        "score": round(row["score"], 6),
        "source": "keyword",
        "type": row["type"],
        "tags": row["tags"],
        "pinned": bool(row["pinned"]),
        "importance": row["importance"],
        "who": row["who"],
        "project": row["project"],
        "created_at": row["created_at"],
    }


def _ms(duration_ns: int) -> float:
    return round(duration_ns / 1e6, 3)


def show(row: Row) -> dict[str, Any]:
    """Give one memory as the route for one memory shows it; what is not set is not there."""
    shown = {
        "id": row["id"],
        "content": row["content"],
        "type": row["type"],
        "tags": row["tags"],
        "pinned": bool(row["pinned"]),
        "importance": row["importance"],
        "who": row["who"],
        "version": row["version"],
        "access_count": row["access_count"],
        "extraction_status": row["extraction_status"],
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
    }
    return {**shown, "project": row["project"]} if row["project"] is not None else shown


def list_memories(world: World, limit: int, offset: int) -> dict[str, Any]:
    """Give the newest memories and how many there are."""
    rows = world.database.rows("SELECT * FROM memories WHERE is_deleted = 0 ORDER BY rowid DESC LIMIT ? OFFSET ?", limit, offset)
    keys = ("id", "content", "type", "tags", "importance", "who", "created_at")
    return {
        "memories": [{**{key: row[key] for key in keys}, "pinned": bool(row["pinned"])} for row in rows],
        "stats": {
            "total": world.database.count("SELECT COUNT(*) FROM memories WHERE is_deleted = 0"),
            "withEmbeddings": 0,
            "critical": world.database.count("SELECT COUNT(*) FROM memories WHERE is_deleted = 0 AND importance >= 0.95"),
        },
    }


def fetch(world: World, memory_id: str, *, deleted: bool = False) -> Row | None:
    """Give a memory's row; None where there is none, or where it is deleted or not, other than asked."""
    return world.database.row("SELECT * FROM memories WHERE id = ? AND is_deleted = ?", memory_id, int(deleted))


def change(world: World, row: Row, *, content: str, who: str, reason: str | None) -> int:
    """Give a memory new content and say which version that is."""
    world.earlier[row["id"]] = row
    with world.database.change():
        sql = "UPDATE memories SET content = ?, content_hash = ?, version = version + 1, updated_at = ? WHERE id = ?"
        world.database.run(sql, content, content_hash(content), world.runtime.now(), row["id"])
        if "stale-index" in world.faults:
            # Undo what the trigger did to the index: it knows the old words again, and not the new.
            (rowid,) = (world.database.count("SELECT rowid FROM memories WHERE id = ?", row["id"]),)
            world.database.run("INSERT INTO memories_fts (memories_fts, rowid, content) VALUES ('delete', ?, ?)", rowid, content)
            world.database.run("INSERT INTO memories_fts (rowid, content) VALUES (?, ?)", rowid, row["content"])
        add_history(world, row["id"], "updated", old=row["content"], new=content, who=who, reason=reason)
    world.note("memory", "Memory changed")
    return int(row["version"]) + 1


def set_deleted(world: World, row: Row, *, deleted: bool, who: str, reason: str | None) -> int:
    """Forget a memory or bring it back, and say which version that is."""
    with world.database.change():
        sql = "UPDATE memories SET is_deleted = ?, version = version + 1, updated_at = ? WHERE id = ?"
        world.database.run(sql, int(deleted), world.runtime.now(), row["id"])
        event = "deleted" if deleted else "recovered"
        add_history(world, row["id"], event, old=row["content"], new=None if deleted else row["content"], who=who, reason=reason)
    world.note("memory", f"Memory {event}")
    return int(row["version"]) + 1


def add_history(world: World, memory_id: str, event: str, *, old: str | None, new: str | None, who: str, reason: str | None) -> None:
    """Write down what happened to a memory."""
    world.database.insert(
        "memory_history",
        id=new_id(),
        memory_id=memory_id,
        event=event,
        old_content=old,
        new_content=new,
        changed_by=who,
        reason=reason,
        created_at=world.runtime.now(),
    )
