"""`report` and `explain` as they are called."""

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from replay import runs
from replay.cli import application
from replay.model import UsageError
from replay.runs import Run


def test_report_writes_what_was_asked_for(tmp_path: Path, sample: Run) -> None:
    """Format, bodies and an older run reach the report; another format with an older run is refused."""
    runs.save(sample, tmp_path / "new.run")
    runs.save(replace(sample, causes=sample.causes[1:]), tmp_path / "old.run")

    def called(*words: str) -> str:
        result = CliRunner().invoke(application, list(words), catch_exceptions=False)
        assert result.exit_code == 0
        return result.output

    assert "**1 new**, 0 gone" in called("report", str(tmp_path / "new.run"), "--format", "markdown", "--against", str(tmp_path / "old.run"))
    assert "Prefers dark roast" in called("report", str(tmp_path / "new.run"), "--format", "html", "--bodies", "full")
    assert "heron" not in called("report", str(tmp_path / "new.run"), "--format", "html", "--bodies", "none")
    assert called("explain", str(tmp_path / "new.run"), sample.causes[0].id).startswith(sample.causes[0].id)
    with pytest.raises(UsageError, match="only `--format markdown`"):
        called("report", str(tmp_path / "new.run"), "--against", str(tmp_path / "old.run"))
