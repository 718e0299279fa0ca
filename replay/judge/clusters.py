"""
Clusters: one place is said once.

The key of a cluster is check, route template, path skeleton, kind and transition of the value's class. Its id is a digest of that key, so
it lasts from night to night. A way of writing that one side has everywhere (nanoseconds for milliseconds, say) is one place across routes
and paths: its key is the quirk and the transition. What several places have in common is their cause (see `causes`). Divergences of one
key with different verdicts are told apart by the verdict behind the id. A cluster of derived divergences names the one that it follows from.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from replay.model import Cluster, Divergence, Finding, Pair, Verdict

_RANK = {Verdict.OPEN: 0, Verdict.DOCUMENTED: 1, Verdict.NOISE: 2, Verdict.DERIVED: 3, Verdict.INFIDELITY: 4}


_EVERYWHERE: Final = frozenset(
    {"q-time-format", "q-number-format", "q-null-left-out", "q-null-added", "q-key-case", "q-white-space", "q-content-type", "q-html-fallback"}
)
"""Quirks of a writer: each place that has one has it for the same reason."""

_OTHER_EXCHANGE: Final = re.compile(r"#(\d+),")
_AT_PLACE: Final = re.compile(r"#\d+, where .* first differed \((.*)\)\Z", re.DOTALL)


def cluster_id(finding: Finding) -> str:
    """The lasting id of a finding's cluster, such as `c-7f3a90b1`."""
    place = (finding.quirk,) if finding.quirk in _EVERYWHERE else (finding.route or "", finding.path)
    key = "\0".join((finding.check, *place, finding.kind, finding.transition, finding.difference))
    return "c-" + hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def cluster(divergences: Iterable[Divergence], pairs: Iterable[Pair]) -> tuple[Cluster, ...]:
    """Group divergences, open ones first, most explaining first."""
    compared = Counter(pair.route for pair in pairs if pair.gap is None)
    groups: dict[tuple[str, Verdict], list[Divergence]] = {}
    for divergence in divergences:
        groups.setdefault((divergence.cluster, divergence.verdict), []).append(divergence)
    best: dict[str, Verdict] = {}
    for identifier, verdict in groups:
        if identifier not in best or _RANK[verdict] < _RANK[best[identifier]]:
            best[identifier] = verdict
    names = {(identifier, verdict): identifier if best[identifier] is verdict else f"{identifier}-{verdict}" for identifier, verdict in groups}
    origins = origins_of([member for members in groups.values() for member in members], names)
    made = [_make(names[key], members, compared, origins) for key, members in groups.items()]
    made.sort(key=lambda item: (_RANK[item.verdict], -item.count, item.id))
    return tuple(made)


def origins_of(divergences: Iterable[Divergence], names: Mapping[tuple[str, Verdict], str]) -> dict[tuple[str, str], str]:
    """
    Give (exchange, kind or path) → the id of the cluster that its divergence is in; under `*` the gravest of the exchange.

    *names* gives the clusters' ids by the divergences' own `cluster` and verdict.
    """
    origins: dict[tuple[str, str], str] = {}
    for member in sorted(divergences, key=lambda member: (_RANK[member.verdict], member.cluster)):
        finding = member.finding
        if finding.subject.kind == "exchange" and not finding.derived_from:
            name = names[member.cluster, member.verdict]
            origins.setdefault((finding.subject.id, finding.kind), name)
            origins.setdefault((finding.subject.id, finding.path), name)
            origins.setdefault((finding.subject.id, "*"), name)
    return origins


def origin_of(finding: Finding, origins: Mapping[tuple[str, str], str]) -> str | None:
    """Give the id of the cluster that a derived finding follows from; None where it stands alone, or follows from no divergence."""
    words = finding.derived_from
    if words.startswith("the status"):
        return origins.get((finding.subject.id, "status"))
    if words.startswith("the body's kind"):
        return origins.get((finding.subject.id, "body-kind"))
    other = _OTHER_EXCHANGE.match(words)
    if other is None:
        return None
    place = _AT_PLACE.match(words)
    return origins.get((other[1], place[1] if place else "*"), origins.get((other[1], "*")))


def _make(identifier: str, members: list[Divergence], compared: Counter[str], origins: Mapping[tuple[str, str], str]) -> Cluster:
    ordered = sorted(members, key=lambda member: (_size(member.finding), _order(member.finding)))
    first = ordered[0]
    finding = first.finding
    subjects = tuple(dict.fromkeys(member.finding.subject for member in ordered))
    return Cluster(
        id=identifier,
        check=finding.check,
        cause=_cause(finding),
        domain=finding.domain,
        route=finding.route,
        difference=finding.difference,
        verdict=first.verdict,
        because=first.because,
        path=finding.path,
        kind=finding.kind,
        primary=finding.primary,
        candidate=finding.candidate,
        count=len(subjects),
        subjects=subjects,
        derived_from=origin_of(finding, origins),
        control=finding.control,
        at=finding.at,
        ids=finding.ids,
        compared=sum(compared[route] for route in {member.finding.route or "" for member in members}),
        domains=tuple(sorted({member.finding.domain for member in members})),
        routes=tuple(sorted({member.finding.route for member in members if member.finding.route})),
    )


def _cause(finding: Finding) -> str:
    if finding.quirk:
        return finding.quirk
    change = f": {finding.transition}" if finding.transition else ""
    return f"{finding.kind} at {finding.path}{change} ({finding.route or finding.check})"


def _size(finding: Finding) -> int:
    return len(finding.primary or "") + len(finding.candidate or "")


def _order(finding: Finding) -> tuple[int, str]:
    subject = finding.subject.id
    return (int(subject), "") if subject.isdigit() else (0, subject)
