"""Recorded calls made by hand, prompts as the daemons word them, and a client that speaks to a served lane byte by byte."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from replay.identity import Bindings
from replay.model import Chunk, Connection, EndReason, Exchange, NoResponse, Request, Response
from replay.play.providing.answering import Answering
from replay.play.providing.asks import Ask, read_ask
from replay.play.providing.given import Given
from replay.play.providing.plain import Present
from replay.play.providing.serving import Server
from replay.play.providing.store import Store

RECORDED_AT = 1_763_900_000.0
"""2025-11-23."""
REPLAYED_AT = 1_795_000_000.0
"""2026-11-18."""
PRESENT = Present.of((RECORDED_AT, RECORDED_AT + 600), REPLAYED_AT)


@dataclass
class Lane:
    """What was recorded on a lane, and what answers out of it."""

    exchanges: list[Exchange] = field(default_factory=list)
    bindings: Bindings = field(default_factory=Bindings)
    _answering: Answering | None = None
    _store: Store | None = None

    def add(
        self,
        target: str,
        body: Any,
        answer: Any,
        *,
        status: int = 200,
        chunks: Sequence[bytes] = (),
        end: EndReason = EndReason.COMPLETE,
        media: bytes = b"application/json; charset=utf-8",
    ) -> int:
        """Record a call; gives its number."""
        number = len(self.exchanges) + 1
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        said = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        headers = ((b"Server", b"recorded"), (b"content-type", media))
        framing = ((b"transfer-encoding", b"chunked"),) if chunks else ((b"content-length", str(len(said)).encode()),)
        outcome = NoResponse("gone") if answer is None else Response(b"HTTP/1.1", status, b"As Recorded", (*headers, *framing), said)
        self.exchanges.append(
            Exchange(
                id=number,
                request=Request(b"GET" if body == b"" else b"POST", target.encode(), b"HTTP/1.1", (), raw),
                outcome=outcome,
                connection=Connection("c"),
                opened_event=number * 10,
                ended_event=number * 10 + 5,
                started_at=RECORDED_AT + number,
                ended_at=RECORDED_AT + number + 0.5,
                end=end,
                lane="provider",
                chunks=tuple(Chunk(number * 10 + place, 0.0, data) for place, data in enumerate(chunks)),
            )
        )
        return number

    def said(self, prompt: str, text: str, **more: Any) -> int:
        """Record a prompt of the Ollama wire, and what the model said."""
        return self.add("/api/generate", {"model": "small", "prompt": prompt, "stream": False, **more}, {"response": text, "done": True})

    @property
    def store(self) -> Store:
        """The recorded answers."""
        if self._store is None:
            self._store = Store(PRESENT).fill(self.exchanges)
        return self._store

    @property
    def answering(self) -> Answering:
        """What answers; nothing can be recorded any more."""
        if self._answering is None:
            self._answering = Answering("provider", self.store, PRESENT, self.bindings)
        return self._answering

    def answer(self, target: str, body: Any) -> Given:
        """Ask."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.answering.answer(read_ask(b"GET" if body == b"" else b"POST", target.encode(), raw))

    def ask(self, prompt: str, **more: Any) -> Given:
        """Ask a prompt of the Ollama wire."""
        return self.answer("/api/generate", {"model": "small", "prompt": prompt, "stream": False, **more})


@pytest.fixture
def lane() -> Lane:
    """Give a lane on which nothing was recorded yet."""
    return Lane()


@pytest.fixture
def present() -> Present:
    """Give what counts as the present: some days of 2025 and of 2026."""
    return PRESENT


def text_of(given: Given) -> str:
    """Give what an Ollama answer says."""
    return str(json.loads(b"".join(given.pieces))["response"])


@pytest.fixture
def said() -> Any:
    """Give the function that takes the text out of an Ollama answer."""
    return text_of


def decision(fact: str, candidates: Sequence[tuple[str, str]], confidence: str = "0.9") -> str:
    """Word a decision as both daemons do."""
    rows = "\n\n".join(f"[{place}] ID: {id_}\n    Type: fact\n    Content: {content}" for place, (id_, content) in enumerate(candidates, 1))
    return (
        "You are a memory management system. Given a new fact and existing memory candidates, decide the best action.\n\n"
        f'New fact (type: fact, confidence: {confidence}):\n"{fact}"\n\nExisting candidates:\n{rows}\n\nActions:\n- "add": store it\n\n'
        "Return ONLY the JSON, no other text."
    )


@pytest.fixture
def deciding() -> Any:
    """Give the function that words a decision."""
    return decision


def classification(entity: str, aspects: str, facts: Sequence[str]) -> str:
    """Word a classification as the daemon does."""
    rows = "\n".join(f"{place}. {fact}" for place, fact in enumerate(facts, 1))
    return (
        f"Classify each fact into an aspect and kind for the given entity.\n\nEntity: {entity}\nExisting aspects: {aspects}\n"
        f'Suggested: details\n\nFacts:\n{rows}\n\nReturn a JSON object: {{"results": [{{"i": number}}, ...]}}\n/no_think'
    )


@pytest.fixture
def classifying() -> Any:
    """Give the function that words a classification."""
    return classification


@dataclass
class Served:
    """A lane that is served, and what was noted of each call."""

    port: int
    server: Server
    notes: list[tuple[Ask, Given, bool]]

    async def talk(self, raw: bytes, *, until: bytes | None = None) -> bytes:
        """Send bytes; gives what comes back until the end of the connection, or until some bytes came."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(raw)
            await writer.drain()
            async with asyncio.timeout(10):
                return await (reader.read() if until is None else reader.readuntil(until))
        finally:
            writer.close()
            await asyncio.gather(writer.wait_closed(), return_exceptions=True)


def spell(prompt: str, *, close: bool = True, **more: Any) -> bytes:
    """Spell a request of the Ollama wire."""
    body = json.dumps({"model": "small", "prompt": prompt, "stream": False, **more}).encode()
    connection = "close" if close else "keep-alive"
    head = f"POST /api/generate HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\nConnection: {connection}\r\n\r\n"
    return head.encode() + body


@pytest.fixture
def spelt() -> Any:
    """Give the function that spells a request."""
    return spell


@asynccontextmanager
async def serving(lane: Lane, **secrets: str) -> AsyncIterator[Served]:
    """Serve a lane on a free port."""
    notes: list[tuple[Ask, Given, bool]] = []

    def note(ask: Ask, given: Given, *, left: bool) -> None:
        notes.append((ask, given, left))

    server = Server(lane.answering, note, secrets)
    port = await server.listen("127.0.0.1", 0)
    try:
        yield Served(port, server, notes)
    finally:
        await server.close()


@pytest.fixture
def served() -> Any:
    """Give the context manager that serves a lane."""
    return serving
