"""One replay from job to observed archive."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from replay.archive import Archive, ArchiveWriter, read
from replay.identity import Bindings
from replay.model import DaemonRecord, ParityError
from replay.plan import Plan, plan
from replay.play.credentials import Credentials, asks_for_nothing
from replay.play.dates import Dates
from replay.play.job import CellFacts, Job
from replay.play.limits import Limits, limits_in
from replay.play.observed import Observed
from replay.play.player import Player
from replay.play.providing import Provider
from replay.play.rewriting import Rewriter, read_auth_secret
from replay.play.rows import Rows
from replay.play.turns import Gate
from replay.play.verdicts import Login, survey
from replay.workspace.agent_yaml import read_configuration
from replay.workspace.secret_forms import secret_forms

SECRETS: Final = "secrets"
"""What a record of the daemon's life is called that holds the forms of its secrets, where the facts must not."""


@dataclass(frozen=True, slots=True)
class Played:
    """What came of a replay. `planned == observed + gaps`."""

    archive: Path
    planned: int
    observed: int
    gaps: int
    complete: bool
    """False where the daemon died or the player was told to stop."""
    counts: Mapping[str, int]


async def play(job: Job, facts: CellFacts, *, clock: Callable[[], float] = time.time, provider: Provider | None = None) -> Played:
    """
    Replay a recording on the daemon of a cell.

    A *provider* that serves the recording's lanes beside it learns from the same bindings, and is asked what it was asked.
    What is observed is encrypted for the job's recipients; the facts are in clear, and say nothing of the traffic then.

    Raises:
        ArchiveError: the recording can't be read, or the observed archive not be written.
        UsageError: the recording has no exchange `only`.

    """
    recorded = read(job.recorded, salvage=job.salvage, keys=job.keys)
    planned = plan(recorded, allow=job.allow, only=job.only, reads_only=job.reads_only, stretch=job.stretch, lost=job.lost)
    started_at = clock()
    clock = daemons_clock(clock, job.clock_behind_s)
    bindings = Bindings() if provider is None else provider.bindings
    configuration = _configuration(facts)
    limits = Limits(limits_in(configuration))
    credentials = Credentials(
        survey(recorded.records(), limits.take),
        bindings,
        secret=read_auth_secret(facts.auth_secret),
        clock=clock,
        shifted=bool(job.clock_behind_s),
        login=Login(job.login["username"], job.login["password"]) if job.login else None,
        keys=job.api_keys,
        replacements=job.replacements,
        unguarded=asks_for_nothing(configuration) if configuration else None,
    )
    dates = Dates(bindings, clock=clock)
    rewriter = Rewriter(bindings, credentials=credentials, dates=dates, replacements={**_mapped(facts), **job.replacements})
    told = _facts(recorded, planned, job, facts)
    private = facts.kind == "namespace"
    rows = Rows(recorded, Path(facts.workspace), bindings, planned.chosen, private=private) if facts.workspace else None
    with (
        ThreadPoolExecutor(1, "packer") as packer,
        ArchiveWriter.create(
            job.observed, kind="observed", facts=told, started_at=started_at, recipients=job.recipients, packer=packer
        ) as writer,
    ):
        observed = Observed(writer, clock)
        if provider is not None:
            provider.attach(observed)
        gate = await Gate.open(job.turns, job.side)
        player = Player(
            planned,
            job,
            facts,
            observed,
            rewriter=rewriter,
            bindings=bindings,
            clock=clock,
            rows=rows,
            credentials=credentials,
            limits=limits,
            gate=gate,
            busy=(lambda: 0) if provider is None else (lambda: provider.busy),
        )
        try:
            complete = await player.run()
        except BaseExceptionGroup as group:
            ours, others = group.split(ParityError)
            if ours is None or others is not None:
                raise
            raise next(_leaves(ours)) from group
        finally:
            await gate.close()
            if rows is not None:
                rows.close()
        counts = {**player.counts, **({} if provider is None else provider.finish())}
        writer.note(observed=len(observed.ended), gaps=len(observed.gaps), complete=complete, counts=counts)
        writer.note(terms=player.accounting.terms().values(), costs=player.costs)
        if facts.workspace:
            forms = secret_forms(Path(facts.workspace))
            if job.recipients:
                # the names of secrets are the workspace's, and a manifest is in clear
                observed.append(DaemonRecord(clock(), SECRETS, json.dumps(forms)))
            else:
                writer.note(secrets=forms)
        observed.seal("complete" if complete else "incomplete")
    return Played(job.observed, planned.planned, len(observed.ended), len(observed.gaps), complete, counts)


def _leaves(group: BaseExceptionGroup[ParityError]) -> Iterator[ParityError]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def _facts(recorded: Archive, planned: Plan, job: Job, facts: CellFacts) -> dict[str, object]:
    told = facts.told
    return {
        "replay_of": recorded.id,
        "replay_of_digest": recorded.digest,
        "salvaged": recorded.salvaged,
        "cell": facts.kind,
        "namespaces": told.get("namespaces", {}),
        "routes": told.get("routes", {}),
        "daemon": told.get("daemon", {}),
        "workspace": facts.workspace,
        "recorded_workspace": facts.recorded_workspace,
        "port": facts.port,
        "notes": list(told.get("notes", ())),
        "planned": planned.planned,
        "steps": len(planned.steps),
        "layings": len(planned.layings),
        "unlaid": {each.why: each.count for each in planned.unlaid},
        "allow": sorted(job.allow),
        "only": job.only,
        "stretch": asdict(job.stretch),
        "reads_only": job.reads_only,
        "clock": {"shifted": bool(job.clock_behind_s), "behind_s": job.clock_behind_s},
        "pace": job.pace,
        "ordered": dict(job.ordered),
    }


def daemons_clock(clock: Callable[[], float], behind_s: float) -> Callable[[], float]:
    """Give the daemon's clock: all times of an observed archive are its times, also where it runs at the recording's."""
    return (lambda: clock() - behind_s) if behind_s else clock


def _configuration(facts: CellFacts) -> dict[str, Any]:
    """Read the workspace's configuration; empty where it can't be read, as a target's of which we know the URL only."""
    try:
        return read_configuration(Path(facts.workspace)) if facts.workspace else {}
    except ParityError:
        return {}


def _mapped(facts: CellFacts) -> dict[str, str]:
    """Map recorded paths where the workspace could not lie at its recorded place."""
    if facts.recorded_workspace is None or facts.recorded_workspace == facts.workspace:
        return {}
    return {facts.recorded_workspace: facts.workspace}
