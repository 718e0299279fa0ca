"""
Say which lines of a long text differ.

A text is one leaf, and its comparison one answer: equal up to ids and times, or not. Of a page of Markdown that is not equal, people want the
lines. So a difference of two long texts is told again as one difference for each line that changed, is missing or is more: at
`$.inject.<line>[12]`, counted from 0. The path stays that of the text: rules and noise speak of texts. Where less than half of the lines are
the same, it is another text, and stays one difference.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from replay.compare.blinding import blind_text
from replay.compare.difference import ABSENT, Difference
from replay.compare.leaves import relate
from replay.compare.state import Place, Scene
from replay.content import match_in_order, shared_head
from replay.model import DifferenceClass

_LINES_MIN: Final = 4
_CHARACTERS_MIN: Final = 200
"""A shorter text is told whole."""
_CHARACTERS_MAX: Final = 8_000_000
_LINES_TOLD_MAX: Final = 40
_PART_MAX: Final = 2_000
_AROUND: Final = 60


def narrow(found: Difference, scene: Scene) -> list[Difference]:
    """Tell a difference of two long texts by the parts that differ; any other difference as it is."""
    one, two = found.recorded, found.observed
    if not isinstance(one, str) or not isinstance(two, str) or found.kind not in {"value", "format"} or found.ids:
        return [found]
    if not _CHARACTERS_MIN <= max(len(one), len(two)) <= _CHARACTERS_MAX:
        return [found]
    left, right = one.split("\n"), two.split("\n")
    if min(len(left), len(right)) < _LINES_MIN:
        return [_cut(found, one, two)]
    # A trial of a trial: what its lines hold was bound and counted when the text was compared.
    told = list(_lines(left, right, found, replace(scene, binding=False, counting=False)))
    return told or [_cut(found, one, two)]


def _lines(left: list[str], right: list[str], found: Difference, scene: Scene) -> Iterator[Difference]:
    pairs = match_in_order([blind_text(line) for line in left], [blind_text(line) for line in right])
    if 2 * len(pairs) < max(len(left), len(right)):
        return
    told = 0
    for index, other in pairs:
        # Lines that read alike may hold an id or a time that is not the one that belongs there.
        for difference in _related(left[index], right[other], index, found, scene):
            told += 1
            if told <= _LINES_TOLD_MAX:
                yield difference
    before = (-1, -1)
    for pair in [*pairs, (len(left), len(right))]:
        ones, twos = range(before[0] + 1, pair[0]), range(before[1] + 1, pair[1])
        before = pair
        for index, other in zip(ones, twos, strict=False):
            for difference in _related(left[index], right[other], index, found, scene):
                told += 1
                if told <= _LINES_TOLD_MAX:
                    yield difference
        shared = min(len(ones), len(twos))
        for index in ones[shared:]:
            told += 1
            if told <= _LINES_TOLD_MAX:
                yield _alone(f"{found.at}.<line>[{index}]", left[index], found, missing=True)
        for index in twos[shared:]:
            told += 1
            if told <= _LINES_TOLD_MAX:
                yield _alone(f"{found.at}.<line>[+{index}]", right[index], found, missing=False)
    if told > _LINES_TOLD_MAX:
        at, words = f"{found.at}.<line>[*]", f"{told - _LINES_TOLD_MAX:,} more lines differ"
        yield Difference(DifferenceClass.SEMANTIC, "value", found.path, at, words, words, "text, many lines")


def _related(one: str, two: str, index: int, found: Difference, scene: Scene) -> Iterator[Difference]:
    at = f"{found.at}.<line>[{index}]"
    for relating in relate(one, two, scene, Place(at, found.path)):
        told = Difference(relating.difference, relating.kind, found.path, at, one, two, relating.transition, relating.quirk, relating.ids)
        yield _cut(told, one, two)


def _alone(at: str, line: str, found: Difference, *, missing: bool) -> Difference:
    kind, words = ("missing-item", "line missing") if missing else ("extra-item", "line more")
    recorded, observed = (_short(line), ABSENT) if missing else (ABSENT, _short(line))
    return Difference(DifferenceClass.SEMANTIC, kind, found.path, at, recorded, observed, words)


def _short(line: str) -> str:
    return line if len(line) <= _PART_MAX else f"{line[:_PART_MAX]}… ({len(line) - _PART_MAX:,} more characters)"


def _cut(found: Difference, one: str, two: str) -> Difference:
    """Show the part of two long texts that differs, with a little of what is around it; the whole is too long to read."""
    if max(len(one), len(two)) <= _PART_MAX:
        return found
    head = shared_head(one, two, min(len(one), len(two)))
    tail = shared_head(one[head:][::-1], two[head:][::-1], min(len(one), len(two)) - head)
    begin = max(0, head - _AROUND)
    return replace(found, recorded=_part(one, begin, len(one) - tail), observed=_part(two, begin, len(two) - tail))


def _part(text: str, begin: int, end: int) -> str:
    until = min(len(text), end + _AROUND, begin + _PART_MAX)
    before = f"({begin:,} characters) …" if begin else ""
    after = f"… ({len(text) - until:,} characters)" if until < len(text) else ""
    return f"{before}{text[begin:until]}{after}"
