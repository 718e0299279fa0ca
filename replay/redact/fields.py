"""
Secrets that are known by where they stand: in which field of which route's body.

A field is a dotted path of object keys; arrays are passed through. Everything below a named field is secret.
`**.name` means that key at any depth. A password in a request is hidden on any route, because a client may have misspelt the route.
"""

import json
import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from replay.redact.edits import Edit
from replay.redact.placeholder import count_kept, is_placeholder, make_credential, make_number, make_opaque

REQUEST_FIELDS: dict[str, tuple[str, ...]] = {
    "POST /api/auth/login": ("password",),
    "POST /api/secrets/:name": ("value",),
    "POST /api/secrets/bitwarden/connect": ("session", "token"),
    "POST /api/secrets/1password/connect": ("token",),
    "POST /api/marketplace/mcp/register": ("config.env", "config.headers"),
    "POST /api/marketplace/mcp/test": ("config.env", "config.headers"),
    "POST /api/marketplace/mcp/install": ("config.env", "config.headers"),
    "PATCH /api/marketplace/mcp/:id": ("config.env", "config.headers"),
}
"""What a client sends, by route."""

RESPONSE_FIELDS: dict[str, tuple[str, ...]] = {
    "POST /api/auth/login": ("token",),
    "POST /api/auth/token": ("token",),
    "POST /api/auth/api-keys": ("apiKey.key", "key"),
    "GET /api/status": ("**.posthogApiKey",),
    "GET /api/diagnostics/database/tables/:table/sample": ("**.key_hash",),
}
"""What the daemon answers, by route."""

QUERY_NAMES = frozenset({b"token", b"access_token", b"code", b"session", b"api_key", b"apikey", b"password"})
QUERY_KEPT: dict[str, frozenset[bytes]] = {"GET /api/os/agent-events": frozenset({b"session"})}
"""Here `session` is an id that the daemon gave out, not a credential, and a replay must find it again."""

_KINDS = {"password": "password", "token": "token", "key": "api-key", "value": "secret-value", "session": "token"}
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[{}\[\]:,]|[^\s"{}\[\]:,]++', re.DOTALL)
_LITERALS = frozenset({b"true", b"false", b"null"})
_NUMBER = re.compile(rb"-?[0-9]")
_FORM = re.compile(rb"(?:^|&)([^=&]{0,256})=([^&]*+)")
_PASSWORDS = re.compile(rb'"pass(?:word|wd|phrase)"\s*+:\s*+"((?:[^"\\]++|\\.)++)"', re.IGNORECASE | re.DOTALL)
_FORM_START = re.compile(rb"[\w.%+\-\[\]]{1,256}=")
_FORM_PASSWORDS = re.compile(rb"(?:^|&)pass(?:word|wd|phrase)=([^&\s]++)", re.IGNORECASE)


def find_request_fields(body: bytes, route: str, key: bytes) -> list[Edit]:
    """
    Find the secret fields of a request's body: those that its route names, and passwords.

    On a route with secret fields a body that is no JSON is taken as a form where it looks like one and is replaced as a whole otherwise:
    a secret may stand anywhere in it.
    """
    named = _named_request_fields(body, route, key)
    taken = [(edit.start, edit.start + len(edit.replacement)) for edit in named]
    return [
        *named,
        *(
            edit
            for edit in _passwords(body, key)
            if all(edit.start + len(edit.replacement) <= left or edit.start >= right for left, right in taken)
        ),
    ]


def _named_request_fields(body: bytes, route: str, key: bytes) -> list[Edit]:
    names = REQUEST_FIELDS.get(route)
    if not names or not body.strip():
        return []
    if _is_json(body):
        if body.lstrip()[:1] in {b"{", b"["}:
            return list(_json_edits(body, names, key))
        return [] if body.strip() in _LITERALS else [_opaque(body, 0, len(body), "body", key)]
    if b"=" in body and not body.lstrip().startswith((b"{", b"[")):
        wanted = {name.encode() for name in names}
        found = [match for match in _FORM.finditer(body) if unquote_to_bytes(match[1]) in wanted and match[2]]
        if found:
            return [_opaque(body, match.start(2), match.end(2), _kind(match[1].decode("ascii", "replace")), key) for match in found]
    return [_opaque(body, 0, len(body), "body", key)]


def find_response_fields(body: bytes, route: str, key: bytes) -> list[Edit]:
    """Find the secret fields of an answer's body; one that is no JSON has none."""
    names = RESPONSE_FIELDS.get(route)
    if not names or not body or not _is_json(body):
        return []
    return list(_json_edits(body, names, key))


def find_query(target: bytes, route: str, key: bytes) -> list[Edit]:
    """Find the secret query parameters of a request target or URL."""
    mark = target.find(b"?")
    if mark < 0:
        return []
    kept = QUERY_KEPT.get(route, frozenset())
    edits = []
    for match in re.finditer(rb"(?:^|[&;?])([^=&;#]{1,256})=([^&;#]++)", target[mark + 1 :]):
        name = unquote_to_bytes(match[1]).lower()
        if name in QUERY_NAMES and name not in kept:
            value = match[2]
            edits.append(Edit(mark + 1 + match.start(2), "query", make_credential(key, value)))
    return edits


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return False
    return True


def _json_edits(body: bytes, names: tuple[str, ...], key: bytes) -> Iterator[Edit]:
    for path, start, end in _leaves(body):
        if any(_covers(name, path) for name in names):
            raw = body[start:end]
            if raw.startswith(b'"'):
                inner = raw[1:-1]
                if inner:
                    yield _string_edit(inner, start + 1, _kind(path[-1]), key)
            elif _NUMBER.match(raw):
                yield Edit(start, _kind(path[-1]), make_number(raw))


def _passwords(body: bytes, key: bytes) -> Iterator[Edit]:
    """Find passwords by their name alone, also where the text around them is broken."""
    for match in _PASSWORDS.finditer(body):
        yield _string_edit(match[1], match.start(1), "password", key)
    # a body that does not begin as a form is not searched as one: that would take long where it is big
    for match in _FORM_PASSWORDS.finditer(body) if _FORM_START.match(body) else ():
        yield _opaque(body, match.start(1), match.end(1), "password", key)


def _string_edit(inner: bytes, start: int, kind: str, key: bytes) -> Edit:
    replaced = _string(inner, key)
    kept = count_kept(replaced)
    return Edit(start + kept, "bearer" if kept and b"." in replaced else kind, replaced[kept:])


def _string(inner: bytes, key: bytes) -> bytes:
    """Replace a JSON string's inside; escapes are decoded first, so that equal secrets get equal placeholders."""
    if is_placeholder(inner):
        return inner
    try:
        plain = json.loads(b'"' + inner + b'"', strict=False).encode("utf-8", "surrogatepass")
    except ValueError:
        plain = inner
    return make_credential(key, inner) if plain == inner else make_opaque(key, plain, len(inner))


def _covers(name: str, path: tuple[str, ...]) -> bool:
    if name.startswith("**."):
        return name[3:] in path
    parts = tuple(name.split("."))
    return path[: len(parts)] == parts


def _leaves(body: bytes) -> Iterator[tuple[tuple[str, ...], int, int]]:
    """Give (path of keys, start, end) of each scalar of a JSON text."""
    path: list[str] = []
    objects: list[bool] = []
    """For each open container: whether it is an object."""
    awaits_key = False
    for match in _TOKEN.finditer(body):
        token = match[0]
        if token in {b"{", b"["}:
            objects.append(token == b"{")
            awaits_key = token == b"{"
            if awaits_key:
                path.append("")
        elif token in {b"}", b"]"}:
            if objects and objects.pop():
                path.pop()
            awaits_key = False
        elif token == b",":
            awaits_key = bool(objects) and objects[-1]
        elif token == b":":
            awaits_key = False
        elif awaits_key:
            path[-1] = _key_text(token)
        else:
            yield tuple(path), match.start(), match.end()


def _key_text(token: bytes) -> str:
    try:
        return str(json.loads(token.decode("utf-8", "replace"), strict=False))
    except ValueError:
        return token.decode("utf-8", "replace")


def _opaque(data: bytes, start: int, end: int, kind: str, key: bytes) -> Edit:
    secret = data[start:end]
    return Edit(start, kind, secret if is_placeholder(secret) else make_opaque(key, secret, len(secret)))


def _kind(name: str) -> str:
    return _KINDS.get(name, "field")
