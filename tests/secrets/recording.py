"""One recording of all planted values, through a real mitmdump."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.secrets.state import edit, make
from tests.secrets.steps import steps
from tests.secrets.texts import Secrets, Text, escaped, piece, render
from tests.secrets.wire import Sent, Server, exchange

SCRIPT: Final = Path(__file__).parents[2] / "addons" / "record.py"
TRANSCRIPT: Final[Text] = (
    b'{"role":"user","text":"',
    *escaped(b'{"secret":"<<transcript>>"}', 1),
    b'"}\n{"key":"',
    piece(b"<<api key>>"),
    b'"}\n',
)
"""A file that a request names."""
_DEADLINE_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recording and the truth about it."""

    path: Path
    secrets: Secrets
    sent: tuple[Sent, ...]
    said: str
    """What mitmdump printed."""
    workspace: Path


def record(folder: Path, name: str, secrets: Secrets, *, redact: bool = True) -> Recorded:
    """Record everything in *folder*, which keeps the redaction key from one recording to the next."""
    workspace, files = folder / f"{name}-workspace", folder / f"{name}-files"
    files.mkdir(parents=True)
    transcript = files / "transcript.jsonl"
    transcript.write_bytes(render(TRANSCRIPT, secrets))
    archive = folder / f"{name}.parity"
    server = Server()
    options = {
        "output": str(archive),
        "workspace": str(workspace),
        "attach": str(files),
        "snapshots": "start,seal",
        "redact": str(redact).lower(),
        "stream_kb": "1",
        "stream_requests": "true",
        "on_error": "stop",
    }
    with closing(make(workspace, secrets)), closing(server), mitmdump(folder, server.port, options) as (port, said):
        await_true((archive / "snapshot-000001.tar.zst").exists)
        sent = tuple(exchange(server, port, step, secrets) for step in steps(transcript))
        _refused(port, secrets)
        edit(workspace, secrets)
    return Recorded(archive, secrets, sent, "".join(said), workspace)


def _refused(port: int, secrets: Secrets) -> None:
    """Send what mitmproxy refuses before anybody sees it."""
    with socket.create_connection(("127.0.0.1", port), timeout=_DEADLINE_S) as connection:
        connection.sendall(b"GET /api/x?token=" + secrets["refused"].value + b" and more HTTP/1.1\r\n\r\n")
        while connection.recv(65536):
            continue


@contextmanager
def mitmdump(folder: Path, upstream: int, options: dict[str, str]) -> Iterator[tuple[int, list[str]]]:
    """Have the recorder running; gives its port, and what it says (which grows). It seals the recording when the block ends."""
    command = [str(Path(sys.executable).with_name("mitmdump")), "-s", str(SCRIPT), "--set", f"confdir={folder / 'mitmproxy'}"]
    command += ["--mode", f"reverse:http://127.0.0.1:{upstream}", "--listen-host", "127.0.0.1", "-p", "0"]
    for option, value in options.items():
        command += ["--set", f"parity_{option}={value}"]
    environment = {**os.environ, "XDG_CONFIG_HOME": str(folder / "config"), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said: list[str] = []
    output = process.stdout
    assert output is not None

    def listen() -> None:
        said.extend(line.decode("utf-8", "replace") for line in output)

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        found = await_true(lambda: re.search(r"listening at 127\.0\.0\.1:(\d+)", "".join(said)) or (process.poll() is not None and said))
        assert isinstance(found, re.Match), said
        yield int(found[1]), said
        process.send_signal(signal.SIGTERM)
        assert process.wait(_DEADLINE_S) == 0, said
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        listener.join(_DEADLINE_S)
        output.close()


def await_true[T](probe: Callable[[], T]) -> T:
    """Wait until *probe* gives a true value, and give that."""
    pause = threading.Event()
    deadline = time.monotonic() + _DEADLINE_S
    while not (value := probe()):
        assert time.monotonic() < deadline, "it did not happen in time"
        pause.wait(0.05)
    return value


def free_port() -> int:
    """Give a port that nobody listens on now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
