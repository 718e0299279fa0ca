"""Exchanges as a table or one as text, for `inspect`."""

from collections.abc import Mapping, Sequence
from typing import Any

from tabulate import tabulate

from replay.evidence import Item
from replay.report.text import visible

_REQUEST_CHARACTERS_MAX = 90


def exchanges_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Show rows with the keys `id`, `request`, `status`, `ms`, `bytes`, `end`, `domain`; the request comes last, where it may be long."""
    if not rows:
        return "no whole exchange"
    shown = [
        (row["id"], row["status"] or "none", row["ms"], row["bytes"], row["end"], row["domain"], _cut(visible(row["request"]))) for row in rows
    ]
    return tabulate(shown, headers=("id", "status", "ms", "bytes", "end", "domain", "request"), tablefmt="simple", disable_numparse=[6])


def exchange_text(exchange: Mapping[str, Any]) -> str:
    """Show one exchange whole: request, answer, chunks, redactions."""
    lines = [f"#{exchange['id']}  {visible(exchange['request'])}", f"{exchange['domain']} · {exchange['route']} · {exchange['end']}"]
    lines += [f"events {exchange['events']} · {exchange['ms']} ms · connection {visible(str(exchange['connection']))}"]
    lines += ["", *(f"> {visible(name)}: {visible(value)}" for name, value in exchange["request_headers"])]
    lines += ["", *_body(exchange["request_body"]), "", f"status {exchange['status'] or 'none: ' + visible(exchange['error'])}"]
    lines += [f"< {visible(name)}: {visible(value)}" for name, value in exchange["response_headers"]]
    lines += ["", *_body(exchange["response_body"])]
    lines += [f"chunk at {at} ms: {size} bytes (event {event})" for event, at, size in exchange["chunks"]]
    lines += [f"redacted: {kind} in {where}, bytes {start} to {start + length}" for where, start, length, kind in exchange["redactions"]]
    return "\n".join(lines + ([f"note: {visible(exchange['note'])}"] if exchange["note"] else []))


def _body(text: str) -> list[str]:
    return [visible(line) for line in text.split("\n")] if text else []


def _cut(text: str) -> str:
    return text if len(text) <= _REQUEST_CHARACTERS_MAX else text[: _REQUEST_CHARACTERS_MAX - 1] + "…"


def checklist_table(items: Sequence[Item]) -> str:
    """Show the checklist: domain, feature, on how many comparisons it rests, and where it stands."""
    rows = [(item.domain, visible(item.feature), item.compared, item.open, item.status) for item in items]
    return tabulate(rows, headers=("domain", "feature", "n", "open", "status"), tablefmt="simple", disable_numparse=[1])
