"""
The relation of two leaves: equal, in a tolerated relation (counted), or different in a named way.

What is tolerated, and what that could hide
-------------------------------------------
- *renamed id*: two ids of one kind that the bindings know as a pair, or that both are new here and become one. An id that is bound to another
  one, or that two recorded ids would share, is an `identity` difference, so a wrong id returned is found.
- *timestamp*: same format and precision, and as near to its own exchange's now as the recorded one was to its own (both within the run, or
  equally far before it). Another precision or zone spelling is a `format` difference; a stale or empty time is a `value` difference.
- *duration*, *process fact*: by the key's name, numbers of the same JSON type, not negative. A key that is there with another type is found; a
  wrong amount is not, which is why each such leaf is counted and `late` compares the exchange's own time.
- *text around ids and times*: the text between them must be equal, and each id and time must hold its own relation.
- *float*: equal to twelve digits.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from replay.compare.difference import type_name
from replay.compare.state import Place, Scene
from replay.content import Number, Value, dump
from replay.identity import ID_KINDS, TIME_KINDS, Role, Span, classify, find, is_duration_key
from replay.model import DifferenceClass, IdMapping

_PROCESS: Final = frozenset(
    {
        "pid",
        "rss",
        "heapUsed",
        "heapTotal",
        "external",
        "arrayBuffers",
        "heapUsedMb",
        "rssMb",
        "loadPerCpu",
        "fdCount",
        "openFds",
        "dbSizeBytes",
        "walSizeBytes",
        "cpuPercent",
    }
)
_IN_TEXT: Final = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?=\s?(?:ms|s|sec|seconds|minutes|µs)\b)")
_SLACK_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Relating:
    """How two leaves differ."""

    difference: DifferenceClass
    kind: str
    transition: str
    quirk: str = ""
    ids: tuple[IdMapping, ...] = ()


def relate(recorded: Value, observed: Value, scene: Scene, place: Place) -> Relating | None:
    """Compare two leaves (or values of different JSON types); None where they are equal or tolerated."""
    if type_name(recorded) == type_name(observed) and recorded == observed and not isinstance(recorded, str):
        return None
    match recorded, observed:
        case str(), str():
            return _texts(recorded, observed, scene, place.path)
        case Number(), Number():
            return _numbers(recorded, observed, scene, place)
        case bool(), bool():
            return Relating(DifferenceClass.SEMANTIC, "value", f"{dump(recorded)} → {dump(observed)}")
        case _:
            return _types(recorded, observed)


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
    return Relating(DifferenceClass.STRUCTURAL, "type", f"{left} → {right}", quirk)


def _numbers(recorded: Number, observed: Number, scene: Scene, place: Place) -> Relating | None:
    key, path = place.key, place.path
    one, two = recorded.value, observed.value
    if recorded.integral != observed.integral:
        fraction = observed if recorded.integral else recorded
        if measured(key) and one >= 0 and two >= 0 and not float(fraction.value).is_integer():
            # One writer may print 2 and 1.2 for two durations. A whole number spelt 2.0 is another writer's habit and stays a finding.
            scene.tolerate("duration, whole beside fractional", path)
            return None
        if one == two:
            return Relating(DifferenceClass.SEMANTIC, "format", f"{type_name(recorded)} → {type_name(observed)}", "q-number-format")
        return Relating(DifferenceClass.SEMANTIC, "value", f"{type_name(recorded)} → {type_name(observed)}")
    if one == two:
        return Relating(DifferenceClass.SEMANTIC, "format", "number spelt differently", "q-number-format")
    if measured(key) and one >= 0 and two >= 0:
        scene.tolerate("duration or process fact", path)
        return None
    if not recorded.integral and _near(float(one), float(two)):
        scene.tolerate("float, equal to 12 digits", path)
        return None
    times = _epoch(one), _epoch(two)
    if times[0] is not None and times[1] is not None and times[0][1] == times[1][1]:
        if _timely(times[0][0], times[1][0], scene):
            scene.tolerate(f"timestamp (epoch {times[0][1]})", path)
            return None
        return Relating(DifferenceClass.SEMANTIC, "value", f"timestamp (epoch {times[0][1]}) elsewhere in time")
    return Relating(DifferenceClass.SEMANTIC, "value", "number")


@lru_cache(maxsize=4096)
def measured(key: str) -> bool:
    """Whether a key's name says that its number is measured: a duration or a fact of the process, not a setting."""
    return key in _PROCESS or is_duration_key(key)


def _near(one: float, two: float) -> bool:
    return abs(one - two) <= 1e-12 * max(abs(one), abs(two))


def _epoch(value: float) -> tuple[float, str] | None:
    """Read a number as epoch seconds or milliseconds between 2001 and 2100; None where it is neither."""
    if 1e12 <= value < 4.1e12:
        return float(value) / 1000.0, "ms"
    if 1e9 <= value < 4.1e9:
        return float(value), "s"
    return None


def _texts(recorded: str, observed: str, scene: Scene, path: str) -> Relating | None:
    left, right = _role(recorded), _role(observed)
    if left is not None and right is not None:
        if left.kind in ID_KINDS and right.kind in ID_KINDS:
            return _ids((recorded, left), (observed, right), scene, path)
        if left.kind in TIME_KINDS and right.kind in TIME_KINDS:
            return _times((recorded, left), (observed, right), scene, path)
    if recorded == observed:
        return _same_text(recorded, scene)
    if scene.side.bindings.observed_for(recorded) == observed:
        scene.tolerate("renamed id", path)
        return None
    if _single(left) or _single(right):
        return _texts_differ(recorded, observed, left, right)
    return _mixed(recorded, observed, scene, path)


def _single(role: Role | None) -> bool:
    return role is not None and role.kind != "composed"


def _same_text(text: str, scene: Scene) -> Relating | None:
    """Equal texts are equal, unless one is a recorded id that is known to have another name over there."""
    bound = scene.side.bindings.observed_for(text)
    if bound is None or bound == text:
        return None
    return Relating(DifferenceClass.STRUCTURAL, "identity", "the recorded run's own id", "", (_mapping(text, bound, scene, "id"),))


def _ids(one: tuple[str, Role], two: tuple[str, Role], scene: Scene, path: str) -> Relating | None:
    (recorded, left), (observed, right) = one, two
    bindings = scene.side.bindings
    bound = bindings.observed_for(recorded)
    if bound is not None:
        if bound == observed:
            if bound != recorded:
                scene.tolerate("renamed id", path)
            return None
        shown = _mapping(recorded, bound, scene, left.kind)
        return Relating(DifferenceClass.STRUCTURAL, "identity", f"{left.kind} → another {right.kind}", "", (shown,))
    if recorded == observed:
        return None
    if left.kind != right.kind:
        return Relating(DifferenceClass.SEMANTIC, "format", f"{left.kind} → {right.kind}", "q-id-format")
    other = bindings.recorded_for(observed)
    if other is not None:
        shown = _mapping(other, observed, scene, left.kind)
        return Relating(DifferenceClass.STRUCTURAL, "identity", f"two recorded {left.kind}s became one", "", (shown,))
    if scene.binding:
        bindings.bind(left.kind, recorded, observed, scene.exchange, path)
        scene.side.born[left.kind, recorded] = f"#{scene.exchange} {scene.route} {path}"
        scene.tolerate("renamed id", path)
    else:
        scene.tolerate("renamed id, not verified", path)
    return None


def _mapping(recorded: str, observed: str, scene: Scene, kind: str) -> IdMapping:
    born = scene.side.born.get((kind, recorded), "")
    return IdMapping(kind, recorded, observed, born)


def _times(one: tuple[str, Role], two: tuple[str, Role], scene: Scene, path: str) -> Relating | None:
    (recorded, left), (observed, right) = one, two
    if left.kind != right.kind or left.format != right.format:
        return Relating(DifferenceClass.SEMANTIC, "format", f"{left.kind}({left.format}) → {right.kind}({right.format})", "q-time-format")
    if recorded == observed:
        return None
    if left.seconds is None or right.seconds is None or _timely(left.seconds, right.seconds, scene):
        scene.tolerate(f"{left.kind} ({left.format})", path)
        return None
    return Relating(DifferenceClass.SEMANTIC, "value", f"{left.kind} elsewhere in time")


def _timely(one: float, two: float, scene: Scene) -> bool:
    """
    Whether an observed time stands to its own run as the recorded one stands to its own.

    Within the run: both lie between the run's start and a little after the exchange. Outside (fixtures, expiry dates, windows): both are
    equally far from their exchange, give or take what the runs' own lengths differ.
    """
    recorded, observed = scene.recorded, scene.observed
    inside_one = recorded.run_started_at - _SLACK_S <= one <= recorded.ended_at + _SLACK_S
    inside_two = observed.run_started_at - _SLACK_S <= two <= observed.ended_at + _SLACK_S
    if inside_one or inside_two:
        return inside_one and inside_two
    away_one, away_two = one - recorded.started_at, two - observed.started_at
    span = max(recorded.ended_at - recorded.run_started_at, observed.ended_at - observed.run_started_at)
    return abs(away_one - away_two) <= span + _SLACK_S


def _texts_differ(recorded: str, observed: str, left: Role | None, right: Role | None) -> Relating:
    names = (left.kind if left else _text_class(recorded), right.kind if right else _text_class(observed))
    return Relating(DifferenceClass.SEMANTIC, "value", f"{names[0]} → {names[1]}")


def _text_class(text: str) -> str:
    return "text" if text else "empty"


def _mixed(recorded: str, observed: str, scene: Scene, path: str) -> Relating | None:
    """Texts that may hold ids, times and durations between equal words."""
    left, right = _spans(recorded), _spans(observed)
    if left and len(left) == len(right) and _frame(recorded, left) == _frame(observed, right):
        for one, two in zip(left, right, strict=True):
            inner = _texts(recorded[one.start : one.end], observed[two.start : two.end], scene, path)
            if inner is not None:
                return inner
        scene.tolerate("text around ids and times", path)
        return None
    timeless = _IN_TEXT.sub("<n>", blind_text(recorded))
    if "<n>" in timeless and timeless == _IN_TEXT.sub("<n>", blind_text(observed)):
        scene.tolerate("text around durations", path)
        return None
    return _plain(recorded, observed)


def _plain(recorded: str, observed: str) -> Relating:
    if not recorded or not observed:
        return Relating(DifferenceClass.SEMANTIC, "value", f"{_text_class(recorded)} → {_text_class(observed)}")
    if recorded.casefold() == observed.casefold():
        return Relating(DifferenceClass.SEMANTIC, "value", "letter case", "q-letter-case")
    if recorded.split() == observed.split():
        return Relating(DifferenceClass.SEMANTIC, "value", "white space", "q-white-space")
    if recorded.startswith(observed.rstrip("….")) or observed.startswith(recorded.rstrip("….")):
        return Relating(DifferenceClass.SEMANTIC, "value", "text, cut short" if len(observed) < len(recorded) else "text, longer")
    return Relating(DifferenceClass.SEMANTIC, "value", "text")


def _frame(text: str, spans: tuple[Span, ...]) -> tuple[str, ...]:
    pieces, position = [], 0
    for span in spans:
        pieces.append(text[position : span.start])
        position = span.end
    pieces.append(text[position:])
    return tuple(pieces)


@lru_cache(maxsize=8192)
def blind_text(text: str) -> str:
    """A text with its ids and times replaced by their kinds."""
    role = _role(text)
    if role is not None and role.kind != "composed":
        return _blank(role)
    spans = _spans(text)
    if not spans:
        return text
    pieces, position = [], 0
    for span in spans:
        pieces.append(text[position : span.start])
        pieces.append(_blank(span.role))
        position = span.end
    pieces.append(text[position:])
    return "".join(pieces)


def _blank(role: Role) -> str:
    return "<time>" if role.kind in TIME_KINDS else f"<{role.kind}>"


@lru_cache(maxsize=8192)
def _role(text: str) -> Role | None:
    return classify(text)


@lru_cache(maxsize=2048)
def _spans(text: str) -> tuple[Span, ...]:
    return tuple(find(text))


def blind(value: Value) -> str:
    """A value's compact JSON with ids, times and measured numbers replaced: equal for two renderings of one thing."""
    return dump(_blinded(value, ""))


def _blinded(value: Value, key: str) -> Value:
    match value:
        case dict():
            return {blind_text(name): _blinded(item, name) for name, item in sorted(value.items())}
        case list():
            return [_blinded(item, key) for item in value]
        case str():
            return blind_text(value)
        case Number() if measured(key) or _epoch(value.value) is not None:
            return "<number>"
        case _:
            return value
