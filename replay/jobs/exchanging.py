"""Bring flow files in and send them out."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from replay import runs
from replay.archive import read
from replay.model import UsageError
from replay.redact import Redactor

_HOW_TO_LOOK: Final = (
    "look at it with `mitmweb -n -r {path}` (never with a reverse: mode, which rewrites what it loads); "
    "of a judged run, `~marker red` in its search shows what is open"
)


def bring_in(
    source: Path,
    destination: Path,
    *,
    first: int | None,
    redact: bool,
    snapshot: Path | None,
    workspace: str | None,
    progress: Callable[[str, int, int], None],
) -> str:
    """
    Make an archive of a flow file, and say what became of it.

    Raises:
        ParityError: the source is damaged or none, or the destination is taken.

    """
    from replay.capture.installation import key_path, load_key
    from replay.interop.mitm import import_mitm

    if source.suffix == ".har":
        raise UsageError(f"{source}: HAR files are not read yet; only .mitm (also .xz, .gz, .zst)")
    progress("importing", 0, 1)
    redactor = Redactor(load_key(key_path(os.environ))) if redact else None
    made = import_mitm(source, destination, first=first, redactor=redactor, snapshot=snapshot, workspace=workspace)
    parts = [f"{made.exchanges} exchanges of {made.flows} flows → {made.archive}"]
    if made.left_out:
        parts.append(f"{made.left_out} left out (--first)")
    parts.extend(f"{count} {kind} flows are no HTTP: kept as a gap" for kind, count in sorted(made.others.items()))
    if redact:
        parts.append(f"{sum(made.redactions.values())} spans redacted")
    else:
        parts.append("nothing redacted (--redact replaces credentials)")
    if made.snapshot_files is not None:
        parts.append(f"snapshot of {made.snapshot_files} files attached")
    return " · ".join(parts)


def send_out(source: Path, destination: Path, *, salvage: bool) -> str:
    """
    Write an archive or a judged run as a flow file, and say how to look at it.

    Raises:
        ParityError: the source is neither, or the destination is taken.

    """
    from replay.interop.mitm import export_mitm, export_run

    if destination.suffix == ".har":
        raise UsageError(f"{destination}: HAR files are not written yet; only .mitm")
    if runs.is_run(source):
        run = runs.load(source)
        recorded = read(Path(os.path.normpath(source / run.recorded.path)), salvage=salvage or run.recorded.salvaged)
        observed = read(Path(os.path.normpath(source / run.observed.path)), salvage=salvage or run.observed.salvaged)
        count = export_run(run, recorded, observed, destination)
    else:
        count = export_mitm(read(source, salvage=salvage), destination)
    return f"{count} flows → {destination}; " + _HOW_TO_LOOK.format(path=destination)
