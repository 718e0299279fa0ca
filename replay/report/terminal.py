"""A run on a terminal: verdict, the nine domains, the causes, the last line."""

from collections import Counter

from tabulate import tabulate

from replay.evidence import Tally, domains
from replay.judge import quirk_words
from replay.model import Cause, Cluster, Verdict
from replay.report.text import around, bound, cut, lacking, moment, party_name, plural, rule_notes, share, visible
from replay.runs import Party, Run

CAUSES_MAX = 40
"""How many causes the table shows; the rest is counted."""


def last_line(run: Run) -> str:
    """Say in one line everything that matters; the same at the end of every judged run."""
    gaps = plural(sum(run.gaps.values()), "gap")
    if run.gaps:
        reasons = sorted(run.gaps.items(), key=lambda item: (-item[1], item[0]))
        gaps += f" ({', '.join(f'{count:,} {visible(reason)}' for reason, count in reasons)})"
    parts = [
        f"{run.planned:,} planned",
        f"{run.compared:,} compared",
        gaps,
        f"{run.identical:,} identical",
        _divergent(run),
        _canaries(run),
        visible(run.verdict).upper(),
    ]
    return " · ".join(parts)


def table(run: Run) -> str:
    """Give verdict, who was compared, the nine domains with their denominators, the causes, and the last line."""
    parts = [_head(run), domain_table(run), _notes(run), cause_table(run), last_line(run)]
    return "\n\n".join(part for part in parts if part)


def domain_table(run: Run) -> str:
    """Give the nine domains; `open` is the rate over compared exchanges, `state` open divergences of all of state."""
    rows = [[visible(row.domain), *_domain_cells(row.tally)] for row in domains(run)]
    total = Tally(
        planned=run.planned,
        gaps=run.gaps,
        **{
            name: sum(getattr(row.tally, name) for row in domains(run))
            for name in ("identical", "structural", "semantic", "timing", "documented", "derived", "noise", "infidelity")
        },
        state_open=sum(row.tally.state_open for row in domains(run)),
        state_explained=sum(row.tally.state_explained for row in domains(run)),
    )
    rows.append(["all", *_domain_cells(total)])
    headers = ["domain", "planned", "compared", "gaps", "identical", "struct.", "semantic", "timing", "explained", "open", "state"]
    shown = tabulate(rows, headers=headers, disable_numparse=True, colalign=("left", *["right"] * 8, "left", "left"))
    return "\n".join(line.rstrip() for line in shown.splitlines())


def cause_table(run: Run) -> str:
    """Give the causes, most explaining first, each with the smallest place that shows it."""
    if not run.causes:
        return ""
    clusters = {cluster.id: cluster for cluster in run.clusters}
    places = sum(len(cause.clusters) for cause in run.causes)
    lines = [f"CAUSES ({len(run.causes):,} of {plural(places, 'place')}, most explaining first)"]
    for cause in run.causes[:CAUSES_MAX]:
        lines += ["", *told_lines(cause, clusters.get(cause.clusters[0]))]
    if len(run.causes) > CAUSES_MAX:
        rest = Counter(cause.verdict for cause in run.causes[CAUSES_MAX:])
        words = ", ".join(f"{rest[verdict]:,} {verdict.value}" for verdict in Verdict if rest[verdict])
        lines += ["", f"… and {len(run.causes) - CAUSES_MAX:,} more ({words}): the page and `--format json` have them all"]
    return "\n".join(lines)


def told_lines(cause: Cause, first: Cluster | None) -> list[str]:
    """Say one cause in a few lines: id, class, verdict, how far it reaches, what the candidate does, and its smallest place."""
    reach = f"{plural(cause.places, 'place')} on {plural(len(cause.routes), 'route')}" if cause.routes else plural(cause.places, "place")
    follows = f" · {cause.derived:,} more follow from it" if cause.derived else ""
    lines = [
        f"{visible(cause.id)}  {cause.difference.value} · {cause.verdict.value} · {reach} · seen {cause.count:,}{follows}",
        f"    {cut(cause.title, 150)}",
    ]
    if first is not None:
        route = visible(first.route) if first.route else f"{visible(first.check)} in {visible(first.domain)}"
        lines.append(f"    {route} · {place_words(first)}: {change(first.primary, first.candidate)} · {visible(first.id)}")
        if first.verdict is not Verdict.OPEN:
            lines.append(f"    because {cut(first.because, 150)}")
    return lines


def cause_lines(cluster: Cluster) -> list[str]:
    """Say one place in a few lines: id, class, verdict, where, how often, what changed, why."""
    place = route_words(cluster)
    title, told = title_of(cluster), change(cluster.primary, cluster.candidate)
    lines = [
        f"{visible(cluster.id)}  {cluster.difference.value} · {cluster.verdict.value} · {place} · {seen(cluster)}",
        f"    {cut(title, 150)}",
        f"    {told}" if tells_place(cluster) else f"    {place_words(cluster)}: {told}",
    ]
    if cluster.verdict is not Verdict.OPEN:
        lines.append(f"    because {cut(cluster.because, 150)}")
    return lines


def title_of(cluster: Cluster) -> str:
    """
    Give the cause's own words, without the route that stands beside them everywhere.

    A bare name is followed by what it means and its place: `q-time-format: another time format than the primary writes, at $.at`.
    """
    title = cluster.cause.removesuffix(f" ({cluster.route})") if cluster.route else cluster.cause
    if " " in title:
        return title
    if words := quirk_words(title):
        if cluster.kind == cluster.path:
            return f"{title}: {words}"
        # A way of writing stands in many places; the one that is shown is an example.
        return f"{title}: {words}, {'such as at' if len(cluster.routes) > 1 else 'at'} {cluster.path}"
    return f"{title}: {cluster.kind} at {cluster.path}" if title else f"{cluster.kind} at {cluster.path}"


def tells_place(cluster: Cluster) -> bool:
    """Whether the title says already where it is."""
    title = title_of(cluster)
    return f"{cluster.kind} at {cluster.path}" in title or title.endswith(f"at {cluster.path}")


def place_words(cluster: Cluster) -> str:
    """Say what differs and where: `value at $.results[*].score`; just `status` where both are one."""
    return visible(cluster.kind) if cluster.kind == cluster.path else f"{visible(cluster.kind)} at {cut(cluster.path, 90)}"


def route_words(cluster: Cluster) -> str:
    """Say where a cause shows: its route, and how many more."""
    place = visible(cluster.route) if cluster.route else f"{visible(cluster.check)} in {visible(cluster.domain)}"
    others = len(set(cluster.routes) - {cluster.route})
    return f"{place} and {plural(others, 'more route')}" if others else place


def seen(cluster: Cluster) -> str:
    """Say how often a cause was seen, with its denominator where there is one: `seen 23 of 23`."""
    return f"seen {cluster.count:,} of {cluster.compared:,}" if cluster.compared >= cluster.count > 0 else f"seen {cluster.count:,}"


def change(primary: str | None, candidate: str | None, characters_max: int = 60) -> str:
    """Say what changed: `1 → "1"`; nothing there is `(absent)`, long values are shown where they part."""
    return f"{around(primary, candidate, characters_max)} → {around(candidate, primary, characters_max)}"


def _domain_cells(tally: Tally) -> list[str]:
    identical = f"{tally.identical:,} {share(tally.identical, tally.compared):>6}" if tally.compared else "–"
    return [
        f"{tally.planned:,}",
        f"{tally.compared:,}",
        f"{tally.gap_count:,}",
        identical,
        f"{tally.structural:,}",
        f"{tally.semantic:,}",
        f"{tally.timing:,}",
        f"{tally.explained:,}",
        bound(tally.open, tally.compared),
        f"{tally.state_open:,}/{tally.state_open + tally.state_explained:,}" if tally.state_open + tally.state_explained else "",
    ]


def _head(run: Run) -> str:
    lines = [f"{visible(run.verdict).upper()}: {visible(run.because)}", "", _party("primary", run.recorded)]
    lines.append(_party("candidate", run.observed))
    lines.append(_party("control", run.control) if run.control else "control    none: no divergence is confirmed by a third witness")
    lines.append(f"run        {moment(run.started_at)} · {visible(run.tool)} · seed {run.seed}")
    return "\n".join(lines)


def _party(role: str, party: Party) -> str:
    cell = "" if party.cell == "none" else f" · cell: {visible(party.cell)}"
    salvaged = " · SALVAGED: the archive was cut, only its whole records count" if party.salvaged else ""
    lacks = f" · {lacking(party)}" if party.lacks else ""
    return f"{role:<10} {visible(party_name(party))} · {visible(party.path)} · {plural(party.exchanges, 'exchange')}{cell}{salvaged}{lacks}"


def _notes(run: Run) -> str:
    tolerated = sum(relation.count for relation in run.relations)
    left_out = sum(count for _, count in run.not_compared)
    lines = [f"tolerated  {plural(tolerated, 'leaf', 'leaves')} in {plural(len(run.relations), 'relation')}"] if run.relations else []
    if run.not_compared:
        lines.append(f"left out   {plural(left_out, 'part')}: {', '.join(f'{visible(name)} ({n:,})' for name, n in run.not_compared)}")
    if run.timing:
        counts = ", ".join(f"{visible(name)} {n:,}" for name, n in run.timing)
        lines.append(f"timing     {counts}; noise floor {run.timing_floor_ms:.3g} ms")
    if run.timings:
        lines.append(f"by route   {timing_words(run)}")
    lines += [f"rules      {word}: {', '.join(map(visible, ids))}" for word, ids in _rules(run) if ids]
    lines += [f"canary     not found: {visible(words)}" for words in run.canaries.missed]
    return "\n".join(lines)


def timing_words(run: Run) -> str:
    """Say what the times by route show: how many routes of each outcome, and how the candidate usually compares with the control."""
    rows = [row for row in run.timings if row.route != "*"]
    counts = Counter(row.outcome for row in rows)
    words = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(counts.items(), key=lambda item: (item[0] != "late", item[0])))
    usual = next((row for row in run.timings if row.route == "*" and row.ratio is not None), None)
    if usual is None:
        return words
    span = "" if usual.ratio_low is None or usual.ratio_high is None else f" ({usual.ratio_low:.2f} to {usual.ratio_high:.2f})"
    return f"{words}; usually ×{usual.ratio:.2f}{span} of the control"


def _rules(run: Run) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return (("unused", run.rules_unused), ("EXPIRED", run.rules_expired), ("odd", rule_notes(run)))


def _divergent(run: Run) -> str:
    divergent = f"{run.compared - run.identical:,} divergent"
    state = sum(divergence.finding.subject.kind not in {"exchange", "call"} for divergence in run.divergences)
    if state:
        divergent += f" and {plural(state, 'state finding')}"
    if not run.causes:
        return divergent
    counts = Counter(cause.verdict for cause in run.causes)
    words = ", ".join(f"{counts[verdict]:,} {verdict.value}" for verdict in Verdict if counts[verdict])
    return f"{divergent} from {plural(len(run.causes), 'cause')}: {words}"


def _canaries(run: Run) -> str:
    if not run.canaries.planted:
        return "no canaries"
    blind = f" ({run.canaries.blind:,} blind)" if run.canaries.blind else ""
    return f"{run.canaries.found:,}/{run.canaries.planted:,} canaries{blind}"
