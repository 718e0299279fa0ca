"""
Secrets that are known by their shape, wherever they stand.

Every pattern is anchored at a literal and bounded in length, so that a body of many megabytes takes linear time.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from replay.redact.edits import Edit
from replay.redact.placeholder import API_KEY, count_kept, is_placeholder, make_credential, make_opaque

_SIGNATURE = re.compile(rb"\.([A-Za-z0-9_-]{43})(?![A-Za-z0-9_-])")
_URL_SAFE = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_PAYLOAD_START = b"eyJ"
"""What base64 makes of `{"`."""
_PAYLOAD_MAX_BYTES = 8192
_PROVIDER_KEYS = tuple(
    # that no letter stands before is asked behind the prefix: a pattern that begins with a literal is found twenty times as fast
    re.compile(rb"%b(?<!\w%b)%b([A-Za-z0-9_-]{20,255})" % (prefix, prefix, rest))
    for prefix, rest in (
        (rb"sk-", rb"(?:ant-|proj-|or-)?"),
        (rb"gh[pousr]_", b""),
        (rb"github_pat_", b""),
        (rb"xox[abprs]-", b""),
        (rb"phc_", b""),
    )
)
_URL_PASSWORD = re.compile(rb"://[^\s/@:\"'<>\\]{0,256}:([^\s/@?#\"'<>\\]{1,256})@")
_PRIVATE_KEY = re.compile(rb"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----")


@dataclass(frozen=True, slots=True)
class Suspect:
    """Something that still looks like a secret."""

    kind: str
    start: int
    length: int
    """In bytes."""


def find_shapes(data: bytes, key: bytes) -> list[Edit]:
    """Find what looks like a secret in *data*, placeholders included, with what shall stand there."""
    edits = [_credential(data, key, start, end, kind) for kind, start, end in _credentials(data)]
    taken = [(edit.start, edit.start + len(edit.replacement)) for edit in edits]
    for kind, start, end in _plain(data):
        if all(end <= left or start >= right for left, right in taken):
            secret = data[start:end]
            edits.append(Edit(start, kind, secret if is_placeholder(secret) else make_opaque(key, secret, len(secret))))
            taken.append((start, end))
    return edits


def scan(data: bytes) -> list[Suspect]:
    """Find what still looks like a secret. Placeholders are not reported."""
    found = [
        Suspect(kind, start, end - start) for kind, start, end in (*_credentials(data), *_plain(data)) if not is_placeholder(data[start:end])
    ]
    found += [Suspect("private-key", match.start(), len(match[0])) for match in _PRIVATE_KEY.finditer(data)]
    return sorted(found, key=lambda suspect: suspect.start)


def _credential(data: bytes, key: bytes, start: int, end: int, kind: str) -> Edit:
    """Narrow the edit to the part that changes, so that the declared span is no wider than what was replaced."""
    replaced = make_credential(key, data[start:end])
    kept = count_kept(replaced)
    return Edit(start + kept, kind, replaced[kept:])


def _credentials(data: bytes) -> Iterator[tuple[str, int, int]]:
    """Give (kind, start, end) of API keys and bearer tokens."""
    if b"sig_sk_" in data:
        for match in API_KEY.finditer(data):
            yield "api-key", match.start(), match.end()
    if _PAYLOAD_START not in data:
        return
    for match in _SIGNATURE.finditer(data):
        dot = match.start()
        window = data[max(0, dot - _PAYLOAD_MAX_BYTES) : dot]
        run = window[len(window.rstrip(_URL_SAFE)) :]
        payload = run.find(_PAYLOAD_START)
        if payload >= 0:
            yield "bearer", dot - len(run) + payload, match.end()


def _plain(data: bytes) -> Iterator[tuple[str, int, int]]:
    end = 0
    for match in sorted((match for pattern in _PROVIDER_KEYS for match in pattern.finditer(data)), key=lambda match: match.start()):
        if match.start() >= end:
            end = match.end()
            yield "provider-key", match.start(1), match.end(1)
    for match in _URL_PASSWORD.finditer(data):
        yield "url-password", match.start(1), match.end(1)
