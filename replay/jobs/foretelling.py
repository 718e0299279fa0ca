"""What a replay starts from, and what can be said of it before it starts: the state, what one exchange depends on, the dry run."""

import json
from collections import Counter
from pathlib import Path
from typing import Final

from replay.archive import Archive, Limits, extract
from replay.jobs.estimating import forecast
from replay.jobs.scratch import open_scratch
from replay.jobs.stretching import find_remembered
from replay.model import UsageError
from replay.plan import Births, Stretch, depend, find_loopbacks, keys_of, known_before, lasting_ids, plan
from replay.routes import route_of

_LISTED_MAX: Final = 20


def lay_out(recorded: Archive, state: Path | None, stretch: Stretch, scratch: Path) -> tuple[Path, tuple[str, ...]]:
    """
    Unpack the workspace to start from, *state* or the stretch's snapshot; gives it and what was dropped on the way, in words.

    Raises:
        ParityError: there is none, or it can't be unpacked.

    """
    if state is not None:
        if state.is_dir():
            return state, ()
        unpacked = extract(state, scratch / "state", Limits())
        inner = list(unpacked.root.iterdir())
        return (inner[0] if len(inner) == 1 and inner[0].is_dir() else unpacked.root), tuple(unpacked.dropped)
    if not recorded.snapshots():
        raise UsageError(
            f"{recorded.path}: holds no snapshot of the workspace; name the state to start from with --state DIRECTORY, "
            "or record with --set parity_workspace=…"
        )
    snapshot = recorded.extract_snapshot(stretch.place, scratch / "state")
    return snapshot.root, tuple(snapshot.dropped)


def explain(recorded: Archive, only: int | None, stretch: Stretch) -> list[str]:
    """Say which exchanges one exchange depends on and why, and what is left out; nothing where not *only* one is replayed."""
    if only is None:
        return []
    ordered = sorted(recorded.exchanges(), key=lambda exchange: exchange.opened_event)
    routes = {exchange.id: route_of(exchange.request) for exchange in ordered}
    own = [exchange for exchange in ordered if exchange.lane == "daemon" and stretch.gap(exchange) is None]
    loopbacks = find_loopbacks(own)
    births = Births(own, unasked=loopbacks.keys(), known=known_before(ordered, stretch).keys())
    found = depend(ordered, births, routes, loopbacks, only=only, stretch=stretch)
    needed = [(number, why) for number, why in found.why.items() if number != only]
    lines = [f"#{only} {routes[only].name} depends on {len(needed):,} exchanges" + (":" if needed else "")]
    lines += [f"  #{number} {routes[number].name} {why}" for number, why in needed[:_LISTED_MAX]]
    if len(needed) > _LISTED_MAX:
        lines.append(f"  and {len(needed) - _LISTED_MAX:,} more")
    left = Counter(routes[exchange.id].replay_class for exchange in own if exchange.id not in found.why)
    if left:
        lines.append(f"left out {left.total():,}: " + ", ".join(f"{count:,} {name}" for name, count in sorted(left.items())))
    if found.writes_left_out:
        target = next(exchange for exchange in ordered if exchange.id == only)
        named = lasting_ids(target.request) or keys_of(target.request, routes[only])
        lines.append(
            f"its answer {'may depend' if named else 'depends'} on {found.writes_left_out:,} earlier writes that were left out, "
            f"{'for they name' if named else 'and it names'} nothing {'that it names' if named else 'by which to choose among them'}"
        )
    return lines


def foretell(
    recorded: Archive,
    state: Path | None,
    stretch: Stretch,
    *,
    allow: frozenset[str],
    only: int | None,
    pace: str | float,
    workers: tuple[str, ...],
    reads_only: bool,
    as_json: bool,
) -> str:
    """
    Say what a replay would do, as text or JSON. Nothing is started; of a stretch the snapshot is unpacked, to look for ids in it.

    Raises:
        ParityError: the recording or its snapshot is damaged.

    """
    notes: list[str] = []
    lost: frozenset[str] = frozenset()
    if stretch.after or stretch.until is not None:
        with open_scratch(None, private=True) as scratch:
            root = lay_out(recorded, state, stretch, scratch.path)[0] if stretch.after else scratch.path
            remembered = find_remembered(recorded, stretch, root)
            lost = frozenset(remembered.lost)
            notes += remembered.lines()
    notes += explain(recorded, only, stretch)
    planned = plan(recorded, allow=allow, only=only, reads_only=reads_only, stretch=stretch, lost=lost)
    told = forecast(recorded, planned, stretch, workers=workers, pace=pace, notes=notes)
    return json.dumps(told.as_json(), indent=1) if as_json else told.text()


__all__ = ["explain", "foretell", "lay_out"]
