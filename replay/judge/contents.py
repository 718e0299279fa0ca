"""What differs inside of answers: words for people, keys, defaults, and what is stored."""

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from replay.compare.blinding import measured
from replay.judge.habits import HABITS
from replay.judge.kinds import FIELDS, PRESENCE, SEARCHES, Context, Kin, by_data, outermost, text_of, value_of, writes
from replay.judge.sights import Sight
from replay.judge.things import counts, family, steps, words

_NUMBER: Final = re.compile(r"\d+(?:\.\d+)?")
_MESSAGES: Final = frozenset(
    {"message", "error", "detail", "details", "reason", "msg", "warning", "description", "summary", "guidelines", "hint"}
)
_MESSAGE_CHARACTERS: Final = 300
"""A longer text is content, whatever it is called."""
_REPORTS: Final = frozenset({"analytics", "telemetry", "logs", "metrics", "usage"})
"""Words of routes on which a daemon tells of its own work and load."""
_RESHAPED_SHARE: Final = 0.5
_RESHAPED_KEYS: Final = 6
_CONSTANT: Final = 3
"""In so many exchanges of a route, and in all of them, a pair of values must stand to be a setting."""


def survey(places: Sequence[Sight]) -> Context:
    """Look at all places together."""
    presence: dict[tuple[str, str], list[Sight]] = defaultdict(list)
    pairs: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    settings = set()
    constants = set()
    for place in places:
        if place.cluster.kind in PRESENCE and place.finding.quirk not in HABITS and not by_data(place):
            presence[place.asked, place.holder].append(place)
        if place.cluster.kind != "value" or (pair := _pair_of(place)) is None:
            continue
        pairs[place.thing.field, *pair].add(place.thing.home)
        if place.cluster.count == place.cluster.compared >= _CONSTANT and not writes(place):
            constants.add(place.cluster.id)
            settings.add((place.thing.field, *pair))
    return Context(
        reshaped=frozenset(key for key, group in presence.items() if _is_reshaped(group)),
        defaults=frozenset(key for key, found in pairs.items() if len(found) > 1 and not _is_plain(key[1:])),
        settings=frozenset(settings),
        constants=frozenset(constants),
        ending=frozenset(place.cluster.route or "" for place in places if place.cluster.kind == "stream-end"),
    )


def of_words(place: Sight, _: Context) -> Kin | None:
    """Texts for people: those of errors, and those of success."""
    if place.cluster.kind != "value" or text_of(place.cluster.primary) is None or text_of(place.cluster.candidate) is None:
        return None
    parts = words(place.thing.field)
    if not parts or parts[-1] not in _MESSAGES:
        return None
    if place.failed or "error" in parts:
        return Kin("error-words")
    one, two = (text_of(value) or "" for value in (place.cluster.primary, place.cluster.candidate))
    if _NUMBER.sub("0", one) == _NUMBER.sub("0", two):
        return Kin("state", (place.thing.home,))  # the same words with other numbers tell of another state, and not in another way
    return Kin("message-words") if " " in one and len(one) <= _MESSAGE_CHARACTERS else None


def of_shape(place: Sight, context: Context) -> Kin | None:
    """Keys that are there on one side only: of another object, of what stands around things, or of a thing wherever it is shown."""
    if by_data(place) or not (place.cluster.kind in PRESENCE or _changes_form(place)):
        return None
    if place.failed:
        return Kin("error-words")
    if (place.asked, place.holder) in context.reshaped:
        return Kin("answer", (place.asked,))
    if outermost(place) or (writes(place) and len(steps(place.cluster.path)) == 1):
        return Kin("envelope", ("write" if writes(place) else "read",))
    return Kin("shape", (place.thing.home,))


def _changes_form(place: Sight) -> bool:
    """Whether an object or a list became something else that is no null."""
    kinds = set(place.finding.transition.split(" → "))
    return place.cluster.kind == "type" and bool(kinds & {"object", "list"}) and "null" not in kinds


def _is_reshaped(group: Sequence[Sight]) -> bool:
    """Whether most keys of an object are there on one side only."""
    if group[0].failed:
        return False
    missing = sum(place.cluster.kind == "missing-key" for place in group)
    keys = max((place.keys for place in group), default=0)
    if len(group) < _RESHAPED_KEYS or (missing == len(group) and group[0].thing.row):
        return False
    return keys > 0 and len(group) > _RESHAPED_SHARE * max(keys + len(group) - missing, missing)


def of_default(place: Sight, context: Context) -> Kin | None:
    """One pair of values again and again: a setting that shows in each answer, or a default that shows in several families."""
    pair = _pair_of(place)
    if place.cluster.kind != "value" or pair is None:
        return None
    if place.cluster.id in context.constants:
        return Kin("settings")
    if (place.thing.field, *pair) in context.settings and not _is_plain(pair):
        return Kin("settings")
    if (place.thing.field, *pair) in context.defaults:
        return Kin("default", (place.thing.field,))
    return None


def _pair_of(place: Sight) -> tuple[str, str] | None:
    """Give a place's one pair of values, where it has just one that can be a default."""
    pairs = {(member.finding.primary, member.finding.candidate) for member in place.members}
    if len(pairs) != 1 or by_data(place):
        return None
    one, two = next(iter(pairs))
    if one is None or two is None or len(one) > 40 or len(two) > 40 or measured(place.thing.field) or counts(place.thing.field):
        return None
    return (one, two) if isinstance(value_of(one), str | int | float) and isinstance(value_of(two), str | int | float) else None


def _is_plain(pair: tuple[str, ...]) -> bool:
    """Whether a pair of values is so common that meeting it twice says nothing."""
    return any(value in {"0", "1", "0.0", "1.0", "true", "false", '""'} for value in pair)


def of_store(place: Sight) -> Kin:
    """What is stored of a family: which things there are, how many, and what their fields hold; or what a daemon says of its own work."""
    literals = set((place.cluster.route or "").partition(" ")[2].split("/"))
    if literals & _REPORTS or family(place.cluster.route) == "health" or measured(place.thing.field):
        return Kin("metrics")
    if SEARCHES & (literals | set(words(place.tool))) or place.cluster.kind == "rank":
        return Kin("search")
    if place.cluster.kind == "order":
        return Kin("order")
    if place.cluster.kind in FIELDS and place.thing.stored and writes(place) and outermost(place) and not _counted(place):
        return Kin("deed", (place.thing.home,))
    return Kin("state", ("schema",) if place.cluster.domain == "schema" else (place.thing.home,))


def _counted(place: Sight) -> bool:
    """Whether a place holds a number of things."""
    numbers = [value_of(text) for text in (place.cluster.primary, place.cluster.candidate)]
    return counts(place.thing.field) or all(isinstance(number, int) and not isinstance(number, bool) for number in numbers)
