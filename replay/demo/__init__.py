"""
An embedded pair of small Signet-like daemons, and a client that exercises them.

Real as far as they go: own processes on real ports, SQLite with full-text search and a job table with a background worker,
a secrets file in the daemon's format, event streams, `/mcp`, bearer tokens, a file watcher, a git repository.
`python -m replay.demo.daemon --runtime js|rust` is one program; how the `rust` runtime differs is `differences`, each row with
where it is known from, and what may be broken on purpose is `faults`. `python -m replay.demo.client` is the client.
`birth.make_workspace` makes the state that they start from.
"""

from replay.demo.birth import make_workspace
from replay.demo.differences import DIFFERENCES, Difference, Place
from replay.demo.faults import FAULTS, Fault, evidence
from replay.demo.schema import DRAINED

__all__ = ["DIFFERENCES", "DRAINED", "FAULTS", "Difference", "Fault", "Place", "evidence", "make_workspace"]
