"""The proxy's end of the pipe, with a real writer process behind it."""

import asyncio
import os
import signal
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from replay.archive import read, verify
from replay.capture.feed import Feed
from replay.capture.frames import CHUNK, ENDED, NUMBER, OPENED, STOP
from replay.capture.installation import load_key
from replay.capture.shedding import Step, parse_steps
from replay.model import GapReason

_HEADERS = ((b"Host", b"x"),)
_ANSWER = (b"HTTP/1.1", 200, b"OK", _HEADERS, b"{}", ())


def config_of(folder: Path, **changes: Any) -> dict[str, Any]:
    """Give what the proxy tells a writer."""
    load_key(folder / "key")
    usual: dict[str, Any] = {"path": str(folder / "a.parity"), "facts": {}, "redact": True, "key_path": str(folder / "key"), "rules": ""}
    usual |= {"recipients": (), "workspace": "", "watch": False, "attach": (), "snapshots": (), "snapshot_seconds": 9.0}
    usual |= {"segment_bytes": 1 << 28, "segment_seconds": 86400.0, "keep_bytes": 0, "keep_seconds": 0.0, "floor": 0, "continues": ""}
    return usual | changes


class Heard:
    """A feed, and what came back of it."""

    def __init__(self, queue_bytes: int = 1 << 25) -> None:
        self.answers: list[Any] = []
        self.lost: list[str] = []
        self.event = 1000
        self.news = asyncio.Event()
        self.feed = Feed(parse_steps("bodies@50", queue_bytes), self._answered, self._lost)

    def _answered(self, answer: Any) -> None:
        if "number" in answer:
            self.event += 1
            self.feed.put((NUMBER, answer["number"], self.event))
        else:
            self.answers.append(answer)
            self.news.set()

    def _lost(self, why: str) -> None:
        self.lost.append(why)
        self.news.set()

    async def until(self, true: Callable[[], object]) -> None:
        """Wait until something is so."""
        async with asyncio.timeout(20):
            while not true():
                self.news.clear()
                await self.news.wait()

    @property
    def pid(self) -> int:
        """The writer's process id."""
        assert self.feed._process is not None
        return self.feed._process.pid

    def exchange(self, number: int, event: int) -> None:
        """Hand over one exchange."""
        self.feed.put((OPENED, number, event, 1.0, "c", None, "daemon", b"GET", b"/x", b"HTTP/1.1", _HEADERS))
        self.feed.put((ENDED, number, event + 2, 2.0, "complete", _ANSWER, b"", (), "s", event + 1, 1.1, 1.2, False, False, ""))


def test_it_hands_over_and_seals(tmp_path: Path) -> None:
    """What is handed over is in the archive that the writer seals when it is told to."""

    async def run() -> None:
        heard = Heard()
        heard.feed.start(config_of(tmp_path))
        await heard.until(lambda: heard.answers)
        for number in range(1, 201):
            heard.exchange(number, number * 3)
        heard.feed.put((STOP, "test"))
        assert await heard.feed.finish(20)
        assert heard.answers[-1]["sealed"]
        assert not heard.feed.alive

    asyncio.run(run())
    assert len(read(tmp_path / "a.parity").exchanges()) == 200


def test_a_writer_that_dies_is_told_and_followed(tmp_path: Path) -> None:
    """Killed, the writer is reported with its signal; another one goes on in the next archive, with a gap over what was before."""

    async def run() -> None:
        heard = Heard()
        heard.feed.start(config_of(tmp_path))
        await heard.until(lambda: heard.answers)
        heard.exchange(1, 1)
        writer = heard.pid
        os.kill(writer, signal.SIGKILL)
        await heard.until(lambda: heard.lost)
        assert "SIGKILL" in heard.lost[0]
        assert not heard.feed.alive
        heard.feed.put((CHUNK, 1, 9, 1.0, "response", b"forgotten"))
        assert heard.feed.queued_bytes == 0
        heard.feed.start(config_of(tmp_path, floor=9, continues="a.parity"))
        await heard.until(lambda: len(heard.answers) > 1)
        heard.exchange(2, 10)
        heard.event = 12
        heard.feed.put((STOP, "test"))
        assert await heard.feed.finish(20)

    asyncio.run(run())
    archive = read(tmp_path / "a-2.parity")
    assert [exchange.id for exchange in archive.exchanges()] == [2]
    assert [(gap.reason, gap.event, gap.count) for gap in archive.gaps()] == [(GapReason.NOT_WRITTEN, 1, 9)]
    assert verify(archive.path).good


def test_what_cannot_be_packed_costs_itself_alone(tmp_path: Path) -> None:
    """A value of its own kind that another addon put into an answer makes gaps of that answer; what goes with it is handed over."""

    async def run() -> None:
        heard = Heard()
        heard.feed.start(config_of(tmp_path))
        await heard.until(lambda: heard.answers)
        heard.feed.put((OPENED, 1, 1, 1.0, "c", None, "daemon", b"GET", b"/x", b"HTTP/1.1", _HEADERS))
        odd = (b"HTTP/1.1", HTTPStatus.OK, *_ANSWER[2:])
        heard.feed.put((ENDED, 1, 3, 2.0, "complete", odd, b"", (), "s", 2, 1.1, 1.2, False, False, ""))
        heard.exchange(2, 4)
        heard.event = 6
        heard.feed.put((STOP, "test"))
        assert await heard.feed.finish(20)

    asyncio.run(run())
    archive = read(tmp_path / "a.parity")
    assert [exchange.id for exchange in archive.exchanges()] == [2]
    assert [(gap.event, gap.exchange) for gap in archive.gaps()] == [(2, 1), (3, 1)]
    assert verify(archive.path).good


def test_a_writer_that_stands_still_holds_nothing_up(tmp_path: Path) -> None:
    """While the writer is stopped, handing over returns at once, the queue tells its steps, and all of it arrives when it goes on."""

    async def run() -> None:
        heard = Heard(queue_bytes=8 << 20)
        heard.feed.start(config_of(tmp_path))
        await heard.until(lambda: heard.answers)
        writer = heard.pid
        os.kill(writer, signal.SIGSTOP)
        heard.feed.put((OPENED, 1, 1, 1.0, "c", None, "daemon", b"GET", b"/x", b"HTTP/1.1", _HEADERS))
        steps = []
        count = 0
        while heard.feed.step < Step.EVERYTHING:
            count += 1
            heard.feed.put((CHUNK, 1, count + 1, 1.0, "response", b"x" * 65536))
            if heard.feed.update_step():
                steps.append(heard.feed.step)
        assert steps == [Step.BODIES, Step.EVERYTHING]
        assert 8 << 20 <= heard.feed.queued_bytes_max < 9 << 20
        os.kill(writer, signal.SIGCONT)
        answer = (*_ANSWER[:4], None, ())
        heard.feed.put((ENDED, 1, count + 3, 2.0, "complete", answer, b"", (), "s", count + 2, 1.1, 1.2, True, False, ""))
        heard.event = count + 3
        heard.feed.put((STOP, "test"))
        assert await heard.feed.finish(20)
        heard.feed.update_step()
        assert heard.feed.step is Step.NOTHING
        [found] = read(tmp_path / "a.parity").exchanges()
        assert len(found.chunks) == count
        assert verify(tmp_path / "a.parity").good

    asyncio.run(run())


@pytest.mark.parametrize("told", [False, True])
def test_hanging_up(tmp_path: Path, *, told: bool) -> None:
    """Where the pipe is closed, the writer seals: as cut, unless it had been told to stop."""

    async def run() -> int:
        heard = Heard()
        heard.feed.start(config_of(tmp_path))
        await heard.until(lambda: heard.answers)
        heard.exchange(1, 1)
        heard.event = 3
        process = heard.feed._process
        assert process is not None
        if told:
            heard.feed.put((STOP, "test"))
            await heard.feed.finish(20)
        heard.feed._send()
        heard.feed.hang_up()
        return await asyncio.to_thread(process.wait, 20)

    assert asyncio.run(run()) == 0
    assert verify(tmp_path / "a.parity").sealed is told
    assert len(read(tmp_path / "a.parity", salvage=True).exchanges()) == 1
