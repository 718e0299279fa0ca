"""Known causes in words."""

import re
from pathlib import Path

import replay
from replay.judge import QUIRKS, quirk_words
from replay.judge.habits import HABITS
from replay.judge.quirks import usual_of

_NAME = re.compile(r"\"(q-[a-z][a-z-]*)\"")


def test_every_known_cause_has_words() -> None:
    """Each cause that a check or the judge can name is in the table, and the table names none that no check finds."""
    root = Path(replay.__file__).parent
    files = [file for room in ("compare", "checks", "judge") for file in (root / room).rglob("*.py") if file.name != "quirks.py"]
    found = {name for file in files for name in _NAME.findall(file.read_text("utf-8"))}
    assert found == set(QUIRKS)


def test_every_kind_of_cause_says_what_is_usual() -> None:
    """Each kind of cause that has a title has a usual mending, but for what no table can know."""
    files = (Path(replay.__file__).parent / "judge").glob("*.py")
    kinds = {kind for file in files for kind in re.findall(r'Kin\("([a-z-]+)"', file.read_text("utf-8"))}
    assert {kind for kind in kinds if not usual_of(kind)} == {"habit", "check", "no-response"}
    assert all(usual_of(name) for name in QUIRKS if name in HABITS)


def test_other_causes_have_none() -> None:
    """A cause that is told already, or none, has no words of its own."""
    assert quirk_words("q-time-format").startswith("another time format")
    assert quirk_words("value at $.a: text") == ""
    assert quirk_words("") == ""
