"""
Make a plan of a recording.

How this works
--------------
The order is a frontier. An exchange may start when every exchange that ended before it started has ended again. Sorted by their recorded
ends, those are always the first so-many, so one number a step says it all, and the number never falls from one step to the next in the
order of starts. A player that walks the steps in that order, waiting for each, keeps all order edges and may overlap what overlapped.

Data edges matter where an answer was used before it was whole: an id out of a header or an event of a stream that is still open.
An exchange whose ids come only from exchanges that are left out is left out itself, as `dependency`.

A recording may be longer than memory. It is read once for the facts of each exchange (`table`), and once more, in the order of starts, for
the ids in answers that some request names (`births`); on that way it is decided what is sent. Steps are made when they are asked for
(`sequences`), out of where their exchange lies.

Only the daemon's own lane is replayed. What was recorded on another (the daemon asking its model, say) is planned like everything, and a gap
that was never meant to be sent (`not asked for`): it gives no ids, breaks no silence, and makes no run incomplete. A call that the daemon
made itself to serve `/mcp` is a gap of reason `loop-back` (`loopbacks`).
"""

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

from replay.archive import Archive, Place
from replay.identity import classify
from replay.model import Attachment, Exchange, Gap, GapReason, Record, SnapshotRecord
from replay.plan.births import Answers, Asked, Births, ids_of_request
from replay.plan.layings import OUT_OF_SCOPE, Change, Holds, Unlayable, Writing, find_layings, is_kept, writing_of
from replay.plan.loopbacks import Trace, match_loopbacks, trace_of
from replay.plan.scope import Dependence, Stretch, depend, find_cut, known_before
from replay.plan.sequences import Exchanges, Gaps, Layings, Recorded, Source, Steps
from replay.plan.silences import find_silences
from replay.plan.steps import Laying, Step, Unlaid
from replay.plan.table import BODILESS, DULL, NAMES, OWN, SENT, Table
from replay.plan.unsent import changing, malformed, out_of_scope, unsafe
from replay.routes import route_of

_GIVEN_BY_WRITES: Final = frozenset({"uuid", "api-key", "api-key-id", "bearer", "time-id"})


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be sent, and what is not and why."""

    steps: Sequence[Step]
    """In the order of their recorded starts."""
    gaps: Sequence[Gap]
    """One for every recorded exchange that is no step."""
    chosen: frozenset[str]
    """The ids that clients chose: never bound, never rewritten."""
    layings: Sequence[Laying] = ()
    """The files that are laid between the steps, in order."""
    unlaid: Sequence[Unlaid] = ()
    """The recorded changes of files that are not laid, by reason."""
    ends: Sequence[int] = ()
    """The exchanges of the steps in the order of their recorded ends."""
    started_at: float = 0.0
    """When the first step began, in the recording."""

    @property
    def planned(self) -> int:
        """The number of recorded exchanges."""
        return len(self.steps) + len(self.gaps)


def plan(
    recorded: Archive,
    *,
    allow: frozenset[str] = frozenset(),
    only: int | None = None,
    reads_only: bool = False,
    stretch: Stretch = Stretch(),  # noqa: B008  # frozen
    lost: AbstractSet[str] = frozenset(),
) -> Plan:
    """
    Plan the replay of a recording.

    `allow` names what may act on the outside world: replay classes, route names, or `all`. `only` keeps one exchange and all that it
    depends on, `stretch` a part of the recording (`scope`); `lost` are ids from before it that its state does not hold. An exchange of
    which the recording holds a part only is a gap, too. With `reads_only` nothing is sent that could change the daemon's state, whatever
    `allow` says.

    Raises:
        ArchiveError: the recording is damaged.
        UsageError: there is no exchange `only`.

    """
    catalogue = recorded.catalogue()
    draft = _Draft(allow, stretch, reads_only=reads_only)
    carried = recorded.carried_snapshot()
    snapshots = [] if carried is None else [carried]
    for found in catalogue.scan():
        if isinstance(found, Exchange):
            draft.add(found)
        elif isinstance(found.record, SnapshotRecord):
            snapshots.append(found.record)
        else:
            draft.change(found.record, found.place)
    if catalogue.lacking or catalogue.late:
        # What was given is not what there is: all is taken again, from where it lies.
        draft = _Draft(allow, stretch, reads_only=reads_only, changes=draft.changes)
        with catalogue.open() as shelf:
            for number in catalogue.whole():
                draft.add(shelf.exchange(number))
    state_from = snapshots[0].event_before if snapshots else 0
    return draft.finish(catalogue.open, only=only, gaps=catalogue.gaps, lost=lost, state_from=state_from)


def make_plan(
    exchanges: Sequence[Exchange],
    *,
    allow: frozenset[str] = frozenset(),
    only: int | None = None,
    gaps: Iterable[Gap] = (),
    reads_only: bool = False,
    stretch: Stretch = Stretch(),  # noqa: B008  # frozen
    lost: AbstractSet[str] = frozenset(),
    changes: Iterable[Change] = (),
    state_from: int = 0,
) -> Plan:
    """
    Do as `plan` for exchanges at hand.

    `gaps` are those of the recording, and `changes` the files that changed; up to the event `state_from` the state holds them.
    """
    draft = _Draft(allow, stretch, reads_only=reads_only)
    for exchange in exchanges:
        draft.add(exchange)
    for change in changes:
        draft.change(change, None)
    at_hand = _AtHand({exchange.id: exchange for exchange in exchanges})
    return draft.finish(at_hand.open, only=only, gaps=gaps, lost=lost, state_from=state_from)


@dataclass(frozen=True, slots=True)
class _AtHand:
    """Exchanges that are in memory anyway."""

    exchanges: Mapping[int, Exchange]

    @contextmanager
    def open(self) -> Iterator["_AtHand"]:
        yield self

    def exchange(self, number: int) -> Exchange:
        return self.exchanges[number]

    def record(self, place: Place) -> Record:
        raise KeyError(place)


class _Draft:
    """Takes exchanges and changes in any order, remembers little of each, and makes a plan of them."""

    def __init__(
        self,
        allow: frozenset[str],
        stretch: Stretch,
        *,
        reads_only: bool,
        changes: Sequence[tuple[Change, Place | None]] = (),
    ) -> None:
        self._allow = allow
        self._stretch = stretch
        self._reads_only = reads_only
        self._table = Table()
        self._asked = Asked()
        self._answers = Answers()
        self._suspects: dict[int, tuple[int, tuple[str, ...]]] = {}
        """What may turn out to be no client's: its opening, and the ids that it names."""
        self._traces: list[Trace] = []
        self._writings: list[Writing] = []
        self.changes = list(changes)

    def add(self, exchange: Exchange) -> None:
        """Take an exchange."""
        route = route_of(exchange.request)
        early = out_of_scope(exchange) or self._stretch.gap(exchange)
        late = changing(exchange, route, reads_only=self._reads_only) or malformed(exchange) or unsafe(exchange, route, self._allow)
        words = () if early is not None else ids_of_request(exchange.request)
        flags = (OWN if early is None else 0) | (NAMES if words else 0) | (BODILESS if exchange.request.body is None else 0)
        flags |= DULL if early is None and self._answers.is_dull(exchange) else 0
        self._table.add(exchange, route, flags=flags, early=early, late=late)
        if early is not None:
            return
        trace = trace_of(exchange)
        if trace is not None:
            self._traces.append(trace)
        if trace is not None and trace.says_so:
            self._suspects[exchange.id] = (exchange.opened_event, words)
        else:
            self._asked.add(words, exchange.opened_event)
        writing = writing_of(exchange, route.name)
        if writing is not None:
            self._writings.append(writing)

    def change(self, change: Change, place: Place | None) -> None:
        """Take a change of a file; of one that can be read again at a place, the content is let go."""
        light = place is not None or is_kept(change)
        self.changes.append((replace(change, content=b"") if light and change.content is not None else change, place))

    def finish(self, source: Source, *, only: int | None, gaps: Iterable[Gap], lost: AbstractSet[str], state_from: int) -> Plan:
        """Make the plan; *source* gives the exchanges again."""
        table, stretch = self._table, self._stretch
        table.sort()
        told = list(gaps)
        loopbacks = match_loopbacks(self._traces)
        for number, (opened, words) in self._suspects.items():
            if number not in loopbacks:
                self._asked.add(words, opened)
        ordered = Recorded(source, table, range(len(table)))
        known = known_before(ordered, stretch)
        wanted, cut = self._scope(source, ordered, known.keys(), loopbacks, only)
        births = Births.begin(self._asked, known.keys())
        shed = {gap.exchange: gap for gap in told if gap.exchange is not None and gap.reason is GapReason.SHED}
        with source() as exchanges:
            _Sweep(table, births, loopbacks, shed, wanted, cut).run(exchanges)
        steps = Steps(source, table, births, {word: known[word] for word in lost if word in known})
        layings, unlaid = self._lay(source, steps, wanted, only, state_from)
        sent = sorted(table.rows(SENT), key=table.ended.__getitem__)
        partly = {gap.exchange: stretch.scoped(gap) for gap in told if gap.exchange is not None and table.row_of(gap.exchange) is None}
        first = next(table.rows(SENT), None)
        return Plan(
            steps=steps,
            gaps=Gaps(source, table, partly),
            chosen=births.chosen,
            layings=layings,
            unlaid=unlaid,
            ends=array("q", (table.ids[row] for row in sent)),
            started_at=0.0 if first is None else table.started_at[first],
        )

    def _scope(
        self, source: Source, ordered: Recorded, known: AbstractSet[str], loopbacks: Mapping[int, int], only: int | None
    ) -> tuple[Dependence | None, Mapping[int, Gap]]:
        """Find what one exchange depends on, and the streams that a stretch cuts; mostly neither is asked for."""
        if only is None and self._stretch.until is None:
            return None, {}
        own = Recorded(source, self._table, array("I", self._table.rows(OWN)))
        births = Births(own, unasked=loopbacks.keys(), known=known)
        wanted = None
        if only is not None:
            routes = {number: self._table.route(row) for row, number in enumerate(self._table.ids)}
            wanted = depend(ordered, births, routes, loopbacks, only=only, stretch=self._stretch)
        return wanted, find_cut(own, births, self._stretch)

    def _lay(
        self, source: Source, steps: Steps, wanted: Dependence | None, only: int | None, state_from: int
    ) -> tuple[Sequence[Laying], tuple[Unlaid, ...]]:
        table = self._table
        last = max((table.opened[row] for row in table.rows(SENT)), default=0)
        holds = Holds(self._stretch.began or state_from, self._stretch.until if only is None else last)
        unlayable = Unlayable()
        changes = []
        for change, _ in self.changes:
            if wanted is None or isinstance(change, Attachment) or wanted.lays(change.path):
                changes.append(change)
            else:
                unlayable.add(OUT_OF_SCOPE, change.path)
        writings = sorted(self._writings, key=lambda writing: writing.opened_event)
        layings = find_silences(table, find_layings(changes, writings, table, steps.ends, holds=holds, unlayable=unlayable))
        places = {change.event: place for change, place in self.changes}
        return Layings(source, layings, [places[laying.record.event] for laying in layings]), unlayable.told()


@dataclass(frozen=True, slots=True)
class _Sweep:
    """Decides in the order of starts what is sent, and finds where ids come from on the way."""

    table: Table
    births: Births
    loopbacks: Mapping[int, int]
    shed: Mapping[int, Gap]
    wanted: Dependence | None
    cut: Mapping[int, Gap]

    def run(self, exchanges: Exchanges) -> None:
        """Fill in the table's reasons and what is sent."""
        table = self.table
        matters = not self.births.is_idle or self.wanted is not None
        for row in range(len(table)):
            own = bool(table.flags[row] & OWN)
            looked_at = matters and (not table.flags[row] & DULL or table.flags[row] & NAMES or self.wanted is not None)
            exchange = exchanges.exchange(table.ids[row]) if own and looked_at else None
            reason = table.early[row] or table.reason(self._asked_for(row, exchange)) or table.late[row]
            if not reason and exchange is not None and table.flags[row] & NAMES:
                reason = table.reason(self._orphaned(exchange))
            table.early[row] = reason
            if not reason:
                table.flags[row] |= SENT
            if exchange is not None:
                self.births.take(exchange, kept=not reason)

    def _asked_for(self, row: int, exchange: Exchange | None) -> Gap | None:
        number = self.table.ids[row]
        gap = self.cut.get(number)
        if gap is None and self.wanted is not None and exchange is not None:
            gap = self.wanted.gap(exchange)
        if gap is None and number in self.loopbacks:
            detail = f"the daemon called itself to serve #{self.loopbacks[number]} of /mcp, which makes it again"
            gap = Gap(GapReason.LOOPBACK, exchange=number, detail=detail)
        if gap is None and self.table.flags[row] & BODILESS:
            gap = self.shed.get(number)  # the recorder left the request's body out, on purpose
        return gap

    def _orphaned(self, exchange: Exchange) -> Gap | None:
        """Say whether a request needs an id that only left-out writes gave: it could but fail."""
        for word in self.births.given(exchange.request):
            role = classify(word)
            if role is None or role.kind not in _GIVEN_BY_WRITES or self.births.kept_givers(word, exchange.opened_event):
                continue
            for giver in self.births.givers(word, exchange.opened_event):
                row = self.table.row_of(giver)
                said = None if row is None else self.table.reasons[self.table.early[row]]
                if row is not None and said is not None and self.table.writes(row):
                    detail = f"needs {role.kind} {word} from #{giver}, which is left out ({said[0]})"
                    return Gap(GapReason.DEPENDENCY, exchange=exchange.id, detail=detail)
        return None
