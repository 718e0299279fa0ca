"""What a player is told: its job, and the facts of the cell that it is in."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from replay.model import UsageError

_PACES: Final = ("asap", "recorded")


@dataclass(frozen=True, slots=True)
class Job:
    """One replay. The JSON file has the same names."""

    recorded: Path
    observed: Path
    allow: frozenset[str] = frozenset()
    """Replay classes, route names, or `all`."""
    only: int | None = None
    salvage: bool = False
    reads_only: bool = False
    """Send nothing that could change the daemon's state: it was not started for this replay."""
    pace: str | float = "asap"
    """`asap`, `recorded`, or how many times faster than recorded."""
    request_bound_s: float = 30.0
    """How long an exchange may take; ten times its recorded duration where that is longer, up to the next."""
    request_bound_max_s: float = 90.0
    stream_bound_s: float = 5.0
    """How long a stream that the client left is kept open for events that do not come."""
    settle_s: float = 0.5
    """How much of a recorded pause is waited beside the daemon's job tables after writes."""
    settle_outside_s: float = 5.0
    """The same after requests that start work no job table shows."""
    poll_bound_s: float = 5.0
    """How long a poll is repeated until it is as far as the recorded one was."""
    replacements: Mapping[str, str] = field(default_factory=dict)
    """Placeholders of secrets in requests, and what to send in their place."""


@dataclass(frozen=True, slots=True)
class Drained:
    """How to see that a background worker has nothing left to do."""

    worker: str
    database: Path
    sql: str
    bound_s: float


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


def read_job(path: Path) -> Job:
    """
    Read a job.

    Raises:
        UsageError: it is not there, no JSON, or has an unknown or missing member.

    """
    told = _object(path)
    known = set(Job.__dataclass_fields__)
    unknown = sorted(set(told) - known)
    if unknown:
        raise UsageError(f"{path}: unknown {unknown[0]!r}; a job has {', '.join(sorted(known))}")
    if not isinstance(told.get("recorded"), str) or not isinstance(told.get("observed"), str):
        raise UsageError(f"{path}: a job needs `recorded` and `observed`, the paths of two archives")
    pace = told.get("pace", "asap")
    if pace not in _PACES and not (isinstance(pace, int | float) and pace > 0):
        raise UsageError(f"{path}: pace is asap, recorded, or a number over 0, not {pace!r}")
    return Job(**{**told, "recorded": Path(told["recorded"]), "observed": Path(told["observed"]), "allow": frozenset(told.get("allow", ()))})


def read_facts(path: Path) -> CellFacts:
    """
    Read the facts of a cell.

    Raises:
        UsageError: they are not there or lack what a player needs.

    """
    told = _object(path)
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
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{path}: these are no cell facts ({type(error).__name__}: {error})") from error


def _object(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: can't be read as JSON: {error}") from error
    if not isinstance(told, dict):
        raise UsageError(f"{path}: must hold a JSON object")
    return told
