"""What is given to a daemon, how it was found, and the handling of its bytes."""

import json
import re
from dataclasses import dataclass, field
from typing import Any, Final

from replay.model import Header

EXACT: Final = "exact"
NORMALISED: Final = "normalised"
REWRITTEN: Final = "rewritten"
REPEATED: Final = "repeated"
MISS: Final = "miss"
TIERS: Final = (EXACT, NORMALISED, REWRITTEN, REPEATED, MISS)
"""How an answer was found, from the best to none."""


@dataclass(frozen=True, slots=True)
class Given:
    """What is sent, and how it was found."""

    stage: str
    tier: str
    status: int
    """0: the connection is closed without an answer, or held until the daemon leaves."""
    reason: bytes
    headers: tuple[Header, ...]
    """Without those that frame the body."""
    pieces: tuple[bytes, ...]
    """The body, as it was cut when it was recorded."""
    chunked: bool
    whole: bool
    """Whether the answer is ended after the pieces; else it is held open until the daemon leaves, or broken off."""
    broken: bool
    match: dict[str, Any] = field(default_factory=dict)
    """What to write down, in JSON's values."""
    made: bool = False
    """Whether the body is not the recorded one."""


def as_json(match: dict[str, Any]) -> str:
    """Spell how an answer was found as compact JSON."""
    return json.dumps(match, ensure_ascii=False, separators=(",", ":"))


def cut(body: bytes, sizes: tuple[int, ...]) -> tuple[bytes, ...]:
    """Cut a body into pieces of these sizes; what is left over is one more."""
    pieces: list[bytes] = []
    at = 0
    for size in sizes:
        pieces.append(body[at : at + size])
        at += size
    if at < len(body):
        pieces.append(body[at:])
    return tuple(pieces)


def put_in_bytes(body: bytes, names: dict[str, str]) -> bytes:
    """Replace names in bytes: ids and times are ASCII, and are spelt alike in JSON and in JSON inside of its strings."""
    plain_names = {old: new for old, new in names.items() if old.isascii() and new.isascii()}
    if not plain_names:
        return body
    pattern = b"|".join(re.escape(name.encode()) for name in sorted(plain_names, key=len, reverse=True))
    # A letter before a name makes it another word, but that of an escape (a line end in a JSON string) does not.
    whole = re.compile(rb"(?:(?<![0-9A-Za-z])|(?<=\\[nrtbf]))(?:" + pattern + rb")(?![0-9A-Za-z])")
    return whole.sub(lambda match: plain_names[match.group().decode()].encode(), body)
