"""
Counts of a run by domain and by feature: what the ledger keeps and every report shows.

How this works
--------------
Each planned exchange falls into exactly one box, so that nothing can disappear between them:

    planned = compared + gaps
    compared = identical + structural + semantic + timing + documented + derived + noise + infidelity

`structural`, `semantic` and `timing` count exchanges by their worst *open* class. An exchange with findings of which none is open
goes by the strongest excuse that it needed: documented before derived before noise before infidelity.
What no exchange stands for (tables, rows, files, secrets, jobs) is counted beside it, as `state_open` and `state_explained`.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from replay.model import DOMAINS, Divergence, Pair, Verdict
from replay.runs import Run

_EXCUSES = (Verdict.DOCUMENTED, Verdict.DERIVED, Verdict.NOISE, Verdict.INFIDELITY)


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of the planned exchanges of one domain or feature."""

    planned: int = 0
    identical: int = 0
    structural: int = 0
    semantic: int = 0
    timing: int = 0
    documented: int = 0
    derived: int = 0
    noise: int = 0
    infidelity: int = 0
    gaps: dict[str, int] = field(default_factory=dict)
    """Not compared, by reason."""
    state_open: int = 0
    """Open divergences of state (tables, rows, files, secrets, jobs)."""
    state_explained: int = 0
    """Divergences of state that are not open."""

    @property
    def gap_count(self) -> int:
        """How many were not compared."""
        return sum(self.gaps.values())

    @property
    def compared(self) -> int:
        """How many were compared: the denominator of every rate."""
        return self.planned - self.gap_count

    @property
    def open(self) -> int:
        """How many exchanges have an open divergence."""
        return self.structural + self.semantic + self.timing

    @property
    def explained(self) -> int:
        """How many exchanges have findings of which none is open."""
        return self.documented + self.derived + self.noise + self.infidelity


@dataclass(frozen=True, slots=True)
class DomainTally:
    """One of the nine domains."""

    domain: str
    tally: Tally


@dataclass(frozen=True, slots=True)
class FeatureTally:
    """One feature of a domain: a route, or a state check's subject."""

    domain: str
    feature: str
    tally: Tally


def domains(run: Run) -> tuple[DomainTally, ...]:
    """Count by domain: all nine, in the order of reports; a domain that the run names beyond them follows."""
    boxes = _count(run, [pair.domain for pair in run.pairs], [divergence.finding.domain for divergence in run.divergences])
    names = [*DOMAINS, *sorted(set(boxes) - set(DOMAINS))]
    return tuple(DomainTally(name, boxes.get(name, Tally())) for name in names)


def features(run: Run) -> tuple[FeatureTally, ...]:
    """Count by domain and feature, in the order of domains and then of names."""
    boxes = _count(
        run,
        [(pair.domain, pair.route) for pair in run.pairs],
        [
            (divergence.finding.domain, divergence.finding.route or f"{divergence.finding.check}: {divergence.finding.path}")
            for divergence in run.divergences
        ],
    )
    order = {name: place for place, name in enumerate(DOMAINS)}
    rows = sorted(boxes.items(), key=lambda row: (order.get(row[0][0], len(order)), row[0]))
    return tuple(FeatureTally(domain, feature, tally) for (domain, feature), tally in rows)


def box(pair: Pair, verdicts: Iterable[Verdict]) -> str:
    """
    Say which box a planned exchange is in: `gap`, `identical`, a class (open), or the verdict that explains it.

    *verdicts* are those of its divergences. An exchange with findings and neither an open class nor any verdict is `infidelity`:
    it was compared, and nobody may count it as good.
    """
    if pair.gap is not None:
        return "gap"
    if pair.worst is not None:
        return pair.worst.value
    if pair.findings == 0:
        return "identical"
    found = set(verdicts)
    return next((excuse.value for excuse in _EXCUSES if excuse in found), Verdict.INFIDELITY.value)


def verdicts_by_exchange(divergences: Iterable[Divergence]) -> dict[int, list[Verdict]]:
    """Collect the verdicts of each exchange's divergences."""
    verdicts: dict[int, list[Verdict]] = defaultdict(list)
    for divergence in divergences:
        if divergence.finding.subject.kind == "exchange" and divergence.finding.subject.id.isdecimal():
            verdicts[int(divergence.finding.subject.id)].append(divergence.verdict)
    return verdicts


def _count[Key](run: Run, pair_keys: list[Key], divergence_keys: list[Key]) -> dict[Key, Tally]:
    verdicts = verdicts_by_exchange(run.divergences)
    boxes: dict[Key, Counter[str]] = defaultdict(Counter)
    gaps: dict[Key, Counter[str]] = defaultdict(Counter)
    for key, pair in zip(pair_keys, run.pairs, strict=True):
        boxes[key]["planned"] += 1
        if pair.gap is not None:
            gaps[key][pair.gap] += 1
        else:
            boxes[key][box(pair, verdicts.get(pair.exchange, ()))] += 1
    for key, divergence in zip(divergence_keys, run.divergences, strict=True):
        if divergence.finding.subject.kind != "exchange":
            boxes[key]["state_open" if divergence.verdict is Verdict.OPEN else "state_explained"] += 1
    return {key: Tally(**counts, gaps=dict(sorted(gaps[key].items()))) for key, counts in boxes.items()}
