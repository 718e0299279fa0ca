"""
The archive: a recording, or what a replay observed, as a folder of files.

How this works
--------------
A folder (0700, files 0600) holds `manifest.json`, segments and snapshots. A segment is a row of *blocks*, each one standard zstd frame with
a checksum (`zstd -dc` reads it anywhere) of whole msgpack maps, each with a `type` and the field names of a record of `replay.model`.
Its first block says what it belongs to; a body over 256 kB stands once per segment in a block of its own and is referred to by digest.

The manifest is there from the start, unsealed. Sealing writes the index of blocks with their digests, and counts. So cutting anything
anywhere is noticed, and what was written before can still be had, by `read(…, salvage=True)`: exactly the whole blocks.

    shapes, codec      records ↔ msgpack           segments, salvaging     files of blocks, with and without an index
    blocks             zstd frames                 writer, reading, disk   the two ends
    manifest           manifest.json               joining, counts         records → exchanges, gaps, counts
    packing            a folder → tar.zst          verification, numbering what is wrong with an archive
    losses             failed writes → gaps        extraction, naming, gitfiles, gitconfig    a tar → a folder, safely

A gap of reason `not written` accounts for as many event numbers as it counts, from its event on. An exchange that one names is never given
as whole, nor is a stream over whose time a damaged block lies: it would look shorter than it was.

Format 0 is not frozen; encryption is declared by a suffix and refused.
"""

from replay.archive.codec import FORMAT
from replay.archive.extraction import Extraction, Limits, extract
from replay.archive.joining import Joined
from replay.archive.reading import Archive, is_archive, read
from replay.archive.verification import LeftSecret, Verification, verify
from replay.archive.writer import ArchiveWriter

__all__ = [
    "FORMAT",
    "Archive",
    "ArchiveWriter",
    "Extraction",
    "Joined",
    "LeftSecret",
    "Limits",
    "Verification",
    "extract",
    "is_archive",
    "read",
    "verify",
]
