"""Where a replay puts what it observed, and what it leaves behind."""

import tempfile
from pathlib import Path

import pytest

from replay.archive import ArchiveWriter, Keyring, make_key
from replay.jobs.outbox import bring_out
from replay.jobs.replaying import Order, known_lines, replay_archive
from replay.model import Connection, DaemonError, Ended, EndReason, Opened, Request, Response, UsageError

KEY = make_key()


def test_an_observed_archive_never_goes_into_another(tmp_path: Path) -> None:
    """Of two replays to one place the later one keeps its archive where it was written, and says where."""
    for name, content in (("written", "late"), ("observed.parity", "early")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text(content)
    with pytest.raises(UsageError, match=r"observed\.parity: what was observed can't be put there .* it is kept in .*written"):
        bring_out(tmp_path / "written", tmp_path / "observed.parity")
    assert [path.name for path in (tmp_path / "observed.parity").iterdir()] == ["manifest.json"]
    assert (tmp_path / "observed.parity" / "manifest.json").read_text() == "early"
    assert (tmp_path / "written" / "manifest.json").read_text() == "late"


@pytest.mark.parametrize("recipients", [(), (KEY.public,)], ids=["clear", "encrypted"])
def test_what_is_left_of_a_replay_that_failed(recipients: tuple[bytes, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell whose daemon died is kept for whoever looks for the reason; of an encrypted recording nothing in clear is kept."""
    (tmp_path / "tmp").mkdir()
    (tmp_path / "state").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    with ArchiveWriter.create(tmp_path / "a.parity", kind="recording", facts={}, recipients=recipients) as writer:
        writer.append(Opened(1, 1, 1.0, Connection("c"), Request(b"GET", b"/health", b"HTTP/1.1", ())))
        writer.append(Ended(1, 2, 1.1, EndReason.COMPLETE, Response(b"HTTP/1.1", 200, b"OK", (), b"{}"), b""))
        writer.seal(event=3, at=2.0, reason="test")
    daemon = tmp_path / "dying.toml"
    daemon.write_text('command = ["{python}", "-c", "raise SystemExit(\'out of luck\')"]\n')
    order = Order(tmp_path / "a.parity", tmp_path / "o.parity", daemon=str(daemon), state=tmp_path / "state", keys=Keyring.of([KEY]))

    with pytest.raises(DaemonError, match="out of luck"):
        replay_archive(order, lambda *_: None)

    left = list((tmp_path / "tmp").iterdir())
    assert len(left) == (0 if recipients else 1)
    assert all(folder.stat().st_mode & 0o777 == 0o700 for folder in left)


def test_nothing_is_added_to_the_recording(tmp_path: Path) -> None:
    """An observed archive inside the recording's own folder is refused, also by a way round, and so is the same place twice."""
    (tmp_path / "a.parity").mkdir()
    for place in (tmp_path / "a.parity" / "o.parity", tmp_path / "b" / ".." / "a.parity" / "deep" / "o.parity"):
        with pytest.raises(UsageError, match="lies in the recording itself"):
            replay_archive(Order(tmp_path / "a.parity", place, daemon="demo-js"), lambda *_: None)
    round_about = tmp_path / "b" / ".." / "o.parity"
    order = Order(tmp_path / "a.parity", tmp_path / "o.parity", daemon="demo-js", control_daemon="demo-js", control_observed=round_about)
    with pytest.raises(UsageError, match="another place"):
        replay_archive(order, lambda *_: None)
    assert list((tmp_path / "a.parity").iterdir()) == []


@pytest.mark.parametrize("pace", ["1" + "0" * 400, "0." + "0" * 400 + "1", "\u0663"])
def test_a_pace_is_a_number_of_this_world(pace: str, tmp_path: Path) -> None:
    """A factor beyond what can be counted, on either side, is refused before anything starts."""
    with pytest.raises(UsageError, match="must be asap, recorded, or a factor"):
        replay_archive(Order(tmp_path / "a.parity", tmp_path / "o.parity", daemon="demo-js", pace=pace), lambda *_: None)


def test_known_secrets_have_a_bound() -> None:
    """A file without end is no list of secrets."""
    with pytest.raises(UsageError, match="no list of known secrets"):
        known_lines(Path("/dev/zero"))
