"""
One demo daemon: `python -m replay.demo.daemon --runtime js|rust --host 127.0.0.1 --port P --workspace DIR [--fault NAME]…`.

It says `listening on HOST:PORT` once it is ready, and ends cleanly at SIGTERM. The administrator's name and password come from
`SIGNET_ADMIN_USERNAME` and `SIGNET_ADMIN_PASSWORD`, as with the real daemon.
"""

import argparse
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FrameType
from typing import Any, Final, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from replay.demo.application import answer
from replay.demo.birth import MACHINE_ID_FILE
from replay.demo.database import Database
from replay.demo.faults import FAULTS, check_names
from replay.demo.jobs import Worker
from replay.demo.runtimes import NAMES, Runtime, RuntimeName
from replay.demo.schema import DATABASE
from replay.demo.values import JSON_TYPE, Reply, Request
from replay.demo.watcher import Watcher
from replay.demo.world import World
from replay.model import DaemonError, ParityError
from replay.workspace import secrets, tokens

DEFAULT_USERNAME: Final = "admin"
DEFAULT_PASSWORD: Final = "demo-only-password"  # noqa: S105 (made up, and known to the demo's client)
_BODY_BYTES_MAX: Final = 10 * 1024 * 1024
_ARCHITECTURE: Final = "# Signet architecture\n\nThe workspace — files, memory, secrets — belongs to its owner.\n"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], world: World | None = None) -> None:
        self.world = world
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that goes away in the middle is everyday; all else is worth its traceback.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    disable_nagle_algorithm = True

    def version_string(self) -> str:
        return "signet-demo"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class's name)
        """Stay quiet: the demo's output is its state."""

    def _serve(self) -> None:
        world = cast("_Server", self.server).world
        assert world is not None
        raw = self._read_body()
        if raw is None:
            return
        url = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, unquote(url.path), dict(parse_qsl(url.query, keep_blank_values=True)), headers, raw)
        reply = answer(world, request)
        if reply.stream is None:
            self._send_whole(world.runtime, reply)
        else:
            self._send_stream(reply)

    do_GET = do_POST = do_PATCH = do_DELETE = do_OPTIONS = do_PUT = do_HEAD = _serve  # noqa: N815 (the base class's names)

    def _read_body(self) -> bytes | None:
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not length.isdigit() or int(length) > _BODY_BYTES_MAX:
            self.close_connection = True
            self.send_error(413 if length.isdigit() else 411)
            return None
        return self.rfile.read(int(length))

    def _head(self, reply: Reply, *more: tuple[str, str]) -> None:
        self.send_response(reply.status)
        for name, value in (("Vary", "Origin"), ("Access-Control-Allow-Credentials", "true"), *reply.headers, *more):
            self.send_header(name, value)
        self.end_headers()

    def _send_whole(self, runtime: Runtime, reply: Reply) -> None:
        if isinstance(reply.value, bytes):
            body = reply.value
        elif reply.content_type == JSON_TYPE:
            body = runtime.dump(reply.value).encode()
        else:
            body = str(reply.value).encode()
        kind = (("Content-Type", reply.content_type),) if body else ()
        self._head(reply, *kind, ("Content-Length", str(len(body))))
        if self.command != "HEAD":
            self.wfile.write(body)

    def _send_stream(self, reply: Reply) -> None:
        assert reply.stream is not None
        chunks = reply.stream()
        try:
            self._head(reply, ("Content-Type", reply.content_type), ("Cache-Control", "no-cache"), ("Transfer-Encoding", "chunked"))
            for chunk in chunks:
                if self._client_left():
                    self.close_connection = True
                    return
                if chunk:
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            self.wfile.write(b"0\r\n\r\n")
        except ConnectionError:
            self.close_connection = True
        finally:
            close = getattr(chunks, "close", None)
            if close is not None:
                close()

    def _client_left(self) -> bool:
        readable, _, _ = select.select([self.connection], [], [], 0)
        if not readable:
            return False
        with suppress(OSError):
            return len(self.connection.recv(1, socket.MSG_PEEK)) == 0
        return True


def build_world(
    workspace: Path, runtime: RuntimeName, faults: frozenset[str], address: tuple[str, int], administrator: tuple[str, str]
) -> World:
    """
    Open a workspace as the daemon does at its start.

    Raises:
        ParityError: it is no demo workspace.
    """
    machine_id = secrets.read_machine_id(workspace / MACHINE_ID_FILE)
    made = Runtime(runtime)
    key = workspace / tokens.AUTH_SECRET_FILE
    auth_secret = tokens.read_auth_secret(key) if key.exists() else tokens.make_auth_secret(key)
    database = Database(workspace / DATABASE, with_rust_objects=made.differs("schema-more-tables"), without_index="missing-index" in faults)
    architecture = _ARCHITECTURE.replace("—", "-") if made.differs("architecture-dashes") else _ARCHITECTURE
    (workspace / "SIGNET-ARCHITECTURE.md").write_text(architecture, encoding="utf-8")
    return World(
        workspace=workspace,
        host=address[0],
        port=address[1],
        runtime=made,
        faults=check_names(faults),
        database=database,
        watcher=Watcher(workspace, database, made),
        machine_id=machine_id,
        auth_secret=auth_secret,
        administrator=administrator,
        started_at=made.now(),
    )


def serve(address: tuple[str, int], workspace: Path, runtime: RuntimeName, faults: frozenset[str], administrator: tuple[str, str]) -> None:
    """
    Run a daemon until SIGTERM or SIGINT.

    Raises:
        DaemonError: the port is taken, or the workspace is none.
    """
    try:
        server = _Server(address)
    except OSError as error:
        raise DaemonError(
            f"{address[0]}:{address[1]}: can't listen there ({error.strerror}); is another daemon running? Give another --port"
        ) from error
    with server:
        world = build_world(workspace, runtime, faults, (address[0], int(server.server_address[1])), administrator)
        server.world = world
        worker = Worker(world)

        def stop(_: int, __: FrameType | None) -> None:
            world.stopping.set()
            # shutdown() waits for the loop that this signal interrupted.
            threading.Thread(target=server.shutdown, daemon=True).start()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        world.watcher.start()
        worker.start()
        sys.stdout.write(f"listening on {world.host}:{world.port}\n")
        sys.stdout.flush()
        server.serve_forever(poll_interval=0.05)
        worker.join()
        world.watcher.stop()
        world.database.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m replay.demo.daemon", description="A small Signet-like daemon.")
    parser.add_argument("--runtime", choices=NAMES, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=3850, help="0: any free one, which is printed")
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--fault", action="append", default=[], metavar="NAME", help=f"one of: {', '.join(FAULTS)}")
    options = parser.parse_args(arguments)
    name = os.environ.get("SIGNET_ADMIN_USERNAME", DEFAULT_USERNAME)
    password = os.environ.get("SIGNET_ADMIN_PASSWORD", DEFAULT_PASSWORD)
    try:
        serve((options.host, options.port), options.workspace.absolute(), options.runtime, frozenset(options.fault), (name, password))
    except ParityError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
