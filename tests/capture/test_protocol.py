"""What HTTP allows and what it does not: the same bytes sent through bare mitmdump and through the recorder, and what the archive then says."""

import base64
import contextlib
import hashlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from replay.archive import Archive, read, verify
from replay.model import EndReason, Exchange, GapReason, NoResponse, Response

SCRIPT = Path(__file__).parents[2] / "addons" / "record.py"
DEADLINE_S = 20.0
MEBIBYTE = 1 << 20
BIG = bytes(range(256)) * (3 * MEBIBYTE // 256)
HUGE = bytes(range(255, -1, -1)) * (11 * MEBIBYTE // 256)
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
END = b"\r\n\r\n"
LONG_TARGET = b"/long?" + b"a" * 60_000
LONG_HEADER = b"v" * 20_000
STATIC = (b"/health", b"/api/a", b"/logo.png", b"/api/b", b"/api/c")
type Answer = Callable[[socket.socket, bytes], bool]


@dataclass(frozen=True)
class Case:
    """What a client sends and when it has enough."""

    parts: Sequence[bytes]
    enough: Callable[[bytes], bool]
    """Whether what came back is all that will come."""
    pause_at: int | None = None
    """Before this part the client waits until something came back."""


def request(method: bytes, target: bytes, *headers: bytes, body: bytes = b"", version: bytes = b"HTTP/1.1") -> bytes:
    """Give a request's bytes; HOST stands for the host, and its length is the body's where there is one."""
    lines = [b"%s %s %s" % (method, target, version), b"Host: HOST", *headers]
    if body:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + END + body


def sized(data: bytes, *, answers: int = 1, head: bool = False) -> bool:
    """Whether so many answers with a content-length came whole."""
    for _ in range(answers):
        found, end, data = data.partition(END)
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", found)
        if not end:
            return False
        if length and not head:
            if len(data) < int(length[1]):
                return False
            data = data[int(length[1]) :]
    return True


def chunked(data: bytes) -> bool:
    """Whether the last chunk came."""
    return data.endswith(b"0\r\n\r\n")


def never(_: bytes) -> bool:
    """Wait for the other side to close."""
    return False


def answer_with(data: bytes, *, close: bool = False) -> Answer:
    """Give these bytes, and go on or close."""

    def run(connection: socket.socket, _: bytes) -> bool:
        connection.sendall(data)
        return not close

    return run


def websocket(connection: socket.socket, head: bytes) -> bool:
    """Accept a websocket and say hi."""
    key = re.search(rb"(?i)sec-websocket-key: (\S+)", head)
    assert key
    accept = base64.b64encode(hashlib.sha1(key[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11", usedforsecurity=False).digest())
    connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + accept + END)
    connection.sendall(b"\x81\x02hi")
    while connection.recv(1000):
        pass
    return False


def pieces(connection: socket.socket, _: bytes) -> bool:
    """Answer 2 MiB in chunks."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    for number in range(32):
        connection.sendall(b"10000;number=%d\r\n" % number + BIG[:0x10000] + b"\r\n")
    connection.sendall(b"0\r\n\r\n")
    return True


ANSWERS: dict[bytes, Answer] = {
    b"/odd": answer_with(b"HTTP/1.1 200 Sure thing\r\nDate: Mon\r\ndate: Tue\r\nX-Raw: \xff\xfe\xc3\r\nContent-Length: 4\r\n\r\n\xff\x00\r\n"),
    b"/to-eof": answer_with(b"HTTP/1.0 200 OK\r\nX: y\r\n\r\n" + b"z" * 3000, close=True),
    b"/204": answer_with(b"HTTP/1.1 204 No Content\r\nX: y\r\n\r\n"),
    b"/304": answer_with(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 2000000\r\n\r\n"),
    b"/head": answer_with(b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n"),
    b"/big": answer_with(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BIG) + BIG),
    b"/huge": answer_with(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(HUGE) + HUGE),
    b"/pieces": pieces,
    b"/half": answer_with(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\nonly a part", close=True),
    b"/nothing": answer_with(b"", close=True),
    b"/no-http": answer_with(b"lorem ipsum\r\n\r\n", close=True),
    b"/100": answer_with(b"HTTP/1.1 100 Continue\r\n\r\n"),
    b"/103": answer_with(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"),
    b"/trailer": answer_with(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Late: 1\r\n\r\n"),
    b"/ws": websocket,
    b"/logo.png": answer_with(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 2\r\n\r\nPN"),
}

CASES: dict[str, Case] = {
    "odd answer": Case([request(b"GET", b"/odd")], sized),
    "odd request": Case([request(b"get", b"/bytes/\xff\xc3?q=\xe9", b"X-Raw: \xff\xfe", b"x-raw: again")], sized),
    "long": Case([request(b"GET", LONG_TARGET, b"X-Long: " + LONG_HEADER)], sized),
    "http/1.0": Case([request(b"GET", b"/to-eof", version=b"HTTP/1.0")], never),
    "204": Case([request(b"GET", b"/204")], sized),
    "304": Case([request(b"GET", b"/304")], lambda data: sized(data, head=True)),
    "head": Case([request(b"HEAD", b"/head")], lambda data: sized(data, head=True)),
    "pipelined": Case([request(b"GET", b"/first") + request(b"GET", b"/second")], lambda data: sized(data, answers=2)),
    "expect": Case(
        [request(b"POST", b"/expect", b"Expect: 100-continue", b"Content-Length: 3"), b"abc"],
        lambda data: sized(data, answers=2),
        pause_at=1,
    ),
    "chunked request": Case(
        [request(b"POST", b"/chunked", b"Transfer-Encoding: chunked") + b"6;x=1\r\nabcdef\r\n", b"3\r\nxyz\r\n0\r\n\r\n"], sized
    ),
    "big request": Case([request(b"POST", b"/upload", body=BIG)], sized),
    "big answer": Case([request(b"GET", b"/big")], sized),
    "huge": Case([request(b"POST", b"/huge", body=HUGE)], sized),
    "pieces": Case([request(b"GET", b"/pieces")], chunked),
    "half": Case([request(b"GET", b"/half")], never),
    "nothing": Case([request(b"GET", b"/nothing")], never),
    "no http": Case([request(b"GET", b"/no-http")], never),
    "100": Case([request(b"GET", b"/100")], lambda data: END in data),
    "103": Case([request(b"GET", b"/103")], lambda data: END in data),
    "websocket": Case(
        [
            request(
                b"GET",
                b"/ws",
                b"Upgrade: websocket",
                b"Connection: Upgrade",
                b"Sec-WebSocket-Version: 13",
                b"Sec-WebSocket-Key: bm9uY2Vub25jZW5vbmNlMQ==",
            )
        ],
        lambda data: data.endswith(b"hi"),
    ),
    "h2c": Case([request(b"GET", b"/h2c", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__")], sized),
    "absolute": Case([request(b"GET", b"http://example.org/absolute?b")], sized),
    "connect": Case([request(b"CONNECT", b"example.org:80")], never),
    "two lengths": Case([request(b"POST", b"/two-lengths", b"Content-Length: 2", b"Content-Length: 3") + b"{}x"], never),
    "two framings": Case([request(b"POST", b"/two-framings", b"Content-Length: 2", b"Transfer-Encoding: chunked") + b"0\r\n\r\n"], never),
    "bad name": Case([request(b"GET", b"/bad-name", b"Bad Name: 1")], never),
    "static": Case([b"".join(request(b"GET", target) for target in STATIC)], lambda data: sized(data, answers=len(STATIC))),
    "left in the upload": Case([request(b"POST", b"/left", b"Content-Length: 99") + b"{}"], lambda _: True),
}
MALFORMED: dict[str, Case] = {
    "garbage": Case([b"\x00\x01\x02garbage" + END], never),
    "http/0.9": Case([b"GET /x" + END], never),
    "space": Case([request(b"GET", b"/a b")], never),
    "no colon": Case([request(b"GET", b"/x", b"nocolon")], never),
    "after a good one": Case([request(b"GET", b"/good") + b"GARBAGE" + END], never),
}
TRAILERS: dict[str, tuple[bytes, bytes]] = {
    "answer": (b"/trailer", request(b"GET", b"/trailer")),
    "request": (b"/trailed", request(b"POST", b"/trailed", b"Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\nX-Late: 1\r\n\r\n"),
}
TELL = "from mitmproxy import ctx\n\ndef running():\n    print('timeout is', ctx.options.tcp_timeout)\n"


class Daemon:
    """A server that answers by the bytes above and keeps what it got, by host name and path."""

    def __init__(self) -> None:
        self.got: dict[tuple[bytes, bytes], bytes] = {}
        self.connections: dict[tuple[bytes, bytes], int] = {}
        """The number of the connection on which a path was asked for."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        number = 0
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                number += 1
                self._open.add(connection)
                threading.Thread(target=self._serve, args=(connection, number), daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        with connection, contextlib.suppress(OSError):
            data = b""
            while True:
                while END not in data:
                    if not (more := connection.recv(65536)):
                        return
                    data += more
                head, _, data = data.partition(END)
                body = bytearray(data)
                length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
                while (length and len(body) < int(length[1])) or (b"chunked" in head.lower() and not chunked(bytes(body[-5:]))):
                    if not (more := connection.recv(MEBIBYTE)):
                        break
                    body += more
                size = len(body) if b"chunked" in head.lower() else int(length[1]) if length else 0
                host, target = re.search(rb"(?i)\r\nhost: ?(\S*)", head), head.split(b" ")[1]
                key = (host[1] if host else b"", target.partition(b"?")[0])
                self.got[key] = head + END + (unchunked(bytes(body)) if b"chunked" in head.lower() else bytes(body[:size]))
                self.connections[key] = number
                data = bytes(body[size:])
                if not ANSWERS.get(key[1], answer_with(OK))(connection, head):
                    return

    def close(self) -> None:
        """Stop serving."""
        # an accept() that waits is only woken by this
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def unchunked(data: bytes) -> bytes:
    """Join chunks."""
    out = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        length = int(size.split(b";")[0], 16)
        if not length:
            break
        out, data = out + data[:length], data[length + 2 :]
    return out


class Mitmdump:
    """A real mitmdump before the daemon."""

    def __init__(self, folder: Path, port: int, *arguments: str) -> None:
        folder.mkdir(exist_ok=True)
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    *(
                        str(Path(sys.executable).with_name("mitmdump")),
                        "--mode",
                        f"reverse:http://127.0.0.1:{port}",
                        "--listen-host",
                        "127.0.0.1",
                    ),
                    *("-p", "0", "--set", f"confdir={folder / 'mitmproxy'}", "--set", "keep_host_header=true", *arguments),
                ],
                cwd=folder,
                env={**os.environ, "XDG_CONFIG_HOME": str(folder / "config"), "PYTHONUNBUFFERED": "1"},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait_for(self, pattern: str, *, times: int = 1) -> re.Match[str]:
        """Wait until the log matches so many times; give the last match."""
        deadline = time.monotonic() + DEADLINE_S
        pause = threading.Event()
        while len(found := list(re.finditer(pattern, self.log.read_text(errors="replace")))) < times:
            assert time.monotonic() < deadline, self.log.read_text(errors="replace")
            pause.wait(0.05)
        return found[-1]

    @property
    def port(self) -> int:
        """The port on which it listens, once it does."""
        return int(self.wait_for(r"listening at 127\.0\.0\.1:(\d+)")[1])

    def end(self) -> int:
        """Stop it; give the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE_S)


def converse(port: int, case: Case, host: bytes) -> bytes:
    """Send a case's bytes on a connection of its own; give what comes back until that is enough or the other side closes."""
    data = b""
    with socket.create_connection(("127.0.0.1", port), DEADLINE_S) as connection:
        for number, part in enumerate(case.parts):
            if number == case.pause_at:
                data += connection.recv(65536)
            connection.sendall(part.replace(b"Host: HOST", b"Host: " + host))
        while not case.enough(data) and (more := connection.recv(MEBIBYTE)):
            data += more
    return data


@dataclass(frozen=True)
class Seen:
    """What came of all cases."""

    daemon: Daemon
    bare: dict[str, bytes]
    """What the clients of bare mitmdump got."""
    ours: dict[str, bytes]
    archive: Archive
    timeout_s: int
    """Mitmproxy's timeout for silent connections, under the recorder."""

    def exchange(self, target: bytes) -> Exchange:
        """Give the one exchange that asked for it."""
        [found] = [item for item in self.archive.exchanges() if item.request.target == target]
        return found

    def got(self, host: bytes, path: bytes) -> bytes:
        """Give what the daemon got, without the host."""
        return self.daemon.got[host, path].replace(b"Host: " + host, b"Host: HOST")


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """Give what came of all cases, sent through bare mitmdump and through the recorder."""
    folder = tmp_path_factory.mktemp("protocol")
    daemon = Daemon()
    bare = Mitmdump(folder / "bare", daemon.port)
    # room for all bodies at once: what is left out when there is none is tested elsewhere
    (folder / "tell.py").write_text(TELL)
    ours = Mitmdump(
        *(folder / "ours", daemon.port, "-s", str(SCRIPT), "-s", str(folder / "tell.py"), "--set", "parity_output=out.parity"),
        *("--set", "parity_queue_mb=128"),
    )
    try:
        cases = {**CASES, **MALFORMED}
        from_bare = {name: converse(bare.port, case, b"bare") for name, case in cases.items()}
        from_ours = {name: converse(ours.port, case, b"ours") for name, case in cases.items()}
        ours.wait_for("client disconnect", times=len(cases))
        for number, (_, sent) in enumerate(TRAILERS.values(), 1):
            with socket.create_connection(("127.0.0.1", ours.port), DEADLINE_S) as client:
                client.sendall(sent)
                ours.wait_for("NotImplementedError: HTTP trailers", times=number)
        timeout_s = int(ours.wait_for(r"timeout is (\d+)")[1])
        assert ours.end() == 0, ours.log.read_text(errors="replace")
    finally:
        for proxy in (bare, ours):
            proxy.process.kill()
            proxy.process.wait(DEADLINE_S)
        daemon.close()
    return Seen(daemon, from_bare, from_ours, read(folder / "ours" / "out.parity"), timeout_s)


@pytest.mark.parametrize("name", [*CASES, *MALFORMED])
def test_a_client_gets_what_bare_mitmdump_gives(seen: Seen, name: str) -> None:
    """The bytes that a client gets are those that it gets from mitmdump without the recorder; only the borders of chunks may differ."""
    bare, ours = seen.bare[name], seen.ours[name]
    if name == "pieces":
        bare, ours = (head + unchunked(body) for head, _, body in (bare.partition(END), ours.partition(END)))
    assert ours == bare


def test_the_daemon_gets_what_bare_mitmdump_gives(seen: Seen) -> None:
    """The daemon gets the same requests, byte for byte but for the borders of chunks, as from mitmdump without the recorder."""
    paths = [{path for asked, path in seen.daemon.got if asked == host} for host in (b"bare", b"ours")]
    assert paths[0] == paths[1]
    assert b"/upload" in paths[0]
    for path in paths[0]:
        assert seen.got(b"ours", path) == seen.got(b"bare", path)


def test_odd_bytes_are_kept(seen: Seen) -> None:
    """Two `Date` headers, bytes that are no text, the case of names and methods, a 60 kB target: on record as they were sent."""
    answer = seen.exchange(b"/odd").outcome
    assert isinstance(answer, Response)
    assert (answer.reason, answer.body) == (b"Sure thing", b"\xff\x00\r\n")
    assert answer.headers == ((b"Date", b"Mon"), (b"date", b"Tue"), (b"X-Raw", b"\xff\xfe\xc3"), (b"Content-Length", b"4"))
    asked = seen.exchange(b"/bytes/\xff\xc3?q=\xe9").request
    assert asked.method == b"get"
    assert asked.headers == ((b"Host", b"ours"), (b"X-Raw", b"\xff\xfe"), (b"x-raw", b"again"))
    assert seen.exchange(LONG_TARGET).request.header(b"x-long") == LONG_HEADER


def test_answers_without_a_body(seen: Seen) -> None:
    """HEAD, 204 and 304 end complete with an empty body, whatever content-length they name."""
    found = [seen.exchange(target) for target in (b"/head", b"/204", b"/304")]
    assert [item.end for item in found] == [EndReason.COMPLETE] * 3
    assert [item.outcome.status for item in found if isinstance(item.outcome, Response)] == [200, 204, 304]
    assert [item.outcome.body for item in found if isinstance(item.outcome, Response)] == [b""] * 3


def test_old_http(seen: Seen) -> None:
    """HTTP/1.0 is on record as that, and an answer that ends with its connection is complete."""
    found = seen.exchange(b"/to-eof")
    assert isinstance(found.outcome, Response)
    assert (found.request.version, found.outcome.version) == (b"HTTP/1.0", b"HTTP/1.0")
    assert (found.end, found.outcome.body) == (EndReason.COMPLETE, b"z" * 3000)


def test_pipelined_requests(seen: Seen) -> None:
    """Pipelined requests are two exchanges of one connection, one after the other."""
    first, second = seen.exchange(b"/first"), seen.exchange(b"/second")
    assert first.connection.client == second.connection.client
    assert first.ended_event < second.opened_event


def test_an_expectation(seen: Seen) -> None:
    """`Expect: 100-continue` is on record as the client sent it, with the body that followed."""
    found = seen.exchange(b"/expect").request
    assert (found.header(b"expect"), found.body) == (b"100-continue", b"abc")


@pytest.mark.parametrize(
    ("target", "sent", "answered"),
    [
        (b"/chunked", b"abcdefxyz", b"{}"),
        (b"/upload", BIG, b"{}"),
        (b"/big", b"", BIG),
        (b"/huge", HUGE, HUGE),
        (b"/pieces", b"", BIG[:0x10000] * 32),
    ],
)
def test_bodies_are_whole(seen: Seen, target: bytes, sent: bytes, answered: bytes) -> None:
    """Bodies in chunks and up to 11 MiB, both ways, are on record byte for byte."""
    found = seen.exchange(target)
    assert isinstance(found.outcome, Response)
    assert found.end is EndReason.COMPLETE
    assert found.request.body == sent
    assert found.outcome.body == answered


def test_answers_that_break_off(seen: Seen) -> None:
    """The daemon that stops in mid-answer has closed it; one that gives no answer gave none, whatever page mitmproxy made of it."""
    half, nothing, babble = (seen.exchange(target) for target in (b"/half", b"/nothing", b"/no-http"))
    assert half.end is EndReason.SERVER_CLOSED
    assert isinstance(half.outcome, Response)
    assert half.outcome.status == 200
    for found in (nothing, babble):
        assert found.end is EndReason.PROXY_ERROR
        assert isinstance(found.outcome, NoResponse)


@pytest.mark.parametrize(("target", "status"), [(b"/100", 100), (b"/103", 103)])
def test_an_interim_answer_is_noted(seen: Seen, target: bytes, status: int) -> None:
    """Mitmproxy takes an interim answer for the final one; the record has it, and says that this is the proxy's doing."""
    found = seen.exchange(target)
    assert isinstance(found.outcome, Response)
    assert found.outcome.status == status
    assert found.note


def test_upgrades(seen: Seen) -> None:
    """A websocket is on record as its opening, and its messages as a gap; h2c is on record as it was asked for."""
    found = seen.exchange(b"/ws")
    assert isinstance(found.outcome, Response)
    assert found.outcome.status == 101
    assert [gap.detail for gap in seen.archive.gaps() if gap.reason is GapReason.SKIPPED and "websocket" in gap.detail]
    assert seen.exchange(b"/h2c").request.header(b"upgrade") == b"h2c"


def test_targets_in_other_forms(seen: Seen) -> None:
    """A target that names the host, and the one of CONNECT, are on record as they were sent."""
    assert seen.exchange(b"http://example.org/absolute?b").end is EndReason.COMPLETE
    assert isinstance(seen.exchange(b"example.org:80").outcome, NoResponse)


@pytest.mark.parametrize("target", [b"/two-lengths", b"/two-framings", b"/bad-name"])
def test_requests_that_mitmproxy_refuses(seen: Seen, target: bytes) -> None:
    """A request whose framing mitmproxy refuses never reached the daemon: no answer of the daemon, the proxy's error."""
    found = seen.exchange(target)
    assert found.end is EndReason.PROXY_ERROR
    assert isinstance(found.outcome, NoResponse)
    assert (b"ours", target) not in seen.daemon.got


def test_requests_that_reach_no_hook_are_counted(seen: Seen) -> None:
    """A head that mitmproxy can't read is counted, without its bytes."""
    gaps = [gap for gap in seen.archive.gaps() if gap.reason is GapReason.MALFORMED]
    assert sum(gap.count for gap in gaps) == len(MALFORMED)
    assert not any("garbage" in gap.detail.lower() for gap in gaps)


def test_a_client_that_leaves_in_its_upload(seen: Seen) -> None:
    """The client left, its body was not seen whole, and the archive is in order all the same."""
    found = seen.exchange(b"/left")
    assert (found.end, found.request.body) == (EndReason.CLIENT_LEFT, None)
    assert verify(seen.archive.path).problems == ()


def test_no_request_follows_a_static_answer_on_its_connection(seen: Seen) -> None:
    """After a static answer, whose connection the daemon would drop, the next request goes out on a fresh one; others share one, unseen."""
    assert b"close" not in seen.ours["static"].lower()
    used = [seen.daemon.connections[b"ours", target] for target in STATIC]
    assert used[0] == used[1] == used[2] != used[3] == used[4]
    assert seen.got(b"ours", b"/logo.png") == b"GET /logo.png HTTP/1.1\r\nHost: HOST\r\n\r\n"
    found = [seen.exchange(target) for target in STATIC]
    assert {item.request.version for item in found} == {b"HTTP/1.1"}
    assert len({item.connection.client for item in found}) == 1
    assert len({item.connection.server for item in found}) == 2


@pytest.mark.parametrize("where", TRAILERS)
def test_trailers_break_mitmproxy(seen: Seen, where: str) -> None:
    """Mitmproxy breaks down over trailers, and the client waits in vain; when it leaves, the exchange is on record as the proxy's error."""
    found = seen.exchange(TRAILERS[where][0])
    assert found.end in (EndReason.PROXY_ERROR, EndReason.PROXY_STOPPED)


def test_silent_streams_outlive_mitmproxys_timeout(seen: Seen) -> None:
    """Unless the operator set it, mitmproxy's timeout of ten minutes is raised, so that a silent stream is not cut."""
    assert seen.timeout_s > 24 * 3600


@pytest.mark.slow
def test_a_silent_stream_that_mitmproxy_cuts(tmp_path: Path) -> None:
    """Where the operator keeps mitmproxy's timeout short, a stream that it cuts is the proxy's doing, and the client did not leave."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy = Mitmdump(
            *(tmp_path / "p", listener.getsockname()[1], "-s", str(SCRIPT), "--set", "parity_output=out.parity", "--set", "tcp_timeout=1")
        )
        try:
            with socket.create_connection(("127.0.0.1", proxy.port), DEADLINE_S) as client:
                client.sendall(request(b"GET", b"/silent"))
                upstream, _ = listener.accept()
                with upstream:
                    upstream.recv(65536)
                    upstream.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
                    data = b""
                    while more := client.recv(65536):
                        data += more
            assert data.endswith(b"hello\r\n")
            assert proxy.end() == 0
        finally:
            proxy.process.kill()
            proxy.process.wait(DEADLINE_S)
    [found] = read(tmp_path / "p" / "out.parity").exchanges()
    assert found.end in (EndReason.PROXY_ERROR, EndReason.PROXY_STOPPED)
    assert "mitmproxy" in found.note
    assert isinstance(found.outcome, Response)
    assert found.outcome.body == b"hello"
