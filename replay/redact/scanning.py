"""What still looks like a secret: what a redactor would change."""

from dataclasses import dataclass
from typing import Final

from replay.redact.compressed import UnreadError, decode_body
from replay.redact.edits import Edit
from replay.redact.text import Texts

_TEXTS: Final = Texts(b"scanning needs no key of its own")


@dataclass(frozen=True, slots=True)
class Suspect:
    """Something that still looks like a secret."""

    kind: str
    start: int
    length: int
    """In bytes."""


def scan(data: bytes, encoding: bytes = b"") -> list[Suspect]:
    """
    Find what still looks like a secret; placeholders are not reported.

    A body that is compressed (as *encoding*, the `content-encoding`, says, or as it shows itself) is looked into: kinds are then prefixed by
    `compressed ` and the span is the whole. One that can't be read is a suspect `compressed, not looked into`.
    """
    try:
        decoded = decode_body(data, encoding) if data else None
    except UnreadError:
        return [Suspect("compressed, not looked into", 0, len(data))]
    if decoded is not None:
        return [Suspect(f"compressed {suspect.kind}", 0, len(data)) for suspect in _scan(decoded.data)]
    return _scan(data)


def _scan(data: bytes) -> list[Suspect]:
    return [Suspect(edit.kind, edit.start, len(edit.replacement)) for edit in _TEXTS.find(data) if _changes(data, edit)]


def _changes(data: bytes, edit: Edit) -> bool:
    return data[edit.start : edit.end] != edit.replacement
