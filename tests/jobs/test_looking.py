"""What `inspect` and `verify` tell of an archive."""

import json
from pathlib import Path
from typing import Any

import pytest

from replay.archive import ArchiveWriter, Keyring, make_key, read
from replay.jobs.live import status_of
from replay.jobs.looking import check_archive, describe
from replay.model import (
    Answered,
    Attachment,
    Chunk,
    Chunks,
    Connection,
    Ended,
    EndReason,
    Gap,
    GapReason,
    Opened,
    Request,
    Response,
    SnapshotRecord,
    Statistics,
    UsageError,
    WorkspaceChange,
)

ESC = "\x1b[31m"
OWN = {
    "hook_calls": 1234.0,
    "hook_p50_us": 3.0,
    "hook_p99_us": 9.0,
    "hook_max_us": 4321.0,
    "queue_bytes_max": 2.5e6,
    "writer_cpu_s": 1.25,
    "writer_rss_peak_bytes": 6e7,
    "records_lost": 2.0,
}
KEY = make_key()


def answer(body: bytes | None, media: bytes = b"application/json") -> Response:
    """Build an answer."""
    return Response(b"HTTP/1.1", 200, b"OK", ((b"content-type", media),), body)


@pytest.fixture(params=[(), (KEY.public,)], ids=["clear", "encrypted"])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Give an archive with one of everything that format 1 has, with escapes wherever a name may hold them; also encrypted."""
    facts = {"sampling": {"rate": 0.25, "by": "session"}, "redaction": {"key_id": "k"}}
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    with ArchiveWriter.create(tmp_path / "a.parity", kind="recording", facts=facts, recipients=request.param) as writer:
        plain = Request(b"GET", b"/api/memories", b"HTTP/1.1", ())
        writer.append(Opened(1, 1, 1.0, Connection("c", peer="127.0.0.1:5"), plain))
        writer.append(Ended(1, 2, 1.1, EndReason.COMPLETE, answer(None), b""))
        writer.append(Gap(GapReason.SHED, event=3, exchange=1, detail=f"the answer's body {ESC}"))
        writer.append(Opened(2, 4, 1.2, Connection("d"), Request(b"POST", b"/v1/chat", b"HTTP/1.1", ()), lane=f"pro{ESC}vider"))
        writer.append(Chunks(2, (Chunk(5, 1.25, b"asked"),), "request"))
        writer.append(Answered(2, 6, 1.3, answer(None, b"text/event-stream")))
        writer.append(Chunks(2, (Chunk(7, 1.4, b"data: 1\n\n"),)))
        ended = Ended(2, 8, 1.5, EndReason.CLIENT_LEFT, answer(None, b"text/event-stream"), None, headers_event=6)
        writer.append(Ended(**{**{name: getattr(ended, name) for name in ended.__slots__}, "streamed": True, "request_streamed": True}))
        writer.append(Opened(3, 9, 1.6, Connection("e"), plain))
        writer.append(Gap(GapReason.SAMPLED, event=10, count=75, detail="exchanges"))
        writer.append(Gap(GapReason.SAMPLED, event=11, count=5, detail="exchanges"))
        writer.append(WorkspaceChange(12, 1.7, f"memory/{ESC}.md", "aa", b"12345678901", 1.6))
        writer.append(WorkspaceChange(13, 1.8, "USER.md", None, None))
        writer.append(Attachment(14, 1, "/etc/passwd", None, None, note="outside the allowed roots"))
        made = writer.add_snapshot(workspace, workspace="/w", event_before=15, event_after=16, left_out=["x: a socket"])
        writer.append(
            SnapshotRecord(
                **{
                    **{name: getattr(made, name) for name in made.__slots__},
                    "event_before": 17,
                    "event_after": 18,
                    "taken_at": "seal",
                    "duration_ms": 1500.0,
                    "changed_meanwhile": (f"mem{ESC}ories.db",),
                    "replaced": {"api-key": 3},
                }
            )
        )
        writer.append(Statistics(1.9, OWN))
        writer.seal(event=19, at=2.0, reason="test")
    return tmp_path / "a.parity"


def told(path: Path, exchange: int | None = None, *, as_json: bool = False) -> Any:
    """Inspect with the key."""
    text = describe(path, exchange, salvage=False, as_json=as_json, keys=Keyring.of([KEY]))
    return json.loads(text) if as_json else text


def test_everything_is_told(archive: Path) -> None:
    """Lanes, sampling, snapshots, files, cost and gaps with their counts are told, and nothing in them steers a terminal."""
    for text in (told(archive), check_archive(archive, as_json=False, keys=Keyring.of([KEY]))[0]):
        assert "\x1b" not in text
        for words in (
            "lanes: 2 daemon · 1 pro\\x1b[31mvider",
            "SAMPLED: only a part of the traffic was recorded (0.25 of it, whole by session); 80 exchanges were left out",
            "snapshot at seal: ",
            "took 1.50 s · replaced 3 api-key · 1 left out · CHANGED WHILE COPIED: mem\\x1b[31mories.db",
            "changed in the workspace: 2",
            "memory/\\x1b[31m.md: 11 B (event 12)",
            "USER.md: gone (event 13)",
            "#1 /etc/passwd: left out: outside the allowed roots",
            "own cost: 1,234 hooks, 3 µs p50, 9 µs p99, 4,321 µs max · queue 2.5 MB max · ",
            " · writer 1.2 s of CPU, 60.0 MB of memory · 2 records lost",
        ):
            assert words in text
    assert '"sampled out": 80' in told(archive)
    assert "80 sampled out" in check_archive(archive, as_json=False, keys=Keyring.of([KEY]))[0]


def test_as_json(archive: Path) -> None:
    """The same as values, from both commands."""
    shown, checked = told(archive, as_json=True), json.loads(check_archive(archive, as_json=True, keys=Keyring.of([KEY]))[0])

    for document in (shown, checked):
        assert document["lanes"] == {"daemon": 2, f"pro{ESC}vider": 1}
        assert document["gaps"]["sampled out"] == 80
        assert document["sampling"] == {"rate": 0.25, "by": "session"}
        assert [each["taken_at"] for each in document["snapshots"]] == ["start", "seal"]
        assert document["snapshots"][1]["replaced"] == {"api-key": 3}
        assert [(each["bytes"], each["gone"]) for each in document["workspace_changes"]] == [(11, False), (None, True)]
        assert document["own"]["hook_max_us"] == 4321.0
        assert document["dropped"] == []
    assert shown["gaps"]["cut"] == 1
    assert [row["lane"] for row in shown["exchanges"]] == ["daemon", f"pro{ESC}vider"]
    assert shown["format"] == 1


def test_one_exchange(archive: Path) -> None:
    """What was left out of it, its lane and both sides' chunks are shown; one that is not whole says why."""
    assert "missing: shed: the answer's body \\x1b[31m" in told(archive, 1)
    text = told(archive, 2)
    assert "lane pro\\x1b[31mvider" in text
    assert "request chunk at 50.0 ms: 5 bytes (event 5)" in text
    assert "\nchunk at 200.0 ms: 9 bytes (event 7)" in text
    assert told(archive, 1, as_json=True)["gaps"] == [["shed", f"the answer's body {ESC}"]]
    with pytest.raises(UsageError, match="has no exchange 3; it is not whole: cut: opened, but its end is not there; it holds 1 to 2"):
        told(archive, 3)


def test_what_retention_took(tmp_path: Path) -> None:
    """Segments that were dropped are told with what they held."""
    with ArchiveWriter.create(tmp_path / "a.parity", kind="recording", facts={}) as writer:
        for number in (1, 2):
            writer.append(Opened(number, 2 * number - 1, 1.0, Connection("c"), Request(b"GET", b"/", b"HTTP/1.1", ())))
            writer.append(Ended(number, 2 * number, 1.1, EndReason.COMPLETE, answer(b"{}"), b""))
            writer.rotate()
        assert writer.retain(None, 0.0, 4e9) is not None
        writer.seal(event=5, at=2.0, reason="test")
    assert read(tmp_path / "a.parity").dropped
    text, good = check_archive(tmp_path / "a.parity", as_json=False)
    assert good
    for shown in (text, describe(tmp_path / "a.parity", None, salvage=False, as_json=False)):
        assert "dropped: retention took segments 1 to 2 away" in shown
        assert "exchanges up to 2, events 1 to 4" in shown


STATUS = {"state": "recording", "updated_at": 1000.0, "begun_at": 900.0, "exchanges": 12, "open": 2, "bytes": 3_000_000, "disk_bytes": 1_000_000}


def live(folder: Path, **more: Any) -> Path:
    """Write what a writer says of its archive."""
    folder.mkdir()
    (folder / "status.json").write_text(json.dumps({**STATUS, "lag_ms": 1.5, "lost": 0, "gaps": {"shed": 3}, "own": OWN, **more}))
    return folder


def test_a_live_recording_tells_how_it_goes(tmp_path: Path) -> None:
    """While it is recorded, figures are told, without a key, and not what is in it; with its age, as JSON too."""
    path = live(tmp_path / "a.parity", trouble={"at": 950.0, "text": f"slow {ESC}"})
    text = describe(path, None, salvage=False, as_json=False, now=1001.0)
    assert "RECORDING since" in text
    assert "12 exchanges · 2 open · 3.0 MB of bodies · 1.0 MB on disk · lag 1.5 ms · 0 records lost" in text
    assert "gaps: 3 shed" in text
    assert "slow \\x1b[31m" in text
    assert "NO WORD" not in text
    document = json.loads(describe(path, None, salvage=False, as_json=True, now=1001.0))
    assert (document["status"]["age_s"], document["status"]["silent"], document["status"]["exchanges"]) == (1.0, False, 12)


@pytest.mark.parametrize("now", [1011.0, 900.0])
def test_a_writer_that_says_nothing_is_noticed(now: float, tmp_path: Path) -> None:
    """A status that is too old, or of the future, is no living recorder's."""
    assert "NO WORD" in describe(live(tmp_path / "a.parity"), None, salvage=False, as_json=False, now=now)


@pytest.mark.parametrize(
    "odd", [{"exchanges": "many"}, {"gaps": []}, {"own": {"x": []}}, {"trouble": "none"}, {"updated_at": None}, {"begun_at": 1e300}]
)
def test_a_status_of_anybody_is_no_crash(odd: dict[str, Any], tmp_path: Path) -> None:
    """Whatever stands in the file, something is told."""
    assert describe(live(tmp_path / "a.parity", **odd), None, salvage=False, as_json=False, now=1001.0)


def test_what_is_done_is_not_live(tmp_path: Path) -> None:
    """A sealed one, one without a status, and a file that is none are looked into as archives."""
    assert status_of(live(tmp_path / "a.parity", state="sealed"), 1001.0) is None
    assert status_of(tmp_path, 1001.0) is None
    (tmp_path / "status.json").write_text("{")
    assert status_of(tmp_path, 1001.0) is None
    (tmp_path / "status.json").write_text("[]")
    assert status_of(tmp_path, 1001.0) is None
