"""From records to an archive: what happens when the disk does not suffice."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from replay.archive import ArchiveWriter, read, verify
from replay.capture.writing.journal import Journal, stand_ins
from replay.model import ArchiveError, Chunk, Chunks, Connection, Ended, EndReason, Gap, GapReason, Opened, Record, Request, Response


def opened(exchange: int, event: int) -> Opened:
    """Make the beginning of an exchange."""
    return Opened(exchange, event, float(event), Connection("c"), Request(b"GET", b"/x", b"HTTP/1.1", ()))


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

    journal = Journal(tmp_path / "a.parity", {"fact": 1}, alarms.append, create=Refusing.create)
    for record in (
        opened(1, 1),
        Chunks(1, (Chunk(3, 1.0, b"x"),)),
        Chunks(1, (Chunk(4, 1.0, b"x"),)),
        Gap(GapReason.SKIPPED, detail="without a number"),
        ended(1, 5),
    ):
        journal.write(record)
    assert journal.seal(event=6, at=1.0, reason="test")
    assert broken
    assert "no space left" in alarms[0]
    archive = read(tmp_path / "a-2.parity")
    assert archive.facts["continues"] == "a.parity"
    assert numbers(list(archive.records())) == [1, 2, 3, 4, 5, 6]
    assert verify(archive.path).good
    assert journal.lost >= 1


@pytest.mark.parametrize("late", [False, True])
def test_an_archive_that_is_taken_away(tmp_path: Path, *, late: bool) -> None:
    """A folder that is moved or deleted under the recorder is noticed; the next archive begins with a gap over all that it held."""
    alarms: list[str] = []
    path = tmp_path / "a.parity"
    journal = Journal(path, {}, alarms.append)
    journal.write(opened(1, 1))
    journal.write(ended(1, 3))
    if not late:
        path.rename(tmp_path / "old.parity")
        journal.tick()
        assert alarms
    journal.write(opened(2, 4))
    journal.write(ended(2, 6))
    if late:
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
    journal = Journal(tmp_path / "a.parity", {}, alarms.append, create=create)
    journal.write(opened(1, 1))
    journal.write(ended(1, 3))
    assert journal.seal(event=4, at=1.0, reason="test")
    others[0].seal(event=1, at=1.0, reason="test")
    assert verify(tmp_path / "a.parity").good
    assert len(read(tmp_path / "a-2.parity").exchanges()) == 1
    assert (journal.lost, alarms) == (0, [])


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """Where not even the folder can be made, the alarm is given once, and all records are counted as lost."""
    (tmp_path / "file").touch()
    alarms: list[str] = []
    journal = Journal(tmp_path / "file" / "a.parity", {}, alarms.append)
    journal.write(opened(1, 1))
    journal.write(ended(1, 3))
    assert not journal.seal(event=4, at=1.0, reason="test")
    assert journal.lost == 2
    assert "not recorded" in alarms[0]
    assert "2 records were not written" in alarms[-1]
    assert len(alarms) == 2


def test_a_writer_that_takes_over(tmp_path: Path) -> None:
    """A journal that goes on after another begins with a gap over the event numbers before, and says what it continues."""
    journal = Journal(tmp_path / "a.parity", {}, lambda _: None, floor=7, continues="b.parity")
    journal.write(ended(3, 9))
    journal.write(opened(4, 10))
    journal.write(ended(4, 12))
    assert journal.seal(event=13, at=1.0, reason="test")
    archive = read(tmp_path / "a.parity")
    assert numbers(list(archive.records())) == list(range(1, 14))
    assert archive.facts["continues"] == "b.parity"
    assert [exchange.id for exchange in archive.exchanges()] == [4]
    assert verify(archive.path).good


def test_a_cut_archive_says_so(tmp_path: Path) -> None:
    """Sealed as cut it is refused, and salvaged it gives what it holds."""
    journal = Journal(tmp_path / "a.parity", {}, lambda _: None)
    journal.write(opened(1, 1))
    journal.write(ended(1, 3))
    journal.write(opened(2, 4))
    assert journal.seal(event=5, at=1.0, reason="the proxy ended", cut=True)
    with pytest.raises(ArchiveError, match="the proxy ended"):
        read(tmp_path / "a.parity")
    found = read(tmp_path / "a.parity", salvage=True)
    assert ([exchange.id for exchange in found.exchanges()], [gap.exchange for gap in found.gaps()]) == ([1], [2])
    assert not verify(tmp_path / "a.parity").good


@pytest.mark.parametrize("record", [opened(1, 5), ended(1, 5), Chunks(1, (Chunk(4, 1.0, b"x"), Chunk(5, 1.0, b"y"))), Gap(GapReason.CUT, 5)])
def test_stand_ins_account_for_every_number(record: Record) -> None:
    """The gaps that stand for a record have its event numbers and its exchange."""
    assert numbers(list(stand_ins(record))) == numbers([record])
    assert {gap.exchange for gap in stand_ins(record)} == {getattr(record, "exchange", None)}


def test_what_the_format_cannot_hold(tmp_path: Path) -> None:
    """A status beyond any number of the format costs its own record and no other: it is a gap, and the archive goes on."""
    alarms: list[str] = []
    journal = Journal(tmp_path / "a.parity", {}, alarms.append)
    journal.write(opened(1, 1))
    answer = Response(b"HTTP/1.1", 2**64, b"OK", (), b"")
    journal.write(Ended(1, 3, 3.0, EndReason.COMPLETE, answer, b"", headers_event=2))
    journal.write(opened(2, 4))
    journal.write(ended(2, 6))
    assert journal.seal(event=7, at=1.0, reason="test")
    archive = read(tmp_path / "a.parity")
    assert [exchange.id for exchange in archive.exchanges()] == [2]
    assert numbers(list(archive.records())) == list(range(1, 8))
    assert verify(archive.path).good
    assert "can't be written" in alarms[0]


def test_a_first_archive_that_comes_late(tmp_path: Path) -> None:
    """Where the disk takes the archive only later, that is said when it does, with what was lost before."""
    alarms: list[str] = []
    (tmp_path / "file").touch()
    journal = Journal(tmp_path / "file" / "a.parity", {}, alarms.append)
    journal.write(opened(1, 1))
    (tmp_path / "file").unlink()
    journal.write(ended(1, 3))
    journal._loss.retry_at = 0.0
    journal.write(opened(2, 4))
    assert journal.seal(event=5, at=1.0, reason="test")
    assert "recording begins in" in alarms[1]
    assert numbers(list(read(tmp_path / "file" / "a.parity").records())) == list(range(1, 6))
