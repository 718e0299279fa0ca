"""What recorded call is nearest to one that was not found, and where the two differ."""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from replay.play.providing.keys import Understood
from replay.play.providing.listings import listing_of
from replay.play.providing.plain import Plain, Present, plain
from replay.play.providing.stages import Decision, decision_of, payload_of
from replay.play.providing.store import Entry, text_of

_WORDS_MAX: Final = 400
"""Beyond so many words that are not common, a difference is told by its beginning."""
_SHOWN_MAX: Final = 4
_LENGTH_MAX: Final = 160
_WORD: Final = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class Nearest:
    """The recorded call that is most like a missed one."""

    exchange: int
    key: str
    likeness: float
    """0 to 1: the share of words that both have."""
    difference: tuple[dict[str, Any], ...]
    """Where they differ: pairs of `recorded` and `asked`."""


def nearest(asked: Understood, entries: Iterable[Entry], present: Present) -> Nearest | None:
    """Find the most like of some recorded calls; None where there are none."""
    mine = _about(asked.stage, asked.ask.text if asked.ask.texts else asked.ask.body.decode("utf-8", "surrogateescape"), present)
    words = set(_WORD.findall(mine.text))
    best: tuple[float, Entry, Plain] | None = None
    for entry in entries:
        theirs = _about(asked.stage, text_of(entry), present)
        others = set(_WORD.findall(theirs.text))
        likeness = len(words & others) / max(1, len(words | others))
        if best is None or likeness > best[0]:
            best = (likeness, entry, theirs)
    if best is None:
        return None
    likeness, entry, theirs = best
    parts = []
    if entry.model != asked.ask.model:
        parts.append({"recorded": f"model {entry.model}", "asked": f"model {asked.ask.model}"})
    parts += differences(theirs.text, mine.text)
    return Nearest(entry.exchange, f"{entry.stage}/#{entry.exchange}", round(likeness, 3), tuple(parts[:_SHOWN_MAX]))


def differences(recorded: str, asked: str) -> list[dict[str, Any]]:
    """Give where two texts differ, word by word, in the order of the texts; bounded in work and in length."""
    theirs, mine = _WORD.findall(recorded), _WORD.findall(asked)
    first = 0
    while first < min(len(theirs), len(mine)) and theirs[first] == mine[first]:
        first += 1
    last = 0
    while last < min(len(theirs), len(mine)) - first and theirs[-1 - last] == mine[-1 - last]:
        last += 1
    theirs, mine = theirs[first : len(theirs) - last], mine[first : len(mine) - last]
    if max(len(theirs), len(mine)) > _WORDS_MAX:
        return [_pair(theirs, mine)]
    matcher = difflib.SequenceMatcher(None, theirs, mine, autojunk=False)
    return [_pair(theirs[a:b], mine[c:d]) for how, a, b, c, d in matcher.get_opcodes() if how != "equal"]


def other_candidates(recorded: Decision, asked: Decision, present: Present) -> dict[str, list[str]]:
    """Give the candidates that only one of two decisions has, by content."""
    theirs = {plain(each.content, present).text for each in recorded.candidates}
    mine = {plain(each.content, present).text for each in asked.candidates}
    return {
        "only recorded": sorted(text[:_LENGTH_MAX] for text in theirs - mine),
        "only asked": sorted(text[:_LENGTH_MAX] for text in mine - theirs),
    }


def _about(stage: str, text: str, present: Present) -> Plain:
    """Give what a prompt is about: a wording that all of a stage share would make them all alike."""
    decision = decision_of(text) if stage == "decision" else None
    if decision is not None:
        told = "\n".join((decision.type, decision.content, *sorted(each.content for each in decision.candidates)))
    else:
        listing = listing_of(stage, text)
        told = payload_of(stage, text) or text if listing is None else "\n".join((listing.head, listing.context, *sorted(listing.items)))
    return plain(told, present)


def _pair(theirs: list[str], mine: list[str]) -> dict[str, Any]:
    return {"recorded": _short(theirs), "asked": _short(mine)}


def _short(words: list[str]) -> str:
    text = " ".join(words)
    return text if len(text) <= _LENGTH_MAX else f"{text[:_LENGTH_MAX]}…"
