"""A HAR file becomes an archive."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, Final

from replay.archive import ArchiveWriter
from replay.interop.har.access import Place
from replay.interop.har.foreign import Draft, read_foreign
from replay.interop.har.own import events_of, is_ours, read_own
from replay.interop.har.source import BYTES_MAX, HarFile, read_har_file
from replay.interop.har.urls import read_url
from replay.interop.records import number_events, order_records, redact_records
from replay.model import ArchiveError, Exchange, Gap, GapReason, Redaction, Response, UsageError
from replay.redact import Redactor
from replay.routes import route_of

_ELSEWHERE: Final = "the browser's cache"


@dataclass(frozen=True, slots=True)
class HarReport:
    """What became of a HAR file."""

    archive: Path
    entries: int
    """How many the file holds."""
    exchanges: int
    """How many are in the archive."""
    left_out: int
    """Not taken because only the first ones were asked for."""
    skipped: dict[str, int]
    """Entries that never went over HTTP, by what they are; one gap each in the archive."""
    own: bool
    """Whether the file is our own export, so that ids and event numbers are the recorded ones."""
    losses: dict[str, int]
    """What the HAR does not hold, by kind: in how many exchanges."""
    lanes: dict[str, int]
    """Exchanges by lane, where there is more than `daemon`."""
    redactions: dict[str, int]
    """By kind; empty where no redaction was asked for."""


def import_har(
    source: Path, destination: Path, *, first: int | None = None, redactor: Redactor | None = None, bytes_max: int = BYTES_MAX
) -> HarReport:
    """
    Make an archive from a HAR file (`.har`, or mitmproxy's `.zhar`).

    Our own export comes back as the exchanges that were exported, ids and event numbers too. Of any other, ids follow the start, event
    numbers are made from the file's times, and each exchange's note says what the HAR had lost. Most requests' host becomes the lane
    `daemon`; others are lanes of their own. *first* takes that many exchanges. Nothing is redacted without *redactor*.

    Raises:
        UsageError: the source is not there or too big.
        ArchiveError: the source is no HAR, is cut, or holds something else than HAR 1.2 says (the text names the place), or the
            destination is there already. Nothing is written then.

    """
    if first is not None and first < 1:
        raise UsageError(f"first {first}: must be at least 1")
    har = read_har_file(source, bytes_max=bytes_max)
    try:
        read = _read(har, first)
        facts = _facts(source, har, read, redactor, first)
    except ArchiveError as error:
        raise ArchiveError(f"{source}: {error}; nothing was imported") from error
    redacted: Counter[str] = Counter()
    starts = [exchange.started_at for exchange in read.exchanges]
    with ArchiveWriter.create(destination, kind="recording", facts=facts, started_at=min(starts, default=None)) as writer:
        records = ((record, route_of(exchange.request).name) for exchange, record in order_records(read.exchanges))
        for clean in redact_records(redactor, chain(records, ((gap, "") for gap in read.gaps))):
            redacted.update(item.kind for item in getattr(clean, "redactions", ()))
            writer.append(clean)
        writer.seal(event=read.last_event + 1, at=max((exchange.ended_at for exchange in read.exchanges), default=0.0), reason="imported")
    return HarReport(
        archive=destination,
        entries=len(read.entries),
        exchanges=len(read.exchanges),
        left_out=read.left_out,
        skipped=dict(read.skipped),
        own=read.own,
        losses=dict(read.losses),
        lanes=dict(Counter(exchange.lane for exchange in read.exchanges)),
        redactions=dict(redacted) if redactor else {},
    )


@dataclass(frozen=True, slots=True)
class _Read:
    entries: Sequence[Place]
    exchanges: Sequence[Exchange]
    gaps: Sequence[Gap]
    left_out: int
    skipped: Counter[str]
    losses: Counter[str]
    own: bool
    last_event: int


def _read(har: HarFile, first: int | None) -> _Read:
    entries = list(har.log.field("entries").items())
    ours: list[Exchange] = []
    drafts: list[Draft] = []
    skipped: Counter[str] = Counter()
    before = 0.0
    for number, entry in enumerate(entries, start=1):
        entry.object()
        if is_ours(entry):
            ours.append(read_own(entry))
            before = ours[-1].started_at
            continue
        text = entry.field("request").field("url").text()
        url = read_url(text)
        if url is None:
            skipped[f"{text.partition(':')[0][:20] or 'no'} urls"] += 1
        elif _from_cache(entry):
            skipped[f"answers from {_ELSEWHERE}"] += 1
        else:
            drafts.append(read_foreign(entry, url, number, before))
            before = drafts[-1].started_at
    losses: Counter[str] = Counter()
    gaps = [
        Gap(GapReason.SKIPPED, count=count, detail=f"{what} in the imported file are no exchanges") for what, count in sorted(skipped.items())
    ]
    if not drafts and har.log.field("_parity") and _are_whole(ours):
        exchanges = sorted(ours, key=lambda exchange: exchange.id)
        gaps += _own_gaps(har.log.field("_parity").field("gaps"))
        taken = exchanges[:first]
        last = max((exchange.ended_event for exchange in taken), default=0)
        last = max([last, *(end for _, end in _runs(gaps))])
        gaps += _holes(taken, gaps)
        return _Read(entries, taken, gaps, len(exchanges) - len(taken), skipped, losses, own=True, last_event=last)
    every = sorted([*map(_renumbered, ours), *_exchanges(drafts)], key=lambda exchange: exchange.started_at)
    taken = _number(every[:first])
    for draft in drafts:
        draft.losses.count(losses)
    last = max((exchange.ended_event for exchange in taken), default=0)
    return _Read(entries, taken, gaps, len(every) - len(taken), skipped, losses, own=False, last_event=last)


def _from_cache(entry: Place) -> bool:
    """Whether the server was not asked: Chromium says which cache, Firefox and WebKit that there was one."""
    return bool(entry.field("_fromCache").value or entry.field("_fetchType").value in {"Memory Cache", "Disk Cache"})


def _exchanges(drafts: Sequence[Draft]) -> Iterator[Exchange]:
    """Give exchanges without numbers; whom most requests asked is the daemon (ties: whoever came first)."""
    lanes = Counter(draft.lane for draft in drafts)
    daemon = lanes.most_common(1)[0][0] if lanes else ""
    for draft in drafts:
        yield Exchange(
            id=0,
            request=draft.request,
            outcome=draft.outcome,
            connection=draft.connection,
            opened_event=0,
            ended_event=0,
            started_at=draft.started_at,
            ended_at=draft.ended_at,
            end=draft.end,
            lane="daemon" if draft.lane == daemon else draft.lane,
            request_ended_at=draft.request_ended_at,
            first_byte_at=draft.first_byte_at,
            note=draft.losses.note().encode("utf-8", "backslashreplace").decode("utf-8"),
        )


def _renumbered(exchange: Exchange) -> Exchange:
    """One of our own, in a file that is not wholly our own: everything but its numbers can be kept."""
    return replace(exchange, id=0)


def _number(exchanges: Sequence[Exchange]) -> list[Exchange]:
    """Give ids by place and event numbers by time."""
    steps = [_steps(exchange) for exchange in exchanges]
    numbers = number_events(steps) if steps else []
    return [_with_numbers(exchange, place, events) for place, (exchange, events) in enumerate(zip(exchanges, numbers, strict=True), start=1)]


def _steps(exchange: Exchange) -> list[float]:
    head = []
    if isinstance(exchange.outcome, Response):
        head = [exchange.started_at if exchange.first_byte_at is None else exchange.first_byte_at]
    return [
        exchange.started_at,
        *(chunk.at for chunk in exchange.request_chunks),
        *head,
        *(chunk.at for chunk in exchange.chunks),
        exchange.ended_at,
    ]


def _with_numbers(exchange: Exchange, place: int, events: Sequence[int]) -> Exchange:
    opened, *middle, ended = events
    sent = len(exchange.request_chunks)
    answered = isinstance(exchange.outcome, Response)
    rest = middle[sent + answered :]
    moved = {f"chunk:{chunk.event}": f"chunk:{event}" for chunk, event in zip(exchange.request_chunks, middle[:sent], strict=True)}
    moved |= {f"chunk:{chunk.event}": f"chunk:{event}" for chunk, event in zip(exchange.chunks, rest, strict=True)}
    return replace(
        exchange,
        id=place,
        opened_event=opened,
        headers_event=middle[sent] if answered else None,
        ended_event=ended,
        request_chunks=tuple(replace(chunk, event=event) for chunk, event in zip(exchange.request_chunks, middle[:sent], strict=True)),
        chunks=tuple(replace(chunk, event=event) for chunk, event in zip(exchange.chunks, rest, strict=True)),
        redactions=tuple(Redaction(moved.get(item.where, item.where), item.start, item.length, item.kind) for item in exchange.redactions),
    )


def _are_whole(exchanges: Sequence[Exchange]) -> bool:
    """Whether ids and event numbers are used once, as in one archive (two exports that were put together share them)."""
    ids = {exchange.id for exchange in exchanges}
    events = [event for exchange in exchanges for event in events_of(exchange)]
    return len(ids) == len(exchanges) and len(set(events)) == len(events)


def _own_gaps(place: Place) -> Iterator[Gap]:
    for item in place.items():
        reason, event, exchange = item.field("reason"), item.field("event"), item.field("exchange")
        if reason.text() not in set(GapReason):
            reason.refuse("a reason of a gap")
        yield Gap(
            reason=GapReason(reason.text()),
            event=event.whole(1) if event else None,
            exchange=exchange.whole(1) if exchange else None,
            count=item.field("count").whole(),
            detail=item.field("detail").text(""),
        )


def _holes(exchanges: Sequence[Exchange], gaps: Iterable[Gap]) -> list[Gap]:
    """Account for event numbers of what a HAR has no place for (snapshots, files), and of entries that someone took out."""
    runs = [(event, event) for exchange in exchanges for event in events_of(exchange)]
    runs += _runs(gaps)
    holes: list[Gap] = []
    reached = 0
    for start, end in sorted(runs):
        if start > reached + 1:
            holes.append(Gap(GapReason.NOT_WRITTEN, event=reached + 1, count=start - reached - 1, detail="not in the imported HAR"))
        reached = max(reached, end)
    return holes


def _runs(gaps: Iterable[Gap]) -> list[tuple[int, int]]:
    """Give the event numbers that gaps account for: one of reason `not written` as many as it counts, any other its own."""
    found = [(gap.event, gap.count if gap.reason is GapReason.NOT_WRITTEN else 1) for gap in gaps if gap.event is not None]
    return [(event, event + max(count, 1) - 1) for event, count in found]


def _facts(source: Path, har: HarFile, read: _Read, redactor: Redactor | None, first: int | None) -> dict[str, Any]:
    creator, browser = har.log.field("creator"), har.log.field("browser")
    tools = [f"{tool.field('name').text('')} {tool.field('version').text('')}".strip() for tool in (creator, browser) if tool]
    return {
        "recorder": _sound(f"imported from a HAR of {' and '.join(filter(None, tools)) or 'an unnamed tool'}"),
        "daemon": _daemon(read.exchanges),
        "events": "as they were recorded" if read.own else "numbered from the HAR's own times (ties: file order)",
        "redaction": {"key_id": redactor.key_id} if redactor else {"key_id": None, "why": "import redacts only when asked"},
        "source": {
            "kind": "har",
            "name": _sound(source.name),
            "sha256": har.digest,
            "bytes": har.bytes,
            "entries": len(read.entries),
            "first": first,
            "skipped": dict(read.skipped),
            "lost": dict(read.losses),
        },
    }


def _daemon(exchanges: Sequence[Exchange]) -> dict[str, Any]:
    for exchange in exchanges:
        host = (exchange.request.header(b"host") or b"").decode("ascii", "replace")
        url = read_url(f"http://{host}/")
        if exchange.lane == "daemon" and url:
            name, _, port = url.lane.rpartition(":")
            return {"host": name, "port": int(port)} if port.isdecimal() else {}
    return {}


def _sound(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
