"""What handlers take and give: a request with its meaning, and a reply that is a value, bytes or a stream."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

JSON_TYPE: Final = "application/json"
TEXT_TYPE: Final = "text/plain; charset=UTF-8"
EVENTS_TYPE: Final = "text/event-stream"
LINES_TYPE: Final = "application/x-ndjson"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, after authentication."""

    subject: str
    role: str
    claims: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """A request on its way to its handler."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names in small letters."""
    raw: bytes
    parameters: Mapping[str, str] = field(default_factory=dict)
    """What the path's template names."""
    body: Mapping[str, Any] = field(default_factory=dict)
    """The JSON object of the body, where the route has one."""
    caller: Caller | None = None

    def number(self, name: str, default: int) -> int:
        """Give a query parameter as a number from 0 to 1000; *default* where it is absent or no number."""
        text = self.query.get(name, "")
        return min(int(text), 1000) if text.isascii() and text.isdigit() else default


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. With *stream*, chunks go out one by one and *value* is not used."""

    status: int = 200
    value: Any = None
    """A JSON value, or text or bytes as they are where *content_type* is not JSON."""
    content_type: str = JSON_TYPE
    headers: tuple[tuple[str, str], ...] = ()
    stream: Callable[[], Iterator[bytes]] | None = None


class RefusedError(Exception):
    """A handler's way to answer at once with an error."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply.status))
        self.reply = reply


def refuse(status: int, error: str, /, **more: Any) -> RefusedError:
    """Make an error in the daemon's JSON form."""
    return RefusedError(Reply(status, {"error": error, **more}))


def frame(value: Any, dump: Callable[[Any], str] = json.dumps) -> bytes:
    """Make one event of a stream."""
    return f"data: {dump(value)}\n\n".encode()
