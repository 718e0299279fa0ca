"""Evidence over time: counts of a run, the append-only ledger, the checklist, the gate's decision."""

from replay.evidence.gate import Decision, Item, Policy, checklist, gate, streak
from replay.evidence.history import history
from replay.evidence.ledger import Counts, Entry, append, entry_from, entry_of_failure, head_path, read, verify
from replay.evidence.tally import DomainTally, FeatureTally, Tally, box, domains, features, verdicts_by_exchange

__all__ = [
    "Counts",
    "Decision",
    "DomainTally",
    "Entry",
    "FeatureTally",
    "Item",
    "Policy",
    "Tally",
    "append",
    "box",
    "checklist",
    "domains",
    "entry_from",
    "entry_of_failure",
    "features",
    "gate",
    "head_path",
    "history",
    "read",
    "streak",
    "verdicts_by_exchange",
    "verify",
]
