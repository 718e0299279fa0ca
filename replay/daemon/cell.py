"""
Runs a daemon in a cell of its own, on a copy of the state, with a player inside.

Two kinds: `namespace` (Linux: own users, network, mounts and processes, no way out, recorded paths and port) and `mapped` (anywhere:
ordinary processes, another port, another workspace path; what can't be kept from the daemon is said in the notes).
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

from replay.daemon.keeper import kept
from replay.daemon.lanes import Lane
from replay.daemon.launch import ending
from replay.daemon.layout import lay_out
from replay.daemon.processes import read_tail
from replay.daemon.spec import DaemonSpec
from replay.daemon.tether import tethered
from replay.model import DaemonError, DaemonRecord, UsageError

RECORDED_PORT: Final = 3850
"""Where Signet listens unless told otherwise."""
_UNSHARE: Final = (
    "unshare",
    "--user",
    "--map-root-user",
    "--net",
    "--mount",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
    "--",
)
_STDERR: Final = 2
_PROBE_TIMEOUT_S: Final = 10.0
_END_S: Final = 10.0
"""What a cell gets beyond the daemon's own time to end."""

type CellKind = Literal["auto", "namespace", "mapped"]


@dataclass(frozen=True, slots=True)
class CellReport:
    """What came of a cell."""

    kind: str
    """`namespace` or `mapped`."""
    player_exit: int
    daemon_exit: int | None
    log_tail: str
    """The end of the daemon's log."""
    records: tuple[DaemonRecord, ...]
    """`started`, `ready`, and `died` (by itself, before the player was done) or `stopped`."""
    facts: dict[str, Any]
    """What the player was told."""
    ready_s: float
    directory: Path
    """The cell's directory on the host; the caller's to delete."""
    workspace: Path
    """The daemon's state on the host, as it was left."""
    log: Path
    notes: tuple[str, ...]
    """What this cell could not do, in words; empty for a whole one."""

    @property
    def namespaces(self) -> str:
        """The cell's namespaces in one line; empty for a mapped cell."""
        return " ".join(self.facts.get("namespaces", {}).values())

    @property
    def died(self) -> bool:
        """Whether the daemon ended before it was told to."""
        return any(record.what == "died" for record in self.records)


def probe_namespaces() -> str | None:
    """Say why this host can't make namespace cells; None where it can."""
    if sys.platform != "linux":
        return "namespaces are a thing of Linux"
    try:
        result = subprocess.run(
            [*_UNSHARE, "true"], capture_output=True, text=True, timeout=_PROBE_TIMEOUT_S, check=False, stdin=subprocess.DEVNULL
        )
    except OSError as error:
        return f"the program `unshare` (package util-linux) can't be started: {error.strerror}"
    except subprocess.TimeoutExpired:
        return "`unshare` did not come back"
    return None if result.returncode == 0 else result.stderr.strip() or f"`unshare` ended with exit code {result.returncode}"


class StartedCell:
    """A cell that was started. `wait` gives what came of it."""

    def __init__(self, kind: str, directory: Path, process: subprocess.Popen[bytes]) -> None:
        self.kind = kind
        self.directory = directory
        self._process = process

    def is_over(self, timeout_s: float) -> bool:
        """Wait so long for the cell's end; gives whether it has come."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_s)
        return self._process.returncode is not None

    def wait(self) -> CellReport:
        """
        Wait for the cell's end.

        Raises: DaemonError as `run_cell` says.
        """
        return _report(self.kind, self.directory, self._process.wait())


@contextmanager
def started_cell(
    spec: DaemonSpec,
    *,
    state: Path,
    recorded_workspace: str | None,
    player: Sequence[str],
    scratch: Path,
    kind: CellKind = "auto",
    recorded_port: int = RECORDED_PORT,
    visible: Sequence[Path] = (),
    writable: Sequence[Path] = (),
    player_input: bytes = b"",
    player_timeout_s: float | None = None,
    machine_id: str = "",
    held: Sequence[int] = (),
    lanes: Sequence[Lane] = (),
) -> Iterator[StartedCell]:
    """
    Have a cell while the block lasts, as `run_cell` describes it; leaving the block early ends it.

    The first process of the cell keeps the file descriptors *held* open (locks, say), so that they are given back when it is gone.
    The player gets a few seconds to seal what it wrote, where the block is left by an exception.

    Raises: UsageError and DaemonError where the cell can't be laid out.
    """
    if not state.is_dir():
        raise UsageError(f"{state}: there is no workspace to copy; name an unpacked snapshot (a directory).")
    chosen = _choose(kind)
    scratch.mkdir(parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix=f"{spec.name}-", dir=scratch.absolute()))
    orders = lay_out(
        spec,
        kind=chosen,
        state=state,
        recorded_workspace=recorded_workspace,
        recorded_port=recorded_port,
        player=player,
        player_timeout_s=player_timeout_s,
        directory=directory,
        visible=visible,
        writable=writable,
        machine_id=machine_id,
        lanes=lanes,
    )
    orders = replace(orders, player_input_bytes=len(player_input))
    orders_file = directory / "orders.json"
    orders.write(orders_file)
    process = _start(chosen, orders_file, directory, environment=orders.player_environment, held=held)
    try:
        assert process.stdin is not None
        with suppress(BrokenPipeError):  # it ended before: its report or its log says why
            process.stdin.write(player_input)
            process.stdin.flush()
        yield StartedCell(chosen, directory, process)
    finally:
        _end(chosen, process, spec.stop_timeout_s)


def run_cell(
    spec: DaemonSpec,
    *,
    state: Path,
    recorded_workspace: str | None,
    player: Sequence[str],
    scratch: Path,
    kind: CellKind = "auto",
    recorded_port: int = RECORDED_PORT,
    visible: Sequence[Path] = (),
    writable: Sequence[Path] = (),
    player_input: bytes = b"",
    player_timeout_s: float | None = None,
    machine_id: str = "",
    lanes: Sequence[Lane] = (),
) -> CellReport:
    """
    Start a daemon on a fresh copy of `state`, run `player` (with the path of the facts as its last argument), stop the daemon.

    In a namespace cell the player sees the host's files read-only; `visible` names files or directories that lie in a place which the
    cell hides (`/tmp`, `/run`), `writable` those (existing directories) into which it writes. Everything else of this run goes to a
    new directory in `scratch`. There a daemon also finds `machine_id` as the machine's, where one is given: a snapshot's store of secrets is
    sealed for one that exists nowhere else. A player that serves `lanes` is started before the daemon: `lanes.json` beside the facts, which
    are not there yet, tells it where; that it listens it says by a file `listening` there; then it waits for the facts. What the player
    prints goes to standard error; `player_input` it reads on its standard input, and it lies in no file. The new directory is private (0700)
    and holds the state in clear; it is the caller's to delete. Call it from a thread that lives as long as the cell.

    Raises: UsageError for a state that is no directory; DaemonError where the cell can't be made, a companion or the daemon dies at
    the start or is not ready in time (with the end of its log), or the player is not done in time. A daemon that dies under the
    player raises nothing: the report says it, and the player's exit code stands.
    """
    with started_cell(
        spec,
        state=state,
        recorded_workspace=recorded_workspace,
        player=player,
        scratch=scratch,
        kind=kind,
        recorded_port=recorded_port,
        visible=visible,
        writable=writable,
        player_input=player_input,
        player_timeout_s=player_timeout_s,
        machine_id=machine_id,
        lanes=lanes,
    ) as cell:
        return cell.wait()


def _choose(kind: CellKind) -> Literal["namespace", "mapped"]:
    if kind == "mapped":
        return "mapped"
    why_not = probe_namespaces()
    if why_not is None:
        return "namespace"
    if kind == "namespace":
        raise DaemonError(f"this host makes no namespace cells: {why_not}. A mapped cell needs none, and keeps less from the daemon.")
    return "mapped"


def _start(kind: str, orders: Path, directory: Path, *, environment: Mapping[str, str], held: Sequence[int]) -> subprocess.Popen[bytes]:
    init = [sys.executable, "-m", "replay.daemon.cell_init", str(orders)]
    # In a namespace the tether dies with the tool, `unshare` is the tether, and the cell dies with `unshare`. In a mapped cell nothing but
    # its first process knows what a daemon started; the keeper inherits that, should it be killed.
    command = tethered([*_UNSHARE, *init]) if kind == "namespace" else kept(init)
    with (directory / "cell.log").open("wb") as log:
        # The cell's standard output is our standard error: the player prints there. Its first process complains into its log.
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=_STDERR,
            stderr=log,
            env={**environment, "PYTHONFAULTHANDLER": "1"},
            start_new_session=True,
            pass_fds=tuple(held),
        )


def _end(kind: str, process: subprocess.Popen[bytes], stop_timeout_s: float) -> None:
    """End a cell that was interrupted: closing its input is the order to stop."""
    if process.stdin is not None:
        with suppress(BrokenPipeError):
            process.stdin.close()
    try:
        process.wait(stop_timeout_s + _END_S)
    except subprocess.TimeoutExpired:
        if kind == "mapped":  # the keeper ends all that is below it
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(_END_S)
        process.kill()
        process.wait()


def _report(kind: str, directory: Path, exit_code: int) -> CellReport:
    try:
        told = json.loads((directory / "report.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        tail = read_tail(directory / "cell.log").strip() or f"It ended {ending(exit_code)} and left no message."
        log = read_tail(directory / "daemon.log").strip()
        daemon = f"{os.linesep}the end of the daemon's log:{os.linesep}{log}" if log else ""
        raise DaemonError(f"the cell in {directory} ended without a report: was it killed? {tail}{daemon}") from None
    if told["error"] is not None:
        raise DaemonError(f"{told['error']}{os.linesep}(The cell's directory is {directory}.)")
    return CellReport(
        kind=kind,
        player_exit=told["player_exit"],
        daemon_exit=told["daemon_exit"],
        log_tail=told["log_tail"],
        records=tuple(DaemonRecord(**record) for record in told["records"]),
        facts=told["facts"],
        ready_s=told["ready_s"],
        directory=directory,
        workspace=directory / "workspace",
        log=directory / "daemon.log",
        notes=tuple(told["notes"]),
    )
