"""Named pollers in a daemon's description."""

from dataclasses import asdict
from pathlib import Path

import pytest

from replay.daemon import Poller, load_daemon
from replay.daemon.load import builtin_daemons
from replay.model import UsageError

_WHOLE = """
command = ["d"]
[[pollers]]
name = "import"
every_s = 30
files = ["memory/*.md"]
files_except = ["memory/MEMORY*.md"]
routes = ["POST /api/config", "mutating"]
database = "memory/memories.db"
sql = "SELECT count(*) FROM memories WHERE source_path = :path"
"""
_STARTS = 'files = ["memory/*.md"]\nfiles_except = ["memory/MEMORY*.md"]\nroutes = ["POST /api/config", "mutating"]'


def _load(folder: Path, text: str) -> tuple[Poller, ...]:
    path = folder / "d.toml"
    path.write_text(text, "utf-8")
    return load_daemon(str(path)).pollers


def test_a_poller_is_read_whole(tmp_path: Path) -> None:
    """All that a poller can say is kept as it stands."""
    (poller,) = _load(tmp_path, _WHOLE)
    assert asdict(poller) == {
        "name": "import",
        "every_s": 30.0,
        "files": ("memory/*.md",),
        "files_except": ("memory/MEMORY*.md",),
        "routes": ("POST /api/config", "mutating"),
        "database": "memory/memories.db",
        "sql": "SELECT count(*) FROM memories WHERE source_path = :path",
    }


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (_STARTS, "", "what gives it something to do"),
        ('"mutating"', '"POST /api/nothing"', "is no route, template or replay class"),
        ('database = "memory/memories.db"', "", "go together"),
        ("every_s = 30", "every_s = 0", "must be seconds over 0"),
        ("every_s = 30", "", "every_s"),
        ('files = ["memory/*.md"]', "files = [1]", "files"),
        ("every_s = 30", "every_s = 30\noften = true", "often"),
    ],
)  # fmt: skip
def test_what_a_poller_lacks_is_said(tmp_path: Path, old: str, new: str, said: str) -> None:
    """A poller that nothing starts, of an unknown route, or of the wrong shape is refused with the reason and the file."""
    with pytest.raises(UsageError) as error:
        _load(tmp_path, _WHOLE.replace(old, new))
    assert said in str(error.value)
    assert "d.toml" in str(error.value)


def test_both_real_runtimes_import_notes_by_the_clock() -> None:
    """The built-in descriptions of the real daemons name the import of Markdown notes."""
    host = {"SIGNET_JS_COMMAND": "bun daemon.ts"}
    for name in ("js", "rust"):
        assert name in builtin_daemons()
        assert "memory import" in [poller.name for poller in load_daemon(name, environment=host).pollers]
