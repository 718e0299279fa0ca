"""
What a player is told: its job, and the facts of the cell that it is in.

The job comes on standard input and never lies in a file: it holds what opens an encrypted recording (the data keys of that archive alone,
never a private key) and the secrets that clients sent. The daemon under test runs in the same cell as the same user, so it is not kept from
the player's memory; what it could find there is the recording that is being played to it.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from replay.archive import Keyring
from replay.model import UsageError
from replay.plan import Stretch

_PACES: Final = ("asap", "recorded")


@dataclass(frozen=True, slots=True)
class Job:
    """One replay. The JSON file has the same names."""

    recorded: Path
    observed: Path
    allow: frozenset[str] = frozenset()
    """Replay classes, route names, or `all`."""
    only: int | None = None
    stretch: Stretch = field(default_factory=Stretch)
    """Which part of the recording; in JSON an object of the same names."""
    lost: frozenset[str] = frozenset()
    """Ids from before the stretch that the state it starts from does not hold."""
    salvage: bool = False
    reads_only: bool = False
    """Send nothing that could change the daemon's state: it was not started for this replay."""
    pace: str | float = "asap"
    """`asap`, `recorded`, or how many times faster than recorded."""
    request_bound_s: float = 75.0
    """How long an exchange may take; ten times its recorded duration where that is longer, up to the next."""
    request_bound_max_s: float = 90.0
    release_s: float = 20.0
    """
    How long others wait for an exchange that comes before them; ten times its recorded duration where that is longer. After it they go on,
    and it stays open up to its bound: so a route that takes a minute holds up nothing, and its answer is still seen.
    """
    hang_bound_s: float = 60.0
    """How long the daemon may send nothing at all after a request met its bound, before it counts as hanging."""
    stream_bound_s: float = 5.0
    """How long a stream that the client left is kept open for events that do not come."""
    settle_s: float = 0.05
    """How much of a recorded pause is waited beside the daemon's job tables after writes."""
    settle_outside_s: float = 5.0
    """The same after requests whose answers say that work goes on, where no job table and no poll shows how far it is."""
    poll_bound_s: float = 5.0
    """How long a poll is repeated until it is as far as the recorded one was."""
    turns: Path | None = None
    """The socket at which to ask for a turn before each step, where another replay runs at the same time."""
    side: str = ""
    """Which of the two this is."""
    ordered: Mapping[str, Any] = field(default_factory=dict)
    """What the replay was asked for, for the observed archive's facts."""
    replacements: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Placeholders of secrets in requests, and what to send in their place."""
    login: Mapping[str, str] = field(default_factory=dict, repr=False)
    """`username` and `password` that the daemon takes; empty where that is not known."""
    api_keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Recorded API keys from before the recording, and those that the daemon's database knows in their place."""
    clock_behind_s: float = 0.0
    """How far the daemon's clock is behind the host's; 0 where it is not shifted."""
    keys: Keyring = field(default_factory=Keyring, repr=False)
    """What opens the recording; in JSON as `Keyring.as_json` gives it."""
    recipients: tuple[bytes, ...] = ()
    """Public keys for which the observed archive is encrypted, in JSON in hexadecimal; none: it is not."""


@dataclass(frozen=True, slots=True)
class Drained:
    """How to see that a background worker has nothing left to do."""

    worker: str
    database: Path
    sql: str
    bound_s: float


@dataclass(frozen=True, slots=True)
class Poller:
    """A worker that looks for something to do by the clock."""

    name: str
    every_s: float
    files: tuple[str, ...] = ()
    """Patterns of the files of the workspace in which it looks for something new."""
    files_except: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    """Names, templates or replay classes of requests that give it something to do."""
    database: Path | None = None
    sql: str = ""
    """A number that changes once it ran; without it only its period tells."""


@dataclass(frozen=True, slots=True)
class CellFacts:
    """The cell, as the daemon room tells it."""

    kind: str
    host: str
    port: int
    workspace: str
    recorded_workspace: str | None
    auth_secret: Path | None
    drained: tuple[Drained, ...]
    log: Path | None
    told: Mapping[str, Any]
    """All that was told, for the observed archive."""
    pollers: tuple[Poller, ...] = ()


def read_job(path: Path) -> Job:
    """
    Read a job from a file, or from standard input where the path is `-`.

    Raises:
        UsageError: it is not there, no JSON, or has an unknown or missing member.

    """
    if str(path) == "-":
        return parse_job(sys.stdin.buffer.read(), "the job")
    return parse_job(_bytes(path), str(path))


def parse_job(text: bytes, place: str) -> Job:
    """Read a job from JSON; raises as `read_job` does, naming the *place*."""
    told = _object(text, place)
    known = set(Job.__dataclass_fields__)
    unknown = sorted(set(told) - known)
    if unknown:
        raise UsageError(f"{place}: unknown {unknown[0]!r}; a job has {', '.join(sorted(known))}")
    if not isinstance(told.get("recorded"), str) or not isinstance(told.get("observed"), str):
        raise UsageError(f"{place}: a job needs `recorded` and `observed`, the paths of two archives")
    pace = told.get("pace", "asap")
    if pace not in _PACES and not (isinstance(pace, int | float) and pace > 0):
        raise UsageError(f"{place}: pace is asap, recorded, or a number over 0, not {pace!r}")
    try:
        keys, recipients = Keyring.of_json(told.get("keys", {})), tuple(bytes.fromhex(key) for key in told.get("recipients", ()))
    except (ValueError, TypeError, AttributeError):
        # not what they are: an error's text may be logged
        raise UsageError(f"{place}: its keys or recipients are none") from None
    try:
        stretch = Stretch(**told.get("stretch", {}))
    except TypeError as error:
        raise UsageError(f"{place}: its stretch is none ({error})") from error
    paths = {"recorded": Path(told["recorded"]), "observed": Path(told["observed"]), "turns": Path(told["turns"]) if told.get("turns") else None}
    sets = {name: frozenset(told.get(name, ())) for name in ("allow", "lost")}
    return Job(**{**told, **paths, **sets, "stretch": stretch, "keys": keys, "recipients": recipients})


def read_facts(path: Path) -> CellFacts:
    """
    Read the facts of a cell.

    Raises:
        UsageError: they are not there or lack what a player needs.

    """
    told = _object(_bytes(path), str(path))
    try:
        workspace = str(told["workspace"])
        secret = told.get("auth_secret")
        return CellFacts(
            kind=str(told.get("kind", "none")),
            host=str(told["host"]),
            port=int(told["port"]),
            workspace=workspace,
            recorded_workspace=told.get("recorded_workspace"),
            auth_secret=None if secret is None else Path(secret),
            drained=tuple(
                Drained(each["worker"], Path(workspace) / each["database"], each["sql"], float(each.get("bound_s", 20.0)))
                for each in told.get("drained", ())
            ),
            log=None if told.get("log") is None else Path(told["log"]),
            told=told,
            pollers=tuple(_poller(each, Path(workspace)) for each in told.get("pollers", ())),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{path}: these are no cell facts ({type(error).__name__}: {error})") from error


def _poller(told: Mapping[str, Any], workspace: Path) -> Poller:
    return Poller(
        name=told["name"],
        every_s=float(told["every_s"]),
        files=tuple(told.get("files", ())),
        files_except=tuple(told.get("files_except", ())),
        routes=tuple(told.get("routes", ())),
        database=workspace / told["database"] if told.get("database") else None,
        sql=told.get("sql", ""),
    )


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: can't be read as JSON: {error}") from error


def _object(text: bytes, place: str) -> dict[str, Any]:
    try:
        told = json.loads(text)
    except ValueError as error:
        raise UsageError(f"{place}: can't be read as JSON: {error}") from error
    if not isinstance(told, dict):
        raise UsageError(f"{place}: must hold a JSON object")
    return told
