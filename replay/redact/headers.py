"""Secrets in headers."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from replay.redact.edits import Edit
from replay.redact.fields import find_query
from replay.redact.placeholder import count_kept, is_placeholder, make_credential, make_opaque

_URLS: Final = frozenset({b"location", b"referer", b"content-location"})
_NAMED: Final = re.compile(rb"(?:^|[-_])(?:(authorization)|(api[-_]?key)|token|secret|password|cookie2?)$")
"""What a header that carries a credential is called: `X-Api-Key`, `X-Forwarded-Authorization`, `X-Auth-Token`."""
_SCHEME: Final = re.compile(rb"\s*(?:Bearer|Basic|Digest|Token|Negotiate|ApiKey)(?:\s+|$)", re.IGNORECASE)


@lru_cache(maxsize=4096)
def header_role(name: bytes) -> str:
    """Say what a header is by its name: `authorization`, `api-key`, `token`, `cookie`, `set-cookie`, `url`, or "" for any other."""
    name = name.lower()
    if name in {b"cookie", b"set-cookie"}:
        return name.decode()
    if name in _URLS:
        return "url"
    named = _NAMED.search(name)
    if named is None:
        return ""
    return "authorization" if named[1] else "api-key" if named[2] else "token"


def find_header(name: bytes, value: bytes, *, key: bytes) -> list[Edit]:
    """Find the secret spans of one header's value, by the header's name."""
    role = header_role(name)
    if role == "authorization":
        scheme = _SCHEME.match(value)
        start = scheme.end() if scheme else 0
        basic = scheme is not None and scheme[0].strip().lower() == b"basic"
        return list(find_words(value, start, "basic" if basic else "bearer", key))
    if role in {"api-key", "token"}:
        return list(find_words(value, 0, role, key))
    if role == "cookie":
        return list(_cookies(value.split(b";"), key))
    if role == "set-cookie":
        return list(_cookies(value.split(b";", 1)[:1], key))
    return find_query(value, "", key) if role == "url" else []


def find_words(value: bytes, start: int, kind: str, key: bytes) -> Iterator[Edit]:
    """Replace each word from *start* on, so that blanks stay where they are."""
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
