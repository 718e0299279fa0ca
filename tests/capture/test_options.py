"""What the recorder refuses, where it writes, and its key."""

import stat
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from mitmproxy.options import Options

from replay.archive import make_key, save_key
from replay.capture.installation import key_path, load_key
from replay.capture.options import _recipients, default_folder, is_loopback, may_write
from replay.model import UsageError


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("", False),
        ("*", False),
        ("::", False),
        ("192.168.1.2", False),
        ("example.org", False),
        ("localhost.example.org", False),
    ],
)
def test_loopback(host: str, *, expected: bool) -> None:
    """Only addresses that no other machine can reach count, and no address means all interfaces."""
    assert is_loopback(host) is expected


def test_a_checkout_keeps_its_recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a checkout recordings go to its own folder, elsewhere under the current one."""
    monkeypatch.chdir(tmp_path)
    script = tmp_path / "repo" / "addons" / "record.py"
    assert default_folder(script) == tmp_path / "recordings"
    (tmp_path / "repo" / "recordings").mkdir(parents=True)
    (tmp_path / "repo" / "pyproject.toml").touch()
    assert default_folder(script) == tmp_path / "repo" / "recordings"


def test_a_place_that_takes_nothing(tmp_path: Path) -> None:
    """A folder may be made below a folder, but not below a file."""
    assert may_write(tmp_path / "new" / "deeper")
    (tmp_path / "file").touch()
    assert not may_write(tmp_path / "file" / "new")


def test_the_key_is_made_once(tmp_path: Path) -> None:
    """The key is private, stays the same, and follows XDG_CONFIG_HOME."""
    path = key_path({"XDG_CONFIG_HOME": str(tmp_path / "c"), "HOME": "/nowhere"})
    assert path == tmp_path / "c" / "signet-parity" / "redaction.key"
    assert key_path({"HOME": "/home/me"}) == Path("/home/me/.config/signet-parity/redaction.key")
    key = load_key(path)
    assert len(key) == 32
    assert load_key(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [item.name for item in path.parent.iterdir()] == ["redaction.key"]


def test_a_damaged_key(tmp_path: Path) -> None:
    """A key that is none, or can't be made, is said in words."""
    path = tmp_path / "redaction.key"
    path.write_bytes(b"short")
    with pytest.raises(UsageError, match="is no redaction key"):
        load_key(path)
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="parity_redact=false"):
        load_key(tmp_path / "file" / "redaction.key")


def test_a_private_key_is_no_recipient(tmp_path: Path) -> None:
    """Only public keys lie on the recording host: a private one is refused, its public half taken."""
    key = make_key("test")
    save_key(key, tmp_path / "a.key", private=True)
    save_key(key, tmp_path / "a.key.pub", private=False)
    with pytest.raises(UsageError, match="private key"):
        _recipients(cast("Options", SimpleNamespace(parity_recipients=str(tmp_path / "a.key"))))
    assert _recipients(cast("Options", SimpleNamespace(parity_recipients=f"{tmp_path / 'a.key.pub'}"))) == (key.public,)
