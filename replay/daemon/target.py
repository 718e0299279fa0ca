"""
A daemon that somebody else started (`--target URL`): what must be true before a replay may talk to it.

Loopback only, plain HTTP, the name resolved once. Reads only, unless writes are asked for; then the daemon must prove that it is not
production: it tells its workspace, that is not the recorded one, and a marker that the user made lies in it.
"""

import socket
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from replay.daemon.asking import Reply, ask
from replay.model import DaemonError, UsageError

MARKER: Final = ".parity-replay-target"
_TELLING: Final = ("/health", "/api/status")
_NAMES: Final = ("agentsDir", "agents_dir")


@dataclass(frozen=True, slots=True)
class Target:
    """A daemon that may be talked to."""

    host: str
    """An address, never a name: what it was resolved to when it was checked."""
    port: int
    writes: bool
    workspace: str | None
    """What it says where its state lies; None where it does not say."""
    version: str | None

    @property
    def url(self) -> str:
        """The checked address as URL."""
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"


def check_target(url: str, *, writes: bool, recorded_workspace: str | None) -> Target:
    """
    Check a target by the rules above; asks it `/health` and `/api/status`, and follows no redirects.

    Raises: UsageError for a URL that is not plain HTTP on loopback, and for writes without proof; DaemonError where nothing answers.
    """
    host, port = _address(url)
    replies = [ask(host, port, path) for path in _TELLING]
    answered = [reply for reply in replies if reply is not None]
    if not answered:
        raise DaemonError(f"{url}: nothing answers in HTTP on {host} port {port}. Start the daemon, or look at the port.")
    if any(300 <= reply.status < 400 for reply in answered):
        raise UsageError(f"{url}: it answers with a redirect, and a target is never followed elsewhere. Name the daemon itself.")
    fields = _merged(answered)
    workspace = next((fields[name] for name in _NAMES if isinstance(fields.get(name), str)), None)
    if writes:
        _expect_proof(url, workspace, recorded_workspace)
    version = fields.get("version")
    return Target(host, port, writes, workspace, version if isinstance(version, str) else None)


def _address(url: str) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(f"{url}: no URL of a daemon: {error}. Such as http://127.0.0.1:3860.") from error
    if parts.scheme != "http" or not host or parts.username is not None or parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise UsageError(f"{url}: a target is plain HTTP with host and port, nothing else. Such as http://127.0.0.1:3860.")
    try:
        found = {info[4][0] for info in socket.getaddrinfo(host, port or 80, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError) as error:
        raise UsageError(f"{url}: the host can't be resolved: {error}.") from error
    outside = sorted(str(address) for address in found if not ip_address(str(address).split("%")[0]).is_loopback)
    if outside:
        raise UsageError(f"{url}: {host} is {', '.join(outside)}, not loopback. A replay talks to this machine only.")
    addresses = sorted((str(address) for address in found), key=lambda each: (":" in each, each))
    reachable = (each for each in addresses if ask(each, port or 80, _TELLING[0]) is not None)
    return next(reachable, addresses[0]), port or 80


def _merged(replies: list[Reply]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for reply in reversed(replies):
        if reply.status == 200:
            fields |= reply.fields()
    return fields


def _expect_proof(url: str, workspace: str | None, recorded: str | None) -> None:
    how = f"Writes go only to a daemon that works on a copy with the file {MARKER} in it; without writes it may be read."
    if workspace is None:
        raise UsageError(f"{url}: the daemon does not tell where its workspace is (agentsDir of /health or /api/status). {how}")
    if not workspace.startswith("/") or "\0" in workspace:
        raise UsageError(f"{url}: the daemon says that its workspace is {workspace!r}, which is no absolute path. {how}")
    if recorded is None:
        raise UsageError(f"{url}: the recording does not say where its workspace was, so it can't be told from this one. {how}")
    if _is_same(Path(workspace), Path(recorded)):
        raise UsageError(f"{url}: the daemon works on the recorded workspace {recorded}; that may be production. {how}")
    if not (Path(workspace) / MARKER).is_file():
        raise UsageError(f"{url}: there is no file {MARKER} in its workspace {workspace}. If it is a copy, make one. {how}")


def _is_same(one: Path, other: Path) -> bool:
    # A path of another machine that is not here can only be compared by its text.
    return one.resolve() == other.resolve()
