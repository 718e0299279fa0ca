"""TOML that people wrote: what is wrong with it is said with its line."""

import pytest

from replay.model import RuleError, UsageError
from replay.model.toml import parse_toml


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a = 1\nb = = 2\n", "line 2"),
        ("a = 1\n\nb = ", "line 3"),
        ("a = [\n1,\n", "line 2"),
        ("", None),
        ("a = 1\na = 2\n", "line 2"),
        ("a = " + "[" * 100_000, "nested too deeply"),
    ],
)
def test_the_line_is_told(text: str, told: str | None) -> None:
    """Broken TOML is an error that names its source and its line, also where it ends too early; an empty text is an empty table."""
    if told is None:
        assert parse_toml(text, "x.toml", UsageError) == {}
        return
    with pytest.raises(RuleError, match=rf"^x\.toml: .*{told}"):
        parse_toml(text, "x.toml", RuleError)
