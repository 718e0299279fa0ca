"""
What recording costs: bare mitmdump, `mitmdump -w`, and `mitmdump -s addons/record.py`, in the same run, in interleaved rounds.

    python -P tests/bench/record.py [--rounds 20] [--seconds 0.5] [--urgent] [--quick]

All proxies stay up all the time before one server; one client drives them in turn, in an order that turns. Each round has

 *saturation*  16 kept-alive connections, each with a request on its way all the time; answers of 2 kB, then of 200 kB of JSON
 *fixed rate*  200 requests a second, whether answers come or not, on the same 16 connections: GETs, and every fourth a POST of 2 kB;
               a latency runs from when the request *should* have been sent, so that waiting in line counts
 *streams*     four streams of server-sent events side by side, an event each 10 ms, which says when it was sent (one clock, one host);
               beside a script of two lines that only hands streams on, for bare mitmproxy keeps a stream until its end

How to read it: the ratio of two proxies is taken within a round, so that a slow minute hits both; what stands there is the median over
rounds with its 95 % bootstrap interval (of rounds, seeded). p99 is of all requests of all rounds, and the acceptance looks at the upper
end of its interval. CPU is user and kernel time of mitmdump alone, of all its threads, by the process's own clock.

Where there are two cores, mitmdump (any kind) has one to itself, and client, server and the recorder's writer share the other one: see
`proxies`. So the writer's work does not show in throughput as long as that other core has room (client and server need about a tenth of
it), and is said apart: per request, with nothing redacted, with redaction (*ours*, which is how it comes), and with encryption too. *Behind*
says how long after a burst of saturation the recorder still worked; no proxy is measured before the one before it is done.

At 200 kB the writer can't follow a saturated proxy, and *ours* then leaves out bodies, as it is meant to, and saves itself work by that. So
*nothing shed* is the same with a queue that takes a whole burst: its throughput is what recording everything costs the proxy.

Every answer is checked by status, length and end. Afterwards the recording must be sealed, must verify, and must hold every request or
account for it as a gap; else the exit code is 1. Limits that are not met are said, and leave it at 0.
"""

import argparse
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from replay.archive import Keyring, verify
from replay.jobs.keys import new_key
from tests.bench.driving import LARGE, SMALL, Link, Streamed, ask, drive_at, linked, saturate, stream, tell
from tests.bench.measuring import MEBI, bounds, peak_rss, percentile, say, say_table, scratch, take_turns
from tests.bench.proxies import SCRIPT, TEE, Proxy, hurry, mitmdump, pin_this_process
from tests.bench.serving import drawn_text, serving

CONNECTIONS: Final = 16
RATE: Final = 200.0
STREAMS: Final = 4
EVENTS: Final = 40
EVERY_MS: Final = 10
POST_BYTES: Final = 2_000
WARM_UP_S: Final = 0.5
KEPT_QUEUE_MB: Final = 1_024

BARE: Final = "bare"
FLOWS: Final = "-w"
TEE_ONLY: Final = "bare tee"
OURS: Final = "ours"
KEPT: Final = "ours, nothing shed"
PLAIN: Final = "ours, as it came"
SEALED: Final = "ours, encrypted"
SIZES: Final = {"2 kB": SMALL, "200 kB": LARGE}
SATURATED: Final = {"2 kB": (BARE, FLOWS, OURS), "200 kB": (BARE, FLOWS, OURS, KEPT)}


@dataclass
class Way:
    """One proxy, and what was measured on it, by round."""

    proxy: Proxy
    links: list[Link]
    requests: int = 0
    per_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Requests per second at saturation, by size."""
    cpu_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """CPU of mitmdump a request, by what was measured."""
    writer_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """CPU of its children a request."""
    behind_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Seconds that it still worked afterwards."""
    taken_s: list[list[float]] = field(default_factory=list)
    """Latencies at the fixed rate."""
    streamed: list[Streamed] = field(default_factory=list)

    def warm_up(self) -> None:
        """Ask some without measuring, large answers only where they are measured: they would be shed."""
        for target in [SIZES[size] for size in SIZES if size == "2 kB" or self.proxy.name in SATURATED[size]]:
            self.requests += saturate(self.links, ask(target, self.proxy.port), WARM_UP_S)[0]
            self.proxy.place()
        self.proxy.settle()

    def saturate(self, size: str, seconds: float) -> None:
        """Measure one size at saturation."""
        asked = ask(SIZES[size], self.proxy.port)

        def work() -> int:
            count, taken = saturate(self.links, asked, seconds)
            self.per_s[size].append(count / taken)
            return count

        self._account(size, work)

    def drive(self, seconds: float, body: bytes) -> None:
        """Measure at the fixed rate."""
        get, post = ask(SMALL, self.proxy.port), tell(b"/api/memory/remember", self.proxy.port, body)

        def work() -> int:
            self.taken_s.append(drive_at(self.links, [get, get, get, post], RATE, seconds))
            return len(self.taken_s[-1])

        self._account("200/s", work)

    def stream(self) -> None:
        """Measure streams."""

        def work() -> int:
            self.streamed.append(stream(self.proxy.port, streams=STREAMS, events=EVENTS, every_ms=EVERY_MS))
            return STREAMS

        self._account("streams", work)

    def _account(self, what: str, work: Callable[[], int]) -> None:
        self.proxy.place()
        own, writer = self.proxy.own_cpu_s(), self.proxy.writer_cpu_s()
        count = work()
        self.behind_s[what].append(self.proxy.settle())
        self.cpu_s[what].append((self.proxy.own_cpu_s() - own) / count)
        self.writer_s[what].append((self.proxy.writer_cpu_s() - writer) / count)
        self.requests += count


@dataclass
class Limits:
    """The lines of the acceptance."""

    lines: list[str] = field(default_factory=list)

    def check(self, name: str, figure: str, limit: str, *, holds: bool) -> None:
        """Note one."""
        self.lines.append(f"acceptance: {name} {figure} (limit {limit}) {'holds' if holds else 'FAILS'}")


def main() -> int:
    """Measure and say; gives the exit code."""
    options = _options()
    if options.urgent:
        hurry()
    with scratch() as folder:
        flows = folder / "flows.mitm"
        recordings = {name: folder / f"{number}.parity" for number, name in enumerate((OURS, KEPT, PLAIN, SEALED))}
        tee = folder / "bench_tee.py"
        tee.write_text(TEE, "utf-8")
        recording = {name: ["-s", str(SCRIPT), "--set", f"parity_output={path}"] for name, path in recordings.items()}
        arguments = {BARE: [], FLOWS: ["-w", str(flows)], TEE_ONLY: ["-s", str(tee)], **recording}
        arguments[PLAIN] += ["--set", "parity_redact=false"]
        arguments[KEPT] += ["--set", f"parity_queue_mb={KEPT_QUEUE_MB}", "--set", "parity_degrade="]
        new_key(folder / "bench.key", "bench")
        arguments[SEALED] += ["--set", f"parity_recipients={folder / 'bench.pub'}"]
        with ExitStack() as stack:
            pinned = pin_this_process()
            upstream = stack.enter_context(serving())
            direct = _direct(upstream)
            ways = {}
            for name, given in arguments.items():
                proxy = stack.enter_context(mitmdump(name, given, upstream, folder, pinned=pinned))
                ways[name] = Way(proxy, stack.enter_context(linked(proxy.port, CONNECTIONS)))
                ways[name].warm_up()
            _measure(ways, options.rounds, options.seconds)
            peaks = {name: peak_rss(way.proxy.pid) for name, way in ways.items()}
        say(f"recording: {options.rounds} interleaved rounds; {'mitmdump alone on a core' if pinned else 'ALL ON ONE CORE: read CPU only'}")
        limits = Limits()
        _say_saturation(ways, direct, options.rounds, limits)
        _say_rate(ways, peaks, options.rounds, limits)
        _say_streams(ways, options.rounds, limits)
        _say_writer(ways)
        keys = Keyring.load(folder / "bench.key")
        good = [_account(name, path, keys if name == SEALED else None, ways[name].requests, limits) for name, path in recordings.items()]
        say(f"  the -w file: {flows.stat().st_size / MEBI:.0f} MiB")
        say()
        for line in limits.lines:
            say(line)
        return 0 if all(good) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What recording costs beside bare mitmdump and mitmdump -w.")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument(
        "--seconds", type=float, default=0.5, help="how long each proxy is kept busy at each size in each round; twice that at 200/s"
    )
    parser.add_argument(
        "--urgent", action="store_true", help="go before other work of this machine (needs root): for a machine that others use, too"
    )
    parser.add_argument("--quick", action="store_true", help="4 rounds of 0.4 s: to see that it runs, not for figures")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 4, 0.4
    return options


def _direct(upstream: int) -> dict[str, float]:
    """Give how many requests per second client and server manage without a proxy, on the one core that they share."""
    found = {}
    with linked(upstream, CONNECTIONS) as links:
        for size, target in SIZES.items():
            count, taken = saturate(links, ask(target, upstream), WARM_UP_S)
            found[size] = count / taken
    return found


def _measure(ways: dict[str, Way], rounds: int, seconds: float) -> None:
    body = b'{"content":"%b"}' % drawn_text(POST_BYTES - 14, 7)
    paced = [name for name in ways if name not in {TEE_ONLY, KEPT}]
    for number in range(rounds):
        for size in SIZES:
            for name in take_turns(SATURATED[size], number):
                ways[name].saturate(size, seconds / 2 if name == KEPT else seconds)  # the writer needs ten times as long for it
        for name in take_turns(paced, number):
            ways[name].drive(2 * seconds, body)
        for name in take_turns([TEE_ONLY, OURS], number):
            ways[name].stream()


def _compare(one: Sequence[float], other: Sequence[float]) -> tuple[float, float, float]:
    """Give the median of the ratios of single rounds, with its interval: (lower, median, upper)."""
    ratios = [left / right for left, right in zip(one, other, strict=True)]
    return bounds(lambda rounds: statistics.median(ratios[number] for number in rounds), len(ratios))


def _spelt(found: tuple[float, float, float], digits: int = 3) -> str:
    return f"{found[1]:.{digits}f} [{found[0]:.{digits}f}, {found[2]:.{digits}f}]"


def _say_saturation(ways: dict[str, Way], direct: dict[str, float], rounds: int, limits: Limits) -> None:
    say()
    say(f"saturation: {CONNECTIONS} connections, medians of {rounds} rounds")
    rows = []
    for size in SIZES:
        rows.append([f"{size}, no proxy", f"{direct[size]:.0f}", *["-"] * 5])
        for name in SATURATED[size]:
            way = ways[name]
            against = [_spelt(_compare(way.per_s[size], ways[peer].per_s[size])) if peer != name else "-" for peer in (BARE, FLOWS)]
            figures = [f"{statistics.median(per[size]) * 1000:.3f}" for per in (way.cpu_s, way.writer_s)]
            row = [f"{size}, {name}", f"{statistics.median(way.per_s[size]):.0f}", *against, *figures]
            rows.append([*row, f"{statistics.median(way.behind_s[size]):.2f}"])
    say_table(["", "req/s", "ratio to bare", "ratio to -w", "CPU ms/request", "writer's", "behind s"], rows)
    shares = [per_s * cpu_s for size in SIZES for per_s, cpu_s in zip(ways[BARE].per_s[size], ways[BARE].cpu_s[size], strict=True)]
    say(
        f"  bare mitmdump had {statistics.median(shares):.0%} of its core (least in a round {min(shares):.0%}); "
        "what is missing to 100 % went to other work of this machine, and throughput and latencies suffer from that"
    )
    for size, least, name in (("2 kB", 0.90, OURS), ("200 kB", 0.85, OURS), ("200 kB", 0.85, KEPT)):
        ours, bare, flows = (ways[one].per_s[size] for one in (name, BARE, FLOWS))
        found = _compare(ours, bare)
        limits.check(f"throughput at saturation, {size}, {name} / bare", _spelt(found), f">= {least:.2f}, aim 0.97", holds=found[1] >= least)
        found = _compare(ours, flows)
        above = statistics.median(ours) > statistics.median(flows) and found[1] > 1
        limits.check(f"throughput at saturation, {size}, {name} / -w", _spelt(found), "> 1", holds=above)
    for size in SIZES:
        room = direct[size] / max(statistics.median(ways[name].per_s[size]) for name in SATURATED[size])
        if room < 8:
            say(f"  client and server manage only {room:.1f} times what the fastest proxy does: its throughput is understated")


def _say_rate(ways: dict[str, Way], peaks: dict[str, int], rounds: int, limits: Limits) -> None:
    say()
    count = sum(map(len, ways[BARE].taken_s))
    say(f"fixed rate: {RATE:.0f} requests a second, {count} requests to each")
    rows = []
    for name, way in ways.items():
        if not way.taken_s:
            continue
        taken = [one for some in way.taken_s for one in some]
        row = [name, *(f"{percentile(taken, percent) * 1000:.2f}" for percent in (50, 99, 99.9))]
        row.append(f"{statistics.median(way.cpu_s['200/s']) * 1000:.3f}")
        row.append(_spelt(_compare(way.cpu_s["200/s"], ways[BARE].cpu_s["200/s"])) if name != BARE else "-")
        rows.append([*row, f"{statistics.median(way.writer_s['200/s']) * 1000:.3f}", f"{peaks[name] / MEBI:.0f}"])
    say_table(["", "p50 ms", "p99", "p99.9", "CPU ms/request", "ratio to bare", "writer's", "peak MiB"], rows)
    ours, bare = ways[OURS].taken_s, ways[BARE].taken_s

    def p99(some: Sequence[Sequence[float]], numbers: Sequence[int]) -> float:
        return percentile([one for number in numbers for one in some[number]], 99)

    share = bounds(lambda numbers: p99(ours, numbers) / p99(bare, numbers), rounds)
    more = bounds(lambda numbers: (p99(ours, numbers) - p99(bare, numbers)) * 1000, rounds)
    cpu = _compare(ways[OURS].cpu_s["200/s"], ways[BARE].cpu_s["200/s"])
    limits.check("CPU a request at 200/s, ours / bare", _spelt(cpu), "<= 1.10", holds=cpu[1] <= 1.10)
    limits.check(
        "p99 at 200/s, ours / bare",
        f"{_spelt(share)}, {_spelt(more, 2)} ms more",
        "upper bound <= 1.15 or <= 1 ms more",
        holds=share[2] <= 1.15 or more[2] <= 1.0,
    )


def _say_streams(ways: dict[str, Way], rounds: int, limits: Limits) -> None:
    say()
    say(f"streams: {STREAMS} at once, {EVENTS} events, one each {EVERY_MS} ms; {rounds} rounds")
    rows = []
    for name in (TEE_ONLY, OURS):
        first = [one for some in ways[name].streamed for one in some.first_s]
        lag = [one for some in ways[name].streamed for one in some.lag_s]
        row = [name, *(f"{percentile(figures, percent) * 1000:.2f}" for figures in (first, lag) for percent in (50, 99))]
        rows.append([*row, f"{statistics.median(ways[name].cpu_s['streams']) * 1000 / EVENTS:.3f}"])
    say_table(["", "first event p50 ms", "p99", "lag p50 ms", "p99", "CPU ms/event"], rows)
    ours, tee = ways[OURS].streamed, ways[TEE_ONLY].streamed
    found = _compare([statistics.median(some.first_s) for some in ours], [statistics.median(some.first_s) for some in tee])
    limits.check("first event of a stream, ours / bare tee", _spelt(found), "<= 1.2", holds=found[1] <= 1.2)
    found = _compare([statistics.median(some.lag_s) for some in ours], [statistics.median(some.lag_s) for some in tee])
    limits.check("lag of an event, ours / bare tee", _spelt(found), "<= 1.2", holds=found[1] <= 1.2)


def _say_writer(ways: dict[str, Way]) -> None:
    say()
    say("the writer's CPU a request, ms (mitmdump's own beside it)")
    rows = []
    for name, what in {
        PLAIN: "nothing redacted",
        OURS: "redaction",
        SEALED: "redaction and encryption",
        KEPT: "redaction, nothing shed",
    }.items():
        way = ways[name]
        rows.append([what])
        for per in ("200/s", *SIZES):
            measured = way.writer_s.get(per)
            rows[-1] += [f"{statistics.median(some[per]) * 1000:.3f}" for some in (way.writer_s, way.cpu_s)] if measured else ["-", "-"]
    say_table(["", "at 200/s", "(mitmdump)", *(head for size in SIZES for head in (f"saturated, {size}", "(mitmdump)"))], rows)


def _account(name: str, recording: Path, keys: Keyring | None, requests: int, limits: Limits) -> bool:
    """Verify a recording against what was asked; says whether it is right."""
    found = verify(recording, keys)
    lost = requests - found.exchanges
    on_disk = sum(path.stat().st_size for path in recording.iterdir())
    say()
    say(
        f"  {name}: {found.exchanges} of {requests} requests, {'sealed' if found.sealed else 'NOT SEALED'}, {len(found.problems)} problems, "
        f"gaps {found.gaps or 0}, {on_disk / MEBI:.1f} MiB on disk"
    )
    for problem in found.problems[:5]:
        say(f"    {problem}")
    limits.check(f"every request on record ({name})", f"{found.exchanges} of {requests}", "all", holds=not lost)
    if name == KEPT:
        limits.check(f"nothing shed ({name})", f"{found.gaps.get('shed', 0)} gaps", "none", holds=not found.gaps)
    return found.sealed and found.good and (lost == 0 or bool(found.gaps))


if __name__ == "__main__":
    sys.exit(main())
