"""What somebody found who tried to break the recorder."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from replay.archive import read, verify
from replay.capture.frames import CONFIG, NUMBER, STOP, pack
from replay.capture.installation import load_key
from replay.capture.writing.journal import Journal
from replay.model import Gap, GapReason


def talk(folder: Path, messages: Iterator[Any], **changes: Any) -> list[dict[str, Any]]:
    """Start a real writer, give it its configuration, then a message after each of its alarms; gives all that it answered."""
    load_key(folder / "key")
    configuration: dict[str, Any] = {
        "path": str(folder / "out" / "a.parity"),
        "facts": {},
        "redact": True,
        "key_path": str(folder / "key"),
        "rules": "",
        "recipients": (),
        "workspace": str(folder / "workspace"),
        "watch": False,
        "attach": (),
        "snapshots": (),
        "snapshot_seconds": 20.0,
        "segment_bytes": 1 << 28,
        "segment_seconds": 86400.0,
        "keep_bytes": 0,
        "keep_seconds": 0.0,
        "floor": 0,
        "continues": "",
        **changes,
    }
    answers = []
    command = [sys.executable, "-P", "-m", "replay.capture.writing"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def send(*message: Any) -> None:
            assert process.stdin is not None
            process.stdin.write(b"".join(bytes(buffer) for buffer in pack([message], 0.0)))
            process.stdin.flush()

        send(CONFIG, configuration)
        for event, line in enumerate(process.stdout, 1):
            answer = json.loads(line)
            if "number" in answer:
                send(NUMBER, answer["number"], event)
                continue
            answers.append(answer)
            if "sealed" in answer:
                break
            message = next(messages, None) if "alarm" in answer else None
            if message is not None:
                send(*message)
        process.stdin.close()
        assert process.wait(20) == 0
    return answers


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["parity_queue_mb=many"], "parity_queue_mb"),
        (["parity_output=a.parity", "parity_output=b.parity"], "parity_output"),
        (["parity_recipient=ops.pub"], "parity_recipient: there is no such option"),
        (["parity_output=" + "a" * 300 + ".parity"], "nothing can be written there"),
        (["parity_attach=" + "a" * 300], "can't be looked at"),
    ],
)
def test_options_that_are_none(launch: Any, tmp_path: Path, options: list[str], said: str) -> None:
    """A value that is none, an option given twice or mistyped, a name that no disk takes: code 2 and words, never traffic unrecorded."""
    proxy = launch(*(part for option in options for part in ("--set", option)))
    assert proxy.wait() == 2, proxy.output
    assert said in proxy.output
    assert "listening" not in proxy.output
    assert not list(tmp_path.glob("**/*.parity"))


def test_refusing_without_standard_error(launch: Any) -> None:
    """Where standard error is closed a listener beyond loopback is refused all the same."""
    proxy = launch("--mode", "reverse:http://127.0.0.1:9@0.0.0.0:0", bare=True, before=lambda: os.close(2))
    assert proxy.wait() == 2, proxy.output
    assert "listening" not in proxy.output


def test_a_dead_daemon_and_many_clients(launch: Any, tmp_path: Path) -> None:
    """Clients that come again and again to a dead daemon are all counted, and neither queue nor archive grows with each of them."""
    with socket.socket() as dead:
        dead.bind(("127.0.0.1", 0))
        mode = f"reverse:http://127.0.0.1:{dead.getsockname()[1]}"
        proxy = launch(*("--mode", mode, "--listen-host", "127.0.0.1", "-p", "0", "--set", "parity_output=out.parity"), bare=True)
        for _ in range(100):
            with socket.create_connection(("127.0.0.1", proxy.port), timeout=20) as client:
                assert client.recv(1) == b""
        assert proxy.end() == 0
    gaps = [gap for gap in read(tmp_path / "out.parity").gaps() if gap.reason is GapReason.SKIPPED]
    assert sum(gap.count for gap in gaps) == 100
    assert len(gaps) < 50


def test_a_workspace_that_is_not_there_for_the_next_writer(tmp_path: Path) -> None:
    """A writer that begins when the workspace is away says so once, in the archive too, and records: it does not die of it again and again."""
    answers = talk(tmp_path, iter([(STOP, "test")]), watch=True)
    assert len([answer for answer in answers if "alarm" in answer]) == 1
    [gap] = read(tmp_path / "out" / "a.parity").gaps()
    assert "nothing of it is recorded until it is there" in gap.detail


def test_an_archive_that_begins_late(tmp_path: Path) -> None:
    """Where the disk refuses at first, the archive that begins later has its first snapshot all the same."""
    (tmp_path / "workspace").mkdir()
    (tmp_path / "out").touch()

    def mend() -> Iterator[tuple[Any, ...] | None]:
        (tmp_path / "out").unlink()
        yield None
        yield STOP, "test"

    talk(tmp_path, mend(), snapshots=("start",))
    assert [snapshot.taken_at for snapshot in read(tmp_path / "out" / "a.parity").snapshots()] == ["start"]


def test_an_open_segment_that_is_deleted(tmp_path: Path) -> None:
    """Where somebody deletes the segment that is being written, that is said and another archive begun; never a seal over nothing."""
    alarms: list[str] = []
    journal = Journal(tmp_path / "a.parity", {}, alarms.append)
    assert journal.begin()
    journal.write(Gap(GapReason.SKIPPED, detail="before"))
    next((tmp_path / "a.parity").glob("segment-*")).unlink()
    assert journal.seal(event=1, at=1.0, reason="test")
    assert journal.path.name == "a-2.parity"
    assert "moved or deleted" in alarms[0]
    assert verify(journal.path).good
