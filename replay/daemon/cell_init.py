"""
The first process of a cell: `python -m replay.daemon.cell_init ORDERS.json`.

In a namespace cell it is pid 1: it builds the file tree, switches the loopback interface on, and makes sure that there is no way out.
In a mapped cell it is an ordinary process that does the rest alike. Then: companions, daemon, facts, player, and an orderly end.
What came of it goes to `report.json`. It reads no environment and takes no decisions; all is in its orders.
"""

import errno
import json
import os
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from replay.daemon import linux
from replay.daemon.asking import is_taken
from replay.daemon.lanes import LISTENING
from replay.daemon.launch import ending, start_companions, start_daemon, wait_ready
from replay.daemon.orders import Orders
from replay.daemon.processes import Child, Children, Stopped
from replay.daemon.root import build_root
from replay.model import DaemonError, DaemonRecord

_STDIN: Final = 0
_FACTS: Final = "facts.json"
_PAUSE_S: Final = 0.02
_LISTENS_S: Final = 600.0
"""What a player gets to read the lanes of a recording."""
_HASTE_S: Final = 1.0
"""What a daemon gets for its end when the cell itself was told to end."""
_SEAL_S: Final = 6.0
"""What a player gets to seal what it observed when the cell was told to end."""
_OUTSIDE: Final = ("192.0.2.1", 80)
"""An address that is nobody's (RFC 5737): even where there is a way out, nobody is disturbed."""


def main(arguments: Sequence[str]) -> int:
    """Run a cell by its orders. Gives 0 where a report was written."""
    orders = Orders.read(Path(arguments[0]))
    report = _Report(Path(orders.directory) / "report.json", notes=list(orders.notes))
    try:
        player_input = _take_input(orders.player_input_bytes)
        if orders.kind == "namespace":
            report.notes += build_root(Path(orders.root), orders.placed, orders.masked)
            linux.bring_loopback_up()
            _expect_no_way_out()
        with Children(watch_input=True) as children:
            _live(orders, children, report, player_input)
    except Stopped:
        report.error = "the cell was told to end before it was done"
    except DaemonError as error:
        report.error = str(error)
    except OSError as error:
        report.error = f"the cell could not be made: {error}"
    report.write()
    return 0


def _take_input(length: int) -> bytes:
    """
    Take what comes for the player, while nothing else runs in the cell that could.

    Raises: Stopped where the tool ends before all of it came.
    """
    taken = bytearray()
    while len(taken) < length:
        part = os.read(_STDIN, length - len(taken))
        if not part:
            raise Stopped
        taken += part
    return bytes(taken)


class _Report:
    """What is told back; every field of it is there from the start."""

    def __init__(self, path: Path, notes: list[str]) -> None:
        self.path = path
        self.notes = notes
        self.error: str | None = None
        self.player_exit: int | None = None
        self.daemon_exit: int | None = None
        self.log_tail = ""
        self.ready_s = 0.0
        self.records: list[DaemonRecord] = []
        self.facts: dict[str, Any] = {}

    def record(self, what: str, detail: str = "", log_tail: str = "") -> None:
        self.records.append(DaemonRecord(time.time(), what, detail, log_tail))

    def write(self) -> None:
        fields = {
            "error": self.error,
            "player_exit": self.player_exit,
            "daemon_exit": self.daemon_exit,
            "log_tail": self.log_tail,
            "ready_s": self.ready_s,
            "records": [asdict(record) for record in self.records],
            "facts": self.facts,
            "notes": self.notes,
        }
        draft = self.path.with_suffix(".draft")
        draft.write_text(json.dumps(fields), encoding="utf-8")
        draft.rename(self.path)


def _live(orders: Orders, children: Children, report: _Report, player_input: bytes) -> None:
    directory, start = Path(orders.directory), Path(orders.start_directory)
    player = _start_listener(orders, children, player_input) if orders.player_first else None
    start_companions(children, orders.companions, environment=orders.environment, directory=start, logs=directory)
    started = time.monotonic()
    log = directory / "daemon.log"
    daemon = start_daemon(children, orders.name, orders.command, environment=orders.environment, directory=start, log=log)
    report.record("started", " ".join(orders.command))
    try:
        reply = wait_ready(children, daemon, orders.host, orders.port, orders.ready)
        report.ready_s = time.monotonic() - started
        report.record("ready", f"after {report.ready_s:.3f} s")
        report.facts = _facts(orders, log, reply.fields().get("version"), report.notes)
        facts = directory / _FACTS
        draft = facts.with_suffix(".draft")  # a player that waits for them finds them whole
        draft.write_text(json.dumps(report.facts, indent=2), encoding="utf-8")
        draft.rename(facts)
        player = player or _start_player(orders, children, player_input)
        report.player_exit = children.wait_for(player, orders.player_timeout_s)
        if report.player_exit is None:
            raise DaemonError(f"the player was not done within {orders.player_timeout_s:g} s and was ended.")
    finally:
        if player is not None:
            # It still runs where it took too long or the cell was told to end: what it observed is not to be lost with it.
            children.stop(player, _SEAL_S)
        _end(orders, daemon, children, report)


def _start_player(orders: Orders, children: Children, player_input: bytes) -> Child:
    directory = Path(orders.directory)
    command = (*orders.player, str(directory / _FACTS))
    return children.start("player", command, environment=orders.player_environment, directory=directory, log=None, given=player_input)


def _start_listener(orders: Orders, children: Children, player_input: bytes) -> Child:
    """
    Start a player that serves lanes, and wait until it listens: a daemon may ask at once.

    Raises: DaemonError where it ends before.
    """
    player = _start_player(orders, children, player_input)
    until = time.monotonic() + _LISTENS_S
    while not (Path(orders.directory) / LISTENING).exists():
        children.wait(_PAUSE_S)
        if player.exit_code is not None:
            raise DaemonError(f"the player ended {ending(player.exit_code)} before it served the recorded lanes; what it says stands above.")
        if time.monotonic() > until:
            raise DaemonError(f"the player did not serve the recorded lanes within {_LISTENS_S:g} s: is the recording too big for this machine?")
    return player


def _end(orders: Orders, daemon: Child, children: Children, report: _Report) -> None:
    children.reap()
    by_itself = daemon.exit_code
    went = children.stop(daemon, _HASTE_S if children.stopped else orders.stop_timeout_s)
    report.daemon_exit = daemon.exit_code
    report.log_tail = daemon.log_tail()
    if by_itself is not None:
        report.record("died", ending(by_itself), report.log_tail)
    elif went:
        report.record("stopped", ending(daemon.process.returncode))
    else:
        report.record("stopped", f"killed: SIGTERM had no effect within {orders.stop_timeout_s:g} s", report.log_tail)


def _facts(orders: Orders, log: Path, version: object, notes: Sequence[str]) -> dict[str, Any]:
    daemon = {"name": orders.name, "runtime": orders.runtime, "command": list(orders.command)}
    if isinstance(version, str):
        daemon["version"] = version
    return {
        "kind": orders.kind,
        "host": orders.host,
        "port": orders.port,
        "recorded_port": orders.recorded_port,
        # In a mapped cell the recorded port is the host's: who listens there is not our daemon.
        "recorded_port_taken": (orders.kind == "mapped" and orders.port != orders.recorded_port and is_taken(orders.recorded_port)),
        "workspace": orders.workspace,
        "recorded_workspace": orders.recorded_workspace,
        "auth_secret": orders.auth_secret,
        "drained": [asdict(each) for each in orders.drained],
        "pollers": [asdict(each) for each in orders.pollers],
        "daemon": daemon,
        "log": str(log),
        "namespaces": linux.own_namespaces() if orders.kind == "namespace" else {},
        "host_namespaces": dict(orders.host_namespaces),
        "routes": _routes() if orders.kind == "namespace" else {},
        "notes": list(notes),
    }


def _routes() -> dict[str, str]:
    """Show what the network of the cell consists of."""
    interfaces = [line.split(":", 1)[0].strip() for line in Path("/proc/net/dev").read_text(encoding="ascii").splitlines() if ":" in line]
    routes = Path("/proc/net/route").read_text(encoding="ascii").splitlines()[1:]
    return {"interfaces": " ".join(interfaces), "ipv4": "\n".join(line.strip() for line in routes) or "none", "egress": "blocked"}


def _expect_no_way_out() -> None:
    """
    Try to reach the world.

    Raises: DaemonError where that is not refused at once.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as outward:
        outward.settimeout(1.0)
        number = outward.connect_ex(_OUTSIDE)
    if number != errno.ENETUNREACH:
        raise DaemonError(f"the cell has a way out: connecting to {_OUTSIDE[0]} gave {os.strerror(number)!r}, not 'Network is unreachable'.")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
