"""
Texts and values without what differs from run to run, so that two daemons' answers can be laid beside each other.

Ids and times are blanked by their kind; an id that is firmly bound stands as the observed one on both sides, one that a client chose as itself.
"""

import re
from collections.abc import Collection
from typing import Final

from replay.content import Number, Value, dump, embedded
from replay.identity.bindings import Bindings
from replay.identity.roles import ID_KINDS, Role, Span, classify, find, is_duration_key

_DIGITS: Final = re.compile(r"[0-9]+")
_OWN_IDS: Final = ("id", "memoryId", "memory_id", "sessionId", "jobId", "runId", "uuid")


class Blanks:
    """Blanks for one pair of answers; remembers where the ids in a text are."""

    def __init__(self, bindings: Bindings, chosen: Collection[str]) -> None:
        self.bindings = bindings
        self.chosen = chosen
        self._found: dict[str, list[Span]] = {}

    def spans(self, text: str) -> list[Span]:
        """Give the ids and times in a text."""
        found = self._found.get(text)
        if found is None:
            found = find(text)
            self._found[text] = found
        return found

    def blank(self, text: str) -> str:
        """Give a text with all ids and times blanked, bound or not."""
        spans = self.spans(text)
        if not spans:
            return text
        parts: list[str] = []
        at = 0
        for span in spans:
            parts.append(f"{text[at : span.start]}<{span.role.kind}>")
            at = span.end
        return "".join(parts) + text[at:]

    def numberless(self, text: str) -> str:
        """Do as `blank`, and blank the digits, too."""
        return _DIGITS.sub("0", self.blank(text))

    def canon(self, item: Value, *, back: bool, numbers: bool = True) -> str:
        """Spell a whole value with all that blanked, members sorted; `back`: an observed value; without `numbers` these are blanked, too."""
        return dump(self._canonical(item, "", back=back, numbers=numbers))

    def _canonical(self, item: Value, key: str, *, back: bool, numbers: bool) -> Value:
        """Give a value with unbound ids and times blanked; bound ids stand as the observed ones on both sides."""
        match item:
            case dict():
                members = (
                    (self.text(name, back=back), self._canonical(below, name, back=back, numbers=numbers)) for name, below in item.items()
                )
                return dict(sorted(members, key=lambda member: member[0]))
            case list():
                return [self._canonical(below, key, back=back, numbers=numbers) for below in item]
            case str():
                inner = embedded(item)
                if inner is not None:
                    return self._canonical(inner, key, back=back, numbers=numbers)
                return self.text(item, back=back)
            case Number():
                volatile = not numbers or not item.integral or len(item.text) in {10, 13} or is_duration_key(key)
                return "<number>" if volatile else item
            case _:
                return item

    def text(self, text: str, *, back: bool) -> str:
        """Give a text with unbound ids and times blanked, and what looks like nothing but a short id."""
        spans = self.spans(text)
        if not spans:
            role = classify(text) if len(text) in {12, 16} else None
            return text if role is None else f"<{role.kind}>"
        parts: list[str] = []
        at = 0
        for span in spans:
            parts.append(text[at : span.start])
            parts.append(self._stand_in(text[span.start : span.end], span.role, back=back))
            at = span.end
        parts.append(text[at:])
        return "".join(parts)

    def _stand_in(self, word: str, role: Role, *, back: bool) -> str:
        if role.kind in ID_KINDS:
            known = self.bindings.firm_back(word) if back else self.bindings.firm_for(word)
            if known is not None:
                return word if back else known
            if word in self.chosen:
                return word
        return f"<{role.kind}>"


def own_id(item: Value) -> str | None:
    """Give the id by which a thing goes; None for what has none."""
    if not isinstance(item, dict):
        return None
    return next((value for key in _OWN_IDS if isinstance(value := item.get(key), str) and value), None)
