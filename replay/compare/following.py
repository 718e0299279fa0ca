"""
What follows from what: the things (rows) that a candidate is known to have otherwise, and the later differences that hang on them.

How this works
--------------
A thing is named by its recorded id. A difference is about the things whose objects it stands in, and where it stands in none, about those that
the request names. The first difference about a thing stands for itself and is remembered; a later one hangs on it

- where the thing's *whole state* became another one: a write of it ended otherwise (another class of status), its version differs, it is not
  found, or its own list (a history) lacks something. Then other values, other statuses, and items that lack or are more, follow; or
- where it *lacked* in a list, or was more: then it is not found elsewhere either. A search that lacks it says nothing: it ranks; or
- where *one value* of it was other: then the same value under the same key follows, or a number that is off by as much; or
- where it stands elsewhere in a list because of that: an order that is the same once the things that differ are left out; or
- where its write gave another id than its own: then an item that only this daemon has, and that holds what the write said, follows.

How an answer is written (formats, types, keys, headers) never follows from a thing's state, and nothing follows from another thing than the
one it is about. A difference that hangs on another one is told with its thing and the exchange where that first differed; the judge lets it
hang only where that one is open (what a rule accepts in one place excuses nothing elsewhere).
"""

import re
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import unquote

from replay.compare.blinding import blind
from replay.compare.difference import Difference
from replay.compare.witness import Heard
from replay.content import Number, Value, dump, embedded, parse, walk
from replay.identity import ID_KINDS, classify, find
from replay.model import Absent, Exchange, Request, Response, Witness
from replay.routes import WRITES, Route, route_of

_STEP: Final = re.compile(r"\.(<[a-z]+>|[^.\[\]\"]+)|\[(\+?\d+)\]|\[(\"(?:[^\"\\]|\\.)*\")\]")
_VERSIONS: Final = frozenset({"version", "newversion", "currentversion", "new_version", "current_version"})
_STATUSES: Final = frozenset({"status", "no-response"})
_ITEMS: Final = frozenset({"missing-item", "extra-item"})
_GONE: Final = frozenset({404, 410})
_FOLLOWING: Final = frozenset({"value", "missing-item", "extra-item", "status", "missing-key", "extra-key", "identity"})
"""Kinds that may follow from a thing's state; of keys only those that are ids."""
_COUNTS: Final = frozenset({"count", "total", "updated", "deleted", "forgotten", "affected", "matched"})
"""How many of the things that a request named there are: of one, whether it is there."""
_RANKING: Final = ("recall", "search", "similar", "/mcp", "session-start", "prompt")
"""What the templates of routes have that give the best few."""
_TEXT_CHARS_MIN: Final = 12
_ASKER: Final = re.compile(r"""(?i)\b(?:session|agent|project|user)_?(?:key|id)?(?:"\s*:\s*"|=)[^"&]*""")
"""A field or parameter of a request that says who asks, and in which session."""
_SHARED: Final = re.compile(r"(?i)session|project|path|cwd|agent|harness|source|type|key|tags")
"""Members whose texts many writes have in common."""
_FAILED: Final = "isError"
"""How a tool's answer says that it failed."""


@dataclass(slots=True)
class Trail:
    """The things that differed so far, in one comparison."""

    whole: dict[str, str] = field(default_factory=dict)
    """Thing → why all of it follows, in words."""
    lacking: dict[str, str] = field(default_factory=dict)
    """Thing → where a list lacked it, or had it more, in words."""
    parts_of: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Id → all ids that its write gave at once."""
    sent: dict[str, str] = field(default_factory=dict)
    """What a write said which then gave a wrong id, and where."""
    partly: dict[str, str] = field(default_factory=dict)
    """Thing → where a value of it first differed, in words."""
    parts: dict[tuple[str, str, str], str] = field(default_factory=dict)
    """Thing, key and the change of its value → where it first differed, in words."""

    def follow(self, heard: Sequence[Heard], exchange: Exchange, other: Exchange, observed_for: Callable[[str], str | None]) -> list[Heard]:
        """Mark what hangs on an earlier exchange, and remember what stands for itself."""
        route = route_of(exchange.request)
        told: list[Heard] = []
        first: list[tuple[tuple[str, ...], Difference]] = []
        asked = things_of(exchange.request)
        body = _body(exchange)
        for item in heard:
            found = item.difference
            things = _things(found, body) or asked
            reason = ""
            if item.witness is not Witness.INFIDELITY and not found.derived_from:
                # What a request's one thing has (a history's rows) is the thing's own; where it names several, each answers for itself.
                owners = asked if len(asked) == 1 else ()
                reason = self._reason(found, (*things, *(thing for thing in owners if thing not in things)))
                if not reason:
                    first.append((things, found))
            told.append(replace(item, difference=replace(found, derived_from=reason)) if reason else item)
        undone = _is_lost(exchange, other) or (route.replay_class in WRITES and _ended_otherwise(exchange, other))
        for things, found in first:
            if found.kind not in _STATUSES:
                # what a thing's own list lacks (its history, its chunks) is lacking of the thing
                if found.kind == "missing-item" and len(asked) == 1:
                    self._taint(asked, exchange.id, found)
                ranked, writes = any(word in route.template for word in _RANKING), route.replay_class in WRITES
                self._remember(found, things[:1], exchange.id, ranked=ranked, writes=writes)
                if found.kind == "identity" and route.replay_class in WRITES:
                    content = parse(exchange.request.body or b"", exchange.request.header(b"content-type"))
                    reason = _told(exchange.id, str(found.recorded), found)
                    said = _said(content.value) if content.kind == "json" else ""  # type: ignore[arg-type]  # by kind
                    self.sent |= {said: reason} if said else {}
            elif undone:
                self._taint((*asked, *_owner(body)), exchange.id, found)
        moved = {thing for things, _ in first for thing in things[:1]} | {thing for item in told for thing in _things(item.difference, body)[:1]}
        theirs = _body(other) if any(item.difference.kind == "order" for item in told) else None
        return [self._with_order(item, body, theirs, observed_for, moved) for item in told]

    def _with_order(self, item: Heard, body: Value, other: Value, observed_for: Callable[[str], str | None], moved: AbstractSet[str]) -> Heard:
        """Mark a list's order where only things that differ stand elsewhere."""
        found = item.difference
        if found.kind != "order" or found.derived_from or item.witness is Witness.INFIDELITY:
            return item
        left, right = ([_names(one) for one in items] if isinstance(items := _at(found.at, value), list) else [] for value in (body, other))
        known = {observed: recorded for recorded in left if recorded is not None and (observed := observed_for(recorded)) is not None}
        ours = [known.get(name, name) for name in right if name is not None]
        differing = {thing for thing in left if thing is not None and (thing in moved or thing in self.whole or thing in self.partly)}
        reason = next((told for thing in left if thing in differing and (told := self.whole.get(thing) or self.partly.get(thing))), "")
        common = set(left) & set(ours) - differing
        if len(differing) > max(1, len(common)):
            return item  # where most of them differ, what is left in order proves nothing
        same = [thing for thing in left if thing in common] == [thing for thing in ours if thing in common]
        return replace(item, difference=replace(found, derived_from=reason)) if reason and same and None not in left else item

    def see(self, exchange: Exchange, route: Route) -> None:
        """Take note of the ids that a write gave at once, such as a memory and its job: where one is lost, so are they."""
        body = _body(exchange) if route.replay_class in WRITES else None
        if isinstance(body, dict):
            born = tuple(value for value in body.values() if isinstance(value, str) and value not in self.parts_of and _is_id(value))
            if len(born) > 1:
                self.parts_of.update(dict.fromkeys(born, born))

    def _reason(self, found: Difference, things: Sequence[str]) -> str:
        if found.kind not in _FOLLOWING or found.quirk:
            return ""
        own = _thing_in_key(found)
        if found.kind in {"missing-key", "extra-key"} and own is None and not self._in_failed_tool(found, things):
            return ""
        if found.kind == "identity":
            return self.whole.get(found.recorded, "") if isinstance(found.recorded, str) else ""
        if self.sent and found.kind == "extra-item" and not isinstance(found.observed, Absent):
            told = next((self.sent[text] for text in _texts(found.observed) if text in self.sent), "")
            if told:
                return told
        for thing in (own, *things) if own is not None else things:
            if thing in self.whole:
                return self.whole[thing]
            if thing in self.lacking and self._speaks_of_absence(found, thing, things, own):
                return self.lacking[thing]
            for change in _changes(found):
                if (thing, _key(found), change) in self.parts:
                    return self.parts[thing, _key(found), change]
        return ""

    def _speaks_of_absence(self, found: Difference, thing: str, things: Sequence[str], own: str | None) -> bool:
        """Whether a difference may be there because a thing is not, or is only over here."""
        if found.kind in _ITEMS:
            return thing == things[0] or (found.kind == "missing-item" and len(things) == 2)  # itself, or what is its own
        key = _key(found)
        return own == thing or found.kind in {"status", "missing-key", "extra-key"} or key == _FAILED or key.lower() in _COUNTS

    def _in_failed_tool(self, found: Difference, things: Sequence[str]) -> bool:
        """Whether a key is lacking because a tool speaks of a thing that is not there."""
        return ".<json>" in found.path and any(thing in self.whole or thing in self.lacking for thing in things)

    def _remember(self, found: Difference, things: tuple[str, ...], number: int, *, ranked: bool, writes: bool) -> None:
        key, own = _key(found), _thing_in_key(found)
        if own is not None:
            self._taint((own,), number, found)
        elif found.kind == "identity" and isinstance(found.recorded, str) and _is_id(found.recorded):
            self.whole.setdefault(found.recorded, _told(number, found.recorded, found))
        elif found.kind in _ITEMS:
            for thing in () if ranked else things:
                for part in self.parts_of.get(thing, (thing,)):
                    self.lacking.setdefault(part, _told(number, thing, found))
        elif key.lower() in _VERSIONS or key == _FAILED or (writes and key.lower() in _COUNTS):  # a listing's count tells nothing of one thing
            self._taint(things, number, found)
        elif found.kind == "value":
            for thing in things:
                self.partly.setdefault(thing, _told(number, thing, found))
                for change in _changes(found):
                    self.parts.setdefault((thing, key, change), _told(number, thing, found))

    def _taint(self, things: Sequence[str], number: int, found: Difference) -> None:
        for thing in things:
            for part in self.parts_of.get(thing, (thing,)):
                self.whole.setdefault(part, _told(number, thing, found))


def things_of(request: Request) -> tuple[str, ...]:
    """
    Give the ids that a request names in its target and body, each once.

    Not those that say who asks: in headers, and the session, agent and project of nearly every request, or all would hang on the first fault.
    """
    target = unquote(request.target.decode("utf-8", "surrogateescape"), errors="surrogateescape")
    texts = (target, (request.body or b"").decode("utf-8", "surrogateescape"))
    return tuple(dict.fromkeys(word for text in texts for word in _ids(_ASKER.sub("", text))))


def _ids(text: str) -> Iterator[str]:
    return (text[span.start : span.end] for span in find(text) if span.role.kind in ID_KINDS)


def _is_lost(exchange: Exchange, other: Exchange) -> bool:
    """Whether what was there is not there, or the other way round."""
    one, two = _status(exchange), _status(other)
    return one is not None and two is not None and (one in _GONE) != (two in _GONE)


def _ended_otherwise(exchange: Exchange, other: Exchange) -> bool:
    """Whether one of two writes was done and the other was not."""
    one, two = _status(exchange), _status(other)
    return one is None or two is None or (one // 100 == 2) != (two // 100 == 2)


def _status(exchange: Exchange) -> int | None:
    return exchange.outcome.status if isinstance(exchange.outcome, Response) else None


def _body(exchange: Exchange) -> Value:
    if not isinstance(exchange.outcome, Response):
        return None
    content = parse(exchange.outcome.body or b"", exchange.outcome.header(b"content-type"))
    return content.value if content.kind == "json" else None  # type: ignore[return-value]  # by kind


def _things(found: Difference, body: Value) -> tuple[str, ...]:
    """Give the things in whose objects a difference stands, the nearest first; an item that one side lacks is itself the nearest."""
    if found.kind in _ITEMS:
        inner = _things_in(found.recorded if found.kind == "missing-item" else found.observed)
        return inner[:1] + _around(found.at, body)
    return _around(found.at, body)


def _around(at: str, body: Value) -> tuple[str, ...]:
    owners = [owner for value in _way(at, body)[:-1] for owner in _owner(value)]
    return tuple(dict.fromkeys(reversed(owners)))


def _at(at: str, body: Value) -> Value:
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


def _names(item: Value) -> str | None:
    return next(iter(_things_in(item)), None)


def _unquoted(quoted: str) -> str:
    """Read a key as a path spells it where it is no plain word."""
    return quoted[1:-1].replace('\\"', '"').replace("\\\\", "\\")


def _owner(value: Value) -> list[str]:
    """Give what an object calls its own id."""
    own = value.get("id") if isinstance(value, dict) else None
    return [own] if isinstance(own, str) and _is_id(own) else []


def _things_in(value: Value | Absent) -> tuple[str, ...]:
    """Give the thing that an item is: its own id, else the id in an object that it wraps; a text that is an id is one."""
    if isinstance(value, str):
        return (value,) if _is_id(value) else ()
    if not isinstance(value, dict):
        return ()
    inner = [holder for holder in value.values() if isinstance(holder, dict)]
    return tuple(thing for holder in (value, *inner) for thing in _owner(holder))


def _thing_in_key(found: Difference) -> str | None:
    """Give the id that is the key of what is lacking or more."""
    if found.kind not in {"missing-key", "extra-key"}:
        return None
    key = _last(found.at)
    return key if _is_id(key) else None


def _last(at: str) -> str:
    last = ""
    for step in _STEP.finditer(at, 1) if at.startswith("$") else ():
        name, _, quoted = step.groups()
        last = name if name is not None else _unquoted(quoted) if quoted is not None else last
    return last


def _key(found: Difference) -> str:
    return _last(found.at)


def _changes(found: Difference) -> tuple[str, ...]:
    """Spell how a value changed: by what it was and is, and for a number by how much."""
    if isinstance(found.recorded, Absent) or isinstance(found.observed, Absent):
        return ()
    spelt = [blind(found.recorded), blind(found.observed)]
    if spelt[0] == spelt[1]:  # two times, two ids: only the very same change is the same
        spelt = [dump(found.recorded), dump(found.observed)]
    changes = [" → ".join(spelt)]
    if isinstance(found.recorded, Number) and isinstance(found.observed, Number) and found.recorded.integral and found.observed.integral:
        changes.append(f"by {found.observed.value - found.recorded.value}")
    return tuple(changes)


def _texts(value: Value) -> Iterator[str]:
    """Give the texts in a value that are long enough to tell it from others."""
    return (leaf for _, leaf in walk(value) if isinstance(leaf, str) and len(leaf) >= _TEXT_CHARS_MIN and classify(leaf) is None)


def _said(value: Value) -> str:
    """Give the longest text of a write, by which what was made of it is known; not one that others have, too, such as a project's path."""
    own = (leaf for path, leaf in walk(value) if isinstance(leaf, str) and not _SHARED.search(_last(path)))
    return max((text for leaf in own for text in _texts(leaf)), key=len, default="")


def _is_id(text: str) -> bool:
    role = classify(text)
    return role is not None and role.kind in ID_KINDS


def _told(number: int, thing: str, found: Difference) -> str:
    role = classify(thing)
    return f"#{number}, where {'id' if role is None else role.kind} {thing} first differed ({found.path})"


__all__ = ["Trail", "things_of"]
