"""A small daemon on a real socket, and recordings made by hand."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from replay.archive import Archive, ArchiveWriter, read
from replay.model import Attachment, Chunk, Chunks, Connection, Ended, EndReason, NoResponse, Opened, Outcome, Request, Response, WorkspaceChange
from replay.play import CellFacts, Drained, Job, Played, play

type Handler = Callable[["Asked", asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Asked:
    """What the small daemon was asked."""

    method: str
    target: str
    head: bytes
    body: bytes
    connection: int

    def header(self, name: str) -> str:
        """Give a header's value, or an empty text."""
        for line in self.head.decode("latin-1").split("\r\n")[1:]:
            key, _, value = line.partition(": ")
            if key.lower() == name.lower():
                return value
        return ""


@dataclass
class SmallDaemon:
    """Answers by a function, on a real port."""

    handler: Handler
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.connections += 1
        number = self.connections
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        try:
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                method, target, _ = head.decode("latin-1").split("\r\n")[0].split(" ", 2)
                asked = Asked(method, target, head, b"", number)
                if asked.header("transfer-encoding"):
                    asked.body = await reader.readuntil(b"0\r\n\r\n")
                elif asked.header("content-length"):
                    asked.body = await reader.readexactly(int(asked.header("content-length")))
                self.asked.append(asked)
                await self.handler(asked, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            return
        finally:
            writer.close()

    def targets(self) -> list[str]:
        """Give what was asked for, in order."""
        return [f"{asked.method} {asked.target}" for asked in self.asked]


@asynccontextmanager
async def running(handler: Handler) -> AsyncIterator[SmallDaemon]:
    """Run a small daemon on a free port."""
    daemon = SmallDaemon(handler)
    server = await asyncio.start_server(daemon.serve, "127.0.0.1", 0)
    daemon.port = server.sockets[0].getsockname()[1]
    try:
        yield daemon
    finally:
        server.close()
        for task in daemon.tasks:
            task.cancel()
        await asyncio.gather(*daemon.tasks, return_exceptions=True)
        await asyncio.sleep(0)


def spell(body: Any, status: int = 200, *headers: str, media: str = "application/json") -> bytes:
    """Spell an answer."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} OK", f"content-type: {media}", f"content-length: {len(raw)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + raw


class Tape:
    """Makes a recording by hand, event by event."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer = ArchiveWriter.create(path, kind="recording", facts={})
        self._event = 0
        self._requests: dict[int, Request] = {}
        self._heads: dict[int, int] = {}
        self.at = 1_795_419_383.0

    def open(
        self, number: int, method: str, target: str, body: Any = b"", *, client: str = "c1", headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        """Begin an exchange."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        fields = [(b"Host", b"127.0.0.1:3850"), *((name.encode(), value.encode()) for name, value in headers)]
        if raw and not any(name == b"Transfer-Encoding" for name, _ in fields):
            fields += [(b"Content-Type", b"application/json"), (b"content-length", str(len(raw)).encode())]
        request = Request(method.encode(), target.encode(), b"HTTP/1.1", tuple(fields), raw)
        self._requests[number] = request
        self.tick()
        self._writer.append(
            Opened(number, self._event, self.at, Connection(client), Request(request.method, request.target, request.version, request.headers))
        )

    def tick(self, seconds: float = 0.001) -> int:
        """Let time pass; gives the next event number."""
        self._event += 1
        self.at += seconds
        return self._event

    def head(self, number: int) -> None:
        """Let the answer's head come."""
        self._heads[number] = self.tick()

    def chunk(self, number: int, data: bytes) -> None:
        """Let a piece of a stream come."""
        self._writer.append(Chunks(number, (Chunk(self.tick(), self.at, data),)))

    def end(self, number: int, outcome: Outcome, *, end: EndReason = EndReason.COMPLETE, streamed: bool = False) -> None:
        """End an exchange."""
        event = self.tick()
        self._writer.append(
            Ended(number, event, self.at, end, outcome, self._requests[number].body, headers_event=self._heads.get(number), streamed=streamed)
        )

    def ask(self, number: int, method: str, target: str, answer: Any, body: Any = b"", *, status: int = 200, **options: Any) -> None:
        """Record a whole exchange with a JSON answer."""
        self.open(number, method, target, body, **options)
        self.end(number, response(answer, status))

    def change(self, path: str, content: bytes | None, **more: Any) -> None:
        """Let a file of the workspace change, or go."""
        event, gone = self.tick(), content is None
        digest = None if content is None else hashlib.sha256(content).hexdigest()
        self._writer.append(WorkspaceChange(event, self.at, path, digest, content, **{"modified_at": None if gone else self.at, **more}))

    def attach(self, number: int, path: str, content: bytes | None, note: str = "") -> None:
        """Find a file that a request named, when its exchange has ended."""
        digest = None if content is None else hashlib.sha256(content).hexdigest()
        self._writer.append(Attachment(self.tick(), number, path, digest, content, note=note))

    def pause(self, seconds: float) -> None:
        """Let nothing happen."""
        self.at += seconds

    def seal(self) -> Path:
        """Finish the recording."""
        self._writer.seal(event=self.tick(), at=self.at, reason="test")
        return self.path


def response(body: Any, status: int = 200, *headers: tuple[bytes, bytes], media: bytes = b"application/json") -> Response:
    """Build a recorded answer."""
    raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    return Response(b"HTTP/1.1", status, b"OK", ((b"content-type", media), *headers), raw)


def nothing(words: str = "server closed connection") -> NoResponse:
    """Build a recorded end without an answer."""
    return NoResponse(words)


@dataclass
class Bench:
    """What a test of the player needs."""

    folder: Path

    def tape(self) -> Tape:
        """Begin a recording."""
        return Tape(self.folder / "recorded.parity")

    def facts(self, port: int, *, auth_secret: Path | None = None, drained: tuple[Drained, ...] = (), **told: Any) -> CellFacts:
        """Describe the small daemon as a cell."""
        return CellFacts("none", "127.0.0.1", port, str(self.folder), None, auth_secret, drained, None, told)

    async def play(self, tape: Tape, port: int, *, facts: CellFacts | None = None, **job: Any) -> tuple[Played, Archive]:
        """Replay a recording on a port."""
        options = {"request_bound_s": 5.0, "request_bound_max_s": 5.0, "stream_bound_s": 0.3, "allow": frozenset({"unknown"}), **job}
        asked = Job(recorded=tape.seal(), observed=self.folder / "observed.parity", **options)
        played = await play(asked, facts or self.facts(port))
        assert played.planned == played.observed + played.gaps
        return played, read(played.archive)

    running = staticmethod(running)
    spell = staticmethod(spell)
    response = staticmethod(response)
    nothing = staticmethod(nothing)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Give a folder, recordings by hand, small daemons, and the player."""
    return Bench(tmp_path)
