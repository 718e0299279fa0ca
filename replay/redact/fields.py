"""Secrets that are known by where they stand: in which field of which route's body, in which parameter of a query."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import unquote_to_bytes

from replay.redact.edits import Edit
from replay.redact.names import is_secret_name, replace_string
from replay.redact.placeholder import is_placeholder, make_credential, make_number, make_opaque
from replay.redact.tables import QUERY_KEPT, QUERY_MORE, QUERY_NAMES, RPC_IDS

type Path = tuple[str, ...]

_KINDS: Final = {
    "password": "password",
    "token": "token",
    "key": "api-key",
    "value": "secret-value",
    "session": "token",
    "key_hash": "key-hash",
    "command": "command",
    "stdout": "output",
    "stderr": "output",
}
_TOKEN: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[{}\[\]:,]|[^\s"{}\[\]:,]++', re.DOTALL)
_LITERALS: Final = frozenset({b"true", b"false", b"null"})
_NUMBER: Final = re.compile(rb"-?[0-9]")
_FORM: Final = re.compile(rb"(?:^|&)([^=&]{0,256})=([^&]*+)")
_PARAMETER: Final = re.compile(rb"(?:^|[&;?#])([^=&;#?]{1,256})=([^&;#]++)")
_SECRET_TOOL: Final = re.compile(rb'"name"\s*+:\s*+"secret_')


def find_request_fields(body: bytes, names: Mapping[str, str], key: bytes) -> list[Edit]:
    """
    Find the secret fields of a request's body; *names* are fields and the kinds they are declared as ("" for one by its name).

    Where there are any, a body that is no JSON is taken as a form where it looks like one and is replaced as a whole otherwise:
    a secret may stand anywhere in it.
    """
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
            return [_parameter(match[2], match.start(2), kind_of(match[1].decode("ascii", "replace")), key) for match in found]
    return [_opaque(body, 0, len(body), "body", key)]


def find_response_fields(body: bytes, names: Mapping[str, str], key: bytes) -> list[Edit]:
    """Find the secret fields of an answer's body. A JSON text that is broken or cut is read as far as it goes."""
    if not names or body.lstrip()[:1] not in {b"{", b"["}:
        return []
    return list(_json_edits(body, names, key))


def find_rpc_arguments(body: bytes, key: bytes) -> list[Edit]:
    """Find the arguments of a call to a `secret_*` tool; ids that the daemon gave out stay."""
    if b"secret_" not in body or not _SECRET_TOOL.search(body):
        return []
    edits: list[Edit] = []
    for path, start, end in _leaves(body):
        if path[:2] == ("params", "arguments") and path[-1] not in RPC_IDS:
            edits.extend(_leaf(body, path, (start, end), "argument", key))
    return edits


def find_query(target: bytes, route: str, key: bytes, more: frozenset[bytes] = frozenset(), kept: frozenset[bytes] = frozenset()) -> list[Edit]:
    """Find the secret parameters of a request target or URL; *more* and *kept* are own names, folded and without dashes."""
    marks = [at for at in (target.find(b"?"), target.find(b"#")) if at >= 0]
    if not marks:
        return []
    begin = min(marks)
    wanted = QUERY_NAMES | QUERY_MORE.get(route, frozenset())
    exempt = QUERY_KEPT.get(route, frozenset())
    edits = []
    for match in _PARAMETER.finditer(target, begin):
        name = unquote_to_bytes(match[1]).lower()
        if name not in exempt and (name in wanted or is_secret_name(name, more, kept)):
            edits.append(_parameter(match[2], match.start(2), "query", key))
    return edits


def kind_of(name: str) -> str:
    """Name the kind of secret that a field of this name holds."""
    return _KINDS.get(name, "field")


def last_names(names: Mapping[str, str]) -> frozenset[bytes]:
    """Give the last keys of fields, folded and without dashes: what can still be looked for where a body can't be held whole."""
    return frozenset(name.rpartition(".")[2].lower().replace("_", "").replace("-", "").encode() for name in names)


def _parameter(value: bytes, start: int, kind: str, key: bytes) -> Edit:
    """Replace a parameter's value; percent signs are undone first, so that equal secrets get equal placeholders."""
    if is_placeholder(value):
        return Edit(start, kind, value)
    plain = unquote_to_bytes(value) if b"%" in value else value
    return Edit(start, kind, make_credential(key, value) if plain == value else make_opaque(key, plain, len(value)))


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return False
    return True


def _json_edits(body: bytes, names: Mapping[str, str], key: bytes) -> Iterator[Edit]:
    for path, start, end in _leaves(body):
        for name, kind in names.items():
            if _covers(name, path):
                yield from _leaf(body, path, (start, end), kind, key)
                break


def _leaf(body: bytes, path: Path, span: tuple[int, int], kind: str, key: bytes) -> Iterator[Edit]:
    start, end = span
    raw = body[start:end]
    kind = kind or kind_of(path[-1] if path else "")
    if raw.startswith(b'"'):
        inner = raw[1:-1] if raw.endswith(b'"') and len(raw) > 1 else raw[1:]
        yield from replace_string(inner, start + 1, kind, key)
    elif _NUMBER.match(raw):
        yield Edit(start, kind, make_number(raw))


def _covers(name: str, path: Path) -> bool:
    if name.startswith("**."):
        return name[3:] in path
    parts = tuple(name.split("."))
    return path[: len(parts)] == parts


def _leaves(body: bytes) -> Iterator[tuple[Path, int, int]]:
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
