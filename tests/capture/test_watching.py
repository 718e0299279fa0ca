"""Watching a workspace: real files, real notices."""

import hashlib
import os
import queue
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from replay.capture.notices import InotifyNotices, Notice, Notices, ObserverNotices, open_notices
from replay.capture.watched import is_entered, is_watched
from replay.capture.watching import FOUND_AFTER_LOSS, FOUND_BY_LOOKING, Change, WatchLimits, WorkspaceWatcher
from replay.model import UsageError, WorkspaceChange

BOUND_S = 10.0
NEVER_LOOK = WatchLimits(look_every_s=3600.0)

type Source = Callable[[str, Callable[[Notice], None]], Notices]


class Watched:
    """A watcher and what it said."""

    def __init__(self, root: Path, limits: WatchLimits, source: Source = open_notices) -> None:
        self.root = root
        self.changes: queue.SimpleQueue[Change] = queue.SimpleQueue()
        self.troubles: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.watcher = WorkspaceWatcher(root, self.changes.put, self.troubles.put, limits=limits, source=source)

    def next(self) -> Change:
        """Wait for the next change."""
        return self.changes.get(timeout=BOUND_S)

    def await_path(self, path: str, content: bytes | None = None) -> Change:
        """Wait for a change of one file, and to that content if it is given."""
        end = time.monotonic() + BOUND_S
        while True:
            change = self.changes.get(timeout=max(0.0, end - time.monotonic()))
            if change.path == path and content in (None, change.content):
                return change

    def rest(self) -> list[Change]:
        """Stop, and give what has not been asked for."""
        assert self.watcher.stop(BOUND_S)
        changes = []
        while not self.changes.empty():
            changes.append(self.changes.get())
        return changes


@contextmanager
def watching(root: Path, limits: WatchLimits = NEVER_LOOK, source: Source = open_notices) -> Iterator[Watched]:
    """Watch a folder until the end of the block."""
    watched = Watched(root, limits, source)
    watched.watcher.start()
    try:
        assert watched.watcher.ready.wait(BOUND_S)
        yield watched
    finally:
        watched.watcher.stop(BOUND_S)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Give a small workspace."""
    root = tmp_path / "agents"
    for folder in ("memory", "agents/main", "skills/one", ".secrets", ".daemon", ".git"):
        (root / folder).mkdir(parents=True)
    (root / "AGENTS.md").write_text("first\n")
    (root / "agent.yaml").write_text("configVersion: 2\n")
    (root / "memory/memories.db").write_bytes(b"SQLite format 3\0")
    (root / ".secrets/secrets.enc").write_bytes(b"sealed")
    return root


@pytest.mark.parametrize("source", [InotifyNotices, ObserverNotices])
@pytest.mark.parametrize(
    "save",
    [
        pytest.param(lambda path: path.write_text("second\n"), id="in place"),
        pytest.param(lambda path: (path.with_name(".x.tmp").write_text("second\n"), path.with_name(".x.tmp").replace(path)), id="replace"),
        pytest.param(lambda path: (path.rename(path.with_name("AGENTS.md~")), path.write_text("second\n")), id="editor with backup"),
        pytest.param(lambda path: (path.rename(path.parents[1] / "out"), path.write_text("second\n")), id="backup elsewhere"),
        pytest.param(lambda path: (path.unlink(), path.write_text("second\n")), id="unlink and write"),
    ],
)
def test_a_save_is_one_change_with_the_new_content(workspace: Path, save: Callable[[Path], object], source: Source) -> None:
    """However an editor saves, the file's new content comes, with digest and its own time, and nothing else."""
    if source is InotifyNotices and sys.platform != "linux":
        pytest.skip("inotify is Linux's")
    path = workspace / "AGENTS.md"
    with watching(workspace, source=source) as watched:
        save(path)
        change = watched.await_path("AGENTS.md", b"second\n")
        assert change == Change("AGENTS.md", change.at, path.stat().st_mtime, hashlib.sha256(b"second\n").hexdigest(), b"second\n")
        assert [rest for rest in watched.rest() if rest.path != "AGENTS.md"] == []


def test_an_appended_file_comes_whole(workspace: Path) -> None:
    """An append gives the whole file as it is then."""
    with watching(workspace) as watched:
        with (workspace / "AGENTS.md").open("a") as file:
            file.write("more\n")
        assert watched.next().content == b"first\nmore\n"


def test_equal_content_is_no_change(workspace: Path) -> None:
    """Written again with the same bytes, or touched, a file has not changed."""
    with watching(workspace) as watched:
        (workspace / "AGENTS.md").write_text("first\n")
        os.utime(workspace / "agent.yaml", (1, 1))
        (workspace / "SOUL.md").write_text("new\n")
        assert [change.path for change in (watched.next(), *watched.rest())] == ["SOUL.md"]


def test_a_deleted_file_is_gone(workspace: Path) -> None:
    """Where a file went there is neither content nor digest nor time."""
    with watching(workspace) as watched:
        (workspace / "AGENTS.md").unlink()
        change = watched.next()
        assert (change.path, change.gone, change.digest, change.content, change.note) == ("AGENTS.md", True, None, None, "")


def test_what_came_and_went_is_no_change(workspace: Path) -> None:
    """A file that is deleted before it could be read was never there, and its like is not reported as gone."""
    with watching(workspace) as watched:
        assert watched.watcher.figures.files == 2 + 1
        path = workspace / "memory/short.md"
        os.link(workspace / "AGENTS.md", path)
        path.unlink()
        (workspace / "SOUL.md").write_text("new\n")
        assert [change.path for change in (watched.next(), *watched.rest())] == ["SOUL.md"]


def test_a_rename_is_gone_and_new(workspace: Path) -> None:
    """A renamed file is gone at the old path and new at the other."""
    with watching(workspace) as watched:
        (workspace / "AGENTS.md").rename(workspace / "memory/old.md")
        found = {change.path: change for change in (watched.next(), watched.next())}
        assert found["AGENTS.md"].gone
        assert found["memory/old.md"].content == b"first\n"
        assert watched.rest() == []


def test_a_new_folder_with_files_at_once_is_seen_whole(workspace: Path) -> None:
    """Files in folders that were not there a moment ago are all noticed, also deep ones."""
    with watching(workspace) as watched:
        for number in range(20):
            deep = workspace / f"agents/a{number}/x/y"
            deep.mkdir(parents=True)
            (deep / "SOUL.md").write_text(str(number))
        found = {watched.next().path for _ in range(20)}
        assert found == {f"agents/a{number}/x/y/SOUL.md" for number in range(20)}
        (workspace / "agents/a3/x/y/SOUL.md").write_text("again")
        assert watched.next().content == b"again"


def test_a_moved_folder_goes_on_being_watched(workspace: Path) -> None:
    """A folder that is renamed takes its files with it, and they are watched under their new names."""
    (workspace / "agents/main/SOUL.md").write_text("soul")
    with watching(workspace) as watched:
        (workspace / "agents/main").rename(workspace / "agents/other")
        found = {change.path: change for change in (watched.next(), watched.next())}
        assert found["agents/main/SOUL.md"].gone
        assert found["agents/other/SOUL.md"].content == b"soul"
        (workspace / "agents/other/SOUL.md").write_text("again")
        assert watched.await_path("agents/other/SOUL.md").content == b"again"


def test_a_deleted_folder_takes_its_files(workspace: Path) -> None:
    """With a folder, each known file in it is gone."""
    for number in range(10):
        (workspace / f"skills/one/{number}.md").write_text("skill")
    with watching(workspace) as watched:
        shutil.rmtree(workspace / "skills/one")
        found = [watched.next() for _ in range(10)]
        assert all(change.gone for change in found)
        assert {change.path for change in found} == {f"skills/one/{number}.md" for number in range(10)}


def test_a_burst_of_files_comes_whole(workspace: Path) -> None:
    """500 files written at once are 500 changes with their contents."""
    with watching(workspace) as watched:
        for number in range(500):
            (workspace / f"memory/note-{number}.md").write_text(f"note {number}")
        found: dict[str, bytes | None] = {}
        while len(found) < 500:
            change = watched.next()
            found[change.path] = change.content
        assert found == {f"memory/note-{number}.md": f"note {number}".encode() for number in range(500)}


def test_ten_thousand_files_are_learnt_and_watched(workspace: Path) -> None:
    """A big workspace is known before long, and a single change in it is found."""
    for number in range(100):
        folder = workspace / f"skills/s{number}"
        folder.mkdir()
        for inner in range(100):
            (folder / f"{inner}.md").write_text(f"{number} {inner}")
    with watching(workspace) as watched:
        assert watched.watcher.figures.files == 10_003
        (workspace / "skills/s77/7.md").write_text("new")
        change = watched.next()
        assert (change.path, change.content) == ("skills/s77/7.md", b"new")
        assert watched.rest() == []
        assert watched.watcher.figures.looks == 1


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("AGENTS.md", True),
        ("HEARTBEAT.md", True),
        ("agent.yaml", True),
        (".sigignore", True),
        (".gitignore", True),
        ("sources.json", True),
        ("memory/2026-01-02-note.md", True),
        ("memory/memories.db", False),
        ("memory/memories.db-wal", False),
        ("memory/memories.db.bak-v0-1", False),
        ("memory/codex/transcripts/transcript.jsonl", False),
        ("agents/a/b/c.txt", True),
        ("agents/a/.git/HEAD", False),
        ("agents/a/state.db-wal", False),
        ("skills/x/SKILL.md", True),
        ("skills/x/node_modules/y/index.js", False),
        ("context-profiles/p.json", True),
        ("marketplace/mcp-servers.json", True),
        ("marketplace/widgets/w.json", True),
        ("marketplace/widgets/w.html", False),
        (".clawdhub/lock.json", True),
        (".secrets/secrets.enc", True),
        (".daemon/logs/signet-2026-01-01.log", False),
        (".daemon/auth-secret", False),
        (".git/config", False),
        ("signetai/README.md", False),
        (".AGENTS.md.swp", False),
        ("AGENTS.md~", False),
        ("memory/.#note.md", False),
        ("sources.json.tmp-12-ab", False),
        ("random.txt", False),
    ],
)
def test_the_table_of_watched_files(path: str, expected: bool) -> None:  # noqa: FBT001
    """What people edit and the daemon reads is watched; databases, logs and what editors leave are not."""
    assert is_watched(path) is expected
    assert not expected or is_entered(path.rpartition("/")[0])


def test_secrets_are_never_opened(workspace: Path) -> None:
    """Of a secret file only that it changed is told: neither content nor digest."""
    with watching(workspace) as watched:
        (workspace / ".secrets/secrets.enc").write_bytes(b"sealed anew")
        change = watched.next()
        assert (change.path, change.digest, change.content, change.gone) == (".secrets/secrets.enc", None, None, False)
        assert "secret" in change.note


def test_a_big_file_is_given_by_its_digest(workspace: Path) -> None:
    """Beyond the bound there is a digest and no content; far beyond, only the notice."""
    limits = WatchLimits(content_bytes_max=1000, digest_bytes_max=100_000, look_every_s=3600.0)
    with watching(workspace, limits) as watched:
        (workspace / "SOUL.md").write_bytes(b"x" * 1000)
        assert watched.next().content == b"x" * 1000
        (workspace / "SOUL.md").write_bytes(b"x" * 1001)
        change = watched.next()
        assert (change.content, change.digest) == (None, hashlib.sha256(b"x" * 1001).hexdigest())
        assert change.note == "too big: 1001 bytes"
        (workspace / "SOUL.md").write_bytes(b"x" * 100_001)
        change = watched.next()
        assert (change.content, change.digest, change.gone) == (None, None, False)


def test_links_pipes_and_sockets_are_named_and_not_followed(workspace: Path, tmp_path: Path) -> None:
    """Links, wherever they lead, and special files are told of and never read; a linked folder is not entered."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.md").write_text("secret")
    with watching(workspace) as watched:
        (workspace / "memory/out.md").symlink_to(outside / "secret.md")
        assert "not followed" in watched.await_path("memory/out.md").note
        (workspace / "memory/in.md").symlink_to("../AGENTS.md")
        assert "not followed" in watched.await_path("memory/in.md").note
        os.mkfifo(workspace / "memory/pipe.md")
        assert "pipe" in watched.await_path("memory/pipe.md").note
        with socket.socket(socket.AF_UNIX) as server:
            old = Path.cwd()
            os.chdir(workspace / "memory")  # a socket's path is short
            try:
                server.bind("socket.md")
            finally:
                os.chdir(old)
            assert "socket" in watched.await_path("memory/socket.md").note
        (workspace / "agents/linked").symlink_to(outside)
        (outside / "secret.md").write_text("another")
        (workspace / "SOUL.md").write_text("end")
        seen = [watched.await_path("SOUL.md"), *watched.rest()]
        assert all(b"secret" not in (change.content or b"") and b"another" not in (change.content or b"") for change in seen)


def test_a_folder_swapped_for_a_link_leads_nowhere(workspace: Path, tmp_path: Path) -> None:
    """Where a watched folder becomes a link out of the workspace, nothing behind it is read."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "SOUL.md").write_text("secret")
    (workspace / "agents/main/SOUL.md").write_text("soul")
    with watching(workspace) as watched:
        shutil.rmtree(workspace / "agents/main")
        (workspace / "agents/main").symlink_to(outside)
        change = watched.await_path("agents/main/SOUL.md")
        assert change.content is None
        assert all(change.content is None for change in watched.rest())


def test_odd_names_pass_through_an_archive(workspace: Path) -> None:
    """A name with control characters, or bytes that are no UTF-8, comes through and survives an archive's encoding."""
    from replay.archive.codec import decode, encode

    names = [b"bad\xff\xfe.md", b"new\nline\t\x1b[31m.md", "ü\u202e.md".encode()]
    with watching(workspace) as watched:
        for name in names:
            (workspace / "memory" / os.fsdecode(name)).write_text("odd")
            change = watched.next()
            assert change.path == f"memory/{os.fsdecode(name)}"
            record = WorkspaceChange(1, change.at, change.path, change.digest, change.content, change.modified_at)
            assert list(decode(encode(record), lambda _: b"")) == [record]


def test_what_no_notice_told_is_found_by_looking(workspace: Path) -> None:
    """A file that is held open and written to changes without a notice, and is found with a note that says so."""
    with watching(workspace, WatchLimits(look_every_s=0.1)) as watched, (workspace / "AGENTS.md").open("a") as file:
        file.write("held open\n")
        file.flush()
        change = watched.next()
        assert (change.content, change.note) == (b"first\nheld open\n", FOUND_BY_LOOKING)
        assert watched.watcher.figures.found_by_looking == 1


def test_the_last_look_comes_at_the_end(workspace: Path) -> None:
    """What was written just before the stop is in."""
    with watching(workspace) as watched:
        (workspace / "AGENTS.md").write_text("last\n")
        assert [change.content for change in watched.rest()] == [b"last\n"]


def test_a_change_before_the_first_state_is_known_counts(workspace: Path) -> None:
    """From the moment that `start` returns no change is missed, though the first state is not known yet."""
    for number in range(300):
        (workspace / f"memory/n{number}.md").write_text("note")
    watched = Watched(workspace, NEVER_LOOK)
    watched.watcher.start()
    (workspace / "memory/n299.md").write_text("changed")
    (workspace / "memory/n298.md").unlink()
    found = {change.path: change for change in watched.rest()}
    assert found["memory/n299.md"].content == b"changed"
    assert found["memory/n298.md"].gone


class Overflowing(InotifyNotices):
    """Notices that are lost from `losing` on until the one of IDENTITY.md, which becomes an overflow."""

    def __init__(self, root: str, put: Callable[[Notice], None]) -> None:
        self.losing = False
        self._forward = put
        super().__init__(root, self._lose)

    def _lose(self, notice: Notice) -> None:
        if not self.losing:
            self._forward(notice)
        elif notice == Notice("written", "IDENTITY.md"):
            self.losing = False
            self._forward(Notice("overflow", ""))


@pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")
def test_after_an_overflow_everything_is_looked_at(workspace: Path) -> None:
    """What changed while notices were lost comes with a note, new folders are watched afterwards, and the loss is told."""
    sources: list[Overflowing] = []

    def source(root: str, put: Callable[[Notice], None]) -> Notices:
        sources.append(Overflowing(root, put))
        return sources[0]

    with watching(workspace, source=source) as watched:
        sources[0].losing = True
        (workspace / "agents/late").mkdir()
        (workspace / "agents/late/SOUL.md").write_text("unseen")
        (workspace / "IDENTITY.md").write_text("unseen\n")
        found = {change.path: change for change in (watched.next(), watched.next())}
        assert {path: change.note for path, change in found.items()} == dict.fromkeys(("IDENTITY.md", "agents/late/SOUL.md"), FOUND_AFTER_LOSS)
        assert "more changes at once" in watched.troubles.get(timeout=BOUND_S)
        (workspace / "agents/late/SOUL.md").write_text("seen")
        assert watched.next().note == ""


@pytest.mark.parametrize("source", [InotifyNotices, ObserverNotices])
@pytest.mark.parametrize("how", ["deleted", "moved"])
def test_a_workspace_that_goes_and_comes_back(workspace: Path, how: str, source: Source) -> None:
    """The loss of the whole workspace is told, and its return; what differs then comes with a note."""
    if source is InotifyNotices and sys.platform != "linux":
        pytest.skip("inotify is Linux's")
    with watching(workspace, WatchLimits(look_every_s=0.1), source) as watched:
        if how == "deleted":
            shutil.rmtree(workspace)
        else:
            workspace.rename(workspace.with_name("elsewhere"))
        assert "the workspace is gone" in watched.troubles.get(timeout=BOUND_S)
        workspace.mkdir()
        (workspace / "AGENTS.md").write_text("another\n")
        assert "watched again" in watched.troubles.get(timeout=BOUND_S)
        watched.await_path("AGENTS.md", b"another\n")
        (workspace / "AGENTS.md").write_text("and on\n")
        assert watched.await_path("AGENTS.md", b"and on\n").note == ""


def test_without_notices_looking_does(workspace: Path) -> None:
    """Where the system's limit on notices is met, that is told, and files are looked at instead."""

    def source(root: str, put: Callable[[Notice], None]) -> Notices:
        raise OSError(24, "inotify instance limit reached")

    with watching(workspace, WatchLimits(look_every_s=0.1), source) as watched:
        assert "no notices" in watched.troubles.get(timeout=BOUND_S)
        (workspace / "AGENTS.md").write_text("found\n")
        change = watched.next()
        assert (change.content, change.note) == (b"found\n", FOUND_BY_LOOKING)


def test_more_files_than_may_be_known(workspace: Path) -> None:
    """Beyond the bound on known files that is told, and noticed changes come all the same."""
    for number in range(20):
        (workspace / f"memory/n{number}.md").write_text("note")
    with watching(workspace, WatchLimits(files_max=10, look_every_s=3600.0)) as watched:
        assert "more than 10 watched files" in watched.troubles.get(timeout=BOUND_S)
        assert watched.watcher.figures.files == 10
        for number in range(20):
            (workspace / f"memory/n{number}.md").write_text("changed")
        assert {watched.next().path for _ in range(20)} == {f"memory/n{number}.md" for number in range(20)}
        assert watched.troubles.empty()


def test_more_entries_than_may_be_listed(workspace: Path) -> None:
    """Where there is more than is looked at, that is told, and no file is taken for gone that was only not reached."""
    for number in range(50):
        (workspace / f"memory/n{number}.md").write_text("note")
    with watching(workspace, WatchLimits(listed_max=20, look_every_s=0.05)) as watched:
        assert "more than 20 files and folders" in watched.troubles.get(timeout=BOUND_S)
        (workspace / "memory/n7.md").write_text("changed")
        assert watched.await_path("memory/n7.md").content == b"changed"
        assert not any(change.gone for change in watched.rest())


def test_a_callback_that_fails_ends_nothing(workspace: Path) -> None:
    """An error in the caller's hands is told, and the watch goes on."""
    troubles: queue.SimpleQueue[str] = queue.SimpleQueue()

    def fail(change: Change) -> None:
        raise RuntimeError(change.path)

    watcher = WorkspaceWatcher(workspace, fail, troubles.put, limits=NEVER_LOOK)
    watcher.start()
    assert watcher.ready.wait(BOUND_S)
    for text in ("one", "two"):
        (workspace / "AGENTS.md").write_text(text)
        assert "could not be handed on" in troubles.get(timeout=BOUND_S)
    assert watcher.stop(BOUND_S)


def test_a_missing_workspace_is_refused(tmp_path: Path) -> None:
    """A workspace that is not there is the caller's error."""
    with pytest.raises(UsageError, match="no such folder"):
        WorkspaceWatcher(tmp_path / "none", print, print).start()


UNREADABLE = """
import os, queue, sys
from pathlib import Path
import watchdog.observers.inotify_c
from replay.capture.watching import WorkspaceWatcher
root = Path(sys.argv[1])
os.chown(root / "memory/closed.md", 0, 0)
os.setgroups([]); os.setgid(65534); os.setuid(65534)
changes, troubles = queue.SimpleQueue(), queue.SimpleQueue()
watcher = WorkspaceWatcher(root, changes.put, troubles.put)
watcher.start()
assert watcher.ready.wait(10)
assert "locked: can't be read" in troubles.get(timeout=10)
(root / "memory/open.md").write_text("written")
change = changes.get(timeout=10)
assert (change.path, change.content) == ("memory/open.md", b"written"), change
os.replace(root / "memory/closed.md", root / "memory/renamed.md")
found = {change.path: change for change in (changes.get(timeout=10), changes.get(timeout=10))}
assert found["memory/closed.md"].gone
assert "not readable" in found["memory/renamed.md"].note and found["memory/renamed.md"].content is None
assert watcher.stop(10)
"""


@pytest.mark.skipif(sys.platform != "linux" or os.getuid() != 0, reason="only root can drop its rights")
def test_unreadable_files_and_folders_are_told() -> None:
    """A folder that can't be read is told of once, a file that can't be read comes with a note, and the rest is watched."""
    with tempfile.TemporaryDirectory() as scratch:  # pytest's own folders are closed to others
        workspace = Path(scratch)
        (workspace / "memory").mkdir()
        (workspace / "memory").chmod(0o777)
        (workspace / "memory/closed.md").write_text("closed")
        (workspace / "memory/closed.md").chmod(0o600)
        (workspace / "agents/locked").mkdir(parents=True)
        (workspace / "agents/locked").chmod(0o700)
        workspace.chmod(0o755)
        program = [sys.executable, "-c", UNREADABLE, scratch]
        done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
