"""The daemon's configuration."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.model import ParityError
from replay.workspace import find_configuration, parse_configuration, read_configuration


def test_configuration_is_found_in_the_daemons_order(tmp_path: Path) -> None:
    """`agent.yaml` goes before the older names; without any the configuration is empty."""
    assert read_configuration(tmp_path) == {}
    (tmp_path / "config.yaml").write_text("auth: {mode: team}\n")
    assert read_configuration(tmp_path) == {"auth": {"mode": "team"}}
    (tmp_path / "agent.yaml").write_text("name: &n x\nagain: *n\n")
    assert read_configuration(tmp_path) == {"name": "x", "again": "x"}
    assert find_configuration(tmp_path) == tmp_path / "agent.yaml"


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "- 1",
        "1: 2",
        "a: !!python/object/apply:os.system [true]",
        "a: &a [1]\nb: [*a, *a]",
        "a: &a [*a]",
        "[" * 200 + "]" * 200,
        "a:\n" + "- 1\n" * 60_000,
        "x" * (1024 * 1024 + 1),
    ],
)
def test_bad_configuration_is_an_error(text: str) -> None:
    """Broken, foreign, growing or huge documents are refused with the file's name."""
    with pytest.raises(ParityError, match=r"agent\.yaml: "):
        parse_configuration(text, "agent.yaml")


@given(st.text(max_size=80))
def test_any_text_gives_a_mapping_or_a_parity_error(text: str) -> None:
    """Reading never raises anything else."""
    try:
        assert isinstance(parse_configuration(text, "x"), dict)
    except ParityError:
        return


def test_bytes_that_are_no_text_are_an_error(tmp_path: Path) -> None:
    """A file that is not UTF-8 is refused."""
    (tmp_path / "agent.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ParityError):
        read_configuration(tmp_path)
