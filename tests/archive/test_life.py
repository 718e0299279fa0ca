"""The life of an archive that is written for weeks: rotation, retention, snapshots from elsewhere, a recorder that died."""

import json
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from replay.archive import ArchiveWriter, SnapshotError, pack_snapshot, read, verify
from replay.archive.disk import Disk
from replay.archive.index import Summary
from replay.archive.manifest import Dropped
from replay.archive.retention import fold
from replay.model import (
    Answered,
    ArchiveError,
    Chunk,
    Chunks,
    Connection,
    End,
    Ended,
    EndReason,
    Gap,
    GapReason,
    Opened,
    Record,
    Request,
    Response,
    SnapshotRecord,
)

type Exchange = Callable[..., list[Record]]

_REQUEST = Request(b"GET", b"/", b"HTTP/1.1", ())


def _writer(path: Path, **options: float) -> ArchiveWriter:
    return ArchiveWriter.create(path, kind="recording", facts={}, clock=lambda: 0.0, **options)  # type: ignore[arg-type]


def _segments(path: Path) -> list[str]:
    return sorted(file.name for file in path.iterdir() if file.name.startswith("segment-"))


# --- rotation ---


def test_segments_rotate_by_time(tmp_path: Path, exchange: Exchange) -> None:
    """An old segment is closed with the next record, or with a tick; one that holds nothing is not."""
    now = 0.0
    with ArchiveWriter.create(tmp_path / "a.parity", kind="recording", facts={}, segment_seconds_max=10.0, clock=lambda: now) as writer:
        now = 11.0
        writer.tick()
        assert writer.segment_number == 1
        for record in exchange(1, 1):
            writer.append(record)
        writer.flush()
        now = 22.0
        writer.tick()
        assert writer.segment_number == 2
        for record in exchange(2, 4):
            writer.append(record)
        writer.seal(event=7, at=1.0, reason="done")

    assert verify(tmp_path / "a.parity").problems == ()
    assert [exchange.id for exchange in read(tmp_path / "a.parity").exchanges()] == [1, 2]


def test_an_exchange_that_spans_segments_is_whole(tmp_path: Path, exchange: Exchange) -> None:
    """A stream over three segments comes out whole, sealed or salvaged without the manifest."""
    opened, chunks, ended = exchange(1, 1, chunks=2)
    with _writer(tmp_path / "a.parity") as writer:
        writer.rotate()
        for record in (opened, chunks, ended):
            writer.append(record)
            writer.rotate()
        assert writer.segment_number == 4
        writer.rotate()
        assert writer.segment_number == 4
        writer.seal(event=6, at=1.0, reason="done")

    assert len(_segments(tmp_path / "a.parity")) == 4
    assert verify(tmp_path / "a.parity").problems == ()
    whole = read(tmp_path / "a.parity").exchanges()
    (tmp_path / "a.parity" / "manifest.json").unlink()
    salvaged = read(tmp_path / "a.parity", salvage=True)
    assert salvaged.exchanges() == whole
    assert [len(found.chunks) for found in whole] == [2]
    assert len(salvaged.damage) == 1


def test_a_segment_stands_alone(tmp_path: Path, exchange: Exchange) -> None:
    """One segment out of the middle, alone in a folder, gives its own records, and says that what came before is missing."""
    with _writer(tmp_path / "a.parity") as writer:
        for number in range(1, 4):
            for record in exchange(number, 3 * number - 2):
                writer.append(record)
            writer.rotate()
    (tmp_path / "b").mkdir()
    name = _segments(tmp_path / "a.parity")[1]
    (tmp_path / "a.parity" / name).rename(tmp_path / "b" / name)

    alone = read(tmp_path / "b", salvage=True)

    assert [found.id for found in alone.exchanges()] == [2]
    assert alone.id == read(tmp_path / "a.parity", salvage=True).id
    assert any("before it is missing" in damage for damage in alone.damage)


def test_segments_that_changed_places_are_noticed(tmp_path: Path, exchange: Exchange) -> None:
    """Two segments under each other's names are neither read nor salvaged as they are."""
    with _writer(tmp_path / "a.parity") as writer:
        for number in range(1, 4):
            for record in exchange(number, 3 * number - 2):
                writer.append(record)
            writer.rotate()
        writer.seal(event=10, at=1.0, reason="done")
    first, second = (tmp_path / "a.parity" / name for name in _segments(tmp_path / "a.parity")[:2])
    contents = second.read_bytes(), first.read_bytes()
    for file, content in zip((first, second), contents, strict=True):
        file.write_bytes(content)

    with pytest.raises(ArchiveError):
        read(tmp_path / "a.parity").exchanges()
    assert [found.id for found in read(tmp_path / "a.parity", salvage=True).exchanges()] == [3]


def test_the_manifest_and_the_writer_stay_small(tmp_path: Path, exchange: Exchange) -> None:
    """Sixty times as many blocks in as many segments make the manifest no bigger, and hardly the writer."""
    sizes, peaks = [], []
    for name, rounds in (("a.parity", 10), ("b.parity", 600)):
        tracemalloc.start()
        with _writer(tmp_path / name) as writer:
            for number in range(1, rounds + 1):
                for record in exchange(number, 3 * number - 2):
                    writer.append(record)
                writer._close_block()
                if number == rounds // 2:
                    writer.rotate()
            writer.seal(event=3 * rounds + 1, at=1.0, reason="done")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        sizes.append((tmp_path / name / "manifest.json").stat().st_size)

    assert sizes[1] - sizes[0] < 100
    assert peaks[1] - peaks[0] < 2_000_000


# --- retention ---


def _dropped(tmp_path: Path, exchange: Exchange, *, seal: bool = True) -> Path:
    """Write four segments, a stream from the first to the third and a snapshot in each of the first two; drop the first two."""
    path = tmp_path / "a.parity"
    (tmp_path / "workspace").mkdir()
    opened, chunks, ended = exchange(1, 3, chunks=2)
    with _writer(path) as writer:
        event = 8
        for number in (2, 3, 4, 5):
            if number == 2:
                writer.append(opened)
                writer.append(chunks)
            if number < 4:
                (tmp_path / "workspace" / "a.md").write_text(f"at {number}")
                before = 1 if number == 2 else event
                writer.add_snapshot(tmp_path / "workspace", workspace="/x", event_before=before, event_after=before + 1, left_out=())
                event = max(event, before + 2)
            for record in exchange(number, event):
                writer.append(record)
            event += 3
            if number == 4:
                writer.append(ended)
            if number < 5:
                writer.rotate()
        kept = writer.retain(None, None, time.time())
        assert kept is None
        sizes = [file.stat().st_size for file in sorted(path.iterdir()) if file.name.startswith(("segment-000003", "segment-000004"))]
        snapshot = (path / "snapshot-000002.tar.zst").stat().st_size
        dropped = writer.retain(sum(sizes) + snapshot, None, 5.0)
        assert dropped is not None
        assert (dropped.first_segment, dropped.last_segment, dropped.last_snapshot, dropped.at) == (1, 2, 1, 5.0)
        assert dropped.summary.records == {"chunks": 1, "exchange": 2, "opened": 3, "snapshot": 2}
        assert (dropped.summary.first_event, dropped.summary.last_exchange) == (1, 3)
        if seal:
            writer.seal(event=event, at=1.0, reason="done")
    return path


@pytest.mark.parametrize("manifest", [True, False])
def test_retention_drops_whole_segments(tmp_path: Path, exchange: Exchange, *, manifest: bool) -> None:
    """What was dropped is declared: no holes, no damage; an exchange that began there is a gap that says so, and the rest is whole."""
    path = _dropped(tmp_path, exchange)
    assert sorted(file.name for file in path.iterdir()) == [
        "manifest.json", "segment-000003.msgpack.zst", "segment-000004.msgpack.zst", "snapshot-000002.tar.zst",
    ]  # fmt: skip
    if not manifest:
        (path / "manifest.json").unlink()
        assert [found.id for found in read(path, salvage=True).exchanges()] == [4, 5]
        return
    archive = read(path)

    assert verify(path).problems == ()
    assert [found.id for found in archive.exchanges()] == [4, 5]
    assert [(gap.reason, gap.exchange, "retention dropped" in gap.detail) for gap in archive.gaps()] == [(GapReason.CUT, 1, True)]
    assert [dropped["last_segment"] for dropped in archive.manifest["dropped"]] == [2]


def test_the_snapshot_before_what_is_kept_stays(tmp_path: Path, exchange: Exchange) -> None:
    """The newest snapshot before the oldest kept segment can be unpacked, though its record was dropped with its segment."""
    archive = read(_dropped(tmp_path, exchange))

    assert [record.file for record in archive.snapshots()] == ["snapshot-000002.tar.zst"]
    assert (archive.unpack_snapshot(1, tmp_path / "out") / "a.md").read_text() == "at 3"


def test_an_unsealed_archive_with_dropped_segments(tmp_path: Path, exchange: Exchange) -> None:
    """A salvage knows of what was dropped too, and takes nothing else for missing."""
    archive = read(_dropped(tmp_path, exchange, seal=False), salvage=True)

    assert [found.id for found in archive.exchanges()] == [4, 5]
    assert len(archive.damage) == 1
    assert [record.file for record in archive.snapshots()] == ["snapshot-000002.tar.zst"]


def test_a_dropped_segment_that_is_not_declared_is_damage(tmp_path: Path, exchange: Exchange) -> None:
    """Who takes the first segment away, and it from the manifest, is noticed by the last one."""
    path = tmp_path / "a.parity"
    with _writer(path) as writer:
        for number in range(1, 4):
            for record in exchange(number, 3 * number - 2):
                writer.append(record)
            writer.rotate()
        writer.seal(event=10, at=1.0, reason="done")
    from hashlib import sha256

    content = json.loads((path / "manifest.json").read_bytes())
    del content["sha256"]
    content["dropped"] = [
        {"first_segment": 1, "last_segment": 1, "last_snapshot": 0, "bytes": 1, "at": 1.0, "summary": content["segments"][0]["summary"]}
    ]
    del content["segments"][0]
    content["sha256"] = sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    (path / "manifest.json").write_text(json.dumps(content))
    (path / "segment-000001.msgpack.zst").unlink()

    with pytest.raises(ArchiveError, match="not all of those"):
        read(path)


def test_retention_by_age(tmp_path: Path, exchange: Exchange) -> None:
    """Segments that were closed too long ago go; the open one never does."""
    with _writer(tmp_path / "a.parity") as writer:
        for number in range(1, 4):
            for record in exchange(number, 3 * number - 2):
                writer.append(record)
            writer.rotate()
        assert writer.retain(None, 3600.0, time.time()) is None
        dropped = writer.retain(None, 3600.0, time.time() + 4000.0)
        assert dropped is not None
        assert (dropped.first_segment, dropped.last_segment) == (1, 3)
        assert writer.retain(0, 0.0, time.time() + 9000.0) is None
        writer.seal(event=10, at=1.0, reason="done")

    assert verify(tmp_path / "a.parity").problems == ()
    assert _segments(tmp_path / "a.parity") == ["segment-000004.msgpack.zst"]


def test_a_file_that_could_not_be_deleted_is_passed_over(tmp_path: Path, exchange: Exchange) -> None:
    """What the disk keeps though it was dropped is not read, and is deleted the next time."""

    class Keeping(Disk):
        keeping = True

        def remove(self, path: Path) -> None:
            if self.keeping:
                raise OSError(1, "Operation not permitted")
            super().remove(path)

    disk = Keeping()
    path = tmp_path / "a.parity"
    with ArchiveWriter.create(path, kind="recording", facts={}, clock=lambda: 0.0, disk=disk) as writer:
        for number in (1, 2):
            for record in exchange(number, 3 * number - 2):
                writer.append(record)
            if number == 1:
                writer.rotate()
        assert writer.retain(0, None, 1.0) is not None
        assert len(_segments(path)) == 2
        assert [found.id for found in read(path, salvage=True).exchanges()] == []
        disk.keeping = False
        assert writer.retain(None, None, 2.0) is None
        assert len(_segments(path)) == 1
        writer.seal(event=7, at=1.0, reason="done")

    assert verify(path).problems == ()


def test_what_was_dropped_is_folded() -> None:
    """A manifest lists at most 64 droppings: the oldest become one, and nothing is forgotten."""
    dropped: tuple[Dropped, ...] = ()
    for number in range(1, 200):
        summary = Summary(number * 10, number * 10 + 9, number, number, {"opened": 1}, 2, {"cut": 1}, {})
        dropped = fold([*dropped, Dropped(number, number, number, 100, float(number), summary)])

    assert len(dropped) == 64
    assert (dropped[0].first_segment, dropped[0].last_segment, dropped[0].bytes) == (1, 136, 13_600)
    assert dropped[0].summary == Summary(10, 1369, 1, 136, {"opened": 136}, 272, {"cut": 136}, {})
    assert [entry.first_segment for entry in dropped[1:]] == list(range(137, 200))


# --- snapshots of another process ---


def _packed(writer: ArchiveWriter, tmp_path: Path) -> SnapshotRecord:
    (tmp_path / "workspace").mkdir(exist_ok=True)
    (tmp_path / "workspace" / "a.md").write_text("hello")
    name = writer.next_snapshot_name()
    packed = pack_snapshot(tmp_path / "workspace", writer.path / name)
    return SnapshotRecord(name, 1, 2, "/x", packed.files, packed.bytes, packed.sha256, taken_at="rotation", replaced={"bearer": 2})


def test_a_snapshot_packed_elsewhere_is_adopted(tmp_path: Path) -> None:
    """Its record is in the archive, its file in the manifest, and what was replaced in it is counted."""
    with _writer(tmp_path / "a.parity") as writer:
        record = _packed(writer, tmp_path)
        writer.adopt_snapshot(record, writer.path / record.file)
        writer.seal(event=3, at=1.0, reason="done")

    archive = read(tmp_path / "a.parity")
    assert archive.snapshots() == [record]
    assert [entry["file"] for entry in archive.manifest["snapshots"]] == [record.file]
    assert verify(tmp_path / "a.parity").redactions == {"bearer": 2}
    assert (archive.unpack_snapshot(1, tmp_path / "out") / "a.md").read_text() == "hello"


@pytest.mark.parametrize("how", ["empty", "gone", "outside", "no name of ours"])
def test_a_foreign_snapshot_is_refused(tmp_path: Path, how: str) -> None:
    """What can't be the file that the record names is not adopted, and the writer goes on."""
    with _writer(tmp_path / "a.parity") as writer:
        record = _packed(writer, tmp_path)
        place = writer.path / record.file
        if how == "empty":
            place.write_bytes(b"")
        elif how == "gone":
            place.unlink()
        elif how == "outside":
            place = place.rename(tmp_path / record.file)
        else:
            record = replace(record, file="snapshot-000009.tar.zst")
            place = place.rename(writer.path / record.file)
        with pytest.raises(SnapshotError):
            writer.adopt_snapshot(record, place)
        writer.seal(event=1, at=1.0, reason="done")

    assert read(tmp_path / "a.parity").snapshots() == []


def test_a_snapshot_that_fails_harms_nothing(tmp_path: Path) -> None:
    """A folder that can't be packed is an error of its own kind, and leaves no file."""
    (tmp_path / "workspace").mkdir()
    (tmp_path / "workspace" / "a.md").symlink_to("nowhere")
    with _writer(tmp_path / "a.parity") as writer:
        with pytest.raises(SnapshotError, match="no folder"):
            writer.add_snapshot(tmp_path / "nothing", workspace="/x", event_before=1, event_after=2, left_out=())
        with pytest.raises(SnapshotError, match="encrypted"):
            pack_snapshot(tmp_path / "workspace", writer.path / writer.next_snapshot_name(), recipients=[bytes(32)])
        writer.seal(event=1, at=1.0, reason="done")

    assert sorted(file.name for file in (tmp_path / "a.parity").iterdir()) == ["manifest.json", "segment-000001.msgpack.zst"]


# --- what a recorder that died, or could not keep up, leaves ---


def test_an_archive_that_was_sealed_as_cut(tmp_path: Path, exchange: Exchange) -> None:
    """It is refused without a salvage, which gives all of it with the reason; verify lists that as its one problem."""
    path = tmp_path / "a.parity"
    with _writer(path) as writer:
        for record in exchange(1, 1):
            writer.append(record)
        writer.seal(event=4, at=1.0, reason="mitmdump was killed", cut=True)

    with pytest.raises(ArchiveError, match=r"cut: mitmdump was killed.*--salvage"):
        read(path)
    archive = read(path, salvage=True)
    assert archive.salvaged
    assert archive.damage == (f"{path}: cut: mitmdump was killed",)
    assert len(archive.exchanges()) == 1
    assert [record for record in archive.records() if isinstance(record, End)] == [End(4, 1.0, "mitmdump was killed", cut=True)]
    assert verify(path).problems == archive.damage
    assert not verify(path).sealed


def test_a_hole_in_a_cut_archive_is_a_problem(tmp_path: Path, exchange: Exchange) -> None:
    """Up to its end the event numbers of a cut archive have no holes either."""
    with _writer(tmp_path / "a.parity") as writer:
        for record in exchange(1, 3):
            writer.append(record)
        writer.seal(event=6, at=1.0, reason="killed", cut=True)

    assert [problem.partition("parity: ")[2] for problem in verify(tmp_path / "a.parity").problems] == [
        "cut: killed",
        "event numbers 1 to 2 are missing",
    ]


def test_a_shed_body_is_none(tmp_path: Path) -> None:
    """An exchange whose body was shed is given without it, also where chunks came before: what came is not taken for the whole."""
    head = Response(b"HTTP/1.1", 200, b"OK", ((b"Content-Type", b"text/event-stream"),), None)
    records: list[Record] = [
        Opened(1, 1, 1.0, Connection("c"), _REQUEST),
        Chunks(1, (Chunk(3, 1.0, b"a"),)),
        Gap(GapReason.SHED, exchange=1, detail="the answer's body"),
        Ended(1, 4, 2.0, EndReason.COMPLETE, head, b"q", headers_event=2),
        Opened(2, 5, 1.0, Connection("c"), _REQUEST),
        Gap(GapReason.SHED, exchange=2, detail="the answer's body"),
        Ended(2, 7, 2.0, EndReason.COMPLETE, head, None, headers_event=6),
    ]
    with _writer(tmp_path / "a.parity") as writer:
        for record in records:
            writer.append(record)
        writer.seal(event=8, at=1.0, reason="done")

    joined = read(tmp_path / "a.parity").join()

    assert [found.outcome for found in joined.exchanges] == [head, head]
    assert [len(found.chunks) for found in joined.exchanges] == [1, 0]
    assert [gap.reason for gap in joined.gaps] == [GapReason.SHED, GapReason.SHED]
    assert verify(tmp_path / "a.parity").problems == ()


def test_an_answered_exchange_without_end_says_its_status(tmp_path: Path) -> None:
    """What is known of the answer stands in the gap."""
    head = Response(b"HTTP/1.1", 200, b"OK", (), None)
    with _writer(tmp_path / "a.parity") as writer:
        for number, records in (
            (1, [Answered(1, 2, 1.0, head), Chunks(1, (Chunk(3, 1.0, b"a"),))]),
            (4, [Answered(4, 5, 1.0, replace(head, status=503))]),
        ):
            writer.append(Opened(number, number, 1.0, Connection("c"), _REQUEST))
            for record in records:
                writer.append(record)  # type: ignore[arg-type]

    assert [gap.detail for gap in read(tmp_path / "a.parity", salvage=True).gaps()] == [
        "opened, answered 200, with chunks, but its end is not there",
        "opened, answered 503, but its end is not there",
    ]


def test_nothing_follows_the_end(tmp_path: Path, exchange: Exchange) -> None:
    """When the manifest could not be written at the end, sealing can be tried again, and nothing else."""

    class Full(Disk):
        full = False

        def replace(self, path: Path, data: bytes) -> None:
            if self.full:
                raise OSError(28, "No space left on device")
            super().replace(path, data)

    disk = Full()
    with ArchiveWriter.create(tmp_path / "a.parity", kind="recording", facts={}, disk=disk) as writer:
        disk.full = True
        with pytest.raises(ArchiveError, match="No space"):
            writer.seal(event=1, at=1.0, reason="done")
        with pytest.raises(ArchiveError, match="end is written"):
            writer.append(exchange(1, 1)[0])
        disk.full = False
        writer.seal(event=1, at=1.0, reason="done")

    assert verify(tmp_path / "a.parity").problems == ()
