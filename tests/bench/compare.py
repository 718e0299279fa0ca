"""
How fast the comparer walks JSON answers, beside DeepDiff with equal strictness, and whether both see the same answers as different.

Pairs of JSON answers come from the two real recordings in `../shared/samples` (JS and Rust, first half) where they are there, else from the
demo, recorded here and replayed on its other half. Beside them stands a synthetic list of 5,000 items with one change. Both sides are
parsed before the clock runs, each by its own parser (the walker's keeps how numbers are spelt). DeepDiff is called as a gate would have to
call it: order counts, nothing is folded into its parent (`ignore_order=False`, `threshold_to_diff_deeper=0`), no cache, no limit met.

How to read it: seconds are medians over interleaved rounds for all pairs, the ratio is the median of single rounds. The walker begins each
round without what it remembers of ids and times in strings. *different* is what each reports. The walker binds ids and knows times: what it
lets pass for that is counted beside (*let pass*). Two lines of a list in another order are one difference to it and many to DeepDiff, so
the counts need not agree; which pairs are different at all must. `only DeepDiff` must be 0: there the walker would have missed something.
"""

import json
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from deepdiff import DeepDiff

from replay.archive import read
from replay.compare import blinding
from replay.compare.describing import STRICT
from replay.compare.pairing import pair_by_sequence
from replay.compare.state import Place, Scene, Side, Window
from replay.compare.walk import walk_pair
from replay.content import Value, load, parse
from replay.identity import Bindings
from replay.interop.mitm import import_mitm
from replay.jobs.replaying import replay_archive
from replay.jobs.tour import demo_order, record_demo
from replay.model import Exchange, Response
from replay.routes import match
from tests.bench.measuring import SAMPLES, measure, ratio, say, say_table, scratch

ROUNDS: Final = 7
ITEMS: Final = 5_000
FIRST: Final = 335
"""So many flows of the JS recording are what the Rust one holds."""


@dataclass(frozen=True, slots=True)
class Answers:
    """Two JSON answers to one question, parsed by each side's own parser."""

    route: str
    left: Value
    right: Value
    plain_left: Any
    plain_right: Any
    recorded: Window
    observed: Window


def main() -> None:
    """Measure and say."""
    with scratch() as folder:
        title, pairs = _real(folder)
    _bench(title, pairs)
    _bench(f"a list of {ITEMS} items, one changed", [_long_list()])


def walk_all(pairs: Sequence[Answers]) -> list[tuple[int, int]]:
    """Walk all pairs as one comparison does, beginning without anything remembered; gives (different, let pass) of each."""
    for remembered in (blinding.measured, blinding.role_of, blinding.spans_of, blinding.blind_text):
        remembered.cache_clear()
    side, found = Side(Bindings()), []
    for number, pair in enumerate(pairs, 1):
        before = side.tolerated.total()
        scene = Scene(side, pair.route, number, pair.recorded, pair.observed)
        different = sum(1 for _ in walk_pair(pair.left, pair.right, scene, Place()))
        found.append((different, side.tolerated.total() - before))
    return found


def describe_all(pairs: Sequence[Answers]) -> list[int]:
    """Have DeepDiff compare all pairs; gives the differences of each."""
    return [_described(pair.plain_left, pair.plain_right) for pair in pairs]


def _described(left: Any, right: Any) -> int:
    found = DeepDiff(
        left,
        right,
        **STRICT,
        max_passes=10_000_000,
        max_diffs=10_000_000,
        view="tree",
    )
    return sum(len(level) for level in found.values())


def _bench(title: str, pairs: Sequence[Answers]) -> None:
    walked, described = walk_all(pairs), describe_all(pairs)
    seconds = measure({"walker": lambda: walk_all(pairs), "DeepDiff": lambda: describe_all(pairs)}, ROUNDS)
    size = sum(len(json.dumps(pair.plain_left)) for pair in pairs)
    say(f"{title}: {len(pairs)} pairs of JSON answers, {size / 1024:.0f} KiB a side, {ROUNDS} interleaved rounds")
    counts = {"walker": (sum(one for one, _ in walked), str(sum(two for _, two in walked))), "DeepDiff": (sum(described), "-")}
    rows = [[name, f"{statistics.median(seconds[name]) * 1000:.1f}", str(count), passed] for name, (count, passed) in counts.items()]
    say_table(["", "ms", "different", "let pass"], rows)
    seen = Counter((bool(different), bool(passed), bool(other)) for (different, passed), other in zip(walked, described, strict=True))
    say(f"  DeepDiff takes {ratio(seconds['DeepDiff'], seconds['walker']):.1f} times as long as the walker")
    say(
        f"  pairs: equal to both {seen[False, False, False]} · different to both {seen[True, False, True] + seen[True, True, True]} · "
        f"let pass by the walker {seen[False, True, True]} · only walker {seen[True, False, False] + seen[True, True, False]} · "
        f"only DeepDiff {seen[False, False, True]}"
    )
    say()


def _real(folder: Path) -> tuple[str, list[Answers]]:
    """Pair the answers of the real recordings; of the demo and its replay where those are not on this machine."""
    one, two = folder / "recording.parity", folder / "observed.parity"
    if (SAMPLES / "js.mitm.xz").is_file():
        import_mitm(SAMPLES / "js.mitm.xz", one, first=FIRST)
        import_mitm(SAMPLES / "rust-first-half.mitm.xz", two)
        recorded, observed = read(one).exchanges(), read(two).exchanges()
        return "the real recordings, JS and Rust", _answers(recorded, pair_by_sequence(recorded, observed))
    record_demo(folder, one)
    replay_archive(demo_order(folder, "observed", "rust", ()), lambda _what, _done, _all: None)
    return "the demo and its replay", _answers(read(one).exchanges(), {item.id: item for item in read(two).exchanges()})


def _answers(recorded: Sequence[Exchange], partners: Mapping[int, Exchange]) -> list[Answers]:
    starts = (recorded[0].started_at, min(item.started_at for item in partners.values()))
    pairs = []
    for exchange in recorded:
        other = partners.get(exchange.id)
        if other is None or not isinstance(exchange.outcome, Response) or not isinstance(other.outcome, Response):
            continue
        bodies = [(item.body or b"", item.header(b"content-type")) for item in (exchange.outcome, other.outcome)]
        if any(parse(body, media).kind != "json" for body, media in bodies):
            continue
        left, right = (body.decode() for body, _ in bodies)
        windows = [Window(start, item.started_at, item.ended_at) for start, item in zip(starts, (exchange, other), strict=True)]
        route = match(exchange.request.method.decode("latin-1"), exchange.request.target.decode("latin-1")).name
        pairs.append(Answers(route, load(left)[0], load(right)[0], json.loads(left), json.loads(right), windows[0], windows[1]))
    return pairs


def _long_list() -> Answers:
    items = [{"id": f"m{number:05}", "content": f"memory number {number}", "score": number / 7, "tags": ["a", "b"]} for number in range(ITEMS)]
    changed = [dict(item) for item in items]
    changed[ITEMS // 2]["content"] = "another memory"
    left, right = json.dumps(items), json.dumps(changed)
    window = Window(0.0, 1.0, 2.0)
    return Answers("GET /api/memories", load(left)[0], load(right)[0], json.loads(left), json.loads(right), window, window)


if __name__ == "__main__":
    main()
