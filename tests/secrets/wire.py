"""Both ends of the wire, byte for byte: a server that answers what it is told, and a client that sends what it is told."""

import gzip
import http.client
import io
import itertools
import socket
import threading
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

from backports import zstd

from tests.secrets.steps import Encoding, Step
from tests.secrets.texts import Secrets, Text, render, spots

_DEADLINE_S: Final = 20.0
_BETWEEN_S: Final = 0.015
"""Between two pieces, so that they are read one by one."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What really went over the wire: the truth about one exchange."""

    step: Step
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    answer_headers: tuple[tuple[bytes, bytes], ...]
    answer: bytes


def encode(data: bytes, encoding: Encoding) -> bytes:
    """Compress a body."""
    if encoding == "gzip":
        return gzip.compress(data, mtime=0)
    return zlib.compress(data) if encoding == "deflate" else zstd.compress(data) if encoding == "zstd" else data


def decode(data: bytes, encoding: Encoding) -> bytes:
    """Undo it."""
    if encoding == "gzip":
        return gzip.decompress(data)
    return zlib.decompress(data) if encoding == "deflate" else zstd.decompress(data) if encoding == "zstd" else data


def cut(text: Text, secrets: Secrets, encoding: Encoding) -> list[bytes]:
    """Cut a text inside each of its secrets, twice, and between two bytes before its end."""
    data = encode(render(text, secrets), encoding)
    if encoding:
        return [data[:5], data[5 : len(data) // 2], data[len(data) // 2 :]]
    places = {len(data) - 1}
    for start, end, _ in spots(text, secrets):
        places |= {start + (end - start) // 3, start + (end - start) // 2, end - 1}
    edges = [0, *sorted(place for place in places if 0 < place < len(data)), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


class Server:
    """Takes one connection after the other, one request on each, and answers what it was told last."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._pause = threading.Event()
        self.port = int(self._listener.getsockname()[1])
        self.answer: Sequence[bytes] = ()
        self.got = b""
        """The last request, as it came."""
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._pause.set()
        # wakes the thread, where closing alone would not
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while not self._pause.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.settimeout(_DEADLINE_S)
            with connection:
                try:
                    self.got = _read_request(connection)
                    for number, part in enumerate(self.answer):
                        if number:
                            self._pause.wait(_BETWEEN_S)
                        connection.sendall(part)
                except OSError:
                    continue


def _read_request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return data
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    folded = head.lower()
    if b"content-length:" in folded:
        length = int(folded.partition(b"content-length:")[2].partition(b"\r\n")[0])
        while len(body) < length:
            body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def exchange(server: Server, port: int, step: Step, secrets: Secrets) -> Sent:
    """Send one step through the proxy on *port*; what comes back must be what the server sent."""
    pause = threading.Event()
    headers = [(b"Host", b"127.0.0.1:%d" % port), *((name, render(value, secrets)) for name, value in step.headers), (b"Connection", b"close")]
    pieces = cut(step.body, secrets, step.body_encoding) if step.uploads else [encode(render(step.body, secrets), step.body_encoding)]
    body = b"".join(pieces)
    if step.body_encoding:
        headers.append((b"Content-Encoding", step.body_encoding.encode()))
    if step.method == "POST":
        headers.append((b"Content-Length", b"%d" % len(body)))
    answer_pieces = (
        cut(step.answer, secrets, step.answer_encoding) if step.streams else [encode(render(step.answer, secrets), step.answer_encoding)]
    )
    answer = b"".join(answer_pieces)
    answer_headers = [(name, render(value, secrets)) for name, value in step.answer_headers]
    if step.answer_encoding:
        answer_headers.append((b"Content-Encoding", step.answer_encoding.encode()))
    answer_headers.append((b"Transfer-Encoding", b"chunked") if step.streams else (b"Content-Length", b"%d" % len(answer)))
    answer_headers.append((b"Connection", b"close"))
    head = b"HTTP/1.1 %d Told\r\n" % step.status + _lines(answer_headers)
    if step.hangs_up:
        server.answer = [b"HTTP/1.1 200 OK\r\nX-Half"]
    elif step.streams:
        server.answer = [head, *(b"%x\r\n%s\r\n" % (len(part), part) for part in answer_pieces), b"0\r\n\r\n"]
    else:
        server.answer = [head + answer]
    target = render(step.target, secrets)
    with socket.create_connection(("127.0.0.1", port), timeout=_DEADLINE_S) as connection:
        connection.sendall(b"%s %s HTTP/1.1\r\n" % (step.method.encode(), target) + _lines(headers) + (b"" if step.uploads else body))
        for part in pieces if step.uploads else []:
            pause.wait(_BETWEEN_S)
            connection.sendall(part)
        received = b""
        while more := connection.recv(65536):
            received += more
    if not step.hangs_up:
        assert _read_answer(received) == (step.status, answer), (step, received)
    return Sent(step, target, tuple(headers), body, tuple(answer_headers), answer)


def _lines(headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    return b"".join(b"%s: %s\r\n" % header for header in headers) + b"\r\n"


def _read_answer(received: bytes) -> tuple[int, bytes]:
    class Received:
        def makefile(self, *_: object) -> io.BytesIO:
            return io.BytesIO(received)

    response = http.client.HTTPResponse(cast("socket.socket", Received()))
    response.begin()
    with response:
        return response.status, response.read()
