"""Laying people's edits and attached files in place."""

import asyncio
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from replay.model import Attachment, WorkspaceChange
from replay.plan import Laying
from replay.play import Job
from replay.play.laying import Layer
from replay.play.putting import RefusedPathError, put_file, put_folder, remove_file

R1, O1 = "11111111-0000-4000-8000-000000000001", "99999999-0000-4000-8000-000000000001"


def test_a_file_is_put_in_its_place(tmp_path: Path) -> None:
    """A new file comes with its folders, an old one keeps its inode and rights, and what is so already is left alone."""
    assert put_file(tmp_path, "memory/deep/a.md", b"one")
    path = tmp_path / "memory/deep/a.md"
    path.chmod(0o600)
    inode = path.stat().st_ino
    for content in (b"longer than before", b"\xff\x00", b""):
        assert put_file(tmp_path, "memory/deep/a.md", content)
        assert path.read_bytes() == content
        assert not put_file(tmp_path, "memory/deep/a.md", content)
    assert (path.stat().st_ino, path.stat().st_mode & 0o777) == (inode, 0o600)
    assert put_file(tmp_path, "empty", b"")
    assert put_folder(tmp_path, "folder")
    assert not put_folder(tmp_path, "folder")
    assert remove_file(tmp_path, "memory/deep/a.md")
    assert not remove_file(tmp_path, "memory/deep/a.md")
    assert not remove_file(tmp_path, "never/there")


@pytest.mark.parametrize("path", ["", "/etc/x", "../x", "a/../../x", "a//b", "a/.", "..", "a\0b", "x" * 300])
def test_no_path_leads_out(tmp_path: Path, path: str) -> None:
    """What is no plain path inside the folder is refused, and nothing is written."""
    inside = tmp_path / "inside"
    inside.mkdir()
    with pytest.raises(RefusedPathError):
        put_file(inside, path, b"x")
    with pytest.raises(RefusedPathError):
        put_folder(inside, path)
    with pytest.raises(RefusedPathError):
        remove_file(inside, path)
    assert [found.name for found in tmp_path.rglob("*") if found.is_file()] == []


def test_no_link_is_followed(tmp_path: Path) -> None:
    """A link is refused as a file and on the way; going, only the link itself goes."""
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    inside.mkdir()
    (outside / "a.md").write_bytes(b"theirs")
    (inside / "file.md").symlink_to(outside / "a.md")
    (inside / "folder").symlink_to(outside)
    for path in ("file.md", "folder/a.md", "folder/new.md"):
        with pytest.raises(RefusedPathError, match="link"):
            put_file(inside, path, b"ours")
    with pytest.raises(RefusedPathError, match="link"):
        remove_file(inside, "folder/a.md")
    assert remove_file(inside, "file.md")
    assert {path.name: path.read_bytes() for path in outside.iterdir()} == {"a.md": b"theirs"}


def test_what_is_no_file_stays(tmp_path: Path) -> None:
    """A folder, full or empty, a pipe, and a file on the way are refused."""
    put_file(tmp_path, "full/a.md", b"x")
    os.mkfifo(tmp_path / "pipe")
    for path, words in (("full", "folder"), ("pipe", "no file"), ("full/a.md/b.md", "on the way")):
        with pytest.raises(RefusedPathError, match=words):
            put_file(tmp_path, path, b"x")
    with pytest.raises(RefusedPathError, match="folder"):
        remove_file(tmp_path, "full")
    with pytest.raises(RefusedPathError):
        put_file(tmp_path / "gone", "a.md", b"x")


def test_a_folder_that_takes_nothing() -> None:
    """Where the system refuses, the text says so (even root can't make files among the processes)."""
    if not Path("/proc/self").exists():
        pytest.skip("this system has no /proc")
    with pytest.raises(RefusedPathError):
        put_file(Path("/proc"), "parity-was-here.md", b"x")


def test_edits_come_between_the_requests(bench: Any) -> None:
    """Each request finds the workspace as its recorded twin did, with this daemon's ids in it; all that was laid is in the archive."""
    tape = bench.tape()
    tape.ask(1, "POST", "/api/memory/remember", {"id": R1}, {"content": "x"})
    tape.change("notes/a.md", f"see {R1}\n".encode())
    tape.change("MEMORY.md", b"the daemon's")
    tape.ask(2, "GET", "/api/status", {})
    tape.change("notes/a.md", None)
    tape.change("raw.md", b"\xff\xfe")
    tape.ask(3, "GET", "/api/status", {})
    tape.change("../out.md", b"x")
    tape.change("raw.md", b"\xff\xfe")
    found: list[dict[str, bytes]] = []

    async def run() -> None:
        async def answer(asked: Any, writer: asyncio.StreamWriter) -> None:
            found.append({path.name: path.read_bytes() for path in bench.folder.rglob("*.md")})
            writer.write(bench.spell({"id": O1}))

        async with bench.running(answer) as daemon:
            played, observed = await bench.play(tape, daemon.port)
        assert played.complete
        assert found == [{}, {"a.md": f"see {O1}\n".encode()}, {"raw.md": b"\xff\xfe"}]
        laid = [record for record in observed.records() if isinstance(record, WorkspaceChange)]
        assert [(record.path, record.content, record.note.partition(":")[0]) for record in laid] == [
            ("notes/a.md", f"see {O1}\n".encode(), "laid by the replay"),
            ("notes/a.md", None, "laid by the replay"),
            ("raw.md", b"\xff\xfe", "laid by the replay"),
            ("../out.md", None, "not laid"),
            ("raw.md", b"\xff\xfe", "laid by the replay"),
        ]
        assert (played.counts["laid"], played.counts["laid_refused"], played.counts["laid_already"]) == (3, 1, 1)
        assert observed.facts["unlaid"] == {"the daemon writes this file itself": 1}
        assert laid == sorted(laid, key=lambda record: record.event)

    asyncio.run(run())
    assert not (bench.folder.parent / "out.md").exists()


def test_named_files_stay_inside_the_workspace(bench: Any, tmp_path: Path) -> None:
    """Without a namespace, a file that a request names is laid in the workspace or not at all, and then the exchange says so."""
    outside = tmp_path.parent / "outside.jsonl"
    tape = bench.tape()
    for number, path in enumerate((str(outside), "sessions/t.jsonl", f"{tmp_path}/own.jsonl"), 1):
        tape.ask(number, "POST", "/api/hooks/session-end", {}, {"transcriptPath": path})
        tape.attach(number, path, b"line\n")

    async def run() -> None:
        async def answer(_: Any, writer: asyncio.StreamWriter) -> None:
            writer.write(bench.spell({}))

        async with bench.running(answer) as daemon:
            played, observed = await bench.play(tape, daemon.port)
        notes = [exchange.note for exchange in observed.exchanges()]
        assert "outside the workspace" in notes[0]
        assert notes[1:] == ["", ""]
        assert [record.content for record in observed.records() if isinstance(record, Attachment)] == [None, b"line\n", b"line\n"]
        assert (played.counts["laid"], played.counts["laid_refused"]) == (2, 1)

    asyncio.run(run())
    assert not outside.exists()
    assert (tmp_path / "sessions/t.jsonl").read_bytes() == b"line\n"


def test_a_daemon_of_others_gets_no_edits(bench: Any) -> None:
    """Where only reads were asked for, nothing is laid."""
    tape = bench.tape()
    tape.ask(1, "GET", "/api/status", {})
    tape.change("a.md", b"x")

    async def run() -> None:
        async def answer(_: Any, writer: asyncio.StreamWriter) -> None:
            writer.write(bench.spell({}))

        async with bench.running(answer) as daemon:
            played, _ = await bench.play(tape, daemon.port, reads_only=True)
        assert played.counts["laid_refused"] == 1

    asyncio.run(run())
    assert not (bench.folder / "a.md").exists()


@pytest.mark.parametrize("path", ["//proc/self/comm", "///dev/x", "/sys/x", "/proc/x/"])
def test_the_systems_places_are_closed(bench: Any, tmp_path: Path, path: str) -> None:
    """In a namespace cell nothing is laid among processes and devices, however the path begins."""
    job = Job(recorded=tmp_path / "r.parity", observed=tmp_path / "out" / "o.parity")
    facts = replace(bench.facts(1), kind="namespace")
    said: list[Any] = []
    layer = Layer([], job, facts, SimpleNamespace(next_event=lambda: 1, append=said.append), rewrite=str, clock=float)  # type: ignore[arg-type]
    layer.lay(Laying(0, 1, Attachment(1, 1, path, None, b"x"), 0.0))
    assert said[0].note == "not laid: it lies where nothing may be laid"
