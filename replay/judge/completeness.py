"""
Whether a run proves anything: what was not compared, and where the replay itself went wrong, by stated shares.

How this works
--------------
Where control and candidate agree with each other against the recording, the replay is at fault and neither daemon: no provider, a token that is
no good any more, a file that was not laid. Nothing is then known of the candidate, however green it looks. So such exchanges are counted, the
whole ones (another status, another kind of body: a gap) and those with a leaf that no noise speaks for, and a run is incomplete where

- more than `WHOLE_SHARE_MAX` of a domain's exchanges are such gaps, or more than `LEAF_SHARE_MAX` of them have any infidelity (in both cases at
  least two), since a few leaves differ in every replay of a daemon that works in the background; routes that tell of the moment (memory, open
  files) count only as a whole;
- all exchanges of a route, or of a domain, are such gaps, be it only one; or all of a route's, at least two, lack or have more things than
  recorded (every recall is empty), or more than `ROUTE_SHARE_MAX` of at least three have any infidelity: nothing is known of it;
- what the control asked its models was not answered, because nothing like it was recorded. (Calls of models are counted like a domain of their
  own; where both replays asked nothing, all of them are infidelity.)

Each sentence says the count, of how many, and the share that is allowed.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from replay.compare.asked import UNANSWERED
from replay.model import Finding, GapReason, Pair, Witness
from replay.routes import by_name

WHOLE_SHARE_MAX: Final = 0.05
"""More whole exchanges that the replay itself spoilt than this share of a domain's planned ones, and the run proves nothing."""
LEAF_SHARE_MAX: Final = 0.10
"""The same for exchanges in which any leaf is the replay's doing."""
ROUTE_SHARE_MAX: Final = 0.75
"""The same for the exchanges of one route, where it has at least three: small in its domain, and nothing is known of it."""
GAP_SHARE_MAX: Final = 0.25
"""More gaps that nobody asked for than this share of what was to be compared, and the run proves nothing."""
_BROKEN: Final = frozenset({GapReason.NOT_OBSERVED, GapReason.UNALIGNED, GapReason.DAEMON_DEAD, GapReason.COMPARER})
"""Gaps that make a run incomplete: something that should have been compared was not."""
_ASKED_FOR: Final = frozenset({GapReason.UNSAFE, GapReason.POLL, GapReason.LOOPBACK, GapReason.OUT_OF_SCOPE})
"""Gaps that follow from how the replay was ordered."""
_MEMBERSHIP: Final = frozenset({"missing-item", "missing-key", "extra-item", "extra-key", "asked-missing"})
_ROUTE_MIN: Final = 3
"""Of fewer exchanges of a route that all have a leaf of infidelity it may be chance."""
_WHOLE: Final = "another status or kind of body than recorded in both replays"


@dataclass(slots=True)
class _Place:
    """A domain or a route."""

    planned: int = 0
    whole: int = 0
    """Exchanges that are gaps by infidelity."""
    leaf: int = 0
    """Compared ones that have a leaf of infidelity."""
    membership: int = 0
    """Compared ones in which things lack, or are more, by infidelity."""


@dataclass(slots=True)
class _Tally:
    """What one pass over all pairs counts."""

    compared: int = 0
    gaps: Counter[str] = field(default_factory=Counter)
    domains: dict[str, _Place] = field(default_factory=dict)
    routes: dict[str, _Place] = field(default_factory=dict)


def incompleteness(
    pairs: Iterable[Pair],
    findings: Iterable[Finding],
    excused: Callable[[Finding], bool],
    not_compared: Iterable[tuple[str, int]] = (),
) -> str:
    """
    Say why a comparison proves nothing; empty where it does.

    *excused* tells whether the primary is known to differ from itself so.
    """
    tally = _count(pairs, findings, excused)
    if tally.compared == 0:
        return "nothing was compared"
    broken = {reason: count for reason, count in tally.gaps.items() if reason in _BROKEN}
    if broken:
        return "not compared: " + ", ".join(f"{count} {reason}" for reason, count in sorted(broken.items()))
    unfaithful = _unfaithful(tally)
    if unfaithful:
        return unfaithful
    unasked = sum(count for reason, count in tally.gaps.items() if reason not in _ASKED_FOR)
    wanted = tally.compared + unasked
    if unasked > max(1.0, GAP_SHARE_MAX * wanted):
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(tally.gaps.items()) if reason not in _ASKED_FOR)
        return f"too many gaps: {unasked} of {wanted} exchanges were not compared ({reasons}), more than {GAP_SHARE_MAX:.0%}"
    return next((f"the replay was not faithful: {label}" for label, _ in not_compared if label.startswith(UNANSWERED)), "")


def _count(pairs: Iterable[Pair], findings: Iterable[Finding], excused: Callable[[Finding], bool]) -> _Tally:
    leaf: set[str] = set()
    membership: set[str] = set()
    for finding in findings:
        ours = finding.witness is Witness.INFIDELITY and finding.subject.kind == "exchange" and finding.route not in _volatile()
        if ours and not excused(finding):
            leaf.add(finding.subject.id)
            if finding.kind in _MEMBERSHIP:
                membership.add(finding.subject.id)
    tally = _Tally()
    for pair in pairs:
        if pair.gap is None:
            tally.compared += 1
        else:
            tally.gaps[pair.gap] += 1
        if pair.gap == GapReason.OUT_OF_SCOPE:
            continue
        domain = f"{pair.domain}, calls of models" if pair.is_call else pair.domain
        for places, name in ((tally.domains, domain), (tally.routes, pair.route)):
            place = places.setdefault(name, _Place())
            place.planned += 1
            place.whole += pair.gap == GapReason.INFIDELITY
            place.leaf += pair.gap is None and str(pair.exchange) in leaf
            place.membership += pair.gap is None and str(pair.exchange) in membership
    return tally


@cache
def _volatile() -> frozenset[str]:
    """Name the routes that tell of the daemon's process and of the moment."""
    return frozenset(name for name, route in by_name().items() if route.replay_class == "volatile-read")


def _unfaithful(tally: _Tally) -> str:
    for name, place in sorted(tally.domains.items()):
        spoilt = place.whole + place.leaf
        if place.whole == place.planned or place.whole > max(1.0, WHOLE_SHARE_MAX * place.planned):
            return _words(
                name, place.whole, place.planned, f"more than {WHOLE_SHARE_MAX:.0%} got another status or kind of body in both replays"
            )
        if spoilt > max(1.0, LEAF_SHARE_MAX * place.planned):
            why = f"more than {LEAF_SHARE_MAX:.0%} differ in both replays alike, and no measured noise explains them"
            return _words(name, spoilt, place.planned, why)
    for name, place in sorted(tally.routes.items()):
        if place.whole == place.planned:
            return _words(name, place.whole, place.planned, f"all got {_WHOLE}")
        if place.planned > 1 and place.whole + place.membership == place.planned:
            return _words(name, place.whole + place.membership, place.planned, "in all of them things lack, or are more, in both replays alike")
        spoilt = place.whole + place.leaf
        if place.planned >= _ROUTE_MIN and spoilt > ROUTE_SHARE_MAX * place.planned:
            why = f"more than {ROUTE_SHARE_MAX:.0%} differ in both replays alike, and no measured noise explains them"
            return _words(name, spoilt, place.planned, why)
    return ""


def _words(name: str, count: int, of: int, why: str) -> str:
    return f"the replay was not faithful enough in {name}: {count} of {of} exchanges ({why})"


__all__ = ["GAP_SHARE_MAX", "LEAF_SHARE_MAX", "ROUTE_SHARE_MAX", "WHOLE_SHARE_MAX", "incompleteness"]
