"""Two recordings of the same planted values under one redaction key."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.secrets.recording import Recorded, record
from tests.secrets.values import draw

SEED = 20_261_123


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> tuple[Recorded, Recorded]:
    """Give them; whoever reads them must leave them as they are."""
    folder: Path = tmp_path_factory.mktemp("secrets")
    secrets = draw(SEED)
    with ThreadPoolExecutor(2) as pool:
        first, second = (pool.submit(record, folder, name, secrets) for name in ("first", "second"))
        return first.result(), second.result()
