"""Redaction of records one by one, until streams are redacted across their chunks."""

from dataclasses import dataclass
from pathlib import Path

from replay.model import Record, UsageError
from replay.redact import Redactor, redact_record


@dataclass(frozen=True, slots=True)
class Rules:
    """No rules of one's own yet."""

    digest: str = ""


def load_rules(path: Path) -> Rules:
    """
    Refuse.

    Raises:
        UsageError: always.
    """
    raise UsageError(f"{path}: rules of one's own are not there yet; record without parity_redact_rules")


class RecordRedactor:
    """Redacts records one by one."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor

    def feed(self, record: Record, route: str) -> list[Record]:
        """Give the record without its secrets."""
        return [redact_record(self._redactor, record, route)]

    def idle(self) -> list[Record]:
        """Give what was held; nothing is."""
        return []

    def flush(self) -> list[Record]:
        """Give what was held; nothing is."""
        return []
