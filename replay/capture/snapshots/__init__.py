"""
The snapshot of a live workspace, redacted like the records, taken by a process of its own.

How this works
--------------
The writer starts `python -P -m replay.capture.snapshots` (`SnapshotProcess`) and goes on; the answer comes on a pipe. The process copies
the workspace within limits (`replay.workspace.copies`), replaces secrets in the copy and packs it into the archive's folder. The
workspace is never written to, and the daemon's own secret files are never copied.

What is secret: whatever the redactor finds in texts as in the traffic, columns by their names, values that the store of secrets holds
wherever they stand (`masking`), in cells (`replay.workspace.scrubbing`), files and their names (`tree`). The store itself and the key
that signs tokens are made again (`stores`). What can't be changed in place goes as a whole and is said: a git history (`history`), a
compressed file (`compressed`).

Limits: weak passwords in prose are not known for what they are; binary files and cells other than archives are searched by shape only, not
under encodings or compression of their own; so are archives in archives, UTF-16, and the SQL that a table or view was made by. A git index
keeps the hashes of files as they were, so a tracked file in which a secret was replaced counts as changed; one that names a secret goes.
"""

from replay.capture.snapshots.orders import SnapshotOrder, SnapshotResult
from replay.capture.snapshots.starting import SnapshotProcess

__all__ = ["SnapshotOrder", "SnapshotProcess", "SnapshotResult"]
