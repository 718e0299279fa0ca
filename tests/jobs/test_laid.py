"""What a replay says of an archive without holding it, and of the files that it laid."""

from pathlib import Path

import pytest

from replay.archive import ArchiveWriter, read
from replay.jobs.laid import laid_lines
from replay.jobs.outline import outline
from replay.model import (
    Connection,
    Ended,
    EndReason,
    Gap,
    GapReason,
    NoResponse,
    Opened,
    Request,
    Response,
    WorkspaceChange,
)
from replay.play.laying import LAID, NOT_LAID


def test_an_outline_is_what_joining_counts(tmp_path: Path) -> None:
    """Statuses, gaps, planned numbers and the span are those of the joined archive; what was not written is no whole exchange."""
    request = Request(b"GET", b"/", b"HTTP/1.1", ())
    with ArchiveWriter.create(tmp_path / "a.parity", kind="observed", facts={}) as writer:
        for number, outcome in ((1, Response(b"HTTP/1.1", 204, b"", ())), (2, NoResponse("gone")), (3, Response(b"HTTP/1.1", 200, b"", ()))):
            writer.append(Opened(number, 2 * number, 10.0 - number, Connection("c"), request))
            writer.append(Ended(number, 2 * number + 1, 20.0 - number, EndReason.COMPLETE, outcome, b""))
        writer.append(Gap(GapReason.NOT_WRITTEN, exchange=3))
        writer.append(Gap(GapReason.UNSAFE, exchange=7))
        writer.append(WorkspaceChange(8, 1.0, "a.md", None, None, 1.0, note=f"{NOT_LAID}a link is there"))
        writer.append(WorkspaceChange(9, 1.0, "b.md", "d", b"", 1.0, note=LAID))
        writer.seal(event=10, at=1.0, reason="done")
    archive = read(tmp_path / "a.parity")
    found, joined = outline(archive), archive.join()
    assert found.statuses == {1: 204, 2: 0}
    assert found.gaps == joined.gaps
    assert found.planned == 4
    assert [one.id for one in found.span] == [3, 1]
    assert found.not_laid == ["a.md: a link is there"]


@pytest.mark.parametrize(
    ("facts", "counts", "said"),
    [
        ({}, {}, []),
        ({"unlaid": {}}, {"laid": 3}, ["changed files: 3 laid in place"]),
        (
            {"unlaid": {"the daemon's": 2, "late\x1b": 4}},
            {"laid_refused": 1, "laid_already": 2},
            [
                "changed files: 0 laid in place · 2 were so already · 1 could not be laid",
                "  not laid: x",
                "recorded changes of files that were left to the daemon, or out: 4 late\\x1b, 2 the daemon's",
            ],
        ),
    ],
)
def test_what_was_laid_is_told(facts: dict[str, object], counts: dict[str, int], said: list[str]) -> None:
    """The counts stand in the last lines, with what could not be laid by name, and nothing that steers a terminal."""
    assert list(laid_lines(facts, counts, ["x"] if "laid_refused" in counts else [])) == said
