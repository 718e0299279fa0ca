"""Look into an archive: what is in it, one exchange whole, what is wrong with it."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from replay.archive import Archive, Joined, Keyring, Verification, read, verify
from replay.compare import answer_of, body_text
from replay.jobs.contents import Contents, contents_of
from replay.jobs.contents import as_json as as_values
from replay.jobs.contents import lines as lines_of
from replay.jobs.live import status_lines, status_of
from replay.jobs.outbox import find_archive
from replay.model import Chunk, Exchange, NoResponse, Response, UsageError
from replay.report import visible
from replay.report.listing import exchange_text, exchanges_table
from replay.routes import route_of


def describe(path: Path, exchange: int | None, *, salvage: bool, as_json: bool, keys: Keyring | None = None, now: float | None = None) -> str:
    """
    Say what is in an archive, or give one exchange whole; of one that is being recorded at *now* (seconds since the epoch), how it goes.

    Where nothing is at the path, what a killed replay wrote for it is taken.

    Raises:
        ArchiveError: it can't be opened.
        UsageError: there is no such exchange.

    """
    path = find_archive(path)
    live = None if now is None or salvage or exchange is not None else status_of(path, now)
    if live is not None:
        return json.dumps({"archive": str(path), "status": live}, indent=1) if as_json else "\n".join(status_lines(path, live))
    archive = read(path, salvage=salvage, keys=keys)
    joined = archive.join()
    exchanges = list(joined.exchanges)
    if exchange is not None:
        whole = _whole(_find(archive, joined, exchange), joined)
        return json.dumps(whole, indent=1, ensure_ascii=True) if as_json else exchange_text(whole)
    rows = [_row(item) for item in exchanges]
    found = contents_of(archive)
    summary = _summary(archive, joined)
    if as_json:
        return json.dumps({**summary, **as_values(found, archive.facts, archive.dropped), "exchanges": rows}, indent=1, ensure_ascii=True)
    lines = [f"{key}: {visible(value if isinstance(value, str) else json.dumps(value))}" for key, value in summary.items()]
    return "\n".join([*lines, *lines_of(found, archive.facts, archive.dropped), "", exchanges_table(rows)])


def check_archive(path: Path, *, as_json: bool, keys: Keyring | None = None) -> tuple[str, bool]:
    """
    Say what is wrong with an archive; the second value tells whether nothing is.

    Raises:
        ArchiveError: it is no archive at all.

    """
    contents = Contents()
    found = verify(path, keys, contents.add)
    if as_json:
        document = {
            "archive": str(path),
            "good": found.good,
            "sealed": found.sealed,
            "problems": list(found.problems),
            "counts": found.counts,
            "exchanges": found.exchanges,
            "open_exchanges": found.open_exchanges,
            "gaps": found.gaps,
            "redactions": found.redactions,
            "suspects": [{"exchange": item.exchange, "where": item.where, "kind": item.kind} for item in found.suspects],
            **as_values(contents, found.facts, found.dropped),
        }
        return json.dumps(document, indent=1), found.good
    lines = [f"{path}: {_seal_words(found)}"]
    counted = " · ".join(f"{count} {name}" for name, count in sorted(found.counts.items()))
    lines.append(f"{found.exchanges} exchanges whole · {found.open_exchanges} opened and not ended · {counted}")
    none = "none" if found.good else "none that the archive itself tells; what was lost with its end is not counted"
    lines.append("gaps: " + (" · ".join(f"{count} {reason}" for reason, count in sorted(found.gaps.items())) or none))
    lines.append("redacted: " + (" · ".join(f"{count} {kind}" for kind, count in sorted(found.redactions.items())) or _redaction_words(found)))
    lines.extend(lines_of(contents, found.facts, found.dropped))
    suspects = Counter((item.kind, item.where.split(":")[0]) for item in found.suspects)
    for (kind, where), count in sorted(suspects.items()):
        first = next(item for item in found.suspects if item.kind == kind and item.where.startswith(where))
        lines.append(f"still looks like a secret: {count} × {kind} in {where} (first: exchange {first.exchange})")
    lines.extend(f"problem: {visible(problem)}" for problem in found.problems)
    if suspects:
        lines.append("(said, not judged: an import without --redact keeps credentials, an observed archive holds those of its cell)")
    problems = f"{len(found.problems)} problem{'s' * (len(found.problems) != 1)}"
    lines.append("it is whole" if found.good else f"{problems}; inspect, replay, compare and export read what is whole with --salvage")
    return "\n".join(lines), found.good


def _seal_words(found: Verification) -> str:
    if found.sealed:
        return "sealed"
    if any("not sealed" in problem for problem in found.problems):
        return "NOT SEALED (cut, or still being written)"
    # its writer outlived the recorder and sealed what there was: all of it is as it was written
    return "CUT (sealed without its end)" if len(found.problems) == 1 and ": cut: " in found.problems[0] else "DAMAGED"


def _redaction_words(found: Verification) -> str:
    """Tell "nothing to redact" from "redaction was off"."""
    told = found.facts.get("redaction")
    on = isinstance(told, dict) and bool(told.get("key_id"))
    return "nothing (there was nothing to redact)" if on else "nothing (redaction was OFF)"


def _find(archive: Archive, joined: Joined, number: int) -> Exchange:
    found = next((item for item in joined.exchanges if item.id == number), None)
    if found is None:
        why = next(
            (f"; it is not whole: {gap.reason}{': ' if gap.detail else ''}{gap.detail}" for gap in joined.gaps if gap.exchange == number), ""
        )
        raise UsageError(f"{archive.path}: has no exchange {number}{why}; it holds {_range(joined.exchanges)}")
    return found


def _summary(archive: Archive, joined: Joined) -> dict[str, Any]:
    ends = Counter(str(item.end) for item in joined.exchanges)
    statuses = Counter(str(item.outcome.status) if isinstance(item.outcome, Response) else "none" for item in joined.exchanges)
    gaps: Counter[str] = Counter()
    for gap in joined.gaps:
        gaps[str(gap.reason)] += gap.count
    return {
        "archive": str(archive.path),
        "id": archive.id,
        "kind": archive.kind,
        "format": archive.format,
        "salvaged": archive.salvaged,
        "encrypted_for": list(archive.manifest.get("recipients") or ()),
        "facts": archive.facts,
        "count": len(joined.exchanges),
        "statuses": dict(sorted(statuses.items())),
        "ends": dict(sorted(ends.items())),
        "gaps": dict(sorted(gaps.items())),
    }


def _row(exchange: Exchange) -> dict[str, Any]:
    outcome = exchange.outcome
    route = route_of(exchange.request)
    return {
        "id": exchange.id,
        "request": f"{exchange.request.method.decode('latin-1')} {exchange.request.target.decode('latin-1')}",
        "status": outcome.status if isinstance(outcome, Response) else None,
        "ms": round(exchange.duration_ms, 1),
        "bytes": len(outcome.body or b"") if isinstance(outcome, Response) else 0,
        "end": str(exchange.end),
        "domain": route.domain,
        "route": route.name,
        "lane": exchange.lane,
    }


def _whole(exchange: Exchange, joined: Joined) -> dict[str, Any]:
    request = exchange.request
    answer = answer_of(exchange)
    return {
        **_row(exchange),
        "connection": exchange.connection.client,
        "peer": exchange.connection.peer,
        "events": [exchange.opened_event, exchange.headers_event, exchange.ended_event],
        "request_headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in request.headers],
        "request_body": body_text(request.body or b"", request.header(b"content-type") or b""),
        "response_headers": [list(pair) for pair in answer.headers],
        "response_body": answer.body,
        "error": exchange.outcome.error if isinstance(exchange.outcome, NoResponse) else "",
        "chunks": _chunks(exchange, exchange.chunks),
        "request_chunks": _chunks(exchange, exchange.request_chunks),
        "gaps": [[str(gap.reason), gap.detail] for gap in joined.gaps if gap.exchange == exchange.id],
        "redactions": [[item.where, item.start, item.length, item.kind] for item in exchange.redactions],
        "note": exchange.note,
    }


def _chunks(exchange: Exchange, chunks: Sequence[Chunk]) -> list[list[float]]:
    return [[chunk.event, round((chunk.at - exchange.started_at) * 1000.0, 1), len(chunk.data)] for chunk in chunks]


def _range(exchanges: Sequence[Exchange]) -> str:
    return f"{exchanges[0].id} to {exchanges[-1].id}" if exchanges else "none"
