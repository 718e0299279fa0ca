"""
The number of the format, and one converter for each step from an older one.

How this works
--------------
Everything above works with the newest format alone. An entry of a block, or a manifest, that bears an older number goes through every
step from its own number on, as plain maps, before it is checked against the values' shapes. A step knows two formats and nothing else,
and is never changed once its newer format is frozen. What is not of the older format is refused, not guessed at.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Final

from replay.archive.shapes import Mismatch
from replay.model import ArchiveError

FORMAT: Final = 1
"""The number of the format that this code writes, and the newest that it reads."""

type Content = dict[str, Any]


class NewerFormatError(ArchiveError):
    """The archive was written by a newer tool: nothing of it is guessed at."""


def newer_format(where: object, number: int) -> NewerFormatError:
    """Say that a format is too new."""
    return NewerFormatError(f"{where}: format {number} is newer than this tool, which reads up to {FORMAT}; update signet-parity")


def convert_entry(entry: Content, number: int) -> Content:
    """
    Bring an entry of a block from a format to the newest. *number* counts for all but a segment's head, which bears its own.

    Raises:
        Mismatch: it is none of that format.
        NewerFormatError: the head is of a later format.
    """
    own = _sane(entry.get("format") if entry.get("type") == "segment" else number)
    if own > FORMAT:
        raise newer_format("the segment", own)
    for step in range(own, FORMAT):
        entry = _ENTRY_STEPS[step](entry)
    return entry


def convert_manifest(content: Content, number: int) -> Content:
    """
    Bring a manifest from a format to the newest; its own number stays.

    Raises:
        Mismatch: it is none of that format.
        TypeError, KeyError, AttributeError: same.
    """
    for step in range(_sane(number), FORMAT):
        content = _MANIFEST_STEPS[step](content)
    return content


def _sane(number: object) -> int:
    if type(number) is not int or number < 0:
        raise Mismatch("no number of a format")
    return number


# --- 0 to 1: the recorder issue ---

_ADDED_IN_1: Final[Mapping[str, Content]] = {
    "segment": {"previous": "", "snapshot": None},
    "chunks": {"side": "response"},
    "exchange": {"request_streamed": False},
    "snapshot": {"taken_at": "start", "at": 0.0, "duration_ms": 0.0, "changed_meanwhile": [], "replaced": {}, "machine_id": ""},
    "workspace": {"modified_at": None, "redactions": [], "note": ""},
    "attachment": {"redactions": [], "note": ""},
    "end": {"cut": False},
}
_NEW_IN_1: Final = frozenset({"answered", "index"})


def _entry_to_1(entry: Content) -> Content:
    name = entry.get("type")
    added = _ADDED_IN_1.get(name, {}) if isinstance(name, str) else {}
    if name in _NEW_IN_1 or not entry.keys().isdisjoint(added):
        raise Mismatch("of a later format than it says")
    if name == "statistics" and isinstance(entry.get("values"), dict):
        entry = {**entry, "values": {key: float(value) if type(value) is int else value for key, value in entry["values"].items()}}
    return {**entry, **added}


def _manifest_to_1(content: Content) -> Content:
    """The manifest itself held the index of blocks; its segments keep it in `blocks`."""
    segments = []
    for segment in content["segments"]:
        blocks = [{**block, "number": number} for number, block in enumerate(segment["blocks"])]
        name = hashlib.sha256("\n".join(str(block["sha256"]) for block in blocks).encode()).hexdigest()
        segments.append({**segment, "blocks": blocks, "index": 0, "sha256": name, "key_header": None, "summary": _NOTHING})
    return {**content, "segments": segments, "cut": None, "recipients": [], "dropped": []}


_NOTHING: Final[Content] = {
    "first_event": None,
    "last_event": None,
    "first_exchange": None,
    "last_exchange": None,
    "records": {},
    "chunks": 0,
    "gaps": {},
    "redactions": {},
}

_ENTRY_STEPS: Final[Mapping[int, Callable[[Content], Content]]] = {0: _entry_to_1}
_MANIFEST_STEPS: Final[Mapping[int, Callable[[Content], Content]]] = {0: _manifest_to_1}
