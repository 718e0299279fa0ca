"""
Changing who may read an encrypted archive, without encrypting it again.

Only the headers with the sealed data keys are written anew; each file is put in place whole, and the manifest comes last. If that is
interrupted, some files are for the old recipients and some for the new, which a reader with the old key and the new one still opens with
salvage; doing it again ends it. Who could read the archive before may have kept its data keys: dropping somebody is for the future.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from replay.archive.disk import Disk
from replay.archive.encryption import open_cipher, read_header, recipient_ids, sealed_again
from replay.archive.keyring import Keyring, key_id
from replay.archive.manifest import NAME, RECIPIENT_KEYS, Manifest, load
from replay.archive.sharing import named_keys
from replay.model import ArchiveError

_STEP_BYTES = 1 << 20


def recipients_of(path: Path) -> tuple[str, ...]:
    """
    Give the ids of the keys that open an archive; empty where it is not encrypted.

    Raises:
        ArchiveError: its manifest is not there, or damaged.
    """
    return load(path).recipients


def change_recipients(path: Path, keys: Keyring, *, add: Sequence[bytes], drop: Sequence[str], disk: Disk | None = None) -> Manifest:
    """
    Let more public keys open a sealed archive, and take others, by id, away. One of *keys* must open it now.

    Raises:
        ArchiveError: it is not sealed or not encrypted, none of the keys opens it, an id is none of its recipients, nobody would be left, or
            the disk refuses.
    """
    disk = Disk() if disk is None else disk
    manifest = load(path)
    if not manifest.recipients:
        raise ArchiveError(f"{path}: not encrypted; nobody can be added or dropped")
    if not manifest.sealed:
        raise ArchiveError(f"{path}: not sealed: recorder killed, or still running? Recipients are changed when it is closed")
    if unknown := sorted(set(drop) - set(manifest.recipients)):
        raise ArchiveError(f"{path}: {', '.join(unknown)}: none of its recipients, which are {', '.join(manifest.recipients)}")
    added = recipient_ids(add)
    left = tuple(dict.fromkeys([*(name for name in manifest.recipients if name not in drop), *added]))
    if not left:
        raise ArchiveError(f"{path}: nobody could open it any more; keep or add a recipient")
    files = [*(segment.file for segment in manifest.segments), *(snapshot.file for snapshot in manifest.snapshots)]
    # All headers are made before anything is written: a key that does not open one changes nothing.
    headers = {name: _new_header(path / name, keys, add, drop) for name in files}
    placed = {name: _replace_header(path / name, *header, disk) for name, header in headers.items()}
    named = [public for public in dict.fromkeys([*named_keys(manifest.facts), *add]) if key_id(public) in left]
    manifest = replace(
        manifest,
        facts={**manifest.facts, RECIPIENT_KEYS: [public.hex() for public in named]},
        recipients=left,
        segments=tuple(replace(part, bytes=placed[part.file][0], key_header=placed[part.file][1]) for part in manifest.segments),
        snapshots=tuple(replace(part, bytes=placed[part.file][0]) for part in manifest.snapshots),
    )
    try:
        disk.replace(path / NAME, manifest.render())
    except OSError as error:
        raise ArchiveError(f"{path / NAME}: can't be written: {error.strerror or error}") from error
    return manifest


def _new_header(path: Path, keys: Keyring, add: Sequence[bytes], drop: Sequence[str]) -> tuple[bytes, int]:
    """Give the new header of a file, and where its content begins now."""
    try:
        with path.open("rb") as file:
            header, base, _ = read_header(file)
        return sealed_again(open_cipher(header, keys), keys, add, drop).render(), base
    except OSError as error:
        raise ArchiveError(f"{path}: can't be read: {error.strerror or error}") from error
    except ArchiveError as error:
        raise type(error)(f"{path}: {error}") from error


def _replace_header(path: Path, header: bytes, base: int, disk: Disk) -> tuple[int, str]:
    """Put a file with another header in its place, and give its size and the header's digest."""
    draft = path.with_name(f".{path.name}.draft")
    try:
        disk.remove(draft)
        with path.open("rb") as old, disk.create(draft) as new:
            disk.append(new, header)
            old.seek(base)
            while data := old.read(_STEP_BYTES):
                disk.append(new, data)
            disk.settle(new)
            size = new.tell()
        draft.replace(path)
        disk.settle_folder(path.parent)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise ArchiveError(f"{path}: can't be written: {error.strerror or error}") from error
    return size, hashlib.sha256(header).hexdigest()
