"""
Plant single faults in real answers and see what the comparer makes of them.

How this works
--------------
Two recordings of one client on one daemon are compared, with noise learned from a third: that is the baseline. Then, round after round, a copy
of the second one is written in which some hundreds of answers hold one fault each (`replay.judge.mutants`), and the same comparison is made of
it. What is open now and was not before is held against what was planted:

- *found*: something new is open at the planted place, or at one around or below it; else elsewhere in that exchange, or in another one
  that names the planted value (an id shows where it is used again), which is counted apart;
- *inside*: what is there is in a dispersion that the primary was measured to have, so it is equal by definition;
- *restored*: the answers differed there before, and the fault made them alike by chance;
- *derived*: it is told, as following from another difference;
- *hidden*: nothing new is open. The relation, rule or noise that let it pass is named;
- *invented*: something new is open where nothing was planted, names nothing planted, and is still there when that round's faults that change ids
  are taken out again: a wrong id has consequences wherever it is used.

    python -m tests.faults.mutating RECORDED OBSERVED NOISE [NOISE…] --mutants 10000 --each 250 --seed 1 --out result.json
"""

import argparse
import datetime as dt
import json
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from replay.archive import Archive, ArchiveWriter, read
from replay.compare import compare_archives
from replay.content import strings
from replay.identity import ID_KINDS, classify
from replay.jobs.judging import load_basis, measure_noise
from replay.judge import NoiseModel, RuleSet, judge
from replay.judge.mutants import OPERATORS, Ground, Material, Mutant, apply, mutant
from replay.model import Answered, Chunks, Divergence, End, Ended, Exchange, Pair, Record, Relation, Response, Verdict
from replay.routes import route_of

IDS_MAX = 400
"""So many ids of other answers are enough to confuse one with."""
_STREAMS_FIRST = 0.5
"""How often an answer that is a stream gets a fault of streams: there are few of them."""


@dataclass(frozen=True, slots=True)
class Planted:
    """A fault, and the exchange that bears it."""

    exchange: int
    route: str
    mutant: Mutant


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one."""

    outcome: str
    """`found`, `found elsewhere`, `inside`, `restored`, `derived` or `hidden`."""
    classes: tuple[str, ...] = ()
    because: str = ""


@dataclass(slots=True)
class Tally:
    """All that was planted and found."""

    planted: int = 0
    rounds: int = 0
    outcomes: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """(operator, class, outcome) → how many."""
    wrong_class: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """(operator, expected, found) → how many."""
    survivors: list[dict[str, object]] = field(default_factory=list)
    wrong: list[dict[str, object]] = field(default_factory=list)
    invented: list[dict[str, object]] = field(default_factory=list)
    following: int = 0
    """What is new in exchanges where nothing was planted, and names a planted value or an id that one was taken for."""
    strays: Counter[str] = field(default_factory=Counter)
    """Of found ones: what is new in the same exchange and not at the place, by operator."""


_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TWICE = 2
_DIGITS_MIN = 4
_CHANGES_IDS = re.compile("^id|item|list|answer|cut|event|stream|dropped|null|object|emptied")
"""Faults that may change which id is taken for which."""
_STEPS = 2
"""A wrong id is bound to another one, and that one's own is then missed: what is further off is no plain consequence."""
_OF_IDS = frozenset({"identity", "missing-item", "extra-item", "missing-key", "extra-key"})

type Key = tuple[str, str, str, str | None, str | None]


@dataclass(frozen=True, slots=True)
class Judged:
    """One comparison, judged."""

    opened: dict[Key, Divergence]
    by_exchange: dict[str, list[Divergence]]
    relations: tuple[Relation, ...]
    pairs: tuple[Pair, ...]


def judged(recorded: Archive, observed: Archive, controls: Sequence[Archive], rules: RuleSet, noise: NoiseModel) -> Judged:
    """Compare and judge as a run does."""
    comparison = compare_archives(recorded, observed, controls, lambda _done, _of: None)
    made = judge(comparison.findings, rules, noise, dt.date(2026, 11, 24)).divergences
    by_exchange: dict[str, list[Divergence]] = {}
    for one in made:
        by_exchange.setdefault(one.finding.subject.id, []).append(one)
    opened = {_key(one): one for one in made if one.verdict is Verdict.OPEN}
    return Judged(opened, by_exchange, tuple(comparison.relations), tuple(comparison.pairs))


def _key(one: Divergence) -> Key:
    finding = one.finding
    # An item that one side has alone is itself wherever it stands.
    at = finding.path if "[+" in finding.at or finding.kind in {"missing-item", "order"} else finding.at
    return finding.subject.id, finding.kind, at, finding.primary, finding.candidate


def draw(exchanges: Sequence[Exchange], count: int, dice: random.Random, uses: Mapping[str, int], only: Sequence[str]) -> list[Planted]:
    """Draw as many exchanges, and a fault for each."""
    earlier: dict[str, Response] = {}
    before: dict[int, Response] = {}
    for exchange in exchanges:
        route = route_of(exchange.request).name
        if route in earlier:
            before[exchange.id] = earlier[route]
        if isinstance(exchange.outcome, Response):
            earlier[route] = exchange.outcome
    planted: list[Planted] = []
    ids = dice.sample(list(uses), min(IDS_MAX, len(uses)))
    for exchange in dice.sample(list(exchanges), len(exchanges)):
        if len(planted) == count:
            break
        assert isinstance(exchange.outcome, Response)
        ground = Ground.of(exchange.outcome)
        operators = list(only)
        dice.shuffle(operators)
        if ground.content.kind in {"sse", "ndjson"} and dice.random() < _STREAMS_FIRST:
            operators.sort(key=lambda name: "event" not in name and "stream" not in name)
        material = Material(ids, before.get(exchange.id))
        drawn = (mutant(ground, name, dice, material) for name in operators)
        made = next((found for found in drawn if found is not None and not _is_renaming(found, uses)), None)
        if made is not None:
            planted.append(Planted(exchange.id, route_of(exchange.request).name, made))
    return planted


def _is_renaming(made: Mutant, uses: Mapping[str, int]) -> bool:
    """Whether a fault gives a new name to what nobody names again: that is no fault, but what every run does."""
    return made.operator == "id unheard of" and uses.get(made.before.strip('"'), 0) < _TWICE


def write_with(
    records: Iterable[Record], facts: dict[str, object], planted: Sequence[Planted], exchanges: dict[int, Exchange], path: Path
) -> Archive:
    """Write an archive again with the planted answers."""
    changed = {item.exchange: apply(item.mutant, exchanges[item.exchange]) for item in planted}
    pieces = {number: _pieces(exchanges[number], exchange) for number, exchange in changed.items() if exchanges[number].chunks}
    end = None
    with ArchiveWriter.create(path, kind="recording", facts=facts) as writer:
        for record in records:
            if isinstance(record, End):
                end = record
                continue
            writer.append(_changed(record, changed, pieces))
        assert end is not None
        writer.seal(event=end.event, at=end.at, reason=end.reason)
    return read(path)


def _pieces(before: Exchange, after: Exchange) -> dict[int, bytes]:
    """Give what each chunk of the old answer holds now."""
    data = [chunk.data for chunk in after.chunks]
    numbers = [chunk.event for chunk in before.chunks]
    spread = [*data[: len(numbers) - 1], b"".join(data[len(numbers) - 1 :])]
    return {number: spread[place] if place < len(spread) else b"" for place, number in enumerate(numbers)}


def _changed(record: Record, changed: dict[int, Exchange], pieces: dict[int, dict[int, bytes]]) -> Record:
    if isinstance(record, Chunks) and record.side == "response" and record.exchange in pieces:
        held = pieces[record.exchange]
        return replace(record, chunks=tuple(replace(chunk, data=held[chunk.event]) for chunk in record.chunks))
    if isinstance(record, Answered | Ended) and record.exchange in changed:
        exchange = changed[record.exchange]
        assert isinstance(exchange.outcome, Response)
        if isinstance(record, Answered):
            return replace(record, response=replace(exchange.outcome, body=None))
        outcome = replace(exchange.outcome, body=None) if record.streamed else exchange.outcome
        return replace(record, outcome=outcome, end=exchange.end)
    return record


def fate_of(item: Planted, base: Judged, now: Judged, noise: NoiseModel) -> Fate:
    """Say what became of a planted fault."""
    number = str(item.exchange)
    news = [one for key, one in now.opened.items() if key[0] == number and key not in base.opened]
    here = [one for one in news if is_near(one.finding.path, item.mutant.path)]
    if here:
        return Fate("found", tuple(sorted({str(one.finding.difference) for one in here})))
    if news:
        return Fate(
            "found elsewhere", tuple(sorted({str(one.finding.difference) for one in news})), f"in the exchange, at {news[0].finding.path}"
        )
    words = _words(item.mutant)
    far = [one for key, one in now.opened.items() if key[0] != number and key not in base.opened and _names(one, words)]
    if far:
        classes = tuple(sorted({str(one.finding.difference) for one in far}))
        return Fate("found elsewhere", classes, f"in #{far[0].finding.subject.id} at {far[0].finding.path}")
    before = {_key(one) for one in base.by_exchange.get(number, []) if is_near(one.finding.path, item.mutant.path)}
    after = [one for one in now.by_exchange.get(number, []) if is_near(one.finding.path, item.mutant.path)]
    fresh = [one for one in after if _key(one) not in before]
    if any(one.verdict is Verdict.DERIVED for one in fresh):
        return Fate("derived", (), next(one.because for one in fresh if one.verdict is Verdict.DERIVED))
    if fresh:
        excused = fresh[0]
        inside = excused.verdict is Verdict.NOISE and excused.finding.kind == "value"
        return Fate(
            "inside" if inside else "hidden", (), f"{excused.verdict}: {excused.because} ({excused.finding.kind} at {excused.finding.path})"
        )
    if before - {_key(one) for one in after}:
        return Fate("restored")
    dispersion = noise.within(item.route, item.mutant.path, item.mutant.whole_before, item.mutant.whole_after)
    if dispersion:
        return Fate("inside", (), dispersion)
    let = sorted({found.name for found in now.relations if found.route == item.route and found.path == item.mutant.path})
    return Fate("hidden", (), f"relation: {', '.join(let) or 'none counted at this path'}")


def is_near(one: str, two: str) -> bool:
    """Whether a path is another one, or stands around or below it."""
    if one == two or "body" in {one, two} or one.startswith("stream") or two == "stream":
        return True
    short, long = sorted((_plain(one), _plain(two)), key=len)
    return long.startswith(short) and (len(long) == len(short) or long[len(short)] in ".[")


def _plain(path: str) -> str:
    return path.replace(".data.<json>", ".data").replace("[*]", "")


def _words(made: Mutant) -> tuple[str, ...]:
    """Give the ids and times of a fault, which another exchange may name; no words, which any may have."""
    texts = re.findall(r"[\w:.-]{10,}", f"{made.before} {made.after}")
    return tuple(text for text in texts if sum(sign.isdigit() for sign in text) >= _DIGITS_MIN)


def _names(one: Divergence, words: Iterable[str]) -> bool:
    text = _text(one)
    return any(word in text for word in words)


def _text(one: Divergence) -> str:
    finding = one.finding
    ids = " ".join(f"{mapped.recorded} {mapped.observed}" for mapped in finding.ids)
    return f"{finding.primary} {finding.candidate} {finding.at} {ids} {finding.derived_from}"


def _consequences(planted: Sequence[Planted], fresh: Sequence[Divergence]) -> set[str]:
    """Give the ids that a planted id was taken for or hides: what is new and names one of them follows from it."""
    known = {
        word for item in planted if item.mutant.operator.startswith(("id", "answer", "item", "list")) for word in _UUID.findall(_both(item))
    }
    for _ in range(_STEPS):
        known |= {word for one in fresh if _names(one, known) and one.finding.kind in _OF_IDS for word in _UUID.findall(_text(one))}
    return known


def _both(item: Planted) -> str:
    return f"{item.mutant.before} {item.mutant.after}"


def _round(tally: Tally, planted: Sequence[Planted], base: Judged, now: Judged, noise: NoiseModel) -> list[Divergence]:
    """Count what became of each fault; give what is new elsewhere and names none of them."""
    leftover: list[Divergence] = []
    tally.rounds += 1
    fresh = [one for key, one in now.opened.items() if key not in base.opened]
    words = {word for item in planted for word in _words(item.mutant)}
    following = _consequences(planted, fresh)
    bearing = {str(item.exchange): item for item in planted}
    for item in planted:
        fate = fate_of(item, base, now, noise)
        made = item.mutant
        tally.planted += 1
        tally.outcomes[made.operator, str(made.difference), fate.outcome] += 1
        if fate.outcome in {"hidden", "inside", "derived", "found elsewhere"}:
            tally.survivors.append({**_told(item), "outcome": fate.outcome, "because": fate.because})
        if fate.outcome == "found" and not {str(made.difference), str(made.also)} & set(fate.classes):
            tally.wrong_class[made.operator, str(made.difference), ",".join(fate.classes)] += 1
            tally.wrong.append({**_told(item), "classes": fate.classes})
    for one in fresh:
        number = one.finding.subject.id
        owner = bearing.get(number)
        if owner is not None:
            if not is_near(one.finding.path, owner.mutant.path):
                tally.strays[owner.mutant.operator] += 1
        elif _names(one, words) or _names(one, following):
            tally.following += 1
        else:
            leftover.append(one)
    return leftover


def _shown(one: Divergence) -> dict[str, object]:
    finding = one.finding
    return {
        "exchange": finding.subject.id,
        "route": finding.route,
        "kind": finding.kind,
        "at": finding.at,
        "primary": finding.primary,
        "candidate": finding.candidate,
    }


def _told(item: Planted) -> dict[str, object]:
    made = item.mutant
    return {
        "exchange": item.exchange,
        "route": item.route,
        "operator": made.operator,
        "class": str(made.difference),
        "place": made.place,
        "path": made.path,
        "before": made.before,
        "after": made.after,
    }


def run(
    recorded: Archive,
    observed: Archive,
    basis: tuple[RuleSet, NoiseModel],
    *,
    count: int,
    each: int,
    seed: int,
    controls: Sequence[Archive] = (),
    only: Sequence[str] = OPERATORS,
) -> Tally:
    """Plant *count* faults, *each* so many in a comparison."""
    rules, noise = basis
    dice = random.Random(seed)  # noqa: S311  # a draw that can be repeated
    base = judged(recorded, observed, controls, rules, noise)
    records = list(observed.records())
    partner = {pair.observed_exchange for pair in base.pairs if pair.gap is None and not pair.is_call}
    number_of = {pair.observed_exchange: pair.exchange for pair in base.pairs if pair.gap is None and not pair.is_call}
    exchanges = {one.id: one for one in observed.exchanges()}
    able = [one for one in exchanges.values() if one.id in partner and isinstance(one.outcome, Response) and one.outcome.body is not None]
    uses = Counter(name for one in able for name in dict.fromkeys(_ids([one])))
    tally = Tally()

    def look(planted: Sequence[Planted]) -> Judged:
        with tempfile.TemporaryDirectory() as folder:
            changed = write_with(records, dict(observed.facts), planted, exchanges, Path(folder) / "changed.parity")
            return judged(recorded, changed, controls, rules, noise)

    while tally.planted < count:
        begun = time.perf_counter()
        planted = draw(able, min(each, count - tally.planted), dice, uses, only)
        now = look(planted)
        leftover = _round(tally, [replace(item, exchange=number_of[item.exchange]) for item in planted], base, now, noise)
        if leftover:
            calmer = look([item for item in planted if not _CHANGES_IDS.search(item.mutant.operator)])
            told = {_key(one) for found in base.by_exchange.values() for one in found}
            # what the baseline tells under another verdict is not new: it only follows from something else now
            invented = [one for one in leftover if _key(one) in calmer.opened and _key(one) not in told]
            tally.following += len(leftover) - len(invented)
            tally.invented.extend(_shown(one) for one in invented)
        _say(f"round {tally.rounds}: {tally.planted} planted, {time.perf_counter() - begun:.1f} s")
    return tally


def _ids(exchanges: Iterable[Exchange]) -> Iterator[str]:
    for exchange in exchanges:
        assert isinstance(exchange.outcome, Response)
        for _, text in strings(Ground.of(exchange.outcome).content):
            if len(text) < 80 and (role := classify(text)) is not None and role.kind in ID_KINDS:
                yield text


def table_of(tally: Tally) -> str:
    """Tell the figures, an operator a line."""
    outcomes = ("found", "found elsewhere", "inside", "restored", "derived", "hidden")
    lines = [f"{'operator':24} {'class':10} {'planted':>8} " + " ".join(f"{name:>15}" for name in outcomes) + f" {'wrong class':>12}"]
    names = sorted({(operator, cls) for operator, cls, _ in tally.outcomes}, key=lambda row: (row[1], row[0]), reverse=True)
    for operator, cls in names:
        counts = [tally.outcomes[operator, cls, name] for name in outcomes]
        wrong = sum(count for (found, _, _), count in tally.wrong_class.items() if found == operator)
        lines.append(f"{operator:24} {cls:10} {sum(counts):8} " + " ".join(f"{count:15}" for count in counts) + f" {wrong:12}")
    for cls in ("structural", "semantic"):
        of = sum(count for (_, found, outcome), count in tally.outcomes.items() if found == cls and outcome not in {"inside", "restored"})
        hidden = sum(count for (_, found, outcome), count in tally.outcomes.items() if found == cls and outcome == "hidden")
        derived = sum(count for (_, found, outcome), count in tally.outcomes.items() if found == cls and outcome == "derived")
        lines.append(f"{cls}: {hidden} of {of} hidden ({100 * hidden / max(of, 1):.2f} %), {derived} derived")
    found = sum(count for (_, _, outcome), count in tally.outcomes.items() if outcome == "found")
    wrong = sum(tally.wrong_class.values())
    lines.append(f"class right in {found - wrong} of {found} ({100 * (found - wrong) / max(found, 1):.2f} %)")
    lines.append(f"invented: {len(tally.invented)}; new elsewhere because of a planted id: {tally.following}")
    lines.append(f"elsewhere in exchanges with a fault: {sum(tally.strays.values())} {dict(tally.strays)}")
    return "\n".join(lines)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> None:
    """Read the command line, plant, tell."""
    parser = argparse.ArgumentParser(description="Plant single faults in real answers and see what the comparer makes of them.")
    parser.add_argument("recorded", type=Path)
    parser.add_argument("observed", type=Path)
    parser.add_argument("noise", type=Path, nargs="+", help="further recordings of the same daemon, from which noise is learned")
    parser.add_argument("--control", type=Path, action="append", default=[])
    parser.add_argument("--rules", type=Path)
    parser.add_argument("--mutants", type=int, default=10_000)
    parser.add_argument("--each", type=int, default=250)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="a regular expression for the names of faults")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    recorded, observed = read(asked.recorded), read(asked.observed)
    noise = measure_noise([recorded, *(read(path) for path in asked.noise)], lambda *_: None)
    rules = load_basis(asked.rules, None).rules
    controls = [read(path) for path in asked.control]
    only = [name for name in OPERATORS if re.search(asked.only, name)]
    tally = run(recorded, observed, (rules, noise), count=asked.mutants, each=asked.each, seed=asked.seed, controls=controls, only=only)
    _say(table_of(tally))
    if asked.out is not None:
        told = {
            "planted": tally.planted,
            "outcomes": [[*key, count] for key, count in sorted(tally.outcomes.items())],
            "wrong_class": [[*key, count] for key, count in sorted(tally.wrong_class.items())],
            "survivors": tally.survivors,
            "wrong": tally.wrong,
            "invented": tally.invented,
        }
        asked.out.write_text(json.dumps(told, indent=1, ensure_ascii=False), "utf-8", "backslashreplace")


if __name__ == "__main__":
    main()
