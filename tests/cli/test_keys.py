"""The commands about keys."""

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from replay.archive import ArchiveWriter, Keyring, load_key, read

type Run = Callable[..., Any]


@pytest.fixture
def key(signet_parity: Run, tmp_path: Path) -> Path:
    """Give a private key file that the command made."""
    assert signet_parity("keys", "new", "--out", tmp_path / "ops.key", "--comment", "ops team").code == 0
    return tmp_path / "ops.key"


def _archive(path: Path, *recipients: Path) -> Path:
    publics = [load_key(recipient).public for recipient in recipients]
    with ArchiveWriter.create(path, kind="recording", facts={}, recipients=publics) as writer:
        writer.seal(event=1, at=1.0, reason="done")
    return path


def test_a_new_pair(signet_parity: Run, key: Path) -> None:
    """Two files, the private one for its owner alone; a second time nothing is written over, whichever of the two is there."""
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert load_key(key).public == load_key(key.with_suffix(".pub")).public
    before = key.read_bytes()

    again = signet_parity("keys", "new", "--out", key)
    assert (again.code, "never written over" in again.err, key.read_bytes()) == (2, True, before)
    key.with_suffix(".pub").unlink()
    assert signet_parity("keys", "new", "--out", key).code == 2
    assert not key.with_suffix(".pub").exists()
    assert signet_parity("keys", "new", "--out", key.with_suffix(".pub")).code == 2


def test_showing_a_key(signet_parity: Run, key: Path) -> None:
    """The id and the public half are shown, never the private one."""
    private = load_key(key).private
    assert private is not None
    for path, kind in ((key, "private"), (key.with_suffix(".pub"), "public")):
        shown = json.loads(signet_parity("keys", "show", path, "--json").out)
        assert (shown["kind"], shown["comment"], shown["public"]) == (kind, "ops team", load_key(key).public.hex())
        text = signet_parity("keys", "show", path).out
        assert shown["id"] in text
        assert private.hex() not in text
    assert signet_parity("keys", "show", key.parent / "nothing").code == 2


def test_showing_who_opens_an_archive(signet_parity: Run, key: Path, tmp_path: Path) -> None:
    """An encrypted archive names its recipients, one in clear says so."""
    encrypted, clear = _archive(tmp_path / "a.parity", key), _archive(tmp_path / "b.parity")

    assert load_key(key).id in signet_parity("keys", "show", encrypted).out
    assert "not encrypted" in signet_parity("keys", "show", clear).out
    assert json.loads(signet_parity("keys", "show", encrypted, "--json").out)["recipients"] == [load_key(key).id]


def test_rotating(signet_parity: Run, key: Path, tmp_path: Path) -> None:
    """Another key is let in and the first one out; without the private key, or anything to change, it is an error."""
    archive = _archive(tmp_path / "a.parity", key)
    assert signet_parity("keys", "new", "--out", tmp_path / "new.key").code == 0
    change = ("--add", tmp_path / "new.pub", "--drop", load_key(key).id)

    assert signet_parity("keys", "rotate", archive, "--keys", key).code == 2
    assert signet_parity("keys", "rotate", archive, "--keys", tmp_path / "new.key", *change).code == 2
    done = signet_parity("keys", "rotate", archive, "--keys", key, *change)

    assert (done.code, load_key(tmp_path / "new.key").id in done.out) == (0, True)
    assert read(archive, keys=Keyring.load(tmp_path / "new.key")).exchanges() == []
    refused = signet_parity("inspect", archive)
    assert (refused.code, load_key(tmp_path / "new.key").id in refused.err) == (2, True)
