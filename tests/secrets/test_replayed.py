"""A recording whose secrets were replaced is replayed from its own redacted snapshot, as it was recorded."""

import http.client
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from replay.archive import Archive, read
from replay.daemon import load_daemon, running
from replay.demo import make_workspace
from replay.demo.daemon import DEFAULT_PASSWORD
from replay.jobs.replaying import Replayed, replay_archive
from replay.jobs.tour import WRONG_PASSWORD, demo_order, record_demo
from replay.model import Response
from replay.workspace import secrets as store
from tests.secrets.recording import await_true, free_port, mitmdump
from tests.secrets.searching import find, haystack, unpack
from tests.secrets.texts import Secrets, render, text
from tests.secrets.values import draw

SEED = 20_261_124
USED = ("openai", "anthropic", "stored", "secret value", "api key", "git password", "edited", "env file")

OLD_KEY = 1
"""The exchange that uses a key from before."""


@dataclass(frozen=True, slots=True)
class Demo:
    """The demo daemon, recorded and replayed."""

    folder: Path
    secrets: Secrets
    recorded: Archive
    observed: Archive
    replayed: Replayed
    made: tuple[str, ...]
    """What the daemon made itself and gave out: tokens, keys."""


class Asking:
    """Asks a daemon, and remembers the secrets that it gives out."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.made: list[str] = []

    def ask(self, method: str, target: str, body: object = None, *, token: str = "", expected: int = 200) -> Any:
        """Ask, on a connection of its own; gives the JSON that comes back."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        try:
            headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
            connection.request(method, target, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            content = response.read()
            assert response.status == expected, (method, target, response.status, content)
            return json.loads(content)
        finally:
            connection.close()

    def log_in(self) -> str:
        """Give a token for the administrator."""
        token = str(self.ask("POST", "/api/auth/login", {"username": "admin", "password": DEFAULT_PASSWORD})["token"])
        self.made.append(token.rpartition(".")[2])
        return token

    def make_key(self, token: str, name: str) -> str:
        """Give an API key."""
        key = str(self.ask("POST", "/api/auth/api-keys", {"name": name, "role": "admin"}, token=token, expected=201)["apiKey"]["key"])
        self.made.append(key[-43:])
        return key


def before(asking: Asking, secrets: Secrets) -> str:
    """Fill the state with secrets, past the recorder; gives a key that the recorded client will use."""
    token = asking.log_in()
    told = {name: secrets[name].value.decode() for name in USED}
    asking.ask("POST", "/api/memory/remember", {"content": f"The tide table's key is {told['openai']} since May."}, token=token)
    asking.ask("POST", "/api/secrets/STORED", {"value": told["stored"]}, token=token)
    return asking.make_key(token, "of the client")


def told_by_client(asking: Asking, key: str, secrets: Secrets) -> None:
    """Say what a client says while it is recorded, secrets and all."""
    told = {name: secrets[name].value.decode() for name in USED}
    asking.ask("GET", "/api/status", token=key)
    asking.ask("POST", "/api/auth/login", {"username": "admin", "password": WRONG_PASSWORD}, expected=401)
    token = asking.log_in()
    asking.ask("GET", "/api/auth/whoami", token=token)
    files = asking.ask("GET", "/api/config", token=token)["files"]
    assert told["openai"] in json.dumps(files)
    found = asking.ask("POST", "/api/memory/recall", {"query": "tide table"}, token=token)["results"]
    assert told["openai"] in json.dumps(found)
    asking.ask("POST", "/api/memory/remember", {"content": f"The tide table's key is {told['openai']} since May."}, token=token)
    asking.ask("POST", "/api/memory/remember", {"content": f"export API_KEY={told['anthropic']} in May."}, token=token)
    asking.ask("POST", "/api/secrets/STORED", {"value": told["secret value"]}, token=token)
    asking.ask("POST", "/api/secrets/AGAIN", {"value": told["stored"]}, token=token)
    asking.ask("GET", "/api/secrets", token=token)
    yaml = next(file["content"] for file in files if file["name"] == "agent.yaml")
    asking.ask("POST", "/api/config", {"file": "agent.yaml", "content": yaml + f"# secretKey: {told['edited']}\n"}, token=token)
    assert told["edited"] in json.dumps(asking.ask("GET", "/api/config", token=token))
    asking.ask("GET", "/api/diagnostics/database/tables/api_keys/sample", token=token, expected=403)
    assert told["openai"] in json.dumps(asking.ask("GET", "/api/diagnostics/database/tables/memories/sample?limit=50", token=token))
    asking.ask("GET", "/api/git/status", token=token)
    new = asking.make_key(token, "of another client")
    asking.ask("GET", "/api/memories?limit=2", token=new)
    asking.ask("GET", "/api/memories?limit=2", token=told["api key"], expected=401)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """Record the demo daemon with secrets in its state and its traffic; replay that on the same daemon."""
    folder = tmp_path_factory.mktemp("demo")
    secrets = draw(SEED)
    workspace = folder / "workspace"
    make_workspace(workspace, SEED)
    agent = workspace / "agent.yaml"
    agent.write_bytes(agent.read_bytes() + render(text(b"llm:\n  apiKey: <<openai>>\n"), secrets))
    (workspace / ".env").write_bytes(render(text(b"ANY_TOKEN=<<env file>>\n"), secrets))
    remote = f"https://me:{secrets['git password'].value.decode()}@git.example/r.git"
    subprocess.run(["git", "remote", "add", "backup", remote], cwd=workspace, check=True)
    archive = folder / "recording.parity"
    options = {"output": str(archive), "workspace": str(workspace), "on_error": "stop"}
    with running(load_daemon("demo-js"), workspace=workspace, port=free_port()) as daemon:
        direct = Asking(int(daemon.url.rpartition(":")[2]))
        key = before(direct, secrets)
        with mitmdump(folder, int(daemon.url.rpartition(":")[2]), options) as (port, _):
            await_true((archive / "snapshot-000001.tar.zst").exists)
            through = Asking(port)
            told_by_client(through, key, secrets)
            base = f"http://127.0.0.1:{port}"
            client = [sys.executable, "-m", "replay.demo.client", "--base", base, "--workspace", str(workspace)]
            subprocess.run(client, check=True, capture_output=True, env={**os.environ, "NO_PROXY": "*"})
    replayed = replay_archive(demo_order(folder, "observed", "js", ()), lambda _what, _done, _of: None)
    assert replayed.exit_code == 0, replayed.text
    return Demo(folder, secrets, read(archive), read(folder / "observed.parity"), replayed, (*direct.made, *through.made))


def statuses_of(archive: Archive) -> dict[int, int]:
    """Give exchange → status."""
    return {item.id: item.outcome.status for item in archive.exchanges() if isinstance(item.outcome, Response)}


@pytest.mark.slow
def test_a_redacted_recording_replays_as_it_was(demo: Demo) -> None:
    """Every recorded exchange is sent again and answered with the recorded status, from the redacted snapshot: logins, tokens, new keys."""
    expected, seen = statuses_of(demo.recorded), statuses_of(demo.observed)
    assert len(expected) > 100
    assert [gap for gap in demo.observed.gaps() if gap.exchange is not None] == [], demo.replayed.text
    unlike = {number: (status, seen.get(number)) for number, status in expected.items() if seen.get(number) != status}
    assert unlike == {}


@pytest.mark.slow
def test_an_api_key_of_the_state_opens_again(demo: Demo) -> None:
    """A key that was made before the recording began is taken by the replayed daemon as by the recorded one."""
    assert (statuses_of(demo.recorded)[OLD_KEY], statuses_of(demo.observed)[OLD_KEY]) == (200, 200)


@pytest.mark.slow
def test_a_secret_reads_back_as_its_placeholder(demo: Demo) -> None:
    """What the replayed daemon gives out from its state, and from what it was sent, is what the recording holds."""
    bodies = [
        {
            item.id: item.outcome.body
            for item in archive.exchanges()
            if isinstance(item.outcome, Response) and item.request.target == b"/api/config"
        }
        for archive in (demo.recorded, demo.observed)
    ]
    assert len(bodies[0]) >= 3
    assert any(b"apiKey: sk-proj-REDACTED" in (body or b"") for body in bodies[0].values())
    assert {number for number, body in bodies[0].items() if body != bodies[1].get(number)} == set()


@pytest.mark.slow
def test_nothing_of_it_is_in_either_archive(demo: Demo) -> None:
    """None of the secrets of state and traffic, nor what the daemon made itself, is in the recording or in what was observed."""
    parts = [part for name in USED if name != "api key" for part in demo.secrets[name].hidden] + [word.encode() for word in demo.made]
    for archive in (demo.recorded, demo.observed):
        assert find(haystack(unpack(archive.path)), parts) == set()
    assert len(demo.made) == 4


@pytest.mark.slow
def test_the_snapshot_s_store_opens_in_the_cell(demo: Demo, tmp_path: Path) -> None:
    """The store of secrets of the snapshot opens with the throw-away machine id, and equal values of store and traffic are equal still."""
    snapshot = demo.recorded.snapshots()[0]
    root = demo.recorded.extract_snapshot(1, tmp_path).root
    (path,) = root.rglob("secrets.enc")
    sealed = store.read(path).secrets["STORED"]
    opened = store.decrypt(store.derive_key(snapshot.machine_id), sealed.ciphertext)
    sent = [item.request.body for item in demo.recorded.exchanges() if item.request.target == b"/api/secrets/AGAIN"]
    assert sent == [json.dumps({"value": opened}).encode()]


@pytest.mark.slow
def test_the_tour_replays_from_its_own_snapshot(tmp_path: Path) -> None:
    """The tour's recording holds a redacted snapshot with a store that opens, and replays from it without a gap."""
    record_demo(tmp_path, tmp_path / "recording.parity")
    snapshot = read(tmp_path / "recording.parity").snapshots()[0]
    assert snapshot.replaced["auth-secret"] == 1
    order = demo_order(tmp_path, "observed", "js", ())
    assert order.state is None
    replayed = replay_archive(order, lambda _what, _done, _of: None)
    assert replayed.exit_code == 0, replayed.text
    assert " 0 gaps" in replayed.text.splitlines()[0], replayed.text
    total = replayed.text.splitlines()[1]
    assert total.split(" of ")[0] == total.split(" of ")[1].split()[0], replayed.text
