"""Redaction of the records that go to an archive, each for itself. Chunks, which must be seen together, are the work of `streams`."""

from dataclasses import replace

from replay.model import Answered, Attachment, Ended, Gap, NoResponse, Opened, ProviderCall, Record, Redaction, Response, WorkspaceChange
from replay.redact.redactor import Redactor


def redact_record(redactor: Redactor, record: Record, route: str, *, request_encoding: bytes = b"") -> Record:
    """
    Give *record* with its secrets replaced and the spans declared; *route* is the name of its exchange's route.

    *request_encoding* is the request's `content-encoding`, which stands in another record than its body. Chunks, and records that carry no
    traffic, come back as they are.
    """
    if isinstance(record, Opened):
        request, redactions = redactor.request(record.request, route)
        return replace(record, request=request, redactions=(*record.redactions, *redactions))
    if isinstance(record, Answered):
        response, redactions = redactor.response(record.response, route)
        return replace(record, response=response, redactions=(*record.redactions, *redactions))
    if isinstance(record, Ended):
        return _ended(redactor, record, route, request_encoding)
    if isinstance(record, Gap):
        return replace(record, detail=_words(redactor, record.detail)) if record.detail else record
    if isinstance(record, WorkspaceChange | Attachment):
        return _file(redactor, record, route)
    if isinstance(record, ProviderCall):
        return replace(record, request=redactor.text(record.request), response=redactor.text(record.response))
    return record


def _file(redactor: Redactor, record: WorkspaceChange | Attachment, route: str) -> Record:
    redactions: tuple[Redaction, ...] = ()
    content = record.content
    if content:
        content, redactions = redactor.file(content, route)
    path = redactor.text(record.path.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")
    return replace(record, path=path, content=content, redactions=(*record.redactions, *redactions), note=_words(redactor, record.note))


def _ended(redactor: Redactor, record: Ended, route: str, request_encoding: bytes) -> Ended:
    outcome: Response | NoResponse
    body, redactions = redactor.request_body(record.request_body, route, request_encoding)
    trailers, more = redactor.trailers(record.request_trailers, route)
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
        opaque=redactor.text(record.opaque) if record.opaque else b"",
    )


def _words(redactor: Redactor, text: str) -> str:
    return redactor.text(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape") if text else text
