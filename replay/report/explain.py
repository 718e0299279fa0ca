"""One cause, place or exchange, told whole: what was asked, what each side said, why it was judged so, how to see it again."""

import difflib
from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import Final

from replay.judge import quirk_words
from replay.model import Answer, Cause, Cluster, Divergence, IdMapping, Pair, UsageError
from replay.report.lines import body_difference
from replay.report.page_data import again
from replay.report.terminal import place_words, route_words, seen, tells_place, title_of
from replay.report.text import around, cut, duration, plural, shared, visible
from replay.runs import Answers, Run

VALUE_CHARACTERS_MAX: Final = 160
REQUEST_CHARACTERS_MAX: Final = 400
PLACES_MAX: Final = 24
DEPTH_MAX: Final = 8
_MARGIN: Final = 11


def explain(run: Run, name: str) -> str:
    """
    Tell one cause or place (its id, or a prefix that only one has) or one exchange (`#31` or `31`).

    Raises:
        UsageError: nothing is called so, or several are; the text names the nearest.

    """
    wanted = name.strip()
    number = wanted.removeprefix("#")
    plain = number.isascii() and number.isdecimal() and len(number) < 19
    # A plain number is an exchange where the run has it; the place whose id begins so is written with its c-.
    if plain and (wanted.startswith("#") or _has_exchange(run, int(number)) or not _named(run, wanted)):
        return _explain_exchange(run, int(number))
    found = _named(run, wanted)
    if len(found) == 1:
        only = found[0]
        return _explain_cause(run, only) if isinstance(only, Cause) else _explain_cluster(run, only)
    if found:
        raise UsageError(f"{visible(name)}: {len(found):,} ids begin so: {_names(one.id for one in found[:8])}; write more of the id")
    ids = [*(cause.id for cause in run.causes), *(cluster.id for cluster in run.clusters)]
    near = difflib.get_close_matches(wanted, ids, n=3, cutoff=0.3) or ids[:3]
    hint = f"near: {_names(near)}" if near else "the run has no causes"
    raise UsageError(f"{visible(name)}: no cause of this run is called so ({hint}); an exchange is written #31")


def _has_exchange(run: Run, number: int) -> bool:
    return any(pair.exchange == number for pair in run.pairs)


def _named(run: Run, wanted: str) -> list[Cause | Cluster]:
    rows: list[Cause | Cluster] = [*run.causes, *run.clusters]
    whole = [row for row in rows if row.id == wanted]
    if whole or not wanted:
        return whole
    return [row for row in rows if row.id.startswith((wanted, f"k-{wanted}", f"c-{wanted}"))]


def _explain_cause(run: Run, cause: Cause) -> str:
    """Tell what the places of a cause have in common, list them, and tell the smallest of them whole."""
    places = {cluster.id: cluster for cluster in run.clusters}
    own = [places[name] for name in cause.clusters if name in places]
    reach = f"{plural(cause.places, 'place')} on {plural(len(cause.routes), 'route')}"
    lines = [f"{visible(cause.id)}  {cause.difference.value} · {cause.verdict.value} · {reach} · seen {cause.count:,}", ""]
    lines.append(_row("cause", visible(cause.title)))
    if cause.usual:
        lines.append(_row("usually", visible(cause.usual)))
    lines.append(_row("domains", ", ".join(map(visible, cause.domains))))
    rows = [f"{visible(place.id)} {route_words(place)} · {place_words(place)} · {seen(place)}" for place in own[:PLACES_MAX]]
    if len(own) > PLACES_MAX:
        rows.append(f"… and {plural(len(own) - PLACES_MAX, 'more place')}: `report --format html` shows them all")
    lines += [_row("places" if number == 0 else "", words) for number, words in enumerate(rows)]
    tree = [line for place in own for line in _follows(run, place.id)]
    if cause.derived:
        lines.append(_row("derived", f"{plural(cause.derived, 'more divergence')} {'follows' if cause.derived == 1 else 'follow'} from it"))
        lines += [_row("", line) for line in tree[:PLACES_MAX]]
    if own:
        lines += ["", _row("smallest", "the smallest of its places"), _explain_cluster(run, own[0], of_cause=True)]
    return "\n".join(lines)


def _follows(run: Run, name: str, depth: int = 0) -> list[str]:
    """Give what follows from a place as a tree, each line indented below what it follows from."""
    if depth > DEPTH_MAX:
        return []
    lines = []
    for other in run.clusters:
        if other.derived_from == name and other.id != name:
            lines.append(f"{'  ' * depth}{visible(other.id)} {visible(title_of(other))} ({seen(other)})")
            lines += _follows(run, other.id, depth + 1)
    return lines


def _explain_cluster(run: Run, cluster: Cluster, *, of_cause: bool = False) -> str:
    lines = [f"{visible(cluster.id)}  {cluster.difference.value} · {cluster.verdict.value} · {route_words(cluster)} · {seen(cluster)}", ""]
    lines += _values(cluster.at or cluster.path, cluster.primary, cluster.candidate, cluster.control)
    title = title_of(cluster)
    lines.append(_row("change", visible(title) if tells_place(cluster) else f"{visible(title)} ({place_words(cluster)})"))
    explaining = [cause for cause in run.causes if cluster.id in cause.clusters]
    if not of_cause:
        lines += [_row("cause", f"{visible(cause.id)}: {visible(cause.title)} ({_reach(cause)})") for cause in explaining]
    lines.append(_row("because", visible(cluster.because)))
    lines += _let_pass(run, cluster)
    if cluster.derived_from:
        lines.append(_row("derived", f"from {visible(cluster.derived_from)}"))
    lines += _ids(cluster.ids)
    if len(cluster.domains) > 1:
        lines.append(_row("domains", ", ".join(map(visible, cluster.domains))))
    if len(cluster.routes) > 1:
        lines.append(_row("routes", _several([visible(route) for route in cluster.routes], 12)))
    subjects = [f"#{subject.id}" if subject.kind == "exchange" else f"{subject.kind} {subject.id}" for subject in cluster.subjects]
    lines.append(_row("seen in", _several([visible(subject) for subject in subjects], 16)))
    if not of_cause:
        lines += [_row("explains" if place == 0 else "", words) for place, words in enumerate(_follows(run, cluster.id)[:PLACES_MAX])]
    lines.append(_row("again", visible(again(run, cluster))))
    if not PurePath(run.recorded.path).is_absolute():
        lines.append(_row("", "(inside the run's folder: the recording's path is told from there)"))
    subject = cluster.subjects[0] if cluster.subjects else None
    if subject is not None and subject.kind == "exchange" and subject.id.isdecimal():
        answers = _answers(run, int(subject.id))
        if answers is not None:
            lines += ["", *_exchange(answers, cluster.ids, cluster.at)]
    return "\n".join(lines)


def _reach(cause: Cause) -> str:
    return f"{plural(cause.places, 'place')} on {plural(len(cause.routes), 'route')}"


def _let_pass(run: Run, cluster: Cluster) -> list[str]:
    """Say which relations let leaves pass at this very place elsewhere, with how many: what broke here usually holds."""
    found = [row for row in run.relations if row.route == cluster.route and row.path == cluster.path]
    words = [f"{visible(row.name)} holds at this place in {plural(row.count, 'leaf', 'leaves')} (n={row.count:,})" for row in found[:6]]
    return [_row("relation" if place == 0 else "", line) for place, line in enumerate(words)]


def _explain_exchange(run: Run, number: int) -> str:
    pair = next((pair for pair in run.pairs if pair.exchange == number), None)
    if pair is None:
        numbers = sorted((pair.exchange for pair in run.pairs), key=lambda exchange: (abs(exchange - number), exchange))
        near = f"near: {', '.join(f'#{exchange}' for exchange in numbers[:3])}" if numbers else "the run has none"
        raise UsageError(f"#{number}: no exchange of this run has this number ({near})")
    judged = [row for row in run.divergences if row.finding.subject.kind == "exchange" and row.finding.subject.id == str(number)]
    lines = [
        f"#{number}  {visible(pair.domain)} · {visible(pair.route)} · {_fate(pair)}",
        _row("asked", visible(f"{pair.method} {pair.target}")),
    ]
    if pair.gap is not None:
        lines.append(_row("gap", visible(f"{pair.gap}: {pair.gap_detail}" if pair.gap_detail else pair.gap)))
    lines.append(
        _row(
            "status",
            f"primary {_status(pair.primary_status)} · candidate {_status(pair.candidate_status)} · control {_status(pair.control_status)}",
        )
    )
    lines.append(
        _row("time", f"primary {duration(pair.primary_ms)} · candidate {duration(pair.candidate_ms)} · control {duration(pair.control_ms)}")
    )
    if pair.events:
        sides = sorted({side for side, _ in pair.events}, reverse=True)
        lines.append(_row("chunks", " · ".join(f"{visible(side)} {sum(name == side for name, _ in pair.events)}" for side in sides)))
    for divergence in judged[:20]:
        lines += ["", *_divergence(divergence)]
    if len(judged) > 20:
        lines += ["", f"… and {plural(len(judged) - 20, 'more finding')}"]
    answers = _answers(run, number)
    if answers is not None:
        ids = tuple(dict.fromkeys(mapping for divergence in judged for mapping in divergence.finding.ids))
        lines += ["", *_ids(ids), *_exchange(answers, ids, judged[0].finding.at if judged else "")]
    return "\n".join(lines)


def _divergence(divergence: Divergence) -> list[str]:
    finding = divergence.finding
    rule = f" · rule {visible(divergence.rule)}" if divergence.rule else ""
    lines = [f"{visible(divergence.cluster)}  {finding.difference.value} · {divergence.verdict.value} · {visible(finding.kind)}{rule}"]
    lines += _values(finding.at, finding.primary, finding.candidate, finding.control)
    if finding.transition:
        lines.append(_row("change", visible(finding.transition)))
    if finding.quirk:
        words = quirk_words(finding.quirk)
        lines.append(_row("cause", visible(f"{finding.quirk}: {words}" if words else finding.quirk)))
    lines.append(_row("witness", finding.witness.value))
    lines.append(_row("because", visible(divergence.because)))
    return lines


def _values(at: str, primary: str | None, candidate: str | None, control: str | None) -> list[str]:
    """Give both values one under the other, with carets under the part that differs."""
    place = cut(at, 80)
    left, right = around(primary, candidate, VALUE_CHARACTERS_MAX), around(candidate, primary, VALUE_CHARACTERS_MAX)
    lines = [_row("primary", f"{place}   {left}"), _row("candidate", f"{place}   {right}")]
    if primary is not None and candidate is not None:
        start, end = shared(left, right)
        width = max(len(right) - start - end, 1)
        lines.append(" " * (_MARGIN + len(place) + 3 + start) + "^" * width)
    if control is not None:
        # Agreement is one of relation (another id, a later time), so the recording's value is not passed off as the control's.
        told = "agrees with the recording" if control == primary else f"{place}   {cut(control, VALUE_CHARACTERS_MAX)}"
        lines.append(_row("control", told))
    return lines


def _ids(ids: Sequence[IdMapping]) -> list[str]:
    rows = [f"{visible(row.recorded)} ↔ {visible(row.observed)} ({visible(row.kind)}, born in {visible(row.born)})" for row in ids[:8]]
    if len(ids) > 8:
        rows.append(f"… and {len(ids) - 8} more")
    return [_row("ids" if place == 0 else "", words) for place, words in enumerate(rows)]


def _exchange(answers: Answers, ids: Sequence[IdMapping], at: str) -> list[str]:
    lines = [_row("asked", f"#{answers.exchange} {cut(f'{answers.method} {answers.target}', 200)}")]
    if answers.request_body:
        lines.append(_row("", cut(answers.request_body, REQUEST_CHARACTERS_MAX)))
    lines += [_row(name, _summary(answer)) for name, answer in (("primary", answers.primary), ("candidate", answers.candidate))]
    if answers.primary is not None and answers.candidate is not None:
        lines += ["", *body_difference(answers.primary, answers.candidate, ids, at)]
    return lines


def _summary(answer: Answer | None) -> str:
    if answer is None:
        return "no answer is kept"
    words = [
        _status(answer.status),
        visible(answer.media_type) or "no content type",
        duration(answer.duration_ms),
        plural(answer.body_bytes, "byte"),
    ]
    return " · ".join([*words, visible(answer.error)] if answer.error else words)


def _answers(run: Run, number: int) -> Answers | None:
    return next((answers for answers in run.answers if answers.exchange == number), None)


def _fate(pair: Pair) -> str:
    if pair.gap is not None:
        return "not compared"
    if pair.worst is not None:
        return f"{pair.worst.value}, open, {plural(pair.findings, 'finding')}"
    return f"{plural(pair.findings, 'finding')}, none open" if pair.findings else "identical"


def _status(status: int | None) -> str:
    return "no response" if status is None else str(status)


def _row(name: str, words: str) -> str:
    return f"{name:<{_MARGIN}}{words}".rstrip()


def _several(words: Sequence[str], most: int) -> str:
    rest = len(words) - most
    return ", ".join(words[:most]) + (f" and {rest:,} more" if rest > 0 else "")


def _names(ids: Iterable[str]) -> str:
    return ", ".join(visible(name) for name in ids)
