"""What rules there are and what they would silence, and how strong a judgement is."""

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from replay.cli.console import progress, say
from replay.cli.keyring import KeysOption, find_keys

rules_application = typer.Typer(no_args_is_help=True, help="What rules there are and what they would silence.", rich_markup_mode=None)

RulesPath = Annotated[Path, typer.Argument(help="A rules file.", metavar="FILE")]
NoiseOption = Annotated[Path | None, typer.Option("--noise", help="A noise file, as `noise` makes it.")]
SeedOption = Annotated[int, typer.Option("--seed", help="Draws the faults.")]


@rules_application.command("list")
def rules_list(
    rules: RulesPath,
    *,
    run: Annotated[Path | None, typer.Option("--run", help="Count what each rule covers in this run.")] = None,
    keys: KeysOption = None,
) -> None:
    """List a file's rules: which have expired, and with a run, what each covers and decides."""
    from replay import runs
    from replay.jobs.judging import load_basis
    from replay.jobs.ruling import list_rules
    from replay.report import visible

    loaded = load_basis(rules, None).rules
    judged = None if run is None else runs.load(run, keys=find_keys(keys))
    say(visible(list_rules(loaded, judged, _today()), keep_lines=True))


@rules_application.command("try")
def rules_try(
    rules: RulesPath,
    run: Annotated[Path, typer.Option("--run", help="The run whose divergences the rules are tried on.")],
    *,
    archives: Annotated[
        list[Path] | None, typer.Option("--archives", help="The run's archives, where they have moved: recorded, observed, control; repeatable.")
    ] = None,
    noise: NoiseOption = None,
    mutants: Annotated[int | None, typer.Option("--mutants", min=0, help="How many faults to plant; 0 for none.")] = None,
    seed: SeedOption = 0,
    keys: KeysOption = None,
) -> None:
    """
    Show what a rules file would silence in a run, in divergences and in planted faults; nothing is saved.

    Exit 1 where a rule is unused, shadowed, expired or over-broad, or lets faults through of another kind than it silences.
    """
    from replay import runs
    from replay.jobs import ruling
    from replay.jobs.judging import load_basis
    from replay.model import UsageError
    from replay.report import visible

    if archives is not None and len(archives) < 2:
        raise UsageError("--archives wants at least the recorded and the observed archive, in this order")
    basis = load_basis(rules, noise)
    ring = find_keys(keys)
    judged = runs.load(run, keys=ring)
    effect = ruling.try_rules(judged, basis, _today())
    named = None if archives is None else (archives[0], archives[1], archives[2:])
    count = ruling.MUTANTS if mutants is None else mutants
    opened = ruling.archives_of(judged, run, named, ring) if count else None
    if opened is not None:
        with progress() as told:
            effect = ruling.try_on_archives(effect, opened, basis, count=count, seed=seed, progress=told)
    say(visible(ruling.effect_text(effect), keep_lines=True))
    raise typer.Exit(0 if effect.good else 1)


def strength(
    recorded: Annotated[Path, typer.Argument(help="The recording.", metavar="RECORDED")],
    observed: Annotated[Path, typer.Argument(help="The observed archive, or another recording of the same client.", metavar="OBSERVED")],
    *,
    control: Annotated[list[Path] | None, typer.Option("--control", help="The primary replayed again.")] = None,
    rules: Annotated[Path | None, typer.Option("--rules", help="A TOML file of signed exceptions.")] = None,
    noise: NoiseOption = None,
    mutants: Annotated[int | None, typer.Option("--mutants", min=1, help="How many faults to plant; 1,000 otherwise.")] = None,
    seed: SeedOption = 0,
    run: Annotated[Path | None, typer.Option("--run", help="Also keep the figures in this run of the same archives.")] = None,
    salvage: Annotated[bool, typer.Option("--salvage", help="Also open an archive that was cut; everything says so.")] = False,
    keys: KeysOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """
    Plant faults into the observed answers, one at a time, and say how many the comparison, rules and noise let through.

    Exit 1 where any was let through.
    """
    import json
    from dataclasses import asdict

    from replay import runs
    from replay.jobs import strength as job
    from replay.jobs.judging import load_basis, open_archives
    from replay.model import UsageError
    from replay.report import visible

    basis, ring = load_basis(rules, noise), find_keys(keys)
    opened = open_archives(recorded, observed, control or [], salvage=salvage, keys=ring)
    kept = None if run is None else runs.load(run, keys=ring)
    if kept is not None and (kept.recorded.archive, kept.observed.archive) != (opened[0].id, opened[1].id):
        raise UsageError(f"{run}: is a run of other archives; name the run that was made of these two")
    with progress() as told:
        bench = job.prepare(*opened, basis.rules, basis.noise, told)
        trials = job.try_faults(bench, lambda _: True, count=mutants or job.MUTANTS, seed=seed, progress=told)
        found = job.summarise(trials, bench.comparison.relations, job.try_delays(bench.comparison.pairs))
    if kept is not None and run is not None:
        runs.save(replace(kept, strength=found), run, recipients=runs.recipients_of(run))
    if as_json:
        say(json.dumps([asdict(one) for one in found], indent=1, ensure_ascii=False))
    else:
        say(visible(job.strength_text(found), keep_lines=True))
    raise typer.Exit(1 if job.survivors_of(found) else 0)


def _today() -> dt.date:
    return dt.datetime.now(dt.UTC).date()


__all__ = ["rules_application", "strength"]
