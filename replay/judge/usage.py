"""
What rules did: which decided what, which never did, and which say more than one thing.

A rule that is *shadowed* covers findings, and a more specific one always speaks first. One that is *over-broad* accepts what differs in so
many places, routes or kinds that nobody can have meant all of it: globs hide a fault that comes tomorrow. Only what a rule leaves open counts:
one that names its route and its kinds is as broad as its owner wanted.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from replay.judge.rules import RuleSet
from replay.model import Finding, Rule, RuleUse, Verdict

PLACES_MAX: Final = 20
ROUTES_MAX: Final = 5
KINDS_MAX: Final = 2


@dataclass(slots=True)
class Usage:
    """Gathers what rules did while findings are judged."""

    rules: RuleSet
    today: dt.date
    matched: dict[str, list[Finding]] = field(default_factory=dict)
    decided: dict[str, list[Finding]] = field(default_factory=dict)
    shadows: dict[str, dict[str, None]] = field(default_factory=dict)
    """Rule → those that spoke before it."""

    def decide(self, finding: Finding) -> Rule | None:
        """Give the rule that decides a finding, and take note of all that cover it."""
        found = self.rules.matching(finding, self.today)
        for rule in found:
            self.matched.setdefault(rule.id, []).append(finding)
            if rule is found[0]:
                self.decided.setdefault(rule.id, []).append(finding)
            else:
                self.shadows.setdefault(rule.id, {})[found[0].id] = None
        return found[0] if found else None

    def told(self) -> tuple[RuleUse, ...]:
        """Say what each rule did, in the file's order."""
        expired = set(self.rules.expired(self.today))
        return tuple(self._use(rule, expired=rule.id in expired) for rule in self.rules.rules)

    def _use(self, rule: Rule, *, expired: bool) -> RuleUse:
        matched, decided = self.matched.get(rule.id, []), self.decided.get(rule.id, [])
        notes: list[str] = []
        if expired:
            notes.append("expired")
        elif not matched:
            notes.append("unused")
        elif not decided:
            notes.append(f"shadowed by {', '.join(self.shadows[rule.id])}")
        broad = _breadth(rule, decided)
        if broad and rule.verdict is Verdict.DOCUMENTED:
            notes.append(f"over-broad: {broad}")
        return RuleUse(
            id=rule.id,
            verdict=rule.verdict,
            matched=len(matched),
            decided=len(decided),
            places=len(_places(decided)),
            routes=len({finding.route for finding in decided}),
            kinds=tuple(sorted({finding.kind for finding in decided})),
            notes=tuple(notes),
        )


def with_swallowed(uses: Iterable[RuleUse], swallowed: Iterable[tuple[str, str]]) -> tuple[RuleUse, ...]:
    """Add what planted faults rules let through: (rule, which fault, in words)."""
    told: dict[str, list[str]] = {}
    for rule, words in swallowed:
        told.setdefault(rule, []).append(words)
    return tuple(_with(use, told[use.id]) if use.id in told else use for use in uses)


def _with(use: RuleUse, what: Sequence[str]) -> RuleUse:
    faults = "fault" if len(what) == 1 else "faults"
    note = f"lets {len(what)} planted {faults} through, such as {what[0].partition(': rule ')[0]}"
    return replace(use, swallowed=use.swallowed + len(what), notes=(*use.notes, note))


def _places(findings: Iterable[Finding]) -> set[tuple[str, str | None, str, str]]:
    return {(finding.check, finding.route, finding.path, finding.kind) for finding in findings}


def _breadth(rule: Rule, decided: Sequence[Finding]) -> str:
    """Say in what a rule is over-broad; empty where it is not."""
    places = len(_places(decided))
    routes = len({finding.route for finding in decided})
    kinds = sorted({finding.kind for finding in decided})
    told = []
    if "*" in rule.path and places > PLACES_MAX:
        told.append(f"{places} places")
    if "*" in rule.route and routes > ROUTES_MAX:
        told.append(f"{routes} routes")
    if not rule.kinds and len(kinds) > KINDS_MAX:
        told.append(f"{len(kinds)} kinds ({', '.join(kinds[:5])}{', …' if len(kinds) > 5 else ''})")
    return ", ".join(told)
