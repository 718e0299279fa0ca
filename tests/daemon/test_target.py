import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from replay.daemon import MARKER, check_target
from replay.daemon.asking import ask
from replay.model import DaemonError, UsageError


@contextlib.contextmanager
def server(fields: dict[str, Any], status: int = 200) -> Iterator[str]:
    """Have a daemon that says so much of itself, and give its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = json.dumps(fields).encode()
            self.send_response(status)
            self.send_header("Location", "http://192.0.2.1/")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{http.server_port}"
        finally:
            http.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("https://127.0.0.1:3850", "plain HTTP"),
        ("ftp://127.0.0.1", "plain HTTP"),
        ("127.0.0.1:3850", "plain HTTP"),
        ("http://", "plain HTTP"),
        ("http://user@127.0.0.1:1", "plain HTTP"),
        ("http://127.0.0.1:1/api", "plain HTTP"),
        ("http://127.0.0.1:99999", "no URL of a daemon"),
        ("http://[::1", "no URL of a daemon"),
        ("http://192.0.2.1:3850", r"is 192.0.2.1, not loopback"),
        ("http://0.0.0.0:3850", "not loopback"),
        ("http://[2001:db8::1]:3850", "not loopback"),
        ("http://" + "a" * 70 + ".invalid:1", "can't be resolved"),
    ],
)
def test_a_target_is_plain_http_on_loopback(url: str, says: str) -> None:
    """Everything else is refused before a byte is sent."""
    with pytest.raises(UsageError, match=says):
        check_target(url, writes=False, recorded_workspace=None)


def test_a_target_that_does_not_answer_is_a_daemon_error() -> None:
    """Nothing listens on port 1."""
    with pytest.raises(DaemonError, match="nothing answers in HTTP"):
        check_target("http://127.0.0.1:1", writes=False, recorded_workspace=None)


def test_a_name_is_resolved_once() -> None:
    """`localhost` becomes the address on which the daemon answers, and stays it."""
    with server({"version": "1.2"}) as url:
        target = check_target(url.replace("127.0.0.1", "localhost"), writes=False, recorded_workspace="/w")
    assert (target.host, target.url, target.version, target.writes) == ("127.0.0.1", url, "1.2", False)


def test_a_redirect_is_not_followed() -> None:
    """A target that sends elsewhere is refused."""
    with server({}, 302) as url, pytest.raises(UsageError, match="never followed"):
        check_target(url, writes=False, recorded_workspace=None)


def test_reading_needs_no_proof() -> None:
    """A daemon on the recorded workspace may be read."""
    with server({"agentsDir": "/w"}) as url:
        assert check_target(url, writes=False, recorded_workspace="/w").workspace == "/w"


def test_writes_need_a_daemon_that_tells_its_workspace() -> None:
    """Without agentsDir there is no proof."""
    with server({"status": "healthy"}) as url, pytest.raises(UsageError, match="does not tell where its workspace is"):
        check_target(url, writes=True, recorded_workspace="/w")


@pytest.mark.parametrize("told", ["~nobody/ws", "ws", "/a\0b", ""])
def test_a_workspace_that_is_no_path_is_no_proof(told: str) -> None:
    """Whatever the daemon says, the answer is a usage error."""
    with server({"agentsDir": told}) as url, pytest.raises(UsageError, match="no absolute path"):
        check_target(url, writes=True, recorded_workspace="/w")


def test_writes_never_go_to_the_recorded_workspace(tmp_path: Path) -> None:
    """Not even with the marker in it, and not through a link."""
    (tmp_path / MARKER).touch()
    link = tmp_path.parent / f"{tmp_path.name}-link"
    link.symlink_to(tmp_path)
    with server({"agentsDir": str(link)}) as url, pytest.raises(UsageError, match="may be production"):
        check_target(url, writes=True, recorded_workspace=str(tmp_path))


def test_writes_need_a_recording_that_tells_its_workspace(tmp_path: Path) -> None:
    """Where the recorded path is not known nothing can be told apart."""
    (tmp_path / MARKER).touch()
    with server({"agentsDir": str(tmp_path)}) as url, pytest.raises(UsageError, match="does not say where its workspace was"):
        check_target(url, writes=True, recorded_workspace=None)


def test_writes_need_the_users_marker(tmp_path: Path) -> None:
    """The marker is a file that the user made; with it writes are allowed."""
    with server({"agentsDir": str(tmp_path)}) as url:
        with pytest.raises(UsageError, match=f"there is no file {MARKER}"):
            check_target(url, writes=True, recorded_workspace="/w")
        (tmp_path / MARKER).touch()
        assert check_target(url, writes=True, recorded_workspace="/w").writes


def test_a_target_that_drips_is_not_waited_for() -> None:
    """A daemon that sends one byte after the other without an end is as good as silent."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        stop = threading.Event()

        def drip() -> None:
            peer, _ = server.accept()
            with peer, contextlib.suppress(OSError):
                peer.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")
                while not stop.wait(0.05):
                    peer.sendall(b" ")

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            assert ask("127.0.0.1", server.getsockname()[1], "/health", timeout_s=0.3) is None
        finally:
            stop.set()
            thread.join()
