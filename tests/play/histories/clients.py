"""
Histories of clients, and a recorder that plays one live and writes it down.

A history is rounds, one after the other; in a round up to three connections work at the same time, each on memories of its own, so that what
overlaps does not depend on who is faster. What looks at everything (lists, sessions, streams that begin or end) has a round to itself.
Requests name things by their number (the third memory that was asked for); which ids these have is the daemon's doing in each run.
"""

import asyncio
import itertools
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hypothesis import strategies as st

from replay.archive import ArchiveWriter
from replay.model import Answered, Chunk, Chunks, Connection, Ended, EndReason, Opened, Request, Response
from tests.play.histories.daemon import Model

LANES: Final = 3
_NOBODY: Final = "00000000-0000-4000-8000-000000000000"
_PAUSE_S: Final = 0.4
_SESSIONS: Final = ("sess-a", "sess-b")
_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{64}")
_TIME: Final = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d\d\dZ")


@dataclass(frozen=True, slots=True)
class Op:
    """One thing that a client does."""

    kind: str
    number: int = 0
    """Which memory, document, session or stream."""
    choice: int = 0
    """What more there is to choose."""


type Round = tuple[tuple[Op, ...], ...]
"""What each connection does."""


@dataclass(frozen=True, slots=True)
class History:
    """What clients do."""

    rounds: tuple[Round, ...]

    def contents(self) -> list[tuple[str, str]]:
        """Give the kind and content of each request that a fault may strike, in order."""
        return [(op.kind, content_of(place)) for place, op in self.places() if op.kind in {"remember", "patch"}]

    def places(self) -> list[tuple[tuple[int, int, int], Op]]:
        """Give each op and its place: round, lane, position."""
        return [
            ((one, two, three), op) for one, lanes in enumerate(self.rounds) for two, lane in enumerate(lanes) for three, op in enumerate(lane)
        ]


def content_of(place: tuple[int, int, int]) -> str:
    """Give the content that is sent at a place of a history, and nowhere else."""
    return f"the {place[0]}. thing that happened on pier {place[1]} at bell {place[2]}"


_OWN: Final = ("remember", "remember", "get", "patch", "patch", "stale", "delete", "history", "job", "rate", "tool", "bad token", "nobody")
_SHARED: Final = ("list", "list", "search", "start", "prompt", "forget", "document", "poll", "open", "cancel", "listen", "leave", "drain")


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Draw a history that begins with some memories and ends with a look at everything."""
    small = st.integers(0, 11)
    own = st.builds(Op, st.sampled_from(_OWN), small, small)
    together: st.SearchStrategy[Round] = st.lists(st.lists(own, min_size=1, max_size=3).map(tuple), min_size=1, max_size=LANES).map(tuple)
    alone: st.SearchStrategy[Round] = st.builds(Op, st.sampled_from(_SHARED), small, small).map(lambda op: ((op,),))
    first: Round = ((Op("remember"), Op("remember", 0, 1)), (Op("remember", 0, 1),))
    rounds = draw(st.lists(st.one_of(together, together, alone), min_size=3, max_size=12))
    look: tuple[Round, ...] = tuple(((Op(kind, number),),) for number in range(4) for kind in ("drain", "get", "job"))
    return History((first, *rounds, *look, ((Op("list"),),)))


@dataclass
class _Stream:
    """One that is open."""

    number: int
    request: Request
    head: Response
    head_event: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    name: str = ""
    chunks: list[Chunk] = field(default_factory=list)
    task: "asyncio.Task[None] | None" = None
    expected: int = 1
    """So many events must have come before the next thing happens."""


@dataclass(frozen=True, slots=True)
class Lived:
    """What came of a history on one daemon: each exchange's answer with ids by where they were first seen, and what was asked."""

    answers: Mapping[int, str]
    asked: Mapping[int, str]
    exchange_of: Mapping[str, int]
    """By content: the exchange that sent it."""


class Recorder:
    """Plays a history live and writes down what a recorder would have seen; without a path it only lives it."""

    def __init__(self, model: Model, path: Path | None) -> None:
        self._model = model
        self._writer = None if path is None else ArchiveWriter.create(path, kind="recording", facts={})
        self._event = 0
        self._skew = 0.0
        self._numbers: dict[tuple[int, int, int, int], int] = {}
        self._count = itertools.count(1)
        self._connections: dict[int, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = {}
        self._memories: list[tuple[str, str]] = []
        """Id and job of each that was there when the round began."""
        self._fresh: dict[int, list[tuple[str, str]]] = {}
        """By lane, those of this round."""
        self._apart = False
        self._versions: dict[str, int] = {}
        self._jobs: list[str] = []
        self._epochs: dict[str, int] = {}
        self._streams: list[_Stream] = []
        self._answers: dict[int, str] = {}
        self._asked: dict[int, str] = {}
        self._exchange_of: dict[str, int] = {}

    async def live(self, history: History) -> Lived:
        """Play it."""
        for one, lanes in enumerate(history.rounds):
            self._plan_numbers(one, lanes)
            self._fresh, self._apart = {}, len(lanes) > 1
            await asyncio.gather(*(self._lane(one, two, lane) for two, lane in enumerate(lanes)))
            self._memories += [memory for _, made in sorted(self._fresh.items()) for memory in made]
        for stream in list(self._streams):
            await self._leave(stream)
        for _, writer in self._connections.values():
            writer.close()
        if self._writer is not None:
            self._writer.seal(event=self._tick(), at=self._at(), reason="test")
            self._writer.close()
        return Lived(_labelled(self._answers), self._asked, self._exchange_of)

    def _plan_numbers(self, one: int, lanes: Round) -> None:
        """Number what a round may send beforehand, so that an exchange has the same number in each run."""
        for two, lane in enumerate(lanes):
            for three, op in enumerate(lane):
                for part in range(2 if op.kind == "forget" else 1):
                    self._numbers[one, two, three, part] = next(self._count)

    async def _lane(self, one: int, two: int, ops: tuple[Op, ...]) -> None:
        for three, op in enumerate(ops):
            await self._do((one, two, three), op)

    async def _do(self, place: tuple[int, int, int], op: Op) -> None:
        lane = place[1]
        mine = [memory for at, memory in enumerate(self._memories) if not self._apart or at % LANES == lane] + self._fresh.get(lane, [])
        number, job = mine[op.number % len(mine)] if mine else (_NOBODY, _NOBODY)
        content = content_of(place)
        match op.kind:
            case "remember":
                body = {"content": content, "importance": 1 + op.choice % 2}
                got = await self._ask(place, "POST", "/api/memory/remember", body)
                self._fresh.setdefault(lane, []).append((got["id"], got["jobId"]))
                self._versions.setdefault(got.get("id", _NOBODY), 1)
            case "get":
                got = await self._ask(place, "GET", f"/api/memory/{number}")
                self._versions[number] = got.get("version", self._versions.get(number, 1))
            case "patch" | "stale":
                expected = self._versions.get(number, 1) + (7 if op.kind == "stale" else 0)
                body = {"content": content, **({} if op.choice % 3 == 0 else {"if_version": expected})}
                got = await self._ask(place, "PATCH", f"/api/memory/{number}", body)
                self._versions[number] = got.get("newVersion", self._versions.get(number, 1))
            case "delete":
                await self._ask(place, "DELETE", f"/api/memory/{number}")
            case "history":
                await self._ask(place, "GET", f"/api/memory/{number}/history")
            case "job":
                # a job of the table is asked for only once it is done, so that no answer depends on who is faster
                await self._drain()
                await self._ask(place, "GET", f"/api/memory/jobs/{job}")
            case "rate":
                await self._ask(place, "POST", "/api/memory/feedback", {"feedback": {number: 0.5}})
            case "tool":
                params = {"name": "memory_get", "arguments": {"id": number}}
                await self._ask(place, "POST", "/mcp", {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params})
            case "bad token":
                await self._ask(place, "GET", f"/api/memory/{number}", token="bad-token")  # noqa: S106  # that is the point
            case "nobody":
                await self._ask(place, "GET", f"/api/memory/{_NOBODY}")
            case _:
                await self._do_alone(place, op, number)

    async def _do_alone(self, place: tuple[int, int, int], op: Op, number: str) -> None:
        key = _SESSIONS[op.number % len(_SESSIONS)]
        match op.kind:
            case "list":
                await self._ask(place, "GET", "/api/memories")
            case "search":
                await self._ask(place, "GET", "/memory/search?q=pier")
            case "start":
                self._expect()
                self._epochs[key] = (await self._ask(place, "POST", "/api/hooks/session-start", {"sessionKey": key})).get("contextEpoch", 0)
                await self._hear()
            case "prompt":
                self._expect()
                await self._ask(place, "POST", "/api/hooks/user-prompt-submit", {"sessionKey": key, "prompt": "hello"})
                await self._hear()
            case "forget":
                token = (await self._ask(place, "POST", "/api/memory/forget", {"ids": [number]})).get("confirmToken", "")
                await self._ask(place, "POST", "/api/memory/forget", {"confirm_token": token}, part=1)
            case "document":
                self._jobs.append((await self._ask(place, "POST", "/api/documents", {"title": content_of(place)})).get("jobId", _NOBODY))
            case "poll":
                await self._ask(place, "GET", f"/api/memory/jobs/{self._jobs[op.number % len(self._jobs)] if self._jobs else _NOBODY}")
            case "open":
                await self._open(place, "POST", "/api/inference/stream", {"prompt": content_of(place)})
            case "listen":
                await self._open(place, "GET", "/api/logs/stream", None)
            case "cancel":
                named = [stream for stream in self._streams if stream.name]
                chosen = named[op.number % len(named)] if named else None
                await self._ask(place, "DELETE", f"/api/inference/requests/{chosen.name if chosen else _NOBODY}")
                if chosen is not None:
                    await self._end(chosen)
            case "leave":
                listening = [stream for stream in self._streams if not stream.name]
                if listening:
                    await self._leave(listening[op.number % len(listening)])
            case "drain":
                await self._drain()
            case _:
                raise AssertionError(op.kind)

    # --- the wire ---

    async def _ask(
        self, place: tuple[int, int, int], method: str, target: str, body: Any = None, *, token: str = "", part: int = 0
    ) -> dict[str, Any]:
        lane = place[1]
        if lane not in self._connections:
            self._connections[lane] = await asyncio.open_connection("127.0.0.1", self._model.port)
        reader, writer = self._connections[lane]
        number, request = self._begin((*place, part), f"lane-{lane}", (method, target), body, token)
        writer.write(_spelt(request))
        head, response = await _read_head(reader)
        length = int(re.search(r"content-length: (\d+)", head)[1])  # type: ignore[index]  # each answer has one
        content = await reader.readexactly(length)
        self._finish(number, request, Response(b"HTTP/1.1", response.status, b"X", response.headers, content), EndReason.COMPLETE)
        found = json.loads(content)
        assert isinstance(found, dict)
        return found

    async def _open(self, place: tuple[int, int, int], method: str, target: str, body: Any) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._model.port)
        number, request = self._begin((*place, 0), f"stream-{self._numbers[(*place, 0)]}", (method, target), body, "")
        writer.write(_spelt(request))
        _, response = await _read_head(reader)
        event = self._tick()
        name = (response.header(b"x-signet-request-id") or b"").decode()
        self._write(Answered(number, event, self._at(), response))
        stream = _Stream(number, request, response, event, reader, writer, name)
        stream.task = asyncio.create_task(self._read(stream))
        self._streams.append(stream)
        await self._hear()

    async def _read(self, stream: _Stream) -> None:
        try:
            while True:
                size = int(await stream.reader.readuntil(b"\r\n"), 16)
                data = (await stream.reader.readexactly(size + 2))[:-2]
                if not size:
                    return
                stream.chunks.append(Chunk(self._tick(), self._at(), data))
        except (asyncio.IncompleteReadError, asyncio.CancelledError):
            return

    async def _hear(self) -> None:
        """Wait until what the daemon sent of itself has come, as time between requests lets it."""
        for _ in range(2000):
            if all(len(stream.chunks) >= stream.expected for stream in self._streams):
                return
            await asyncio.sleep(0.001)
        raise AssertionError("the model did not send what it must")

    def _expect(self) -> None:
        for stream in self._streams:
            stream.expected += not stream.name

    async def _end(self, stream: _Stream) -> None:
        assert stream.task is not None
        await stream.task
        self._close(stream, EndReason.COMPLETE)

    async def _leave(self, stream: _Stream) -> None:
        assert stream.task is not None
        stream.task.cancel()
        await stream.task
        self._close(stream, EndReason.CLIENT_LEFT)

    def _close(self, stream: _Stream, end: EndReason) -> None:
        self._streams.remove(stream)
        stream.writer.close()
        if self._writer is not None:
            self._writer.append(Chunks(stream.number, tuple(stream.chunks)))
            self._writer.append(
                Ended(
                    stream.number,
                    self._tick(),
                    self._at(),
                    end,
                    stream.head,
                    stream.request.body,
                    headers_event=stream.head_event,
                    streamed=True,
                )
            )
        self._answers[stream.number] = f"{stream.head.status} {stream.name} {end} " + "".join(chunk.data.decode() for chunk in stream.chunks)

    async def _drain(self) -> None:
        """Wait until the daemon's own tables say that it is done; the recording shows a pause."""
        for _ in range(2000):
            if self._model.pending() == 0:
                break
            await asyncio.sleep(0.002)
        self._skew += _PAUSE_S

    # --- the records ---

    def _begin(self, place: tuple[int, int, int, int], client: str, what: tuple[str, str], body: Any, token: str) -> tuple[int, Request]:
        method, target = what
        number = self._numbers[place]
        raw = b"" if body is None else json.dumps(body).encode()
        headers: list[tuple[bytes, bytes]] = [(b"Host", b"127.0.0.1:3850")]
        if raw:
            headers += [(b"Content-Type", b"application/json"), (b"Content-Length", str(len(raw)).encode())]
        if token:
            headers.append((b"Authorization", f"Bearer {token}".encode()))
        request = Request(method.encode(), target.encode(), b"HTTP/1.1", tuple(headers), raw)
        self._asked[number] = f"{method} {target}"
        self._exchange_of.setdefault(content_of(place[:3]), number)
        opened = Request(request.method, request.target, request.version, request.headers)
        self._write(Opened(number, self._tick(), self._at(), Connection(client), opened))
        return number, request

    def _finish(self, number: int, request: Request, response: Response, end: EndReason) -> None:
        self._write(Ended(number, self._tick(), self._at(), end, response, request.body))
        self._answers[number] = f"{response.status} {(response.body or b'').decode()}"

    def _write(self, record: Any) -> None:
        if self._writer is not None:
            self._writer.append(record)

    def _tick(self) -> int:
        self._event += 1
        return self._event

    def _at(self) -> float:
        return time.time() + self._skew


def _spelt(request: Request) -> bytes:
    head = b"".join(name + b": " + value + b"\r\n" for name, value in request.headers)
    return request.method + b" " + request.target + b" HTTP/1.1\r\n" + head + b"\r\n" + (request.body or b"")


async def _read_head(reader: asyncio.StreamReader) -> tuple[str, Response]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    lines = head.split("\r\n")
    headers = tuple((name.encode(), value.encode()) for name, _, value in (line.partition(": ") for line in lines[1:] if line))
    return head, Response(b"HTTP/1.1", int(lines[0].split(" ")[1]), b"X", headers, None)


def _labelled(answers: Mapping[int, str]) -> dict[int, str]:
    """Name each id by the exchange that was the first to bear it, and leave times out: what is then the same is the same up to a renaming."""
    labels: dict[str, str] = {}
    found: dict[int, str] = {}
    for number, text in sorted(answers.items()):
        for place, word in enumerate(dict.fromkeys(_ID.findall(text))):
            labels.setdefault(word, f"<{number}.{place}>")
        found[number] = _TIME.sub("<time>", _ID.sub(lambda match: labels[match[0]], text))
    return found
