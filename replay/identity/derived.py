"""
Ids that a daemon computes from other things: the same sum over the candidate's own things gives the candidate's id.

Each function is one sum, as both runtimes do it (facts of version 0.145.7). An id that answers give on both sides is learned from them like any
other; these are for what no answer of the candidate gave, because a client made the sum itself or the candidate left it out.
"""

import hashlib
import re
from collections.abc import Iterable
from typing import Final

from replay.content import Value, parse
from replay.identity.bindings import Bindings
from replay.model import Request

_KEY: Final = re.compile(r"sig_sk_[0-9a-f]{12}(?=_)")
_ASKS_FOR_TOKEN: Final = re.compile(rb"confirm_?[tT]oken")
_TOKENS: Final = ("confirm_token", "confirmToken")
_LISTS: Final = ("ids", "candidates")
_OBJECTS_MAX: Final = 200


def confirm_token(ids: Iterable[str]) -> str:
    """Give the token that lets a large forget happen: over the memories' ids, each once, sorted; 32 hex digits."""
    return _sha256("|".join(sorted(set(ids))))[:32]


def key_prefix(key: str) -> str | None:
    """Give the part of an API key by which it is listed, its first 19 characters; None for what is no key."""
    match = _KEY.match(key)
    return None if match is None else match.group()


def rederive(request: Request, exchange: int, bindings: Bindings) -> None:
    """Bind the confirm token of a recorded request that no answer gave, where it is the sum over the ids beside it and these are bound."""
    body = request.body or b""
    if not _ASKS_FOR_TOKEN.search(body):
        return
    content = parse(body, request.header(b"content-type"))
    todo: list[Value] = [content.value] if content.kind == "json" else []  # type: ignore[list-item]  # by kind
    for _ in range(_OBJECTS_MAX):
        if not todo:
            break
        value = todo.pop()
        if isinstance(value, list):
            todo.extend(value)
        elif isinstance(value, dict):
            todo.extend(value.values())
            renewed = renewed_token(value, value, bindings)
            if renewed is not None and bindings.observed_for(renewed[0]) is None:
                bindings.bind("digest", *renewed, exchange, "sum over ids of the request")


def renewed_token(recorded: dict[str, Value], observed: dict[str, Value], bindings: Bindings) -> tuple[str, str] | None:
    """Give a recorded token that is the sum over the ids beside it, and the sum over the observed ids; None where there is none."""
    token = next((word for name in _TOKENS if isinstance(word := recorded.get(name), str)), None)
    for name in _LISTS:
        ids, others = _ids_in(recorded.get(name)), _ids_in(observed.get(name))
        if token is not None and ids and token == confirm_token(ids):
            if recorded is not observed and others:
                return token, confirm_token(others)
            return token, confirm_token(bindings.observed_for(one) or one for one in ids)
    return None


def _ids_in(value: Value) -> list[str]:
    if not isinstance(value, list):
        return []
    items = (item.get("id") if isinstance(item, dict) else item for item in value)
    return [item for item in items if isinstance(item, str)]


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
