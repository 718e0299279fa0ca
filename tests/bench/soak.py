"""
What a long recording costs: memory over time, and size on disk, beside bare mitmdump and `mitmdump -w`.

    python -P tests/bench/soak.py [--exchanges 200000] [--bodies 500] [--only ours] [--samples FILE] [--urgent]

One pass for each proxy, each before a server of its own that gives the same answers in the same order. A pass is 200,000 exchanges (GETs
and POSTs with 2 kB, 16 connections, as fast as they go), 20 streams of server-sent events that stay open throughout (an event each quarter
of a second), and 500 bodies of 3 to 11 MB, up and down in turn, spread evenly.

How to read it: once a second Rss and Pss of mitmdump and of its children (the recorder's writer) are read. The table has the median and
the most of each quarter of the pass; *rise* is the least-squares slope over the last half times that half's length: what is flat has about
none, and single large bodies make a few MiB of noise. `bare` has a script of two lines that hands streams on, or it would collect all
events of all streams; `-w` has not, or it would not write them, so its memory holds them all. What bare's own memory does is mitmproxy's.

*Size* is all files of the sealed archive beside the `-w` file as one stream of `zstd -3`. Afterwards the archive must verify and must hold
every exchange or account for it as a gap; else the exit code is 1. Limits that are not met are said, and leave it at 0.
"""

import argparse
import csv
import operator
import random
import select
import socket
import statistics
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from backports import zstd

from replay.archive import Verification, verify
from tests.bench.driving import SMALL, ask, connect, linked, saturate, tell
from tests.bench.measuring import MEBI, memory, say, say_table, scratch
from tests.bench.proxies import SCRIPT, TEE, Proxy, hurry, mitmdump, pin_this_process
from tests.bench.serving import TAIL, Large, serving

KINDS: Final = ("bare", "-w", "ours")
CONNECTIONS: Final = 16
STREAMS: Final = 20
EVERY_MS: Final = 250
BODY_BYTES: Final = (3_000_000, 11_000_000)
LEVEL: Final = 3
MORE_MAX: Final = 64 * MEBI
RISE_MAX: Final = 8 * MEBI
_AHEAD: Final = 2
"""So many large bodies may be behind before the small exchanges wait for them."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What the processes held at one time, in bytes."""

    at_s: float
    rss: int
    pss: int
    children_rss: int
    children_pss: int


@dataclass
class Pass:
    """One proxy's pass."""

    kind: str
    samples: list[Sample] = field(default_factory=list)
    seconds: float = 0.0
    exchanges: int = 0
    events: int = 0
    cpu_s: float = 0.0
    children_cpu_s: float = 0.0


def main() -> int:
    """Measure and say; gives the exit code."""
    options = _options()
    if options.urgent:
        hurry()
    pinned = pin_this_process()
    passes: dict[str, Pass] = {}
    sizes: dict[str, int] = {}
    good = whole = True
    with scratch() as folder:
        for kind in options.only or KINDS:
            say(f"{kind}: {options.exchanges} exchanges, {STREAMS} streams, {options.bodies} large bodies")
            output = folder / ("ours.parity" if kind == "ours" else "flows.mitm")
            passes[kind] = _soak(kind, output, folder, options, pinned=pinned)
            _say_pass(passes[kind])
            if kind == "ours":
                sizes[kind] = sum(path.stat().st_size for path in output.iterdir())
                found = _verify(output, passes[kind].exchanges)
                whole = found.exchanges == passes[kind].exchanges and not found.gaps
                good = found.sealed and found.good and (whole or bool(found.gaps))
            elif kind == "-w":
                sizes[kind] = _packed(output)
                output.unlink()
        if options.samples:
            _write_samples(options.samples, passes)
    _conclude(passes, sizes)
    if "ours" in passes:
        say(f"acceptance: everything on record, nothing shed {'holds' if whole else 'FAILS: then memory and size are of less than was asked'}")
    return 0 if good else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Memory over time and size on disk of a long recording.")
    parser.add_argument("--exchanges", type=int, default=200_000)
    parser.add_argument("--bodies", type=int, default=500, help="how many large bodies, up and down in turn")
    parser.add_argument("--only", action="append", choices=KINDS, help="one pass; may be given more than once")
    parser.add_argument("--samples", type=Path, help="write all samples to this CSV file")
    parser.add_argument(
        "--urgent", action="store_true", help="go before other work of this machine (needs root): for a machine that others use, too"
    )
    return parser.parse_args()


def _soak(kind: str, output: Path, folder: Path, options: argparse.Namespace, *, pinned: bool) -> Pass:
    tee = folder / "bench_tee.py"
    tee.write_text(TEE, "utf-8")
    arguments = {"bare": ["-s", str(tee)], "-w": ["-w", str(output)], "ours": ["-s", str(SCRIPT), "--set", f"parity_output={output}"]}[kind]
    done = Pass(kind)
    with ExitStack() as stack:
        upstream = stack.enter_context(serving())
        proxy = stack.enter_context(mitmdump(kind, arguments, upstream, folder, pinned=pinned))
        proxy.place()
        with _sampling(proxy, done.samples), _streaming(proxy.port) as streams, _sending(proxy.port, options.bodies) as bodies:
            started = time.monotonic()
            done.exchanges = _drive(proxy, options.exchanges - STREAMS - options.bodies, bodies)
            done.seconds = time.monotonic() - started
            if streams.failed is not None or bodies.failed is not None:
                raise RuntimeError(f"{kind}: a stream or a large body failed") from (streams.failed or bodies.failed)
        done.events = streams.events
        done.exchanges += STREAMS + bodies.done
        proxy.settle()
        done.cpu_s, done.children_cpu_s = proxy.own_cpu_s(), proxy.writer_cpu_s()
    if kind != "-w" and not done.events:
        raise RuntimeError(f"{kind}: no event came through")
    return done


class _Streams(threading.Thread):
    """Holds streams open and takes what comes."""

    def __init__(self, port: int) -> None:
        super().__init__(name="streams", daemon=True)
        self._port = port
        self._ending, self._end = socket.socketpair()
        self.events = 0
        self.failed: Exception | None = None

    def run(self) -> None:
        """Take events until told to stop; whoever asked first leaves then."""
        links: list[socket.socket] = []
        try:
            request = ask(b"/api/logs/stream?every_ms=%d" % EVERY_MS, self._port).request
            for _ in range(STREAMS):
                links.append(connect(self._port))
                links[-1].sendall(request)
            self._take(links)
        except Exception as error:  # noqa: BLE001  # said by who waits for this thread
            self.failed = error
        finally:
            for link in links:
                link.close()

    def _take(self, links: list[socket.socket]) -> None:
        while self._ending not in (ready := select.select([*links, self._ending], (), ())[0]):
            for link in ready:
                if not (data := link.recv(65_536)):
                    raise ConnectionError("a stream was closed")
                self.events += data.count(b"data: ")

    def stop(self) -> None:
        """Close the streams."""
        self._end.close()
        self.join()
        self._ending.close()


class _Bodies(threading.Thread):
    """Sends and fetches large bodies, one whenever told to."""

    def __init__(self, port: int, count: int) -> None:
        super().__init__(name="bodies", daemon=True)
        self._port, self._count = port, count
        self._due = threading.Semaphore(0)
        self._room = threading.Semaphore(_AHEAD)
        self.done = 0
        self.failed: Exception | None = None

    def order(self) -> None:
        """Have one more sent; waits where too many are behind."""
        if self.done < self._count and self.failed is None:
            self._room.acquire()
        self._due.release()

    def run(self) -> None:
        """Send and fetch."""
        draw = random.Random(20_261_123)  # noqa: S311  # nothing secret is drawn here
        large = Large()
        try:
            with connect(self._port) as link:
                for number in range(self._count):
                    self._due.acquire()
                    size = draw.randint(*BODY_BYTES)
                    if number % 2:
                        link.sendall(ask(b"/api/export?bytes=%d" % size, self._port).request)
                        _take_answer(link, size)
                    else:
                        asked = tell(b"/api/import", self._port, b"".join(large.body(size)))
                        link.sendall(asked.request)
                        _take_answer(link, asked.answer_bytes)
                    self.done += 1
                    self._room.release()
        except Exception as error:  # noqa: BLE001  # said by who waits for this thread
            self.failed = error
            self._room.release(self._count)


def _take_answer(link: socket.socket, size: int) -> None:
    got = bytearray()
    while (end := got.find(b"\r\n\r\n", 0, 4_096)) < 0 or len(got) < end + 4 + size:
        if not (data := link.recv(1 << 20)):
            raise ConnectionError("the connection was closed in the middle of a large answer")
        got += data
    if not got.startswith(b"HTTP/1.1 200") or len(got) != end + 4 + size or not got.endswith(TAIL):
        raise ValueError(f"another answer than the server's: {bytes(got[:200])!r}, {len(got)} bytes")


@contextmanager
def _streaming(port: int) -> Iterator[_Streams]:
    streams = _Streams(port)
    streams.start()
    try:
        yield streams
    finally:
        streams.stop()


@contextmanager
def _sending(port: int, count: int) -> Iterator[_Bodies]:
    bodies = _Bodies(port, count)
    bodies.start()
    yield bodies
    while bodies.is_alive():
        bodies.order()
        bodies.join(0.1)


def _drive(proxy: Proxy, exchanges: int, bodies: _Bodies) -> int:
    """Make the small exchanges, and order a large body every so many of them; gives how many were made."""
    done, each = 0, 400
    get = ask(SMALL, proxy.port)
    post = tell(b"/api/memory/remember", proxy.port, b'{"content":"%b"}' % (b"something to remember " * 90))
    with linked(proxy.port, CONNECTIONS) as links:
        while done < exchanges:
            bodies.order()
            done += saturate(links, post if done // each % 4 == 3 else get, 1e9, requests_max=min(each, exchanges - done))[0]
            if bodies.failed is not None:
                break
    return done


@contextmanager
def _sampling(proxy: Proxy, samples: list[Sample]) -> Iterator[None]:
    stop, started = threading.Event(), time.monotonic()

    def run() -> None:
        while not stop.wait(1.0):
            # a process may end while it is looked at
            with suppress(OSError, KeyError):
                proxy.place()  # children come when they like
                rss, pss = memory(proxy.pid)
                below = [memory(child) for child in proxy.children()]
                samples.append(Sample(time.monotonic() - started, rss, pss, sum(one for one, _ in below), sum(two for _, two in below)))

    thread = threading.Thread(target=run, name="samples", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _say_pass(done: Pass) -> None:
    say(
        f"  {done.exchanges} exchanges and {done.events} events in {done.seconds:.0f} s ({done.exchanges / done.seconds:.0f} a second); "
        f"CPU of mitmdump {done.cpu_s:.0f} s, of its children {done.children_cpu_s:.0f} s"
    )
    rows = []
    for name, get in _columns(done):
        values = [get(sample) / MEBI for sample in done.samples]
        quarters = [values[len(values) * part // 4 : len(values) * (part + 1) // 4] or values for part in range(4)]
        row = [name, *(f"{statistics.median(quarter):.0f} ({max(quarter):.0f})" for quarter in quarters)]
        rows.append([*row, f"{max(values):.0f}", f"{rise(done.samples, values):+.1f}"])
    say_table(["MiB: median (most)", "1st quarter", "2nd", "3rd", "4th", "peak", "rise"], rows)
    say()


def _columns(done: Pass) -> list[tuple[str, "operator.attrgetter[int]"]]:
    columns = [("mitmdump Rss", "rss"), ("mitmdump Pss", "pss")]
    if any(sample.children_rss for sample in done.samples):
        columns += [("writer Rss", "children_rss"), ("writer Pss", "children_pss")]
    return [(name, operator.attrgetter(attribute)) for name, attribute in columns]


def rise(samples: Sequence[Sample], values: Sequence[float]) -> float:
    """Give by how much the values rose over the last half of the time, by least squares."""
    half = len(values) // 2
    times, late = [sample.at_s for sample in samples[half:]], values[half:]
    if len(late) < 2:
        return 0.0
    return statistics.linear_regression(times, late).slope * (times[-1] - times[0])


def _packed(flows: Path) -> int:
    """Give the size of a flow file as one zstd stream."""
    packer = zstd.ZstdCompressor(level=LEVEL)
    size = 0
    with flows.open("rb") as file:
        while data := file.read(1 << 20):
            size += len(packer.compress(data))
    size += len(packer.flush())
    say(f"  the -w file: {flows.stat().st_size / MEBI:.0f} MiB, under zstd -{LEVEL} {size / MEBI:.0f} MiB")
    return size


def _verify(recording: Path, exchanges: int) -> Verification:
    """Verify the archive and say what was found beside what was asked."""
    started = time.monotonic()
    found = verify(recording)
    say(
        f"  the archive: {found.exchanges} of {exchanges} exchanges, {'sealed' if found.sealed else 'NOT SEALED'}, "
        f"{len(found.problems)} problems, gaps {found.gaps or 0}; verified in {time.monotonic() - started:.0f} s"
    )
    for problem in found.problems[:5]:
        say(f"    {problem}")
    say()
    return found


def _write_samples(path: Path, passes: dict[str, Pass]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["kind", "at_s", "rss", "pss", "children_rss", "children_pss"])
        for done in passes.values():
            rows.writerows([done.kind, f"{one.at_s:.1f}", one.rss, one.pss, one.children_rss, one.children_pss] for one in done.samples)


def _conclude(passes: dict[str, Pass], sizes: dict[str, int]) -> None:
    """Say the lines of the acceptance."""
    ours, bare = passes.get("ours"), passes.get("bare")
    if ours is not None and bare is not None:
        for name, pick in (("median of the last quarter", statistics.median), ("peak", max)):
            late = [[one.rss for one in done.samples[0 if pick is max else len(done.samples) * 3 // 4 :]] for done in (ours, bare)]
            more = float(pick(late[0])) - float(pick(late[1]))
            _check(f"memory of mitmdump, ours - bare, {name}", more, MORE_MAX)
    if bare is not None:
        risen = rise(bare.samples, [one.rss for one in bare.samples])
        say(f"acceptance: for comparison, bare mitmdump's memory rose by {risen / MEBI:+.1f} MiB over the last half")
    if ours is not None:
        _check("memory of mitmdump with ours, rise over the last half", rise(ours.samples, [one.rss for one in ours.samples]), RISE_MAX)
        _check("memory of the writer, rise over the last half", rise(ours.samples, [one.children_rss for one in ours.samples]), RISE_MAX)
    if len(sizes) == 2:
        share = sizes["ours"] / sizes["-w"]
        say(
            f"acceptance: size, archive {sizes['ours'] / MEBI:.1f} MiB, -w under zstd -{LEVEL} {sizes['-w'] / MEBI:.1f} MiB, ratio {share:.2f} "
            "(no limit)"
        )


def _check(name: str, figure: float, limit: float) -> None:
    say(f"acceptance: {name} {figure / MEBI:+.1f} MiB (limit {limit / MEBI:.0f} MiB) {'holds' if figure <= limit else 'FAILS'}")


if __name__ == "__main__":
    sys.exit(main())
