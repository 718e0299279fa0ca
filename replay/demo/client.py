"""
The demo's client: `python -m replay.demo.client --base URL --workspace DIR`.

How this works
--------------
It tells one story, always the same: about a hundred requests, one after the other, but for a while with a stream of the log open
beside them. Ids out of answers go into later requests. Where the daemon has background work to do, the client waits until
the daemon's own tables say that it is done (`schema.DRAINED`, read-only), so that no answer depends on who was faster.
All names, texts, passwords and secrets are made up. It expects nothing: what comes back is for others to judge.
"""

import argparse
import base64
import http.client
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

from replay.demo.schema import DATABASE, DRAINED
from replay.model import DaemonError, ParityError, UsageError
from replay.workspace import open_read_only

_TIMEOUT_S: Final = 20.0
_SETTLE_BOUND_S: Final = 10.0
_LOOK_S: Final = 0.06
_LOOKS: Final = 2


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in small letters."""

    def value(self, *path: str | int, default: Any = "") -> Any:
        """Give what is at *path* in the JSON body; *default* where there is no such thing."""
        try:
            found = json.loads(self.body)
            for step in path:
                found = found[step]
        except (ValueError, KeyError, IndexError, TypeError):
            return default
        return found


class Stream:
    """A stream of events that stays open until it is left."""

    def __init__(self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> None:
        self._connection = connection
        self._response = response

    def read(self, count: int) -> list[bytes]:
        """Wait for *count* events, or for the end if it comes first."""
        events: list[bytes] = []
        while len(events) < count:
            line = self._response.readline()
            if not line:
                break
            if line.startswith(b"data:"):
                events.append(line)
        return events

    def leave(self) -> None:
        """Go, whether it has ended or not."""
        self._response.close()
        self._connection.close()


class Client:
    """Asks one daemon, on one connection that is kept."""

    def __init__(self, base: str, workspace: Path) -> None:
        url = urlsplit(base)
        if url.scheme != "http" or not url.hostname:
            raise UsageError(f"{base}: no address of a daemon; give one like http://127.0.0.1:3849")
        self._address = (url.hostname, url.port or 80)
        self._workspace = workspace
        self._connection = self._connect()
        self.token = ""
        self.exchanges = 0

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(*self._address, timeout=_TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ask(self, method: str, target: str, body: Any = None, *, token: str | None = None, headers: Mapping[str, str] | None = None) -> Answer:
        """Send a request and read its answer. *body* is a JSON value or bytes; *token* goes instead of the client's own, empty for none."""
        self.exchanges += 1
        self._connection.request(method, target, *_content(body, self._headers(body, token, headers)))
        response = self._connection.getresponse()
        return Answer(response.status, response.read(), {name.lower(): value for name, value in response.getheaders()})

    def listen(self, target: str) -> Stream:
        """Open a stream on a connection of its own."""
        self.exchanges += 1
        connection = self._connect()
        connection.request("GET", target, headers=self._headers(None, None, {"Accept": "text/event-stream"}))
        return Stream(connection, connection.getresponse())

    def call(self, message_id: int | None, method: str, **parameters: Any) -> Answer:
        """Send a JSON-RPC message to `/mcp`."""
        message = {"jsonrpc": "2.0", **({} if message_id is None else {"id": message_id}), "method": method}
        if parameters:
            message["params"] = parameters
        return self.ask("POST", "/mcp", message, headers={"Accept": "application/json, text/event-stream"})

    def settle(self) -> None:
        """
        Wait until the daemon has done what it does in the background.

        Raises:
            DaemonError: it does not get done.
        """
        end_s = time.monotonic() + _SETTLE_BOUND_S
        quiet = 0
        while quiet < _LOOKS:
            if time.monotonic() > end_s:
                raise DaemonError(f"{self._workspace}: background work is not done after {_SETTLE_BOUND_S:.0f} s; see table memory_jobs")
            time.sleep(_LOOK_S)
            with closing(open_read_only(self._workspace / DATABASE)) as connection:
                busy = any(connection.execute(sql).fetchone()[0] for sql in DRAINED.values())
            quiet = 0 if busy else quiet + 1

    def _headers(self, body: Any, token: str | None, headers: Mapping[str, str] | None) -> dict[str, str]:
        used = self.token if token is None else token
        return {
            "User-Agent": "signet-demo-client/1",
            "Accept": "application/json",
            **({"Authorization": f"Bearer {used}"} if used else {}),
            **({"Content-Type": "application/json"} if body is not None else {}),
            **(headers or {}),
        }


def _content(body: Any, headers: dict[str, str]) -> tuple[bytes | None, dict[str, str]]:
    if body is None or isinstance(body, bytes):
        return body, headers
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode(), headers


def forge(token: str) -> str:
    """Give a token with the claims of *token* and a signature that is none."""
    return f"{token.partition('.')[0]}.{base64.urlsafe_b64encode(bytes(range(32))).rstrip(b'=').decode()}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; gives the exit code."""
    from replay.demo.daemon import DEFAULT_PASSWORD, DEFAULT_USERNAME
    from replay.demo.story import tell

    parser = argparse.ArgumentParser(prog="python -m replay.demo.client", description="Ask a demo daemon about everything it can do.")
    parser.add_argument("--base", required=True, help="such as http://127.0.0.1:3849")
    parser.add_argument("--workspace", type=Path, required=True, help="the daemon's; read to see when background work is done")
    options = parser.parse_args(arguments)
    name = os.environ.get("SIGNET_ADMIN_USERNAME", DEFAULT_USERNAME)
    password = os.environ.get("SIGNET_ADMIN_PASSWORD", DEFAULT_PASSWORD)
    began_s = time.monotonic()
    try:
        with Client(options.base, options.workspace) as client:
            tell(client, name, password)
            sys.stdout.write(f"{client.exchanges} exchanges in {time.monotonic() - began_s:.1f} s\n")
    except (OSError, http.client.HTTPException, ParityError) as error:
        sys.stderr.write(f"{options.base}: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
