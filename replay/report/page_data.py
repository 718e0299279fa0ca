"""
What the page shows, as plain JSON values.

How this works
--------------
The page is drawn in the browser from one value, the *island*. Here it is laid out: names that repeat are numbers into a list, lists
that could be long are cut with a count of the rest, and bodies come in only as far as the reader of the page may see them:

    none   no bodies, no headers, no leaf values, no ids, no queries: the page can be shown to anyone
    diff   of the answers of each place's representative what differs, each body up to BODY_CHARACTERS_MAX
    full   all answers, whole
"""

import shlex
from collections import defaultdict
from collections.abc import Collection
from pathlib import PurePath
from typing import Any, Final

from replay.evidence import domains
from replay.model import Answer, Cause, Cluster, DifferenceClass, IdMapping, Pair, Verdict
from replay.report.bodies import Bodies, differing
from replay.report.contract import domain_row, strength_row, timing_row
from replay.report.terminal import last_line, seen, tells_place, title_of
from replay.report.text import bound, lacking, moment, party_name, plural, rule_notes, share
from replay.runs import Answers, Party, Run

BODY_CHARACTERS_MAX: Final = 60_000
BODIES_CHARACTERS_MAX: Final = 20_000_000
"""With `diff`, when bodies of so many characters are in the page, the rest is cut to BODY_CHARACTERS_SHORT each."""
BODY_CHARACTERS_SHORT: Final = 2_000
VALUE_CHARACTERS_MAX: Final = 2_000
SUBJECTS_MAX: Final = 60
STREAMS_MAX: Final = 40
GAP_ITEMS_MAX: Final = 500


def island(run: Run, bodies: Bodies) -> dict[str, Any]:
    """Lay out everything that the page draws."""
    shown = shown_exchanges(run, bodies)
    places = {cluster.id: place for place, cluster in enumerate(run.clusters)}
    routes = sorted({pair.route for pair in run.pairs})
    return {
        "bodies": bodies,
        "lastLine": last_line(run),
        "floor": f"{run.timing_floor_ms:.3g}",
        "domains": [
            {**domain_row(row.domain, row.tally), "bound": bound(row.tally.open, row.tally.compared), "share": _share(row.tally)}
            for row in domains(run)
        ],
        "funnel": funnel(run),
        "causes": [_cause(cause, places) for cause in run.causes],
        "clusters": [_cluster(run, cluster, bodies) for cluster in run.clusters],
        "exchanges": _exchanges(run, shown, bodies),
        "findings": _findings(run, shown, places),
        "routes": routes,
        "timings": [timing_row(timing) for timing in run.timings],
        "strength": [strength_row(strength) for strength in run.strength],
        "controlled": run.control is not None,
        "points": _points(run, {route: place for place, route in enumerate(routes)}),
        "streams": _streams(run, bodies),
        "gaps": _gaps(run, bodies),
        "relations": [[relation.name, relation.route, relation.path, relation.count] for relation in run.relations],
        "notCompared": [list(row) for row in run.not_compared],
        "timing": [list(row) for row in run.timing],
        "facts": facts(run),
        "missed": list(run.canaries.missed),
    }


def shown_exchanges(run: Run, bodies: Bodies) -> dict[int, None]:
    """Say whose answers the page holds: none, those that represent a place (most explaining first), or all."""
    if bodies == "none":
        return {}
    there = {answers.exchange: None for answers in run.answers}
    if bodies == "full":
        return there
    shown: dict[int, None] = {}
    for cluster in run.clusters:
        numbers = (int(subject.id) for subject in cluster.subjects if subject.kind == "exchange" and subject.id.isdecimal())
        first = next((number for number in numbers if number in there), None)
        if first is not None:
            shown[first] = None
    return shown


def funnel(run: Run) -> list[dict[str, Any]]:
    """Count from recorded to open: each step with what left before it."""
    open_exchanges = sum(pair.worst is not None for pair in run.pairs)
    divergent = run.compared - run.identical
    open_causes = sum(cause.verdict is Verdict.OPEN for cause in run.causes)
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(run.gaps.items(), key=lambda item: (-item[1], item[0])))
    rest = len(run.causes) - open_causes
    settled = [f"{divergent - open_exchanges:,} explained in full"] if divergent > open_exchanges else []
    settled += [f"{plural(rest, 'cause')} not open"] if rest else []
    explained = "; ".join(settled) or ("no cause is explained" if run.causes else "nothing to explain")
    return [
        {"name": "recorded", "count": run.planned, "left": "every exchange of the recording is planned"},
        {"name": "compared", "count": run.compared, "left": f"{plural(run.planned - run.compared, 'gap')}{f': {reasons}' if reasons else ''}"},
        {"name": "divergent", "count": divergent, "left": f"{run.identical:,} identical ({share(run.identical, run.compared)} of compared)"},
        {"name": "open", "count": open_exchanges, "left": explained},
        {"name": "open causes", "count": open_causes, "left": "what somebody has to look at"},
    ]


def facts(run: Run) -> list[list[str]]:
    """List who was compared, with what, as pairs of a name and words."""
    rows = [["primary", _party(run.recorded)], ["candidate", _party(run.observed)]]
    rows.append(["control", _party(run.control) if run.control else "none: no divergence is confirmed by a third witness"])
    rows.append(["run", f"{moment(run.started_at)} · {run.tool} · seed {run.seed}"])
    rules = f"{run.rules_path} {run.rules_digest}".strip() or "none"
    if run.rules_unused:
        rules += f" · unused: {', '.join(run.rules_unused)}"
    if run.rules_expired:
        rules += f" · EXPIRED: {', '.join(run.rules_expired)}"
    if odd := rule_notes(run):
        rules += f" · odd: {'; '.join(odd)}"
    rows += [["rules", rules], ["noise", run.noise_digest or "none"]]
    canaries = run.canaries
    planted = f"{canaries.found}/{canaries.planted} found, {canaries.blind} blind" if canaries.planted else "none planted"
    return [*rows, ["canaries", planted]]


def _party(party: Party) -> str:
    words = [party_name(party), party.path, plural(party.exchanges, "exchange"), party.digest]
    if party.cell != "none":
        words.append(f"cell: {party.cell}")
    if party.salvaged:
        words.append("SALVAGED: the archive was cut, only its whole records count")
    if party.lacks:
        words.append(lacking(party))
    return " · ".join(words)


def _share(tally: Any) -> str:
    return share(tally.identical, tally.compared)


def _cause(cause: Cause, places: dict[str, int]) -> dict[str, Any]:
    return {
        "id": cause.id,
        "name": cause.name,
        "title": cause.title,
        "class": cause.difference.value,
        "verdict": cause.verdict.value,
        "clusters": [places[name] for name in cause.clusters if name in places],
        "places": cause.places,
        "count": cause.count,
        "routes": list(cause.routes),
        "domains": list(cause.domains),
        "usual": cause.usual,
        "derived": cause.derived,
    }


def _cluster(run: Run, cluster: Cluster, bodies: Bodies) -> dict[str, Any]:
    values = bodies != "none"
    subjects = [[subject.kind, subject.id] for subject in cluster.subjects[:SUBJECTS_MAX]]
    return {
        "id": cluster.id,
        "check": cluster.check,
        "cause": title_of(cluster),
        "told": tells_place(cluster),
        "domain": cluster.domain,
        "domains": list(cluster.domains) or [cluster.domain],
        "route": cluster.route,
        "routes": list(cluster.routes),
        "class": cluster.difference.value,
        "verdict": cluster.verdict.value,
        "because": cluster.because,
        "path": cluster.path,
        "kind": cluster.kind,
        "at": cluster.at,
        "primary": _value(cluster.primary) if values else None,
        "candidate": _value(cluster.candidate) if values else None,
        "control": _value(cluster.control) if values else None,
        "seen": seen(cluster),
        "count": cluster.count,
        "subjects": subjects,
        "more": len(cluster.subjects) - len(subjects),
        "derivedFrom": cluster.derived_from,
        "ids": [_mapping(mapping) for mapping in cluster.ids] if values else [],
        "again": again(run, cluster),
        "inside": not PurePath(run.recorded.path).is_absolute(),
    }


def again(run: Run, cluster: Cluster) -> str:
    """Give the command that makes the representative's divergence again; state needs the whole recording."""
    subject = cluster.subjects[0] if cluster.subjects else None
    daemon = run.observed.daemon.split(" ")[0] or "NAME"
    only = subject.id if subject is not None and subject.kind == "exchange" else None
    command = ["signet-parity", "replay", run.recorded.path, *(["--only", only] if only else []), "--daemon", daemon]
    return shlex.join([*command, "--observed", f"again-{only}.parity" if only else "again.parity"])


def _value(text: str | None) -> str | None:
    if text is None or len(text) <= VALUE_CHARACTERS_MAX:
        return text
    return f"{text[:VALUE_CHARACTERS_MAX]}… ({len(text):,} characters)"


def _mapping(mapping: IdMapping) -> list[str]:
    return [mapping.kind, mapping.recorded, mapping.observed, mapping.born]


def _exchanges(run: Run, shown: dict[int, None], bodies: Bodies) -> dict[str, Any]:
    """Give the answers that are shown; when the page is full of bodies, those of the causes that explain least are cut short."""
    there = {answers.exchange: answers for answers in run.answers}
    exchanges = {}
    spent = 0
    for number in shown:
        most = None if bodies == "full" else BODY_CHARACTERS_MAX if spent < BODIES_CHARACTERS_MAX else BODY_CHARACTERS_SHORT
        whole = there[number]
        exchange = _answers(whole if bodies == "full" else differing(whole), most, whole)
        sides = [exchange[name] for name in ("primary", "candidate", "control")]
        spent += len(exchange["body"]) + sum(len(side["body"]) for side in sides if side is not None)
        exchanges[str(number)] = exchange
    return exchanges


def _answers(answers: Answers, most: int | None, whole: Answers) -> dict[str, Any]:
    return {
        "method": answers.method,
        "target": answers.target,
        "headers": [list(header) for header in answers.request_headers],
        "body": answers.request_body[:most],
        "primary": _answer(answers.primary, most, whole.primary),
        "candidate": _answer(answers.candidate, most, whole.candidate),
        "control": _answer(answers.control, most, whole.control),
    }


def _answer(answer: Answer | None, most: int | None, whole: Answer | None) -> dict[str, Any] | None:
    if answer is None or whole is None:
        return None
    body = answer.body[:most]
    return {
        "status": answer.status,
        "headers": [list(header) for header in answer.headers],
        "body": body,
        "bytes": answer.body_bytes,
        "cut": len(body) < len(answer.body) or len(whole.body.encode("utf-8", "replace")) < whole.body_bytes,
        "type": answer.media_type,
        "ms": answer.duration_ms,
        "error": answer.error,
    }


def _findings(run: Run, shown: Collection[int], places: dict[str, int]) -> dict[str, list[list[Any]]]:
    """Say, for each exchange whose answers are shown, where it differs and which cause that belongs to, with the ids that were mapped."""
    found: dict[str, list[list[Any]]] = defaultdict(list)
    for divergence in run.divergences:
        finding = divergence.finding
        if finding.subject.kind == "exchange" and finding.subject.id.isdecimal() and int(finding.subject.id) in shown:
            mappings = [_mapping(mapping) for mapping in finding.ids]
            found[finding.subject.id].append([finding.at, places.get(divergence.cluster, -1), mappings])
    return found


def _points(run: Run, routes: dict[str, int]) -> list[list[Any]]:
    """Give exchange, time of the control (of the primary where there is no control), of the candidate, whether late, route, as recorded."""
    late = {
        divergence.finding.subject.id
        for divergence in run.divergences
        if divergence.finding.difference is DifferenceClass.TIMING and divergence.verdict is Verdict.OPEN
    }
    points = []
    for pair in run.pairs:
        base = pair.control_ms if run.control is not None else pair.primary_ms
        # How long a stream was open says how long its client listened.
        if pair.gap is None and not pair.events and base is not None and pair.candidate_ms is not None:
            recorded = pair.primary_ms or 0.0
            is_late = int(str(pair.exchange) in late)
            points.append([pair.exchange, round(base, 3), round(pair.candidate_ms, 3), is_late, routes[pair.route], round(recorded, 3)])
    return points


def _streams(run: Run, bodies: Bodies) -> dict[str, Any]:
    streams = [pair for pair in run.pairs if pair.events]
    streams.sort(key=lambda pair: (pair.worst is None, pair.findings == 0, pair.exchange))
    return {
        "rows": [[pair.exchange, _name(pair, bodies), [[side, round(ms, 1)] for side, ms in pair.events]] for pair in streams[:STREAMS_MAX]],
        "more": max(len(streams) - STREAMS_MAX, 0),
    }


def _gaps(run: Run, bodies: Bodies) -> list[dict[str, Any]]:
    groups: dict[str, list[Pair]] = defaultdict(list)
    for pair in run.pairs:
        if pair.gap is not None:
            groups[pair.gap].append(pair)
    return [
        {
            "reason": reason,
            "count": len(pairs),
            "items": [[pair.exchange, pair.domain, _name(pair, bodies), pair.gap_detail] for pair in pairs[:GAP_ITEMS_MAX]],
        }
        for reason, pairs in sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))
    ]


def _name(pair: Pair, bodies: Bodies) -> str:
    return pair.route if bodies == "none" else f"{pair.method} {pair.target}"
