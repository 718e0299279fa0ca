"""
Bind what was born in an answer, by walking the recorded and the observed one side by side.

How this works
--------------
Objects are walked by key, strings are compared by their skeletons (the text with ids and times blanked): where these are equal, the
spans stand for each other. Texts that are not equal are compared line by line. The items of lists are paired first (`pairing`). What is
bound in a pair that is only likely, or in two things with different words that stand at one place, is *weak*.

What stands in for a redacted secret is bound to whatever stands at its place. Ids that the client chose (they stood in a request before
any answer held them) are the same on both sides and are never bound.
"""

import re
from collections.abc import Collection, Sequence
from typing import Final

from replay import model
from replay.content import Content, Event, Value, child, embedded, parse
from replay.identity.bindings import Bindings
from replay.identity.blanking import Blanks, own_id
from replay.identity.counters import session_of
from replay.identity.derived import key_prefix, renewed_token
from replay.identity.pairing import Pairing, pair_by_key
from replay.identity.roles import ID_KINDS, TIME_KINDS, Role, classify, find

_HEADERS: Final = (b"x-signet-request-id", b"x-request-id", b"location")
_ID_PATH: Final = re.compile(r"(?:[._](?:id|uuid)|[a-z](?:Id|ID))\Z")
_NAME: Final = re.compile(r"[!-~]{4,200}")
_SAYINGS: Final = ("content", "name", "title", "text", "summary", "question", "description")
_WHOLE_ONLY: Final = frozenset({"token", "prefix", "digest"})
_PRECISE: Final = ("ms,", "us,", "ns,")
_TOKENS: Final = ("confirmToken", "confirm_token")
_PREFIX_AT: Final = len("sig_sk_")
_SAME_BYTES_MAX: Final = 1_000_000
"""Answers that are equal and longer than this are not searched for ids."""


def learn(
    recorded: model.Response,
    observed: model.Response,
    bindings: Bindings,
    exchange: int,
    *,
    chosen: Collection[str] = frozenset(),
    request: model.Request | None = None,
) -> list[model.Binding]:
    """
    Bind the ids and precise times in which two answers to the same request differ or agree; gives the new bindings.

    `chosen` holds the ids that clients chose; the recorded `request` says for which session was answered. Contradictions are kept in
    `bindings.contradictions`, versions and epochs in `bindings.counters`.
    """
    walker = _Walker(bindings, exchange, chosen, None if request is None else session_of(request))
    for name in _HEADERS:
        left, right = recorded.header(name), observed.header(name)
        if left is not None and right is not None:
            walker.text(left.decode("latin-1"), right.decode("latin-1"), f"header:{name.decode()}", weak=False)
    if recorded.body and recorded.body == observed.body:
        if len(recorded.body) > _SAME_BYTES_MAX:
            bindings.unchanged.add(exchange)
        else:
            walker.same(recorded.body)
    elif recorded.body and observed.body:
        walker.contents(
            parse(recorded.body, recorded.header(b"content-type")),
            parse(observed.body, observed.header(b"content-type")),
        )
    return walker.new


def learn_pair(
    recorded: Value, observed: Value, bindings: Bindings, exchange: int, *, path: str = "$", chosen: Collection[str] = frozenset()
) -> list[model.Binding]:
    """
    Do as `learn` for two JSON values that only their places say to belong together, as those of one event of a stream that still runs.

    So what is bound is *weak*; the whole answer, once it is there, makes it sure or sets it right.
    """
    walker = _Walker(bindings, exchange, chosen)
    walker.value(recorded, observed, path, weak=True)
    return walker.new


class _Walker:
    def __init__(self, bindings: Bindings, exchange: int, chosen: Collection[str], session: str | None = None) -> None:
        self.new: list[model.Binding] = []
        self._bindings = bindings
        self._exchange = exchange
        self._chosen = chosen
        self._session = session
        self._blanks = Blanks(bindings, chosen)
        self._pairing = Pairing(self._blanks)

    def same(self, body: bytes) -> None:
        """Bind the ids of two answers that are equal byte for byte to themselves; neither is parsed."""
        text = body.decode("utf-8", "surrogateescape")
        for span in find(text):
            word = text[span.start : span.end]
            self._bind(span.role, word, word, "$", weak=False)

    def contents(self, left: Content, right: Content) -> None:
        if left.kind != right.kind:
            return
        match left.kind:
            case "sse":
                self._events(left.value, right.value)  # type: ignore[arg-type]  # by kind
            case "ndjson":
                self._lists(list(left.value), list(right.value), "$.<ndjson>", weak=False)  # type: ignore[arg-type]  # by kind
            case "json" | "text" | "html":
                self.value(left.value, right.value, "$", weak=False)  # type: ignore[arg-type]  # by kind
            case _:
                pass

    def value(self, left: Value, right: Value, path: str, *, weak: bool) -> None:
        match left, right:
            case dict(), dict():
                self._objects(left, right, path, weak=weak or (path != "$" and self._are_strangers(left, right)))
            case list(), list():
                self._lists(left, right, path, weak=weak)
            case str(), str():
                self.text(left, right, path, weak=weak)
            case _:
                pass

    def text(self, left: str, right: str, path: str, *, weak: bool) -> None:
        inner_left = embedded(left)
        inner_right = embedded(right) if inner_left is not None else None
        if inner_left is not None and inner_right is not None:
            self.value(inner_left, inner_right, f"{path}.<json>", weak=weak)
            return
        spans_left, spans_right = self._blanks.spans(left), self._blanks.spans(right)
        if spans_left or spans_right:
            if self._blanks.blank(left) == self._blanks.blank(right):
                self._bind_spans(left, right, path, weak=weak)
            elif spans_left and spans_right:
                self._lines(left, right, path, weak=weak)
            if spans_left and _ID_PATH.search(path):
                self._other_form(left, right, path, weak=weak)
            return
        role_left, role_right = classify(left), classify(right)
        if role_left is not None and (role_left.kind == "placeholder" or (role_left == role_right and role_left.kind in _WHOLE_ONLY)):
            self._bind(role_left, left, right, path, weak=weak)

    def _other_form(self, left: str, right: str, path: str, *, weak: bool) -> None:
        """Bind a whole id to what the candidate calls an id at its place, though it looks like none or like another kind's."""
        role, other = classify(left), classify(right)
        if role is None or role.kind not in ID_KINDS or (other is not None and other.kind in {role.kind, *TIME_KINDS}):
            return
        if _NAME.fullmatch(right) and self._bindings.observed_for(left) is None and self._bindings.recorded_for(right) is None:
            self._bind(role, left, right, path, weak=weak)

    def _lines(self, left: str, right: str, path: str, *, weak: bool) -> None:
        """Pair the lines of two texts (Markdown, logs) that are not the same: those that say the same but for ids, then also but for numbers."""
        rest_left, rest_right = [[line for line in text.splitlines() if self._blanks.spans(line)] for text in (left, right)]
        for blank_of, loosely in ((self._blanks.blank, False), (self._blanks.numberless, True)):
            found = pair_by_key(rest_left, rest_right, blank_of, blank_of)
            for one, two, loose in found:
                self._bind_spans(rest_left[one], rest_right[two], path, weak=weak or loose or loosely)
            done_left, done_right = {one for one, _, _ in found}, {two for _, two, _ in found}
            rest_left = [line for index, line in enumerate(rest_left) if index not in done_left]
            rest_right = [line for index, line in enumerate(rest_right) if index not in done_right]

    def _bind_spans(self, left: str, right: str, path: str, *, weak: bool) -> None:
        """Bind the ids of two texts that say the same between them; nothing where one spells a placeholder for an id that the other has."""
        spans, others = self._blanks.spans(left), self._blanks.spans(right)
        if [span.role.kind for span in spans] == [other.role.kind for other in others]:
            for span, other in zip(spans, others, strict=True):
                self._bind(span.role, left[span.start : span.end], right[other.start : other.end], path, weak=weak)

    def _bind(self, role: Role, left: str, right: str, path: str, *, weak: bool) -> None:
        if role.kind not in ID_KINDS and not (role.kind == "timestamp" and role.format.startswith(_PRECISE)):
            return
        if left in self._chosen:
            return
        if not self._bindings.is_new(role.kind, left, right, weak=weak):
            return
        before = self._bindings.born(left)
        if self._bindings.bind(role.kind, left, right, self._exchange, path, weak=weak) is None:
            now = self._bindings.born(left)
            if now is not None and now != before:
                self.new.append(now)

    def _objects(self, left: dict[str, Value], right: dict[str, Value], path: str, *, weak: bool) -> None:
        left_keys = [key for key in left if key not in right]
        for key, item in left.items():
            if key in right:
                self.value(item, right[key], child(path, key), weak=weak)
        if not weak:
            self._derive(left, right, path)
            self._bindings.counters.learn(left, right, self._own_in_both(left, right), self._session)
        if not left_keys:
            return
        right_keys = [key for key in right if key not in left]
        for one, two, loose in pair_by_key(
            left_keys, right_keys, lambda key: self._blanks.text(key, back=False), lambda key: self._blanks.text(key, back=True)
        ):
            if loose and len(left_keys) > 1 and self._blanks.blank(left_keys[one]) == left_keys[one]:
                continue
            self.text(left_keys[one], right_keys[two], f"{path}~key", weak=weak or loose)
            self.value(left[left_keys[one]], right[right_keys[two]], child(path, left_keys[one]), weak=weak or loose)

    def _derive(self, left: dict[str, Value], right: dict[str, Value], path: str) -> None:
        """Bind what the candidate did not say, but what follows from what it said."""
        for name in _TOKENS:
            if name in left and name not in right and (renewed := renewed_token(left, right, self._bindings)) is not None:
                self._bind(Role("digest", "hex32"), *renewed, f"{path}.{name}, a sum over ids", weak=False)
        one, two = left.get("key"), right.get("key")
        if isinstance(one, str) and isinstance(two, str):
            old, new = key_prefix(one), key_prefix(two)
            if old is not None and new is not None:
                where = f"{child(path, 'key')}, its beginning"
                self._bind(Role("api-key-prefix"), old, new, where, weak=False)
                self._bind(Role("prefix"), old[_PREFIX_AT:], new[_PREFIX_AT:], where, weak=False)

    def _lists(self, left: list[Value], right: list[Value], path: str, *, weak: bool) -> None:
        for one, two, loose in self._pairing.items(left, right):
            self.value(left[one], right[two], child(path, one), weak=weak or loose)

    def _events(self, left: Sequence[Event], right: Sequence[Event]) -> None:
        values_left: list[Value] = [[event.name, event.data] for event in left]
        values_right: list[Value] = [[event.name, event.data] for event in right]
        for one, two, loose in self._pairing.items(values_left, values_right):
            path = f"$.<sse>[{one}]"
            self.value(left[one].data, right[two].data, f"{path}.data", weak=loose)
            first, second = left[one].id, right[two].id
            if first is not None and second is not None:
                self.text(first, second, f"{path}.id", weak=loose)

    def _are_strangers(self, left: dict[str, Value], right: dict[str, Value]) -> bool:
        """
        Whether two objects at one place may be two things: their ids are not known to be a pair, and they say different things.

        A whole answer is none: it is about what was asked for.
        """
        one, two = own_id(left), own_id(right)
        if one is None or two is None or self._bindings.firm_for(one) == two:
            return False
        return any(
            isinstance(said := left.get(key), str)
            and isinstance(other := right.get(key), str)
            and self._blanks.numberless(said) != self._blanks.numberless(other)
            for key in _SAYINGS
        )

    def _own_in_both(self, left: dict[str, Value], right: dict[str, Value]) -> str | None:
        """Give the recorded id of what both objects are about; None where they are about nothing that has one, or about two things."""
        one, two = own_id(left), own_id(right)
        return one if one is not None and two == (self._bindings.firm_for(one) or one) else None
