"""Errors that say whose fault it is. Each ends a command with exit code 2; anything else is a bug in the tool and ends it with 70."""


class ParityError(Exception):
    """Could not do what was asked: the text says what happened, where, and what to do."""


class UsageError(ParityError):
    """The caller's words or configuration are off."""


class ArchiveError(ParityError):
    """A file is not an archive, is damaged, cut, or newer than this tool."""


class DaemonError(ParityError):
    """A daemon did not start, died, hung, or is one that must not be touched."""


class RuleError(ParityError):
    """A rules or noise file can't be used as it stands."""
