"""A small real daemon and a real mitmdump in front of it."""

import contextlib
import http.client
import http.server
import os
import re
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

with warnings.catch_warnings():
    # mitmproxy's filter language still uses pyparsing's old names
    warnings.simplefilter("ignore", DeprecationWarning)
    import mitmproxy.flowfilter
    import mitmproxy.master  # noqa: F401

SCRIPT = Path(__file__).parents[2] / "addons" / "record.py"
DEADLINE_S = 20.0


class Daemon:
    """A real HTTP server on a free port."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                """Say nothing."""

            def do_GET(self) -> None:
                if self.path.startswith(("/stream", "/ndjson")):
                    self.stream()
                elif self.path == "/half":
                    self.send_response(200)
                    self.send_header("Content-Length", "1000")
                    self.end_headers()
                    self.wfile.write(b"only a part")
                    self.close_connection = True
                elif self.path == "/hang":
                    outer.stop.wait(DEADLINE_S)
                    self.close_connection = True
                else:
                    self.answer(b'{"path":"' + self.path.encode() + b'"}')

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.answer(b'{"token":"sig_sk_0123456789ab_' + b"Tt0-_" * 8 + b'abc"}')

            def answer(self, body: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("X-Twice", "1")
                self.send_header("x-twice", "2")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def stream(self) -> None:
                ends = self.path.startswith("/ndjson")
                self.send_response(200)
                self.send_header("Content-Type", "application/x-ndjson" if ends else "text/event-stream; charset=utf-8")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                with contextlib.suppress(OSError):
                    for number in range(3 if ends else 10_000):
                        data = b'{"n":%d}\n' % number if ends else b"data: %d\n\n" % number
                        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
                        self.wfile.flush()
                        if outer.stop.wait(0.05):
                            break
                    self.wfile.write(b"0\r\n\r\n")
                self.close_connection = True

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self.stop.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Proxy:
    """A real mitmdump."""

    def __init__(self, folder: Path, arguments: list[str], *, script: Path, before: Callable[[], None] | None = None) -> None:
        self.folder = folder
        environment = {**os.environ, "XDG_CONFIG_HOME": str(folder / "config"), "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            [str(Path(sys.executable).with_name("mitmdump")), "-s", str(script), "--set", f"confdir={folder / 'mitmproxy'}", *arguments],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            preexec_fn=before,  # noqa: PLW1509 - sets a limit and nothing else
        )
        self._lines: list[str] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            with self._news:
                self._lines.append(line.decode("utf-8", "replace"))
                self._news.notify_all()
        with self._news:
            self._lines.append("")
            self._news.notify_all()

    @property
    def output(self) -> str:
        """Everything said so far."""
        return "".join(self._lines)

    def wait_for(self, pattern: str, *, times: int = 1) -> re.Match[str]:
        """Wait until the output matches so many times; give the last match."""
        with self._news:
            assert self._news.wait_for(lambda: len(re.findall(pattern, self.output)) >= times, DEADLINE_S), self.output
        return list(re.finditer(pattern, self.output))[-1]

    @property
    def port(self) -> int:
        """The port on which it listens, once it does."""
        return int(self.wait_for(r"listening at 127\.0\.0\.1:(\d+)")[1])

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
        """Send one request on a connection of its own; give status and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the exit code."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Wait for the exit code."""
        code = self.process.wait(DEADLINE_S)
        self._reader.join(DEADLINE_S)
        assert self.process.stdout
        self.process.stdout.close()
        return code


class Launch(Protocol):
    """Starts a proxy before the daemon."""

    def __call__(self, *arguments: str, script: Path = SCRIPT, bare: bool = False, before: Callable[[], None] | None = None) -> Proxy:
        """Start it; *bare* leaves out mode, address and port."""


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    """Give a running daemon."""
    running = Daemon()
    yield running
    running.close()


@pytest.fixture
def launch(daemon: Daemon, tmp_path: Path) -> Iterator[Launch]:
    """Give a way to start mitmdump with the recorder before the daemon; what is left running is killed."""
    started: list[Proxy] = []

    def start(*arguments: str, script: Path = SCRIPT, bare: bool = False, before: Callable[[], None] | None = None) -> Proxy:
        usual = [] if bare else ["--mode", f"reverse:http://127.0.0.1:{daemon.port}", "--listen-host", "127.0.0.1", "-p", "0"]
        proxy = Proxy(tmp_path, [*usual, *arguments], script=script, before=before)
        started.append(proxy)
        return proxy

    yield start
    for proxy in started:
        if proxy.process.poll() is None:
            proxy.process.kill()
            proxy.wait()


@pytest.fixture
def eventually() -> Callable[[Callable[[], Any]], Any]:
    """Give a way to wait until something gives a true value."""

    def wait(probe: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + DEADLINE_S
        pause = threading.Event()
        while not (value := probe()):
            assert time.monotonic() < deadline, "it did not happen in time"
            pause.wait(0.05)
        return value

    return wait
