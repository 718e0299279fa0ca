import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from replay.archive import ArchiveWriter, read, verify
from replay.archive.index import Block
from replay.archive.losses import Losses
from replay.archive.writer import BLOCK_RECORDS_MAX
from replay.model import ArchiveError, Attachment, End, Gap, GapReason, Record, Response, Statistics

type Exchange = Callable[..., list[Record]]


def _blocks(path: Path) -> list[Block]:
    archive = read(path, salvage=True)
    return [block for segment in archive.segments for block in archive.blocks(segment) if block.holds == "records"]


def test_only_the_owner_may_read(write: Callable[..., Path], tmp_path: Path) -> None:
    """The folder has mode 0700 and each file 0600, whatever the umask."""
    before = os.umask(0)
    try:
        path = write("a.parity", 1, seal=True)
    finally:
        os.umask(before)

    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.iterdir()} == {0o600}


def test_a_block_closes_after_64_records(write: Callable[..., Path]) -> None:
    """Records are on disk in blocks of at most 64, each with its range of event numbers."""
    blocks = _blocks(write("a.parity", 64, seal=True))

    assert [block.records for block in blocks] == [BLOCK_RECORDS_MAX, BLOCK_RECORDS_MAX, 1]
    assert [(block.first_event, block.last_event) for block in blocks] == [(1, 96), (97, 192), (193, 193)]


def test_a_block_closes_after_256_kb(write: Callable[..., Path]) -> None:
    """Bodies of 100 kB fill a block long before 64 records do."""
    blocks = _blocks(write("a.parity", 9, seal=True, body=b"x" * 100_000))

    assert [block.records for block in blocks] == [6, 6, 6, 1]


def test_a_block_closes_after_a_second(tmp_path: Path, exchange: Exchange) -> None:
    """What is a second old is written with the next record, or with a tick when none comes."""
    now = 0.0
    with ArchiveWriter.create(tmp_path / "a.parity", kind="recording", facts={}, clock=lambda: now) as writer:
        for record in exchange(1, 1):
            writer.append(record)
            now += 0.6
        assert _blocks(writer.path) == []

        writer.tick()

        assert [block.records for block in _blocks(writer.path)] == [2]
        writer.tick()
        assert len(_blocks(writer.path)) == 1


def test_equal_big_bodies_are_stored_once(write: Callable[..., Path]) -> None:
    """Ten answers of 300 kB that can't be compressed take little more than one, and all come back."""
    body = os.urandom(300_000)

    path = write("a.parity", 10, seal=True, body=body)

    assert sum(file.stat().st_size for file in path.iterdir()) < 320_000
    outcomes = [exchange.outcome for exchange in read(path).exchanges()]
    assert [outcome.body for outcome in outcomes if isinstance(outcome, Response)] == [body] * 10


def test_a_body_of_11_mb(write: Callable[..., Path]) -> None:
    """A body of eleven megabytes comes back whole, also from a salvage."""
    body = bytes(range(256)) * 43_000

    for path in (write("a.parity", 2, seal=True, body=body), write("b.parity", 2, seal=False, body=body)):
        outcome = read(path, salvage=True).exchanges()[1].outcome
        assert isinstance(outcome, Response)
        assert outcome.body == body


def test_segments_rotate_by_size(write: Callable[..., Path]) -> None:
    """Past the size a new segment begins; each holds the bodies that its own records refer to."""
    body = os.urandom(300_000)

    path = write("a.parity", 100, seal=True, body=body, segment_bytes_max=301_000)

    archive = read(path)
    assert [segment["file"] for segment in archive.manifest["segments"]] == [f"segment-00000{n}.msgpack.zst" for n in (1, 2, 3, 4)]
    assert [exchange.id for exchange in archive.exchanges()] == list(range(1, 101))
    assert all(isinstance(found.outcome, Response) and found.outcome.body == body for found in archive.exchanges())
    (path / "manifest.json").unlink()
    assert len(read(path, salvage=True).exchanges()) == 100


def test_sealing_twice_does_nothing(write: Callable[..., Path], tmp_path: Path) -> None:
    """A second seal changes nothing; a record after it is refused."""
    with ArchiveWriter.create(tmp_path / "a.parity", kind="observed", facts={}) as writer:
        writer.seal(event=1, at=1.0, reason="done")
        before = (writer.path / "manifest.json").read_bytes()
        writer.seal(event=2, at=2.0, reason="again")

        with pytest.raises(ArchiveError, match="sealed already"):
            writer.append(Gap(GapReason.CUT))
        assert (writer.path / "manifest.json").read_bytes() == before


def test_notes_are_in_the_manifest_at_once(tmp_path: Path) -> None:
    """Facts that are added later are there also when the recorder is killed after."""
    with ArchiveWriter.create(tmp_path / "a.parity", kind="observed", facts={"a": 1, "b": [None, "é"]}) as writer:
        writer.note(a=2, c={"d": 1.5})

    assert read(tmp_path / "a.parity", salvage=True).facts == {"a": 2, "b": [None, "é"], "c": {"d": 1.5}}


@pytest.mark.parametrize("facts", [{"a": object()}, {"a": float("nan")}, {"a": b"bytes"}])
def test_facts_must_be_json(tmp_path: Path, facts: dict[str, Any]) -> None:
    """Facts that are no JSON are refused before anything is made, and later without harm."""
    with pytest.raises(ArchiveError, match="JSON"):
        ArchiveWriter.create(tmp_path / "a.parity", kind="recording", facts=facts)
    assert not (tmp_path / "a.parity").exists()
    with ArchiveWriter.create(tmp_path / "b.parity", kind="recording", facts={}) as writer:
        with pytest.raises(ArchiveError, match="JSON"):
            writer.note(**facts)
        writer.seal(event=1, at=1.0, reason="done")


def test_an_archive_is_never_written_over(write: Callable[..., Path], tmp_path: Path) -> None:
    """Where something is already, nothing is begun."""
    write("a.parity", 1, seal=True)

    with pytest.raises(ArchiveError, match="already"):
        ArchiveWriter.create(tmp_path / "a.parity", kind="recording", facts={})


@pytest.mark.parametrize("half", [False, True])
def test_the_nth_write_fails_and_all_after(tmp_path: Path, exchange: Exchange, failing_disk: Any, *, half: bool) -> None:
    """From whichever write on the disk fails: errors that name the file, no seal, and what was written before comes back."""
    records = _sixty_exchanges(exchange)
    for fail_at in range(1, 100):
        path = tmp_path / f"{fail_at}.parity"
        errors = _write(path, failing_disk(fail_at, for_good=True, half=half), records)
        if not errors:
            break

        assert all(str(path) in str(error) for error in errors)
        if (path / "segment-000001.msgpack.zst").exists():
            with pytest.raises(ArchiveError):
                read(path)
            got = list(read(path, salvage=True).records())
            assert got == [*records, End(181, 1.0, "done")][: len(got)]
    assert fail_at > 10
    assert len(read(path).exchanges()) == 60


@pytest.mark.parametrize("half", [False, True])
def test_the_nth_write_fails_once(tmp_path: Path, exchange: Exchange, failing_disk: Any, *, half: bool) -> None:
    """Whichever single write fails: what was lost is said at once, and the archive either can't be sealed or lists each loss as a gap."""
    records = _sixty_exchanges(exchange)
    sealed = 0
    for fail_at in range(4, 100):
        path = tmp_path / f"{fail_at}.parity"
        errors = _write(path, failing_disk(fail_at, for_good=False, half=half), records)
        if not errors:
            break

        archive = read(path, salvage=True)
        assert {found.id for found in archive.exchanges()} | {gap.exchange for gap in archive.gaps()} == set(range(1, 61))
        if not archive.salvaged:
            sealed += 1
            assert verify(path).problems == ()
            assert all(gap.reason is GapReason.NOT_WRITTEN for gap in archive.gaps())
    assert sealed >= 5


@pytest.mark.parametrize("for_good", [False, True])
def test_the_nth_write_fails_while_segments_rotate(tmp_path: Path, exchange: Exchange, failing_disk: Any, *, for_good: bool) -> None:
    """Whichever write fails around the end of a segment: no exchange disappears, and what could be sealed has nothing wrong with it."""
    records = [record for number in range(1, 41) for record in exchange(number, 3 * number - 2)]
    sealed = 0
    for fail_at in range(4, 100):
        path, now = tmp_path / f"{fail_at}.parity", 0.0
        disk = failing_disk(fail_at, for_good=for_good, half=True)
        writer = ArchiveWriter.create(path, kind="recording", facts={}, segment_bytes_max=700, clock=lambda: now, disk=disk)  # noqa: B023
        errors = 0
        for record in records:
            now += 0.3
            try:
                writer.append(record)
            except ArchiveError:
                errors += 1
        try:
            writer.seal(event=121, at=1.0, reason="done")
        except ArchiveError:
            errors += 1
        with suppress(ArchiveError):
            writer.close()

        archive = read(path, salvage=True)
        whole = [found.id for found in archive.exchanges()]
        assert whole == list(range(1, len(whole) + 1)) or not for_good
        if not archive.salvaged:
            sealed += 1
            assert set(whole) | {gap.exchange for gap in archive.gaps()} == set(range(1, 41))
            assert verify(path).problems == ()
        if not errors and disk.asked < fail_at:
            break
    assert fail_at > 30
    assert len(archive.segments) > 5
    assert sealed >= (1 if for_good else 20)


def _sixty_exchanges(exchange: Exchange) -> list[Record]:
    body = os.urandom(300_000)
    return [record for number in range(1, 61) for record in exchange(number, 3 * number - 2, body if number % 20 == 0 else b"hello")]


def _write(path: Path, disk: Any, records: list[Record]) -> list[ArchiveError]:
    """Write what can be written, as a recorder that goes on after errors, and try twice to seal."""
    errors: list[ArchiveError] = []
    try:
        writer = ArchiveWriter.create(path, kind="recording", facts={}, started_at=1.0, clock=lambda: 0.0, disk=disk)
    except ArchiveError as error:
        return [error]
    for record in records:
        try:
            writer.append(record)
        except ArchiveError as error:
            errors.append(error)
    for _ in range(2):
        try:
            writer.seal(event=181, at=1.0, reason="done")
        except ArchiveError as error:
            errors.append(error)
    try:
        writer.close()
    except ArchiveError as error:
        errors.append(error)
    return errors


def test_a_lost_chunk_makes_a_gap_of_its_exchange(tmp_path: Path, exchange: Exchange, failing_disk: Any) -> None:
    """A stream of which a part could not be written is never given as whole."""
    now = 0.0
    opened, chunks, ended = exchange(1, 1, chunks=2)
    with ArchiveWriter.create(
        tmp_path / "a.parity", kind="recording", facts={}, clock=lambda: now, disk=failing_disk(6, for_good=False, half=True)
    ) as writer:
        writer.append(opened)
        writer.flush()
        writer.append(chunks)
        now = 5.0
        with pytest.raises(ArchiveError, match="No space left"):
            writer.tick()
        assert writer.lost == 2
        writer.append(ended)
        writer.seal(event=6, at=1.0, reason="done")

    archive = read(tmp_path / "a.parity")
    assert archive.exchanges() == []
    assert [(gap.reason, gap.exchange, gap.event) for gap in archive.gaps()] == [
        (GapReason.NOT_WRITTEN, 1, 3),
        (GapReason.NOT_WRITTEN, 1, 4),
    ]
    assert verify(tmp_path / "a.parity").good


def test_losses_are_folded_when_they_are_many(exchange: Exchange) -> None:
    """A disk that stays full costs bounded memory: runs of event numbers are joined, and no number or exchange is forgotten."""
    losses = Losses()
    for number in range(1, 5001):
        for record in exchange(number, 3 * number - 2):
            losses.add(record)
    losses.add(Statistics(1.0, {}))

    gaps = [gap for batch in _drain(losses) for gap in batch]

    events = {event for gap in gaps if gap.event is not None for event in range(gap.event, gap.event + gap.count)}
    assert events == set(range(1, 15001))
    assert {gap.exchange for gap in gaps} - {None} == set(range(1, 5001))
    assert len(gaps) < 10_001
    assert len(losses) == 0


def _drain(losses: Losses) -> Iterator[list[Gap]]:
    for batch in losses.batches(64):
        yield batch
        losses.said(batch)


def test_a_record_that_cannot_be_encoded_harms_nothing(tmp_path: Path) -> None:
    """A refused record is not in the archive, and the writer goes on."""
    with ArchiveWriter.create(tmp_path / "a.parity", kind="recording", facts={}) as writer:
        with pytest.raises(ArchiveError, match="can't be written"):
            writer.append(Attachment(1, 1, "p", "d", "text"))  # type: ignore[arg-type]
        writer.seal(event=1, at=1.0, reason="done")

    assert read(tmp_path / "a.parity").manifest["counts"]["records"] == {"end": 1}
