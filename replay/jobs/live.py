"""How a recording that goes on goes: what its writer says of it every second in `status.json`."""

import json
from pathlib import Path
from typing import Any, Final

from replay.capture.writing.status import NAME
from replay.jobs.contents import own_cost
from replay.report import visible
from replay.report.text import moment

SILENT_S: Final = 10.0
"""A writer that has said nothing for so long hangs, or is gone."""
_LIVE: Final = frozenset({"recording", "waiting for the disk"})
_FIGURES: Final = ("exchanges", "open", "bytes", "disk_bytes", "lag_ms", "lost")


def status_of(archive: Path, now: float) -> dict[str, Any] | None:
    """
    Give what the writer said last, where it has not said that it is done; None where nothing is being recorded there.

    `age_s` and `silent` are added: how old it is at *now*, and whether that is too old for a recorder that lives. Nothing in it is
    believed to be of the right kind but by whoever uses it: it is a file that anybody may have written.
    """
    try:
        told = json.loads((archive / NAME).read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(told, dict) or told.get("state") not in _LIVE:
        return None
    age_s = now - _number(told.get("updated_at"))
    return {**told, "age_s": round(age_s, 3), "silent": not abs(age_s) <= SILENT_S}


def status_lines(archive: Path, told: dict[str, Any]) -> list[str]:
    """Tell it to people."""
    figures = {name: _number(told.get(name)) for name in _FIGURES}
    lines = [f"{archive}: {str(told['state']).upper()} since {moment(_number(told.get('begun_at')))}"]
    if told["silent"]:
        lines.append(f"NO WORD for {told['age_s']:,.0f} s: the recorder hangs, or is gone; --salvage reads what it had written")
    lines.append(
        f"{figures['exchanges']:,.0f} exchanges · {figures['open']:,.0f} open · {figures['bytes'] / 1e6:,.1f} MB of bodies · "
        f"{figures['disk_bytes'] / 1e6:,.1f} MB on disk · lag {figures['lag_ms']:,.1f} ms · {figures['lost']:,.0f} records lost"
    )
    gaps = told.get("gaps")
    if isinstance(gaps, dict):
        lines.append("gaps: " + (" · ".join(f"{_number(count):,.0f} {visible(str(name))}" for name, count in sorted(gaps.items())) or "none"))
    own = told.get("own")
    if isinstance(own, dict) and own:
        lines.append("own cost: " + own_cost({str(name): _number(value) for name, value in own.items()}))
    trouble = told.get("trouble")
    if isinstance(trouble, dict):
        lines.append(f"last trouble ({moment(_number(trouble.get('at')))}): {visible(str(trouble.get('text')))}")
    return lines


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0


__all__ = ["SILENT_S", "status_lines", "status_of"]
