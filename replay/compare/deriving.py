"""What of one pair follows from its request: ids that a daemon did not give again, or, of two recordings, another question."""

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Final

from replay.compare.difference import Difference
from replay.compare.requests import other_question
from replay.compare.state import Side
from replay.content import Number, dump
from replay.model import Absent, Exchange

_LACKS: Final = frozenset({"missing-item", "missing-key"})
_SERVER_ERROR: Final = 500
_NOT_GIVEN: Final = re.compile(r"(\S+) was not given again by #(\d+)")
"""The player's note."""


def derive(
    found: list[Difference],
    exchange: Exchange,
    other: Exchange,
    side: Side,
    equal: AbstractSet[int],
    *,
    replayed: bool,
) -> list[Difference]:
    """
    Mark what follows from something else.

    Where a replayed request named ids that earlier answers of this daemon did not give again, its status follows from those answers, and so does
    what it lacks of the things themselves, unless they are of the *equal* ones; anything else that differs is still a finding of its own.
    Where two recordings asked different questions, all that differs follows from that.
    """
    if not replayed:
        question = other_question(exchange, other, side)
        if question:
            side.not_compared["pairs that asked different questions"] += 1
            return [replace(item, derived_from=f"the requests, which differ ({question})") for item in found]
    reasons = {word: f"#{giver}, which did not give {word} again" for word, giver in _NOT_GIVEN.findall(other.note) if int(giver) not in equal}
    return [replace(item, derived_from=reason) if (reason := _follows(item, reasons)) else item for item in found] if reasons else found


def _follows(item: Difference, reasons: Mapping[str, str]) -> str:
    """Say which missing id a difference hangs on: a status but 5xx on any, a missing thing on one that it names, a value on the one it is."""
    if item.derived_from:
        return item.derived_from
    if item.kind == "status":
        # whatever a request names: a daemon that breaks on it is at fault itself
        breaks = isinstance(item.observed, Number) and int(item.observed.value) >= _SERVER_ERROR
        return "" if breaks else next(iter(reasons.values()))
    if item.kind not in _LACKS:
        return reasons.get(item.recorded, "") if isinstance(item.recorded, str) else ""
    text = "" if isinstance(item.recorded, Absent) else dump(item.recorded)
    return next((reason for word, reason in reasons.items() if word in text), "")


__all__ = ["derive"]
