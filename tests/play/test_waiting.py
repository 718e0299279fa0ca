"""A replay on a small daemon with a worker and an importer of its own, on a real database and real sockets."""

import asyncio
import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import Any

from replay.play import Drained
from replay.play.job import Poller

_JOB_S = 0.3
_IMPORT_S = 0.4
_NOTE = "The battery of the second device drops to forty percent in cold weather."


class _Working:
    """Answers `remember` at once and does the work later; imports `memory/*.md` by its own clock; counts what is done."""

    def __init__(self, bench: Any) -> None:
        self._bench = bench
        self.timers: list[asyncio.TimerHandle] = []
        self._database = bench.folder / "memory" / "memories.db"
        self._database.parent.mkdir()
        self.run("CREATE TABLE jobs (status TEXT)")
        self.run("CREATE TABLE notes (stem TEXT)")

    def run(self, sql: str, *values: str) -> int:
        """Execute a statement; gives the number that came of it."""
        with closing(sqlite3.connect(self._database)) as connection, connection:
            row = connection.execute(sql, values).fetchone()
        return int(row[0]) if row else 0

    async def answer(self, asked: Any, writer: asyncio.StreamWriter) -> None:
        """Answer a request."""
        if asked.method == "POST":
            self.run("INSERT INTO jobs VALUES ('pending')")
            self.timers.append(asyncio.get_running_loop().call_later(_JOB_S, self.run, "UPDATE jobs SET status = 'done'"))
            writer.write(self._bench.spell({"queued": True}))
            return
        done = self.run("SELECT count(*) FROM jobs WHERE status = 'done'")
        notes = [_NOTE] * self.run("SELECT count(*) FROM notes")
        writer.write(self._bench.spell({"done": done, "notes": notes}))

    async def import_notes(self) -> None:
        """Import a note as long as a period after it came, for ever."""
        while True:
            await asyncio.sleep(_IMPORT_S / 40)
            for path in (self._bench.folder / "memory").glob("*.md"):
                if not self.run("SELECT count(*) FROM notes WHERE stem = ?", path.stem):
                    await asyncio.sleep(_IMPORT_S)
                    self.run("INSERT INTO notes VALUES (?)", path.stem)

    @property
    def drained(self) -> tuple[Drained, ...]:
        """How to see that nothing is left."""
        return (Drained("worker", self._database, "SELECT count(*) FROM jobs WHERE status = 'pending'", 5.0),)

    @property
    def pollers(self) -> tuple[Poller, ...]:
        """How to see that a note was imported."""
        sql = "SELECT count(*) FROM notes WHERE stem = :stem"
        return (Poller("import", 2 * _IMPORT_S, files=("memory/*.md",), database=self._database, sql=sql),)


def _bodies(archive: Any) -> dict[int, Any]:
    return {each.id: json.loads(each.outcome.body) for each in archive.exchanges()}


def test_a_replay_waits_for_work_and_for_a_named_poller(bench: Any) -> None:
    """What a worker and an importer had done in the recording is done when the next recorded request is sent, and the terms are told."""
    tape = bench.tape()
    tape.ask(1, "POST", "/api/memory/remember", {"queued": True}, {"content": "x"})
    tape.pause(4.0)
    tape.ask(2, "GET", "/api/memories", {"done": 1, "notes": []})
    tape.change("memory/field.md", f"# Field day\n\n{_NOTE}\n".encode())
    tape.pause(0.2)
    tape.ask(3, "GET", "/api/memories?again=1", {"done": 1, "notes": [_NOTE]})

    async def run() -> tuple[Any, Any]:
        working = _Working(bench)
        async with bench.running(working.answer) as daemon:
            importing = asyncio.create_task(working.import_notes())
            facts = bench.facts(daemon.port, drained=working.drained)
            played, observed = await bench.play(tape, daemon.port, facts=replace(facts, pollers=working.pollers))
            importing.cancel()
            await asyncio.gather(importing, return_exceptions=True)
        return played, observed

    played, observed = asyncio.run(run())
    assert played.complete
    assert _bodies(observed)[2] == {"done": 1, "notes": []}
    assert _bodies(observed)[3] == {"done": 1, "notes": [_NOTE]}
    assert {wait.worker for wait in observed.waits()} == {"worker", "import"}
    terms = observed.facts["terms"]
    assert terms["wall_s"] < 3.0
    assert terms["jobs_s"] >= 0.5 * _JOB_S
    assert 0.0 < terms["pollers_s"] <= _IMPORT_S + 0.5
    assert terms["daemon_union_s"] <= terms["wall_s"] + 0.1
    statistics = [record.values for record in observed.records() if type(record).__name__ == "Statistics"]
    assert any(values.get("wall_ratio", 0.0) >= 0.9 for values in statistics)


def test_without_a_recorded_pause_nothing_is_waited_for(bench: Any) -> None:
    """Requests that followed each other at once do so again, while the work goes on."""
    tape = bench.tape()
    tape.ask(1, "POST", "/api/memory/remember", {"queued": True}, {"content": "x"})
    tape.ask(2, "GET", "/api/memories", {"done": 0, "notes": []})

    async def run() -> Any:
        working = _Working(bench)
        async with bench.running(working.answer) as daemon:
            _, observed = await bench.play(tape, daemon.port, facts=bench.facts(daemon.port, drained=working.drained))
        for timer in working.timers:
            timer.cancel()
        return observed

    observed = asyncio.run(run())
    assert _bodies(observed)[2]["done"] == 0
    assert observed.waits() == []
