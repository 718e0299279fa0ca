"""One renaming per kind of id, recorded ↔ observed, and rewriting by it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from replay import model
from replay.identity.counters import Counters
from replay.identity.opaque import OpaqueWords
from replay.identity.roles import ID_KINDS, find
from replay.identity.scanning import may_hold
from replay.workspace.tokens import claims

_WEAK = " (by order)"
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class _Bound:
    other: str
    exchange: int
    path: str
    weak: bool


@dataclass(slots=True)
class _Renaming:
    forward: dict[str, _Bound] = field(default_factory=dict)
    backward: dict[str, _Bound] = field(default_factory=dict)


class Bindings:
    """
    Which observed id stands for which recorded one.

    Ids map one to one within their kind, and a second, different partner is a contradiction: the first stays. Times are bound too, so
    that a request can name a moment that an answer gave, but two recorded moments may become one: no contradiction. A *weak* binding
    rests on order alone; it gives way to a firm one.
    Tokens that grant the same may become one, too.
    """

    def __init__(self) -> None:
        self._kinds: dict[str, _Renaming] = {}
        self.version = 0
        """Grows with every change: what was rewritten before one may be rewritten otherwise after it."""
        self._kind_of: dict[str, str] = {}
        self._recorded_of: dict[str, str] = {}
        self._renamed: set[str] = set()
        """Both ends of every binding that renames; also of ones that gave way."""
        self._opaque: dict[bool, OpaqueWords] = {False: OpaqueWords(), True: OpaqueWords()}
        self.unchanged: set[int] = set()
        """Exchanges whose big answers were the same byte for byte: the ids in them are, too, and none was bound."""
        self.counters = Counters()
        """What daemons count up and clients send back."""
        self.contradictions: list[str] = []
        """Every refused binding, in words, each pair of ids once."""
        self._refused: set[tuple[str, str, str]] = set()

    def __len__(self) -> int:
        return sum(len(kind.forward) for kind in self._kinds.values())

    @classmethod
    def of(cls, records: Iterable[model.Binding]) -> "Bindings":
        """Build from the records of an observed archive."""
        built = cls()
        for record in records:
            weak = record.path.endswith(_WEAK)
            built.bind(record.kind, record.recorded, record.observed, record.exchange, record.path.removesuffix(_WEAK), weak=weak)
        return built

    def records(self) -> list[model.Binding]:
        """Give all bindings as records, by the exchange where they were born."""
        found = [_record(kind, recorded, bound) for kind, renaming in self._kinds.items() for recorded, bound in renaming.forward.items()]
        return sorted(found, key=lambda record: record.exchange)

    def bind(self, kind: str, recorded: str, observed: str, exchange: int, path: str, *, weak: bool = False) -> str | None:
        """Bind two ids; gives the contradiction in words if one of them is bound to another id already, else None."""
        renaming = self._kinds.setdefault(kind, _Renaming())
        known = renaming.forward.get(recorded)
        if known is not None and known.other == observed:
            if known.weak and not weak:
                self._put(kind, recorded, observed, exchange, path, weak=False)
            return None
        if kind not in ID_KINDS:
            if known is None or (known.weak and not weak):
                self._put(kind, recorded, observed, exchange, path, weak=weak)
            return None
        back = renaming.backward.get(observed)
        if back is not None and kind == "bearer" and _are_one_grant(recorded, back.other):
            back = None
        stands = [bound for bound in (known, back) if bound is not None]
        if any(not bound.weak for bound in stands) or (stands and weak):
            if weak:
                return None
            said = _contradiction(model.Binding(kind, recorded, observed, exchange, path), known, back)
            if (kind, recorded, observed) not in self._refused:
                self._refused.add((kind, recorded, observed))
                self.contradictions.append(said)
            return said
        if known is not None and renaming.backward[known.other].other == recorded:
            del renaming.backward[known.other]
            self._recorded_of.pop(known.other, None)
        if back is not None:
            del renaming.forward[back.other]
            self._kind_of.pop(back.other, None)
        self._put(kind, recorded, observed, exchange, path, weak=weak)
        return None

    def is_new(self, kind: str, recorded: str, observed: str, *, weak: bool) -> bool:
        """Tell whether binding these two would add something."""
        known = self._kinds[kind].forward.get(recorded) if kind in self._kinds else None
        return known is None or known.other != observed or (known.weak and not weak)

    def observed_for(self, recorded: str) -> str | None:
        """Give the observed id that stands for a recorded one; None where none is known."""
        kind = self._kind_of.get(recorded)
        return None if kind is None else self._kinds[kind].forward[recorded].other

    def recorded_for(self, observed: str) -> str | None:
        """Give the recorded id that an observed one stands for; None where none is known."""
        return self._recorded_of.get(observed)

    def firm_for(self, recorded: str) -> str | None:
        """Do as `observed_for`, but for what rests on order alone."""
        kind = self._kind_of.get(recorded)
        bound = None if kind is None else self._kinds[kind].forward[recorded]
        return None if bound is None or bound.weak else bound.other

    def firm_back(self, observed: str) -> str | None:
        """Do as `recorded_for`, but for what rests on order alone."""
        recorded = self._recorded_of.get(observed)
        return None if recorded is None or self.firm_for(recorded) is None else recorded

    def born(self, recorded: str) -> model.Binding | None:
        """Give where a recorded id was bound; None where it is not."""
        kind = self._kind_of.get(recorded)
        return None if kind is None else _record(kind, recorded, self._kinds[kind].forward[recorded])

    @property
    def renames(self) -> bool:
        """Whether any id has another name over there."""
        return bool(self._renamed)

    def touch(self, words: Iterable[str]) -> bool:
        """Whether one of these words surely is, or may be, an id with another name over there, or the other name of one."""
        return not self._renamed.isdisjoint(words)

    def rewrite_text(self, text: str) -> str:
        """Replace every bound recorded id in a text by its observed one, by exact spans."""
        return _put_in(text, self.edits(text))

    def rewrite_back(self, text: str) -> str:
        """Replace every bound observed id in a text by its recorded one."""
        return _put_in(text, self.edits(text, back=True))

    def leaves(self, data: bytes) -> bool:
        """Tell cheaply whether a rewrite surely leaves a target or body as it is, however its strings are taken apart; False says nothing."""
        if not self._kind_of:
            return True
        plain = b"%" not in data and b"\\" not in data and data.isascii()
        return plain and not may_hold(data) and not self._opaque[False].may_stand_in(data.decode("ascii"))

    def edits(self, text: str, *, back: bool = False) -> list[tuple[int, int, str]]:
        """
        Give the spans of a text that a rewrite replaces, with what goes there; in order, not overlapping.

        This is what `content.rewrite` takes as its `replace`.
        """
        if not self._kind_of:
            return []
        partner = self.recorded_for if back else self.observed_for
        whole = partner(text)
        if whole is not None:
            return [] if whole == text else [(0, len(text), whole)]
        found: list[tuple[int, int, str]] = []
        taken: list[tuple[int, int]] = []
        for span in find(text):
            other = partner(text[span.start : span.end])
            taken.append((span.start, span.end))
            if other is not None and other != text[span.start : span.end]:
                found.append((span.start, span.end, other))
        for start, end in self._opaque[back].find(text, taken):
            other = partner(text[start:end])
            if other is not None and other != text[start:end]:
                found.append((start, end, other))
        found.sort()
        return found

    def _put(self, kind: str, recorded: str, observed: str, exchange: int, path: str, *, weak: bool) -> None:
        self.version += 1
        if recorded != observed:
            self._renamed.update((recorded, observed))
        renaming = self._kinds[kind]
        renaming.forward[recorded] = _Bound(observed, exchange, path, weak)
        renaming.backward.setdefault(observed, _Bound(recorded, exchange, path, weak))
        if kind in ID_KINDS and (kind != "bearer" or renaming.backward[observed].weak):
            renaming.backward[observed] = _Bound(recorded, exchange, path, weak)
        self._kind_of[recorded] = kind
        self._recorded_of[observed] = renaming.backward[observed].other
        for back, word in ((False, recorded), (True, observed)):
            if _is_opaque(word):
                self._opaque[back].add(word)


def _is_opaque(word: str) -> bool:
    if _UUID.fullmatch(word):  # most of them, and told in no time
        return False
    spans = find(word)
    return not spans or spans[0].end - spans[0].start != len(word)


def _are_one_grant(token: str, other: str) -> bool:
    """Tell whether two tokens grant the same but for their times: made within one second they are one text, and two logins share it."""
    grants = [{name: value for name, value in (claims(each) or {"": each}).items() if name not in {"iat", "exp"}} for each in (token, other)]
    return grants[0] == grants[1]


def _contradiction(new: model.Binding, known: _Bound | None, back: _Bound | None) -> str:
    said = f"#{new.exchange} {new.path}: {new.kind} {new.recorded} would be {new.observed}"
    if known is not None:
        said += f", but is {known.other} since #{known.exchange} {known.path}"
    if back is not None:
        said += f", but {new.observed} stands for {back.other} since #{back.exchange} {back.path}"
    return said


def _record(kind: str, recorded: str, bound: _Bound) -> model.Binding:
    return model.Binding(kind, recorded, bound.other, bound.exchange, bound.path + (_WEAK if bound.weak else ""))


def _put_in(text: str, edits: list[tuple[int, int, str]]) -> str:
    parts: list[str] = []
    at = 0
    for start, end, new in edits:
        parts.append(text[at:start])
        parts.append(new)
        at = end
    parts.append(text[at:])
    return "".join(parts)
