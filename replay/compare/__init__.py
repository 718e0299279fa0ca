"""Pair, make comparable, and find what differs. Knows no rules and learns no noise: what is tolerated is a counted relation."""

from replay.compare.agreeing import agreement
from replay.compare.answers import answer_of, body_text
from replay.compare.archives import (
    Comparison,
    Partners,
    compare_archives,
    find,
    findings_of,
    partners_of,
)
from replay.compare.difference import Difference
from replay.compare.witness import hear

__all__ = [
    "Comparison",
    "Difference",
    "Partners",
    "agreement",
    "answer_of",
    "body_text",
    "compare_archives",
    "find",
    "findings_of",
    "hear",
    "partners_of",
]
