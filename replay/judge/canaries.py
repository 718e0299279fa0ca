"""
Canaries: known faults planted into answers that were really compared, to prove that the run is awake.

How this works
--------------
A seeded draw takes exchanges of each domain, first those without any finding, and gives the observed answer of each one fault (`mutants`)
of each class: *structural*, *semantic*, *stream* (an event lost, doubled, out of order, a stream that ends early) and *timing* (an answer that
hangs). The changed answer goes through the same comparison, rules and noise as the run, and what is new against the answer as it was is
judged. A canary that yields nothing new was missed, and the run is void. One whose findings a rule or noise fact all swallows is counted as
blind, and named with what swallowed it. Faults are drawn from those that no honest relation covers: not in a measured amount, an id or a time.
"""

import datetime as dt
import random
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from replay.compare import Comparison, Partners, agreement, find, findings_of, hear
from replay.compare.blinding import measured
from replay.compare.timing import Sample, judge_timing
from replay.judge import mutants as faults
from replay.judge.mutants import Material, Mutant, mutant
from replay.judge.noise import NoiseModel
from replay.judge.rules import RuleSet
from replay.judge.spots import Spot
from replay.judge.verdicts import judge
from replay.model import Canaries, DifferenceClass, Divergence, Exchange, Finding, Pair, Response, Subject, Verdict, Witness
from replay.routes import route_of

PER_CLASS: Final = 3
"""So many in each domain and class."""
_TRIED_MAX: Final = 25
"""So many exchanges are read for a canary before the domain is taken to have no place for it."""
_TIMED_MAX: Final = 20_000
"""So many pairs' times are enough to tell what is usual in a run."""
_HANG_MS: Final = 5_000.0
_CLASSES: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    (
        "structural",
        (
            "status",
            "key dropped",
            "key more",
            "value to null",
            "number to text",
            "boolean to number",
            "content type",
            "header dropped",
            "body emptied",
            "body cut",
        ),
    ),
    ("semantic", ("boolean flipped", "digit changed", "off by one", "other sign", "letter case", "text cut", "text emptied", "item more")),
    ("stream", ("event dropped", "event twice", "events swapped", "stream ended early")),
)


@dataclass(frozen=True, slots=True)
class Ground:
    """Where canaries are planted: the run's archives, rules and noise."""

    recorded: Mapping[int, Exchange] | Sequence[Exchange]
    """By number; a sequence is in their order."""
    candidate: Partners
    control: Partners | None
    rules: RuleSet
    noise: NoiseModel
    today: dt.date

    def exchange(self, number: int) -> Exchange:
        """Give a recorded exchange."""
        if isinstance(self.recorded, Mapping):
            return self.recorded[number]
        return self.recorded[bisect_left(self.recorded, number, key=lambda exchange: exchange.id)]


@dataclass(slots=True)
class _Count:
    """What was planted so far."""

    planted: int = 0
    found: int = 0
    blind: int = 0
    missed: list[str] = field(default_factory=list)
    swallowed: list[tuple[str, str]] = field(default_factory=list)
    kinds: dict[str, list[int]] = field(default_factory=dict)

    def add(self, kind: str, words: str, new: Sequence[Divergence] | None) -> None:
        """Count a canary; *new* is what it added, judged: None where it added nothing."""
        self.planted += 1
        seen = self.kinds.setdefault(kind, [0, 0])
        seen[0] += 1
        if not new:
            self.missed.append(words)
        elif any(one.verdict is Verdict.OPEN for one in new):
            self.found += 1
            seen[1] += 1
        else:
            self.blind += 1
            self.swallowed.append((next((one.rule for one in new if one.rule), ""), f"{words}: {new[0].because}"))


def plant(comparison: Comparison, ground: Ground, seed: int) -> Canaries:
    """Plant canaries into exchanges that were compared, at most `PER_CLASS` of each class per domain, drawn by *seed*."""
    dice = random.Random(seed)  # noqa: S311  # a draw that can be repeated, no secret
    drawn, timed = _survey(comparison.pairs, dice)
    first = next((pair.exchange for pair in comparison.pairs if pair.gap is None and not pair.is_call), None)
    # exchanges are numbered as they started, so the first one's start is the run's
    started_at = 0.0 if first is None else ground.exchange(first).started_at
    count = _Count()
    for domain, lot in sorted(drawn.items()):
        for name, operators in _CLASSES:
            pairs = lot.streams.kept if name == "stream" else [*lot.equal.kept, *lot.differing.kept]
            for exchange, observed, made in _draw(pairs, operators, ground, dice):
                words = f"#{exchange.id} {route_of(exchange.request).name}: {made.operator} at {made.place}"
                new, moot = news(exchange, observed, made, ground, started_at)
                if new or not moot:
                    count.add(f"{domain}, {name}", words, new)
        hanging = _hang(lot.timed.kept, timed, dice)
        if hanging is not None:
            pair, found = hanging
            new = list(judge(found, ground.rules, ground.noise, ground.today).divergences)
            count.add(f"{domain}, timing", f"#{pair.exchange} {pair.route}: hangs", new)
    kinds = tuple((kind, seen[0], seen[1]) for kind, seen in count.kinds.items())
    return Canaries(count.planted, count.found, count.blind, tuple(count.missed), tuple(count.swallowed), kinds)


def news(exchange: Exchange, observed: Exchange, made: Mutant, ground: Ground, started_at: float) -> tuple[list[Divergence], bool]:
    """
    Give what a fault adds to the findings of one pair, judged by the run's own rules and noise, and whether it proves nothing.

    What adds nothing and takes something away made two answers alike that were not, by chance; what only follows from the status or the kind
    of body that these two answers differ in anyway is told by that. Neither proves anything.
    """
    before = {_key(finding) for finding in _findings(exchange, observed, ground, started_at)}
    after = _findings(exchange, faults.apply(made, observed), ground, started_at)
    fresh = [finding for finding in after if _key(finding) not in before]
    moot = bool(before - {_key(finding) for finding in after})
    if fresh and all(finding.derived_from.startswith("the ") for finding in fresh):
        return [], True
    return list(judge(fresh, ground.rules, ground.noise, ground.today).divergences), moot


@dataclass(slots=True)
class _Lot:
    """A fair draw from pairs of which nobody knows yet how many will come."""

    dice: random.Random
    kept: list[Pair] = field(default_factory=list)
    seen: int = 0

    def offer(self, pair: Pair) -> None:
        """Take a pair in with the same chance as each before it."""
        self.seen += 1
        if len(self.kept) < _TRIED_MAX:
            self.kept.append(pair)
        elif (place := self.dice.randrange(self.seen)) < _TRIED_MAX:
            self.kept[place] = pair


@dataclass(slots=True)
class _Lots:
    """What is drawn from one domain."""

    equal: _Lot
    differing: _Lot
    streams: _Lot
    timed: _Lot


def _survey(pairs: Iterable[Pair], dice: random.Random) -> tuple[dict[str, _Lots], list[Sample]]:
    """Draw compared pairs of each domain in one pass, and take the times of the first that were timed."""
    drawn: dict[str, _Lots] = {}
    timed: list[Sample] = []
    for pair in pairs:
        if pair.gap is not None or pair.is_call:
            continue
        lots = drawn.setdefault(pair.domain, _Lots(_Lot(dice), _Lot(dice), _Lot(dice), _Lot(dice)))
        (lots.differing if pair.findings else lots.equal).offer(pair)
        if pair.events:
            lots.streams.offer(pair)
        if is_timed(pair):
            lots.timed.offer(pair)
            if len(timed) < _TIMED_MAX:
                timed.append(sample_of(pair))
    return drawn, timed


def _draw(pairs: Sequence[Pair], operators: Sequence[str], ground: Ground, dice: random.Random) -> Iterator[tuple[Exchange, Exchange, Mutant]]:
    """Draw exchanges, equal ones first, and a fault for each, every one of another operator."""
    order = sorted(dice.sample(pairs, len(pairs)), key=lambda pair: pair.findings > 0)
    left = dice.sample(operators, len(operators))
    made = 0
    for pair in order:
        if made == PER_CLASS:
            break
        observed = ground.candidate.exchanges[pair.exchange]
        if not isinstance(observed.outcome, Response) or observed.outcome.body is None:
            continue
        read = faults.Ground.of(observed.outcome)
        found = next((one for name in left if (one := mutant(read, name, dice, Material(), avoid=_is_unsure)) is not None), None)
        if found is not None and not _is_measured(pair.route, found, ground.noise):
            made += 1
            left.remove(found.operator)
            yield ground.exchange(pair.exchange), observed, found


def _is_unsure(spot: Spot) -> bool:
    """Whether what stands at a place differs from run to run by nature."""
    return measured(spot.key) or ("." in spot.source[:20] and spot.kind == "number")


def _is_measured(route: str, made: Mutant, noise: NoiseModel) -> bool:
    """Whether the primary itself was seen to make a change like this one."""
    return bool(noise.within(route, made.path, made.whole_before, made.whole_after))


def _findings(exchange: Exchange, other: Exchange, ground: Ground, started_at: float) -> list[Finding]:
    route = route_of(exchange.request)
    found = find(exchange, other, ground.candidate, started_at, route, trial=True)
    third = ground.control.exchanges.get(exchange.id) if ground.control is not None else None
    if third is None or ground.control is None:
        return findings_of(exchange, route, hear(found, None))
    against = find(exchange, third, ground.control, started_at, route, trial=True)
    return findings_of(exchange, route, hear(found, against, agreement(other, third, ground.candidate.side, ground.control.side)))


def _key(finding: Finding) -> tuple[str, str, str | None]:
    return finding.kind, finding.at, finding.candidate


def _hang(able: Sequence[Pair], timed: Sequence[Sample], dice: random.Random) -> tuple[Pair, list[Finding]] | None:
    """Let one answer hang, and give what is found of it; None where nothing is timed (there is no control)."""
    if not able:
        return None
    pair = dice.choice(able)
    longest = max(max(sample.recorded_ms, sample.control_ms or 0.0) for sample in [*timed, sample_of(pair)])
    late = replace(sample_of(pair), observed_ms=_HANG_MS + 10.0 * longest)
    told = judge_timing([*(sample for sample in timed if sample.exchange != pair.exchange), late]).late
    return pair, [_late(pair, late) for sample in told if sample.exchange == pair.exchange]


def is_timed(pair: Pair) -> bool:
    """Whether a pair's times were compared with a control's."""
    return pair.gap is None and not pair.events and None not in {pair.primary_ms, pair.candidate_ms, pair.control_ms}


def sample_of(pair: Pair) -> Sample:
    """Give a timed pair's durations."""
    return Sample(pair.exchange, pair.route, pair.primary_ms or 0.0, pair.candidate_ms or 0.0, pair.control_ms)


def _late(pair: Pair, sample: Sample) -> Finding:
    return Finding(
        check="http",
        subject=Subject("exchange", str(pair.exchange)),
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
