"""
Noise: what the primary does differently from itself, measured from control runs and never from the candidate.

How this works
--------------
Two archives of the same daemon are compared like any other two. Each finding counts for its place (route, path, kind), each compared exchange
of a route counts as one chance. A fact excuses a finding of the candidate only where

- the place and kind are the same,
- the values are of a class that was seen to vary there (`number`, `text`, …): a number no further from the nearer of recording and control
  than these two lie apart, and never beyond the widest difference measured; anything else only if the primary itself was seen to have the
  very same there (ids and times inside it aside; a time by itself is never the same),
- and this exchange's own control differs there as well. Where it agrees with the recording, only a single value (no item of a list, no key, no
  type, no flag, no event) can be excused, and only where at least four pairs were seen and half of them differed.

So a fact never means "anything": another type, a missing key, a lost item or a far-off number stays open. So does another status or kind of
answer: where candidate and control agree on it, it is the replay's own doing, and no noise is asked.
"""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Final

from replay.compare.blinding import blind, role_of
from replay.content import load
from replay.identity import TIME_KINDS
from replay.model import Finding, NoiseFact, Pair, RuleError, Witness

FORMAT: Final = 2
_SLACK: Final = 1.0 + 1e-9
"""A number may lie as far as the widest measured difference, give or take the spelling of floats."""
_PAIRS_MIN: Final = 4
_NEVER: Final = frozenset({"status", "no-response", "body-kind", "body-missing"})
"""What an answer is at all: one that neither the recording nor the control gave was never measured, however often theirs differ."""
_SINGLE_VALUES: Final = frozenset({"number", "text"})

type Place = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class NoiseModel:
    """All facts of one file, by place."""

    facts: Mapping[Place, NoiseFact] = field(default_factory=dict)
    archives: tuple[str, ...] = ()
    """Digests of the archives it was learned from."""

    def excuse(self, finding: Finding) -> str | None:
        """Why *finding* is noise, in words; None where nothing measured says so."""
        if finding.kind in _NEVER or finding.witness is Witness.INFIDELITY:
            return None
        fact = self.facts.get((finding.route or finding.check, finding.path, finding.kind))
        if fact is None or value_class(finding) not in fact.values.split(","):
            return None
        if finding.witness is not Witness.ALL_DIFFER and not _varies_freely(finding, fact):
            return None
        distance = _nearest(finding)
        if distance is not None and fact.high is not None and not distance <= _SLACK * _width(finding, fact.high) < math.inf:
            # Written so that what is no number, or infinitely far off, excuses nothing.
            return None
        if distance is None and digest_of(finding.candidate) not in fact.seen:
            return None
        also = "; this exchange's control differs here too" if finding.witness is Witness.ALL_DIFFER else ""
        return f"the primary differs from itself here in {fact.differing} of {fact.pairs} control pairs{also}"


def _varies_freely(finding: Finding, fact: NoiseFact) -> bool:
    """Whether a place varies so often that one agreeing control says little."""
    single = finding.kind == "value" and "[*]" not in finding.path and value_class(finding) in _SINGLE_VALUES
    return single and fact.pairs >= _PAIRS_MIN and 2 * fact.differing >= fact.pairs


def _nearest(finding: Finding) -> float | None:
    """How far the candidate's number lies from the nearer of recording and control; None where they are no numbers."""
    distances = [_distance(finding.primary, finding.candidate)]
    if finding.control is not None:
        distances.append(_distance(finding.control, finding.candidate))
    known = [distance for distance in distances if distance is not None]
    return min(known) if known else None


def _width(finding: Finding, widest: float) -> float:
    """How far a number may lie: as far as recording and control of this very exchange lie apart, where they do, and never beyond the widest."""
    apart = _distance(finding.primary, finding.control) if finding.witness is Witness.ALL_DIFFER else None
    return widest if apart is None else min(widest, apart)


def learn_noise(runs: Iterable[tuple[Iterable[Finding], Iterable[Pair]]], archives: Iterable[str]) -> NoiseModel:
    """Make facts from the findings and pairs of comparisons of the primary with itself."""
    chances: Counter[str] = Counter()
    differing: dict[Place, set[tuple[int, str]]] = {}
    distances: dict[Place, float] = {}
    classes: dict[Place, set[str]] = {}
    seen: dict[Place, set[str]] = {}
    for number, (findings, pairs) in enumerate(runs):
        chances.update(pair.route for pair in pairs if pair.gap is None)
        for finding in findings:
            if finding.route is None:
                continue
            place = (finding.route, finding.path, finding.kind)
            differing.setdefault(place, set()).add((number, finding.subject.id))
            classes.setdefault(place, set()).add(value_class(finding))
            seen.setdefault(place, set()).update((digest_of(finding.primary), digest_of(finding.candidate)))
            distance = _distance(finding.primary, finding.candidate)
            if distance is not None:
                distances[place] = max(distances.get(place, 0.0), distance)
    facts = {
        place: NoiseFact(
            route=place[0],
            path=place[1],
            kind=place[2],
            pairs=max(chances[place[0]], len(subjects)),
            differing=len(subjects),
            high=distances.get(place),
            values=",".join(sorted(classes[place])),
            seen=tuple(sorted(seen[place])),
        )
        for place, subjects in differing.items()
    }
    return NoiseModel(facts, tuple(archives))


def value_class(finding: Finding) -> str:
    """What kind of values a finding is about: `number`, `text`, `null`, `boolean`, `list`, `object`, `none`; both, where they differ."""
    sides = {_class_of(finding.primary), _class_of(finding.candidate)}
    return "+".join(sorted(sides))


def digest_of(text: str | None) -> str:
    """Give a short digest of a value (compact JSON) without the ids and times inside it; a time by itself counts as it is."""
    if text is None:
        return "none"
    try:
        value, _ = load(text)
        whole_time = isinstance(value, str) and (role := role_of(value)) is not None and role.kind in TIME_KINDS
        plain = text if whole_time else blind(value)
    except ValueError:
        plain = text
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def noise_text(model: NoiseModel) -> str:
    """The model as the text of a noise file."""
    rows = [asdict(fact) for _, fact in sorted(model.facts.items())]
    return json.dumps({"format": FORMAT, "archives": list(model.archives), "facts": rows}, indent=1, ensure_ascii=False) + "\n"


def load_noise(text: str, source: str) -> NoiseModel:
    """
    Read a noise file; *source* names it in errors.

    Raises:
        RuleError: it is none, or of another version.

    """
    try:
        document = json.loads(text)
        if document["format"] != FORMAT:
            raise RuleError(f"{source}: noise format {document['format']!r} is not known to this version; learn it again")
        facts = [NoiseFact(**{**row, "seen": tuple(map(str, row["seen"]))}) for row in document["facts"]]
        archives = tuple(str(digest) for digest in document["archives"])
        return NoiseModel({(fact.route, fact.path, fact.kind): fact for fact in facts}, archives)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RuleError(f"{source}: is no noise file ({type(error).__name__}: {error}); `signet-parity noise` makes one") from error


def _class_of(text: str | None) -> str:
    if text is None:
        return "none"
    try:
        value = json.loads(text)
    except ValueError:
        return "text"
    if value is None:
        return "null"
    for kind, name in ((bool, "boolean"), (int | float, "number"), (str, "text"), (list, "list")):
        if isinstance(value, kind):
            return name
    return "object"


def _distance(primary: str | None, candidate: str | None) -> float | None:
    try:
        left, right = json.loads(primary or "null"), json.loads(candidate or "null")
    except ValueError:
        return None
    if isinstance(left, bool) or isinstance(right, bool) or not isinstance(left, int | float) or not isinstance(right, int | float):
        return None
    try:
        return abs(float(left) - float(right))
    except OverflowError:
        return math.inf
