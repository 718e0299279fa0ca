"""
What rules do: a file's rules with their counts in a run, and what a new file would silence before it is used.

How this works
--------------
`list` tells each rule of a file; with a run, how many of its findings each covers and decides, and what is odd about it. `try` judges a run's
findings by the new file beside the verdicts that they have: what is open now and would not be is *silenced*, the other way round *reopened*.
Where the run's archives are still there, faults are planted into answers of the routes that the new rules speak of: what a rule lets
through beside the kinds of findings that it silences anyway is what it would hide tomorrow.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from replay.archive import Archive, Keyring
from replay.jobs.judging import Basis, open_archives
from replay.jobs.strength import Trial, prepare, try_faults
from replay.judge import RuleSet, judge, paths
from replay.judge.usage import Usage
from replay.model import Divergence, Rule, RuleUse, UsageError, Verdict
from replay.runs import Run

type Progress = Callable[[str, int, int], None]

MUTANTS: Final = 400
_EXAMPLES: Final = 4


@dataclass(frozen=True, slots=True)
class Effect:
    """What a file of rules would do to a run."""

    silenced: tuple[Divergence, ...]
    """Open now, and no more (as the new rules judge them)."""
    reopened: tuple[Divergence, ...]
    """Accepted now, and open then."""
    uses: tuple[RuleUse, ...]
    trials: tuple[Trial, ...] = ()
    """Of faults that the new rules would let through."""
    planted: int = 0
    tried: bool = False
    """Whether there were archives to plant into."""

    @property
    def good(self) -> bool:
        """Whether nothing is odd about any rule."""
        return not any(use.notes for use in self.uses) and not any(hides_more(trial, self.silenced) for trial in self.trials)


def list_rules(rules: RuleSet, run: Run | None, today: dt.date) -> str:
    """Tell each rule of a file, with its counts where there is a run."""
    usage = Usage(rules, today)
    for finding in () if run is None else run.findings:
        usage.decide(finding)
    expired = set(rules.expired(today))
    lines = [
        _rule_line(rule, use if run is not None else None, expired=rule.id in expired)
        for rule, use in zip(rules.rules, usage.told(), strict=True)
    ]
    lines += [f"compare {route}: {mode}" for route, mode in rules.modes]
    return "\n".join([*lines, f"{len(rules.rules)} rules, {len(expired)} expired"])


def try_rules(run: Run, basis: Basis, today: dt.date) -> Effect:
    """Judge a run's findings by the rules of *basis* and hold that against the verdicts that they have."""
    judgement = judge(run.findings, basis.rules, basis.noise, today)
    silenced, reopened = [], []
    for before, after in zip(run.divergences, judgement.divergences, strict=True):
        if before.verdict is Verdict.OPEN and after.verdict is Verdict.DOCUMENTED:
            silenced.append(after)
        elif before.verdict is Verdict.DOCUMENTED and after.verdict is Verdict.OPEN:
            reopened.append(after)
    return Effect(tuple(silenced), tuple(reopened), judgement.rule_uses)


def try_on_archives(
    effect: Effect, archives: tuple[Archive, Archive, Sequence[Archive]], basis: Basis, *, count: int, seed: int, progress: Progress
) -> Effect:
    """
    Plant faults where the new rules speak, and keep those that a rule lets through.

    Raises:
        ParityError: an archive is damaged, or they do not belong together.

    """
    recorded, observed, controls = archives
    bench = prepare(recorded, observed, controls, basis.rules, basis.noise, progress)
    patterns = [rule.route for rule in basis.rules.rules if rule.verdict is Verdict.DOCUMENTED]
    made = list(
        try_faults(bench, lambda route: any(paths.matches_route(one, route) for one in patterns), count=count, seed=seed, progress=progress)
    )
    through = tuple(trial for trial in made if not trial.found and any(one.rule for one in trial.new))
    return Effect(effect.silenced, effect.reopened, effect.uses, through, len(made), tried=True)


def hides_more(trial: Trial, silenced: Iterable[Divergence]) -> bool:
    """Whether a rule let a fault through that is of another kind, or class, than what it silences in this run."""
    known = {(one.rule, one.finding.kind, one.finding.difference) for one in silenced}
    return any(one.rule and (one.rule, one.finding.kind, one.finding.difference) not in known for one in trial.new)


def effect_text(effect: Effect) -> str:
    """Tell what would be silenced, in divergences and in faults."""
    lines = [f"would silence {len(effect.silenced)} open divergences at {_places(effect.silenced)} places; would reopen {len(effect.reopened)}"]
    for use in effect.uses:
        own = [one for one in effect.silenced if one.rule == use.id]
        kinds = f" ({', '.join(use.kinds)})" if use.kinds else ""
        lines += ["", f"{use.id}: covers {use.matched}, decides {use.decided}{kinds} at {use.places} places on {use.routes} routes"]
        lines += [f"  note: {note}" for note in use.notes]
        lines += [f"  would silence {_example(one)}" for one in own[:_EXAMPLES]]
        if len(own) > _EXAMPLES:
            lines.append(f"  and {len(own) - _EXAMPLES} more")
        through = [trial for trial in effect.trials if any(one.rule == use.id for one in trial.new)]
        lines += _fault_lines(through, effect.silenced)
    lines.append("")
    if effect.tried:
        more = sum(hides_more(trial, effect.silenced) for trial in effect.trials)
        lines.append(
            f"of {effect.planted} faults planted where these rules speak {len(effect.trials)} would be let through, {more} of another kind"
        )
    else:
        lines.append("the run's archives are not there, so no faults were planted: what these rules would hide tomorrow is not known")
    return "\n".join(lines)


def archives_of(
    run: Run, run_path: Path, named: tuple[Path, Path, Sequence[Path]] | None, keys: Keyring | None
) -> tuple[Archive, Archive, Sequence[Archive]] | None:
    """
    Open the archives that a run was made of, or those that are *named*; None where they are not where the run says.

    Raises:
        ArchiveError: one of them is damaged or can't be opened.
        UsageError: those that are there are not those of the run.

    """
    parties = [run.recorded, run.observed, *([run.control] if run.control is not None else [])]
    paths_of = [run_path / party.path for party in parties] if named is None else [named[0], named[1], *named[2]]
    if named is None and not all(path.exists() for path in paths_of):
        return None
    recorded, observed, controls = open_archives(
        paths_of[0], paths_of[1], paths_of[2:], salvage=any(party.salvaged for party in parties), keys=keys
    )
    for party, archive in zip(parties, [recorded, observed, *controls], strict=False):
        if archive.id != party.archive:
            raise UsageError(f"{archive.path}: is not the {party.name} archive of this run ({party.archive}); name those it was made of")
    return recorded, observed, controls


def _fault_lines(through: Sequence[Trial], silenced: Sequence[Divergence]) -> list[str]:
    ordered = sorted(through, key=lambda trial: not hides_more(trial, silenced))
    lines = []
    for trial in ordered[:_EXAMPLES]:
        mark = "another kind than it silences: " if hides_more(trial, silenced) else ""
        lines.append(f"  would let a fault through: {mark}{trial.mutant.operator} at {trial.mutant.place} ({trial.pair.route})")
    if len(ordered) > _EXAMPLES:
        lines.append(f"  and {len(ordered) - _EXAMPLES} more faults")
    return lines


def _rule_line(rule: Rule, use: RuleUse | None, *, expired: bool) -> str:
    mark = " EXPIRED" if expired else ""
    kinds = f" {','.join(rule.kinds)}" if rule.kinds else ""
    line = f"{rule.id}: {rule.route} {rule.path}{kinds} → {rule.verdict} until {rule.until}{mark} ({rule.owner}): {rule.reason}"
    if use is None:
        return line
    notes = "".join(f"\n  note: {note}" for note in use.notes)
    return f"{line}\n  covers {use.matched}, decides {use.decided} at {use.places} places on {use.routes} routes{notes}"


def _example(one: Divergence) -> str:
    finding = one.finding
    values = f"{_short(finding.primary)} → {_short(finding.candidate)}"
    return f"#{finding.subject.id} {finding.route or finding.check} {finding.kind} at {finding.at}: {values}"


def _short(text: str | None) -> str:
    if text is None:
        return "(absent)"
    return text if len(text) <= 60 else f"{text[:60]}…"


def _places(divergences: Iterable[Divergence]) -> int:
    return len({(one.finding.check, one.finding.route, one.finding.path, one.finding.kind) for one in divergences})


__all__ = ["MUTANTS", "Effect", "archives_of", "effect_text", "hides_more", "list_rules", "try_on_archives", "try_rules"]
