"""A realistic judged run, with hostile bodies in it, and a large one."""

import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from replay.judge import explain
from replay.model import (
    DOMAINS,
    Answer,
    Cause,
    Cluster,
    DifferenceClass,
    Divergence,
    Finding,
    IdMapping,
    Pair,
    Relation,
    RouteTiming,
    Strength,
    Subject,
    Verdict,
    Witness,
)
from replay.runs import Answers, Canaries, Party, Run

HOSTILE = (
    "</script><script>document.title='OWNED'</script><img src=x onerror=\"document.title='OWNED'\">\x1b[31mred\x1b]0;t\x07 \u202ereversed\u2028"
)
ROUTES = {
    "schema": ["GET /health", "GET /api/status"],
    "read": ["GET /api/memory/:id", "GET /api/memories", "POST /api/memory/recall", "GET /api/timeline"],
    "write": ["POST /api/memory/remember", "PATCH /api/memory/:id", "DELETE /api/memory/:id"],
    "pipeline-workers": ["GET /api/pipeline/status", "POST /api/pipeline/nudge"],
    "auth": ["POST /api/auth/token", "GET /api/auth/whoami", "GET /api/auth/api-keys"],
    "file-watcher": ["GET /api/config", "GET /api/connectors"],
    "git-sync": ["GET /api/git/status", "POST /api/git/pull"],
    "mcp": ["POST /mcp"],
    "secrets": ["GET /api/secrets", "POST /api/secrets/:name"],
}
WEIGHTS = {
    "schema": 14,
    "read": 168,
    "write": 92,
    "pipeline-workers": 31,
    "auth": 38,
    "file-watcher": 24,
    "git-sync": 9,
    "mcp": 28,
    "secrets": 8,
}
MEMORY = IdMapping("uuid", "7d1f0c52-9a3e-4b61-8c0d-2f5a1e9b7c33", "9c2e5b10-44d7-4f0a-b1a6-0e8d3c7f2a91", "#12 POST /api/memory/remember $.id")
SESSION = IdMapping(
    "uuid", "11f7a2c4-0b5d-4e9a-9f33-6a2b8d1c0e55", "c0a8f3e1-72d4-49b6-8e15-d3f90b6a7c24", "#3 POST /api/hooks/session-start $.sessionId"
)

Judged = tuple[Finding, Verdict, str]


def recall(side: str, *, score: str, hostile: str = "") -> str:
    """Give one side's answer to a recall, as its daemon writes it."""
    memory, at = (MEMORY.recorded, "2026-11-14T09:12:03.511Z") if side == "primary" else (MEMORY.observed, "2026-11-23T02:00:07.511204117+00:00")
    habit, tail = '"tags":["coffee","habit"],"pinned":false}', '"tags":[],"pinned":true}'
    results = [
        f'{{"id":"{memory}","content":"Prefers dark roast in the morning","score":{score},"created_at":"{at}",{habit}',
        f'{{"id":"m-2","content":{json.dumps("The staging box is called heron" + hostile)},"score":0.55,"created_at":"{at}",{tail}',
    ]
    rows = '"results":[' + ",".join(results) + "]"
    rest = '"meta":{"total":2,"query":"coffee","hybrid":{"alpha":0.7,"rerank":null}},"tookMs":1.0'
    return "{" + (f"{rows},{rest}" if side == "primary" else f"{rest},{rows}") + "}"


def answer(status: int | None, body: str, ms: float, media_type: str = "application/json", error: str = "") -> Answer:
    """Give an answer ready to be shown."""
    headers = (("content-type", media_type), ("x-request-id", "r-1")) if status else ()
    return Answer(status, headers, body, len(body.encode("utf-8", "replace")), media_type, ms, error)


def build(*, exchanges: dict[str, int], seed: int = 7) -> list[Pair]:
    """Lay out planned exchanges by domain, with plausible times, all identical so far."""
    draw = random.Random(seed)  # noqa: S311  # test data
    pairs = []
    for domain in DOMAINS:
        for place in range(exchanges[domain]):
            route = ROUTES[domain][place % len(ROUTES[domain])]
            method, template = route.split(" ", 1)
            primary = draw.lognormvariate(1.6, 1.0)
            pairs.append(
                Pair(
                    exchange=0,
                    domain=domain,
                    route=route,
                    method=method,
                    target=template.replace(":id", MEMORY.recorded).replace(":name", "API_TOKEN") + ("?q=coffee" if method == "GET" else ""),
                    gap=None,
                    primary_status=200,
                    candidate_status=200,
                    control_status=200,
                    primary_ms=round(primary, 3),
                    candidate_ms=round(primary * draw.lognormvariate(-0.5, 0.4), 3),
                    control_ms=round(primary * draw.lognormvariate(0, 0.2), 3),
                )
            )
    draw.shuffle(pairs)
    return [replace(pair, exchange=number) for number, pair in enumerate(pairs, 1)]


def assemble(pairs: list[Pair], causes: list[tuple[Cluster, list[Judged]]], answers: list[Answers], **more: Any) -> Run:
    """Put a run together so that pairs, findings and clusters agree."""
    judged = [(cluster, *row) for cluster, rows in causes for row in rows]
    order = [DifferenceClass.STRUCTURAL, DifferenceClass.SEMANTIC, DifferenceClass.TIMING]
    found: dict[int, list[tuple[Finding, Verdict]]] = {}
    for _, finding, verdict, _ in judged:
        if finding.subject.kind == "exchange":
            found.setdefault(int(finding.subject.id), []).append((finding, verdict))
    settled = []
    for pair in pairs:
        rows = found.get(pair.exchange, [])
        open_classes = [finding.difference for finding, verdict in rows if verdict is Verdict.OPEN]
        settled.append(replace(pair, findings=len(rows), worst=min(open_classes, key=order.index, default=None)))
    values: dict[str, Any] = {
        "recorded": Party("recorded", "a-7f", "2026-11-14T090000Z.parity", "sha256:" + "ab" * 32, "js 0.145.7", 1_794_647_000.0, len(pairs)),
        "observed": Party(
            "observed", "a-80", "observed-rust.parity", "sha256:" + "cd" * 32, "rust 0.2.0", 1_795_399_200.0, len(pairs), cell="namespace"
        ),
        "control": Party(
            "control", "a-81", "observed-js.parity", "sha256:" + "ef" * 32, "js 0.145.7", 1_795_399_100.0, len(pairs), cell="namespace"
        ),
        "verdict": "fail",
        "because": "2 open structural and 1 open semantic cause in read, write and secrets",
        "started_at": 1_795_399_200.0,
        "seed": 20261123,
        "tool": "signet-parity 0.1.0",
    }
    clusters = tuple(cluster for cluster, _ in causes)
    divergences = tuple(Divergence(finding, verdict, because, cluster.id) for cluster, finding, verdict, because in judged)
    return Run(
        **{"causes": explain(clusters, divergences, answers), **values, **more},
        pairs=tuple(settled),
        findings=tuple(finding for _, finding, _, _ in judged),
        divergences=divergences,
        clusters=clusters,
        answers=tuple(answers),
    )


def cause(
    name: str,
    pairs: list[Pair],
    *,
    verdict: Verdict,
    because: str,
    compared: int,
    text: str,
    ids: tuple[IdMapping, ...] = (),
    subjects: tuple[Subject, ...] = (),
    **values: Any,
) -> tuple[Cluster, list[Judged]]:
    """Make one cluster and its findings from one description."""
    difference = values.pop("difference")
    derived_from = values.pop("derived_from", None)
    shown = subjects or tuple(Subject("exchange", str(pair.exchange)) for pair in pairs)
    places: list[tuple[str, str | None]] = [(pair.domain, pair.route) for pair in pairs] or [(values.pop("domain"), None)] * len(shown)
    values.pop("domain", None)
    judged = [
        (
            Finding(
                check=values.get("check", "http"),
                subject=subject,
                domain=place[0],
                route=place[1],
                difference=difference,
                kind=values["kind"],
                path=values["path"],
                at=values["at"],
                primary=values["primary"],
                candidate=values["candidate"],
                control=values.get("control"),
                witness=Witness.CANDIDATE,
                ids=ids,
                derived_from="" if derived_from is None else f"follows from {derived_from}",
            ),
            verdict,
            because,
        )
        for subject, place in zip(shown, places, strict=True)
    ]
    cluster = Cluster(
        id=name,
        check=values.get("check", "http"),
        cause=text,
        domain=places[0][0],
        route=places[0][1],
        difference=difference,
        verdict=verdict,
        because=because,
        path=values["path"],
        kind=values["kind"],
        primary=values["primary"],
        candidate=values["candidate"],
        control=values.get("control"),
        count=len(shown),
        subjects=shown,
        derived_from=derived_from,
        at=values["at"],
        ids=ids,
        compared=compared,
        domains=tuple(dict.fromkeys(place[0] for place in places)),
        routes=tuple(dict.fromkeys(place[1] for place in places if place[1])),
    )
    return cluster, judged


def make_sample() -> Run:
    """Build the sample: 412 planned, gaps, streams, every class and verdict, a state finding, hostile bodies."""
    pairs = build(exchanges=WEIGHTS)

    def take(route: str, count: int, **changes: Any) -> list[Pair]:
        places = [place for place, pair in enumerate(pairs) if pair.route == route and pair.gap is None][:count]
        for place in places:
            pairs[place] = replace(pairs[place], **changes)
        return [pairs[place] for place in places]

    take("POST /api/git/pull", 2, gap="unsafe", gap_detail="acts on the outside world; allow it with --allow 'POST /api/git/pull'")
    take("GET /api/config", 1, gap="stream", gap_detail="the recorded stream was cut by the proxy")
    take(
        "GET /api/timeline",
        2,
        events=tuple(("primary", 12.0 + 90 * n) for n in range(14)) + tuple(("candidate", 9.0 + 60 * n) for n in range(9)),
    )
    take("GET /api/pipeline/status", 1, events=(("primary", 3.0), ("primary", 250.0), ("candidate", 4.0), ("candidate", 1450.0)))
    slow = take("GET /api/memories", 5)
    for pair in slow:
        place = pair.exchange - 1
        pairs[place] = replace(pair, candidate_ms=(pair.primary_ms or 1.0) * 3 + 140)
    recalls = take("POST /api/memory/recall", 40)
    reads = take("GET /api/memory/:id", 30)
    tokens = take("POST /api/auth/token", 4)
    remembers = take("POST /api/memory/remember", 12)
    missing = take("PATCH /api/memory/:id", 3, candidate_status=500)
    mcp = take("POST /mcp", 6)
    structural, semantic, timing = DifferenceClass.STRUCTURAL, DifferenceClass.SEMANTIC, DifferenceClass.TIMING
    causes = [
        cause(
            "c-7f3a11",
            recalls[:23] + reads[:18],
            verdict=Verdict.OPEN,
            because="control agrees with the recording in 41 of 41; no rule; relation timestamp(ms,Z) learned from 3 runs (n=1,204)",
            compared=198,
            text="q-time-ns: nanoseconds and numeric offset where the primary writes milliseconds and Z",
            difference=structural,
            kind="format",
            path="$.results[*].created_at",
            at="$.results[0].created_at",
            primary='"2026-11-14T09:12:03.511Z"',
            candidate='"2026-11-23T02:00:07.511204117+00:00"',
            control='"2026-11-23T02:00:05.511Z"',
            ids=(MEMORY, SESSION),
        ),
        cause(
            "c-19bd02",
            recalls[5:17],
            verdict=Verdict.OPEN,
            because="control agrees with the recording in 12 of 12; no rule applies",
            compared=42,
            text="recall score differs in the second decimal",
            difference=semantic,
            kind="value",
            path="$.results[*].score",
            at="$.results[0].score",
            primary="0.8125",
            candidate="0.79",
            control="0.8125",
            ids=(MEMORY,),
        ),
        cause(
            "c-44e0aa",
            missing,
            verdict=Verdict.OPEN,
            because="the candidate answers 500 where recording and control answer 200",
            compared=30,
            text="an edit with an empty tag list fails",
            difference=structural,
            kind="status",
            path="status",
            at="status",
            primary="200",
            candidate="500",
            control="200",
        ),
        cause(
            "c-5d00f1",
            [],
            verdict=Verdict.OPEN,
            because="the plain value stands in the table of the candidate; control keeps it sealed",
            compared=0,
            text="a secret is kept in plain text",
            difference=semantic,
            kind="value",
            path="memories.content",
            at="memories.content",
            primary=json.dumps("‹sealed›"),
            candidate=json.dumps("hunter2" + HOSTILE),
            check="secrets",
            subjects=(Subject("row", "memories/42"), Subject("row", "memories/43")),
            domain="secrets",
        ),
        cause(
            "c-0aa9c3",
            mcp,
            verdict=Verdict.DERIVED,
            because="follows from #12, whose status differs: the same row is missing",
            compared=28,
            text="a memory that was never written is not listed",
            difference=structural,
            kind="missing-item",
            path="$.result.content[*]",
            at="$.result.content[3]",
            primary='{"type":"text","text":"heron"}',
            candidate=None,
            derived_from="c-44e0aa",
        ),
        cause(
            "c-e2b718",
            tokens,
            verdict=Verdict.DOCUMENTED,
            because="rule token-lifetime (until 2027-03-01, ops): the Rust daemon gives tokens for an hour on purpose",
            compared=13,
            text="tokens live for an hour",
            difference=semantic,
            kind="value",
            path="$.expiresIn",
            at="$.expiresIn",
            primary="86400",
            candidate="3600",
            control="86400",
        ),
        cause(
            "c-b81c5e",
            remembers,
            verdict=Verdict.NOISE,
            because="noise: differs in 9 of 31 control pairs, range 0 to 4",
            compared=31,
            text="queue depth at the time of the answer",
            difference=semantic,
            kind="value",
            path="$.queued",
            at="$.queued",
            primary="3",
            candidate="1",
            control="2",
        ),
        cause(
            "c-c4f6d9",
            slow,
            verdict=Verdict.OPEN,
            because="over 2× and over 100 ms against the control too, floor 5 ms",
            compared=42,
            text="listing is slower",
            difference=timing,
            kind="late",
            path="duration",
            at="duration",
            primary="4.8",
            candidate="154.4",
            control="5.0",
        ),
    ]
    answers = [
        Answers(
            pair.exchange,
            pair.method,
            pair.target,
            (("content-type", "application/json"), ("authorization", "Bearer ‹redacted›")),
            '{"query":"coffee","limit":2}',
            answer(200, recall("primary", score="0.8125", hostile=HOSTILE), pair.primary_ms or 0),
            answer(200, recall("candidate", score="0.79" if pair in recalls[5:17] else "0.8125", hostile=HOSTILE), pair.candidate_ms or 0),
            answer(200, recall("primary", score="0.8125"), pair.control_ms or 0),
        )
        for pair in recalls[:23]
    ]
    answers += [
        Answers(
            pair.exchange,
            pair.method,
            pair.target,
            (("content-type", "application/json"),),
            '{"tags":[]}',
            answer(200, '{"id":"' + MEMORY.recorded + '","version":2,"tags":[],"updated":true}', 6.0),
            answer(500, "internal error: index out of bounds: the len is 0\n" + HOSTILE, 3.0, "text/plain"),
            answer(200, '{"id":"m","version":2,"tags":[],"updated":true}', 6.0),
        )
        for pair in missing
    ]
    answers += [
        Answers(
            pair.exchange,
            pair.method,
            pair.target,
            (),
            '{"jsonrpc":"2.0","id":7,"method":"tools/call"}',
            answer(
                200,
                '{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"a"},{"type":"text","text":"b"},{"type":"text","text":"c"},{"type":"text","text":"heron"}]}}',
                6.0,
            ),
            answer(
                200,
                '{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"a"},{"type":"text","text":"b"},{"type":"text","text":"c"}]}}',
                3.0,
            ),
        )
        for pair in mcp[:1]
    ]
    answers.append(
        Answers(slow[0].exchange, "GET", slow[0].target, (), "", None, answer(None, "", 30000.0, error="closed at its bound of 30 s"), None)
    )
    return assemble(
        pairs,
        causes,
        answers,
        relations=(
            Relation("timestamp near now", "GET /api/memory/:id", "$.updated_at", 84),
            Relation("mapped id", "POST /api/memory/recall", "$.results[*].id", 312),
        ),
        not_compared=(("header date", 409), ("header content-length", 409)),
        timing=(("over 2x", 9), ("over 100 ms", 6), ("faster", 231)),
        timings=(
            RouteTiming("*", 409, (4.8, 21.0, 60.0), (3.1, 15.0, 160.0), (4.9, 22.0, 61.0), 0.62, 0.5, 0.7, "faster"),
            RouteTiming("GET /api/memories", 42, (4.8, 20.0, 24.0), (6.0, 154.4, 180.0), (5.0, 19.0, 25.0), 1.4, 0.9, 30.1, "late"),
            RouteTiming("POST /mcp", 28, (5.1, 18.0, 19.0), (3.0, 11.0, 12.0), (5.2, 17.0, 20.0), 0.6, 0.52, 0.68, "alike"),
            RouteTiming("GET /api/git/status", 3, (7.0, 8.0, 8.0), (5.0, 6.0, 6.0), (7.0, 8.5, 8.5), 0.7, None, None, "not enough evidence"),
        ),
        strength=(
            Strength(
                "read", "POST /api/memory/recall", 40, 36, 1, ("off by one at $.results[0].score: relation score", "hunter2 at $.x: noise")
            ),
            Strength("read", "GET /api/memories", 60, 60, 0),
            Strength("mcp", "POST /mcp", 12, 12, 0),
        ),
        rules_path="rules.toml",
        rules_digest="sha256:" + "12" * 32,
        rules_unused=("old-health-shape",),
        noise_digest="sha256:" + "34" * 32,
        canaries=Canaries(12, 12, 0, swallowed=(("token-lifetime", "another number at $.expiresIn of #9"),), kinds=(("read structural", 3, 3),)),
    )


def make_large() -> Run:
    """Build a large one: 4,000 exchanges, 1,500 places, 300 causes."""
    pairs = build(exchanges={domain: (4000 if domain == "read" else 0) for domain in DOMAINS})
    verdicts = list(Verdict)[:4]
    classes = list(DifferenceClass)
    causes = [
        cause(
            f"c-{number:06x}",
            pairs[number * 2 : number * 2 + 2],
            verdict=verdicts[number % 4],
            because="measured",
            compared=1000,
            text=f"cause number {number}",
            difference=classes[number % 3],
            kind="value",
            path=f"$.field{number}",
            at=f"$.field{number}",
            primary=str(number),
            candidate=str(-number),
        )
        for number in range(1500)
    ]
    answers = [
        Answers(
            pairs[number * 2].exchange,
            "GET",
            pairs[number * 2].target,
            (),
            "",
            answer(200, recall("primary", score="1"), 1),
            answer(200, recall("candidate", score="2"), 1),
        )
        for number in range(1500)
    ]
    clusters = [cluster for cluster, _ in causes]
    told = [
        Cause(
            id=f"k-{number:06x}",
            name=f"cause {number}",
            title=f"cause number {number}",
            difference=classes[number % 3],
            verdict=verdicts[number % 4],
            clusters=tuple(cluster.id for cluster in clusters[number * 5 : number * 5 + 5]),
            places=5,
            count=10,
            routes=("GET /api/memories",),
            domains=("read",),
        )
        for number in range(300)
    ]
    return replace(assemble(pairs, causes, answers), causes=tuple(told))


@pytest.fixture(scope="session")
def sample() -> Run:
    """Give the sample run."""
    return make_sample()


@pytest.fixture(scope="session")
def large() -> Run:
    """Give a run of 4,000 exchanges and 1,500 clusters."""
    return make_large()


@pytest.fixture(scope="session")
def hostile() -> str:
    """Give the text that tries to get out of every format."""
    return HOSTILE


@pytest.fixture(scope="session")
def reshape() -> Callable[..., Run]:
    """Give a function that makes a run of its own from parts: `reshape(pairs, causes, answers, **values)`."""
    return assemble
