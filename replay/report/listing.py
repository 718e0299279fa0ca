"""Exchanges as a table or one as text, for `inspect`."""

from collections.abc import Mapping, Sequence
from typing import Any

from tabulate import tabulate

from replay.evidence import Item
from replay.report.text import visible

_REQUEST_CHARACTERS_MAX = 90
_LANE = "daemon"


def exchanges_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """
    Show rows with the keys `id`, `request`, `status`, `ms`, `bytes`, `end`, `domain`, and perhaps `lane`.

    The lane has a column where there is more than the daemon's; the request comes last, where it may be long.
    """
    if not rows:
        return "no whole exchange"
    lanes = any(row.get("lane", _LANE) != _LANE for row in rows)
    names = ["id", "status", "ms", "bytes", "end", "domain", *(["lane"] if lanes else []), "request"]
    shown = [[_cell(name, {"lane": _LANE, **row}[name]) for name in names] for row in rows]
    return tabulate(shown, headers=names, tablefmt="simple", disable_numparse=[len(names) - 1])


def exchange_text(exchange: Mapping[str, Any]) -> str:
    """Show one exchange whole: request, answer, chunks, redactions."""
    lines = [f"#{exchange['id']}  {visible(exchange['request'])}", f"{exchange['domain']} · {exchange['route']} · {exchange['end']}"]
    lines += [f"events {exchange['events']} · {exchange['ms']} ms · connection {visible(str(exchange['connection']))}"]
    lines[-1] += f" from {visible(str(exchange['peer']))}" if exchange["peer"] else ""
    lines[-1] += f" · lane {visible(exchange['lane'])}" if exchange["lane"] != _LANE else ""
    lines += ["", *(f"> {visible(name)}: {visible(value)}" for name, value in exchange["request_headers"])]
    lines += ["", *_body(exchange["request_body"]), "", f"status {exchange['status'] or 'none: ' + visible(exchange['error'])}"]
    lines += [f"< {visible(name)}: {visible(value)}" for name, value in exchange["response_headers"]]
    lines += ["", *_body(exchange["response_body"])]
    for name, side in (("request_chunks", "request "), ("chunks", "")):
        lines += [f"{side}chunk at {at} ms: {size} bytes (event {event})" for event, at, size in exchange[name]]
    lines += [f"missing: {visible(reason)}{': ' if detail else ''}{visible(detail)}" for reason, detail in exchange["gaps"]]
    lines += [f"redacted: {kind} in {where}, bytes {start} to {start + length}" for where, start, length, kind in exchange["redactions"]]
    return "\n".join(lines + ([f"note: {visible(exchange['note'])}"] if exchange["note"] else []))


def _cell(name: str, value: Any) -> Any:
    if name == "request":
        return _cut(visible(value))
    return visible(value) if name == "lane" else value if value is not None else "none"


def _body(text: str) -> list[str]:
    return [visible(line) for line in text.split("\n")] if text else []


def _cut(text: str) -> str:
    return text if len(text) <= _REQUEST_CHARACTERS_MAX else text[: _REQUEST_CHARACTERS_MAX - 1] + "…"


def checklist_table(items: Sequence[Item]) -> str:
    """Show the checklist: domain, feature, on how many comparisons it rests, and where it stands."""
    rows = [(item.domain, visible(item.feature), item.compared, item.open, item.status) for item in items]
    return tabulate(rows, headers=("domain", "feature", "n", "open", "status"), tablefmt="simple", disable_numparse=[1])
