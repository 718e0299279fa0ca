"""Secrets in headers."""

import re
from collections.abc import Iterator

from replay.redact.edits import Edit
from replay.redact.fields import find_query
from replay.redact.placeholder import count_kept, is_placeholder, make_credential, make_opaque

URLS = frozenset({b"location", b"referer", b"content-location"})
_NAMED = re.compile(rb"(?:^|[-_])(?:(authorization)|(api[-_]?key)|token|secret|password)$")
"""What a header that carries a credential is called: `X-Api-Key`, `X-Forwarded-Authorization`, `X-Auth-Token`."""
_SCHEME = re.compile(rb"\s*(?:Bearer|Basic|Digest|Token|Negotiate|ApiKey)(?:\s+|$)", re.IGNORECASE)


def find_header(name: bytes, value: bytes, *, key: bytes) -> list[Edit]:
    """Find the secret spans of one header's value, by the header's name."""
    name = name.lower()
    named = _NAMED.search(name)
    if named is not None and named[1]:
        scheme = _SCHEME.match(value)
        start = scheme.end() if scheme else 0
        basic = scheme is not None and scheme[0].strip().lower() == b"basic"
        return list(_words(value, start, "basic" if basic else "bearer", key))
    if named is not None:
        return list(_words(value, 0, "api-key" if named[2] else "token", key))
    if name == b"cookie":
        return list(_cookies(value.split(b";"), key))
    if name == b"set-cookie":
        return list(_cookies(value.split(b";", 1)[:1], key))
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


def _cookies(parts: list[bytes], key: bytes) -> Iterator[Edit]:
    """Replace what stands behind the first `=` of each part; a part without one is secret as a whole."""
    start = 0
    for part in parts:
        name, equals, secret = part.partition(b"=")
        offset = len(name) + 1 if equals else 0
        secret = secret if equals else part
        blank = len(secret) - len(secret.lstrip())
        secret = secret.strip()
        if secret:
            kept = secret if is_placeholder(secret) else make_opaque(key, secret, len(secret))
            yield Edit(start + offset + blank, "cookie", kept)
        start += len(part) + 1
