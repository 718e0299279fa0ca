"""One judge for all findings: verdict and because."""

import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from replay.judge.clusters import cluster_id
from replay.judge.noise import NoiseModel
from replay.judge.rules import RuleSet
from replay.judge.usage import Usage
from replay.model import Divergence, Finding, Rule, RuleUse, Verdict, Witness

_HANGING: Final = re.compile(r"#(\d+), where .* first differed \((.*)\)\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Judgement:
    """The judged findings, and what the rules did."""

    divergences: tuple[Divergence, ...]
    """One per finding, in the same order."""
    rules_unused: tuple[str, ...]
    rules_expired: tuple[str, ...]
    rule_uses: tuple[RuleUse, ...] = ()
    """What each rule did, in the file's order."""


def judge(findings: Iterable[Finding], rules: RuleSet, noise: NoiseModel, today: dt.date) -> Judgement:
    """
    Give every finding its verdict.

    What no rule and no measured fact speaks for is open.
    """
    usage = Usage(rules, today)
    divergences = []
    findings = tuple(findings)
    noise = noise.against(findings)
    hanging = {place for finding in findings for place in [_hangs_on(finding)] if place is not None}
    open_places = {
        (finding.subject.id, finding.path)
        for finding in findings
        if (finding.subject.id, finding.path) in hanging
        and not finding.derived_from
        and _decide(finding, rules.deciding(finding, today), noise)[0] is Verdict.OPEN
    }
    for given in findings:
        place = _hangs_on(given)
        # What a rule or noise accepts in one place excuses nothing in another: there it is judged for itself.
        finding = replace(given, derived_from="") if place is not None and place not in open_places else given
        rule = usage.decide(finding)
        verdict, because = _decide(finding, rule, noise)
        divergences.append(
            Divergence(
                finding=finding,
                verdict=verdict,
                because=because,
                cluster=cluster_id(finding),
                rule=rule.id if rule is not None and verdict is rule.verdict else "",
            )
        )
    uses = usage.told()
    expired = rules.expired(today)
    unused = tuple(use.id for use in uses if not use.matched and use.id not in expired)
    return Judgement(tuple(divergences), unused, expired, uses)


def _hangs_on(finding: Finding) -> tuple[str, str] | None:
    """Give the exchange and the path of the finding that one hangs on because of the thing both are about; None for any other."""
    found = _HANGING.match(finding.derived_from)
    return None if found is None else (found[1], found[2])


def _decide(finding: Finding, rule: Rule | None, noise: NoiseModel) -> tuple[Verdict, str]:
    if finding.derived_from:
        return Verdict.DERIVED, f"follows from {finding.derived_from}"
    if finding.witness is Witness.INFIDELITY:
        return Verdict.INFIDELITY, "control and candidate agree against the recording: the replay's doing, not the candidate's"
    if rule is not None and rule.verdict is Verdict.DOCUMENTED:
        return Verdict.DOCUMENTED, f"rule {rule.id}: {rule.reason} ({rule.owner}, until {rule.until})"
    excuse = noise.excuse(finding) if rule is None else None
    if excuse is not None:
        return Verdict.NOISE, excuse
    taken_back = f"; rule {rule.id} keeps it open: {rule.reason}" if rule is not None else "; no rule"
    return Verdict.OPEN, _WITNESS[finding.witness] + noise.objection(finding) + taken_back


_WITNESS = {
    Witness.CANDIDATE: "the control agrees with the recording, the candidate does not",
    Witness.ALL_DIFFER: "recording, control and candidate all differ, and no noise fact covers it",
    Witness.UNCONFIRMED: "there was no control: not confirmed",
    Witness.INFIDELITY: "",
}
