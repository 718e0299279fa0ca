"""HTTP/1 requests read from pieces of bytes, one after the other. No sockets; httptools parses."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

import httptools

BODY_BYTES_MAX: Final = 64 * 1024 * 1024
HEAD_BYTES_MAX: Final = 256 * 1024


class NotARequestError(Exception):
    """What came is no request; the message says why."""


@dataclass(slots=True)
class Incoming:
    """One request."""

    method: bytes = b""
    target: bytes = b""
    body: bytearray = field(default_factory=bytearray)
    keeps: bool = True
    """Whether the connection may be used again after it."""


class RequestReader:
    """Reads the requests of one connection. Feed it, then take what is whole."""

    def __init__(self) -> None:
        self.whole: deque[Incoming] = deque()
        """Requests that came to their ends, in order."""
        self.expects = False
        """Whether the other side waits to be told to go on before it sends its body; whoever tells it takes this back."""
        self._now = Incoming()
        self._head_bytes = 0
        self._in_body = False
        self._upgraded = False
        self._parser = httptools.HttpRequestParser(self)

    @property
    def method(self) -> str:
        """The method of a request that is not whole yet, as far as it is known."""
        return self._now.method.decode("latin-1")

    def feed(self, data: bytes) -> None:
        """
        Read a piece.

        Raises:
            NotARequestError: it is no HTTP, or longer than any request.

        """
        if self._upgraded:
            return
        self._head_bytes += 0 if self._in_body else len(data)
        if self._head_bytes > HEAD_BYTES_MAX + BODY_BYTES_MAX:
            raise NotARequestError("its head has no end")
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._upgraded = True  # what follows is another protocol, which nobody here speaks
        except httptools.HttpParserError as error:
            if not self.whole:
                raise NotARequestError(str(error)) from error
        if len(self._now.body) > BODY_BYTES_MAX:
            raise NotARequestError(f"its body is longer than {BODY_BYTES_MAX} bytes")

    # --- called by the parser ---

    def on_message_begin(self) -> None:
        """Start a request."""
        self._now = Incoming()
        self._head_bytes = 0
        self._in_body = False

    def on_url(self, piece: bytes) -> None:
        """Take a piece of the target."""
        self._now.target += piece
        if len(self._now.target) > HEAD_BYTES_MAX:
            raise NotARequestError("its target has no end")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header: only one of them matters here."""
        self.expects = self.expects or (name.lower() == b"expect" and value.lower() == b"100-continue")

    def on_headers_complete(self) -> None:
        """Close the head."""
        self._now.method = self._parser.get_method()
        self._in_body = True

    def on_body(self, piece: bytes) -> None:
        """Take a piece of the body."""
        self._now.body += piece

    def on_message_complete(self) -> None:
        """Close the request."""
        self._now.keeps = self._parser.should_keep_alive() and not self._upgraded
        self.expects = False
        self.whole.append(self._now)
        self._in_body = False
