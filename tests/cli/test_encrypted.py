"""Encrypted archives through the real command line: what opens them, and that what is made of them is encrypted too."""

import json
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from replay.archive import ArchiveWriter, Keyring, load_key, make_key, read, save_key
from replay.demo import make_workspace
from replay.model import Connection, Ended, EndReason, Opened, Request, Response
from replay.workspace.secrets import put_plain

type Run = Callable[..., Any]

AT = 1_700_000_000.0
PLAIN = b"only for the recipients"
TARGETS = (b"/health", b"/api/status", b"/api/memories?limit=5")


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give this user a configuration of his own, and no keys by the environment."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("SIGNET_PARITY_KEYS", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    return tmp_path / "config" / "signet-parity" / "keys"


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """Give a private key file."""
    pair = make_key("ops")
    save_key(pair, tmp_path / "ops.key", private=True)
    save_key(pair, tmp_path / "ops.pub", private=False)
    return tmp_path / "ops.key"


@pytest.fixture
def recording(tmp_path: Path, key: Path) -> Path:
    """Give an encrypted recording of a few reads; what was answered holds a known text."""
    return write(tmp_path / "recording.parity", load_key(key).public)


def write(path: Path, *recipients: bytes, kind: Any = "recording", **facts: Any) -> Path:
    """Write an archive of a few reads."""
    body = json.dumps({"said": PLAIN.decode()}).encode()
    with ArchiveWriter.create(path, kind=kind, facts=facts, recipients=recipients, started_at=AT) as writer:
        for number, target in enumerate(TARGETS, 1):
            request = Request(b"GET", target, b"HTTP/1.1", ((b"Host", b"127.0.0.1:3850"),))
            answer = Response(b"HTTP/1.1", 200, b"OK", ((b"content-type", b"application/json"),), body)
            writer.append(Opened(number, 2 * number - 1, AT + number, Connection("c", peer="127.0.0.1:5"), request))
            writer.append(Ended(number, 2 * number, AT + number + 0.01, EndReason.COMPLETE, answer, b""))
        writer.seal(event=2 * len(TARGETS) + 1, at=AT + 9, reason="test")
    return path


def clear_files(folder: Path, *words: bytes) -> list[str]:
    """Name the files below a folder in which any of the words stands."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and any(word in path.read_bytes() for word in words))


def test_where_keys_are_found(signet_parity: Run, recording: Path, key: Path, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An option wins over the environment, and that over this user's folder; each may be a file or a folder."""
    tmp_path = key.parent
    refused = signet_parity("inspect", recording)
    assert (refused.code, load_key(key).id in refused.err) == (2, True)

    assert signet_parity("inspect", recording, "--keys", key).code == 0
    (tmp_path / "ring").mkdir()
    (tmp_path / "ring" / "mine").write_bytes(key.read_bytes())
    assert signet_parity("inspect", recording, "--keys", tmp_path / "ring").code == 0

    monkeypatch.setenv("SIGNET_PARITY_KEYS", str(key))
    assert signet_parity("verify", recording).code == 0
    save_key(make_key(), tmp_path / "other.key", private=True)
    assert signet_parity("inspect", recording, "--keys", tmp_path / "other.key").code == 2
    monkeypatch.setenv("SIGNET_PARITY_KEYS", str(tmp_path / "other.key"))
    assert signet_parity("inspect", recording).code == 2

    monkeypatch.delenv("SIGNET_PARITY_KEYS")
    own.mkdir(parents=True)
    (own / "ops.pub").write_bytes((tmp_path / "ops.pub").read_bytes())
    assert signet_parity("inspect", recording).code == 2
    assert signet_parity("inspect", write(tmp_path / "clear.parity")).code == 0
    (own / "ops").write_bytes(key.read_bytes())
    assert signet_parity("inspect", recording).code == 0


@pytest.mark.parametrize("bad", ["nothing", "folder", "nonsense", "public"])
def test_a_place_that_was_named_must_hold_a_key(bad: str, signet_parity: Run, recording: Path, tmp_path: Path, key: Path) -> None:
    """A place without a private key is an error of its own, not a wrong key; its content is never shown."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "nonsense").write_text("signet-parity-private hunter2")
    (tmp_path / "public").write_bytes(key.with_suffix(".pub").read_bytes())

    outcome = signet_parity("inspect", recording, "--keys", tmp_path / bad)

    assert outcome.code == 2
    assert str(tmp_path / bad) in outcome.err
    assert "hunter2" not in outcome.err


COMMANDS: list[tuple[str, ...]] = [
    ("inspect", "{a}"),
    ("inspect", "{a}", "1"),
    ("verify", "{a}"),
    ("export", "{a}", "{new}.mitm"),
    ("export", "{a}", "{new}.har"),
    ("replay", "{a}", "--observed", "{new}", "--daemon", "demo-js", "--dry-run"),
    ("compare", "{a}", "{a}", "--run", "{new}"),
    ("noise", "{a}", "{a}", "--out", "{new}"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_without_the_key_nothing_is_judged(command: tuple[str, ...], signet_parity: Run, recording: Path, key: Path, tmp_path: Path) -> None:
    """Every command that reads an archive says which key it lacks, and leaves nothing."""
    words = [word.format(a=recording, new=tmp_path / "new") for word in command]
    outcome = signet_parity(*words)
    assert (outcome.code, load_key(key).id in outcome.err) == (2, True)
    assert not list(tmp_path.glob("new*"))


def test_the_whole_line(signet_parity: Run, recording: Path, key: Path, tmp_path: Path) -> None:
    """Replayed, compared, judged again and reported: all of it encrypted for the same reader, no clear text but where it was asked for."""
    state, made = tmp_path / "state", tmp_path / "made"
    make_workspace(state, 1)
    put_plain(state / ".secrets" / "secrets.enc", "PAYROLL_TOKEN", "a value", now="2026-11-23T00:00:00.000Z")
    made.mkdir()
    keys = ("--keys", key)
    private = load_key(key).private
    assert private is not None

    for name, daemon in (("observed", "demo-rust"), ("control", "demo-js")):
        words = ("replay", recording, "--observed", made / f"{name}.parity", "--daemon", daemon, "--state", state, *keys)
        assert signet_parity(*words).code == 0
    assert list((tmp_path / "tmp").iterdir()) == []
    observed = read(made / "observed.parity", keys=Keyring.load(key))
    assert observed.manifest["recipients"] == (load_key(key).id,)
    assert "secrets" not in observed.facts
    forms = next(json.loads(record.detail) for record in observed.daemon_records() if record.what == "secrets")
    assert forms == {"PAYROLL_TOKEN": "plaintext"}

    run = made / "a.run"
    compared = signet_parity("compare", recording, made / "observed.parity", "--control", made / "control.parity", "--run", run, *keys)
    # the recording is made up, so the replays agree against it
    assert compared.out.startswith("INCOMPLETE: the replay was not faithful enough in read: 2 of 3 exchanges"), compared.out
    assert signet_parity("judge", run).code == 2
    assert signet_parity("judge", run, *keys).code == compared.code == 2
    assert signet_parity("report", run).code == 2
    assert signet_parity("report", run, *keys).code == 0

    # what the recorded daemon said, what the replayed ones say, and the key: nowhere
    assert clear_files(made, PLAIN, b"uptime", b"/api/memories", b"PAYROLL_TOKEN", private, private.hex().encode()) == []

    page = tmp_path / "page.html"
    shown = signet_parity("report", run, "--format", "html", "--out", page, *keys)
    assert (shown.code, shown.err.count("in clear")) == (0, 1)
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    flows = tmp_path / "run.mitm"
    sent = signet_parity("export", run, flows, *keys)
    assert (sent.code, sent.err.count("in clear")) == (0, 1)
    assert stat.S_IMODE(flows.stat().st_mode) == 0o600


def test_a_night(signet_parity: Run, recording: Path, key: Path, tmp_path: Path) -> None:
    """A night of an encrypted recording finds its keys by its configuration, and writes no report in clear unless it is told to."""
    make_workspace(tmp_path / "state", 1)
    config = tmp_path / "night.toml"
    text = (
        f'recording = "{recording}"\ncandidate = "demo-js"\ncontrol = "demo-js"\nledger = "ledger.jsonl"\noutput = "nights"\nstate = "state"\n'
    )
    config.write_text(text.replace("nights", "refused"))
    assert signet_parity("nightly", config).code == 2
    config.write_text(text + 'clear_reports = "yes"\n')
    assert "line 7: clear_reports" in signet_parity("nightly", config).err

    config.write_text(text + f'keys = "{key.name}"\n')
    outcome = signet_parity("nightly", config)
    (night,) = (tmp_path / "nights").glob("*/night.run")
    assert "no page: the recording is encrypted" in outcome.out, outcome
    assert {path.name for path in night.parent.iterdir()} == {"observed.parity", "control.parity", "night.run"}
    assert clear_files(night.parent, PLAIN, b"uptime") == []
    assert clear_files(tmp_path, PLAIN) == []

    (tmp_path / "dying.toml").write_text('command = ["{python}", "-c", "raise SystemExit(\'the log says something\')"]\n')
    config.write_text(text.replace('"demo-js"', '"dying.toml"', 1).replace("nights", "failed") + f'keys = "{key.name}"\n')
    failed = signet_parity("nightly", config)
    assert (failed.code, "the log says something" in failed.err) == (2, True)
    ledger = (tmp_path / "ledger.jsonl").read_text()
    assert "before it was ready" in ledger
    assert "the log says something" not in ledger
