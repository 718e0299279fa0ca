"""A stretch of a recording, from a snapshot in its middle: what is replayed, and what it says of what lay before."""

import datetime as dt
import http.client
import json
import socket
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from replay.archive import ArchiveWriter, read
from replay.daemon import load_daemon
from replay.daemon.running import running
from replay.demo import make_workspace
from replay.demo.daemon import DEFAULT_PASSWORD, DEFAULT_USERNAME
from replay.jobs.foretelling import foretell
from replay.jobs.judging import Basis, compare_run
from replay.jobs.nightly import run_night
from replay.jobs.replaying import Order, replay_archive
from replay.jobs.stretching import find_remembered, search
from replay.model import Connection, Ended, EndReason, GapReason, Opened, Request, Response, SnapshotRecord, UsageError
from replay.plan import Stretch, find_stretch, plan
from replay.workspace import CopyLimits, copy_workspace

NOW = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
GONE = "7f000001-0000-4000-8000-00000000dead"


class Recorder:
    """Asks a daemon, one request after the other, and writes down what a recorder would."""

    def __init__(self, path: Path, port: int, workspace: Path) -> None:
        self.writer = ArchiveWriter.create(path, kind="recording", facts={"daemon": {"port": port}})
        self.event = 0
        self.number = 0
        self.token = ""
        self._port = port
        self._workspace = workspace

    def tick(self) -> int:
        """Give the next event number."""
        self.event += 1
        return self.event

    def ask(self, method: str, target: str, body: Any = None, **headers: str) -> Any:
        """Ask, write the exchange down, give the answer's JSON."""
        raw = b"" if body is None else json.dumps(body).encode()
        sent = {
            "Host": f"127.0.0.1:{self._port}",
            "x-signet-session-key": "sess-1",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        if raw:
            sent |= {"Content-Type": "application/json", "Content-Length": str(len(raw))}
        fields = tuple((name.encode(), value.encode()) for name, value in sent.items())
        self.number += 1
        at, request = time.time(), Request(method.encode(), target.encode(), b"HTTP/1.1", fields)
        self.writer.append(Opened(self.number, self.tick(), at, Connection("c1", None, "127.0.0.1:40000"), request))
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)) as connection:
            connection.request(method, target, raw or None, sent)
            answer = connection.getresponse()
            content = answer.read()
        got = tuple((name.encode(), value.encode()) for name, value in answer.getheaders())
        outcome = Response(b"HTTP/1.1", answer.status, answer.reason.encode(), got, content)
        self.writer.append(Ended(self.number, self.tick(), time.time(), EndReason.COMPLETE, outcome, raw))
        return json.loads(content)

    def snapshot(self, scratch: Path) -> None:
        """Take a snapshot, and begin a new segment."""
        copied = copy_workspace(self._workspace, scratch, CopyLimits())
        before = self.tick()
        self.writer.add_snapshot(scratch, workspace=str(self._workspace), event_before=before, event_after=self.tick(), left_out=copied.left_out)
        self.writer.rotate()


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a recording of the demo's daemon with three snapshots: at the start, between two halves, at the end."""
    folder = tmp_path_factory.mktemp("stretch")
    workspace = folder / "workspace"
    make_workspace(workspace, 7)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with running(load_daemon("demo-js"), workspace=workspace, port=port):
        tape = Recorder(folder / "r.parity", port, workspace)
        tape.snapshot(folder / "s1")
        tape.token = tape.ask("POST", "/api/auth/login", {"username": DEFAULT_USERNAME, "password": DEFAULT_PASSWORD})["token"]
        first = tape.ask("POST", "/api/memory/remember", {"content": "The lamp on the pier is lit at dusk."})["id"]
        second = tape.ask("POST", "/api/memory/remember", {"content": "Herons stand in the shallows at noon."})["id"]
        tape.ask("PATCH", f"/api/memory/{first}", {"content": "The lamp on the pier is lit at night.", "if_version": 1, "reason": "time"})
        tape.ask("GET", f"/api/memory/jobs/{GONE}")
        tape.snapshot(folder / "s2")
        tape.ask("GET", f"/api/memory/{first}")
        third = tape.ask("POST", "/api/memory/remember", {"content": "The ferry turns at the second buoy."})["id"]
        tape.ask("PATCH", f"/api/memory/{first}", {"content": "The lamp on the pier is out.", "if_version": 2, "reason": "bulb"})
        tape.ask("GET", f"/api/memory/{third}/history")  # its state would be a race
        tape.ask("GET", f"/api/memory/jobs/{GONE}")
        tape.ask("GET", "/api/memories")
        tape.snapshot(folder / "s3")
        tape.ask("DELETE", f"/api/memory/{second}?reason=done")
        tape.ask("GET", f"/api/memory/{second}")
        tape.writer.seal(event=tape.tick(), at=time.time(), reason="test")
    return folder / "r.parity"


def quiet(_what: str, _done: int, _of: int) -> None:
    """Hear of progress and say nothing."""


def ordered(recording: Path, observed: Path, **more: Any) -> Order:
    """Order a replay on the demo's js half."""
    return Order(recording, observed, daemon="demo-js", allow=("all",), **more)


def test_a_stretch_from_the_middle_equals_the_recording(recording: Path, tmp_path: Path) -> None:
    """A replay from the second snapshot until the third: all statuses as recorded, the rest not asked for, and the run passes."""
    for name in ("observed", "control"):
        replayed = replay_archive(ordered(recording, tmp_path / f"{name}.parity", start=2, until="snapshot 3"), quiet)
        assert replayed.exit_code == 0, replayed.text
    archive, recorded = read(tmp_path / "observed.parity"), read(recording)
    assert [exchange.id for exchange in archive.exchanges()] == [6, 7, 8, 9, 10, 11]
    statuses = {one.id: one.outcome.status for one in recorded.exchanges() if isinstance(one.outcome, Response)}
    assert all(isinstance(one.outcome, Response) and one.outcome.status == statuses[one.id] for one in archive.exchanges())
    assert {gap.reason for gap in archive.gaps()} == {GapReason.OUT_OF_SCOPE}
    assert len(archive.gaps()) + len(archive.exchanges()) == len(recorded.exchanges())
    assert "13 planned · 6 observed · 7 gaps (7 not asked for)" in replayed.text
    assert (
        f"1 ids from before the stretch, which the state does not hold (the daemon had them in memory, or keeps only a hash): uuid {GONE} of #5"
        in replayed.text
    )
    assert "1 ids from before the stretch, which the state holds (1 uuid)" in replayed.text
    assert "1 sessions go on from before; their claims and context were in memory: sess-1 (#6)" in replayed.text
    run = compare_run(
        recorded, archive, [read(tmp_path / "control.parity")], Basis(), run_path=tmp_path / "x.run", seed=1, now=NOW, progress=quiet
    )
    assert (run.verdict, run.compared) == ("pass", 6), run.because


def test_what_was_born_before_is_not_rewritten(recording: Path) -> None:
    """Ids that the state holds are as recorded: no step needs an exchange from before, and none is an orphan."""
    recorded = read(recording)
    made = plan(recorded, stretch=find_stretch(recorded.snapshots(), 2, None), lost=frozenset({GONE}))
    assert [step.exchange.id for step in made.steps] == [6, 7, 8, 9, 10, 11, 12, 13]
    assert {need.exchange for step in made.steps for need in step.needs} == {7}
    assert GONE in made.chosen
    assert [(step.exchange.id, step.lost[0].exchange) for step in made.steps if step.lost] == [(10, 5)]


def test_a_stretch_of_what_retention_left(recording: Path, tmp_path: Path) -> None:
    """Where retention took the first segments, a snapshot keeps its number, and its stretch is the same."""
    recorded = read(recording)
    writer = ArchiveWriter.create(tmp_path / "t.parity", kind="recording", facts={})
    for record in recorded.records():
        if isinstance(record, SnapshotRecord):
            recorded.unpack_snapshot(recorded.snapshots().index(record) + 1, tmp_path / record.file)
            writer.add_snapshot(
                tmp_path / record.file, workspace=record.workspace, event_before=record.event_before, event_after=record.event_after, left_out=()
            )
            writer.rotate()
        elif not hasattr(record, "reason"):
            writer.append(record)
    dropped = writer.retain(None, 0.0, time.time() + 10.0)
    assert dropped is not None
    writer.append(Opened(90, 90, 1.0, Connection("c"), Request(b"GET", b"/health", b"HTTP/1.1", ())))
    writer.append(Ended(90, 91, 1.0, EndReason.COMPLETE, Response(b"HTTP/1.1", 200, b"OK", (), b"{}"), b""))
    writer.seal(event=92, at=2.0, reason="test")
    trimmed = read(tmp_path / "t.parity")
    with pytest.raises(UsageError, match=r"--from 2: there is no snapshot 2; the recording holds snapshots? 3 "):
        find_stretch(trimmed.snapshots(), 2, None)
    stretch = find_stretch(trimmed.snapshots(), 3, None)
    assert (stretch.snapshot, stretch.place, stretch.after) == (3, 1, recorded.snapshots()[2].event_after)
    made = plan(trimmed, stretch=stretch)
    assert 90 in [step.exchange.id for step in made.steps]
    assert find_remembered(trimmed, stretch, tmp_path).lines() == []


@pytest.mark.parametrize(
    ("start", "until", "words"),
    [
        (4, None, r"--from 4: there is no snapshot 4; the recording holds snapshots 1 \(events 1 to 2\), 2 "),
        (None, "snapshot 9", "--until snapshot 9: there is no snapshot 9"),
        (2, "3", "--until 3: event 3 is not after the start of the stretch"),
        (None, "tea", "--until tea: must be an event number such as 4711, or `snapshot 3`"),
    ],
)
def test_a_stretch_that_is_none(recording: Path, start: int | None, until: str | None, words: str) -> None:
    """What can't be a stretch is refused, with what there is."""
    with pytest.raises(UsageError, match=words):
        find_stretch(read(recording).snapshots(), start, until)


def test_a_dry_run_of_a_stretch(recording: Path) -> None:
    """A dry run says the same as the replay's last lines, as text and as JSON, and starts nothing."""
    recorded = read(recording)
    stretch = find_stretch(recorded.snapshots(), 2, "snapshot:3")

    def told(*, as_json: bool) -> str:
        return foretell(
            recorded, None, stretch, allow=frozenset({"all"}), only=None, pace="asap", workers=("summary",), reads_only=False, as_json=as_json
        )

    text, values = told(as_json=False), json.loads(told(as_json=True))
    assert "13 planned · 6 would be sent · 7 left out" in text
    assert "5 of before snapshot 2: never sent" in text
    assert f"uuid {GONE} of #5" in text
    assert values["planned"] == 13
    assert values["leave_out"] == {"not asked for": 7}
    assert values["workers"] == ["summary"]
    assert values["duration"]["least_s"] <= values["duration"]["most_s"] <= values["duration"]["recorded_s"] + 0.5
    assert any("sessions go on" in note for note in values["notes"])


def test_one_exchange_of_the_recording(recording: Path, tmp_path: Path) -> None:
    """One exchange is sent with the login, the write that gave its id and the changes before it; the last lines say so."""
    replayed = replay_archive(ordered(recording, tmp_path / "o.parity", only=8), quiet)
    assert replayed.exit_code == 0, replayed.text
    assert [exchange.id for exchange in read(tmp_path / "o.parity").exchanges()] == [1, 2, 4, 8]
    assert "#2 POST /api/memory/remember gives uuid" in replayed.text
    assert "#4 PATCH /api/memory/:id writes uuid" in replayed.text
    assert "#1 POST /api/auth/login gives a bearer" in replayed.text
    assert "its answer may depend on 2 earlier writes that were left out" in replayed.text


def test_where_ids_are_looked_for(tmp_path: Path) -> None:
    """Ids are found in a database's texts, also inside longer ones and over many pages, in files and in their names, and nowhere else."""
    ids = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(5)]
    with closing(sqlite3.connect(tmp_path / "m.db")) as database, database:
        database.execute('CREATE TABLE "odd ""name" (a TEXT, b BLOB, c INTEGER)')
        database.execute('INSERT INTO "odd ""name" VALUES (?, ?, 1)', ("x" * 9000 + " " + ids[0], b"\0"))
        database.execute('INSERT INTO "odd ""name" VALUES (?, NULL, 2)', (json.dumps({"of": ids[1]}),))
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.md").write_text(f"see {ids[2]}")
    (tmp_path / "notes" / f"{ids[3]}.json").write_text("{}")
    there, unread = search(tmp_path, ids)
    assert there == frozenset(ids[:4])
    assert unread == ()


def test_what_straddles_is_listed(tmp_path: Path, a_recording: Callable[..., Path]) -> None:
    """What was open at the snapshot or at the end is listed; a stream that outlasts the end is left out unless an id of it is needed."""
    recorded = read(a_recording(tmp_path))
    stretch = Stretch(after=4, until=20, began=3, snapshot=2)
    remembered = find_remembered(recorded, stretch, tmp_path)
    assert remembered.open_at_start == (1,)
    assert remembered.open_at_end == (3, 4)
    made = plan(recorded, stretch=stretch)
    assert [step.exchange.id for step in made.steps] == [2, 3]
    assert {gap.exchange: gap.detail for gap in made.gaps} == {
        1: "open when snapshot 2 was taken",
        4: "a stream that was still open at event 20: its end lies outside",
        5: "from event 20 on",
    }
    (open_at_start, open_at_end) = remembered.lines()
    assert open_at_start == "open at the start, not sent, and the state may hold a part of what they did: 1 (#1)"
    assert open_at_end == "began in the stretch and ended after it: 2 (#3, #4)"


@pytest.fixture
def a_recording() -> Callable[..., Path]:
    """Give a function that makes a recording in which one exchange is open at event 3, and two at event 20."""

    def make(folder: Path) -> Path:
        with ArchiveWriter.create(folder / "a.parity", kind="recording", facts={}) as writer:
            spans = {1: (1, 6), 2: (5, 8), 3: (9, 22), 4: (10, 23), 5: (21, 24)}
            events = sorted((event, number, place) for number, span in spans.items() for place, event in enumerate(span))
            for event, number, place in events:
                if not place:
                    writer.append(Opened(number, event, float(event), Connection(str(number)), Request(b"GET", b"/health", b"HTTP/1.1", ())))
                else:
                    kind = ((b"content-type", b"text/event-stream"),) if number == 4 else ()
                    outcome = Response(b"HTTP/1.1", 200, b"OK", kind, None if number == 4 else b"{}")
                    end = EndReason.CLIENT_LEFT if number == 4 else EndReason.COMPLETE
                    writer.append(Ended(number, event, float(event), end, outcome, b"", streamed=number == 4))
            writer.seal(event=30, at=30.0, reason="test")
        return folder / "a.parity"

    return make


def test_a_night_on_a_stretch(recording: Path, tmp_path: Path) -> None:
    """A night can be told the stretch: both of its replays take it, and it is judged."""
    config = tmp_path / "night.toml"
    lines = [f'recording = "{recording}"', 'candidate = "demo-js"', 'control = "demo-js"', 'ledger = "l.jsonl"', 'output = "nights"']
    config.write_text("\n".join([*lines, "from = 2", 'until = "snapshot 3"', 'allow = ["all"]']))
    night = run_night(config, now=NOW, progress=quiet)
    assert night.exit_code == 0, night.text
    assert night.text.count("13 planned · 6 observed · 7 gaps (7 not asked for)") == 2
    config.write_text(config.read_text().replace("from = 2", 'from = "2"'))
    with pytest.raises(UsageError, match="from must be a whole number"):
        run_night(config, now=NOW, progress=quiet)
