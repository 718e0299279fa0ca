"""A judged run becomes a flow file, so that one flow can be looked at in mitmweb beside its verdict."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from replay.archive import Archive
from replay.interop.mitm.source import State
from replay.interop.mitm.state import rebuild
from replay.interop.mitm.writing import write_flows
from replay.model import Divergence, Exchange, Pair, Verdict
from replay.runs import Run

DEAD_END: Final = ("127.0.0.1", 9)
"""The discard port of this machine: nobody listens there, so mitmweb's replay button can't reach a daemon."""
MARKERS: Final = {
    Verdict.OPEN: ":red_circle:",
    Verdict.INFIDELITY: ":purple_circle:",
    Verdict.DERIVED: ":orange_circle:",
    Verdict.DOCUMENTED: ":large_blue_circle:",
    Verdict.NOISE: ":white_circle:",
}
"""Worst first: an exchange is marked by its worst verdict."""
GAP_MARKER: Final = ":black_circle:"
SAME_MARKER: Final = ":green_circle:"
_LINES_MAX: Final = 12
_NEXT_S: Final = 0.000_001
_VALUE_CHARACTERS_MAX: Final = 120


def export_run(run: Run, recorded: Archive, observed: Archive, destination: Path) -> int:
    """
    Write two flows for each planned exchange, what was recorded and what was observed, and give how many flows there were.

    Marker and comment carry the verdict. Every flow points at a port where nobody listens; the Host header stays as it was.
    mitmweb lists flows by the time at which they were made, so that is set: the observed flow follows the recorded one.

    Raises:
        UsageError: there is something at *destination* already.

    """
    divergences: dict[int, list[Divergence]] = {}
    for divergence in run.divergences:
        subject = divergence.finding.subject
        if subject.kind == "exchange" and subject.id.isdecimal():
            divergences.setdefault(int(subject.id), []).append(divergence)
    return write_flows(_states(run, recorded, observed, divergences), destination)


def _states(run: Run, recorded: Archive, observed: Archive, divergences: dict[int, list[Divergence]]) -> Iterator[State]:
    answers = {exchange.id: exchange for exchange in observed.exchanges()}
    questions = {exchange.id: exchange for exchange in recorded.exchanges()}
    filed_at = 0.0
    for pair in run.pairs:
        judged = divergences.get(pair.exchange, [])
        for side, archive, found in (
            ("recorded", recorded, questions.get(pair.exchange)),
            ("observed", observed, _counterpart(pair, observed, answers)),
        ):
            if found is not None:
                filed_at = max(filed_at + _NEXT_S, found.started_at if side == "recorded" else 0.0)
                yield _state(found, archive.id, side, pair, judged) | {"timestamp_created": filed_at}


def _counterpart(pair: Pair, observed: Archive, answers: dict[int, Exchange]) -> Exchange | None:
    """Find the observed exchange of a pair. A gap names none, but a replay answers under the recorded number."""
    if pair.observed_exchange is not None:
        return answers.get(pair.observed_exchange)
    return answers.get(pair.exchange) if observed.kind == "observed" else None


def _state(exchange: Exchange, archive: str, side: str, pair: Pair, judged: list[Divergence]) -> State:
    state = rebuild(exchange, archive)
    host, port = DEAD_END
    state["id"] = str(uuid.uuid5(uuid.UUID(state["id"]), side))
    state["marked"] = _marker(pair, judged)
    state["comment"] = describe(pair, judged, side, exchange.id)
    state["metadata"] = {"parity_exchange": pair.exchange, "parity_side": side, "parity_verdict": _word(pair, judged)}
    state["request"] |= {"host": host, "port": port}
    state["server_conn"] |= {"address": DEAD_END, "peername": DEAD_END}
    # a lane of `reverse:` would have mitmproxy rewrite the flow when it is loaded
    state["client_conn"]["proxy_mode"] = "regular"
    return state


def describe(pair: Pair, judged: list[Divergence], side: str, number: int) -> str:
    """
    Say what became of an exchange, in a few lines; *number* is the exchange's own in its archive.

    mitmweb's comment column holds some twenty characters, so number, verdict and side come first; its comment tab runs lines together.
    """
    own = f" as #{number}" if number != pair.exchange else ""
    head = f"#{pair.exchange} {_word(pair, judged)}, {side}{own} · {pair.domain} · {pair.route}"
    if pair.gap is not None:
        return f"{head}\n▸ not compared: {pair.gap}{': ' + pair.gap_detail if pair.gap_detail else ''}"
    lines = [head]
    for divergence in sorted(judged, key=lambda item: _rank(item.verdict))[:_LINES_MAX]:
        finding = divergence.finding
        lines.append(
            f"▸ {divergence.verdict} {finding.difference} {divergence.cluster}: {finding.kind} at {finding.at or finding.path}: "
            f"{_short(finding.primary)} → {_short(finding.candidate)} — {divergence.because}"
        )
    if len(judged) > _LINES_MAX:
        lines.append(f"▸ and {len(judged) - _LINES_MAX} more")
    return "\n".join(lines)


def _marker(pair: Pair, judged: list[Divergence]) -> str:
    if pair.gap is not None:
        return GAP_MARKER
    return MARKERS[min((item.verdict for item in judged), key=_rank)] if judged else SAME_MARKER


def _word(pair: Pair, judged: list[Divergence]) -> str:
    if pair.gap is not None:
        return "gap"
    return str(min((item.verdict for item in judged), key=_rank)) if judged else "identical"


def _rank(verdict: Verdict) -> int:
    return list(MARKERS).index(verdict)


def _short(value: str | None) -> str:
    if value is None:
        return "(nothing)"
    return value if len(value) <= _VALUE_CHARACTERS_MAX else value[:_VALUE_CHARACTERS_MAX] + "…"
