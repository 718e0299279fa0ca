"""Up to where a text that still grows can be redacted: behind the last place that no secret crosses."""

import re
from typing import Final

from replay.redact.edits import Edit
from replay.redact.shapes import find_open_key

_DELIMITERS: Final = (b"\n", b",", b"}", b"]")
_OPEN_URL: Final = re.compile(rb":(?:\\{0,7}/){0,2}[^\s/@\"'<>\\]{0,600}\Z")
_OPEN_WINDOW_BYTES: Final = 1200


def find_safe_end(data: bytes, edits: list[Edit]) -> int:
    """
    Give the position up to which *data* is final, whatever comes next; *edits* are what is found in it now, in order.

    Between a name and its value, and inside a run or word, there is no delimiter. A value that is still open touches the end of *data*.
    """
    if not data:
        return 0
    safe = _delimited(data, len(data))
    for edit in edits:
        # what touches the end may go on; the quote that closes it may be an escaped one
        if edit.end >= len(data) - 1 and edit.start < safe:
            safe = min(safe, _delimited(data, edit.start))
    window = max(0, len(data) - _OPEN_WINDOW_BYTES)
    url = data.rfind(b"://", window)
    if url >= 0 and _OPEN_URL.match(data, url):
        safe = min(safe, _delimited(data, url))
    key = find_open_key(data)
    if key >= 0:
        safe = min(safe, key)
    # no span is cut: where one stands across the position, that moves before it, and perhaps into an earlier one
    for edit in reversed(edits):
        if edit.start < safe < edit.end:
            safe = _delimited(data, edit.start)
    return safe


def _delimited(data: bytes, end: int) -> int:
    return 1 + max(data.rfind(delimiter, 0, end) for delimiter in _DELIMITERS)
