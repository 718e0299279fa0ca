"""Findings made by hand."""

from collections.abc import Callable
from typing import Any

import pytest

from replay.model import DifferenceClass, Finding, Subject, Witness


def make_finding(**changes: Any) -> Finding:
    """Make a finding of the candidate: a memory's score differs."""
    values: dict[str, Any] = {
        "check": "http",
        "subject": Subject("exchange", "1"),
        "domain": "read",
        "route": "POST /api/memory/recall",
        "difference": DifferenceClass.SEMANTIC,
        "kind": "value",
        "path": "$.results[*].score",
        "at": "$.results[0].score",
        "primary": "0.5",
        "candidate": "0.6",
        "transition": "number",
        "witness": Witness.CANDIDATE,
    }
    return Finding(**{**values, **changes})


@pytest.fixture
def finding() -> Callable[..., Finding]:
    """Give the maker of findings."""
    return make_finding
