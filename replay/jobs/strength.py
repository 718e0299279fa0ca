"""
Strength: how many planted faults the comparison, rules and noise let through, by domain and route.

How this works
--------------
Two archives are compared as a run compares them, so that ids are bound. Then answers are drawn, of every route equally often, each is given one
fault (`judge.mutants`), and that one pair is compared and judged again by itself. Where what the fault adds is open, it is found. Where it adds
nothing, or nothing that is open, it survived, and is listed with the relation, rule or noise fact that let it through. Inside a dispersion that
was measured between the primary's own runs it is equal by definition, and counted apart.
"""

import datetime as dt
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from typing import Final

from replay.archive import Archive
from replay.compare import Comparison, Modes, compare_archives, partners_of
from replay.compare.timing import judge_timing
from replay.content import parse, strings
from replay.identity import ID_KINDS, classify
from replay.judge import mutants as faults
from replay.judge.canaries import Ground, is_timed, news, sample_of
from replay.judge.mutants import OPERATORS, Material, Mutant, mutant
from replay.judge.noise import NoiseModel
from replay.judge.rules import RuleSet
from replay.model import Divergence, Exchange, Pair, Relation, Response, Strength, Verdict

type Progress = Callable[[str, int, int], None]

MUTANTS: Final = 1000
_SURVIVORS_MAX: Final = 12
"""So many survivors of a route are told; all are counted."""
_IDS_MAX: Final = 300
_TIMES: Final = 5.0
_LATER_MS: Final = 300.0
_PROGRESS_EVERY: Final = 20


@dataclass(frozen=True, slots=True)
class Trial:
    """One fault and what became of it."""

    pair: Pair
    mutant: Mutant
    new: tuple[Divergence, ...]
    """What it added to the findings, judged."""
    inside: bool
    """Whether the primary itself was seen to differ as much."""

    @property
    def found(self) -> bool:
        """Whether it shows as something open."""
        return any(one.verdict is Verdict.OPEN for one in self.new)


@dataclass(frozen=True, slots=True)
class Bench:
    """What faults are tried on: a comparison that was made, and what it rests on."""

    comparison: Comparison
    ground: Ground
    started_at: float


def prepare(recorded: Archive, observed: Archive, controls: Sequence[Archive], rules: RuleSet, noise: NoiseModel, progress: Progress) -> Bench:  # noqa: PLR0917
    """
    Compare two archives, so that faults can be tried on single pairs.

    Raises:
        ParityError: an archive is damaged, or they do not belong together.

    """
    comparison = compare_archives(recorded, observed, controls, lambda done, of: progress("comparing", done, of), modes=Modes(rules.modes))
    candidate = comparison.candidate or partners_of(recorded, observed)
    control = comparison.control or (partners_of(recorded, controls[0]) if controls else None)
    exchanges = comparison.recorded or recorded.exchanges()
    ground = Ground(exchanges, candidate, control, rules, noise, dt.datetime.now(dt.UTC).date())
    # exchanges are numbered as they started, so the first one's start is the run's
    first = next((pair.exchange for pair in comparison.pairs if _is_answer(pair)), None)
    return Bench(comparison, ground, 0.0 if first is None else ground.exchange(first).started_at)


def try_faults(bench: Bench, routes: Callable[[str], bool], *, count: int, seed: int, progress: Progress) -> Iterator[Trial]:
    """Plant *count* faults, one at a time, into answers of the routes that *routes* takes; fewer where there is no place for them."""
    dice = random.Random(seed)  # noqa: S311  # a draw that can be repeated, no secret
    by_route: dict[str, list[Pair]] = {}
    for pair in bench.comparison.pairs:
        if _is_answer(pair) and routes(pair.route):
            by_route.setdefault(pair.route, []).append(pair)
    ids = _ids(bench, dice)
    made = tried = 0
    for route in cycle(sorted(by_route)):
        if made == count or tried > 3 * count + len(by_route):
            return
        tried += 1
        pair = dice.choice(by_route[route])
        drawn = _fault(bench, pair, ids, dice)
        if drawn is None:
            continue
        observed, fault = drawn
        new, moot = news(bench.ground.exchange(pair.exchange), observed, fault, bench.ground, bench.started_at)
        if moot and not new:
            continue
        made += 1
        if made % _PROGRESS_EVERY == 0 or made == count:
            progress("planting faults", made, count)
        inside = not new and bool(bench.ground.noise.within(route, fault.path, fault.whole_before, fault.whole_after))
        excused = bool(new) and all(one.verdict is Verdict.NOISE and one.finding.kind == "value" for one in new)
        yield Trial(pair, fault, tuple(new), inside or excused)


def try_delays(pairs: Iterable[Pair]) -> dict[str, bool]:
    """Say of each route that was timed with a control whether it would be told as slower if all its answers came much later."""
    timed = [sample_of(pair) for pair in pairs if is_timed(pair)]
    told = {}
    for route in sorted({sample.route for sample in timed}):
        delayed = [replace(sample, observed_ms=_TIMES * sample.observed_ms + _LATER_MS) if sample.route == route else sample for sample in timed]
        told[route] = any(sample.route == route for sample in judge_timing(delayed).late)
    return told


def summarise(trials: Iterable[Trial], relations: Sequence[Relation], delays: Mapping[str, bool]) -> tuple[Strength, ...]:
    """Count trials by route, the weakest first."""
    by_route: dict[tuple[str, str], list[Trial]] = {}
    for trial in trials:
        by_route.setdefault((trial.pair.domain, trial.pair.route), []).append(trial)
    told = [
        replace(_strength(domain, route, members, relations), slower=_slower(route, delays)) for (domain, route), members in by_route.items()
    ]
    return tuple(sorted(told, key=lambda one: (one.found + one.inside - one.planted, one.domain, one.route)))


def strength_text(strengths: Sequence[Strength]) -> str:
    """Tell the figures by domain, and each survivor."""
    lines = [f"{'domain':18} {'planted':>8} {'found':>8} {'inside':>8} {'let through':>12}"]
    domains = dict.fromkeys(one.domain for one in sorted(strengths, key=lambda one: one.domain))
    lines.extend(_line(domain, [one for one in strengths if one.domain == domain]) for domain in domains)
    lines.append(_line("all", strengths))
    timed = [one for one in strengths if one.slower]
    if timed:
        shown = sum(one.slower == "found" for one in timed)
        lines += [
            "",
            f"five times as slow and 300 ms later would be told on {shown} of {len(timed)} routes; the others have too few pairs for it",
        ]
    else:
        lines += ["", "no times were compared: that takes a control"]
    for one in strengths:
        if one.survivors:
            lines += ["", f"{one.route}: {one.planted - one.found - one.inside} of {one.planted} let through"]
            lines += [f"  {survivor}" for survivor in one.survivors]
    return "\n".join(lines)


def _slower(route: str, delays: Mapping[str, bool]) -> str:
    return "" if route not in delays else "found" if delays[route] else "not enough evidence"


def survivors_of(strengths: Iterable[Strength]) -> int:
    """Count what was let through, beyond what the primary was measured to do itself."""
    return sum(one.planted - one.found - one.inside for one in strengths)


def _line(name: str, members: Sequence[Strength]) -> str:
    planted, found, inside = (sum(getattr(one, field) for one in members) for field in ("planted", "found", "inside"))
    return f"{name:18} {planted:8,} {found:8,} {inside:8,} {planted - found - inside:12,}"


def _strength(domain: str, route: str, members: Sequence[Trial], relations: Sequence[Relation]) -> Strength:
    through = [trial for trial in members if not trial.found and not trial.inside]
    return Strength(
        domain=domain,
        route=route,
        planted=len(members),
        found=sum(trial.found for trial in members),
        inside=sum(trial.inside and not trial.found for trial in members),
        survivors=tuple(f"#{trial.pair.exchange} {_told(trial, relations)}" for trial in through[:_SURVIVORS_MAX]),
    )


def _told(trial: Trial, relations: Sequence[Relation]) -> str:
    fault = trial.mutant
    change = f" ({fault.before or 'nothing'} → {fault.after or 'nothing'})" if fault.before or fault.after else ""
    what = f"{fault.operator} at {fault.place}{change}"
    if trial.new:
        return f"{what}: {trial.new[0].verdict}, {trial.new[0].because}"
    names = sorted({one.name for one in relations if one.route == trial.pair.route and one.path == fault.path})
    return f"{what}: {'passed as ' + ', '.join(names) if names else 'nothing was found'}"


def _fault(bench: Bench, pair: Pair, ids: Sequence[str], dice: random.Random) -> tuple[Exchange, Mutant] | None:
    observed = bench.ground.candidate.exchanges[pair.exchange]
    if not isinstance(observed.outcome, Response) or observed.outcome.body is None:
        return None
    read = faults.Ground.of(observed.outcome)
    names = dice.sample(OPERATORS, len(OPERATORS))
    made = next((one for name in names if (one := mutant(read, name, dice, Material(ids))) is not None), None)
    return None if made is None else (observed, made)


def _is_answer(pair: Pair) -> bool:
    """Whether a pair is two answers of the daemons that were compared; what they asked their models is none."""
    return pair.gap is None and not pair.is_call


def _ids(bench: Bench, dice: random.Random) -> list[str]:
    """Take ids of some answers, to confuse others with."""
    found: dict[str, None] = {}
    pairs = [pair.exchange for pair in bench.comparison.pairs if _is_answer(pair)]
    for number in dice.sample(pairs, min(len(pairs), _IDS_MAX)):
        outcome = bench.ground.candidate.exchanges[number].outcome
        if isinstance(outcome, Response):
            for _, text in strings(parse(outcome.body or b"", outcome.header(b"content-type"))):
                if len(text) < 80 and (role := classify(text)) is not None and role.kind in ID_KINDS:
                    found[text] = None
    return dice.sample(list(found), min(_IDS_MAX, len(found)))


__all__ = ["MUTANTS", "Bench", "Trial", "prepare", "strength_text", "summarise", "survivors_of", "try_delays", "try_faults"]
