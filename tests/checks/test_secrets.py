"""The check on the secrets that a replay leaves behind."""

from pathlib import Path

import pytest

from replay.checks.secrets import find_secrets
from replay.workspace import secrets
from replay.workspace.secret_forms import secret_forms

KEY = bytes(range(32))
NOW = "2026-11-23T12:00:00.000Z"


def test_the_same_sealed_secrets_are_no_finding() -> None:
    """Equal names, all sealed: nothing."""
    assert find_secrets({"A": "sealed"}, {"A": "sealed"}) == []


@pytest.mark.parametrize(
    ("candidate", "control", "expected"),
    [
        ({"A": "plaintext"}, {"A": "sealed"}, [("value", "sealed → plaintext")]),
        ({"A": "plaintext"}, None, [("value", "absent → plaintext")]),
        ({"A": "malformed"}, {"A": "sealed"}, [("value", "sealed → malformed")]),
        ({}, {"A": "sealed"}, [("missing-item", "sealed → absent")]),
        ({"A": "sealed", "B": "sealed"}, {"A": "sealed"}, [("extra-item", "absent → sealed")]),
        ({"": "unreadable"}, {"A": "sealed"}, [("extra-item", "absent → unreadable"), ("missing-item", "sealed → absent")]),
        (None, {"A": "sealed"}, []),
        ("nonsense", None, []),
    ],
)
def test_every_drift_is_found(candidate: object, control: object, expected: list[tuple[str, str]]) -> None:
    """Readable, malformed, missing and extra secrets are findings; no evidence is none."""
    assert [(finding.kind, finding.transition) for finding in find_secrets(candidate, control)] == expected


def test_forms_are_read_from_a_real_file(tmp_path: Path) -> None:
    """A sealed and a plain secret in one real file are told apart, and no value is told."""
    path = tmp_path / secrets.FILE
    path.parent.mkdir()
    secrets.put(path, "SEALED", "made-up value", key=KEY, now=NOW)
    secrets.put_plain(path, "PLAIN", "another made-up value, long enough to be a ciphertext", now=NOW)

    assert secret_forms(tmp_path) == {"SEALED": "sealed", "PLAIN": "plaintext"}


def test_no_file_is_no_secret_and_a_broken_one_is_said(tmp_path: Path) -> None:
    """An absent file gives nothing; one that can't be read is never taken for empty."""
    assert secret_forms(tmp_path) == {}
    (tmp_path / secrets.FILE).parent.mkdir()
    (tmp_path / secrets.FILE).write_text("{")

    assert secret_forms(tmp_path) == {"": "unreadable"}
