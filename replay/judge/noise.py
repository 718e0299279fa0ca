"""
Noise: what the primary does differently from itself, measured from control runs and never from the candidate.

How this works
--------------
Archives of one daemon are compared like any other two, every pair of them. Each finding is an observation at its place (route, path, kind), each
time that the place was there on both sides a chance. From the observations comes one *fact* a place. It names the relation in which the
primary's own values stand there, and excuses a finding of the candidate only where that relation holds for it:

- *within the measured dispersion*: a number no further from the nearer of recording and control than the primary's own lay apart, absolutely and
  as a share of their size, times 1.25 + 3/n for n observations (1 + 1/n where this run's control agrees with the recording), of the same sign
  and with no more decimals;
- *one of the values seen*, ids and times inside it aside (so an id must be an id of the same kind, and a time by itself is never the same);
- *elsewhere in the run*: a moment of the run, not where its exchanges put it (background work), as the primary's own was;
- *made of parts seen*: a text whose every sentence, line and entry the primary wrote there, numbers in it within twice their span;
- *comes and goes*: an item of a list that the primary was seen to have and to lack there, numbers in it aside; where at least eight did, also
  one whose longer texts only begin like theirs. An item that one list lacks and has more, by its name, did not come or go: it changed;
- *order varies*: of a list that the primary was seen to give in two orders;
- *asked now more, now less often*: a call of a model, as often as the primary's own counts lay apart, two pairs of runs;
- *there or not*, *another type*, *another thing*: what is structural, only as it was seen, and only if seen in two pairs of runs.

Where a place was seen seldom (n below 8) or never to differ, what was measured at places like it (the same last two names, on other routes)
counts as 8 chances of its own: they can excuse where that makes it likely enough (one in twenty), and the because says so.
A place that differs in more than twice as many exchanges, and three, as in any of at least three pairs of the primary's runs excuses nothing:
that is a drift, if a small one.

So a fact never means "anything". What this exchange's own control says stays the strongest evidence. Where it agrees with the recording, nothing
is excused but what differed in two pairs of runs, or a single value (no item, no flag) that differed in half of at least four pairs of
exchanges. Where both differ, a number must not lie 8 times further off than they lie apart, unless the dispersion is well known (n of 3 in two
pairs of runs). Where control and candidate agree on another answer, it is the replay's own doing and no noise is asked.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from replay.compare.amounts import as_float
from replay.compare.blinding import role_of
from replay.compare.surveying import Survey
from replay.content import Number
from replay.identity import TIME_KINDS
from replay.judge.observations import AMOUNT, ASKED, IN_THE_RUN, Observed, asks_alike, class_of, facts_of, pool, stable_facts, value_class
from replay.judge.texts import (
    asked_of,
    decimals_of,
    digest_of,
    family_of,
    known_parts,
    name_of,
    parts_of,
    read_parts,
    short_digest,
    thing_of,
    value_of,
)
from replay.model import DifferenceClass, Finding, NoiseFact, Pair, Witness

_SLACK: Final = 1.0 + 1e-9
"""A number may lie as far as the widest measured difference, give or take the spelling of floats."""
_NEVER: Final = frozenset({"status", "no-response", "body-kind", "body-missing"})
"""What an answer is at all: one that neither the recording nor the control gave was never measured, however often theirs differ."""
_ITEMS: Final = frozenset({"missing-item", "extra-item"})
_ORDERS: Final = frozenset({"order", "rank"})
_PRIOR: Final = 8
"""How many chances of its own the places like it count for."""
_LIKELY: Final = 0.05
_RUNS_KNOWN: Final = 3
_RUNS_MIN: Final = 2
"""Pairs of runs in which something structural must have been seen."""
_PAIRS_MIN: Final = 4
_SINGLE_VALUES: Final = frozenset({"number", "text"})
_OWN_SPREAD: Final = 8.0
"""How many times further than its recording and control lie apart an exchange's number may lie from the nearer one."""
_CHURN_MIN: Final = 8
_FEW: Final = 3
_FULL_PRECISION: Final = 12
"""So many decimals and more are a float in full: one more or less says nothing."""

type Place = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Held:
    """A learned relation that holds for a finding."""

    name: str
    because: str


@dataclass(frozen=True, slots=True)
class NoiseModel:
    """All facts of one file, by place."""

    facts: Mapping[Place, NoiseFact] = field(default_factory=dict)
    archives: tuple[str, ...] = ()
    """Digests of the archives it was learned from."""
    time_spread_s: float = 0.0
    """How far from their place in the run nine of ten of the primary's own times lay."""
    overrun: Mapping[Place, int] = field(default_factory=dict, compare=False)
    """Places that differ in so many exchanges of the run being judged that what the primary does is no reason."""
    twins: frozenset[tuple[str, str, str]] = field(default=frozenset(), compare=False)
    """(subject, path, name) of items that the run being judged lacks and has more in one list: those changed, and did not come or go."""
    classes: Mapping[tuple[str, str], NoiseFact] = field(init=False, repr=False, compare=False)
    """Facts of places alike, pooled."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", pool(self.facts.values()))

    def summary(self) -> str:
        """Say in one line what was learned, with its counts."""
        known = [fact for fact in self.facts.values() if fact.changed and fact.kind != AMOUNT]
        amounts = sum(fact.kind == AMOUNT for fact in self.facts.values())
        runs = max((fact.runs for fact in self.facts.values()), default=0)
        twice = sum(fact.runs_differing >= _RUNS_MIN for fact in known)
        words = f"{len(known)} places differ from themselves ({twice} in two pairs of runs or more, of {runs}), {amounts} are measured by nature"
        return f"{words}, {len(self.facts) - len(known) - amounts} are like one that differs"

    def against(self, findings: Iterable[Finding]) -> "NoiseModel":
        """
        Give the model that judges a run with these *findings*: a place that differs far more often than it ever did excuses nothing.

        That is in more than twice as many exchanges, and three, as in any pair of the primary's runs; asked of facts from three pairs or more.
        """
        subjects: dict[Place, set[str]] = {}
        sides: dict[str, set[tuple[str, str, str]]] = {kind: set() for kind in _ITEMS}
        for finding in findings:
            if finding.kind in _ITEMS:
                sides[finding.kind].add(_twin(finding))
            if not finding.derived_from and finding.witness is not Witness.INFIDELITY:
                subjects.setdefault(_place(finding), set()).add(finding.subject.id)
        over = {
            place: len(found)
            for place, found in subjects.items()
            if (fact := self.facts.get(place)) is not None and fact.runs >= _RUNS_KNOWN and len(found) > 2 * fact.most + 3
        }
        return replace(self, overrun=over, twins=frozenset.intersection(*map(frozenset, sides.values())))

    def objection(self, finding: Finding) -> str:
        """Say in words that a place differs far more often than for the primary; empty where it does not."""
        count = self.overrun.get(_place(finding))
        fact = self.facts.get(_place(finding))
        if count is None or fact is None or not fact.changed:
            return ""
        return f"; it differs in {count} exchanges here, in any pair of the primary's runs in at most {fact.most}"

    def excuse(self, finding: Finding) -> str | None:
        """Why *finding* is noise, in words; None where nothing measured says so."""
        held = self.held(finding)
        return None if held is None else held.because

    def held(self, finding: Finding) -> Held | None:
        """Which learned relation *finding* holds; None where none does."""
        if finding.kind in _NEVER or finding.witness is Witness.INFIDELITY:
            return None
        own = self.facts.get(_place(finding))
        if _place(finding) in self.overrun or (finding.kind in _ITEMS and _twin(finding) in self.twins):
            return None
        name = relation_of(finding, own) if own is not None else ""
        if own is not None and name:
            return Held(name, _because(name, finding, own, own))
        like = self.classes.get((class_of(finding.path), finding.kind))
        if like is None or finding.difference is not DifferenceClass.SEMANTIC or not _likely(own, like):
            return None
        name = relation_of(finding, like)
        return Held(name, _because(name, finding, own, like)) if name else None

    def within(self, route: str, path: str, one: str, two: str) -> str:
        """
        Name the measured dispersion that a change of one leaf stays inside; empty where it leaves all.

        *one* and *two* are the leaf before and after, as compact JSON. For changes that the comparer lets pass by what the values prove: was it
        also a change that the primary itself makes?
        """
        before, after = value_of(one), value_of(two)
        if isinstance(before, Number) and isinstance(after, Number):
            amount = self.facts.get((route, path, AMOUNT))
            if amount is not None and _in_amounts(amount, as_float(before), as_float(after)):
                return "amount within the measured dispersion"
            fact = self.facts.get((route, path, "value"))
            if fact is not None and _number_holds(as_float(before), after, fact, _widening(fact, sure=False)):
                return "number within the measured dispersion"
        if isinstance(before, str) and isinstance(after, str):
            left, right = role_of(before), role_of(after)
            if left is not None and right is not None and left == right and left.kind in TIME_KINDS:
                apart = math.inf if left.seconds is None or right.seconds is None else abs(left.seconds - right.seconds)
                return "time within the measured dispersion" if apart <= self.time_spread_s else ""
        return ""


def _place(finding: Finding) -> Place:
    return finding.route or finding.check, finding.path, finding.kind


def _twin(finding: Finding) -> tuple[str, str, str]:
    return finding.subject.id, finding.path, name_of(finding.primary if finding.primary is not None else finding.candidate)


def learn_noise(runs: Iterable[tuple[Iterable[Finding], Iterable[Pair]]], archives: Iterable[str], surveys: Sequence[Survey] = ()) -> NoiseModel:
    """Make facts from the findings and pairs of comparisons of the primary with itself, and the *surveys* of what could have differed."""
    observed: dict[Place, Observed] = {}
    chances: Counter[str] = Counter()
    count = 0
    for number, (findings, pairs) in enumerate(runs):
        count = number + 1
        chances.update(pair.route for pair in pairs if pair.gap is None)
        for finding in findings:
            if finding.route is not None:
                for kind in _kinds(finding.kind):
                    observed.setdefault((finding.route, finding.path, kind), Observed()).see(number, finding)
    instances: Counter[tuple[str, str]] = Counter()
    for survey in surveys:
        instances.update(survey.instances)
    facts = facts_of(observed, chances, instances, count)
    facts.update(stable_facts(facts, chances, instances, count))
    for survey in surveys:
        for (route, path), (low, high, ratio) in survey.amounts.items():
            facts[route, path, AMOUNT] = _amount(facts.get((route, path, AMOUNT)), (route, path), (low, high, ratio), instances, count)
    apart = sorted(value for survey in surveys for value in survey.times_apart_s)
    return NoiseModel(facts, tuple(archives), apart[len(apart) * 9 // 10] if apart else 0.0)


def _kinds(kind: str) -> tuple[str, ...]:
    """Of two runs of one daemon neither is the first: what one lacks the other has more."""
    for pair in (("missing-item", "extra-item"), ("missing-key", "extra-key"), ("asked-missing", "asked-extra")):
        if kind in pair:
            return pair
    return (kind,)


def _amount(
    old: NoiseFact | None, spot: tuple[str, str], measured: tuple[float, float, float], instances: Mapping[tuple[str, str], int], runs: int
) -> NoiseFact:
    low, high, ratio = measured
    if old is not None and old.low is not None and old.high is not None and old.ratio is not None:
        low, high, ratio = min(low, old.low), max(high, old.high), max(ratio, old.ratio)
    count = instances[spot]
    return NoiseFact(*spot, AMOUNT, runs, runs, count, count, count, count, count, "number", low, high, high - low, ratio)


def relation_of(finding: Finding, fact: NoiseFact) -> str:
    """Name the relation of *fact* that holds for a finding; empty where none does."""
    sure = finding.witness is Witness.CANDIDATE
    structural = finding.difference is DifferenceClass.STRUCTURAL
    if not fact.changed or (structural and fact.runs_differing < _RUNS_MIN):
        return ""
    if sure and fact.runs_differing < _RUNS_MIN and not _varies_freely(finding, fact):
        return ""
    if finding.kind in _ORDERS:
        return "order varies"
    if finding.kind in _ITEMS:
        return _item_holds(finding, fact)
    if finding.kind in ASKED:
        counts = asked_of(finding.primary), asked_of(finding.candidate)
        near = _number_holds(as_float(counts[0]), counts[1], fact, _widening(fact, sure=sure))
        return "asked now more, now less often" if near and asks_alike(finding, fact) else ""
    if value_class(finding) not in fact.values.split(","):
        return ""
    if finding.kind in {"missing-key", "extra-key"}:
        return "there or not"
    after = value_of(finding.candidate)
    if isinstance(after, Number) and finding.kind != "type":
        bases = [value for shown in (finding.primary, finding.control) if isinstance(value := value_of(shown), Number)]
        held = any(_number_holds(as_float(base), after, fact, _widening(fact, sure=sure)) for base in bases)
        return "within the measured dispersion" if held and (_well_known(fact) or _near_its_own(after, bases)) else ""
    if isinstance(after, bool) and finding.kind != "type":
        return "one of the values seen" if fact.runs_differing >= _RUNS_MIN else ""
    if finding.transition.endswith(IN_THE_RUN) and short_digest(finding.transition) in fact.seen:
        return "elsewhere in the run"
    if digest_of(finding.candidate) in fact.seen:
        return {"type": "another type", "identity": "another thing"}.get(finding.kind, "one of the values seen")
    return "made of parts seen" if fact.parts and known_parts(parts_of(finding.candidate), read_parts(fact.parts)) else ""


def _varies_freely(finding: Finding, fact: NoiseFact) -> bool:
    """Whether a single value varies so often that one agreeing control says little."""
    single = finding.kind == "value" and "[*]" not in finding.path and value_class(finding) in _SINGLE_VALUES
    return single and fact.pairs >= _PAIRS_MIN and 2 * fact.differing >= fact.pairs


def _well_known(fact: NoiseFact) -> bool:
    """Whether a dispersion was measured often enough to say more than one exchange's recording and control."""
    return fact.changed >= _FEW and fact.runs_differing >= _RUNS_MIN


def _near_its_own(after: Number, bases: Sequence[Number]) -> bool:
    """Whether a number is not far beyond what recording and control of this very exchange lie apart, where they do."""
    if len(bases) < 2:
        return True
    apart = abs(as_float(bases[0]) - as_float(bases[1]))
    nearest = min(abs(as_float(after) - as_float(base)) for base in bases)
    return not apart or nearest <= _SLACK * _OWN_SPREAD * apart


def _item_holds(finding: Finding, fact: NoiseFact) -> str:
    shown = finding.primary if finding.primary is not None else finding.candidate
    if thing_of(shown) in fact.seen:
        return "comes and goes"
    if fact.changed >= _CHURN_MIN and family_of(shown) in fact.seen:
        return "comes and goes, as others of its kind"
    return ""


def _widening(fact: NoiseFact, *, sure: bool) -> float:
    """How much further than the widest difference of n seen the next may lie."""
    return 1.0 + 1.0 / max(fact.changed, 1) if sure else 1.25 + 3.0 / max(fact.changed, 1)


def _number_holds(base: float, after: Number, fact: NoiseFact, widening: float) -> bool:
    number = as_float(after)
    if fact.widest is None or fact.ratio is None or fact.low is None or not (math.isfinite(number) and math.isfinite(base)):
        return False
    if fact.low >= 0 > number or decimals_of(after.text) > fact.decimals + _decimals_unseen(fact):
        return False
    apart = abs(number - base)
    # Written so that what is no number, or infinitely far off, excuses nothing.
    near = apart <= _SLACK * widening * fact.widest < math.inf
    return near and apart <= _SLACK * widening * fact.ratio * max(abs(number), abs(base))


def _decimals_unseen(fact: NoiseFact) -> int:
    """How many more decimals than were seen there may be: a last zero is not printed, and a float in full has more or less."""
    if fact.decimals >= _FULL_PRECISION:
        return 8
    return 1 if fact.decimals and fact.changed < _FEW else 0


def _in_amounts(fact: NoiseFact, one: float, two: float) -> bool:
    if fact.low is None or fact.high is None or fact.ratio is None or two < 0:
        return False
    smaller, larger = min(one, two), max(one, two)
    return larger <= fact.ratio * smaller or fact.low <= two <= fact.high


def _likely(own: NoiseFact | None, like: NoiseFact) -> bool:
    """Whether a place may differ as those like it do: their share counts as some chances beside its own. One that no run had may not."""
    if own is None or like.changed < 2 or not like.instances:
        return False
    return own.changed + _PRIOR * like.changed / like.instances >= _LIKELY * (own.instances + _PRIOR)


def _because(name: str, finding: Finding, own: NoiseFact | None, fact: NoiseFact) -> str:
    here = "here"
    if fact is not own:
        seen = f"{own.changed} times in {own.instances}" if own is not None else "never"
        here = f"at places like this one (here itself {seen})"
    words = f"{name}: the primary differs from itself {here} in {fact.differing} of {fact.pairs} control pairs"
    if fact.instances > fact.pairs:
        words += f", {fact.changed} of {fact.instances} values"
    if fact.widest is not None and "dispersion" in name:
        words += f", by up to {fact.widest:.6g}"
    if finding.difference is DifferenceClass.STRUCTURAL:
        words += f", in {fact.runs_differing} of {fact.runs} pairs of runs, though it is structural"
    return words + ("; this exchange's control differs here too" if finding.witness is Witness.ALL_DIFFER else "")
