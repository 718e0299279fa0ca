"""Where a replay puts what it observed."""

from pathlib import Path

import pytest

from replay.jobs.replaying import _bring_out
from replay.model import UsageError


def test_an_observed_archive_never_goes_into_another(tmp_path: Path) -> None:
    """Of two replays to one place the later one keeps its archive where it was written, and says where."""
    for name, content in (("written", "late"), ("observed.parity", "early")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text(content)
    with pytest.raises(UsageError, match=r"observed\.parity: what was observed can't be put there .* it is kept in .*written"):
        _bring_out(tmp_path / "written", tmp_path / "observed.parity")
    assert [path.name for path in (tmp_path / "observed.parity").iterdir()] == ["manifest.json"]
    assert (tmp_path / "observed.parity" / "manifest.json").read_text() == "early"
    assert (tmp_path / "written" / "manifest.json").read_text() == "late"
