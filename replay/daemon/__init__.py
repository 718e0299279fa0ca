"""
Daemons of a replay: described in TOML, started in a cell of their own, waited for, stopped.

How to read it
--------------
`spec` and `load`: a description. `cell`: runs one with a player (`layout` prepares on the host, `cell_init` is the cell's first
process, `root` its file tree). `running`: a daemon on the host, to record from. `target`: a daemon that somebody else started.
"""

from replay.daemon.cell import RECORDED_PORT, CellReport, StartedCell, probe_namespaces, run_cell, started_cell
from replay.daemon.load import builtin_daemons, load_daemon
from replay.daemon.running import Running, running
from replay.daemon.spec import Companion, DaemonSpec, Drained, Mount, Poller, Ready
from replay.daemon.target import MARKER, Target, check_target

__all__ = [
    "MARKER",
    "RECORDED_PORT",
    "CellReport",
    "Companion",
    "DaemonSpec",
    "Drained",
    "Mount",
    "Poller",
    "Ready",
    "Running",
    "StartedCell",
    "Target",
    "builtin_daemons",
    "check_target",
    "load_daemon",
    "probe_namespaces",
    "run_cell",
    "running",
    "started_cell",
]
