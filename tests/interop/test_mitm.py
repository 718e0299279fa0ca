"""Flow files in and out: what comes back is what went in."""

import gzip
import io
import lzma
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mitmproxy import connection, flow, http
from mitmproxy.io import FlowReader, tnetstring
from mitmproxy.test import tflow

from replay.archive import ArchiveWriter, read
from replay.interop.mitm import export_mitm, import_mitm
from replay.jobs.exchanging import bring_in
from replay.model import ArchiveError, End, Ended, EndReason, GapReason, NoResponse, Response, UsageError
from replay.redact import Redactor

TOKEN = b"sig_sk_0123456789ab_" + b"Zz9-_" * 8 + b"abc"


def exchange(at: float, path: bytes = b"/x", *, length: float = 0.5, error: str = "", answered: bool = True) -> http.HTTPFlow:
    """Make a flow that starts at a time."""
    made = tflow.tflow(resp=answered)
    made.request.data.path = path
    made.request.timestamp_start = at
    made.request.timestamp_end = at + 0.1
    if made.response:
        made.response.timestamp_start = at + 0.2
        made.response.timestamp_end = None if error else at + length
    if error:
        made.error = flow.Error(error, at + length)
    return made


def save(path: Path, *flows: Any) -> Path:
    """Write flows as mitmproxy does."""
    path.write_bytes(b"".join(tnetstring.dumps(item.get_state()) for item in flows))
    return path


def states(path: Path) -> list[dict[str, Any]]:
    """Read all flows as mitmproxy does."""
    return [item.get_state() for item in FlowReader(io.BytesIO(path.read_bytes())).stream()]


def test_everything_comes_back(tmp_path: Path) -> None:
    """Id, metadata, marker, comment, error, repeated headers, trailers, times, connections and file order survive both ways."""
    first = exchange(200.0, b"/later?a=%20&a")
    first.marked, first.comment, first.metadata = ":red_circle:", "näh", {"k": [1, b"\xff", None, {"x": 1.5}]}
    first.request.headers.fields = ((b"hOst", b"h"), (b"X", b"1"), (b"x", b"2\xff"), (b"X", b"1"))
    assert first.response
    first.response.headers.fields = ((b"Date", b"a"), (b"Date", b"b"))
    first.response.trailers = http.Headers(((b"T", b"1"),))
    first.response.data.content = b"\x00\xff"
    second = exchange(100.0, b"/earlier", error="Client disconnected.")
    second.request.data.content = None
    second.client_conn.peername = ("::1", 5, 0, 0)  # type: ignore[assignment] # what asyncio gives for IPv6
    third = exchange(150.0, error="server closed connection", answered=False)
    third.is_replay = "request"
    fourth = exchange(150.0)
    fourth.backup()  # type: ignore[no-untyped-call]
    fourth.comment = "edited"
    source = save(tmp_path / "in.mitm", first, second, third, fourth)
    report = import_mitm(source, tmp_path / "a.parity")
    assert (report.flows, report.exchanges, report.others) == (4, 4, {})
    out = tmp_path / "out.mitm"
    assert export_mitm(read(tmp_path / "a.parity"), out) == 4
    assert states(out) == states(source)
    assert stat.S_IMODE(out.stat().st_mode) == 0o600


def test_ids_follow_the_start(tmp_path: Path) -> None:
    """Exchanges are numbered as they started, ties by file order, and events without holes by the flows' own times."""
    source = save(tmp_path / "in.mitm", exchange(30.0, b"/c"), exchange(10.0, b"/a", length=25), exchange(20.0, b"/b1"), exchange(20.0, b"/b2"))
    import_mitm(source, tmp_path / "a.parity")
    archive = read(tmp_path / "a.parity")
    exchanges = list(archive.exchanges())
    assert [item.request.target for item in exchanges] == [b"/a", b"/b1", b"/b2", b"/c"]
    assert [item.id for item in exchanges] == [1, 2, 3, 4]
    assert [(item.opened_event, item.headers_event, item.ended_event) for item in exchanges] == [(1, 2, 12), (3, 5, 7), (4, 6, 8), (9, 10, 11)]
    assert "own times" in archive.facts["events"]


def test_first_takes_the_first_that_started(tmp_path: Path) -> None:
    """The first n are taken by start, wherever they lie in the file."""
    source = save(tmp_path / "in.mitm", exchange(30.0, b"/c"), exchange(10.0, b"/a"), exchange(20.0, b"/b"))
    report = import_mitm(source, tmp_path / "a.parity", first=2)
    assert (report.exchanges, report.left_out) == (2, 1)
    assert [item.request.target for item in read(tmp_path / "a.parity").exchanges()] == [b"/a", b"/b"]


def test_how_exchanges_ended(tmp_path: Path) -> None:
    """A client that left, a server that closed and a proxy that gave up are told apart; no answer is made up."""
    source = save(
        tmp_path / "in.mitm",
        exchange(1.0),
        exchange(2.0, error="Client disconnected."),
        exchange(3.0, error="peer closed connection without sending complete message body"),
        exchange(4.0, error="server closed connection", answered=False),
        exchange(5.0, answered=False),
    )
    import_mitm(source, tmp_path / "a.parity")
    exchanges = list(read(tmp_path / "a.parity").exchanges())
    assert [item.end for item in exchanges] == [
        EndReason.COMPLETE,
        EndReason.CLIENT_LEFT,
        EndReason.SERVER_CLOSED,
        EndReason.PROXY_ERROR,
        EndReason.PROXY_STOPPED,
    ]
    assert [isinstance(item.outcome, NoResponse) for item in exchanges] == [False, False, False, True, True]


@pytest.mark.parametrize("parts", [[4, 6], [b"0123", b"456789"]])
def test_streams_become_chunks(tmp_path: Path, parts: list[Any]) -> None:
    """What a recording addon noted of a stream's chunks, lengths or bytes, becomes chunks with times, and comes back."""
    stream = exchange(10.0, error="Client disconnected.")
    assert stream.response
    stream.response.data.content = b"0123456789"
    stream.metadata = {"sse_chunks": [[0.5, parts[0]], [0.7, parts[1]]], "sse_end": "cut"}
    source = save(tmp_path / "in.mitm", stream)
    import_mitm(source, tmp_path / "a.parity")
    archive = read(tmp_path / "a.parity")
    [found] = archive.exchanges()
    assert [(chunk.data, round(chunk.at, 6)) for chunk in found.chunks] == [(b"0123", 10.7), (b"456789", 10.9)]
    assert isinstance(found.outcome, Response)
    assert found.outcome.body == b"0123456789"
    export_mitm(archive, tmp_path / "out.mitm")
    assert states(tmp_path / "out.mitm") == states(source)


def test_other_protocols_are_counted(tmp_path: Path) -> None:
    """What is no HTTP stays out and is one gap each kind."""
    source = save(tmp_path / "in.mitm", exchange(1.0), tflow.ttcpflow(), tflow.ttcpflow(), tflow.tudpflow())
    report = import_mitm(source, tmp_path / "a.parity")
    assert report.others == {"tcp": 2, "udp": 1}
    gaps = list(read(tmp_path / "a.parity").gaps())
    assert [(gap.reason, gap.count) for gap in gaps] == [(GapReason.SKIPPED, 2), (GapReason.SKIPPED, 1)]


@pytest.mark.parametrize("suffix", [".xz", ".gz"])
def test_compressed_files(tmp_path: Path, suffix: str) -> None:
    """Compressed flow files are read and written by their name."""
    plain = save(tmp_path / "in.mitm", exchange(1.0), exchange(2.0))
    packed = tmp_path / f"in.mitm{suffix}"
    packed.write_bytes((lzma.compress if suffix == ".xz" else gzip.compress)(plain.read_bytes()))
    import_mitm(packed, tmp_path / "a.parity")
    out = tmp_path / f"out.mitm{suffix}"
    export_mitm(read(tmp_path / "a.parity"), out)
    (tmp_path / "plain.mitm").write_bytes((lzma.decompress if suffix == ".xz" else gzip.decompress)(out.read_bytes()))
    assert states(tmp_path / "plain.mitm") == states(plain)


@pytest.mark.parametrize("cut", [10, -1, -300])
def test_a_cut_file_names_its_place(tmp_path: Path, cut: int) -> None:
    """A flow file that breaks off is refused with the flow and the byte; salvaging takes what lies before it and says so."""
    whole = save(tmp_path / "in.mitm", exchange(1.0), exchange(2.0)).read_bytes()
    one = len(save(tmp_path / "one.mitm", exchange(1.0)).read_bytes())
    source = tmp_path / "cut.mitm"
    source.write_bytes(whole[: one + cut] if cut > 0 else whole[:cut])
    with pytest.raises(ArchiveError, match=r"is cut in flow 2, which begins at byte \d+ of \d+"):
        import_mitm(source, tmp_path / "a.parity")
    assert not (tmp_path / "a.parity").exists()
    report = import_mitm(source, tmp_path / "b.parity", salvage=True)
    assert report.exchanges == 1
    assert [gap.reason for gap in read(tmp_path / "b.parity").gaps()] == [GapReason.CUT]


def test_the_refusal_names_an_option_that_there_is(tmp_path: Path) -> None:
    """`import` refuses a cut flow file and names --salvage, which takes what lies before the damage; of a HAR there is no such part."""
    source = tmp_path / "cut.mitm"
    source.write_bytes(save(tmp_path / "in.mitm", exchange(1.0), exchange(2.0)).read_bytes()[:-1])
    told: dict[str, Any] = {"first": None, "redact": False, "snapshot": None, "workspace": None, "progress": lambda *_: None}
    with pytest.raises(ArchiveError, match="--salvage imports those"):
        bring_in(source, tmp_path / "a.parity", **told)
    said = bring_in(source, tmp_path / "a.parity", **told, salvage=True)
    assert said.startswith("1 exchanges of 1 flows")
    assert "SALVAGED: the file is cut in flow 2" in said
    with pytest.raises(UsageError, match="for flow files"):
        bring_in(tmp_path / "a.har", tmp_path / "b.parity", **told, salvage=True)


@pytest.mark.parametrize("content", [b"", b"garbage", b"5:hello,", b"4:true!", b"2:{}}", b"999999999999999:", b"\x28\xb5\x2f\xfd"])
def test_what_is_no_flow_file(tmp_path: Path, content: bytes) -> None:
    """Anything else is refused with a message that names the file."""
    source = tmp_path / "in.mitm"
    source.write_bytes(content)
    with pytest.raises(ArchiveError, match=r"in\.mitm"):
        import_mitm(source, tmp_path / "a.parity")
    assert not (tmp_path / "a.parity").exists()


@pytest.mark.parametrize("suffix", [".xz", ".gz", ".bz2", ".zst"])
def test_damaged_compression(tmp_path: Path, suffix: str) -> None:
    """A compressed file that can't be unpacked is refused with a message."""
    source = tmp_path / f"in.mitm{suffix}"
    source.write_bytes(b"not compressed at all")
    with pytest.raises(ArchiveError, match="compressed data"):
        import_mitm(source, tmp_path / "a.parity")


def test_misuse(tmp_path: Path) -> None:
    """A missing file, a HAR file, a snapshot without its path and a taken destination are said in words."""
    har = tmp_path / "x.har"
    har.write_text('{"log": {}}')
    with pytest.raises(UsageError, match="no such file"):
        import_mitm(tmp_path / "nothing.mitm", tmp_path / "a.parity")
    with pytest.raises(UsageError, match="HAR"):
        import_mitm(har, tmp_path / "a.parity")
    source = save(tmp_path / "in.mitm", exchange(1.0))
    with pytest.raises(UsageError, match="needs the path"):
        import_mitm(source, tmp_path / "a.parity", snapshot=tmp_path)
    import_mitm(source, tmp_path / "a.parity")
    with pytest.raises(ArchiveError, match="already"):
        import_mitm(source, tmp_path / "a.parity")
    with pytest.raises(UsageError, match="already"):
        export_mitm(read(tmp_path / "a.parity"), source)


def test_redaction_reaches_everything(tmp_path: Path) -> None:
    """When asked, no credential stays, neither in the exchange nor in what is kept beside it, and an edited flow's backup is dropped."""
    item = exchange(1.0, b"/x?token=" + TOKEN)
    item.request.headers.fields = ((b"Authorization", b"Bearer " + TOKEN), (b"Cookie", b"a=verysecretcookie"))
    item.backup()  # type: ignore[no-untyped-call]
    item.comment = "see " + TOKEN.decode()
    item.metadata = {"note": TOKEN}
    item.error = flow.Error("failed with " + TOKEN.decode(), 3.0)
    source = save(tmp_path / "in.mitm", item)
    report = import_mitm(source, tmp_path / "a.parity", redactor=Redactor(b"k" * 32))
    assert sum(report.redactions.values()) >= 3
    export_mitm(read(tmp_path / "a.parity"), tmp_path / "out.mitm")
    data = (tmp_path / "out.mitm").read_bytes()
    assert TOKEN[20:] not in data
    assert b"verysecretcookie" not in data
    [back] = states(tmp_path / "out.mitm")
    assert back["backup"] is None
    assert len(back["comment"]) == len(item.comment)


def test_redaction_sees_across_chunks(tmp_path: Path) -> None:
    """A credential that a stream's chunks cut in two is replaced in both of them."""
    stream = exchange(10.0)
    assert stream.response
    stream.response.headers["content-type"] = "text/event-stream"
    stream.response.data.content = b"data: " + TOKEN + b"\n\n"
    stream.metadata = {"sse_chunks": [[0.5, 36], [0.7, len(stream.response.data.content) - 36]]}
    report = import_mitm(save(tmp_path / "in.mitm", stream), tmp_path / "a.parity", redactor=Redactor(b"k" * 32))
    assert sum(report.redactions.values()) == 2
    [found] = read(tmp_path / "a.parity").exchanges()
    assert isinstance(found.outcome, Response)
    assert found.outcome.body is not None
    assert [len(chunk.data) for chunk in found.chunks] == [36, len(found.outcome.body) - 36]
    assert TOKEN[20:30] not in found.outcome.body
    assert TOKEN[30:40] not in found.outcome.body


def test_a_snapshot_is_attached(tmp_path: Path) -> None:
    """A workspace goes into the archive as the events before the first request."""
    workspace = tmp_path / "ws"
    workspace.mkdir()
    (workspace / "agent.yaml").write_text("name: x\n")
    source = save(tmp_path / "in.mitm", exchange(1.0))
    report = import_mitm(source, tmp_path / "a.parity", snapshot=workspace, workspace="/srv/ws")
    archive = read(tmp_path / "a.parity")
    [snapshot] = archive.snapshots()
    assert report.snapshot_files == 1
    assert (snapshot.workspace, snapshot.event_before, snapshot.event_after) == ("/srv/ws", 1, 2)
    assert next(iter(archive.exchanges())).opened_event == 3


def test_no_connection_at_all(tmp_path: Path) -> None:
    """A flow without addresses comes back as it was."""
    item = exchange(1.0, answered=False, error="no upstream")
    item.server_conn = connection.Server(address=None)
    source = save(tmp_path / "in.mitm", item)
    import_mitm(source, tmp_path / "a.parity")
    export_mitm(read(tmp_path / "a.parity"), tmp_path / "out.mitm")
    assert states(tmp_path / "out.mitm") == states(source)


@pytest.mark.samples
@pytest.mark.parametrize(("name", "count"), [("js", 931), ("rust-first-half", 335)])
def test_the_real_recordings_come_back(samples: Path, tmp_path: Path, name: str, count: int) -> None:
    """Every flow of the real recordings is the same, in all that a flow file holds, after import and export."""
    source = samples / f"{name}.mitm.xz"
    import_mitm(source, tmp_path / "a.parity")
    archive = read(tmp_path / "a.parity")
    assert export_mitm(archive, tmp_path / "out.mitm") == count
    (tmp_path / "plain.mitm").write_bytes(lzma.decompress(source.read_bytes()))
    assert states(tmp_path / "out.mitm") == states(tmp_path / "plain.mitm")
    assert sum(item.streamed for item in archive.exchanges()) == (9 if name == "js" else 1)


@pytest.mark.samples
def test_the_real_recordings_agree(samples: Path, tmp_path: Path) -> None:
    """The first 335 requests of one real recording are the requests of the other, up to ids."""
    import_mitm(samples / "js.mitm.xz", tmp_path / "js.parity", first=335)
    import_mitm(samples / "rust-first-half.mitm.xz", tmp_path / "rust.parity")
    left, right = (list(read(tmp_path / f"{name}.parity").exchanges()) for name in ("js", "rust"))
    assert len(left) == len(right) == 335
    assert [item.request.method for item in left] == [item.request.method for item in right]
    assert [item.request.target.count(b"/") for item in left] == [item.request.target.count(b"/") for item in right]


@pytest.mark.samples
def test_the_real_workspace_is_attached(samples: Path, tmp_path: Path) -> None:
    """The workspace of the real recording, a tar with one folder at its top, becomes the archive's snapshot."""
    report = import_mitm(
        samples / "rust-first-half.mitm.xz",
        tmp_path / "a.parity",
        first=1,
        snapshot=samples / "workspace.tar.xz",
        workspace="/tmp/ws-js",  # noqa: S108 - where it was recorded
    )
    assert report.snapshot_files is not None
    assert report.snapshot_files > 30
    extracted = read(tmp_path / "a.parity").extract_snapshot(1, tmp_path / "out")
    assert (tmp_path / "out" / "agent.yaml").is_file()
    assert extracted.files == report.snapshot_files


def test_a_recording_survives_as_a_flow_file(tmp_path: Path) -> None:
    """An archive that did not come from a flow file, exported and imported, holds the same exchanges, with the times of a stream's chunks."""
    stream = exchange(10.0, b"/stream", error="Client disconnected.")
    assert stream.response
    stream.response.data.content = b"0123456789"
    stream.metadata = {"sse_chunks": [[0.25, 4], [0.5, 6]]}
    source = save(tmp_path / "in.mitm", exchange(20.0, b"/late"), stream, exchange(30.0, answered=False, error="server closed connection"))
    import_mitm(source, tmp_path / "a.parity")
    first = read(tmp_path / "a.parity")
    with ArchiveWriter.create(tmp_path / "b.parity", kind="recording", facts={}) as writer:
        for record in first.records():
            if isinstance(record, End):
                writer.seal(event=record.event, at=record.at, reason="as if recorded")
            else:
                writer.append(replace(record, opaque=b"") if isinstance(record, Ended) else record)
    export_mitm(read(tmp_path / "b.parity"), tmp_path / "out.mitm")
    import_mitm(tmp_path / "out.mitm", tmp_path / "c.parity")
    before, after = ([replace(item, opaque=b"") for item in read(tmp_path / f"{name}.parity").exchanges()] for name in ("a", "c"))
    assert after == before
