"""
The demo: record, replay and judge on the embedded pair, and say whether exactly what was planted was found.

The `js` half is recorded through a real mitmdump and stopped; the recording is replayed offline on the `rust` half and, as control,
on the `js` half.

What was planted stands in `replay.demo`: the rust half's own differences, each with where it is known from, and the faults switched on.
Neither knows the comparer, so this is the tool's own acceptance test.
"""

import datetime as dt
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from replay import runs
from replay.archive import read
from replay.daemon import load_daemon, running
from replay.daemon.tether import tethered
from replay.demo import DIFFERENCES, FAULTS, evidence, make_workspace
from replay.demo.daemon import DEFAULT_PASSWORD
from replay.jobs.judging import Basis, compare_run
from replay.jobs.recording import Recording, mitmdump_command
from replay.jobs.replaying import Order, Replayed, replay_archive
from replay.model import Cluster, DaemonError, DifferenceClass, UsageError, Verdict
from replay.report import html, table
from replay.runs import Run

type Progress = Callable[[str, int, int], None]

SEED: Final = 20_261_123
WRONG_PASSWORD: Final = "not the password"  # noqa: S105  # the demo's client sends it on purpose
_STATE_CHECK: Final = "secrets"
_UP_S: Final = 20.0
_STEPS: Final = 6


@dataclass(frozen=True, slots=True)
class Expected:
    """One planted cause and where it may show; the first place is where it must be found."""

    name: str
    what: str
    places: tuple[tuple[str, DifferenceClass, str], ...]
    """(domain, class, route or file; `*` for a change of format anywhere in the domain)"""


@dataclass(frozen=True, slots=True)
class Tour:
    """What came of the demo."""

    text: str
    exit_code: int
    run: Run
    folder: Path
    missed: tuple[str, ...]
    """Planted and not found."""
    unplanned: tuple[Cluster, ...]
    """Open and not planted."""


def demonstrate(folder: Path | None, *, candidate: str, faults: Sequence[str], now: dt.datetime, progress: Progress) -> Tour:
    """
    Give the whole tour, in *folder* (a new temporary one where None is given).

    Raises:
        ParityError: a part of it could not run.

    """
    if candidate not in {"js", "rust"}:
        raise UsageError(f"--candidate {candidate}: must be rust or js")
    for fault in faults:
        if fault not in FAULTS:
            raise UsageError(f"--fault {fault}: there is none of that name; there are {', '.join(FAULTS)}")
    folder = _folder(folder)
    recording = folder / "recording.parity"
    progress("recording", 0, _STEPS)
    recorded_s = record_demo(folder, recording)
    said = [f"recorded the js daemon through mitmdump in {recorded_s:.1f} s: {recording}"]
    for step, (name, runtime, switched) in enumerate((("observed", candidate, tuple(faults)), ("control", "js", ())), 1):
        progress(f"replaying on {runtime}", step, _STEPS)
        arguments = tuple(word for fault in switched for word in ("--fault", fault))
        replayed = replay_archive(demo_order(folder, name, runtime, arguments), progress)
        if replayed.exit_code:
            raise DaemonError(f"the replay on demo-{runtime} is incomplete:\n{replayed.text}")
        said.append(f"replayed on {runtime}{''.join(f' with fault {fault}' for fault in switched)}: {replayed.text.splitlines()[0]}")
        said += [f"  left behind by {fault}: {text}" for fault, text in traces(replayed, switched)]
    progress("judging", 4, _STEPS)
    run = judge_demo(folder, now=now, progress=progress)
    page = folder / "report.html"
    page.write_text(html(run, "full"), "utf-8", "backslashreplace")
    expected = planted(candidate, faults)
    missed, unplanned = assess(run, expected)
    said += ["", table(run), "", *_account(expected, missed, unplanned), "", f"page: {page}", f"everything lies in {folder}"]
    good = not missed and not unplanned and run.verdict != "incomplete"
    return Tour("\n".join(said), 0 if good else 1, run, folder, missed, unplanned)


def demo_order(folder: Path, name: str, runtime: str, arguments: tuple[str, ...]) -> Order:
    """Order the replay of the demo's recording in *folder* on one half of the pair."""
    return Order(
        archive=folder / "recording.parity",
        observed=folder / f"{name}.parity",
        daemon=f"demo-{runtime}",
        allow=("all",),
        known_secrets=(DEFAULT_PASSWORD, WRONG_PASSWORD),
        redaction_key=folder / "config" / "signet-parity" / "redaction.key",
        extra_arguments=arguments,
        scratch=folder / "cells",
    )


def traces(replayed: Replayed, faults: Sequence[str]) -> list[tuple[str, str]]:
    """Show, for each fault of the state, the row or file that it left wrong in the cell's workspace."""
    if replayed.report is None:
        return []
    return [(fault, evidence(fault, replayed.report.workspace)) for fault in faults if FAULTS[fault].kind == "state"]


def judge_demo(folder: Path, *, now: dt.datetime, progress: Progress) -> Run:
    """Compare the demo's archives in *folder*, judge, and keep the run beside them."""
    recorded, observed, control = (read(folder / f"{name}.parity") for name in ("recording", "observed", "control"))
    run_path = folder / "demo.run"
    run = compare_run(recorded, observed, [control], Basis(), run_path=run_path, seed=SEED, now=now, progress=progress)
    runs.save(run, run_path)
    return run


def planted(candidate: str, faults: Sequence[str]) -> list[Expected]:
    """List what must be found, and where it may show."""
    expected = []
    if candidate == "rust":
        for name, difference in DIFFERENCES.items():
            places = tuple((place.domain, place.difference, place.route) for place in difference.places)
            expected.append(Expected(name, difference.what, places))
    for name in faults:
        fault = FAULTS[name]
        expected.append(Expected(name, fault.description, ((fault.domain, fault.difference, fault.where),)))
    return expected


def assess(run: Run, expected: Sequence[Expected]) -> tuple[tuple[str, ...], tuple[Cluster, ...]]:
    """Say what was planted and not found where it must be, and which open causes were not planted."""
    opened = [cluster for cluster in run.clusters if cluster.verdict is Verdict.OPEN]
    missed = tuple(item.name for item in expected if not any(_shows(cluster, item.places[0]) for cluster in opened))
    places = [place for item in expected for place in item.places]
    unplanned = tuple(cluster for cluster in opened if not any(_shows(cluster, place) for place in places))
    return missed, unplanned


def record_demo(folder: Path, recording: Path) -> float:
    """
    Record the demo's client on the js daemon through a real mitmdump; gives the seconds that it took.

    Raises:
        DaemonError: the daemon, mitmdump or the client did not work.

    """
    started = time.monotonic()
    workspace = folder / "workspace"
    make_workspace(workspace, SEED)
    port, proxy_port = _free_port(), _free_port()
    with running(load_daemon("demo-js"), workspace=workspace, port=port) as daemon:
        ordered = Recording((daemon.url,), proxy_port, output=recording, workspace=workspace, options={"on_error": "stop"})
        command = mitmdump_command(ordered)
        with _mitmdump(command, folder, proxy_port):
            # The snapshot is taken beside the traffic, so traffic begins when it is there: what overlaps could not be replayed.
            _await(lambda: any(recording.glob("snapshot-*")), "the recorder took no snapshot", folder / "mitmdump.log")
            client = [sys.executable, "-m", "replay.demo.client", "--base", f"http://127.0.0.1:{proxy_port}", "--workspace", str(workspace)]
            done = subprocess.run(tethered(client), capture_output=True, text=True, check=False, env=_environment())
            if done.returncode:
                raise DaemonError(f"the demo's client failed: {done.stderr.strip() or done.stdout.strip()}")
    return time.monotonic() - started


def _shows(cluster: Cluster, place: tuple[str, DifferenceClass, str]) -> bool:
    domain, difference, route = place
    if domain not in cluster.domains or cluster.difference is not difference:
        return False
    if route == "*":
        return cluster.cause == "q-time-format"
    if route in cluster.routes:
        return True
    return cluster.check == _STATE_CHECK and any(subject.id.startswith(f"{route}:") for subject in cluster.subjects)


def _account(expected: Sequence[Expected], missed: Sequence[str], unplanned: Sequence[Cluster]) -> list[str]:
    lines = [f"planted: {len(expected)} · found: {len(expected) - len(missed)} · open and not planted: {len(unplanned)}"]
    lines += [f"  NOT FOUND {item.name}: {item.what}" for item in expected if item.name in missed]
    lines += [f"  NOT PLANTED {cluster.id} {cluster.route or cluster.check} {cluster.path} ({cluster.kind})" for cluster in unplanned]
    return lines


def _folder(folder: Path | None) -> Path:
    if folder is None:
        return Path(tempfile.mkdtemp(prefix="signet-parity-demo-"))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise UsageError(f"{folder}: is not empty; name a new folder")
    return folder.absolute()


@contextmanager
def _mitmdump(command: Sequence[str], folder: Path, port: int) -> Iterator[None]:
    """Have mitmdump running while the block lasts; it seals the recording when it is told to stop."""
    log = folder / "mitmdump.log"
    # The demo has a redaction key of its own: the installation's is not its business.
    environment = {**_environment(), "XDG_CONFIG_HOME": str(folder / "config")}
    with log.open("wb") as output:
        process = subprocess.Popen(tethered(command), stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=environment)
    try:
        _await(lambda: process.poll() is not None or _listens(port), f"mitmdump did not come up on port {port}", log)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_UP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.returncode:
        raise DaemonError(f"mitmdump ended with exit code {process.returncode}: {_tail(log)}")


def _await(there: Callable[[], bool], otherwise: str, log: Path) -> None:
    pause = threading.Event()
    end = time.monotonic() + _UP_S
    while not there():
        if time.monotonic() > end:
            raise DaemonError(f"{otherwise}: {_tail(log)}")
        pause.wait(0.05)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _tail(log: Path) -> str:
    return log.read_text("utf-8", "backslashreplace")[-2000:].strip()


def _environment() -> dict[str, str]:
    # A proxy of the host must not come between the client and the recorder.
    return {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
