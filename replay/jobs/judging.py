"""Compare, judge, judge again, and learn noise: from archives to a run."""

import datetime as dt
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Final

from replay.archive import Archive, Keyring, key_id, public_keys, read
from replay.checks.secrets import FACT, find_secrets
from replay.compare import Modes, changed, compare_archives
from replay.jobs.measuring import measure_noise
from replay.judge import NoiseModel, RuleSet, cluster, explain, judge, load_noise, load_rules, plant, with_swallowed
from replay.judge.canaries import Ground
from replay.judge.completeness import incompleteness
from replay.model import Gap, Pair, Rule, RuleError, UsageError, Verdict, Witness
from replay.model.judgement import DifferenceClass
from replay.runs import Party, Run, begin, check_place, give_up

BLIND_SHARE_MAX: Final = 0.5
"""More canaries that rules or noise let through than this share, and the run proves nothing."""

_OWN_NOISE: Final = "{}: the noise was learned from this very archive, so it excuses whatever differs in it; learn it from others"

type Progress = Callable[[str, int, int], None]
"""Told what is being done, how far it is, and of how many."""


@dataclass(frozen=True, slots=True)
class Basis:
    """What a judgement rests on beside the archives."""

    rules: RuleSet = field(default_factory=RuleSet)
    rules_path: str = ""
    rules_digest: str = ""
    noise: NoiseModel = field(default_factory=NoiseModel)
    noise_digest: str = ""


def load_basis(rules: Path | None, noise: Path | None) -> Basis:
    """
    Read rules and noise.

    Raises:
        RuleError: one of them is missing or broken.

    """
    basis = Basis()
    if rules is not None:
        text = _read_text(rules, "rules")
        basis = replace(basis, rules=load_rules(text, str(rules)), rules_path=str(rules), rules_digest=_digest(text))
    if noise is not None:
        text = _read_text(noise, "noise")
        basis = replace(basis, noise=load_noise(text, str(noise)), noise_digest=_digest(text))
    return basis


def compare_run(
    recorded: Archive,
    observed: Archive,
    controls: Sequence[Archive],
    basis: Basis,
    *,
    run_path: Path,
    seed: int,
    now: dt.datetime,
    progress: Progress,
) -> Run:
    """
    Compare archives and judge what was found.

    Raises:
        ParityError: an archive is damaged, they do not belong together, one stands for two of them, or noise was learned from the observed one.

    """
    check_place(run_path)
    for third in controls:
        if observed.id in {third.id, recorded.id} or third.id == recorded.id:
            # A witness that is one of the others agrees with it always: everything would be the replay's doing, or nothing noise.
            raise UsageError(
                f"{observed.path}, {third.path} and {recorded.path} must be three archives: the control is the primary replayed once more"
            )
    if observed.digest in basis.noise.archives:
        raise UsageError(_OWN_NOISE.format(observed.path))
    if begin(run_path):
        progress("comparing again from the start: the one before was cut short", 0, 1)
    try:
        return _compared(recorded, observed, controls, basis, run_path=run_path, seed=seed, now=now, progress=progress)
    except BaseException:
        give_up(run_path)
        raise


def _compared(
    recorded: Archive,
    observed: Archive,
    controls: Sequence[Archive],
    basis: Basis,
    *,
    run_path: Path,
    seed: int,
    now: dt.datetime,
    progress: Progress,
) -> Run:
    # what is put aside lies there in clear, if without a name: of encrypted archives it stays in memory
    spool = None if any(any(public_keys(archive)) for archive in (recorded, observed, *controls)) else run_path
    comparison = compare_archives(
        recorded, observed, controls, lambda done, of: progress("comparing", done, of), modes=Modes(basis.rules.modes), spool=spool
    )
    today = now.date()
    of_state = find_secrets(_secret_forms(observed), _secret_forms(controls[0]) if controls else None)
    findings = (*comparison.findings, *of_state)
    judgement = judge(findings, basis.rules, basis.noise, today)
    progress("planting canaries", 0, 1)
    assert comparison.candidate is not None
    ground = Ground(comparison.recorded, comparison.candidate, comparison.control, basis.rules, basis.noise, today)
    planted = plant(comparison, ground, seed)
    run = Run(
        recorded=_party("recorded", recorded, run_path),
        observed=_party("observed", observed, run_path),
        control=_party("control", controls[0], run_path) if controls else None,
        verdict="",
        because="",
        started_at=now.timestamp(),
        seed=seed,
        tool=f"signet-parity {version('signet-parity')}",
        pairs=comparison.pairs,
        findings=findings,
        divergences=judgement.divergences,
        clusters=(),
        answers=comparison.answers,
        relations=comparison.relations,
        not_compared=comparison.not_compared,
        timing=comparison.timing,
        timings=comparison.timings,
        timing_floor_ms=comparison.timing_floor_ms,
        rules_path=basis.rules_path,
        rules_digest=basis.rules_digest,
        rules_unused=judgement.rules_unused,
        rules_expired=judgement.rules_expired,
        rule_uses=with_swallowed(judgement.rule_uses, planted.swallowed),
        noise_digest=basis.noise_digest,
        canaries=planted,
        broken=tuple(name for name, archive in _replays(observed, controls) if archive.facts.get("complete") is False),
    )
    return _concluded(run, basis)


def _secret_forms(archive: Archive) -> object:
    """Give what the player saw of the daemon's secrets; in an encrypted archive it is a record, since facts are in clear."""
    told = next((record.detail for record in archive.daemon_records() if record.what == FACT), None)
    return archive.facts.get(FACT) if told is None else json.loads(told)


def _replays(observed: Archive, controls: Sequence[Archive]) -> list[tuple[str, Archive]]:
    return [("observed", observed), *(("control", control) for control in controls)]


def judge_again(run: Run, basis: Basis, *, now: dt.datetime) -> Run:
    """
    Judge a run's findings by other rules or noise, without comparing again.

    The canaries' counts stay those of the comparison: they need its archives.

    Raises:
        RuleError: two rules disagree about one finding.
        UsageError: the noise was learned from the observed archive.

    """
    if run.observed.digest in basis.noise.archives:
        raise UsageError(_OWN_NOISE.format(run.observed.path))
    judgement = judge(run.findings, basis.rules, basis.noise, now.date())
    return _concluded(
        replace(
            run,
            divergences=judgement.divergences,
            rules_path=basis.rules_path,
            rules_digest=basis.rules_digest,
            rules_unused=judgement.rules_unused,
            rules_expired=judgement.rules_expired,
            rule_uses=judgement.rule_uses,
            noise_digest=basis.noise_digest,
        ),
        basis,
    )


def open_archives(
    recorded: Path, observed: Path, controls: Sequence[Path], *, salvage: bool, keys: Keyring | None = None
) -> tuple[Archive, Archive, list[Archive]]:
    """
    Open the archives of a comparison, with *keys* where they are encrypted.

    Raises:
        ArchiveError: one of them is missing, damaged, cut or newer, or encrypted for other keys (it says which).

    """
    first, second, *thirds = (read(path, salvage=salvage, keys=keys) for path in (recorded, observed, *controls))
    return first, second, thirds


@dataclass(frozen=True, slots=True)
class Readers:
    """For whom that is encrypted what is made of some archives."""

    keys: tuple[bytes, ...]
    """Public keys; empty: none of the archives is encrypted."""
    notes: tuple[str, ...]
    """Who can read an archive and not what is made of it, in words."""


def readers_of(archives: Sequence[Archive]) -> Readers:
    """
    Say for whom that is encrypted what is made of these archives: for all who can read one of them.

    Raises:
        UsageError: one is encrypted, and no public key of those who can read it is known.

    """
    found = [(archive, *public_keys(archive)) for archive in archives]
    for archive, known, unknown in found:
        if unknown and not known:
            raise UsageError(f"{archive.path}: is encrypted, and no public key of its recipients is known, so nothing can be made for them")
    keys = tuple(dict.fromkeys(key for _, known, _ in found for key in known))
    missing = sorted({name for _, _, unknown in found for name in unknown} - {key_id(key) for key in keys})
    notes = (f"encrypted, but not for {', '.join(missing)}: the archive names these recipients without their public keys",) if missing else ()
    return Readers(keys, notes)


def exit_code(run: Run) -> int:
    """0: judged and good. 1: judged and not good. 2: could not judge."""
    return {"pass": 0, "fail": 1}.get(run.verdict, 2)


def _concluded(run: Run, basis: Basis) -> Run:
    run = replace(run, pairs=_worst(run), clusters=cluster(run.divergences, run.pairs))
    run = replace(run, causes=explain(run.clusters, run.divergences, run.answers))
    verdict, because = _verdict(run, basis)
    return replace(run, verdict=verdict, because=because)


def _worst(run: Run) -> Sequence[Pair]:
    rank = {DifferenceClass.STRUCTURAL: 0, DifferenceClass.SEMANTIC: 1, DifferenceClass.TIMING: 2}
    worst: dict[str, DifferenceClass] = {}
    for divergence in run.divergences:
        if divergence.verdict is Verdict.OPEN:
            if divergence.finding.subject.kind != "exchange":
                continue
            subject, found = divergence.finding.subject.id, divergence.finding.difference
            if subject not in worst or rank[found] < rank[worst[subject]]:
                worst[subject] = found
    return changed(run.pairs, lambda pair: replace(pair, worst=worst.get(str(pair.exchange))))


def _verdict(run: Run, basis: Basis) -> tuple[str, str]:
    incomplete = _incomplete(run, basis)
    if incomplete:
        return "incomplete", incomplete
    opened = [item for item in run.causes if item.verdict is Verdict.OPEN]
    by_class = {kind: sum(item.difference is kind for item in opened) for kind in DifferenceClass}
    slow = by_class.pop(DifferenceClass.TIMING)
    also = f"; {_causes(slow, 'open timing')} {'does' if slow == 1 else 'do'} not fail a run" if slow else ""
    failing = sum(by_class.values())
    if failing:
        classes = ", ".join(f"{count:,} {kind}" for kind, count in by_class.items() if count)
        return "fail", f"{_causes(failing, 'open')}: {classes}{also}"
    return "pass", f"no open structural or semantic divergence in {run.compared:,} compared exchanges{also}"


def _silences_all(rule: Rule) -> bool:
    anywhere = rule.route == rule.path == rule.check == "*"
    return rule.verdict is Verdict.DOCUMENTED and anywhere and not rule.kinds and rule.difference is None and rule.tolerance is None


def _causes(count: int, what: str) -> str:
    return f"{count:,} {what} cause{'s' * (count != 1)}"


def _incomplete(run: Run, basis: Basis) -> str:
    if run.broken:
        return f"not replayed to the end: {' and '.join(run.broken)}"
    found = incompleteness(
        run.pairs,
        run.findings,
        lambda finding: basis.noise.excuse(replace(finding, witness=Witness.ALL_DIFFER)) is not None,
        run.not_compared,
    )
    if found:
        return found
    if run.canaries.missed:
        return f"{len(run.canaries.missed)} canaries were not found, so the run is void: {run.canaries.missed[0]}"
    if run.canaries.blind > BLIND_SHARE_MAX * run.canaries.planted:
        return (
            f"rules or noise let {run.canaries.blind:,} of {run.canaries.planted:,} canaries through (more than {BLIND_SHARE_MAX:.0%}): "
            "what they silence proves nothing"
        )
    everything = next((rule.id for rule in basis.rules.rules if _silences_all(rule) and rule.id not in run.rules_expired), "")
    if everything:
        return f"rule {everything} accepts whatever differs anywhere, so nothing can be found; name routes or places in it"
    if not run.canaries.planted and not any(item.verdict is Verdict.OPEN for item in run.causes):
        return "no canary could be planted, because no exchange is identical: nothing proves that the run was awake"
    return ""


def _party(name: str, archive: Archive, run_path: Path) -> Party:
    started = archive.manifest.get("started_at", 0.0)
    roll = archive.roll()
    for _ in roll.call():
        pass
    daemon = archive.facts.get("daemon", "")
    if isinstance(daemon, dict):
        daemon = " ".join(str(daemon[key]) for key in ("name", "version") if daemon.get(key))
    return Party(
        name=name,
        archive=archive.id,
        path=os.path.relpath(archive.path, run_path),
        digest=archive.digest,
        daemon=str(daemon),
        started_at=float(started) if isinstance(started, int | float) else 0.0,
        exchanges=len(roll),
        salvaged=archive.salvaged,
        cell=str(archive.facts.get("cell", "none")),
        lacks=_lacks(roll.gaps),
    )


def _lacks(gaps: Sequence[Gap]) -> tuple[tuple[str, int], ...]:
    """Count what the recorder left out or lost and could not even name, by reason."""
    counts: dict[str, int] = {}
    for gap in gaps:
        if gap.exchange is None:
            counts[str(gap.reason)] = counts.get(str(gap.reason), 0) + gap.count
    return tuple(sorted(counts.items()))


def _read_text(path: Path, what: str) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RuleError(f"{path}: the {what} file can't be read ({error})") from error


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


__all__ = [
    "Basis",
    "Progress",
    "Readers",
    "compare_run",
    "exit_code",
    "judge_again",
    "load_basis",
    "measure_noise",
    "open_archives",
    "readers_of",
]
