"""One comparison at a time writes a run to a place."""

from pathlib import Path

import pytest

from replay.model import UsageError
from replay.runs import claim


def test_a_second_comparison_is_refused(tmp_path: Path) -> None:
    """Two at once would take each other's files away: the second one says so, and the first one's place stays."""
    place = tmp_path / "a.run"
    with claim(place):
        (place / "comparing.draft").touch()
        with pytest.raises(UsageError, match="another comparison"), claim(place):
            pass
        assert (place / "comparing.draft").exists()
    with claim(place):
        pass


def test_nothing_is_left_of_nothing(tmp_path: Path) -> None:
    """A folder in which no run came to be goes again."""
    with claim(tmp_path / "a.run"):
        pass
    assert list(tmp_path.iterdir()) == []
