"""What the tests of the archive share: small records, a written archive, and a disk that fails when told to."""

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from replay.archive import ArchiveWriter
from replay.archive.disk import Disk
from replay.archive.manifest import Kind
from replay.model import Chunk, Chunks, Connection, Ended, EndReason, Opened, Record, Request, Response

type Write = Callable[..., Path]


class FailingDisk(Disk):
    """A disk that refuses the n-th thing that is asked of it, or all from the n-th on, and may take half of it before."""

    def __init__(self, fail_at: int, *, for_good: bool, half: bool) -> None:
        self.asked = 0
        self._fail_at = fail_at
        self._for_good = for_good
        self._half = half

    def _ask(self) -> bool:
        self.asked += 1
        return self.asked == self._fail_at or (self._for_good and self.asked > self._fail_at)

    def append(self, file: BinaryIO, data: bytes) -> None:
        """Write, or take half and fail."""
        if self._ask():
            if self._half:
                super().append(file, data[: len(data) // 2])
            raise OSError(28, "No space left on device")
        super().append(file, data)

    def shorten(self, file: BinaryIO, length: int) -> None:
        """Cut back, or fail."""
        if self._for_good:
            raise OSError(5, "Input/output error")
        super().shorten(file, length)

    def settle(self, file: BinaryIO) -> None:
        """Do without waiting, or fail."""
        if self._ask():
            raise OSError(5, f"Input/output error in {file.name}")


@pytest.fixture
def failing_disk() -> type[FailingDisk]:
    """Give the disk that fails when told to."""
    return FailingDisk


def exchange_records(number: int, first_event: int, body: bytes = b"hello", chunks: int = 0) -> list[Record]:
    """Make the records of one exchange with event numbers from a first one on."""
    request = Request(b"GET", b"/%d" % number, b"HTTP/1.1", ((b"Host", b"x"),))
    events = range(first_event + 2, first_event + 2 + chunks)
    records: list[Record] = [Opened(number, first_event, float(number), Connection("c1"), request)]
    if chunks:
        records.append(Chunks(number, tuple(Chunk(event, float(event), b"data: %d\n\n" % event) for event in events)))
    outcome = Response(b"HTTP/1.1", 200, b"OK", ((b"A", b"1"), (b"a", b"\xff")), None if chunks else body)
    records.append(
        Ended(
            number,
            first_event + 2 + chunks,
            number + 0.5,
            EndReason.COMPLETE,
            outcome,
            b"",
            server_connection="s1",
            headers_event=first_event + 1,
            streamed=bool(chunks),
        )
    )
    return records


@pytest.fixture(scope="session")
def exchange() -> Callable[..., list[Record]]:
    """Give the maker of an exchange's records."""
    return exchange_records


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Give a function that writes an archive of some exchanges (three events each) and gives its path."""

    def write_archive(
        name: str, count: int, *, seal: bool, body: bytes = b"hello", kind: Kind = "recording", segment_bytes_max: int = 1 << 28
    ) -> Path:
        path = tmp_path / name
        with ArchiveWriter.create(
            path, kind=kind, facts={"options": {"a": 1}}, started_at=1.0, segment_bytes_max=segment_bytes_max, clock=lambda: 0.0
        ) as writer:
            for number in range(1, count + 1):
                for record in exchange_records(number, 3 * number - 2, body):
                    writer.append(record)
            if seal:
                writer.seal(event=3 * count + 1, at=9.0, reason="test")
        return path

    return write_archive
