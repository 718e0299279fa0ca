"""
The archive: a recording, or what a replay observed, as a folder of files.

How this works
--------------
A folder (0700, files 0600) holds `manifest.json`, segments and snapshots. A segment is a row of *blocks*, each one standard zstd frame with
a checksum (`zstd -dc` reads it anywhere) of whole msgpack maps, each with a `type` and the field names of a record of `replay.model`.
Its first block says what it belongs to; a body over 256 kB stands once per segment in a block of its own and is referred to by digest. Its
last block is its index: where each other block is, with its digest. So a segment stands alone.

The manifest is there from the start, unsealed. Sealing lists the segments with the digests of their indexes, and counts. So cutting anything
anywhere is noticed, and what was written before can still be had, by `read(…, salvage=True)`: exactly the whole blocks. Old segments may be
dropped by retention; the manifest says which, and their event numbers are no holes.

Where recipients are given, every block is encrypted to them, and the snapshots too (`encryption`); a reader brings a `Keyring`.

    shapes, codec, formats    records ↔ msgpack, older formats     segments, open_segment    files of blocks, read and written
    blocks, index             zstd frames, where they are          salvaging                 what is whole without a seal
    encryption, keyring       blocks ↔ ciphertext, keys            writer, reading, disk     the two ends
    rotating                  other recipients, same blocks      suspecting               what still looks like a secret
    manifest, retention       manifest.json, what was dropped      joining, counts           records → exchanges, gaps, counts
    packing, snapshots        a folder → tar.zst[.enc]             verification, numbering   what is wrong with an archive
    sealed, sharing           other files, encrypted alike; what a reader is handed
    roll                      the exchanges again, fast and unchecked
    losses                    failed writes → gaps                 extraction, naming, gitfiles, gitconfig    a tar → a folder, safely

A gap of reason `not written` or `shed` accounts for as many event numbers as it counts, from its event on. An exchange that a `not written`
one names is never given as whole, nor is a stream over whose time a damaged block lies: it would look shorter than it was.
"""

from replay.archive.catalogue import Beside, Catalogue, Place, Shelf
from replay.archive.codec import UnwritableError
from replay.archive.encryption import LockedError
from replay.archive.extraction import Extraction, Limits, extract
from replay.archive.formats import FORMAT, NewerFormatError
from replay.archive.joining import Joined
from replay.archive.keyring import Key, Keyring, key_id, load_key, make_key, save_key
from replay.archive.manifest import Dropped
from replay.archive.packing import Packed, pack_snapshot
from replay.archive.reading import Archive, CutError, is_archive, read
from replay.archive.roll import Reference, Roll, Slip
from replay.archive.rotating import change_recipients, recipients_of
from replay.archive.sealed import read_sealed, write_sealed
from replay.archive.sharing import narrowed, public_keys
from replay.archive.snapshots import SnapshotError
from replay.archive.suspecting import LeftSecret
from replay.archive.verification import Verification, verify
from replay.archive.writer import ArchiveWriter

__all__ = [
    "FORMAT",
    "Archive",
    "ArchiveWriter",
    "Beside",
    "Catalogue",
    "CutError",
    "Dropped",
    "Extraction",
    "Joined",
    "Key",
    "Keyring",
    "LeftSecret",
    "Limits",
    "LockedError",
    "NewerFormatError",
    "Packed",
    "Place",
    "Reference",
    "Roll",
    "Shelf",
    "Slip",
    "SnapshotError",
    "UnwritableError",
    "Verification",
    "change_recipients",
    "extract",
    "is_archive",
    "key_id",
    "load_key",
    "make_key",
    "narrowed",
    "pack_snapshot",
    "public_keys",
    "read",
    "read_sealed",
    "recipients_of",
    "save_key",
    "verify",
    "write_sealed",
]
