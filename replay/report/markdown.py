"""A run as Markdown, for a pull request or a wiki: by causes; against an older run, what is new, gone and still there."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from replay.evidence import domains
from replay.model import Cause, Cluster, Verdict
from replay.report.terminal import last_line, place_words
from replay.report.text import around, bound, cut, lacking, moment, party_name, plural, rule_notes, share, visible
from replay.runs import Party, Run

CAUSES_MAX: Final = 60
CHANGES_MAX: Final = 20
STILL_MAX: Final = 10
_ACTIVE: Final = "\\`*_[]<>#|~@&$"


def markdown(run: Run, against: Run | None = None) -> str:
    """
    Give verdict, domains, causes, gaps and the last line; nothing of the traffic is active in it (no link, mention, image or tag).

    With an older run to hold it *against* it is short: what is new, what is gone, and what is still there, by causes.
    """
    lines = [
        f"# {plain(run.verdict.upper())}: {plain(party_name(run.recorded))} against {plain(party_name(run.observed))}",
        "",
        plain(run.because),
        "",
    ]
    if against is not None:
        return "\n".join([*lines, *_changes(run, against), f"    {last_line(run)}", ""])
    return "\n".join(
        [*lines, *_domains(run), *_causes(run), *_times(run), *_strength(run), *_gaps(run), *_facts(run), f"    {last_line(run)}", ""]
    )


def _title(text: str, characters_max: int = 600) -> str:
    """Give a sentence in which what stands between backticks is a code span, and the rest text."""
    parts = re.split(r"(`+)(.+?)\1(?!`)", text[:characters_max], flags=re.DOTALL)
    shown = "".join(code(part.strip()) if place % 3 == 2 else plain(part) for place, part in enumerate(parts) if place % 3 != 1)
    return shown if len(text) <= characters_max else f"{shown}…"


def _domains(run: Run) -> list[str]:
    lines = ["## Domains", "", "| domain | planned | compared | gaps | identical | structural | semantic | timing | explained | open | state |"]
    lines.append("|---|--:|--:|--:|--:|--:|--:|--:|--:|---|---|")
    for row in domains(run):
        tally = row.tally
        counts = [tally.planned, tally.compared, tally.gap_count]
        identical = f"{tally.identical:,} ({share(tally.identical, tally.compared)})" if tally.compared else "–"
        classes = [tally.structural, tally.semantic, tally.timing, tally.explained]
        state = f"{tally.state_open} of {tally.state_open + tally.state_explained}" if tally.state_open + tally.state_explained else ""
        cells = [plain(row.domain), *map(str, counts), identical, *map(str, classes), bound(tally.open, tally.compared), state]
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


def _changes(run: Run, against: Run) -> list[str]:
    """Say what is new, gone and still there since another run; by causes that are open."""
    now, before = _open(run), _open(against)
    new = [cause for name, cause in now.items() if name not in before]
    gone = [cause for name, cause in before.items() if name not in now]
    still = [cause for name, cause in now.items() if name in before]
    excused = {cause.id: cause for cause in run.causes if cause.verdict is not Verdict.OPEN}
    counts = [_count(run.identical, against.identical, "identical"), _count(run.compared, against.compared, "compared")]
    older = f"{plain(moment(against.started_at))} ({plain(party_name(against.observed))}, {plain(against.verdict)})"
    lines = [
        f"**{len(new):,} new**, {len(gone):,} gone, {len(still):,} still there (open causes), against {older}.",
        "",
        f"{counts[0]}; {counts[1]}.",
        "",
    ]
    if run.recorded.digest != against.recorded.digest:
        lines += ["Both runs are of different recordings: a cause may be new or gone because something else was asked.", ""]
    lines += _section("New", new, run, CHANGES_MAX)
    told = [f"- {code(cause.id)} {_title(cause.title, 160)}{_excuse(excused.get(cause.id))}" for cause in gone[:CHANGES_MAX]]
    lines += ["## Gone", "", *told, *_more(len(gone), CHANGES_MAX), ""] if gone else []
    rows = [f"- {code(cause.id)} {_title(cause.title, 160)}{_moved(cause, before[cause.id])}" for cause in still[:STILL_MAX]]
    return [*lines, *(["## Still there", "", *rows, *_more(len(still), STILL_MAX), ""] if still else [])]


def _open(run: Run) -> Mapping[str, Cause]:
    return {cause.id: cause for cause in run.causes if cause.verdict is Verdict.OPEN}


def _excuse(cause: Cause | None) -> str:
    return "" if cause is None else f" (not mended: now {cause.verdict.value})"


def _moved(now: Cause, before: Cause) -> str:
    return f" ({before.count:,} → {now.count:,})" if now.count != before.count else f" ({now.count:,})"


def _count(now: int, before: int, what: str) -> str:
    return f"{now:,} {what}" if now == before else f"{now:,} {what} ({now - before:+,})"


def _section(title: str, causes: list[Cause], run: Run, most: int) -> list[str]:
    places = {cluster.id: cluster for cluster in run.clusters}
    lines = [line for cause in causes[:most] for line in (*_cause(cause, places), "")]
    return [f"## {title}", "", *lines, *_more(len(causes), most)] if causes else []


def _more(count: int, most: int) -> list[str]:
    return [f"… and {count - most:,} more.", ""] if count > most else []


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
    if not run.causes:
        return ["## Causes", "", "Nothing differs.", ""]
    lines = _section("Causes", list(run.causes), run, CAUSES_MAX)
    if len(run.causes) > CAUSES_MAX:
        rest = Counter(cause.verdict for cause in run.causes[CAUSES_MAX:])
        words = ", ".join(f"{rest[verdict]:,} {verdict.value}" for verdict in Verdict if rest[verdict])
        lines[-2:] = [f"… and {len(run.causes) - CAUSES_MAX:,} more ({words}).", ""]
    return lines


def _cause(cause: Cause, places: Mapping[str, Cluster]) -> Iterable[str]:
    yield f"### {cause.difference.value} · {cause.verdict.value} · {_title(cause.title, 200)}"
    yield ""
    follows = f", {cause.derived:,} more follow from it" if cause.derived else ""
    yield f"- {code(cause.id)}, {plural(cause.places, 'place')} on {plural(len(cause.routes), 'route')}, seen {cause.count:,}{follows}"
    first = places.get(cause.clusters[0]) if cause.clusters else None
    if first is not None:
        where = code(f"{first.route or first.check} {place_words(first)}")
        yield f"- {where}: {_value(first.primary, first.candidate)} → {_value(first.candidate, first.primary)} ({code(first.id)})"
        yield f"- because {plain(first.because)}"
    if cause.usual:
        yield f"- usually: {_title(cause.usual)}"


def _times(run: Run) -> list[str]:
    """Give the routes that are late or slower, and all together."""
    rows = [row for row in run.timings if row.outcome in {"late", "slower"} or row.route == "*"]
    if not rows:
        return []
    lines = ["## Times", "", "| route | pairs | control p50/p95/p99 ms | candidate p50/p95/p99 ms | ratio | |", "|---|--:|--:|--:|--:|---|"]
    for row in rows[:CHANGES_MAX]:
        name = "all routes" if row.route == "*" else code(row.route)
        control = "–" if row.control_ms is None else _times_of(row.control_ms)
        span = "" if row.ratio_low is None or row.ratio_high is None else f" ({row.ratio_low:.2f} to {row.ratio_high:.2f})"
        ratio = "–" if row.ratio is None else f"{row.ratio:.2f}{span}"
        lines.append(f"| {name} | {row.pairs:,} | {control} | {_times_of(row.observed_ms)} | {ratio} | {row.outcome} |")
    return [*lines, "", *_more(len(rows), CHANGES_MAX)]


def _strength(run: Run) -> list[str]:
    """Say how many planted faults were let through, by domain, and name some."""
    if not run.strength:
        return []
    lines = ["## Strength", "", "| domain | planted | found | inside what the primary does | let through |", "|---|--:|--:|--:|--:|"]
    for domain in dict.fromkeys(row.domain for row in run.strength):
        rows = [row for row in run.strength if row.domain == domain]
        planted, found, inside = (sum(getattr(row, name) for row in rows) for name in ("planted", "found", "inside"))
        lines.append(f"| {plain(domain)} | {planted:,} | {found:,} | {inside:,} | {bound(planted - found - inside, planted - inside)} |")
    survivors = [(row.route, words) for row in run.strength for words in row.survivors]
    told = [f"- {code(route)} {plain(words, 200)}" for route, words in survivors[:CHANGES_MAX]]
    return [*lines, "", *told, *([""] if told else []), *_more(len(survivors), CHANGES_MAX)]


def _times_of(values: tuple[float, float, float]) -> str:
    return " / ".join(f"{value:,.1f}" if value < 100 else f"{value:,.0f}" for value in values)


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
        for word, names in (("unused", run.rules_unused), ("EXPIRED", run.rules_expired), ("odd", rule_notes(run)))
        if names
    ]
    lines += [f"- canary not found: {plain(words)}" for words in run.canaries.missed]
    return [*lines, ""]


def _party(party: Party) -> str:
    salvaged = ", SALVAGED" if party.salvaged else ""
    lacks = f", {plain(lacking(party))}" if party.lacks else ""
    return f"{plain(party_name(party))}, {code(party.path)}, {plural(party.exchanges, 'exchange')}, cell {visible(party.cell)}{salvaged}{lacks}"
