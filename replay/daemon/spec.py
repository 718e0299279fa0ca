"""
How a daemon is described: what to start, where its state lies, when it is ready, when it is quiet.

Texts in a description may hold placeholders: `{python}` (the interpreter of this tool), `{workspace}`, `{home}`, `{host}`, `{port}`,
and `{lane:NAME|OTHERWISE}`: the URL at which a recorded lane is served, and what stands there where none is, such as
`{lane:provider|http://127.0.0.1:11434}`. They are filled when a cell is laid out, for only then are the paths known. Nothing goes
through a shell.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from replay.model import UsageError

STAND_INS: Final = ("claude", "codex", "op", "bw")
"""Programs that a daemon starts and that would act on the outside world."""
PLACEHOLDERS: Final = ("python", "workspace", "home", "host", "port")
_PLACEHOLDER: Final = re.compile(r"\{([a-z_]+|lane:[^{}|]+)(?:\|([^{}]*))?\}")


@dataclass(frozen=True, slots=True)
class Ready:
    """How to see that a daemon answers."""

    path: str = "/health"
    status: int = 200
    timeout_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Drained:
    """How to see, read-only, that one background worker has nothing left to do."""

    worker: str
    database: str
    """Relative to the workspace."""
    sql: str
    """One row with one number: how much is left. 0 is drained."""
    bound_s: float = 20.0
    """How long a replay waits for it."""


@dataclass(frozen=True, slots=True)
class Poller:
    """A background worker that looks by the clock whether there is something new to do, which no job table shows."""

    name: str
    every_s: float
    """Its period. A replay waits for it at most that long and a margin, and only where the recording proves that it had run."""
    files: tuple[str, ...] = ()
    """Patterns of files, relative to the workspace, whose change gives it something to do; `*` stays within one name."""
    files_except: tuple[str, ...] = ()
    """Patterns of those among them that it passes over."""
    routes: tuple[str, ...] = ()
    """Route names, templates or replay classes of requests that give it something to do."""
    database: str = ""
    """Relative to the workspace; empty: nothing but its period tells whether it ran."""
    sql: str = ""
    """One row with one number that changes when it has run. `:path`, `:name`, `:stem` are those of the changed file."""


@dataclass(frozen=True, slots=True)
class Mount:
    """Something of the host that a cell holds at a recorded path."""

    source: str
    target: str
    copy: bool = True
    """A fresh copy for each run, writable. Without it the host's own, read-only."""


@dataclass(frozen=True, slots=True)
class Companion:
    """A process that is started before the daemon, such as a model provider's stand-in."""

    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    ready_port: int | None = None
    """Waited for until it accepts connections (on 127.0.0.1)."""
    ready_path: str | None = None
    """Asked on `ready_port` until the answer is below 400."""
    timeout_s: float = 15.0

    @property
    def name(self) -> str:
        """What to call it in messages."""
        return " ".join(self.command[:2])


@dataclass(frozen=True, slots=True)
class DaemonSpec:
    """A daemon as described in TOML."""

    name: str
    runtime: str
    """`js`, `rust` or any other word; it is only reported."""
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    """All that the daemon sees beside what every cell gives: PATH, HOME, CODEX_HOME, LANG, TZ."""
    path: tuple[str, ...] = ()
    """Directories that come before everything else on PATH, the stand-ins too."""
    host_path: bool = True
    """Whether the host's own PATH comes after them."""
    stand_ins: tuple[str, ...] = STAND_INS
    """Which programs are stand-ins in the cell; empty where the recorded daemon had none of them either."""
    directory: str | None = None
    """Where the daemon is started; None: in its workspace."""
    workspace: str | None = None
    """Where the state lies in the cell; None: at the recorded path."""
    host: str = "127.0.0.1"
    port: int | None = None
    """None: the recorded one in a namespace cell, a free one elsewhere."""
    ready: Ready = Ready()
    home: str | None = None
    """HOME in the cell; None: a scratch directory."""
    drained: tuple[Drained, ...] = ()
    pollers: tuple[Poller, ...] = ()
    mounts: tuple[Mount, ...] = ()
    visible: tuple[str, ...] = ()
    """Paths of the host that a namespace cell shows, read-only, though they lie in a place that it hides (`/tmp`, `/run`)."""
    companions: tuple[Companion, ...] = ()
    auth_secret: str = ".daemon/auth-secret"  # noqa: S105 - a file name, no secret
    """Relative to the workspace; a throw-away secret is written there."""
    faketime: str | None = None
    """Where libfaketime's library is, for a replay on the recording's clock; None: where distributions put it."""
    stop_timeout_s: float = 20.0
    """From SIGTERM to SIGKILL."""


def fill(text: str, values: Mapping[str, str]) -> str:
    """
    Put values in the place of a text's placeholders.

    Raises: UsageError on a name that is none of `PLACEHOLDERS`, and on a lane that is not served and has no other value.
    """

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name.startswith("lane:"):
            if name not in values and match[2] is None:
                raise UsageError(
                    f"daemon description: {match[0]} in {text!r}: no such lane is served. Write what is true then after a bar, as in "
                    f"{{{name}|http://127.0.0.1:11434}}."
                )
            return values.get(name, match[2])
        if name not in PLACEHOLDERS or match[2] is not None:
            known = ", ".join(f"{{{each}}}" for each in PLACEHOLDERS)
            raise UsageError(f"daemon description: {match[0]} in {text!r} is no placeholder. There are: {known}.")
        return values[name]

    return _PLACEHOLDER.sub(value, text)
