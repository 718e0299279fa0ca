"""
How fast the player sends, beside mitmdump's own client replay, aiohttp's client and wrk. Run it as `tests/bench/replay.py`.

A recording of 4 kB answers is made by hand: of 20 exchanges, one makes something with an id, one asks for it by that id, three are POSTs and
fifteen GETs whose answers are what was recorded. Its connections overlap so that the order rules keep 1, 16 or 64 requests in flight. It is
asked of a trivial local server (uvloop and httptools, a process of its own; `answering.py`), which itself says how many requests came and how
long it was from the first to the last: so all clients are measured by the same clock, without their start.

- *player*: `python -m replay.play` as a process, the observed archive being written, ids learned and rewritten. *whole* is the process's life.
- *mitmdump*: `mitmdump --client-replay` with a flow file of the same requests, nothing written. It knows one at once, or all; as it sends all
  before it reads, its rate is over the process's life, less that of one which sends a single request.
- *aiohttp*: its client on uvloop, so many tasks as there are connections, bodies read.
- *wrk*: one thread, GETs of one target: what the server can give, and a client in C.

*added* is the client time that the player adds at the median: its observed durations, first byte sent to last byte here, less wrk's latency
at the same concurrency, on the server as it is (saturated: what waits in line counts) and on one that holds each answer for 4 ms (as a
daemon that does something). *ratios* are medians over rounds of ours / theirs in the same round, with the least and the most.
"""

import argparse
import asyncio
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from replay.archive import ArchiveWriter, read
from replay.model import Connection, Ended, EndReason, Opened, Request, Response, Statistics
from tests.bench.answering import BODY_BYTES, KINDS, Answering, answering, body_with, id_of, plain_body
from tests.bench.measuring import MEBI, say, say_table, scratch, take_turns

ROUNDS: Final = 3
COUNT: Final = 10_000
AT_ONCE: Final = (1, 16, 64)
_OF: Final = 20
_HOLD_MS: Final = 4.0
_MITM_COUNT: Final = 1_500
_WRK_S: Final = 3
_LOOK_S: Final = 0.05
_START: Final = 1_795_419_383.0
_ROOT: Final = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Done:
    """What one client did in one round."""

    per_s: float
    whole_s: float = 0.0
    median_ms: float = 0.0
    """Of a request, from its start to the end of its answer."""
    cpu_us: float = 0.0
    """Of the client, a request."""
    peak_bytes: int = 0
    told: Mapping[str, float] = field(default_factory=dict)
    """What the player says of itself."""


# --- the recording ---


def requests(count: int, at_once: int) -> Iterator[tuple[Request, bytes]]:
    """Give the recorded requests and the bodies of their answers; each connection asks for what it made."""
    made: dict[int, str] = {}
    for number in range(count):
        lane, turn = number % at_once, number // at_once
        kind = (turn + 3 * lane) % _OF
        if kind == 0:
            made[lane] = id_of(number, 0xB)
            yield _post(b"/api/memory/remember", number), body_with(made[lane], number)
        elif kind == 1 and lane in made:
            yield _get(f"/api/memory/{made[lane]}".encode()), body_with(made[lane], number)
        elif kind in {5, 10, 15}:
            yield _post(b"/api/memory/recall?limit=%d" % (number % KINDS), number), plain_body(number)
        else:
            yield _get(b"/api/memories?offset=%d" % (number % KINDS)), plain_body(number)


def _get(target: bytes) -> Request:
    headers = ((b"Host", b"127.0.0.1:3850"), (b"User-Agent", b"bench"), (b"Accept", b"application/json"), (b"Accept-Encoding", b"gzip"))
    return Request(b"GET", target, b"HTTP/1.1", headers)


def _post(target: bytes, number: int) -> Request:
    body = json.dumps({"content": f"what was said in turn {number}", "who": "bench", "limit": 10}).encode()
    headers = ((b"Host", b"127.0.0.1:3850"), (b"User-Agent", b"bench"), (b"Content-Type", b"application/json"))
    return Request(b"POST", target, b"HTTP/1.1", (*headers, (b"Content-Length", str(len(body)).encode())), body)


def record(path: Path, count: int, at_once: int) -> None:
    """Make the recording: whenever the oldest open exchange ends, the next begins, so that as many are open as shall be."""
    with ArchiveWriter.create(path, kind="recording", facts={}) as writer:
        event = 0
        waiting: list[tuple[int, Request, bytes]] = []

        def end() -> None:
            nonlocal event
            event += 1
            number, request, body = waiting.pop(0)
            headers = ((b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()))
            response = Response(b"HTTP/1.1", 200, b"OK", headers, body)
            writer.append(Ended(number, event, _START + event * 0.0005, EndReason.COMPLETE, response, request.body, streamed=False))

        for number, (request, body) in enumerate(requests(count, at_once), 1):
            if len(waiting) == at_once:
                end()
            event += 1
            head = Request(request.method, request.target, request.version, request.headers)
            writer.append(Opened(number, event, _START + event * 0.0005, Connection(f"c{number % at_once}"), head))
            waiting.append((number, request, body))
        while waiting:
            end()
        writer.seal(event=event + 1, at=_START + event, reason="bench")


# --- the clients ---


def play(server: Answering, folder: Path, recording: Path, count: int) -> Done:
    """Replay with our player, as a process."""
    observed, facts, job = folder / "observed.parity", folder / "facts.json", folder / "job.json"
    shutil.rmtree(observed, ignore_errors=True)
    facts.write_text(json.dumps({"host": "127.0.0.1", "port": server.port, "workspace": str(folder)}))
    job.write_text(json.dumps({"recorded": str(recording), "observed": str(observed), "allow": ["all"]}))
    whole_s, cpu_s, peak = _run([sys.executable, "-m", "replay.play", str(job), str(facts)])
    came, seconds = server.span()
    _must(came == count, f"the player sent {came} of {count}")
    durations, opened, told = [], {}, {}
    for item in read(observed).records():
        match item:
            case Opened():
                opened[item.exchange] = item.at
            case Ended():
                durations.append((item.at - opened.pop(item.exchange)) * 1000)
                outcome = item.outcome
                whole = isinstance(outcome, Response) and outcome.status == 200 and outcome.body is not None and len(outcome.body) == BODY_BYTES
                _must(whole, f"#{item.exchange} was not answered")
            case Statistics():
                told = item.values
            case _:
                pass
    _must(len(durations) == count, f"the player observed {len(durations)} of {count}")
    shutil.rmtree(observed)
    return Done(count / seconds, whole_s, statistics.median(durations), cpu_s * 1e6 / count, peak, told)


def replay_with_mitmdump(server: Answering, folder: Path, at_once: int, count: int) -> Done:
    """Replay with mitmdump, which reads the requests from a flow file."""
    from mitmproxy import http
    from mitmproxy.io import FlowWriter
    from mitmproxy.test import tflow

    flows, one = folder / f"requests-{at_once}.mitm", folder / "one.mitm"
    count = min(count, _MITM_COUNT)
    with flows.open("wb") as file, one.open("wb") as first:
        writer = FlowWriter(file)  # type: ignore[no-untyped-call]  # a peer
        for number, (request, _) in enumerate(requests(count, at_once)):
            flow = tflow.tflow()
            flow.request = http.Request.make(
                request.method.decode(), f"http://127.0.0.1:{server.port}{request.target.decode()}", request.body or b"", request.headers
            )
            writer.add(flow)
            if number == 0:
                FlowWriter(first).add(flow)  # type: ignore[no-untyped-call]  # a peer
    command = [str(Path(sys.executable).with_name("mitmdump")), "-n", "-q"]
    command += ["--set", f"client_replay_concurrency={1 if at_once == 1 else -1}"]
    start_s, start_cpu_s, _ = _run([*command[:-1], "client_replay_concurrency=1", "--client-replay", str(one)])
    server.span()
    whole_s, cpu_s, _ = _run([*command, "--client-replay", str(flows)])
    came, _ = server.span()
    _must(came > 0.99 * count, f"mitmdump sent {came} of {count}")  # all at once, it loses one now and then
    return Done((came - 1) / (whole_s - start_s), whole_s, cpu_us=(cpu_s - start_cpu_s) * 1e6 / came)


def ask_with_aiohttp(server: Answering, _folder: Path, at_once: int, count: int) -> Done:
    """Ask with aiohttp, in a process of its own."""
    whole_s, cpu_s, _ = _run([sys.executable, "-m", "tests.bench.sending", "--aiohttp", str(server.port), str(at_once), str(count)])
    came, seconds = server.span()
    _must(came == count, f"aiohttp sent {came} of {count}")
    return Done(count / seconds, whole_s, cpu_us=cpu_s * 1e6 / count)


def ask_with_wrk(server: Answering, _folder: Path, at_once: int, _count: int) -> Done:
    """Ask with wrk for some seconds."""
    command = ["wrk", "-t1", f"-c{at_once}", f"-d{_WRK_S}s", "--latency", f"http://127.0.0.1:{server.port}/api/memories?offset=7"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    server.span()
    median = re.search(r"50%\s+([0-9.]+)(us|ms|s)", text)
    rate = re.search(r"Requests/sec:\s+([0-9.]+)", text)
    _must(median is not None and rate is not None and "Non-2xx" not in text, f"wrk says: {text}")
    assert median is not None
    assert rate is not None
    return Done(float(rate[1]), median_ms=float(median[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[median[2]])


async def _ask_all(port: int, at_once: int, count: int) -> None:
    import aiohttp

    todo = iter([(request.method.decode(), request.target.decode(), request.headers, request.body) for request, _ in requests(count, at_once)])

    async def work(session: aiohttp.ClientSession) -> None:
        for method, target, headers, body in todo:
            fields = [(name.decode(), value.decode()) for name, value in headers if name != b"Content-Length"]
            async with session.request(method, f"http://127.0.0.1:{port}{target}", headers=fields, data=body or None) as answer:
                _must(answer.status == 200 and len(await answer.read()) == BODY_BYTES, "aiohttp got something else")

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=at_once)) as session, asyncio.TaskGroup() as tasks:
        for _ in range(at_once):
            tasks.create_task(work(session))


def _run(command: list[str]) -> tuple[float, float, int]:
    """Run a process; gives the seconds of its life, of its CPU, and its peak memory in bytes."""
    started = time.perf_counter()
    process = subprocess.Popen(command, cwd=_ROOT)
    done, peaks = threading.Event(), [0]

    def look() -> None:
        while not done.wait(_LOOK_S):
            peaks.append(_peak_bytes(process.pid))

    looking = threading.Thread(target=look)
    looking.start()
    _, status, usage = os.wait4(process.pid, 0)
    whole_s = time.perf_counter() - started
    done.set()
    looking.join()
    process.returncode = os.waitstatus_to_exitcode(status)
    _must(process.returncode == 0, f"{command[:3]} ended with {process.returncode}")
    return whole_s, usage.ru_utime + usage.ru_stime, max(peaks)


def _peak_bytes(pid: int) -> int:
    """Give a process's peak memory so far; its usage would count what this process held when it was started."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"^VmHWM:\s+([0-9]+) kB", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def _must(holds: bool, otherwise: str) -> None:  # noqa: FBT001 - reads as an assertion
    if not holds:
        raise SystemExit(otherwise)


# --- the rounds ---


def main() -> None:
    """Measure and say."""
    parser = argparse.ArgumentParser(description="How fast the player sends, beside its peers.")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--count", type=int, default=COUNT, help="exchanges a recording")
    parser.add_argument("--only", action="append", help="1, 16, 64, player, mitmdump, aiohttp, wrk, held or memory; repeatable")
    parser.add_argument("--aiohttp", nargs=3, type=int, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.aiohttp:
        import uvloop

        uvloop.run(_ask_all(*chosen.aiohttp))
        return
    only = set(chosen.only or ())
    numbers = [number for number in AT_ONCE if str(number) in only] or list(AT_ONCE)
    names = only - {str(number) for number in AT_ONCE}
    with scratch() as folder:
        say(f"replay: {chosen.count} exchanges, {BODY_BYTES} bytes an answer, {chosen.rounds} interleaved rounds; load {os.getloadavg()[0]:.1f}")
        for at_once in numbers:
            if not names or names & {"player", "mitmdump", "aiohttp", "wrk"}:
                _compare(folder, at_once, chosen.count, chosen.rounds, names)
        if not names or "held" in names:
            _held(folder, min(chosen.count, 4_000), chosen.rounds)
        if not names or "memory" in names:
            _memory(folder)


def _clients(recording: Path, names: set[str]) -> dict[str, Callable[[Answering, Path, int, int], Done]]:
    clients: dict[str, Callable[[Answering, Path, int, int], Done]] = {
        "player": lambda server, folder, _, count: play(server, folder, recording, count),
        "mitmdump": replay_with_mitmdump,
        "aiohttp": ask_with_aiohttp,
    }
    if shutil.which("wrk"):
        clients["wrk"] = ask_with_wrk
    else:
        say("  wrk is not on the path: left out")
    return {name: client for name, client in clients.items() if not names or name in names}


def _compare(folder: Path, at_once: int, count: int, rounds: int, names: set[str]) -> None:
    recording = folder / f"recorded-{at_once}.parity"
    record(recording, count, at_once)
    clients = _clients(recording, names)
    done: dict[str, list[Done]] = {name: [] for name in clients}
    with answering() as server:
        for number in range(rounds):
            for name in take_turns(list(clients), number):
                done[name].append(clients[name](server, folder, at_once, count))
    shutil.rmtree(recording)
    say()
    say(f"  {at_once} at once")
    rows = [
        [
            name,
            f"{_median(each, 'per_s'):,.0f}",
            _spread([item.per_s for item in each], "{:,.0f}"),
            *(
                f"{_median(each, key):.{places}f}" if _median(each, key) else "-"
                for key, places in (("median_ms", 3), ("cpu_us", 0), ("whole_s", 2))
            ),
        ]
        for name, each in done.items()
    ]
    say_table(["", "a second", "least to most", "median ms", "CPU us a request", "whole s"], rows)
    ours = done.get("player", [])
    for name in [name for name in done if name != "player"] if ours else []:
        ratios = [one.per_s / other.per_s for one, other in zip(ours, done[name], strict=True)]
        say(f"  player / {name}: {statistics.median(ratios):.2f} ({_spread(ratios, '{:.2f}')})")
    if ours and "wrk" in done:
        added = [one.median_ms - other.median_ms for one, other in zip(ours, done["wrk"], strict=True)]
        say(f"  client time added, saturated: {statistics.median(added):.3f} ms ({_spread(added, '{:.3f}')})")
    if ours and ours[-1].told:
        say("  the player of itself: " + ", ".join(f"{key} {value:g}" for key, value in ours[-1].told.items() if key.startswith("own_")))


def _held(folder: Path, count: int, rounds: int) -> None:
    recording = folder / "recorded-held.parity"
    record(recording, count, 16)
    clients = _clients(recording, {"player", "wrk"})
    done: dict[str, list[Done]] = {name: [] for name in clients}
    with answering(_HOLD_MS) as server:
        for number in range(rounds):
            for name in take_turns(list(clients), number):
                done[name].append(clients[name](server, folder, 16, count))
    shutil.rmtree(recording)
    say()
    said = ", ".join(f"{name} {_median(each, 'median_ms'):.3f} ms at {_median(each, 'per_s'):,.0f} a second" for name, each in done.items())
    say(f"  16 at once, each answer held {_HOLD_MS:g} ms: {said}")
    if "wrk" in done:
        added = [one.median_ms - other.median_ms for one, other in zip(done["player"], done["wrk"], strict=True)]
        say(f"  client time added: {statistics.median(added):.3f} ms ({_spread(added, '{:.3f}')})")


def _memory(folder: Path) -> None:
    peaks: dict[int, int] = {}
    for count in (10_000, 200_000):
        recording = folder / f"recorded-{count}.parity"
        record(recording, count, 16)
        with answering() as server:
            peaks[count] = play(server, folder, recording, count).peak_bytes
        shutil.rmtree(recording)
    say()
    grown = (peaks[200_000] - peaks[10_000]) / 190_000
    said = ", ".join(f"{count:,}: {peak / MEBI:.0f} MiB" for count, peak in peaks.items())
    say(f"  peak memory of the player by exchanges, 16 at once: {said}; {grown:.0f} bytes an exchange more")


def _median(done: list[Done], name: str) -> float:
    return statistics.median(float(getattr(item, name)) for item in done)


def _spread(values: list[float], form: str) -> str:
    return f"{form.format(min(values))} to {form.format(max(values))}"


if __name__ == "__main__":
    main()
