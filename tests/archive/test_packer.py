"""Writing an archive whose blocks are compressed beside."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from replay.archive import ArchiveWriter, read
from replay.archive.disk import Disk
from replay.model import ArchiveError, DaemonRecord


def test_the_same_records_in_the_same_order(tmp_path: Path) -> None:
    """What is written with a packer is what is written without one: byte for byte the same segment content."""
    records = [DaemonRecord(float(number), "said", "x" * (number % 300)) for number in range(1_000)]
    with ThreadPoolExecutor(1) as packer:
        for name, used in (("plain", None), ("beside", packer)):
            with ArchiveWriter.create(tmp_path / name, kind="observed", facts={}, packer=used, segment_bytes_max=2_000) as writer:
                for record in records:
                    writer.append(record)
                writer.seal(event=1, at=1.0, reason="test")
    plain, beside = read(tmp_path / "plain"), read(tmp_path / "beside")
    assert list(beside.records()) == list(plain.records())
    assert len(beside.segments) > 1
    assert beside.manifest["counts"] == plain.manifest["counts"]


def test_a_disk_that_refuses_says_so(tmp_path: Path) -> None:
    """A block that can't be written when it comes back is lost and raised, and listed as gaps once the disk takes more."""

    class Full(Disk):
        full = False

        def append(self, file: object, data: bytes) -> None:
            if self.full:
                raise OSError(28, "no space left on device")
            super().append(file, data)  # type: ignore[arg-type]  # as it came

    disk = Full()
    with ThreadPoolExecutor(1) as packer, ArchiveWriter.create(tmp_path / "a", kind="observed", facts={}, packer=packer, disk=disk) as writer:
        disk.full = True
        writer.append(DaemonRecord(1.0, "said", "lost"))
        with pytest.raises(ArchiveError, match="no space left"):
            writer.flush()
        disk.full = False
        writer.append(DaemonRecord(2.0, "said", "kept"))
        assert writer.lost == 1
        writer.seal(event=1, at=1.0, reason="test")
    archive = read(tmp_path / "a")
    assert [record.detail for record in archive.daemon_records()] == ["kept"]
    assert [gap.reason.value for gap in archive.gaps()] == ["not written"]
