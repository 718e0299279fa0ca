"""
One night: replay on the candidate, replay on the primary as control, compare, judge, report, and one line in the ledger.

    recording = "../recordings/2026-11-23T120000Z.parity"
    candidate = "rust"             # a built-in name or a TOML file that describes a daemon
    control = "js"
    ledger = "ledger.jsonl"
    output = "nights"              # a folder; each night makes one in it
    rules = "rules.toml"           # optional, as all below
    noise = "noise.json"
    state = "workspace"            # where the recording holds no snapshot
    from = 2                       # only a stretch of the recording: from this snapshot's number …
    until = "snapshot 3"           # … until an event number, as text, or a snapshot
    allow = ["external-read"]
    pace = "asap"
    cell = "auto"
    seed = 0
    known_secrets = "passwords.txt"    # as for `replay`
    redaction_key = "redaction.key"
    keys = "keys"                  # a private key file or a folder of them, for an encrypted recording
    clear_reports = false          # of an encrypted recording: write the reports, which are in clear, all the same

Relative paths are relative to the file. A night that can't be judged, whatever the reason, is an `incomplete` line in the ledger, which ends the
streak; only a configuration, rules or a ledger that can't be read leave none.
"""

import datetime as dt
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from replay import runs
from replay.archive import Keyring
from replay.evidence import append, entry_from, entry_of_failure
from replay.evidence import read as read_ledger
from replay.jobs.exchanging import is_encrypted
from replay.jobs.judging import Basis, compare_run, exit_code, load_basis, open_archives, readers_of
from replay.jobs.replaying import Order, known_lines, replay_archive
from replay.model import UsageError
from replay.model.toml import line_of_key, parse_toml
from replay.report import html, json_text, junit, table
from replay.workspace.files import write_whole

_TEXTS: Final = (
    "recording",
    "candidate",
    "control",
    "ledger",
    "output",
    "rules",
    "noise",
    "state",
    "pace",
    "cell",
    "known_secrets",
    "redaction_key",
    "keys",
    "until",
)
_NUMBERS: Final = ("seed", "from")
_NEEDED: Final = ("recording", "candidate", "control", "ledger", "output")
_KNOWN: Final = frozenset({*_TEXTS, *_NUMBERS, "allow", "clear_reports"})


@dataclass(frozen=True, slots=True)
class Night:
    """What came of a night."""

    text: str
    exit_code: int


@dataclass(frozen=True, slots=True)
class Plan:
    """A night's configuration, paths resolved."""

    recording: Path
    candidate: str
    control: str
    ledger: Path
    output: Path
    rules: Path | None
    noise: Path | None
    state: Path | None
    allow: tuple[str, ...]
    pace: str
    cell: str
    seed: int
    known_secrets: Path | None
    redaction_key: Path | None
    keys: Path | None = None
    """Where private keys lie; they are loaded by `run_night` only where its caller brings none."""
    clear_reports: bool = False
    start: int | None = None
    """The snapshot from which a stretch is replayed; None: all of the recording."""
    until: str | None = None


def load_plan(path: Path) -> Plan:
    """
    Read a night's configuration.

    Raises:
        UsageError: it is missing, broken, or has an unknown, missing or wrong key; with the line.

    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: the configuration can't be read ({error})") from error
    told = parse_toml(text, str(path), UsageError)
    for key in told:
        if key not in _KNOWN:
            raise UsageError(f"{path}, line {line_of_key(text, key, 1)}: unknown key {key!r}; known are {', '.join(sorted(_KNOWN))}")
    for key in _NEEDED:
        if key not in told:
            raise UsageError(f"{path}: {key} is missing; a night needs {', '.join(_NEEDED)}")
    _expect_types(path, text, told)

    def resolved(key: str) -> Path | None:
        return Path(os.path.normpath(path.absolute().parent / told[key])) if key in told else None

    def daemon(key: str) -> str:
        return str(resolved(key)) if told[key].endswith(".toml") else str(told[key])

    recording, ledger, output = resolved("recording"), resolved("ledger"), resolved("output")
    assert recording is not None
    assert ledger is not None
    assert output is not None
    return Plan(
        recording,
        daemon("candidate"),
        daemon("control"),
        ledger,
        output,
        resolved("rules"),
        resolved("noise"),
        resolved("state"),
        tuple(told.get("allow", ())),
        told.get("pace", "asap"),
        told.get("cell", "auto"),
        told.get("seed", 0),
        resolved("known_secrets"),
        resolved("redaction_key"),
        resolved("keys"),
        told.get("clear_reports", False),
        told.get("from"),
        told.get("until"),
    )


def run_night(config: Path, *, now: dt.datetime, progress: Callable[[str, int, int], None], keys: Keyring | None = None) -> Night:
    """
    Do one night as configured; an encrypted recording is opened with *keys*, by default those that the configuration names.

    Of an encrypted recording everything in the night's folder is encrypted for the same recipients, and the reports, which can only be
    clear, are left out unless `clear_reports` asks for them. The ledger holds no answers and is in clear.

    Raises:
        ParityError: something could not be used; what was made so far stays in the night's folder.

    """
    plan = load_plan(config)
    ring = keys if keys is not None else Keyring() if plan.keys is None else Keyring.load(plan.keys)
    basis = load_basis(plan.rules, plan.noise)
    if plan.ledger.exists():
        # A night takes an hour: a ledger that takes no more entries is better known before it.
        read_ledger(plan.ledger)
    folder = plan.output / now.strftime("%Y-%m-%dT%H%M%SZ")
    try:
        folder.mkdir(mode=0o700, parents=True)
        plan.ledger.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{error.filename}: can't be made ({error.strerror}); {config} names it as output or ledger") from error
    try:
        return _judged_night(plan, basis, ring, folder, now=now, progress=progress)
    except Exception as error:
        # A crash of the tool leaves its line, too: a night that nobody judged is no night that passed.
        tool = f"signet-parity {version('signet-parity')}"
        append(
            plan.ledger,
            entry_of_failure(name=folder.name, tool=tool, started_at=now.timestamp(), seed=plan.seed, because=_because(plan, error)),
        )
        raise


def _because(plan: Plan, error: Exception) -> str:
    """Say why there was no judgement; the end of a daemon's log, below the first line, is not for a ledger beside an encrypted recording."""
    text = str(error)
    return f"{type(error).__name__}: {text.partition(os.linesep)[0] if is_encrypted(plan.recording) else text}"


def _judged_night(
    plan: Plan, basis: Basis, keys: Keyring, folder: Path, *, now: dt.datetime, progress: Callable[[str, int, int], None]
) -> Night:
    said = []
    broken = []
    for name, daemon in (("observed", plan.candidate), ("control", plan.control)):
        progress(f"replaying on {daemon}", 0, 1)
        order = Order(
            archive=plan.recording,
            observed=folder / f"{name}.parity",
            daemon=daemon,
            state=plan.state,
            start=plan.start,
            until=plan.until,
            pace=plan.pace,
            allow=plan.allow,
            cell=plan.cell,
            known_secrets=known_lines(plan.known_secrets),
            redaction_key=plan.redaction_key,
            keys=keys,
        )
        replayed = replay_archive(order, progress)
        if replayed.exit_code:
            broken.append(name)
        said.append(f"{name} ({daemon}): {replayed.text}")
    recorded, observed, controls = open_archives(
        plan.recording, folder / "observed.parity", [folder / "control.parity"], salvage=False, keys=keys
    )
    readers = readers_of([recorded, observed, *controls])
    run_path = folder / "night.run"
    run = compare_run(recorded, observed, controls, basis, run_path=run_path, seed=plan.seed, now=now, progress=progress)
    if broken:
        # The ledger counts verdicts: a night on half a replay must not stand there as one that passed.
        because = f"not replayed to the end: {' and '.join(broken)}; {run.because}"
        run = replace(run, broken=tuple(broken), verdict="incomplete", because=because)
    runs.save(run, run_path, recipients=readers.keys)
    said += ["", table(run), "", *(f"note: {text}" for text in readers.notes)]
    if readers.keys and not plan.clear_reports:
        said.append(f"no page: the recording is encrypted; `signet-parity report {run_path} --format html --out FILE` writes one, in clear")
    else:
        for name, text in (("report.html", html(run, "diff")), ("report.json", json_text(run)), ("report.xml", junit(run))):
            # As private as the recording: it holds the same answers.
            write_whole(folder / name, text.encode("utf-8", "backslashreplace"), mode=0o600)
        said.append(f"page: {folder / 'report.html'}{' (in clear)' if readers.keys else ''}")
    digest = append(plan.ledger, entry_from(run, name=folder.name))
    said.append(f"ledger: {plan.ledger} (line {digest[:12]})")
    return Night("\n".join(said), exit_code(run))


def _expect_types(path: Path, text: str, told: Mapping[str, Any]) -> None:
    for key in _TEXTS:
        if not isinstance(told.get(key, ""), str):
            raise UsageError(f"{path}, line {line_of_key(text, key, 1)}: {key} must be a text")
    for key in _NUMBERS:
        if isinstance(told.get(key, 0), bool) or not isinstance(told.get(key, 0), int):
            raise UsageError(f"{path}, line {line_of_key(text, key, 1)}: {key} must be a whole number")
    if not isinstance(told.get("clear_reports", False), bool):
        raise UsageError(f"{path}, line {line_of_key(text, 'clear_reports', 1)}: clear_reports must be true or false")
    allow = told.get("allow", [])
    if not isinstance(allow, list) or not all(isinstance(name, str) for name in allow):
        raise UsageError(f"{path}, line {line_of_key(text, 'allow', 1)}: allow must be a list of texts")
