"""
How much of the traffic a report shows.

    none   nothing of it: no value, no id, no query, in no format; words that quote one have it cut out
    diff   of the answers, what is not the same on all sides; what is, is one `…`
    full   all of it
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final, Literal

from replay.judge.quirks import QUIRKS
from replay.model import Answer, Answers, Cause, Cluster, DifferenceClass, Divergence, Finding, Pair, UsageError, Verdict, Witness
from replay.runs import Run

type Bodies = Literal["none", "diff", "full"]
BODIES: Final = ("none", "diff", "full")
LEFT_OUT: Final = "‹left out›"
QUOTED_CHARACTERS_MIN: Final = 4
_SAME: Final = "…"


def check_bodies(bodies: str) -> None:
    """
    Make sure that *bodies* is one of the three words.

    Raises:
        UsageError: it is another one.

    """
    if bodies not in BODIES:
        raise UsageError(f"--bodies {bodies}: is none of {', '.join(BODIES)}")


def withhold(run: Run) -> Run:
    """Give the run without anything that was said in its traffic: for `none`."""
    said, own = _said(run), _own_words(run)
    clean, strip = _cleaner(said, own), _stripper(said, own)

    def finding(row: Finding) -> Finding:
        subject = row.subject if row.subject.kind in {"exchange", "table"} else replace(row.subject, id=clean(row.subject.id))
        return replace(
            row,
            subject=subject,
            path=clean(row.path),
            at=clean(row.at),
            primary=None,
            candidate=None,
            control=None,
            ids=(),
            derived_from=clean(row.derived_from),
        )

    def cluster(row: Cluster) -> Cluster:
        return replace(
            row,
            cause=clean(row.cause),
            because=clean(row.because),
            path=clean(row.path),
            at=clean(row.at),
            subjects=tuple(one if one.kind in {"exchange", "table"} else replace(one, id=clean(one.id)) for one in row.subjects),
            primary=None,
            candidate=None,
            control=None,
            ids=(),
        )

    def cause(row: Cause) -> Cause:
        # A title may quote a part of what was said (the words of a refusal), so its words are looked at one by one.
        return replace(row, name=strip(clean(row.name)), title=strip(clean(row.title)))

    def pair(row: Pair) -> Pair:
        return replace(row, target=row.route.partition(" ")[2] or row.route, gap_detail=clean(row.gap_detail))

    def divergence(row: Divergence, told: Finding) -> Divergence:
        return replace(row, finding=told, because=clean(row.because))

    findings = tuple(map(finding, run.findings))
    return replace(
        run,
        because=clean(run.because),
        pairs=tuple(map(pair, run.pairs)),
        findings=findings,
        divergences=tuple(map(divergence, run.divergences, findings)),
        clusters=tuple(map(cluster, run.clusters)),
        causes=tuple(map(cause, run.causes)),
        answers=(),
        relations=tuple(replace(row, path=clean(row.path)) for row in run.relations),
        canaries=replace(
            run.canaries,
            missed=tuple(strip(clean(text)) for text in run.canaries.missed),
            swallowed=tuple((rule, strip(clean(text))) for rule, text in run.canaries.swallowed),
        ),
        strength=tuple(replace(row, survivors=tuple(strip(clean(text)) for text in row.survivors)) for row in run.strength),
    )


def differing(answers: Answers) -> Answers:
    """Give the answers with one `…` for whatever all sides say alike."""
    sides = [answers.primary, answers.candidate, answers.control]
    texts = _pruned([side.body for side in sides if side is not None])
    headers = [dict.fromkeys(side.headers) for side in sides if side is not None]
    alike = set.intersection(*map(set, headers)) if len(headers) > 1 else set()
    shown = iter(texts)
    return replace(
        answers,
        primary=_with(answers.primary, shown, alike),
        candidate=_with(answers.candidate, shown, alike),
        control=_with(answers.control, shown, alike),
    )


def _with(answer: Answer | None, bodies: Iterator[str], alike: set[tuple[str, str]]) -> Answer | None:
    if answer is None:
        return None
    body = next(bodies)
    # A body that was cut here is not one that its archive has cut.
    return replace(answer, body=body, headers=tuple(header for header in answer.headers if header not in alike))


def _pruned(bodies: Sequence[str]) -> list[str]:
    if len(bodies) < 2:
        return list(bodies)
    if len(set(bodies)) == 1:
        return [_SAME if bodies[0] else ""] * len(bodies)
    try:
        values = [
            json.loads(body, parse_float=_Written, parse_int=_Written, parse_constant=_Written, object_pairs_hook=_unique) for body in bodies
        ]
        return ["".join(_text(value)) for value in _prune(values)]
    except (ValueError, RecursionError):
        return _pruned_lines(bodies)


def _prune(values: Sequence[Any]) -> list[Any]:
    first, *others = values
    if all(type(other) is type(first) and other == first for other in others):
        return [_Written(json.dumps(_SAME, ensure_ascii=False))] * len(values)
    if all(isinstance(value, dict) for value in values):
        shared = {key: _prune([value[key] for value in values]) for key in first if all(key in other for other in others)}
        return [{key: shared[key][place] if key in shared else item for key, item in value.items()} for place, value in enumerate(values)]
    if all(isinstance(value, list) for value in values):
        most = min(map(len, values))
        rows = [_prune([value[place] for value in values]) for place in range(most)]
        return [[*(row[side] for row in rows), *value[most:]] for side, value in enumerate(values)]
    return list(values)


def _pruned_lines(bodies: Sequence[str]) -> list[str]:
    """Of texts, the lines that all have are left out; a single line that differs is shown whole."""
    shared = set.intersection(*(set(body.split("\n")) for body in bodies))
    return ["\n".join(_SAME if line and line in shared else line for line in body.split("\n")) for body in bodies]


class _Written(str):
    """A token of JSON as it was written."""

    __slots__ = ()


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a key is there twice")
    return members


def _text(value: Any) -> Iterator[str]:
    match value:
        case _Written():
            yield str(value)
        case dict():
            yield "{"
            for place, (key, item) in enumerate(value.items()):
                yield f"{',' if place else ''}{json.dumps(key, ensure_ascii=False)}:"
                yield from _text(item)
            yield "}"
        case list():
            yield "["
            for place, item in enumerate(value):
                yield "," if place else ""
                yield from _text(item)
            yield "]"
        case _:
            yield json.dumps(value, ensure_ascii=False)


def _said(run: Run) -> set[str]:
    """Collect the texts and long numbers of the traffic that words could quote."""
    said: set[str] = set()
    for answers in run.answers:
        for body in (answers.request_body, *(side.body for side in (answers.primary, answers.candidate, answers.control) if side is not None)):
            said.update(_quotable(body))
        said.update(re.split(r"[/?&=]", answers.target))
        said.update(value for _, value in answers.request_headers)
    for finding in run.findings:
        for text in (finding.primary, finding.candidate, finding.control):
            if text is not None:
                said.update(_quotable(text))
        for mapping in finding.ids:
            said |= {mapping.recorded, mapping.observed}
    for pair in run.pairs:
        names = set(pair.route.split("/"))
        said.update(part for part in re.split(r"[/?&=]", pair.target) if part not in names)
    return {word for word in said if len(word) >= QUOTED_CHARACTERS_MIN}


def _quotable(body: str) -> Iterator[str]:
    try:
        yield from _leaves(json.loads(body))
    except (ValueError, RecursionError):
        yield from (line for line in body.splitlines() if len(line) < 10_000)


def _leaves(value: Any) -> Iterator[str]:
    match value:
        case dict():
            for item in value.values():
                yield from _leaves(item)
        case list():
            for item in value:
                yield from _leaves(item)
        case str():
            yield value
        case int() | float() if not isinstance(value, bool):
            yield str(value)


_WORD: Final = re.compile(r"[a-z_-]+")


def _own_words(run: Run) -> set[str]:
    """Collect the words that reports are made of: names of keys, kinds, routes and classes of values, though somebody may have said them."""
    texts = {text for row in run.findings for text in (row.kind, row.path, row.transition, row.route or "", row.domain, row.check)}
    texts |= {" ".join([*Verdict, *DifferenceClass, *Witness]), _OWN}
    return {word for text in texts for word in _WORD.findall(text)}


_OWN: Final = "answer candidate cause control daemon recording request route rule text value with false true null error"


def _cleaner(said: Iterable[str], own: set[str]) -> Callable[[str], str]:
    """Give a function that cuts what was said out of a text, the longest first; each text is looked at once."""
    by_start: dict[str, list[str]] = {}
    for text in said:
        if text not in own and (start := _PIECE.search(text)):
            by_start.setdefault(start[0], []).append(text)
    known: dict[str, str] = {}

    def clean(text: str) -> str:
        if text not in known:
            told = text
            there = {quoted for piece in set(_PIECE.findall(text)) for quoted in by_start.get(piece, ()) if quoted in text}
            for quoted in sorted(there, key=len, reverse=True):
                told = told.replace(quoted, LEFT_OUT)
            known[text] = told
        return known[text]

    return clean


_PIECE: Final = re.compile(r"\w+")


def _stripper(said: Iterable[str], own: set[str]) -> Callable[[str], str]:
    """Give a function that cuts every word that was said out of a text, but for those that reports are made of."""
    words = {word for text in said for word in _ANY_WORD.findall(text)} - own - _stock()

    def strip(text: str) -> str:
        told = _ANY_WORD.sub(lambda found: LEFT_OUT if found[0] in words else found[0], text)
        return _AGAIN.sub(LEFT_OUT, told)

    return strip


_ANY_WORD: Final = re.compile(r"\w{4,}")
_AGAIN: Final = re.compile(rf"{LEFT_OUT}(?:\W*{LEFT_OUT})+")


def _stock() -> set[str]:
    return {word for text in (*QUIRKS, *QUIRKS.values()) for word in _ANY_WORD.findall(text)}


__all__ = ["BODIES", "LEFT_OUT", "Bodies", "check_bodies", "differing", "withhold"]
