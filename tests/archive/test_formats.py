"""Older formats: the frozen samples are read with today's tool, and what is none of a format is refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from replay.archive import FORMAT, Archive, read, verify
from replay.archive.formats import convert_entry, convert_manifest
from replay.archive.shapes import Mismatch
from replay.model import (
    Answered,
    Attachment,
    Chunks,
    End,
    Ended,
    NoResponse,
    Redaction,
    Response,
    SnapshotRecord,
    Statistics,
    WorkspaceChange,
)

RECORDINGS = Path(__file__).parents[2] / "recordings"
_TYPES_0 = [
    "attachment", "binding", "chunks", "daemon", "end", "exchange", "gap", "opened", "provider", "snapshot", "statistics", "wait", "workspace",
]  # fmt: skip


@pytest.fixture
def oldest(tmp_path: Path) -> Path:
    """Give a copy of the sample of format 0."""
    shutil.copytree(RECORDINGS / "v0.parity", tmp_path / "v0.parity")
    return tmp_path / "v0.parity"


def _of[Kind](archive: Archive, kind: type[Kind]) -> list[Kind]:
    return [record for record in archive.records() if isinstance(record, kind)]


def test_format_0_is_read_as_it_was(oldest: Path) -> None:
    """The frozen sample of format 0 has its digest, no problems, and every record with what later formats added left empty."""
    archive = read(oldest)

    assert archive.format == 0
    assert archive.digest == "00d1d1ebd8d859b9f4b2bcec6d7d85dcd3bea9c0e5c499a044ad7c0d96c8b8f1"
    assert verify(oldest).problems == ()
    assert sorted(verify(oldest).counts) == sorted([*_TYPES_0, "blocks", "events"])
    assert _of(archive, Chunks)[0].side == "response"
    assert not any(record.request_streamed for record in _of(archive, Ended))
    assert (_of(archive, SnapshotRecord)[0].taken_at, _of(archive, SnapshotRecord)[0].replaced) == ("start", {})
    assert (_of(archive, WorkspaceChange)[0].modified_at, _of(archive, Attachment)[0].redactions) == (None, ())
    assert _of(archive, Statistics)[0].values == {"exchanges": 5.0}
    assert _of(archive, End) == [End(20, 1_795_435_210.0, "done", cut=False)]
    assert _of(archive, Answered) == []


def test_exchanges_of_format_0(oldest: Path, tmp_path: Path) -> None:
    """Plain, streamed, big and unanswered exchanges, the gap and the snapshot come out of the old sample."""
    joined = read(oldest).join()
    plain, stream, big, dead = joined.exchanges

    assert (plain.request.target, plain.connection.server, plain.redactions) == (
        b"/health?x=%20",
        "s1",
        (Redaction("request.header:1", 0, 3, "api-key"),),
    )
    assert stream.streamed
    assert isinstance(stream.outcome, Response)
    assert stream.outcome.body == b"data: 1\n\ndata: 2\n\n"
    assert isinstance(big.outcome, Response)
    assert big.outcome.body == big.request.body == bytes(range(256)) * 1200
    assert dead.outcome == NoResponse("connection refused")
    assert [gap.exchange for gap in joined.gaps] == [5]
    assert (read(oldest).unpack_snapshot(1, tmp_path / "out") / "memory" / "2026-11-23.md").read_text() == "- likes tea\n"


def test_format_0_without_its_manifest(oldest: Path) -> None:
    """The old sample is salvaged without its manifest too: the segments say which format they are of."""
    whole = list(read(oldest).records())
    (oldest / "manifest.json").unlink()

    archive = read(oldest, salvage=True)

    assert list(archive.records()) == whole
    assert archive.format == 0


@pytest.mark.parametrize("name", ["segment-000001.msgpack.zst", "segment-000002.msgpack.zst"])
def test_format_0_cut_is_noticed(oldest: Path, name: str) -> None:
    """A cut segment of the old format is refused, and a salvage gives what is whole."""
    content = (oldest / name).read_bytes()
    (oldest / name).write_bytes(content[: len(content) // 2])

    assert not verify(oldest).good
    assert 0 < len(list(read(oldest, salvage=True).records())) < 20


@pytest.mark.parametrize(
    "block",
    [
        {"offset": "x"}, {"offset": -1}, {"length": 2**70}, {"length": 0}, {"holds": "gold"}, {"body": "zz", "holds": "body"}, {"more": 1},
        {"offset": 2**80}, {"sha256": None}, None,
    ],
)  # fmt: skip
def test_a_manifest_of_format_0_that_lies(oldest: Path, block: dict[str, Any] | None) -> None:
    """An old manifest with a right digest and a wrong index is refused like a damaged one."""
    from hashlib import sha256

    content = json.loads((oldest / "manifest.json").read_bytes())
    if block is None:
        del content["segments"][0]["blocks"]
    else:
        content["segments"][0]["blocks"][1].update(block)
    del content["sha256"]
    content["sha256"] = sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    (oldest / "manifest.json").write_text(json.dumps(content))

    assert not verify(oldest).good


@pytest.mark.parametrize(
    "entry",
    [
        {"type": "answered"}, {"type": "index"}, {"type": "chunks", "side": "request"}, {"type": "end", "cut": True},
    ],
)  # fmt: skip
def test_what_a_format_did_not_know_is_refused(entry: dict[str, Any]) -> None:
    """A record or field of a later format does not pass under an older number."""
    with pytest.raises(Mismatch, match="later format"):
        convert_entry(entry, 0)


@pytest.mark.parametrize("number", [-1, None, "1", True])
def test_a_number_that_is_none_is_refused(number: Any) -> None:
    """A format is a whole number from 0 on."""
    with pytest.raises(Mismatch):
        convert_manifest({}, number)
    with pytest.raises(Mismatch):
        convert_entry({"type": "segment", "format": number}, FORMAT)
