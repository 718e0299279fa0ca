"""Look into an archive: what is in it, one exchange whole, what is wrong with it."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from replay.archive import Archive, Keyring, Verification, read, verify
from replay.compare import answer_of, body_text
from replay.model import ArchiveError, Exchange, NoResponse, Response, UsageError
from replay.report import visible
from replay.report.listing import exchange_text, exchanges_table
from replay.routes import route_of


def describe(path: Path, exchange: int | None, *, salvage: bool, as_json: bool, keys: Keyring | None = None) -> str:
    """
    Say what is in an archive, or give one exchange whole.

    Raises:
        ArchiveError: it can't be opened.
        UsageError: there is no such exchange.

    """
    archive = read(path, salvage=salvage, keys=keys)
    exchanges = archive.exchanges()
    if exchange is not None:
        found = next((item for item in exchanges if item.id == exchange), None)
        if found is None:
            raise UsageError(f"{path}: has no exchange {exchange}; it holds {_range(exchanges)}")
        return json.dumps(_whole(found), indent=1, ensure_ascii=True) if as_json else exchange_text(_whole(found))
    rows = [_row(item) for item in exchanges]
    if as_json:
        return json.dumps({**_summary(archive, exchanges), "exchanges": rows}, indent=1, ensure_ascii=True)
    summary = _summary(archive, exchanges)
    lines = [f"{key}: {visible(value if isinstance(value, str) else json.dumps(value))}" for key, value in summary.items()]
    return "\n".join([*lines, "", exchanges_table(rows)])


def check_archive(path: Path, *, as_json: bool, keys: Keyring | None = None) -> tuple[str, bool]:
    """
    Say what is wrong with an archive; the second value tells whether nothing is.

    Raises:
        ArchiveError: it is no archive at all.

    """
    found = verify(path, keys)
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
        }
        return json.dumps(document, indent=1), found.good
    lines = [f"{path}: {_seal_words(found)}"]
    counted = " · ".join(f"{count} {name}" for name, count in sorted(found.counts.items()))
    lines.append(f"{found.exchanges} exchanges whole · {found.open_exchanges} opened and not ended · {counted}")
    none = "none" if found.good else "none that the archive itself tells; what was lost with its end is not counted"
    lines.append("gaps: " + (" · ".join(f"{count} {reason}" for reason, count in sorted(found.gaps.items())) or none))
    lines.append(
        "redacted: " + (" · ".join(f"{count} {kind}" for kind, count in sorted(found.redactions.items())) or _redaction_words(path, keys))
    )
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
    cut = any("not sealed" in problem for problem in found.problems)
    return "NOT SEALED (cut, or still being written)" if cut else "DAMAGED"


def _redaction_words(path: Path, keys: Keyring | None) -> str:
    """Tell "nothing to redact" from "redaction was off"."""
    try:
        archive = read(path, salvage=True, keys=keys)
    except ArchiveError:
        return "nothing"
    on = bool((archive.facts.get("redaction") or {}).get("key_id"))
    return "nothing (there was nothing to redact)" if on else "nothing (redaction was OFF)"


def _summary(archive: Archive, exchanges: list[Exchange]) -> dict[str, Any]:
    ends = Counter(str(item.end) for item in exchanges)
    statuses = Counter(str(item.outcome.status) if isinstance(item.outcome, Response) else "none" for item in exchanges)
    gaps = Counter(str(gap.reason) for gap in archive.gaps())
    return {
        "archive": str(archive.path),
        "id": archive.id,
        "kind": archive.kind,
        "salvaged": archive.salvaged,
        "facts": archive.facts,
        "snapshots": [snapshot.file for snapshot in archive.snapshots()],
        "count": len(exchanges),
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
    }


def _whole(exchange: Exchange) -> dict[str, Any]:
    request = exchange.request
    answer = answer_of(exchange)
    return {
        **_row(exchange),
        "connection": exchange.connection.client,
        "peer": exchange.connection.peer,
        "lane": exchange.lane,
        "events": [exchange.opened_event, exchange.headers_event, exchange.ended_event],
        "request_headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in request.headers],
        "request_body": body_text(request.body or b"", request.header(b"content-type") or b""),
        "response_headers": [list(pair) for pair in answer.headers],
        "response_body": answer.body,
        "error": exchange.outcome.error if isinstance(exchange.outcome, NoResponse) else "",
        "chunks": [[chunk.event, round((chunk.at - exchange.started_at) * 1000.0, 1), len(chunk.data)] for chunk in exchange.chunks],
        "redactions": [[item.where, item.start, item.length, item.kind] for item in exchange.redactions],
        "note": exchange.note,
    }


def _range(exchanges: list[Exchange]) -> str:
    return f"{exchanges[0].id} to {exchanges[-1].id}" if exchanges else "none"
