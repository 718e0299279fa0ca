"""The JSON contract: what others build on. `contract.schema.json` describes it, versioned."""

import json
from collections import Counter
from dataclasses import asdict
from importlib import resources
from typing import Any, Final

from replay.evidence import Tally, domains
from replay.model import Cause, Cluster, RouteTiming, Strength, Verdict
from replay.report.text import rule_notes
from replay.runs import Party, Run

FORMAT: Final = 1


def contract(run: Run) -> dict[str, Any]:
    """
    Give the run as plain JSON values, as `contract.schema.json` describes them.

    Leaf values (`primary`, `candidate`, `control`) are compact JSON as text; null means that nothing is there (JSON null is "null").
    """
    return {
        "format": FORMAT,
        "tool": run.tool,
        "started_at": run.started_at,
        "seed": run.seed,
        "recorded": _party(run.recorded),
        "observed": _party(run.observed),
        "control": None if run.control is None else _party(run.control),
        "cell": run.observed.cell,
        "verdict": run.verdict,
        "because": run.because,
        "totals": {
            "planned": run.planned,
            "compared": run.compared,
            "identical": run.identical,
            "divergent": run.compared - run.identical,
            "gaps": dict(sorted(run.gaps.items())),
        },
        "domains": [domain_row(row.domain, row.tally) for row in domains(run)],
        "verdicts": _by_verdict(divergence.verdict for divergence in run.divergences),
        "causes": _by_verdict(cluster.verdict for cluster in run.clusters),
        "clusters": [_cluster(cluster) for cluster in run.clusters],
        "cause_list": [_cause(cause) for cause in run.causes],
        "timing": {"floor_ms": run.timing_floor_ms, "counts": dict(run.timing)},
        "timings": [timing_row(timing) for timing in run.timings],
        "relations": [asdict(relation) for relation in run.relations],
        "not_compared": dict(run.not_compared),
        "rules": {
            "unused": list(run.rules_unused),
            "expired": list(run.rules_expired),
            "odd": list(rule_notes(run)),
            "path": run.rules_path,
            "digest": run.rules_digest,
        },
        "noise": {"digest": run.noise_digest},
        "canaries": {
            "planted": run.canaries.planted,
            "found": run.canaries.found,
            "blind": run.canaries.blind,
            "missed": list(run.canaries.missed),
            "swallowed": [{"rule": rule, "words": words} for rule, words in run.canaries.swallowed],
            "kinds": [{"part": part, "planted": planted, "found": found} for part, planted, found in run.canaries.kinds],
        },
        "strength": [strength_row(strength) for strength in run.strength],
    }


def schema() -> dict[str, Any]:
    """Give the contract's JSON Schema (draft 2020-12)."""
    text = resources.files(__package__).joinpath("contract.schema.json").read_text("utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def json_text(run: Run) -> str:
    """Give the contract as indented JSON that any decoder takes: lone surrogates and control characters are escapes."""
    return json.dumps(contract(run), indent=1, ensure_ascii=True, allow_nan=False) + "\n"


def domain_row(domain: str, tally: Tally) -> dict[str, Any]:
    """Give one domain's counts; `compared` is the sum of `identical`, the open classes and `explained`."""
    return {
        "domain": domain,
        "planned": tally.planned,
        "compared": tally.compared,
        "identical": tally.identical,
        "structural": tally.structural,
        "semantic": tally.semantic,
        "timing": tally.timing,
        "gaps": tally.gap_count,
        "explained": {
            "documented": tally.documented,
            "derived": tally.derived,
            "noise": tally.noise,
            "infidelity": tally.infidelity,
        },
        "gap_reasons": tally.gaps,
        "state": {"open": tally.state_open, "explained": tally.state_explained},
    }


def _cause(cause: Cause) -> dict[str, Any]:
    values = asdict(cause)
    values["class"] = values.pop("difference").value
    values["verdict"] = cause.verdict.value
    for name in ("clusters", "routes", "domains"):
        values[name] = list(values[name])
    return values


def timing_row(timing: RouteTiming) -> dict[str, Any]:
    """Give one route's durations in milliseconds, with their ratio and what it shows."""
    values = asdict(timing)
    for name in ("recorded_ms", "observed_ms", "control_ms"):
        values[name] = None if values[name] is None else dict(zip(("p50", "p95", "p99"), values[name], strict=True))
    return values


def strength_row(strength: Strength) -> dict[str, Any]:
    """Give what planted faults of one route came to; `survived` is what was let through beyond what the primary itself does."""
    return {
        "domain": strength.domain,
        "route": strength.route,
        "planted": strength.planted,
        "found": strength.found,
        "inside": strength.inside,
        "survived": strength.planted - strength.found - strength.inside,
        "survivors": list(strength.survivors),
    }


def _party(party: Party) -> dict[str, Any]:
    return {**asdict(party), "lacks": dict(party.lacks)}


def _by_verdict(verdicts: Any) -> dict[str, int]:
    counts = Counter(verdicts)
    return {verdict.value: counts[verdict] for verdict in Verdict}


def _cluster(cluster: Cluster) -> dict[str, Any]:
    values = asdict(cluster)
    values["class"] = values.pop("difference").value
    values["verdict"] = cluster.verdict.value
    for name in ("subjects", "ids", "domains", "routes"):
        values[name] = list(values[name])
    return values
