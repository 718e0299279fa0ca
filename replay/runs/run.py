"""The value of a judged run."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from replay.model import Answers, Canaries, Cause, Cluster, Divergence, Finding, Pair, Relation, RouteTiming, RuleUse, Strength


@dataclass(frozen=True, slots=True)
class Party:
    """One archive of the comparison."""

    name: str
    """`recorded`, `observed`, `control`, `control-2`, …"""
    archive: str
    """The archive's id."""
    path: str
    """Where it lay; relative to the run's directory where it lies beside it."""
    digest: str
    daemon: str
    """Such as `js 0.145.7`; what the archive says of it."""
    started_at: float
    exchanges: int
    salvaged: bool = False
    cell: str = "none"
    """`namespace`, `mapped`, `url` or `none` (a recording)."""
    lacks: tuple[tuple[str, int], ...] = ()
    """What its recorder says was never written, by reason and how many, such as (`sampled out`, 80): none of it is planned."""


@dataclass(frozen=True, slots=True)
class Run:
    """A judged run: everything a report needs, and nothing that decides."""

    recorded: Party
    observed: Party
    control: Party | None
    verdict: str
    """`pass`, `fail` or `incomplete`."""
    because: str
    """Why the verdict is what it is, in one sentence."""
    started_at: float
    seed: int
    tool: str
    """Such as `signet-parity 0.1.0`."""
    pairs: Sequence[Pair]
    """One per planned exchange: `planned == compared + gaps` by construction. Of a big run they lie on the disk and are read each time."""
    findings: tuple[Finding, ...]
    divergences: tuple[Divergence, ...]
    """One per finding, in the same order."""
    clusters: tuple[Cluster, ...]
    """Most explaining first."""
    answers: Sequence[Answers]
    """Of each exchange with a finding; likewise."""
    causes: tuple[Cause, ...] = ()
    """The clusters again, told as what explains them; most explaining first."""
    timings: tuple[RouteTiming, ...] = ()
    """By route."""
    relations: tuple[Relation, ...] = ()
    """What was tolerated, counted."""
    not_compared: tuple[tuple[str, int], ...] = ()
    """Parts that the comparison left out on purpose, counted, such as (`header date`, 925)."""
    timing: tuple[tuple[str, int], ...] = ()
    """Counts of the literal timing rule and of what is faster: (`over 2x`, n), (`over 100 ms`, n), (`faster`, n), …"""
    timing_floor_ms: float = 5.0
    """The run's measured noise floor for timing."""
    rules_path: str = ""
    rules_digest: str = ""
    rules_unused: tuple[str, ...] = ()
    rules_expired: tuple[str, ...] = ()
    rule_uses: tuple[RuleUse, ...] = ()
    """What each rule did, in the file's order."""
    noise_digest: str = ""
    canaries: Canaries = field(default_factory=Canaries)
    strength: tuple[Strength, ...] = ()
    """By route, what planted faults the comparison, rules and noise let through; empty where nobody asked."""
    broken: tuple[str, ...] = ()
    """Which replays did not come to their end (`observed`, `control`): whatever is judged, such a run proves nothing."""

    @property
    def planned(self) -> int:
        """How many exchanges the recording has."""
        return len(self.pairs)

    @property
    def compared(self) -> int:
        """How many of them were compared."""
        return sum(pair.gap is None for pair in self.pairs)

    @property
    def identical(self) -> int:
        """How many were compared without any finding."""
        return sum(pair.gap is None and pair.findings == 0 for pair in self.pairs)

    @property
    def gaps(self) -> dict[str, int]:
        """How many were not compared, by reason."""
        counts: dict[str, int] = {}
        for pair in self.pairs:
            if pair.gap is not None:
                counts[pair.gap] = counts.get(pair.gap, 0) + 1
        return counts
