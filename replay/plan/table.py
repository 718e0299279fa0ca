"""
What a plan has to know of every exchange, packed: some eighty bytes each, so that a recording may hold millions.

A row is filled in any order; `sort` puts the rows into the order of starts.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from typing import Final

from replay.model import Exchange, Gap, GapReason
from replay.routes import WRITES, Route

OWN: Final = 1
"""The row is on the daemon's lane, and in the stretch that is asked for."""
BODILESS: Final = 2
"""Its request's body was not seen."""
SENT: Final = 4
"""It is a step."""
SETTLES: Final = 8
"""The replay lets the daemon settle before it."""
NAMES: Final = 16
"""Its request names ids."""
DULL: Final = 32
"""Nothing in its answer looks like an id."""

NONE: Final = 0
"""No event number, and no reason for a gap."""


class Table:
    """Rows of facts; the columns are public, and equally long."""

    def __init__(self) -> None:
        self.ids = array("q")
        self.opened = array("q")
        self.ended = array("q")
        self.headers = array("q")
        """The event of the answer's head; `NONE` without one."""
        self.started_at = array("d")
        self.ended_at = array("d")
        self.pause_s = array("d")
        self.clients = array("I")
        self.routes = array("H")
        self.flags = array("B")
        self.early = array("I")
        """Why it is no step, whatever else holds; an index into `reasons`."""
        self.late = array("I")
        """Why it is no step, if nothing else says so; likewise."""
        self.reasons: list[tuple[GapReason, str] | None] = [None]
        self._reason_numbers: dict[tuple[GapReason, str] | None, int] = {None: NONE}
        self._routes: list[Route] = []
        self._route_numbers: dict[str, int] = {}
        self._client_numbers: dict[str, int] = {}
        self._rises = True

    def __len__(self) -> int:
        return len(self.ids)

    def add(self, exchange: Exchange, route: Route, *, flags: int, early: Gap | None, late: Gap | None) -> None:
        """Take one exchange."""
        self.ids.append(exchange.id)
        self.opened.append(exchange.opened_event)
        self.ended.append(exchange.ended_event)
        self.headers.append(exchange.headers_event or NONE)
        self.started_at.append(exchange.started_at)
        self.ended_at.append(exchange.ended_at)
        self.pause_s.append(0.0)
        self.clients.append(self._client_numbers.setdefault(exchange.connection.client, len(self._client_numbers)))
        number = self._route_numbers.setdefault(route.name, len(self._routes))
        if number == len(self._routes):
            self._routes.append(route)
        self.routes.append(number)
        self.flags.append(flags)
        self.early.append(self.reason(early))
        self.late.append(self.reason(late))

    def reason(self, gap: Gap | None) -> int:
        """Give the number of a gap's reason and words."""
        said = None if gap is None else (gap.reason, gap.detail)
        number = self._reason_numbers.setdefault(said, len(self.reasons))
        if number == len(self.reasons):
            self.reasons.append(said)
        return number

    def drop(self, ids: frozenset[int] | set[int]) -> None:
        """Take rows out again."""
        if ids:
            self._arrange([row for row in range(len(self)) if self.ids[row] not in ids])

    def sort(self) -> None:
        """Put the rows into the order of starts. What was only for filling is let go."""
        self._client_numbers = {}
        self._arrange(sorted(range(len(self)), key=self.opened.__getitem__))
        self._rises = all(self.ids[row] < self.ids[row + 1] for row in range(len(self) - 1))

    def row_of(self, number: int) -> int | None:
        """Give the row of an exchange; None where it has none."""
        if not self._rises:
            return next((row for row, found in enumerate(self.ids) if found == number), None)
        row = bisect_left(self.ids, number)
        return row if row < len(self.ids) and self.ids[row] == number else None

    def route(self, row: int) -> Route:
        """Give a row's route."""
        return self._routes[self.routes[row]]

    def writes(self, row: int) -> bool:
        """Whether a row may change the daemon's state."""
        return self.route(row).replay_class in WRITES

    def gap(self, row: int) -> Gap:
        """Give the gap that a row is, by its `early` reason."""
        said = self.reasons[self.early[row]]
        assert said is not None
        return Gap(said[0], event=self.opened[row], exchange=self.ids[row], detail=said[1])

    def rows(self, flag: int) -> Iterator[int]:
        """Give the rows with a flag."""
        return (row for row, flags in enumerate(self.flags) if flags & flag)

    def _arrange(self, order: list[int]) -> None:
        for name in ("ids", "opened", "ended", "headers", "started_at", "ended_at", "pause_s", "clients", "routes", "flags", "early", "late"):
            column = getattr(self, name)
            setattr(self, name, array(column.typecode, map(column.__getitem__, order)))
