"""The plan of the real recording."""

import warnings
from pathlib import Path

import pytest

from replay.archive import read
from replay.identity import Bindings, learn
from replay.model import GapReason, Response
from replay.plan import plan


@pytest.mark.samples
def test_the_real_recording_is_planned_whole(samples: Path, tmp_path: Path) -> None:
    """Every flow is a step or a gap with a reason, the ids used later are traced to their answers, and an answer teaches itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # mitmproxy's own
        from replay.interop.mitm import import_mitm
    import_mitm(samples / "js.mitm.xz", tmp_path / "js.parity")
    recorded = read(tmp_path / "js.parity")
    everything = plan(recorded, allow=frozenset({"all"}))
    assert (everything.planned, len(everything.steps)) == (931, 931)
    assert sum(bool(step.needs) for step in everything.steps) > 90
    careful = plan(recorded)
    assert careful.planned == 931
    assert {gap.reason for gap in careful.gaps} == {GapReason.UNSAFE, GapReason.DEPENDENCY}
    bindings = Bindings()
    for step in everything.steps:
        outcome = step.exchange.outcome
        if isinstance(outcome, Response):
            learn(outcome, outcome, bindings, step.exchange.id, chosen=everything.chosen)
    assert bindings.contradictions == []
    assert len(bindings) > 800
