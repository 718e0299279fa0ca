import errno
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from replay.daemon import Companion, Drained, Mount, Ready
from replay.model import DaemonError, UsageError

pytestmark = pytest.mark.usefixtures("namespaces")

ABSENT = "/tmp/signet-parity-recorded-elsewhere/ws"  # noqa: S108 - a path that this host has not
NS = "[os.readlink(f'/proc/self/ns/{name}') for name in ('net', 'mnt', 'pid', 'user')]"


def test_the_player_lives_in_namespaces_of_its_own(bench: Any) -> None:
    """Network, mounts, processes and users of the player are none of the host's, and the facts tell them."""
    report = bench.run(bench.spec(), f"seen['ns'] = {NS}; seen['pids'] = [p for p in os.listdir('/proc') if p.isdigit()]")
    host = [os.readlink(f"/proc/self/ns/{name}") for name in ("net", "mnt", "pid", "user")]  # noqa: PTH115
    seen = bench.seen()
    assert report.kind == "namespace"
    assert not set(seen["ns"]) & set(host)
    assert list(report.facts["namespaces"].values()) == seen["ns"]
    assert list(report.facts["host_namespaces"].values()) == host
    assert report.namespaces == " ".join(seen["ns"])
    assert "1" in seen["pids"]
    assert len(seen["pids"]) <= 3


def test_nothing_outside_can_be_reached(bench: Any) -> None:
    """A connection to an address that is not loopback is refused at once, for there is no route."""
    report = bench.run(
        bench.spec(),
        "outward = socket.socket(); outward.settimeout(2); seen['errno'] = outward.connect_ex(('192.0.2.1', 80)); outward.close()",
    )
    assert os.strerror(bench.seen()["errno"]) == "Network is unreachable"
    assert report.facts["routes"] == {"interfaces": "lo", "ipv4": "none", "egress": "blocked"}


def test_the_recorded_port_is_free_inside_though_the_host_holds_it(bench: Any) -> None:
    """While something listens on a port of the host, the daemon of a cell has the same number to itself."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        report = bench.run(bench.spec(), "seen['version'] = get('/health')['version']", recorded_port=port)
        held.setblocking(False)
        with pytest.raises(BlockingIOError):
            held.accept()
    assert report.facts["port"] == port
    assert report.facts["recorded_port_taken"] is False
    assert bench.seen() == {"version": "7.7"}


def test_the_state_lies_at_the_recorded_path_and_the_host_has_none_of_it(bench: Any) -> None:
    """A recorded path that the host has not is there in the cell, writable; afterwards host and state are as before."""
    report = bench.run(
        bench.spec(),
        "at = pathlib.Path(facts['workspace']); seen['files'] = sorted(os.listdir(at)); (at / 'new').write_text('x');"
        "seen['directory'] = get('/health')['directory']",
        workspace=ABSENT,
    )
    assert report.facts["workspace"] == report.facts["recorded_workspace"] == ABSENT
    assert bench.seen() == {"files": [".daemon", "agent.yaml", "memory"], "directory": ABSENT}
    assert not Path(ABSENT).parent.exists()
    assert sorted(path.name for path in bench.state.iterdir()) == ["agent.yaml", "memory"]
    assert (report.workspace / "new").read_text() == "x"


def test_a_workspace_path_right_below_the_root_can_be_had(bench: Any) -> None:
    """The recorded path may have no parent on the host but `/`."""
    report = bench.run(bench.spec(), "seen['yaml'] = open('/signet-parity-absent/a/b/agent.yaml').read()", workspace="/signet-parity-absent/a/b")
    assert report.player_exit == 0
    assert bench.seen()["yaml"] == "version: 1\n"


def test_a_recorded_path_in_a_read_only_place_of_the_host_leaves_its_neighbours(bench: Any) -> None:
    """A place made below an existing directory, such as `/usr`, keeps what that directory shows."""
    bench.run(bench.spec(), "seen['usr'] = sorted(os.listdir('/usr'))", workspace="/usr/signet-parity-absent")
    assert bench.seen()["usr"] == sorted([*(path.name for path in Path("/usr").iterdir()), "signet-parity-absent"])


def test_the_recorded_path_hides_what_the_host_has_there(bench: Any) -> None:
    """Where the recorded workspace exists on the host, the cell sees its copy and the host's stays as it was."""
    host = bench.folder / "live"
    host.mkdir()
    (host / "production").write_text("untouched")
    bench.run(
        bench.spec(),
        "seen['files'] = sorted(os.listdir(facts['workspace'])); open(facts['workspace'] + '/new', 'w').close()",
        workspace=str(host),
    )
    assert bench.seen()["files"] == [".daemon", "agent.yaml", "memory"]
    assert [path.name for path in host.iterdir()] == ["production"]


def test_the_hosts_files_are_read_only_and_its_tmp_is_not_there(bench: Any) -> None:
    """A cell can't write to what it sees of the host, and `/tmp` starts empty but for what was asked for."""
    code = """
for name, path in (("visible", facts["visible"]), ("etc", "/etc/x"), ("tmp", "/tmp/x"), ("shm", "/dev/shm/x")):
    try:
        open(path, "w").close()
        seen[name] = "written"
    except OSError as error:
        seen[name] = error.strerror
seen["tmp entries"] = len(os.listdir("/tmp"))
""".replace('facts["visible"]', repr(str(bench.program) + "x"))
    bench.run(bench.spec(), code)
    seen = bench.seen()
    assert seen["visible"] == seen["etc"] == "Read-only file system"
    assert seen["tmp"] == seen["shm"] == "written"
    assert seen["tmp entries"] <= 3
    assert not Path("/tmp/x").exists()  # noqa: S108


def test_mounts_are_fresh_copies_or_the_hosts_own_read_only(bench: Any) -> None:
    """With `copy` a change stays in the cell and is gone in the next; without it nothing can be changed."""
    fixtures = bench.folder / "fixtures"
    fixtures.mkdir()
    (fixtures / "a").write_text("as it was")
    (bench.folder / "one.txt").write_text("one")
    mounts = (
        Mount(str(fixtures), "/tmp/js-fixtures-copied", copy=True),  # noqa: S108
        Mount(str(fixtures), "/opt/js-fixtures-shown", copy=False),
        Mount(str(bench.folder / "one.txt"), "/srv/one/one.txt", copy=True),
    )
    code = """
seen["before"] = open("/tmp/js-fixtures-copied/a").read()
seen["one"] = open("/srv/one/one.txt").read()
open("/tmp/js-fixtures-copied/a", "w").write("changed")
try:
    open("/opt/js-fixtures-shown/a", "w")
except OSError as error:
    seen["shown"] = error.strerror
"""
    for _ in range(2):
        bench.run(bench.spec(mounts=mounts), code)
        assert bench.seen() == {"before": "as it was", "one": "one", "shown": "Read-only file system"}
    assert (fixtures / "a").read_text() == "as it was"


def test_a_mount_may_lie_inside_the_workspace(bench: Any) -> None:
    """A mount below the recorded workspace is placed into its copy."""
    extra = bench.folder / "extra"
    extra.mkdir()
    (extra / "f").write_text("f")
    bench.run(
        bench.spec(mounts=(Mount(str(extra), f"{ABSENT}/skills/extra"),)),
        f"seen['f'] = open('{ABSENT}/skills/extra/f').read()",
        workspace=ABSENT,
    )
    assert bench.seen() == {"f": "f"}


def test_the_daemon_sees_only_the_environment_it_was_given(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables of the host don't reach the daemon; HOME and CODEX_HOME are scratch, stand-ins come first on PATH."""
    monkeypatch.setenv("SIGNET_TOKEN", "secret")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy")
    home = str(Path("/tmp/js-home"))  # noqa: S108
    spec = bench.spec(environment={"SIGNET_PATH": "{workspace}", "A": "{home} {host}:{port}"}, home=home)
    code = "seen['its'] = get('/health')['environment']; seen['mine'] = dict(os.environ); seen['home'] = os.listdir(facts['home'])"
    report = bench.run(spec, code.replace("facts['home']", repr(home)), workspace=ABSENT)
    its = bench.seen()["its"]
    path = its.pop("PATH").split(":")
    its.pop("LC_CTYPE", None)  # Python's own
    assert its == {
        "HOME": home,
        "CODEX_HOME": f"{home}/.codex",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "SIGNET_PATH": ABSENT,
        "A": f"{home} 127.0.0.1:3850",
    }
    assert path[0] == str(report.directory / "stand-ins")
    assert {"SIGNET_TOKEN", "HTTPS_PROXY"}.isdisjoint(bench.seen()["mine"])
    assert bench.seen()["home"] == []


def test_programs_that_act_outside_are_stand_ins(bench: Any) -> None:
    """`claude`, `codex`, `op` and `bw` print one line and end well; a directory of the description comes before them."""
    own = bench.folder / "bin"
    own.mkdir()
    (own / "op").write_text("#!/bin/sh\necho mine\n")
    (own / "op").chmod(0o755)
    code = """
path = get('/health')['environment']['PATH']
for name in ('claude', 'codex', 'op', 'bw'):
    ran = subprocess.run([name], env={'PATH': path}, capture_output=True, text=True)
    seen[name] = [ran.returncode, ran.stdout]
"""
    bench.run(bench.spec(path=(str(own),)), code.replace("subprocess.run([name]", "subprocess.run(['/usr/bin/env', name]"))
    assert bench.seen() == {
        "op": [0, "mine\n"],
        **{name: [0, f"{name}: a stand-in in a replay cell\n"] for name in ("claude", "codex", "bw")},
    }


def test_the_cell_gets_a_secret_of_its_own(bench: Any) -> None:
    """32 new bytes, readable by the owner alone, stand in the place of whatever the state held."""
    (bench.state / ".daemon").mkdir()
    (bench.state / ".daemon" / "auth-secret").write_bytes(b"production")
    first, second = (bench.run(bench.spec(), workspace=ABSENT) for _ in range(2))
    secrets = [(report.workspace / ".daemon" / "auth-secret") for report in (first, second)]
    assert [len(path.read_bytes()) for path in secrets] == [32, 32]
    assert secrets[0].read_bytes() != secrets[1].read_bytes()
    assert stat.S_IMODE(secrets[0].stat().st_mode) == 0o600
    assert first.facts["auth_secret"] == f"{ABSENT}/.daemon/auth-secret"
    assert (bench.state / ".daemon" / "auth-secret").read_bytes() == b"production"


def test_a_snapshots_machine_id_stands_for_the_hosts(bench: Any) -> None:
    """A daemon finds the machine id that its store of secrets was sealed for where the host has its own, which stays as it was."""
    host = Path("/etc/machine-id")
    before = host.read_bytes() if host.exists() else None
    bench.run(bench.spec(), "seen['id'] = open('/etc/machine-id').read()", machine_id="5ca1ab1e0000c0ffee00cafe00f00d00")
    assert bench.seen() == {"id": "5ca1ab1e0000c0ffee00cafe00f00d00\n"}
    assert (host.read_bytes() if host.exists() else None) == before


def test_a_description_may_have_a_machine_id_of_its_own(bench: Any) -> None:
    """A file that a description mounts at the machine id's place comes before the snapshot's."""
    own = bench.folder / "own-id"
    own.write_text("described\n")
    spec = bench.spec(mounts=(Mount(str(own), "/etc/machine-id", copy=True),))
    bench.run(spec, "seen['id'] = open('/etc/machine-id').read()", machine_id="5ca1ab1e0000c0ffee00cafe00f00d00")
    assert bench.seen() == {"id": "described\n"}


def test_companions_start_in_order_and_before_the_daemon(bench: Any) -> None:
    """A companion is waited for by port or path before the next starts, and the daemon comes last."""
    order = bench.folder / "out" / "order"
    order.parent.mkdir()
    # Each program notes itself and, when it starts, whether the one before it listens.
    text = f"""
import http.server, pathlib, socket, sys
port, before = int(sys.argv[1]), int(sys.argv[2])
there = before == 0 or socket.socket().connect_ex(("127.0.0.1", before)) == 0
with open({str(order)!r}, "a") as file: file.write(f"{{port}} {{there}}\\n")
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self): self.send_response(200 if self.path == "/api/tags" else 500); self.end_headers()
http.server.HTTPServer(("127.0.0.1", port), H).serve_forever()
"""
    program = bench.folder / "companion.py"
    program.write_text(text)
    companions = (
        Companion(("{python}", str(program), "11434", "0"), ready_port=11434, ready_path="/api/tags"),
        Companion(("{python}", str(program), "11435", "11434"), ready_port=11435),
    )
    spec = bench.spec(companions=companions, command=("{python}", str(program), "{port}", "11435"), ready=Ready("/api/tags", timeout_s=10))
    bench.run(spec)
    assert order.read_text().splitlines() == ["11434 True", "11435 True", "3850 True"]


def test_a_companion_that_fails_says_what_it_wrote(bench: Any) -> None:
    """The error names the companion, how it ended, and the end of its log."""
    companion = Companion(("{python}", "-c", "raise SystemExit('model file missing')"), ready_port=11434)
    with pytest.raises(DaemonError, match=r"companion .*python.* ended with exit code 1 before it was ready[\s\S]*model file missing"):
        bench.run(bench.spec(companions=(companion,)))


def test_a_daemon_that_dies_at_the_start_says_what_it_wrote(bench: Any) -> None:
    """The error holds the exit code and the end of the log."""
    with pytest.raises(DaemonError, match=r"daemon tiny ended with exit code 1 before it was ready[\s\S]*no such table: memories"):
        bench.run(bench.spec("dies"))


def test_a_daemon_that_never_is_ready_says_so(bench: Any) -> None:
    """The error names the address, the status that came and the time that passed."""
    with pytest.raises(DaemonError, match=r"/health did not give 200 \(the last answer was 503\) within 0.4 s[\s\S]*daemon speaks"):
        bench.run(bench.spec("never", ready=Ready(timeout_s=0.4)))


def test_a_command_that_is_not_there_is_named(bench: Any) -> None:
    """A program that the cell does not show is an error that says what to do."""
    with pytest.raises(DaemonError, match=r"can't start '/nowhere/daemon': No such file or directory.*`visible`"):
        bench.run(bench.spec(command=("/nowhere/daemon",)))


def test_a_daemon_that_dies_under_the_player_is_reported(bench: Any) -> None:
    """The player's exit code stands, and the report has exit code, log tail and record of the death."""
    report = bench.run(bench.spec(), "\ntry:\n    get('/die')\nexcept OSError:\n    sys.exit(5)")
    assert (report.player_exit, report.daemon_exit, report.died) == (5, 9, True)
    assert report.log_tail.splitlines() == ["daemon speaks", "out of memory, say"]
    assert [record.what for record in report.records] == ["started", "ready", "died"]


def test_a_daemon_that_does_not_hear_is_killed(bench: Any) -> None:
    """SIGTERM first; after the bound SIGKILL, and the record says so."""
    report = bench.run(bench.spec("deaf", stop_timeout_s=0.3))
    assert report.daemon_exit == -9
    assert report.records[-1].detail == "killed: SIGTERM had no effect within 0.3 s"


def test_a_player_that_does_not_end_is_ended(bench: Any) -> None:
    """Past its bound the player is killed and the run is an error, not a hang."""
    with pytest.raises(DaemonError, match=r"player was not done within 0.3 s"):
        bench.run(bench.spec(), "signal.pause()", player_timeout_s=0.3)


def test_two_cells_live_at_once(bench: Any) -> None:
    """Two daemons with the same port and path run side by side; each player waits until the other is there too."""
    meet = bench.folder / "out"
    meet.mkdir()
    os.mkfifo(meet / "a")
    os.mkfifo(meet / "b")
    # Opening a FIFO blocks until the other side opens it: neither player goes on alone.
    code = f"""
mine, other = {str(meet)!r} + '/a', {str(meet)!r} + '/b'
assert get('/health')['version'] == '7.7'
with open(mine, 'w') as out: out.write(os.readlink('/proc/self/ns/net'))
"""
    other = code.replace("open(mine, 'w') as out: out.write(os.readlink('/proc/self/ns/net'))", "open(mine) as source: print(source.read())")
    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(lambda each: bench.run(bench.spec(), each, workspace=ABSENT), (code, other)))
    assert [report.player_exit for report in reports] == [0, 0]
    assert len({report.namespaces for report in reports}) == 2
    assert {report.facts["port"] for report in reports} == {3850}


def test_what_the_player_needs_to_know_is_in_the_facts(bench: Any) -> None:
    """Drained predicates come with absolute paths that open inside; daemon and version are named."""
    database = bench.state / "memory" / "memories.db"
    database.unlink()
    connection = sqlite3.connect(database)
    connection.execute("CREATE TABLE memory_jobs (status TEXT)")
    connection.commit()
    connection.close()
    drained = Drained("extraction", "memory/memories.db", "SELECT count(*) FROM memory_jobs", 3.0)
    code = """
import sqlite3
entry = facts["drained"][0]
seen["left"] = sqlite3.connect(f"file:{entry['database']}?mode=ro", uri=True).execute(entry["sql"]).fetchone()[0]
seen["entry"] = entry
"""
    report = bench.run(bench.spec(drained=(drained,)), code, workspace=ABSENT)
    assert bench.seen()["left"] == 0
    assert bench.seen()["entry"] == {"worker": "extraction", "database": f"{ABSENT}/memory/memories.db", "sql": drained.sql, "bound_s": 3.0}
    assert report.facts["daemon"]["version"] == "7.7"
    assert Path(report.facts["log"]) == report.log


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("kind", ["namespace", "mapped"])
def test_everything_dies_with_the_tool(
    bench: Any, kind: str, end: signal.Signals, pids_of: Callable[[str], list[int]], await_ends: Callable[[list[int], float], list[int]]
) -> None:
    """After a SIGKILL of the tool, or Ctrl-C, neither daemon, nor what it left behind, nor player is there for long."""
    tool = f"""
import sys
from pathlib import Path
from replay.daemon import DaemonSpec, run_cell
folder = Path({str(bench.folder)!r})
run_cell(
    DaemonSpec("tiny", "js", ("{{python}}", str(folder / "tiny.py"), "{{port}}", "leaves", "-"), visible=(str(folder),)),
    state=folder / "state", recorded_workspace=None, scratch=folder / "scratch", kind={kind!r},
    player=[sys.executable, "-c", "import signal; print('playing', flush=True); signal.pause()", str(folder / "tiny.py")],
)
"""
    marker = str(bench.program)
    with subprocess.Popen([sys.executable, "-c", tool], stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == b"playing\n"
        pids = [pid for pid in pids_of(marker) if pid != process.pid]
        assert len(pids) == 3  # daemon, what it left, player
        process.send_signal(end)
        assert await_ends(pids, 15.0) == []


def test_a_state_that_is_not_there_is_the_callers_mistake(bench: Any) -> None:
    """The error names the path."""
    (bench.folder / "other").mkdir()
    with pytest.raises(UsageError, match="there is no workspace to copy"):
        bench.__class__(bench.folder, bench.folder / "nowhere", bench.program).run(bench.spec())


def test_a_path_that_shall_be_visible_must_be_there(bench: Any) -> None:
    """The error names the path."""
    with pytest.raises(UsageError, match=r"/nowhere/at/all shall be visible"):
        bench.run(bench.spec(visible=("/nowhere/at/all",)))


def test_a_hidden_directory_is_not_shown_whole(bench: Any) -> None:
    """Neither `/tmp` nor `/` can be made visible or writable as a whole: the cell has its own."""
    with pytest.raises(UsageError, match=r"the cell has a /tmp of its own"):
        bench.run(bench.spec(), visible=[Path("/tmp")])  # noqa: S108
    with pytest.raises(UsageError, match=r"the cell has a / of its own"):
        bench.run(bench.spec(visible=("/",)))


def test_a_writable_directory_is_never_given_the_cells_places(bench: Any) -> None:
    """Where the recorded path would have to be made in the host's own directory the cell is refused, and nothing is made."""
    workspace = bench.folder / "out" / "ws"
    with pytest.raises(UsageError, match=r"Write into a directory of its own"):
        bench.run(bench.spec(), workspace=str(workspace))
    assert not workspace.exists()


def test_the_hosts_settings_can_not_be_changed(bench: Any) -> None:
    """What in /proc is the whole host's is read-only, also for a tool that root runs; what is a process's own is not."""
    code = """
flags = {}
for line in open('/proc/self/mountinfo'):
    words = line.split()
    flags[words[4]] = words[5].split(',')[0]
seen['flags'] = [flags[place] for place in ('/proc', '/proc/sys')]
def write():
    with open('/proc/sys/vm/stat_interval', 'r+') as file: file.write('1')
try: write()
except OSError as error: seen['errno'] = error.errno
"""
    bench.run(bench.spec(), code)
    assert bench.seen()["flags"] == ["rw", "ro"]
    assert bench.seen()["errno"] in {errno.EROFS, errno.EACCES}
