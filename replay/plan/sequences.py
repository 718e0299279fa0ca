"""
A plan's steps, gaps and layings, made one by one when they are asked for.

Iterating is what they are good at: it goes through the recording once, forward. Any one can be asked for, too, slowly.
"""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Protocol, overload

from replay.archive import Place
from replay.model import Attachment, Exchange, Gap, Record, WorkspaceChange
from replay.plan.births import Births, ids_of_request
from replay.plan.steps import Laying, Need, Step
from replay.plan.table import DULL, NAMES, NONE, SENT, SETTLES, Table


class Exchanges(Protocol):
    """Gives exchanges, and what was recorded beside them, by where it lies."""

    def exchange(self, number: int, /) -> Exchange:
        """Give an exchange by its number."""

    def record(self, place: Place, /) -> Record:
        """Give what lies at a place."""


type Source = Callable[[], AbstractContextManager[Exchanges]]
"""Opens what gives them."""


class _Made[T](Sequence[T]):
    """Items that are made when they are asked for."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def __iter__(self) -> Iterator[T]:
        with self._source() as exchanges:
            for at in range(len(self)):
                yield self._make(at, exchanges)

    @overload
    def __getitem__(self, at: int) -> T: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[T]: ...
    def __getitem__(self, at: int | slice) -> T | Sequence[T]:
        places = range(len(self))[at]
        with self._source() as exchanges:
            return self._make(places, exchanges) if isinstance(places, int) else [self._make(each, exchanges) for each in places]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(one == two for one, two in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # equal to lists, that have none either

    def _make(self, at: int, exchanges: Exchanges) -> T:
        raise NotImplementedError


class Recorded(_Made[Exchange]):
    """The exchanges of some rows of a table, in their order."""

    def __init__(self, source: Source, table: Table, rows: Sequence[int]) -> None:
        super().__init__(source)
        self._table = table
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def _make(self, at: int, exchanges: Exchanges) -> Exchange:
        return exchanges.exchange(self._table.ids[self._rows[at]])


class Steps(_Made[Step]):
    """The rows of a table that are sent, in the order of their starts."""

    def __init__(self, source: Source, table: Table, births: Births, lost: Mapping[str, int]) -> None:
        super().__init__(source)
        self._table = table
        self._births = births
        self._lost = lost
        self._rows = array("I", table.rows(SENT))
        self._ends = array("q", sorted(table.ended[row] for row in self._rows))
        self._previous = array("q")
        self._heads = array("I")
        self._head_sets: list[tuple[int, ...]] = [()]
        self._link()

    @property
    def ends(self) -> Sequence[int]:
        """The event numbers at which they ended, in order."""
        return self._ends

    def __len__(self) -> int:
        return len(self._rows)

    def _link(self) -> None:
        """Find for each the one before it on its connection, and whose answers had begun when it started."""
        table, last_on = self._table, dict[int, int]()
        open_rows: list[int] = []
        for row in self._rows:
            opened = table.opened[row]
            before = last_on.get(table.clients[row])
            self._previous.append(NONE if before is None or table.ended[before] > table.ended[row] else table.ids[before])
            open_rows = [other for other in open_rows if table.ended[other] > opened]
            heads = tuple(table.ids[other] for other in open_rows if table.headers[other] != NONE and table.headers[other] < opened)
            if not heads:
                self._heads.append(0)
            else:
                if heads != self._head_sets[-1]:
                    self._head_sets.append(heads)
                self._heads.append(len(self._head_sets) - 1)
            last_on[table.clients[row]] = row
            open_rows.append(row)

    def _make(self, at: int, exchanges: Exchanges) -> Step:
        table, row = self._table, self._rows[at]
        exchange = exchanges.exchange(table.ids[row])
        words = self._births.given(exchange.request) if table.flags[row] & NAMES else ()
        needs = (Need(giver, word) for word in words for giver in self._births.kept_givers(word, exchange.opened_event))
        lost = tuple(Need(self._lost[word], word) for word in ids_of_request(exchange.request) if word in self._lost) if self._lost else ()
        return Step(
            exchange=exchange,
            route=table.route(row),
            after=bisect_left(self._ends, exchange.opened_event),
            leave_after=bisect_left(self._ends, exchange.ended_event),
            previous=self._previous[at] or None,
            heads=self._head_sets[self._heads[at]],
            needs=tuple(needs),
            pause_s=table.pause_s[row],
            settles=bool(table.flags[row] & SETTLES),
            dull=bool(table.flags[row] & DULL),
            lost=lost,
        )


class Gaps(_Made[Gap]):
    """The rows of a table that are not sent, and gaps that are no rows, by exchange."""

    def __init__(self, source: Source, table: Table, others: Mapping[int, Gap]) -> None:
        super().__init__(source)
        self._table = table
        self._others = others
        numbers = [table.ids[row] for row in range(len(table)) if not table.flags[row] & SENT]
        self._numbers = array("q", sorted([*numbers, *others]))

    def __len__(self) -> int:
        return len(self._numbers)

    def _make(self, at: int, exchanges: Exchanges) -> Gap:  # noqa: ARG002
        number = self._numbers[at]
        if number in self._others:
            return self._others[number]
        row = self._table.row_of(number)
        assert row is not None
        return self._table.gap(row)


class Layings(_Made[Laying]):
    """What is laid, in its order; the contents are read when it comes to them."""

    def __init__(self, source: Source, layings: Sequence[Laying], places: Sequence[Place | None]) -> None:
        super().__init__(source)
        self._layings = layings
        self._places = places

    def __len__(self) -> int:
        return len(self._layings)

    def _make(self, at: int, exchanges: Exchanges) -> Laying:
        laying, place = self._layings[at], self._places[at]
        if place is None:
            return laying
        record = exchanges.record(place)
        assert isinstance(record, WorkspaceChange | Attachment)
        return replace(laying, record=record)
