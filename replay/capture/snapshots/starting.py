"""
Starting the process that takes a snapshot, and reading its answer.

The pipe to its standard input stays open as long as the snapshot is wanted: where it closes, because its owner stopped or died, the
process takes its scratch folder away and ends.
"""

import subprocess
import sys
from pathlib import Path
from typing import Final, Self

from replay.capture.snapshots.orders import SnapshotOrder, SnapshotResult, decode_result, encode_order
from replay.model import ParityError

_STOP_S: Final = 30.0
COMMAND: Final = (sys.executable, "-P", "-m", "replay.capture.snapshots")


class SnapshotProcess:
    """A snapshot that is being taken."""

    def __init__(self, process: "subprocess.Popen[bytes]", workspace: Path) -> None:
        """Use `start`."""
        self._process = process
        self._workspace = workspace

    @classmethod
    def start(cls, order: SnapshotOrder) -> Self:
        """
        Start it; returns at once.

        Raises:
            ParityError: no process can be started.
        """
        try:
            process = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            assert process.stdin is not None
            process.stdin.write(encode_order(order))
            process.stdin.flush()
        except OSError as error:
            raise ParityError(f"no snapshot of {order.workspace}: its process can't be started ({error})") from error
        return cls(process, order.workspace)

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def fileno(self) -> int:
        """Give what becomes readable when there is an answer, or none will come: for `select`."""
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def collect(self) -> SnapshotResult:
        """
        Wait for the answer and give it.

        Raises:
            ParityError: there is no snapshot; the text says why.
        """
        assert self._process.stdout is not None
        try:
            answer = self._process.stdout.read()
        finally:
            self.stop()
        try:
            if self._process.returncode == 0:
                return decode_result(answer)
        except ValueError as error:
            raise ParityError(f"no snapshot of {self._workspace}: its process answered {answer[:200]!r}") from error
        said = answer.decode(errors="replace").strip() or f"its process ended with {self._process.returncode} and no word"
        raise ParityError(f"no snapshot of {self._workspace}: {said}")

    def stop(self) -> None:
        """Have the process end, whether it is done or not, and wait for that; a second call does nothing."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        for pipe in (self._process.stdin, self._process.stdout):
            if not pipe.closed:
                pipe.close()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
