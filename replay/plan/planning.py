"""
Make a plan of a recording.

How this works
--------------
The order is a frontier. An exchange may start when every exchange that ended before it started has ended again. Sorted by their recorded
ends, those are always the first so-many, so one number a step says it all, and the number never falls from one step to the next in the
order of starts. A player that walks the steps in that order, waiting for each, keeps all order edges and may overlap what overlapped.

Data edges matter where an answer was used before it was whole: an id out of a header or an event of a stream that is still open.
An exchange whose ids come only from exchanges that are left out is left out itself, as `dependency`.

Only the daemon's own lane is replayed. What was recorded on another (the daemon asking its model, say) is planned like everything, and a gap
that was never meant to be sent (`not asked for`): it gives no ids, breaks no silence, and makes no run incomplete. A call that the daemon
made itself to serve `/mcp` is a gap of reason `loop-back` (`loopbacks`).
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Final

from replay.archive import Archive
from replay.identity import classify
from replay.model import Attachment, Exchange, Gap, GapReason, Response, WorkspaceChange
from replay.plan.births import Births, ids_of_request
from replay.plan.layings import Change, Holds, Starts, find_layings, writing_of
from replay.plan.loopbacks import find_loopbacks
from replay.plan.scope import Stretch, depend, find_cut, known_before
from replay.plan.silences import Silences, find_silences
from replay.plan.steps import Laying, Need, Step, Unlaid
from replay.routes import ACTS_OUTSIDE, WRITES, Route, route_of

_TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TARGET: Final = re.compile(rb"[!-~\x80-\xff]+")
_READING: Final = frozenset({b"GET", b"HEAD", b"OPTIONS"})
_PURE: Final = frozenset({"read", "volatile-read", "stream", "static"})
_NO_ROUTE: Final = frozenset({404, 405, 501})
_GIVEN_BY_WRITES: Final = frozenset({"uuid", "api-key", "api-key-id", "bearer", "time-id"})


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be sent, and what is not and why."""

    steps: tuple[Step, ...]
    """In the order of their recorded starts."""
    gaps: tuple[Gap, ...]
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
    joined = recorded.join()
    changes = [record for record in recorded.records() if isinstance(record, WorkspaceChange | Attachment)]
    snapshots = recorded.snapshots()
    return make_plan(
        joined.exchanges,
        allow=allow,
        only=only,
        gaps=joined.gaps,
        reads_only=reads_only,
        stretch=stretch,
        lost=lost,
        changes=changes,
        state_from=snapshots[0].event_before if snapshots else 0,
    )


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
    ordered = sorted(exchanges, key=lambda exchange: exchange.opened_event)
    routes = {exchange.id: route_of(exchange.request) for exchange in ordered}
    own = [exchange for exchange in ordered if exchange.lane == "daemon" and stretch.gap(exchange) is None]
    loopbacks = find_loopbacks(own)
    known = known_before(ordered, stretch)
    births = Births(own, unasked=loopbacks.keys(), known=known.keys())
    whole = {exchange.id for exchange in ordered}
    told = list(gaps)
    left_out: dict[int, Gap] = {gap.exchange: stretch.scoped(gap) for gap in told if gap.exchange is not None and gap.exchange not in whole}
    shed = {gap.exchange: gap for gap in told if gap.exchange is not None and gap.reason is GapReason.SHED}
    wanted = None if only is None else depend(ordered, births, routes, loopbacks, only=only, stretch=stretch)
    cut = find_cut(own, births, stretch)
    for exchange in ordered:
        gap = (
            _out_of_scope(exchange)
            or stretch.gap(exchange)
            or cut.get(exchange.id)
            or (wanted and wanted.gap(exchange))
            or _looped(exchange, loopbacks)
            or _bodiless(exchange, shed)
            or _changing(exchange, routes[exchange.id], reads_only=reads_only)
            or malformed(exchange)
            or _unsafe(exchange, routes[exchange.id], allow)
            or _orphaned(exchange, births, left_out, routes)
        )
        if gap is not None:
            left_out[exchange.id] = gap
    kept = [exchange for exchange in ordered if exchange.id not in left_out]
    ends = sorted(kept, key=lambda exchange: exchange.ended_event)
    layings, unlaid = find_layings(
        changes if wanted is None else [change for change in changes if isinstance(change, Attachment) or wanted.lays(change.path)],
        [writing for exchange in own for writing in [writing_of(exchange, routes[exchange.id].name)] if writing is not None],
        Starts(
            [exchange.opened_event for exchange in kept],
            [exchange.started_at for exchange in kept],
            {exchange.id: place for place, exchange in enumerate(kept)},
        ),
        [exchange.ended_event for exchange in ends],
        Holds(stretch.began or state_from, _last(kept) if only is not None else stretch.until),
    )
    silences = find_silences(own, layings, sent={exchange.id for exchange in kept}, writes=lambda number: routes[number].replay_class in WRITES)
    return Plan(
        steps=tuple(_without(step, {word: known[word] for word in lost if word in known}) for step in _steps(kept, silences, births, routes)),
        gaps=tuple(left_out[number] for number in sorted(left_out)),
        chosen=births.chosen,
        layings=tuple(silences.layings),
        unlaid=unlaid,
        ends=tuple(exchange.id for exchange in ends),
        started_at=kept[0].started_at if kept else 0.0,
    )


def _last(kept: Sequence[Exchange]) -> int:
    """Give the event that opened the last of these: what was changed after it changes nothing for them."""
    return kept[-1].opened_event if kept else 0


def malformed(exchange: Exchange) -> Gap | None:
    """Say why a request can't be sent as it was; None where it can."""
    request = exchange.request
    why = ""
    if request.body is None:
        why = "its body was not seen whole"
    elif request.version not in {b"HTTP/1.1", b"HTTP/1.0"}:
        why = f"{request.version.decode('latin-1')} can't be spoken by the player"
    elif request.method == b"CONNECT" or not _TOKEN.fullmatch(request.method):
        why = f"method {request.method.decode('latin-1')!r}"
    elif not _TARGET.fullmatch(request.target):
        why = "its target holds white space or control characters"
    elif any(not _TOKEN.fullmatch(name) or b"\n" in value or b"\r" in value or b"\0" in value for name, value in request.headers):
        why = "a header that would break the request"
    return Gap(GapReason.MALFORMED, event=exchange.opened_event, exchange=exchange.id, detail=why) if why else None


def _out_of_scope(exchange: Exchange) -> Gap | None:
    if exchange.lane != "daemon":
        return Gap(GapReason.OUT_OF_SCOPE, event=exchange.opened_event, exchange=exchange.id, detail=f"lane {exchange.lane}")
    return None


def _looped(exchange: Exchange, loopbacks: Mapping[int, int]) -> Gap | None:
    if exchange.id not in loopbacks:
        return None
    detail = f"the daemon called itself to serve #{loopbacks[exchange.id]} of /mcp, which makes it again"
    return Gap(GapReason.LOOPBACK, event=exchange.opened_event, exchange=exchange.id, detail=detail)


def _bodiless(exchange: Exchange, shed: Mapping[int, Gap]) -> Gap | None:
    """Say that the recorder left the request's body out, on purpose."""
    gap = shed.get(exchange.id)
    return replace(gap, event=exchange.opened_event, count=1) if gap is not None and exchange.request.body is None else None


def _changing(exchange: Exchange, route: Route, *, reads_only: bool) -> Gap | None:
    if not reads_only or (exchange.request.method in _READING and route.replay_class in _PURE):
        return None
    detail = f"{route.name} ({route.replay_class}) may change a daemon that was not started for this replay; writes must be asked for"
    return Gap(GapReason.UNSAFE, event=exchange.opened_event, exchange=exchange.id, detail=detail)


def _unsafe(exchange: Exchange, route: Route, allow: frozenset[str]) -> Gap | None:
    if not allow.isdisjoint({"all", route.replay_class, route.name, route.template}):
        return None
    if route.replay_class == "unknown":
        # What the recorded daemon had no route for did nothing there, and is a question to the candidate like any other.
        if isinstance(exchange.outcome, Response) and exchange.outcome.status in _NO_ROUTE:
            return None
        detail = "no route of the table, and the recorded daemon served it: what it does is not known; --allow unknown"
    elif route.replay_class in ACTS_OUTSIDE:
        detail = f"{route.name} ({route.replay_class}); allow it by name"
    else:
        return None
    return Gap(GapReason.UNSAFE, event=exchange.opened_event, exchange=exchange.id, detail=detail)


def _orphaned(exchange: Exchange, births: Births, left_out: dict[int, Gap], routes: dict[int, Route]) -> Gap | None:
    """Say whether a request needs an id that only left-out writes gave: it could but fail."""
    for word in births.asked(exchange.id):
        role = classify(word)
        if role is None or role.kind not in _GIVEN_BY_WRITES:
            continue
        givers = births.givers(word, exchange.opened_event)
        if givers and all(number in left_out for number in givers) and routes[givers[0]].replay_class in WRITES:
            detail = f"needs {role.kind} {word} from #{givers[0]}, which is left out ({left_out[givers[0]].reason})"
            return Gap(GapReason.DEPENDENCY, event=exchange.opened_event, exchange=exchange.id, detail=detail)
    return None


def _steps(kept: Sequence[Exchange], silences: Silences, births: Births, routes: dict[int, Route]) -> Iterable[Step]:
    ends = sorted(exchange.ended_event for exchange in kept)
    planned = {exchange.id for exchange in kept}
    last_on: dict[str, Exchange] = {}
    open_heads: list[Exchange] = []
    for exchange in kept:
        open_heads = [other for other in open_heads if other.ended_event > exchange.opened_event]
        needs = [
            Need(giver, word)
            for word in births.asked(exchange.id)
            for giver in [next((number for number in births.givers(word, exchange.opened_event) if number in planned), None)]
            if giver is not None
        ]
        before = last_on.get(exchange.connection.client)
        yield Step(
            exchange=exchange,
            route=routes[exchange.id],
            after=bisect_left(ends, exchange.opened_event),
            leave_after=bisect_left(ends, exchange.ended_event),
            previous=None if before is None or before.ended_event > exchange.ended_event else before.id,
            heads=tuple(other.id for other in open_heads if other.headers_event is not None and other.headers_event < exchange.opened_event),
            needs=tuple(needs),
            pause_s=silences.pauses_s[exchange.id],
            settles=exchange.id in silences.settling,
        )
        last_on[exchange.connection.client] = exchange
        open_heads.append(exchange)


def _without(step: Step, lost: Mapping[str, int]) -> Step:
    """Tell a step which of its ids the state does not hold."""
    found = tuple(Need(lost[word], word) for word in ids_of_request(step.exchange.request) if word in lost) if lost else ()
    return replace(step, lost=found) if found else step
