"""Taking one snapshot: copy, replace, pack. Runs in a process of its own and knows no event numbers."""

import os
import time
from pathlib import Path

from replay.archive import pack_snapshot
from replay.capture.snapshots.masking import Masking
from replay.capture.snapshots.orders import SnapshotOrder, SnapshotResult
from replay.capture.snapshots.stores import ThrowAway, find_machine_ids, known_values, make_throw_away, open_store, put_stores
from replay.capture.snapshots.tree import masked_words, scrub_tree
from replay.model import UsageError
from replay.redact import Rules, load_rules
from replay.workspace import copy_workspace
from replay.workspace.copies import SECRETS_FOLDER
from replay.workspace.secrets import FILE as SECRETS_FILE
from replay.workspace.tokens import AUTH_SECRET_FILE

_ROOM = 2.2
"""A copy, and its biggest database once more while it is written anew."""
_ROOM_BYTES = 16 << 20


def room_needed(workspace: Path) -> int:
    """Give how many bytes taking a snapshot of *workspace* may need to work in."""
    total = 0
    for folder, _, files in os.walk(workspace, followlinks=False):
        for name in files:
            try:
                total += (Path(folder) / name).lstat().st_size
            except OSError:
                continue  # gone meanwhile
    return int(total * _ROOM) + _ROOM_BYTES


def take_snapshot(order: SnapshotOrder, scratch: Path) -> SnapshotResult:
    """
    Take the snapshot, working in the empty folder *scratch*.

    Raises:
        UsageError: the order can't be followed as it stands.
        CopyLimitError: the workspace is bigger than the order's limits.
        ParityError: something can't be read, replaced or written; the destination is not there then.
        OSError: the disk refuses.
    """
    began = time.monotonic()
    if order.destination.exists():
        raise UsageError(f"{order.destination}: is there already; a snapshot is written once")
    redaction = _read_key(order.redaction_key)
    copy = scratch / "workspace"
    copied = copy_workspace(order.workspace, copy, order.limits)
    left_out, changed = list(copied.left_out), list(copied.changed_meanwhile)
    replaced: dict[str, int] = {}
    machine_id = ""
    if redaction is not None:
        throw_away = make_throw_away(redaction, order.archive_id)
        masking, notes = _redact(order, copy, scratch, redaction, throw_away)
        machine_id = throw_away.machine_id if (copy / SECRETS_FILE).exists() else ""
        left_out = [masked_words(line, masking) for line in left_out if line not in _made_again(copy)] + list(notes)
        changed = [masked_words(line, masking) for line in changed]
        replaced = {kind: count for kind, count in sorted(masking.counts.items()) if count}
    packed = pack_snapshot(copy, order.destination, recipients=order.recipients, archive_id=order.archive_id)
    return SnapshotResult(
        files=packed.files,
        bytes=packed.bytes,
        file_bytes=packed.file_bytes,
        digest=packed.sha256,
        left_out=tuple(sorted((*left_out, *packed.left_out))),
        changed_meanwhile=tuple(changed),
        replaced=replaced,
        machine_id=machine_id,
        duration_ms=(time.monotonic() - began) * 1000.0,
    )


def _redact(order: SnapshotOrder, copy: Path, scratch: Path, key: bytes, throw_away: ThrowAway) -> tuple[Masking, tuple[str, ...]]:
    machine_ids = find_machine_ids(order.workspace, order.machine_id_files)
    opened = open_store(order.workspace, machine_ids)
    rules = load_rules(order.rules) if order.rules is not None else Rules()
    masking = Masking(key, rules, known_values(opened, machine_ids, throw_away, Masking(key, rules)))
    notes = put_stores(order.workspace, copy, opened, throw_away, masking)
    return masking, (*notes, *scrub_tree(copy, scratch, masking))


def _made_again(copy: Path) -> set[str]:
    """Give what the copy left out and has now."""
    return {
        line
        for line, path in ((f"{SECRETS_FOLDER}: secret", SECRETS_FILE), (f"{AUTH_SECRET_FILE}: secret", AUTH_SECRET_FILE))
        if (copy / path).exists()
    }


def _read_key(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        key = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: the redaction key can't be read ({error.strerror or error})") from error
    if not 16 <= len(key) <= 64:
        raise UsageError(f"{path}: is no redaction key ({len(key)} bytes)")
    return key
