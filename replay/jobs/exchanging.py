"""Bring other tools' files in and send them out: mitmproxy's flow files, and HAR."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from replay import runs
from replay.archive import Keyring, read
from replay.model import UsageError
from replay.redact import Redactor

_HAR: Final = {".har", ".zhar"}
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
    salvage: bool = False,
) -> str:
    """
    Make an archive of a flow file or a HAR (`.har`, `.zhar`), and say what became of it.

    With *salvage* a flow file that is damaged gives what lies before the damage.

    Raises:
        ParityError: the source is damaged or none, or the destination is taken.

    """
    from replay.capture.installation import key_path, load_key
    from replay.interop.mitm import import_mitm

    if source.suffix.lower() in _HAR and snapshot is not None:
        raise UsageError(f"{source}: a HAR is imported without a snapshot; name the state when it is replayed (`replay --state {snapshot}`)")
    if source.suffix.lower() in _HAR and salvage:
        raise UsageError(f"{source}: a HAR is one JSON value, of which no part is whole; --salvage is for flow files")
    progress("importing", 0, 1)
    redactor = Redactor(load_key(key_path(os.environ))) if redact else None
    if source.suffix.lower() in _HAR:
        return _bring_in_har(source, destination, first=first, redactor=redactor)
    made = import_mitm(source, destination, first=first, redactor=redactor, snapshot=snapshot, workspace=workspace, salvage=salvage)
    parts = [f"{made.exchanges} exchanges of {made.flows} flows → {made.archive}"]
    if made.left_out:
        parts.append(f"{made.left_out} left out (--first)")
    parts.extend(f"{count} {kind} flows are no HTTP: kept as a gap" for kind, count in sorted(made.others.items()))
    parts.append(_redaction(redactor, made.redactions))
    if made.damage:
        parts.append(f"SALVAGED: the file {made.damage}")
    if made.snapshot_files is not None:
        parts.append(f"snapshot of {made.snapshot_files} files attached")
    return " · ".join(parts)


def send_out(source: Path, destination: Path, *, salvage: bool, keys: Keyring | None = None) -> str:
    """
    Write an archive as a flow file or a HAR, or a judged run as a flow file, and say how to look at it.

    What is encrypted is opened with *keys*; what is written is in clear (mode 0600).

    Raises:
        ParityError: the source is neither, or the destination is taken.

    """
    from replay.interop.mitm import export_mitm, export_run

    if destination.suffix.lower() == ".har":
        if runs.is_run(source):
            raise UsageError(f"{source}: a judged run has no place in a HAR; export it to a .mitm, or one of its archives to the .har")
        return _send_out_har(source, destination, salvage=salvage, keys=keys)
    if runs.is_run(source):
        run = runs.load(source, keys=keys)
        recorded = read(Path(os.path.normpath(source / run.recorded.path)), salvage=salvage or run.recorded.salvaged, keys=keys)
        observed = read(Path(os.path.normpath(source / run.observed.path)), salvage=salvage or run.observed.salvaged, keys=keys)
        count = export_run(run, recorded, observed, destination)
    else:
        count = export_mitm(read(source, salvage=salvage, keys=keys), destination)
    return f"{count} flows → {destination}; " + _HOW_TO_LOOK.format(path=destination)


def is_encrypted(source: Path) -> bool:
    """Whether an archive or a judged run is encrypted, as its files are called."""
    return any(source.glob("*.enc"))


def _bring_in_har(source: Path, destination: Path, *, first: int | None, redactor: Redactor | None) -> str:
    from replay.interop.har import import_har

    made = import_har(source, destination, first=first, redactor=redactor)
    parts = [f"{made.exchanges} exchanges of {made.entries} entries → {made.archive}"]
    if made.own:
        parts.append("an export of ours: ids and event numbers as recorded")
    if made.left_out:
        parts.append(f"{made.left_out} left out (--first)")
    parts.extend(f"{count} {what} are no exchanges: kept as a gap" for what, count in sorted(made.skipped.items()))
    if made.lanes.keys() - {"daemon"}:
        parts.append("lanes: " + ", ".join(f"{lane} {count}" for lane, count in sorted(made.lanes.items(), key=lambda row: -row[1])))
    parts.append(_redaction(redactor, made.redactions))
    lost = [f"  {count} × {what}" for what, count in sorted(made.losses.items(), key=lambda row: -row[1])]
    return "\n".join([" · ".join(parts), *(["what the HAR does not say (noted on each exchange):", *lost] if lost else [])])


def _send_out_har(source: Path, destination: Path, *, salvage: bool, keys: Keyring | None) -> str:
    from replay.interop.har import export_har

    made = export_har(read(source, salvage=salvage, keys=keys), destination)
    parts = [f"{made.entries} entries → {destination}; any browser's network panel opens it, and `signet-parity import` brings it back"]
    if made.left_out:
        parts.append("not in a HAR: " + ", ".join(f"{count} {kind}" for kind, count in sorted(made.left_out.items())))
    return " · ".join(parts)


def _redaction(redactor: Redactor | None, found: Mapping[str, int]) -> str:
    return f"{sum(found.values())} spans redacted" if redactor else "nothing redacted (--redact replaces credentials)"
