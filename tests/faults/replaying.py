"""
What a replay leaves when something of it is killed: `python tests/faults/replaying.py --count 20 --seed 1`.

Each run replays the demo's recording through the real command line, on a daemon that leaves a double-forked child in a session of its own, and
sends TERM or KILL to the tool, the cell's first process, the player or the daemon at a random point of its life. Afterwards nothing of the run
may be alive, whatever was on the disk before must be found again, and the same command with `--resume` must give what an undisturbed replay
gives. The point follows from the seed and the run's number: `--only`, `--seed` and `--first` repeat a run. The exit code is 1 where anything
was wrong.
"""

import argparse
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from replay.archive import Archive, is_archive, read
from replay.demo.daemon import DEFAULT_PASSWORD
from replay.jobs.locking import LOCK
from replay.jobs.outbox import partial_folder
from replay.jobs.tour import WRONG_PASSWORD, record_demo
from replay.model import Response

VICTIMS: Final = ("tool", "cell", "player", "daemon")
SIGNALS: Final = (signal.SIGTERM, signal.SIGKILL)
KINDS: Final = ("namespace", "mapped")
GONE_S: Final = 15.0
"""How long what belongs to a run may take to end after the tool did."""
_LOOK_S: Final = 0.02
_STARTING: Final = 0.25
"""The share of strikes of the tool that come before there is a player."""
_EARLIER: Final = 0.6
_TRIES_MAX: Final = 4
_RUN_S_MAX: Final = 180.0
_WORDS: Final = {"cell": "replay.daemon.cell_init", "player": "replay.play", "daemon": "replay.demo.daemon"}
_LEAVING: Final = """
import os, signal, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # also for what is run in its place
        os.execv(sys.executable, [sys.executable, "-c", "import signal; signal.pause()", sys.argv[0]])
    os._exit(0)
os.wait()
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
_TOOL: Final = "from replay.cli import main; main()"

type Answers = dict[int, str]
"""What came of each exchange: a status, how it ended, or why it was left out."""


@dataclass(frozen=True, slots=True)
class Life:
    """When a process of an undisturbed replay began and ended, in seconds after the tool did."""

    began_s: float
    ended_s: float


@dataclass(frozen=True, slots=True)
class Bench:
    """The demo's recording, and what undisturbed replays of it gave."""

    folder: Path
    answers: dict[str, Answers] = field(default_factory=dict)
    lives: dict[str, dict[str, Life]] = field(default_factory=dict)

    def command(self, kind: str, observed: Path, *more: str) -> list[str]:
        """Give the command that replays."""
        folder = self.folder
        words = ["replay", folder / "recording.parity", "--observed", observed, "--daemon", folder / "leaving.toml", "--allow", "all"]
        words += ["--cell", kind, "--known-secrets", folder / "passwords", *more]
        words += ["--redaction-key", folder / "config" / "signet-parity" / "redaction.key"]
        return [sys.executable, "-c", _TOOL, *map(str, words)]

    def start(self, kind: str, observed: Path, *more: str) -> subprocess.Popen[bytes]:
        """Start a replay; what it says goes to a file beside the archive."""
        with observed.with_suffix(".said").open("ab") as said:
            environment = {**os.environ, "TMPDIR": str(self.folder / "tmp"), "PYTHONDONTWRITEBYTECODE": "1"}
            command = self.command(kind, observed, *more)
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=environment, start_new_session=True)

    def processes(self) -> Iterator[tuple[int, list[str]]]:
        """Give every process, but this one, whose words name this bench's folder."""
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                with suppress(OSError):
                    words = (entry / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
                    if any(str(self.folder) in word for word in words):
                        yield int(entry.name), words

    def find(self, victim: str) -> int | None:
        """Find a process of the one replay that runs."""
        return next((pid for pid, words in self.processes() if words[1:3] == ["-m", _WORDS[victim]]), None)

    def left(self, timeout_s: float) -> list[str]:
        """Wait for the end of all processes; give the words of those that outlast the bound."""
        until = time.monotonic() + timeout_s
        for pid, _ in list(self.processes()):
            with suppress(ProcessLookupError):
                handle = os.pidfd_open(pid)
                try:
                    select.select([handle], [], [], max(0.0, until - time.monotonic()))
                finally:
                    os.close(handle)
        return [" ".join(words)[:200] for _, words in self.processes()]


def prepare(folder: Path, kinds: Sequence[str] = KINDS) -> Bench:
    """Record the demo, and replay it undisturbed in each kind of cell."""
    bench = Bench(folder)
    record_demo(folder, folder / "recording.parity")
    (folder / "tmp").mkdir()
    (folder / "passwords").write_text(f"{DEFAULT_PASSWORD}\n{WRONG_PASSWORD}\n")
    (folder / "leaving.py").write_text(_LEAVING)
    words = ["{python}", str(folder / "leaving.py"), "-m", "replay.demo.daemon", "--runtime", "js", "--host", "{host}", "--port", "{port}"]
    words += ["--workspace", "{workspace}"]
    quoted = ", ".join(f'"{word}"' for word in words)
    (folder / "leaving.toml").write_text(f'base = "demo-js"\nname = "leaving"\ncommand = [{quoted}]\nvisible = ["{folder}/leaving.py"]\n')
    for kind in kinds:
        observed = folder / f"undisturbed-{kind}.parity"
        lives = _watch(bench, bench.start(kind, observed))
        archive = read(observed)
        if archive.facts.get("complete") is not True:
            raise RuntimeError(f"the undisturbed replay is not complete: {observed.with_suffix('.said').read_text()}")
        bench.answers[kind] = answers_of(archive)
        bench.lives[kind] = lives
    return bench


def _watch(bench: Bench, tool: subprocess.Popen[bytes]) -> dict[str, Life]:
    began = time.monotonic()
    seen: dict[str, tuple[float, float]] = {}
    while tool.poll() is None:
        now = time.monotonic() - began
        for victim in _WORDS:
            if bench.find(victim) is not None:
                seen[victim] = (seen.get(victim, (now, now))[0], now)
        _pause(tool, _LOOK_S)
    seen["tool"] = (0.0, time.monotonic() - began)
    return {victim: Life(*times) for victim, times in seen.items()}


def _pause(tool: subprocess.Popen[bytes], seconds: float) -> None:
    with suppress(subprocess.TimeoutExpired):
        tool.wait(max(seconds, 0.0))


def answers_of(archive: Archive) -> Answers:
    """Say what came of each exchange, ids and times apart."""
    told = {item.id: f"{item.outcome.status if isinstance(item.outcome, Response) else 'none'} {item.end}" for item in archive.exchanges()}
    return {**{gap.exchange: f"left out: {gap.reason}" for gap in archive.gaps() if gap.exchange is not None}, **told}


@dataclass(slots=True)
class Result:
    """What came of one run."""

    name: str
    number: int
    wrong: list[str] = field(default_factory=list)
    late: bool = False
    """Whether the victim had ended by itself before it could be struck."""
    before: int = 0
    """How many exchanges were on the disk when it struck."""
    found: int = 0
    """How many were found afterwards."""
    gone_s: float = 0.0
    """How long the last process of the run took to end after the strike."""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Strike:
    """Who is struck, with what, and when."""

    victim: str
    signal: signal.Signals
    kind: str
    seed: str
    tries: int = 0
    """How often it came too late: each further one is earlier."""

    @property
    def name(self) -> str:
        """What to call it."""
        return f"{self.signal.name[3:]} of {self.victim}, {self.kind}"

    @property
    def orderly(self) -> bool:
        """Whether the player is left with the time to seal what it observed."""
        return self.victim == "daemon" or self.signal == signal.SIGTERM or (self.victim, self.kind) == ("tool", "mapped")


def run(bench: Bench, strike: Strike) -> Result:
    """Strike as `run_once` does; earlier, where the victim had ended by itself before it was struck."""
    result = run_once(bench, strike)
    while result.late and not result.wrong and strike.tries < _TRIES_MAX:
        strike = replace(strike, tries=strike.tries + 1)
        result = run_once(bench, strike)
    return result


def run_once(bench: Bench, strike: Strike) -> Result:
    """Replay, strike, look, resume, look again."""
    began = time.monotonic()
    result = Result(strike.name, int(strike.seed.rpartition(".")[2]))
    observed = bench.folder / f"{strike.signal.name}-{strike.victim}-{strike.kind}-{strike.seed}.{strike.tries}.parity"
    tool = bench.start(strike.kind, observed)
    try:
        before = _hit(bench, tool, strike, observed, result)
        struck = time.monotonic()
        code = _end(tool, result)
        result.wrong += [f"still there after {GONE_S:g} s: {words}" for words in bench.left(GONE_S)]
        result.gone_s = time.monotonic() - struck
    finally:
        if tool.poll() is None:
            tool.kill()
            tool.wait()
    said = observed.with_suffix(".said").read_text(errors="replace")
    complete = _judge(strike, result, observed, before, code, said)
    for path in (bench.folder / "tmp").glob("signet-parity-*"):
        if path.name in said and not (path / LOCK).exists():
            shutil.rmtree(path)  # kept for whoever looks for the reason why a cell failed, and named
        elif (strike.victim, strike.signal) != ("tool", signal.SIGKILL):
            result.wrong.append(f"left in the temporary folder: {path.name}")
    _resume(bench, strike.kind, observed, result, complete=complete)
    result.seconds = time.monotonic() - began
    return result


def _hit(bench: Bench, tool: subprocess.Popen[bytes], strike: Strike, observed: Path, result: Result) -> set[int]:
    """Send the signal at a random point of the victim's life; give the exchanges that were on the disk right before."""
    share = random.Random(f"{strike.name} {strike.seed}").random() * _EARLIER**strike.tries  # noqa: S311  # no secret
    pid: int | None = tool.pid
    if strike.victim == "tool" and share < _STARTING:
        _pause(tool, share / _STARTING * bench.lives[strike.kind]["player"].began_s)
    else:
        # The machine may be slower now than when it was undisturbed, so what is waited for is seen, not reckoned.
        awaited = "player" if strike.victim == "tool" else strike.victim
        while (found := bench.find(awaited)) is None and tool.poll() is None:
            _pause(tool, _LOOK_S)
        pid = pid if strike.victim == "tool" else found
        life = bench.lives[strike.kind][awaited]
        _pause(tool, share * (life.ended_s - life.began_s))
    before = _found(observed) or set()
    result.before = len(before)
    result.late = pid is None or tool.poll() is not None
    if pid is not None and not result.late:
        try:
            os.kill(pid, strike.signal)
        except ProcessLookupError:
            result.late = True
    return before


def _found(observed: Path) -> set[int] | None:
    """Give the exchanges of an archive at its place or beside it; None where there is none."""
    path = observed if observed.exists() else partial_folder(observed) / observed.name
    if not is_archive(path):
        return None
    with suppress(Exception):  # it may be moved in this very moment
        return {exchange.id for exchange in read(path, salvage=True).exchanges()}
    return None


def _end(tool: subprocess.Popen[bytes], result: Result) -> int:
    try:
        return tool.wait(_RUN_S_MAX)
    except subprocess.TimeoutExpired:
        result.wrong.append(f"the tool did not end within {_RUN_S_MAX:g} s")
        tool.kill()
        return tool.wait()


def _judge(strike: Strike, result: Result, observed: Path, before: set[int], code: int, said: str) -> bool:  # noqa: PLR0917 - all of one run
    """Look at what a struck replay left; gives whether it is complete all the same."""
    found = _found(observed)
    result.found = len(found or ())
    if found is None and before:
        result.wrong.append("the archive is lost")
    if missing := before - (found or set()):
        result.wrong.append(f"{len(missing)} of {len(before)} exchanges that were on the disk are lost")
    complete = False
    if found:
        path = observed if observed.exists() else partial_folder(observed) / observed.name
        archive = read(path, salvage=True)
        complete = archive.facts.get("complete") is True and not archive.salvaged
        if strike.orderly and archive.salvaged and before:
            result.wrong.append("the archive is not sealed")
    allowed = {130, -9} if strike.victim == "tool" else {2}
    if strike.victim == "tool" and (complete or found is None):
        allowed.add(-signal.SIGTERM)  # before the tool has its handler, or when it is done
    if code not in (allowed | {0, 2} if complete else allowed):
        result.wrong.append(f"exit code {code}: {said[-400:]}")
    if code == 2 and "INCOMPLETE" not in said and "incomplete" not in said and not complete:
        result.wrong.append(f"does not say that it is incomplete: {said[-400:]}")
    if code == 130 and found and "INCOMPLETE" not in said and not complete:
        result.wrong.append(f"does not say that it is incomplete: {said[-400:]}")
    if "Traceback" in said:
        result.wrong.append(f"said: {said[-600:]}")
    return complete


def _resume(bench: Bench, kind: str, observed: Path, result: Result, *, complete: bool) -> None:
    had = _found(observed) is not None
    code = _end(bench.start(kind, observed, "--resume"), result)
    said = observed.with_suffix(".said").read_text(errors="replace")
    if code != 0:
        result.wrong.append(f"resumed with exit code {code}: {said[-600:]}")
        return
    archive = read(observed)
    if answers_of(archive) != bench.answers[kind]:
        differ = [number for number, text in bench.answers[kind].items() if answers_of(archive).get(number) != text]
        result.wrong.append(f"resumed, {len(differ)} exchanges went another way than undisturbed: {differ[:5]}")
    aside = observed.with_name(f"{observed.name}.incomplete-1")
    if had and not complete and not is_archive(aside):
        result.wrong.append("the incomplete archive was not kept")
    if not had and aside.exists():
        result.wrong.append("something was kept that nobody wrote")
    left = [str(path) for path in (partial_folder(observed), *(bench.folder / "tmp").glob("signet-parity-*")) if path.exists()]
    if left:
        result.wrong.append(f"left after all: {left}")
    result.wrong += [f"still there after the second run: {words}" for words in bench.left(GONE_S)]


def strikes(count: int, seed: str, *, first: int = 0, kinds: Sequence[str] = KINDS) -> Iterator[Strike]:
    """Give *count* strikes of each victim with each signal in each kind of cell, in turns."""
    for number in range(first, first + count):
        for kind in kinds:
            for victim in VICTIMS:
                for sent in SIGNALS:
                    yield Strike(victim, sent, kind, f"{seed}.{number}")


def render(results: Sequence[Result]) -> str:
    """Give the table; seconds are the worst of any run."""
    lines = [f"{'strike':30}{'runs':>6}{'clean':>7}{'late':>6}{'before':>12}{'gone s':>8}  wrong in"]
    for name in sorted({result.name for result in results}):
        own = [result for result in results if result.name == name]
        bad = [str(result.number) for result in own if result.wrong]
        before = f"{min(result.before for result in own)}-{max(result.before for result in own)}"
        late, gone = sum(result.late for result in own), max(result.gone_s for result in own)
        lines.append(f"{name:30}{len(own):>6}{len(own) - len(bad):>7}{late:>6}{before:>12}{gone:>8.1f}  {', '.join(bad)}")
    return "\n".join(lines)


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description="Kills parts of replays.")
    parser.add_argument("--count", type=int, default=2, help="strikes of each kind")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--first", type=int, default=0, help="the number of the first run")
    parser.add_argument("--only", default="", metavar="TEXT", help='part of a name, such as "KILL of tool" or "player, mapped"')
    parser.add_argument("--cell", action="append", choices=KINDS, help="repeatable; both by default")
    chosen = parser.parse_args()
    kinds = tuple(chosen.cell or KINDS)

    def told(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    with tempfile.TemporaryDirectory(prefix="parity-strikes-") as folder:
        bench = prepare(Path(folder), kinds)
        for kind, lives in bench.lives.items():
            told(f"undisturbed, {kind}: " + ", ".join(f"{name} {life.began_s:.1f}-{life.ended_s:.1f} s" for name, life in lives.items()) + "\n")
        results = []
        for strike in strikes(chosen.count, chosen.seed, first=chosen.first, kinds=kinds):
            if chosen.only in strike.name:
                results.append(result := run(bench, strike))
                what = "; ".join(result.wrong[:4]) or ("too late" if result.late else "as it should be")
                told(f"{result.name} {strike.seed}: {what} ({result.before} → {result.found}, {result.seconds:.1f} s)\n")
    told(f"\n{render(results)}\n")
    return 1 if any(result.wrong for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
