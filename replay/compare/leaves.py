"""
The relation of two leaves: equal, in a tolerated relation (counted), or different in a named way.

What is tolerated, and what that could hide
-------------------------------------------
- *renamed id*: two ids of one kind that the bindings know as a pair, or that both are new here and become one. An id that is bound to another
  one, or that two recorded ids would share, is an `identity` difference, so a wrong id returned is found. A digest is an id only under a key
  that says so (a token, a cursor, a commit): elsewhere it speaks of content, and must be equal.
- *timestamp*: same format and precision, and the moment of its own run that stands for the recorded one (`moments`). Another precision or zone
  spelling is a `format` difference, a stale or empty time a `value` difference; both can be. When the daemon itself started (`$.startedAt`)
  must only be past. A number is a time only where it is timely within the run, or its key's name says so.
- *duration*, *process fact*: by the key's name, numbers of the same JSON type, in proportion (`amounts`). How far such an amount may lie from
  the recorded one is no proof of anything, which is why each such leaf is counted, noise learns how far the primary's own lie apart, and `late`
  compares the exchange's own time.
- *text around ids and times*: the text between them must be equal, and each id and time must hold its own relation.
- *message around durations*: only under keys of messages for people, never in text that clients stored; each duration must be in proportion.
- *float*: equal to twelve digits.
"""

import math
import re
from dataclasses import dataclass
from typing import Final

from replay.compare.amounts import duration_out_of_proportion, out_of_proportion
from replay.compare.blinding import blind_text, epoch, measured, names_time, role_of, spans_of
from replay.compare.difference import type_name
from replay.compare.moments import SLACK_S, both_past, grain_s, timely, within_runs
from replay.compare.state import Place, Scene
from replay.content import Number, Value, dump
from replay.identity import ID_KINDS, TIME_KINDS, Role, Span, fits
from replay.model import DifferenceClass, IdMapping

_SEMANTIC: Final = DifferenceClass.SEMANTIC
_STRUCTURAL: Final = DifferenceClass.STRUCTURAL
_IN_MESSAGE: Final = re.compile(r"(?<![\w.])(?P<amount>\d+(?:\.\d+)?)(?=\s?(?P<unit>ms|s|sec|seconds|minutes|µs)\b)")
_UNITS_S: Final = {"ms": 1e-3, "µs": 1e-6, "minutes": 60.0}
_MESSAGES: Final = frozenset({"message", "msg", "detail", "details"})
_DIGEST_IS_ID: Final = re.compile(r"(?i)token|nonce|cursor|etag|commit|sha\b|head|rev|session|key")
_SHAPED: Final = ID_KINDS - {"placeholder"}
"""Kinds of ids whose shape is a part of the answer; a placeholder stands for anything."""
_NIL: Final = "00000000-0000-0000-0000-000000000000"
_DAEMON_STARTED: Final = frozenset({"$.startedAt", "$.started_at"})


@dataclass(frozen=True, slots=True)
class Relating:
    """One way in which two leaves differ."""

    difference: DifferenceClass
    kind: str
    transition: str
    quirk: str = ""
    ids: tuple[IdMapping, ...] = ()


type Relatings = tuple[Relating, ...]

_EQUAL: Final[Relatings] = ()


def relate(recorded: Value, observed: Value, scene: Scene, place: Place) -> Relatings:
    """Compare two leaves (or values of different JSON types); nothing where they are equal or tolerated."""
    if type_name(recorded) == type_name(observed) and recorded == observed and not isinstance(recorded, str):
        return _EQUAL
    match recorded, observed:
        case str(), str():
            return _texts(recorded, observed, scene, place)
        case Number(), Number():
            return _numbers(recorded, observed, scene, place)
        case bool(), bool():
            return (Relating(_SEMANTIC, "value", f"{dump(recorded)} → {dump(observed)}"),)
        case _:
            return (_types(recorded, observed),)


def _types(recorded: Value, observed: Value) -> Relating:
    left, right = type_name(recorded), type_name(observed)
    quirk = ""
    if recorded is None or observed is None:
        quirk = "q-null"
    elif {left, right} == {"boolean", "integer"}:
        quirk = "q-boolean-as-number"
    elif "string" in {left, right} and {left, right} & {"integer", "float"}:
        quirk = "q-number-as-text"
    elif "string" in {left, right} and {left, right} & {"list", "object"}:
        quirk = "q-json-as-text"
    return Relating(_STRUCTURAL, "type", f"{left} → {right}", quirk)


# --- numbers ---


def _numbers(recorded: Number, observed: Number, scene: Scene, place: Place) -> Relatings:
    one, two = recorded.value, observed.value
    amount = measured(place.key)
    if amount and one != two and (apart := out_of_proportion(place.key, recorded, observed, scene)):
        return (Relating(_SEMANTIC, "value", apart),)
    if recorded.integral != observed.integral:
        fraction = observed if recorded.integral else recorded
        if amount and not float(fraction.value).is_integer():
            # One writer may print 2 and 1.2 for two durations. A whole number spelt 2.0 is another writer's habit and stays a finding.
            scene.tolerate("duration, whole beside fractional", place.path)
            return _EQUAL
        kinds = f"{type_name(recorded)} → {type_name(observed)}"
        return (Relating(_SEMANTIC, "format", kinds, "q-number-format") if one == two else Relating(_SEMANTIC, "value", kinds),)
    if one == two:
        return (Relating(_SEMANTIC, "format", "number spelt differently", "q-number-format"),)
    if amount:
        scene.tolerate("duration or process fact", place.path)
        return _EQUAL
    if not recorded.integral and _near(float(one), float(two)):
        scene.tolerate("float, equal to 12 digits", place.path)
        return _EQUAL
    return _epochs(one, two, scene, place)


def _epochs(one: float, two: float, scene: Scene, place: Place) -> Relatings:
    """Relate two numbers that may be moments: by their range, and by their key's name or because they are moments of their runs."""
    left, right = epoch(one), epoch(two)
    if left is None or right is None or left[1] != right[1]:
        if left is not None and names_time(place.key):
            kind, other = ("value", "number") if right is None else ("format", f"epoch {right[1]}")
            return (Relating(_SEMANTIC, kind, f"epoch {left[1]} → {other}"),)
        return (Relating(_SEMANTIC, "value", "number"),)
    within = scene.recorded.run_started_at - SLACK_S <= left[0] <= scene.recorded.ended_at + SLACK_S
    if not within and not names_time(place.key):
        return (Relating(_SEMANTIC, "value", "number"),)
    if timely(left[0], right[0], 0.0, scene):
        scene.tolerate(f"timestamp (epoch {left[1]})", place.path)
        return _EQUAL
    return (Relating(_SEMANTIC, "value", f"timestamp (epoch {left[1]}) {_elsewhere(left[0], right[0], scene)}"),)


def _near(one: float, two: float) -> bool:
    # Nothing is near to infinity: a number that no float can hold differs from all that are spelt otherwise.
    return math.isfinite(one) and math.isfinite(two) and abs(one - two) <= 1e-12 * max(abs(one), abs(two))


# --- texts ---


def _texts(recorded: str, observed: str, scene: Scene, place: Place) -> Relatings:
    return _pieces((recorded, role_of(recorded)), (observed, role_of(observed)), scene, place)


def _pieces(one: tuple[str, Role | None], two: tuple[str, Role | None], scene: Scene, place: Place) -> Relatings:
    """Relate two texts, or two parts of texts, whose roles are known; what a part is may show only in the text around it."""
    (recorded, left), (observed, right) = one, two
    left, right = left or _likewise(recorded, right), right or _likewise(observed, left)
    if left is not None and right is not None:
        if left.kind in ID_KINDS and right.kind in ID_KINDS:
            return _ids((recorded, left), (observed, right), scene, place)
        if left.kind in TIME_KINDS and right.kind in TIME_KINDS:
            return _times((recorded, left), (observed, right), scene, place.path)
    if recorded == observed:
        return _same_text(recorded, scene)
    if scene.side.bindings.observed_for(recorded) == observed:
        if left is not None and left.kind in _SHAPED and (right is None or right.kind != left.kind):
            return (Relating(_SEMANTIC, "format", f"{left.kind} → {right.kind if right else _text_class(observed)}", "q-id-format"),)
        scene.tolerate("renamed id", place.path)
        return _EQUAL
    if _is_single(left) or _is_single(right):
        names = (left.kind if left else _text_class(recorded), right.kind if right else _text_class(observed))
        return (Relating(_SEMANTIC, "value", f"{names[0]} → {names[1]}"),)
    return _mixed(recorded, observed, scene, place)


def _likewise(text: str, other: Role | None) -> Role | None:
    """Give a text the role of the *other* one where it fits it, too: an id of base 36 may lack digits by chance."""
    return other if other is not None and other.kind in ID_KINDS and fits(other, text) else None


def _is_single(role: Role | None) -> bool:
    return role is not None and role.kind != "composed"


def _same_text(text: str, scene: Scene) -> Relatings:
    """Equal texts are equal, unless one is a recorded id that is known to have another name over there."""
    bound = scene.side.bindings.observed_for(text)
    if bound is None or bound == text:
        return _EQUAL
    return (Relating(_STRUCTURAL, "identity", "the recorded run's own id", "", (_mapping(text, bound, scene, "id"),)),)


def _ids(one: tuple[str, Role], two: tuple[str, Role], scene: Scene, place: Place) -> Relatings:
    (recorded, left), (observed, right) = one, two
    if recorded != observed and left.kind == right.kind == "digest" and not _DIGEST_IS_ID.search(place.key):
        return (Relating(_SEMANTIC, "value", "digest → another digest"),)
    bindings = scene.side.bindings
    bound = bindings.observed_for(recorded)
    if bound is not None:
        if bound == observed:
            if left.kind in _SHAPED and (apart := _other_form(one, two)) is not None:
                return (apart,)
            if bound != recorded:
                scene.tolerate("renamed id", place.path)
            return _EQUAL
        shown = _mapping(recorded, bound, scene, left.kind)
        return (Relating(_STRUCTURAL, "identity", f"{left.kind} → another {right.kind}", "", (shown,)),)
    if recorded == observed:
        return _EQUAL
    if (apart := _other_form(one, two)) is not None:
        return (apart,)
    other = bindings.recorded_for(observed)
    if other is not None:
        shown = _mapping(other, observed, scene, left.kind)
        return (Relating(_STRUCTURAL, "identity", f"two recorded {left.kind}s became one", "", (shown,)),)
    if scene.binding:
        bindings.bind(left.kind, recorded, observed, scene.exchange, place.path)
        scene.side.born[left.kind, recorded] = f"#{scene.exchange} {scene.route} {place.path}"
        scene.tolerate("renamed id", place.path)
    else:
        scene.tolerate("renamed id, not verified", place.path)
    return _EQUAL


def _other_form(one: tuple[str, Role], two: tuple[str, Role]) -> Relating | None:
    """Tell how two ids differ in their form, so that a client would see more than a new name."""
    (recorded, left), (observed, right) = one, two
    if left.kind != right.kind:
        return Relating(_SEMANTIC, "format", f"{left.kind} → {right.kind}", "q-id-format")
    if left.kind != "uuid":
        return None
    if (recorded == _NIL) != (observed == _NIL):
        return Relating(_STRUCTURAL, "identity", "nil uuid → uuid" if recorded == _NIL else "uuid → nil uuid")
    if left.format != right.format:
        return Relating(_SEMANTIC, "format", "uuid, other letter case", "q-id-format")
    return None


def _mapping(recorded: str, observed: str, scene: Scene, kind: str) -> IdMapping:
    return IdMapping(kind, recorded, observed, scene.side.born.get((kind, recorded), ""))


def _mixed(recorded: str, observed: str, scene: Scene, place: Place) -> Relatings:
    """Texts that may hold ids, times and durations between equal words."""
    left, right = spans_of(recorded), spans_of(observed)
    if left and len(left) == len(right) and _frame(recorded, left) == _frame(observed, right):
        for one, two in zip(left, right, strict=True):
            piece, other = recorded[one.start : one.end], observed[two.start : two.end]
            inner = _pieces((piece, one.role), (other, two.role), scene, place)
            if inner:
                return inner
        scene.tolerate("text around ids and times", place.path)
        return _EQUAL
    if place.key in _MESSAGES and (found := _around_durations(recorded, observed, scene)) is not None:
        if not found:
            scene.tolerate("message around durations", place.path)
        return found
    return (_plain(recorded, observed),)


def _around_durations(recorded: str, observed: str, scene: Scene) -> Relatings | None:
    """Relate two messages that are the same but for the durations in them; None where they are not."""
    left, right = list(_IN_MESSAGE.finditer(recorded)), list(_IN_MESSAGE.finditer(observed))
    if not left or [found["unit"] for found in left] != [found["unit"] for found in right]:
        return None
    if _IN_MESSAGE.sub("<n>", blind_text(recorded)) != _IN_MESSAGE.sub("<n>", blind_text(observed)):
        return None
    for one, two in zip(left, right, strict=True):
        unit_s = _UNITS_S.get(one["unit"], 1.0)
        apart = duration_out_of_proportion(float(one["amount"]) * unit_s, float(two["amount"]) * unit_s, scene)
        if apart:
            return (Relating(_SEMANTIC, "value", f"message: {apart}"),)
    return _EQUAL


def _plain(recorded: str, observed: str) -> Relating:
    if not recorded or not observed:
        return Relating(_SEMANTIC, "value", f"{_text_class(recorded)} → {_text_class(observed)}")
    if recorded.casefold() == observed.casefold():
        return Relating(_SEMANTIC, "value", "letter case", "q-letter-case")
    if recorded.split() == observed.split():
        return Relating(_SEMANTIC, "value", "white space", "q-white-space")
    if recorded.startswith(observed.rstrip("….")) or observed.startswith(recorded.rstrip("….")):
        return Relating(_SEMANTIC, "value", "text, cut short" if len(observed) < len(recorded) else "text, longer")
    return Relating(_SEMANTIC, "value", "text")


def _text_class(text: str) -> str:
    return "text" if text else "empty"


def _frame(text: str, spans: tuple[Span, ...]) -> tuple[str, ...]:
    pieces, position = [], 0
    for span in spans:
        pieces.append(text[position : span.start])
        position = span.end
    pieces.append(text[position:])
    return tuple(pieces)


# --- times ---


def _times(one: tuple[str, Role], two: tuple[str, Role], scene: Scene, path: str) -> Relatings:
    (recorded, left), (observed, right) = one, two
    found: list[Relating] = []
    if left.kind != right.kind or left.format != right.format:
        words = f"{left.kind}({left.format}) → {right.kind}({right.format})"
        found.append(Relating(_SEMANTIC, "format", words, "q-time-format"))
    elif recorded == observed:
        return _EQUAL
    if not _in_time(left, right, scene, path):
        found.append(Relating(_SEMANTIC, "value", f"{left.kind} {_elsewhere(left.seconds, right.seconds, scene)}"))
    if not found:
        scene.tolerate(f"{left.kind} ({left.format})", path)
    return tuple(found)


def _elsewhere(one: float | None, two: float | None, scene: Scene) -> str:
    within = one is not None and two is not None and within_runs(one, two, scene)
    return "elsewhere in the run" if within else "elsewhere in time"


def _in_time(left: Role, right: Role, scene: Scene, path: str) -> bool:
    if left.seconds is None or right.seconds is None:
        return False
    if path in _DAEMON_STARTED and left.seconds <= scene.recorded.run_started_at + SLACK_S:
        # Of what started during the run, such as a task, more can be asked.
        return both_past(left.seconds, right.seconds, scene)
    return timely(left.seconds, right.seconds, max(grain_s(left), grain_s(right)), scene)
