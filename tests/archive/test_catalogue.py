"""Exchanges one by one, out of an archive that is not held."""

import random
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay.archive import Archive, ArchiveWriter, read
from replay.model import ArchiveError, Chunks, Exchange, Gap, GapReason, Record

type Make = Callable[..., list[Record]]


def check(archive: Archive) -> None:
    """See that scan and shelf give what joining all records gives."""
    joined = archive.join()
    catalogue = archive.catalogue()
    seen = [found for found in catalogue.scan() if isinstance(found, Exchange)]
    whole = {found.id for found in seen} - catalogue.lacking
    assert whole == {exchange.id for exchange in joined.exchanges}
    assert catalogue.gaps == joined.gaps
    with catalogue.open() as shelf:
        assert [shelf.exchange(exchange.id) for exchange in joined.exchanges] == list(joined.exchanges)
        with pytest.raises(KeyError):
            shelf.exchange(10_000)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_what_joining_gives_comes_one_by_one(exchange: Make, data: st.DataObject) -> None:
    """Whatever overlaps, lacks, comes late or was shed: scan and shelf give the exchanges and gaps that joining gives."""
    spread = data.draw(st.integers(0, 2**32))
    order = random.Random(spread)  # noqa: S311
    records: list[tuple[float, Record]] = []
    event = 1
    for number in range(1, data.draw(st.integers(1, 12)) + 1):
        chunks = data.draw(st.sampled_from([0, 0, 0, 3]))
        parts = _records(exchange, number, event, chunks=chunks, body=data.draw(st.sampled_from([b"", b"x", b"big" * 100_000])))
        event += 10
        at = order.random() * 10
        for part in parts:
            at += order.random() * data.draw(st.sampled_from([0.1, 10.0]))
            if data.draw(st.integers(0, 19)):
                records.append((at, part))
        if not data.draw(st.integers(0, 5)):
            reason = data.draw(st.sampled_from([GapReason.NOT_WRITTEN, GapReason.SHED, GapReason.CUT]))
            records.append((order.random() * 30, Gap(reason, exchange=number)))
    if data.draw(st.booleans()):
        records.sort(key=lambda one: one[0])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.parity"
        with ArchiveWriter.create(path, kind="recording", facts={}) as writer:
            for _, record in records:
                writer.append(record)
                if not order.randrange(3):
                    writer.tick()
            writer.seal(event=event, at=1.0, reason="done")
        check(read(path))


def test_many_blocks_and_segments(tmp_path: Path, exchange: Make) -> None:
    """An exchange that stood open across more blocks and segments than are kept is given whole."""
    with ArchiveWriter.create(tmp_path / "a.parity", kind="recording", facts={}) as writer:
        first, *middle, last = _records(exchange, 1, 1, chunks=3)
        writer.append(first)
        for number in range(2, 200):
            for record in _records(exchange, number, number * 10, body=b"%d" % number * 5000):
                writer.append(record)
            if number % 60 == 0:
                writer.rotate()
        for record in (*middle, last):
            writer.append(record)
        writer.seal(event=5000, at=1.0, reason="done")
    check(read(tmp_path / "a.parity"))


@pytest.mark.parametrize("share", [0.1, 0.4, 0.7, 0.9, 0.99])
def test_a_cut_or_damaged_archive(tmp_path: Path, exchange: Make, share: float) -> None:
    """What a salvage finds whole comes one by one as it comes at once, with the same gaps."""
    for how in ("cut", "damaged"):
        path = tmp_path / how
        with ArchiveWriter.create(path, kind="recording", facts={}) as writer:
            for number in range(1, 120):
                for record in _records(exchange, number, number * 10, body=random.Random(number).randbytes(3000), chunks=number % 3):  # noqa: S311
                    writer.append(record)
            writer.seal(event=5000, at=1.0, reason="done")
        (segment,) = path.glob("segment-*")
        raw = segment.read_bytes()
        at = int(len(raw) * share)
        segment.write_bytes(raw[:at] if how == "cut" else raw[:at] + bytes([raw[at] ^ 255]) + raw[at + 1 :])
        check(read(path, salvage=True))


def test_an_exchange_that_ended_twice(tmp_path: Path, exchange: Make) -> None:
    """Two beginnings or two ends of one exchange are refused, as in joining."""
    for twice in (0, 1):
        path = tmp_path / f"{twice}.parity"
        with ArchiveWriter.create(path, kind="recording", facts={}) as writer:
            parts = _records(exchange, 1, 1)
            for record in (*parts, parts[twice]):
                writer.append(record)
            writer.seal(event=9, at=1.0, reason="done")
        with pytest.raises(ArchiveError, match="twice"):
            list(read(path).catalogue().scan())


def _records(make: Make, number: int, event: int, *, body: bytes = b"x", chunks: int = 0) -> list[Record]:
    """Make the records of an exchange; each chunk of a stream in a record of its own."""
    made = make(number, event, body, chunks)
    runs = [Chunks(number, (chunk,)) for run in made if isinstance(run, Chunks) for chunk in run.chunks]
    return [made[0], *runs, made[-1]]
