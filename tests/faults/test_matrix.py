"""The fault matrix, once through; `matrix.py` runs it as often as wanted."""

import asyncio
from pathlib import Path
from typing import Final

import pytest

from tests.faults.matrix import References, run
from tests.faults.strikes import FAULTS, Fault

TIMES: Final = 1


@pytest.fixture(scope="module")
def references() -> References:
    """Give a place to keep what a bare mitmdump did with the same requests."""
    return {}


@pytest.mark.slow
@pytest.mark.parametrize("number", range(TIMES))
@pytest.mark.parametrize("fault", [pytest.param(fault, id=fault.name) for fault in FAULTS if not fault.known])
def test_what_a_fault_leaves(fault: Fault, number: int, references: References, tmp_path: Path) -> None:
    """Clients are served as by a bare mitmdump, and what the archives say is what the client knows; a loss is counted."""
    if lack := asyncio.run(fault.lacks()):
        pytest.skip(lack)
    result = asyncio.run(run(fault, f"test.{number}", tmp_path, references))
    assert result.wrong == []
