"""An archive against the truth: what was changed, where, and what stands there now."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from replay.archive import Archive, read
from replay.model import Attachment, Exchange, Redaction, Response, WorkspaceChange
from replay.workspace import secrets as store
from tests.secrets.recording import TRANSCRIPT, Recorded
from tests.secrets.state import CELLS, EDITS, files, with_cells
from tests.secrets.steps import Encoding
from tests.secrets.texts import Secrets, Text, render, spots, text
from tests.secrets.wire import Sent, decode

_TAG: Final = re.compile(rb"REDACTED.{4}|~~.{2}", re.DOTALL)
_TELLING: Final = 4


@dataclass(frozen=True, slots=True)
class Field:
    """One place of an archive and what was sent there."""

    where: str
    content: Text
    sent: bytes
    kept: bytes | None
    declared: tuple[tuple[int, int], ...] | None
    """(start, end) of what the archive says was replaced; None where it does not say (files of a snapshot)."""
    encoding: Encoding = ""


def fields(recorded: Recorded, scratch: Path) -> Iterator[Field]:
    """Give every place of a recording at which something was planted, and all that was sent beside it."""
    archive = read(recorded.path)
    exchanges = archive.exchanges()
    assert [exchange.id for exchange in exchanges] == list(range(1, len(recorded.sent) + 1))
    for sent, exchange in zip(recorded.sent, exchanges, strict=True):
        yield from _exchange(sent, exchange, recorded.secrets)
    yield from _records(archive, recorded.secrets)
    yield from _snapshot(archive, recorded.secrets, scratch)


def problems(field: Field, secrets: Secrets) -> Iterator[str]:
    """Say what is wrong at a place: another length, a change that is not declared, or one beside the secrets."""
    sent, kept = field.sent, field.kept
    if kept is None:
        yield f"{field.where}: is not there"
        return
    if field.encoding:
        if len(sent) != len(kept):
            # a longer text can't always be compressed to the same length
            yield from () if field.declared == ((0, len(kept)),) else (f"{field.where}: has another length, and not as declared",)
        sent, kept = decode(sent, field.encoding), decode(kept, field.encoding)
    elif field.declared is not None and _outside(sent, field.declared) != _outside(kept, field.declared):
        yield f"{field.where}: was changed beside what is declared: {kept!r}"
    if len(sent) != len(kept):
        yield f"{field.where}: {len(kept)} bytes instead of {len(sent)}"
    planted = [(start, end) for start, end, _ in spots(field.content, secrets)]
    if _outside(sent, planted) != _outside(kept, planted):
        yield f"{field.where}: was changed where no secret is: {kept!r}"


def stand_ins(field: Field, secrets: Secrets) -> Iterator[tuple[str, bytes | None]]:
    """Give (secret's name, what stands for it) for each planted value at a place."""
    kept = decode(field.kept or b"", field.encoding)
    for start, end, part in spots(field.content, secrets):
        yield part.secret, part.stand_in(kept[start:end])


def alike(first: bytes, second: bytes) -> bool:
    """Whether two stand-ins stand for the same value. An escaped value is longer than it is bare: then one goes on where the other ends."""
    ours, theirs = _TAG.sub(b"", first), _TAG.sub(b"", second)
    if len(first) == len(second):
        return first == second
    shorter = min(len(ours), len(theirs)) - 1
    return shorter >= _TELLING and ours[:shorter] == theirs[:shorter]


def _outside(data: bytes, spans: Iterable[tuple[int, int]]) -> bytes:
    out = bytearray(data)
    for start, end in spans:
        out[start:end] = b"\0" * (end - start)
    return bytes(out)


def _exchange(sent: Sent, exchange: Exchange, secrets: Secrets) -> Iterator[Field]:
    step, redactions = sent.step, exchange.redactions
    name = f"{exchange.id} {step.method} {sent.target.partition(b'?')[0].decode()}"
    spans = _declared(redactions)
    yield Field(f"{name} target", step.target, sent.target, exchange.request.target, spans("request.target"))
    yield from _headers(f"{name} request", "request", dict(step.headers), (sent.headers, exchange.request.headers), redactions)
    body = _joined(redactions, [(chunk.event, len(chunk.data)) for chunk in exchange.request_chunks]) or spans("request.body")
    yield Field(f"{name} request body", step.body, sent.body, exchange.request.body, body, step.body_encoding)
    if step.hangs_up:
        return
    assert isinstance(exchange.outcome, Response), name
    assert exchange.outcome.status == step.status
    yield from _headers(f"{name} answer", "response", dict(step.answer_headers), (sent.answer_headers, exchange.outcome.headers), redactions)
    body = _joined(redactions, [(chunk.event, len(chunk.data)) for chunk in exchange.chunks]) or spans("response.body")
    yield Field(f"{name} answer body", step.answer, sent.answer, exchange.outcome.body, body, step.answer_encoding)


def _declared(redactions: Iterable[Redaction]) -> Callable[[str], tuple[tuple[int, int], ...]]:
    def spans(where: str) -> tuple[tuple[int, int], ...]:
        return tuple((span.start, span.start + span.length) for span in redactions if span.where == where)

    return spans


def _joined(redactions: Iterable[Redaction], chunks: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Give the declared spans of chunks as spans of what they make together."""
    starts = {}
    at = 0
    for event, length in chunks:
        starts[f"chunk:{event}"] = at
        at += length
    return tuple((starts[span.where] + span.start, starts[span.where] + span.start + span.length) for span in redactions if span.where in starts)


def _headers(
    name: str,
    side: str,
    told: dict[bytes, Text],
    sent_and_kept: tuple[tuple[tuple[bytes, bytes], ...], tuple[tuple[bytes, bytes], ...]],
    redactions: tuple[Redaction, ...],
) -> Iterator[Field]:
    sent, kept = sent_and_kept
    assert [header for header, _ in kept] == [header for header, _ in sent], name
    for number, ((header, value), (_, got)) in enumerate(zip(sent, kept, strict=True)):
        content = told.get(header, (value,))
        yield Field(f"{name} header {header.decode()}", content, value, got, _declared(redactions)(f"{side}.header:{number}"))


def _records(archive: Archive, secrets: Secrets) -> Iterator[Field]:
    changes = {record.path: record for record in archive.records() if isinstance(record, WorkspaceChange)}
    for path, content in EDITS.items():
        change = changes.get(path)
        spans = _declared(change.redactions)("content") if change else ()
        yield Field(f"changed {path}", content, render(content, secrets), change.content if change else None, spans)
    named = [path for path in changes if path.startswith("memory/") and path not in EDITS]
    sent = text(b"memory/<<git token>>.md")
    yield Field("changed file's name", sent, render(sent, secrets), named[0].encode() if len(named) == 1 else None, None)
    attached = [record for record in archive.records() if isinstance(record, Attachment)]
    assert len(attached) == 1
    spans = _declared(attached[0].redactions)("content")
    yield Field("attachment", TRANSCRIPT, render(TRANSCRIPT, secrets), attached[0].content, spans)


def _snapshot(archive: Archive, secrets: Secrets, scratch: Path) -> Iterator[Field]:
    record = archive.snapshots()[0]
    root = archive.extract_snapshot(1, scratch).root
    root = root if (root / "agent.yaml").exists() else next(path for path in root.iterdir() if (path / "agent.yaml").exists())
    for name, content in files().items():
        if not name.startswith(".daemon/logs"):
            path = root / name
            yield Field(f"snapshot {name}", content, render(content, secrets), path.read_bytes() if path.exists() else None, None)
    for cell, kept in zip(CELLS, with_cells(root / "memory/memories.db"), strict=True):
        yield Field(f"snapshot {cell.query}", cell.content, render(cell.content, secrets), kept, None)
    sent = text(b"<<file name>>.md")
    names = [path.name for path in (root / "memory").glob("*.md") if path.name != "note.md"]
    yield Field("snapshot file's name", sent, render(sent, secrets), names[0].encode() if len(names) == 1 else None, None)
    sealed = store.parse((root / store.FILE).read_bytes(), "snapshot").secrets["STORED"]
    opened = store.decrypt(store.derive_key(record.machine_id), sealed.ciphertext)
    sent = text(b"<<stored>>")
    yield Field("snapshot store of secrets", sent, render(sent, secrets), opened.encode(), None)


__all__ = ["Field", "alike", "fields", "problems", "stand_ins"]
