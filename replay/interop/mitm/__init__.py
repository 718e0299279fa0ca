"""
mitmproxy's flow files (`.mitm`), in and out.

How this works
--------------
`source` reads flow states from a file, compressed or not, and knows the place where one is damaged. `state` turns one state into the
parts of an exchange and back: `rebuild` makes a whole flow state from an exchange alone, and what it does not hit (`subtract`) is kept
as the exchange's opaque part, so that `add` gives the very same state back. So nothing that a flow file holds is lost, and nothing is
kept twice. `reading` numbers the events from the flows' own times and writes the archive, `writing` makes flow files, `review` makes
those of a judged run.

Open exported files with plain `mitmweb -n -r FILE`, never with a `reverse:` mode: there mitmproxy rewrites the flows it loads.
"""

from replay.interop.mitm.reading import ImportReport, import_mitm
from replay.interop.mitm.review import export_run
from replay.interop.mitm.writing import export_mitm

__all__ = ["ImportReport", "export_mitm", "export_run", "import_mitm"]
