"""
Causes: what a person reads once, though it shows in many places.

How this works
--------------
Every place (a `Cluster`) is asked what defines its cause (`kinship.kin_of`); places of one kin and one verdict are one cause. So each place
belongs to exactly one cause, and what the causes count adds up to what the places count. A cause's id is a digest of its kin alone: neither
the order nor the number of places changes it.

Derived places are no causes of their own: each derived divergence is counted with the cause of the place that it hangs on. Only where that
place is not known does a derived place stand as a cause with the verdict `derived`, so that nothing disappears.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from replay.judge.clusters import origin_of, origins_of
from replay.judge.kinds import Kin
from replay.judge.kinship import kin_of, survey
from replay.judge.quirks import usual_of
from replay.judge.sights import Sight, sights
from replay.judge.titles import name_of, title_of
from replay.model import Answers, Cause, Cluster, DifferenceClass, Divergence, Verdict

_RANK = {Verdict.OPEN: 0, Verdict.DOCUMENTED: 1, Verdict.NOISE: 2, Verdict.DERIVED: 3, Verdict.INFIDELITY: 4}
_GRAVITY = {DifferenceClass.STRUCTURAL: 0, DifferenceClass.SEMANTIC: 1, DifferenceClass.TIMING: 2}


def explain(clusters: Iterable[Cluster], divergences: Iterable[Divergence], answers: Iterable[Answers] = ()) -> tuple[Cause, ...]:
    """
    Gather places into causes: open ones first, most explaining first.

    *clusters* are those that `cluster` made of *divergences*. With *answers* of the exchanges that they name, refusals are told apart by
    their words, RPC calls by their tools, and other objects from the same object with other keys.
    """
    clusters, divergences = tuple(clusters), tuple(divergences)
    places = sights(clusters, divergences, answers)
    hanging, alone = _hanging(places, divergences)
    standing = [place for place in places if place.cluster.verdict is not Verdict.DERIVED or place.cluster.id in alone]
    context = survey(standing)
    groups: dict[tuple[Kin, Verdict], list[Sight]] = defaultdict(list)
    for place in standing:
        groups[kin_of(place, context), place.cluster.verdict].append(place)
    best: dict[Kin, Verdict] = {}
    for kin, verdict in groups:
        best[kin] = min(best.get(kin, verdict), verdict, key=_RANK.__getitem__)
    made = [_make(kin, members, best[kin], hanging) for (kin, _), members in groups.items()]
    return tuple(sorted(made, key=lambda cause: (_RANK[cause.verdict], -cause.places - cause.derived, -cause.count, cause.id)))


def cause_id(kin: Kin) -> str:
    """Give the lasting id of a cause, such as `k-7f3a90b1`."""
    key = "\0".join((kin.kind, *kin.key))
    return "k-" + hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def _make(kin: Kin, members: Sequence[Sight], best: Verdict, hanging: Mapping[str, int]) -> Cause:
    ordered = sorted(members, key=lambda place: (len(place.cluster.primary or "") + len(place.cluster.candidate or ""), place.cluster.id))
    findings = [member.finding for place in ordered for member in place.members]
    verdict = ordered[0].cluster.verdict
    identifier = cause_id(kin)
    return Cause(
        id=identifier if verdict is best else f"{identifier}-{verdict}",
        name=name_of(kin),
        title=title_of(kin, ordered),
        difference=min((place.cluster.difference for place in ordered), key=_GRAVITY.__getitem__),
        verdict=verdict,
        clusters=tuple(place.cluster.id for place in ordered),
        places=len({(finding.route, finding.path) for finding in findings}),
        count=len({finding.subject for finding in findings}),
        routes=tuple(sorted({finding.route for finding in findings if finding.route})),
        domains=tuple(sorted({finding.domain for finding in findings})),
        usual=usual_of(kin.key[0] if kin.kind == "habit" else kin.kind),
        derived=sum(hanging.get(place.cluster.id, 0) for place in ordered),
    )


def _hanging(places: Sequence[Sight], divergences: Sequence[Divergence]) -> tuple[Counter[str], set[str]]:
    """Count the derived divergences by the place they hang on; and give the derived places that hang on none."""
    names = {(member.cluster, member.verdict): place.cluster.id for place in places for member in place.members[:1]}
    origins = origins_of(divergences, names)
    hanging: Counter[str] = Counter()
    alone = set()
    for place in places:
        if place.cluster.verdict is Verdict.DERIVED:
            found = [origin for member in place.members if (origin := origin_of(member.finding, origins)) is not None]
            hanging.update(found)
            if not found:
                alone.add(place.cluster.id)
    return hanging, alone
