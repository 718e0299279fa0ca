"""Server-sent events, by the rules of the WHATWG standard; comments and an unfinished last event are kept apart, not lost."""

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from replay.content.values import NotJsonError, Value, load

READ_EVENTS_MAX: Final = 100_000
"""The data of later events is left as text, JSON or not: a stream of a million events is compared in bounded time."""

_MARK: Final = b"\xef\xbb\xbf"
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class Event:
    """One event as a client would get it."""

    name: str
    """The event's type; `message` where the stream names none."""
    data: Value
    """The data read as JSON where it is JSON, else the text."""
    text: str
    """The data as text, its lines joined with line feeds."""
    id: str | None = None
    """The id given in this event (not the inherited one); None where it gives none."""
    retry: int | None = None
    json: bool = False
    """Whether `data` was read as JSON."""
    finished: bool = True
    """False for a last event without its blank line: a client would not have got it."""


def read_events(text: str) -> tuple[tuple[Event, ...], tuple[str, ...]]:
    """Give a stream's events and its comments. An unfinished last event comes last, with `finished` false."""
    events: list[Event] = []
    comments: list[str] = []
    name, ident, retry = "", None, None
    data: list[str] = []
    lines = split_lines(text.removeprefix("\ufeff"))
    whole = not lines or lines[-1] == ""
    for position, line in enumerate(lines):
        if line == "":
            if position == len(lines) - 1:
                break
            if data:
                events.append(_event(name, data, ident, retry, read=len(events) < READ_EVENTS_MAX))
            name, ident, retry, data = "", None, None, []
            continue
        if line.startswith(":"):
            comments.append(line[1:].removeprefix(" "))
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match field:
            case "event":
                name = value
            case "data":
                data.append(value)
            case "id" if "\0" not in value:
                ident = value
            case "retry" if value.isascii() and value.isdigit() and len(value) < 20:
                retry = int(value)
            case _:
                pass
    if data or name or (not whole and lines[-1] and not lines[-1].startswith(":")):
        # A field that was cut before its colon is shown as it stands: nothing of a stream is lost.
        events.append(_event(name, data or ([] if name else [lines[-1]]), ident, retry, finished=False))
    return tuple(events), tuple(comments)


def event_ends(body: bytes) -> list[int]:
    """
    Give for each event of a stream the number of bytes after which a client had it whole.

    As many as `read_events` gives; of an unfinished last event it is all bytes.
    """
    ends: list[int] = []
    data, named, at = False, False, len(_MARK) if body.startswith(_MARK) else 0
    while at < len(body):
        match = _LINE_END.search(body, at)
        stop, after = (len(body), len(body)) if match is None else match.span()
        line = body[at:stop]
        at = after
        if line == b"":
            if data:
                ends.append(after)
            data, named = False, False
        elif not line.startswith(b":"):
            field = line.partition(b":")[0]
            data, named = data or field == b"data", named or field == b"event" or match is None
    if data or named:
        ends.append(len(body))
    return ends


def split_lines(text: str) -> list[str]:
    """Split at CR LF, LF or CR only (not at the other separators that Python knows); a final end of line leaves a last empty line."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.split("\n")


def _event(name: str, data: list[str], ident: str | None, retry: int | None, *, finished: bool = True, read: bool = True) -> Event:
    text = "\n".join(data)
    value: Value = text
    is_json = False
    if read:
        with suppress(NotJsonError):
            value, is_json = load(text)[0], True
    return Event(name=name or "message", data=value, text=text, id=ident, retry=retry, json=is_json, finished=finished)
