"""
Compare NDJSON: a sequence of values, one a line.

Lines are paired by the ids that are known of them, or by what they say, without crossing; a line between the same neighbours that says something
else changed, and is walked. An export has an order, so lines in another order are one finding.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from replay.compare.aligning import sketch
from replay.compare.blinding import blind
from replay.compare.difference import ABSENT, Difference, type_name
from replay.compare.laying import Sequences, lay
from replay.compare.state import Place, Scene
from replay.compare.walk import walk_pair
from replay.content import Value
from replay.model import DifferenceClass

_KINDS: Final = ("event", "type", "kind", "name", "level")
_TOLD_MAX: Final = 1_000
_SHOWN_MAX: Final = 60


def compare_lines(recorded: Sequence[Value], observed: Sequence[Value], scene: Scene) -> Iterator[Difference]:
    """Yield the differences of the lines of two bodies."""
    name, owner = scene.side.bindings.observed_for, scene.side.bindings.recorded_for
    left = [_key(line, None if (ident := _id(line)) is None else name(ident)) for line in recorded]
    right = [_key(line, ident if (ident := _id(line)) is not None and owner(ident) is not None else None) for line in observed]
    laid = lay(Sequences(left, right, lambda n: _type(recorded[n]), lambda n: _type(observed[n]), lambda _n: "", lambda _n: ""))
    path = "$.<ndjson>[*]"
    for index, other in laid.stayed:
        yield from walk_pair(recorded[index], observed[other], scene, Place(f"$.<ndjson>[{index}]", path))
    unbound = replace(scene, binding=False)
    for index, other in sorted(laid.moved + laid.changed):
        yield from walk_pair(recorded[index], observed[other], unbound, Place(f"$.<ndjson>[{index}]", path))
    if laid.moved:
        pairs = sorted(laid.stayed + laid.moved)
        first = min(index for index, _ in laid.moved)
        near = [pair for pair in pairs if pair[0] >= first][:_SHOWN_MAX]
        one: list[Value] = [sketch(recorded[index]) for index, _ in near]
        two: list[Value] = [sketch(observed[other]) for other in sorted(other for _, other in near)]
        yield Difference(DifferenceClass.SEMANTIC, "order", "$.<ndjson>", "$.<ndjson>", one, two, "order")
    for index in laid.left_only[:_TOLD_MAX]:
        value, at = recorded[index], f"$.<ndjson>[{index}]"
        yield Difference(DifferenceClass.SEMANTIC, "missing-item", path, at, value, ABSENT, f"{type_name(value)} → absent")
    for index in laid.right_only[:_TOLD_MAX]:
        value, at = observed[index], f"$.<ndjson>[+{index}]"
        yield Difference(DifferenceClass.SEMANTIC, "extra-item", path, at, ABSENT, value, f"absent → {type_name(value)}")


def _id(line: Value) -> str | None:
    ident = line.get("id") if isinstance(line, dict) else None
    return ident if isinstance(ident, str) else None


def _key(line: Value, known: str | None) -> str:
    return blind(line) if known is None else f"id {known}"


def _type(line: Value) -> Hashable:
    """What sort of line it is: its members, and what it says of its kind."""
    if not isinstance(line, dict):
        return type_name(line)
    return frozenset(line), tuple(value for key in _KINDS if isinstance(value := line.get(key), str))
