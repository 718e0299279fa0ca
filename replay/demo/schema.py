"""The demo's database: the tables of the real one that the demo needs, and what is asked of it from outside."""

import sqlite3
from typing import Final

DATABASE: Final = "memory/memories.db"
"""Where it is, from the workspace's root."""

DRAINED: Final[dict[str, str]] = {
    "worker": "SELECT COUNT(*) FROM memory_jobs WHERE status IN ('pending', 'leased')",
    "watcher": "SELECT COUNT(*) FROM watched_files WHERE pending = 1",
}
"""Background part → a query that gives 0 once it has nothing left to do."""

TABLES: Final = """
CREATE TABLE schema_migrations (version INTEGER PRIMARY KEY, applied_at TEXT NOT NULL, checksum TEXT NOT NULL);
CREATE TABLE memories (
  id TEXT PRIMARY KEY, content TEXT NOT NULL, content_hash TEXT NOT NULL, type TEXT NOT NULL DEFAULT 'fact', tags TEXT,
  importance REAL NOT NULL DEFAULT 0.8, pinned INTEGER NOT NULL DEFAULT 0, who TEXT, project TEXT,
  created_at TEXT NOT NULL, updated_at TEXT NOT NULL, version INTEGER NOT NULL DEFAULT 1, is_deleted INTEGER NOT NULL DEFAULT 0,
  access_count INTEGER NOT NULL DEFAULT 0, extraction_status TEXT NOT NULL DEFAULT 'none');
CREATE UNIQUE INDEX idx_memories_content_hash_unique ON memories (content_hash) WHERE is_deleted = 0;
CREATE INDEX idx_memories_created ON memories (created_at DESC);
CREATE VIRTUAL TABLE memories_fts USING fts5(content, content='memories', tokenize='unicode61');
CREATE TRIGGER memories_ai AFTER INSERT ON memories BEGIN
  INSERT INTO memories_fts (rowid, content) VALUES (new.rowid, new.content); END;
CREATE TRIGGER memories_au AFTER UPDATE OF content ON memories BEGIN
  INSERT INTO memories_fts (memories_fts, rowid, content) VALUES ('delete', old.rowid, old.content);
  INSERT INTO memories_fts (rowid, content) VALUES (new.rowid, new.content); END;
CREATE TABLE memory_history (
  id TEXT PRIMARY KEY, memory_id TEXT NOT NULL REFERENCES memories (id), event TEXT NOT NULL, old_content TEXT, new_content TEXT,
  changed_by TEXT NOT NULL, reason TEXT, created_at TEXT NOT NULL);
CREATE TABLE memory_jobs (
  id TEXT PRIMARY KEY, memory_id TEXT, document_id TEXT, job_type TEXT NOT NULL, status TEXT NOT NULL DEFAULT 'pending', payload TEXT,
  result TEXT, attempts INTEGER NOT NULL DEFAULT 0, max_attempts INTEGER NOT NULL DEFAULT 3, leased_at TEXT, completed_at TEXT,
  failed_at TEXT, error TEXT, created_at TEXT NOT NULL, updated_at TEXT NOT NULL);
CREATE INDEX idx_memory_jobs_status ON memory_jobs (status);
CREATE TABLE summary_jobs (id TEXT PRIMARY KEY, status TEXT NOT NULL DEFAULT 'pending', created_at TEXT NOT NULL);
CREATE TABLE documents (
  id TEXT PRIMARY KEY, title TEXT, source_type TEXT NOT NULL, content TEXT NOT NULL, status TEXT NOT NULL DEFAULT 'queued',
  chunk_count INTEGER NOT NULL DEFAULT 0, created_at TEXT NOT NULL, updated_at TEXT NOT NULL);
CREATE TABLE document_chunks (
  id TEXT PRIMARY KEY, document_id TEXT NOT NULL REFERENCES documents (id), chunk_index INTEGER NOT NULL, content TEXT NOT NULL);
CREATE TABLE scheduled_tasks (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, prompt TEXT NOT NULL, cron_expression TEXT NOT NULL, enabled INTEGER NOT NULL DEFAULT 1,
  created_at TEXT NOT NULL);
CREATE TABLE task_runs (
  id TEXT PRIMARY KEY, task_id TEXT NOT NULL REFERENCES scheduled_tasks (id), status TEXT NOT NULL, output TEXT, started_at TEXT NOT NULL,
  completed_at TEXT);
CREATE TABLE api_keys (
  id TEXT PRIMARY KEY, prefix TEXT NOT NULL UNIQUE, name TEXT NOT NULL, key_hash TEXT NOT NULL, role TEXT NOT NULL,
  created_at TEXT NOT NULL, last_used_at TEXT, revoked_at TEXT);
CREATE TABLE connectors (id TEXT PRIMARY KEY, provider TEXT NOT NULL, status TEXT NOT NULL, created_at TEXT NOT NULL);
CREATE TABLE memory_searches (
  sequence INTEGER PRIMARY KEY, id TEXT NOT NULL, query TEXT NOT NULL, result_count INTEGER NOT NULL, created_at TEXT NOT NULL);
CREATE TABLE watched_files (
  path TEXT PRIMARY KEY, digest TEXT NOT NULL, generation INTEGER NOT NULL, pending INTEGER NOT NULL DEFAULT 0, seen_at TEXT NOT NULL);
"""

_RUST_TABLES: Final = """
CREATE TABLE IF NOT EXISTS agent_messages (id TEXT PRIMARY KEY, content TEXT NOT NULL, created_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS agent_presence (session_key TEXT PRIMARY KEY, agent_id TEXT NOT NULL, last_seen TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS os_tray_entries (id TEXT PRIMARY KEY, state TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS os_probe_results (id TEXT PRIMARY KEY, result_json TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS os_widgets (id TEXT PRIMARY KEY, html TEXT NOT NULL);
"""
_RUST_COLUMNS: Final = (
    ("connectors", "enabled", "INTEGER NOT NULL DEFAULT 1"),
    ("connectors", "settings_json", "TEXT NOT NULL DEFAULT '{}'"),
    ("summary_jobs", "leased_at", "TEXT"),
    ("summary_jobs", "updated_at", "TEXT"),
    ("summary_jobs", "failed_at", "TEXT"),
)

SAMPLES_FORBIDDEN: Final = frozenset({"api_keys"})
"""Tables whose rows are never shown."""


def add_rust_objects(connection: sqlite3.Connection) -> None:
    """Add what the `rust` runtime has beyond the other, at each start."""
    connection.executescript(_RUST_TABLES)
    for table, column, declaration in _RUST_COLUMNS:
        known = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
        if column not in known:
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} {declaration}")
