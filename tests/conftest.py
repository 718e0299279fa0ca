"""What all tests share."""

from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine makes any deadline a coin toss; examples are drawn the same way each time.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")


@pytest.fixture(scope="session")
def samples() -> Path:
    """Give the folder of real recordings; the test is skipped, and says so, where it is not there."""
    folder = Path(__file__).parents[1].parent / "shared" / "samples"
    if not (folder / "js.mitm.xz").is_file():
        pytest.skip("the real recordings (../shared/samples) are not on this machine")
    return folder
