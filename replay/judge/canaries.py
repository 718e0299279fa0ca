"""
Canaries: known divergences planted into answers that were really compared, to prove that the run is awake.

How this works
--------------
From the exchanges without any finding, a seeded draw takes some per domain. Each gets its observed answer changed in one known way:
a *structural* canary changes the status or drops a key, a *semantic* one changes a leaf in a way that no relation covers.
The changed answer goes through the same comparison, rules and noise as the run. A canary that yields no finding was missed, and the run is void;
one whose findings a rule or noise fact swallows is counted as blind.
"""

import datetime as dt
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from replay.compare import Comparison, Partners, agreement, find, findings_of, hear
from replay.content import Value, dump, parse, walk
from replay.judge.noise import NoiseModel
from replay.judge.rules import RuleSet
from replay.judge.verdicts import judge
from replay.model import Canaries, Exchange, Response, Verdict
from replay.routes import route_of

PER_DOMAIN = 2


@dataclass(frozen=True, slots=True)
class Ground:
    """Where canaries are planted: the run's archives, rules and noise."""

    recorded: Sequence[Exchange]
    candidate: Partners
    control: Partners | None
    rules: RuleSet
    noise: NoiseModel
    today: dt.date


def plant(comparison: Comparison, ground: Ground, seed: int) -> Canaries:
    """Plant canaries into exchanges that were compared and equal, at most `PER_DOMAIN` of each kind per domain."""
    dice = random.Random(seed)  # noqa: S311  # a draw that can be repeated, no secret
    equal = {pair.exchange: pair.domain for pair in comparison.pairs if pair.gap is None and pair.findings == 0}
    by_domain: dict[str, list[Exchange]] = {}
    for exchange in ground.recorded:
        if exchange.id in equal:
            by_domain.setdefault(equal[exchange.id], []).append(exchange)
    planted = found = blind = 0
    missed: list[str] = []
    started = min((exchange.started_at for exchange in ground.recorded if exchange.id in ground.candidate.exchanges), default=0.0)
    for _, exchanges in sorted(by_domain.items()):
        for change in (_other_status, _dropped_key, _changed_leaf):
            for exchange, mutant in _mutants(exchanges, change, ground.candidate, dice):
                planted += 1
                fate = _fate(exchange, mutant, started, ground)
                found += fate == "found"
                blind += fate == "blind"
                if fate == "missed":
                    missed.append(f"#{exchange.id} {route_of(exchange.request).name}: {change.__doc__}")
    return Canaries(planted, found, blind, tuple(missed))


type Change = Callable[[Response, random.Random], Response | None]


def _mutants(exchanges: Sequence[Exchange], change: Change, candidate: Partners, dice: random.Random) -> Iterable[tuple[Exchange, Exchange]]:
    drawn = list(exchanges)
    dice.shuffle(drawn)
    made = 0
    for exchange in drawn:
        observed = candidate.exchanges[exchange.id]
        if made == PER_DOMAIN or not isinstance(observed.outcome, Response):
            continue
        mutant = change(observed.outcome, dice)
        if mutant is not None:
            made += 1
            yield exchange, replace(observed, outcome=mutant, chunks=())


def _fate(exchange: Exchange, mutant: Exchange, started: float, ground: Ground) -> str:
    route = route_of(exchange.request)
    found = find(exchange, mutant, ground.candidate, started, route, trial=True)
    third = ground.control.exchanges.get(exchange.id) if ground.control is not None else None
    if third is None or ground.control is None:
        heard = hear(found, None)
    else:
        against = find(exchange, third, ground.control, started, route, trial=True)
        heard = hear(found, against, agreement(mutant, third, ground.candidate.side, ground.control.side))
    findings = findings_of(exchange, route, heard)
    if not findings:
        return "missed"
    verdicts = {divergence.verdict for divergence in judge(findings, ground.rules, ground.noise, ground.today).divergences}
    return "found" if Verdict.OPEN in verdicts else "blind"


def _other_status(response: Response, dice: random.Random) -> Response | None:
    """another status"""  # noqa: D400, D403  # said in reports
    return replace(response, status=dice.choice([code for code in (200, 404, 500) if code // 100 != response.status // 100]))


def _dropped_key(response: Response, dice: random.Random) -> Response | None:
    """a key dropped"""  # noqa: D400, D403  # said in reports
    content = parse(response.body or b"", response.header(b"content-type"))
    if content.kind != "json" or not isinstance(content.value, dict) or not content.value:
        return None
    gone = dice.choice(sorted(content.value))
    kept: dict[str, Value] = {key: value for key, value in content.value.items() if key != gone}
    return replace(response, body=dump(kept).encode("utf-8", "surrogatepass"))


def _changed_leaf(response: Response, dice: random.Random) -> Response | None:
    """a leaf changed"""  # noqa: D400, D403  # said in reports
    content = parse(response.body or b"", response.header(b"content-type"))
    if content.kind != "json":
        return None
    value: Value = content.value  # type: ignore[assignment]  # by kind
    leaves = [leaf for _, leaf in walk(value) if isinstance(leaf, bool) or (isinstance(leaf, str) and leaf.isalpha() and len(leaf) > 1)]
    if not leaves:
        return None
    place = dice.randrange(len(leaves))
    seen = -1

    def changed(item: Value) -> Value:
        nonlocal seen
        if isinstance(item, dict):
            return {key: changed(below) for key, below in item.items()}
        if isinstance(item, list):
            return [changed(below) for below in item]
        if isinstance(item, bool) or (isinstance(item, str) and item.isalpha() and len(item) > 1):
            seen += 1
            if seen == place:
                return (not item) if isinstance(item, bool) else item[::-1] + "x"
        return item

    return replace(response, body=dump(changed(value)).encode("utf-8", "surrogatepass"))
