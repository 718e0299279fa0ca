"""One replay from job to observed archive."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from replay.archive import Archive, ArchiveWriter, read
from replay.identity import Bindings
from replay.model import DaemonRecord, ParityError
from replay.plan import Plan, plan
from replay.play.job import CellFacts, Job
from replay.play.observed import Observed
from replay.play.player import Player
from replay.play.rewriting import Rewriter, read_auth_secret
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


async def play(job: Job, facts: CellFacts, *, clock: Callable[[], float] = time.time) -> Played:
    """
    Replay a recording on the daemon of a cell.

    What is observed is encrypted for the job's recipients; the facts are in clear, and say nothing of the traffic then.

    Raises:
        ArchiveError: the recording can't be read, or the observed archive not be written.
        UsageError: the recording has no exchange `only`.

    """
    recorded = read(job.recorded, salvage=job.salvage, keys=job.keys)
    planned = plan(recorded, allow=job.allow, only=job.only, reads_only=job.reads_only, stretch=job.stretch, lost=job.lost)
    started_at = clock()
    bindings = Bindings()
    rewriter = Rewriter(
        bindings,
        auth_secret=read_auth_secret(facts.auth_secret),
        offset_s=started_at - _recorded_start(planned, started_at),
        replacements={**_mapped(facts), **job.replacements},
    )
    told = _facts(recorded, planned, job, facts)
    with ArchiveWriter.create(job.observed, kind="observed", facts=told, started_at=started_at, recipients=job.recipients) as writer:
        observed = Observed(writer, clock)
        player = Player(planned, job, facts, observed, rewriter=rewriter, bindings=bindings, clock=clock)
        try:
            complete = await player.run()
        except BaseExceptionGroup as group:
            ours, others = group.split(ParityError)
            if ours is None or others is not None:
                raise
            raise next(_leaves(ours)) from group
        writer.note(observed=len(observed.ended), gaps=len(observed.gaps), complete=complete, counts=dict(player.counts))
        if facts.workspace:
            forms = secret_forms(Path(facts.workspace))
            if job.recipients:
                # the names of secrets are the workspace's, and a manifest is in clear
                observed.append(DaemonRecord(clock(), SECRETS, json.dumps(forms)))
            else:
                writer.note(secrets=forms)
        observed.seal("complete" if complete else "incomplete")
    return Played(job.observed, planned.planned, len(observed.ended), len(observed.gaps), complete, dict(player.counts))


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
        "pace": job.pace,
        "ordered": dict(job.ordered),
    }


def _recorded_start(planned: Plan, otherwise: float) -> float:
    return planned.started_at if planned.steps else otherwise


def _mapped(facts: CellFacts) -> dict[str, str]:
    """Map recorded paths where the workspace could not lie at its recorded place."""
    if facts.recorded_workspace is None or facts.recorded_workspace == facts.workspace:
        return {}
    return {facts.recorded_workspace: facts.workspace}
