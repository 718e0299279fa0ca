r"""
Secrets under an encoding: percent signs, `\\u00XX`, base64 (both alphabets), hexadecimal.

How this works
--------------
Percent signs and JSON's unicode escapes are undone into a *view* with a map back; what is found there is replaced in the bytes as they are,
over the whole of the escaped span. Base64 and hexadecimal runs that decode to text are searched as texts of their own, and where
something is found the run is encoded again, which keeps its length. A view or a run may hold further ones, to a fixed depth.
"""

import base64
import binascii
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import Final

from replay.redact.edits import Edit, apply_edits
from replay.redact.placeholder import LONG_TAG, claims_of, is_placeholder, make_opaque

type FindText = Callable[[bytes, int], list[Edit]]
"""Finds the secrets of a text at a depth of encodings."""

DEPTH_MAX: Final = 4
_PERCENT: Final = re.compile(rb"%[2-7][0-9A-Fa-f]")
_UNICODE: Final = re.compile(rb"\\+u00[2-7][0-9A-Fa-f]")
_RUN_MIN: Final = 24
_CLASSES: Final = bytes(97 if chr(code).isalnum() and code < 128 else 32 for code in range(256))
_RUN: Final = b"a" * _RUN_MIN
_STANDARD: Final = re.compile(rb"[A-Za-z0-9+/_-]*+={0,2}")
_BEFORE: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_-"
_HEX: Final = b"0123456789abcdefABCDEF"
_BEFORE_MAX: Final = 64
_STANDARD_ALPHABET: Final = bytes.maketrans(b"-_", b"+/")
_URL_ALPHABET: Final = bytes.maketrans(b"+/", b"-_")


def find_encoded(data: bytes, find: FindText, key: bytes, depth: int) -> list[Edit]:
    """Find secrets under an encoding in *data*; *find* looks into what was decoded, at *depth* + 1."""
    if depth >= DEPTH_MAX:
        return []
    edits: list[Edit] = []
    if b"%" in data and _PERCENT.search(data):
        edits += _through(data, _PERCENT, find, key, depth)
    if b"\\" in data and b"u00" in data and _UNICODE.search(data):
        edits += _through(data, _UNICODE, find, key, depth)
    for start, end in _runs(data):
        if data[end : end + 1] == b"." and claims_of(data[start:end]):
            continue  # a bearer token keeps its claims; its signature is found by its shape
        edit = _inside(data[start:end], start, find, depth)
        if edit is not None:
            edits.append(edit)
    return edits


def _through(data: bytes, pattern: re.Pattern[bytes], find: FindText, key: bytes, depth: int) -> list[Edit]:
    """Undo one kind of escape, search, and bring the finds back."""
    plain = bytearray()
    plain_ends: list[int] = []
    raw_ends: list[int] = []
    at = 0
    for match in pattern.finditer(data):
        plain += data[at : match.start()]
        plain.append(int(match[0][-2:], 16))
        at = match.end()
        plain_ends.append(len(plain))
        raw_ends.append(at)
    plain += data[at:]
    text = bytes(plain)

    def raw(position: int) -> int:
        index = bisect_right(plain_ends, position) - 1
        return position if index < 0 else raw_ends[index] + position - plain_ends[index]

    edits = []
    for edit in find(text, depth + 1):
        # an escape that ends the span belongs to it; one that stands before it does not
        start, end = raw(edit.start), raw(edit.end - 1)
        index = bisect_right(plain_ends, edit.end) - 1
        end = raw_ends[index] if index >= 0 and plain_ends[index] == edit.end else end + 1
        secret = data[start:end]
        if len(secret) == len(edit.replacement):
            edits.append(Edit(start, edit.kind, edit.replacement))
        elif is_placeholder(secret):
            edits.append(Edit(start, edit.kind, secret))
        else:
            edits.append(Edit(start, edit.kind, make_opaque(key, text[edit.start : edit.end], end - start)))
    return edits


def _runs(data: bytes) -> Iterator[tuple[int, int]]:
    """Give the spans that may be base64 or hexadecimal: those around a long run of letters and digits."""
    classes = data.translate(_CLASSES)
    at = classes.find(_RUN)
    while at >= 0:
        end = classes.find(b" ", at)
        end = len(data) if end < 0 else end
        start = at
        piece = data[at:end]
        if not piece.strip(_HEX):
            # mostly a digest; text in hexadecimal has no other first digits
            if piece[0] in b"234567" and len(piece) % 2 == 0 and not piece[::2].strip(b"234567"):
                yield at, end
            at = classes.find(_RUN, end)
            continue
        before = data[at - 1 : at]
        if before == b"\\":
            # the letter of an escape, not of the run
            start += 5 if piece[:1] == b"u" else 1
        elif before == b"%":
            start += 2
        if _reads(data, start) or (before and before in b"+/_-" and _reads(data, start := _begin(data, start))):
            match = _STANDARD.match(data, start)
            assert match is not None
            end = max(match.end(), end)
            yield start, end
        elif data.startswith(LONG_TAG, start):
            # a placeholder's own letters, however long
            match = _STANDARD.match(data, start)
            assert match is not None
            end = max(match.end(), end)
        at = classes.find(_RUN, end)


def _begin(data: bytes, start: int) -> int:
    """Where the run of all base64 characters begins, to which a run of letters and digits belongs."""
    before = data[max(0, start - _BEFORE_MAX) : start]
    return start - len(before) + len(before.rstrip(_BEFORE))


def _reads(data: bytes, start: int) -> bool:
    """Whether the beginning of a run decodes to text. Random keys and digests do not, but for one in thousands."""
    try:
        head = base64.b64decode(data[start : start + 16].translate(_STANDARD_ALPHABET))
    except binascii.Error:
        return False
    if head.isascii():
        return b"\x00" not in head
    if not head[:8].isascii():
        return False
    try:
        base64.b64decode(data[start : start + 24].translate(_STANDARD_ALPHABET)).decode("utf-8", "strict")
    except UnicodeDecodeError as error:
        return error.start > 8
    except binascii.Error:
        return False
    return True


def _inside(run: bytes, start: int, find: FindText, depth: int) -> Edit | None:
    if is_placeholder(run):
        return None
    hexadecimal = not run.strip(_HEX)
    if hexadecimal:
        plain = bytes.fromhex(run.decode("ascii"))
    else:
        body = run.rstrip(b"=")
        body = body[: len(body) - (len(body) % 4 == 1)]
        plain = base64.b64decode(body.translate(_STANDARD_ALPHABET) + b"=" * (-len(body) % 4))
    edits = find(plain, depth + 1)
    if not edits:
        return None
    clean = apply_edits(plain, edits)
    kind = edits[0].kind
    if clean == plain:
        return Edit(start, kind, run)
    if hexadecimal:
        encoded = clean.hex().encode()
        return Edit(start, kind, encoded.upper() if run.isupper() else encoded)
    encoded = base64.b64encode(clean).rstrip(b"=")
    if b"-" in run or b"_" in run:
        encoded = encoded.translate(_URL_ALPHABET)
    return Edit(start, kind, encoded + run[len(encoded) :])
