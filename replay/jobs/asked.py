"""What a replayed daemon asked its models, in a few lines: by lane and stage, how each answer was found."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from replay.model import ProviderCall
from replay.play.providing import ELSEWHERE, TIERS, tabulate_counts
from replay.report import visible

type Rows = Mapping[tuple[str, str], Mapping[str, int]]
"""By lane and stage: `asked`, one of each tier, `recorded`, `unasked`."""

_COLUMNS: Final = ("asked", *TIERS, "recorded", "unasked")
_HEADS: Final = {"miss": "missed", "unasked": "not asked"}


def place_of(call: ProviderCall) -> tuple[str, str, str]:
    """Give a call's lane, stage and tier."""
    try:
        match = json.loads(call.match)
        return str(match.get("lane", "?")), call.stage, str(match.get("tier", "?"))
    except (ValueError, AttributeError):
        return "?", call.stage, "?"


def asked_lines(counts: Mapping[str, Any]) -> Iterator[str]:
    """Tell the counts of a replay (those called `provider/…`), in lines that are safe on a terminal; nothing where there are none."""
    rows = tabulate_counts({name: value for name, value in counts.items() if isinstance(value, int | float)})
    for lane in sorted({lane for lane, _ in rows}):
        mine = {stage: row for (each, stage), row in rows.items() if each == lane}
        total = {name: sum(row[name] for row in mine.values()) for name in (*_COLUMNS, ELSEWHERE)}
        parts = [f"{total[tier]:,} {_HEADS.get(tier, tier)}" for tier in TIERS if total[tier] or tier == "miss"]
        yield (
            f"asked of lane {visible(lane)}: {total['asked']:,} · {' · '.join(parts)} · "
            f"{total['recorded']:,} recorded, {total['unasked']:,} of them never asked"
        )
        if total[ELSEWHERE]:
            yield f"  {total[ELSEWHERE]:,} of these in another context than recorded (candidates, evidence, memories), which is told beside each"
        missed = [f"{row['miss']:,} {visible(stage)}" for stage, row in sorted(mine.items()) if row["miss"]]
        if missed:
            yield f"  missed (answered with an error): {', '.join(missed)}; `inspect` names the nearest recorded calls"


def table_lines(rows: Rows) -> Iterator[str]:
    """Lay rows out as a table for a terminal."""
    width = max([len("stage"), *(len(visible(f"{lane} {stage}")) for lane, stage in rows)])
    yield "  " + "stage".ljust(width) + "".join(f"{_HEADS.get(name, name):>12}" for name in _COLUMNS)
    for (lane, stage), row in sorted(rows.items()):
        yield "  " + visible(f"{lane} {stage}").ljust(width) + "".join(f"{row[name]:>12,}" for name in _COLUMNS)


def miss_words(call: ProviderCall) -> str:
    """Say in one line what was missed, and what is nearest to it."""
    try:
        match = json.loads(call.match)
    except ValueError:
        return call.stage
    near = match.get("nearest")
    said = f"{match.get('key', call.stage)}"
    if match.get("why"):
        said += f": {match['why']}"
    if not isinstance(near, dict):
        return f"{said}: nothing of this stage was recorded" if not match.get("why") else said
    told = "; ".join(f"{each.get('recorded', '')!r} → {each.get('asked', '')!r}" for each in match.get("difference", []))
    return f"{said}: nearest is #{near.get('exchange')} ({near.get('likeness')}): {told or 'the same words in another order'}"
