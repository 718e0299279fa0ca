"""
How fast two archives become findings, beside DeepDiff and beside parsing both answers and asking whether they are equal.

Archives of pairs are made here: JSON answers of about 4 kB as a daemon really gave them (the JS recording in `../shared/samples` where it is
there, else the demo's), drawn by a seed, with ids of their own that come again in eight pairs. Three kinds: *equal*, both answers the same byte
for byte; *renamed*, the same up to ids, which the observed archive binds as a replay's does, and times, which lie a day later; *different*,
renamed, and with a flag, a number and a text changed. Every answer has its own `Date`.

How to read it: all is measured from archives on the disk on one core, in CPU seconds of this process: medians over interleaved rounds. *compare*
goes all the way to findings, with pairs put aside on the disk. The peers are given what they need and nothing to do beside: the same archives
are read by the same reader, which answers belong together is known, and bodies are parsed by `json`. *parse and equals* asks `==`; *DeepDiff* is
called as a gate would have to (order counts, nothing folded, no limits met).

Then ten times the pairs, whose time should be ten times as long, and the memory for each: peak of a process of its own, and how much of it came
with this. `--many` does it for a million pairs; making them takes most of an hour. Then one list, its items shuffled and one in a hundred
changed, and one body of 11 MB.
"""

import json
import random
import re
import statistics
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from deepdiff import DeepDiff

from replay.archive import ArchiveWriter, read
from replay.compare import compare_archives
from replay.compare.describing import STRICT
from replay.interop.mitm import import_mitm
from replay.jobs.tour import record_demo
from replay.model import Binding, Connection, Ended, EndReason, Exchange, Opened, Request, Response
from tests.bench.measuring import MEBI, SAMPLES, peak_of, say, say_table, scratch, take_turns

ROUNDS: Final = 3
PAIRS: Final = 2_000
AGAIN: Final = 8
MORE: Final = 10
MANY: Final = 1_000_000
BYTES: Final = (3_000, 6_000)
SEED: Final = 20_261_123
KINDS: Final = ("equal", "renamed", "different")
STARTED_AT: Final = 1_790_000_000.0
DAY_S: Final = 86_400.0
type _Names = dict[bytes, tuple[bytes, bytes]]
"""What an id of the source is called in the recording and over there."""

_UUID: Final = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_STAMP: Final = re.compile(rb"20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")


def main() -> None:
    """Measure and say."""
    with scratch() as folder:
        bases = _bases(folder)
        say(f"{len(bases)} real answers of {BYTES[0]} to {BYTES[1]} bytes; {PAIRS:,} pairs of each kind, {ROUNDS} rounds")
        for kind in KINDS:
            write_pair(bases, folder / kind, PAIRS, kind)
        _say_speed(folder)
        for kind in KINDS[:2]:
            write_pair(bases, folder / f"{kind}-more", MORE * PAIRS, kind)
        _say_growth(folder)
        _say_memory(folder)
        if "--many" in sys.argv[1:]:
            _say_many(bases, folder)
    with scratch() as folder:
        _say_long(folder)


def compare(folder: Path) -> int:
    """Compare the two archives of a folder; gives the number of findings."""
    return len(compare_archives(read(folder / "r.parity"), read(folder / "o.parity"), [], lambda _done, _of: None, spool=folder).findings)


def parse_and_equal(folder: Path) -> int:
    """Parse both bodies of each pair, and count those that are not equal."""
    return sum(one != two for one, two in _parsed(folder))


def describe(folder: Path) -> int:
    """Have DeepDiff list the differences of each pair."""
    return sum(len(level) for one, two in _parsed(folder) for level in DeepDiff(one, two, **STRICT, max_passes=10**7, max_diffs=10**7).values())


def write_pair(bases: Sequence[Exchange], folder: Path, pairs: int, kind: str) -> None:
    """Make a recording and what was observed, of one kind."""
    folder.mkdir()
    dice = random.Random(SEED)  # noqa: S311  # nothing secret is drawn
    names: _Names = {}
    with ExitStack() as stack:
        one = stack.enter_context(ArchiveWriter.create(folder / "r.parity", kind="recording", facts={}))
        two = stack.enter_context(ArchiveWriter.create(folder / "o.parity", kind="observed", facts={"replay_of": one.archive_id}))
        for number in range(1, pairs + 1):
            names = {} if number % AGAIN == 0 else names
            _write_one(dice, bases[dice.randrange(len(bases))], number, kind, (one, two, names))
        for writer in (one, two):
            writer.seal(event=3 * pairs + 1, at=0.0, reason="made")


def _write_one(dice: random.Random, base: Exchange, number: int, kind: str, into: tuple[ArchiveWriter, ArchiveWriter, _Names]) -> None:
    assert isinstance(base.outcome, Response)
    at = STARTED_AT + number / 100
    one, two, names = into
    known = set(names)

    def renamed(side: int) -> Callable[[re.Match[bytes]], bytes]:
        return lambda found: names.setdefault(found[0], (_drawn(dice), _drawn(dice)))[side]

    body = _STAMP.sub(_stamp(at), _UUID.sub(renamed(0), base.outcome.body or b""))
    other = body
    if kind != "equal":
        other = _STAMP.sub(_stamp(at + DAY_S), _UUID.sub(renamed(1), base.outcome.body or b""))
    if kind == "different":
        for old, new in ((rb":true\b", b":false"), (rb":([0-9]{1,3}),", rb":9\1,"), (rb'"content":"', b'"content":"So: ')):
            other = re.sub(old, new, other, count=1)
    for writer, text, shift in ((one, body, 0.0), (two, other, 0.0 if kind == "equal" else DAY_S)):
        headers = tuple((name, _date(at + shift) if name == b"Date" else value) for name, value in base.outcome.headers)
        writer.append(Opened(number, 3 * number - 2, at + shift, Connection(f"c{number % 8}"), replace(base.request, body=b"")))
        answer = replace(base.outcome, headers=headers, body=text)
        writer.append(Ended(number, 3 * number, at + shift + 0.004, EndReason.COMPLETE, answer, base.request.body, headers_event=3 * number - 1))
    if kind != "equal":
        for old, new in (names[each] for each in names.keys() - known):
            two.append(Binding("uuid", old.decode(), new.decode(), number, "$.id"))


def _drawn(dice: random.Random) -> bytes:
    return str(uuid.UUID(int=dice.getrandbits(128), version=4)).encode()


def _stamp(at: float) -> bytes:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(at)).encode()


def _date(at: float) -> bytes:
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(at)).encode()


def _parsed(folder: Path) -> Iterator[tuple[Any, Any]]:
    for one, two in zip(_answers(folder / "r.parity"), _answers(folder / "o.parity"), strict=True):
        yield json.loads(one), json.loads(two)


def _answers(path: Path) -> Iterator[bytes]:
    for record in read(path).records():
        if isinstance(record, Ended) and isinstance(record.outcome, Response):
            yield record.outcome.body or b""


def _bases(folder: Path) -> list[Exchange]:
    """Take real JSON answers of the wanted size: of the sample, else of the demo."""
    path = folder / "source.parity"
    if (SAMPLES / "js.mitm.xz").is_file():
        import_mitm(SAMPLES / "js.mitm.xz", path)
    else:
        record_demo(folder, path)
    exchanges = [each for each in read(path).exchanges() if isinstance(each.outcome, Response) and each.request.method != b"HEAD"]
    sizes = BYTES if any(BYTES[0] <= _size(each) <= BYTES[1] for each in exchanges) else (500, BYTES[1])
    wanted = [each for each in exchanges if sizes[0] <= _size(each) <= sizes[1] and _is_json(each) and not each.chunks]
    # a streamable route's answers are JSON in an event; a body that no client sent is no request of its own
    return [replace(each, request=replace(each.request, body=each.request.body or b"")) for each in wanted]


def _size(exchange: Exchange) -> int:
    return len(exchange.outcome.body or b"") if isinstance(exchange.outcome, Response) else 0


def _is_json(exchange: Exchange) -> bool:
    return isinstance(exchange.outcome, Response) and b"application/json" in (exchange.outcome.header(b"content-type") or b"")


def _say_speed(folder: Path) -> None:
    works: dict[str, Callable[[Path], int]] = {"compare": compare, "parse and equals": parse_and_equal, "DeepDiff": describe}
    seconds: dict[tuple[str, str], list[float]] = {}
    found: dict[tuple[str, str], int] = {}
    for number in range(ROUNDS):
        for name, kind in take_turns([(name, kind) for name in works for kind in KINDS], number):
            began = time.process_time()
            found[name, kind] = works[name](folder / kind)
            seconds.setdefault((name, kind), []).append(time.process_time() - began)
    rows = []
    for kind in KINDS:
        for name in works:
            rates = [PAIRS / each for each in seconds[name, kind]]
            rows.append(
                [f"{kind}: {name}", f"{statistics.median(rates):,.0f}", f"{min(rates):,.0f}", f"{max(rates):,.0f}", f"{found[name, kind]:,}"]
            )
    say_table(["pairs a second", "median", "least", "most", "found"], rows)
    say()


def _say_growth(folder: Path) -> None:
    rows = []
    for kind in KINDS[:2]:
        few: list[float] = []
        more: list[float] = []
        for _ in range(3):
            for name, times in ((kind, few), (f"{kind}-more", more)):
                began = time.process_time()
                compare(folder / name)
                times.append(time.process_time() - began)
        rows.append([kind, f"{min(few):.2f}", f"{min(more):.2f}", f"{min(more) / min(few):.2f}"])
    say_table(["CPU seconds", f"{PAIRS:,} pairs", f"{MORE * PAIRS:,} pairs", "times as long"], rows)
    say()


def _say_memory(folder: Path) -> None:
    rows = []
    for name, pairs in ((kind + more, PAIRS * (MORE if more else 1)) for kind in KINDS[:2] for more in ("", "-more")):
        peak, before = peak_of(compare, folder / name)
        rows.append([name, f"{pairs:,}", f"{peak / MEBI:.0f}", f"{(peak - before) / MEBI:.0f}"])
    say_table(["memory", "pairs", "peak MiB", "of it for this"], rows)
    say()


def _say_many(bases: Sequence[Exchange], folder: Path) -> None:
    write_pair(bases, folder / "many", MANY, "equal")
    began = time.monotonic()
    peak, before = peak_of(compare, folder / "many")
    took = time.monotonic() - began
    rate, more = MANY / took, (peak - before) / MEBI
    say(f"{MANY:,} equal pairs: {took:.0f} s, {rate:,.0f} a second; peak {peak / MEBI:.0f} MiB, {more:.0f} of it for this")


def _say_long(folder: Path) -> None:
    dice = random.Random(SEED)  # noqa: S311  # nothing secret is drawn
    items = [{"id": f"m{number:05}", "content": f"memory number {number}", "score": number / 7, "tags": ["a", "b"]} for number in range(10_000)]
    changed = [{**item, "content": f"{item['content']} changed"} if dice.random() < 0.01 else item for item in items]
    dice.shuffle(changed)
    big = {"rows": [{"n": number, "text": f"row {number} of many " * 4} for number in range(110_000)]}
    other = {"rows": [*big["rows"][:-1], {"n": -1, "text": "another"}]}
    rows = []
    for name, one, two in (("10,000 items shuffled, 1 % changed", items, changed), ("a body of 11 MB, its last row changed", big, other)):
        place = folder / name[:2].strip()
        place.mkdir()
        left = _long(place / "r.parity", one)
        _long(place / "o.parity", two, replay_of=read(place / "r.parity").id)
        began = time.process_time()
        found = compare(place)
        rows.append([name, f"{left / 1e6:.1f}", f"{time.process_time() - began:.2f}", f"{found:,}"])
    say_table(["one pair", "MB", "CPU seconds", "found"], rows)


def _long(path: Path, body: object, **facts: Any) -> int:
    text = json.dumps(body).encode()
    request = Request(b"GET", b"/api/memories", b"HTTP/1.1", ((b"host", b"x"),), b"")
    answer = Response(b"HTTP/1.1", 200, b"OK", ((b"content-type", b"application/json"),), text)
    with ArchiveWriter.create(path, kind="observed" if facts else "recording", facts=facts) as writer:
        writer.append(Opened(1, 1, STARTED_AT, Connection("c1"), request))
        writer.append(Ended(1, 3, STARTED_AT + 1, EndReason.COMPLETE, answer, b"", headers_event=2))
        writer.seal(event=4, at=0.0, reason="made")
    return len(text)


if __name__ == "__main__":
    main()
