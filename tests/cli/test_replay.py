"""`replay` where something fails: what it says, what it leaves, and how it is taken up again."""

import fcntl
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from replay.archive import ArchiveWriter, Keyring, make_key, read, save_key
from replay.daemon import probe_namespaces
from replay.jobs import locking
from replay.jobs.outbox import partial_folder
from replay.model import ArchiveError, Connection, Ended, EndReason, Opened, Request, Response

DAEMON = """
import http.server, os, pathlib, signal, socket, sys
port, fault = int(sys.argv[1]), pathlib.Path(sys.argv[2]).read_text()
print("daemon speaks \\x1b[31mred", flush=True)
if fault == "dies": sys.exit("no such table: memories")
if fault == "deaf":
    held = socket.create_server(("127.0.0.1", port))
    signal.pause()
asked = 0
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        global asked
        asked += self.path != "/health"
        if asked == 3 and fault == "falls":
            print("out of memory, say \\x1b[2J", flush=True)
            os._exit(9)
        if asked == 3 and fault == "stops": os.kill(os.getpid(), signal.SIGSTOP)
        if asked == 3 and fault == "waits": signal.pause()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""
TOOL = "from replay.cli import main; main()"
COUNT = 5
KINDS = [
    "mapped",
    pytest.param("namespace", marks=pytest.mark.skipif(probe_namespaces() is not None, reason="this host makes no namespace cells")),
]


@dataclass(frozen=True)
class Bench:
    """A recording, a daemon that fails as a file says, and the command line."""

    folder: Path
    recording: Path
    observed: Path
    run: Any

    def fail(self, fault: str) -> None:
        """Let the daemon fail so from now on; `-` for not at all."""
        (self.folder / "fault").write_text(fault)

    def words(self, *more: object, kind: str = "mapped") -> list[str]:
        """Give the words of a replay."""
        words = ("replay", self.recording, "--observed", self.observed, "--daemon", self.folder / "tiny.toml", "--state", self.folder / "state")
        return [*map(str, words), "--cell", kind, *map(str, more)]

    def replay(self, *more: object, kind: str = "mapped") -> Any:
        """Replay through the command line."""
        return self.run(*self.words(*more, kind=kind))

    def left(self) -> list[str]:
        """Name what lies beside the observed archive, and in the temporary folder."""
        beside = [path.name for path in self.folder.iterdir() if self.observed.name in path.name]
        return sorted(beside) + sorted(path.name for path in (self.folder / "tmp").iterdir())


@pytest.fixture
def bench(tmp_path: Path, signet_parity: Any, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Give a recording of five reads and a daemon for them."""
    for name in ("state", "tmp"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tiny.py").write_text(DAEMON)
    command = ["{python}", str(tmp_path / "tiny.py"), "{port}", str(tmp_path / "fault")]
    lines = [f"command = {json.dumps(command)}", f"visible = {json.dumps([str(tmp_path / 'tiny.py'), str(tmp_path / 'fault')])}"]
    (tmp_path / "tiny.toml").write_text("\n".join([*lines, "stop_timeout_s = 2", "[ready]", "timeout_s = 2", ""]))
    made = Bench(tmp_path, record(tmp_path / "recording.parity"), tmp_path / "o.parity", signet_parity)
    made.fail("-")
    return made


def record(path: Path, *, count: int = COUNT, recipients: tuple[bytes, ...] = ()) -> Path:
    """Record some reads, one after the other."""
    with ArchiveWriter.create(path, kind="recording", facts={}, recipients=recipients) as writer:
        for number in range(1, count + 1):
            request = Request(b"GET", b"/api/status", b"HTTP/1.1", ((b"host", b"x"),))
            answer = Response(b"HTTP/1.1", 200, b"OK", ((b"content-type", b"application/json"),), b"{}")
            writer.append(Opened(number, 2 * number - 1, float(number), Connection("c1"), request))
            writer.append(Ended(number, 2 * number, number + 0.01, EndReason.COMPLETE, answer, b""))
        writer.seal(event=2 * count + 1, at=100.0, reason="test")
    return path


@pytest.mark.parametrize(("fault", "why"), [("dies", "exit code 1 before it was ready"), ("deaf", r"nothing answered\) within 2 s")])
def test_a_daemon_that_does_not_start(fault: str, why: str, bench: Bench) -> None:
    """Exit 2, the reason, the end of the log with its controls visible, and that nothing was sent; when it is mended the command plays."""
    bench.fail(fault)
    outcome = bench.replay()
    assert outcome.code == 2
    assert re.search(why, outcome.err)
    assert r"daemon speaks \x1b[31mred" in outcome.err
    assert "nothing was sent, and there is no" in outcome.err
    assert "\x1b" not in outcome.err.replace("\x1b[K", "")
    assert [name for name in bench.left() if not name.startswith("signet-parity-")] == []
    bench.fail("-")
    assert bench.replay("--resume").code == 0
    assert "o.parity" in bench.left()


@pytest.mark.parametrize("kind", KINDS)
def test_a_daemon_that_dies_in_the_middle_is_taken_up_again(kind: str, bench: Bench) -> None:
    """Exit 2 and the log's end; what was observed is sealed as incomplete, and `--resume` keeps it and plays from the start, once."""
    bench.fail("falls")
    outcome = bench.replay(kind=kind)
    assert outcome.code == 2
    assert r"out of memory, say \x1b[2J" in outcome.out
    assert "\x1b" not in outcome.out
    assert "INCOMPLETE" in outcome.out
    assert "--resume" in outcome.out
    half = read(bench.observed)
    assert half.facts["complete"] is False
    assert [exchange.id for exchange in half.exchanges()][:2] == [1, 2]
    assert len(half.exchanges()) + len(half.gaps()) == COUNT
    assert bench.left() == ["o.parity"]

    refused = bench.replay(kind=kind)
    assert refused.code == 2
    assert "it is incomplete: --resume sets it aside" in refused.err
    bench.fail("-")
    resumed = bench.replay("--resume", kind=kind)
    assert resumed.code == 0
    assert re.search(r"an earlier, incomplete replay \([2-5] exchanges\) is kept as .*o\.parity\.incomplete-1", resumed.out)
    assert "from the start" in resumed.out
    assert bench.left() == ["o.parity", "o.parity.incomplete-1"]
    assert len(read(bench.observed).exchanges()) == COUNT
    again = bench.replay("--resume", kind=kind)
    assert (again.code, "sealed and complete: 5 exchanges; nothing was played" in again.out) == (0, True)


def test_what_is_not_the_same_replay_is_not_resumed(bench: Bench) -> None:
    """Another recording, another option, something that is no archive: refused, and nothing is moved."""
    assert bench.replay().code == 0
    other = bench.replay("--resume", "--pace", "2")
    assert other.code == 2
    assert "made with pace 'asap', and '2' is asked for now" in other.err
    shutil.rmtree(bench.recording)
    record(bench.recording, count=2)
    foreign = bench.replay("--resume")
    assert foreign.code == 2
    assert "is no replay of this recording" in foreign.err
    shutil.rmtree(bench.observed)
    bench.observed.mkdir()
    assert "and no archive" in bench.replay("--resume").err
    assert bench.left() == ["o.parity"]


@pytest.mark.slow
def test_a_daemon_that_stops_answering_is_given_up(bench: Bench) -> None:
    """One that hangs ends the replay within its bounds: exit 2, the log's end, and what was observed is sealed."""
    bench.fail("stops")
    outcome = bench.replay()
    assert outcome.code == 2
    assert "the daemon was given up" in outcome.out
    assert r"daemon speaks \x1b[31mred" in outcome.out
    assert [exchange.id for exchange in read(bench.observed).exchanges()][:2] == [1, 2]
    assert bench.left() == ["o.parity"]


@pytest.mark.parametrize("locked", ["lock", "no lock"])
def test_what_a_killed_tool_left_is_found(locked: str, bench: Bench) -> None:
    """An archive beside its place is opened by `inspect`, stands in the way of a new replay, and is set aside by `--resume`."""
    folder = partial_folder(bench.observed)
    bench.fail("falls")
    bench.replay()
    folder.mkdir()
    bench.observed.rename(folder / bench.observed.name)
    if locked == "lock":
        os.close(locking.hold(folder))
    shown = bench.run("inspect", bench.observed, "--salvage")
    assert shown.code == 0
    assert str(folder) in shown.out
    refused = bench.replay()
    assert refused.code == 2
    assert "incomplete: --resume sets it aside" in refused.err
    bench.fail("-")
    assert bench.replay("--resume").code == 0
    assert bench.left() == ["o.parity", "o.parity.incomplete-1"]


def test_two_replays_to_one_place_do_not_meet(bench: Bench) -> None:
    """While one writes there, another is refused, with and without `--resume`."""
    folder = partial_folder(bench.observed)
    folder.mkdir()
    held = locking.hold(folder)
    try:
        for more in ((), ("--resume",)):
            refused = bench.replay(*more)
            assert refused.code == 2
            assert "another replay is writing it just now" in refused.err
    finally:
        os.close(held)
    assert bench.replay().code == 0


def test_folders_of_killed_replays_go_and_others_stay(bench: Bench) -> None:
    """The state of a replay that was killed is removed by the next; that of one that runs, or was kept, is not; what was observed stays."""
    for name in ("dead", "living", "kept", "rich"):
        (bench.folder / "tmp" / f"signet-parity-{name}" / "state").mkdir(parents=True)
    held = locking.hold(bench.folder / "tmp" / "signet-parity-living")
    for name in ("dead", "rich"):
        os.close(locking.hold(bench.folder / "tmp" / f"signet-parity-{name}"))
    (bench.folder / "tmp" / "signet-parity-rich" / "observed" / "o.parity").mkdir(parents=True)
    try:
        outcome = bench.replay()
    finally:
        os.close(held)
    assert outcome.code == 0
    assert "what a killed replay observed is kept in" in outcome.out
    assert bench.left() == ["o.parity", "signet-parity-kept", "signet-parity-living", "signet-parity-rich"]
    assert [path.name for path in (bench.folder / "tmp" / "signet-parity-rich").iterdir() if path.name != "lock"] == ["observed"]


def test_an_archive_inside_the_recorded_workspace_is_written_elsewhere_first(bench: Bench) -> None:
    """Where the cell has a directory of its own, the player writes into the scratch folder, and the message says so."""
    (bench.folder / "tiny.toml").write_text(f'workspace = "{bench.folder}"\n{(bench.folder / "tiny.toml").read_text()}')
    outcome = bench.replay()
    assert outcome.code == 0
    assert f"for the cell has a {bench.folder} of its own" in outcome.out
    assert len(read(bench.observed).exchanges()) == COUNT


def count_observed(bench: Bench, keys: Keyring | None = None) -> int:
    """Count what a running replay has written so far."""
    try:
        return len(read(partial_folder(bench.observed) / bench.observed.name, salvage=True, keys=keys).exchanges())
    except ArchiveError:  # it is being made
        return 0


@contextmanager
def started(bench: Bench, *prefix: str, stdin: int = subprocess.DEVNULL, key: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Have the command line running in a process of its own until the daemon was asked and waits, without a session of its own."""
    bench.fail("waits")
    words = [*prefix, sys.executable, "-c", TOOL, *bench.words(*(("--keys", key) if key else ()))]
    keys = Keyring.load(key) if key else None
    environment = {**os.environ, "TMPDIR": str(bench.folder / "tmp")}
    with subprocess.Popen(words, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment) as process:
        try:
            watcher = threading.Event()
            while process.poll() is None and count_observed(bench, keys) < 2:
                watcher.wait(0.1)
            yield process
        finally:
            process.kill()


def test_ctrl_c_in_a_terminal(bench: Bench) -> None:
    """The tool ends its cell, exits with 130, and says how much was observed and where; the archive is sealed, and no folder stays."""
    if shutil.which("setsid") is None:
        pytest.skip("no setsid, which gives a process a terminal")
    terminal, end = os.openpty()
    try:
        with started(bench, "setsid", "--ctty", stdin=end) as process:
            os.write(terminal, b"\x03")
            said = process.communicate(timeout=30)[0].decode()
    finally:
        os.close(terminal)
        os.close(end)
    assert process.returncode == 130
    assert "INCOMPLETE: 2 exchanges observed until then; the same command with --resume" in said
    assert "Traceback" not in said
    assert len(read(bench.observed).exchanges()) == 2
    assert bench.left() == ["o.parity"]


def test_two_replays_of_different_recordings_at_once(bench: Bench) -> None:
    """Neither takes anything of the other's."""
    with started(bench) as process:
        assert process.poll() is None
        bench.fail("-")
        recording = record(bench.folder / "other.parity", count=3)
        words = [*bench.words()]
        words[1], words[3] = str(recording), str(bench.folder / "other-observed.parity")
        assert bench.run(*words).code == 0
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert process.returncode == 130
    assert len(read(bench.folder / "other-observed.parity").exchanges()) == 3
    assert len(read(bench.observed).exchanges()) == 2


def test_what_a_killed_tool_left_of_an_encrypted_recording_is_encrypted(bench: Bench) -> None:
    """Beside the archive's place nothing lies in clear, whoever was killed; with the key it is found and set aside as any other."""
    pair, key = make_key(), bench.folder / "ops.key"
    save_key(pair, key, private=True)
    shutil.rmtree(bench.recording)
    record(bench.recording, recipients=(pair.public,))
    with started(bench, key=key) as process:
        process.kill()
        process.wait()
    partial = partial_folder(bench.observed)
    files = [path for path in partial.rglob("*") if path.is_file()]
    assert not [path for path in files if b"/api/status" in path.read_bytes()]
    assert (partial.stat().st_mode & 0o777, bench.observed.exists()) == (0o700, False)
    with (partial / locking.LOCK).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # until the cell, which seals it, has ended too
    assert len(read(partial / "o.parity", keys=Keyring.load(key)).exchanges()) >= 2
    bench.fail("-")
    resumed = bench.replay("--resume", "--keys", key)
    assert resumed.code == 0, resumed.err
    assert bench.left() == ["o.parity", "o.parity.incomplete-1"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_decoy_on_the_recorded_port_gets_not_one_byte(kind: str, bench: Bench) -> None:
    """What listens on the host where the recorded daemon did is never connected to; in a mapped cell `/mcp` is left out for its sake."""
    with socket.create_server(("127.0.0.1", 0)) as decoy:
        port = decoy.getsockname()[1]
        shutil.rmtree(bench.recording)
        with ArchiveWriter.create(bench.recording, kind="recording", facts={"daemon": {"port": port}}) as writer:
            for number, (method, target) in enumerate([(b"GET", b"/api/status"), (b"POST", b"/mcp"), (b"GET", b"/api/status")], 1):
                request = Request(method, target, b"HTTP/1.1", ((b"host", f"127.0.0.1:{port}".encode()),))
                answer = Response(b"HTTP/1.1", 200, b"OK", ((b"content-type", b"application/json"),), b"{}")
                writer.append(Opened(number, 2 * number - 1, float(number), Connection("c1"), request))
                writer.append(Ended(number, 2 * number, number + 0.01, EndReason.COMPLETE, answer, b"{}"))
            writer.seal(event=7, at=100.0, reason="test")
        heard = Decoy(decoy)
        outcome = bench.replay("--allow", "all", kind=kind)
        assert heard.stop() == (0, 0)
    assert outcome.code == 0, outcome.err
    gaps = [(gap.exchange, str(gap.reason)) for gap in read(bench.observed).gaps()]
    assert gaps == ([(2, "loop-back")] if kind == "mapped" else [])


class Decoy:
    """Counts who connects, and what comes."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._connections = self._bytes = 0
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def stop(self) -> tuple[int, int]:
        """Give connections and bytes, without the one that ends the counting."""
        with socket.create_connection(self._listener.getsockname()) as last:
            last.sendall(b"enough")
            self._thread.join()
        return self._connections, self._bytes

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection:
                connection.settimeout(5)
                data = connection.recv(64)
            if data == b"enough":
                return
            self._connections += 1
            self._bytes += len(data)


@pytest.mark.parametrize("room_kib", [pytest.param(16, marks=pytest.mark.slow), 200])
def test_a_full_disk_is_no_archive(room_kib: int, bench: Bench) -> None:
    """Where the disk is full, the exit code is 2, the message says so, and what is there is not taken for whole."""
    unshare = ["unshare", *(() if os.geteuid() == 0 else ("-Ur",)), "--mount"]
    if shutil.which("unshare") is None or subprocess.run([*unshare, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no mount namespaces")
    shutil.rmtree(bench.recording)
    record(bench.recording, count=40)
    disk = bench.folder / "disk"
    disk.mkdir()
    words = bench.words()
    words[3] = str(disk / "o.parity")
    (bench.folder / "tiny.py").write_text(DAEMON.replace('"2"', '"20002"').replace('b"{}"', "b'\"' + os.urandom(10000).hex().encode() + b'\"'"))
    quoted = " ".join(f"'{word}'" for word in [sys.executable, "-c", TOOL, *words])
    look = f"'{sys.executable}' -c '{TOOL}' verify {disk}/o.parity"
    script = f"mount -t tmpfs -o size={room_kib}k none {disk}; set +e; {quoted}; echo code $?; {look}; echo verified $?"
    environment = {**os.environ, "TMPDIR": str(bench.folder / "tmp")}
    done = subprocess.run([*unshare, "sh", "-ec", script], check=False, capture_output=True, text=True, env=environment, timeout=60)
    said = done.stdout + done.stderr
    assert "code 2\n" in said, said
    assert "verified 2\n" in said, said
    assert re.search(r"No space left|full", said), said
    assert "INCOMPLETE" in said or "nothing can be written there" in said, said
    assert "Traceback" not in said


def test_a_pair_is_timed_in_turns(bench: Bench, tmp_path: Path) -> None:
    """Two cells at once: no two service times of the two sides overlap, each is first as often, and the archives say how it went."""
    control = tmp_path / "control.parity"
    shutil.rmtree(bench.recording)
    record(bench.recording, count=20)
    more = ("--control-daemon", bench.folder / "tiny.toml", "--control-observed", control)
    outcome = bench.replay(*more)
    assert outcome.code == 0, outcome.err
    assert "candidate: 20 turns, 0 exchanges not interleaved · control: 20 turns, 0 exchanges not interleaved" in outcome.out
    sides = [read(bench.observed), read(control)]
    assert [side.facts["planned"] for side in sides] == [20, 20]
    spans = [{each.id: (each.started_at, each.ended_at) for each in side.exchanges()} for side in sides]
    assert [(one, other) for one, (a, b) in spans[0].items() for other, (c, d) in spans[1].items() if a < d and c < b] == []
    assert sum(spans[0][number] < spans[1][number] for number in spans[0]) == 10
    again = bench.replay(*more, "--resume")
    assert (again.code, "are there, sealed and complete; nothing was played" in again.out) == (0, True)


def test_of_a_pair_one_side_may_fail(bench: Bench, tmp_path: Path) -> None:
    """Where one daemon does not start the other is played to its end alone; exit 2, and `--resume` plays both again."""
    control = tmp_path / "control.parity"
    broken = tmp_path / "broken.toml"
    broken.write_text((tmp_path / "tiny.toml").read_text().replace(str(tmp_path / "fault"), str(tmp_path / "other-fault")))
    (tmp_path / "other-fault").write_text("dies")
    more = ("--control-daemon", broken, "--control-observed", control)
    outcome = bench.replay(*more)
    assert outcome.code == 2
    assert "no such table: memories" in outcome.out
    assert f"candidate: {COUNT} turns, {COUNT} exchanges not interleaved" in outcome.out
    assert read(bench.observed).facts["complete"] is True
    assert not control.exists()
    (tmp_path / "other-fault").write_text("-")
    resumed = bench.replay(*more, "--resume")
    assert resumed.code == 0, resumed.err
    assert "unpaired-1" in resumed.out
    assert f"candidate: {COUNT} turns, 0 exchanges not interleaved" in resumed.out


@pytest.mark.parametrize("words", [("--control-daemon", "js"), ("--control-observed", "x.parity")])
def test_half_a_pair_is_the_callers_mistake(words: tuple[str, str], bench: Bench) -> None:
    """A second daemon needs an archive of its own, and the other way round."""
    outcome = bench.replay(*words)
    assert outcome.code == 2
    assert "need both --control-daemon and --control-observed" in outcome.err
