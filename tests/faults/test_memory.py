"""mitmdump's memory while its writer stands still; `memory.py` says more."""

import asyncio
from pathlib import Path

import pytest

from tests.faults import memory


@pytest.mark.slow
def test_a_writer_that_stands_still(tmp_path: Path) -> None:
    """Clients notice nothing, mitmdump does not grow, and what was left out is counted and said aloud."""
    report = asyncio.run(memory.run(20, "test", tmp_path))
    assert report.wrong == []
