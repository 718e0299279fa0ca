"""Redaction of the records that go to an archive."""

from dataclasses import replace

from replay.model import Answered, Chunks, Ended, Gap, NoResponse, Opened, Record, Redaction, Response
from replay.redact.redactor import Redactor


def redact_record(redactor: Redactor, record: Record, route: str) -> Record:
    """
    Give *record* with its secrets replaced and the spans declared; *route* is the name of its exchange's route.

    Records that carry no traffic come back as they are.
    """
    if isinstance(record, Opened):
        request, redactions = redactor.request(record.request, route)
        return replace(record, request=request, redactions=(*record.redactions, *redactions))
    if isinstance(record, Answered):
        response, redactions = redactor.response(record.response, route)
        return replace(record, response=response, redactions=(*record.redactions, *redactions))
    if isinstance(record, Chunks):
        return _chunks(redactor, record)
    if isinstance(record, Ended):
        return _ended(redactor, record, route)
    if isinstance(record, Gap):
        return replace(record, detail=_words(redactor, record.detail))
    return record


def _chunks(redactor: Redactor, record: Chunks) -> Chunks:
    chunks = []
    redactions: list[Redaction] = list(record.redactions)
    for chunk in record.chunks:
        data, more = redactor.chunk(chunk.data, chunk.event)
        chunks.append(replace(chunk, data=data))
        redactions.extend(more)
    return replace(record, chunks=tuple(chunks), redactions=tuple(redactions))


def _ended(redactor: Redactor, record: Ended, route: str) -> Ended:
    outcome: Response | NoResponse
    body, redactions = redactor.request_body(record.request_body, route)
    trailers, more = redactor.trailers(record.request_trailers)
    if isinstance(record.outcome, Response):
        outcome, others = redactor.response(record.outcome, route)
    else:
        outcome, others = NoResponse(_words(redactor, record.outcome.error)), ()
    return replace(
        record,
        outcome=outcome,
        request_body=body,
        request_trailers=trailers,
        redactions=(*record.redactions, *redactions, *more, *others),
        note=_words(redactor, record.note),
        opaque=redactor.text(record.opaque),
    )


def _words(redactor: Redactor, text: str) -> str:
    return redactor.text(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")
