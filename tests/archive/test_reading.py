import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from replay.archive import Archive, ArchiveWriter, is_archive, read
from replay.archive.blocks import compress
from replay.archive.index import Block
from replay.model import (
    ArchiveError,
    Binding,
    Chunk,
    Chunks,
    Connection,
    DaemonRecord,
    Gap,
    GapReason,
    Opened,
    Record,
    Redaction,
    Request,
    Response,
    Wait,
)

type Write = Callable[..., Path]
type Exchange = Callable[..., list[Record]]

_SEGMENT = "segment-000001.msgpack.zst"


def _try(path: Path, *, salvage: bool) -> tuple[Archive, list[Record]] | None:
    try:
        archive = read(path, salvage=salvage)
        return archive, list(archive.records())
    except ArchiveError as error:
        assert str(path) in str(error)  # noqa: PT017 - either outcome is right
        return None


def _blocks(path: Path, number: int = 0) -> Sequence[Block]:
    archive = read(path, salvage=True)
    return archive.blocks(archive.segments[number])


def _small(tmp_path: Path, exchange: Exchange, *, seal: bool) -> Path:
    """Write an archive of several small blocks, some with a body that counts as big."""
    now = 0.0
    body = bytes(2_000)
    with (
        pytest.MonkeyPatch.context() as patch,
        ArchiveWriter.create(tmp_path / "small.parity", kind="recording", facts={"a": 1}, started_at=1.0, clock=lambda: now) as writer,
    ):
        # Thousands of readings follow: a quarter of a megabyte in each would take long.
        patch.setattr("replay.archive.writer.BODY_BYTES", 1_000)
        for number in range(1, 5):
            for record in exchange(number, 3 * number - 2, body if number % 2 else b"hello"):
                writer.append(record)
                now += 1.0
        if seal:
            writer.seal(event=13, at=9.0, reason="test")
    return tmp_path / "small.parity"


def test_a_sealed_archive_gives_back_what_was_written(write: Write) -> None:
    """Exchanges come out joined, in order, with the facts as they were given."""
    archive = read(write("a.parity", 100, seal=True))

    exchanges = archive.exchanges()
    assert [exchange.id for exchange in exchanges] == list(range(1, 101))
    assert exchanges[0].request.header(b"host") == b"x"
    assert exchanges[0].connection.server == "s1"
    assert exchanges[0].outcome == Response(b"HTTP/1.1", 200, b"OK", ((b"A", b"1"), (b"a", b"\xff")), b"hello")
    assert archive.facts == {"options": {"a": 1}}
    assert archive.kind == "recording"
    assert not archive.salvaged
    assert archive.gaps() == []


def test_an_unsealed_archive_is_refused_with_what_is_there(write: Write) -> None:
    """The refusal counts whole blocks, whole and open exchanges, and names --salvage."""
    with pytest.raises(ArchiveError, match=r"not sealed.*4 whole blocks, 100 exchanges whole, 0 open.*--salvage"):
        read(write("a.parity", 100, seal=False))


def test_a_salvage_gives_the_whole_blocks(write: Write) -> None:
    """What was written whole comes out, and the archive says that it was salvaged."""
    archive = read(write("a.parity", 100, seal=False), salvage=True)

    assert archive.salvaged
    assert len(archive.exchanges()) == 100
    assert archive.facts == {"options": {"a": 1}}


def test_a_whole_archive_is_not_salvaged(write: Write) -> None:
    """Asking for a salvage changes nothing where everything is whole."""
    path = write("a.parity", 3, seal=True)

    assert not read(path, salvage=True).salvaged


@pytest.mark.parametrize("seal", [True, False])
@pytest.mark.parametrize("name", ["manifest.json", _SEGMENT])
def test_cut_at_every_byte(tmp_path: Path, exchange: Exchange, name: str, *, seal: bool) -> None:
    """Any proper prefix of any file: an error, never a shorter archive; with salvage a prefix of the records."""
    path = _small(tmp_path, exchange, seal=seal)
    everything = list(read(path, salvage=True).records())
    whole = (path / name).read_bytes()
    lengths = set()
    for length in range(len(whole)):
        (path / name).write_bytes(whole[:length])

        if name == "manifest.json" and length % 16:
            # Wherever the manifest is cut, the same is salvaged.
            continue
        # What a salvage calls salvaged is refused without it: both ask for the same trouble.
        assert length % 4 or _try(path, salvage=False) is None
        salvaged = _try(path, salvage=True)
        assert salvaged is not None
        archive, records = salvaged
        assert archive.salvaged
        assert records == everything[: len(records)]
        lengths.add(len(records))
    assert lengths == {len(everything)} if name == "manifest.json" else len(lengths) >= 4


@pytest.fixture(scope="module")
def fixed(tmp_path_factory: pytest.TempPathFactory, exchange: Exchange) -> Path:
    """Give one small archive for many examples: its bytes are drawn from, so they must stay the same."""
    folder = tmp_path_factory.mktemp("fixed")
    return _small(folder, exchange, seal=True)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_bytes_in_any_file(tmp_path: Path, fixed: Path, data: st.DataObject) -> None:
    """A sealed archive with bytes changed gives the whole truth or an ArchiveError; a salvage gives some of its records, in order."""
    path = tmp_path / "small.parity"
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(fixed, path)
    everything = list(read(path).records())
    file = path / data.draw(st.sampled_from(["manifest.json", _SEGMENT]))
    content = bytearray(file.read_bytes())
    start = data.draw(st.integers(0, len(content) - 1))
    junk = data.draw(st.binary(min_size=1, max_size=20))
    content[start : start + data.draw(st.integers(0, 20))] = junk
    file.write_bytes(bytes(content))

    got, salvaged = _try(path, salvage=False), _try(path, salvage=True)

    assert got is None or got[1] == everything
    rest = iter(everything)
    assert salvaged is None or all(record in rest for record in salvaged[1])


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=100), tail=st.binary(max_size=100))
def test_any_bytes_as_a_segment(tmp_path: Path, content: bytes, tail: bytes) -> None:
    """A folder with nothing but a segment of any bytes is an error; a salvage of it has no records."""
    (tmp_path / "x").mkdir(exist_ok=True)
    (tmp_path / "x" / _SEGMENT).write_bytes(content + compress(tail or b"x") + tail)

    assert _try(tmp_path / "x", salvage=False) is None
    salvaged = _try(tmp_path / "x", salvage=True)
    assert salvaged is not None
    assert salvaged[1] == []
    assert salvaged[0].damage


_RECORDER = """
import os, resource, signal, sys
from pathlib import Path
from replay.archive import ArchiveWriter
from replay.model import Gap, GapReason
if sys.argv[2] == "full":
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
writer = ArchiveWriter.create(Path(sys.argv[1]), kind="recording", facts={}, clock=lambda: 0.0)
for number in range(1000):
    writer.append(Gap(GapReason.SKIPPED, event=number + 1, detail=os.urandom(20).hex()))
    if sys.argv[2] == "kill" and number == 200:
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(("how", "code", "records"), [("kill", -9, 192), ("full", 1, 128)])
def test_a_recorder_that_ends_badly(tmp_path: Path, how: str, code: int, records: int) -> None:
    """A process killed in the middle, and one whose file may not grow: each whole block that it wrote is there."""
    path = tmp_path / "a.parity"

    ended = subprocess.run([sys.executable, "-c", _RECORDER, path, how], capture_output=True, text=True, check=False)

    assert ended.returncode == code
    assert how == "kill" or f"{path / _SEGMENT}: can't be written" in ended.stderr
    with pytest.raises(ArchiveError, match="not sealed"):
        read(path)
    assert len(list(read(path, salvage=True).records())) == records


def test_a_salvage_with_an_index_reads_behind_the_damage(tmp_path: Path, exchange: Exchange) -> None:
    """A sealed archive says where its blocks are, so only the damaged one is lost, and the damage is named."""
    path = _small(tmp_path, exchange, seal=True)
    blocks = [block for block in _blocks(path) if block.holds == "records"]
    content = bytearray((path / _SEGMENT).read_bytes())
    content[blocks[0].offset + 30] ^= 1
    (path / _SEGMENT).write_bytes(bytes(content))

    archive = read(path, salvage=True)

    assert archive.salvaged
    assert any("digest" in damage for damage in archive.damage)
    assert len(list(archive.records())) == 9 - blocks[0].records
    with pytest.raises(ArchiveError, match="digest"):
        read(path).exchanges()


def test_a_lost_body_takes_the_blocks_that_need_it(tmp_path: Path, exchange: Exchange) -> None:
    """Records whose big body is damaged are not whole."""
    path = _small(tmp_path, exchange, seal=True)
    body = next(block for block in _blocks(path) if block.holds == "body")
    content = bytearray((path / _SEGMENT).read_bytes())
    content[body.offset + 20] ^= 1
    (path / _SEGMENT).write_bytes(bytes(content))

    archive = read(path, salvage=True)

    assert [found.id for found in archive.exchanges()] == [2, 4]
    assert {gap.exchange for gap in archive.gaps()} <= {1, 3}
    assert any("big body" in damage for damage in archive.damage)


def test_what_was_opened_and_never_ended_is_a_gap(tmp_path: Path, exchange: Exchange) -> None:
    """A salvage lists open exchanges as cut; the chunks of a stream that was running stay readable."""
    with ArchiveWriter.create(tmp_path / "a.parity", kind="recording", facts={}) as writer:
        for record in exchange(1, 1):
            writer.append(record)
        request = Request(b"GET", b"/events", b"HTTP/1.1", ())
        writer.append(Opened(2, 4, 1.0, Connection("c"), request))
        writer.append(Chunks(2, (Chunk(5, 1.0, b"data"),)))
        writer.append(Opened(3, 6, 1.0, Connection("c"), request))

    archive = read(tmp_path / "a.parity", salvage=True)

    assert [(gap.reason, gap.exchange, gap.event) for gap in archive.gaps()] == [(GapReason.CUT, 2, 4), (GapReason.CUT, 3, 6)]
    assert [found.id for found in archive.exchanges()] == [1]
    assert any(isinstance(record, Chunks) and record.chunks[0].data == b"data" for record in archive.records())
    with pytest.raises(ArchiveError, match="1 exchanges whole, 2 open"):
        read(tmp_path / "a.parity")


def test_a_stream_over_a_damaged_block_is_a_gap(tmp_path: Path, exchange: Exchange) -> None:
    """A salvaged stream that may lack chunks is not given as whole; what lies apart from the damage is."""
    now = 0.0
    with ArchiveWriter.create(tmp_path / "a.parity", kind="recording", facts={}, clock=lambda: now) as writer:
        for record in (*exchange(1, 1, chunks=2), *exchange(2, 6, chunks=2)):
            writer.append(record)
            writer.flush()
        writer.seal(event=11, at=1.0, reason="done")
    path = tmp_path / "a.parity"
    chunks = _blocks(path)[2]
    content = bytearray((path / _SEGMENT).read_bytes())
    content[chunks.offset + 20] ^= 1
    (path / _SEGMENT).write_bytes(bytes(content))

    archive = read(path, salvage=True)

    assert [found.id for found in archive.exchanges()] == [2]
    assert [(gap.reason, gap.exchange) for gap in archive.gaps()] == [(GapReason.CUT, 1)]


def test_a_gap_that_is_listed_is_not_doubled(tmp_path: Path) -> None:
    """What the recorder itself listed keeps its own reason."""
    listed = Gap(GapReason.NOT_WRITTEN, event=2, exchange=1, detail="disk full")
    with ArchiveWriter.create(tmp_path / "a.parity", kind="recording", facts={}) as writer:
        writer.append(Opened(1, 1, 1.0, Connection("c"), Request(b"GET", b"/", b"HTTP/1.1", ())))
        writer.append(listed)
        writer.seal(event=3, at=1.0, reason="done")

    assert read(tmp_path / "a.parity").gaps() == [listed]


def test_a_stream_is_its_chunks_joined(tmp_path: Path, exchange: Exchange) -> None:
    """The body of a streamed answer is its chunks, which keep their times and numbers; redactions of all parts come together."""
    opened, chunks, ended = exchange(1, 1, chunks=3)
    assert isinstance(chunks, Chunks)
    with ArchiveWriter.create(tmp_path / "a.parity", kind="recording", facts={}) as writer:
        writer.append(opened)
        writer.append(Chunks(1, chunks.chunks[:2]))
        writer.append(Chunks(1, chunks.chunks[2:], redactions=(Redaction("chunk:5", 0, 4, "bearer"),)))
        writer.append(ended)
        writer.seal(event=7, at=1.0, reason="done")

    found = read(tmp_path / "a.parity").exchanges()[0]

    assert isinstance(found.outcome, Response)
    assert found.outcome.body == b"data: 3\n\ndata: 4\n\ndata: 5\n\n"
    assert [chunk.event for chunk in found.chunks] == [3, 4, 5]
    assert len(found.chunks) == 3
    assert found.redactions == (Redaction("chunk:5", 0, 4, "bearer"),)


def test_an_exchange_that_is_there_twice_is_refused(tmp_path: Path, exchange: Exchange) -> None:
    """Two exchanges of one id can't be told apart."""
    with ArchiveWriter.create(tmp_path / "a.parity", kind="recording", facts={}) as writer:
        for record in (*exchange(1, 1), *exchange(1, 4)):
            writer.append(record)
        writer.seal(event=7, at=1.0, reason="done")

    with pytest.raises(ArchiveError, match="twice"):
        read(tmp_path / "a.parity").exchanges()


def test_what_a_replay_adds_comes_back(tmp_path: Path) -> None:
    """Bindings, waits and the daemon's life are given by type, in order."""
    records: list[Record] = [
        DaemonRecord(1.0, "started"),
        Binding("uuid", "a", "b", 1, "$.id"),
        Wait(2, "memory_jobs", 12.5, "drained"),
        Binding("uuid", "c", "d", 2, "$.id"),
    ]
    with ArchiveWriter.create(tmp_path / "a.parity", kind="observed", facts={}) as writer:
        for record in records:
            writer.append(record)
        writer.seal(event=1, at=1.0, reason="done")

    archive = read(tmp_path / "a.parity")

    assert [archive.daemon_records(), archive.bindings(), archive.waits()] == [records[:1], [records[1], records[3]], [records[2]]]
    assert archive.kind == "observed"


def test_the_digest_names_the_content(write: Write) -> None:
    """The digest is the same each time, and other content has another."""
    path, other = write("a.parity", 3, seal=True), write("b.parity", 4, seal=True)

    assert read(path).digest == read(path).digest
    assert read(path).digest != read(other).digest


@pytest.mark.parametrize(
    "lie",
    [
        {"index": "x"}, {"index": -1}, {"index": 2**80}, {"index": 1}, {"sha256": None}, {"sha256": "0" * 64}, {"bytes": 1}, {"more": 1},
        {"file": "segment-000002.msgpack.zst"}, {"file": "../segment-000001.msgpack.zst"}, {"key_header": "0" * 64}, {"blocks": []},
        {"blocks": None}, {"summary": 7},
    ],
)  # fmt: skip
def test_a_manifest_that_lies_well_is_noticed(write: Write, lie: dict[str, Any]) -> None:
    """A manifest with a right digest and wrong words is an error, and the records can still be salvaged."""
    path = write("a.parity", 3, seal=True)
    content = json.loads((path / "manifest.json").read_bytes())
    content["segments"][0].update(lie)
    _write_manifest(path, content)

    if lie != {"blocks": None}:
        with pytest.raises(ArchiveError):
            read(path).exchanges()
    assert len(read(path, salvage=True).exchanges()) == 3


def _write_manifest(path: Path, content: dict[str, Any]) -> None:
    content.pop("sha256", None)
    content["sha256"] = hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    (path / "manifest.json").write_text(json.dumps(content))


def _edit_manifest(path: Path, **changes: Any) -> None:
    manifest = json.loads((path / "manifest.json").read_bytes())
    (path / "manifest.json").write_text(json.dumps({**manifest, **changes}))


@pytest.mark.parametrize("salvage", [True, False])
def test_a_newer_archive_is_refused(write: Write, *, salvage: bool) -> None:
    """A format of a later tool is named as such, and never guessed at."""
    path = write("a.parity", 3, seal=True)
    _edit_manifest(path, format=2)

    with pytest.raises(ArchiveError, match=r"format 2 is newer than this tool.*update"):
        read(path, salvage=salvage)


def test_a_changed_manifest_is_noticed(write: Write) -> None:
    """A manifest that was edited after sealing is not believed."""
    path = write("a.parity", 3, seal=True)
    _edit_manifest(path, counts={})

    with pytest.raises(ArchiveError, match="changed after it was written"):
        read(path)
    assert len(read(path, salvage=True).exchanges()) == 3


def test_a_missing_and_an_unlisted_segment_are_noticed(write: Write) -> None:
    """Segments are exactly those that were sealed."""
    path = write("a.parity", 3, seal=True)
    shutil.copy(path / _SEGMENT, path / "segment-000002.msgpack.zst")
    with pytest.raises(ArchiveError, match="not listed"):
        read(path)
    (path / "segment-000002.msgpack.zst").unlink()
    (path / _SEGMENT).unlink()
    with pytest.raises(ArchiveError, match="missing"):
        read(path)


@pytest.mark.parametrize("how", ["cut between blocks", "cut in a block", "gone"])
def test_a_segment_before_the_last_is_cut(tmp_path: Path, exchange: Exchange, how: str) -> None:
    """Without an index too, an earlier segment that lacks its end is noticed, and a stream across it is not given as whole."""
    path = tmp_path / "a.parity"
    with ArchiveWriter.create(path, kind="recording", facts={}, segment_bytes_max=400) as writer:
        for record in (*exchange(1, 1), *exchange(2, 4, chunks=2), *exchange(3, 9), *exchange(4, 12)):
            writer.append(record)
            writer.flush()
    segments = [(segment.file, _blocks(path, number)) for number, segment in enumerate(read(path, salvage=True).segments)]
    number = next(index for index, (_, blocks) in enumerate(segments) if any(block.last_event in {6, 7} for block in blocks))
    name, blocks = segments[number]
    file = path / name
    at = next(block.offset for block in blocks if block.last_event in {6, 7})
    if how == "gone":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[: at if how == "cut between blocks" else at + 10])

    archive = read(path, salvage=True)

    assert len(segments) > number + 1
    assert 2 not in [found.id for found in archive.exchanges()]
    assert 4 in [found.id for found in archive.exchanges()]
    assert any("segment before it" in damage for damage in archive.damage)
    # Of what stood in the segment alone, nobody knows any more.
    assert how == "gone" or any(gap.exchange == 2 and gap.reason is GapReason.CUT for gap in archive.gaps())


def test_a_segment_of_another_archive_is_left(write: Write) -> None:
    """A salvage takes nothing from a segment that belongs elsewhere."""
    path, other = write("a.parity", 3, seal=False), write("b.parity", 5, seal=False)
    shutil.copy(other / _SEGMENT, path / "segment-000002.msgpack.zst")

    archive = read(path, salvage=True)

    assert len(archive.exchanges()) == 3
    assert any("another archive" in damage for damage in archive.damage)


def test_a_segment_without_its_head_is_left(write: Write) -> None:
    """Records of which nobody knows where they belong are not taken."""
    path = write("a.parity", 3, seal=False)
    head = _blocks(path)[0].length
    (path / _SEGMENT).write_bytes((path / _SEGMENT).read_bytes()[head:])

    archive = read(path, salvage=True)

    assert list(archive.records()) == []
    assert any("head" in damage for damage in archive.damage)


def test_what_only_claims_to_be_encrypted_is_refused(write: Write) -> None:
    """A segment under the name of an encrypted one is damaged, not read as it is."""
    path = write("a.parity", 3, seal=True)
    (path / _SEGMENT).rename(path / f"{_SEGMENT}.enc")

    with pytest.raises(ArchiveError):
        read(path)
    assert read(path, salvage=True).exchanges() == []


@pytest.mark.parametrize("salvage", [True, False])
@pytest.mark.parametrize(
    ("files", "message"),
    [
        (None, "not there"),
        ({}, "not an archive"),
        ({"manifest.json": b""}, "cut or damaged"),
        ({"manifest.json": b"[" * 100_000}, "cut or damaged"),
        ({"manifest.json": b'{"name": "app", "icons": []}'}, "not an archive"),
        ({"manifest.json": b'{"format": 0, "segments": 7}'}, "damaged"),
        ({"notes.txt": b"hello"}, "not an archive"),
    ],
)
def test_what_is_no_archive_is_refused(tmp_path: Path, files: dict[str, bytes] | None, message: str, *, salvage: bool) -> None:
    """Missing, empty, foreign: each is an error that says so, with the path."""
    path = tmp_path / "x"
    if files is not None:
        path.mkdir()
        for name, content in files.items():
            (path / name).write_bytes(content)

    with pytest.raises(ArchiveError, match=message) as caught:
        read(path, salvage=salvage)
    assert str(path) in str(caught.value)
    assert not is_archive(path)


def test_a_file_is_no_archive(tmp_path: Path) -> None:
    """A `.mitm` handed in as an archive is refused with the way to make one of it."""
    (tmp_path / "x.mitm").write_bytes(b"8:version;")

    with pytest.raises(ArchiveError, match="import"):
        read(tmp_path / "x.mitm")
    assert not is_archive(tmp_path / "x.mitm")


def test_is_archive_knows_whole_and_damaged_ones(write: Write) -> None:
    """A sealed, an unsealed and one without manifest are archives."""
    path = write("a.parity", 1, seal=False)
    assert is_archive(path)
    (path / "manifest.json").unlink()
    assert is_archive(path)
