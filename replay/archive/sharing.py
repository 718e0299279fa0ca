"""
Handing on what an archive needs, and no more: to a process that reads it, and to whoever makes something of it.

A replay's player reads the recording inside the cell, beside the daemon under test. It gets the data keys of that archive's segments, by
which nothing else opens, and never a private key. What is made of an archive is encrypted for those who can read it: their public keys
stand in the archive's facts. (An archive's header names its recipients by their ids alone, from which no key can be had.)
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from replay.archive.encryption import KeyHeader, open_cipher, read_header
from replay.archive.keyring import KEY_BYTES, Keyring, key_id
from replay.archive.manifest import RECIPIENT_KEYS
from replay.archive.reading import Archive, find_segments
from replay.archive.snapshots import is_encrypted
from replay.model import ArchiveError

_PUBLIC: Final = re.compile(f"[0-9a-f]{{{2 * KEY_BYTES}}}")


def narrowed(archive: Archive) -> Keyring:
    """
    Give what opens the segments of an opened archive, and nothing else; empty where it is not encrypted.

    Raises:
        ArchiveError: a segment can't be read.
    """
    opened: dict[bytes, bytes] = {}
    for header in _headers(archive):
        try:
            key = open_cipher(header, archive.keys).key
        except ArchiveError:
            # a segment that a salvage could not read either: whoever reads the archive comes upon it again
            continue
        opened |= {sealed.sealed: key for sealed in header.keys}
    return Keyring(data_keys=opened)


def public_keys(archive: Archive) -> tuple[tuple[bytes, ...], tuple[str, ...]]:
    """
    Give the public keys of an archive's recipients, and the ids of those whose key is known from nowhere. Both empty: not encrypted.

    Raises:
        ArchiveError: a segment can't be read.
    """
    # a salvaged archive may have lost its manifest, and must not count as one in clear
    ids = tuple(archive.manifest.get("recipients") or dict.fromkeys(name for header in _headers(archive) for name in header.ids))
    known = {key.id: key.public for key in archive.keys.keys.values()} | {key_id(key): key for key in named_keys(archive.facts)}
    return tuple(known[name] for name in ids if name in known), tuple(name for name in ids if name not in known)


def _headers(archive: Archive) -> Iterator[KeyHeader]:
    for path in find_segments(archive.path):
        if not is_encrypted(path):
            continue
        try:
            with path.open("rb") as file:
                header, _, _ = read_header(file)
        except OSError as error:
            raise ArchiveError(f"{path}: can't be read: {error.strerror or error}") from error
        except ArchiveError:
            continue  # damaged: as above
        yield header


def named_keys(facts: Mapping[str, Any]) -> tuple[bytes, ...]:
    """Give the public keys that an archive's facts name; what is none is left."""
    told = facts.get(RECIPIENT_KEYS)
    return tuple(bytes.fromhex(text) for text in told if isinstance(text, str) and _PUBLIC.fullmatch(text)) if isinstance(told, list) else ()
