"""The demo's two daemons replayed at once, in turns."""

from dataclasses import replace
from pathlib import Path

import pytest

from replay.archive import read
from replay.daemon import probe_namespaces
from replay.jobs.replaying import replay_archive
from replay.jobs.tour import demo_order
from replay.model import Exchange, Statistics


def silent(_what: str, _done: int, _of: int) -> None:
    """Hear of progress and say nothing."""


def spans(exchanges: list[Exchange]) -> list[tuple[float, float, int]]:
    """Give when each exchange was sent and ended, streams left out: they stay open while others go on."""
    return [(each.started_at, each.ended_at, each.id) for each in exchanges if not each.streamed]


@pytest.mark.skipif(probe_namespaces() is not None, reason="this host makes no namespace cells")
def test_no_two_service_times_of_a_pair_overlap(demo_folder: Path, tmp_path: Path) -> None:
    """Candidate and control are asked the same, one after the other; both archives count the turns, and each side is first as often."""
    places = [tmp_path / "candidate.parity", tmp_path / "control.parity"]
    order = replace(demo_order(demo_folder, "pair", "rust", ()), observed=places[0], control_daemon="demo-js", control_observed=places[1])
    replayed = replay_archive(order, silent)
    assert replayed.exit_code == 0, replayed.text
    archives = [read(place) for place in places]
    assert archives[0].facts["planned"] == archives[1].facts["planned"] > 100
    assert [archive.facts["daemon"]["name"] for archive in archives] == ["demo-rust", "demo-js"]
    one, other = (spans(archive.exchanges()) for archive in archives)
    assert [(a[2], b[2]) for a in one for b in other if a[0] < b[1] and b[0] < a[1]] == []
    began = {number: at for at, _, number in other}
    first = [at < began[number] for at, _, number in one if number in began]
    assert abs(2 * sum(first) - len(first)) <= 10
    for archive in archives:
        counted = [record.values for record in archive.records() if isinstance(record, Statistics)][-1]
        assert counted["turns"] > 100
        assert counted.get("turns_not_taken", 0) == 0
    assert "0 exchanges not interleaved" in replayed.text
