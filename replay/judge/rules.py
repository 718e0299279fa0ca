"""
Rules: what people accept, each with a reason, an owner and an end date.

    format = 1

    [[rule]]
    id = "history-created-row"
    route = "GET /api/memory/:id/history"     # default "*"; a trailing * is a prefix
    path = "$.history[*]"                     # default "*"; see `paths`
    kinds = ["extra-item"]                    # default: any
    class = "semantic"                        # default: any
    check = "http"                            # default: any
    verdict = "documented"                    # or "open", to take a place back out of a broader rule
    reason = "the candidate writes a created row for every ingest"
    owner = "parity team"
    until = 2027-03-31
    tolerance = 0.05                          # numbers only: the rule applies up to this absolute difference

The most specific rule that matches a finding decides. Two that are equally specific and disagree are an error, not a coin toss.
"""

import datetime as dt
import json
from dataclasses import dataclass
from typing import Any, Final

from replay.judge import paths
from replay.model import DifferenceClass, Finding, Rule, RuleError, Verdict
from replay.model.toml import line_of_key, parse_toml

_KEYS: Final = frozenset({"id", "route", "path", "kinds", "class", "check", "verdict", "reason", "owner", "until", "tolerance"})
_NEEDED: Final = ("id", "verdict", "reason", "owner", "until")
_VERDICTS: Final = {"documented": Verdict.DOCUMENTED, "open": Verdict.OPEN}


@dataclass(frozen=True, slots=True)
class RuleSet:
    """The rules of one file."""

    rules: tuple[Rule, ...] = ()

    def expired(self, today: dt.date) -> tuple[str, ...]:
        """The ids of rules whose end date has passed: they no longer apply."""
        return tuple(rule.id for rule in self.rules if _until(rule) < today)

    def deciding(self, finding: Finding, today: dt.date) -> Rule | None:
        """
        The rule that decides *finding*, or None.

        Raises:
            RuleError: two rules are equally specific and say different things.

        """
        matching = [rule for rule in self.rules if _until(rule) >= today and _matches(rule, finding)]
        if not matching:
            return None
        best = max(_specificity(rule) for rule in matching)
        first, *others = [rule for rule in matching if _specificity(rule) == best]
        for other in others:
            if other.verdict != first.verdict:
                raise RuleError(
                    f"rules {first.id} (line {first.line}) and {other.id} (line {other.line}) are equally specific for "
                    f"{finding.route or finding.check} {finding.path} ({finding.kind}) and disagree; make one of them narrower"
                )
        return first


def load_rules(text: str, source: str) -> RuleSet:
    """
    Read a rules file; *source* names it in errors.

    Raises:
        RuleError: broken TOML, an unknown key or value, a missing reason, owner or date, or an id used twice; with the line.

    """
    document = parse_toml(text, source, RuleError)
    for key in document:
        if key not in {"format", "rule"}:
            raise RuleError(f"{source}, line {line_of_key(text, key, 0)}: unknown key {key!r}; known are format and rule")
    if document.get("format", 1) != 1:
        raise RuleError(f"{source}: format {document['format']!r} is not known to this version; it reads format 1")
    rows = document.get("rule", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise RuleError(f"{source}: rule must be an array of tables, each headed [[rule]]")
    lines = [number for number, line in enumerate(text.splitlines(), 1) if line.strip().replace(" ", "").startswith("[[rule]]")]
    lines += [0] * (len(rows) - len(lines))
    rules = tuple(_rule(row, line, text, source) for row, line in zip(rows, lines, strict=False))
    seen: dict[str, Rule] = {}
    for rule in rules:
        if rule.id in seen:
            raise RuleError(f"{source}, line {rule.line}: the id {rule.id!r} is taken by the rule in line {seen[rule.id].line}")
        seen[rule.id] = rule
    return RuleSet(rules)


def _rule(row: dict[str, Any], line: int, text: str, source: str) -> Rule:
    here = f"{source}, line {line}"
    for key in row:
        if key not in _KEYS:
            raise RuleError(
                f"{source}, line {line_of_key(text, key, line)}: unknown key {key!r} in a rule; known are {', '.join(sorted(_KEYS))}"
            )
    for key in _NEEDED:
        if key not in row:
            raise RuleError(f"{here}: the rule has no {key}; every rule needs {', '.join(_NEEDED)}")
    for key in ("id", "verdict", "reason", "owner", "route", "path", "check"):
        if not isinstance(row.get(key, "*"), str) or not row.get(key, "*").strip():
            raise RuleError(f"{source}, line {line_of_key(text, key, line)}: {key} must be a text that says something")
    if row["verdict"] not in _VERDICTS:
        raise RuleError(f"{here}: verdict {row['verdict']!r} is none of {', '.join(_VERDICTS)}")
    until = row["until"]
    if isinstance(until, dt.datetime) or not isinstance(until, dt.date):
        raise RuleError(f"{source}, line {line_of_key(text, 'until', line)}: until must be a date such as 2027-03-31, without quotes")
    difference = row.get("class")
    if difference is not None and difference not in list(DifferenceClass):
        raise RuleError(f"{here}: class {difference!r} is none of {', '.join(DifferenceClass)}")
    kinds = row.get("kinds", [])
    if not isinstance(kinds, list) or not all(isinstance(kind, str) for kind in kinds):
        raise RuleError(f"{here}: kinds must be a list of texts")
    tolerance = row.get("tolerance")
    if tolerance is not None and (isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or not tolerance >= 0):
        raise RuleError(f"{here}: tolerance must be a number that is not negative")
    path = row.get("path", "*")
    if path.startswith("$") and paths.segments(path) is None:
        raise RuleError(f"{here}: {path!r} is no path pattern; write it like $.results[*].score")
    return Rule(
        id=row["id"],
        reason=row["reason"],
        owner=row["owner"],
        until=until.isoformat(),
        verdict=_VERDICTS[row["verdict"]],
        check=row.get("check", "*"),
        route=row.get("route", "*"),
        path=path,
        kinds=tuple(kinds),
        difference=None if difference is None else DifferenceClass(difference),
        tolerance=None if tolerance is None else float(tolerance),
        line=line,
    )


def _until(rule: Rule) -> dt.date:
    return dt.date.fromisoformat(rule.until)


def _matches(rule: Rule, finding: Finding) -> bool:
    return (
        rule.check in {"*", finding.check}
        and _matches_route(rule.route, finding.route)
        and (not rule.kinds or finding.kind in rule.kinds)
        and rule.difference in {None, finding.difference}
        and paths.matches(rule.path, finding.path)
        and (rule.tolerance is None or _within(finding, rule.tolerance))
    )


def _matches_route(pattern: str, route: str | None) -> bool:
    if pattern == "*":
        return True
    if route is None:
        return False
    return route.startswith(pattern[:-1]) if pattern.endswith("*") else route == pattern


def _within(finding: Finding, tolerance: float) -> bool:
    try:
        primary, candidate = json.loads(finding.primary or "null"), json.loads(finding.candidate or "null")
    except ValueError:
        return False
    if isinstance(primary, bool) or isinstance(candidate, bool):
        return False
    if not isinstance(primary, int | float) or not isinstance(candidate, int | float):
        return False
    try:
        return abs(primary - candidate) <= tolerance
    except OverflowError:
        # A whole number that no float can hold, beside a float: further apart than any tolerance.
        return False


def _specificity(rule: Rule) -> tuple[int, int, int, int, int, int]:
    route = 0 if rule.route == "*" else len(rule.route) if rule.route.endswith("*") else 1000
    return (
        route,
        paths.specificity(rule.path),
        int(bool(rule.kinds)),
        int(rule.tolerance is not None),
        int(rule.difference is not None),
        int(rule.check != "*"),
    )
