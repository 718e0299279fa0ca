"""The thread that writes: what it does when the disk or the memory does not suffice."""

import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from replay.archive import ArchiveWriter, read, verify
from replay.capture.journal import Journal
from replay.model import ArchiveError, Chunk, Chunks, Connection, Ended, EndReason, Gap, GapReason, Opened, Record, Request, Response
from replay.redact import Redactor

SECRET = b"sig_sk_0123456789ab_" + b"Ss9-_" * 8 + b"xyz"


def opened(exchange: int, event: int) -> Opened:
    """Make the beginning of an exchange."""
    return Opened(exchange, event, float(event), Connection("c"), Request(b"GET", b"/x", b"HTTP/1.1", ((b"X", SECRET),)))


def ended(exchange: int, event: int, body: bytes = b"{}") -> Ended:
    """Make the end of an exchange, with its head one event before."""
    answer = Response(b"HTTP/1.1", 200, b"OK", (), body)
    return Ended(exchange, event, float(event), EndReason.COMPLETE, answer, b"", headers_event=event - 1)


def numbers(records: list[Record]) -> list[int]:
    """Give all event numbers that records account for."""
    out: list[int] = []
    for record in records:
        if isinstance(record, Gap):
            out += range(record.event or 0, (record.event or 0) + record.count) if record.event else []
        elif isinstance(record, Chunks):
            out += [chunk.event for chunk in record.chunks]
        else:
            out += [number for number in (getattr(record, "headers_event", None), getattr(record, "event", None)) if number]
    return sorted(out)


def test_records_arrive_redacted(tmp_path: Path) -> None:
    """What is queued is written in order, without its secrets."""
    journal = Journal(tmp_path / "new" / "a.parity", {}, Redactor(b"k" * 32), lambda _: None)
    journal.start()
    for record in (opened(1, 1), ended(1, 3, SECRET)):
        journal.put(record, "GET /x")
    assert journal.seal(event=4, at=1.0, reason="test")
    archive = read(tmp_path / "new" / "a.parity")
    [exchange] = archive.exchanges()
    assert SECRET not in repr(exchange).encode()
    assert {item.kind for item in exchange.redactions} == {"api-key"}
    assert journal.lost == 0


def test_an_idle_block_reaches_the_disk(tmp_path: Path, eventually: Callable[[Callable[[], Any]], Any]) -> None:
    """Without further traffic a record can be read soon, though nothing was sealed."""
    journal = Journal(tmp_path / "a.parity", {}, None, lambda _: None)
    journal.start()
    journal.put(opened(1, 1))

    def found() -> bool:
        try:
            return any(isinstance(record, Opened) for record in read(tmp_path / "a.parity", salvage=True).records())
        except ArchiveError:
            return False

    assert eventually(found)
    assert journal.seal(event=2, at=1.0, reason="test")


def test_a_full_queue_is_counted(tmp_path: Path) -> None:
    """What memory can't hold becomes gaps that account for each event number; the alarm is given once."""
    gate = threading.Event()
    alarms: list[str] = []

    def create(*args: Any, **kwargs: Any) -> ArchiveWriter:
        gate.wait(20)
        return ArchiveWriter.create(*args, **kwargs)

    journal = Journal(tmp_path / "a.parity", {}, None, alarms.append, queue_bytes_max=3000, create=create)
    journal.start()
    journal.put(opened(1, 1))
    journal.put(ended(1, 3, b"x" * 5000))
    journal.put(opened(2, 4))
    journal.put(ended(2, 6, b"x" * 5000))
    gate.set()
    assert journal.seal(event=7, at=1.0, reason="test")
    archive = read(tmp_path / "a.parity")
    assert numbers(list(archive.records())) == list(range(1, 8))
    assert verify(archive.path).good
    assert journal.lost == 2
    assert len(alarms) == 1
    assert {gap.reason for gap in archive.gaps() if gap.event} == {GapReason.NOT_WRITTEN}


def test_after_a_break_recording_goes_on(tmp_path: Path) -> None:
    """When the disk refuses, the alarm is given; the next archive begins with the gap, and an exchange begun before is one too."""
    alarms: list[str] = []
    broken: list[ArchiveWriter] = []

    class Refusing(ArchiveWriter):
        def append(self, record: Record) -> None:
            if self.path.name == "a.parity" and isinstance(record, Chunks):
                broken.append(self)
                raise ArchiveError("no space left")
            super().append(record)

    journal = Journal(tmp_path / "a.parity", {"fact": 1}, None, alarms.append, create=Refusing.create)
    journal.start()
    journal.put(opened(1, 1))
    journal.put(Chunks(1, (Chunk(3, 1.0, b"x"),)))
    journal.put(Chunks(1, (Chunk(4, 1.0, b"x"),)))
    journal.put(Gap(GapReason.SKIPPED, detail="without a number"))
    journal.put(ended(1, 5))
    assert journal.seal(event=6, at=1.0, reason="test")
    assert broken
    assert "no space left" in alarms[0]
    archive = read(tmp_path / "a-2.parity")
    assert archive.facts["continues"] == "a.parity"
    assert numbers(list(archive.records())) == [1, 2, 3, 4, 5, 6]
    assert verify(archive.path).good
    assert journal.lost >= 1


@pytest.mark.parametrize("late", [False, True])
def test_an_archive_that_is_taken_away(tmp_path: Path, eventually: Callable[[Callable[[], Any]], Any], *, late: bool) -> None:
    """A folder that is moved or deleted under the recorder is noticed; the next archive begins with a gap over all that it held."""
    alarms: list[str] = []
    path = tmp_path / "a.parity"
    journal = Journal(path, {}, None, alarms.append)
    journal.start()
    journal.put(opened(1, 1))
    journal.put(ended(1, 3))
    eventually((path / "manifest.json").is_file)
    if not late:
        path.rename(tmp_path / "old.parity")
        eventually(lambda: alarms)
    journal.put(opened(2, 4))
    journal.put(ended(2, 6))
    if late:
        eventually(lambda: verify(path).counts.get("exchange", 0) == 2)
        shutil.rmtree(path)
    assert journal.seal(event=7, at=1.0, reason="test")
    assert "moved or deleted" in alarms[0]
    archive = read(tmp_path / "a-2.parity")
    assert numbers(list(archive.records())) == list(range(1, 8))
    assert verify(archive.path).good
    first = archive.gaps()[0]
    assert (first.reason, "moved or deleted" in first.detail) == (GapReason.NOT_WRITTEN, True)


def test_two_recorders_of_one_name(tmp_path: Path) -> None:
    """Where another recorder takes the name in the same moment, its archive stays, and ours takes the next name."""
    others: list[ArchiveWriter] = []

    def create(path: Path, **kwargs: Any) -> ArchiveWriter:
        if not others:
            others.append(ArchiveWriter.create(path, kind="recording", facts={}))
        return ArchiveWriter.create(path, **kwargs)

    alarms: list[str] = []
    journal = Journal(tmp_path / "a.parity", {}, None, alarms.append, create=create)
    journal.start()
    journal.put(opened(1, 1))
    journal.put(ended(1, 3))
    assert journal.seal(event=4, at=1.0, reason="test")
    others[0].seal(event=1, at=1.0, reason="test")
    assert verify(tmp_path / "a.parity").good
    assert len(list(read(tmp_path / "a-2.parity").exchanges())) == 1
    assert (journal.lost, alarms) == (0, [])


def test_what_cannot_be_redacted_is_not_written(tmp_path: Path) -> None:
    """A redactor that fails costs the record, never the secret."""

    class Failing(Redactor):
        def request(self, request: Request, route: str) -> Any:  # noqa: ARG002 - the redactor's signature
            raise RuntimeError(route)

    alarms: list[str] = []
    journal = Journal(tmp_path / "a.parity", {}, Failing(b"k" * 32), alarms.append)
    journal.start()
    journal.put(opened(1, 1), "GET /x")
    journal.put(ended(1, 3), "GET /x")
    assert journal.seal(event=4, at=1.0, reason="test")
    records = list(read(tmp_path / "a.parity").records())
    assert numbers(records) == [1, 2, 3, 4]
    assert SECRET not in repr(records).encode()
    assert alarms


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """Where not even the folder can be made, the alarm is given once, and all records are counted as lost."""
    (tmp_path / "file").touch()
    alarms: list[str] = []
    journal = Journal(tmp_path / "file" / "a.parity", {}, None, alarms.append)
    journal.start()
    journal.put(opened(1, 1))
    journal.put(ended(1, 3))
    assert not journal.seal(event=4, at=1.0, reason="test")
    assert journal.lost == 2
    assert "not recorded" in alarms[0]
    assert "2 records were not written" in alarms[-1]
    assert len(alarms) == 2
