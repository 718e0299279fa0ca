"""
Joining records to exchanges; pure.

An exchange stands on disk as `Opened`, perhaps `Answered`, any number of `Chunks`, and `Ended`. Nothing disappears here: what was opened
and has no end, or has an end and no beginning, comes out as a gap of reason `cut`, unless the archive itself lists it as one. An exchange
of which a part could not be written, or may have stood in a damaged block, is no whole exchange either: its body would look shorter than
it was.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from replay.model import (
    Answered,
    ArchiveError,
    Chunk,
    Chunks,
    Ended,
    Exchange,
    Gap,
    GapReason,
    Opened,
    Outcome,
    Record,
    Redaction,
    Response,
)


@dataclass(frozen=True, slots=True)
class Joined:
    """All exchanges that are whole, by id, and all gaps."""

    exchanges: tuple[Exchange, ...]
    gaps: tuple[Gap, ...]


def join(records: Iterable[Record], lost_events: Sequence[tuple[int, int]] = ()) -> Joined:
    """
    Join the records of one archive. *lost_events* are runs of event numbers, first and last, that damaged blocks held.

    Raises:
        ArchiveError: an exchange was opened or ended twice.
    """
    opened: dict[int, Opened] = {}
    ended: dict[int, Ended] = {}
    answered: set[int] = set()
    chunks: defaultdict[int, list[Chunks]] = defaultdict(list)
    gaps: list[Gap] = []
    for record in records:
        match record:
            case Opened():
                _once(opened, record, "opened")
            case Ended():
                _once(ended, record, "ended")
            case Answered():
                answered.add(record.exchange)
            case Chunks():
                chunks[record.exchange].append(record)
            case Gap():
                gaps.append(record)
    unwritten = {gap.exchange for gap in gaps if gap.reason is GapReason.NOT_WRITTEN}
    whole = sorted((opened.keys() & ended.keys()) - unwritten)
    torn = {number for number in whole if _may_lack_chunks(opened[number], ended[number], lost_events)}
    gaps += [Gap(GapReason.CUT, opened[number].event, number, detail="a damaged block may have held chunks of it") for number in sorted(torn)]
    exchanges = tuple(_exchange(opened[number], chunks.get(number, []), ended[number]) for number in whole if number not in torn)
    heads = {number: record.event for number, record in opened.items()}
    return Joined(exchanges, (*gaps, *cut(heads, chunks.keys() | answered, ended.keys(), gaps)))


def cut(opened: Mapping[int, int], chunked: AbstractSet[int], ended: AbstractSet[int], gaps: Iterable[Gap]) -> Iterator[Gap]:
    """
    Give a gap for every exchange of which only a part is there, and of which the archive itself says nothing.

    *opened* holds the event of each opening by exchange; *chunked* and *ended* are exchanges.
    """
    said = {gap.exchange for gap in gaps}
    for number in sorted((opened.keys() | chunked | ended) - (opened.keys() & ended) - said):
        if number in opened:
            what = f"opened, {'with chunks, ' if number in chunked else ''}but its end is not there"
            yield Gap(GapReason.CUT, event=opened[number], exchange=number, detail=what)
        else:
            yield Gap(GapReason.CUT, exchange=number, detail="its beginning is not there")


def _may_lack_chunks(opened: Opened, ended: Ended, lost_events: Sequence[tuple[int, int]]) -> bool:
    return (ended.streamed or ended.request_streamed) and any(first < ended.event and last > opened.event for first, last in lost_events)


def _once[Part: (Opened, Ended)](found: dict[int, Part], record: Part, what: str) -> None:
    if record.exchange in found:
        raise ArchiveError(f"exchange {record.exchange} was {what} twice; the archive was not written by one recorder")
    found[record.exchange] = record


def _exchange(opened: Opened, runs: list[Chunks], ended: Ended) -> Exchange:
    # a chunk may be written later than one that came after it: a secret can lie across its end
    chunks, sent = (
        tuple(sorted((chunk for run in runs if run.side == side for chunk in run.chunks), key=lambda chunk: chunk.event))
        for side in ("response", "request")
    )
    redactions: tuple[Redaction, ...] = sum((run.redactions for run in runs), opened.redactions)
    body = b"".join(chunk.data for chunk in sent) if ended.request_streamed else ended.request_body
    return Exchange(
        id=opened.exchange,
        request=replace(opened.request, body=body, trailers=ended.request_trailers),
        outcome=_outcome(ended, chunks),
        connection=opened.connection if ended.server_connection is None else replace(opened.connection, server=ended.server_connection),
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


def _outcome(ended: Ended, chunks: tuple[Chunk, ...]) -> Outcome:
    outcome = ended.outcome
    if isinstance(outcome, Response) and outcome.body is None and (ended.streamed or chunks):
        return replace(outcome, body=b"".join(chunk.data for chunk in chunks))
    return outcome
