"""
The daemon's own files: what it keeps on disk, read and written as it does it, without speaking to it.

`secrets` is the store of secrets, `tokens` what opens doors (bearer tokens and API keys), `databases` SQLite read-only and
by its backup interface, `agent_yaml` the configuration, `copies` a consistent copy of all of it, `scrubbing` takes secrets out of
a database's copy.
Nothing here looks at the host's own identity unless it is asked by path: machine ids are given.
"""

from replay.workspace.agent_yaml import CONFIGURATION_NAMES, find_configuration, parse_configuration, read_configuration
from replay.workspace.copies import Copied, CopyLimitError, CopyLimits, copy_workspace
from replay.workspace.databases import backup, is_sqlite, open_read_only
from replay.workspace.scrubbing import Mask, scrub_database

__all__ = [
    "CONFIGURATION_NAMES",
    "Copied",
    "CopyLimitError",
    "CopyLimits",
    "Mask",
    "backup",
    "copy_workspace",
    "find_configuration",
    "is_sqlite",
    "open_read_only",
    "parse_configuration",
    "read_configuration",
    "scrub_database",
]
