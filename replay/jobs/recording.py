"""
The recorder's command line, spelled out.

`record` becomes mitmdump: signals, exit codes and what a service manager sees are mitmdump's own, and no process of ours stands between.
Its lines for each connection and each exchange are switched off, since they cost more than recording does; what is left is what an operator
looks for: where it records to, now and then how it goes, and everything that went wrong.
"""

import re
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

from replay.model import UsageError

STATUS_S: Final = 5
"""How often a line says how it goes, where somebody looks on."""
STATUS_UNSEEN_S: Final = 60
"""The same, where it goes to a log."""

_LANE: Final = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)=(?P<url>.+)@(?P<port>[0-9]+)")


@dataclass(frozen=True, slots=True)
class Recording:
    """What is to be recorded, and how; the command line's options. None and empty: as the recorder does by itself."""

    upstreams: tuple[str, ...]
    """The daemon's URL first; each further one as NAME=URL@PORT is a lane of its own, with a port of its own."""
    listen: int
    """The port on 127.0.0.1 for the daemon's clients."""
    output: Path | None = None
    workspace: Path | None = None
    recipients: tuple[Path, ...] = ()
    """Public key files."""
    attach: tuple[Path, ...] = ()
    """Folders from which files that requests name are recorded."""
    rules: Path | None = None
    """Own redaction rules."""
    options: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)
    """The rest, by the recorder's names without `parity_`, such as `segment_mb`."""


def mitmdump_command(recording: Recording) -> list[str]:
    """
    Give the mitmdump command that records.

    Raises:
        UsageError: an upstream is no plain http origin, two lanes share a name or a port, a port is taken, or a path can't be passed on.

    """
    if not recording.upstreams:
        raise UsageError("--upstream: name the daemon, such as http://127.0.0.1:3850")
    daemon, *others = recording.upstreams
    lanes = [_lane(text) for text in others]
    ports = [recording.listen, *(port for _, _, port in lanes)]
    names = ["daemon", *(name for name, _, _ in lanes)]
    for what, told in (("names", names), ("ports", ports)):
        if len(set(told)) < len(told):
            raise UsageError(f"--upstream: each lane has a name and a port of its own (the first is `daemon`), not the {what} {told}")
    for port in ports:
        _expect_free(port)
    # Nothing imports addons: only the place of its script is asked for.
    script = Path(str(files("addons"))) / "record.py"
    command = [str(Path(sys.executable).parent / "mitmdump"), "--mode", f"reverse:{_origin(daemon, ('http',))}"]
    for _, origin, port in lanes:
        command += ["--mode", f"reverse:{origin}@{port}"]
    command += ["--listen-host", "127.0.0.1", "-p", str(recording.listen), "-s", str(script)]
    # one line for each exchange, and four for each connection, would cost more than recording them
    settings = {"flow_detail": "0", "termlog_verbosity": "alert", **{f"parity_{name}": text for name, text in _settings(recording, names)}}
    return [*command, *(word for name, text in settings.items() for word in ("--set", f"{name}={text}"))]


def _settings(recording: Recording, names: list[str]) -> list[tuple[str, str]]:
    given: dict[str, str | None] = {
        "output": _path(recording.output),
        "workspace": _path(recording.workspace),
        "recipients": _paths("--recipient", recording.recipients),
        "attach": _paths("--attach", recording.attach),
        "redact_rules": _path(recording.rules),
        "lanes": ",".join(names[1:]) or None,
    }
    for name, value in recording.options.items():
        given[name] = str(value).lower() if isinstance(value, bool) else None if value is None else str(value)
    return [(name, text) for name, text in given.items() if text is not None]


def _path(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _paths(option: str, paths: tuple[Path, ...]) -> str | None:
    for path in paths:
        if "," in str(path):
            raise UsageError(f"{option} {path}: the recorder takes paths by commas, so none may hold one")
    return ",".join(map(str, paths)) or None


def _lane(text: str) -> tuple[str, str, int]:
    found = _LANE.fullmatch(text)
    if found is None:
        raise UsageError(f"--upstream {text}: a further one is NAME=URL@PORT, such as provider=http://127.0.0.1:11434@11435")
    # what the daemon asks may lie elsewhere and speak TLS; it is asked in plain HTTP on our port
    return found["name"], _origin(found["url"], ("http", "https")), int(found["port"])


def _origin(text: str, schemes: tuple[str, ...]) -> str:
    problem = f"{text}: the upstream must be an origin such as http://127.0.0.1:3850"
    try:
        parts: SplitResult = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        raise UsageError(f"{problem} ({error})") from error
    if parts.scheme not in schemes or not parts.hostname or parts.path not in {"", "/"} or parts.query or parts.username is not None:
        raise UsageError(problem)
    return f"{parts.scheme}://{parts.netloc}"


def _expect_free(port: int) -> None:
    if not 0 < port < 65536:
        raise UsageError(f"--listen {port}: is no port; name one from 1 to 65535")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise UsageError(f"--listen {port}: 127.0.0.1:{port} can't be listened on ({error.strerror}); name another port") from error


__all__ = ["STATUS_S", "STATUS_UNSEEN_S", "Recording", "mitmdump_command"]
