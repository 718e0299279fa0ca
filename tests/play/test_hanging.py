"""What the player does about requests that hang, and about a daemon that does."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from replay.model import EndReason, GapReason, NoResponse, Response

_SERVER = """
import http.server, sys
class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
print(server.server_address[1], flush=True)
server.serve_forever()
"""


def test_eight_at_once_behind_one_lock_are_no_dead_daemon(bench: Any) -> None:
    """Eight requests that hang at once, and in a row, each end at their bound; the daemon, which answers others, is not taken for dead."""
    tape = bench.tape()
    for number in range(1, 9):
        tape.open(number, "POST", f"/locked/{number}", {"n": number}, client=f"c{number}")
    for number in range(1, 9):
        tape.end(number, bench.response({}))
    tape.ask(9, "GET", "/health", {})

    async def run() -> None:
        async def answer(asked: Any, writer: asyncio.StreamWriter) -> None:
            if asked.target.startswith("/locked"):
                await asyncio.Event().wait()
            writer.write(bench.spell({}))

        async with bench.running(answer) as daemon:
            played, observed = await bench.play(tape, daemon.port, request_bound_s=0.2, hang_bound_s=2.0, allow=frozenset({"all"}))
        assert played.complete
        *hung, went = observed.exchanges()
        assert [each.end for each in hung] == [EndReason.TIMEOUT] * 8
        assert all(each.note == "no end within 0.2 s" for each in hung)
        assert isinstance(went.outcome, Response)
        assert played.counts["timeouts"] == 8
        assert played.counts["asked_for_health"] == 1

    asyncio.run(run())


def test_a_slow_route_is_waited_for_by_those_behind_it_and_no_longer_than_its_bound(bench: Any) -> None:
    """What overlapped a hanging request goes on beside it, what followed goes on after its bound, and nobody else is called slow."""
    tape = bench.tape()
    tape.open(1, "GET", "/slow", client="a")
    tape.ask(2, "GET", "/beside", {}, client="b")
    tape.ask(3, "GET", "/beside", {}, client="b")
    tape.end(1, bench.response({}))
    tape.ask(4, "GET", "/behind", {}, client="b")

    async def run() -> None:
        order: list[str] = []

        async def answer(asked: Any, writer: asyncio.StreamWriter) -> None:
            order.append(asked.target)
            if asked.target == "/slow":
                await asyncio.Event().wait()
            writer.write(bench.spell({}))

        async with bench.running(answer) as daemon:
            played, observed = await bench.play(tape, daemon.port, request_bound_s=0.4, hang_bound_s=2.0)
        slow, *others = observed.exchanges()
        assert slow.end is EndReason.TIMEOUT
        assert order == ["/slow", "/beside", "/beside", "/behind"]
        assert all(each.end is EndReason.COMPLETE for each in others)
        assert others[0].ended_at < slow.ended_at <= others[2].started_at
        assert played.complete

    asyncio.run(run())


def test_a_daemon_that_is_busy_for_a_while_is_waited_for(bench: Any) -> None:
    """While a daemon serves nobody else, nothing more is sent to it: what it is asked afterwards meets no bound for that."""
    tape = bench.tape()
    tape.ask(1, "GET", "/busy", {}, client="a")
    for number in (2, 3):
        tape.ask(number, "GET", f"/after/{number}", {}, client="b")

    async def run() -> None:
        free = asyncio.Event()

        async def answer(asked: Any, writer: asyncio.StreamWriter) -> None:
            if asked.target == "/busy":
                asyncio.get_running_loop().call_later(0.6, free.set)
                await asyncio.Event().wait()
            await free.wait()
            writer.write(bench.spell({}))

        async with bench.running(answer) as daemon:
            played, observed = await bench.play(tape, daemon.port, request_bound_s=0.2, hang_bound_s=5.0)
        assert played.complete
        assert [each.end for each in observed.exchanges()] == [EndReason.TIMEOUT, EndReason.COMPLETE, EndReason.COMPLETE]
        assert played.counts["timeouts"] == 1
        assert daemon.targets() == ["GET /busy", "GET /health", "GET /after/2", "GET /after/3"]

    asyncio.run(run())


def test_a_stopped_daemon_ends_the_replay(bench: Any, tmp_path: Path) -> None:
    """A daemon that takes connections and answers none ends the replay within the two bounds, incomplete, with the end of its log."""
    tape = bench.tape()
    tape.ask(1, "GET", "/first", {})
    for number in range(2, 40):
        tape.ask(number, "GET", f"/later/{number}", {})
    log = tmp_path / "daemon.log"
    log.write_text("said before it stopped\n")
    process = subprocess.Popen([sys.executable, "-c", _SERVER], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        port = int(process.stdout.readline())
        os.kill(process.pid, signal.SIGSTOP)
        facts = bench.facts(port)
        facts = type(facts)(**{**{name: getattr(facts, name) for name in facts.__dataclass_fields__}, "log": log})
        started = time.monotonic()
        played, observed = asyncio.run(bench.play(tape, port, facts=facts, request_bound_s=0.3, hang_bound_s=0.5))
        assert time.monotonic() - started < 5
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert not played.complete
    (first,) = observed.exchanges()
    assert first.end is EndReason.TIMEOUT
    assert isinstance(first.outcome, NoResponse)
    assert {gap.reason for gap in observed.gaps()} == {GapReason.DAEMON_DEAD}
    assert len(observed.gaps()) == 38
    (died,) = observed.daemon_records()
    assert died.what == "died"
    assert died.detail.startswith("it hangs")
    assert died.log_tail == "said before it stopped\n"


@pytest.mark.parametrize("lives", [True, False])
def test_a_last_request_that_hangs(bench: Any, lives: bool) -> None:  # noqa: FBT001  # a parameter of a test
    """Also after the last request it is found out whether it hung or the daemon did."""
    tape = bench.tape()
    tape.ask(1, "GET", "/last", {})

    async def run() -> None:
        async def answer(asked: Any, writer: asyncio.StreamWriter) -> None:
            if asked.target == "/last" or not lives:
                await asyncio.Event().wait()
            writer.write(bench.spell({}))

        async with bench.running(answer) as daemon:
            played, _ = await bench.play(tape, daemon.port, request_bound_s=0.2, hang_bound_s=0.3)
        assert played.complete is lives

    asyncio.run(run())


def test_own_cost_is_told(bench: Any) -> None:
    """The player says what it costs itself: sending, recording and CPU, an exchange."""
    tape = bench.tape()
    for number in range(1, 21):
        tape.ask(number, "GET", f"/memory/{number}", {})

    async def run() -> None:
        async def answer(asked: Any, writer: asyncio.StreamWriter) -> None:
            writer.write(bench.spell({}))

        async with bench.running(answer) as daemon:
            _, observed = await bench.play(tape, daemon.port)
        told = observed.facts["costs"]
        assert set(told) == {"own_send_p50_us", "own_send_p99_us", "own_record_p50_us", "own_record_p99_us", "own_cpu_us"}
        assert 0 < told["own_send_p50_us"] <= told["own_send_p99_us"] < 1e6
        assert 0 < told["own_record_p50_us"] <= told["own_record_p99_us"] < 1e6

    asyncio.run(run())


def test_what_comes_after_a_slow_request_goes_on_and_its_late_answer_is_seen(bench: Any) -> None:
    """Others go on without a request that takes long; it stays open up to its bound, so that what it answers at last is observed."""
    tape = bench.tape()
    tape.ask(1, "GET", "/slow", {})
    tape.ask(2, "GET", "/behind", {})

    async def run() -> None:
        behind = asyncio.Event()

        async def answer(asked: Any, writer: asyncio.StreamWriter) -> None:
            if asked.target == "/slow":
                await behind.wait()  # would never come if the next one waited for this answer
            elif asked.target == "/behind":
                behind.set()
            writer.write(bench.spell({}))

        async with bench.running(answer) as daemon:
            played, observed = await bench.play(tape, daemon.port, release_s=0.2, allow=frozenset({"all"}))
        assert played.complete
        slow, went = observed.exchanges()
        assert slow.end is went.end is EndReason.COMPLETE
        assert isinstance(slow.outcome, Response)
        assert slow.note == "no end within 0.2 s: what came after it went on"
        assert not went.note
        assert played.counts["went_on_without"] == 1
        assert "timeouts" not in played.counts

    asyncio.run(run())
