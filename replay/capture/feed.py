"""
The proxy's end of the pipe: hand messages to the writer process, never wait for it, never grow.

How this works
--------------
`put` appends to a list; after `GATHER_SECONDS` (or when much has come) the list becomes one frame and is written to the pipe, which does not
block: what the system does not take stays queued, and the event loop says when there is room again. So the hooks of a busy proxy cost a few
microseconds each, and one system call serves many of them.

What is queued is bounded by `Shedding`: the recorder asks `step` before it hands something over, and counts what it left out.

The writer is a process of its own (`replay.capture.writing`), started by `subprocess`, so that nothing of this process's state runs twice.
Signals are blocked while it starts, so that it ignores INT and TERM from its first instruction on: service managers send them to the whole
group, and it must outlive the proxy to seal. It ends at the end of its pipe. Its answers come as lines of JSON on a second pipe. Where it
dies, *lost* is called, and `start` may be called again.
"""

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, Final

from replay.capture.frames import CONFIG, Buffer, Message, pack, plain_of, size_of
from replay.capture.shedding import Shedding, Step, Thresholds

GATHER_SECONDS: Final = 0.02
"""Waking the writer for every request would cost it half as much again; longer, and its work would come in bursts that others notice."""
BATCH_BYTES: Final = 256 * 1024
"""From here on a batch goes at once."""
PIPE_BYTES: Final = 1 << 20
_BUFFERS_AT_ONCE: Final = 64
_ANSWER_BYTES_MAX: Final = 1 << 20
_EXIT_SECONDS: Final = 0.1
_COMMAND: Final = ("-P", "-m", "replay.capture.writing")

logger = logging.getLogger(__name__)

type Answer = Mapping[str, Any]


class Feed:
    """
    Hands messages to a writer process.

    *answered* gets each of its answers, *lost* the words for why it ended without being told to; both are called in the event loop.
    """

    def __init__(self, thresholds: Thresholds, answered: Callable[[Answer], None], lost: Callable[[str], None]) -> None:
        self._answered = answered
        self._lost = lost
        self.shedding = Shedding(thresholds)
        self._loop = asyncio.get_running_loop()
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe = -1
        self._answers = -1
        self._heard = b""
        self._batch: list[Message] = []
        self._batch_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._out: deque[Buffer] = deque()
        self._out_bytes = 0
        self._writing = False
        self._ended = asyncio.Event()
        self._ending = False
        self.queued_bytes_max = 0
        """The most that was ever queued."""

    @property
    def alive(self) -> bool:
        """Whether there is a writer to hand things to."""
        return self._process is not None

    @property
    def queued_bytes(self) -> int:
        """What waits for the writer."""
        return self._batch_bytes + self._out_bytes

    @property
    def step(self) -> Step:
        """How much is to be left out now."""
        return self.shedding.step

    def start(self, config: Mapping[str, Any]) -> None:
        """
        Start a writer and hand it its configuration, plain values only.

        Raises:
            OSError: it can't be started.
        """
        self._drop()
        theirs, ours = os.pipe()
        try:
            with _signals_blocked():
                # a session of its own: a terminal's Ctrl-C is for the proxy
                self._process = subprocess.Popen(
                    [sys.executable, *_COMMAND], stdin=theirs, stdout=subprocess.PIPE, start_new_session=True, close_fds=True
                )
        except OSError:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        self._ended = asyncio.Event()
        self._ending = False
        self._pipe = ours
        os.set_blocking(ours, False)
        _widen(ours)
        assert self._process.stdout is not None
        self._answers = self._process.stdout.fileno()
        os.set_blocking(self._answers, False)
        self._heard = b""
        self._loop.add_reader(self._answers, self._hear)
        self.put((CONFIG, dict(config)))

    def put(self, message: Message) -> None:
        """Hand a message over; without a writer it is forgotten."""
        if self._process is None:
            return
        self._batch.append(message)
        self._batch_bytes += size_of(message)
        if self._batch_bytes >= BATCH_BYTES:
            self._send()
        elif self._timer is None:
            self._timer = self._loop.call_later(GATHER_SECONDS, self._send)

    def update_step(self) -> bool:
        """Look at the queue again; whether the step changed."""
        queued = self._batch_bytes + self._out_bytes
        self.queued_bytes_max = max(self.queued_bytes_max, queued)
        return self.shedding.update(queued)

    async def finish(self, timeout_s: float) -> bool:
        """Wait until the writer has ended by itself, which it does when it was told to stop; False where that took too long."""
        process = self._process
        if process is None:
            return False
        self._ending = True
        self._send()
        try:
            async with asyncio.timeout(timeout_s):
                await self._ended.wait()
                await asyncio.to_thread(process.wait, timeout_s)
        except (TimeoutError, subprocess.TimeoutExpired):
            return False
        return True

    def hang_up(self) -> None:
        """Close the pipe: the writer seals what it has, as cut where it was not told to stop."""
        self._ending = True
        self._drop()

    # --- the pipe ---

    def _send(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._batch:
            return
        batch, self._batch, self._batch_bytes = self._batch, [], 0
        try:
            buffers = pack(batch, time.time())
        except ValueError:
            logger.exception("parity: what another addon put into a flow can't be handed to the writer; it is counted as a gap")
            buffers = pack([part for message in batch for part in plain_of(message)], time.time())
        self._out.extend(buffers)
        self._out_bytes += sum(map(len, buffers))
        if not self._writing:
            self._write()

    def _write(self) -> None:
        try:
            while self._out:
                taken = os.writev(self._pipe, list(islice(self._out, _BUFFERS_AT_ONCE)))
                self._out_bytes -= taken
                while taken:
                    first = self._out[0]
                    if taken < len(first):
                        self._out[0] = memoryview(first)[taken:]
                        break
                    taken -= len(first)
                    self._out.popleft()
        except BlockingIOError:
            if not self._writing:
                self._writing = True
                self._loop.add_writer(self._pipe, self._write)
            return
        except OSError:
            # the end of its answers, which follows, says more than a broken pipe
            self._out.clear()
            self._out_bytes = 0
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self._pipe)

    def _hear(self) -> None:
        try:
            data = os.read(self._answers, 65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._end()
            return
        *lines, self._heard = (self._heard + data).split(b"\n")
        self._heard = self._heard[-_ANSWER_BYTES_MAX:]
        for line in lines:
            try:
                answer = json.loads(line)
            except ValueError:
                logger.warning("parity: the writer said %r", line[:200])
                continue
            self._answered(answer)

    def _end(self) -> None:
        """The writer closed its answers: it has ended, or is about to."""
        process, ending = self._process, self._ending
        self._drop()
        self._ended.set()
        if process is not None and not ending:
            # its exit code comes a moment after the end of its answers
            self._loop.call_later(_EXIT_SECONDS, lambda: self._lost(f"the writer process ended with {_words(process.poll())}"))

    def _drop(self) -> None:
        """Let go of the writer and of what was for it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._answers >= 0:
            self._loop.remove_reader(self._answers)
        if self._writing:
            self._loop.remove_writer(self._pipe)
            self._writing = False
        if self._pipe >= 0:
            os.close(self._pipe)
        if self._process is not None and self._process.stdout is not None:
            self._process.stdout.close()
        self._pipe = self._answers = -1
        self._process = None
        self._batch, self._batch_bytes = [], 0
        self._out.clear()
        self._out_bytes = 0


@contextlib.contextmanager
def _signals_blocked() -> Iterator[None]:
    """Keep signals from a child until it has said what it does with them; ours wait meanwhile."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _widen(pipe: int) -> None:
    """Have the system hold more in a pipe where it can: a writer that waits for its disk stops the proxy's frames later."""
    with contextlib.suppress(AttributeError, OSError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)


def _words(code: int | None) -> str:
    if code is None:
        return "its answers closed, though it still runs"
    if code >= 0:
        return f"exit code {code}"
    known = {number.value: number.name for number in signal.Signals}
    return f"signal {known.get(-code, -code)}"
