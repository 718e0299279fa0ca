"""The store of secrets."""

import base64
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.model import ParityError, UsageError
from replay.workspace import secrets
from replay.workspace.secret_forms import secret_forms

MACHINE_ID = "0123456789abcdef0123456789abcdef"
PLAINTEXT = "sk-test-Ünïcode-12345"
NONCE = bytes(range(24))
CIPHERTEXT = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXK4K+jtmE33FiA691SvvaXWWQ56ElJzDF+qnr/aWrwaAYngt/zW0C"
NOW = "2026-01-02T03:04:05.678Z"
LATER = "2026-01-03T03:04:05.678Z"


def test_worked_example() -> None:
    """The key, the ciphertext and the plaintext of the daemon's worked example come out byte by byte."""
    key = secrets.derive_key(MACHINE_ID)

    assert key.hex() == "89668901ca038f2b54077c7155fd611822b64504672140c7ca6f8cdc6fd680f4"
    assert secrets.encrypt(key, PLAINTEXT, nonce=NONCE) == CIPHERTEXT
    assert secrets.decrypt(key, CIPHERTEXT) == PLAINTEXT


def test_file_has_the_daemons_bytes(tmp_path: Path) -> None:
    """A new store is indented by two, ends without a newline, and is the owner's alone."""
    path = tmp_path / ".secrets" / "secrets.enc"
    secrets.put(path, "API_KEY", PLAINTEXT, key=secrets.derive_key(MACHINE_ID), now=NOW, nonce=NONCE)

    assert path.read_text() == (
        '{\n  "version": 1,\n  "secrets": {\n    "API_KEY": {\n'
        f'      "ciphertext": "{CIPHERTEXT}",\n      "created": "{NOW}",\n      "updated": "{NOW}"\n'
        "    }\n  }\n}"
    )
    assert path.stat().st_mode & 0o777 == 0o600


def test_empty_store_is_written_as_javascript_does() -> None:
    """An empty object stands on one line."""
    assert secrets.serialise(secrets.Store()) == b'{\n  "version": 1,\n  "secrets": {}\n}'


def test_put_again_keeps_place_and_birth(tmp_path: Path) -> None:
    """Storing under a known name changes its value and `updated` only; the others keep their ciphertext."""
    path, key = tmp_path / "secrets.enc", secrets.derive_key("m")
    secrets.put(path, "A", "one", key=key, now=NOW)
    before = secrets.put(path, "B", "two", key=key, now=NOW)
    after = secrets.put(path, "A", "three", key=key, now=LATER)

    assert list(after.secrets) == ["A", "B"]
    assert (after.secrets["A"].created, after.secrets["A"].updated) == (NOW, LATER)
    assert after.secrets["B"] == before.secrets["B"]
    assert secrets.reveal(secrets.read(path), "A", key) == "three"
    assert secrets.reveal(after, "C", key) is None


def test_delete_says_whether_there_was_one(tmp_path: Path) -> None:
    """An entry goes; an absent one leaves the file untouched."""
    path = tmp_path / "secrets.enc"
    secrets.put(path, "A", "one", key=secrets.derive_key("m"), now=NOW)

    assert secrets.delete(path, "A")
    assert not secrets.delete(path, "A")
    assert not secrets.delete(tmp_path / "none.enc", "A")
    assert not (tmp_path / "none.enc").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b'{"version": 2, "secrets": {}}',
        b'{"version": true, "secrets": {}}',
        b'{"version": 1}',
        b'{"version": 1, "secrets": {"1A": {"ciphertext": "", "created": "", "updated": ""}}}',
        b'{"version": 1, "secrets": {"A": {"ciphertext": "x"}}}',
        b"[" * 100_000,
    ],
)
def test_broken_store_is_an_error_and_stays(tmp_path: Path, content: bytes) -> None:
    """What is no store is refused by every operation and keeps its bytes."""
    path = tmp_path / "secrets.enc"
    path.write_bytes(content)
    for operation in (
        lambda: secrets.read(path),
        lambda: secrets.put(path, "A", "x", key=secrets.derive_key("m"), now=NOW),
        lambda: secrets.put_plain(path, "A", "x", now=NOW),
        lambda: secrets.delete(path, "A"),
    ):
        with pytest.raises(ParityError, match="left as it is"):
            operation()

    assert path.read_bytes() == content


@given(st.binary(max_size=300))
def test_any_bytes_give_a_store_or_a_parity_error(data: bytes) -> None:
    """Reading never raises anything else."""
    try:
        secrets.parse(data, "x")
    except ParityError:
        return


def test_wrong_machine_and_bad_names_are_refused(tmp_path: Path) -> None:
    """Another machine's key, a value without text, a name with a dash, each is an error."""
    with pytest.raises(ParityError, match="another machine id"):
        secrets.decrypt(secrets.derive_key("other"), CIPHERTEXT)
    with pytest.raises(UsageError):
        secrets.put(tmp_path / "s", "a-b", "x", key=b"0" * 32, now=NOW)
    with pytest.raises(UsageError):
        secrets.put(tmp_path / "s", "A", "", key=b"0" * 32, now=NOW)
    with pytest.raises(UsageError):
        secrets.read_machine_id(tmp_path / "none")


def test_plain_form_shows_its_text(tmp_path: Path) -> None:
    """What the Rust daemon stores is base64 of the plaintext, which `leaked_text` sees and a true ciphertext does not show."""
    store = secrets.put_plain(tmp_path / "s", "A", "made-up-value", now="2026-01-02T03:04:05.000000001+00:00")

    assert base64.b64decode(store.secrets["A"].ciphertext) == b"made-up-value"
    assert secrets.leaked_text(store.secrets["A"].ciphertext) == "made-up-value"
    assert secrets.leaked_text(CIPHERTEXT) is None
    with pytest.raises(ParityError):
        secrets.reveal(store, "A", secrets.derive_key("m"))


def test_hidden_names_are_not_listed() -> None:
    """The daemon's own entries stay out of the list of names."""
    entry = {"ciphertext": "x", "created": NOW, "updated": NOW}
    store = secrets.parse(json.dumps({"version": 1, "secrets": {"OP_SERVICE_ACCOUNT_TOKEN": entry, "A": entry}}).encode(), "x")

    assert store.names == ("A",)


def test_a_pipe_is_no_store(tmp_path: Path) -> None:
    """What is no file is not opened: a pipe would never answer."""
    (tmp_path / ".secrets").mkdir()
    os.mkfifo(tmp_path / ".secrets" / "secrets.enc")
    with pytest.raises(ParityError, match="no file"):
        secrets.read(tmp_path / ".secrets" / "secrets.enc")
    assert secret_forms(tmp_path) == {"": "unreadable"}
