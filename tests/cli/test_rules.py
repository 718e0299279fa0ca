"""`rules` and `strength`: what exceptions do, and what they would hide."""

import json
from pathlib import Path
from typing import Any

import pytest

BODY = b'{"kept":true,"name":"alpha beta","count":%d,"items":["one","two"]}'
RULE = """[[rule]]
id = "count"
path = "$.count"
%s
verdict = "documented"
reason = "counted otherwise"
owner = "us"
until = 2099-01-01
"""


@pytest.fixture
def run(tmp_path: Path, pair: Any, signet_parity: Any) -> Path:
    """Give a run in which one number differs."""
    recorded, observed = pair(BODY % 7, BODY % 9)
    assert signet_parity("compare", recorded, observed, "--run", tmp_path / "run").code == 1
    return tmp_path / "run"


def test_a_narrow_rule_is_tried(run: Path, tmp_path: Path, signet_parity: Any) -> None:
    """What a rule would silence is told in divergences and in planted faults, and the run stays as it is."""
    rules, before = tmp_path / "rules.toml", (run / "run.json").read_bytes()
    rules.write_text(RULE % 'kinds = ["value"]')
    tried = signet_parity("rules", "try", rules, "--run", run, "--mutants", 60)

    assert tried.code == 0, tried.out
    assert "would silence 1 open divergences at 1 places" in tried.out
    assert "would silence #1 GET /api/memories value at $.count: 7 → 9" in tried.out
    assert "of 60 faults planted" in tried.out
    assert (run / "run.json").read_bytes() == before


def test_a_rule_that_hides_more_than_it_says_is_told(run: Path, tmp_path: Path, signet_parity: Any) -> None:
    """A rule without kinds or path also lets faults of other kinds through: exit 1, and they are shown."""
    rules = tmp_path / "rules.toml"
    rules.write_text((RULE % "").replace('path = "$.count"\n', ""))
    tried = signet_parity("rules", "try", rules, "--run", run, "--mutants", 40)

    assert tried.code == 1
    assert "another kind than it silences" in tried.out


def test_without_archives_only_divergences_are_tried(run: Path, tmp_path: Path, signet_parity: Any) -> None:
    """Where the run's archives are gone it says so; archives of another run are refused."""
    rules = tmp_path / "rules.toml"
    rules.write_text(RULE % 'kinds = ["value"]')
    recorded, observed = tmp_path / "recorded.parity", tmp_path / "moved.parity"
    (tmp_path / "observed.parity").rename(observed)

    gone = signet_parity("rules", "try", rules, "--run", run)
    found = signet_parity("rules", "try", rules, "--run", run, "--archives", recorded, "--archives", observed, "--mutants", 5)
    wrong = signet_parity("rules", "try", rules, "--run", run, "--archives", observed, "--archives", recorded)

    assert "no faults were planted" in gone.out
    assert "of 5 faults planted" in found.out
    assert wrong.code == 2
    assert "is not the recorded archive of this run" in wrong.err


def test_rules_are_listed_with_what_they_do(run: Path, tmp_path: Path, signet_parity: Any) -> None:
    """With a run each rule is told with how many findings it covers and decides; judged by it, the run is another one."""
    rules = tmp_path / "rules.toml"
    rules.write_text(RULE % "" + (RULE % 'kinds = ["order"]').replace('"count"', '"never"') + '[[compare]]\nroute = "GET /x"\nmode = "bytes"\n')
    listed = signet_parity("rules", "list", rules, "--run", run)

    assert "covers 1, decides 1 at 1 places on 1 routes" in listed.out
    assert "note: unused" in listed.out
    assert "compare GET /x: bytes" in listed.out
    assert signet_parity("judge", run, "--rules", rules).code == 0
    assert json.loads((run / "run.json").read_text())["rule_uses"][0]["decided"] == 1


def test_strength_is_measured_and_kept(run: Path, tmp_path: Path, signet_parity: Any) -> None:
    """Faults are planted one at a time and counted by route; with a run the figures are kept in it."""
    words = ("strength", tmp_path / "recorded.parity", tmp_path / "observed.parity", "--mutants", 80, "--run", run)
    told, again = signet_parity(*words), signet_parity(*words, "--json")
    kept = json.loads((run / "run.json").read_text())["strength"]

    assert told.code == 0, told.out
    assert "let through" in told.out
    assert [(one["route"], one["planted"], one["found"]) for one in json.loads(again.out)] == [("GET /api/memories", 80, 80)]
    assert kept == json.loads(again.out)
