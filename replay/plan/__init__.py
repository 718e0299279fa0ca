"""
What is replayed, in which order, and what has to be known first. Knows no sockets.

`plan` turns a recording into `Step`s (in the order of their start) and `Gap`s; every recorded exchange becomes exactly one of them.
"""

from replay.plan.births import Births, ids_of_request
from replay.plan.loopbacks import find_loopbacks
from replay.plan.planning import Plan, make_plan, plan
from replay.plan.scope import Dependence, Stretch, depend, find_stretch, keys_of, known_before, lasting_ids
from replay.plan.steps import Laying, Need, Step, Unlaid

__all__ = [
    "Births",
    "Dependence",
    "Laying",
    "Need",
    "Plan",
    "Step",
    "Stretch",
    "Unlaid",
    "depend",
    "find_loopbacks",
    "find_stretch",
    "ids_of_request",
    "keys_of",
    "known_before",
    "lasting_ids",
    "make_plan",
    "plan",
]
"""`plan` for an archive, `make_plan` for exchanges at hand."""
