"""Pair, make comparable, and find what differs. Knows no rules and learns no noise: what is tolerated is a counted relation."""

from replay.compare.agreeing import agreement
from replay.compare.answers import answer_of, body_text
from replay.compare.archives import (
    Comparison,
    compare_archives,
    find,
    findings_of,
)
from replay.compare.difference import Difference
from replay.compare.modes import Modes
from replay.compare.partners import Partners, Whole, partners_of
from replay.compare.rows import Rows, changed, rows_of
from replay.compare.witness import hear

__all__ = [
    "Comparison",
    "Difference",
    "Modes",
    "Partners",
    "Rows",
    "Whole",
    "agreement",
    "answer_of",
    "body_text",
    "changed",
    "compare_archives",
    "find",
    "findings_of",
    "hear",
    "partners_of",
    "rows_of",
]
