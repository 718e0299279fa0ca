"""
Bind what was born in an answer, by walking the recorded and the observed one side by side.

How this works
--------------
Objects are walked by key, strings are compared by their skeletons (the text with ids and times blanked): where these are equal, the
spans stand for each other. Lists are the hard part: order and membership differ from run to run, so position proves nothing. Their
items are paired by what they say with ids and times blanked, in passes from strict to lenient: items whose id is bound already, items
whose whole content is the same, items that are the same but for numbers, items of unknown id with the same name or text. Where several
items say the same, they are paired in order if both sides have equally many, and what is bound there is *weak*. What is left is not bound.

What stands in for a redacted secret is bound to whatever stands at its place. Ids that the client chose (they stood in a request before
any answer held them) are the same on both sides and are never bound.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Sequence
from typing import Final

from replay import model
from replay.content import Content, Event, Number, Value, child, dump, embedded, parse
from replay.identity.bindings import Bindings
from replay.identity.counters import session_of
from replay.identity.derived import key_prefix, renewed_token
from replay.identity.likeness import pair_alike
from replay.identity.roles import ID_KINDS, Role, Span, classify, find, is_duration_key

_HEADERS: Final = (b"x-signet-request-id", b"x-request-id", b"location")
_NAMES: Final = ("content", "name", "title", "path", "key", "label", "sessionKey", "session_key", "description", "query", "type")
_SAYINGS: Final = ("content", "name", "title", "text", "summary", "question", "description")
_OWN_IDS: Final = ("id", "memoryId", "memory_id", "sessionId", "jobId", "runId", "uuid")
_WHOLE_ONLY: Final = frozenset({"token", "prefix", "digest"})
type _Name = tuple[frozenset[str], tuple[tuple[str, str], ...]]
"""An item's members, and what those say by which it goes."""

_PRECISE: Final = ("ms,", "us,", "ns,")
_TOKENS: Final = ("confirmToken", "confirm_token")
_PREFIX_AT: Final = len("sig_sk_")
_DIGITS: Final = re.compile(r"[0-9]+")
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
    """Do as `learn` for two JSON values, for instance those of one stream event."""
    walker = _Walker(bindings, exchange, chosen)
    walker.value(recorded, observed, path, weak=False)
    return walker.new


class _Walker:
    def __init__(self, bindings: Bindings, exchange: int, chosen: Collection[str], session: str | None = None) -> None:
        self.new: list[model.Binding] = []
        self._bindings = bindings
        self._exchange = exchange
        self._chosen = chosen
        self._session = session
        self._found: dict[str, list[Span]] = {}

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
                self._objects(left, right, path, weak=weak or self._are_strangers(left, right))
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
        spans_left, spans_right = self._spans(left), self._spans(right)
        if spans_left or spans_right:
            if self._blank(left) == self._blank(right):
                self._bind_spans(left, right, path, weak=weak)
            elif spans_left and spans_right:
                self._lines(left, right, path, weak=weak)
            return
        role_left, role_right = classify(left), classify(right)
        if role_left is not None and (role_left.kind == "placeholder" or (role_left == role_right and role_left.kind in _WHOLE_ONLY)):
            self._bind(role_left, left, right, path, weak=weak)

    def _lines(self, left: str, right: str, path: str, *, weak: bool) -> None:
        """Pair the lines of two texts (Markdown, logs) that are not the same: those that say the same but for ids, then also but for numbers."""
        rest_left, rest_right = [[line for line in text.splitlines() if self._spans(line)] for text in (left, right)]
        for blank_of, loosely in ((self._blank, False), (self._numberless, True)):
            found = self._groups(rest_left, rest_right, blank_of, blank_of)
            for one, two, loose in found:
                self._bind_spans(rest_left[one], rest_right[two], path, weak=weak or loose or loosely)
            done_left, done_right = {one for one, _, _ in found}, {two for _, two, _ in found}
            rest_left = [line for index, line in enumerate(rest_left) if index not in done_left]
            rest_right = [line for index, line in enumerate(rest_right) if index not in done_right]

    def _bind_spans(self, left: str, right: str, path: str, *, weak: bool) -> None:
        """Bind the ids of two texts that say the same between them; nothing where one spells a placeholder for an id that the other has."""
        spans, others = self._spans(left), self._spans(right)
        if [span.role.kind for span in spans] == [other.role.kind for other in others]:
            for span, other in zip(spans, others, strict=True):
                self._bind(span.role, left[span.start : span.end], right[other.start : other.end], path, weak=weak)

    def _numberless(self, text: str) -> str:
        return _DIGITS.sub("0", self._blank(text))

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
        for one, two, loose in self._groups(left_keys, right_keys, self._key_left, self._key_right):
            if loose and len(left_keys) > 1 and self._blank(left_keys[one]) == left_keys[one]:
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
        for one, two, loose in self._pair(left, right):
            self.value(left[one], right[two], child(path, one), weak=weak or loose)

    def _events(self, left: Sequence[Event], right: Sequence[Event]) -> None:
        values_left: list[Value] = [[event.name, event.data] for event in left]
        values_right: list[Value] = [[event.name, event.data] for event in right]
        for one, two, loose in self._pair(values_left, values_right):
            path = f"$.<sse>[{one}]"
            self.value(left[one].data, right[two].data, f"{path}.data", weak=loose)
            first, second = left[one].id, right[two].id
            if first is not None and second is not None:
                self.text(first, second, f"{path}.id", weak=loose)

    def _pair(self, left: list[Value], right: list[Value]) -> list[tuple[int, int, bool]]:
        """Pair the items of two lists: (left index, right index, whether it rests on order)."""
        rest_left, rest_right = list(range(len(left))), list(range(len(right)))
        pairs: list[tuple[int, int, bool]] = []
        passes: tuple[tuple[Callable[[Value], Hashable], Callable[[Value], Hashable], bool], ...] = (
            (self._own_id_left, self._own_id_right, False),
            (lambda item: self._canon(item, back=False), lambda item: self._canon(item, back=True), False),
            (lambda item: self._canon(item, back=False, numbers=False), lambda item: self._canon(item, back=True, numbers=False), False),
            (self._name_left, self._name_right, False),
            (self._likely_id_left, self._own_id_right, True),
            (lambda item: _numberless(self._name_left(item)), lambda item: _numberless(self._name_right(item)), True),
        )
        for key_left, key_right, likely in passes:
            if not rest_left or not rest_right:
                break
            found = self._groups([left[index] for index in rest_left], [right[index] for index in rest_right], key_left, key_right)
            pairs.extend((rest_left[one], rest_right[two], loose or likely) for one, two, loose in found)
            done_left = {rest_left[one] for one, _, _ in found}
            done_right = {rest_right[two] for _, two, _ in found}
            rest_left = [index for index in rest_left if index not in done_left]
            rest_right = [index for index in rest_right if index not in done_right]
        alike = [index for index in rest_left if self._own_id_left(left[index]) is None]
        others = [index for index in rest_right if self._name_is_free(right[index])]
        found_alike = pair_alike([left[index] for index in alike], [right[index] for index in others], self._blank)
        pairs.extend((alike[one], others[two], True) for one, two in found_alike)
        done_left, done_right = {alike[one] for one, _ in found_alike}, {others[two] for _, two in found_alike}
        rest_left = [index for index in rest_left if index not in done_left]
        rest_right = [index for index in rest_right if index not in done_right]
        if len(rest_left) == len(rest_right) == 1:
            last_left, last_right = left[rest_left[0]], right[rest_right[0]]
            if self._name(last_left) is None and _same_shape(last_left, last_right):
                pairs.append((rest_left[0], rest_right[0], True))
        return pairs

    @staticmethod
    def _groups[T](
        left: Sequence[T], right: Sequence[T], key_left: Callable[[T], Hashable], key_right: Callable[[T], Hashable]
    ) -> list[tuple[int, int, bool]]:
        """Pair by key, in order, where both sides have equally many of a key; None is no key."""
        groups: defaultdict[Hashable, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
        for index, item in enumerate(left):
            groups[key_left(item)][0].append(index)
        for index, item in enumerate(right):
            groups[key_right(item)][1].append(index)
        return [
            (one, two, len(ones) > 1)
            for key, (ones, twos) in groups.items()
            if key is not None and len(ones) == len(twos)
            for one, two in zip(ones, twos, strict=True)
        ]

    def _are_strangers(self, left: dict[str, Value], right: dict[str, Value]) -> bool:
        """Whether two objects at one place may be two things: their ids are not known to be a pair, and they say different things."""
        one, two = _own_id(left), _own_id(right)
        if one is None or two is None or self._bindings.firm_for(one) == two:
            return False
        return any(
            isinstance(said := left.get(key), str)
            and isinstance(other := right.get(key), str)
            and self._numberless(said) != self._numberless(other)
            for key in _SAYINGS
        )

    def _own_in_both(self, left: dict[str, Value], right: dict[str, Value]) -> str | None:
        """Give the recorded id of what both objects are about; None where they are about nothing that has one, or about two things."""
        one, two = _own_id(left), _own_id(right)
        return one if one is not None and two == (self._bindings.firm_for(one) or one) else None

    def _own_id_left(self, item: Value) -> Hashable:
        own = _own_id(item)
        return None if own is None else self._bindings.firm_for(own) or (own if own in self._chosen else None)

    def _likely_id_left(self, item: Value) -> Hashable:
        own = _own_id(item)
        return None if own is None else self._bindings.observed_for(own)

    def _own_id_right(self, item: Value) -> Hashable:
        return _own_id(item)

    def _key_left(self, key: str) -> Hashable:
        return self._text_key(key, back=False)

    def _key_right(self, key: str) -> Hashable:
        return self._text_key(key, back=True)

    def _name_left(self, item: Value) -> _Name | None:
        return None if self._own_id_left(item) is not None else self._name(item)

    def _name_right(self, item: Value) -> _Name | None:
        return self._name(item) if self._name_is_free(item) else None

    def _name_is_free(self, item: Value) -> bool:
        """Whether an observed item's own id stands for no recorded one yet."""
        own = _own_id(item)
        return own is None or (own not in self._chosen and self._bindings.firm_back(own) is None)

    def _name(self, item: Value) -> _Name | None:
        if not isinstance(item, dict):
            return None
        said = tuple((key, self._blank(text)) for key in _NAMES if isinstance(text := item.get(key), str))
        return (frozenset(item), said) if said else None

    def _canon(self, item: Value, *, back: bool, numbers: bool = True) -> str:
        return dump(self._canonical(item, "", back=back, numbers=numbers))

    def _canonical(self, item: Value, key: str, *, back: bool, numbers: bool) -> Value:
        """Give a value with unbound ids and times blanked; bound ids stand as the observed ones on both sides."""
        match item:
            case dict():
                members = (
                    (self._text_key(name, back=back), self._canonical(below, name, back=back, numbers=numbers)) for name, below in item.items()
                )
                return dict(sorted(members, key=lambda member: member[0]))
            case list():
                return [self._canonical(below, key, back=back, numbers=numbers) for below in item]
            case str():
                inner = embedded(item)
                if inner is not None:
                    return self._canonical(inner, key, back=back, numbers=numbers)
                return self._text_key(item, back=back)
            case Number():
                volatile = not numbers or not item.integral or len(item.text) in {10, 13} or is_duration_key(key)
                return "<number>" if volatile else item
            case _:
                return item

    def _text_key(self, text: str, *, back: bool) -> str:
        spans = self._spans(text)
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
            known = self._bindings.firm_back(word) if back else self._bindings.firm_for(word)
            if known is not None:
                return word if back else known
            if word in self._chosen:
                return word
        return f"<{role.kind}>"

    def _spans(self, text: str) -> list[Span]:
        found = self._found.get(text)
        if found is None:
            found = find(text)
            self._found[text] = found
        return found

    def _blank(self, text: str) -> str:
        spans = self._spans(text)
        if not spans:
            return text
        parts: list[str] = []
        at = 0
        for span in spans:
            parts.append(f"{text[at : span.start]}<{span.role.kind}>")
            at = span.end
        return "".join(parts) + text[at:]


def _numberless(name: _Name | None) -> Hashable:
    return None if name is None else (name[0], tuple((key, _DIGITS.sub("0", text)) for key, text in name[1]))


def _own_id(item: Value) -> str | None:
    if not isinstance(item, dict):
        return None
    return next((value for key in _OWN_IDS if isinstance(value := item.get(key), str) and value), None)


def _same_shape(left: Value, right: Value) -> bool:
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys()
    return type(left) is type(right)
