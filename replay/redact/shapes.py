"""
Secrets that are known by their own shape, wherever they stand: keys, tokens, passwords in URLs, private keys, credentials after a scheme.

Every pattern is anchored at a literal and bounded, or walks each run of characters once, so that a body of many megabytes takes linear time.
"""

import re
from collections.abc import Callable, Iterator
from typing import Final

from replay.redact.edits import Edit
from replay.redact.names import holds_rare
from replay.redact.placeholder import API_KEY, count_kept, is_placeholder, make_credential, make_opaque

type Spans = Iterator[tuple[str, int, int]]
"""(kind, start, end) of each find."""

_SIGNATURE_MIN: Final = 32
"""A dotted word whose last part is shorter is a file's name rather than a signed token."""
_TAG_MIN: Final = 16
_DOTTED: Final = re.compile(rb"[A-Za-z0-9_-]++(?:\.[A-Za-z0-9_-]*+){0,4}+")


def _apart(prefix: bytes) -> bytes:
    """Make a pattern for behind *prefix*: no letter stands before it, but for that of an escape (such as a line's end in a JSON string)."""
    return rb"(?:(?<!\w%b)|(?<=\\[bfnrt]%b)|(?<=\\u[0-9A-Fa-f]{4}%b)|(?<=%%[0-9A-Fa-f]{2}%b))" % (prefix, prefix, prefix, prefix)


_UNDERSCORED: Final = re.compile(
    rb"_(?:(?<=gh[pousr]_)%b|(?<=github_pat_)|(?<=phc_)%b|(?<=[sr]k_live_)|(?<=[sr]k_test_)|(?<=whsec_)"
    rb"|(?<=npm_)%b|(?<=hf_)%b|(?<=dop_v1_))([A-Za-z0-9_-]{16,255}+)" % tuple(map(_apart, (rb"gh[pousr]_", b"phc_", b"npm_", b"hf_")))
)
# that no letter stands before is asked behind the prefix: a pattern that begins with a literal is found twenty times as fast
_DASHED: Final = re.compile(rb"sk-%b(?:ant-|proj-|or-)?([A-Za-z0-9_-]{20,255}+)" % _apart(b"sk-"))
_SLACK: Final = re.compile(rb"x(?:ox[abeoprs]-|app-)%b([A-Za-z0-9_~-]{10,255}+)" % _apart(b"....."), re.DOTALL)
_GOOGLE: Final = re.compile(rb"AIza%b([A-Za-z0-9_-]{35}+)" % _apart(b"AIza"))
_AWS: Final = re.compile(rb"A(?:KIA|SIA)%b([A-Z0-9~]{16})(?!\w)" % _apart(b"...."), re.DOTALL)
_URL_PASSWORD: Final = re.compile(rb":(?:\\{0,7}/){2}[^\s/@:\"'<>\\]{0,256}:([^\s/@?#\"'<>\\]{1,256})@")
_URL_TOKEN: Final = re.compile(rb"://([A-Za-z0-9_~-]{16,256})@")
_SCHEMED: Final = (
    (b"bearer ", "bearer", re.compile(rb"[Bb](?i:earer) ++([A-Za-z0-9._~+/=-]{12,8192}+)")),
    (b"basic ", "basic", re.compile(rb"[Bb](?i:asic) ++([A-Za-z0-9_~+/=-]{8,8192}+)")),
)
_PRIVATE_KEY: Final = re.compile(rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_PRIVATE_KEY_END: Final = b"-----END"
PRIVATE_KEY_MAX_BYTES: Final = 32 * 1024
_PEM_PIECE: Final = re.compile(rb"\\++[nrt]|([A-Za-z0-9+/=_~-]{2,}+)|[A-Za-z-]++: [^\r\n\\]*+")
_PROSE: Final = re.compile(rb"[A-Za-z-]*")


def find_shapes(data: bytes, folded: bytes, key: bytes) -> list[Edit]:
    """
    Find what looks like a secret in *data*, placeholders included, with what shall stand there.

    *folded* is *data* in lower case with `-` for `_` (`replay.redact.names.fold`), by which absent shapes are ruled out.
    """
    edits: list[Edit] = []
    for kind, start, end in _tokens(data, folded):
        replaced = make_credential(key, data[start:end])
        kept = count_kept(replaced)
        # narrowed to the part that changes, so that the declared span is no wider than what was replaced
        edits.append(Edit(start + kept, kind, replaced[kept:]))
    for find in _FINDERS:
        for kind, start, end in find(data, folded):
            secret = data[start:end]
            edits.append(Edit(start, kind, secret if is_placeholder(secret) else make_opaque(key, secret, len(secret))))
    return edits


def find_open_key(data: bytes) -> int:
    """Where a private key begins whose end is not in *data*; -1 where there is none."""
    start = data.rfind(b"-----BEGIN ")
    return start if start >= 0 and data.find(_PRIVATE_KEY_END, start) < 0 else -1


def _tokens(data: bytes, folded: bytes) -> Spans:
    """Find API keys and signed tokens: two parts as the daemon makes them, three of a JWT, five of an encrypted one."""
    if b"sk-" in folded:
        for match in API_KEY.finditer(data):
            yield "api-key", match.start(), match.end()
    at = data.find(b"eyJ") if holds_rare(data, b"J", 2, (b"eyJ",)) else -1
    while at >= 0:
        dotted = _DOTTED.match(data, at)
        assert dotted is not None
        parts = dotted[0].split(b".")
        wanted = 0
        if len(parts) == 5 and len(parts[4]) >= _TAG_MIN:
            wanted = 5
        elif len(parts) >= 3 and parts[1].startswith((b"eyJ", b"REDACTED")) and len(parts[2]) >= _TAG_MIN:
            wanted = 3
        elif len(parts) >= 2 and len(parts[1]) >= _SIGNATURE_MIN:
            wanted = 2
        if wanted:
            yield "bearer", at, at + sum(map(len, parts[:wanted])) + wanted - 1
        at = data.find(b"eyJ", dotted.end())


def _provider_keys(data: bytes, folded: bytes) -> Spans:
    found = list(_UNDERSCORED.finditer(data))
    if b"sk-" in folded:
        found.extend(_DASHED.finditer(data))
    if holds_rare(data, b"x", 0, (b"xox", b"xapp-")):
        found.extend(_SLACK.finditer(data))
    if holds_rare(data, b"I", 1, (b"AIza",)):
        found.extend(_GOOGLE.finditer(data))
    if holds_rare(data, b"I", 2, (b"AKIA", b"ASIA")):
        found.extend(_AWS.finditer(data))
    end = 0
    for match in sorted(found, key=lambda match: match.start(1)) if len(found) > 1 else found:
        if match.start(1) >= end:
            end = match.end(1)
            yield "provider-key", match.start(1), match.end(1)


def _in_urls(data: bytes, _folded: bytes) -> Spans:
    if b"@" in data:
        for pattern in (_URL_PASSWORD, _URL_TOKEN):
            for match in pattern.finditer(data):
                yield "url-password", match.start(1), match.end(1)


def _schemed(data: bytes, folded: bytes) -> Spans:
    for marker, kind, pattern in _SCHEMED:
        if marker in folded:
            for match in pattern.finditer(data):
                word = match[1]
                # a word of prose is no credential
                if _PROSE.fullmatch(word) is None or (kind == "basic" and len(word) % 4 == 0 and not word.islower()):
                    yield kind, match.start(1), match.end(1)


def _private_keys(data: bytes, _folded: bytes) -> Spans:
    if b"-----BEGIN" not in data:
        return
    for match in _PRIVATE_KEY.finditer(data):
        end = data.find(_PRIVATE_KEY_END, match.end(), match.end() + PRIVATE_KEY_MAX_BYTES)
        if end < 0:
            end = min(len(data), match.end() + PRIVATE_KEY_MAX_BYTES)
        for piece in _PEM_PIECE.finditer(data, match.end(), end):
            if piece[1]:
                yield "private-key", piece.start(1), piece.end(1)


_FINDERS: Final[tuple[Callable[[bytes, bytes], Spans], ...]] = (_private_keys, _provider_keys, _in_urls, _schemed)
