"""
The relation of two leaves: equal, in a tolerated relation (counted), or different in a named way.

What is tolerated, and what that could hide
-------------------------------------------
- *renamed id*: two ids of one kind that the bindings know as a pair, or that both are new here and become one. An id that is bound to another
  one, or that two recorded ids would share, is an `identity` difference, so a wrong id returned is found. A digest is an id only under a key
  that says so (a token, a cursor, a commit): elsewhere it speaks of content, and must be equal.
- *timestamp*: same format and precision, and as near to its own exchange's now as the recorded one was to its own (both within the run, or
  equally far before it). Another precision or zone spelling is a `format` difference, a stale or empty time a `value` difference; both can be.
  When the daemon itself started (`$.startedAt`) must only be past.
- *duration*, *process fact*: by the key's name, numbers of the same JSON type, not negative. One that became zero is found, one of another type
  too; a wrong amount is not, which is why each such leaf is counted and `late` compares the exchange's own time.
- *text around ids and times*: the text between them must be equal, and each id and time must hold its own relation.
- *message around durations*: only under keys of messages for people, never in text that clients stored.
- *float*: equal to twelve digits.
"""

import math
import re
from dataclasses import dataclass
from typing import Final

from replay.compare.blinding import blind_text, epoch, measured, role_of, spans_of
from replay.compare.difference import type_name
from replay.compare.state import Place, Scene
from replay.content import Number, Value, dump
from replay.identity import ID_KINDS, TIME_KINDS, Role, Span
from replay.model import DifferenceClass, IdMapping

_SEMANTIC: Final = DifferenceClass.SEMANTIC
_STRUCTURAL: Final = DifferenceClass.STRUCTURAL
_IN_MESSAGE: Final = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?=\s?(?:ms|s|sec|seconds|minutes|µs)\b)")
_MESSAGES: Final = frozenset({"message", "msg", "detail", "details"})
_DIGEST_IS_ID: Final = re.compile(r"(?i)token|nonce|cursor|etag|commit|sha\b|head|rev|session|key")
_SHAPED: Final = ID_KINDS - {"placeholder"}
"""Kinds of ids whose shape is a part of the answer; a placeholder stands for anything."""
_ZERO_FROM_MS: Final = 20.0
"""A duration of less than this may well be zero on a faster daemon or to a coarser clock."""
_DAEMON_STARTED: Final = frozenset({"$.startedAt", "$.started_at"})
_SLACK_S: Final = 5.0
_DAY_S: Final = 86_400.0
_MINUTE_S: Final = 60.0


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
    duration = measured(place.key) and one >= 0 and two >= 0
    if duration and two == 0 and one >= _ZERO_FROM_MS:
        return (Relating(_SEMANTIC, "value", "measured → zero"),)
    if recorded.integral != observed.integral:
        fraction = observed if recorded.integral else recorded
        if duration and not float(fraction.value).is_integer():
            # One writer may print 2 and 1.2 for two durations. A whole number spelt 2.0 is another writer's habit and stays a finding.
            scene.tolerate("duration, whole beside fractional", place.path)
            return _EQUAL
        kinds = f"{type_name(recorded)} → {type_name(observed)}"
        return (Relating(_SEMANTIC, "format", kinds, "q-number-format") if one == two else Relating(_SEMANTIC, "value", kinds),)
    if one == two:
        return (Relating(_SEMANTIC, "format", "number spelt differently", "q-number-format"),)
    if duration:
        scene.tolerate("duration or process fact", place.path)
        return _EQUAL
    if not recorded.integral and _near(float(one), float(two)):
        scene.tolerate("float, equal to 12 digits", place.path)
        return _EQUAL
    left, right = epoch(one), epoch(two)
    if left is not None and right is not None and left[1] == right[1]:
        if _timely(left[0], right[0], 0.0, scene):
            scene.tolerate(f"timestamp (epoch {left[1]})", place.path)
            return _EQUAL
        return (Relating(_SEMANTIC, "value", f"timestamp (epoch {left[1]}) elsewhere in time"),)
    return (Relating(_SEMANTIC, "value", "number"),)


def _near(one: float, two: float) -> bool:
    # Nothing is near to infinity: a number that no float can hold differs from all that are spelt otherwise.
    return math.isfinite(one) and math.isfinite(two) and abs(one - two) <= 1e-12 * max(abs(one), abs(two))


# --- texts ---


def _texts(recorded: str, observed: str, scene: Scene, place: Place) -> Relatings:
    left, right = role_of(recorded), role_of(observed)
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
            if left.kind in _SHAPED and right.kind != left.kind:
                return (Relating(_SEMANTIC, "format", f"{left.kind} → {right.kind}", "q-id-format"),)
            if bound != recorded:
                scene.tolerate("renamed id", place.path)
            return _EQUAL
        shown = _mapping(recorded, bound, scene, left.kind)
        return (Relating(_STRUCTURAL, "identity", f"{left.kind} → another {right.kind}", "", (shown,)),)
    if recorded == observed:
        return _EQUAL
    if left.kind != right.kind:
        return (Relating(_SEMANTIC, "format", f"{left.kind} → {right.kind}", "q-id-format"),)
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


def _mapping(recorded: str, observed: str, scene: Scene, kind: str) -> IdMapping:
    return IdMapping(kind, recorded, observed, scene.side.born.get((kind, recorded), ""))


def _mixed(recorded: str, observed: str, scene: Scene, place: Place) -> Relatings:
    """Texts that may hold ids, times and durations between equal words."""
    left, right = spans_of(recorded), spans_of(observed)
    if left and len(left) == len(right) and _frame(recorded, left) == _frame(observed, right):
        for one, two in zip(left, right, strict=True):
            inner = _texts(recorded[one.start : one.end], observed[two.start : two.end], scene, place)
            if inner:
                return inner
        scene.tolerate("text around ids and times", place.path)
        return _EQUAL
    if place.key in _MESSAGES:
        timeless = _IN_MESSAGE.sub("<n>", blind_text(recorded))
        if "<n>" in timeless and timeless == _IN_MESSAGE.sub("<n>", blind_text(observed)):
            scene.tolerate("message around durations", place.path)
            return _EQUAL
    return (_plain(recorded, observed),)


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
    grain = max(_grain_s(left), _grain_s(right))
    if path in _DAEMON_STARTED:
        timely = left.seconds is not None and right.seconds is not None and _both_past(left.seconds, right.seconds, scene)
    else:
        timely = left.seconds is not None and right.seconds is not None and _timely(left.seconds, right.seconds, grain, scene)
    if not timely:
        found.append(Relating(_SEMANTIC, "value", f"{left.kind} elsewhere in time"))
    if not found:
        scene.tolerate(f"{left.kind} ({left.format})", path)
    return tuple(found)


def _grain_s(role: Role) -> float:
    """How coarse a time is spelt, in seconds."""
    if role.kind == "date":
        return _MINUTE_S if role.seconds is not None and role.seconds % _DAY_S else _DAY_S
    return _MINUTE_S if role.format.startswith("min") else 1.0


def _both_past(one: float, two: float, scene: Scene) -> bool:
    """Whether both times came before their exchanges: all that can be asked of when a daemon started, weeks ago or for this replay."""
    return one <= scene.recorded.ended_at and two <= scene.observed.ended_at


def _timely(one: float, two: float, grain_s: float, scene: Scene) -> bool:
    """
    Whether an observed time stands to its own run as the recorded one stands to its own.

    Within the run: both lie between the run's start and a little after the exchange. Outside (fixtures, expiry dates, windows): both are
    equally far from their exchange, give or take what the runs' own lengths differ; or they are the very same moment of the past.
    """
    recorded, observed = scene.recorded, scene.observed
    slack = _SLACK_S + grain_s
    inside_one = recorded.run_started_at - slack <= one <= recorded.ended_at + slack
    inside_two = observed.run_started_at - slack <= two <= observed.ended_at + slack
    if inside_one or inside_two:
        return inside_one and inside_two
    if one == two:
        return True
    away_one, away_two = one - recorded.started_at, two - observed.started_at
    span = max(recorded.ended_at - recorded.run_started_at, observed.ended_at - observed.run_started_at)
    return abs(away_one - away_two) <= span + slack
