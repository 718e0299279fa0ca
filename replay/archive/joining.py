"""
Joining records to exchanges; pure.

An exchange stands on disk as `Opened`, perhaps `Answered`, any number of `Chunks`, and `Ended`. Nothing disappears here: what was opened
and has no end, or has an end and no beginning, comes out as a gap of reason `cut`, unless the archive itself lists it as one. An exchange
of which a part could not be written, or may have stood in a damaged block, is no whole exchange either: its body would look shorter than
it was. One whose body the recorder shed on purpose is given without it: its body is None, never what came until then.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from replay.model import (
    Answered,
    ArchiveError,
    Chunk,
    Chunks,
    Connection,
    Ended,
    Exchange,
    Gap,
    GapReason,
    Opened,
    Outcome,
    Record,
    Redaction,
    Request,
    Response,
    Side,
)

OPENED_BEFORE: Final = "it was opened in a segment that retention dropped"


@dataclass(frozen=True, slots=True)
class Joined:
    """All exchanges that are whole, by id, and all gaps."""

    exchanges: tuple[Exchange, ...]
    gaps: tuple[Gap, ...]


def join(records: Iterable[Record], lost_events: Sequence[tuple[int, int]] = (), dropped_to: int = 0) -> Joined:
    """
    Join the records of one archive.

    *lost_events* are runs of event numbers, first and last, that damaged blocks held; *dropped_to* is the highest exchange that was opened
    in a segment which retention took away.

    Raises:
        ArchiveError: an exchange was opened or ended twice.
    """
    opened: dict[int, Opened] = {}
    ended: dict[int, Ended] = {}
    chunks: defaultdict[int, list[Chunks]] = defaultdict(list)
    parts = Parts(dropped_to)
    gaps: list[Gap] = []
    for record in records:
        parts.add(record)
        match record:
            case Opened():
                _once(opened, record, "opened")
            case Ended():
                _once(ended, record, "ended")
            case Chunks():
                chunks[record.exchange].append(record)
            case Gap():
                gaps.append(record)
    unwritten = {gap.exchange for gap in gaps if gap.reason is GapReason.NOT_WRITTEN}
    shed = {gap.exchange for gap in gaps if gap.reason is GapReason.SHED}
    whole = sorted((opened.keys() & ended.keys()) - unwritten)
    torn = {number for number in whole if may_lack_chunks(opened[number], ended[number], lost_events)}
    gaps += [torn_gap(number, opened[number].event) for number in sorted(torn)]
    exchanges = tuple(
        join_parts(opened[number], chunks.get(number, []), ended[number], shed=number in shed) for number in whole if number not in torn
    )
    return Joined(exchanges, (*gaps, *parts.unsaid()))


class Parts:
    """Which parts of exchanges are there, by their numbers alone."""

    def __init__(self, dropped_to: int = 0) -> None:
        self._dropped_to = dropped_to
        self._opened: dict[int, int] = {}
        self._chunked: set[int] = set()
        self._answered: dict[int, int] = {}
        self._ended: set[int] = set()
        self._said: set[int | None] = set()

    def add(self, record: Record) -> None:
        """Take one more record, in any order."""
        match record:
            case Opened(exchange=number):
                self._opened[number] = record.event
            case Chunks(exchange=number):
                self._chunked.add(number)
            case Answered(exchange=number):
                self._answered[number] = record.response.status
            case Ended(exchange=number):
                self._ended.add(number)
            case Gap():
                self._said.add(record.exchange)

    def forget(self, number: int) -> None:
        """Forget an exchange that is whole: only parts of others are of interest."""
        self._opened.pop(number, None)
        self._answered.pop(number, None)
        self._chunked.discard(number)
        self._ended.discard(number)

    def unsaid(self) -> Iterator[Gap]:
        """Give a gap for every exchange of which only a part is there, and of which the archive itself says nothing."""
        begun = self._opened.keys()
        for number in sorted((begun | self._chunked | self._answered.keys() | self._ended) - (begun & self._ended) - self._said):
            if number in begun:
                answered = f"answered {self._answered[number]}, " if number in self._answered else ""
                chunked = "with chunks, " if number in self._chunked else ""
                yield Gap(GapReason.CUT, self._opened[number], number, detail=f"opened, {answered}{chunked}but its end is not there")
            elif number <= self._dropped_to:
                yield Gap(GapReason.CUT, exchange=number, detail=OPENED_BEFORE)
            else:
                yield Gap(GapReason.CUT, exchange=number, detail="its beginning is not there")


def may_lack_chunks(opened: Opened, ended: Ended, lost_events: Sequence[tuple[int, int]]) -> bool:
    """Whether a part of an exchange may have stood in a damaged block."""
    return (ended.streamed or ended.request_streamed) and any(first < ended.event and last > opened.event for first, last in lost_events)


def torn_gap(number: int, event: int) -> Gap:
    """Say that an exchange may lack a part."""
    return Gap(GapReason.CUT, event, number, detail="a damaged block may have held chunks of it")


def opened_twice(number: int, what: str) -> ArchiveError:
    """Say that an exchange was opened or ended twice."""
    return ArchiveError(f"exchange {number} was {what} twice; the archive was not written by one recorder")


def _once[Part: (Opened, Ended)](found: dict[int, Part], record: Part, what: str) -> None:
    if record.exchange in found:
        raise opened_twice(record.exchange, what)
    found[record.exchange] = record


def join_parts(opened: Opened, runs: Iterable[Chunks], ended: Ended, *, shed: bool) -> Exchange:
    """Join the records of one exchange; *shed*: its recorder left its body out on purpose."""
    runs = tuple(runs)
    # a chunk may be written later than one that came after it: a secret can lie across its end
    chunks, sent = (_chunks_of(runs, "response"), _chunks_of(runs, "request")) if runs else ((), ())
    redactions: tuple[Redaction, ...] = sum((run.redactions for run in runs), opened.redactions)
    asked, connection = opened.request, opened.connection
    body = b"".join(chunk.data for chunk in sent) if ended.request_streamed else ended.request_body
    if ended.server_connection is not None:
        connection = Connection(connection.client, ended.server_connection, connection.peer)
    return Exchange(
        id=opened.exchange,
        request=Request(asked.method, asked.target, asked.version, asked.headers, body, ended.request_trailers),
        outcome=_outcome(ended, chunks, shed=shed),
        connection=connection,
        opened_event=opened.event,
        ended_event=ended.event,
        started_at=opened.at,
        ended_at=ended.at,
        end=ended.end,
        lane=opened.lane,
        headers_event=ended.headers_event,
        request_ended_at=ended.request_ended_at,
        first_byte_at=ended.first_byte_at,
        chunks=chunks,
        request_chunks=sent,
        redactions=redactions + ended.redactions,
        note=ended.note,
        opaque=ended.opaque,
    )


def _chunks_of(runs: Iterable[Chunks], side: Side) -> tuple[Chunk, ...]:
    return tuple(sorted((chunk for run in runs if run.side == side for chunk in run.chunks), key=lambda chunk: chunk.event))


def _outcome(ended: Ended, chunks: tuple[Chunk, ...], *, shed: bool) -> Outcome:
    outcome = ended.outcome
    # chunks that came before a body was shed are a part of it, and not it
    if isinstance(outcome, Response) and outcome.body is None and (ended.streamed or (chunks and not shed)):
        return replace(outcome, body=b"".join(chunk.data for chunk in chunks))
    return outcome
