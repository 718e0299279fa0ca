"""
What the archives say, held against what the client knows.

How this works
--------------
`gather` reads every archive of a run (`x.parity`, `x-2.parity`, …), salvaging where it must. `judge` then says, in words, each thing that is
wrong; no word means that nothing is. What must hold whatever happened:

- an archive that is not sealed is refused by `read` and is not good for `verify`; one that is sealed has no problem;
- within an archive event numbers have no hole, up to its last whole block; in one that is cut, an exchange that was under way
  may have the number of its answer's head, which is written with its end, or of a chunk that was held back for redaction: as many numbers may
  lack as exchanges are listed as unfinished;
- an exchange is given as whole at most once, was asked by the client, and is the client's truth byte for byte: bodies, headers, status;
  of one that broke off, what is there is the beginning of the truth, and no shorter than what the client got;
- as many requests are accounted for as the client sent and was served in: as whole, listed, lost with their numbers, or left out unseen;
- what the client was answered and is not there as a whole exchange is listed, or stands in a counted gap that is big enough for it;
- with a moment of death, all is there that the client had finished a second before, beyond the last 64 records.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from replay.archive import read, verify
from replay.model import (
    Answered,
    ArchiveError,
    Attachment,
    Chunks,
    End,
    Ended,
    EndReason,
    Exchange,
    Gap,
    GapReason,
    Opened,
    Record,
    Response,
    SnapshotRecord,
    WorkspaceChange,
)
from tests.faults.client import Told
from tests.faults.truth import answer_body, ask_of

LOST_S_MAX: Final = 1.0
LOST_RECORDS_MAX: Final = 64
_TWO: Final = 2
"""Events of the shortest exchange: opened and ended."""


@dataclass(frozen=True, slots=True)
class Part:
    """One archive of a run."""

    path: Path
    good: bool
    sealed: bool
    problems: tuple[str, ...]
    exchanges: tuple[Exchange, ...]
    gaps: tuple[Gap, ...]
    opened: dict[int, str]
    """Target of each exchange that was opened in it."""
    events: frozenset[int]
    """Event numbers of records other than gaps."""
    unfinished: frozenset[int]
    """Exchanges that were opened, and of which the end is not there."""
    refused: bool
    """Whether `read` without salvage refuses it."""


@dataclass(frozen=True, slots=True)
class Loss:
    """How much of what the client had finished is not there as whole exchanges."""

    lost: int
    listed: int
    """Exchanges that the archives name as not whole."""
    unnamed: int
    """Exchange numbers of which the archives only hold that events were lost."""
    left_out: int = 0
    """Requests that the archives count without having seen them."""
    age_s: float = 0.0
    """How long before the death the oldest answer ended that is lost; 0.0 without a death."""


def gather(folder: Path) -> list[Part]:
    """Read all archives in a folder, in the order in which they were begun."""
    return [_look(path) for path in sorted(folder.glob("*.parity"), key=_order)]


def judge(parts: Sequence[Part], told: Sequence[Told], *, died_at: float | None = None) -> tuple[list[str], Loss]:
    """Give everything that is wrong, in words, and how much was lost."""
    wrong = [f"{part.path.name}: {what}" for part in parts for what in _wrong_in_itself(part)]
    by_id = {entry.ask.id: entry for entry in told}
    whole: dict[int, Exchange] = {}
    for part in parts:
        for exchange in part.exchanges:
            if exchange.id in whole:
                wrong.append(f"exchange {exchange.id} is whole twice")
            whole[exchange.id] = exchange
            shed = {gap.reason for gap in part.gaps if gap.exchange == exchange.id} & {GapReason.SHED, GapReason.SAMPLED}
            wrong += [f"{part.path.name}: exchange {exchange.id}: {what}" for what in against_truth(exchange, by_id, shed=bool(shed))]
    found, loss = _account(parts, whole, told, died_at)
    return wrong + found, loss


def _look(path: Path) -> Part:
    found = verify(path)
    try:
        read(path)
        refused = False
    except ArchiveError:
        refused = True
    archive = read(path, salvage=True)
    joined = archive.join()
    opened: dict[int, str] = {}
    events: set[int] = set()
    ended: set[int] = set()
    for record in archive.records():
        if isinstance(record, Opened):
            opened[record.exchange] = record.request.target.decode("latin-1")
        elif isinstance(record, Ended):
            ended.add(record.exchange)
        events.update(_events(record))
    return Part(
        path,
        found.good,
        found.sealed,
        found.problems,
        joined.exchanges,
        joined.gaps,
        opened,
        frozenset(events),
        frozenset(opened.keys() - ended),
        refused,
    )


def _wrong_in_itself(part: Part) -> Iterator[str]:
    if part.sealed and not part.good:
        yield f"sealed, and yet: {'; '.join(part.problems)}"
    if not part.sealed and part.good:
        yield "not sealed, and yet it verifies as good"
    if part.sealed == part.refused:
        yield "`read` and `verify` do not agree on whether it is whole"
    if any("no gap says why" in problem or "twice" in problem for problem in part.problems) and part.sealed:
        yield f"inconsistent: {part.problems}"
    said = {number for gap in part.gaps for number in _run(gap)}
    numbers = part.events | said
    holes = sorted(set(range(1, max(numbers, default=0) + 1)) - numbers)
    if len(holes) > (0 if part.sealed else len(part.unfinished)):
        yield f"{len(holes)} event numbers below {max(numbers)} are missing, with {len(part.unfinished)} exchanges unfinished: {_few(holes)}"


def against_truth(exchange: Exchange, by_id: dict[str, Told], *, shed: bool = False) -> Iterator[str]:
    """Say in what an exchange is not what the client knows; *shed*: the archive says that a body was left out."""
    ask = ask_of(exchange.request.target.decode("latin-1"))
    entry = by_id.get(ask.id) if ask else None
    if ask is None or entry is None:
        yield f"nobody asked {exchange.request.target[:80]!r}"
        return
    ask = entry.ask
    if entry.ask.method.encode() != exchange.request.method or exchange.request.header(b"x-number") != ask.id.encode():
        yield f"{ask.id}: another method or header than was sent"
    sent = exchange.request.body
    if exchange.end is EndReason.COMPLETE and not shed and sent != ask.body:
        yield f"{ask.id}: {_size(sent)} of the request's body, or other ones, where {len(ask.body)} were sent"
    if sent is not None and not ask.body.startswith(sent):
        yield f"{ask.id}: the request's body is not what was sent"
    outcome = exchange.outcome
    if not isinstance(outcome, Response):
        if entry.served:
            yield f"{ask.id}: no answer in the archive ({outcome.error}), but the client got it whole"
        return
    if entry.served and exchange.end is not EndReason.COMPLETE:
        yield f"{ask.id}: {exchange.end.value}, but the client got all of it"
    if outcome.status not in (200, 204):
        yield f"{ask.id}: status {outcome.status}, which the server never gives"
    if entry.status == outcome.status and tuple((name, value) for name, value in outcome.headers) != entry.headers:
        yield f"{ask.id}: other headers than the client got"
    yield from _body_against_truth(exchange, outcome, entry, shed=shed)


def _body_against_truth(exchange: Exchange, outcome: Response, entry: Told, *, shed: bool) -> Iterator[str]:
    ask, body = entry.ask, outcome.body
    if body is None:
        # of an answer that broke off, and that mitmproxy was still gathering, nobody got anything
        if not shed and (exchange.end is EndReason.COMPLETE or (entry.received and entry.status == outcome.status)):
            yield f"{ask.id}: the answer's body was not kept, and no gap says why"
        return
    truth = answer_body(ask, len(body))
    if not truth.startswith(body):
        yield f"{ask.id}: {len(body)} bytes of the answer's body are not what the server sent"
    if exchange.end is EndReason.COMPLETE and ask.kind != "endless" and body != truth:
        yield f"{ask.id}: complete, with {len(body)} bytes of {len(truth)}"
    if len(body) < entry.received and entry.status in (200, 204):
        yield f"{ask.id}: {len(body)} bytes, but the client got {entry.received}"
    numbers = [chunk.event for chunk in exchange.chunks]
    if numbers != sorted(numbers):
        yield f"{ask.id}: chunks out of order"


def _account(parts: Sequence[Part], whole: dict[int, Exchange], told: Sequence[Told], died_at: float | None) -> tuple[list[str], Loss]:
    """Hold the number of what is there against the number of what was asked."""
    wrong: list[str] = []
    there = {ask.id for exchange in whole.values() if (ask := ask_of(exchange.request.target.decode("latin-1")))}
    listed = {gap.exchange for part in parts for gap in part.gaps if gap.exchange is not None} - whole.keys()
    known = whole.keys() | listed | {number for part in parts for number in part.opened}
    unnamed = set(range(1, max(known, default=0) + 1)) - known
    unlisted = {number for part in parts for number in part.opened} - whole.keys() - listed
    if unlisted:
        wrong.append(f"opened, not whole and not listed: exchanges {_few(sorted(unlisted))}")
    counted = {number for part in parts for gap in part.gaps if gap.reason is not GapReason.CUT for number in _run(gap)}
    counted -= {number for part in parts for number in part.events}
    if len(counted) < _TWO * len(unnamed):
        wrong.append(f"{len(unnamed)} exchanges are not there, and the gaps count no more than {len(counted)} events: {_few(sorted(unnamed))}")
    left_out = sum(gap.count for part in parts for gap in part.gaps if _is_of_unseen(gap))
    numbered = max(known, default=0) + left_out
    asked, answered = (sum(getattr(entry, name) for entry in told) for name in ("head_sent", "served"))
    if numbered > asked or (all(part.good for part in parts) and numbered < answered):
        wrong.append(f"{numbered} requests are accounted for ({left_out} as left out); the client sent {asked} and was served in {answered}")
    lost = [entry for entry in told if entry.served and entry.ask.id not in there]
    if died_at is None:
        if len(lost) > len(listed) + len(unnamed) + left_out:
            wrong.append(f"{len(lost)} answers that the client got are lost; {len(listed)} + {len(unnamed)} + {left_out} are accounted for")
        return wrong, Loss(len(lost), len(listed), len(unnamed), left_out)
    before = [entry for entry in lost if entry.ended_at <= died_at]
    age = max((died_at - entry.ended_at for entry in before), default=0.0)
    finished = sorted(entry.ended_at for entry in told if entry.served and entry.ended_at <= died_at)
    for entry in before:
        # an exchange is two records at least, so this is the mildest reading of 64
        behind = _TWO * sum(at > entry.ended_at for at in finished)
        if died_at - entry.ended_at > LOST_S_MAX and behind > LOST_RECORDS_MAX:
            wrong.append(f"{entry.ask.id}: lost, though it ended {died_at - entry.ended_at:.2f} s and {behind} records before the death")
    return wrong, Loss(len(lost), len(listed), len(unnamed), left_out, age)


def compare_served(bare: Sequence[Told], ours: Sequence[Told], excused: set[str]) -> list[str]:
    """
    Give each request that our proxy served otherwise than the bare one, but for those *excused* because the fault itself hit them.

    What broke off by either side's death is compared by its kind of end: how far it came is a matter of timing.
    """
    there = {entry.ask.id: entry for entry in ours}
    wrong = []
    for entry in bare:
        own = there.get(entry.ask.id)
        if entry.ask.kind == "endless" or entry.ask.id in excused:
            continue
        if own is None:
            wrong.append(f"{entry.ask.id}: asked of the bare proxy alone")
        elif entry.ask.leave or entry.ask.die or not entry.whole:
            if entry.kind_of_end != own.kind_of_end:
                fate = entry.ask.die or entry.ask.leave or entry.trouble
                wrong.append(f"{entry.ask.id} ({entry.ask.kind}, {fate}): {own.kind_of_end} ({own.trouble}), bare {entry.kind_of_end}")
        elif entry.served_as != own.served_as:
            wrong.append(f"{entry.ask.id} ({entry.ask.kind}): {own.served_as} ({own.trouble}), bare {entry.served_as}")
    return wrong


def _events(record: Record) -> Iterator[int]:
    match record:
        case Opened() | Answered() | WorkspaceChange() | Attachment() | End():
            yield record.event
        case Chunks():
            yield from (chunk.event for chunk in record.chunks)
        case Ended():
            yield record.event
            if record.headers_event is not None:
                yield record.headers_event
        case SnapshotRecord():
            yield from (record.event_before, record.event_after)


def _run(gap: Gap) -> range:
    if gap.event is None:
        return range(0)
    return range(gap.event, gap.event + (max(1, gap.count) if gap.reason is GapReason.NOT_WRITTEN else 1))


def _is_of_unseen(gap: Gap) -> bool:
    """Whether a gap counts requests that drew no number."""
    if gap.event is not None or gap.exchange is not None:
        return False
    return gap.reason in (GapReason.SHED, GapReason.SAMPLED) or "no writer process" in gap.detail


def _order(path: Path) -> int:
    number = path.stem.rpartition("-")[2]
    return int(number) if number.isdecimal() else 1


def _few(numbers: list[int]) -> str:
    return ", ".join(str(number) for number in numbers[:8]) + (" …" if len(numbers) > 8 else "")


def _size(body: bytes | None) -> str:
    return "nothing" if body is None else f"{len(body)} bytes"
