"""A judged run as a flow file."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from mitmproxy.io import FlowReader
from mitmproxy.utils import emoji

from replay.archive import Archive, ArchiveWriter, read
from replay.interop.mitm import export_run
from replay.interop.mitm.review import GAP_MARKER, MARKERS, SAME_MARKER
from replay.model import (
    Connection,
    DifferenceClass,
    Divergence,
    Ended,
    EndReason,
    Finding,
    Opened,
    Pair,
    Request,
    Response,
    Subject,
    UsageError,
    Verdict,
)
from replay.runs import Party, Run


def archive(path: Path, kind: str, ids: list[int]) -> Archive:
    """Write an archive with exchanges of these ids."""
    with ArchiveWriter.create(path, kind="recording" if kind == "recording" else "observed", facts={}) as writer:
        event = 0
        for number in ids:
            request = Request(b"GET", b"/api/x/%d" % number, b"HTTP/1.1", ((b"Host", b"127.0.0.1:3850"),))
            answer = Response(b"HTTP/1.1", 200, b"OK", (), kind.encode())
            writer.append(Opened(number, event + 1, 1.0, Connection("c", None, "127.0.0.1:5"), request))
            writer.append(Ended(number, event + 3, 2.0, EndReason.COMPLETE, answer, b"", headers_event=event + 2, first_byte_at=1.5))
            event += 3
        writer.seal(event=event + 1, at=3.0, reason="test")
    return read(path)


def divergence(exchange: int, verdict: Verdict, cluster: str) -> Divergence:
    """Make a judged finding."""
    finding = Finding(
        check="http",
        subject=Subject("exchange", str(exchange)),
        domain="read",
        route="GET /api/x/:id",
        difference=DifferenceClass.SEMANTIC,
        kind="value",
        path="$.a",
        at="$.a",
        primary="1",
        candidate='"' + "x" * 500 + '"',
    )
    return Divergence(finding, verdict, "nobody said otherwise", cluster)


@pytest.fixture
def run() -> Run:
    """Give a run of four exchanges: noise and open, identical, a gap, and one that was not observed."""
    party = Party("recorded", "a", "a.parity", "d", "js", 0.0, 4)
    pairs = tuple(
        Pair(number, "read", "GET /api/x/:id", "GET", f"/api/x/{number}", gap, "why" if gap else "", None)
        for number, gap in ((1, None), (2, None), (3, "unsafe"))
    )
    judged = (divergence(1, Verdict.NOISE, "c-1"), divergence(1, Verdict.OPEN, "c-2"))
    return Run(
        recorded=party,
        observed=party,
        control=None,
        verdict="fail",
        because="",
        started_at=0.0,
        seed=1,
        tool="t",
        pairs=pairs,
        findings=tuple(item.finding for item in judged),
        divergences=judged,
        clusters=(),
        answers=(),
    )


def test_two_flows_each_with_the_verdict(run: Run, tmp_path: Path) -> None:
    """Each exchange is there as recorded and as observed, marked by its worst verdict, and reaches no daemon when replayed."""
    recorded, observed = archive(tmp_path / "r.parity", "recording", [1, 2, 3]), archive(tmp_path / "o.parity", "observed", [1, 2])
    out = tmp_path / "run.mitm"
    assert export_run(run, recorded, observed, out) == 5
    flows = [item.get_state() for item in FlowReader(io.BytesIO(out.read_bytes())).stream()]
    assert [(item["metadata"]["parity_exchange"], item["metadata"]["parity_side"]) for item in flows] == [
        (1, "recorded"),
        (1, "observed"),
        (2, "recorded"),
        (2, "observed"),
        (3, "recorded"),
    ]
    assert [item["marked"] for item in flows] == [MARKERS[Verdict.OPEN]] * 2 + [SAME_MARKER] * 2 + [GAP_MARKER]
    assert [item["response"]["content"] for item in flows[:2]] == [b"recording", b"observed"]
    comment = flows[0]["comment"]
    assert "open semantic c-2: value at $.a: 1 → " in comment
    assert comment.index("c-2") < comment.index("c-1")
    assert len(comment) < 600
    assert "not compared: unsafe: why" in flows[4]["comment"]
    assert len({item["id"] for item in flows}) == 5
    for item in flows:
        assert (item["request"]["host"], item["request"]["port"]) == ("127.0.0.1", 9)
        assert tuple(item["server_conn"]["address"]) == ("127.0.0.1", 9)
        assert item["request"]["headers"][0] == (b"Host", b"127.0.0.1:3850")
        assert item["client_conn"]["proxy_mode"] == "regular"


def test_a_pair_stands_together_in_the_list(run: Run, tmp_path: Path) -> None:
    """Sorted as mitmweb sorts, each observed flow follows its recorded one; the times that were measured stay."""
    recorded, observed = archive(tmp_path / "r.parity", "recording", [1, 2, 3]), archive(tmp_path / "o.parity", "observed", [1, 2])
    out = tmp_path / "run.mitm"
    export_run(run, recorded, observed, out)
    flows = sorted(FlowReader(io.BytesIO(out.read_bytes())).stream(), key=lambda flow: flow.timestamp_created)
    assert [(flow.metadata["parity_exchange"], flow.metadata["parity_side"]) for flow in flows] == [
        (1, "recorded"),
        (1, "observed"),
        (2, "recorded"),
        (2, "observed"),
        (3, "recorded"),
    ]
    assert {flow.get_state()["request"]["timestamp_start"] for flow in flows} == {1.0}


def test_two_recordings_are_paired_as_they_were_compared(run: Run, tmp_path: Path) -> None:
    """Of two recordings the exchange that was compared is shown, under the pair's number; a gap has no counterpart there."""
    recorded, other = archive(tmp_path / "r.parity", "recording", [1, 2, 3]), archive(tmp_path / "o.parity", "recording", [1, 2, 3])
    aligned = replace(run, pairs=(replace(run.pairs[0], observed_exchange=3), replace(run.pairs[1], gap="missing"), run.pairs[2]))
    out = tmp_path / "run.mitm"
    assert export_run(aligned, recorded, other, out) == 4
    flows = list(FlowReader(io.BytesIO(out.read_bytes())).stream())
    assert [flow.get_state()["request"]["path"] for flow in flows] == [b"/api/x/1", b"/api/x/3", b"/api/x/2", b"/api/x/3"]
    assert flows[1].metadata["parity_exchange"] == 1
    assert flows[1].comment.startswith("#1 open, observed as #3 · read · ")


def test_markers_are_mitmproxys() -> None:
    """Every marker that is used is one that mitmproxy knows."""
    for marker in (*MARKERS.values(), GAP_MARKER, SAME_MARKER):
        assert marker in emoji.emoji


def test_nothing_is_written_over(run: Run, tmp_path: Path) -> None:
    """A file that is there stays."""
    recorded = archive(tmp_path / "r.parity", "recording", [1])
    out = tmp_path / "run.mitm"
    out.write_text("mine")
    with pytest.raises(UsageError, match="already"):
        export_run(run, recorded, recorded, out)
    assert out.read_text() == "mine"
