"""A run as Markdown, for a pull request or a wiki."""

from collections import Counter
from typing import Final

from replay.evidence import domains
from replay.model import Cluster, Verdict
from replay.report.terminal import last_line, place_words, route_words, seen, title_of
from replay.report.text import around, bound, cut, lacking, moment, party_name, plural, share, visible
from replay.runs import Party, Run

CAUSES_MAX: Final = 100
_ACTIVE: Final = "\\`*_[]<>#|~@&$"


def markdown(run: Run) -> str:
    """Give verdict, domains, causes, gaps and the last line; nothing of the traffic is active in it (no link, mention, image or tag)."""
    lines = [
        f"# {plain(run.verdict.upper())}: {plain(party_name(run.recorded))} against {plain(party_name(run.observed))}",
        "",
        plain(run.because),
        "",
    ]
    lines += ["## Domains", "", "| domain | planned | compared | gaps | identical | structural | semantic | timing | explained | open | state |"]
    lines.append("|---|--:|--:|--:|--:|--:|--:|--:|--:|---|---|")
    for row in domains(run):
        tally = row.tally
        counts = [tally.planned, tally.compared, tally.gap_count]
        identical = f"{tally.identical:,} ({share(tally.identical, tally.compared)})" if tally.compared else "–"
        classes = [tally.structural, tally.semantic, tally.timing, tally.explained]
        state = f"{tally.state_open} of {tally.state_open + tally.state_explained}" if tally.state_open + tally.state_explained else ""
        cells = [plain(row.domain), *map(str, counts), identical, *map(str, classes), bound(tally.open, tally.compared), state]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", *_causes(run), *_gaps(run), *_facts(run), f"    {last_line(run)}", ""]
    return "\n".join(lines)


def code(text: str, characters_max: int = 160) -> str:
    """Give a code span that ends where the text ends, whatever backticks are in it; safe in a table cell."""
    shown = cut(text, characters_max)
    fence = "`"
    while fence in shown:
        fence += "`"
    pad = " " if shown.startswith(("`", " ")) or shown.endswith(("`", " ")) or not shown else ""
    return f"{fence}{pad}{shown}{pad}{fence}".replace("|", "\\|")


def plain(text: str, characters_max: int = 600) -> str:
    """Give text in which no character is markup."""
    shown = "".join(f"&#{ord(character)};" if character in _ACTIVE else character for character in cut(text, characters_max))
    return shown.replace("://", "&#58;//").replace("www.", "www&#46;")


def _causes(run: Run) -> list[str]:
    lines = ["## Causes", ""]
    if not run.clusters:
        return [*lines, "Nothing differs.", ""]
    for cluster in run.clusters[:CAUSES_MAX]:
        lines += [*_cause(cluster), ""]
    if len(run.clusters) > CAUSES_MAX:
        rest = Counter(cluster.verdict for cluster in run.clusters[CAUSES_MAX:])
        words = ", ".join(f"{rest[verdict]:,} {verdict.value}" for verdict in Verdict if rest[verdict])
        lines += [f"… and {len(run.clusters) - CAUSES_MAX:,} more ({words}).", ""]
    return lines


def _cause(cluster: Cluster) -> list[str]:
    return [
        f"### {cluster.difference.value} · {cluster.verdict.value} · {plain(title_of(cluster), 200)}",
        "",
        f"- {code(cluster.id)}, {code(route_words(cluster))}, {seen(cluster)}",
        f"- {code(place_words(cluster))}: {_value(cluster.primary, cluster.candidate)} → {_value(cluster.candidate, cluster.primary)}",
        f"- because {plain(cluster.because)}",
    ]


def _value(text: str | None, other: str | None) -> str:
    return "(absent)" if text is None else code(around(text, other, 120))


def _gaps(run: Run) -> list[str]:
    if not run.gaps:
        return []
    lines = ["## Gaps", ""]
    lines += [f"- {count:,} {plain(reason)}" for reason, count in sorted(run.gaps.items(), key=lambda item: (-item[1], item[0]))]
    return [*lines, ""]


def _facts(run: Run) -> list[str]:
    lines = ["## Who was compared", ""]
    lines += [f"- {name}: {_party(party)}" for name, party in (("primary", run.recorded), ("candidate", run.observed)) if party]
    lines.append(f"- control: {_party(run.control) if run.control else 'none'}")
    digests = f"rules {code(run.rules_digest or 'none')}, noise {code(run.noise_digest or 'none')}"
    lines.append(f"- run: {moment(run.started_at)}, {plain(run.tool)}, seed {run.seed}, {digests}")
    lines += [
        f"- rules {word}: {', '.join(code(name) for name in names)}"
        for word, names in (("unused", run.rules_unused), ("EXPIRED", run.rules_expired))
        if names
    ]
    lines += [f"- canary not found: {plain(words)}" for words in run.canaries.missed]
    return [*lines, ""]


def _party(party: Party) -> str:
    salvaged = ", SALVAGED" if party.salvaged else ""
    lacks = f", {plain(lacking(party))}" if party.lacks else ""
    return f"{plain(party_name(party))}, {code(party.path)}, {plural(party.exchanges, 'exchange')}, cell {visible(party.cell)}{salvaged}{lacks}"
