"""
Mutants: an answer with one known fault, to see whether the comparison sees it.

How this works
--------------
Each operator is one kind of fault: it takes the places of an answer (`spots`), picks one by the dice, and gives the answer with just that place
changed, the class a finding of it must have, and where it stands. What is drawn depends on the dice alone. An operator that finds no place in an
answer gives nothing. Faults that need other answers (an id of another one, an earlier answer of the same route) take them from `Material`.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from replay.content import Content, parse
from replay.judge.spots import Spot, spots_of
from replay.judge.values import VALUES, Change
from replay.judge.wholes import WHOLES
from replay.model import Chunk, DifferenceClass, EndReason, Exchange, Response

_IDS: Final = frozenset({"id unheard of", "id of zeros", "id of another answer"})
_TRIES: Final = 8
"""How many places an operator looks at before it gives an answer up."""


@dataclass(frozen=True, slots=True)
class Material:
    """What an answer can be confused with."""

    ids: Sequence[str] = ()
    """Ids that other answers gave."""
    earlier: Response | None = None
    """An earlier answer of the same route."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """An answer with one fault."""

    operator: str
    place: str
    """The concrete place in the changed answer's own indices: `$.results[3].id`, `status`, `header:x`, `body`, `stream`."""
    path: str
    """The same as a skeleton."""
    difference: DifferenceClass
    """The class that a finding of it must have."""
    response: Response
    also: DifferenceClass | None = None
    """Another class that is as right: of an item of a list that bears another id it is as true to say that one lacks and one is more."""
    before: str = ""
    after: str = ""
    """What was there and what is there now, as spelt; empty where that is no short text."""
    whole_before: str = ""
    whole_after: str = ""
    """The whole value, as spelt; empty where what changed is not one value."""
    end: EndReason | None = None
    """How the answer ended, where that is the fault."""


@dataclass(frozen=True, slots=True)
class Ground:
    """An answer read once, for any number of mutants."""

    response: Response
    content: Content
    spots: tuple[Spot, ...]

    @staticmethod
    def of(response: Response) -> "Ground":
        """Read an answer."""
        content = parse(response.body or b"", response.header(b"content-type"))
        return Ground(response, content, tuple(spots_of(response.body or b"", content)))


OPERATORS: Final[tuple[str, ...]] = (*VALUES, *WHOLES)
"""All kinds of faults, by name."""


def mutants(response: Response, dice: random.Random, material: Material | None = None) -> Iterator[Mutant]:
    """Give one mutant of each operator that finds a place in an answer, in an order of the dice."""
    ground = Ground.of(response)
    names = list(OPERATORS)
    dice.shuffle(names)
    for name in names:
        made = mutant(ground, name, dice, material or Material())
        if made is not None:
            yield made


def _nowhere(_: Spot) -> bool:
    return False


def mutant(ground: Ground, operator: str, dice: random.Random, material: Material, *, avoid: Callable[[Spot], bool] = _nowhere) -> Mutant | None:
    """Give a mutant of one operator (a name of `OPERATORS`), at a place that is not to be avoided; None where the answer has none for it."""
    value = VALUES.get(operator)
    if value is None:
        return _whole(ground, operator, dice, material)
    places = [spot for spot in ground.spots if spot.kind in value.kinds and not avoid(spot)]
    for spot in dice.sample(places, min(_TRIES, len(places))):
        change = value.change(spot, dice, material.ids)
        if change is None:
            continue
        body = _bytes(change, spot)
        if body != ground.response.body:
            at, path = change.at or spot.at, change.path or spot.path
            response = replace(ground.response, body=body)
            before, after = _short(spot.page.text[change.start : change.end]), _short(change.new)
            return Mutant(operator, at, path, value.difference, response, _also(operator, path), before, after, *_wholes(change, spot))
    return None


def apply(made: Mutant, exchange: Exchange) -> Exchange:
    """Give an exchange whose answer is the mutant; a stream's events keep the times that they had."""
    end = exchange.end if made.end is None else made.end
    chunks = _chunks(exchange, made.response.body or b"") if exchange.chunks else ()
    return replace(exchange, outcome=made.response, chunks=chunks, end=end)


def _chunks(exchange: Exchange, body: bytes) -> tuple[Chunk, ...]:
    """Hand a body on in as many pieces as before, ended at the same kind of places: whole events."""
    pieces = _events_of(body)
    last = exchange.chunks[-1]
    made = [replace(chunk, data=b"") for chunk in exchange.chunks]
    for number, piece in enumerate(pieces):
        place = min(number, len(made) - 1)
        made[place] = replace(made[place], data=made[place].data + piece)
    return tuple(chunk for chunk in made if chunk.data) or (replace(last, data=body),)


def _events_of(body: bytes) -> list[bytes]:
    separator = b"\n\n" if b"\n\n" in body else b"\n"
    parts = body.split(separator)
    return [part + separator for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def _whole(ground: Ground, operator: str, dice: random.Random, material: Material) -> Mutant | None:
    made = WHOLES[operator]
    changed = made.change(ground.response, ground.content, dice, material.earlier)
    if changed is None or (changed.response == ground.response and changed.end is None):
        return None
    also = DifferenceClass.STRUCTURAL if operator == "answer of before" else None
    return Mutant(operator, changed.at, changed.at, made.difference, changed.response, also, changed.before, changed.after, end=changed.end)


def _also(operator: str, path: str) -> DifferenceClass | None:
    own = operator == "ids swapped" or (operator in _IDS and path.endswith(("[*].id", "[*]")))
    return DifferenceClass.SEMANTIC if own else None


def _wholes(change: Change, spot: Spot) -> tuple[str, str]:
    """Spell one value before and after its change."""
    if change.at or spot.kind not in {"number", "string", "boolean"}:
        return "", ""
    new = spot.page.text[spot.start : change.start] + change.new + spot.page.text[change.end : spot.end]
    return spot.source, new


def _bytes(change: Change, spot: Spot) -> bytes:
    return spot.replace(change.start, change.end, change.new).encode("utf-8", "surrogateescape")


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}…"


__all__ = ["OPERATORS", "Ground", "Material", "Mutant", "apply", "mutant", "mutants"]
