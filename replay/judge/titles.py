"""What causes are called: a name that stays, and a sentence for people."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from replay.judge.kinds import Kin, tally, value_of
from replay.judge.quirks import quirk_words
from replay.judge.sights import Sight, skeleton

_ASKING: Final = MappingProxyType(
    {
        "never": "never asks its model what the primary asks",
        "otherwise": "asks its model more or less often, what the primary does not ask, or in other words",
    }
)
_TOOLS: Final = MappingProxyType(
    {
        "parameters": "tools take other parameters",
        "tools": "offers other tools, or in another order",
        "words": "describes and constrains tools and parameters otherwise",
    }
)
_FIELDS_MAX: Final = 6
_ROUTES_MAX: Final = 2
_VALUE_CHARACTERS: Final = 24


def name_of(kin: Kin) -> str:
    """Give the name by which a cause is known from night to night: a quirk's, or its kind with what it is about."""
    if kin.kind == "habit":
        return kin.key[0]
    return " ".join((kin.kind, *(part for part in kin.key if part)))


def title_of(kin: Kin, places: Sequence[Sight]) -> str:
    """Say in one sentence what the candidate does, and where."""
    told = _TITLES.get(kin.kind)
    sentence = told(kin, places) if told is not None else f"{name_of(kin)}: {_fields(places)}"
    return f"{sentence} [{_reach(places)}]"


def listed(names: Iterable[str], most: int = _FIELDS_MAX) -> str:
    """Give a few names, and how many more there are."""
    shown = list(names)
    rest = len(shown) - most
    return ", ".join(shown[:most]) + (f" and {rest} more" if rest > 0 else "")


def _habit(kin: Kin, places: Sequence[Sight]) -> str:
    changes = tally(member.finding.transition for place in places for member in place.members)
    told = f" ({listed(changes, 3)})" if kin.key[0] in {"q-time-format", "q-number-format", "q-boolean-as-number", "q-id-format"} else ""
    return f"{quirk_words(kin.key[0])}{told}: {_fields(places)}"


def _answer(kin: Kin, places: Sequence[Sight]) -> str:
    return f"answers {kin.key[0]} with another object: {_keys(places)}"


def _shape(kin: Kin, places: Sequence[Sight]) -> str:
    nouns = tally(place.thing.noun for place in places)
    return f"shows {kin.key[0]} ({listed(nouns, 4)}) with other keys: {_keys(places)}"


def _envelope(kin: Kin, places: Sequence[Sight]) -> str:
    what = "writes" if kin.key[0] == "write" else "reads"
    return f"puts other keys around its answers to {what}: {_keys(places)}"


def _state(kin: Kin, places: Sequence[Sight]) -> str:
    listing = {"missing-item", "extra-item", "stream-events"}
    items = tally(place.thing.field or place.cluster.path for place in places if place.cluster.kind in listing)
    fields = tally(place.thing.field or place.cluster.path for place in places if place.cluster.kind not in {*listing, "status"})
    gone = any(place.cluster.kind == "status" for place in places)
    parts = [
        f"other items in {listed(map(_quoted, items), 4)}" if items else "",
        f"other values of {listed(map(_quoted, fields), 6)}" if fields else "",
        "404 for what the primary has" if gone else "",
    ]
    does = "does or has" if any((place.cluster.route or "").startswith(("POST", "PUT", "PATCH", "DELETE")) for place in places) else "has"
    return f"what it {does} of {kin.key[0]} differs: {'; '.join(part for part in parts if part)}"


def _deed(kin: Kin, places: Sequence[Sight]) -> str:
    return f"{kin.key[0]} requests do something else: {_changes(places)}"


def _metrics(_: Kin, places: Sequence[Sight]) -> str:
    return f"tells other numbers and entries of its own work: {_fields(places)}"


def _settings(_: Kin, places: Sequence[Sight]) -> str:
    return f"has other settings, which show in each answer: {_changes(places)}"


def _asked(kin: Kin, places: Sequence[Sight]) -> str:
    asked = tally((place.cluster.route or "").removeprefix("provider ") for place in places)
    return f"{_ASKING[kin.key[0]]}: {listed(asked)}"


def _default(kin: Kin, places: Sequence[Sight]) -> str:
    return f"takes another default of `{kin.key[0]}`: {_changes(places)}"


def _refusal(kin: Kin, places: Sequence[Sight]) -> str:
    status, said = kin.key
    if not said:
        texts = tally(place.candidate.refusal for place in places if place.candidate.refusal)
        return f"says itself that it does not have this ({status}): {listed((f'“{text}”' for text in texts), 2)}"
    return f"refuses with {status}: “{said}”"


def _check(kin: Kin, places: Sequence[Sight]) -> str:
    check, what, path = kin.key
    return f"{check}: {quirk_words(what) or what} at {path} ({_changes(places)})"


def _with_statuses(sentence: str) -> Callable[[Kin, Sequence[Sight]], str]:
    def told(_: Kin, places: Sequence[Sight]) -> str:
        found = tally(place.finding.transition or f"{place.cluster.primary} → {place.cluster.candidate}" for place in places)
        return f"{sentence} ({listed(found, 4)})"

    return told


def _with_fields(sentence: str) -> Callable[[Kin, Sequence[Sight]], str]:
    return lambda _, places: f"{sentence}: {_fields(places)}"


_TITLES: Final[Mapping[str, Callable[[Kin, Sequence[Sight]], str]]] = MappingProxyType(
    {
        "answer": _answer,
        "asked": _asked,
        "check": _check,
        "deed": _deed,
        "default": _default,
        "envelope": _envelope,
        "error-words": _with_fields("tells errors in other words or keys"),
        "habit": _habit,
        "header": lambda _, places: f"sends other headers: {listed(tally(place.cluster.path.removeprefix('header:') for place in places))}",
        "late": lambda kin, _: f"is slower on {kin.key[0]} routes",
        "lenient": _with_statuses("accepts what the primary refuses as no good input"),
        "lenient-state": _with_statuses("succeeds where the primary says that it may not or cannot"),
        "message-words": _with_fields("words messages for people otherwise"),
        "metrics": _metrics,
        "no-response": lambda kin, _: f"gives no answer on {kin.key[0]} routes",
        "not-there": _with_statuses("does not know the method on a path"),
        "order": _with_fields("lists in another order"),
        "refusal": _refusal,
        "rpc-versions": lambda _, places: f"introduces itself otherwise over RPC: {_changes(places)}",
        "rpc-transport": lambda _, places: f"speaks RPC over HTTP otherwise: {_changes(places)}",
        "search": lambda _, places: f"searches find other things, or rank them otherwise: {_fields(places)}",
        "settings": _settings,
        "shape": _shape,
        "state": _state,
        "status-code": _with_statuses("gives another status for the same outcome"),
        "stream-end": _with_statuses("ends streams that the primary leaves open, and drops what came later"),
        "tool-fails": lambda _, places: f"tool calls fail or answer in other words: {_said(places)}",
        "tools": lambda kin, places: f"{_TOOLS[kin.key[0]]}: {_keys(places) if kin.key[0] == 'parameters' else _fields(places)}",
    }
)


def _fields(places: Sequence[Sight]) -> str:
    return listed(_quoted(name) for name in tally(place.thing.field or place.cluster.path for place in places))


def _keys(places: Sequence[Sight]) -> str:
    lacking = tally(place.thing.field for place in places if place.cluster.kind == "missing-key")
    more = tally(place.thing.field for place in places if place.cluster.kind == "extra-key")
    other = tally(place.thing.field for place in places if place.cluster.kind not in {"missing-key", "extra-key"})
    parts = [(lacking, "lacks"), (more, "adds"), (other, "changes")]
    return "; ".join(f"{word} {listed(map(_quoted, names))}" for names, word in parts if names)


def _changes(places: Sequence[Sight]) -> str:
    shown = [
        f"`{place.thing.field or place.cluster.kind}` {_value(place.cluster.primary)} → {_value(place.cluster.candidate)}" for place in places
    ]
    return listed(dict.fromkeys(shown), 4)


def _said(places: Sequence[Sight]) -> str:
    texts = [text for place in places for member in place.members if (text := _sentence(member.finding.candidate))]
    return listed((f"“{text}”" for text in tally(texts)), 3)


def _sentence(candidate: str | None) -> str:
    """Give the first words of what a failing tool says, as far as they are the same for each call; empty where it says nothing in words."""
    value = value_of(candidate)
    said = value.get("says") if isinstance(value, dict) else value
    return skeleton(said) if isinstance(said, str) and not said.lstrip().startswith(("{", "[")) else ""


def _reach(places: Sequence[Sight]) -> str:
    if all(place.cluster.check == "provider" for place in places):
        return "what the daemon asked its model"
    routes = sorted({route for place in places for route in place.cluster.routes or (place.cluster.check,)})
    return listed(routes, _ROUTES_MAX)


def _quoted(name: str) -> str:
    return f"`{name}`"


def _value(text: str | None) -> str:
    if text is None:
        return "(absent)"
    return text if len(text) <= _VALUE_CHARACTERS else text[: _VALUE_CHARACTERS - 1] + "…"
