"""One cause or one exchange, told whole: what was asked, what each side said, why it was judged so, how to see it again."""

import difflib
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import Final

from replay.judge import quirk_words
from replay.model import Answer, Cluster, Divergence, IdMapping, Pair, UsageError
from replay.report.page_data import again
from replay.report.terminal import place_words, route_words, seen, tells_place, title_of
from replay.report.text import around, cut, duration, plural, shared, visible
from replay.runs import Answers, Run

VALUE_CHARACTERS_MAX: Final = 160
BODY_LINES_MAX: Final = 60
REQUEST_CHARACTERS_MAX: Final = 400
_MARGIN: Final = 11


def explain(run: Run, name: str) -> str:
    """
    Tell one cause (its id, or a prefix that only one has) or one exchange (`#31` or `31`).

    Raises:
        UsageError: nothing is called so, or several are; the text names the nearest.

    """
    wanted = name.strip()
    number = wanted.removeprefix("#")
    plain = number.isascii() and number.isdecimal() and len(number) < 19
    # A plain number is an exchange where the run has it; the cause whose id begins so is written with its c-.
    if plain and (wanted.startswith("#") or _has_exchange(run, int(number)) or not _clusters(run, wanted)):
        return _explain_exchange(run, int(number))
    found = _clusters(run, wanted)
    if len(found) == 1:
        return _explain_cluster(run, found[0])
    if found:
        raise UsageError(
            f"{visible(name)}: {plural(len(found), 'cause')} begin so: {_names(cluster.id for cluster in found[:8])}; write more of the id"
        )
    near = difflib.get_close_matches(wanted, [cluster.id for cluster in run.clusters], n=3, cutoff=0.3)
    near = near or [cluster.id for cluster in run.clusters[:3]]
    hint = f"near: {_names(near)}" if near else "the run has no causes"
    raise UsageError(f"{visible(name)}: no cause of this run is called so ({hint}); an exchange is written #31")


def _has_exchange(run: Run, number: int) -> bool:
    return any(pair.exchange == number for pair in run.pairs)


def _clusters(run: Run, wanted: str) -> list[Cluster]:
    whole = [cluster for cluster in run.clusters if cluster.id == wanted]
    if whole or not wanted:
        return whole
    return [cluster for cluster in run.clusters if cluster.id.startswith((wanted, f"c-{wanted}"))]


def _explain_cluster(run: Run, cluster: Cluster) -> str:
    lines = [f"{visible(cluster.id)}  {cluster.difference.value} · {cluster.verdict.value} · {route_words(cluster)} · {seen(cluster)}", ""]
    lines += _values(cluster.at or cluster.path, cluster.primary, cluster.candidate, cluster.control)
    title = title_of(cluster)
    lines.append(_row("cause", visible(title) if tells_place(cluster) else f"{visible(title)} ({place_words(cluster)})"))
    lines.append(_row("because", visible(cluster.because)))
    if cluster.derived_from:
        lines.append(_row("derived", f"from {visible(cluster.derived_from)}"))
    lines += _ids(cluster.ids)
    if len(cluster.domains) > 1:
        lines.append(_row("domains", ", ".join(map(visible, cluster.domains))))
    if len(cluster.routes) > 1:
        lines.append(_row("routes", _several([visible(route) for route in cluster.routes], 12)))
    subjects = [f"#{subject.id}" if subject.kind == "exchange" else f"{subject.kind} {subject.id}" for subject in cluster.subjects]
    lines.append(_row("seen in", _several([visible(subject) for subject in subjects], 16)))
    explains = [f"{visible(other.id)} {visible(title_of(other))} ({seen(other)})" for other in run.clusters if other.derived_from == cluster.id]
    lines += [_row("explains" if place == 0 else "", words) for place, words in enumerate(explains)]
    lines.append(_row("again", visible(again(run, cluster))))
    if not PurePath(run.recorded.path).is_absolute():
        lines.append(_row("", "(inside the run's folder: the recording's path is told from there)"))
    subject = cluster.subjects[0] if cluster.subjects else None
    if subject is not None and subject.kind == "exchange" and subject.id.isdecimal():
        answers = _answers(run, int(subject.id))
        if answers is not None:
            lines += ["", *_exchange(answers, cluster.ids, cluster.at)]
    return "\n".join(lines)


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
        lines += ["", *_body_difference(answers.primary, answers.candidate, ids, at)]
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


def _body_difference(primary: Answer, candidate: Answer, ids: Sequence[IdMapping], at: str) -> list[str]:
    """Give the bodies as a unified difference of pretty-printed lines; mapped ids are written as the recorded ones."""
    try:
        asked, given = _parsed(primary.body), _parsed(_renamed(candidate.body, ids))
        left, right = _lines(asked), _lines(_in_order_of(given, asked))
    except RecursionError:
        # Nested deeper than anybody reads: told as it is.
        left, right = primary.body.split("\n"), candidate.body.split("\n")
    rows = list(
        difflib.unified_diff(left, right, "primary", "candidate (mapped ids as recorded; what is tolerated shows too)", n=3, lineterm="")
    )
    if not rows:
        return ["the bodies are equal" + (" but for the mapped ids" if primary.body != candidate.body else "")]
    first = _start(rows, at)
    shown = [cut(row, 200) for row in rows[first : first + BODY_LINES_MAX]]
    before = [f"… {plural(first, 'line')} before"] if first else []
    left_out = len(rows) - first - BODY_LINES_MAX
    after = [f"… {plural(left_out, 'more line')}: `report --format html` shows them all"] if left_out > 0 else []
    return [*before, *shown, *after]


def _start(rows: Sequence[str], at: str) -> int:
    """Say from which row on a long difference is shown: a little before the one that changes the leaf at *at*."""
    key = f'"{re.split(r"[.\[]", at.rstrip("]0123456789["))[-1]}":'
    place = next((place for place, row in enumerate(rows) if row[:1] in {"-", "+"} and key in row), 0)
    return place - BODY_LINES_MAX // 3 if len(rows) > BODY_LINES_MAX and place > BODY_LINES_MAX * 2 // 3 else 0


def _renamed(body: str, ids: Iterable[IdMapping]) -> str:
    for mapping in ids:
        if mapping.observed:
            body = body.replace(mapping.observed, mapping.recorded)
    return body


def _parsed(body: str) -> object:
    """Parse a body; what is no JSON stays as it is, in a `_Written`."""
    try:
        # Numbers stay as they were written: 1.0 is not 1. A key that is there twice would vanish in a dict, so pairs are looked at.
        return json.loads(body, parse_float=_Written, parse_int=_Written, parse_constant=_Written, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        return _Written(body)


def _in_order_of(value: object, model: object) -> object:
    """Put an object's keys in the order of the model's: their order means nothing, and equal lines meet."""
    match value, model:
        case dict(), dict():
            names = [*(name for name in model if name in value), *(name for name in value if name not in model)]
            return {name: _in_order_of(value[name], model.get(name)) for name in names}
        case list(), list():
            return [_in_order_of(item, model[min(place, len(model) - 1)] if model else None) for place, item in enumerate(value)]
        case _:
            return value


def _lines(value: object) -> list[str]:
    return _text(value, "").split("\n")


class _Written(str):
    """A number, or a whole body, as it was written."""

    __slots__ = ()


def _text(value: object, pad: str) -> str:
    """Write a JSON value with two spaces of indent; every line feed is one of its own."""
    match value:
        case _Written():
            return str(value)
        case dict() if value:
            inner = ",\n".join(f"{pad}  {json.dumps(key, ensure_ascii=False)}: {_text(below, pad + '  ')}" for key, below in value.items())
            return f"{{\n{inner}\n{pad}}}"
        case list() if value:
            inner = ",\n".join(f"{pad}  {_text(below, pad + '  ')}" for below in value)
            return f"[\n{inner}\n{pad}]"
        case _:
            return json.dumps(value, ensure_ascii=False)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a key is there twice")
    return members


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
