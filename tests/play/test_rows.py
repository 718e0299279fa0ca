"""Ids that clients read from the daemon's database."""

import asyncio
import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from replay.archive import Archive, ArchiveWriter, read
from replay.identity import Bindings
from replay.model import Connection, EndReason, Exchange, Request, Response
from replay.play.describing import Plain, created_at, describe, terms_of
from replay.play.rows import Looked, Rows

M1, M2, J1, J2 = (f"{digit * 8}-0000-4000-8000-00000000000{digit}" for digit in "1234")
N1, N2, K1, K2 = (f"{digit * 8}-0000-4000-8000-00000000000{digit}" for digit in "abcd")
SCHEMA = """
CREATE TABLE memories (id TEXT PRIMARY KEY, content TEXT, type TEXT, version INTEGER, created_at TEXT);
CREATE TABLE memory_jobs (
    id TEXT PRIMARY KEY, memory_id TEXT, job_type TEXT NOT NULL, status TEXT, attempts INTEGER, max_attempts INTEGER, error TEXT,
    created_at TEXT
);
CREATE TABLE summary_jobs (id TEXT PRIMARY KEY, session_key TEXT, status TEXT, created_at TEXT);
"""
NOW = "2026-12-01T09:00:00.000Z"
type Job = tuple[str, str, str, str, int]


def job(ident: str, memory: str, kind: str = "extract", status: str = "completed", attempts: int = 1) -> Job:
    """Give a job's row."""
    return (ident, memory, kind, status, attempts)


def database(workspace: Path, jobs: Iterable[Job], made: str = NOW) -> Path:
    """Write a daemon's database."""
    (workspace / "memory").mkdir(parents=True, exist_ok=True)
    path = workspace / "memory" / "memories.db"
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(SCHEMA)
        connection.executemany("INSERT INTO memory_jobs VALUES (?, ?, ?, ?, ?, 3, NULL, ?)", [(*row, made) for row in jobs])
        connection.commit()
    return path


def answered(row: Job, **more: Any) -> dict[str, Any]:
    """Spell a job as the daemon answers."""
    ident, memory, kind, status, attempts = row
    told = {"id": ident, "memoryId": memory, "job_type": kind, "status": status, "attempts": attempts, "maxAttempts": 3}
    return {**told, "last_error": None, "error": None, "createdAt": "2026-11-23T18:34:25.522Z", **more}


def asked(word: str, answer: Any, *, status: int = 200, method: bytes = b"GET", body: bytes = b"") -> Exchange:
    """Record a request for a job."""
    response = Response(b"HTTP/1.1", status, b"", ((b"content-type", b"application/json"),), json.dumps(answer).encode())
    request = Request(method, f"/api/memory/jobs/{word}".encode(), b"HTTP/1.1", (), body)
    return Exchange(
        id=9,
        connection=Connection("c"),
        request=request,
        outcome=response,
        end=EndReason.COMPLETE,
        opened_event=20,
        ended_event=21,
        started_at=1_795_459_000.0,
        ended_at=1_795_459_000.1,
    )


class Candidate:
    """A candidate's workspace, and a recording without snapshots."""

    def __init__(self, folder: Path) -> None:
        self.workspace = folder / "candidate"
        self.bindings = Bindings()
        self.folder = folder
        path = folder / "recorded.parity"
        writer = ArchiveWriter.create(path, kind="recording", facts={})
        writer.seal(event=1, at=0.0, reason="test")
        self.recorded: Archive = read(path)

    def keep(self, jobs: Iterable[Job], made: str) -> None:
        """Make the recording one with a snapshot of its database, taken after the request."""
        database(self.folder / "production", jobs, made)
        path = self.folder / "kept.parity"
        writer = ArchiveWriter.create(path, kind="recording", facts={})
        writer.add_snapshot(self.folder / "production", workspace="/x", event_before=30, event_after=31, left_out=())
        writer.seal(event=32, at=0.0, reason="test")
        self.recorded = read(path)

    def rows(self, *chosen: str) -> Rows:
        """Give what looks for rows."""
        return Rows(self.recorded, self.workspace, self.bindings, frozenset(chosen), folder=self.folder)

    def find(self, exchange: Exchange, *chosen: str) -> Looked:
        """Look for the ids of one request."""
        rows = self.rows(*chosen)
        looked = asyncio.run(rows.find(exchange))
        rows.close()
        return looked


@pytest.fixture
def candidate(tmp_path: Path) -> Candidate:
    """Give a candidate without rows."""
    return Candidate(tmp_path)


def test_the_row_that_the_answer_describes(candidate: Candidate) -> None:
    """A job is found by its memory, as bound, and its kind; the binding says which table and columns told."""
    candidate.bindings.bind("uuid", M1, N1, 1, "$.id")
    database(candidate.workspace, [job(K1, N1), job(K2, N1, "index"), job(J2, N2)])
    looked = candidate.find(asked(J1, answered(job(J1, M1, "index", "completed", 2))), J1)
    assert looked.notes == ()
    (born,) = looked.bindings
    assert (born.recorded, born.observed, born.exchange, born.path) == (J1, K2, 9, "row:memory_jobs(job_type, memory_id)")
    assert candidate.bindings.observed_for(J1) == K2


def test_states_only_decide_between_equals(candidate: Candidate) -> None:
    """A row that is still at work fits; of two that say the same, the one in the recorded state does."""
    candidate.bindings.bind("uuid", M1, N1, 1, "$.id")
    database(candidate.workspace, [job(K1, N1, status="pending", attempts=0)])
    assert candidate.find(asked(J1, answered(job(J1, M1))), J1).bindings[0].observed == K1
    database(candidate.workspace, [job(K2, N1, status="failed"), job(J2, N1)])
    candidate.bindings = Bindings()
    candidate.bindings.bind("uuid", M1, N1, 1, "$.id")
    assert candidate.find(asked(J1, answered(job(J1, M1))), J1).bindings[0].observed == J2


def test_a_row_stands_for_one_id_only(candidate: Candidate) -> None:
    """A row whose id is bound to another recorded one is no candidate."""
    candidate.bindings.bind("uuid", M1, N1, 1, "$.id")
    candidate.bindings.bind("uuid", J2, K2, 2, "$.jobId")
    database(candidate.workspace, [job(K1, N1), job(K2, N1)])
    assert candidate.find(asked(J1, answered(job(J1, M1))), J1).bindings[0].observed == K1


@pytest.mark.parametrize(
    ("jobs", "why"),
    [
        ([job(K1, N1), job(K2, N1)], "2 rows of memory_jobs fit it"),
        ([job(K1, N2)], "no row of memory_jobs fits it"),
        ([], "no row of memory_jobs"),
    ],
)
def test_none_or_several_are_said(candidate: Candidate, jobs: list[Job], why: str) -> None:
    """Where no row fits, or nothing tells several apart, the id goes as recorded, with a note and a count."""
    candidate.bindings.bind("uuid", M1, N1, 1, "$.id")
    database(candidate.workspace, jobs)
    rows = candidate.rows(J1)
    exchange = asked(J1, answered(job(J1, M1)), method=b"POST")
    looked = asyncio.run(rows.find(exchange))
    assert looked.bindings == ()
    assert why in looked.notes[0]
    assert rows.counts == {"ids_without_rows": 1}
    assert asyncio.run(rows.find(exchange)) == Looked()


def test_a_row_that_comes_in_a_moment(candidate: Candidate) -> None:
    """A read waits a little for a row that the daemon is about to write."""
    candidate.bindings.bind("uuid", M1, N1, 1, "$.id")
    path = database(candidate.workspace, [])

    async def run() -> Looked:
        looking = asyncio.create_task(candidate.rows(J1).find(asked(J1, answered(job(J1, M1)))))
        await asyncio.sleep(0)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("INSERT INTO memory_jobs VALUES (?, ?, 'extract', 'pending', 0, 3, NULL, ?)", (K1, N1, NOW))
            connection.commit()
        return await looking

    assert asyncio.run(run()).bindings[0].observed == K1


def test_the_row_that_a_snapshot_holds(candidate: Candidate) -> None:
    """Where no answer describes it, the recording's own snapshot does, if the row was there before the request."""
    candidate.bindings.bind("uuid", M1, N1, 1, "$.id")
    database(candidate.workspace, [job(K1, N1), job(K2, N2)])
    candidate.keep([job(J2, M2), job(J1, M1)], "2026-11-23T18:34:25.522Z")
    feedback = asked(J1, {"ok": True}, method=b"POST")
    looked = candidate.find(feedback, J1)
    assert (looked.bindings[0].observed, looked.bindings[0].path) == (K1, "row:memory_jobs(job_type, memory_id)")
    assert not [path for path in candidate.folder.iterdir() if path.name.startswith("snapshot-")]


def test_rows_that_only_their_order_tells_apart(candidate: Candidate) -> None:
    """Of equally many rows that say the same, the one at the same place is taken, weakly."""
    candidate.bindings.bind("uuid", M1, N1, 1, "$.id")
    database(candidate.workspace, [job(K2, N1), job(K1, N1), job(N2, N2)])
    candidate.keep([job(J2, M1), job(J1, M1)], "2026-11-23T18:34:25.522Z")
    looked = candidate.find(asked(J1, {"ok": True}), J1)
    assert (looked.bindings[0].observed, looked.bindings[0].path) == (K1, "row:memory_jobs(job_type, memory_id) (by order)")


def test_what_clients_chose_is_left_alone(candidate: Candidate) -> None:
    """Ids that answers gave, that nothing describes, that the request itself made, or that both sides hold, are not looked for."""
    candidate.bindings.bind("uuid", M1, N1, 1, "$.id")
    database(candidate.workspace, [job(K1, N1), job(J2, N2)])
    assert candidate.find(asked(J1, answered(job(J1, M1)))) == Looked()
    assert candidate.find(asked(J1, {"error": "Job not found"}, status=404), J1) == Looked()
    assert candidate.find(asked(J1, {"ok": True}), J1) == Looked()
    assert candidate.find(asked(J1, {"id": J1, "status": "not_found"}), J1) == Looked()
    assert candidate.find(asked(J1, answered(job(J1, M1), createdAt="2026-11-24T00:00:00.000Z")), J1) == Looked()
    assert candidate.find(asked(J2, answered(job(J2, M1))), J2) == Looked()


def test_a_workspace_without_a_database(candidate: Candidate) -> None:
    """No database, or a damaged one, is said and no error."""
    assert "no table for it" in candidate.find(asked(J1, answered(job(J1, M1)), method=b"POST"), J1).notes[0]
    path = database(candidate.workspace, [])
    path.write_bytes(path.read_bytes()[:4000])
    assert len(candidate.find(asked(J1, answered(job(J1, M1)), method=b"POST"), J1).notes) == 1


def test_descriptions() -> None:
    """An answer describes a thing by its plain members, also inside lists, other objects and JSON in strings."""
    told = {"result": {"content": [{"text": json.dumps({"items": [{"id": M1}, {"id": J1, "n": 1, "ok": True, "list": [1]}]})}]}}
    answer = asked(J1, told).outcome
    assert isinstance(answer, Response)
    assert describe(J1, answer) == {"id": J1, "n": 1, "ok": 1}
    assert describe(J2, answer) is None
    assert created_at({"createdAt": "1970-01-01T00:00:02.000Z"}) == 2.0
    assert created_at({"createdAt": "today", "n": 3}) is None


def test_terms() -> None:
    """Times and unbound ids say nothing, bound ids are renamed, states and numbers are loose."""
    bindings = Bindings()
    bindings.bind("uuid", M1, N1, 1, "$.id")
    described: dict[str, Plain] = {
        "id": J1,
        "memoryId": M1,
        "documentId": M2,
        "status": "done",
        "attempts": 2,
        "createdAt": NOW,
        "note": f"of {M1}",
        "gone": "x",
    }
    columns = ["id", "memory_id", "document_id", "status", "attempts", "created_at", "note"]
    terms = {term.column: (term.value, term.firm) for term in terms_of(described, columns, bindings, ())}
    assert terms == {"memory_id": (N1, True), "status": ("done", False), "attempts": (2, False), "note": (f"of {N1}", True)}


def test_the_player_asks_for_the_candidates_row(bench: Any) -> None:
    """A replayed request names the candidate's row, the binding is in the observed archive, and both are counted."""
    database(bench.folder, [job(K1, N1), job(K2, N2)])
    tape = bench.tape()
    tape.ask(1, "POST", "/api/memory/remember", {"id": M1})
    tape.ask(2, "GET", f"/api/memory/jobs/{J1}", answered(job(J1, M1), createdAt="2026-11-23T00:00:00.000Z"))

    async def run() -> None:
        async def answer(request: Any, writer: asyncio.StreamWriter) -> None:
            writer.write(bench.spell({"id": N1} if request.method == "POST" else answered(job(K1, N1))))

        async with bench.running(answer) as daemon:
            played, observed = await bench.play(tape, daemon.port)
            assert daemon.targets()[1] == f"GET /api/memory/jobs/{K1}"
        assert played.counts["ids_from_rows"] == 1
        assert [(one.recorded, one.observed) for one in observed.bindings() if one.path.startswith("row:")] == [(J1, K1)]

    asyncio.run(run())
