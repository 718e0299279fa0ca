"""
Where the recording left the daemon time for its background work.

How this works
--------------
All that happened is walked in the order of events: requests begin and end, files are laid. A silence is how long nothing had begun or ended
before something began; wall clock measures it. The first silence worth the name after something that may have changed the state is where
the replay waits for the daemon to have settled, too.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from replay.model import WorkspaceChange
from replay.plan.steps import Laying
from replay.plan.table import OWN, SENT, SETTLES, Table

PAUSE_S: Final = 0.1
"""A silence longer than this is time that the recording left to the daemon."""


def find_silences(table: Table, layings: Sequence[Laying]) -> list[Laying]:
    """
    Fill in the silences of a table in the order of starts, and those of layings in the order of events.

    A laid edit may change the daemon's state like a request that writes. What is not sent breaks a silence as well.
    """
    found: list[Laying] = []
    ending = sorted(table.rows(OWN), key=table.ended.__getitem__)
    at, last, unsettled = 0, 0.0, False
    coming = 0

    def begin(event: int, moment: float) -> float:
        nonlocal at, last
        while at < len(ending) and table.ended[ending[at]] < event:
            last = max(last, table.ended_at[ending[at]])
            at += 1
        pause_s, last = max(0.0, moment - last), max(last, moment)
        return pause_s

    def lay(laying: Laying) -> Laying:
        nonlocal unsettled
        if not isinstance(laying.record, WorkspaceChange):
            return laying  # a part of its request
        pause_s = begin(laying.event, laying.at)
        settles, unsettled = unsettled and pause_s > PAUSE_S, True
        return replace(laying, pause_s=pause_s, settles=settles)

    first = next(table.rows(OWN), None)
    last = table.started_at[first] if first is not None else layings[0].at if layings else 0.0
    for row in table.rows(OWN):
        while coming < len(layings) and layings[coming].event < table.opened[row]:
            found.append(lay(layings[coming]))
            coming += 1
        table.pause_s[row] = pause_s = begin(table.opened[row], table.started_at[row])
        if not table.flags[row] & SENT:
            continue
        if unsettled and pause_s > PAUSE_S:
            table.flags[row] |= SETTLES
            unsettled = False
        unsettled = unsettled or table.writes(row)
    found.extend(lay(laying) for laying in layings[coming:])
    return found
