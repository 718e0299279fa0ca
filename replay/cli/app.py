"""The commands and their options. Each one calls a job and prints what it gives."""

import datetime as dt
from contextlib import suppress
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Final

import typer

from replay.cli.console import note, progress, say
from replay.cli.keyring import KeysOption, find_keys
from replay.cli.keys import keys_application
from replay.cli.record import record
from replay.cli.rules import rules_application, strength
from replay.model import UsageError

application = typer.Typer(
    name="signet-parity",
    help="Record what clients ask Signet's JS daemon, replay it offline on the Rust daemon, and judge where the two differ.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


class Bodies(StrEnum):
    """How much of the answers a report holds."""

    NONE = "none"
    DIFF = "diff"
    FULL = "full"


class Format(StrEnum):
    """What a report is written as."""

    TABLE = "table"
    HTML = "html"
    MARKDOWN = "markdown"
    JUNIT = "junit"
    JSON = "json"


ArchivePath = Annotated[Path, typer.Argument(help="An archive: a directory such as recordings/2026-11-23T120000Z.parity.", metavar="ARCHIVE")]
RunPath = Annotated[Path, typer.Argument(help="A run, as `compare … --run` made it.", metavar="RUN")]
RulesOption = Annotated[Path | None, typer.Option("--rules", help="A TOML file of signed exceptions.")]
NoiseOption = Annotated[Path | None, typer.Option("--noise", help="A noise file, as `noise` makes it.")]
SalvageOption = Annotated[bool, typer.Option("--salvage", help="Also open an archive that was cut; everything says so.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


_ANYTHING: Final = {"allow_extra_args": True, "ignore_unknown_options": True}
"""What is not there yet says so, whatever it is asked."""


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _version(wanted: bool) -> None:
    if wanted:
        say(f"signet-parity {version('signet-parity')}")
        raise typer.Exit


@application.callback()
def everywhere(
    *, _wanted: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which version this is.")] = False
) -> None:
    """Record what clients ask Signet's JS daemon, replay it offline on the Rust daemon, and judge where the two differ."""


@application.command()
def demo(
    folder: Annotated[Path | None, typer.Option("--folder", help="Where to put it; a new temporary folder otherwise.")] = None,
    fault: Annotated[list[str] | None, typer.Option("--fault", help="Also switch this fault of the candidate on; repeatable.")] = None,
    runtime: Annotated[str, typer.Option("--candidate", help="The candidate's runtime: rust, or js to see that nothing is found.")] = "rust",
) -> None:
    """Record, replay and judge on the embedded pair of daemons; under a minute."""
    from replay.jobs.tour import demonstrate

    with progress() as told:
        tour = demonstrate(folder, candidate=runtime, faults=tuple(fault or ()), now=_now(), progress=told)
    say(tour.text)
    raise typer.Exit(tour.exit_code)


application.command()(record)


@application.command()
def inspect(
    archive: ArchivePath,
    exchange: Annotated[int | None, typer.Argument(help="Show this exchange whole.", metavar="ID")] = None,
    *,
    salvage: SalvageOption = False,
    keys: KeysOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what is in an archive, or how one that is being recorded goes; with an ID, one exchange whole."""
    from replay.jobs.looking import describe

    say(describe(archive, exchange, salvage=salvage, keys=find_keys(keys), as_json=as_json, now=_now().timestamp()))


@application.command()
def verify(archive: ArchivePath, *, keys: KeysOption = None, as_json: JsonOption = False) -> None:
    """Check an archive's integrity, counts and leftover secrets; exit 2 where something is wrong."""
    from replay.jobs.looking import check_archive

    text, good = check_archive(archive, keys=find_keys(keys), as_json=as_json)
    say(text)
    raise typer.Exit(0 if good else 2)


@application.command("import")
def import_(
    source: Annotated[Path, typer.Argument(help="A .mitm file (also .xz, .gz, .zst), or a HAR (.har, .zhar).", metavar="SOURCE")],
    destination: Annotated[Path, typer.Argument(help="The new archive.", metavar="DESTINATION")],
    *,
    first: Annotated[int | None, typer.Option("--first", min=1, help="Only the first N exchanges, in the order they started.")] = None,
    redact: Annotated[bool, typer.Option("--redact", help="Replace credentials by placeholders.")] = False,
    snapshot: Annotated[Path | None, typer.Option("--snapshot", help="The workspace they started from: a directory or a tar.")] = None,
    workspace: Annotated[str | None, typer.Option("--workspace", help="The path at which the recorded daemon had it.")] = None,
    salvage: Annotated[bool, typer.Option("--salvage", help="Of a flow file that is cut, take what lies before the damage.")] = False,
) -> None:
    """Make an archive of a mitmproxy flow file or a HAR. Nothing is lost; nothing is redacted unless asked."""
    from replay.jobs.exchanging import bring_in

    with progress() as told:
        made = bring_in(source, destination, first=first, redact=redact, snapshot=snapshot, workspace=workspace, progress=told, salvage=salvage)
    say(made)


@application.command()
def export(
    source: Annotated[Path, typer.Argument(help="An archive, or a judged run.", metavar="SOURCE")],
    destination: Annotated[Path, typer.Argument(help="The new file: .mitm (also .xz, .gz), or .har.", metavar="DESTINATION")],
    *,
    salvage: SalvageOption = False,
    keys: KeysOption = None,
) -> None:
    """Write an archive as a mitmproxy flow file or a HAR (by its ending), or a judged run with its verdicts as a flow file."""
    from replay.jobs.exchanging import is_encrypted, send_out

    say(send_out(source, destination, salvage=salvage, keys=find_keys(keys)))
    if is_encrypted(source):
        _warn_clear(source)


@application.command()
def replay(
    archive: ArchivePath,
    observed: Annotated[Path, typer.Option("--observed", help="The new archive of what the daemon answers.")],
    *,
    daemon: Annotated[str | None, typer.Option("--daemon", help="js, rust, demo-js, demo-rust, or a TOML file that describes one.")] = None,
    target: Annotated[str | None, typer.Option("--target", help="Instead: the loopback URL of a daemon that is running already.")] = None,
    writes: Annotated[bool, typer.Option("--writes", help="Let a --target be written to; it must prove that it is not production.")] = False,
    state: Annotated[Path | None, typer.Option("--state", help="Start from this workspace (directory or tar), not from the snapshot.")] = None,
    pace: Annotated[str, typer.Option("--pace", help="asap, recorded, or a factor such as 2 for twice as fast.")] = "asap",
    clock: Annotated[str, typer.Option("--clock", help="What the daemon's clock shows: now, or the time as recorded (libfaketime).")] = "now",
    only: Annotated[int | None, typer.Option("--only", help="One exchange with all it depends on.")] = None,
    start: Annotated[
        int | None, typer.Option("--from", help="Start from this snapshot's number; `inspect` shows them.", metavar="SNAPSHOT")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", help="End before this event number, or `snapshot N`.", metavar="EVENT")] = None,
    allow: Annotated[list[str] | None, typer.Option("--allow", help="A replay class or route that acts outside, or all; repeatable.")] = None,
    cell: Annotated[str, typer.Option("--cell", help="auto, namespace or mapped.")] = "auto",
    provider: Annotated[
        str, typer.Option("--provider", help="Who answers for models: recorded (lanes of the recording, if any) or companion.")
    ] = "recorded",
    known_secrets: Annotated[
        Path | None, typer.Option("--known-secrets", help="A file of secrets that clients sent (a password), one a line.")
    ] = None,
    redaction_key: Annotated[Path | None, typer.Option("--redaction-key", help="The recorder's key, which hid those secrets.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be sent, left out and waited for.")] = False,
    control_daemon: Annotated[
        str | None, typer.Option("--control-daemon", help="Replay on this daemon too, at the same time, exchange by exchange in turns.")
    ] = None,
    control_observed: Annotated[Path | None, typer.Option("--control-observed", help="The new archive of what that one answers.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Set an incomplete archive of the same replay aside and play again.")] = False,
    salvage: SalvageOption = False,
    keys: KeysOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what --dry-run says as JSON.")] = False,
) -> None:
    """Send a recording's requests to a daemon in a cell of its own and record what it answers."""
    from replay.jobs.replaying import Interrupted, Order, known_lines, replay_archive

    order = Order(
        archive=archive,
        observed=observed,
        daemon=daemon,
        target=target,
        writes=writes,
        state=state,
        pace=pace,
        clock=clock,
        only=only,
        start=start,
        until=until,
        allow=tuple(allow or ()),
        cell=cell,
        provider=provider,
        dry_run=dry_run,
        as_json=as_json,
        control_daemon=control_daemon,
        control_observed=control_observed,
        resume=resume,
        salvage=salvage,
        known_secrets=known_lines(known_secrets),
        redaction_key=redaction_key,
        keys=find_keys(keys),
    )
    try:
        with progress() as told:
            result = replay_archive(order, told)
    except Interrupted as stopped:
        note(str(stopped))
        raise
    say(result.text)
    raise typer.Exit(result.exit_code)


@application.command()
def compare(
    recorded: Annotated[Path, typer.Argument(help="The recording.", metavar="RECORDED")],
    observed: Annotated[Path, typer.Argument(help="The observed archive, or another recording of the same client.", metavar="OBSERVED")],
    run: Annotated[Path, typer.Option("--run", help="Where to put the judged run.")],
    *,
    control: Annotated[list[Path] | None, typer.Option("--control", help="The primary replayed again; repeatable.")] = None,
    rules: RulesOption = None,
    noise: NoiseOption = None,
    seed: Annotated[int, typer.Option("--seed", help="Draws the canaries.")] = 0,
    salvage: SalvageOption = False,
    keys: KeysOption = None,
) -> None:
    """Compare two archives, judge what differs, and keep the run."""
    from replay import runs
    from replay.jobs.judging import compare_run, exit_code, load_basis, open_archives, readers_of
    from replay.report import table

    basis = load_basis(rules, noise)
    recording, observation, controls = open_archives(recorded, observed, control or [], salvage=salvage, keys=find_keys(keys))
    readers = readers_of([recording, observation, *controls])
    with runs.claim(run):
        with progress() as told:
            judged = compare_run(recording, observation, controls, basis, run_path=run, seed=seed, now=_now(), progress=told)
        runs.save(judged, run, recipients=readers.keys)
    for text in readers.notes:
        note(text)
    say(table(judged))
    raise typer.Exit(exit_code(judged))


@application.command()
def judge(run: RunPath, *, rules: RulesOption = None, noise: NoiseOption = None, keys: KeysOption = None) -> None:
    """Judge a run again by other rules or noise, without comparing again."""
    from replay import runs
    from replay.jobs.judging import exit_code, judge_again, load_basis
    from replay.report import table

    basis = load_basis(rules, noise)
    judged = judge_again(runs.load(run, keys=find_keys(keys)), basis, now=_now())
    if basis.rules.modes:
        note("the rules say how routes are compared ([[compare]]): that counts when they are compared again; here they are judged as they were")
    runs.save(judged, run, recipients=runs.recipients_of(run))
    say(table(judged))
    raise typer.Exit(exit_code(judged))


@application.command()
def noise(
    archives: Annotated[list[Path], typer.Argument(help="A recording and replays of it on the same daemon.", metavar="ARCHIVE ARCHIVE…")],
    out: Annotated[Path, typer.Option("--out", help="The new noise file.")],
    *,
    salvage: SalvageOption = False,
    keys: KeysOption = None,
) -> None:
    """Learn what the primary does differently from itself."""
    from replay.archive import read
    from replay.jobs.judging import measure_noise
    from replay.judge import noise_text

    ring = find_keys(keys)
    with progress() as told:
        model = measure_noise([read(path, salvage=salvage, keys=ring) for path in archives], told)
    _write(out, noise_text(model))
    say(f"{model.summary()}, learned from {len(archives)} archives: {out}")


application.add_typer(rules_application, name="rules")
application.command()(strength)


@application.command()
def report(
    run: RunPath,
    *,
    form: Annotated[Format, typer.Option("--format", help="What to write.")] = Format.TABLE,
    bodies: Annotated[
        Bodies, typer.Option("--bodies", help="How much of the traffic to show: nothing, what differs in the answers, or all.")
    ] = Bodies.DIFF,
    against: Annotated[Path | None, typer.Option("--against", help="An older run: Markdown of what is new, gone and still there.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write to this file, not to stdout.")] = None,
    keys: KeysOption = None,
) -> None:
    """Show a run: on the terminal, as a page, as Markdown, JUnit or JSON."""
    from replay import runs
    from replay.jobs.reporting import render

    ring = find_keys(keys)
    older = None if against is None else runs.load(against, keys=ring)
    text = render(runs.load(run, keys=ring), form.value, bodies.value, older)
    if out is None:
        say(text)
    else:
        _write(out, text)
        note(f"wrote {out}")
    if runs.recipients_of(run) and (out is not None or form is Format.HTML):
        _warn_clear(run)


@application.command()
def explain(
    run: RunPath,
    identifier: Annotated[str, typer.Argument(help="A cause such as k-7f3a, a place such as c-19bd, or an exchange such as 31.", metavar="ID")],
    *,
    keys: KeysOption = None,
) -> None:
    """Tell one divergence whole: both answers, why it was judged so, how to see it again."""
    from replay import runs
    from replay.jobs.reporting import tell

    say(tell(runs.load(run, keys=find_keys(keys)), identifier))


@application.command()
def nightly(
    config: Annotated[Path, typer.Argument(help="A TOML file: recording, candidate, control, rules, noise, ledger, …", metavar="CONFIG")],
    *,
    keys: KeysOption = None,
) -> None:
    """Replay, control, compare and report in one go, and append the night to the ledger."""
    from replay.jobs.nightly import load_plan, run_night

    ring = find_keys(keys or load_plan(config).keys)
    with progress() as told:
        night = run_night(config, now=_now(), progress=told, keys=ring)
    say(night.text)
    raise typer.Exit(night.exit_code)


@application.command()
def gate(
    ledger: Annotated[Path, typer.Argument(help="A ledger, as `nightly` keeps it.", metavar="LEDGER")], *, as_json: JsonOption = False
) -> None:
    """Say whether the evidence is enough to cut over, and what blocks."""
    from replay.jobs.reporting import decide

    text, good = decide(ledger, as_json=as_json, now=_now().timestamp())
    say(text)
    raise typer.Exit(0 if good else 1)


@application.command()
def status(
    ledger: Annotated[Path, typer.Argument(help="A ledger, as `nightly` keeps it.", metavar="LEDGER")], *, as_json: JsonOption = False
) -> None:
    """Show the nine-domain checklist: each feature as the last night that compared it left it."""
    from replay.jobs.reporting import checklist_text

    say(checklist_text(ledger, as_json=as_json))


application.add_typer(keys_application, name="keys")


@application.command(context_settings=_ANYTHING)
def check() -> None:
    """Check state, schema, secrets, recall, pipeline, rollback or footprint (not there yet)."""
    raise _missing("check")


@application.command(context_settings=_ANYTHING)
def runtime() -> None:
    """Start or roll back a runtime, guarded (not there yet)."""
    raise _missing("runtime")


def _warn_clear(source: Path) -> None:
    note(f"{source} is encrypted, and what was written of it is in clear: keep that as private as the keys")


def _missing(name: str) -> UsageError:
    return UsageError(f"`signet-parity {name}` is not built yet; see CHANGELOG.md for what is there")


def _write(path: Path, text: str) -> None:
    # A file that was there stays whole until the new one is; what is no file (/dev/stdout) is written to as it is.
    plain = path.is_file() or not path.exists()
    draft = path.resolve().with_name(f".{path.name}.draft") if plain else path
    try:
        if plain:
            # As private as a recording: it may hold the same answers.
            draft.touch(0o600)
        draft.write_text(text, "utf-8", "backslashreplace")
        if plain:
            draft.replace(path.resolve())
    except OSError as error:
        if plain:
            with suppress(OSError):
                draft.unlink()
        raise UsageError(f"{path}: can't be written ({error.strerror}); name another file") from error


__all__ = ["application"]
