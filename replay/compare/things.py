"""
Which things (rows) an exchange and a difference are about: by the ids in a request, and by the objects that a place of an answer lies in.

A thing is named by its recorded id; what only the observed daemon has, by its observed one.
"""

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote

from replay.compare.difference import Difference
from replay.content import Value, dump, embedded, parse, walk
from replay.identity import ID_KINDS, classify, find
from replay.model import Absent, Exchange, Request, Response

ITEMS: Final = frozenset({"missing-item", "extra-item"})
_STEP: Final = re.compile(r"\.(<[a-z]+>|[^.\[\]\"]+)|\[(\+?\d+)\]|\[(\"(?:[^\"\\]|\\.)*\")\]")
_ASKER: Final = re.compile(r"""(?i)\b\w*?(?:session|agent|project|user)_?(?:key|id)?(?:\\*"\s*:\s*\\*"|=)[^"&\\]*""")
"""A field or parameter of a request that says who asks, and in which session; also in JSON inside a string."""
_SHARED: Final = re.compile(r"(?i)session|project|path|cwd|agent|harness|source|type|key|tags")
"""Members whose texts many writes have in common."""
_TEXT_CHARS_MIN: Final = 12
_SHOWN: Final = re.compile(rb'"id"\s*:\s*"([^"\\]{8,128})"')
"""A thing that is there calls itself by its id; a mention of it (in a log, as a parent) stands under another key."""


def asked_things(request: Request) -> tuple[str, ...]:
    """
    Give the ids that a request names in its target and body, each once.

    Not those that say who asks: in headers, and the session, agent and project of nearly every request, or all would hang on the first fault.
    """
    texts = (_target(request), (request.body or b"").decode("utf-8", "surrogateescape"))
    return tuple(dict.fromkeys(word for text in texts for word in _ids(_ASKER.sub("", text))))


def looked_up(request: Request) -> str | None:
    """Give the thing that a request asks for itself: its target's path ends with the id."""
    last = _target(request).split("?", 1)[0].rstrip("/").rpartition("/")[2]
    return last if is_id(last) else None


def owned_by_target(request: Request) -> str | None:
    """Give the thing whose own part a request asks for: the path goes on behind its id, or a query names it alone."""
    inside = [word for word in _target(request).split("?", 1)[0].split("/")[:-1] if is_id(word)]
    return inside[-1] if inside else None


def _target(request: Request) -> str:
    return unquote(request.target.decode("utf-8", "surrogateescape"), errors="surrogateescape")


def sent_values(request: Request) -> Iterator[tuple[str | None, str, Value]]:
    """Give (thing, key, value) of everything that a request's JSON body says; the thing is None where the body's objects name none."""
    content = parse(request.body or b"", request.header(b"content-type"))
    if content.kind == "json":
        yield from _members(content.value, None)  # type: ignore[arg-type]  # by kind


def _members(value: Value, owner: str | None) -> Iterator[tuple[str | None, str, Value]]:
    stack: list[tuple[Value, str | None]] = [(value, owner)]
    while stack:
        item, owner = stack.pop()
        if isinstance(item, dict):
            owner = next(iter(own_id(item)), owner)
            for key, member in item.items():
                yield owner, key, member
                stack.append((member, owner))
        elif isinstance(item, list):
            stack.extend((member, owner) for member in item)
        elif isinstance(item, str) and (inner := embedded(item)) is not None:
            stack.append((inner, owner))


def members_of(value: Value) -> Iterator[tuple[str, Value]]:
    """Give (key, value) of every member of every object in a value."""
    return ((key, member) for _, key, member in _members(value, None))


def _ids(text: str) -> Iterator[str]:
    return (text[span.start : span.end] for span in find(text) if span.role.kind in ID_KINDS)


def shown_things(exchange: Exchange) -> frozenset[str]:
    """Give the things that a good answer shows by their own ids, but for those that the request named (an answer may only repeat them)."""
    outcome = exchange.outcome
    if not isinstance(outcome, Response) or outcome.status // 100 != 2 or not outcome.body:
        return frozenset()
    return frozenset(word.decode("utf-8", "replace") for word in _SHOWN.findall(outcome.body)) - set(asked_things(exchange.request))


def status_of(exchange: Exchange) -> int | None:
    """Give an answer's status; None where there was none."""
    return exchange.outcome.status if isinstance(exchange.outcome, Response) else None


def body_of(exchange: Exchange) -> Value:
    """Give an answer's JSON; None for any other."""
    if not isinstance(exchange.outcome, Response):
        return None
    content = parse(exchange.outcome.body or b"", exchange.outcome.header(b"content-type"))
    return content.value if content.kind == "json" else None  # type: ignore[return-value]  # by kind


def born_ids(body: Value) -> tuple[str, ...]:
    """Give the ids that an answer's members are, such as a new memory's and its job's."""
    return tuple(value for value in body.values() if isinstance(value, str) and is_id(value)) if isinstance(body, dict) else ()


def things_of(found: Difference, body: Value) -> tuple[str, ...]:
    """Give the things in whose objects a difference stands, the nearest first; an item that one side lacks is itself the nearest."""
    if found.kind in ITEMS:
        inner = things_in(found.recorded if found.kind == "missing-item" else found.observed)
        return inner[:1] + _around(found.at, body)
    return _around(found.at, body)


def _around(at: str, body: Value) -> tuple[str, ...]:
    owners = [owner for value in _way(at, body)[:-1] for owner in own_id(value)]
    return tuple(dict.fromkeys(reversed(owners)))


def value_at(at: str, body: Value) -> Value:
    """Give what stands at a concrete place of a body; None where nothing does."""
    return _way(at, body)[-1]


def _way(at: str, body: Value) -> list[Value]:
    """Give the values that a place of a body is reached through, with that at the place as the last one; None where there is no such."""
    way = [body]
    for step in _STEP.finditer(at, 1) if at.startswith("$") else ():
        name, index, quoted = step.groups()
        value = way[-1]
        if name == "<json>":
            way.append(embedded(value) if isinstance(value, str) else None)
        elif index is not None:
            # what only the observed answer has stands at that one's index
            way.append(value[int(index)] if isinstance(value, list) and index.isdecimal() and int(index) < len(value) else None)
        else:
            way.append(value.get(name if name is not None else _unquoted(quoted)) if isinstance(value, dict) else None)
    return way


def _unquoted(quoted: str) -> str:
    """Read a key as a path spells it where it is no plain word."""
    return quoted[1:-1].replace('\\"', '"').replace("\\\\", "\\")


def own_id(value: Value) -> list[str]:
    """Give what an object calls its own id."""
    own = value.get("id") if isinstance(value, dict) else None
    return [own] if isinstance(own, str) and is_id(own) else []


def things_in(value: Value | Absent) -> tuple[str, ...]:
    """Give the thing that an item is: its own id, else the id in an object that it wraps; a text that is an id is one."""
    if isinstance(value, str):
        return (value,) if is_id(value) else ()
    if not isinstance(value, dict):
        return ()
    inner = [holder for holder in value.values() if isinstance(holder, dict)]
    return tuple(thing for holder in (value, *inner) for thing in own_id(holder))


def thing_in_key(found: Difference) -> str | None:
    """Give the id that is the key of what is lacking or more."""
    if found.kind not in {"missing-key", "extra-key"}:
        return None
    key = last_key(found.at)
    return key if is_id(key) else None


def last_key(at: str) -> str:
    """Give the nearest object key of a place."""
    last = ""
    for step in _STEP.finditer(at, 1) if at.startswith("$") else ():
        name, _, quoted = step.groups()
        last = name if name is not None else _unquoted(quoted) if quoted is not None else last
    return last


def holder_of(path: str) -> str:
    """Give the path of the object that a member or a list's item lies in: `$` for `$.count` and for `$.memories[*]`."""
    return path.removesuffix("[*]").rpartition(".")[0]


def texts_of(value: Value) -> Iterator[str]:
    """Give the texts in a value that are long enough to tell it from others."""
    return (leaf for _, leaf in walk(value) if isinstance(leaf, str) and len(leaf) >= _TEXT_CHARS_MIN and classify(leaf) is None)


def said(request: Request) -> str:
    """Give the longest text of a write, by which what was made of it is known; not one that others have, too, such as a project's path."""
    content = parse(request.body or b"", request.header(b"content-type"))
    if content.kind != "json":
        return ""
    leaves = walk(content.value)  # type: ignore[arg-type]  # by kind
    own = (leaf for path, leaf in leaves if isinstance(leaf, str) and not _SHARED.search(last_key(path)))
    return max((text for leaf in own for text in texts_of(leaf)), key=len, default="")


def is_id(text: str) -> bool:
    """Whether a text is an id that a daemon makes."""
    role = classify(text)
    return role is not None and role.kind in ID_KINDS


def plain_key(key: str) -> str:
    """Spell a key as its snake and its camel case have in common."""
    return key.replace("_", "").lower()


def speaks_of(sent: Value, shown: Value | Absent) -> bool:
    """Whether a shown value may be the sent one: a scalar is the same, of lists and objects the spelling is the daemon's."""
    if isinstance(shown, Absent):
        return False
    if isinstance(sent, list | dict):
        return True
    return _plain(sent) == _plain(shown)


def digest_of(value: Value) -> int:
    """Give a digest of a value by which `speaks_of` would know it, good within one process."""
    return hash(_plain(value))


def _plain(value: Value) -> str:
    if isinstance(value, str):
        return value.strip()
    return dump(value)


__all__ = [
    "ITEMS",
    "asked_things",
    "body_of",
    "born_ids",
    "digest_of",
    "holder_of",
    "is_id",
    "last_key",
    "looked_up",
    "members_of",
    "own_id",
    "owned_by_target",
    "plain_key",
    "said",
    "sent_values",
    "shown_things",
    "speaks_of",
    "status_of",
    "texts_of",
    "thing_in_key",
    "things_in",
    "things_of",
    "value_at",
]
