"""
Replace strings in a body and leave every other byte as it was.

How this works
--------------
Rewriting never goes through parse and serialise: that would lose key order marks, number spellings, white space and escapes.
Instead a body becomes text (without loss), the strings in it are found as spans, and each string whose replacement differs gives
*edits* (start, end, new text): the spans that `replace` names, or the part of the string that changed.
A string that holds JSON is looked into, to any depth:
its edits are carried outwards through a map from positions in the decoded string to positions in its escaped spelling.
Everything is one pass over the text per depth, so the time is linear in the body's size.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote_from_bytes, unquote_to_bytes

from replay.content.parse import decode, essence, kind_of_media
from replay.content.values import NotJsonError, load, looks_embedded

type Span = tuple[int, int, str]
"""Start, end and the text to put there."""

type Replace = Callable[[str], str | list[Span] | None]
"""Gives the new string, or the spans to replace in it (ordered, not overlapping), or None (or the same string) to leave it."""

_STRING: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_UNIT: Final = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.|[^\\]++",
    re.DOTALL,
)
_MUST_ESCAPE: Final = re.compile('[\x00-\x1f"\\\\\ud800-\udfff]')
_SHORT: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
_SSE_LINE: Final = re.compile(r"([^\r\n]*+)(\r\n|\n|\r|\Z)")
_RESERVED: Final = "!#$&'()*+,/:;=?@[]-._~"


@dataclass(frozen=True, slots=True)
class _Edit:
    start: int
    end: int
    new: str


def rewrite(body: bytes, media_type: bytes | None, replace: Replace) -> tuple[bytes, int]:
    """
    Replace strings of a body: JSON values and keys (also in strings that hold JSON), form fields, SSE fields, or the whole text.

    Gives the new body and the number of spans that changed. Binary bodies stay as they are.
    """
    if not body:
        return body, 0
    claimed = kind_of_media(essence(media_type))
    text, odd = decode(body)
    if odd and claimed is None:
        return body, 0
    match claimed:
        case "ndjson":
            edits = _edits_by_line(text, replace)
        case "sse":
            edits = _edits_in_events(text, replace)
        case "form" if not looks_embedded(text):
            return _rewrite_form(body, replace)
        case _:
            edits = _edits(text, replace, always_json=claimed == "json")
    if not edits:
        return body, 0
    return _apply(text, edits).encode("utf-8", "surrogateescape"), len(edits)


def rewrite_text(text: str, replace: Replace) -> tuple[str, int]:
    """Do as `rewrite` for a text, which may be JSON: its strings are replaced if it is, otherwise the text as a whole."""
    edits = _edits(text, replace, always_json=False)
    return (_apply(text, edits), len(edits)) if edits else (text, 0)


def rewrite_target(target: bytes, replace: Replace) -> tuple[bytes, int]:
    """Replace in a request target: path segments, query names and values are seen percent-decoded, and encoded again if they changed."""
    path, mark, query = target.partition(b"?")
    count = 0
    segments = path.split(b"/")
    for index, segment in enumerate(segments):
        segments[index], changed = _rewrite_encoded(segment, replace, plus_is_space=False)
        count += changed
    if query:
        query, changed = _rewrite_form(query, replace)
        count += changed
    return b"/".join(segments) + mark + query, count


def _edits(text: str, replace: Replace, *, always_json: bool) -> list[_Edit]:
    if (always_json or looks_embedded(text)) and _is_json(text):
        return _edits_in_json(text, replace)
    return _whole(text, replace)


def _is_json(text: str) -> bool:
    try:
        load(text.removeprefix("\ufeff"))
    except NotJsonError:
        return False
    return True


def _whole(text: str, replace: Replace) -> list[_Edit]:
    new = replace(text)
    if new is None or new == text:
        return []
    if isinstance(new, list):
        return [_Edit(start, end, put) for start, end, put in new]
    return [_trim(text, new)]


def _edits_in_json(text: str, replace: Replace) -> list[_Edit]:
    found: list[_Edit] = []
    for match in _STRING.finditer(text):
        start, end = match.start() + 1, match.end() - 1
        raw = text[start:end]
        if "\\" in raw:
            value: str = json.loads(match.group())
            inner = _edits(value, replace, always_json=False)
            if inner:
                found.extend(_outwards(raw, start, inner))
        else:
            found.extend(_Edit(start + edit.start, start + edit.end, _escape(edit.new)) for edit in _edits(raw, replace, always_json=False))
    return found


def _outwards(raw: str, start: int, inner: list[_Edit]) -> list[_Edit]:
    """Carry edits of a decoded string to its escaped spelling, which begins at `start`."""
    units: list[tuple[int, int, bool]] = []
    position = 0
    for match in _UNIT.finditer(raw):
        plain = raw[match.start()] != "\\"
        units.append((position, match.start(), plain))
        position += match.end() - match.start() if plain else 1
    units.append((position, len(raw), False))
    found: list[_Edit] = []
    at = 0

    def spelt(wanted: int) -> int:
        nonlocal at
        while at + 1 < len(units) and units[at + 1][0] <= wanted:
            at += 1
        decoded, escaped, plain = units[at]
        return escaped + (wanted - decoded if plain else 0)

    for edit in inner:
        begin = spelt(edit.start)
        found.append(_Edit(start + begin, start + spelt(edit.end), _escape(edit.new)))
    return found


def _trim(old: str, new: str) -> _Edit:
    """Give the edit that turns old into new, without the beginning and the end that they share."""
    shortest = min(len(old), len(new))
    head = shared_head(old, new, shortest)
    tail = _shared_tail(old, new, shortest - head)
    return _Edit(head, len(old) - tail, new[head : len(new) - tail])


def shared_head(old: str, new: str, limit: int) -> int:
    """Find how many characters both begin with, by halving: comparing slices is much faster than comparing characters."""
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        if old[low:middle] == new[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _shared_tail(old: str, new: str, limit: int) -> int:
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        if old[len(old) - middle : len(old) - low] == new[len(new) - middle : len(new) - low]:
            low = middle
        else:
            high = middle - 1
    return low


def _escape(text: str) -> str:
    return _MUST_ESCAPE.sub(_escape_one, text)


def _escape_one(match: re.Match[str]) -> str:
    character = match.group()
    return _SHORT.get(character) or f"\\u{ord(character):04x}"


def _apply(text: str, edits: list[_Edit]) -> str:
    parts: list[str] = []
    at = 0
    for edit in edits:
        parts.append(text[at : edit.start])
        parts.append(edit.new)
        at = edit.end
    parts.append(text[at:])
    return "".join(parts)


def _shift(edits: list[_Edit], by: int) -> list[_Edit]:
    return [_Edit(edit.start + by, edit.end + by, edit.new) for edit in edits]


def _edits_by_line(text: str, replace: Replace) -> list[_Edit]:
    found: list[_Edit] = []
    for match in _SSE_LINE.finditer(text):
        if match.group(1):
            found.extend(_shift(_edits(match.group(1), replace, always_json=True), match.start()))
    return found


def _edits_in_events(text: str, replace: Replace) -> list[_Edit]:
    """Find edits in an event stream; data over several lines is seen joined, as a client would see it."""
    found: list[_Edit] = []
    data: list[tuple[int, str]] = []

    def flush() -> None:
        if data:
            found.extend(_edits_in_data(data, replace))
            data.clear()

    for match in _SSE_LINE.finditer(text):
        line = match.group(1)
        if not line:
            flush()
            continue
        field, colon, value = line.partition(":")
        if not colon:
            continue
        start = match.start() + len(field) + 1
        if value.startswith(" "):
            start, value = start + 1, value[1:]
        if field == "data":
            data.append((start, value))
        else:
            found.extend(_shift(_whole(value, replace), start))
    flush()
    return sorted(found, key=lambda edit: edit.start)


def _edits_in_data(lines: list[tuple[int, str]], replace: Replace) -> list[_Edit]:
    if len(lines) == 1:
        start, value = lines[0]
        return _shift(_edits(value, replace, always_json=False), start)
    joined = "\n".join(value for _, value in lines)
    if not (looks_embedded(joined) and _is_json(joined)):
        return [edit for start, value in lines for edit in _shift(_edits(value, replace, always_json=False), start)]
    found: list[_Edit] = []
    line, begins = 0, 0
    for edit in _edits_in_json(joined, replace):  # a JSON string can't hold a line's end, so no edit crosses lines
        while edit.start > begins + len(lines[line][1]):
            begins += len(lines[line][1]) + 1
            line += 1
        found.append(_shift([edit], lines[line][0] - begins)[0])
    return found


def _rewrite_form(query: bytes, replace: Replace) -> tuple[bytes, int]:
    count = 0
    fields = query.split(b"&")
    for index, field in enumerate(fields):
        name, equals, value = field.partition(b"=")
        name, changed = _rewrite_encoded(name, replace, plus_is_space=True)
        value, changed_too = _rewrite_encoded(value, replace, plus_is_space=True)
        count += changed + changed_too
        fields[index] = name + equals + value
    return b"&".join(fields), count


def _rewrite_encoded(part: bytes, replace: Replace, *, plus_is_space: bool) -> tuple[bytes, int]:
    if not part:
        return part, 0
    plain = part.replace(b"+", b" ") if plus_is_space else part
    decoded = unquote_to_bytes(plain).decode("utf-8", "surrogateescape")
    new, count = rewrite_text(decoded, replace)
    if not count:
        return part, 0
    edit = _trim(decoded, new)
    raw = new.encode("utf-8", "surrogateescape")
    if b"%" not in plain and plain == part and not _needs_quoting(edit.new):
        return raw, 1
    safe = "".join(character for character in _RESERVED if character.encode() in part and not (plus_is_space and character == "+"))
    encoded = quote_from_bytes(raw, safe=safe + "~")
    return (encoded.replace("%20", "+") if b"+" in part and plus_is_space else encoded).encode("ascii"), 1


def _needs_quoting(text: str) -> bool:
    return quote_from_bytes(text.encode("utf-8", "surrogateescape"), safe=":~") != text
