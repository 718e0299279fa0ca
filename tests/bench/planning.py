"""
Planning and walking long recordings: time, and memory that must stay flat.

    python -P tests/bench/planning.py [EXCHANGES …]        (10000 200000; -P, for a script beside this one has the package's name)

Two recordings of each length are made: reads alone, and writes whose ids later reads name, in lists of twelve. Each is planned and walked in
a process of its own. Fails where an exchange takes more than 500 bytes, or planning more than a minute of CPU for 200,000.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from replay.archive import ArchiveWriter, read
from replay.model import Connection, Ended, EndReason, Opened, Request, Response
from replay.plan import plan

EXCHANGE_BYTES_MAX = 500
CPU_S_MAX = 60.0
_HEAD = ((b"Host", b"127.0.0.1:3850"), (b"User-Agent", b"bench/1"), (b"Content-Type", b"application/json"))
_TEXT = "lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor " * 50


def make(path: Path, count: int, *, ids: bool) -> None:
    """Write a recording of so many exchanges with answers of about 4 kB."""
    chance = random.Random(count)  # noqa: S311
    known: list[str] = []
    with ArchiveWriter.create(path, kind="recording", facts={}) as writer:
        for number in range(1, count + 1):
            method, target, body, answer = _turn(number, known, chance) if ids else (b"GET", b"/api/status", b"", {"text": _TEXT[:3950]})
            at, event = 1_795_419_383.0 + number * 0.003, 3 * number
            request = Request(method, target, b"HTTP/1.1", _HEAD)
            writer.append(Opened(number, event, at, Connection(f"c{number % 16}"), request))
            outcome = Response(b"HTTP/1.1", 200, b"OK", ((b"content-type", b"application/json"),), json.dumps(answer).encode())
            writer.append(Ended(number, event + 2, at + 0.001, EndReason.COMPLETE, outcome, body, headers_event=event + 1))
        writer.seal(event=3 * count + 3, at=0.0, reason="made")


def _turn(number: int, known: list[str], chance: random.Random) -> tuple[bytes, bytes, bytes, Any]:
    if number % 2:
        known.append(str(uuid.UUID(int=chance.getrandbits(128), version=4)))
        del known[:-1000]
        return b"POST", b"/api/memory/remember", json.dumps({"content": _TEXT[:300]}).encode(), {"id": known[-1], "text": _TEXT[:3800]}
    listed = [{"id": word, "content": _TEXT[:200], "createdAt": f"2026-11-23T20:52:00.{at:03}Z"} for at, word in enumerate(known[-12:])]
    return b"GET", f"/api/memory/{chance.choice(known)}".encode(), b"", {"items": listed}


def measure(path: Path) -> dict[str, float]:
    """Plan and walk a recording in this process."""
    before = _resident_bytes()
    started = time.process_time()
    planned = plan(read(path))
    planned_s = time.process_time() - started
    peak, walked = _resident_bytes(), 0
    for walked, _ in enumerate(planned.steps, 1):
        if walked % 1000 == 0:
            peak = max(peak, _resident_bytes())
    return {
        "planned_cpu_s": planned_s,
        "walked_cpu_s": time.process_time() - started - planned_s,
        "walked": walked,
        "grown_bytes": peak - before,
    }


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> int:
    """Measure every length; 1 where a limit does not hold."""
    if sys.argv[1:2] == ["--measure"]:
        sys.stdout.write(json.dumps(measure(Path(sys.argv[2]))))
        return 0
    counts = sorted(int(word) for word in sys.argv[1:]) or [10_000, 200_000]
    good = True
    with tempfile.TemporaryDirectory() as folder:
        for ids in (False, True):
            first: tuple[int, float] | None = None
            for count in counts:
                path = Path(folder) / f"{count}-{ids}.parity"
                make(path, count, ids=ids)
                told = subprocess.run(
                    [sys.executable, "-P", __file__, "--measure", str(path)], check=True, capture_output=True, text=True
                ).stdout
                found = json.loads(told)
                first = first or (count, found["grown_bytes"])
                each = (found["grown_bytes"] - first[1]) / max(1, count - first[0])
                good = good and each <= EXCHANGE_BYTES_MAX and found["planned_cpu_s"] <= CPU_S_MAX * max(1.0, count / 200_000)
                sys.stdout.write(
                    f"{count:>9,} exchanges{' with ids' if ids else '         '}: planned in {found['planned_cpu_s']:.1f} s of CPU, "
                    f"walked in {found['walked_cpu_s']:.1f} s, {found['grown_bytes'] / 1e6:.1f} MB more, {each:.0f} bytes an exchange more\n"
                )
                sys.stdout.flush()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
