"""The jobs that wire the rooms: nights, replays of parts, mapped cells, foreign targets, export."""

import datetime as dt
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from replay import runs
from replay.archive import read
from replay.daemon import load_daemon, running
from replay.demo import make_workspace
from replay.evidence import read as read_ledger
from replay.evidence import streak
from replay.evidence import verify as verify_ledger
from replay.jobs.exchanging import bring_in, send_out
from replay.jobs.judging import Basis, compare_run, exit_code, judge_again, load_basis
from replay.jobs.looking import check_archive, describe
from replay.jobs.nightly import run_night
from replay.jobs.replaying import Order, Replayed, replay_archive
from replay.jobs.tour import assess, demo_order, planted
from replay.model import Response, UsageError, Verdict

type Play = Callable[[str, str, tuple[str, ...]], Path]
NOW = dt.datetime(2026, 11, 23, 3, tzinfo=dt.UTC)
RULES = Path(__file__).parents[2] / "recordings" / "tour" / "rules.toml"


def silent(_what: str, _done: int, _of: int) -> None:
    """Hear of progress and say nothing."""


@pytest.fixture(scope="module")
def rust_run(demo_folder: Path, replay_on: Play) -> runs.Run:
    """Give the judged run of the rust half against the js one."""
    observed = replay_on("rust", "rust", ())
    archives = [read(demo_folder / name) for name in ("recording.parity", "rust.parity", "control.parity")]
    run = compare_run(archives[0], archives[1], archives[2:], Basis(), run_path=observed.with_suffix(".run"), seed=1, now=NOW, progress=silent)
    runs.save(run, demo_folder / "rust.run")
    return run


def test_the_rust_half_differs_as_planted_and_no_more(rust_run: runs.Run) -> None:
    """Every planted difference is found in its domain and class, and nothing else is open."""
    missed, unplanned = assess(rust_run, planted("rust", []))

    assert missed == ()
    assert [(item.route, item.path, item.kind) for item in unplanned] == []
    assert exit_code(rust_run) == 1


def test_nothing_disappears(rust_run: runs.Run) -> None:
    """Planned is compared and gaps, in every domain, and each of the nine has several exchanges."""
    assert rust_run.planned == rust_run.compared + sum(rust_run.gaps.values())
    counts = {domain: sum(pair.domain == domain for pair in rust_run.pairs) for domain in {pair.domain for pair in rust_run.pairs}}
    assert len(counts) == 9
    assert min(counts.values()) >= 4


def test_what_was_planted_is_told_in_about_as_many_causes(rust_run: runs.Run) -> None:
    """A fault that shows in many places is told once: there are about as many open causes as planted faults, and no more."""
    opened = [cause for cause in rust_run.causes if cause.verdict is Verdict.OPEN]
    faults = len(planted("rust", []))
    assert faults - 3 <= len(opened) <= faults + 3
    told = [identifier for cause in opened for identifier in cause.clusters]
    assert sorted(told) == sorted(item.id for item in rust_run.clusters if item.verdict is Verdict.OPEN)
    assert len(told) > 2 * len(opened)


def test_all_canaries_sing(rust_run: runs.Run) -> None:
    """Every planted canary is found."""
    assert rust_run.canaries.planted == rust_run.canaries.found > 20


def test_a_run_comes_back_from_disk(rust_run: runs.Run, demo_folder: Path) -> None:
    """What was saved is what is loaded."""
    assert runs.load(demo_folder / "rust.run") == rust_run


def test_judging_again_needs_no_archive(rust_run: runs.Run) -> None:
    """With rules, the same findings get other verdicts, and used rules are told from unused ones."""
    again = judge_again(rust_run, load_basis(RULES, None), now=NOW)

    documented = [item for item in again.clusters if item.verdict is Verdict.DOCUMENTED]
    assert {item.kind for item in documented} >= {"format", "extra-item"}
    assert again.rules_unused == ()
    assert again.findings == rust_run.findings


def test_a_judged_run_is_exported_with_its_verdicts(rust_run: runs.Run, demo_folder: Path, tmp_path: Path) -> None:
    """Two flows for each exchange, pointing at a dead port."""
    said = send_out(demo_folder / "rust.run", tmp_path / "run.mitm", salvage=False)

    assert said.startswith(f"{2 * rust_run.planned} flows")
    assert b"127.0.0.1" in (tmp_path / "run.mitm").read_bytes()


def test_an_archive_goes_out_and_comes_back(demo_folder: Path, tmp_path: Path) -> None:
    """Export and import give the same exchanges."""
    send_out(demo_folder / "recording.parity", tmp_path / "out.mitm", salvage=False)
    bring_in(tmp_path / "out.mitm", tmp_path / "in.parity", first=None, redact=False, snapshot=None, workspace=None, progress=silent)

    before, after = (read(path).exchanges() for path in (demo_folder / "recording.parity", tmp_path / "in.parity"))
    assert [item.request for item in after] == [item.request for item in before]
    assert [item.outcome for item in after] == [item.outcome for item in before]


def test_the_recording_is_whole_and_clean(demo_folder: Path) -> None:
    """The demo's recording is sealed, without holes, and nothing in it looks like a secret."""
    text, good = check_archive(demo_folder / "recording.parity", as_json=True)

    assert good
    assert json.loads(text)["suspects"] == []


def test_inspect_tells_what_is_there(demo_folder: Path) -> None:
    """The listing has a row per exchange, one exchange is shown whole, and an unknown one is an error."""
    listed = json.loads(describe(demo_folder / "recording.parity", None, salvage=False, as_json=True))

    assert listed["count"] == len(listed["exchanges"])
    assert "> Host:" in describe(demo_folder / "recording.parity", 1, salvage=False, as_json=False)
    with pytest.raises(UsageError, match="has no exchange 9999"):
        describe(demo_folder / "recording.parity", 9999, salvage=False, as_json=False)


def test_a_dry_run_says_what_would_be_sent(demo_folder: Path, tmp_path: Path) -> None:
    """Nothing is started; what acts outside is left out by name."""
    order = Order(archive=demo_folder / "recording.parity", observed=tmp_path / "o.parity", daemon="demo-js", dry_run=True)
    text = replay_archive(order, silent).text

    assert re.search(r"leave out +\d+ unsafe", text)
    assert not order.observed.exists()


def test_one_exchange_with_what_it_needs(demo_folder: Path, tmp_path: Path) -> None:
    """`--only` sends an exchange and those that give it its ids; the rest are gaps."""
    target = next(item for item in read(demo_folder / "recording.parity").exchanges() if item.request.target.startswith(b"/api/documents/"))
    order = Order(archive=demo_folder / "recording.parity", observed=tmp_path / "o.parity", daemon="demo-js", only=target.id, allow=("all",))
    replayed = replay_archive(order, silent)

    observed = read(order.observed)
    sent = {item.id for item in observed.exchanges()}
    assert target.id in sent
    assert len(sent) < 10
    assert {str(gap.reason) for gap in observed.gaps()} == {"not asked for"}
    assert replayed.exit_code == 0


def test_a_mapped_cell_is_compared_like_any_other(demo_folder: Path, tmp_path: Path) -> None:
    """Without namespaces the same replay runs on another port and path, says so, and differs in nothing but itself."""
    from dataclasses import replace

    order = replace(demo_order(demo_folder, "mapped", "js", ()), cell="mapped", observed=tmp_path / "mapped.parity")
    replayed = replay_archive(order, silent)

    assert replayed.exit_code == 0, replayed.text
    assert "cell: mapped" in replayed.text
    assert read(order.observed).facts["cell"] == "mapped"


def test_a_foreign_target_is_only_read(demo_folder: Path, tmp_path: Path) -> None:
    """A running daemon gets nothing that could change it; writes need a marker in its workspace."""
    workspace = tmp_path / "ws"
    make_workspace(workspace, 1)
    with running(load_daemon("demo-js"), workspace=workspace, port=_free_port()) as daemon:
        order = Order(archive=demo_folder / "recording.parity", observed=tmp_path / "o.parity", target=daemon.url, allow=("all",))
        replay_archive(order, silent)
        methods = {item.request.method for item in read(order.observed).exchanges()}
        with pytest.raises(UsageError, match="parity-replay-target"):
            replay_archive(Order(archive=order.archive, observed=tmp_path / "w.parity", target=daemon.url, writes=True, allow=("all",)), silent)

    assert methods <= {b"GET", b"HEAD"}


def test_a_candidate_that_dies_at_the_start_says_why(demo_folder: Path, tmp_path: Path) -> None:
    """The end of the daemon's log is in the error, and no observed archive is left."""
    from replay.model import DaemonError

    description = tmp_path / "dying.toml"
    description.write_text('command = ["{python}", "-c", "raise SystemExit(\'out of luck\')"]\n')
    order = Order(archive=demo_folder / "recording.parity", observed=tmp_path / "o.parity", daemon=str(description))

    with pytest.raises(DaemonError, match="out of luck"):
        replay_archive(order, silent)
    assert not order.observed.exists()


def test_a_night_leaves_a_run_a_page_and_a_line(demo_folder: Path, tmp_path: Path) -> None:
    """One night replays on both, judges, writes the reports and appends to a ledger that holds together."""
    config = tmp_path / "nightly.toml"
    config.write_text(
        f'recording = "{demo_folder / "recording.parity"}"\ncandidate = "demo-rust"\ncontrol = "demo-js"\n'
        f'ledger = "ledger.jsonl"\noutput = "nights"\nrules = "{RULES}"\nallow = ["all"]\n'
    )
    night = run_night(config, now=NOW, progress=silent)

    folder = tmp_path / "nights" / "2026-11-23T030000Z"
    assert night.exit_code == 1
    assert {path.name for path in folder.iterdir()} >= {"night.run", "report.html", "report.json", "report.xml"}
    assert json.loads((folder / "report.json").read_text())["verdict"] == "fail"
    assert verify_ledger(tmp_path / "ledger.jsonl") == ()
    assert [entry.verdict for entry in read_ledger(tmp_path / "ledger.jsonl")] == ["fail"]


def test_half_a_replay_is_no_good_night(demo_folder: Path, replay_on: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a replay did not come to its end, nothing open is no pass: the night is incomplete, and so is its line in the ledger."""
    import replay.jobs.nightly as job

    made = {"observed.parity": replay_on("other-js", "js", ()), "control.parity": demo_folder / "control.parity"}

    def half(order: Order, _told: object) -> Replayed:
        shutil.copytree(made[order.observed.name], order.observed)
        return Replayed("the daemon died", 2 if order.observed.name.startswith("control") else 0)

    monkeypatch.setattr(job, "replay_archive", half)
    config = tmp_path / "nightly.toml"
    config.write_text(
        f'recording = "{demo_folder / "recording.parity"}"\ncandidate = "demo-js"\ncontrol = "demo-js"\n'
        'ledger = "ledger.jsonl"\noutput = "nights"\n'
    )

    assert run_night(config, now=NOW, progress=silent).exit_code == 2
    (entry,) = read_ledger(tmp_path / "ledger.jsonl")
    assert (entry.verdict, "not replayed to the end: control" in entry.because) == ("incomplete", True)


def test_a_night_that_could_not_be_judged_leaves_a_line(demo_folder: Path, tmp_path: Path) -> None:
    """A candidate that dies at the start is an incomplete line in the ledger, not a night that never was."""
    from replay.model import DaemonError

    (tmp_path / "dying.toml").write_text('command = ["{python}", "-c", "raise SystemExit(3)"]\n')
    config = tmp_path / "nightly.toml"
    config.write_text(
        f'recording = "{demo_folder / "recording.parity"}"\ncandidate = "dying.toml"\ncontrol = "demo-js"\n'
        'ledger = "ledger.jsonl"\noutput = "nights"\n'
    )

    with pytest.raises(DaemonError):
        run_night(config, now=NOW, progress=silent)
    entries = read_ledger(tmp_path / "ledger.jsonl")
    assert [entry.verdict for entry in entries] == ["incomplete"]
    assert streak(entries) == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('recording = "x"\ncandidat = "rust"\n', "line 2: unknown key 'candidat'"),
        ('recording = "x"\n', "candidate is missing"),
        ("recording = \n", "no valid TOML.*line 1"),
        ('recording = "x"\ncandidate = "r"\ncontrol = "j"\nledger = "l"\noutput = 3\n', "line 5: output must be a text"),
    ],
)
def test_a_bad_configuration_is_refused_with_its_line(text: str, message: str, tmp_path: Path) -> None:
    """An unknown, missing or wrong key of a night is an error that says where."""
    config = tmp_path / "nightly.toml"
    config.write_text(text)

    with pytest.raises(UsageError, match=message):
        run_night(config, now=NOW, progress=silent)


def test_statuses_of_the_control_are_those_recorded(demo_folder: Path) -> None:
    """The js half replayed gives each exchange the status that was recorded."""
    recorded, control = (read(demo_folder / name).exchanges() for name in ("recording.parity", "control.parity"))
    expected = {item.id: item.outcome.status for item in recorded if isinstance(item.outcome, Response)}

    assert {item.id: item.outcome.status for item in control if isinstance(item.outcome, Response)} == expected


def _free_port() -> int:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
