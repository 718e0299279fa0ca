"""
Small numbers that a daemon counts up and a client sends back: versions of memories, epochs of sessions.

How this works
--------------
A number is no id: `2` may be anything. It is learned only under a name that says what it counts, for the one thing that it belongs to (the id
beside it, or the client's session), and sent anew only under such a name for the same thing, where an answer gave that very number and the
observed answer gave another one in its place. A number that no answer gave, as of a version that never was, goes as it was recorded.
"""

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from replay.content import Number, Value
from replay.model import Request

_VERSIONS: Final = frozenset({"version", "currentversion", "newversion"})
_EXPECTED: Final = frozenset({"ifversion", "expectedversion"})
_EPOCHS: Final = frozenset({"contextepoch"})
_OWNERS: Final = ("id", "memoryId", "memory_id")
_WORTH_A_LOOK: Final = (b"if_version", b"ifVersion", b"expected_version", b"expectedVersion", b"context_epoch", b"contextEpoch")
_SESSION: Final = re.compile(rb'"session_?[kK]ey"[ \t\r\n]{0,20}:[ \t\r\n]{0,20}"([^"\\]{1,400})"')
_QUERY: Final = re.compile(r"(?<=[?&])(?:if|expected)_?[vV]ersion=([0-9]{1,9})(?=&|\Z)")
_TOKEN: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|-?[0-9][0-9.eE+-]*+|[{}\[\]:,]', re.DOTALL)
_DIGITS_MAX: Final = 9


@dataclass(slots=True)
class _Frame:
    """An object (or a list) that is open while a body is scanned."""

    key: str = ""
    owner: str | None = None
    found: list[tuple[str, int, int]] = field(default_factory=list)
    """Name, start and end of the numbers that may belong to it."""


class Counters:
    """Which observed number stands for a recorded one, for each thing that is counted."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], dict[int, int]] = {}

    def learn(self, recorded: dict[str, Value], observed: dict[str, Value], owner: str | None, session: str | None) -> None:
        """Learn from two objects at the same place; `owner` is the recorded id that both are about, `session` the one that asked."""
        for key, left in recorded.items():
            if not isinstance(left, Number):
                continue
            right = observed.get(key)
            plain = _plain(key)
            family = "version" if plain in _VERSIONS else "epoch" if plain in _EPOCHS else ""
            whose = owner if family == "version" else session
            if family and whose is not None and isinstance(right, Number) and _is_small(left) and _is_small(right):
                self._put((family, whose), int(left.text), int(right.text))

    def rewrite(self, request: Request) -> tuple[Request, list[str]]:
        """Put observed numbers in the place of recorded ones; gives the request, and in words what was changed. Ids stay as recorded."""
        body = request.body or b""
        if not self._known or not any(name in body or name in request.target for name in _WORTH_A_LOOK):
            return request, []
        told: list[str] = []
        target = request.target.decode("latin-1")
        owner = self._owner_in(target)
        target = _apply(target, self._in_query(target, owner, told))
        text = body.decode("utf-8", "surrogateescape")
        text = _apply(text, self._in_body(text, owner, session_of(request), told))
        if not told:
            return request, []
        return (
            Request(
                request.method,
                target.encode("latin-1"),
                request.version,
                request.headers,
                text.encode("utf-8", "surrogateescape") if request.body is not None else None,
                request.trailers,
            ),
            told,
        )

    def _put(self, whose: tuple[str, str], recorded: int, observed: int) -> None:
        if recorded != observed or whose in self._known:  # what is the same on both sides needs no room
            self._known.setdefault(whose, {})[recorded] = observed

    def _owner_in(self, target: str) -> str | None:
        segments = [unquote(part) for part in target.split("?", 1)[0].split("/")]
        return next((part for part in reversed(segments) if ("version", part) in self._known), None)

    def _in_query(self, target: str, owner: str | None, told: list[str]) -> list[tuple[int, int, str]]:
        found = [self._edit("version", owner, match.group(1), match.start(1), told) for match in _QUERY.finditer(target)]
        return [edit for edit in found if edit is not None]

    def _in_body(self, text: str, outer: str | None, session: str | None, told: list[str]) -> list[tuple[int, int, str]]:
        edits: list[tuple[int, int, str]] = []
        frames = [_Frame(owner=outer)]
        last = ""
        for match in _TOKEN.finditer(text):
            token = match.group()
            frame = frames[-1]
            match token[0]:
                case "{" | "[":
                    frames.append(_Frame(owner=frame.owner))
                case "}" | "]":
                    if len(frames) > 1:
                        self._close(frames.pop(), text, session, edits, told)
                case ":":
                    frame.key = last[1:-1]
                case ",":
                    frame.key = ""
                case '"':
                    last = token
                    if frame.key in _OWNERS:
                        frame.owner = token[1:-1]
                case _:
                    if _plain(frame.key) in _EXPECTED | _EPOCHS:
                        frame.found.append((frame.key, match.start(), match.end()))
        return sorted(edits)

    def _close(self, frame: _Frame, text: str, session: str | None, edits: list[tuple[int, int, str]], told: list[str]) -> None:
        for key, start, end in frame.found:
            family, whose = ("version", frame.owner) if _plain(key) in _EXPECTED else ("epoch", session)
            edit = self._edit(family, whose, text[start:end], start, told)
            if edit is not None:
                edits.append(edit)

    def _edit(self, family: str, whose: str | None, number: str, start: int, told: list[str]) -> tuple[int, int, str] | None:
        known = self._known.get((family, whose)) if whose is not None else None
        if known is None or not number.isdigit() or len(number) > _DIGITS_MAX:
            return None
        new = known.get(int(number))
        if new is None or str(new) == number:
            return None
        told.append(f"{family} {number} of {whose} is {new} here")
        return start, start + len(number), str(new)


def session_of(request: Request) -> str | None:
    """Give the session key that a request names in its header or body; None where it names none."""
    header = request.header(b"x-signet-session-key")
    if header:
        return header.decode("latin-1")
    match = _SESSION.search((request.body or b"")[:1_000_000])
    return match.group(1).decode("utf-8", "surrogateescape") if match else None


def _plain(key: str) -> str:
    return key.replace("_", "").lower()


def _is_small(number: Number) -> bool:
    return number.text.isdigit() and len(number.text) <= _DIGITS_MAX


def _apply(text: str, edits: list[tuple[int, int, str]]) -> str:
    for start, end, new in reversed(edits):
        text = text[:start] + new + text[end:]
    return text
