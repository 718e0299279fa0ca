"""A flow file becomes an archive."""

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mitmproxy.version import VERSION as MITMPROXY

from replay.archive import ArchiveWriter, Limits, extract
from replay.interop.mitm.source import FlowFile, State, read_flow_file
from replay.interop.mitm.state import Draft, pack, read_draft, rebuild, subtract, unpack
from replay.interop.records import order_records, redact_records
from replay.model import (
    ArchiveError,
    Chunk,
    Exchange,
    Gap,
    GapReason,
    Response,
    UsageError,
)
from replay.redact import Redactor
from replay.routes import route_of


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of a flow file."""

    archive: Path
    flows: int
    """How many the file holds."""
    exchanges: int
    """How many are in the archive."""
    left_out: int
    """Not taken because only the first ones were asked for."""
    others: dict[str, int]
    """Flows that are no HTTP, by type; one gap each type in the archive."""
    redactions: dict[str, int] = field(default_factory=dict)
    """By kind; empty where no redaction was asked for."""
    damage: str = ""
    """Where the file breaks off, when it was salvaged."""
    snapshot_files: int | None = None


def import_mitm(
    source: Path,
    destination: Path,
    *,
    first: int | None = None,
    redactor: Redactor | None = None,
    snapshot: Path | None = None,
    workspace: str | None = None,
    salvage: bool = False,
) -> ImportReport:
    """
    Make an archive from a flow file (`.mitm`, also `.xz`, `.gz`, `.bz2` or `.zst`).

    Exchanges get their ids in the order in which their requests started; *first* takes that many of them. Event numbers are made from the
    flows' own times, and the manifest says so. *snapshot* is a folder, or a tar with one folder at its top, with the workspace as it was
    at the start; *workspace* is the path at which the recorded daemon had it. Nothing is redacted without *redactor*.

    Raises:
        UsageError: the source is not there or is no flow file, or a snapshot comes without its path.
        ArchiveError: the source is damaged (with *salvage*, what lies before the damage is taken, and a gap says so), or the destination
            is there already.

    """
    if snapshot is not None and not workspace:
        raise UsageError(f"{snapshot}: a snapshot needs the path at which the recorded daemon had it, such as --workspace /home/me/.agents")
    if first is not None and first < 1:
        raise UsageError(f"first {first}: must be at least 1")
    flows = read_flow_file(source)
    if flows.damage and not salvage:
        raise ArchiveError(f"{source}: {flows.damage}; {len(flows.states)} whole flows lie before it (--salvage imports those)")
    http = [(position, state) for position, state in enumerate(flows.states) if state.get("type") == "http"]
    others = Counter(str(state.get("type")) for state in flows.states if state.get("type") != "http")
    drafts = sorted(((read_draft(state), position, state) for position, state in http), key=lambda row: (row[0].started_at, row[1]))
    exchanges = number_exchanges(drafts[:first], start=3 if snapshot else 1)
    redacted: Counter[str] = Counter()
    with ArchiveWriter.create(
        destination,
        kind="recording",
        facts=_facts(source, flows, drafts, redactor, first),
        started_at=drafts[0][0].started_at if drafts else None,
    ) as writer:
        packed = _attach(writer, snapshot, workspace) if snapshot is not None and workspace else None
        ordered = order_records([_without_backup(exchange) for exchange in exchanges] if redactor else exchanges)
        for clean in redact_records(redactor, ((record, _route(exchange)) for exchange, record in ordered)):
            redacted.update(item.kind for item in getattr(clean, "redactions", ()))
            writer.append(clean)
        for kind, count in sorted(others.items()):
            writer.append(Gap(GapReason.SKIPPED, count=count, detail=f"{kind} flows in the imported file are no HTTP exchanges"))
        if flows.damage:
            writer.append(Gap(GapReason.CUT, detail=f"the imported file {flows.damage}"))
        last = max((exchange.ended_event for exchange in exchanges), default=2 if snapshot else 0)
        ended = max((exchange.ended_at for exchange in exchanges), default=0.0)
        writer.seal(event=last + 1, at=ended, reason="salvaged from a damaged flow file" if flows.damage else "imported")
    return ImportReport(
        archive=destination,
        flows=len(flows.states),
        exchanges=len(exchanges),
        left_out=len(http) - len(exchanges),
        others=dict(others),
        redactions=dict(redacted),
        damage=flows.damage,
        snapshot_files=packed,
    )


def number_exchanges(drafts: Sequence[tuple[Draft, int, State]], *, start: int = 1) -> list[Exchange]:
    """
    Number exchanges by their place in *drafts*, and their events from *start* on by time (ties: place, then phase).

    Within one exchange events never run backwards, whatever its clock says.
    """
    points: list[tuple[float, int, int]] = []
    for place, (draft, _, _) in enumerate(drafts):
        now = draft.started_at
        times = [now]
        if isinstance(draft.outcome, Response):
            times.append(draft.first_byte_at if draft.first_byte_at is not None else now)
            times += [at for at, _ in draft.chunks]
        times.append(draft.ended_at)
        for phase, at in enumerate(times):
            now = max(now, at)
            points.append((now, place, phase))
    events: dict[tuple[int, int], int] = {(place, phase): event for event, (_, place, phase) in enumerate(sorted(points), start=start)}
    return [_number(draft, position, state, place, events) for place, (draft, position, state) in enumerate(drafts)]


def _route(exchange: Exchange) -> str:
    return route_of(exchange.request).name


def _number(draft: Draft, position: int, state: State, place: int, events: dict[tuple[int, int], int]) -> Exchange:
    answered = isinstance(draft.outcome, Response)
    chunks = tuple(Chunk(events[place, 2 + index], at, data) for index, (at, data) in enumerate(draft.chunks))
    exchange = Exchange(
        id=place + 1,
        request=draft.request,
        outcome=draft.outcome,
        connection=draft.connection,
        opened_event=events[place, 0],
        ended_event=events[place, (2 + len(chunks)) if answered else 1],
        started_at=draft.started_at,
        ended_at=draft.ended_at,
        end=draft.end,
        headers_event=events[place, 1] if answered else None,
        request_ended_at=draft.request_ended_at,
        first_byte_at=draft.first_byte_at,
        chunks=chunks,
    )
    return replace(exchange, opaque=pack(position, subtract(state, rebuild(exchange, ""))))


def _without_backup(exchange: Exchange) -> Exchange:
    """Drop mitmproxy's `backup` of an edited flow: it is a whole second flow, with every credential in the clear."""
    position, patch = unpack(exchange.opaque)
    if position is None or patch is None or patch[0] != "+":
        return exchange
    return replace(exchange, opaque=pack(position, ["+", {key: value for key, value in patch[1].items() if key != "backup"}, patch[2]]))


def _facts(
    source: Path, flows: FlowFile, drafts: Sequence[tuple[Draft, int, State]], redactor: Redactor | None, first: int | None
) -> dict[str, Any]:
    upstream = next((state["server_conn"]["address"] for _, _, state in drafts if state["server_conn"]["address"]), None)
    return {
        "recorder": f"imported from a flow file of mitmproxy {MITMPROXY}",
        "daemon": {"host": upstream[0], "port": upstream[1]} if upstream else {},
        "events": "numbered from the flows' own times (ties: file order)",
        "redaction": {"key_id": redactor.key_id} if redactor else {"key_id": None, "why": "import redacts only when asked"},
        "source": {
            "kind": "mitm",
            "name": source.name,
            "sha256": flows.digest,
            "bytes": flows.bytes,
            "flows": len(flows.states),
            "first": first,
        },
    }


def _attach(writer: ArchiveWriter, snapshot: Path, workspace: str) -> int:
    """Pack the workspace as it was before the first request: events 1 and 2."""
    if snapshot.is_dir():
        return _pack(writer, snapshot, workspace)
    if not snapshot.is_file():
        raise UsageError(f"{snapshot}: there is no such snapshot; give a folder or a tar of the workspace")
    with tempfile.TemporaryDirectory(prefix="parity-import-") as scratch:
        place = Path(scratch) / "tree"
        extract(snapshot, place, Limits())
        tops = list(place.iterdir())
        if len(tops) != 1 or not tops[0].is_dir():
            raise UsageError(f"{snapshot}: must hold one folder at its top, the workspace; it holds {len(tops)} entries")
        return _pack(writer, tops[0], workspace)


def _pack(writer: ArchiveWriter, directory: Path, workspace: str) -> int:
    return writer.add_snapshot(directory, workspace=workspace, event_before=1, event_after=2, left_out=()).files
