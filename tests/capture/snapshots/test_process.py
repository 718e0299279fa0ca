"""The process that takes a snapshot: what it answers, leaves alone and cleans up."""

import errno
import fcntl
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from replay.archive.disk import Disk
from replay.capture.snapshots import SnapshotOrder, SnapshotProcess
from replay.capture.snapshots.orders import decode_order, decode_result, encode_order, encode_result
from replay.capture.snapshots.scratch import choose_place, remove_left_behind, scratch_folder
from replay.capture.snapshots.starting import COMMAND
from replay.model import ParityError, UsageError

WRITER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
connection.execute("PRAGMA journal_mode=WAL")
connection.execute("CREATE TABLE IF NOT EXISTS pairs (side TEXT, number INTEGER)")
number = 0
print("ready", flush=True)
while True:
    number += 1
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO pairs VALUES ('left', ?)", (number,))
    connection.execute("INSERT INTO pairs VALUES ('right', ?)", (number,))
    connection.execute("COMMIT")
    if number == 20:
        print("written", flush=True)
"""
OWNER = """
import sys
from replay.capture.snapshots import SnapshotProcess
from replay.capture.snapshots.orders import decode_order
taken = SnapshotProcess.start(decode_order(sys.stdin.buffer.readline()))
print(taken.pid, flush=True)
taken.collect()
"""


def wait_for(happened: Callable[[], bool], timeout_s: float = 60.0) -> None:
    """Wait until something has happened."""
    pause = threading.Event()
    for _ in range(int(timeout_s / 0.02)):
        if happened():
            return
        pause.wait(0.02)
    raise AssertionError("did not happen in time")


@pytest.fixture
def writer(order: SnapshotOrder) -> Iterator[None]:
    """Let another process commit to the workspace's database, as a daemon does, for as long as the test runs."""
    with subprocess.Popen([sys.executable, "-c", WRITER, str(order.workspace / "memory/memories.db")], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        assert process.stdout.readline() == b"written\n"
        yield
        process.kill()


@pytest.mark.usefixtures("writer")
def test_snapshot_beside_a_writer_is_one_committed_state(order: SnapshotOrder, unpack: Callable[..., Any]) -> None:
    """What is taken while a daemon commits is whole transactions, says which files changed, and the process answers and cleans up."""
    process = SnapshotProcess.start(order)
    result = process.collect()
    taken = unpack(result, order.destination)
    assert "memory/memories.db" in result.changed_meanwhile
    with closing(taken.open_database()) as connection:
        sides = dict(connection.execute("SELECT side, count(*) FROM pairs GROUP BY side").fetchall())
        assert sides["left"] == sides["right"] >= 20
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert not list(taken.root.glob("memory/*-wal"))
    assert result.file_bytes == order.destination.stat().st_size
    assert order.destination.stat().st_mode & 0o777 == 0o600
    assert order.scratch is not None
    assert list(order.scratch.iterdir()) == []
    assert [path.name for path in order.destination.parent.iterdir()] == [order.destination.name]


def test_signals_to_the_group_do_not_end_it(order: SnapshotOrder) -> None:
    """INT, TERM and HUP are ignored once it works; its priority is below its owner's."""
    process = SnapshotProcess.start(order)
    scratch = order.scratch
    assert scratch is not None
    wait_for(lambda: any(scratch.iterdir()))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(process.pid, number)
    assert os.getpriority(os.PRIO_PROCESS, process.pid) > os.getpriority(os.PRIO_PROCESS, 0)
    assert process.collect().files > 0


def test_killed_owner_takes_it_along(order: SnapshotOrder) -> None:
    """When its owner is killed the process ends by itself and leaves neither scratch folder nor draft."""
    scratch = order.scratch
    assert scratch is not None
    with closing(sqlite3.connect(order.workspace / "memory/memories.db")) as connection:
        connection.execute("CREATE TABLE big (x)")
        connection.executemany("INSERT INTO big VALUES (?)", ((os.urandom(4000).hex(),) for _ in range(3000)))
        connection.commit()
    with subprocess.Popen([sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        assert owner.stdin is not None
        assert owner.stdout is not None
        owner.stdin.write(encode_order(order))
        owner.stdin.flush()
        child = int(owner.stdout.readline())
        wait_for(lambda: any(scratch.iterdir()))
        owner.kill()
    wait_for(lambda: not Path(f"/proc/{child}").exists() or b"Z" in Path(f"/proc/{child}/stat").read_bytes().split()[2:3])
    assert list(scratch.iterdir()) == []
    assert [path for path in order.destination.parent.iterdir() if path != order.destination] == []


def test_stopped_one_is_an_error_and_leaves_nothing(order: SnapshotOrder) -> None:
    """An owner that does not want it any more stops it."""
    process = SnapshotProcess.start(order)
    process.stop()
    process.stop()
    assert order.scratch is not None
    assert list(order.scratch.iterdir()) == []


@pytest.mark.parametrize("line", [b"", b"[]", b"{}", b'{"workspace": "a", "destination": "b", "archive_id": "c", "bytes_max": "x"}', b"\xff"])
def test_no_order_is_an_error_in_words(line: bytes) -> None:
    """Anything else than an order is refused with exit code 2 and what an order is."""
    with pytest.raises(UsageError, match="one line of JSON"):
        decode_order(line)


def test_refused_order_says_why(order: SnapshotOrder, tmp_path: Path) -> None:
    """The process's words come as an error of its owner."""
    with pytest.raises(ParityError, match="no such folder"):
        SnapshotProcess.start(replace(order, workspace=tmp_path / "none")).collect()
    done = subprocess.run(COMMAND, input=b"x\n", capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (2, b"")
    assert done.stdout.startswith(b"no order for a snapshot")


def test_orders_and_results_come_through(order: SnapshotOrder, take: Callable[..., Any]) -> None:
    """What is told and answered is read back as it was."""
    told = replace(order, recipients=(b"\x01" * 32,), rules=Path("/rules.toml"))
    assert decode_order(encode_order(told)) == told
    result = take(order).result
    assert decode_result(encode_result(result)) == result


def test_only_the_dead_are_cleared_away(tmp_path: Path) -> None:
    """Scratch folders of killed processes go; one whose process lives, one that is just being made and anybody else's files stay."""
    dead, made = tmp_path / "parity-snapshot-dead", tmp_path / "parity-snapshot-made"
    for folder in (dead, made, tmp_path / "other"):
        folder.mkdir()
    (dead / "lock").write_text("")
    (dead / "workspace").mkdir()
    (tmp_path / "parity-snapshot-link").symlink_to(tmp_path / "other")
    with scratch_folder(tmp_path) as living:
        assert living.stat().st_mode & 0o777 == 0o700
        with (living / "lock").open() as lock, pytest.raises(OSError, match="unavailable"):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert remove_left_behind([tmp_path, tmp_path]) == 1
        assert living.exists()
    assert {path.name for path in tmp_path.iterdir()} == {made.name, "other", "parity-snapshot-link"}


def test_place_without_room_is_refused_before_anything_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says how much is needed and what is there."""
    assert choose_place(tmp_path, tmp_path, 1) == tmp_path
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 90, 10))
    with pytest.raises(ParityError, match=r"about 11 bytes.*10 bytes free"):
        choose_place(tmp_path, tmp_path, 11)


def test_full_disk_is_an_error_and_leaves_nothing(order: SnapshotOrder, take: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the disk fills up while it is packed, there is no snapshot and no draft."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Disk, "append", refuse)
    with pytest.raises(ParityError, match="No space left"):
        take(order)
    assert list(order.destination.parent.iterdir()) == []
