"""Asks a daemon over HTTP what it says of itself, without proxies, redirects or patience."""

import contextlib
import errno
import http.client
import json
import socket
import sys
import threading
from dataclasses import dataclass
from typing import Any, Final

BODY_BYTES_MAX: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    status: int
    body: bytes

    def fields(self) -> dict[str, Any]:
        """Give the JSON object of the body; empty where it is none."""
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}


def ask(host: str, port: int, path: str, timeout_s: float = 2.0) -> Reply | None:
    """GET a path; None where nothing answers, or not in HTTP, or not whole in time."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
    late = threading.Event()
    # The socket's own bound is for each read: a daemon that drips one byte a second would never meet it.
    guard: threading.Timer | None = None
    try:
        connection.connect()
        guard = threading.Timer(timeout_s, _hang_up, (connection.sock, late))
        guard.start()
        connection.request("GET", path, headers={"Connection": "close"})
        response = connection.getresponse()
        reply = Reply(response.status, response.read(BODY_BYTES_MAX))
    except (OSError, http.client.HTTPException):
        return None
    else:
        return None if late.is_set() else reply
    finally:
        if guard is not None:
            guard.cancel()
            guard.join()
        connection.close()


def _hang_up(sock: socket.socket, late: threading.Event) -> None:
    late.set()
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def listens(host: str, port: int, timeout_s: float = 0.5) -> bool:
    """Say whether anything accepts connections there."""
    try:
        with socket.create_connection((host, port), timeout=timeout_s):
            return True
    except OSError:
        return False


def is_taken(port: int) -> bool:
    """Say whether anything of this host listens on a loopback port, without connecting to it: it may be a daemon in production."""
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                if sys.platform == "linux":
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # old connections are nobody who listens
                probe.bind((address, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE or (error.errno == errno.EACCES and listens(address, port)):
                return True
    return False


def free_port(host: str = "127.0.0.1") -> int:
    """Give a port that nothing listens on at this moment."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.bind((host, 0))
        return int(listener.getsockname()[1])
