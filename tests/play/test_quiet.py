"""Waiting for background work, on real SQLite files and a clock of the test's own."""

import asyncio
import json
import os
import sqlite3
from collections.abc import Callable, Coroutine, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay.model import Connection, EndReason, Exchange, Request, Response, Wait, WorkspaceChange
from replay.plan import Step
from replay.play.accounting import Accounting
from replay.play.job import Drained, Poller
from replay.play.looks import Left, Looks
from replay.play.quiet import Quiet
from replay.play.sampling import Sampler
from replay.routes import route_of

_SCHEMA = "CREATE TABLE jobs (kind TEXT, status TEXT); CREATE TABLE notes (name TEXT)"
_LEFT = "SELECT count(*) FROM jobs WHERE kind = '{}' AND status IN ('pending', 'leased')"
_BOUND_S = 5.0
_LONG_S = 60.0


@dataclass
class World:
    """A daemon's database, a clock, and what happens at which time while somebody sleeps."""

    database: Path
    now: float = 1000.0
    events: list[tuple[float, Callable[[sqlite3.Connection], object]]] = field(default_factory=list)
    looks: Looks = field(default_factory=lambda: Looks(()))
    busy: int = 0
    slept_s: float = 0.0

    def at(self, seconds: float, sql: str) -> None:
        """Let a statement be executed so many seconds from now."""
        self.events.append((self.now + seconds, lambda connection: connection.execute(sql)))

    def do(self, sql: str) -> None:
        """Execute a statement."""
        with closing(sqlite3.connect(self.database)) as connection, connection:
            connection.execute(sql)

    def clock(self) -> float:
        """Tell the time."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Let time pass, and what was due happen."""
        self.now += seconds
        self.slept_s += seconds
        due = [event for event in self.events if event[0] <= self.now]
        self.events = [event for event in self.events if event[0] > self.now]
        if due:
            with closing(sqlite3.connect(self.database)) as connection, connection:
                for _, act in sorted(due, key=lambda event: event[0]):
                    act(connection)

    async def look(self) -> Left:
        """Look at the tables."""
        return self.looks.look()

    async def number(self, path: Path, sql: str, parameters: Mapping[str, str]) -> int | None:
        """Ask for a number."""
        return self.looks.number(path, sql, parameters)

    def drained(self, *kinds: str) -> tuple[Drained, ...]:
        """Describe workers."""
        return tuple(Drained(kind, self.database, _LEFT.format(kind), _BOUND_S) for kind in kinds)

    def quiet(self, *kinds: str, pollers: tuple[Poller, ...] = (), **options: Any) -> Quiet:
        """Give what waits for workers."""
        drained = self.drained(*kinds)
        self.looks = Looks(drained)
        self.accounting = Accounting()
        return Quiet(drained, self, self.accounting, self.clock, pollers=pollers, busy=lambda: self.busy, sleep=self.sleep, **options)

    def run(self, waiting: Coroutine[Any, Any, list[Wait]]) -> list[Wait]:
        """Run a wait to its end."""
        return asyncio.run(waiting)


@pytest.fixture
def world(tmp_path: Path) -> Any:
    """Give a database with a table of jobs and one of notes."""
    made = World(tmp_path / "memories.db")
    with closing(sqlite3.connect(made.database)) as connection, connection:
        connection.executescript(_SCHEMA)
    yield made
    made.looks.close()


def _step(
    method: str = "GET",
    target: str = "/api/memories",
    *,
    number: int = 7,
    pause_s: float = _LONG_S,
    settles: bool = True,
    at: float = 100.0,
    answer: bytes = b"{}",
) -> Step:
    request = Request(method.encode(), target.encode(), b"HTTP/1.1", (), b"")
    outcome = Response(b"HTTP/1.1", 200, b"OK", ((b"content-type", b"application/json"),), answer)
    exchange = Exchange(number, request, outcome, Connection("c1"), 1, 2, at, at + 0.1, EndReason.COMPLETE)
    return Step(exchange=exchange, route=route_of(request), after=0, leave_after=0, previous=None, pause_s=pause_s, settles=settles)


def _change(path: str, content: bytes | None, at: float = 50.0) -> WorkspaceChange:
    return WorkspaceChange(event=1, at=at, path=path, digest=None, content=content)


def _answer(status: int, body: object) -> Response:
    return Response(b"HTTP/1.1", status, b"OK", ((b"content-type", b"application/json"),), json.dumps(body).encode())


# --- workers ---


def test_it_waits_until_nothing_is_left(world: World) -> None:
    """A wait ends when the last row is done, and is a record of the worker's name and time."""
    world.do("INSERT INTO jobs VALUES ('extract', 'pending')")
    world.at(2.0, "UPDATE jobs SET status = 'done'")
    waits = world.run(world.quiet("extract", settle_s=0.0).before(_step(), 7))
    assert [(wait.before_exchange, wait.worker, wait.outcome) for wait in waits] == [(7, "extract", "drained")]
    assert 1.9 <= waits[0].duration_ms / 1000.0 <= 2.0
    assert world.slept_s < 2.2


def test_what_one_worker_ends_may_be_anothers_beginning(world: World) -> None:
    """A row that appears when another is done is waited for in the same wait."""
    world.do("INSERT INTO jobs VALUES ('summary', 'pending')")
    world.at(1.0, "UPDATE jobs SET kind = 'extract'")
    world.at(3.0, "UPDATE jobs SET status = 'done'")
    waits = world.run(world.quiet("extract", "summary", settle_s=0.0).before(_step(), 7))
    assert {wait.worker for wait in waits} == {"extract", "summary"}
    assert 3.0 <= world.slept_s < 3.2


def test_where_the_recording_left_no_time_nothing_is_waited_for(world: World) -> None:
    """A step without a pause after a write is sent at once, whatever the tables hold."""
    world.do("INSERT INTO jobs VALUES ('extract', 'pending')")
    assert world.run(world.quiet("extract").before(_step(settles=False, pause_s=0.05), 7)) == []
    assert world.slept_s == 0.0


def test_a_pause_after_a_read_waits_for_what_the_read_queued(world: World) -> None:
    """A read may queue work: where the recording paused after it, the tables are looked at, and left at once when nothing is there."""
    quiet = world.quiet("extract")
    assert world.run(quiet.before(_step(settles=False, pause_s=2.0), 7)) == []
    assert world.slept_s == 0.0
    world.do("INSERT INTO jobs VALUES ('extract', 'pending')")
    world.at(1.5, "UPDATE jobs SET status = 'done'")
    assert [wait.outcome for wait in world.run(quiet.before(_step(settles=False, pause_s=2.0), 8))] == ["drained"]


def test_a_worker_that_does_not_move_gets_no_more_time_than_the_recording_had(world: World) -> None:
    """Without progress a wait ends with the recorded pause, or after a third of the bound where that is longer."""
    world.do("INSERT INTO jobs VALUES ('extract', 'pending')")
    world.run(world.quiet("extract", settle_s=0.0).before(_step(pause_s=3.0), 7))
    assert 3.0 <= world.slept_s < 3.2


def test_a_floor_is_never_longer_than_the_recorded_pause(world: World) -> None:
    """With nothing to do the wait after a write is as long as told, but not longer than the recording's."""
    quiet = world.quiet("extract", settle_s=3.0)
    world.run(quiet.before(_step(pause_s=0.5), 7))
    assert world.slept_s <= 0.5 + 0.1
    assert world.accounting.terms().others_s["settle after writes"] <= 0.5


def test_a_stuck_worker_is_waited_for_once(world: World) -> None:
    """Rows that do not move cost their bound one time and are one finding; later waits give them little more, and soon nothing."""
    world.do("INSERT INTO jobs VALUES ('extract', 'pending')")
    quiet = world.quiet("extract", settle_s=0.0)
    waits = world.run(quiet.before(_step(), 7))
    assert [wait.outcome for wait in waits] == ["bound met"]
    assert world.slept_s <= _BOUND_S + 0.2
    before = world.slept_s
    assert [wait.outcome for wait in world.run(quiet.before(_step(number=8), 8))] == ["given up before"]
    for number in range(9, 12):
        assert world.run(quiet.before(_step(number=number), number)) == []
    assert world.slept_s - before < _BOUND_S / 3
    assert [wait.worker for wait in quiet.stuck] == ["extract"]


def test_what_held_a_stuck_worker_may_be_over(world: World) -> None:
    """A worker that stuck, because it was paused say, is waited for again as soon as it moves."""
    world.do("INSERT INTO jobs VALUES ('extract', 'pending'), ('extract', 'pending')")
    quiet = world.quiet("extract", settle_s=0.0)
    world.run(quiet.before(_step(), 7))
    world.at(0.5, "UPDATE jobs SET status = 'done' WHERE rowid = 1")
    world.at(3.0, "UPDATE jobs SET status = 'done'")
    assert [wait.outcome for wait in world.run(quiet.before(_step(number=8), 8))] == ["drained"]
    assert world.run(quiet.before(_step(number=9), 9)) == []


def test_a_stuck_worker_costs_less_for_every_row_that_comes(world: World) -> None:
    """New rows of a worker that never moves are given half the time, then half of that, and are no new finding."""
    quiet = world.quiet("extract", settle_s=0.0)
    took: list[float] = []
    outcomes: list[str] = []
    for number in range(6):
        world.do("INSERT INTO jobs VALUES ('extract', 'pending')")
        before = world.slept_s
        outcomes += [wait.outcome for wait in world.run(quiet.before(_step(number=number), number))]
        took.append(world.slept_s - before)
    assert outcomes == ["bound met"] + ["given up before"] * 5
    assert took[1] < 0.6 * took[0]
    assert sum(took) < 2.6 * _BOUND_S
    assert len(quiet.stuck) == 1


def test_a_stuck_workers_new_rows_are_waited_for(world: World) -> None:
    """One row stuck for ever does not keep later rows of the same worker from being waited for."""
    world.do("INSERT INTO jobs VALUES ('extract', 'pending')")
    quiet = world.quiet("extract", settle_s=0.0)
    world.run(quiet.before(_step(), 7))
    world.do("INSERT INTO jobs VALUES ('extract', 'leased')")
    world.at(1.0, "UPDATE jobs SET status = 'done' WHERE status = 'leased'")
    waits = world.run(quiet.before(_step(number=8), 8))
    assert [wait.worker for wait in waits] == ["extract"]
    assert waits[0].duration_ms >= 900.0


def test_a_table_that_is_not_there_is_said_once(world: World) -> None:
    """A query that fails is given up for, said once, and waited for again when the table comes."""
    worker = Drained("later", world.database, "SELECT count(*) FROM later WHERE status = 'pending'", _BOUND_S)
    world.looks = Looks((worker,))
    quiet = Quiet((worker,), world, Accounting(), world.clock, settle_s=0.0, sleep=world.sleep)
    first = world.run(quiet.before(_step(), 7))
    assert [(wait.worker, wait.outcome) for wait in first] == [("later", "given up before")]
    assert world.run(quiet.before(_step(), 8)) == []
    world.do("CREATE TABLE later AS SELECT 'pending' AS status")
    world.at(0.5, "DELETE FROM later")
    assert [wait.outcome for wait in world.run(quiet.before(_step(), 9))] == ["drained"]


def test_calls_of_the_model_provider_count_as_work(world: World) -> None:
    """While the provider's stand-in answers a call, the daemon is not quiet."""
    world.busy = 2
    quiet = world.quiet("extract", settle_s=0.0)

    async def sleep(seconds: float) -> None:
        await world.sleep(seconds)
        world.busy = 2 if world.slept_s < 1.0 else 0

    quiet._sleep = sleep
    waits = world.run(quiet.before(_step(), 7))
    assert [(wait.worker, wait.outcome) for wait in waits] == [("calls of the model provider", "drained")]
    assert world.slept_s < 1.3


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["extract", "summary"]), st.floats(0.0, 12.0)), max_size=8), st.floats(0.0, 3.0))
def test_no_wait_exceeds_its_bounds(tmp_path_factory: pytest.TempPathFactory, jobs: list[tuple[str, float]], pause_s: float) -> None:
    """Whatever rows come and go, a wait ends: within its workers' bounds and the recorded pause."""
    world = World(tmp_path_factory.mktemp("w") / "memories.db")
    with closing(sqlite3.connect(world.database)) as connection, connection:
        connection.executescript(_SCHEMA)
    for number, (kind, seconds) in enumerate(jobs):
        world.do(f"INSERT INTO jobs VALUES ('{kind}', 'pending')")  # noqa: S608  # made up above
        world.at(seconds, f"UPDATE jobs SET status = 'done' WHERE rowid = {number + 1}")  # noqa: S608
    world.run(world.quiet("extract", "summary").before(_step(pause_s=pause_s), 7))
    longest = max([seconds for _, seconds in jobs], default=0.0)
    assert world.slept_s <= min(longest + _BOUND_S, 12.0 + _BOUND_S) + pause_s + 0.5
    world.looks.close()


# --- what no table shows ---


def test_after_work_begun_a_part_of_the_pause_is_waited(world: World) -> None:
    """An answer of 202 that no table and no poll follows up costs what is told for it, at most the recorded pause, once."""
    quiet = world.quiet("extract", settle_s=0.0, settle_outside_s=5.0)
    quiet.ended(_step("POST", "/api/os/widget/generate"), _answer(202, {"status": "generating"}))
    world.run(quiet.before(_step(target="/api/os/widget/a", pause_s=2.0, answer=b'{"html": ""}'), 7))
    assert world.accounting.terms().others_s["settle after work begun"] == pytest.approx(2.0, abs=0.06)
    before = world.slept_s
    world.run(quiet.before(_step(target="/api/os/widget/a", pause_s=2.0), 8))
    assert world.slept_s - before < 0.1


def test_a_poll_or_a_table_makes_that_needless(world: World) -> None:
    """Where the next request asks how far the work is, or a job table took it up, nothing is waited for blindly."""
    quiet = world.quiet("extract", settle_s=0.0)
    quiet.ended(_step("POST", "/api/secrets/exec"), _answer(202, {"status": "running"}))
    world.run(quiet.before(_step(target="/api/secrets/exec/1", pause_s=4.0, answer=b'{"status": "completed"}'), 7))
    quiet.ended(_step("POST", "/api/documents"), _answer(202, {"status": "queued"}))
    world.do("INSERT INTO jobs VALUES ('extract', 'pending')")
    world.at(1.0, "UPDATE jobs SET status = 'done'")
    world.run(quiet.before(_step(pause_s=4.0), 8))
    assert world.slept_s < 1.5


def test_without_job_tables_a_pause_is_waited_for(world: World) -> None:
    """A daemon of which no job table is known is left two seconds of a recorded pause."""
    world.run(world.quiet().before(_step(pause_s=9.0), 7))
    assert 1.9 <= world.slept_s <= 2.1


# --- named pollers ---


_NOTE = b"# Field day\n\nThe battery of the second device drops to forty percent in cold weather.\n"


def _import(world: World) -> Poller:
    sql = "SELECT count(*) FROM notes WHERE name = :stem"
    return Poller("import", 30.0, files=("memory/*.md",), files_except=("memory/MEMORY*.md",), database=world.database, sql=sql)


def _lay(world: World, quiet: Quiet, path: str, content: bytes | None = _NOTE) -> None:
    asyncio.run(quiet.lay(_change(path, content)))
    world.slept_s = 0.0


def test_a_poller_is_waited_for_until_it_is_seen_to_have_run(world: World) -> None:
    """An exchange that came a period later waits until the row of the file is there."""
    quiet = world.quiet("extract", pollers=(_import(world),))
    _lay(world, quiet, "memory/field.md")
    world.at(12.0, "INSERT INTO notes VALUES ('field')")
    waits = world.run(quiet.before(_step(settles=False, at=80.0), 7))
    assert [(wait.worker, wait.outcome) for wait in waits] == [("import", "drained")]
    assert 12.0 <= world.slept_s < 12.3
    assert world.accounting.terms().pollers_s == pytest.approx(waits[0].duration_ms / 1000.0)
    assert world.run(quiet.before(_step(settles=False, at=90.0), 8)) == []


def test_what_a_poller_finds_is_work(world: World) -> None:
    """Jobs that an import queues are waited for before the exchange, too."""
    quiet = world.quiet("extract", pollers=(_import(world),))
    _lay(world, quiet, "memory/field.md")
    world.at(2.0, "INSERT INTO notes VALUES ('field')")
    world.at(2.0, "INSERT INTO jobs VALUES ('extract', 'pending')")
    world.at(4.0, "UPDATE jobs SET status = 'done'")
    waits = world.run(quiet.before(_step(settles=False, at=80.0), 7))
    assert [wait.worker for wait in waits] == ["import", "extract"]


def test_a_recorded_answer_that_quotes_the_file_proves_the_import(world: World) -> None:
    """Before less than a period has passed, the poller is waited for only where the recorded answer quotes the file."""
    quiet = world.quiet("extract", pollers=(_import(world),))
    _lay(world, quiet, "memory/field.md")
    assert world.run(quiet.before(_step(settles=False, at=60.0), 7)) == []
    world.at(3.0, "INSERT INTO notes VALUES ('field')")
    quoting = json.dumps({"results": [{"content": _NOTE.decode()}]}).encode()
    assert [wait.worker for wait in world.run(quiet.before(_step(settles=False, at=61.0, answer=quoting), 8))] == ["import"]


def test_a_poller_that_shows_nothing_is_waited_for_one_period(world: World) -> None:
    """A file of which no row comes costs the rest of the period and a margin, counted from the change, and only once."""
    quiet = world.quiet("extract", pollers=(_import(world),))
    _lay(world, quiet, "memory/short.md")
    world.now += 10.0
    waits = world.run(quiet.before(_step(settles=False, at=80.0), 7))
    assert [(wait.worker, wait.outcome) for wait in waits] == [("import", "bound met")]
    assert 20.0 <= world.slept_s <= 23.2
    assert world.run(quiet.before(_step(settles=False, at=99.0), 8)) == []


@pytest.mark.parametrize(
    ("path", "content"), [("memory/MEMORY.md", _NOTE), ("memory/deep/field.md", _NOTE), ("USER.md", _NOTE), ("memory/gone.md", None)]
)
def test_other_files_give_a_poller_nothing_to_do(world: World, path: str, content: bytes | None) -> None:
    """Files that the poller does not read, or that are gone, are not waited for."""
    quiet = world.quiet("extract", pollers=(_import(world),))
    _lay(world, quiet, path, content)
    assert world.run(quiet.before(_step(settles=False, at=500.0), 7)) == []


def test_a_request_can_start_a_poller_that_only_its_period_shows(world: World) -> None:
    """After a named route the period is waited for, less what has passed here already."""
    flush = Poller("flush", 2.5, routes=("POST /api/hooks/user-prompt-submit",))
    quiet = world.quiet("extract", pollers=(flush,))
    world.run(quiet.before(_step("POST", "/api/hooks/user-prompt-submit", settles=False, at=100.0), 7))
    assert world.run(quiet.before(_step(settles=False, at=101.0), 8)) == []
    world.now += 1.0
    waits = world.run(quiet.before(_step(settles=False, at=103.0), 9))
    assert [(wait.worker, wait.outcome) for wait in waits] == [("flush", "drained")]
    assert world.slept_s == pytest.approx(1.5, abs=0.1)


# --- looking ---


def test_looks_count_again_only_when_somebody_wrote(world: World) -> None:
    """Between writes a look asks nothing but whether there was one, and a replaced file is opened again."""
    looks = Looks(world.drained("extract"))
    for _ in range(5):
        assert looks.look().counts == {"extract": 0}
    assert looks.queries == 1
    world.do("INSERT INTO jobs VALUES ('extract', 'pending')")
    assert looks.look().counts == {"extract": 1}
    other = world.database.with_name("other.db")
    with closing(sqlite3.connect(other)) as connection, connection:
        connection.executescript(_SCHEMA)
    other.rename(world.database)
    assert looks.look().counts == {"extract": 0}
    looks.close()


def test_a_database_that_is_not_there_has_nothing_left(tmp_path: Path) -> None:
    """Before the daemon made its database there is nothing to wait for, and nothing is made by looking."""
    path = tmp_path / "memories.db"
    looks = Looks((Drained("extract", path, _LEFT.format("extract"), _BOUND_S),))
    assert looks.look() == Left({"extract": 0}, {})
    assert looks.number(path, "SELECT 1", {}) is None
    assert not path.exists()
    path.write_bytes(b"no database, but long enough to be looked at" * 40)
    assert set(looks.look().unreadable) == {"extract"}
    looks.close()


async def _sample(world: World) -> tuple[list[int], Left]:
    told: list[int] = []
    seen = asyncio.Event()
    loop = asyncio.get_running_loop()

    def tell(_at: float, left: Left) -> None:
        told.append(left.counts["extract"])
        if len(told) > 3:
            seen.set()

    sampler = Sampler(Looks(world.drained("extract")), tell, loop.time, every_s=0.001)
    sampler.start()
    try:
        await seen.wait()
        world.do("INSERT INTO jobs VALUES ('extract', 'pending')")
        left = await sampler.look()
        assert await sampler.number(world.database, "SELECT count(*) FROM jobs", {}) == 1
    finally:
        await sampler.stop()
    return told, left


def test_the_sampler_looks_by_itself_and_when_asked(world: World) -> None:
    """The thread tells its looks, one that is asked for sees what was written before, and it ends when told to."""
    told, left = asyncio.run(_sample(world))
    assert told[0] == 0
    assert left.counts == {"extract": 1}


def test_what_is_no_number_is_no_count(world: World) -> None:
    """A view that a daemon put in a job table's place may give anything: it can't be read, and that is said."""
    for value in ("9e999", "'many'", "x'ff'"):
        looks = Looks((Drained("extract", world.database, f"SELECT {value}", _BOUND_S),))
        assert set(looks.look().unreadable) == {"extract"}
        assert looks.number(world.database, f"SELECT {value}", {}) is None
        looks.close()


def test_a_query_without_end_is_ended_once(world: World) -> None:
    """A query that never ends is given up at its bound and not asked again; others still are."""
    world.do("CREATE VIEW endless AS WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c")
    endless = Drained("other", world.database, "SELECT count(*) FROM endless", _BOUND_S)
    looks = Looks((endless, *world.drained("extract")), query_s=0.02)
    for _ in range(2):
        left = looks.look()
        assert (dict(left.counts), list(left.unreadable)) == ({"extract": 0}, ["other"])
    assert "0.02 s" in left.unreadable["other"]
    looks.close()


def test_what_is_no_file_is_not_opened(world: World) -> None:
    """A pipe in the database's place is told as unreadable, and holds nobody up."""
    looks = Looks(world.drained("extract"))
    world.database.unlink()
    os.mkfifo(world.database)
    assert set(looks.look().unreadable) == {"extract"}
    assert looks.number(world.database, "SELECT 1", {}) is None
    looks.close()


def test_a_table_that_only_grows_is_waited_for_less_each_time(world: World) -> None:
    """A worker that moves all the time and never gets down costs six bounds once, half of that the next time, until it was down."""
    quiet = world.quiet("extract")
    slept: list[float] = []
    for place in range(4):
        for tick in range(400):
            world.at(0.1 * tick, "INSERT INTO jobs VALUES ('extract', 'pending')")
        before = world.slept_s
        world.run(quiet.before(_step(settles=True, at=200.0 + 100.0 * place), place + 1))
        slept.append(world.slept_s - before)
        world.events.clear()
    assert slept == pytest.approx([30.0, 15.0, 7.5, 3.75], abs=0.6)
    world.do("DELETE FROM jobs")
    world.run(quiet.before(_step(settles=True, at=700.0), 9))
    for tick in range(400):
        world.at(0.1 * tick, "INSERT INTO jobs VALUES ('extract', 'pending')")
    before = world.slept_s
    world.run(quiet.before(_step(settles=True, at=800.0), 10))
    assert world.slept_s - before == pytest.approx(30.0, abs=0.6)


def test_a_bug_in_looking_is_told_to_whoever_asks(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that nobody foresaw ends the replay; it must not leave it waiting for a thread that is gone."""

    async def run() -> None:
        looks = Looks(world.drained("extract"))
        sampler = Sampler(looks, lambda _at, _left: None, asyncio.get_running_loop().time, every_s=0.001)
        monkeypatch.setattr(looks, "look", [].pop)
        sampler.start()
        try:
            for _ in range(3):
                with pytest.raises(IndexError):
                    await sampler.look()
        finally:
            await sampler.stop()

    asyncio.run(run())
