"""What a HAR of another tool did not say, or said otherwise than the wire did: the words that are noted on an exchange."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum


class Loss(StrEnum):
    """One kind of loss. Its text stands in the exchange's note."""

    START = "no time of start: placed with the entry before"
    ZONE = "time of start without a zone: taken as UTC"
    DURATION = "no duration"
    TIMINGS = "no timings: when the request had gone and the first byte came is not known"
    PSEUDO = "HTTP/2 pseudo headers: taken as method, target and Host"
    HOST = "no Host header: taken from the url"
    HEADERS = "some headers have no name or no value: left out"
    JOINED = "repeated headers were joined by line breaks: parted again"
    NOT_ASCII = "not ASCII: its bytes are taken as UTF-8"
    FRAGMENT = "a fragment in the url: left out, it is never sent"
    NO_HEADERS = "no headers"
    REQUEST_BODY = "the request's body is not in the HAR"
    PARAMS = "the request's body is there only as params: not put together again"
    REQUEST_LENGTH = "the request's body is not as long as its Content-Length says"
    BODY = "the answer's body is not in the HAR"
    DECODED = "the answer's body is decoded, its Content-Encoding stands as it was sent"
    CACHED = "an answer of this status has no body, the HAR shows what the browser had cached: left out"
    CUT = "the answer's body is shorter than the HAR says"
    LENGTH = "the answer's body is not as long as its Content-Length says"
    CHARSET = "the charset does not fit the text: its bytes are taken as UTF-8"
    REPLACED = "replacement characters in the text: bytes may be lost"
    STATUS = "no answer in the HAR"
    CONNECTION = "no connection: taken as one of its own"
    WEB_SOCKET = "WebSocket messages: left out"
    WORKER = "answered by a service worker"
    COMMENT = "comment"


@dataclass(slots=True)
class Losses:
    """Gathers what one entry lost, in the order of finding."""

    found: dict[Loss, str] = field(default_factory=dict)

    def add(self, loss: Loss, detail: str = "") -> None:
        """Note a loss, once."""
        self.found.setdefault(loss, detail)

    def note(self) -> str:
        """Give the exchange's note."""
        return "; ".join(f"{loss.value} ({detail})" if detail else loss.value for loss, detail in self.found.items())

    def count(self, into: Counter[str]) -> None:
        """Add these to counts by kind; a comment is no loss."""
        into.update(loss.value for loss in self.found if loss is not Loss.COMMENT)
