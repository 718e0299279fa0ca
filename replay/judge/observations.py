"""What was seen of the primary's own differences at each place, and the facts that are made of it."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from replay.compare.amounts import as_float
from replay.content import Number
from replay.judge.texts import (
    asked_of,
    decimals_of,
    digest_of,
    family_of,
    parts_of,
    read_parts,
    short_digest,
    thing_of,
    value_of,
    widen,
    written,
)
from replay.model import Finding, NoiseFact

AMOUNT: Final = "amount"
"""The kind of facts on what is measured by nature: how far it lies apart though nothing is found."""
_NAME: Final = re.compile(r"\.([^.<>\[\]]+)|\[(\"(?:[^\"\\]|\\.)*\")\]")
IN_THE_RUN: Final = "elsewhere in the run"
"""How the transition of a moment of the run ends that is not where its exchanges put it."""
_ITEMS: Final = frozenset({"missing-item", "extra-item"})
ASKED: Final = frozenset({"asked-missing", "asked-extra"})
"""Kinds of findings on how often the daemon asked something of another one."""


@dataclass(slots=True)
class Observed:
    """The observations at one place."""

    exchanges: set[tuple[int, str]] = field(default_factory=set)
    count: int = 0
    values: set[str] = field(default_factory=set)
    numbers: list[float] = field(default_factory=list)
    widest: float | None = None
    ratio: float | None = None
    decimals: int = 0
    seen: set[str] = field(default_factory=set)
    parts: dict[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)

    def see(self, run: int, finding: Finding) -> None:
        """Add one finding of pair of runs number *run*."""
        self.exchanges.add((run, finding.subject.id))
        self.count += 1
        self.values.add(value_class(finding))
        if finding.kind in _ITEMS:
            shown = finding.primary if finding.primary is not None else finding.candidate
            self.seen.update((thing_of(shown), family_of(shown)))
            return
        if finding.kind in ASKED:
            self.seen.update(map(thing_of, _abouts(finding)))
            self._measure(asked_of(finding.primary), asked_of(finding.candidate))
            return
        left, right = value_of(finding.primary), value_of(finding.candidate)
        if isinstance(left, Number) and isinstance(right, Number):
            self._measure(left, right)
            return
        if finding.transition.endswith(IN_THE_RUN):
            self.seen.add(short_digest(finding.transition))
        for shown in (finding.primary, finding.candidate):
            if shown is not None:
                self.seen.add(digest_of(shown))
                widen(self.parts, parts_of(shown))

    def _measure(self, left: Number, right: Number) -> None:
        one, two = as_float(left), as_float(right)
        apart = abs(one - two) if math.isfinite(one) and math.isfinite(two) else math.inf
        share = apart / (max(abs(one), abs(two)) or 1.0) if math.isfinite(apart) else math.inf
        # A number that no float can hold is as far off as can be, and excuses nothing.
        self.widest = apart if self.widest is None else max(self.widest, apart)
        self.ratio = share if self.ratio is None else max(self.ratio, share)
        self.numbers += [one, two]
        self.decimals = max(self.decimals, decimals_of(left.text), decimals_of(right.text))

    def fact(self, place: tuple[str, str, str], pairs: int, instances: int, runs: int) -> NoiseFact:
        """Make the fact of one place."""
        return NoiseFact(
            *place,
            runs=runs,
            runs_differing=len({run for run, _ in self.exchanges}),
            pairs=max(pairs, len(self.exchanges)),
            differing=len(self.exchanges),
            most=max(Counter(run for run, _ in self.exchanges).values(), default=0),
            instances=max(instances, self.count),
            changed=self.count,
            values=",".join(sorted(self.values)),
            low=min(self.numbers, default=None),
            high=max(self.numbers, default=None),
            widest=self.widest,
            ratio=self.ratio,
            decimals=self.decimals,
            seen=tuple(sorted(self.seen)),
            parts=written(self.parts),
        )


def _abouts(finding: Finding) -> list[str]:
    """What a finding on calls is about: the sides that asked at all."""
    return [shown for shown in (finding.primary, finding.candidate) if shown is not None and asked_of(shown).value]


def asks_alike(finding: Finding, fact: NoiseFact) -> bool:
    """Whether a finding is about something that the primary was seen to ask now more, now less often."""
    return any(thing_of(shown) in fact.seen for shown in _abouts(finding))


def value_class(finding: Finding) -> str:
    """What kind of values a finding is about: `number`, `text`, `null`, `boolean`, `list`, `object`, `none`; both, where they differ."""
    return "+".join(sorted({class_name(finding.primary), class_name(finding.candidate)}))


def class_name(shown: str | None) -> str:
    """Name the class of one value."""
    if shown is None:
        return "none"
    match value_of(shown):
        case None:
            return "null"
        case bool():
            return "boolean"
        case Number():
            return "number"
        case str():
            return "text"
        case list():
            return "list"
        case _:
            return "object"


def facts_of(
    observed: Mapping[tuple[str, str, str], Observed], chances: Mapping[str, int], instances: Mapping[tuple[str, str], int], runs: int
) -> dict[tuple[str, str, str], NoiseFact]:
    """Make the facts of all places that were seen to differ."""
    facts = {}
    for place, seen in sorted(observed.items()):
        route, path, kind = place
        there = instances.get((route, path), 0)
        if kind in _ITEMS or kind.endswith("-key"):
            there += seen.count
        facts[place] = seen.fact(place, chances.get(route, 0), there or chances.get(route, 0), runs)
    return facts


def stable_facts(
    facts: Mapping[tuple[str, str, str], NoiseFact], chances: Mapping[str, int], instances: Mapping[tuple[str, str], int], runs: int
) -> dict[tuple[str, str, str], NoiseFact]:
    """Make facts of places that never differed though ones like them did: what they are alike in says the less the more often they did not."""
    kinds: dict[str, set[str]] = {}
    for fact in facts.values():
        kinds.setdefault(class_of(fact.path), set()).add(fact.kind)
    kinds.pop("", None)
    return {
        (route, path, kind): NoiseFact(route, path, kind, runs, 0, chances.get(route, 0), 0, 0, there, 0)
        for (route, path), there in sorted(instances.items())
        for kind in sorted(kinds.get(class_of(path), ()))
        if (route, path, kind) not in facts
    }


def class_of(path: str) -> str:
    """Give what a place is alike in with others: its last two names, `results.score`; empty where it has only one."""
    names = [first or second for first, second in _NAME.findall(path)]
    if len(names) < 2:
        return ""
    return ".".join(names[-2:]) + ("[*]" if path.endswith("[*]") else "")


def pool(facts: Iterable[NoiseFact]) -> dict[tuple[str, str], NoiseFact]:
    """Pool the facts of places alike, by class and kind."""
    pooled: dict[tuple[str, str], NoiseFact] = {}
    for fact in facts:
        name = class_of(fact.path)
        if name and fact.kind != AMOUNT:
            known = pooled.get((name, fact.kind))
            pooled[name, fact.kind] = replace(fact, route="*", path=name) if known is None else _joined(known, fact)
    return {key: fact for key, fact in pooled.items() if fact.changed}


def _joined(one: NoiseFact, two: NoiseFact) -> NoiseFact:
    parts = read_parts(one.parts)
    for digest, ranges in read_parts(two.parts).items():
        known = parts.get(digest)
        if known is None or len(known) != len(ranges):
            parts[digest] = ranges
        else:
            parts[digest] = tuple((min(a, c), max(b, d)) for (a, b), (c, d) in zip(known, ranges, strict=True))
    return NoiseFact(
        one.route,
        one.path,
        one.kind,
        runs=max(one.runs, two.runs),
        runs_differing=max(one.runs_differing, two.runs_differing),
        pairs=one.pairs + two.pairs,
        differing=one.differing + two.differing,
        most=one.most + two.most,
        instances=one.instances + two.instances,
        changed=one.changed + two.changed,
        values=",".join(sorted({*one.values.split(","), *two.values.split(",")} - {""})),
        low=_least(one.low, two.low),
        high=_greatest(one.high, two.high),
        widest=_greatest(one.widest, two.widest),
        ratio=_greatest(one.ratio, two.ratio),
        decimals=max(one.decimals, two.decimals),
        seen=tuple(sorted({*one.seen, *two.seen})),
        parts=written(parts),
    )


def _least(one: float | None, two: float | None) -> float | None:
    known = [value for value in (one, two) if value is not None]
    return min(known, default=None)


def _greatest(one: float | None, two: float | None) -> float | None:
    known = [value for value in (one, two) if value is not None and not math.isnan(value)]
    return max(known, default=None)
