"""A daemon in a cell that asks its model while it starts and for each request, answered out of the recording of another one."""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from replay.archive import Archive, ArchiveWriter, Key, Keyring, make_key, narrowed, read
from replay.daemon import DaemonSpec, Ready, probe_namespaces, run_cell
from replay.daemon.spec import Companion
from replay.model import Connection, DaemonError, Ended, EndReason, Opened, ProviderCall, Request, Response
from replay.play.providing import find_lanes, served_lanes

DAEMON = """
import http.server, json, os, sys, urllib.error, urllib.request
port, model, fault = int(sys.argv[1]), sys.argv[2], sys.argv[3]
def ask(path, body=None):
    request = urllib.request.Request(model + path, None if body is None else json.dumps(body).encode())
    return json.load(urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10))
print("models:", ask("/api/tags"), flush=True)
if fault == "dies": sys.exit("no such table: memories")
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self): self.say(200, {"version": "1"})
    def do_POST(self):
        text = self.rfile.read(int(self.headers["content-length"])).decode()
        try:
            self.say(200, {"said": ask("/api/generate", {"model": "small", "prompt": text, "stream": False})["response"]})
        except urllib.error.HTTPError as error:
            self.say(500, {"provider": error.code, "error": json.load(error)["error"]})
    def say(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""

FACTS = {
    "lanes": ["daemon", "provider"],
    "options": {"mode": ["reverse:http://127.0.0.1:3860", "reverse:http://127.0.0.1:11435@11434"], "listen_host": "127.0.0.1"},
    "daemon": {"port": 3860},
}


def write_recording(path: Path, calls: Sequence[tuple[str, str, Any, Any]], recipients: tuple[bytes, ...] = ()) -> None:
    """Record calls: lane, target, body (None: GET), answer."""
    with ArchiveWriter.create(path, kind="recording", facts=FACTS, recipients=recipients) as writer:
        event, at = 0, 1_795_000_000.0
        for number, (lane, target, body, answer) in enumerate(calls, 1):
            raw = b"" if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
            method = b"GET" if body is None else b"POST"
            headers = ((b"Host", b"127.0.0.1:3850"), *(((b"content-length", str(len(raw)).encode()),) if raw else ()))
            said = json.dumps(answer).encode()
            head = ((b"content-type", b"application/json"), (b"content-length", str(len(said)).encode()))
            request = Request(method, target.encode(), b"HTTP/1.1", headers)
            writer.append(Opened(number, event + 1, at, Connection(f"{lane}-1"), request, lane=lane))
            outcome = Response(b"HTTP/1.1", 200, b"OK", head, said)
            writer.append(Ended(number, event + 2, at + 0.01, EndReason.COMPLETE, outcome, raw, headers_event=None))
            event, at = event + 2, at + 0.02
        writer.seal(event=event + 1, at=at, reason="done")


CALLS = [
    ("provider", "/api/tags", None, {"models": [{"name": "small"}]}),
    ("daemon", "/ask", "one", {"said": "first"}),
    ("provider", "/api/generate", {"model": "small", "prompt": "one", "stream": False}, {"response": "first"}),
    ("daemon", "/ask", "one", {"said": "second"}),
    ("provider", "/api/generate", {"model": "small", "prompt": "one", "stream": False}, {"response": "second"}),
    ("daemon", "/ask", "unheard", {"said": "lost"}),
    ("provider", "/api/generate", {"model": "small", "prompt": "never", "stream": False}, {"response": "unasked"}),
]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Give a folder with the daemon's program and a state."""
    (tmp_path / "asker.py").write_text(DAEMON)
    (tmp_path / "state" / ".daemon").mkdir(parents=True)
    (tmp_path / "out").mkdir()
    return tmp_path


def describe(place: Path, lane: str, *more: str) -> DaemonSpec:
    """Describe the daemon that asks."""
    command = ("{python}", str(place / "asker.py"), "{port}", lane, *(more or ("-",)))
    return DaemonSpec(name="asker", runtime="js", command=command, visible=(str(place),), ready=Ready(timeout_s=20.0), stop_timeout_s=5.0)


def play(place: Path, spec: DaemonSpec, kind: str, keys: Keyring | None = None, recipients: tuple[str, ...] = ()) -> Any:
    """Replay the recording in a cell; gives the cell's report."""
    recorded = read(place / "rec.parity", keys=keys)
    job = {
        "recorded": str(place / "rec.parity"),
        "observed": str(place / "out" / "obs.parity"),
        "allow": ["all"],
        "keys": narrowed(recorded).as_json(),
        "recipients": list(recipients),
    }
    return run_cell(
        spec,
        state=place / "state",
        recorded_workspace=None,
        player=[sys.executable, "-m", "replay.play", "-"],
        player_input=json.dumps(job).encode(),
        scratch=place / "scratch",
        kind=kind,  # type: ignore[arg-type]  # one of its names
        recorded_port=3860,
        visible=[place / "rec.parity"],
        writable=[place / "out"],
        lanes=served_lanes(recorded),
    )


def observe(place: Path, keys: Keyring | None = None) -> tuple[Archive, list[tuple[str, str]]]:
    """Read what was observed: the archive, and stage and tier of each call."""
    observed = read(place / "out" / "obs.parity", keys=keys)
    calls = [record for record in observed.records() if isinstance(record, ProviderCall)]
    return observed, [(call.stage, json.loads(call.match)["tier"]) for call in calls]


def expect_all(place: Path, keys: Keyring | None = None) -> None:
    """Expect the recorded answers in their order, a miss, and the counts of all."""
    observed, tiers = observe(place, keys)
    bodies = [json.loads(exchange.outcome.body or b"") for exchange in observed.exchanges() if isinstance(exchange.outcome, Response)]
    assert [body.get("said") for body in bodies] == ["first", "second", None]
    assert bodies[2]["provider"] == 503
    assert tiers == [("models", "exact"), ("other", "exact"), ("other", "exact"), ("other", "miss")]
    counts = observed.facts["counts"]
    assert (counts["provider/provider/other/exact"], counts["provider/provider/other/miss"]) == (2, 1)
    assert (counts["provider/provider/other/recorded"], counts["provider/provider/other/unasked"]) == (3, 1)


@pytest.fixture
def namespaces() -> None:
    """Skip where the host permits no namespaces, saying why."""
    why_not = probe_namespaces()
    if why_not is not None:
        pytest.skip(f"no namespace cells on this host: {why_not}")


@pytest.mark.usefixtures("namespaces")
@pytest.mark.parametrize("port", [11434, 11435])
def test_a_namespace_cell_serves_at_the_recorded_address(place: Path, port: int) -> None:
    """The daemon asks where it always did, while it starts too; whether that is the recorder's address or the provider's own."""
    write_recording(place / "rec.parity", CALLS)
    companion = Companion((sys.executable, "-c", "raise SystemExit(1)"), ready_port=11434)
    report = play(place, replace(describe(place, f"http://127.0.0.1:{port}"), companions=(companion,)), "namespace")
    assert report.player_exit == 0
    assert any("not started" in note for note in report.notes)
    expect_all(place)


def test_a_mapped_cell_serves_at_a_free_port(place: Path) -> None:
    """Where the recorded port is the host's, a description tells the daemon by a placeholder."""
    write_recording(place / "rec.parity", CALLS)
    report = play(place, describe(place, "{lane:provider|http://127.0.0.1:9}"), "mapped")
    assert report.player_exit == 0
    expect_all(place)


def test_a_mapped_cell_says_where_it_is_not_asked(place: Path) -> None:
    """A daemon that is not told asks the host, and the notes say so; its companion is started as ever."""
    write_recording(place / "rec.parity", CALLS)
    with pytest.raises(DaemonError, match="ended"):
        play(place, describe(place, "http://127.0.0.1:9"), "mapped")
    told = json.loads(next((place / "scratch").glob("*/orders.json")).read_text())
    assert any("is not told so" in note and "{lane:provider|http://127.0.0.1:11434}" in note for note in told["notes"])


def test_an_encrypted_recording_leaves_nothing_in_clear(place: Path) -> None:
    """What was asked and answered lies encrypted in the observed archive, and nowhere else."""
    key: Key = make_key()
    ring = Keyring.of([key])
    write_recording(place / "rec.parity", CALLS, recipients=(key.public,))
    report = play(place, describe(place, "{lane:provider}"), "mapped", keys=ring, recipients=(key.public.hex(),))
    assert report.player_exit == 0
    expect_all(place, ring)
    for path in (place / "scratch").rglob("*"):
        if path.is_file() and path.name != "daemon.log":
            assert b"second" not in path.read_bytes(), path
    assert all(b"unasked" not in path.read_bytes() or path.name == "manifest.json" for path in (place / "out").rglob("*") if path.is_file())


def test_a_daemon_that_dies_at_the_start_takes_the_player_along(place: Path) -> None:
    """The error is the daemon's, with its log; nothing was observed."""
    write_recording(place / "rec.parity", CALLS)
    with pytest.raises(DaemonError, match="no such table") as caught:
        play(place, describe(place, "{lane:provider}", "dies"), "mapped")
    assert "models:" in str(caught.value)
    assert not (place / "out" / "obs.parity").exists()


def test_a_recording_that_can_t_be_read_starts_no_daemon(place: Path) -> None:
    """The player reads it first, and the cell says that it ended."""
    write_recording(place / "rec.parity", CALLS)
    lanes = served_lanes(read(place / "rec.parity"))
    job = json.dumps({"recorded": str(place / "gone.parity"), "observed": str(place / "out" / "obs.parity")}).encode()
    with pytest.raises(DaemonError, match="before it served the recorded lanes"):
        run_cell(
            describe(place, "{lane:provider}"),
            state=place / "state",
            recorded_workspace=None,
            player=[sys.executable, "-m", "replay.play", "-"],
            player_input=job,
            scratch=place / "scratch",
            kind="mapped",
            lanes=lanes,
        )
    assert not list((place / "scratch").glob("*/daemon.log"))


def test_lanes_are_found_by_their_modes() -> None:
    """Each lane has the recorder's address and the provider's own; none is the daemon's, two never share one, and none is beyond loopback."""
    modes = [
        "reverse:http://127.0.0.1:3860",
        "reverse:http://127.0.0.1:11434@11435",
        "reverse:http://localhost:11434 at 127.0.0.1:11436",
        "reverse:https://models.example@11437",
        "reverse:https://models.example",
    ]
    facts = {"lanes": ["daemon", "provider", "embedder", "far", "nowhere"], "options": {"mode": modes, "listen_host": ""}}
    found = {lane.name: [address.port for address in lane.addresses] for lane in find_lanes(facts)}
    assert found == {"provider": [11435, 11434], "embedder": [11436], "far": [11437]}
    assert find_lanes({}) == ()
    assert find_lanes({"lanes": ["a", "b"], "options": {"mode": ["reverse:http://127.0.0.1:1"]}}) == ()


def test_a_lane_on_which_nothing_was_asked_is_not_served(place: Path) -> None:
    """Of a silent lane nothing is known, so whoever stood there before stands there again."""
    write_recording(place / "rec.parity", [call for call in CALLS if call[0] == "daemon"])
    assert served_lanes(read(place / "rec.parity")) == ()
