"""A small judged run and ledger entries of it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from replay.evidence import Entry, entry_from
from replay.model import DOMAINS, Cluster, DifferenceClass, Divergence, Finding, Pair, Subject, Verdict
from replay.runs import Canaries, Party, Run

MIDNIGHT = 1_795_392_000.0
"""2026-11-23 00:00 UTC."""


def make_finding(subject: Subject, domain: str, route: str | None) -> Finding:
    """Give a semantic finding."""
    return Finding("http", subject, domain, route, DifferenceClass.SEMANTIC, "value", "$.n", "$.n", "1", "2")


def make_run(**values: Any) -> Run:
    """Give a run of twelve exchanges in each domain; in `write` one open, one documented, one noise, one gap; one open row in `secrets`."""
    pairs = [
        Pair(exchange, domain, f"GET /{domain}/{exchange % 2}", "GET", f"/{domain}/{exchange % 2}", None)
        for exchange, domain in enumerate((name for name in DOMAINS for _ in range(12)), 1)
    ]
    writes = [pair.exchange - 1 for pair in pairs if pair.domain == "write"]
    first, second, third, fourth = writes[:4]
    pairs[first] = replace(pairs[first], findings=1, worst=DifferenceClass.SEMANTIC)
    pairs[second] = replace(pairs[second], findings=2)
    pairs[third] = replace(pairs[third], findings=1)
    pairs[fourth] = replace(pairs[fourth], gap="unsafe")

    def judged(place: int, verdict: Verdict) -> Divergence:
        pair = pairs[place]
        return Divergence(make_finding(Subject("exchange", str(pair.exchange)), pair.domain, pair.route), verdict, "because", f"c-{verdict}")

    row = Divergence(make_finding(Subject("row", "memories/1"), "secrets", None), Verdict.OPEN, "because", "c-row")
    divergences = [
        judged(first, Verdict.OPEN),
        judged(second, Verdict.NOISE),
        judged(second, Verdict.DOCUMENTED),
        judged(third, Verdict.NOISE),
        row,
    ]
    clusters = [
        Cluster(
            name,
            "http",
            "cause",
            "write",
            None,
            DifferenceClass.SEMANTIC,
            verdict,
            "because",
            "$.n",
            "value",
            "1",
            "2",
            1,
            (Subject("exchange", "13"),),
        )
        for name, verdict in (("c-open", Verdict.OPEN), ("c-noise", Verdict.NOISE), ("c-row", Verdict.OPEN))
    ]
    party = Party("recorded", "a-1", "rec.parity", "sha256:aa", "js 1", MIDNIGHT - 9e5, len(pairs))
    plain: dict[str, Any] = {
        "recorded": party,
        "observed": replace(party, name="observed", archive="a-2", daemon="rust 1", cell="namespace"),
        "control": replace(party, name="control", archive="a-3"),
        "verdict": "fail",
        "because": "one open semantic cause",
        "started_at": MIDNIGHT,
        "seed": 1,
        "tool": "signet-parity 0.1.0",
        "pairs": tuple(pairs),
        "findings": tuple(divergence.finding for divergence in divergences),
        "divergences": tuple(divergences),
        "clusters": tuple(clusters),
        "answers": (),
        "canaries": Canaries(9, 9, 0),
    }
    return Run(**{**plain, **values})


@pytest.fixture
def run() -> Run:
    """Give the small run."""
    return make_run()


@pytest.fixture
def night() -> Callable[..., Entry]:
    """Give a function that makes the entry of the *n*-th night, which passes unless told otherwise: `night(n, **changes)`."""

    def make(number: int, **changes: Any) -> Entry:
        clean = make_run()
        pairs = tuple(replace(pair, worst=None, findings=0, gap=None) for pair in clean.pairs)
        clean = replace(clean, pairs=pairs, divergences=(), findings=(), clusters=(), verdict="pass", because="nothing open")
        entry = entry_from(replace(clean, started_at=MIDNIGHT + number * 86_400.0), name=f"night-{number}")
        return replace(entry, **changes)

    return make
