"""
What is made of the traffic: facts, judged facts, causes.

A check yields `Finding`s, whatever it looked at. One judge turns each into a `Divergence` by giving it a verdict and a because.
`Cluster`s say one place once, `Cause`s what several places have in common. JSON values are held as text (compact JSON), so that
everything here is hashable and goes to disk as it is.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

DOMAINS: Final = (
    "schema",
    "read",
    "write",
    "pipeline-workers",
    "auth",
    "file-watcher",
    "git-sync",
    "mcp",
    "secrets",
)
"""The mission's nine domains, in the order in which reports show them."""

CALL_PREFIX: Final = "provider "
"""How the routes of what daemons ask their models begin, such as `provider POST /api/embed`."""


class Absent:
    """There is nothing at this place. Differs from JSON `null`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = Absent()


class DifferenceClass(StrEnum):
    """The mission's three classes."""

    STRUCTURAL = "structural"
    """JSON shape, status, body kind, content type, stream events."""
    SEMANTIC = "semantic"
    """Value drift in the same shape: value, order, membership, format."""
    TIMING = "timing"


class Witness(StrEnum):
    """What the three witnesses (recorded R, control C, observed O) say of one leaf."""

    CANDIDATE = "candidate"
    """C = R, O differs: the candidate's doing."""
    INFIDELITY = "infidelity"
    """O = C, R differs: the replay's doing."""
    ALL_DIFFER = "all differ"
    UNCONFIRMED = "unconfirmed"
    """There was no control."""


class Verdict(StrEnum):
    """The judgement of one finding."""

    OPEN = "open"
    DOCUMENTED = "documented"
    NOISE = "noise"
    DERIVED = "derived"
    INFIDELITY = "infidelity"


@dataclass(frozen=True, slots=True)
class Subject:
    """What a finding is about."""

    kind: str
    """`exchange`, `table`, `row`, `file`, `secret`, `job`, or `call` (what a daemon asked its model)."""
    id: str


@dataclass(frozen=True, slots=True)
class IdMapping:
    """A recorded id and the observed one that stands for it, as used in a comparison."""

    kind: str
    recorded: str
    observed: str
    born: str
    """Where, such as `#12 POST /api/memory/remember $.id`."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A fact: two values that differ at one place."""

    check: str
    subject: Subject
    domain: str
    route: str | None
    """`POST /api/memory/:id`"""
    difference: DifferenceClass
    kind: str
    """`status`, `no-response`, `content-type`, `body-kind`, `header`, `missing-key`, `extra-key`, `type`, `value`, `format`,
    `order`, `rank` (order where order is the product), `missing-item`, `extra-item`, `identity`, `stream-events`,
    `stream-order`, `stream-end`, `rpc-error` (a call that came to something else), `error-envelope`, `body-form` (odd JSON or text),
    `bytes` (what means the same, on a route that is compared byte for byte), `late`, `asked-missing` and `asked-extra` (calls of a model), …"""
    path: str
    """
    Skeleton with indices blanked, and keys that are data: `$.results[*].score`, `$.endpoints.*.count`, `status`, `header:retry-after`,
    `duration`.
    """
    at: str
    """The concrete place: `$.results[3].score`."""
    primary: str | None
    """What the recording has, as compact JSON; None where nothing is there."""
    candidate: str | None
    """What was observed, likewise."""
    control: str | None = None
    transition: str = ""
    """How the value's class changed, such as `timestamp(ms,Z) → timestamp(ns,+00:00)`; part of a cluster's key."""
    witness: Witness = Witness.UNCONFIRMED
    quirk: str = ""
    """The name of a known cause, such as `q-time-ns`; empty where none is recognised."""
    ids: tuple[IdMapping, ...] = ()
    derived_from: str = ""
    """Why this follows from another finding, in words; empty where it stands alone."""


@dataclass(frozen=True, slots=True)
class Divergence:
    """A judged finding."""

    finding: Finding
    verdict: Verdict
    because: str
    cluster: str
    """The id of its cluster."""
    rule: str = ""
    """The id of the rule that decided, if one did."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """One place where both sides differ, said once. The field names of the JSON contract."""

    id: str
    check: str
    cause: str
    domain: str
    route: str | None
    difference: DifferenceClass
    verdict: Verdict
    because: str
    path: str
    kind: str
    primary: str | None
    candidate: str | None
    count: int
    subjects: tuple[Subject, ...]
    """The first is the representative: the smallest."""
    derived_from: str | None = None
    control: str | None = None
    at: str = ""
    """The representative's concrete place."""
    ids: tuple[IdMapping, ...] = ()
    compared: int = 0
    """How many compared exchanges the route has: the denominator of `count`."""
    domains: tuple[str, ...] = ()
    """All domains that the cause touches."""
    routes: tuple[str, ...] = ()
    """All routes that it touches."""


@dataclass(frozen=True, slots=True)
class Cause:
    """What a person reads once: clusters of several places that one habit, or one fault, of the candidate explains."""

    id: str
    """Lasts from night to night, such as `k-7f3a90b1`."""
    name: str
    """A known quirk's bare name, or where and how it differs, in words that do not change from night to night."""
    title: str
    """One sentence for people."""
    difference: DifferenceClass
    """The gravest of its clusters."""
    verdict: Verdict
    clusters: tuple[str, ...]
    """Their ids; the first is the representative: the smallest."""
    places: int
    """How many places (route and path) it touches."""
    count: int
    """How many subjects (exchanges, rows, …) it touches."""
    routes: tuple[str, ...]
    domains: tuple[str, ...]
    usual: str = ""
    """What usually causes it, and the usual mending; empty where that is not known."""
    derived: int = 0
    """How many derived divergences follow from it."""


@dataclass(frozen=True, slots=True)
class RouteTiming:
    """How long both daemons took on one route, pair by pair."""

    route: str
    """`*` for all together; of streams such as `POST /x (first event)` or `POST /x (event gap)`."""
    pairs: int
    """How many pairs were timed."""
    recorded_ms: tuple[float, float, float]
    """p50, p95, p99."""
    observed_ms: tuple[float, float, float]
    control_ms: tuple[float, float, float] | None
    """Of the control of the same run; None where there was none."""
    ratio: float | None = None
    """The middle of observed over control, pair by pair."""
    ratio_low: float | None = None
    ratio_high: float | None = None
    """The bounds of its interval."""
    outcome: str = ""
    """`faster`, `alike`, `slower`, `late` (over the limits: a divergence), `not enough evidence`, or `not judged` (no control)."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A signed exception: what people accept."""

    id: str
    reason: str
    owner: str
    until: str
    """ISO date; after it the rule no longer applies."""
    verdict: Verdict
    check: str = "*"
    route: str = "*"
    path: str = "*"
    kinds: tuple[str, ...] = ()
    difference: DifferenceClass | None = None
    tolerance: float | None = None
    line: int = 0


@dataclass(frozen=True, slots=True)
class RuleUse:
    """What one rule did in a run."""

    id: str
    verdict: Verdict
    matched: int
    """How many findings it covers."""
    decided: int
    """For how many of them no more specific rule spoke."""
    places: int
    """At how many places (check, route, path, kind) it decided."""
    routes: int
    kinds: tuple[str, ...]
    """The kinds of findings that it decided."""
    swallowed: int = 0
    """How many canaries, or mutants, it let through."""
    notes: tuple[str, ...] = ()
    """What is odd about it: `expired`, `unused`, `shadowed by …`, `over-broad: …`."""


@dataclass(frozen=True, slots=True)
class Strength:
    """Of one route: how many planted faults the comparison, rules and noise let through."""

    domain: str
    route: str
    planted: int
    found: int
    inside: int
    """In a dispersion that the primary was measured to have: equal by definition."""
    survivors: tuple[str, ...] = ()
    """What was let through, each with its place and with what let it, in words."""
    slower: str = ""
    """Whether the route five times as slow and 300 ms later would be told: `found`, `not enough evidence`; empty where nothing was timed."""


@dataclass(frozen=True, slots=True)
class NoiseFact:
    """What the primary does differently from itself at one place, measured."""

    route: str
    path: str
    kind: str
    """A finding's kind; `amount` for what is measured by nature (durations, memory), which differs without a finding."""
    runs: int
    """Pairs of control runs that were compared."""
    runs_differing: int
    """Pairs of runs in which the place differed."""
    pairs: int
    """Pairs of exchanges of the route, over all pairs of runs."""
    differing: int
    """Pairs of exchanges in which the place differed."""
    most: int
    """The most of them in one pair of runs."""
    instances: int
    """How often the place was there on both sides: an answer may have it many times."""
    changed: int
    """How often it differed; 0 where only places like it did."""
    values: str = ""
    """The classes of values seen to differ, such as `number` or `text`: a noise fact excuses only these."""
    low: float | None = None
    """The least of the numbers seen to differ."""
    high: float | None = None
    """The greatest."""
    widest: float | None = None
    """How far two of them lay apart, at most."""
    ratio: float | None = None
    """The same as a share of the larger one; for an amount how many times the smaller the larger one was."""
    decimals: int = 0
    """How many decimals their spelling had, at most."""
    seen: tuple[str, ...] = ()
    """Digests of what else the primary had there."""
    parts: tuple[str, ...] = ()
    """Of texts: `digest:low,high;low,high` of each sentence, line or entry, with the numbers in it apart."""


@dataclass(frozen=True, slots=True)
class Relation:
    """How many leaves were found to be in one relation other than equality, so that what is tolerated is counted."""

    name: str
    route: str
    path: str
    count: int


@dataclass(frozen=True, slots=True)
class Answer:
    """One side's answer of an exchange, made ready to be shown to people."""

    status: int | None
    """None: no response."""
    headers: tuple[tuple[str, str], ...]
    body: str
    """Text; bytes that are no UTF-8 are shown as escapes. Cut where `body_bytes` is more."""
    body_bytes: int
    media_type: str
    duration_ms: float
    error: str = ""


@dataclass(frozen=True, slots=True)
class Pair:
    """What became of one planned exchange: compared, or a gap."""

    exchange: int
    domain: str
    route: str
    method: str
    target: str
    gap: str | None
    """None: compared."""
    gap_detail: str = ""
    observed_exchange: int | None = None
    """The id of the observed exchange that it was compared with; None for a gap. The same id in a replay."""
    worst: DifferenceClass | None = None
    """The worst open class; None where none is open."""
    findings: int = 0
    primary_status: int | None = None
    candidate_status: int | None = None
    control_status: int | None = None
    primary_ms: float | None = None
    candidate_ms: float | None = None
    control_ms: float | None = None
    events: tuple[tuple[str, float], ...] = field(default=())
    """For streams: (side, milliseconds after the request) of each chunk."""

    @property
    def is_call(self) -> bool:
        """Whether it is what the daemon asked a model, and no exchange of a client: it has no partner by its number."""
        return self.route.startswith(CALL_PREFIX)


@dataclass(frozen=True, slots=True)
class Answers:
    """All sides' answers of one exchange, with the request that asked for them."""

    exchange: int
    method: str
    target: str
    request_headers: tuple[tuple[str, str], ...]
    request_body: str
    primary: Answer | None
    candidate: Answer | None
    control: Answer | None = None


@dataclass(frozen=True, slots=True)
class Canaries:
    """Known divergences planted to prove that the run is awake."""

    planted: int = 0
    found: int = 0
    blind: int = 0
    missed: tuple[str, ...] = ()
    """What was not found, in words."""
    swallowed: tuple[tuple[str, str], ...] = ()
    """What was blind: (the rule that made it so, or empty; which canary and why, in words)."""
    kinds: tuple[tuple[str, int, int], ...] = ()
    """(domain and class, planted, found): what they prove of which part."""
