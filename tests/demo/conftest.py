"""Daemons of the demo in processes of their own, and what its client gets from them."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from replay.demo import make_workspace
from replay.demo.application import find_route
from replay.demo.client import Answer, Client, Stream
from replay.demo.story import tell


@dataclass(frozen=True)
class Seen:
    """One exchange, as the client saw it."""

    method: str
    target: str
    answer: Answer
    duration_s: float

    @property
    def route(self) -> str:
        """`GET /api/memory/:id`, or the path itself where no route fits."""
        path = self.target.partition("?")[0]
        found = find_route(self.method, path)
        return found[0].name if found else f"{self.method} {path}"

    @property
    def value(self) -> Any:
        """The JSON body; None where it is none."""
        try:
            return json.loads(self.answer.body)
        except ValueError:
            return None


@dataclass(frozen=True)
class Transcript:
    """What the client saw, and what the daemon left behind."""

    seen: list[Seen]
    workspace: Path
    exit_code: int
    said: str
    events: list[bytes] = field(default_factory=list)
    """Of the log's stream."""

    def at(self, route: str) -> list[Seen]:
        """Give the exchanges of a route."""
        return [seen for seen in self.seen if seen.route == route]

    def values(self, route: str, status: int = 200) -> list[Any]:
        """Give the JSON answers of a route that have *status*."""
        return [seen.value for seen in self.at(route) if seen.answer.status == status]

    def statuses(self, route: str) -> list[int]:
        """Give the statuses of a route's answers."""
        return [seen.answer.status for seen in self.at(route)]


class TracingClient(Client):
    """A client that remembers."""

    def __init__(self, base: str, workspace: Path) -> None:
        super().__init__(base, workspace)
        self.seen: list[Seen] = []
        self.events: list[bytes] = []

    def ask(self, method: str, target: str, body: Any = None, *, token: str | None = None, headers: Mapping[str, str] | None = None) -> Answer:
        """Ask, and remember the answer."""
        began_s = time.perf_counter()
        answer = super().ask(method, target, body, token=token, headers=headers)
        self.seen.append(Seen(method, target, answer, time.perf_counter() - began_s))
        return answer

    def listen(self, target: str) -> Stream:
        """Listen, and remember the events."""
        stream = super().listen(target)
        self.seen.append(Seen("GET", target, Answer(200, b""), 0.0))
        read = stream.read

        def remember(count: int) -> list[bytes]:
            events = read(count)
            self.events.extend(events)
            return events

        stream.read = remember  # type: ignore[method-assign]
        return stream


@contextmanager
def running(workspace: Path, runtime: str = "js", *faults: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run a daemon: its address and its process."""
    command = [sys.executable, "-m", "replay.demo.daemon", "--runtime", runtime, "--port", "0", "--workspace", str(workspace)]
    for fault in faults:
        command += ["--fault", fault]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("listening on "), line + process.stdout.read()
        try:
            yield f"http://{line.split()[-1]}", process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(timeout=10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    raise


def run_story(workspace: Path, runtime: str, *faults: str) -> Transcript:
    """Tell the story to a new daemon."""
    make_workspace(workspace, 1)
    with running(workspace, runtime, *faults) as (base, process):
        with TracingClient(base, workspace) as client:
            tell(client, "admin", "demo-only-password")
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=10)
    return Transcript(client.seen, workspace, process.returncode, said, client.events)


@pytest.fixture(scope="session")
def daemon() -> Callable[..., Any]:
    """Give `running`."""
    return running


@pytest.fixture(scope="session")
def story() -> Callable[..., Transcript]:
    """Give `run_story`."""
    return run_story


@pytest.fixture(scope="session")
def js(tmp_path_factory: pytest.TempPathFactory) -> Transcript:
    """Give the story as the `js` runtime answers it."""
    return run_story(tmp_path_factory.mktemp("js") / "workspace", "js")


@pytest.fixture(scope="session")
def rust(tmp_path_factory: pytest.TempPathFactory) -> Transcript:
    """Give the story as the `rust` runtime answers it."""
    return run_story(tmp_path_factory.mktemp("rust") / "workspace", "rust")
