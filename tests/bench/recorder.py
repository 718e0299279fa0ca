"""
What the recorder costs: the same requests direct, through bare mitmdump, through `mitmdump -w`, and through `mitmdump -s addons/record.py`.

One real HTTP server (a process of its own) and three mitmdumps stay up all the time; one client drives them one after the other, in rounds
whose order turns. A round is a run of GETs (a JSON answer of 1.6 kB) and a run of POSTs (a JSON body of 4 kB), each one after the other on
one kept-alive connection.

How to read it: p50 and p99 are over all requests; `req/s` and CPU are medians over rounds; the ratios are medians of the ratios of single
rounds. `recorder / bare` is what recording adds to a proxy that is there anyway, `recorder / -w` sets it beside mitmproxy's own way to
record. CPU is mitmdump's own (all its threads), which a busy machine disturbs least. Peak memory is VmHWM after all rounds. At the end the
recording is sealed and verified, and must hold every request: a recorder that loses some would look fast.
"""

import asyncio
import json
import multiprocessing
import os
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from replay.archive import verify
from tests.bench.measuring import MEBI, cpu_s, peak_rss, percentile, ratio, say, say_table, scratch, take_turns

ROUNDS: Final = 9
GETS: Final = 250
POSTS: Final = 100
WARM_UP: Final = 50
ANSWER: Final = json.dumps(
    {"results": [{"id": f"m{n:04}", "content": "a memory of something " * 2, "score": n / 7} for n in range(17)]}
).encode()
BODY: Final = json.dumps({"content": "something to remember " * 180, "tags": ["bench"]}).encode()
_UP_S: Final = 20.0


class _Server(asyncio.Protocol):
    """Answers every request with the same JSON as soon as its body is whole."""

    HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"

    def __init__(self) -> None:
        self._pending = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer what is whole."""
        self._pending += data
        while (end := message_end(self._pending)) is not None:
            self._pending = self._pending[end:]
            self._transport.write(self.HEAD % len(ANSWER) + ANSWER)


def message_end(data: bytes) -> int | None:
    """Say where the first HTTP message ends; None while it is not whole. Bodies are announced by length here."""
    head = data.find(b"\r\n\r\n")
    if head < 0:
        return None
    at = data.lower().find(b"content-length:", 0, head)
    length = int(data[at + 15 : data.index(b"\r\n", at)]) if at >= 0 else 0
    end = head + 4 + length
    return end if len(data) >= end else None


def serve(port: int) -> None:
    """Serve until this process is ended."""

    async def forever() -> None:
        server = await asyncio.get_running_loop().create_server(_Server, "127.0.0.1", port)
        await server.serve_forever()

    asyncio.run(forever())


@dataclass
class Setup:
    """One way to the server, and what was measured on it."""

    name: str
    port: int
    pid: int | None = None
    get_s: list[float] = field(default_factory=list)
    post_s: list[float] = field(default_factory=list)
    get_round_s: list[float] = field(default_factory=list)
    post_round_s: list[float] = field(default_factory=list)
    cpu_round_s: list[float] = field(default_factory=list)
    requests: int = 0

    def drive(self) -> None:
        """Run one round over a connection of its own."""
        with socket.create_connection(("127.0.0.1", self.port)) as link:
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            cpu = cpu_s(self.pid) if self.pid else 0.0
            gets = self._run(link, _GET % self.port, GETS)
            posts = self._run(link, _POST % (self.port, len(BODY)) + BODY, POSTS)
            self.cpu_round_s.append((cpu_s(self.pid) if self.pid else 0.0) - cpu)
        self.get_s += gets
        self.post_s += posts
        self.get_round_s.append(sum(gets))
        self.post_round_s.append(sum(posts))

    def warm_up(self) -> None:
        """Ask some without measuring."""
        with socket.create_connection(("127.0.0.1", self.port)) as link:
            self._run(link, _GET % self.port, WARM_UP)

    def _run(self, link: socket.socket, request: bytes, count: int) -> list[float]:
        taken = []
        for _ in range(count):
            started = time.perf_counter()
            link.sendall(request)
            answer = b""
            while message_end(answer) is None:
                piece = link.recv(65_536)
                if not piece:
                    raise ConnectionError(f"{self.name}: the connection was closed in the middle")
                answer += piece
            taken.append(time.perf_counter() - started)
            if not answer.endswith(ANSWER):
                raise ValueError(f"{self.name}: another answer than the server's: {answer[:200]!r}")
        self.requests += count
        return taken


_GET: Final = b"GET /api/memories?limit=17 HTTP/1.1\r\nhost: 127.0.0.1:%d\r\naccept: application/json\r\nuser-agent: bench\r\n\r\n"
_POST: Final = (
    b"POST /api/memory/remember HTTP/1.1\r\nhost: 127.0.0.1:%d\r\nuser-agent: bench\r\n"
    b"content-type: application/json\r\ncontent-length: %d\r\n\r\n"
)


def main() -> None:
    """Measure and say."""
    with scratch() as folder, ExitStack() as stack:
        recording, flows = folder / "bench.parity", folder / "bench.mitm"
        upstream = stack.enter_context(_serving())
        script = Path(__file__).parents[2] / "addons" / "record.py"
        ways = {"bare mitmdump": [], "mitmdump -w": ["-w", str(flows)], "recorder": ["-s", str(script), "--set", f"parity_output={recording}"]}
        setups = {"direct": Setup("direct", upstream)}
        for name, arguments in ways.items():
            port = _free_port()
            setups[name] = Setup(name, port, stack.enter_context(_mitmdump(arguments, upstream, port, folder)))
        for setup in setups.values():
            setup.warm_up()
        for number in range(ROUNDS):
            for name in take_turns(list(setups), number):
                setups[name].drive()
        peaks = {name: peak_rss(setup.pid) for name, setup in setups.items() if setup.pid}
        stack.close()
        _report(setups, peaks)
        _account(recording, flows, setups["recorder"].requests)


def _report(setups: dict[str, Setup], peaks: dict[str, int]) -> None:
    say(f"recorder: {ROUNDS} interleaved rounds of {GETS} GETs and {POSTS} POSTs, one after the other, kept alive")
    say()
    rows = []
    for name, setup in setups.items():
        cpu = f"{statistics.median(setup.cpu_round_s) * 1000 / (GETS + POSTS):.2f}" if setup.pid else "-"
        row = [name, *(f"{percentile(setup.get_s, percent) * 1000:.2f}" for percent in (50, 99))]
        row.append(f"{GETS / statistics.median(setup.get_round_s):.0f}")
        row += [f"{percentile(setup.post_s, percent) * 1000:.2f}" for percent in (50, 99)]
        row.append(f"{POSTS / statistics.median(setup.post_round_s):.0f}")
        rows.append([*row, cpu, f"{peaks[name] / MEBI:.1f}" if name in peaks else "-"])
    say_table(
        ["", "GET p50 ms", "p99 ms", "req/s", "POST p50 ms", "p99 ms", "req/s", "CPU ms/request", "peak MiB"],
        rows,
    )
    say()
    recorder = setups["recorder"]
    for other in ("bare mitmdump", "mitmdump -w"):
        peer = setups[other]
        say(
            f"  recorder / {other}: GET time {ratio(recorder.get_round_s, peer.get_round_s):.2f}, "
            f"POST time {ratio(recorder.post_round_s, peer.post_round_s):.2f}, CPU {ratio(recorder.cpu_round_s, peer.cpu_round_s):.2f}, "
            f"peak memory {peaks['recorder'] / peaks[other]:.2f}, "
            f"GET p99 {(percentile(recorder.get_s, 99) - percentile(peer.get_s, 99)) * 1000:+.2f} ms"
        )


def _account(recording: Path, flows: Path, requests: int) -> None:
    found = verify(recording)
    on_disk = sum(path.stat().st_size for path in recording.iterdir())
    say()
    say(
        f"  the recording: {found.exchanges} of {requests} requests, {'sealed' if found.sealed else 'NOT SEALED'}, "
        f"{len(found.problems)} problems; {on_disk / 1024:.0f} KiB on disk, the -w file {flows.stat().st_size / 1024:.0f} KiB"
    )
    if found.exchanges != requests or not found.good:
        raise SystemExit(1)


@contextmanager
def _serving() -> Iterator[int]:
    port = _free_port()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(port,), daemon=True)
    process.start()
    try:
        _await_listener(port)
        yield port
    finally:
        process.terminate()
        process.join()


@contextmanager
def _mitmdump(arguments: list[str], upstream: int, port: int, folder: Path) -> Iterator[int]:
    # -q for all: a line on the terminal for each flow costs more than what is measured here.
    command = [str(Path(sys.executable).parent / "mitmdump"), "-q", "--mode", f"reverse:http://127.0.0.1:{upstream}"]
    command += ["--listen-host", "127.0.0.1", "-p", str(port), *arguments]
    environment = {**os.environ, "XDG_CONFIG_HOME": str(folder / "config")}
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment)
    try:
        _await_listener(port)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _await_listener(port: int) -> None:
    pause, end = threading.Event(), time.monotonic() + _UP_S
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        pause.wait(0.05)
    raise TimeoutError(f"nothing listens on port {port}")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


if __name__ == "__main__":
    main()
