"""Secrets in headers."""

import re
from collections.abc import Iterator

from replay.redact.edits import Edit
from replay.redact.fields import find_query
from replay.redact.placeholder import count_kept, is_placeholder, make_credential, make_opaque

CREDENTIALS = frozenset({b"authorization", b"proxy-authorization"})
KEYS = frozenset({b"x-api-key"})
URLS = frozenset({b"location", b"referer", b"content-location"})
_SCHEME = re.compile(rb"\s*(?:Bearer|Basic|Digest|Token|Negotiate|ApiKey)\s+", re.IGNORECASE)
_COOKIE = re.compile(rb"([^=;]{0,1024})=([^;]++)")


def find_header(name: bytes, value: bytes, *, key: bytes) -> list[Edit]:
    """Find the secret spans of one header's value, by the header's name."""
    name = name.lower()
    if name in CREDENTIALS:
        scheme = _SCHEME.match(value)
        start = scheme.end() if scheme else 0
        basic = scheme is not None and scheme[0].strip().lower() == b"basic"
        return list(_words(value, start, "basic" if basic else "bearer", key))
    if name in KEYS:
        return list(_words(value, 0, "api-key", key))
    if name == b"cookie":
        return [_cookie(match, key) for match in _COOKIE.finditer(value) if match[2].strip()]
    if name == b"set-cookie":
        match = _COOKIE.match(value)
        return [_cookie(match, key)] if match and match[2].strip() else []
    if name in URLS:
        return find_query(value, "", key)
    return []


def _words(value: bytes, start: int, kind: str, key: bytes) -> Iterator[Edit]:
    """Replace each word, so that blanks stay where they are."""
    for match in re.finditer(rb"\S++", value[start:]):
        replaced = make_credential(key, match[0])
        offset = count_kept(replaced)
        if len(replaced) > offset:
            shaped = "api-key" if replaced.startswith(b"sig_sk_") else kind
            yield Edit(start + match.start() + offset, shaped, replaced[offset:])


def _cookie(match: re.Match[bytes], key: bytes) -> Edit:
    secret = match[2]
    return Edit(match.start(2), "cookie", secret if is_placeholder(secret) else make_opaque(key, secret, len(secret)))
