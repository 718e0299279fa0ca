"""
What follows from what: the things (rows) that a candidate is known to have otherwise, and the later differences that hang on them.

How this works
--------------
A thing is named by its recorded id. A difference is about the things whose objects it stands in, and where it stands in none, about those that
the request names. The first difference about a thing stands for itself and leaves *facts*; a later one hangs on a fact that explains it:

- *absent*: the candidate did not make the thing (the write that made it was refused, or gave another id; or a list lacks it, and no answer of
  the candidate ever named it), or lost it (a look-up finds nothing, a delete went through here alone). Then items that lack, a status of 4xx to
  a request for it, and references to it follow. *Extra* is the same the other way round.
- *lacking*: one list lacks a thing that was made. That may be the list's fault: only the same list, and requests for the thing itself, follow.
  A search that lacks it says nothing: it ranks.
- *decided*: a write of the thing ended otherwise, or its own list (a history) lacks an entry. Then values follow that this write sent or this
  entry says, under the same key and with the same value, and the thing's version; no other value of it.
- *version*: the version differs. Then versions, and conditional writes (409) of the thing follow.
- *part*: one value was other. Then the same change under the same key follows, or a number that is off by as much.

An order follows where the rest stands alike once the things that differ are left out; a count of a list, where it differs by as many items as
lack beside it by name. How an answer is written (formats, types, keys, headers) never follows, nor a status of 5xx.

A thing that is said to be absent and is shown later, by its own id, was there: what hung on its absence is taken back in the end (`settled`).
A difference that hangs on another one names its thing and the exchange where that first differed; the judge lets it hang only where that one
is open (what a rule accepts in one place excuses nothing elsewhere). What a derived difference decides hangs on the same one in turn.
"""

import re
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Final

from replay.compare.blinding import blind
from replay.compare.difference import Difference
from replay.compare.things import (
    ITEMS,
    asked_things,
    body_of,
    born_ids,
    digest_of,
    holder_of,
    is_id,
    last_key,
    looked_up,
    members_of,
    owned_by_target,
    plain_key,
    said,
    sent_values,
    shown_things,
    speaks_of,
    status_of,
    texts_of,
    thing_in_key,
    things_in,
    things_of,
    value_at,
)
from replay.compare.witness import Heard
from replay.content import Number, Value, dump
from replay.identity import Bindings, classify
from replay.model import Absent, Exchange, Finding, Witness
from replay.routes import WRITES, Route, route_of

_VERSIONS: Final = frozenset({"version", "newversion", "currentversion"})
_STATUSES: Final = frozenset({"status", "no-response"})
_GONE: Final = frozenset({404, 410})
_CONFLICTS: Final = frozenset({409, 412})
_RPC: Final = "rpc-error"
"""A call by JSON-RPC, or a tool, failed on one side."""
_FOLLOWING: Final = frozenset({_RPC, "value", "missing-item", "extra-item", "status", "missing-key", "extra-key", "identity", "type"})
"""Kinds that may follow; of keys only those that are ids, of types only references that became null."""
_COUNTS: Final = frozenset({"count", "total", "updated", "deleted", "forgotten", "affected", "matched"})
"""How many of the things that a request named there are: of one, whether it is there."""
_STATES: Final = frozenset({"status", "state", "phase"})
_ORDERS: Final = frozenset({"order", "rank"})
_PLACES: Final = frozenset({"rank", "position", "index", "order", "score", "similarity", "distance", "relevance"})
"""What a thing has among others, and not of itself."""
_RANKING: Final = ("recall", "search", "similar", "/mcp", "session-start", "prompt")
"""What the templates of routes have that give the best few."""
_EXISTENCE: Final = re.compile(r"(?i)forget|delete|recover|restore|remove|purge|prune")
"""What a write's route says where it decides whether a thing is there."""
_CONDITIONAL: Final = re.compile(rb'(?i)"(?:if|expected)_?version"')
_ASKS_OTHERWISE: Final = "the requests"
_SUCCEEDED: Final = "result"
"""How the change of an `rpc-error` calls a good answer."""


@dataclass(slots=True)
class Trail:
    """The facts about things so far, in one comparison; each says in words where it comes from."""

    absent: dict[str, str] = field(default_factory=dict)
    """Recorded thing that the candidate lacks → why."""
    lacking: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Thing, by its id on the side that shows it → the list that one side alone shows it in, and why."""
    extra: dict[str, str] = field(default_factory=dict)
    """Observed thing that the recording lacks, or recorded one that the candidate still has → why."""
    decided: dict[tuple[str, str], list[tuple[Value, str]]] = field(default_factory=dict)
    """Thing and key → what each write that ended otherwise said of it, and why."""
    versions: dict[str, str] = field(default_factory=dict)
    written: dict[tuple[str, str], int] = field(default_factory=dict)
    """Thing and key → digest of what the last write of it that was done sent: another version may lack it."""
    parts: dict[tuple[str, str, str], str] = field(default_factory=dict)
    """Thing, key and the change of its value → why."""
    changed: dict[str, str] = field(default_factory=dict)
    """Thing that anything is known of → why."""
    born_with: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Id → all ids that its write gave at once."""
    sent: dict[str, str] = field(default_factory=dict)
    """What a write said which then gave a wrong id → why."""
    _never_named: dict[str, str] = field(default_factory=dict)
    """Recorded thing that is absent because the candidate never named it → why."""
    _never_recorded: dict[str, str] = field(default_factory=dict)
    """Observed thing that is extra because it stands for no recorded one → why."""
    _watched: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Observed id of an absent or lacking thing → since which exchange, and why that is said."""
    _taken_back: set[str] = field(default_factory=set)

    def see(self, exchange: Exchange, other: Exchange | None, route: Route) -> None:
        """
        Take note of what every pair tells, different or not.

        A write gives ids at once, such as a memory and its job: where one is lost, so are they. A thing that was said to be absent may be shown.
        """
        body = body_of(exchange) if route.replay_class in WRITES else None
        born = tuple(word for word in born_ids(body) if word not in self.born_with)
        if len(born) > 1:
            self.born_with.update(dict.fromkeys(born, born))
        done = route.replay_class in WRITES and 2 in {(status_of(side) or 0) // 100 for side in (exchange, other) if side is not None}
        lookup = looked_up(exchange.request) if done else None
        for owner, key, value in sent_values(exchange.request) if lookup is not None else ():
            if not isinstance(value, list | dict):
                self.written[owner or lookup or "", plain_key(key)] = digest_of(value)
        if self._watched and other is not None:
            for thing in shown_things(other) & self._watched.keys():
                since, reason = self._watched[thing]
                if exchange.id > since:
                    self._take_back(reason)
                    del self._watched[thing]

    def follow(self, heard: Sequence[Heard], exchange: Exchange, other: Exchange, bindings: Bindings) -> list[Heard]:
        """Mark what hangs on an earlier exchange, and remember what it tells."""
        pair = _Pair.of(exchange, other, bindings)
        told: list[Heard] = []
        for item in heard:
            reason = self._reason_for_asking(item, pair) if item.witness is not Witness.INFIDELITY else ""
            told.append(replace(item, difference=replace(item.difference, derived_from=reason)) if reason else item)
        counted = [self._with_count(item, told, pair) for item in told]
        # only now: what stands for itself in this exchange explains nothing else in it but order and counts
        for item in counted:
            if item.witness is not Witness.INFIDELITY:
                self._remember(item.difference, pair)
        moved = {thing for item in counted for thing in things_of(item.difference, pair.body)[:1]}
        theirs = body_of(other) if any(item.difference.kind in _ORDERS for item in counted) else None
        return [self._with_order(item, pair, theirs, moved) for item in counted]

    def settled(self, findings: Iterable[Finding], bindings: Bindings) -> list[Finding]:
        """Give findings without what hung on the absence of things that were there after all."""
        named = {why for thing, why in self._never_named.items() if bindings.observed_for(thing) is not None}
        named |= {why for thing, why in self._never_recorded.items() if bindings.recorded_for(thing) is not None}
        return [replace(found, derived_from="") if found.derived_from in self._taken_back | named else found for found in findings]

    # --- what follows ---

    def _reason_for_asking(self, item: Heard, pair: "_Pair") -> str:
        """Say what a difference hangs on; empty where it stands for itself, or is marked already."""
        found = item.difference
        if found.derived_from:
            lost = (
                next((thing for thing in pair.asked if thing in self.absent), None) if found.derived_from.startswith(_ASKS_OTHERWISE) else None
            )
            origin = "" if lost is None else self.absent[lost].split(",", 1)[0]
            return f"{origin}, which did not give {lost}: {found.derived_from}" if origin else ""
        return self._reason(found, pair)

    def _reason(self, found: Difference, pair: "_Pair") -> str:
        if found.kind not in _FOLLOWING or found.quirk:
            return ""
        own = thing_in_key(found)
        if found.kind in ITEMS:
            return self._reason_of_item(found, pair)
        if own is not None:
            return self._without(own) if found.kind == "missing-key" else self.extra.get(own, "")
        if isinstance(found.recorded, str) and found.recorded in self.absent and is_id(found.recorded):
            return self.absent[found.recorded]  # whatever speaks of a thing that is not there
        if found.kind in _STATUSES:
            return self._reason_of_status(pair)
        if found.kind == _RPC:
            known = self._without if found.transition.startswith(_SUCCEEDED) else lambda thing: self.extra.get(thing, "")
            return next((why for thing in pair.asked if (why := known(thing))), "")
        lost = next((thing for thing in things_of(found, pair.body) if thing in self.absent), None) if pair.writes else None
        if lost is not None:
            return self.absent[lost]  # what a write says of one thing that it did not find
        if found.kind in {"missing-key", "extra-key"}:
            return self._reason_in_tool(found, pair)
        return self._reason_of_value(found, pair) if found.kind == "value" else ""

    def _reason_of_item(self, found: Difference, pair: "_Pair") -> str:
        item, known = (found.recorded, self.absent) if found.kind == "missing-item" else (found.observed, self.extra)
        thing = next(iter(things_in(item)), None)
        if thing is not None and thing in known:
            return known[thing]
        if thing is not None and self.lacking.get(thing, ("",))[0] == pair.list_of(found):
            return self.lacking[thing][1]
        if pair.owner is not None:  # an entry of the thing's own list
            reason = self._without(pair.owner) if known is self.absent else self.extra.get(pair.owner, "")
            if reason:
                return reason
            for key, value in members_of(item) if not isinstance(item, Absent) else ():
                plain = plain_key(key)
                if plain in _VERSIONS and pair.owner in self.versions:
                    return self.versions[pair.owner]
                # a history says it as the new content or the new version
                reason = "" if isinstance(value, list | dict) else self._decision(pair.owner, plain.removeprefix("new"), value)
                if reason:
                    return reason
        if self.sent and found.kind == "extra-item" and not isinstance(item, Absent):
            return next((self.sent[text] for text in texts_of(item) if text in self.sent), "")
        return ""

    def _reason_of_status(self, pair: "_Pair") -> str:
        one, two = pair.statuses
        if one is None or two is None or max(one, two) >= 500:
            return ""
        for thing in pair.asked:
            if two >= 400 and self._without(thing):
                return self._without(thing)
            if thing in self.extra and one >= 400:
                return self.extra[thing]
            if thing in self.versions and pair.conditional and {one, two} & _CONFLICTS:
                return self.versions[thing]
        return ""

    def _reason_in_tool(self, found: Difference, pair: "_Pair") -> str:
        """Say which absent thing a tool speaks of, in JSON inside a string."""
        return next((why for thing in pair.asked if (why := self._without(thing))), "") if ".<json>" in found.path else ""

    def _reason_of_value(self, found: Difference, pair: "_Pair") -> str:
        key, things = last_key(found.at), pair.things(found)
        plain = plain_key(key)
        for thing in things:
            reason = self._decision(thing, plain, found.recorded, found.observed)
            if reason:
                return reason
            if thing in self.versions and (plain in _VERSIONS or self._was_written(thing, plain, found)):
                return self.versions[thing]
            for change in _changes(found):
                if (thing, key, change) in self.parts:
                    return self.parts[thing, key, change]
            if plain in _STATES and (thing, key, _state(found)) in self.parts:
                return self.parts[thing, key, _state(found)]
        if plain in _COUNTS or ".<json>" in found.path:
            return next((why for thing in pair.asked if (why := self._without(thing))), "")
        return ""

    def _without(self, thing: str) -> str:
        """Say why the candidate may answer a request for a thing as if it was not there."""
        return self.absent.get(thing) or self.lacking.get(thing, ("", ""))[1]

    def _decision(self, thing: str, key: str, *shown: Value | Absent) -> str:
        """Give the write, which ended otherwise, that sent what is shown of a thing under a key."""
        return next((why for sent, why in self.decided.get((thing, key), ()) if any(speaks_of(sent, value) for value in shown)), "")

    def _was_written(self, thing: str, key: str, found: Difference) -> bool:
        """Whether one side shows what the last write of a thing sent, and the other does not."""
        sent = self.written.get((thing, key))
        return sent is not None and sent in {digest_of(value) for value in (found.recorded, found.observed) if not isinstance(value, Absent)}

    def _with_count(self, item: Heard, told: Sequence[Heard], pair: "_Pair") -> Heard:
        """Mark a count that differs by as many items as a list beside it lacks, or has more, by name."""
        found = item.difference
        one, two = found.recorded, found.observed
        if found.derived_from or found.kind != "value" or plain_key(last_key(found.at)) not in _COUNTS or item.witness is Witness.INFIDELITY:
            return item
        if not (isinstance(one, Number) and isinstance(two, Number) and one.integral and two.integral):
            return item
        holder = holder_of(found.path)
        lists: dict[str, list[Difference]] = {}
        for near in (other.difference for other in told):
            if near.kind in ITEMS and holder_of(near.path) in {holder, holder_of(holder)}:
                lists.setdefault(near.path, []).append(near)
        for near_by in lists.values():
            more = sum(1 if near.kind == "extra-item" else -1 for near in near_by)
            named = [(thing, near) for near in near_by for thing in things_of(near, pair.body)[:1]]
            if more == int(two.value) - int(one.value) and len(named) == len(near_by):
                thing, first = next(((thing, near) for thing, near in named if not near.derived_from), named[0])
                reason = first.derived_from or _told(pair.number, thing, first)
                return replace(item, difference=replace(found, derived_from=reason))
        return item

    def _with_order(self, item: Heard, pair: "_Pair", other: Value, moved: AbstractSet[str]) -> Heard:
        """Mark a list's order where only things that differ stand elsewhere."""
        found = item.difference
        if found.kind not in _ORDERS or found.derived_from or item.witness is Witness.INFIDELITY:
            return item
        left, right = (
            [_names(one) for one in items] if isinstance(items := value_at(found.at, value), list) else [] for value in (pair.body, other)
        )
        known = {
            observed: recorded for recorded in left if recorded is not None and (observed := pair.bindings.observed_for(recorded)) is not None
        }
        ours = [known.get(name, name) for name in right if name is not None]
        differing = {thing for thing in left if thing is not None and (thing in moved or thing in self.changed)}
        reason = next((self.changed[thing] for thing in left if thing in differing and thing in self.changed), "")
        common = set(left) & set(ours) - differing
        if len(differing) > max(1, len(common)):
            return item  # where most of them differ, what is left in order proves nothing
        same = [thing for thing in left if thing in common] == [thing for thing in ours if thing in common]
        return replace(item, difference=replace(found, derived_from=reason)) if reason and same and None not in left else item

    # --- what is remembered ---

    def _remember(self, found: Difference, pair: "_Pair") -> None:
        if found.derived_from and not found.derived_from.startswith("#"):
            return  # it hangs on this very exchange
        if found.kind in _STATUSES:
            self._remember_status(found, pair)
        elif found.kind == _RPC:
            self._remember_failure(found, pair)
        elif found.kind in ITEMS:
            self._remember_item(found, pair)
        elif (own := thing_in_key(found)) is not None:
            if found.kind == "missing-key":
                self._lose(own, found, pair)
        elif pair.writes and found.kind in {"identity", "missing-key"} and isinstance(found.recorded, str) and is_id(found.recorded):
            self._lose(found.recorded, found, pair)
            text = said(pair.exchange.request)
            if text:
                self.sent.setdefault(text, _why(found, found.recorded, pair))
        elif found.kind == "value":
            self._remember_value(found, pair)

    def _remember_status(self, found: Difference, pair: "_Pair") -> None:
        one, two = pair.statuses
        good, theirs = one is not None and one // 100 == 2, two is not None and two // 100 == 2
        lookup = looked_up(pair.exchange.request)
        # a conflict about a version says that the thing is there
        there, theirs_there = good or (pair.conditional and one in _CONFLICTS), theirs or (pair.conditional and two in _CONFLICTS)
        if pair.writes and good != theirs:
            for thing in pair.asked:
                self._decide(thing, found, pair)
            for thing in born_ids(pair.body) if good else ():
                if thing not in pair.asked:
                    self._lose(thing, found, pair)
        if lookup is not None and there and two in _GONE:
            self._lose(lookup, found, pair)
        if lookup is not None and theirs_there and one in _GONE:
            self.extra.setdefault(lookup, _why(found, lookup, pair))

    def _remember_item(self, found: Difference, pair: "_Pair") -> None:
        item = found.recorded if found.kind == "missing-item" else found.observed
        thing = next(iter(things_in(item)), None)
        if pair.owner is not None and isinstance(item, dict) and found.kind == "missing-item":
            # an entry says what was made of the thing; what lies deeper in it says why
            for key, value in item.items():
                plain = plain_key(key).removeprefix("new")
                if plain in _VERSIONS:
                    self._note(self.versions, pair.owner, found, pair)
                elif isinstance(value, str | Number) and plain != "id":
                    self.decided.setdefault((pair.owner, plain), []).append((value, _why(found, pair.owner, pair)))
        if thing is None or pair.ranked:
            return
        why = _why(found, thing, pair)
        if found.kind == "missing-item" and pair.bindings.observed_for(thing) is None:
            self._never_named.setdefault(thing, why)
            self._lose(thing, found, pair)
        elif found.kind == "extra-item" and pair.bindings.recorded_for(thing) is None:
            self._never_recorded.setdefault(thing, why)
            self.extra.setdefault(thing, why)
        else:
            for part in self.born_with.get(thing, (thing,)):
                self.lacking.setdefault(part, (pair.list_of(found), why))
                self._watch(part, why, pair)
                self.changed.setdefault(part, why)

    def _remember_value(self, found: Difference, pair: "_Pair") -> None:
        key, things = last_key(found.at), pair.things(found)[:1]
        plain = plain_key(key)
        for thing in things:
            if plain in _VERSIONS:
                self._decide(thing, found, pair) if pair.writes else self._note(self.versions, thing, found, pair)
            elif pair.writes and plain in _COUNTS:
                if len(pair.asked) == 1:
                    self._decide(thing, found, pair)
            elif plain not in _PLACES or not pair.ranked:
                if pair.writes and plain in _STATES:
                    self._decide(thing, found, pair)
                for change in (*_changes(found), *((_state(found),) if plain in _STATES else ())):
                    self.parts.setdefault((thing, key, change), _why(found, thing, pair))
                self.changed.setdefault(thing, _why(found, thing, pair))

    def _remember_failure(self, found: Difference, pair: "_Pair") -> None:
        """Note that a tool that failed found nothing, or did not do its work."""
        for thing in pair.asked:
            self._decide(thing, found, pair)
            if found.transition.startswith(_SUCCEEDED) and len(pair.asked) == 1:
                self._lose(thing, found, pair)

    def _decide(self, thing: str, found: Difference, pair: "_Pair") -> None:
        """Note that a write of a thing ended otherwise: what it sent, and its version, are other from here on."""
        why = _why(found, thing, pair)
        self._note(self.versions, thing, found, pair)
        for owner, key, value in sent_values(pair.exchange.request):
            if (owner is None or owner == thing) and plain_key(key) != "id":
                self.decided.setdefault((thing, plain_key(key)), []).append((value, why))
        if pair.decides_existence:
            self._lose(thing, found, pair)
            self.extra.setdefault(thing, why)
            observed = pair.bindings.observed_for(thing)
            if observed is not None:
                self.extra.setdefault(observed, why)

    def _lose(self, thing: str, found: Difference, pair: "_Pair") -> None:
        for part in self.born_with.get(thing, (thing,)):
            if part not in self.absent:
                why = _why(found, thing, pair)
                self.absent[part] = why
                self.changed.setdefault(part, why)
                self._watch(part, why, pair)

    def _watch(self, thing: str, why: str, pair: "_Pair") -> None:
        """Look out for a thing; one that has no partner may bear the same id on both sides."""
        self._watched[pair.bindings.observed_for(thing) or thing] = (pair.number, why)

    def _take_back(self, reason: str) -> None:
        """Forget that a thing is absent, and what hung on that; a list that lacked it did lack it, but it does so no more."""
        if reason in self.absent.values():
            self._taken_back.add(reason)
        for facts in (self.absent, self.extra, self.changed):
            for thing in [thing for thing, why in facts.items() if why == reason]:
                del facts[thing]
        for thing in [thing for thing, (_, why) in self.lacking.items() if why == reason]:
            del self.lacking[thing]

    def _note(self, facts: dict[str, str], thing: str, found: Difference, pair: "_Pair") -> None:
        for known in (facts, self.changed):
            known.setdefault(thing, _why(found, thing, pair))


@dataclass(frozen=True, slots=True)
class _Pair:
    """An exchange and its partner while they are followed."""

    exchange: Exchange
    body: Value
    asked: tuple[str, ...]
    owner: str | None
    """The thing whose own part the request asks for."""
    statuses: tuple[int | None, int | None]
    writes: bool
    ranked: bool
    decides_existence: bool
    conditional: bool
    route: str
    bindings: Bindings

    @staticmethod
    def of(exchange: Exchange, other: Exchange, bindings: Bindings) -> "_Pair":
        request, route = exchange.request, route_of(exchange.request)
        return _Pair(
            exchange,
            body_of(exchange),
            asked_things(request),
            owned_by_target(request),
            (status_of(exchange), status_of(other)),
            route.replay_class in WRITES,
            any(word in route.template for word in _RANKING),
            request.method.upper() == b"DELETE" or _EXISTENCE.search(route.template) is not None,
            request.header(b"if-match") is not None or _CONDITIONAL.search(request.body or b"") is not None,
            route.name,
            bindings,
        )

    @property
    def number(self) -> int:
        return self.exchange.id

    def list_of(self, found: Difference) -> str:
        """Name the list in which an item lacks or is more."""
        return f"{self.route} {found.path}"

    def things(self, found: Difference) -> tuple[str, ...]:
        """Give the things that a difference is about; where it stands in none's object, those that the request names, if it is one."""
        around = things_of(found, self.body)
        if not around:
            return self.asked
        return (*around, *(thing for thing in self.asked if len(self.asked) == 1 and thing not in around))


def _names(item: Value) -> str | None:
    return next(iter(things_in(item)), None)


def _changes(found: Difference) -> tuple[str, ...]:
    """Spell how a value changed: by what it was and is, and for a number by how much."""
    if isinstance(found.recorded, Absent) or isinstance(found.observed, Absent):
        return ()
    spelt = [blind(found.recorded), blind(found.observed)]
    if spelt[0] == spelt[1]:  # two times, two ids: only the very same change is the same
        spelt = [dump(found.recorded), dump(found.observed)]
    changes = [" → ".join(spelt)]
    one, two = found.recorded, found.observed
    numbers = isinstance(one, Number) and isinstance(two, Number) and one.integral and two.integral
    if numbers and plain_key(last_key(found.at)) not in _PLACES:
        changes.append(f"by {two.value - one.value}")  # type: ignore[union-attr]  # numbers
    return tuple(changes)


def _state(found: Difference) -> str:
    """Spell the state in which the candidate's thing stays."""
    return f"stays {'' if isinstance(found.observed, Absent) else blind(found.observed)}"


def _why(found: Difference, thing: str, pair: _Pair) -> str:
    return found.derived_from or _told(pair.number, thing, found)


def _told(number: int, thing: str, found: Difference) -> str:
    role = classify(thing)
    return f"#{number}, where {'id' if role is None else role.kind} {thing} first differed ({found.path})"


__all__ = ["Trail"]
