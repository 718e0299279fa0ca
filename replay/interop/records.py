"""Exchanges back to the records that a recorder would have written, and event numbers made from times; for what is imported."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from replay.model import Chunks, Ended, Exchange, Opened, Record, Response
from replay.redact import RecordRedactor, Redactor


def number_events(times: Sequence[Sequence[float]], *, start: int = 1) -> list[list[int]]:
    """
    Number the steps of exchanges from *start* on by their times (ties: the exchange's place, then the step's).

    *times* holds for each exchange the times of its steps, in their order; within one, events never run backwards, whatever its clock says.
    """
    points: list[tuple[float, int, int]] = []
    for place, steps in enumerate(times):
        now = steps[0]
        for step, at in enumerate(steps):
            now = max(now, at)
            points.append((now, place, step))
    numbers = [[0] * len(steps) for steps in times]
    for event, (_, place, step) in enumerate(sorted(points), start=start):
        numbers[place][step] = event
    return numbers


def order_records(exchanges: Sequence[Exchange]) -> Iterator[tuple[Exchange, Record]]:
    """Split exchanges into records, in the order of their events; each comes with its exchange."""
    rows = [(event, exchange, record) for exchange in exchanges for event, record in split(exchange)]
    return ((exchange, record) for _, exchange, record in sorted(rows, key=lambda row: row[0]))


def redact_records(redactor: Redactor | None, records: Iterable[tuple[Record, str]]) -> Iterator[Record]:
    """Give records, which come with the names of their routes, as they go to an archive: redacted, across chunks too, if there is a redactor."""
    if redactor is None:
        yield from (record for record, _ in records)
        return
    cleaner = RecordRedactor(redactor)
    for record, route in records:
        yield from cleaner.feed(record, route)
    yield from cleaner.flush()


def split(exchange: Exchange) -> Iterator[tuple[int, Record]]:
    """Give the records of one exchange, each with the event at which it would have been written."""
    request, outcome = exchange.request, exchange.outcome
    head = [item for item in exchange.redactions if item.where == "request.target" or item.where.startswith("request.header:")]
    pieces = [item for item in exchange.redactions if item.where.startswith("chunk:")]
    yield (
        exchange.opened_event,
        Opened(
            exchange=exchange.id,
            event=exchange.opened_event,
            at=exchange.started_at,
            connection=replace(exchange.connection, server=None),
            request=replace(request, body=b"", trailers=()),
            lane=exchange.lane,
            redactions=tuple(head),
        ),
    )
    sent = {f"chunk:{chunk.event}" for chunk in exchange.request_chunks}
    if exchange.request_chunks:
        spans = tuple(item for item in pieces if item.where in sent)
        yield exchange.request_chunks[-1].event, Chunks(exchange.id, exchange.request_chunks, "request", spans)
    if exchange.chunks:
        spans = tuple(item for item in pieces if item.where not in sent)
        yield exchange.chunks[-1].event, Chunks(exchange.id, exchange.chunks, "response", spans)
    request_streamed = bool(exchange.request_chunks) and request.body == b"".join(chunk.data for chunk in exchange.request_chunks)
    yield (
        exchange.ended_event,
        Ended(
            exchange=exchange.id,
            event=exchange.ended_event,
            at=exchange.ended_at,
            end=exchange.end,
            outcome=replace(outcome, body=None) if exchange.chunks and isinstance(outcome, Response) else outcome,
            request_body=None if request_streamed else request.body,
            request_trailers=request.trailers,
            server_connection=exchange.connection.server,
            headers_event=exchange.headers_event,
            request_ended_at=exchange.request_ended_at,
            first_byte_at=exchange.first_byte_at,
            streamed=bool(exchange.chunks),
            request_streamed=request_streamed,
            redactions=tuple(item for item in exchange.redactions if item not in head and not item.where.startswith("chunk:")),
            note=exchange.note,
            opaque=exchange.opaque,
        ),
    )
