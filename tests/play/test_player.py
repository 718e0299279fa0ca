"""The player against small daemons on real sockets."""

import asyncio
import json
import sqlite3
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from replay.archive import ArchiveWriter, read
from replay.model import ArchiveError, Ended, EndReason, GapReason, NoResponse, Response
from replay.play import Drained
from replay.workspace import tokens

R1, R2 = "11111111-0000-4000-8000-000000000001", "22222222-0000-4000-8000-000000000002"
O1, O2 = "aaaaaaaa-0000-4000-8000-00000000000a", "bbbbbbbb-0000-4000-8000-00000000000b"


def test_ids_chain_through_body_and_json_in_strings(bench: Any) -> None:
    """An id born in a body goes into later paths, keys, bodies and strings that hold JSON; the content length follows."""
    tape = bench.tape()
    tape.ask(1, "POST", "/api/memory/remember", {"id": R1}, {"content": "x"})
    inner = json.dumps({"id": R2})
    tape.ask(2, "POST", "/mcp", {"result": {"content": [{"text": inner}]}}, {"id": R1})
    tape.ask(3, "POST", f"/api/memory/{R1}?also={R2}", {}, {"ratings": {R2: 1}, "text": json.dumps({"n": 1.0, "of": R1})})

    async def run() -> None:
        async def answer(asked: Any, writer: asyncio.StreamWriter) -> None:
            body = {"id": O1} if asked.target.endswith("remember") else {"result": {"content": [{"text": json.dumps({"id": O2})}]}}
            writer.write(bench.spell(body))

        async with bench.running(answer) as daemon:
            played, observed = await bench.play(tape, daemon.port)
        assert played.complete
        assert daemon.asked[1].body == json.dumps({"id": O1}).encode()
        last = daemon.asked[2]
        assert last.target == f"/api/memory/{O1}?also={O2}"
        assert json.loads(last.body) == {"ratings": {O2: 1}, "text": json.dumps({"n": 1.0, "of": O1})}
        assert int(last.header("content-length")) == len(last.body)
        assert last.header("Host") == "127.0.0.1:3850"
        assert {(one.recorded, one.observed, one.exchange) for one in observed.bindings()} == {(R1, O1, 1), (R2, O2, 2)}
        assert [exchange.id for exchange in observed.exchanges()] == [1, 2, 3]
        assert observed.kind == "observed"
        assert observed.facts["planned"] == 3

    asyncio.run(run())


def test_an_id_from_a_header_of_an_open_stream(bench: Any) -> None:
    """A request may need the head of an answer that is still open, and the stream ends because of it."""
    tape = bench.tape()
    tape.open(1, "POST", "/api/inference/stream", {"q": 1})
    tape.head(1)
    tape.chunk(1, b'event: meta\ndata: {"a":1}\n\n')
    tape.ask(2, "DELETE", f"/api/inference/requests/{R1}", {"cancelled": True}, client="c2")
    tape.chunk(1, b'event: cancelled\ndata: {"why":"asked"}\n\n')
    tape.end(1, bench.response(None, 200, (b"x-signet-request-id", R1.encode()), media=b"text/event-stream"), streamed=True)

    async def run() -> None:
        cancelled = asyncio.Event()

        async def answer(asked: Any, writer: asyncio.StreamWriter) -> None:
            if asked.method == "DELETE":
                cancelled.set()
                writer.write(bench.spell({"cancelled": True}))
                return
            writer.write(f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-signet-request-id: {O1}\r\n\r\n".encode())
            writer.write(b'event: meta\ndata: {"a":1}\n\n')
            await cancelled.wait()
            writer.write(b'event: cancelled\ndata: {"why":"asked"}\n\n')
            writer.close()

        async with bench.running(answer) as daemon:
            _, observed = await bench.play(tape, daemon.port, allow=frozenset({"all"}))
        assert daemon.asked[1].target == f"/api/inference/requests/{O1}"
        stream, _ = observed.exchanges()
        assert stream.end is EndReason.COMPLETE
        assert b"cancelled" in (stream.outcome.body or b"")
        assert len(stream.chunks) >= 2

    asyncio.run(run())


def test_an_id_from_an_event_of_a_stream_that_the_client_left(bench: Any) -> None:
    """An id out of an event is used while the stream is open, and the stream is left when the recorded client left it."""
    tape = bench.tape()
    tape.open(1, "GET", "/api/os/events/stream")
    tape.head(1)
    tape.chunk(1, f'data: {{"id":"{R1}"}}\n\n'.encode())
    tape.ask(2, "GET", f"/api/tasks/{R1}", {}, client="c2")
    tape.end(1, bench.response(None, media=b"text/event-stream"), end=EndReason.CLIENT_LEFT, streamed=True)
    tape.ask(3, "GET", "/health", {})

    async def run() -> None:
        async def answer(asked: Any, writer: asyncio.StreamWriter) -> None:
            if not asked.target.endswith("stream"):
                writer.write(bench.spell({}))
                return
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
            event = f'data: {{"id":"{O1}"}}\n\n'.encode()
            writer.write(b"%x\r\n%b\r\n" % (len(event), event))
            await writer.drain()
            await asyncio.Event().wait()

        async with bench.running(answer) as daemon:
            _, observed = await bench.play(tape, daemon.port)
        assert daemon.targets() == ["GET /api/os/events/stream", f"GET /api/tasks/{O1}", "GET /health"]
        stream = observed.exchanges()[0]
        assert stream.end is EndReason.CLIENT_LEFT
        assert stream.note == ""

    asyncio.run(run())


def test_what_overlapped_overlaps_and_what_followed_follows(bench: Any) -> None:
    """Two requests that were open at once are open at once again; a third that began after both waits for both."""
    tape = bench.tape()
    tape.open(1, "GET", "/slow", client="a")
    tape.open(2, "GET", "/quick", client="b")
    tape.end(2, bench.response({}))
    tape.end(1, bench.response({}))
    tape.ask(3, "GET", "/after", {}, client="c")

    async def run() -> None:
        together = asyncio.Event()
        seen: list[str] = []

        async def answer(asked: Any, writer: asyncio.StreamWriter) -> None:
            if asked.target == "/slow":
                await together.wait()  # only answered if /quick comes meanwhile
            together.set()
            seen.append(asked.target)
            writer.write(bench.spell({}))

        async with bench.running(answer) as daemon:
            played, _ = await bench.play(tape, daemon.port)
        assert daemon.targets() == ["GET /slow", "GET /quick", "GET /after"]
        assert seen[-1] == "/after"
        assert daemon.connections == 3
        assert played.complete

    asyncio.run(run())


def test_a_hanging_exchange_is_closed_at_its_bound(bench: Any) -> None:
    """An answer that never comes is ended as a timeout, and its successors are released."""
    tape = bench.tape()
    tape.ask(1, "GET", "/hangs", {})
    tape.ask(2, "GET", "/goes", {})

    async def run() -> None:
        async def answer(asked: Any, writer: asyncio.StreamWriter) -> None:
            if asked.target == "/hangs":
                await asyncio.Event().wait()
            writer.write(bench.spell({}))

        async with bench.running(answer) as daemon:
            played, observed = await bench.play(tape, daemon.port, request_bound_s=0.2)
        hung, went = observed.exchanges()
        assert hung.end is EndReason.TIMEOUT
        assert isinstance(hung.outcome, NoResponse)
        assert isinstance(went.outcome, Response)
        assert played.counts["timeouts"] == 1

    asyncio.run(run())


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_dropped_keep_alive_connection(bench: Any, method: str) -> None:
    """A GET on a connection that is dropped before its answer is sent once more, and said; a POST is not."""
    tape = bench.tape()
    tape.ask(1, "GET", "/api/status", {})
    tape.ask(2, method, "/api/features", {})

    async def run() -> None:
        async def answer(asked: Any, writer: asyncio.StreamWriter) -> None:
            if asked.target == "/api/features" and asked.connection == 1:
                writer.close()
                return
            writer.write(bench.spell({}))

        async with bench.running(answer) as daemon:
            played, observed = await bench.play(tape, daemon.port)
        second = observed.exchanges()[1]
        assert played.counts["retried"] == (method == "GET")
        assert isinstance(second.outcome, Response) is (method == "GET")
        assert "connection" in second.note
        assert len(daemon.asked) == (3 if method == "GET" else 2)

    asyncio.run(run())


def test_after_a_static_file_a_fresh_connection_is_used(bench: Any) -> None:
    """The request after a static answer goes over a new connection, so it can't be dropped."""
    tape = bench.tape()
    tape.ask(1, "GET", "/logo.png", b"png")
    tape.ask(2, "POST", "/api/memory/remember", {}, {"a": 1})
    tape.ask(3, "POST", "/api/memory/remember", {}, {"a": 2})

    async def run() -> None:
        async def answer(asked: Any, writer: asyncio.StreamWriter) -> None:
            writer.write(bench.spell({}))

        async with bench.running(answer) as daemon:
            await bench.play(tape, daemon.port)
        assert [asked.connection for asked in daemon.asked] == [1, 2, 2]

    asyncio.run(run())


def test_requests_go_out_as_they_were(bench: Any) -> None:
    """Header order, case and duplicates stay; a chunked body is chunked; HEAD has no body; the target stays raw."""
    tape = bench.tape()
    odd = (("X-B", "1"), ("x-a", "2"), ("X-B", "3"))
    tape.ask(1, "HEAD", "/health?x=%zz", b"", headers=odd)
    tape.ask(2, "POST", "/api/memory/recall", {}, b'{"query":"x"}', headers=(("Transfer-Encoding", "chunked"),))

    async def run() -> None:
        async def answer(asked: Any, writer: asyncio.StreamWriter) -> None:
            if asked.method == "HEAD":
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n")
            else:
                writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nDate: a\r\ndate: b\r\n\r\n2\r\n{}\r\n0\r\nX-Trail: er\r\n\r\n")

        async with bench.running(answer) as daemon:
            _, observed = await bench.play(tape, daemon.port)
        assert daemon.asked[0].head == b"HEAD /health?x=%zz HTTP/1.1\r\nHost: 127.0.0.1:3850\r\nX-B: 1\r\nx-a: 2\r\nX-B: 3\r\n\r\n"
        assert daemon.asked[1].body == b'd\r\n{"query":"x"}\r\n0\r\n\r\n'
        head, recall = observed.exchanges()
        assert head.note == "before it: 100"
        assert head.outcome.body == b""
        assert recall.outcome.headers == ((b"Transfer-Encoding", b"chunked"), (b"Date", b"a"), (b"date", b"b"))
        assert recall.outcome.body == b"{}"
        assert recall.outcome.trailers == ((b"X-Trail", b"er"),)
        assert daemon.connections == 1

    asyncio.run(run())


def test_an_early_poll_is_asked_again(bench: Any) -> None:
    """A poll whose work is still running is repeated until it is as far as recorded, and the note counts it."""
    tape = bench.tape()
    tape.ask(1, "GET", "/api/secrets/exec/x", {"job": {"status": "completed"}})

    async def run() -> None:
        states = ["running", "completed"]

        async def answer(asked: Any, writer: asyncio.StreamWriter) -> None:
            writer.write(bench.spell({"job": {"status": states.pop(0)}}))

        async with bench.running(answer) as daemon:
            played, observed = await bench.play(tape, daemon.port)
        assert json.loads(observed.exchanges()[0].outcome.body) == {"job": {"status": "completed"}}
        assert observed.exchanges()[0].note.startswith("folded poll: asked 2 times")
        assert played.counts["asked_again"] == 1

    asyncio.run(run())


def test_unsafe_and_malformed_are_gaps(bench: Any) -> None:
    """What acts outside is left out unless allowed, what can't be sent too; every planned exchange is one or the other."""
    tape = bench.tape()
    tape.ask(1, "POST", "/api/update/run", {})
    tape.ask(2, "GET", "/he alth", {})
    tape.ask(3, "GET", "/health", {})

    async def run() -> None:
        async def answer(asked: Any, writer: asyncio.StreamWriter) -> None:
            writer.write(bench.spell({}))

        async with bench.running(answer) as daemon:
            played, observed = await bench.play(tape, daemon.port)
        assert (played.planned, played.observed, played.gaps) == (3, 1, 2)
        assert [(gap.exchange, gap.reason) for gap in observed.gaps()] == [(1, GapReason.UNSAFE), (2, GapReason.MALFORMED)]

    asyncio.run(run())


def test_a_dead_daemon_leaves_gaps(bench: Any) -> None:
    """When nobody listens any more, all that is left is a gap each, and the replay is incomplete."""
    tape = bench.tape()
    tape.ask(1, "GET", "/health", {})
    for number in (2, 3):
        tape.ask(number, "GET", "/health", {}, client=f"c{number}")

    async def run() -> None:
        async def answer(asked: Any, writer: asyncio.StreamWriter) -> None:
            writer.write(bench.spell({}))
            writer.close()
            server.close()

        async with bench.running(answer) as daemon:
            server = await asyncio.start_server(daemon.serve, "127.0.0.1", 0)
            played, observed = await bench.play(tape, server.sockets[0].getsockname()[1])
        assert not played.complete
        assert [(gap.exchange, gap.reason) for gap in observed.gaps()] == [(2, GapReason.DAEMON_DEAD), (3, GapReason.DAEMON_DEAD)]
        assert observed.daemon_records()[0].what == "died"

    asyncio.run(run())


def test_tokens_are_signed_again(bench: Any, tmp_path: Path) -> None:
    """A recorded token goes out with its claims, moved in time and signed by the cell's key, also where the daemon refused it."""
    secret = tokens.make_auth_secret(tmp_path / "auth-secret")
    old = tokens.mint(b"x" * 32, {"sub": "token:admin", "scope": {}, "role": "admin", "iat": 1795419000, "exp": 1795999999})
    tape = bench.tape()
    tape.ask(1, "GET", "/api/auth/api-keys", {}, headers=(("Authorization", f"Bearer {old}"),))
    tape.ask(2, "GET", "/api/auth/api-keys", {"error": "x"}, status=401, headers=(("Authorization", f"Bearer {old}"),))

    async def run() -> None:
        async def answer(asked: Any, writer: asyncio.StreamWriter) -> None:
            writer.write(bench.spell({}))

        async with bench.running(answer) as daemon:
            await bench.play(tape, daemon.port, facts=bench.facts(daemon.port, auth_secret=tmp_path / "auth-secret"))
        sent = daemon.asked[0].header("authorization").removeprefix("Bearer ")
        claims = tokens.verify(secret, sent, now_s=None)
        assert claims is not None
        assert claims["exp"] - claims["iat"] == 1795999999 - 1795419000
        assert claims["exp"] != 1795999999
        assert daemon.asked[1].header("authorization") == f"Bearer {sent}"

    asyncio.run(run())


def test_a_login_gives_the_token(bench: Any) -> None:
    """A token that the daemon gave in this replay stands for the recorded one."""
    recorded, given = (f"eyJzdWIiOiJkYXNoYm9hcmQ6YWRtaW4ifQ.{letter * 43}" for letter in "xy")
    tape = bench.tape()
    tape.ask(1, "POST", "/api/auth/login", {"token": recorded}, {"username": "admin", "password": "PLACEHOLDER-1"})
    tape.ask(2, "GET", "/api/auth/whoami", {}, headers=(("Authorization", f"Bearer {recorded}"),))

    async def run() -> None:
        async def answer(asked: Any, writer: asyncio.StreamWriter) -> None:
            writer.write(bench.spell({"token": given}))

        async with bench.running(answer) as daemon:
            await bench.play(tape, daemon.port, replacements={"PLACEHOLDER-1": "fixture-password"})
        assert json.loads(daemon.asked[0].body)["password"] == "fixture-password"  # noqa: S105
        assert daemon.asked[1].header("authorization") == f"Bearer {given}"

    asyncio.run(run())


def test_the_replay_waits_for_background_work(bench: Any, tmp_path: Path) -> None:
    """Where the recording left time after a write, the job table is drained before the next step; a stuck worker is said once."""
    database = tmp_path / "jobs.db"
    with closing(sqlite3.connect(database)) as jobs, jobs:
        jobs.execute("PRAGMA journal_mode=WAL")
        jobs.execute("CREATE TABLE jobs (state TEXT)")
        jobs.execute("CREATE TABLE stuck (state TEXT)")
        jobs.execute("INSERT INTO stuck VALUES ('pending')")
    drained = (
        Drained("worker", database, "SELECT count(*) FROM jobs", 5.0),
        Drained("stuck", database, "SELECT count(*) FROM stuck", 0.2),
        Drained("none", database, "SELECT count(*) FROM missing", 0.2),
    )
    tape = bench.tape()
    for number in (1, 3):
        tape.ask(number, "POST", "/api/memory/remember", {}, {"a": number})
        tape.pause(0.4)
        tape.ask(number + 1, "GET", "/api/memories", {})

    async def run() -> None:
        def put(sql: str) -> None:
            with closing(sqlite3.connect(database)) as jobs, jobs:
                jobs.execute(sql)

        left: list[int] = []

        async def answer(asked: Any, writer: asyncio.StreamWriter) -> None:
            if asked.method == "POST":
                put("INSERT INTO jobs VALUES ('pending')")
                asyncio.get_running_loop().call_later(0.3, put, "DELETE FROM jobs")
            else:
                with closing(sqlite3.connect(database)) as jobs:
                    left.append(jobs.execute("SELECT count(*) FROM jobs").fetchone()[0])
            writer.write(bench.spell({}))

        async with bench.running(answer) as daemon:
            _, observed = await bench.play(tape, daemon.port, facts=bench.facts(daemon.port, drained=drained), settle_s=0.05)
        assert left == [0, 0]
        waits = [(wait.worker, wait.outcome) for wait in observed.waits()]
        assert waits.count(("worker", "drained")) == 2
        assert waits.count(("stuck", "bound met")) == 1
        assert waits.count(("none", "given up before")) == 1

    asyncio.run(run())


def test_as_a_process(bench: Any, tmp_path: Path) -> None:
    """`python -m replay.play` reads its two files, plays, and exits 0; broken files exit 2 with a message."""
    tape = bench.tape()
    tape.ask(1, "GET", "/health", {})
    job, facts = tmp_path / "job.json", tmp_path / "facts.json"
    job.write_text(json.dumps({"recorded": str(tape.seal()), "observed": str(tmp_path / "observed.parity"), "allow": ["all"]}))

    async def start(*arguments: str) -> tuple[int | None, str]:
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "replay.play", *arguments, stderr=asyncio.subprocess.PIPE)
        _, said = await process.communicate()
        return process.returncode, said.decode()

    async def run() -> None:
        async def answer(asked: Any, writer: asyncio.StreamWriter) -> None:
            writer.write(bench.spell({}))

        async with bench.running(answer) as daemon:
            facts.write_text(json.dumps({"kind": "none", "host": "127.0.0.1", "port": daemon.port, "workspace": str(tmp_path)}))
            assert await start(str(job), str(facts)) == (0, "1 planned, 1 observed, 0 gaps\n")
        job.write_text('{"recorded": "x", "observed": "y", "pase": 1}')
        code, said = await start(str(job), str(facts))
        assert code == 2
        assert "unknown 'pase'" in said

    asyncio.run(run())


def test_secrets_are_sent_but_not_written(bench: Any) -> None:
    """A placeholder is replaced on the wire only: the observed archive keeps the placeholder."""
    tape = bench.tape()
    tape.ask(1, "POST", "/api/auth/login", {}, {"username": "admin", "password": "PLACEHOLDER-1"})

    async def run() -> None:
        async def answer(asked: Any, writer: asyncio.StreamWriter) -> None:
            writer.write(bench.spell({}))

        async with bench.running(answer) as daemon:
            _, observed = await bench.play(tape, daemon.port, replacements={"PLACEHOLDER-1": "fixture-password"})
        assert b"fixture-password" in daemon.asked[0].body
        (login,) = observed.exchanges()
        assert b"PLACEHOLDER-1" in login.request.body
        assert b"fixture-password" not in login.request.body

    asyncio.run(run())


def test_a_mapped_cell(bench: Any) -> None:
    """Where the workspace lies elsewhere its path is mapped in requests, and /mcp is left out while the recorded port is another's."""
    tape = bench.tape()
    tape.ask(1, "POST", "/mcp", {}, {"jsonrpc": "2.0"})
    tape.ask(2, "POST", "/api/hooks/session-end", {}, {"transcriptPath": "/recorded/ws/memory/t.jsonl"})

    async def run() -> None:
        async def answer(asked: Any, writer: asyncio.StreamWriter) -> None:
            writer.write(bench.spell({}))

        async with bench.running(answer) as daemon:
            facts = replace(bench.facts(daemon.port, recorded_port_taken=True), kind="mapped", recorded_workspace="/recorded/ws")
            _, observed = await bench.play(tape, daemon.port, facts=facts)
        assert [(gap.exchange, gap.reason) for gap in observed.gaps()] == [(1, GapReason.LOOPBACK)]
        assert json.loads(daemon.asked[0].body) == {"transcriptPath": f"{facts.workspace}/memory/t.jsonl"}

    asyncio.run(run())


def test_an_answer_on_a_connection_whose_exchange_outlasts_it(bench: Any) -> None:
    """A request recorded inside a stream of the same connection gets a connection of its own instead of waiting for ever."""
    tape = bench.tape()
    tape.open(1, "GET", "/api/os/events/stream")
    tape.ask(2, "GET", "/health", {})
    tape.end(1, bench.response(b"", media=b"text/event-stream"), end=EndReason.CLIENT_LEFT)

    async def run() -> None:
        async def answer(asked: Any, writer: asyncio.StreamWriter) -> None:
            if asked.target == "/health":
                writer.write(bench.spell({}))
                return
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
            await writer.drain()
            await asyncio.Event().wait()

        async with bench.running(answer) as daemon:
            played, _ = await bench.play(tape, daemon.port)
        assert played.observed == 2
        assert daemon.connections == 2

    asyncio.run(run())


def test_the_pace_of_the_recording(bench: Any) -> None:
    """At the recorded pace, or a multiple of it, a step waits for its time."""
    tape = bench.tape()
    tape.ask(1, "GET", "/health", {})
    tape.pause(0.6)
    tape.ask(2, "GET", "/health", {})

    async def run() -> None:
        async def answer(asked: Any, writer: asyncio.StreamWriter) -> None:
            writer.write(bench.spell({}))

        async with bench.running(answer) as daemon:
            _, observed = await bench.play(tape, daemon.port, pace=3.0)
        first, second = observed.exchanges()
        assert 0.19 < second.started_at - first.started_at < 0.5

    asyncio.run(run())


def test_a_player_that_is_told_to_stop(bench: Any, tmp_path: Path) -> None:
    """SIGTERM ends a player early: the archive is sealed, what is not over is a gap, and the exit code is 2."""
    tape = bench.tape()
    for number in (1, 2, 3):
        tape.ask(number, "GET", "/health", {})
    job, facts = tmp_path / "job.json", tmp_path / "facts.json"
    job.write_text(json.dumps({"recorded": str(tape.seal()), "observed": str(tmp_path / "observed.parity")}))

    async def run() -> None:
        hanging = asyncio.Event()

        async def answer(asked: Any, writer: asyncio.StreamWriter) -> None:
            if len(daemon.asked) == 2:
                hanging.set()
                await asyncio.Event().wait()
            writer.write(bench.spell({}))

        async with bench.running(answer) as daemon:
            facts.write_text(json.dumps({"host": "127.0.0.1", "port": daemon.port, "workspace": str(tmp_path)}))
            process = await asyncio.create_subprocess_exec(sys.executable, "-m", "replay.play", str(job), str(facts))
            await hanging.wait()
            process.terminate()
            assert await process.wait() == 2
        observed = read(tmp_path / "observed.parity")
        assert {(gap.exchange, gap.reason) for gap in observed.gaps()} == {(2, GapReason.NOT_OBSERVED), (3, GapReason.NOT_OBSERVED)}
        assert observed.facts["complete"] is False

    asyncio.run(run())


def test_a_disk_that_fails(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the observed archive can't be written, that is the error, not a bug."""
    tape = bench.tape()
    tape.ask(1, "GET", "/health", {})
    append = ArchiveWriter.append

    def refuse(self: ArchiveWriter, record: Any) -> None:
        if isinstance(record, Ended) and self.path.name == "observed.parity":
            raise ArchiveError("no space left")
        append(self, record)

    async def run() -> None:
        async def answer(asked: Any, writer: asyncio.StreamWriter) -> None:
            writer.write(bench.spell({}))

        async with bench.running(answer) as daemon:
            with pytest.raises(ArchiveError, match="no space left"):
                await bench.play(tape, daemon.port)

    monkeypatch.setattr(ArchiveWriter, "append", refuse)
    asyncio.run(run())


def test_a_request_waits_for_the_head_of_an_open_stream(bench: Any) -> None:
    """What was asked after an open stream had begun is asked after it has begun again, however late that is."""
    tape = bench.tape()
    tape.open(1, "GET", "/events", client="a")
    tape.head(1)
    tape.ask(2, "POST", "/after", {}, client="b")
    tape.end(1, bench.response({}))

    async def run() -> None:
        order: list[str] = []

        async def answer(asked: Any, writer: asyncio.StreamWriter) -> None:
            if asked.target == "/events":
                for _ in range(20):
                    await asyncio.sleep(0)
                order.append("head of /events")
            order.append(asked.target)
            writer.write(bench.spell({}))

        async with bench.running(answer) as daemon:
            await bench.play(tape, daemon.port)
        assert order.index("head of /events") < order.index("/after")

    asyncio.run(run())


def test_an_answer_given_before_the_request_was_read_is_seen(bench: Any) -> None:
    """A daemon that refuses a big body early and breaks the connection has answered all the same."""
    tape = bench.tape()
    for number in range(1, 13):
        tape.ask(number, "POST", "/api/memory/recall", {}, {"query": "x" * 3_000_000}, client=f"c{number}")

    async def run() -> None:
        def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            # closing with bytes unread resets the connection
            writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport of both ways
            writer.write(b"HTTP/1.1 413 Payload Too Large\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")
            writer.close()

        server = await asyncio.start_server(refuse, "127.0.0.1", 0)
        async with server:
            played, observed = await bench.play(tape, server.sockets[0].getsockname()[1], allow=frozenset({"all"}))
        assert played.complete
        assert [getattr(each.outcome, "status", each.outcome) for each in observed.exchanges()] == [413] * 12

    asyncio.run(run())


def test_a_flood_on_a_stream_holds_nobody_up(bench: Any) -> None:
    """What is longer than any answer that ids are learned from, and an event that does not end, are observed and said, and cost little."""
    tape = bench.tape()
    tape.open(1, "GET", "/api/memory/stream")
    tape.head(1)
    tape.chunk(1, b"data: {}\n\n")
    tape.end(1, bench.response({}))
    tape.ask(2, "GET", "/behind", {})

    async def run() -> None:
        async def answer(asked: Any, writer: asyncio.StreamWriter) -> None:
            if asked.target == "/behind":
                writer.write(bench.spell({}))
                return
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
            for _ in range(40):
                writer.write(b"x" * 1_048_576)
                await writer.drain()
            writer.close()

        async with bench.running(answer) as daemon:
            played, observed = await bench.play(tape, daemon.port, allow=frozenset({"all"}))
        assert played.complete
        flood, behind = observed.exchanges()
        assert flood.outcome.body == b"x" * 40 * 1_048_576
        assert "no ids were learned from it" in flood.note
        assert behind.outcome.status == 200

    asyncio.run(run())
