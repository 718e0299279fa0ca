"""Evidence over time: counts of a run, the append-only ledger, the checklist, the gate's decision."""

from replay.evidence.tally import DomainTally, FeatureTally, Tally, box, domains, features, verdicts_by_exchange

__all__ = ["DomainTally", "FeatureTally", "Tally", "box", "domains", "features", "verdicts_by_exchange"]
