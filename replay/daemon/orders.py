"""What the process inside a cell is told, and what it tells back: two JSON files in the cell's directory."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from replay.daemon.root import Placed
from replay.daemon.spec import Companion, Drained, Poller, Ready


@dataclass(frozen=True, slots=True)
class Orders:
    """Everything is settled here: placeholders are filled, paths are the cell's."""

    kind: str
    """`namespace` or `mapped`."""
    name: str
    runtime: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    host: str
    port: int
    recorded_port: int
    workspace: str
    start_directory: str
    recorded_workspace: str | None
    auth_secret: str
    ready: Ready
    drained: tuple[Drained, ...]
    """With absolute database paths."""
    pollers: tuple[Poller, ...]
    """The same."""
    companions: tuple[Companion, ...]
    player: tuple[str, ...]
    player_environment: Mapping[str, str]
    player_timeout_s: float | None
    stop_timeout_s: float
    placed: tuple[Placed, ...]
    root: str
    """An empty directory at which a namespace cell puts its file tree together."""
    directory: str
    """Where logs, facts and the report go."""
    notes: tuple[str, ...]
    host_namespaces: Mapping[str, str]
    masked: tuple[str, ...] = ()
    """Sockets of the host in places that a namespace cell shows: something that answers to nobody stands there."""
    player_input_bytes: int = 0
    """How much comes on standard input for the player, before anything is started; it is never in a file."""
    player_first: bool = False
    """Whether the player serves lanes, so that it must listen before the daemon starts."""

    def write(self, path: Path) -> None:
        """Write them as JSON."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "Orders":
        """Read what `write` wrote."""
        fields: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        fields["ready"] = Ready(**fields["ready"])
        fields["drained"] = tuple(Drained(**each) for each in fields["drained"])
        lists = ("files", "files_except", "routes")
        fields["pollers"] = tuple(Poller(**{**each, **{key: tuple(each[key]) for key in lists}}) for each in fields["pollers"])
        fields["companions"] = tuple(Companion(**{**each, "command": tuple(each["command"])}) for each in fields["companions"])
        fields["placed"] = tuple(Placed(**each) for each in fields["placed"])
        for name in ("command", "player", "notes", "masked"):
            fields[name] = tuple(fields[name])
        return cls(**fields)
