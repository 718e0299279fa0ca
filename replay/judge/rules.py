"""
Rules: what people accept, each with a reason, an owner and an end date.

    format = 1

    [[rule]]
    id = "history-created-row"
    route = "GET /api/memory/:id/history"     # default "*"; see `paths` for globs in routes and paths
    path = "$.history[*]"                     # default "*"
    kinds = ["extra-item"]                    # default: any
    class = "semantic"                        # default: any
    check = "http"                            # default: any
    verdict = "documented"                    # or "open", to take a place back out of a broader rule
    reason = "the candidate writes a created row for every ingest"
    owner = "parity team"
    until = 2027-03-31
    tolerance = 0.05                          # numbers only: the rule applies up to this absolute difference

    [[compare]]                               # how a route is compared, which is no exception
    route = "GET /api/export/*"
    mode = "bytes"                            # byte for byte; or "meaning", the default

The most specific rule that matches a finding decides: the one that says most of the route; of those, of the path; then one with kinds, with a
tolerance, with a class, with a check. Two that say equally much, can match one finding and disagree are an error when the file is read, not
a coin toss when it is used.
"""

import datetime as dt
import json
import math
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

from replay.judge import paths
from replay.model import DifferenceClass, Finding, Rule, RuleError, Verdict
from replay.model.toml import line_of_key, parse_toml

_KEYS: Final = frozenset({"id", "route", "path", "kinds", "class", "check", "verdict", "reason", "owner", "until", "tolerance"})
_NEEDED: Final = ("id", "verdict", "reason", "owner", "until")
_VERDICTS: Final = {"documented": Verdict.DOCUMENTED, "open": Verdict.OPEN}
_MODES: Final = ("bytes", "meaning")
_TABLES: Final = ("format", "rule", "compare")


@dataclass(frozen=True, slots=True)
class RuleSet:
    """The rules of one file."""

    rules: tuple[Rule, ...] = ()
    modes: tuple[tuple[str, str], ...] = ()
    """(route pattern, `bytes` or `meaning`): how routes are compared."""

    def expired(self, today: dt.date) -> tuple[str, ...]:
        """The ids of rules whose end date has passed: they no longer apply."""
        return tuple(rule.id for rule in self.rules if _until(rule) < today)

    def matching(self, finding: Finding, today: dt.date) -> list[Rule]:
        """List the rules that match *finding* and have not expired, the one that decides first."""
        found = [rule for rule in self.rules if matches(rule, finding) and _until(rule) >= today]
        return sorted(found, key=specificity, reverse=True) if len(found) > 1 else found

    def deciding(self, finding: Finding, today: dt.date) -> Rule | None:
        """Give the rule that decides *finding*, or None."""
        return next(iter(self.matching(finding, today)), None)


def load_rules(text: str, source: str) -> RuleSet:
    """
    Read a rules file; *source* names it in errors.

    Raises:
        RuleError: broken TOML, an unknown key or value, a missing reason, owner or date, an id used twice, or two rules that say equally much,
            can match one finding and disagree; with the line.

    """
    document = parse_toml(text, source, RuleError)
    for key in document:
        if key not in _TABLES:
            raise RuleError(f"{source}, line {line_of_key(text, key, 0)}: unknown key {key!r}; known are {', '.join(_TABLES)}")
    if document.get("format", 1) != 1:
        raise RuleError(f"{source}: format {document['format']!r} is not known to this version; it reads format 1")
    rules = tuple(_rule(row, line, text, source) for row, line in _rows(document, "rule", text, source))
    seen: dict[str, Rule] = {}
    for rule in rules:
        if rule.id in seen:
            raise RuleError(f"{source}, line {rule.line}: the id {rule.id!r} is taken by the rule in line {seen[rule.id].line}")
        seen[rule.id] = rule
    _check_agreement(rules, source)
    modes = tuple(_mode(row, line, text, source) for row, line in _rows(document, "compare", text, source))
    routes = [route for route, _ in modes]
    for route, _ in modes:
        if routes.count(route) > 1:
            raise RuleError(f"{source}: there are several [[compare]] tables for {route!r}; keep one")
    return RuleSet(rules, modes)


def matches(rule: Rule, finding: Finding) -> bool:
    """Whether a rule covers a finding, whatever its end date."""
    return (
        rule.check in {"*", finding.check}
        and (not rule.kinds or finding.kind in rule.kinds)
        and rule.difference in {None, finding.difference}
        and (rule.route == "*" or (finding.route is not None and paths.matches_route(rule.route, finding.route)))
        and paths.matches(rule.path, finding.path)
        and (rule.tolerance is None or _within(finding, rule.tolerance))
    )


def specificity(rule: Rule) -> tuple[int, int, int, int, int, int]:
    """How much a rule says: of two that match a finding, the one with the greater value decides."""
    return (
        paths.route_specificity(rule.route),
        paths.specificity(rule.path),
        int(bool(rule.kinds)),
        int(rule.tolerance is not None),
        int(rule.difference is not None),
        int(rule.check != "*"),
    )


def _check_agreement(rules: tuple[Rule, ...], source: str) -> None:
    for one, two in combinations(rules, 2):
        if one.verdict is not two.verdict and specificity(one) == specificity(two) and _overlap(one, two):
            raise RuleError(
                f"{source}: rules {one.id} (line {one.line}) and {two.id} (line {two.line}) say equally much, can match the same finding and "
                "disagree; make one of them narrower, or delete the one that no longer holds"
            )


def _overlap(one: Rule, two: Rule) -> bool:
    """Whether one finding can be covered by both."""
    return (
        ("*" in {one.check, two.check} or one.check == two.check)
        and (not one.kinds or not two.kinds or bool(set(one.kinds) & set(two.kinds)))
        and (one.difference is None or two.difference is None or one.difference is two.difference)
        and paths.overlap_routes(one.route, two.route)
        and paths.overlap(one.path, two.path)
    )


def _rows(document: dict[str, Any], name: str, text: str, source: str) -> list[tuple[dict[str, Any], int]]:
    """Give the tables of an array, each with the line of its head."""
    rows = document.get(name, [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise RuleError(f"{source}: {name} must be an array of tables, each headed [[{name}]]")
    lines = [number for number, line in enumerate(text.splitlines(), 1) if line.strip().replace(" ", "").startswith(f"[[{name}]]")]
    return list(zip(rows, [*lines, *[0] * len(rows)], strict=False))


def _mode(row: dict[str, Any], line: int, text: str, source: str) -> tuple[str, str]:
    here = f"{source}, line {line}"
    for key in row:
        if key not in {"route", "mode"}:
            raise RuleError(f"{source}, line {line_of_key(text, key, line)}: unknown key {key!r} in a compare table; known are mode and route")
    route, mode = row.get("route"), row.get("mode")
    if not isinstance(route, str) or not route.strip():
        raise RuleError(f"{here}: the compare table needs a route")
    if mode not in _MODES:
        raise RuleError(f"{here}: mode {mode!r} is none of {', '.join(_MODES)}")
    return route, str(mode)


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
    if tolerance is not None and (isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or not 0 <= tolerance < math.inf):
        raise RuleError(f"{here}: tolerance must be a finite number that is not negative")
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
