"""`record`: the command that it becomes, and a real recording through it."""

import http.client
import http.server
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from replay.archive import Keyring, make_key, read, save_key

COMMAND = str(Path(sys.executable).parent / "signet-parity")
PATIENCE_S = 20.0


def free_port() -> int:
    """Give a port that nobody has."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def becomes(signet_parity: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, str]]:
    """Give a function that runs `record` with more words and gives the settings of the mitmdump that it would become."""
    seen: list[list[str]] = []

    def take_over(_: str, command: list[str]) -> None:
        seen.append(command)
        raise SystemExit(0)

    monkeypatch.setattr(os, "execv", take_over)

    def run(*words: object) -> dict[str, str]:
        assert signet_parity("record", "--upstream", "http://127.0.0.1:3850", "--listen", free_port(), *words).code == 0
        command = seen.pop()
        sets = [command[place + 1] for place, word in enumerate(command) if word == "--set"]
        modes = [command[place + 1] for place, word in enumerate(command) if word == "--mode"]
        return {**dict(text.split("=", 1) for text in sets), "modes": " ".join(modes), "all": shlex.join(command)}

    return run


def test_by_itself(becomes: Callable[..., dict[str, str]]) -> None:
    """Nobody looks on: a line a minute, nothing for each exchange or connection, and all else as the recorder does by itself."""
    settings = becomes()
    named = {name: text for name, text in settings.items() if name not in {"modes", "all"}}
    assert named == {"flow_detail": "0", "termlog_verbosity": "alert", "parity_status_seconds": "60", "parity_on_error": "gap"}
    assert settings["modes"] == "reverse:http://127.0.0.1:3850"
    assert "--listen-host 127.0.0.1" in settings["all"]


def test_on_a_terminal(becomes: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where somebody looks on, a line comes every few seconds; whoever wants another pace, or none, says so."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert becomes()["parity_status_seconds"] == "5"
    assert becomes("--status-seconds", 0)["parity_status_seconds"] == "0"


def test_every_option_is_passed_on(becomes: Callable[..., dict[str, str]], tmp_path: Path) -> None:
    """Each option becomes the recorder's own."""
    words = "--snapshots start,seal --snapshot-seconds 9 --no-watch --no-redact --segment-mb 8 --segment-minutes 7 --keep-days 6 --keep-mb 5"
    more = "--sample 0.5 --sample-by session --stream-kb 4 --queue-mb 3 --degrade bodies@10 --no-fresh-connections --status-seconds 2"
    paths = ("--output", "o.parity", "--workspace", "ws", "--attach", "a", "--attach", "b", "--recipient", "k.pub", "--redact-rules", "r.toml")
    settings = becomes(*words.split(), *more.split(), "--on-error", "stop", "--stream-requests", *paths)
    expected = {
        "snapshots": "start,seal", "snapshot_seconds": "9", "watch": "false", "redact": "false", "segment_mb": "8", "segment_minutes": "7",
        "keep_days": "6", "keep_mb": "5", "sample": "0.5", "sample_by": "session", "stream_kb": "4", "queue_mb": "3", "degrade": "bodies@10",
        "fresh_connections": "false", "status_seconds": "2", "on_error": "stop", "output": "o.parity", "workspace": "ws", "attach": "a,b",
        "recipients": "k.pub", "redact_rules": "r.toml", "stream_requests": "true",
    }  # fmt: skip
    assert {name.removeprefix("parity_"): text for name, text in settings.items() if name.startswith("parity_")} == expected


def test_every_option_of_the_recorder_is_there(becomes: Callable[..., dict[str, str]], tmp_path: Path) -> None:
    """What the recorder has and `record` has not is what only its own command line may ask for."""
    from replay.capture.options import OPTIONS

    port = free_port()
    words = "--snapshots= --snapshot-seconds 9 --no-watch --no-redact --segment-mb 8 --segment-minutes 7 --keep-days 6 --keep-mb 5 --sample 1"
    more = "--sample-by session --stream-kb 4 --queue-mb 3 --degrade bodies@10 --no-fresh-connections --output o --workspace w --attach a"
    last = ("--stream-requests", "--recipient", "k", "--redact-rules", "r", "--upstream", f"provider=https://127.0.0.1:1@{port}")
    settings = becomes(*words.split(), *more.split(), *last)
    assert {name for name, *_ in OPTIONS} - settings.keys() == {"parity_listen_anywhere"}
    assert settings["parity_lanes"] == "provider"
    assert settings["modes"] == f"reverse:http://127.0.0.1:3850 reverse:https://127.0.0.1:1@{port}"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--upstream", "provider"), "NAME=URL@PORT"),
        (("--upstream", "http://127.0.0.1:1"), "NAME=URL@PORT"),
        (("--upstream", "provider=ftp://127.0.0.1:1@{free}"), "must be an origin"),
        (("--upstream", "provider=http://user@127.0.0.1:1@{free}"), "must be an origin"),
        (("--upstream", "provider=http://127.0.0.1:1@0"), "is no port"),
        (("--upstream", "daemon=http://127.0.0.1:1@{free}"), "a name and a port of its own"),
        (("--upstream", "a=http://127.0.0.1:1@{free}", "--upstream", "b=http://127.0.0.1:2@{free}"), "a name and a port of its own"),
        (("--attach", "one,two"), "by commas"),
        (("--recipient", "one,two"), "by commas"),
        (("--sample", "2"), "--sample"),
        (("--on-error", "panic"), "--on-error"),
    ],
)
def test_what_can_not_be_recorded_is_refused(words: tuple[str, ...], says: str, signet_parity: Any) -> None:
    """A lane that is none, two of one name or port, and values that the recorder would misread are told before mitmdump starts."""
    free = free_port()
    filled = [word.format(free=free) for word in words]
    outcome = signet_parity("record", "--upstream", "http://127.0.0.1:3850", "--listen", free_port(), *filled)
    assert outcome.code == 2
    assert says in outcome.err


class _Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer every path the same."""
        body = b'{"said": "only for the recipients"}'
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""


@pytest.fixture
def upstream() -> Iterator[str]:
    """Give the URL of a server that answers everything the same."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_recording_of_two_lanes(upstream: str, tmp_path: Path, signet_parity: Any) -> None:
    """Encrypted, of two lanes: it says how it goes and nothing of single exchanges, `inspect` needs no key while it goes on, SIGTERM seals."""
    key = make_key()
    save_key(key, tmp_path / "k.pub", private=False)
    save_key(key, tmp_path / "k.key", private=True)
    port, other = free_port(), free_port()
    archive, log = tmp_path / "a.parity", tmp_path / "log"
    words = ["--upstream", upstream, "--listen", port, "--upstream", f"provider={upstream}@{other}", "--output", archive]
    words += ["--recipient", tmp_path / "k.pub", "--status-seconds", 1]
    environment = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path / "config")}
    with log.open("wb") as output:
        process = subprocess.Popen([COMMAND, "record", *map(str, words)], stdout=output, stderr=subprocess.STDOUT, env=environment)
    try:
        for each, path in ((port, "/api/one"), (other, "/v1/two"), (port, "/api/three")):
            wait(lambda each=each: listens(each), log)  # type: ignore[misc]  # mypy infers no default
            connection = http.client.HTTPConnection("127.0.0.1", each, timeout=PATIENCE_S)
            connection.request("GET", path)
            assert connection.getresponse().read() == b'{"said": "only for the recipients"}'
            connection.close()
        wait(lambda: (archive / "status.json").exists() and "recording: 3 exchanges" in log.read_text(), log)
        shown = signet_parity("inspect", archive, "--json")
        assert shown.code == 0
        assert json.loads(shown.out)["status"]["state"] == "recording"
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(PATIENCE_S)
    said = log.read_text()
    assert code == 0, said
    assert "parity: recording to" in said
    assert "sealed" in said
    assert "/api/one" not in said
    assert "client connect" not in said

    assert signet_parity("inspect", archive).code == 2
    found = json.loads(signet_parity("inspect", archive, "--keys", tmp_path / "k.key", "--json").out)
    assert found["lanes"] == {"daemon": 2, "provider": 1}
    assert found["own"]["hook_calls"] > 0
    assert signet_parity("verify", archive, "--keys", tmp_path / "k.key").code == 0
    dry = signet_parity("replay", archive, "--observed", tmp_path / "o", "--daemon", "demo-js", "--dry-run", "--keys", tmp_path / "k.key")
    assert "1 of lane provider: never sent" in dry.out
    assert {item.lane for item in read(archive, keys=Keyring.of([key])).exchanges()} == {"daemon", "provider"}


def listens(port: int) -> bool:
    """Whether somebody listens on a port of this host."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait(holds: Callable[[], bool], log: Path) -> None:
    """Wait until something holds; the log says why where it never does."""
    pause = threading.Event()
    for _ in range(int(PATIENCE_S / 0.05)):
        if holds():
            return
        pause.wait(0.05)
    raise AssertionError(log.read_text())
