"""
A daemon's clock, shifted to the recording's.

How this works
--------------
libfaketime, preloaded into the daemon alone, takes a constant number of seconds from every time that it asks for, and from no other clock:
timers and durations run as ever, children inherit it, and the clock moves on from the recording's start as it moved then. The offset stands
in the daemon's command line, so that it is seen in the cell, and in the orders, the facts and the report.

A program that is linked statically does not load it. So the clock is asked for before it is believed: `check` compares what a program
says of the time.
"""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Final

from replay.daemon.spec import DaemonSpec
from replay.model import UsageError

CLOCKS: Final = ("now", "recorded")
_NAME: Final = "libfaketimeMT.so.1"
_FOLDERS: Final = (
    "/usr/lib/x86_64-linux-gnu/faketime",
    "/usr/lib/aarch64-linux-gnu/faketime",
    "/usr/lib64/faketime",
    "/usr/lib/faketime",
    "/usr/local/lib/faketime",
    "/opt/homebrew/lib/faketime",
)
_TIMEOUT_S: Final = 10.0
_TOLERANCE_S: Final = 5.0


def find_library(spec: DaemonSpec) -> Path:
    """
    Give libfaketime's library for programs with threads: the description's `faketime`, or where distributions put it.

    Raises:
        UsageError: it is not there; the text says how to get it.

    """
    if spec.faketime is not None:
        named = Path(spec.faketime)
        if named.is_file():
            return named
        raise UsageError(f"--clock recorded: {named}, which the daemon's description names as `faketime`, is not there")
    found = next((path for folder in _FOLDERS if (path := Path(folder, _NAME)).is_file()), None)
    if found is None:
        raise UsageError(
            f"--clock recorded: libfaketime is not there ({_NAME} in none of {', '.join(_FOLDERS)}). Install it (Debian, Ubuntu: "
            "apt install libfaketime; Fedora: dnf install libfaketime), name its path in the daemon's description "
            '(faketime = "/path/to/libfaketimeMT.so.1"), or replay without a shifted clock (--clock now)'
        )
    return found


def shift(spec: DaemonSpec, behind_s: int, library: Path) -> DaemonSpec:
    """Give a description whose daemon runs so many seconds behind the host, and nothing else does."""
    variables = {
        "LD_PRELOAD": str(library),
        "FAKETIME": f"{-behind_s:+d}",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
        # Times of files stay the host's in both directions: a copy of the state is no older or newer than it is.
        "NO_FAKE_STAT": "1",
    }
    words = [f"{name}={value}" for name, value in variables.items()]
    return replace(spec, command=("/usr/bin/env", *words, *spec.command), visible=(*spec.visible, str(library.parent)))


def check(library: Path, behind_s: int, *, now: float) -> None:
    """
    Ask a program for the time under the library.

    Raises:
        UsageError: it is not shifted.

    """
    date = shutil.which("date")
    if date is None:
        raise UsageError("--clock recorded: there is no `date` on PATH to see whether libfaketime works")
    environment = {"LD_PRELOAD": str(library), "FAKETIME": f"{-behind_s:+d}", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    try:
        said = subprocess.run([date, "+%s"], env=environment, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
        shifted = abs(int(said.stdout) - (now - behind_s)) <= _TOLERANCE_S
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"--clock recorded: {library} does not work: {error}") from error
    if not shifted:
        raise UsageError(f"--clock recorded: {library} does not shift a program's clock ({said.stderr.strip() or said.stdout.strip()})")
