"""
HTTP/1 as bytes: a request exactly as it was recorded, an answer read piece by piece. No sockets.

httptools parses; what it leaves to its user is done here: HEAD, answers that end with the connection, 1xx heads in between, trailers.
"""

from typing import Final

import httptools

from replay.model import Header, Request

_BODYLESS: Final = frozenset({204, 304})


class NotHttpError(Exception):
    """What came is not HTTP; the message says what the parser made of it."""


def request_bytes(request: Request) -> bytes:
    """
    Spell a request: its target, header order, case and duplicates as they are; the body chunked where its headers say so.

    The body must not be None.
    """
    body = request.body or b""
    lines = [b" ".join((request.method, request.target, request.version))]
    lines += [b": ".join((name, value)) for name, value in request.headers]
    head = b"\r\n".join(lines) + b"\r\n\r\n"
    if b"chunked" not in (request.header(b"transfer-encoding") or b"").lower():
        return head + body
    chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    trailers = b"".join(b"%b: %b\r\n" % header for header in request.trailers)
    return head + chunk + b"0\r\n" + trailers + b"\r\n"


ANSWER_BYTES_MAX: Final = 256 * 1024 * 1024
"""A daemon that floods must not take the player's memory: beyond this an answer is cut, and says so."""


class AnswerReader:
    """Reads one answer from pieces of bytes. Feed it, look at its state; body pieces are taken with `take`."""

    def __init__(self, method: bytes, bytes_max: int = ANSWER_BYTES_MAX) -> None:
        self._fed = 0
        self._bytes_max = bytes_max
        self.version = b""
        self.status = 0
        self.reason = b""
        self.headers: list[Header] = []
        self.trailers: list[Header] = []
        self.interim: list[int] = []
        """The status codes of 1xx heads that came before the answer."""
        self.head_whole = False
        self.whole = False
        self.any_byte = False
        self._is_head = method == b"HEAD"
        self._pieces: list[bytes] = []
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """
        Read a piece.

        Raises:
            NotHttpError: it is no HTTP, or has no end.

        """
        self.any_byte = self.any_byte or bool(data)
        self._fed += len(data)
        if self._fed > self._bytes_max:
            raise NotHttpError(f"cut: longer than {self._bytes_max} bytes")
        if self.whole or self._parser is None:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.whole = True
        except httptools.HttpParserError as error:
            if not self.whole:
                raise NotHttpError(str(error)) from error

    def close(self) -> None:
        """Read no more: the parser and this hold each other, and would be kept until a collection of garbage."""
        self._parser = None

    def end_of_stream(self) -> bool:
        """Say that the connection has ended; gives whether the answer is whole."""
        if self.head_whole and not self.whole and not self._is_framed():
            self.whole = True
        return self.whole

    def take(self) -> bytes:
        """Give the body bytes that came since the last call."""
        data = b"".join(self._pieces)
        self._pieces.clear()
        return data

    def header(self, name: bytes) -> bytes:
        """Give the first value of a header, named in lower case; empty where it is absent."""
        for key, value in self.headers:
            if key.lower() == name:
                return value
        return b""

    @property
    def keeps_alive(self) -> bool:
        """Whether the connection may be used again after this answer."""
        said = self.header(b"connection").lower()
        if self.version == b"HTTP/1.0":
            return b"keep-alive" in said and self._is_framed()
        return b"close" not in said and self._is_framed()

    # --- called by the parser ---

    def on_message_begin(self) -> None:
        """Start a head: the first, or the one after a 1xx."""
        if self.head_whole:
            return
        self.reason = b""
        self.headers.clear()

    def on_status(self, piece: bytes) -> None:
        """Take a piece of the reason phrase."""
        if not self.whole:
            self.reason += piece

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, or a trailer where the head is whole."""
        if not self.whole:
            (self.trailers if self.head_whole else self.headers).append((name, value))

    def on_headers_complete(self) -> None:
        """Close the head; an answer to HEAD ends with it, whatever its headers say."""
        if self.whole or self._parser is None:
            return
        status = self._parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            return
        self.status = status
        self.version = b"HTTP/" + self._parser.get_http_version().encode()
        self.head_whole = True
        if self._is_head or status in _BODYLESS:
            self.whole = True

    def on_body(self, piece: bytes) -> None:
        """Take a piece of the body."""
        if not self.whole:
            self._pieces.append(piece)

    def on_message_complete(self) -> None:
        """Close the answer, or a 1xx before it."""
        if self.head_whole:
            self.whole = True
        elif self._parser is not None:
            self.interim.append(self._parser.get_status_code())

    def _is_framed(self) -> bool:
        bodyless = self._is_head or self.status in _BODYLESS
        return bodyless or bool(self.header(b"content-length")) or b"chunked" in self.header(b"transfer-encoding").lower()
