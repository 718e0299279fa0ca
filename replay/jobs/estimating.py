"""
What a replay would send, leave out and wait for, and how long it would take: all of it from the recording, before anything is started.

How this works
--------------
The time is that of a walk over the plan in which every exchange takes as long as the recorded one took, starts when the order lets it, and is
left, where its client left, when the order lets that. At the least, each wait for background work is as short as the player's own minimum; at
the most, it is as long as the recording paused there, for in that time the recorded daemon was done. A candidate that is slower or faster
than the recorded daemon moves both. Starting the daemon, repeated polls and limits of rate are not in it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from replay.archive import Archive
from replay.model import Attachment, EndReason, Exchange, Gap, GapReason, Response
from replay.plan import Plan, Stretch
from replay.play import Job
from replay.redact import is_placeholder
from replay.report import visible
from replay.routes import ACTS_OUTSIDE, Route, route_of
from replay.workspace import tokens

_LEFT: Final = frozenset({EndReason.CLIENT_LEFT, EndReason.PROXY_STOPPED})
_UNAUTHORISED: Final = 401
_TOO_MANY: Final = 429
_BLIND_S: Final = 2.0
MADE: Final = (
    "recorded service times in the order of the replay, plus the least waits for background work; at the most the recorded pauses instead"
)


@dataclass(frozen=True, slots=True)
class Duration:
    """How long a replay would take, in seconds."""

    service_s: float
    """The walk alone, without waits."""
    least_s: float
    most_s: float
    recorded_s: float
    """From the first start to the last end, as recorded."""
    made: str = MADE


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a replay would do."""

    planned: int
    send: Mapping[str, int]
    """By replay class."""
    sent_outside: Mapping[str, Mapping[str, int]]
    """Of these what acts outside or is unknown, and was allowed: by class, then by route."""
    leave_out: Mapping[str, int]
    """By reason."""
    left_out_classes: Mapping[str, Mapping[str, int]]
    """What was left out because it acts outside: by class, then by route."""
    left_out: Sequence[tuple[int, str, str]]
    """Each that is left out on other grounds than that it was not asked for: exchange, reason, detail."""
    not_asked: Mapping[str, int]
    """What was not asked for, by why."""
    waits: int
    """Before so many exchanges background work is waited for."""
    pauses_s: float
    """How long the recording paused there."""
    workers: Sequence[str]
    """Whose job tables are looked at."""
    limited: int
    """So many recorded answers were a limit of rate (429)."""
    layings: Mapping[str, int]
    unlaid: Mapping[str, int]
    """Recorded changes of files that are not laid, by why."""
    provider_calls: Mapping[str, int]
    """Calls that the recorded daemon made, by lane: answered from the recording."""
    credentials: Mapping[str, int]
    """What proves who asks and is made again, by kind, each once."""
    duration: Duration
    notes: Sequence[str] = field(default_factory=tuple)
    """What more there is to know: what a stretch lacks, what one exchange depends on."""

    def as_json(self) -> dict[str, Any]:
        """Give all of it as JSON values."""
        return asdict(self)

    def text(self) -> str:
        """Say all of it, for people."""
        lines = [f"{self.planned:,} planned · {sum(self.send.values()):,} would be sent · {sum(self.leave_out.values()):,} left out"]
        lines += [f"  send      {count:6,} {name}" for name, count in sorted(self.send.items())]
        lines += [_routes_line("send", name, routes) for name, routes in sorted(self.sent_outside.items())]
        lines += [f"  leave out {count:6,} {name}" for name, count in sorted(self.leave_out.items())]
        for name, routes in sorted(self.left_out_classes.items()):
            lines.append(
                f"    {name} ({sum(routes.values()):,}): " + ", ".join(f"{count:,} × {route}" for route, count in sorted(routes.items()))
            )
        lines += [f"    {count:,} of {visible(name)}: never sent" for name, count in sorted(self.not_asked.items())]
        lines += [f"  #{number}: {reason}: {visible(detail)}" for number, reason, detail in self.left_out]
        lines.append(
            f"waits for background work before {self.waits:,} exchanges (the recording paused {self.pauses_s:.1f} s there); "
            + (f"workers looked at: {', '.join(self.workers)}" if self.workers else "no job table is known")
        )
        if self.limited:
            lines.append(f"{self.limited:,} recorded answers are a limit of rate (429), which depends on pace")
        said = {"lays": self.layings, "does not lay": self.unlaid, "serves": self.provider_calls, "makes again": self.credentials}
        for what, counts in said.items():
            if counts:
                lines.append(f"{what}: " + ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items())))
        lines.append(
            f"takes about {self.duration.least_s:.0f} to {self.duration.most_s:.0f} s (recorded: {self.duration.recorded_s:.0f} s; "
            f"{self.duration.service_s:.0f} s without waits): {self.duration.made}"
        )
        return "\n".join([*lines, *(f"note: {visible(text)}" for text in self.notes)])


def forecast(recorded: Archive, planned: Plan, stretch: Stretch, *, workers: Sequence[str], pace: str | float, notes: Sequence[str]) -> Forecast:
    """
    Say what the replay of a plan would do.

    Raises:
        ArchiveError: the recording is damaged.

    """
    steps, gaps = planned.steps, planned.gaps
    exchanges = {exchange.id: exchange for exchange in recorded.exchanges()}
    settling = [step for step in steps if step.settles]
    return Forecast(
        planned=planned.planned,
        send=_count(step.route.replay_class for step in steps),
        sent_outside=_by_class(step.route for step in steps if step.route.replay_class in ACTS_OUTSIDE | {"unknown"}),
        leave_out=_count(str(gap.reason) for gap in gaps),
        left_out_classes=_by_class(route_of(exchanges[gap.exchange].request) for gap in gaps if gap.exchange in exchanges and _is_unsafe(gap)),
        left_out=[
            (gap.exchange or 0, str(gap.reason), gap.detail)
            for gap in gaps
            if gap.reason is not GapReason.OUT_OF_SCOPE and not (_is_unsafe(gap) and gap.exchange in exchanges)
        ],
        not_asked=_count(gap.detail for gap in gaps if gap.reason is GapReason.OUT_OF_SCOPE),
        waits=len(settling),
        pauses_s=sum(step.pause_s for step in settling),
        workers=tuple(workers),
        limited=sum(isinstance(step.exchange.outcome, Response) and step.exchange.outcome.status == _TOO_MANY for step in steps),
        layings=_layings(planned),
        unlaid={each.why: each.count for each in planned.unlaid},
        provider_calls=_count(
            exchange.lane for exchange in exchanges.values() if exchange.lane != "daemon" and stretch.holds(exchange.opened_event)
        ),
        credentials=_credentials([step.exchange for step in steps]),
        duration=estimate(planned, pace, drained=bool(workers)),
        notes=tuple(notes),
    )


def estimate(planned: Plan, pace: str | float = "asap", *, drained: bool = True) -> Duration:
    """
    Estimate how long a replay takes; `drained` says whether the daemon's job tables can be looked at.

    A pace other than `asap` takes the recorded time, divided by its factor, at the least.
    """
    steps = planned.steps
    recorded_s = max((step.exchange.ended_at for step in steps), default=0.0) - min((step.exchange.started_at for step in steps), default=0.0)
    usual = Job(Path(), Path())
    least_wait_s = usual.settle_s if drained else _BLIND_S
    service_s = _walk(planned, lambda _pause_s, _outside: 0.0)
    least_s = _walk(planned, lambda pause_s, outside: min(pause_s, usual.settle_outside_s if outside else least_wait_s))
    most_s = max(least_s, _walk(planned, lambda pause_s, _outside: pause_s))
    if pace != "asap":
        paced_s = recorded_s / (1.0 if isinstance(pace, str) else pace)
        least_s, most_s = max(least_s, paced_s), max(most_s, paced_s)
    return Duration(service_s, least_s, most_s, recorded_s)


def _walk(planned: Plan, wait_s: Callable[[float, bool], float]) -> float:
    """Give when the last step of a walk ends, from 0, where a wait takes as long as *wait_s* says for its pause and what came before."""
    order = sorted(planned.steps, key=lambda step: step.exchange.ended_event)
    place = {step.exchange.id: number for number, step in enumerate(order)}
    ends: dict[int, float] = {}
    fronts: list[float] = [0.0]
    now, last, outside = 0.0, 0.0, False

    def front(count: int) -> float:
        while len(fronts) <= count:
            number = order[len(fronts) - 1].exchange.id
            if number not in ends:
                return max(now, fronts[-1])  # one that was left, and waits for this very front
            fronts.append(max(fronts[-1], ends[number]))
        return fronts[count]

    for step in planned.steps:
        now = max(now, front(step.after), ends.get(step.previous, 0.0) if step.previous is not None else 0.0)
        if step.settles:
            now += wait_s(step.pause_s, outside)
            outside = False
        exchange = step.exchange
        if exchange.end in _LEFT:
            ends[exchange.id] = max(now, front(min(step.leave_after, place[exchange.id])))
        else:
            ends[exchange.id] = now + max(0.0, exchange.duration_ms / 1000.0)
        outside = outside or step.route.replay_class in ACTS_OUTSIDE
        last = max(last, ends[exchange.id])
    return last


def _is_unsafe(gap: Gap) -> bool:
    return gap.reason is GapReason.UNSAFE


def _by_class(routes: Iterable[Route]) -> dict[str, dict[str, int]]:
    found: dict[str, list[str]] = {}
    for route in routes:
        found.setdefault(route.replay_class, []).append(route.name)
    return {name: _count(members) for name, members in found.items()}


def _count(words: Iterable[str]) -> dict[str, int]:
    return dict(Counter(words))


def _routes_line(what: str, name: str, routes: Mapping[str, int]) -> str:
    listed = ", ".join(f"{count:,} × {visible(route)}" for route, count in sorted(routes.items()))
    return f"    {what} {name}, {sum(routes.values()):,}: {listed}"


def _layings(planned: Plan) -> dict[str, int]:
    return _count(
        "files that requests name" if isinstance(laying.record, Attachment) else "changes of the workspace's files" for laying in planned.layings
    )


def _credentials(exchanges: Sequence[Exchange]) -> dict[str, int]:
    """Count what is made again: tokens with claims that were taken, API keys by their placeholders; each once."""
    found: set[tuple[str, str]] = set()
    for exchange in exchanges:
        if isinstance(exchange.outcome, Response) and exchange.outcome.status == _UNAUTHORISED:
            continue
        for name, raw in exchange.request.headers:
            if name.lower() not in {b"authorization", b"x-api-key"}:
                continue
            value = raw.decode("latin-1").rpartition(" ")[2]
            if tokens.claims(value) is not None:
                found.add(("bearer tokens", value))
            elif value.startswith("sig_sk_"):
                found.add(("API keys (by placeholder)" if is_placeholder(value.encode()) else "API keys", value))
    return _count(kind for kind, _ in found)


__all__ = ["Duration", "Forecast", "estimate", "forecast"]
