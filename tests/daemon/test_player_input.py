"""What a player is handed: through its standard input, and in no file of the cell."""

from pathlib import Path
from typing import Any

import pytest

from replay.model import DaemonError

SECRET = b"handed over, never written down "


def holding(folder: Path, words: bytes) -> list[Path]:
    """Give the files below a folder in which words stand."""
    return [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink() and words in path.read_bytes()]


@pytest.mark.parametrize("kind", ["namespace", "mapped"])
@pytest.mark.parametrize("length", [0, 1, 1_000_000])
def test_it_comes_whole_and_lies_nowhere(kind: str, length: int, bench: Any, request: pytest.FixtureRequest) -> None:
    """The player reads all of it, more than a pipe holds too; nothing of it is in the cell's private folder, during the replay or after."""
    if kind == "namespace":
        request.getfixturevalue("namespaces")
    given = (SECRET * (length // len(SECRET) + 1))[:length]
    code = """
data = sys.stdin.buffer.read()
seen["length"], seen["count"] = len(data), data.count(b"never written down")
folder = pathlib.Path(facts["log"]).parent
words = ("handed over" + ", never").encode()
seen["files"] = [str(path) for path in folder.rglob("*") if path.is_file() and words in path.read_bytes()]
seen["mode"] = oct(folder.stat().st_mode & 0o777)
"""
    report = bench.run(bench.spec(), code, kind=kind, player_input=given)

    assert report.player_exit == 0
    assert bench.seen() == {"length": length, "count": given.count(b"never written down"), "files": [], "mode": "0o700"}
    assert report.directory.stat().st_mode & 0o777 == 0o700
    assert holding(report.directory, b"handed over, never") == []


def test_a_player_that_does_not_read_it_still_ends(bench: Any) -> None:
    """What is left in the pipe holds nobody up."""
    assert bench.run(bench.spec(), "", kind="mapped", player_input=SECRET * 100_000).player_exit == 0


def test_a_cell_that_dies_before_says_why(bench: Any) -> None:
    """Where the daemon never comes up, its own end is told, and not that of the pipe."""
    with pytest.raises(DaemonError, match="no such table: memories"):
        bench.run(bench.spec("dies"), "", kind="mapped", player_input=SECRET * 100_000)
