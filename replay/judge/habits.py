"""
What a place's cause is: the recognisers, from the surest to the most general.

How this works
--------------
Each place is given a `Kin`: what defines its cause, and so the cause's lasting id. Nothing in it counts, and no concrete value that changes
from night to night is part of it, so that one more place of a habit never gives it another id. The recognisers are asked in this order:

1. *habits of a writer* hold over all routes: formats of times, numbers and booleans, null keys left out, key case, an empty value for null;
2. *the wire*: headers by what they are for, streams that end, status by what kind of change it is and by the words of the refusal;
3. *tools of an RPC*: the list of tools by what differs in it, and calls that the candidate does not know;
4. *messages for people*: of errors, and of success;
5. *shape*: an answer that is another object altogether, or keys that a thing lacks or has more wherever it is shown;
6. *defaults*: one key with one pair of values again and again;
7. *state*: which and how many things there are, and what their fields hold, each thing once.

A cause of the kinds 5 and 7 belongs to a thing (see `things`), and gathers it over the routes.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from replay.compare.blinding import measured
from replay.judge.quirks import QUIRKS
from replay.judge.sights import Sight, similar_words
from replay.judge.things import counts, family, steps, words
from replay.model import DifferenceClass
from replay.routes import by_name

HABITS: Final = frozenset(QUIRKS) - {"q-json-as-text", "q-letter-case", "q-null"}
"""Quirks of a writer: whatever thing or route shows them, they are one habit. The others say what a difference looks like, and not why."""

_EMPTY: Final = frozenset({'""', "[]", "{}", '"[]"', '"{}"'})
_HTML: Final = re.compile(r"</?[a-z][a-z0-9]*(?:\s[^<>]*)?>")
_NUMBER: Final = re.compile(r"\d+(?:\.\d+)?")
_PRESENCE: Final = frozenset({"missing-key", "extra-key"})
_ITEMS: Final = frozenset({"missing-item", "extra-item"})
_FIELDS: Final = frozenset({"value", "type", "format"})
_MESSAGES: Final = frozenset(
    {"message", "error", "detail", "details", "reason", "msg", "warning", "description", "summary", "guidelines", "hint"}
)
_MESSAGE_CHARACTERS: Final = 300
"""A longer text is content, whatever it is called."""
_REPORTS: Final = frozenset({"analytics", "telemetry", "logs", "metrics", "usage"})
"""Words of routes on which a daemon tells of its own work and load."""
_SEARCHES: Final = frozenset({"search", "recall", "similar", "browse"})
"""Words of routes and tools that look for something."""
_SHOWS: Final = _SEARCHES | {"get", "list", "show", "status", "tree", "read", "report"}
"""Words of tools that show something and change nothing."""
_RESHAPED_SHARE: Final = 0.5
_RESHAPED_KEYS: Final = 6
_CONSTANT: Final = 3
"""In so many exchanges of a route, and in all of them, a pair of values must stand to be a setting."""


@dataclass(frozen=True, slots=True)
class Kin:
    """What defines a cause."""

    kind: str
    key: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Context:
    """What only all places together show."""

    reshaped: frozenset[tuple[str, str]]
    """(what was asked, holder): objects that are another object altogether."""
    defaults: frozenset[tuple[str, str, str]]
    """(field, primary, candidate): pairs of values that stand in several families."""
    settings: frozenset[tuple[str, str, str]]
    """The same for pairs that are constant at a route."""
    constants: frozenset[str]
    """Ids of the clusters that show one pair of values in each exchange of their route."""
    ending: frozenset[str]
    """Routes whose streams end otherwise."""


def survey(places: Sequence[Sight]) -> Context:
    """Look at all places together."""
    presence: dict[tuple[str, str], list[Sight]] = defaultdict(list)
    pairs: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    settings = set()
    constants = set()
    for place in places:
        if place.cluster.kind in _PRESENCE and place.finding.quirk not in HABITS and not _by_data(place):
            presence[place.asked, place.holder].append(place)
        if place.cluster.kind != "value" or (pair := _pair(place)) is None:
            continue
        pairs[place.thing.field, *pair].add(place.thing.home)
        if place.cluster.count == place.cluster.compared >= _CONSTANT and not _writes(place):
            constants.add(place.cluster.id)
            settings.add((place.thing.field, *pair))
    return Context(
        reshaped=frozenset(key for key, group in presence.items() if _reshaped(group)),
        defaults=frozenset(key for key, found in pairs.items() if len(found) > 1 and not _plain(key[1:])),
        settings=frozenset(settings),
        constants=frozenset(constants),
        ending=frozenset(place.cluster.route or "" for place in places if place.cluster.kind == "stream-end"),
    )


def kin_of(place: Sight, context: Context) -> Kin:
    """Say what defines the cause of a place."""
    for recognise in (_of_state, _of_tool_list, _of_habit, _of_wire, _of_rpc, _of_words, _of_shape, _of_default):
        kin = recognise(place, context)
        if kin is not None:
            return kin
    return _of_store(place)


# --- habits of a writer ---


def _of_state(place: Sight, _: Context) -> Kin | None:
    """What no exchange shows: tables, files, secrets, what was asked of a model."""
    if place.cluster.check == "http":
        return None
    if place.cluster.check == "provider":
        return Kin("asked", ("never" if place.finding.transition == "never" else "otherwise",))
    return Kin("check", (place.cluster.check, place.finding.quirk or place.cluster.kind, place.cluster.path))


def _of_habit(place: Sight, _: Context) -> Kin | None:
    quirk = place.finding.quirk
    if quirk in HABITS:
        return Kin("habit", (quirk, ""))
    if place.cluster.kind in {"type", "value"}:
        if place.cluster.primary == "null" and place.cluster.candidate in _EMPTY:
            return Kin("habit", ("q-empty-for-null", ""))
        if place.cluster.candidate == "null" and place.cluster.primary in _EMPTY:
            return Kin("habit", ("q-null-for-empty", ""))
        if place.cluster.candidate == "null" and place.thing.row:
            return Kin("habit", ("q-unset", ""))
        one, two = _text(place.cluster.primary), _text(place.cluster.candidate)
        if one and two and _written_as_list(one, two):
            return Kin("habit", ("q-list-as-text", ""))
        if one and two and _case(one) and _case(two) and _case(one) != _case(two) and similar_words(one, two):
            return Kin("habit", ("q-word-case", f"{_case(one)} → {_case(two)}"))
        if one and two and words(place.thing.field)[-1:] == ["by"]:
            return Kin("habit", ("q-actor", ""))
        if one and two and _HTML.search(one) and _HTML.search(two):
            return Kin("habit", ("q-html-markup", ""))
    return None


def _written_as_list(one: str, two: str) -> bool:
    """Whether one text lists in JSON what the other one lists between commas."""
    for listed, plain in ((one, two), (two, one)):
        value = _value(listed) if listed.startswith("[") else None
        if isinstance(value, list) and value and ",".join(map(str, value)).replace(" ", "") == plain.replace(" ", ""):
            return True
    return False


def _case(text: str) -> str:
    if not text.replace("_", "").replace("-", "").isalnum() or len(words(text)) < 2:
        return ""
    return "snake case" if "_" in text else "kebab case" if "-" in text else "camel case" if text != text.lower() else ""


# --- the wire ---


def _of_wire(place: Sight, context: Context) -> Kin | None:
    cluster = place.cluster
    if cluster.difference is DifferenceClass.TIMING:
        return Kin("late", (place.thing.home,))
    match cluster.kind:
        case "status":
            return _of_status(place)
        case "header":
            if place.primary.status != place.candidate.status:
                return _of_status(place)
            return Kin("header")
        case "content-type":
            return Kin("header")
        case "stream-end":
            return Kin("stream-end", (place.finding.transition,))
        case "stream-events" if cluster.route in context.ending:
            return Kin("stream-end", ("left open → ended by the daemon",))
        case "stream-events" | "stream-order" | "late-event":
            return _of_store(place)
        case "body-kind" | "bytes" | "body-missing" | "body-form":
            return _refused(place) or (Kin("error-words") if place.failed else _of_store(place))
        case "no-response":
            return Kin("no-response", (family(cluster.route),))
        case _:
            return None


def _of_status(place: Sight) -> Kin:
    one, two = _statuses(place) if place.cluster.kind == "status" else (place.primary.status or 0, place.candidate.status or 0)
    refused = _refused(place)
    if refused is not None:
        return refused
    if _speaks_rpc(place.cluster.route):
        return Kin("rpc-transport")
    if two == 405 or (one == 405 and two == 404):
        return Kin("habit", ("q-method-not-allowed", "")) if one == 404 else Kin("not-there", (family(place.cluster.route),))
    if place.candidate.media_type == "text/html" and place.primary.media_type != "text/html":
        return Kin("habit", ("q-html-fallback", ""))
    if two == 501:
        return Kin("refusal", ("501", ""))
    if two >= 500:
        return Kin("refusal", (str(two), place.candidate.refusal))
    if one < 400:
        return _of_success(place, two)
    if two < 400:
        return Kin("lenient") if one in {400, 413, 414, 422, 431} else Kin("lenient-state", (place.thing.home,))
    return Kin("status-code")


@lru_cache(maxsize=4096)
def _speaks_rpc(route: str | None) -> bool:
    known = by_name().get(route or "")
    return known is not None and known.replay_class == "rpc"


def _of_success(place: Sight, two: int) -> Kin:
    if two < 400:
        return Kin("status-code")
    if two == 404:
        return _of_store(place)
    return Kin("refusal", (str(two), place.candidate.refusal))


def _refused(place: Sight) -> Kin | None:
    """A refusal in plain text comes from the framework in front of the route, which knows the type that a body or query must have."""
    status = place.candidate.status or 0
    typed = status in {400, 413, 415, 422} and place.candidate.media_type == "text/plain" and place.candidate.text
    return Kin("habit", ("q-typed-body", "")) if typed else None


def _statuses(place: Sight) -> tuple[int, int]:
    values = [_value(text) for text in (place.cluster.primary, place.cluster.candidate)]
    one, two = (value if isinstance(value, int) else 0 for value in values)
    return one, two


# --- RPC ---


def _of_tool_list(place: Sight, _: Context) -> Kin | None:
    """The list of tools, by what differs in it."""
    names = [step.name for step in steps(place.cluster.path) if step.kind == "key"]
    return Kin("tools", (_of_tools(place, names),)) if place.tool == "tools/list" and "tools" in names else None


def _of_rpc(place: Sight, _: Context) -> Kin | None:
    """Calls of tools that are not there or fail, and what is said around the calls."""
    names = [step.name for step in steps(place.cluster.path) if step.kind == "key"]
    if not place.tool:
        return None
    if names[:1] == ["error"]:
        return Kin("error-words")
    if place.tool == "initialize":
        return Kin("rpc-versions")
    said = _text(place.cluster.candidate) if names[-1:] == ["text"] and place.cluster.kind in _FIELDS else None
    if place.cluster.kind == "rpc-error" or names[-1:] == ["isError"]:
        fails = "isError" in (place.cluster.candidate or "") or place.cluster.candidate == "true"
        return Kin("tool-fails") if fails else Kin("lenient-state", (place.thing.home,))
    # What was an object in JSON and is a sentence now is no answer of the tool.
    return Kin("tool-fails") if said and not said.lstrip().startswith(("{", "[")) else None


def _of_tools(place: Sight, names: list[str]) -> str:
    kind = place.cluster.kind
    if names == ["result", "tools"]:
        return "tools"
    if "properties" in names and kind in _PRESENCE and names.index("properties") == len(names) - 2:
        return "parameters"
    return "words"


# --- words ---


def _of_words(place: Sight, _: Context) -> Kin | None:
    """Texts for people: those of errors, and those of success."""
    if place.cluster.kind != "value" or _text(place.cluster.primary) is None or _text(place.cluster.candidate) is None:
        return None
    parts = words(place.thing.field)
    if not parts or parts[-1] not in _MESSAGES:
        return None
    if place.failed or "error" in parts:
        return Kin("error-words")
    one, two = (_text(value) or "" for value in (place.cluster.primary, place.cluster.candidate))
    if _NUMBER.sub("0", one) == _NUMBER.sub("0", two):
        return Kin("state", (place.thing.home,))  # the same words with other numbers tell of another state, and not in another way
    return Kin("message-words") if " " in one and len(one) <= _MESSAGE_CHARACTERS else None


# --- shape ---


def _of_shape(place: Sight, context: Context) -> Kin | None:
    if _by_data(place) or not (place.cluster.kind in _PRESENCE or _changes_form(place)):
        return None
    if place.failed:
        return Kin("error-words")
    if (place.asked, place.holder) in context.reshaped:
        return Kin("answer", (place.asked,))
    if _outermost(place):
        return Kin("envelope", ("write" if _writes(place) else "read",))
    return Kin("shape", (place.thing.home,))


def _outermost(place: Sight) -> bool:
    """Whether a place is a key of the whole answer, and not of a thing that it shows."""
    taken = steps(place.cluster.path)
    if place.tool:
        # What a tool answers is JSON in a text: of a tool that shows something a thing, of any other what it says of its deed.
        return len(taken) > 1 and taken[-2].kind == "root" and not _SHOWS & set(words(place.tool))
    return len(taken) == 1 and not place.thing.row


def _writes(place: Sight) -> bool:
    """Whether the route or tool does something, and does not just tell what there is."""
    if place.tool:
        return not _SHOWS & set(words(place.tool))
    return (place.cluster.route or "").partition(" ")[0] not in {"GET", "HEAD", "OPTIONS"}


def _changes_form(place: Sight) -> bool:
    """Whether an object or a list became something else that is no null."""
    kinds = set(place.finding.transition.split(" → "))
    return place.cluster.kind == "type" and bool(kinds & {"object", "list"}) and "null" not in kinds


def _reshaped(group: Sequence[Sight]) -> bool:
    """Whether most keys of an object are there on one side only."""
    if group[0].failed:
        return False
    missing = sum(place.cluster.kind == "missing-key" for place in group)
    keys = max((place.keys for place in group), default=0)
    if len(group) < _RESHAPED_KEYS or (missing == len(group) and group[0].thing.row):
        return False
    return not keys or len(group) > _RESHAPED_SHARE * max(keys + len(group) - missing, missing)


def _by_data(place: Sight) -> bool:
    """Whether a key is data: then it is a member of a collection, and no part of a shape."""
    taken = steps(place.cluster.path)
    return bool(taken) and taken[-1].kind == "data"


# --- defaults ---


def _of_default(place: Sight, context: Context) -> Kin | None:
    pair = _pair(place)
    if place.cluster.kind != "value" or pair is None:
        return None
    if place.cluster.id in context.constants:
        return Kin("settings")
    if (place.thing.field, *pair) in context.settings and not _plain(pair):
        return Kin("settings")
    if (place.thing.field, *pair) in context.defaults:
        return Kin("default", (place.thing.field,))
    return None


def _pair(place: Sight) -> tuple[str, str] | None:
    """Give a place's one pair of values, where it has just one that can be a default."""
    pairs = {(member.finding.primary, member.finding.candidate) for member in place.members}
    if len(pairs) != 1 or _by_data(place):
        return None
    one, two = next(iter(pairs))
    if one is None or two is None or len(one) > 40 or len(two) > 40 or measured(place.thing.field) or counts(place.thing.field):
        return None
    return (one, two) if isinstance(_value(one), str | int | float) and isinstance(_value(two), str | int | float) else None


# --- state ---


def _of_store(place: Sight) -> Kin:
    """What is stored of a family: which things there are, how many, and what their fields hold; or what a daemon says of its own work."""
    literals = set((place.cluster.route or "").partition(" ")[2].split("/"))
    if literals & _REPORTS or family(place.cluster.route) == "health" or measured(place.thing.field):
        return Kin("metrics")
    if _SEARCHES & (literals | set(words(place.tool))) or place.cluster.kind == "rank":
        return Kin("search")
    if place.cluster.kind == "order":
        return Kin("order")
    if place.cluster.kind in _FIELDS and place.thing.stored and _writes(place) and _outermost(place) and not _counted(place):
        return Kin("deed", (place.thing.home,))
    return Kin("state", ("schema",) if place.cluster.domain == "schema" else (place.thing.home,))


def _counted(place: Sight) -> bool:
    """Whether a place holds a number of things."""
    numbers = [_value(text) for text in (place.cluster.primary, place.cluster.candidate)]
    return counts(place.thing.field) or all(isinstance(number, int) and not isinstance(number, bool) for number in numbers)


def _plain(pair: tuple[str, ...]) -> bool:
    """Whether a pair of values is so common that meeting it twice says nothing."""
    return any(value in {"0", "1", "0.0", "1.0", "true", "false", '""'} for value in pair)


def _text(value: str | None) -> str | None:
    found = _value(value)
    return found if isinstance(found, str) else None


def _value(text: str | None) -> Any:
    try:
        return None if text is None else json.loads(text)
    except (ValueError, RecursionError):
        return None


def tally(values: Iterable[str]) -> list[str]:
    """Give different values, the most frequent first."""
    return [value for value, _ in sorted(Counter(values).items(), key=lambda item: (-item[1], item[0]))]
