"""
The server of the replay's bench: uvloop and httptools in a process of its own, with 4 kB of JSON made before anybody asks.

    GET  /api/memories?offset=N      one of 4,096 answers, the same one each time
    POST /api/memory/recall          the same, by its query
    POST /api/memory/remember        an answer with an id that was never given before
    GET  /api/memory/<id>            an answer with that id
    GET  /bench/span                 how many requests came since this was last asked, and seconds from the first to the last
    GET  /bench/cpu                  its own CPU seconds

Started as a script it prints its port; the argument is how many milliseconds each answer is held back.
"""

import asyncio
import json
import re
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final, cast
from urllib.request import urlopen

import httptools
import uvloop

from tests.bench.serving import drawn_text

BODY_BYTES: Final = 4_096
KINDS: Final = 4_096
_HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
_ID: Final = "%08x-0000-4000-8000-%012x"


def id_of(number: int, salt: int) -> str:
    """Give an id of the shape of a UUID."""
    return _ID % (salt, number)


@cache
def plain_body(number: int) -> bytes:
    """Give one of the answers that hold no id."""
    text = _text(number % KINDS)
    items = [{"rank": rank, "score": 0.5, "content": text[rank * 420 : rank * 420 + 400].decode()} for rank in range(8)]
    return _filled({"offset": number % KINDS, "results": items}, text)


def body_with(identity: str, number: int) -> bytes:
    """Give an answer that holds one id."""
    head, rest = _shell(number % KINDS)
    return head + identity.encode() + rest


@cache
def _shell(number: int) -> tuple[bytes, bytes]:
    mark = id_of(0, 0)
    head, _, rest = _filled({"id": mark, "stored": True}, _text(number)).partition(mark.encode())
    return head, rest


@cache
def _drawn() -> bytes:
    text = re.sub(rb"[0-9a-f]{16} ?", b"", drawn_text(BODY_BYTES * KINDS * 5 // 4, 1))  # ids stand where the answers put them
    return text[: BODY_BYTES * KINDS]


def _text(number: int) -> bytes:
    return _drawn()[number * BODY_BYTES : (number + 1) * BODY_BYTES]


def _filled(value: dict[str, object], text: bytes) -> bytes:
    short = BODY_BYTES - len(json.dumps({**value, "rest": ""}))
    return json.dumps({**value, "rest": text[:short].decode()}).encode()


class _Answering(asyncio.Protocol):
    def __init__(self, served: "_Served") -> None:
        self._served = served
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is of no class of asyncio

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._url = url

    def on_message_complete(self) -> None:
        answer = self._served.answer(self._parser.get_method(), self._url)
        if self._served.hold_s:
            asyncio.get_running_loop().call_later(self._served.hold_s, self._write, answer)
        else:
            self._transport.write(answer)

    def _write(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer)


class _Served:
    def __init__(self, hold_s: float) -> None:
        self.hold_s = hold_s
        self._plain = [_HEAD % len(plain_body(number)) + plain_body(number) for number in range(KINDS)]
        self._made = 0
        self._count = 0
        self._first = self._last = 0.0

    def answer(self, method: bytes, url: bytes) -> bytes:
        if url.startswith(b"/bench/"):
            return self._told(url)
        self._last = time.perf_counter()
        self._first = self._first or self._last
        self._count += 1
        path, _, query = url.partition(b"=")
        if query:
            return self._plain[int(query) % KINDS]
        self._made += 1
        made = id_of(self._made, 0xA) if method == b"POST" else path.rpartition(b"/")[2].decode()
        body = body_with(made, self._made)
        return _HEAD % len(body) + body

    def _told(self, url: bytes) -> bytes:
        if url.endswith(b"cpu"):
            usage = resource.getrusage(resource.RUSAGE_SELF)
            body = json.dumps(usage.ru_utime + usage.ru_stime).encode()
        else:
            body = json.dumps([self._count, self._last - self._first]).encode()
            self._count, self._first = 0, 0.0
        return _HEAD % len(body) + body


class Answering:
    """The running server, as a bench sees it."""

    def __init__(self, port: int) -> None:
        self.port = port

    def span(self) -> tuple[int, float]:
        """Give how many requests came since the last call, and the seconds from the first to the last of them."""
        count, seconds = json.loads(self._asked("span"))
        return int(count), float(seconds)

    def _asked(self, what: str) -> bytes:
        with urlopen(f"http://127.0.0.1:{self.port}/bench/{what}") as answer:  # our own server
            found: bytes = answer.read()
        return found


@contextmanager
def answering(hold_ms: float = 0.0) -> Iterator[Answering]:
    """Run the server on a free port."""
    command = [sys.executable, "-m", "tests.bench.answering", str(hold_ms)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
    try:
        assert process.stdout is not None
        yield Answering(int(process.stdout.readline()))
    finally:
        process.terminate()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def main() -> None:
    """Serve until this process is ended."""

    async def forever() -> None:
        served = _Served(float(sys.argv[1]) / 1000)
        server = await asyncio.get_running_loop().create_server(lambda: _Answering(served), "127.0.0.1", 0)
        sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
        sys.stdout.flush()
        await server.serve_forever()

    uvloop.run(forever())


if __name__ == "__main__":
    main()
