"""
Compare two archives, with controls: every planned exchange leaves as exactly one compared pair or one gap.

How this works
--------------
Exchanges are paired (by recorded id for a replay, by sequence for two recordings), compared in recorded order, and the control's differences are
heard for each. An exchange in whose status or body kind control and candidate agree against the recording is the replay's own doing: a gap.
A comparer that crashes on an exchange makes a gap, too, and its run is incomplete. The last line asserts that nothing fell out.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from replay.archive import Archive
from replay.compare.agreeing import agreement
from replay.compare.answers import answer_of, body_text
from replay.compare.deriving import derive
from replay.compare.difference import Difference, shown
from replay.compare.exchanges import compare_exchange
from replay.compare.following import Trail
from replay.compare.mapped import unmap
from replay.compare.pairing import pair_by_sequence
from replay.compare.requests import learn_request
from replay.compare.state import Clock, Scene, Side, Window
from replay.compare.timing import Sample, judge_timing
from replay.compare.witness import Heard, alone, hear
from replay.identity import Bindings
from replay.model import (
    Answers,
    DifferenceClass,
    EndReason,
    Exchange,
    Finding,
    Gap,
    GapReason,
    NoResponse,
    Pair,
    Relation,
    Response,
    RouteTiming,
    Subject,
    UsageError,
    Witness,
)
from replay.routes import Route, route_of

_DECISIVE: Final = frozenset({"status", "no-response", "body-kind", "body-missing"})
_LANE: Final = "daemon"
"""Only what clients asked the daemon is compared; what it asked others itself is no answer of its own."""
_BODILESS: Final = frozenset({204, 304})


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that was found out about two archives, unjudged."""

    pairs: tuple[Pair, ...]
    findings: tuple[Finding, ...]
    relations: tuple[Relation, ...]
    not_compared: tuple[tuple[str, int], ...]
    timing: tuple[tuple[str, int], ...]
    timing_floor_ms: float
    answers: tuple[Answers, ...]
    """Of each exchange with a finding, ready to be shown."""
    timings: tuple[RouteTiming, ...] = ()


@dataclass(slots=True)
class Partners:
    """One side of a comparison: the exchanges that stand for the recorded ones, and why some do not."""

    exchanges: Mapping[int, Exchange]
    gaps: Mapping[int, Gap]
    side: Side
    run_started_at: float
    replayed: bool = True
    """Whether it is a replay of the recording; False for another recording of the same client."""


@dataclass(slots=True)
class _Draft:
    """A comparison in the making."""

    pairs: list[Pair] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    answers: list[Answers] = field(default_factory=list)
    shed: Mapping[int, str] = field(default_factory=dict)
    """What the recorder left out of exchanges on purpose, in words."""
    trail: Trail = field(default_factory=Trail)
    equal: set[int] = field(default_factory=set)
    """Exchanges without a finding so far: nothing follows from them."""


def partners_of(recorded: Archive, other: Archive) -> Partners:
    """
    Find the exchanges of *other* that stand for those of *recorded*; two replays of one recording belong together, too.

    Raises:
        UsageError: *other* is a replay of another recording, or no recording of the same client.

    """
    joined = other.join()
    exchanges = joined.exchanges
    replay_of = other.facts.get("replay_of")
    siblings = replay_of is not None and replay_of == recorded.facts.get("replay_of")
    if replay_of is not None and replay_of != recorded.id and not siblings:
        raise UsageError(
            f"{other.path} is a replay of the recording {replay_of}, not of {recorded.path} ({recorded.id}); compare it with that one"
        )
    if replay_of is None:
        exchanges = tuple(exchange for exchange in exchanges if exchange.lane == _LANE)
        by_id: Mapping[int, Exchange] = pair_by_sequence([one for one in recorded.exchanges() if one.lane == _LANE], exchanges)
        # what the other recording does not hold can't be compared with either
        gaps: Mapping[int, Gap] = dict(_shed_partners(by_id, joined.gaps))
    else:
        by_id = {exchange.id: unmap(exchange, other.facts) for exchange in exchanges}
        gaps = {gap.exchange: gap for gap in joined.gaps if gap.exchange is not None}
    bound = () if siblings else other.bindings()
    side = Side(Bindings.of(bound), {(record.kind, record.recorded): f"#{record.exchange} {record.path}" for record in bound})
    if len(by_id) < len(exchanges):
        side.not_compared["exchanges that stand for no recorded one"] = len(exchanges) - len(by_id)
    started = min((exchange.started_at for exchange in exchanges), default=0.0)
    side.clock = Clock.of(
        (Window(0.0, one.started_at, one.ended_at), Window(started, two.started_at, two.ended_at))
        for one in recorded.exchanges()
        if one.lane == _LANE and (two := by_id.get(one.id)) is not None
    )
    return Partners(by_id, gaps, side, started, replayed=replay_of is not None)


def compare_archives(
    recorded: Archive,
    observed: Archive,
    controls: Sequence[Archive],
    progress: Callable[[int, int], None],
) -> Comparison:
    """
    Compare *observed* with *recorded*; the first of *controls* is the third witness.

    Raises:
        ArchiveError: one of them is damaged.
        UsageError: they do not belong together.

    """
    candidate = partners_of(recorded, observed)
    control = partners_of(recorded, controls[0]) if controls else None
    joined = recorded.join()
    exchanges = joined.exchanges
    # of those alone that were replayed: what was written before a stretch is no time of this run
    started = min((exchange.started_at for exchange in exchanges if exchange.id in candidate.exchanges), default=0.0)
    draft = _Draft(shed=_shed(joined.gaps))
    whole = {exchange.id for exchange in exchanges}
    # Several parts of one exchange may have been lost, each with a gap of its own: it is one planned exchange all the same.
    cut = {gap.exchange: gap for gap in reversed(joined.gaps) if gap.exchange is not None and gap.exchange not in whole}
    for number, exchange in enumerate(exchanges, 1):
        progress(number, len(exchanges))
        _compare_one(exchange, started, candidate, control, draft)
    for number, told in sorted(cut.items()):
        gap = candidate.gaps.get(number, told)
        draft.pairs.append(Pair(number, "read", "(not recorded)", "", "", str(gap.reason), gap.detail))
    timing = judge_timing(draft.samples)
    routes = {pair.exchange: pair for pair in draft.pairs}
    for sample in timing.late:
        pair = routes[sample.exchange]
        draft.findings.append(_late(sample, pair))
    counts = _counts(draft.findings)
    pairs = tuple(_counted(pair, counts) for pair in draft.pairs)
    assert len(pairs) == len({pair.exchange for pair in pairs}) == len(exchanges) + len(cut)
    relations = tuple(Relation(name, route, path, count) for (name, route, path), count in sorted(candidate.side.tolerated.items()))
    return Comparison(
        pairs,
        tuple(draft.trail.settled(draft.findings, candidate.side.bindings)),
        relations,
        tuple(sorted(candidate.side.not_compared.items())),
        timing.counts,
        timing.floor_ms,
        tuple(draft.answers),
        timing.timings,
    )


def find(exchange: Exchange, other: Exchange, partners: Partners, run_started_at: float, route: Route, *, trial: bool) -> list[Difference]:
    """Compare one pair; a *trial* (canaries) binds and counts nothing."""
    scene = Scene(
        partners.side,
        route.name,
        exchange.id,
        Window(run_started_at, exchange.started_at, exchange.ended_at),
        Window(partners.run_started_at, other.started_at, other.ended_at),
        binding=not trial,
        counting=not trial,
    )
    return compare_exchange(exchange, other, scene)


def findings_of(exchange: Exchange, route: Route, heard: Iterable[Heard]) -> list[Finding]:
    """Write differences down as findings."""
    return [
        Finding(
            check="http",
            subject=Subject("exchange", str(exchange.id)),
            domain=route.domain,
            route=route.name,
            difference=item.difference.difference,
            kind=item.difference.kind,
            path=item.difference.path,
            at=item.difference.at,
            primary=shown(item.difference.recorded),
            candidate=shown(item.difference.observed),
            control=shown(item.control),
            transition=item.difference.transition,
            witness=item.witness,
            quirk=item.difference.quirk,
            ids=item.difference.ids,
            derived_from=item.difference.derived_from,
        )
        for item in heard
    ]


def _compare_one(exchange: Exchange, started: float, candidate: Partners, control: Partners | None, draft: _Draft) -> None:
    route = route_of(exchange.request)
    other = candidate.exchanges.get(exchange.id)
    third = control.exchanges.get(exchange.id) if control is not None else None
    gap, detail = _gap_before(exchange, other, candidate, draft.shed)
    heard: list[Heard] = []
    if gap is None:
        assert other is not None
        try:
            learn_request(exchange, other, candidate.side, route.name)
            if third is not None and control is not None:
                learn_request(exchange, third, control.side, route.name)
            found = find(exchange, other, candidate, started, route, trial=False)
            found = derive(found, exchange, other, candidate.side, draft.equal, replayed=candidate.replayed)
            against = None if third is None or control is None else find(exchange, third, control, started, route, trial=False)
            if third is None or control is None:
                heard = hear(found, None)
            else:
                heard = hear(found, against, agreement(other, third, candidate.side, control.side))
            for noise in alone(found, against or ()):
                candidate.side.tolerated["noise of the primary alone", route.name, noise.path] += 1
        except Exception as error:  # noqa: BLE001  # a crash of ours must not end the run, and must not pass either
            gap, detail, heard = GapReason.COMPARER, f"{type(error).__name__}: {error}", []
        # What follows from another status is no witness of its own.
        decisive = [item for item in heard if item.difference.kind == "status" or _is_decisive(item.difference)]
        if gap is None and decisive and all(item.witness is Witness.INFIDELITY for item in decisive):
            gap, detail = GapReason.INFIDELITY, f"{decisive[0].difference.transition}, the control too"
            heard = []
    draft.trail.see(exchange, other, route)
    if heard and other is not None:
        heard = draft.trail.follow(heard, exchange, other, candidate.side.bindings)
    draft.findings.extend(findings_of(exchange, route, heard))
    if gap is None and not heard:
        draft.equal.add(exchange.id)
    if heard and other is not None:
        draft.answers.append(_answers(exchange, other, third))
    if gap is None and other is not None and _timed(exchange, other):
        control_ms = third.duration_ms if third is not None and _timed(exchange, third) else None
        draft.samples.append(Sample(exchange.id, route.name, exchange.duration_ms, other.duration_ms, control_ms))
    draft.pairs.append(
        Pair(
            exchange=exchange.id,
            domain=route.domain,
            route=route.name,
            method=exchange.request.method.decode("latin-1"),
            target=exchange.request.target.decode("latin-1")[:2000],
            gap=None if gap is None else str(gap),
            gap_detail=detail,
            observed_exchange=None if other is None else other.id,
            primary_status=_status(exchange),
            candidate_status=_status(other),
            control_status=_status(third),
            primary_ms=exchange.duration_ms,
            candidate_ms=None if other is None else other.duration_ms,
            control_ms=None if third is None else third.duration_ms,
            events=_events(exchange, other),
        )
    )


def _is_decisive(found: Difference) -> bool:
    return found.kind in _DECISIVE and not found.derived_from


def _gap_before(exchange: Exchange, other: Exchange | None, candidate: Partners, shed: Mapping[int, str]) -> tuple[GapReason | None, str]:
    """Why there is nothing to compare; None where there is."""
    told = candidate.gaps.get(exchange.id)
    if told is not None:
        return told.reason, told.detail
    if exchange.lane != _LANE:
        return GapReason.OUT_OF_SCOPE, f"lane {exchange.lane}"
    if exchange.id in shed and _lacks_body(exchange):
        return GapReason.SHED, shed[exchange.id]
    if isinstance(exchange.outcome, NoResponse):
        return GapReason.NO_RESPONSE, exchange.outcome.error
    if exchange.end is EndReason.PROXY_ERROR:
        return GapReason.NO_RESPONSE, exchange.note
    if other is None:
        return (GapReason.NOT_OBSERVED if candidate.replayed else GapReason.UNALIGNED), ""
    return None, ""


def _shed(gaps: Iterable[Gap]) -> dict[int, str]:
    """Give the exchanges of which the recorder left a part out, and which."""
    told: dict[int, str] = {}
    for gap in gaps:
        if gap.reason is GapReason.SHED and gap.exchange is not None:
            told[gap.exchange] = f"{told[gap.exchange]}; {gap.detail}" if gap.exchange in told else gap.detail
    return told


def _shed_partners(partners: Mapping[int, Exchange], gaps: Iterable[Gap]) -> Iterable[tuple[int, Gap]]:
    """Give the recorded exchanges whose partners in another recording lack the answer's body, with the gap that says so."""
    shed = _shed(gaps)
    return (
        (number, Gap(GapReason.SHED, exchange=number, detail=f"in the other recording: {shed[other.id]}"))
        for number, other in partners.items()
        if other.id in shed and _lacks_body(other)
    )


def _lacks_body(exchange: Exchange) -> bool:
    """Whether the daemon's answer must have had a body, and it was not kept."""
    outcome = exchange.outcome
    if not isinstance(outcome, Response) or outcome.body is not None:
        return False
    return exchange.request.method.upper() != b"HEAD" and outcome.status not in _BODILESS


def _timed(exchange: Exchange, other: Exchange) -> bool:
    """Whether durations say something: whole answers that nobody kept open, asked for once."""
    whole = exchange.end is EndReason.COMPLETE and other.end is EndReason.COMPLETE
    return whole and not exchange.streamed and not other.streamed and "folded poll" not in other.note


def _late(sample: Sample, pair: Pair) -> Finding:
    assert sample.control_ms is not None
    return Finding(
        check="http",
        subject=Subject("exchange", str(sample.exchange)),
        domain=pair.domain,
        route=pair.route,
        difference=DifferenceClass.TIMING,
        kind="late",
        path="duration",
        at="duration",
        primary=f"{sample.recorded_ms:.1f}",
        candidate=f"{sample.observed_ms:.1f}",
        control=f"{sample.control_ms:.1f}",
        transition="slower than the limits",
        witness=Witness.CANDIDATE,
    )


def _counts(findings: Iterable[Finding]) -> dict[int, int]:
    counts: dict[int, int] = {}
    for finding in findings:
        counts[int(finding.subject.id)] = counts.get(int(finding.subject.id), 0) + 1
    return counts


def _counted(pair: Pair, counts: Mapping[int, int]) -> Pair:
    return replace(pair, findings=counts.get(pair.exchange, 0))


def _status(exchange: Exchange | None) -> int | None:
    return exchange.outcome.status if exchange is not None and isinstance(exchange.outcome, Response) else None


def _events(exchange: Exchange, other: Exchange | None) -> tuple[tuple[str, float], ...]:
    sides = [("primary", exchange), *([("candidate", other)] if other is not None else [])]
    return tuple((side, (chunk.at - item.started_at) * 1000.0) for side, item in sides for chunk in item.chunks[:500])


def _answers(exchange: Exchange, other: Exchange, third: Exchange | None) -> Answers:
    request = exchange.request
    return Answers(
        exchange.id,
        request.method.decode("latin-1"),
        request.target.decode("latin-1")[:2000],
        tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers),
        body_text(request.body or b"", request.header(b"content-type") or b""),
        answer_of(exchange),
        answer_of(other),
        None if third is None else answer_of(third),
    )
