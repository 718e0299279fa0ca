"""When a comparison proves nothing, because both replays were broken in the same way."""

import datetime as dt
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from replay.archive import Archive, ArchiveWriter, read
from replay.jobs.judging import Basis, compare_run, exit_code
from replay.judge.completeness import incompleteness
from replay.model import (
    Connection,
    DifferenceClass,
    Ended,
    EndReason,
    Finding,
    GapReason,
    Opened,
    Pair,
    ProviderCall,
    Request,
    Response,
    Subject,
    Witness,
)
from replay.runs import Run

NOW = dt.datetime(2026, 11, 23, 3, tzinfo=dt.UTC)

type Said = tuple[str, int, object]
"""Target, status and JSON answer of an exchange."""


def pair(number: int, route: str = "GET /a", domain: str = "read", gap: GapReason | None = None, detail: str = "") -> Pair:
    """Make a planned exchange."""
    return Pair(number, domain, route, "GET", "/a", None if gap is None else str(gap), detail)


def spoilt(number: int, kind: str = "value") -> Finding:
    """Make a finding that control and candidate have in common."""
    place = ("read", "GET /a", DifferenceClass.SEMANTIC, kind, "$", "$")
    return Finding("http", Subject("exchange", str(number)), *place, "1", "2", witness=Witness.INFIDELITY)


def told(pairs: Sequence[Pair], findings: Sequence[Finding] = (), *, excused: bool = False) -> str:
    """Say why it proves nothing."""
    return incompleteness(pairs, findings, lambda _: excused)


@pytest.mark.parametrize(("spoilt_of_100", "complete"), [(5, True), (6, False)])
def test_whole_exchanges_are_few(spoilt_of_100: int, complete: bool) -> None:  # noqa: FBT001  # a case of the test
    """Up to 5 % of a domain's exchanges may be the replay's own doing as a whole; the sentence says how many of how many."""
    pairs = [pair(number, gap=GapReason.INFIDELITY if number <= spoilt_of_100 else None) for number in range(1, 101)]
    said = told(pairs)
    assert (said == "") is complete
    assert complete or ("read: 6 of 100" in said and "5%" in said)


@pytest.mark.parametrize(("spoilt_of_100", "complete"), [(10, True), (11, False)])
def test_leaves_are_few(spoilt_of_100: int, complete: bool) -> None:  # noqa: FBT001  # a case of the test
    """Up to 10 % may differ in a leaf in both replays; what noise explains is not counted."""
    pairs, findings = [pair(number) for number in range(1, 101)], [spoilt(number) for number in range(1, spoilt_of_100 + 1)]
    assert (told(pairs, findings) == "") is complete
    assert told(pairs, findings, excused=True) == ""


def test_a_route_or_domain_of_which_nothing_is_known_voids_the_run() -> None:
    """However small, a route or domain with nothing but the replay's own doing proves nothing."""
    sound = [pair(number) for number in range(1, 101)]
    assert "GET /b: 1 of 1" in told([*sound, pair(101, "GET /b", gap=GapReason.INFIDELITY)])
    assert "secrets: 1 of 1" in told([*sound, pair(101, "GET /a", "secrets", GapReason.INFIDELITY)])


def test_empty_recalls_void_the_run() -> None:
    """Where every answer of a route lacks things in both replays, nothing is known of it; where one still has them, something is."""
    pairs = [*(pair(number) for number in range(1, 101)), *(pair(number, "POST /recall") for number in range(101, 104))]
    lacks = [spoilt(number, "missing-item") for number in range(101, 104)]
    assert "POST /recall: 3 of 3" in told(pairs, lacks)
    assert told(pairs, lacks[:2]) == ""


def test_a_route_whose_answers_are_all_wrong_alike_voids_the_run() -> None:
    """Where most answers of a route have another value in both replays, nothing is known of it; of two that may be chance, and noise excuses."""
    pairs = [*(pair(number) for number in range(1, 101)), *(pair(number, "POST /hook") for number in range(101, 104))]
    wrong = [spoilt(number) for number in range(101, 104)]
    assert "POST /hook: 3 of 3" in told(pairs, wrong)
    assert told(pairs, wrong, excused=True) == told(pairs, wrong[:2]) == told(pairs[:102], wrong[:2]) == ""


def write(path: Path, said: Sequence[Said], replay_of: str = "", calls: Sequence[tuple[str, str]] | None = None) -> Archive:
    """Write an archive; *calls* are prompts and how they were answered, in a recording's lane or as a replay's records."""
    served = {} if calls is None else {"provider/provider/embedding/recorded": 4}
    facts: dict[str, object] = (
        {"replay_of": replay_of, "counts": served} if replay_of else {"lanes": ["daemon", "provider"] if calls else ["daemon"]}
    )
    kind = ((b"content-type", b"application/json"),)
    with ArchiveWriter.create(path, kind="observed" if replay_of else "recording", facts=facts) as writer:
        for number, (target, status, body) in enumerate(said, 1):
            request = Request(b"POST", target.encode(), b"HTTP/1.1", kind)
            writer.append(Opened(number, 2 * number - 1, float(number), Connection("c"), request))
            answer = Response(b"HTTP/1.1", status, b"", kind, json.dumps(body).encode())
            writer.append(Ended(number, 2 * number, number + 0.01, EndReason.COMPLETE, answer, b"{}"))
        for number, (prompt, tier) in enumerate(calls or (), len(said) + 1):
            asked = json.dumps({"model": "m", "prompt": prompt}).encode()
            if replay_of:
                line = b"POST /api/embed\r\n\r\n" + asked
                writer.append(ProviderCall(2 * number, float(number), "embedding", line, b"200", json.dumps({"tier": tier})))
            else:
                request = Request(b"POST", b"/api/embed", b"HTTP/1.1", kind)
                writer.append(Opened(number, 2 * number - 1, float(number), Connection("p"), request, "provider"))
                writer.append(Ended(number, 2 * number, number + 0.01, EndReason.COMPLETE, Response(b"HTTP/1.1", 200, b"", kind, b"{}"), asked))
        writer.seal(event=2 * (len(said) + len(calls or ())) + 1, at=99.0, reason="test")
    return read(path)


def both(folder: Path, recorded: Sequence[Said], replayed: Sequence[Said], tier: str | None = None) -> Run:
    """Compare two replays that answered alike with a recording of others; with a *tier*, the daemon asked its models, too."""
    calls = None if tier is None else [(f"what is number {number}", tier) for number in range(4)]
    lane = None if tier is None else [(f"what is number {number}", "exact") for number in range(4)]
    first = write(folder / "r.parity", recorded, calls=lane)
    asked = [] if tier == "none" else calls
    observed, control = (write(folder / f"{name}.parity", replayed, first.id, asked) for name in ("o", "c"))
    return compare_run(first, observed, [control], Basis(), run_path=folder / "x.run", seed=1, now=NOW, progress=lambda *_: None)


FINE: Sequence[Said] = [(f"/api/thing/{number}", 200, {"number": number, "text": "as it was"}) for number in range(30)]


@pytest.mark.parametrize(
    ("recorded", "replayed"),
    [
        (FINE, [(target, 401, {"error": "who are you"}) for target, _, _ in FINE]),
        ([*FINE, ("/api/memory/recall", 200, {"results": [{"text": "tea"}]})] * 2, [*FINE, ("/api/memory/recall", 200, {"results": []})] * 2),
        ([*FINE, ("/api/documents", 201, {"text": "a file"})], [*FINE, ("/api/documents", 400, {"error": "no such file"})]),
    ],
    ids=["a wrong token", "no embedder", "a missing file"],
)
def test_two_replays_that_are_broken_alike_are_never_green(recorded: Sequence[Said], replayed: Sequence[Said], tmp_path: Path) -> None:
    """Where both daemons answer alike and not as recorded, the run is incomplete, be it in few exchanges."""
    run = both(tmp_path, recorded, replayed)
    assert (run.verdict, exit_code(run)) == ("incomplete", 2), run.because
    assert "faithful" in run.because or "nothing was compared" in run.because


@pytest.mark.parametrize(("tier", "said"), [("miss", "4 of 4 of POST /api/embed"), ("none", "pipeline-workers, calls of models: 4 of 4")])
def test_models_that_answered_neither_replay_void_the_run(tier: str, said: str, tmp_path: Path) -> None:
    """Where the recorded answers were not given to the daemons, or answered nothing, equal answers of both prove nothing."""
    run = both(tmp_path, FINE, FINE, tier)
    assert (run.verdict, exit_code(run)) == ("incomplete", 2)
    assert said in run.because


def test_models_that_answered_as_recorded_do_not(tmp_path: Path) -> None:
    """Sound replays pass, and the calls are planned and compared like exchanges."""
    run = both(tmp_path, FINE, FINE, "exact")
    assert (run.verdict, run.planned, run.compared) == ("pass", 34, 34), run.because
