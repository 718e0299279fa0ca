"""A run on disk."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.model import (
    Answer,
    Cluster,
    DifferenceClass,
    Divergence,
    Finding,
    IdMapping,
    Pair,
    Relation,
    Subject,
    UsageError,
    Verdict,
    Witness,
)
from replay.runs import Answers, Canaries, Party, Run, begin, check_place, give_up, is_run, load, save

ODD = "line\u2028end \ud800 \x00 \u202e \N{PILE OF POO}"


def make_run(text: str = ODD) -> Run:
    """Give a run that uses every field, with odd text in it."""
    mapping = IdMapping("uuid", "a", "b", f"#1 {text}")
    finding = Finding(
        "http", Subject("exchange", "1"), "read", "GET /x", DifferenceClass.SEMANTIC, "value", "$.a", "$.a", json.dumps(text), None, "1",
        "integer → absent", Witness.CANDIDATE, "q-x", (mapping,), "of #1",
    )  # fmt: skip
    state = Finding("state", Subject("row", "t/1"), "write", None, DifferenceClass.STRUCTURAL, "missing-row", "t", "t", "1", None)
    cluster = Cluster(
        "c-1", "http", text, "read", "GET /x", DifferenceClass.SEMANTIC, Verdict.OPEN, text, "$.a", "value", "1", None, 1,
        (Subject("exchange", "1"),), "c-0", "1", "$.a", (mapping,), 9, ("read", "write"), ("GET /x",),
    )  # fmt: skip
    party = Party("recorded", "a-1", "rec.parity", "sha256:aa", "js 1", 1.5, 2)
    answer = Answer(200, (("content-type", text),), text, 7, "text/plain", 1.25, "")
    return Run(
        recorded=party,
        observed=replace(party, name="observed", salvaged=True, cell="namespace"),
        control=None,
        verdict="fail",
        because=text,
        started_at=2.5,
        seed=3,
        tool="t",
        pairs=(
            Pair(1, "read", "GET /x", "GET", text, None, worst=DifferenceClass.SEMANTIC, findings=1, primary_ms=1.0, events=(("primary", 1.5),)),
            Pair(2, "read", "GET /x", "GET", "/x", "unsafe", "because"),
            Pair(3, "read", "GET /x", "GET", "/x", None),
        ),
        findings=(finding, state),
        divergences=(Divergence(finding, Verdict.OPEN, text, "c-1"), Divergence(state, Verdict.DOCUMENTED, "rule", "c-2", "rule-1")),
        clusters=(cluster,),
        answers=(Answers(1, "GET", text, (("a", "b"),), "", answer, None, answer),),
        relations=(Relation("mapped id", "GET /x", "$.id", 4),),
        not_compared=(("header date", 3),),
        timing=(("over 2x", 1),),
        rules_unused=("r",),
        canaries=Canaries(2, 1, 0, (text,)),
    )


def test_a_run_comes_back_as_it_was(tmp_path: Path) -> None:
    """What was saved is loaded as an equal value, private to its owner."""
    save(make_run(), tmp_path / "run")
    assert load(tmp_path / "run") == make_run()
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "run").iterdir()} == {0o600}


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_comes_back(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """Whatever characters the traffic held, the run comes back equal."""
    path = tmp_path_factory.mktemp("run") / "run"
    save(make_run(text), path)
    assert load(path) == make_run(text)


def test_counts_hold_together() -> None:
    """Planned is compared and gaps; identical is compared without findings."""
    run = make_run()
    assert (run.planned, run.compared, run.identical, run.gaps) == (3, 2, 1, {"unsafe": 1})


def test_a_run_may_be_saved_again(tmp_path: Path) -> None:
    """A run replaces a run, as `judge RUN` does."""
    save(make_run(), tmp_path / "run")
    save(replace(make_run(), verdict="pass"), tmp_path / "run")
    assert load(tmp_path / "run").verdict == "pass"


def test_other_directories_and_files_are_left_alone(tmp_path: Path) -> None:
    """A directory with something else in it, or a file, is refused and untouched; an empty directory is taken."""
    (tmp_path / "precious.txt").write_text("mine")
    for path in (tmp_path, tmp_path / "precious.txt"):
        with pytest.raises(UsageError, match="is there and is no run"):
            save(make_run(), path)
    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]
    (tmp_path / "empty").mkdir()
    save(make_run(), tmp_path / "empty")
    assert is_run(tmp_path / "empty")


def _drop_line(path: Path) -> None:
    lines = path.read_text("utf-8", "surrogateescape").splitlines(keepends=True)
    path.write_text("".join(lines[:-1]), "utf-8", "surrogateescape")


def _newer(path: Path) -> None:
    head = json.loads((path / "run.json").read_text())
    (path / "run.json").write_text(json.dumps({**head, "format": 99}))


def _without(path: Path, key: str) -> None:
    head = json.loads((path / "run.json").read_text())
    del head[key]
    (path / "run.json").write_text(json.dumps(head))


def _spoil(path: Path, name: str, text: str) -> None:
    (path / name).write_text(text)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: (path / "run.json").unlink(),
        lambda path: (path / "pairs.jsonl").unlink(),
        lambda path: _drop_line(path / "divergences.jsonl"),
        lambda path: _drop_line(path / "findings.jsonl"),
        lambda path: _spoil(path, "run.json", ""),
        lambda path: _spoil(path, "run.json", "[]"),
        lambda path: _spoil(path, "run.json", "{"),
        lambda path: _spoil(path, "clusters.jsonl", "{}\n"),
        lambda path: _spoil(path, "clusters.jsonl", "7\n"),
        lambda path: (path / "pairs.jsonl").write_bytes(b"\xff\xfe\n"),
        _newer,
        lambda path: _without(path, "format"),
        lambda path: _without(path, "recorded"),
        lambda path: _without(path, "verdict"),
    ],
)
def test_a_damaged_run_is_a_usage_error(tmp_path: Path, spoil: Callable[[Path], Any]) -> None:
    """A missing, cut, foreign or newer file of a run is told in words, never a crash and never a run."""
    path = tmp_path / "run"
    save(make_run(), path)
    spoil(path)
    with pytest.raises(UsageError, match=r"no run|damaged run|another version|judgements"):
        load(path)


def test_a_full_disk_leaves_the_earlier_run(tmp_path: Path) -> None:
    """Where a run can't be written whole, the one that was there still is, with nothing beside it."""
    save(make_run(), tmp_path)
    files = sorted(path.name for path in tmp_path.iterdir())
    (tmp_path / "clusters.jsonl.draft").symlink_to("/dev/full")
    with pytest.raises(UsageError, match=r"can't be written \(No space left on device\)"):
        save(replace(make_run(), verdict="pass"), tmp_path)
    assert load(tmp_path) == make_run()
    assert sorted(path.name for path in tmp_path.iterdir()) == files


def test_what_an_interrupted_save_left_is_written_over(tmp_path: Path) -> None:
    """A directory that holds only parts of a run, as a kill leaves it, takes a run."""
    save(make_run(), tmp_path)
    (tmp_path / "run.json").rename(tmp_path / "run.json.draft")
    save(make_run(), tmp_path)
    assert load(tmp_path) == make_run()


@pytest.mark.parametrize("place", ["/proc/none/run", "/dev/null/run", "/" + "a" * 300])
def test_a_place_that_takes_no_run_is_a_usage_error(place: str) -> None:
    """Where no directory can be made, the error names the place."""
    with pytest.raises(UsageError, match=r"can be written there|can't be written"):
        save(make_run(), Path(place))


def test_a_comparison_that_was_cut_short_is_told(tmp_path: Path) -> None:
    """What a killed comparison leaves is no run, may be written over, and the next one knows of it."""
    place = tmp_path / "run"

    assert not begin(place)
    check_place(place)
    assert not is_run(place)
    assert begin(place)
    give_up(place)
    assert not place.exists()
