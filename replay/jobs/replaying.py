"""
Replay a recording: a workspace is laid out, a daemon starts on it in a cell, and the player inside writes the observed archive.

A target that we did not start gets the same player, without a cell, and only reads unless it has proved that it is not production.

What a cell works on is in clear by nature: the state, what the daemon makes of it, its log. It lies in one private folder (0700) that goes
when the replay is over; where something went wrong it is kept for whoever looks for the reason, but never that of an encrypted recording. The
player is handed what opens this one recording on its standard input, and encrypts what it observes for the same recipients. (If this tool
itself is killed, the folder stays until the next replay: `signet-parity-*` where temporary files lie.)
"""

import hashlib
import json
import math
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from replay.archive import Archive, Keyring, narrowed, public_keys, read
from replay.daemon import CellReport, DaemonSpec, StartedCell, check_target, load_daemon, started_cell
from replay.daemon.cell import RECORDED_PORT
from replay.daemon.tether import tethered
from replay.jobs.clocks import began_at, check_clock, set_clock
from replay.jobs.foretelling import explain, foretell, lay_out
from replay.jobs.judging import readers_of
from replay.jobs.old_keys import find_taken_keys, renew_keys
from replay.jobs.outbox import open_outbox
from replay.jobs.outline import outline
from replay.jobs.pairing import run_pair, tell_pair
from replay.jobs.resuming import Wanted, make_room, make_room_for_pair
from replay.jobs.scratch import Scratch, open_scratch, remove_abandoned
from replay.jobs.standing import standing, tell
from replay.jobs.stretching import Remembered, find_remembered
from replay.model import DaemonError, ParityError, UsageError
from replay.plan import Stretch, find_stretch
from replay.play.providing import served_lanes
from replay.play.turns import SIDES
from replay.redact import Redactor
from replay.report import visible
from replay.routes import REPLAY_CLASSES, by_name

type Progress = Callable[[str, int, int], None]

_INCOMPLETE: Final = 2
_KNOWN_BYTES_MAX: Final = 1024 * 1024
_UNORDERED: Final = frozenset(
    {
        "archive",
        "observed",
        "control_observed",
        "as_json",
        "daemon",
        "resume",
        "dry_run",
        "known_secrets",
        "redaction_key",
        "extra_arguments",
        "keys",
        "scratch",
    }
)


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
    clock: str = "now"
    """What the daemon's clock shows: the host's `now`, or the time as `recorded`."""
    only: int | None = None
    start: int | None = None
    """The number of the snapshot to start from; None: the first one, and the whole recording."""
    until: str | None = None
    """Where to end: an event number, or `snapshot N`."""
    allow: tuple[str, ...] = ()
    cell: str = "auto"
    provider: str = "recorded"
    """Who answers what the daemon asks its models: the recording's own lanes, or a companion of the daemon's description."""
    dry_run: bool = False
    as_json: bool = False
    """What a dry run says, as JSON."""
    salvage: bool = False
    known_secrets: tuple[str, ...] = ()
    """Secrets that clients sent (a login's password): put back in the place of their placeholders."""
    redaction_key: Path | None = None
    """The key of the recorder's installation, which made those placeholders."""
    extra_arguments: tuple[str, ...] = ()
    """Added to the daemon's command; the demo's faults."""
    keys: Keyring = field(default_factory=Keyring, repr=False)
    """What opens the recording, where it is encrypted; what is observed is encrypted for the same recipients."""
    control_daemon: str | None = None
    """Replay on this daemon too, at the same time, in turns; with `control_observed`."""
    control_observed: Path | None = None
    resume: bool = False
    """Set an incomplete archive of the same replay aside and play again; a complete one is left as it is, and nothing is played."""
    scratch: Path | None = None
    """Where the cell's directory goes and stays, with the daemon's state as it was left; else a temporary one, deleted when all went well."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM in mid-replay; the text says what was observed until then, and where it is."""


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
    stretch = find_stretch(recorded.snapshots(), order.start, order.until)
    if order.only is not None and order.only not in outline(recorded).statuses:
        raise UsageError(f"--only: no exchange {order.only} in {order.archive}; `signet-parity inspect` lists them")
    if order.dry_run:
        return Replayed(_foretell(recorded, order, stretch), 0)
    spec = None if order.daemon is None else load_daemon(order.daemon, extra_arguments=order.extra_arguments)
    check_clock(order.clock, spec)
    left = remove_abandoned()
    if order.control_daemon is not None:
        return _pair(recorded, order, stretch, left, progress)
    room = make_room(recorded, order.observed, _ordered(order, spec), resume=order.resume, keys=order.keys)
    if room.complete:
        return Replayed(room.text, 0)
    try:
        if spec is None:
            replayed = _on_target(recorded, order, stretch)
        else:
            progress("laying out the state", 0, 1)
            with open_scratch(order.scratch, private=any(public_keys(recorded))) as scratch:
                replayed = _in_cell(recorded, order, stretch, spec, scratch)
    except ParityError as error:
        stands = standing(order.observed, order.keys) if isinstance(error, DaemonError) else ""
        raise type(error)("\n".join(filter(None, (str(error), stands, room.text)))) from error
    except KeyboardInterrupt as error:
        raise Interrupted("\n".join(filter(None, (standing(order.observed, order.keys), room.text)))) from error
    said = "".join(f"\nnote: {text}" for text in (*left, *([room.text] if room.text else [])))
    return replace(replayed, text=replayed.text + said)


def _pair(recorded: Archive, order: Order, stretch: Stretch, left: tuple[str, ...], progress: Progress) -> Replayed:
    """Replay on two daemons at the same time; `replay_archive` says the rest."""
    assert order.control_observed is not None
    orders = (order, replace(order, daemon=order.control_daemon, observed=order.control_observed))
    specs = [load_daemon(str(each.daemon), extra_arguments=each.extra_arguments) for each in orders]
    wanted = [Wanted(each.observed, _ordered(each, spec)) for each, spec in zip(orders, specs, strict=True)]
    room = make_room_for_pair(recorded, wanted, resume=order.resume, keys=order.keys)
    if room.complete:
        return Replayed(room.text, 0)
    places = (order.observed, order.control_observed)

    def stand() -> str:
        return "\n".join(filter(None, (*(standing(place, order.keys) for place in places), room.text)))

    try:
        progress("laying out the state", 0, 1)
        with open_scratch(order.scratch, private=any(public_keys(recorded))) as scratch:
            laid = _lay(recorded, order, stretch, scratch)
            notes: list[list[str]] = [[], []]

            def start(side: int, socket: Path) -> AbstractContextManager[StartedCell]:
                turn = {"turns": str(socket), "side": SIDES[side]}
                return _started(recorded, orders[side], stretch, specs[side], scratch, laid, notes[side], turn=turn)

            outcomes = run_pair(start, scratch.path, recorded.digest)
    except ParityError as error:
        raise type(error)(f"{error}\n{stand()}") from error
    except KeyboardInterrupt as error:
        raise Interrupted(stand()) from error
    said, codes = [], []
    for side, (each, outcome) in enumerate(zip(orders, outcomes, strict=True)):
        if isinstance(outcome, DaemonError):
            text, code = f"{visible(str(outcome), keep_lines=True)}\n{standing(each.observed, order.keys)}", _INCOMPLETE
        else:
            told = _tell(recorded, each, outcome.player_exit, outcome, [*notes[side], *laid.remembered.lines()])
            text, code = told.text, told.exit_code
        said.append(f"{SIDES[side]}, {each.daemon}: {text}")
        codes.append(code)
    said += [tell_pair(places, order.keys), *(f"note: {text}" for text in left), *([f"note: {room.text}"] if room.text else [])]
    return Replayed("\n".join(said), max(codes), next((each for each in outcomes if isinstance(each, CellReport)), None))


def known_lines(path: Path | None) -> tuple[str, ...]:
    """
    Read known secrets, one a line.

    Raises:
        UsageError: the file can't be read.

    """
    if path is None:
        return ()
    try:
        with path.open("rb") as file:
            known = file.read(_KNOWN_BYTES_MAX + 1)
        if len(known) > _KNOWN_BYTES_MAX:
            raise UsageError(f"{path}: more than {_KNOWN_BYTES_MAX} bytes are no list of known secrets; name another file")
        return tuple(line for line in known.decode().splitlines() if line)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: the known secrets can't be read ({error})") from error


def recorded_workspace(recorded: Archive) -> str | None:
    """The path at which the recorded daemon had its workspace; None where the recording does not say."""
    snapshots = recorded.snapshots()
    return snapshots[0].workspace if snapshots else None


def _check(order: Order) -> None:
    if (order.daemon is None) == (order.target is None):
        raise UsageError("name either a --daemon to start in a cell, or the --target URL of one that is running")
    if (order.control_daemon is None) != (order.control_observed is None):
        raise UsageError("two cells at once need both --control-daemon and --control-observed")
    if order.control_observed is not None and (order.target is not None or order.control_observed.resolve() == order.observed.resolve()):
        raise UsageError("two cells at once are of two daemons that are started, with an archive each: give --daemon, and another place")
    inside = order.archive.resolve()
    for place in filter(None, (order.observed, order.control_observed)):
        if inside in place.resolve().parents:
            raise UsageError(f"{place}: lies in the recording itself, which nothing is added to; name another place")
    if order.cell not in {"auto", "namespace", "mapped"}:
        raise UsageError(f"--cell {order.cell}: must be auto, namespace or mapped")
    if order.provider not in {"recorded", "companion"}:
        raise UsageError(f"--provider {order.provider}: must be recorded or companion")
    _pace(order.pace)
    known = REPLAY_CLASSES | by_name().keys() | {"all"}
    for name in order.allow:
        if name not in known:
            raise UsageError(f"--allow {name}: is neither a replay class ({', '.join(sorted(REPLAY_CLASSES))}), nor a route, nor all")


def _pace(text: str) -> str | float:
    if text in {"asap", "recorded"}:
        return text
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text) and 0 < float(text) < math.inf:
        return float(text)
    raise UsageError(f"--pace {text}: must be asap, recorded, or a factor above 0")


def _foretell(recorded: Archive, order: Order, stretch: Stretch) -> str:
    workers: tuple[str, ...] = ()
    if order.daemon is not None:
        with suppress(UsageError):  # what it needs to be started is not there yet; a dry run starts nothing
            workers = tuple(drained.worker for drained in load_daemon(order.daemon).drained)
    return foretell(
        recorded,
        order.state,
        stretch,
        allow=frozenset(order.allow),
        only=order.only,
        pace=_pace(order.pace),
        workers=workers,
        reads_only=order.target is not None and not order.writes,
        as_json=order.as_json,
    )


@dataclass(frozen=True, slots=True)
class _Laid:
    """The state to start from, before any cell has its copy."""

    state: Path
    dropped: tuple[str, ...]
    remembered: Remembered
    api_keys: Mapping[str, str]


def _lay(recorded: Archive, order: Order, stretch: Stretch, scratch: Scratch) -> _Laid:
    state, dropped = lay_out(recorded, order.state, stretch, scratch.path)
    began = began_at(recorded, stretch) if order.clock == "now" else None  # else their ends are right as they are
    api_keys = {} if order.state is not None else renew_keys(state, find_taken_keys(recorded.records()), began)
    return _Laid(state, tuple(dropped), find_remembered(recorded, stretch, state), api_keys)


def _in_cell(recorded: Archive, order: Order, stretch: Stretch, spec: DaemonSpec, scratch: Scratch) -> Replayed:
    laid = _lay(recorded, order, stretch, scratch)
    notes: list[str] = []
    with _started(recorded, order, stretch, spec, scratch, laid, notes) as cell:
        report = cell.wait()
    return _tell(recorded, order, report.player_exit, report, [*notes, *laid.remembered.lines(), *explain(recorded, order.only, stretch)])


@contextmanager
def _started(  # noqa: PLR0917 - one replay's circumstances, all needed
    recorded: Archive,
    order: Order,
    stretch: Stretch,
    spec: DaemonSpec,
    scratch: Scratch,
    laid: _Laid,
    notes: list[str],
    *,
    turn: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[StartedCell]:
    """Have a cell with its player while the block lasts; *notes* takes what is to be said of it."""
    clocked, clock = set_clock(spec, order.clock, began_at(recorded, stretch))
    job = {**_job(recorded, order, stretch, laid.remembered, spec), "login": _login(spec), "clock_behind_s": clock.behind_s, **turn}
    job["api_keys"] = dict(laid.api_keys)
    # The player writes beside the cell and the archive moves afterwards: its destination may be a place that no cell should write to.
    hidden = [path for path in (spec.workspace or recorded_workspace(recorded), spec.home, *(mount.target for mount in spec.mounts)) if path]
    with (
        open_outbox(order.observed, hidden=hidden, scratch=scratch.path) as outbox,
        started_cell(
            clocked,
            state=laid.state,
            recorded_workspace=recorded_workspace(recorded),
            player=[sys.executable, "-m", "replay.play", "-"],
            player_input=json.dumps({**job, "observed": str(outbox.written)}).encode(),
            scratch=scratch.path,
            kind=order.cell,  # type: ignore[arg-type]  # checked above
            recorded_port=_recorded_port(recorded),
            visible=[order.archive.absolute(), *_code()],
            writable=[outbox.folder, *(Path(turn["turns"]).parent for _ in turn.keys() & {"turns"})],
            machine_id=_machine_id(recorded, order, stretch),
            held=(*scratch.held, *outbox.held),
            lanes=served_lanes(recorded) if order.provider == "recorded" else (),
        ) as cell,
    ):
        notes += [*clock.notes, *(f"left out of the state: {text}" for text in laid.dropped), *([outbox.note] if outbox.note else [])]
        yield cell


def _login(spec: DaemonSpec) -> dict[str, str]:
    """Give what the description's daemon takes for a login; empty where it does not say it."""
    password = spec.environment.get("SIGNET_ADMIN_PASSWORD")
    return {"username": spec.environment.get("SIGNET_ADMIN_USERNAME", "admin"), "password": password} if password else {}


def _machine_id(recorded: Archive, order: Order, stretch: Stretch) -> str:
    """Give what opens the store of secrets of the state; empty where that is the host's own or there is none."""
    return "" if order.state is not None else recorded.snapshots()[stretch.place - 1].machine_id


def _on_target(recorded: Archive, order: Order, stretch: Stretch) -> Replayed:
    assert order.target is not None
    target = check_target(order.target, writes=order.writes, recorded_workspace=recorded_workspace(recorded))
    with (
        tempfile.TemporaryDirectory(prefix="signet-parity-") as folder,
        open_outbox(order.observed, hidden=(), scratch=Path(folder)) as outbox,
    ):
        facts = Path(folder) / "facts.json"
        job = json.dumps(
            {**_job(recorded, order, stretch, Remembered(), None), "observed": str(outbox.written), "reads_only": not target.writes}
        ).encode()
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
    return _tell(recorded, order, done.returncode, None, explain(recorded, order.only, stretch))


def _job(recorded: Archive, order: Order, stretch: Stretch, remembered: Remembered, spec: DaemonSpec | None) -> dict[str, Any]:
    return {
        "recorded": str(order.archive.absolute()),
        "allow": list(order.allow),
        "only": order.only,
        "stretch": asdict(stretch),
        "lost": sorted(remembered.lost),
        "salvage": order.salvage,
        "pace": _pace(order.pace),
        "replacements": _replacements(recorded, order),
        "keys": narrowed(recorded).as_json(),
        "ordered": _ordered(order, spec),
        "recipients": [public.hex() for public in readers_of([recorded]).keys],
    }


def _ordered(order: Order, spec: DaemonSpec | None) -> dict[str, Any]:
    """Say what was asked for, but for names and secrets: a replay is resumed only by the same."""
    values = {each.name: getattr(order, each.name) for each in fields(order) if each.name not in _UNORDERED}
    told = {
        name: str(value.absolute()) if isinstance(value, Path) else list(value) if isinstance(value, tuple) else value
        for name, value in values.items()
    }
    description = "" if spec is None else hashlib.sha256(repr(spec).encode()).hexdigest()[:16]
    return {**told, "daemon": order.daemon if spec is None else spec.name, "description": description}


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


def _tell(recorded: Archive, order: Order, player_exit: int, report: CellReport | None, notes: Sequence[str]) -> Replayed:
    text, complete = tell(recorded, order.observed, order.keys, player_exit=player_exit, report=report, notes=notes)
    return Replayed(text, 0 if complete else _INCOMPLETE, report)


__all__ = ["Interrupted", "Order", "Progress", "Replayed", "known_lines", "recorded_workspace", "replay_archive"]
