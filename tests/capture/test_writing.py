"""The writer process: real, on the end of a real pipe."""

import json
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from replay.archive import read, verify
from replay.capture.frames import CHUNK, CONFIG, ENDED, GAP, NUMBER, OPENED, STATISTICS, STOP, pack
from replay.capture.installation import load_key
from replay.capture.writing.process import Writer
from replay.model import ArchiveError, EndReason, GapReason, Statistics

SECRET = b"sig_sk_0123456789ab_" + b"Ss9-_" * 8 + b"xyz"


def configuration(folder: Path, **changes: Any) -> dict[str, Any]:
    """Give what the proxy tells a writer."""
    load_key(folder / "key")
    return {
        "path": str(folder / "a.parity"),
        "facts": {"recorder": "test"},
        "redact": True,
        "key_path": str(folder / "key"),
        "rules": "",
        "recipients": (),
        "workspace": "",
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


def exchange(number: int, event: int, *, body: bytes = b"{}", secret: bytes = b"x") -> list[Any]:
    """Give the messages of one exchange, event numbers from one on."""
    headers = ((b"Authorization", b"Bearer " + secret), (b"Host", b"x"))
    answer = (b"HTTP/1.1", 200, b"OK", ((b"Content-Type", b"application/json"),), body, ())
    return [
        (OPENED, number, event, 1.0, "c1", "127.0.0.1:9", "daemon", b"POST", b"/api/memory/remember", b"HTTP/1.1", headers),
        (ENDED, number, event + 2, 2.0, "complete", answer, b'{"content":1}', (), "s1", event + 1, 1.5, 1.6, False, False, ""),
    ]


class Process:
    """A real writer process, and the proxy's ends of its pipes."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "replay.capture.writing"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        self.events = 100

    def send(self, *messages: Any) -> None:
        """Send messages as one frame."""
        assert self.process.stdin
        self.process.stdin.write(b"".join(bytes(buffer) for buffer in pack(messages, 0.0)))
        self.process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        """Give its next answer; a wish for a number is granted in passing."""
        assert self.process.stdout
        while True:
            line = self.process.stdout.readline()
            assert line, "it said nothing more"
            answer: dict[str, Any] = json.loads(line)
            if "number" not in answer:
                return answer
            self.events += 1
            self.send((NUMBER, answer["number"], self.events))

    def hang_up(self) -> int:
        """Close the pipe and give the exit code."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.close()
        self.process.stdout.read()
        return self.process.wait(20)


@contextmanager
def writing() -> Iterator[Process]:
    """Give a running writer; it is ended afterwards, whatever happened."""
    running = Process()
    try:
        yield running
    finally:
        running.process.kill()
        running.process.wait()
        for pipe in (running.process.stdin, running.process.stdout):
            if pipe and not pipe.closed:
                pipe.close()


def test_told_to_stop_it_seals(tmp_path: Path) -> None:
    """What came before the stop is in the archive, redacted; it is sealed, its statistics are in it, and the exit code is 0."""
    with writing() as writer:
        writer.send((CONFIG, configuration(tmp_path)), *exchange(1, 1, secret=SECRET))
        assert writer.hear() == {"ready": str(tmp_path / "a.parity")}
        writer.send(*exchange(2, 4, secret=SECRET), (STATISTICS, 5.0, {"hook_p50_us": 7.0}), (STOP, "test"))
        writer.events = 6
        assert writer.hear() == {"sealed": True, "path": str(tmp_path / "a.parity"), "lost": 0}
        assert writer.hang_up() == 0
    assert verify(tmp_path / "a.parity").good
    archive = read(tmp_path / "a.parity")
    one, two = archive.exchanges()
    assert SECRET not in repr((one, two)).encode()
    assert one.request.headers == two.request.headers
    told = [record.values for record in archive.records() if isinstance(record, Statistics)]
    assert {"hook_p50_us", "writer_cpu_s", "writer_rss_peak_bytes"} <= told[0].keys()
    status = json.loads((tmp_path / "a.parity" / "status.json").read_text())
    assert (status["state"], status["exchanges"], status["open"]) == ("sealed", 2, 0)


def test_where_the_pipe_ends_it_seals_as_cut(tmp_path: Path) -> None:
    """A proxy that is gone without a word leaves an archive that says so: refused, and whole up to what had been handed over."""
    with writing() as writer:
        writer.send((CONFIG, configuration(tmp_path)), *exchange(1, 1), exchange(2, 4)[0])
        writer.hear()
        assert writer.hang_up() == 0
    with pytest.raises(ArchiveError, match="cut"):
        read(tmp_path / "a.parity")
    assert not verify(tmp_path / "a.parity").good
    found = read(tmp_path / "a.parity", salvage=True)
    assert [item.id for item in found.exchanges()] == [1]
    assert {(gap.exchange, gap.reason) for gap in found.gaps()} == {(2, GapReason.CUT)}
    assert json.loads((tmp_path / "a.parity" / "status.json").read_text())["state"] == "cut"


def test_signals_to_the_group_are_not_for_it(tmp_path: Path) -> None:
    """INT, TERM and HUP, which service managers send to everybody, do not keep it from sealing."""
    with writing() as writer:
        writer.send((CONFIG, configuration(tmp_path)), *exchange(1, 1))
        writer.hear()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            writer.process.send_signal(number)
        writer.events = 3
        writer.send((STOP, "test"))
        assert writer.hear()["sealed"]
        assert writer.hang_up() == 0
    assert verify(tmp_path / "a.parity").good


def test_what_is_no_frame_ends_it(tmp_path: Path) -> None:
    """Something else in the pipe is said, what had come is sealed as cut, and the exit code is 2."""
    with writing() as writer:
        writer.send((CONFIG, configuration(tmp_path)), *exchange(1, 1))
        writer.hear()
        assert writer.process.stdin
        writer.process.stdin.write(b"GET / HTTP/1.1\r\n" * 20)
        writer.process.stdin.flush()
        assert "no frame" in writer.hear()["alarm"]
        assert writer.hang_up() == 2
    assert [item.id for item in read(tmp_path / "a.parity", salvage=True).exchanges()] == [1]


def test_it_loads_no_mitmproxy() -> None:
    """The writer starts without mitmproxy, which would take it half a second and sixty megabytes."""
    code = "import sys, replay.capture.writing.__main__; print(any(name.split('.')[0] == 'mitmproxy' for name in sys.modules))"
    assert subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"


class Said:
    """A writer in this process; answers are kept, numbers given at once."""

    def __init__(self) -> None:
        self.answers: list[dict[str, Any]] = []
        self.selector = selectors.DefaultSelector()
        self.writer = Writer(self.answers.append, self.selector)

    def close(self) -> None:
        """Let go of what it watched."""
        self.writer.cut("the test is over")
        self.selector.close()


@pytest.fixture
def said() -> Iterator[Said]:
    """Give a writer in this process."""
    running = Said()
    yield running
    running.close()


def test_what_cannot_be_redacted_is_not_written(tmp_path: Path, said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    """A redactor that fails costs the record, never the secret."""

    def fail(*_: Any) -> Any:
        raise RuntimeError

    monkeypatch.setattr("replay.capture.writing.process.RecordRedactor.feed", fail)
    said.writer.take((CONFIG, configuration(tmp_path)), 0.0)
    for message in exchange(1, 1, secret=SECRET):
        said.writer.take(message, 0.0)
    said.writer.cut("test")
    archive = read(tmp_path / "a.parity", salvage=True)
    assert SECRET not in repr(list(archive.records())).encode()
    assert {gap.reason for gap in archive.gaps()} == {GapReason.NOT_WRITTEN}
    assert any("could not be redacted" in answer.get("alarm", "") for answer in said.answers)


def test_an_exchange_whose_end_is_a_gap(tmp_path: Path, said: Said) -> None:
    """A gap in place of an exchange's end lets go of it; a body that was left out does not: its end follows."""
    said.writer.take((CONFIG, configuration(tmp_path)), 0.0)
    first, second = exchange(1, 1), exchange(2, 3)
    for message in (
        first[0],
        (GAP, "not written", 2, 1, 1, "end of exchange: the writer was behind", True),
        second[0],
        (GAP, "shed", None, 2, 1, "the answer's body: the writer was behind", False),
        (*second[1][:5], (*second[1][5][:4], None, ()), *second[1][6:]),
    ):
        said.writer.take(message, 0.0)
    assert not said.writer._heads
    said.writer.cut("test")
    archive = read(tmp_path / "a.parity", salvage=True)
    [kept] = archive.exchanges()
    assert (kept.id, kept.end, kept.request.body) == (2, EndReason.COMPLETE, b'{"content":1}')
    assert kept.outcome.body is None  # type: ignore[union-attr]
    assert {(gap.exchange, gap.reason) for gap in archive.gaps()} == {(1, GapReason.NOT_WRITTEN), (2, GapReason.SHED)}
    assert json.loads((tmp_path / "a.parity" / "status.json").read_text())["open"] == 0


def test_chunks_of_both_sides(tmp_path: Path, said: Said) -> None:
    """Chunks of request and answer come back on their own side, with their times."""
    said.writer.take((CONFIG, configuration(tmp_path)), 0.0)
    opened, ended = exchange(1, 1)
    answer = (*ended[5][:4], None, ())
    for message in (
        opened,
        (CHUNK, 1, 2, 1.1, "request", b"ask"),
        (CHUNK, 1, 3, 1.2, "request", b"ing"),
        (CHUNK, 1, 5, 1.4, "response", b'{"a"'),
        (CHUNK, 1, 6, 1.5, "response", b":1}"),
        (ENDED, 1, 7, 2.0, "complete", answer, None, (), "s1", 4, 1.5, 1.6, True, True, ""),
    ):
        said.writer.take(message, 0.0)
    said.writer.cut("test")
    [found] = read(tmp_path / "a.parity", salvage=True).exchanges()
    assert (found.request.body, found.outcome.body) == (b"asking", b'{"a":1}')  # type: ignore[union-attr]
    assert [chunk.event for chunk in found.request_chunks] == [2, 3]
    assert [chunk.at for chunk in found.chunks] == [1.4, 1.5]
    assert not found.streamed


def test_another_lane_has_no_routes_of_the_daemon(tmp_path: Path, said: Said) -> None:
    """What goes to a model provider keeps its lane, and its headers are redacted all the same."""
    said.writer.take((CONFIG, configuration(tmp_path)), 0.0)
    opened, ended = exchange(1, 1, secret=SECRET)
    said.writer.take((*opened[:6], "provider", *opened[7:]), 0.0)
    said.writer.take(ended, 0.0)
    said.writer.cut("test")
    [found] = read(tmp_path / "a.parity", salvage=True).exchanges()
    assert found.lane == "provider"
    assert SECRET not in repr(found).encode()


def test_a_missing_key_records_nothing(tmp_path: Path, said: Said) -> None:
    """Where the redaction key can't be had nothing is written in clear."""
    (tmp_path / "bad").mkdir()
    said.writer.take((CONFIG, configuration(tmp_path, key_path=str(tmp_path / "bad"))), 0.0)
    assert said.writer.done
    assert "nothing is recorded" in said.answers[0]["alarm"]
    assert not os.path.lexists(tmp_path / "a.parity")
