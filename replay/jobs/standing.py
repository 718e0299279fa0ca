"""What stands in an observed archive, said in the last lines of a replay."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from replay.archive import Archive, Keyring, is_archive, read
from replay.daemon import CellReport
from replay.jobs.asked import asked_lines
from replay.jobs.carried import carried_lines
from replay.jobs.laid import laid_lines
from replay.jobs.outline import outline
from replay.jobs.renewing import identity_lines
from replay.jobs.sending import sending_lines
from replay.jobs.timing import timing_lines
from replay.model import ArchiveError
from replay.report import visible

_AGAIN: Final = "the same command with --resume keeps it under another name and plays from the start"


def standing(observed: Path, keys: Keyring) -> str:
    """Say what a replay that did not come to its end left at the archive's place."""
    if not is_archive(observed):
        return f"The replay is incomplete: nothing was sent, and there is no {observed}. Put the reason right and give the same command again."
    try:
        archive = read(observed, salvage=True, keys=keys)
    except ArchiveError as error:
        return f"{observed}: INCOMPLETE: nothing of it can be read ({error}); {_AGAIN}"
    return f"{observed}: INCOMPLETE: {len(outline(archive).statuses)} exchanges observed until then{_unsealed(archive)}; {_AGAIN}"


def tell(
    recorded: Archive, place: Path, keys: Keyring, *, player_exit: int, report: CellReport | None, notes: Sequence[str]
) -> tuple[str, bool]:
    """Say what came of a replay whose player ended; gives also whether it is complete."""
    try:
        observed = read(place, salvage=True, keys=keys)
    except ArchiveError as error:
        why = f"the player ended with exit code {player_exit} and left nothing that can be read ({error})"
        return f"{place}: INCOMPLETE: {why}{_tail(report)}\nPut the reason right and give the same command again.", False
    seen, expected = outline(observed), outline(recorded)
    exchanges, gaps = seen.statuses, [gap for gap in seen.gaps if gap.exchange is not None]
    planned = expected.planned
    by_reason = Counter(str(gap.reason) for gap in gaps)
    statuses = Counter(str(status) if status else "none" for status in exchanges.values())
    same = sum(bool(status) and expected.statuses.get(number) == status for number, status in exchanges.items())
    left_out = ", ".join(f"{count} {reason}" for reason, count in sorted(by_reason.items()))
    lines = [
        f"{planned} planned · {len(exchanges)} observed · {len(gaps)} gaps" + (f" ({left_out})" if left_out else ""),
        f"{same} of {len(exchanges)} with the recorded status · statuses: "
        + ", ".join(f"{count} × {status}" for status, count in sorted(statuses.items())),
    ]
    lines.extend(timing_lines(observed.facts.get("terms"), observed.waits(), expected.span))
    if report is not None:
        way_out = " · no way out" if report.facts.get("routes", {}).get("egress") == "blocked" else ""
        lines.append(f"cell: {report.kind} · ready after {report.ready_s:.1f} s · {report.namespaces or 'no namespaces'}{way_out}")
        lines.extend(f"note: {text}" for text in report.notes)
    lines.extend(f"note: {text}" for text in notes)
    counts = observed.facts.get("counts")
    lines.extend(sending_lines(observed.facts.get("costs"), counts if isinstance(counts, dict) else {}))
    lines.extend(asked_lines(counts if isinstance(counts, dict) else {}))
    lines.extend(identity_lines(counts if isinstance(counts, dict) else {}))
    lines.extend(carried_lines(counts if isinstance(counts, dict) else {}))
    lines.extend(laid_lines(observed.facts, counts if isinstance(counts, dict) else {}, seen.not_laid))
    if by_reason["unsafe"]:
        lines.append("note: unsafe requests were left out; `--dry-run` names them, `--allow side-effect` (or a route, or all) sends them")
    if 2 * statuses["none"] > len(exchanges):
        lines.append(f"note: {statuses['none']} of {len(exchanges)} got no answer: is this the daemon that was meant?")
    died = report is not None and report.died
    hung = next((record.detail for record in observed.daemon_records() if record.what == "died"), "")
    if died:
        lines.append(f"the daemon died during the replay (exit code {report.daemon_exit if report else None}){_tail(report)}")
    elif hung:
        lines.append(f"the daemon was given up: {visible(hung)}{_tail(report)}")
    complete = player_exit == 0 and not died and not observed.salvaged and planned == len(exchanges) + len(gaps)
    lines.append(f"{place}" if complete else f"{place}: INCOMPLETE (player's exit code {player_exit}){_unsealed(observed)}; {_AGAIN}")
    return "\n".join(lines), complete


def _unsealed(archive: Archive) -> str:
    return ", not sealed: --salvage reads it" if archive.salvaged else ""


def _tail(report: CellReport | None) -> str:
    """Give the end of the daemon's log, with whatever would steer a terminal made visible."""
    text = visible(report.log_tail.strip(), keep_lines=True) if report is not None else ""
    return f"\nthe end of the daemon's log:\n{text}" if text else "\nthe daemon wrote no log" if report is not None else ""
