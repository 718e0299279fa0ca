"""
An operator's own redaction rules, read from TOML.

    [[redact]]
    route = "POST /api/documents"        # or "*" (the default)
    where = "request.body"               # response.body, request.header, response.header, query, workspace, anywhere (the default)
    field = "config.license"             # or name = "x-tenant", or pattern = "acme_[0-9a-f]{32}"
    kind = "licence"                     # what it is declared as
    keep = false                         # true: an exception, this is no secret

A *field* is a dotted path of keys in a JSON body (`**.name` at any depth). A *name* is that of a header, of a query parameter, or of a key in
JSON, YAML or environment text. A *pattern* is a shape (`replay.redact.patterns`).
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from replay.model import RuleError
from replay.model.toml import line_of_key, parse_toml
from replay.redact.edits import Edit, merge_edits
from replay.redact.fields import find_request_fields, find_response_fields
from replay.redact.headers import find_words
from replay.redact.names import fold
from replay.redact.patterns import Pattern, parse_pattern

PLACES: Final = ("request.body", "response.body", "request.header", "response.header", "query", "workspace", "anywhere")
_SELECTORS: Final = ("field", "name", "pattern")
_KEYS: Final = frozenset({"route", "where", "kind", "keep", *_SELECTORS})
_KIND: Final = re.compile(r"[a-z][a-z0-9-]{0,39}")
_BODIES: Final = ("request.body", "response.body")


@dataclass(frozen=True, slots=True)
class Rule:
    """One `[[redact]]` table."""

    route: str = "*"
    where: str = "anywhere"
    field: str = ""
    name: str = ""
    pattern: Pattern | None = None
    kind: str = "own"
    keep: bool = False

    def holds(self, where: str, route: str) -> bool:
        """Whether the rule speaks of this place and route."""
        return self.where in {"anywhere", where} and self.route in {"*", route}


@dataclass(frozen=True, slots=True)
class Rules:
    """All own rules, in the file's order."""

    rules: tuple[Rule, ...] = ()
    digest: str = ""
    """SHA-256 of the file; empty without one."""

    def fields(self, where: str, route: str) -> Mapping[str, str]:
        """Give field → kind of what is to be hidden in a body."""
        return {rule.field: rule.kind for rule in self.rules if rule.field and not rule.keep and where in _BODIES and rule.holds(where, route)}

    def names(self, where: str, route: str) -> frozenset[bytes]:
        """Give the names of what is to be hidden, folded and without dashes."""
        return self._named(where, route, keep=False)

    def kept_names(self, where: str, route: str) -> frozenset[bytes]:
        """Give the names of what is no secret, folded and without dashes."""
        return self._named(where, route, keep=True)

    def find_own_header(self, name: bytes, value: bytes, own: frozenset[bytes], kept: frozenset[bytes], key: bytes) -> list[Edit] | None:
        """Find the secret words of a header that a rule names; None where no rule does."""
        bare = bare_name(name)
        if bare in kept:
            return []
        return list(find_words(value, 0, "own-header", key)) if bare in own else None

    def apply(self, data: bytes, edits: list[Edit], where: str, route: str, key: bytes) -> list[Edit]:
        """Add what the patterns of the rules find to *edits*, and take out what they except."""
        rules = [rule for rule in self.rules if (rule.pattern is not None or (rule.keep and rule.field)) and rule.holds(where, route)]
        if not rules:
            return edits
        own = [edit for rule in rules if rule.pattern and not rule.keep for edit in rule.pattern.find(data, rule.kind, key)]
        edits = merge_edits(own, edits)
        for rule in rules:
            if rule.keep and rule.pattern is not None:
                pattern = rule.pattern
                edits = [edit for edit in edits if not pattern.fits(data, edit)]
            elif rule.keep and where in _BODIES:
                find = find_request_fields if where == "request.body" else find_response_fields
                spared = find(data, {rule.field: ""}, key) if data.lstrip()[:1] in {b"{", b"["} else []
                edits = [edit for edit in edits if not any(edit.start < other.end and other.start < edit.end for other in spared)]
        return edits

    def _named(self, where: str, route: str, *, keep: bool) -> frozenset[bytes]:
        return frozenset(bare_name(rule.name.encode()) for rule in self.rules if rule.name and rule.keep == keep and rule.holds(where, route))


def bare_name(name: bytes) -> bytes:
    """Give a name folded and without dashes."""
    return fold(name).replace(b"-", b"")


def load_rules(path: Path) -> Rules:
    """
    Read an operator's rules.

    Raises:
        RuleError: the file can't be read, or says something that can't be done; with file and line.

    """
    try:
        raw = path.read_bytes()
        text = raw.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise RuleError(f"{path}: the redaction rules can't be read ({error})") from error
    tables = parse_toml(text, str(path), RuleError)
    for name in tables:
        if name != "redact":
            raise RuleError(f"{path}:{line_of_key(text, name, 1)}: unknown key {name!r}; redaction rules are [[redact]] tables")
    entries = tables.get("redact", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise RuleError(f"{path}:{line_of_key(text, 'redact', 1)}: 'redact' is no list of tables; write [[redact]]")
    rules = []
    line = 0
    for entry in entries:
        line = line_of_key(text, "redact", line + 1)
        rules.append(_rule(entry, text, path, line))
    return Rules(tuple(rules), hashlib.sha256(raw).hexdigest())


def _rule(entry: Mapping[str, Any], text: str, path: Path, line: int) -> Rule:
    def wrong(key: str, why: str) -> RuleError:
        return RuleError(f"{path}:{line_of_key(text, key, line)}: {why}")

    for key, value in entry.items():
        if key not in _KEYS:
            raise wrong(key, f"unknown key {key!r}; known are {', '.join(sorted(_KEYS))}")
        if not isinstance(value, bool if key == "keep" else str) or value == "":
            raise wrong(key, f"{key!r} must be {'true or false' if key == 'keep' else 'a text'}")
    selectors = [key for key in _SELECTORS if key in entry]
    if len(selectors) != 1:
        raise wrong("redact", "a rule needs exactly one of field, name and pattern")
    where = entry.get("where", "anywhere")
    if where not in PLACES:
        raise wrong("where", f"unknown place {where!r}; known are {', '.join(PLACES)}")
    if "field" in entry and where not in {*_BODIES, "anywhere"}:
        raise wrong("field", "a field stands in a request.body or response.body")
    kind = entry.get("kind", "own")
    if not _KIND.fullmatch(kind):
        raise wrong("kind", f"{kind!r} can't name a kind: lower-case letters, digits and dashes")
    if "name" in entry and not entry["name"].isascii():
        raise wrong("name", "a name is plain ASCII")
    pattern = None
    if "pattern" in entry:
        try:
            pattern = parse_pattern(entry["pattern"])
        except RuleError as error:
            raise wrong("pattern", str(error)) from error
    return Rule(
        route=entry.get("route", "*"),
        where=where,
        field=entry.get("field", ""),
        name=entry.get("name", ""),
        pattern=pattern,
        kind=kind,
        keep=entry.get("keep", False),
    )
