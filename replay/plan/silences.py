"""
Where the recording left the daemon time for its background work.

How this works
--------------
All that happened is walked in the order of events: requests begin and end, files are laid. A silence is how long nothing had begun or ended
before something began; wall clock measures it. The first silence worth the name after something that may have changed the state is where
the replay waits for the daemon to have settled, too.
"""

import heapq
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Final

from replay.model import Exchange, WorkspaceChange
from replay.plan.steps import Laying

PAUSE_S: Final = 0.1
"""A silence longer than this is time that the recording left to the daemon."""


@dataclass(slots=True)
class Silences:
    """What was found."""

    pauses_s: dict[int, float] = field(default_factory=dict)
    """By exchange: for how long nothing had begun or ended before it."""
    settling: set[int] = field(default_factory=set)
    """The exchanges before which the replay lets the daemon settle."""
    layings: list[Laying] = field(default_factory=list)


def find_silences(
    exchanges: Sequence[Exchange], layings: Iterable[Laying], *, sent: AbstractSet[int], writes: Callable[[int], bool]
) -> Silences:
    """
    Find them among exchanges in the order of their starts, and layings in the order of events.

    What is not *sent* breaks a silence as well. *writes* says whether an exchange may change the daemon's state; a laid edit does.
    """
    found = Silences()
    ending = sorted((exchange.ended_event, exchange.ended_at) for exchange in exchanges)
    at, last = 0, exchanges[0].started_at if exchanges else 0.0
    unsettled = False
    marks: Iterable[tuple[int, int, float, Exchange | Laying]] = heapq.merge(
        ((exchange.opened_event, 1, exchange.started_at, exchange) for exchange in exchanges),
        ((laying.event, 0, laying.at, laying) for laying in layings),
        key=lambda mark: mark[:2],
    )
    for event, _, moment, what in marks:
        if isinstance(what, Laying) and not isinstance(what.record, WorkspaceChange):
            found.layings.append(what)  # a part of its request
            continue
        while at < len(ending) and ending[at][0] < event:
            last = max(last, ending[at][1])
            at += 1
        pause_s, last = max(0.0, moment - last), max(last, moment)
        settles = unsettled and pause_s > PAUSE_S
        if isinstance(what, Laying):
            found.layings.append(replace(what, pause_s=pause_s, settles=settles))
            unsettled = True
            continue
        found.pauses_s[what.id] = pause_s
        if what.id not in sent:
            continue
        if settles:
            found.settling.add(what.id)
        unsettled = (unsettled and not settles) or writes(what.id)
    return found
