"""What a recording says that it lacks is kept in every run that is made of it."""

import datetime as dt
from pathlib import Path

from replay.archive import Archive, ArchiveWriter, read
from replay.jobs.judging import Basis, compare_run
from replay.model import Connection, Ended, EndReason, Gap, GapReason, Opened, Request, Response

NOW = dt.datetime(2026, 11, 23, 3, tzinfo=dt.UTC)


def write(path: Path, *gaps: Gap, lanes: tuple[str, ...] = ("daemon",), replay_of: str = "") -> Archive:
    """Write an archive with one exchange on each lane, and gaps."""
    facts = {"replay_of": replay_of} if replay_of else {}
    with ArchiveWriter.create(path, kind="observed" if replay_of else "recording", facts=facts) as writer:
        for number, lane in enumerate(lanes, 1):
            answer = Response(b"HTTP/1.1", 200, b"OK", ((b"content-type", b"application/json"),), b'{"a":"b"}')
            request = Request(b"GET", b"/api/memories", b"HTTP/1.1", ())
            writer.append(Opened(number, 2 * number - 1, 1.0, Connection("c"), request, lane))
            writer.append(Ended(number, 2 * number, 1.1, EndReason.COMPLETE, answer, b""))
        for gap in gaps:
            writer.append(gap)
        writer.seal(event=99, at=2.0, reason="test")
    return read(path)


def test_gaps_without_a_name_stand_beside_the_recording(tmp_path: Path) -> None:
    """What was sampled out is no planned exchange, makes no run incomplete, and is told; what names an exchange is planned."""
    sampled = [Gap(GapReason.SAMPLED, event=10 + count, count=count) for count in (40, 2)]
    recorded = write(tmp_path / "r.parity", *sampled, Gap(GapReason.CUT, exchange=7))
    observed = write(tmp_path / "o.parity", Gap(GapReason.CUT, exchange=7), replay_of=recorded.id)
    run = compare_run(recorded, observed, [], Basis(), run_path=tmp_path / "run", seed=1, now=NOW, progress=lambda *_: None)

    assert run.recorded.lacks == (("sampled out", 42),)
    assert run.observed.lacks == ()
    assert (run.planned, run.compared, run.gaps) == (2, 1, {"cut": 1})


def test_another_lane_makes_no_run_incomplete(tmp_path: Path) -> None:
    """However much the daemon asked its model, it is planned, a gap that nobody asked for, and in no share."""
    recorded = write(tmp_path / "r.parity", lanes=("daemon", *["provider"] * 50))
    gaps = [Gap(GapReason.OUT_OF_SCOPE, exchange=number, detail="lane provider") for number in range(2, 52)]
    observed = write(tmp_path / "o.parity", *gaps, replay_of=recorded.id)
    run = compare_run(recorded, observed, [], Basis(), run_path=tmp_path / "run", seed=1, now=NOW, progress=lambda *_: None)

    assert (run.planned, run.compared, run.gaps) == (51, 1, {"not asked for": 50})
    assert run.verdict == "pass"
