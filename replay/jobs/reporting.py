"""Reports of runs and of the ledger, as text."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from replay import report
from replay.compare.describing import describe
from replay.evidence import Policy, checklist, gate, read
from replay.model import UsageError
from replay.report.bodies import Bodies, check_bodies, withhold
from replay.report.listing import checklist_table
from replay.runs import Run

type Form = Literal["table", "html", "markdown", "junit", "json"]


def render(run: Run, form: Form, bodies: Bodies, against: Run | None = None) -> str:
    """
    Write a run in one of the formats; Markdown also as what changed since the run *against*.

    Raises:
        UsageError: *bodies* is none of its three words, or another format than Markdown is asked to hold the run against another.

    """
    check_bodies(bodies)
    if against is not None and form != "markdown":
        raise UsageError("--against: only `--format markdown` tells what is new and what is gone")
    if bodies == "none":
        run, against = withhold(run), None if against is None else withhold(against)
    match form:
        case "table":
            return report.table(run)
        case "html":
            return report.html(run, bodies)
        case "markdown":
            return report.markdown(run, against)
        case "junit":
            return report.junit(run)
        case "json":
            return report.json_text(run)


def tell(run: Run, name: str) -> str:
    """
    Tell one divergence whole; where both values are small objects or lists, in words too.

    Raises:
        UsageError: nothing is called so.

    """
    text = report.explain(run, name)
    first = next((cause.clusters[0] for cause in run.causes if cause.clusters and text.startswith(f"{cause.id} ")), text.partition(" ")[0])
    cluster = next((cluster for cluster in run.clusters if cluster.id == first), None)
    words = describe(cluster.primary, cluster.candidate) if cluster is not None else ()
    return "\n".join([text, "", "in words", *(f"  {report.visible(line)}" for line in words)]) if words else text


def decide(ledger: Path, *, as_json: bool, now: float) -> tuple[str, bool]:
    """
    Say whether the evidence is enough, and what blocks; the second value tells whether the gate is open.

    Raises:
        UsageError: there is no ledger, or it does not hold together.

    """
    entries = read(ledger)
    decision = gate(entries, Policy(), now=now)
    if as_json:
        return json.dumps({**asdict(decision), "runs": len(entries)}, indent=1), decision.open
    lines = [f"{len(entries)} runs · streak of {decision.streak} nights · the gate is {'OPEN' if decision.open else 'CLOSED'}"]
    lines += [f"  blocks: {report.visible(text)}" for text in decision.blocks]
    lines += [f"  note: {report.visible(text)}" for text in decision.notes]
    return "\n".join(lines), decision.open


def checklist_text(ledger: Path, *, as_json: bool) -> str:
    """
    Show the nine-domain checklist.

    Raises:
        UsageError: there is no ledger, or it does not hold together.

    """
    items = checklist(read(ledger), floor=Policy().floor)
    if as_json:
        return json.dumps([asdict(item) for item in items], indent=1)
    return checklist_table(items)
