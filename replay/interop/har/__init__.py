"""
HAR 1.2 (`.har`), in and out.

How this works
--------------
Out: each exchange becomes an entry that any HAR reader understands (`entries`, bodies by `bodies`), and `_parity` beside it carries what
HAR has no word for: event numbers, exact times, connections, the end, chunks, redactions, and every byte that the HAR fields themselves
could not bring back. So our own export comes back equal.

In: `source` reads the file, `access` takes values out of it with the place of each for errors. An entry with `_parity` is read by `own`;
any other by `foreign`, which takes what the file says, leaves open what it does not say, and notes on each exchange what was lost: browsers
decode bodies but keep `content-encoding`, join repeated headers, leave out big bodies, write status 0 where no answer came. Nothing is made
up. `reading` numbers and writes the archive.

What a HAR never holds: snapshots, workspace files, attachments, statistics, bindings. Their event numbers come back as a gap.
"""

from replay.interop.har.reading import HarReport, import_har
from replay.interop.har.writing import HarExport, export_har

__all__ = ["HarExport", "HarReport", "export_har", "import_har"]
