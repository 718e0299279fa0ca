"""
Replay a recording: a workspace is laid out, a daemon starts on it in a cell, and the player inside writes the observed archive.

A target that we did not start gets the same player, without a cell, and only reads unless it has proved that it is not production.

What a cell works on is in clear by nature: the state, what the daemon makes of it, its log. It lies in one private folder (0700) that goes
when the replay is over; where something went wrong it is kept for whoever looks for the reason, but never that of an encrypted recording. The
player is handed what opens this one recording on its standard input, and encrypts what it observes for the same recipients. (If this tool
itself is killed, the folder stays: `signet-parity-*` where temporary files lie.)
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from replay.archive import Archive, Keyring, Limits, extract, narrowed, public_keys, read
from replay.daemon import CellReport, DaemonSpec, check_target, load_daemon, run_cell
from replay.daemon.cell import RECORDED_PORT
from replay.daemon.tether import tethered
from replay.jobs.judging import readers_of
from replay.jobs.old_keys import find_taken_keys, renew_keys
from replay.model import GapReason, ParityError, Response, UsageError
from replay.plan import plan
from replay.redact import Redactor
from replay.report import visible
from replay.routes import REPLAY_CLASSES, by_name

type Progress = Callable[[str, int, int], None]

_INCOMPLETE: Final = 2
_OUTBOX: Final = "observed"


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked of a replay; the command line's options."""

    archive: Path
    observed: Path
    daemon: str | None = None
    target: str | None = None
    writes: bool = False
    state: Path | None = None
    pace: str = "asap"
    only: int | None = None
    allow: tuple[str, ...] = ()
    cell: str = "auto"
    dry_run: bool = False
    salvage: bool = False
    known_secrets: tuple[str, ...] = ()
    """Secrets that clients sent (a login's password): put back in the place of their placeholders."""
    redaction_key: Path | None = None
    """The key of the recorder's installation, which made those placeholders."""
    extra_arguments: tuple[str, ...] = ()
    """Added to the daemon's command; the demo's faults."""
    keys: Keyring = field(default_factory=Keyring, repr=False)
    """What opens the recording, where it is encrypted; what is observed is encrypted for the same recipients."""
    scratch: Path | None = None
    """Where the cell's directory goes and stays, with the daemon's state as it was left; else a temporary one, deleted when all went well."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of a replay."""

    text: str
    exit_code: int
    report: CellReport | None = None


def replay_archive(order: Order, progress: Progress) -> Replayed:
    """
    Replay as ordered.

    Raises:
        ParityError: the archive, the state, the daemon or the target is not usable; nothing was sent then, or the text says what was.

    """
    _check(order)
    recorded = read(order.archive, salvage=order.salvage, keys=order.keys)
    if order.only is not None and all(exchange.id != order.only for exchange in recorded.exchanges()):
        raise UsageError(f"--only: no exchange {order.only} in {order.archive}; `signet-parity inspect` lists them")
    if order.dry_run:
        return Replayed(_dry_run(recorded, order), 0)
    _check_place(order.observed)
    if order.target is not None:
        return _on_target(recorded, order)
    assert order.daemon is not None
    spec = load_daemon(order.daemon, extra_arguments=order.extra_arguments)
    with _scratch(order, private=any(public_keys(recorded))) as scratch:
        progress("laying out the state", 0, 1)
        state, dropped = _state(recorded, order, scratch)
        replayed = _in_cell(recorded, order, spec, state, scratch)
        said = "".join(f"\nnote: left out of the state: {text}" for text in dropped)
        return replace(replayed, text=replayed.text + said)


def known_lines(path: Path | None) -> tuple[str, ...]:
    """
    Read known secrets, one a line.

    Raises:
        UsageError: the file can't be read.

    """
    if path is None:
        return ()
    try:
        return tuple(line for line in path.read_text("utf-8").splitlines() if line)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: the known secrets can't be read ({error})") from error


def recorded_workspace(recorded: Archive) -> str | None:
    """The path at which the recorded daemon had its workspace; None where the recording does not say."""
    snapshots = recorded.snapshots()
    return snapshots[0].workspace if snapshots else None


def _check(order: Order) -> None:
    if (order.daemon is None) == (order.target is None):
        raise UsageError("name either a --daemon to start in a cell, or the --target URL of one that is running")
    if order.cell not in {"auto", "namespace", "mapped"}:
        raise UsageError(f"--cell {order.cell}: must be auto, namespace or mapped")
    _pace(order.pace)
    known = REPLAY_CLASSES | by_name().keys() | {"all"}
    for name in order.allow:
        if name not in known:
            raise UsageError(f"--allow {name}: is neither a replay class ({', '.join(sorted(REPLAY_CLASSES))}), nor a route, nor all")


def _check_place(observed: Path) -> None:
    """
    Make sure that an observed archive can be made there; its parents are made.

    Raises:
        UsageError: something is there, or nothing can be.

    """
    try:
        if observed.is_symlink() or observed.exists():
            raise UsageError(f"{observed}: is there already; an observed archive is written once, so name another")
        observed.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(observed.parent, os.W_OK | os.X_OK):
            raise UsageError(f"{observed}: can't be made: {observed.parent} can't be written to; name another place")
    except OSError as error:
        raise UsageError(f"{observed}: can't be made: {error.strerror}; name another place") from error


def _pace(text: str) -> str | float:
    if text in {"asap", "recorded"}:
        return text
    if re.fullmatch(r"\d+(\.\d+)?", text) and float(text) > 0:
        return float(text)
    raise UsageError(f"--pace {text}: must be asap, recorded, or a factor above 0")


def _dry_run(recorded: Archive, order: Order) -> str:
    made = plan(recorded, allow=frozenset(order.allow), only=order.only)
    classes = Counter(step.route.replay_class for step in made.steps)
    reasons = Counter(f"{gap.reason}" for gap in made.gaps)
    waits = sum(step.settles for step in made.steps)
    seconds = sum(step.exchange.duration_ms for step in made.steps) / 1000.0
    lines = [f"{made.planned} planned · {len(made.steps)} would be sent · {len(made.gaps)} left out"]
    lines += [f"  send      {count:5d} {name}" for name, count in sorted(classes.items())]
    lines += [f"  leave out {count:5d} {name}" for name, count in sorted(reasons.items())]
    # another lane's are never sent, and may be many
    lanes = Counter(gap.detail for gap in made.gaps if gap.reason is GapReason.OUT_OF_SCOPE and gap.detail)
    lines += [f"  {count:,} of {visible(name)}: never sent" for name, count in sorted(lanes.items())]
    lines += [f"  {gap.exchange}: {gap.reason}: {visible(gap.detail)}" for gap in made.gaps if gap.detail not in lanes]
    lines += [f"waits for background work before {waits} exchanges; the recorded answers took {seconds:.0f} s one after the other"]
    return "\n".join(lines)


@contextmanager
def _scratch(order: Order, *, private: bool) -> Iterator[Path]:
    """
    Give a directory for the cell; a temporary one is kept where something went wrong, if it holds a daemon's log.

    Where it is *private*, because the recording is encrypted, nothing in clear is kept whatever happens: at most what was observed.
    """
    if order.scratch is not None:
        order.scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
        yield Path(tempfile.mkdtemp(prefix="replay-", dir=order.scratch.absolute()))
        return
    scratch = Path(tempfile.mkdtemp(prefix="signet-parity-"))
    try:
        yield scratch
    except Exception:
        if private:
            _remove_clear(scratch)
        elif not any(scratch.glob("*/daemon.log")):
            shutil.rmtree(scratch, ignore_errors=True)
        raise
    except BaseException:
        # Interrupted: what the daemon was doing then tells nobody anything.
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    shutil.rmtree(scratch, ignore_errors=True)


def _remove_clear(scratch: Path) -> None:
    """Remove everything but what was observed and could not be brought to its place."""
    for entry in scratch.iterdir():
        if entry.name != _OUTBOX:
            shutil.rmtree(entry, ignore_errors=True)
    with suppress(OSError):  # something is in it
        (scratch / _OUTBOX).rmdir()
    with suppress(OSError):
        scratch.rmdir()


def _state(recorded: Archive, order: Order, scratch: Path) -> tuple[Path, tuple[str, ...]]:
    """Unpack the workspace to start from; gives it and what was dropped on the way, in words."""
    if order.state is not None:
        if order.state.is_dir():
            return order.state, ()
        unpacked = extract(order.state, scratch / "state", Limits())
        inner = list(unpacked.root.iterdir())
        return (inner[0] if len(inner) == 1 and inner[0].is_dir() else unpacked.root), tuple(unpacked.dropped)
    if not recorded.snapshots():
        raise UsageError(
            f"{order.archive}: holds no snapshot of the workspace; name the state to start from with --state DIRECTORY, "
            "or record with --set parity_workspace=…"
        )
    snapshot = recorded.extract_snapshot(1, scratch / "state")
    renew_keys(snapshot.root, find_taken_keys(recorded.exchanges()))
    return snapshot.root, tuple(snapshot.dropped)


def _in_cell(recorded: Archive, order: Order, spec: DaemonSpec, state: Path, scratch: Path) -> Replayed:
    outbox = scratch / _OUTBOX
    outbox.mkdir(mode=0o700)
    # The player writes beside the cell and the archive moves afterwards: its destination may be a place that no cell should write to.
    written = outbox / order.observed.name
    try:
        report = run_cell(
            spec,
            state=state,
            recorded_workspace=recorded_workspace(recorded),
            player=[sys.executable, "-m", "replay.play", "-"],
            player_input=json.dumps({**_job(recorded, order), "observed": str(written)}).encode(),
            scratch=scratch,
            kind=order.cell,  # type: ignore[arg-type]  # checked above
            recorded_port=_recorded_port(recorded),
            visible=[order.archive.absolute(), *_code()],
            writable=[outbox],
            machine_id=_machine_id(recorded, order),
        )
    finally:
        if written.exists():
            _bring_out(written, order.observed)
    return _result(recorded, order, report.player_exit, report)


def _machine_id(recorded: Archive, order: Order) -> str:
    """Give what opens the store of secrets of the state; empty where that is the host's own or there is none."""
    return "" if order.state is not None else recorded.snapshots()[0].machine_id


def _bring_out(written: Path, observed: Path) -> None:
    """
    Give an observed archive its place, at once and never into what came to be there meanwhile.

    Raises:
        UsageError: something is there by now, or the disk refuses; the archive stays where it was written.

    """
    draft = written
    try:
        if written.stat().st_dev != observed.parent.stat().st_dev:
            draft = observed.with_name(f".{observed.name}.draft-{os.getpid()}")
            shutil.copytree(written, draft)
        draft.rename(observed)
    except OSError as error:
        if draft != written:
            shutil.rmtree(draft, ignore_errors=True)
        why = error.args[0][0][2] if isinstance(error, shutil.Error) else error.strerror
        raise UsageError(f"{observed}: what was observed can't be put there ({why}); it is kept in {written}") from error


def _on_target(recorded: Archive, order: Order) -> Replayed:
    assert order.target is not None
    target = check_target(order.target, writes=order.writes, recorded_workspace=recorded_workspace(recorded))
    with tempfile.TemporaryDirectory(prefix="signet-parity-") as folder:
        facts = Path(folder) / "facts.json"
        job = json.dumps({**_job(recorded, order), "reads_only": not target.writes}).encode()
        told = {
            "kind": "url",
            "host": target.host,
            "port": target.port,
            "workspace": target.workspace or "",
            "recorded_workspace": recorded_workspace(recorded),
            "daemon": {"name": target.url, "version": target.version},
        }
        facts.write_text(json.dumps(told), "utf-8")
        player = tethered([sys.executable, "-m", "replay.play", "-", str(facts)])
        done = subprocess.run(player, stdout=sys.stderr, check=False, input=job)
    return _result(recorded, order, done.returncode, None)


def _job(recorded: Archive, order: Order) -> dict[str, Any]:
    return {
        "recorded": str(order.archive.absolute()),
        "observed": str(order.observed.absolute()),
        "allow": list(order.allow),
        "only": order.only,
        "salvage": order.salvage,
        "pace": _pace(order.pace),
        "replacements": _replacements(recorded, order),
        "keys": narrowed(recorded).as_json(),
        "recipients": [public.hex() for public in readers_of([recorded]).keys],
    }


def _replacements(recorded: Archive, order: Order) -> dict[str, str]:
    """
    Give placeholder → secret for what the user knows.

    Raises:
        UsageError: there is no key, or it is not the one that the recording was redacted with.

    """
    if not order.known_secrets:
        return {}
    if order.redaction_key is None:
        raise UsageError("known secrets are found by the recorder's redaction key; name its file with --redaction-key")
    if not order.redaction_key.is_file():
        raise UsageError(f"{order.redaction_key}: the recorder's redaction key is not there")
    redactor = Redactor(order.redaction_key.read_bytes())
    used = recorded.facts.get("redaction") or {}
    if isinstance(used, dict) and used.get("key_id") not in {None, redactor.key_id}:
        raise UsageError(f"{order.redaction_key}: is not the key that {order.archive} was redacted with (key id {used['key_id']})")
    return {_placeholder(redactor, value): value for value in order.known_secrets if value}


def _placeholder(redactor: Redactor, value: str) -> str:
    body = json.dumps({"password": value}, ensure_ascii=False).encode()
    clean, _ = redactor.request_body(body, "POST /api/auth/login")
    return str(json.loads(clean or body)["password"])


def _recorded_port(recorded: Archive) -> int:
    daemon = recorded.facts.get("daemon")
    port = daemon.get("port") if isinstance(daemon, dict) else None
    return port if isinstance(port, int) else RECORDED_PORT


def _code() -> list[Path]:
    """Where this tool and its interpreter lie, for cells that hide those places."""
    package = Path(__file__).parents[2]
    return [package, Path(sys.prefix), Path(sys.base_prefix)]


def _result(recorded: Archive, order: Order, player_exit: int, report: CellReport | None) -> Replayed:
    died = report is not None and report.died
    tail = f"\nthe end of the daemon's log:\n{report.log_tail}" if report is not None and died else ""
    try:
        observed = read(order.observed, keys=order.keys)
    except ParityError as error:
        raise UsageError(f"the player ended with exit code {player_exit} before it sealed what it observed: {error}{tail}") from error
    exchanges, gaps = observed.exchanges(), [gap for gap in observed.gaps() if gap.exchange is not None]
    joined = recorded.join()
    planned = len({exchange.id for exchange in joined.exchanges} | {gap.exchange for gap in joined.gaps if gap.exchange is not None})
    by_reason = Counter(str(gap.reason) for gap in gaps)
    statuses = Counter(str(item.outcome.status) if isinstance(item.outcome, Response) else "none" for item in exchanges)
    same = _same_status(recorded, exchanges)
    left_out = ", ".join(f"{count} {reason}" for reason, count in sorted(by_reason.items()))
    lines = [
        f"{planned} planned · {len(exchanges)} observed · {len(gaps)} gaps" + (f" ({left_out})" if left_out else ""),
        f"{same} of {len(exchanges)} with the recorded status · statuses: "
        + ", ".join(f"{count} × {status}" for status, count in sorted(statuses.items())),
    ]
    if report is not None:
        lines.append(f"cell: {report.kind} · ready after {report.ready_s:.1f} s · {report.namespaces or 'no namespaces'}")
        lines.extend(f"note: {text}" for text in report.notes)
    if by_reason["unsafe"]:
        lines.append("note: unsafe requests were left out; `--dry-run` names them, `--allow side-effect` (or a route, or all) sends them")
    if 2 * statuses["none"] > len(exchanges):
        lines.append(f"note: {statuses['none']} of {len(exchanges)} got no answer: is this the daemon that was meant?")
    if died:
        lines.append(f"the daemon died during the replay (exit code {report.daemon_exit if report else None}){tail}")
    complete = player_exit == 0 and not died and planned == len(exchanges) + len(gaps)
    lines.append(f"{order.observed}" if complete else f"{order.observed}: INCOMPLETE (player's exit code {player_exit})")
    return Replayed("\n".join(lines), 0 if complete else _INCOMPLETE, report)


def _same_status(recorded: Archive, exchanges: list[Any]) -> int:
    expected = {item.id: item.outcome.status for item in recorded.exchanges() if isinstance(item.outcome, Response)}
    return sum(isinstance(item.outcome, Response) and expected.get(item.id) == item.outcome.status for item in exchanges)


__all__ = ["Order", "Progress", "Replayed", "known_lines", "recorded_workspace", "replay_archive"]
