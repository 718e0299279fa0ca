"""The recorder in a real mitmdump, before a real server, with real sockets and signals."""

import contextlib
import http.client
import os
import resource
import shutil
import signal
import socket
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from replay.archive import Archive, read, verify
from replay.model import ArchiveError, EndReason, Exchange, GapReason, NoResponse, Response

KEY = "sig_sk_0123456789ab_" + "Ss9-_" * 8 + "xyz"
type Eventually = Callable[[Callable[[], Any]], Any]


def copy_script(folder: Path) -> Path:
    """Put the script where there is no checkout around it."""
    target = folder / "elsewhere" / "addons" / "record.py"
    target.parent.mkdir(parents=True)
    shutil.copy(Path(__file__).parents[2] / "addons" / "record.py", target)
    return target


def only_archive(folder: Path) -> Path:
    """Give the one archive under the current folder's recordings."""
    [path] = (folder / "recordings").iterdir()
    return path


def salvaged(path: Path) -> list[Exchange]:
    """Give what can be read of an archive that is still being written."""
    try:
        return list(read(path, salvage=True).exchanges())
    except ArchiveError:
        return []


def everything(archive: Archive) -> str:
    """Give all that an archive says, as text."""
    return "".join(repr(record) for record in archive.records()) + (archive.path / "manifest.json").read_text()


def open_stream(port: int, path: str = "/stream") -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    """Open a stream; the caller closes both."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", path)
    return connection, connection.getresponse()


def test_a_bare_recording(launch: Any, tmp_path: Path) -> None:
    """Without any option the recorder writes to the current folder: lossless, private, without credentials, sealed at SIGTERM."""
    proxy = launch(script=copy_script(tmp_path))
    status, body = proxy.ask(
        "GET", "/api/x?a=%20&a=2", Authorization=f"Bearer {KEY}", Host="signet.example:99", X_Odd="näh".encode().decode("latin-1")
    )
    assert (status, body) == (200, b'{"path":"/api/x?a=%20&a=2"}')
    assert proxy.ask("POST", "/api/auth/login", b'{"username":"admin","password":"hunter2hunter2"}')[0] == 200
    connection, stream = open_stream(proxy.port)
    assert stream.readline() == b"data: 0\n"
    connection.close()
    stream.close()
    assert proxy.ask("GET", "/ndjson") == (200, b'{"n":0}\n{"n":1}\n{"n":2}\n')
    # the client that left is noticed before the end
    proxy.wait_for("Client disconnected")
    assert proxy.end() == 0
    path = only_archive(tmp_path)
    assert path.name.endswith("Z.parity")
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    archive = read(path)
    first, login, left, ended = archive.exchanges()
    assert first.request.target == b"/api/x?a=%20&a=2"
    assert first.request.header(b"host") == b"signet.example:99"
    assert first.request.header(b"x-odd") == "näh".encode()
    assert isinstance(first.outcome, Response)
    assert [header for header in first.outcome.headers if header[0].lower() == b"x-twice"] == [(b"X-Twice", b"1"), (b"x-twice", b"2")]
    assert first.outcome.body == body
    assert first.connection.peer is not None
    assert first.connection.peer.startswith("127.0.0.1:")
    assert first.connection.server is not None
    assert login.request.body is not None
    assert b'"username":"admin"' in login.request.body
    assert len(login.request.body) == len(b'{"username":"admin","password":"hunter2hunter2"}')
    assert left.end is EndReason.CLIENT_LEFT
    assert left.chunks[0].data == b"data: 0\n\n"
    assert left.started_at < left.chunks[0].at < left.ended_at + 1
    assert (ended.end, len(ended.chunks) > 0) == (EndReason.COMPLETE, True)
    assert isinstance(ended.outcome, Response)
    assert ended.outcome.body == b'{"n":0}\n{"n":1}\n{"n":2}\n'
    text = everything(archive)
    for secret in (KEY[20:], "Tt0-_Tt0-_", "hunter2"):
        assert secret not in text
    found = verify(path)
    assert found.good
    assert found.suspects == ()
    key = tmp_path / "config" / "signet-parity" / "redaction.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert key.read_bytes() not in (path / "manifest.json").read_bytes()


def test_sigterm_ends_open_exchanges_as_stopped(launch: Any, tmp_path: Path) -> None:
    """An open stream and a waiting request end as `proxy stopped`, with what had come; the archive is sealed."""
    proxy = launch("--set", "parity_output=out.parity")
    connection, stream = open_stream(proxy.port)
    waiting = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=20)
    try:
        assert stream.readline() == b"data: 0\n"
        waiting.request("GET", "/hang")
        proxy.wait_for(r"server connect", times=2)
        assert proxy.end() == 0
    finally:
        stream.close()
        connection.close()
        waiting.close()
    cut, never = read(tmp_path / "out.parity").exchanges()
    assert (cut.end, never.end) == (EndReason.PROXY_STOPPED, EndReason.PROXY_STOPPED)
    assert cut.chunks[0].data == b"data: 0\n\n"
    assert isinstance(never.outcome, NoResponse)


@pytest.mark.slow
def test_a_closed_terminal_seals(launch: Any, tmp_path: Path) -> None:
    """SIGHUP, which a closed terminal sends, ends the recording as SIGTERM does."""
    proxy = launch("--set", "parity_output=out.parity", before=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL))
    assert proxy.ask("GET", "/x")[0] == 200
    assert proxy.end(signal.SIGHUP) == 0
    assert verify(tmp_path / "out.parity").good


def test_kill_leaves_every_whole_block(launch: Any, tmp_path: Path, eventually: Eventually) -> None:
    """After `kill -9` the archive is refused as cut, and salvaging gives what an idle second had put on disk, with open exchanges said."""
    proxy = launch("--set", "parity_output=out.parity")
    path = tmp_path / "out.parity"
    connection, stream = open_stream(proxy.port)
    try:
        assert stream.readline() == b"data: 0\n"
        assert proxy.ask("GET", "/before")[0] == 200
        eventually(lambda: any(item.request.target == b"/before" for item in salvaged(path)))
        proxy.end(signal.SIGKILL)
    finally:
        stream.close()
        connection.close()
    with pytest.raises(ArchiveError):
        read(path)
    archive = read(path, salvage=True)
    assert archive.salvaged
    assert not verify(path).sealed
    assert verify(path).problems
    assert [item.request.target for item in archive.exchanges() if item.end is EndReason.COMPLETE] == [b"/before"]
    assert GapReason.CUT in [gap.reason for gap in archive.gaps()]


def test_the_script_may_be_touched_and_deleted(launch: Any, tmp_path: Path) -> None:
    """A script that is touched, then deleted in mid-traffic does not end the recording or begin another."""
    script = copy_script(tmp_path)
    proxy = launch(script=script)
    connection, stream = open_stream(proxy.port)
    try:
        assert stream.readline() == b"data: 0\n"
        assert proxy.ask("GET", "/one")[0] == 200
        later = script.stat().st_mtime + 10
        os.utime(script, (later, later))
        proxy.wait_for("Loading script", times=2)
        assert proxy.ask("GET", "/two")[0] == 200
        script.unlink()
        proxy.wait_for("Un-loading script")
        assert proxy.ask("GET", "/three")[0] == 200
    finally:
        stream.close()
        connection.close()
    assert proxy.end() == 0
    exchanges = list(read(only_archive(tmp_path)).exchanges())
    assert [item.request.target for item in exchanges] == [b"/stream", b"/one", b"/two", b"/three"]
    assert len(exchanges[0].chunks) > 10


@pytest.mark.parametrize("strategy", ["lazy", pytest.param("eager", marks=pytest.mark.slow)])
def test_what_mitmproxy_answers_is_not_the_daemons(launch: Any, tmp_path: Path, strategy: str) -> None:
    """A dead daemon is on record as no response, or as a gap where mitmproxy drops the client before it has read the request."""
    with socket.socket() as dead:
        dead.bind(("127.0.0.1", 0))
        proxy = launch(
            *("--mode", f"reverse:http://127.0.0.1:{dead.getsockname()[1]}", "--listen-host", "127.0.0.1", "-p", "0"),
            *("--set", "parity_output=out.parity", "--set", f"connection_strategy={strategy}"),
            bare=True,
        )
        if strategy == "lazy":
            assert proxy.ask("GET", "/x")[0] == 502
        else:
            with pytest.raises(http.client.HTTPException):
                proxy.ask("GET", "/x")
        assert proxy.end() == 0
    archive = read(tmp_path / "out.parity")
    if strategy == "lazy":
        [found] = archive.exchanges()
        assert isinstance(found.outcome, NoResponse)
        assert found.outcome.error
        assert found.end is EndReason.PROXY_ERROR
    else:
        assert [gap.reason for gap in archive.gaps()] == [GapReason.SKIPPED]


@pytest.mark.slow
def test_an_answer_that_breaks_off(launch: Any, tmp_path: Path) -> None:
    """An answer that the daemon cuts in the middle ends as `server closed`."""
    proxy = launch("--set", "parity_output=out.parity")
    assert proxy.ask("GET", "/half")[0] == 502
    assert proxy.end() == 0
    [found] = read(tmp_path / "out.parity").exchanges()
    assert found.end is EndReason.SERVER_CLOSED
    assert isinstance(found.outcome, Response)
    assert found.outcome.status == 200


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--mode", "reverse:http://127.0.0.1:{daemon}", "-p", "{port}"], "--listen-host 127.0.0.1"),
        pytest.param(
            ["--mode", "reverse:http://127.0.0.1:{daemon}@*:{port}", "--listen-host", "127.0.0.1"], "listen on", marks=pytest.mark.slow
        ),
        pytest.param(["--listen-host", "127.0.0.1", "-p", "{port}"], "no reverse proxy", marks=pytest.mark.slow),
        (
            [
                *("--mode", "reverse:http://127.0.0.1:{daemon}", "--listen-host", "127.0.0.1", "-p", "{port}"),
                *("--set", f"parity_output={__file__}/x.parity"),
            ],
            "nothing can be written there",
        ),
    ],
)
def test_it_refuses_before_it_listens(launch: Any, daemon: Any, tmp_path: Path, arguments: list[str], word: str) -> None:
    """Beyond loopback, as an open proxy or where nothing can be written: code 2, and what to change; no socket bound, nothing written."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        # the port is taken: whoever tries to bind it fails with mitmproxy's own code, 1
        probe.listen()
        proxy = launch(*(item.format(daemon=daemon.port, port=port) for item in arguments), bare=True, script=copy_script(tmp_path))
        assert proxy.wait() == 2
    assert word in proxy.output
    assert "listening" not in proxy.output
    assert not (tmp_path / "recordings").exists()


@pytest.mark.slow
def test_a_taken_port(launch: Any, daemon: Any, tmp_path: Path) -> None:
    """Where the port is taken mitmdump ends with its own code 1, and no archive is begun."""
    proxy = launch(
        "--mode",
        f"reverse:http://127.0.0.1:{daemon.port}",
        "--listen-host",
        "127.0.0.1",
        "-p",
        str(daemon.port),
        bare=True,
        script=copy_script(tmp_path),
    )
    assert proxy.wait() == 1
    assert not (tmp_path / "recordings").exists()


def test_a_snapshot_at_the_start(launch: Any, tmp_path: Path, eventually: Eventually) -> None:
    """The workspace is taken at start and seal, each between two event numbers, without secret files; what was left out is said."""
    workspace = tmp_path / "ws"
    (workspace / ".secrets").mkdir(parents=True)
    (workspace / ".secrets" / "secrets.enc").write_text("{}")
    (workspace / "agent.yaml").write_text("name: x\n")
    proxy = launch("--set", "parity_output=out.parity", "--set", f"parity_workspace={workspace}")
    assert proxy.ask("GET", "/x")[0] == 200
    assert proxy.end() == 0
    archive = read(tmp_path / "out.parity")
    snapshot, last = archive.snapshots()
    assert (snapshot.taken_at, last.taken_at) == ("start", "seal")
    assert snapshot.workspace == str(workspace)
    assert 0 < snapshot.event_before < snapshot.event_after < last.event_before < last.event_after
    assert snapshot.files == 1
    assert verify(tmp_path / "out.parity").good


@pytest.mark.slow
@pytest.mark.parametrize(("policy", "code"), [("gap", 0), ("stop", 3)])
def test_a_disk_that_refuses(launch: Any, tmp_path: Path, policy: str, code: int) -> None:
    """What can't be written is said aloud and never fails a client; an operator may have mitmdump stop instead."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))

    proxy = launch("--set", "parity_output=out.parity", "--set", f"parity_on_error={policy}", before=limit)
    body = os.urandom(120_000).hex().encode()
    status = 0
    try:
        for _ in range(4):
            status, _ = proxy.ask("POST", "/big", body)
    except (OSError, http.client.HTTPException):
        assert policy == "stop"
    if policy == "gap":
        assert status == 200
        proxy.wait_for("traffic passes, and is not recorded")
        assert proxy.end() == code
        assert "records lost" in proxy.output or "were not written" in proxy.output
    else:
        assert proxy.wait() == code
    assert salvaged(tmp_path / "out.parity") is not None


@pytest.mark.slow
def test_a_client_that_gives_up_waiting(launch: Any, tmp_path: Path) -> None:
    """A client that leaves before the daemon answers is on record as that: no answer, and not the proxy's doing."""
    proxy = launch("--set", "parity_output=out.parity")
    waiting = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=20)
    waiting.request("GET", "/hang")
    proxy.wait_for("server connect")
    waiting.close()
    proxy.wait_for("Client disconnected")
    assert proxy.end() == 0
    [found] = read(tmp_path / "out.parity").exchanges()
    assert isinstance(found.outcome, NoResponse)
    assert found.end is EndReason.CLIENT_LEFT
    assert found.request.body == b""


def test_a_client_that_leaves_while_it_asks(launch: Any, tmp_path: Path) -> None:
    """A client that leaves before its request is whole is on record as that, and the request's body as not seen."""
    proxy = launch("--set", "parity_output=out.parity")
    with socket.create_connection(("127.0.0.1", proxy.port), 20) as client:
        client.sendall(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{}")
    proxy.wait_for("client disconnect")
    assert proxy.end() == 0
    [found] = read(tmp_path / "out.parity").exchanges()
    assert (found.end, found.request.body) == (EndReason.CLIENT_LEFT, None)


@pytest.mark.slow
def test_a_request_that_mitmproxy_breaks_down_over(launch: Any, tmp_path: Path, eventually: Eventually) -> None:
    """A request with trailers gets no answer out of mitmproxy; when its client has left, it is ended as the proxy's error."""
    proxy = launch("--set", "parity_output=out.parity")
    with socket.create_connection(("127.0.0.1", proxy.port), 20) as client:
        client.sendall(b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX-Trailer: 1\r\n\r\n")
        proxy.wait_for("trailers are not implemented")
    eventually(lambda: salvaged(tmp_path / "out.parity"))
    assert proxy.end() == 0
    [found] = read(tmp_path / "out.parity").exchanges()
    assert found.end is EndReason.PROXY_ERROR
    assert isinstance(found.outcome, NoResponse)


@pytest.mark.slow
def test_a_failing_hook_is_counted(launch: Any, tmp_path: Path) -> None:
    """A fault of the recorder's own costs a counted gap and an alarm, never the client's answer."""
    script = tmp_path / "faulty.py"
    script.write_text(
        "import replay.capture.recorder as recorder\n"
        "from addons.record import configure, load, running\n"
        "def fail(*args, **kwargs): raise RuntimeError('planted')\n"
        "recorder.needs_fresh_connection = fail\n"
    )
    proxy = launch("--set", "parity_output=out.parity", script=script)
    assert proxy.ask("GET", "/x")[0] == 200
    assert proxy.end() == 0
    assert "planted" in proxy.output
    archive = read(tmp_path / "out.parity")
    assert GapReason.NOT_WRITTEN in [gap.reason for gap in archive.gaps()]
    assert verify(archive.path).problems == ()


@pytest.mark.slow
def test_a_lost_chunk_is_counted(launch: Any, tmp_path: Path) -> None:
    """A chunk that could not be kept reaches the client, is a gap, and its exchange is not taken for whole."""
    script = tmp_path / "faulty.py"
    script.write_text(
        "import replay.capture.recorder as recorder\n"
        "from addons.record import configure, load, running\n"
        "def fail(*args, **kwargs): raise RuntimeError('planted')\n"
        "recorder.Recorder._keep_chunk = fail\n"
    )
    proxy = launch("--set", "parity_output=out.parity", script=script)
    assert proxy.ask("GET", "/ndjson") == (200, b'{"n":0}\n{"n":1}\n{"n":2}\n')
    assert proxy.end() == 0
    archive = read(tmp_path / "out.parity")
    assert archive.exchanges() == []
    assert {gap.reason for gap in archive.gaps()} == {GapReason.NOT_WRITTEN}
    assert verify(archive.path).problems == ()


@pytest.mark.slow
def test_a_snapshot_that_fails_is_counted(launch: Any, tmp_path: Path) -> None:
    """A workspace whose database stays locked is said aloud and a gap; the traffic is recorded all the same, in one archive."""
    workspace = tmp_path / "ws"
    workspace.mkdir()
    with contextlib.closing(sqlite3.connect(workspace / "memories.db", isolation_level=None)) as database:
        database.execute("create table t (x)")
        database.execute("begin exclusive")
        options = ("parity_output=out.parity", f"parity_workspace={workspace}", "parity_snapshot_seconds=1", "parity_snapshots=start")
        proxy = launch(*(part for option in options for part in ("--set", option)))
        assert proxy.ask("GET", "/x")[0] == 200
        proxy.wait_for("no snapshot of")
        assert proxy.end() == 0
    archive = read(tmp_path / "out.parity")
    assert {(gap.reason, "snapshot" in gap.detail) for gap in archive.gaps()} == {(GapReason.NOT_WRITTEN, True)}
    assert (len(archive.exchanges()), archive.snapshots()) == (1, [])
    assert verify(archive.path).problems == ()
