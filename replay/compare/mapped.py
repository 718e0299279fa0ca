"""
Answers out of a mapped cell, as they would have been at the recorded paths.

Where a host makes no namespaces, the replayed daemon's workspace lies elsewhere than the recorded one, and its answers name that place. Before
comparing, that one path is written back to the recorded one, so that the cell's doing is no finding. A namespace cell needs none of this.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from replay.model import Exchange, Response


def is_mapped(facts: Mapping[str, Any]) -> bool:
    """Whether an observed archive is out of a cell whose workspace lay elsewhere."""
    here, recorded = facts.get("workspace"), facts.get("recorded_workspace")
    return isinstance(here, str) and isinstance(recorded, str) and bool(here) and here != recorded


def unmap(exchange: Exchange, facts: Mapping[str, Any]) -> Exchange:
    """Give an exchange with the cell's workspace path replaced by the recorded one; as it is where the paths are the same."""
    outcome = exchange.outcome
    if not is_mapped(facts) or not isinstance(outcome, Response):
        return exchange
    here, recorded = str(facts["workspace"]), str(facts["recorded_workspace"])
    one, two = here.encode("utf-8", "surrogateescape"), recorded.encode("utf-8", "surrogateescape")
    body = None if outcome.body is None else outcome.body.replace(one, two)
    headers = tuple((name, value.replace(one, two)) for name, value in outcome.headers)
    return replace(exchange, outcome=replace(outcome, body=body, headers=headers))
