"""Two archives with a control: every planned exchange leaves as one pair or one gap."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from replay.archive import Archive, ArchiveWriter, read
from replay.compare import Comparison, compare_archives
from replay.model import Ended, Exchange, Gap, GapReason, NoResponse, Opened, Response, UsageError, Witness

type Maker = Callable[..., Exchange]
GIVEN = "11111111-1111-4111-8111-111111111111"


def write(path: Path, exchanges: Sequence[Exchange], gaps: Sequence[Gap] = (), **facts: Any) -> Archive:
    """Write exchanges as an archive and open it."""
    with ArchiveWriter.create(path, kind="observed" if "replay_of" in facts else "recording", facts=facts) as writer:
        for item in exchanges:
            writer.append(Opened(item.id, item.opened_event, item.started_at, item.connection, replace(item.request, body=b""), item.lane))
            ended = Ended(
                item.id,
                item.ended_event,
                item.ended_at,
                item.end,
                item.outcome,
                item.request.body,
                headers_event=item.headers_event,
                note=item.note,
            )
            writer.append(ended)
        for gap in gaps:
            writer.append(gap)
        writer.seal(event=3 * len(exchanges) + 1, at=0.0, reason="test")
    return read(path)


def compare(
    tmp_path: Path,
    recorded: Sequence[Exchange],
    observed: Sequence[Exchange],
    control: Sequence[Exchange] | None = None,
    gaps: Sequence[Gap] = (),
    **facts: Any,
) -> Comparison:
    """Write, open and compare."""
    first = write(tmp_path / "r.parity", recorded)
    second = write(tmp_path / "o.parity", observed, gaps, replay_of=first.id, **facts)
    thirds = [] if control is None else [write(tmp_path / "c.parity", control, replay_of=first.id)]
    return compare_archives(first, second, thirds, lambda _done, _of: None)


def test_every_exchange_leaves_once(exchange: Maker, tmp_path: Path) -> None:
    """Compared, left out, not observed and without a recorded answer: four exchanges, four pairs."""
    recorded = [exchange(1, {}), exchange(2, {}), exchange(3, {}), exchange(4, outcome=NoResponse("dropped"))]
    made = compare(tmp_path, recorded, [exchange(1, {}), exchange(4, {})], gaps=[Gap(GapReason.UNSAFE, exchange=2)])

    assert {pair.exchange: pair.gap for pair in made.pairs} == {1: None, 2: "unsafe", 3: "not observed", 4: "no recorded response"}


def test_what_the_control_does_too_is_infidelity(exchange: Maker, tmp_path: Path) -> None:
    """A status that control and candidate agree on against the recording makes a gap, not a finding."""
    made = compare(tmp_path, [exchange(1, {})], [exchange(1, {}, status=404)], [exchange(1, {}, status=404)])

    assert made.pairs[0].gap == "infidelity"
    assert made.findings == ()


def test_the_candidates_own_doing_is_confirmed(exchange: Maker, tmp_path: Path) -> None:
    """What only the candidate does is the candidate's."""
    made = compare(tmp_path, [exchange(1, {"a": "x"})], [exchange(1, {"a": "y"})], [exchange(1, {"a": "x"})])

    assert [(item.witness, item.primary, item.candidate, item.control) for item in made.findings] == [(Witness.CANDIDATE, '"x"', '"y"', '"x"')]


def test_a_crash_of_the_comparer_is_a_gap(exchange: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exchange on which the comparer fails is a gap of its own reason, never equal."""
    import replay.compare.archives as room

    def crash(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(room, "compare_exchange", crash)
    made = compare(tmp_path, [exchange(1, {"a": 1})], [exchange(1, {"a": 2})])

    assert (made.pairs[0].gap, made.pairs[0].gap_detail) == ("comparer failed", "RuntimeError: broken")


def test_a_missing_id_derives_the_status(exchange: Maker, tmp_path: Path) -> None:
    """Where the player says that an id was not given again, the 404 follows from the exchange that should have given it."""
    lost = replace(exchange(2, {}, status=404), note=f"{GIVEN} was not given again by #1")
    made = compare(tmp_path, [exchange(1, {"id": GIVEN}), exchange(2, {})], [exchange(1, {}), lost])

    assert [item.derived_from.startswith("#1,") for item in made.findings if item.kind == "status"] == [True]


def test_nothing_follows_from_an_equal_answer(exchange: Maker, tmp_path: Path) -> None:
    """Where the answer that should have given the id has no finding, a 404 after it stands for itself."""
    lost = replace(exchange(2, {}, status=404), note=f"{GIVEN} was not given again by #1")
    made = compare(tmp_path, [exchange(1, {}), exchange(2, {})], [exchange(1, {}), lost])

    assert [(item.kind, item.derived_from) for item in made.findings] == [("status", "")]


def test_a_mapped_cells_path_is_no_finding(exchange: Maker, tmp_path: Path) -> None:
    """The workspace's place in a mapped cell is read as the recorded one."""
    one, two = exchange(1, {"file": "/home/a/ws/MEMORY.md"}), exchange(1, {"file": "/cells/7/ws/MEMORY.md"})
    made = compare(tmp_path, [one], [two], recorded_workspace="/home/a/ws", workspace="/cells/7/ws")

    assert made.findings == ()


def test_a_folded_poll_is_not_timed(exchange: Maker, tmp_path: Path) -> None:
    """An answer that was asked for several times says nothing about speed."""
    slow = replace(exchange(1, {}, duration_ms=5000), note="folded poll: asked 9 times in 4.9 s")
    made = compare(tmp_path, [exchange(1, {})], [slow], [exchange(1, {})])

    assert dict(made.timing).get("pairs timed", 0) == 0


def test_a_replay_of_something_else_is_refused(exchange: Maker, tmp_path: Path) -> None:
    """An observed archive is compared with the recording that it repeats, and no other."""
    first = write(tmp_path / "a.parity", [exchange(1, {})])
    other = write(tmp_path / "b.parity", [exchange(1, {})], replay_of="another")

    with pytest.raises(UsageError, match="is a replay of the recording another"):
        compare_archives(first, other, [], lambda _done, _of: None)


def test_other_questions_prove_nothing(exchange: Maker, tmp_path: Path) -> None:
    """Where one client of two recordings asked for nobody, what differs follows from that, and the pair is counted."""
    nobody = b"00000000-0000-4000-8000-000000000000"
    somebody = b"11111111-1111-4111-8111-111111111111"
    recorded = write(tmp_path / "r.parity", [exchange(1, {"a": 1}, target=b"/api/memory/" + somebody)])
    other = write(tmp_path / "o.parity", [exchange(1, {"error": "x"}, status=404, target=b"/api/memory/" + nobody)])
    made = compare_archives(recorded, other, [], lambda _done, _of: None)

    assert all("differ" in item.derived_from for item in made.findings)
    assert dict(made.not_compared)["pairs that asked different questions"] == 1


def test_parts_lost_of_one_exchange_are_one_gap(exchange: Maker, tmp_path: Path) -> None:
    """A recorder that lost several parts of an exchange says so for each; it is one planned exchange, and one gap."""
    lost = [Gap(GapReason.NOT_WRITTEN, event=5, exchange=2, detail="head"), Gap(GapReason.NOT_WRITTEN, event=6, exchange=2, detail="end")]
    recorded = write(tmp_path / "r.parity", [exchange(1, {})], lost)
    made = compare_archives(recorded, write(tmp_path / "o.parity", [exchange(1, {})], replay_of=recorded.id), [], lambda _done, _of: None)

    assert [(pair.exchange, pair.gap, pair.gap_detail) for pair in made.pairs] == [(1, None, ""), (2, "not written", "head")]


def test_what_follows_from_the_replays_status_hides_no_gap(exchange: Maker, tmp_path: Path) -> None:
    """Where candidate and control share a status that was not recorded, another kind of body does not make it a comparison."""
    observed = exchange(1, status=500, raw=b"<html>x</html>", media=b"text/html")
    made = compare(tmp_path, [exchange(1, {"a": 1})], [observed], [exchange(1, {"e": 1}, status=500)])

    assert (made.pairs[0].gap, made.findings) == ("infidelity", ())


def test_a_crash_leaves_no_findings(exchange: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exchange is a gap or has findings, never both."""
    import replay.compare.archives as room

    def crash(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(room, "alone", crash)
    made = compare(tmp_path, [exchange(1, {"a": 1})], [exchange(1, {"a": 2})])

    assert (made.pairs[0].gap, made.findings) == ("comparer failed", ())


def test_strangers_in_another_recording_are_counted(exchange: Maker, tmp_path: Path) -> None:
    """Of two recordings of one client, what only one holds is a gap, or is counted as compared with nothing."""
    asked = [exchange(n, {}, target=f"/api/{n}".encode()) for n in range(1, 23)]
    less = write(tmp_path / "a.parity", asked[1:])
    more = write(tmp_path / "b.parity", asked)

    assert dict(compare_archives(less, more, [], lambda _done, _of: None).not_compared)["exchanges that stand for no recorded one"] == 1
    assert compare_archives(more, less, [], lambda _done, _of: None).pairs[0].gap == "unaligned"


@pytest.mark.parametrize(("method", "status", "gap"), [(b"GET", 200, "shed"), (b"HEAD", 200, None), (b"GET", 204, None), (b"GET", 304, None)])
def test_a_body_that_was_shed_is_no_pass(method: bytes, status: int, gap: str | None, exchange: Maker, tmp_path: Path) -> None:
    """Where the recorder left an answer's body out, there is nothing to compare; an answer that has none by nature is compared."""
    bodiless = Response(b"HTTP/1.1", status, b"", (), None)
    shed = [Gap(GapReason.SHED, event=8, exchange=1, detail="the answer's body")]
    first = write(tmp_path / "r.parity", [exchange(1, outcome=bodiless, method=method), exchange(2, {})], shed)
    answer = replace(bodiless, body=b"{}") if gap else bodiless
    second = write(tmp_path / "o.parity", [exchange(1, outcome=answer, method=method), exchange(2, {})], replay_of=first.id)
    made = compare_archives(first, second, [], lambda _done, _of: None)

    assert [(pair.gap, pair.gap_detail) for pair in made.pairs] == [(gap, "the answer's body" if gap else ""), (None, "")]


def test_another_recording_may_lack_a_body_too(exchange: Maker, tmp_path: Path) -> None:
    """Of two recordings of one client, a body that either recorder left out is a gap with that reason."""
    first = write(tmp_path / "r.parity", [exchange(1, {"a": 1}), exchange(2, {})])
    lacking = exchange(1, outcome=Response(b"HTTP/1.1", 200, b"", (), None))
    second = write(tmp_path / "o.parity", [lacking, exchange(2, {})], [Gap(GapReason.SHED, event=8, exchange=1, detail="a body")])

    assert [pair.gap for pair in compare_archives(first, second, [], lambda _done, _of: None).pairs] == ["shed", None]


def test_only_the_daemons_own_lane_is_compared(exchange: Maker, tmp_path: Path) -> None:
    """What the daemon asked others is planned and a gap, whatever another recording holds of it."""
    asked = replace(exchange(2, {"say": "one"}, target=b"/v1/chat/completions"), lane="provider")
    first = write(tmp_path / "r.parity", [exchange(1, {}), asked])
    for name, others in (("same", [exchange(1, {}), asked]), ("without", [exchange(1, {})])):
        made = compare_archives(first, write(tmp_path / name, others), [], lambda _done, _of: None)
        assert [(pair.gap, pair.gap_detail) for pair in made.pairs] == [(None, ""), ("not asked for", "lane provider")]
        assert made.not_compared == ()
