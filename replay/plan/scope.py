"""
What of a recording is to be replayed: all of it, a stretch of it, or one exchange with what that depends on.

How this works
--------------
A *stretch* begins at a snapshot: what was opened before its last event is not sent, for the state has it already or never will. It ends at an
event: what was opened from then on is not sent. An exchange that was open at the end is sent whole; but a stream that was open then is not,
unless a request of the stretch names an id that it gave, since its later events come from what is not sent. An id that was seen before the
stretch is as it was recorded, in the state, and so it counts as chosen: never bound, never rewritten, no orphan.

*One exchange* depends on the answers that gave the ids it names, and on the writes before it that name the same ids, or the same key that a
client chose (a secret's or task's name, a path, and the session where a session is what it is about): those made the state of what it asks
for. Each of these needs its ids in turn, and the writes of those ids before it; keys are followed for the exchange itself alone, for a
session's key would bring half the recording. What an answer depends on beside (a list, a search: all writes) can't be known by names; it
is counted and said.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Final

from replay.content import Value, parse
from replay.identity import TIME_KINDS, classify
from replay.model import Exchange, Gap, GapReason, Request, Response, SnapshotRecord, UsageError, is_stream
from replay.plan.births import Births, ids_of_answer, ids_of_request
from replay.routes import WRITES, Route

_SESSIONS: Final = frozenset({"sessionkey", "session_key", "sessionid", "session_id"})
_SESSION_HEADERS: Final = (b"x-signet-session-key", b"x-signet-session-id")
_ABOUT_SESSIONS: Final = frozenset({"sessions", "hooks", "checkpoints", "mcp"})
_NAMES: Final = frozenset({"name", "idempotencykey", "idempotency_key", "sourceid", "source_id"})
_PATHS: Final = frozenset({"path", "file", "filepath", "file_path"})
_KEY_CHARS_MAX: Final = 400
_NUMBER_PREFIX: Final = "snapshot-"

type Key = tuple[str, str]
"""A key that a client chose: its family (`session`, `path`, or what the route is about, such as `secrets`) and the key."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a recording, between two event numbers."""

    after: int = 0
    """What was opened up to this event is not sent; 0: from the beginning."""
    until: int | None = None
    """What was opened from this event on is not sent; None: to the end."""
    began: int = 0
    """The snapshot's first event: what ended before it, it holds; what was open between it and `after`, it may hold in part."""
    snapshot: int | None = None
    """The number of the snapshot that it starts from, as in the file's name; None: the first."""
    place: int = 1
    """Which one of the archive's snapshots that is, from 1."""

    def holds(self, event: int) -> bool:
        """Whether what happened at an event is a part of it."""
        return event > self.after and (self.until is None or event < self.until)

    def gap(self, exchange: Exchange) -> Gap | None:
        """Say why an exchange is not asked for; None where it is."""
        why = ""
        if exchange.opened_event <= self.after:
            why = f"before snapshot {self.snapshot}" if exchange.ended_event < self.began else f"open when snapshot {self.snapshot} was taken"
        elif self.until is not None and exchange.opened_event >= self.until:
            why = f"from event {self.until} on"
        return Gap(GapReason.OUT_OF_SCOPE, event=exchange.opened_event, exchange=exchange.id, detail=why) if why else None

    def scoped(self, gap: Gap) -> Gap:
        """Give a gap of the recording, as one that is not asked for where it lies outside."""
        if (gap.event is None and not self.after) or (gap.event is not None and self.holds(gap.event)):
            return gap
        return replace(gap, reason=GapReason.OUT_OF_SCOPE, detail=f"{gap.reason}, outside of the stretch")

    def is_cut(self, exchange: Exchange) -> bool:
        """Whether an exchange of the stretch is a stream that was still open at its end."""
        stream = isinstance(exchange.outcome, Response) and is_stream(exchange.outcome.headers)
        return self.until is not None and stream and exchange.ended_event >= self.until and self.holds(exchange.opened_event)


def find_stretch(snapshots: Sequence[SnapshotRecord], start: int | None, until: str | None) -> Stretch:
    """
    Find the stretch that starts from a snapshot's number and goes until an event number or `snapshot N`.

    Raises:
        UsageError: there is no such snapshot, the end is none or lies before the start; it says what there is.

    """
    numbered = {number_of(record): (place, record) for place, record in enumerate(snapshots, 1)}
    there = ", ".join(f"{number} (events {record.event_before} to {record.event_after})" for number, (_, record) in sorted(numbered.items()))
    holds = f"the recording holds snapshots {there}" if there else "the recording holds none"
    stretch = Stretch()
    if start is not None:
        if start not in numbered:
            raise UsageError(f"--from {start}: there is no snapshot {start}; {holds}")
        place, record = numbered[start]
        stretch = Stretch(record.event_after, None, record.event_before, start, place)
    if until is None:
        return stretch
    word, _, number = until.strip().replace(":", " ").rpartition(" ")
    if not number.isdecimal() or word.strip() not in {"", "event", "snapshot"}:
        raise UsageError(f"--until {until}: must be an event number such as 4711, or `snapshot 3`")
    end = int(number)
    if word.strip() == "snapshot":
        if end not in numbered:
            raise UsageError(f"--until {until}: there is no snapshot {end}; {holds}")
        end = numbered[end][1].event_before
    if end <= stretch.after:
        raise UsageError(f"--until {until}: event {end} is not after the start of the stretch, event {stretch.after}")
    return Stretch(stretch.after, end, stretch.began, stretch.snapshot, stretch.place)


def number_of(record: SnapshotRecord) -> int:
    """Give a snapshot's number by its file's name, which stays when older ones go."""
    return int(record.file.removeprefix(_NUMBER_PREFIX).partition(".")[0])


def known_before(exchanges: Iterable[Exchange], stretch: Stretch) -> dict[str, int]:
    """
    Give the ids that a stretch names and that were seen before it, each with the exchange that was the first to bear it.

    Reads the exchanges twice: first those of the stretch, so that no more is remembered than they name.
    """
    if not stretch.after:
        return {}
    ordered = exchanges if isinstance(exchanges, Sequence) else tuple(exchanges)
    inside: set[str] = set()
    for exchange in ordered:
        if stretch.holds(exchange.opened_event):
            inside.update(ids_of_request(exchange.request), ids_of_answer(exchange))
    found: dict[str, tuple[int, int]] = {}
    for exchange in ordered:
        if exchange.opened_event > stretch.after:
            continue
        for word in {*ids_of_request(exchange.request), *ids_of_answer(exchange)} & inside:
            found[word] = min(found.get(word, (exchange.opened_event, exchange.id)), (exchange.opened_event, exchange.id))
    return {word: number for word, (_, number) in found.items()}


def find_cut(exchanges: Sequence[Exchange], births: Births, stretch: Stretch) -> dict[int, Gap]:
    """Find the streams that were open when the stretch ends and that nothing in it needs an id of: they are not sent."""
    cut = {exchange.id: exchange for exchange in exchanges if stretch.is_cut(exchange)}
    for exchange in exchanges if cut else ():
        for word in births.asked(exchange.id):
            for giver in births.givers(word, exchange.opened_event)[:1]:
                cut.pop(giver, None)
    why = f"a stream that was still open at event {stretch.until}: its end lies outside"
    return {number: Gap(GapReason.OUT_OF_SCOPE, event=exchange.opened_event, exchange=number, detail=why) for number, exchange in cut.items()}


def keys_of(request: Request, route: Route) -> frozenset[Key]:
    """Give the keys in a request that its client chose: sessions, paths, and the names of what the route is about."""
    segments = request.target.decode("latin-1").partition("?")[0].split("/")
    template = route.template.split("/")
    family = _family(route)
    found: set[Key] = set()
    if len(segments) == len(template):
        for part, word in zip(template, segments, strict=True):
            if part.startswith(":") and classify(word) is None:
                found.add(("session", word) if "session" in part.lower() or family == "sessions" else (family, word))
    for name in _SESSION_HEADERS:
        value = request.header(name)
        if value:
            found.add(("session", value.decode("latin-1")))
    content = parse(request.body or b"", request.header(b"content-type"))
    if content.kind == "json":
        _add_keys(content.value, family, found)  # type: ignore[arg-type]  # by kind
    return frozenset(key for key in found if 0 < len(key[1]) <= _KEY_CHARS_MAX)


def _family(route: Route) -> str:
    """Give what a route is about: the first word of its template that says it."""
    return next((part for part in route.template.split("/") if part not in {"", "api", "memory"} and not part.startswith(":")), "")


def _add_keys(value: Value, family: str, found: set[Key]) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            lower = key.lower()
            if isinstance(item, str) and lower in _SESSIONS:
                found.add(("session", item))
            elif isinstance(item, str) and lower in _PATHS:
                found.add(("path", item))
            elif isinstance(item, str) and lower in _NAMES:
                found.add((family, item))
            else:
                _add_keys(item, family, found)
    elif isinstance(value, list):
        for item in value:
            _add_keys(item, family, found)


@dataclass(frozen=True, slots=True)
class Dependence:
    """One exchange, and what it depends on."""

    only: int
    why: Mapping[int, str]
    """Each exchange that is needed, and why, in words."""
    paths: frozenset[str]
    """Files that it names, as it names them."""
    writes_left_out: int
    """How many earlier writes are not among them."""

    def gap(self, exchange: Exchange) -> Gap | None:
        """Say that an exchange is not asked for; None where it is."""
        if exchange.id in self.why:
            return None
        return Gap(GapReason.OUT_OF_SCOPE, event=exchange.opened_event, exchange=exchange.id, detail=f"#{self.only} does not name what it names")

    def lays(self, path: str) -> bool:
        """Whether a file of the workspace is one that the exchange names."""
        return any(path == named or named.endswith(f"/{path}") for named in self.paths)


def depend(
    ordered: Sequence[Exchange], births: Births, routes: Mapping[int, Route], loopbacks: Mapping[int, int], *, only: int, stretch: Stretch
) -> Dependence:
    """
    Find what one exchange depends on, among exchanges in the order of their starts.

    Raises:
        UsageError: there is no exchange `only`, or not in the stretch.

    """
    target = next((exchange for exchange in ordered if exchange.id == only), None)
    if target is None:
        raise UsageError(f"no exchange {only} in the recording; `inspect` lists them")
    if stretch.gap(target) is not None:
        raise UsageError(f"exchange {only} lies outside of the stretch that was asked for (opened at event {target.opened_event})")
    opened = {exchange.id: exchange.opened_event for exchange in ordered}
    all_keys = {exchange.id: keys_of(exchange.request, routes[exchange.id]) for exchange in ordered}
    sessions = {key for keys in all_keys.values() for family, key in keys if family == "session"}
    ids = {exchange.id: tuple(word for word in lasting_ids(exchange.request) if word not in sessions) for exchange in ordered}
    writes: list[int] = []
    by_id: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for exchange in ordered:
        if exchange.lane != "daemon" or exchange.id in loopbacks or not stretch.holds(exchange.opened_event):
            continue
        if routes[exchange.id].replay_class in WRITES:
            writes.append(exchange.id)
            for word in ids[exchange.id]:
                by_id[word].append((exchange.opened_event, exchange.id))
    keys = all_keys[only]
    if _family(routes[only]) not in _ABOUT_SESSIONS:
        # Most requests say in whose session they are made; but for what is asked of a session nothing hangs on it.
        keys = frozenset(key for key in keys if key[0] != "session")
    why: dict[int, str] = {}
    todo = [(only, "it was asked for")]
    earlier = [number for number in writes if opened[number] < target.opened_event]
    for number in earlier if keys else ():
        for family, key in sorted(keys & all_keys[number])[:1]:
            todo.append((number, f"writes {family or 'name'} {key}"))
    while todo:
        number, reason = todo.pop()
        if number in why:
            continue
        why[number] = reason
        if number in loopbacks:
            todo.append((loopbacks[number], f"made #{number}, a call of the daemon's own"))
        for word in births.asked(number):
            todo.extend((giver, f"gives {_shown(word)}") for giver in births.givers(word, opened[number])[:1])
        for word in ids[number]:
            changed = by_id[word]
            todo.extend((writer, f"writes {_shown(word)}") for _, writer in changed[: bisect_left(changed, (opened[number],))])
    return Dependence(
        only=only,
        why=dict(sorted(why.items(), key=lambda item: opened[item[0]])),
        paths=frozenset(key for family, key in keys if family == "path"),
        writes_left_out=sum(number not in why for number in earlier),
    )


def lasting_ids(request: Request) -> tuple[str, ...]:
    """Give a request's ids, without times and without what proves who asks: many share that, and nothing hangs on it."""
    return tuple(word for word in ids_of_request(request) if (role := classify(word)) is not None and role.kind not in _UNNAMING)


_UNNAMING: Final[AbstractSet[str]] = TIME_KINDS | {"bearer", "api-key"}


def _shown(word: str) -> str:
    role = classify(word)
    kind = "id" if role is None else role.kind
    return f"{kind} {word}" if kind not in {"bearer", "api-key"} else f"a {kind}"


__all__ = ["Dependence", "Key", "Stretch", "depend", "find_cut", "find_stretch", "keys_of", "known_before", "lasting_ids", "number_of"]
