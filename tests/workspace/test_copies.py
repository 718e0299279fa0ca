"""A consistent copy of a workspace."""

import os
import shutil
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from replay.model import ParityError, UsageError
from replay.workspace import CopyLimitError, CopyLimits, copy_workspace


def fill(workspace: Path) -> None:
    """Make a workspace with one of each."""
    for folder in ("memory", ".secrets", ".daemon/logs", "skills/a"):
        (workspace / folder).mkdir(parents=True)
    (workspace / "agent.yaml").write_text("name: x\n")
    (workspace / "run.sh").write_text("#!/bin/sh\n")
    (workspace / "run.sh").chmod(0o755)
    (workspace / ".secrets/secrets.enc").write_text("{}")
    (workspace / ".daemon/auth-secret").write_bytes(b"k" * 32)
    (workspace / ".daemon/pid").write_text("1")
    (workspace / ".daemon/logs/signet.log").write_text("made up")
    (workspace / "skills/a/inside").symlink_to("../../agent.yaml")
    (workspace / "outside").symlink_to("../elsewhere")
    (workspace / "absolute").symlink_to(workspace / "agent.yaml")
    os.mkfifo(workspace / "pipe")


def names(folder: Path) -> list[str]:
    """Name what is in a folder, at any depth."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())


def test_copy_leaves_secrets_and_specials_behind_and_says_so(tmp_path: Path) -> None:
    """Regular files and links inside come along; the rest is named with a reason; the source stays as it was."""
    source, destination = tmp_path / "source", tmp_path / "copy"
    fill(source)
    before = names(source)
    left_out = copy_workspace(source, destination, CopyLimits()).left_out

    assert names(destination) == ["agent.yaml", "run.sh", "skills/a/inside"]
    assert left_out == (
        ".daemon/auth-secret: secret",
        ".daemon/logs: the daemon's log",
        ".daemon/pid: the running daemon's",
        ".secrets: secret",
        f"absolute: a link to {source / 'agent.yaml'}, an absolute path",
        "outside: a link to ../elsewhere, out of the workspace",
        "pipe: a socket, pipe or device",
    )
    assert names(source) == before
    assert (destination / "run.sh").stat().st_mode & 0o777 == 0o755
    assert destination.stat().st_mode & 0o777 == 0o700


def test_open_database_is_copied_whole_and_alone(tmp_path: Path) -> None:
    """A database under a running writer arrives as one file with all committed rows."""
    source, destination = tmp_path / "source", tmp_path / "copy"
    source.mkdir()
    with closing(sqlite3.connect(source / "memories.db")) as writer:
        writer.execute("PRAGMA journal_mode=wal")
        writer.execute("CREATE TABLE t (x)")
        writer.execute("INSERT INTO t VALUES (7)")
        writer.commit()
        left_out = copy_workspace(source, destination, CopyLimits()).left_out

    assert left_out == ()
    assert names(destination) == ["memories.db"]
    with closing(sqlite3.connect(destination / "memories.db")) as reader:
        assert reader.execute("SELECT x FROM t").fetchall() == [(7,)]


def test_socket_is_left_out(tmp_path: Path) -> None:
    """A listening socket in the workspace does not stop the copy."""
    source = tmp_path / "s"
    source.mkdir()
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(source / "x.sock"))

        assert copy_workspace(source, tmp_path / "c", CopyLimits()).left_out == ("x.sock: a socket, pipe or device",)


def test_bad_places_are_refused(tmp_path: Path) -> None:
    """No source, a filled destination, and one inside the source are errors of the caller."""
    source = tmp_path / "source"
    fill(source)
    with pytest.raises(UsageError, match="no such folder"):
        copy_workspace(tmp_path / "none", tmp_path / "copy", CopyLimits())
    with pytest.raises(UsageError, match="inside"):
        copy_workspace(source, source / "copy", CopyLimits())
    with pytest.raises(UsageError, match="not empty"):
        copy_workspace(source, tmp_path, CopyLimits())


def test_limits_are_an_error_of_their_own(tmp_path: Path) -> None:
    """A workspace that is too big or has too many files is not copied."""
    fill(tmp_path / "source")
    for number, limits in enumerate((CopyLimits(bytes_max=15), CopyLimits(files_max=1))):
        with pytest.raises(CopyLimitError, match="bigger than a snapshot may be"):
            copy_workspace(tmp_path / "source", tmp_path / str(number), limits)


def test_what_is_written_meanwhile_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that changed after its copy, or keeps changing under it, is in the copy and is named; others are not."""
    source = tmp_path / "source"
    source.mkdir()
    for name in ("a.md", "b.md", "c.md"):
        (source / name).write_text(name)
    real = shutil.copyfile

    def writes_on(path: Path, target: Path) -> None:
        real(path, target)
        if path.name == "b.md":
            with path.open("a") as file:
                file.write("+")
        if path.name == "c.md":
            (source / "a.md").write_text("changed later")

    monkeypatch.setattr(shutil, "copyfile", writes_on)
    copied = copy_workspace(source, tmp_path / "copy", CopyLimits())

    assert copied.changed_meanwhile == ("a.md", "b.md")
    assert names(tmp_path / "copy") == ["a.md", "b.md", "c.md"]
    assert (copied.files, copied.left_out) == (3, ())


def test_damaged_databases_are_left_out_but_not_the_main_one(tmp_path: Path) -> None:
    """An old backup that can't be read is named and left out; without the main database there is no copy."""
    source = tmp_path / "source"
    (source / "memory").mkdir(parents=True)
    (source / "memory/old.db").write_bytes(b"SQLite format 3\0" + b"\x07" * 4000)
    (line,) = copy_workspace(source, tmp_path / "copy", CopyLimits()).left_out
    assert line.startswith("memory/old.db: ")
    (source / "memory/old.db").rename(source / "memory/memories.db")
    with pytest.raises(ParityError, match="can't be copied"):
        copy_workspace(source, tmp_path / "other", CopyLimits())
