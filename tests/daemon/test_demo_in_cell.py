from pathlib import Path
from typing import Any

import pytest

from replay.daemon import load_daemon, run_cell
from replay.demo.birth import make_workspace


@pytest.mark.usefixtures("namespaces")
@pytest.mark.parametrize("name", ["demo-js", "demo-rust"])
def test_the_demo_pair_lives_in_a_cell(bench: Any, name: str, tmp_path: Path) -> None:
    """Both demo daemons come up on a fresh workspace at a recorded path, tell that path, and are drained."""
    make_workspace(tmp_path / "born", 7)
    code = """
import contextlib, sqlite3
seen["workspace"] = get("/health").get("agentsDir")
for each in facts["drained"]:
    with contextlib.closing(sqlite3.connect(f"file:{each['database']}?mode=ro", uri=True)) as connection:
        seen[each["worker"]] = connection.execute(each["sql"]).fetchone()[0]
"""
    report = run_cell(
        load_daemon(name, environment={}),
        state=tmp_path / "born",
        recorded_workspace="/srv/demo/workspace",
        player=bench.player(code),
        scratch=tmp_path / "scratch",
        writable=[tmp_path / "out"],
    )
    seen = bench.seen()
    assert report.player_exit == 0
    assert report.daemon_exit == 0
    assert seen["workspace"] in {"/srv/demo/workspace", None}
    assert seen["worker"] == 0
