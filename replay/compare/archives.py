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
from pathlib import Path
from typing import Final

from replay.archive import Archive, Roll
from replay.compare.agreeing import agreement
from replay.compare.answers import answer_of, body_text
from replay.compare.asked import Asked, Party, asked_findings
from replay.compare.deriving import derive
from replay.compare.difference import Difference, shown
from replay.compare.exchanges import compare_exchange
from replay.compare.following import Trail
from replay.compare.modes import Modes
from replay.compare.numbers import SAMPLES_MAX, Numbers, Samples
from replay.compare.pacing import event_samples
from replay.compare.partners import LANE, Partners, Standing, lacks_body, partners_in, shed_of
from replay.compare.quick import Quick, slips
from replay.compare.requests import learn_request
from replay.compare.rows import RowWriter, changed
from replay.compare.state import Scene, Window
from replay.compare.timing import WHOLE, Sample, judge_timing
from replay.compare.witness import Heard, alone, hear
from replay.model import (
    Answers,
    DifferenceClass,
    EndReason,
    Exchange,
    Finding,
    GapReason,
    NoResponse,
    Pair,
    Relation,
    Response,
    RouteTiming,
    Subject,
    Witness,
)
from replay.routes import WRITES, Route, match, route_of

_PROGRESS_EVERY: Final = 64
_DECISIVE: Final = frozenset({"status", "no-response", "body-kind", "body-missing"})


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that was found out about two archives, unjudged."""

    pairs: Sequence[Pair]
    """One for each planned exchange, in recorded order; the ones that were cut come last."""
    findings: tuple[Finding, ...]
    relations: tuple[Relation, ...]
    not_compared: tuple[tuple[str, int], ...]
    timing: tuple[tuple[str, int], ...]
    timing_floor_ms: float
    answers: Sequence[Answers]
    """Of each exchange with a finding, ready to be shown."""
    timings: tuple[RouteTiming, ...] = ()
    candidate: Partners | None = None
    """Who stood for the recorded ones, with what was bound: for comparing single exchanges again."""
    control: Partners | None = None
    recorded: Mapping[int, Exchange] = field(default_factory=dict)
    """All that was recorded whole, by number; read when asked for."""


@dataclass(slots=True)
class _Draft:
    """A comparison in the making."""

    recorded: Standing
    candidate: Partners
    control: Partners | None
    started: float
    """When the first of the recorded exchanges that were replayed began."""
    modes: Modes
    pairs: RowWriter[Pair]
    answers: RowWriter[Answers]
    findings: list[Finding] = field(default_factory=list)
    samples: Samples = field(default_factory=Samples)
    events: list[Sample] = field(default_factory=list)
    """Of streams: each event's time."""
    shed: Mapping[int, str] = field(default_factory=dict)
    """What the recorder left out of exchanges on purpose, in words."""
    trail: Trail = field(default_factory=Trail)
    equal: Numbers = field(default_factory=Numbers)
    """Exchanges without a finding so far: nothing follows from them."""
    quick: Quick = field(default_factory=Quick)
    domains: dict[str, str] = field(default_factory=dict)
    """By route."""


def compare_archives(
    recorded: Archive,
    observed: Archive,
    controls: Sequence[Archive],
    progress: Callable[[int, int], None],
    *,
    modes: Modes | None = None,
    spool: Path | None = None,
    short: bool = True,
) -> Comparison:
    """
    Compare *observed* with *recorded*; the first of *controls* is the third witness.

    *spool* is a folder in which pairs and answers are put aside, so that memory does not grow with them; without one they are held. With
    *short* false every pair is compared at length, which gives the same and is there to prove it.

    Raises:
        ArchiveError: one of them is damaged.
        UsageError: they do not belong together, or nothing can be put aside.

    """
    roll = recorded.roll()
    for _ in roll.call():
        pass
    candidate = partners_in(roll, observed)
    control = partners_in(roll, controls[0]) if controls else None
    # of those alone that were replayed: what was written before a stretch is no time of this run
    started = min((roll.times(number)[0] for number in roll.numbers() if number in candidate.exchanges), default=0.0)
    roll.forget_times()
    pairs, answers = RowWriter(Pair, spool), RowWriter(Answers, spool)
    draft = _Draft(Standing(roll, None, {}), candidate, control, started, modes or Modes(), pairs, answers, shed=shed_of(roll.gaps))
    planned = len(roll)
    try:
        for count, number in enumerate(roll.numbers(), 1):
            if count % _PROGRESS_EVERY == 0 or count == planned:
                progress(count, planned)
            if not short or not _same(number, draft):
                _compare_one(number, draft)
        # Several parts of one exchange may have been lost, each with a gap of its own: it is one planned exchange all the same.
        cut = {gap.exchange: gap for gap in reversed(roll.gaps) if gap.exchange is not None and gap.exchange not in roll}
        for number, told in sorted(cut.items()):
            gap = candidate.gaps.get(number, told)
            pairs.add(Pair(number, "read", "(not recorded)", "", "", str(gap.reason), gap.detail))
        assert pairs.count == planned + len(cut)
        return _finished(draft, _asked(roll, observed, controls, draft))
    except BaseException:
        pairs.drop()
        answers.drop()
        raise


def _asked(recorded: Roll, observed: Archive, controls: Sequence[Archive], draft: _Draft) -> Asked:
    """Compare what the daemons asked others, where one of the archives tells of it."""
    others = [observed, *controls[:1]]
    if not recorded.beside and not any(segment.summary.records.get("provider") for other in others for segment in other.segments):
        return Asked()
    control = None if draft.control is None else Party(controls[0], draft.control.side)
    return asked_findings(recorded.archive, Party(observed, draft.candidate.side), control)


def _finished(draft: _Draft, asked: Asked) -> Comparison:
    candidate = draft.candidate
    draft.quick.settle(candidate.side)
    timing = judge_timing([*draft.samples.kept(), *draft.events])
    late = [_late(sample, draft.domains[sample.route]) for sample in timing.late]
    draft.findings.extend((*late, *asked.findings))
    more, calls = _counts(late), {pair.exchange: pair for pair in asked.pairs}
    pairs = draft.pairs.rows()
    if more or calls:
        pairs = changed(pairs, lambda pair: calls.get(pair.exchange) or _counted(pair, more))
    relations = tuple(Relation(name, route, path, count) for (name, route, path), count in sorted(candidate.side.tolerated.items()))
    return Comparison(
        pairs,
        tuple(draft.trail.settled(draft.findings, candidate.side.bindings)),
        relations,
        tuple(sorted((*candidate.side.not_compared.items(), *asked.not_compared))),
        (*timing.counts, *draft.samples.counts()),
        timing.floor_ms,
        draft.answers.rows(),
        timing.timings,
        candidate,
        draft.control,
        draft.recorded,
    )


def find(
    exchange: Exchange, other: Exchange, partners: Partners, run_started_at: float, route: Route, *, trial: bool, bytewise: bool = False
) -> list[Difference]:
    """Compare one pair; a *trial* (canaries) binds and counts nothing."""
    scene = Scene(
        partners.side,
        route.name,
        exchange.id,
        Window(run_started_at, exchange.started_at, exchange.ended_at),
        Window(partners.run_started_at, other.started_at, other.ended_at),
        binding=not trial,
        counting=not trial,
        bytewise=bytewise,
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


def _same(number: int, draft: _Draft) -> bool:
    """Take a pair that is plainly the same without reading it; False where it is none."""
    candidate, control = draft.candidate, draft.control
    found = None if number in draft.shed else slips(number, draft.recorded, candidate, control)
    if found is None:
        return False
    one, two, three = found
    try:
        asked = one.opened["request"]
        method, target = asked["method"].decode("latin-1"), asked["target"].decode("latin-1")
        times = [(one.opened["at"], one.ended["at"]), (two.opened["at"], two.ended["at"])]
        status = one.ended["outcome"]["status"]
        if three is not None:
            times.append((three.opened["at"], three.ended["at"]))
    except (KeyError, TypeError, AttributeError):
        return False
    route = match(method, target)
    name = route.name
    bytewise = draft.modes.bytewise(name)

    def scene(partners: Partners, at: int) -> Scene:
        recorded, observed = Window(draft.started, *times[0]), Window(partners.run_started_at, *times[at])
        return Scene(partners.side, name, number, recorded, observed, bytewise=bytewise)

    if three is not None and control is not None and not draft.quick.same(one, three, control.side, lambda: scene(control, 2), of_control=True):
        return False
    if not draft.quick.same(one, two, candidate.side, lambda: scene(candidate, 1)):
        return False
    if draft.findings or route.replay_class in WRITES:
        draft.trail.see(one.exchange(), two.exchange(), route)
    draft.equal.add(number)
    primary_ms, candidate_ms = (times[0][1] - times[0][0]) * 1000.0, (times[1][1] - times[1][0]) * 1000.0
    control_ms = None if three is None else (times[2][1] - times[2][0]) * 1000.0
    draft.samples.add(number, name, primary_ms, candidate_ms, control_ms)
    draft.domains[name] = route.domain
    # in the order of `Pair`'s fields: of these there are many, and making a value of each takes as long as all else
    third = None if three is None else status
    told = (None, "", two.number, None, 0, status, status, third, primary_ms, candidate_ms, control_ms, ())
    draft.pairs.take((number, route.domain, name, method, target[:2000], *told))
    return True


def _compare_one(number: int, draft: _Draft) -> None:
    candidate, control, started = draft.candidate, draft.control, draft.started
    exchange = draft.recorded[number]
    route = route_of(exchange.request)
    other = candidate.exchanges.get(number)
    third = control.exchanges.get(number) if control is not None else None
    gap, detail = _gap_before(exchange, other, candidate, draft.shed)
    heard: list[Heard] = []
    events: Sequence[Sample] = ()
    bytewise = draft.modes.bytewise(route.name)
    if gap is None:
        assert other is not None
        try:
            learn_request(exchange, other, candidate.side, route.name)
            if third is not None and control is not None:
                learn_request(exchange, third, control.side, route.name)
            found = find(exchange, other, candidate, started, route, trial=False, bytewise=bytewise)
            found = derive(found, exchange, other, candidate.side, draft.equal, replayed=candidate.replayed)
            against = (
                None if third is None or control is None else find(exchange, third, control, started, route, trial=False, bytewise=bytewise)
            )
            if third is None or control is None:
                heard = hear(found, None)
            else:
                heard = hear(found, against, agreement(other, third, candidate.side, control.side))
            for noise in alone(found, against or ()):
                candidate.side.tolerated["noise of the primary alone", route.name, noise.path] += 1
            events = tuple(event_samples(exchange, other, third, route.name))
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
    draft.domains[route.name] = route.domain
    if gap is None and not heard:
        draft.equal.add(exchange.id)
    if heard and other is not None:
        draft.answers.add(_answers(exchange, other, third))
    if gap is None and other is not None and _timed(exchange, other):
        control_ms = third.duration_ms if third is not None and _timed(exchange, third) else None
        draft.samples.add(exchange.id, route.name, exchange.duration_ms, other.duration_ms, control_ms)
    if gap is None and events:
        room = SAMPLES_MAX - len(draft.events)
        draft.events.extend(events[:room])
        if len(events) > room:
            candidate.side.not_compared["times of further stream events"] += len(events) - room
    draft.pairs.add(
        Pair(
            exchange=exchange.id,
            domain=route.domain,
            route=route.name,
            method=exchange.request.method.decode("latin-1"),
            target=exchange.request.target.decode("latin-1")[:2000],
            gap=None if gap is None else str(gap),
            gap_detail=detail,
            observed_exchange=None if other is None else other.id,
            findings=len(heard),
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
    if exchange.lane != LANE:
        return GapReason.OUT_OF_SCOPE, f"lane {exchange.lane}"
    if exchange.id in shed and lacks_body(exchange):
        return GapReason.SHED, shed[exchange.id]
    if isinstance(exchange.outcome, NoResponse):
        return GapReason.NO_RESPONSE, exchange.outcome.error
    if exchange.end is EndReason.PROXY_ERROR:
        return GapReason.NO_RESPONSE, exchange.note
    if other is None:
        return (GapReason.NOT_OBSERVED if candidate.replayed else GapReason.UNALIGNED), ""
    return None, ""


def _timed(exchange: Exchange, other: Exchange) -> bool:
    """Whether durations say something: whole answers that nobody kept open, asked for once."""
    whole = exchange.end is EndReason.COMPLETE and other.end is EndReason.COMPLETE
    return whole and not exchange.streamed and not other.streamed and "folded poll" not in other.note


def _late(sample: Sample, domain: str) -> Finding:
    assert sample.control_ms is not None
    return Finding(
        check="http",
        subject=Subject("exchange", str(sample.exchange)),
        domain=domain,
        route=sample.route,
        difference=DifferenceClass.TIMING,
        kind="late" if sample.part == WHOLE else "late-event",
        path=sample.part,
        at=sample.at,
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


def _counted(pair: Pair, more: Mapping[int, int]) -> Pair:
    return replace(pair, findings=pair.findings + more[pair.exchange]) if pair.exchange in more else pair


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
