"""The command line, run in this process, and small archives for it to trip over."""

import io
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from replay.archive import ArchiveWriter, read
from replay.cli import main
from replay.model import Connection, Ended, EndReason, Opened, Request, Response

STARTED_AT = 1_700_000_000.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


type Run = Callable[..., Outcome]
type Write = Callable[..., Path]


@pytest.fixture
def signet_parity(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Give a function that runs the command line with the words given."""

    def run(*words: object) -> Outcome:
        monkeypatch.setattr("sys.argv", ["signet-parity", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            main()
        said = capsys.readouterr()
        assert isinstance(left.value.code, int)
        return Outcome(left.value.code, said.out, said.err)

    return run


@pytest.fixture
def archive(tmp_path: Path) -> Write:
    """Give a maker of sealed archives, one exchange for each body."""

    def write(
        name: str,
        *bodies: bytes,
        kind: Literal["recording", "observed"] = "recording",
        facts: Mapping[str, Any] | None = None,
        target: bytes = b"/api/memories",
        header: bytes = b"value",
    ) -> Path:
        path = tmp_path / name
        with ArchiveWriter.create(path, kind=kind, facts=dict(facts or {}), started_at=STARTED_AT) as writer:
            for number, body in enumerate(bodies, 1):
                at = STARTED_AT + 10 * number
                request = Request(b"GET", target, b"HTTP/1.1", ((b"host", b"x"), (b"x-odd", header)), None)
                answer = Response(b"HTTP/1.1", 200, b"", ((b"content-type", b"application/json"), (b"x-odd", header)), body)
                writer.append(Opened(exchange=number, event=2 * number - 1, at=at, request=request, connection=Connection("c1")))
                writer.append(Ended(number, 2 * number, at + 0.01, EndReason.COMPLETE, answer, b""))
            writer.seal(event=2 * len(bodies) + 1, at=STARTED_AT + 1000, reason="end")
        return path

    return write


@pytest.fixture
def pair(archive: Write) -> Callable[..., tuple[Path, Path]]:
    """Give a maker of a recording and an observed archive of it, from the bodies of one exchange each."""

    def make(recorded: bytes, observed: bytes, **more: Any) -> tuple[Path, Path]:
        first = archive("recorded.parity", recorded, **more)
        return first, archive("observed.parity", observed, kind="observed", facts={"replay_of": read(first).id}, **more)

    return make


@pytest.fixture
def climbing_tar(tmp_path: Path) -> Path:
    """Give a tar with a member that climbs out of the folder into which it is unpacked."""
    path = tmp_path / "climbing.tar"
    with tarfile.open(path, "w") as tar:
        member = tarfile.TarInfo("../escaped.txt")
        member.size = 1
        tar.addfile(member, io.BytesIO(b"x"))
    return path
