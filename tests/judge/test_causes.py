"""Causes: what a person reads once."""

import json
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay.judge import cluster, explain
from replay.judge.clusters import cluster_id
from replay.model import Answer, Answers, Cause, Cluster, DifferenceClass, Divergence, Finding, Subject, Verdict

Make = Callable[..., Finding]


def judged(findings: Sequence[Finding], verdict: Verdict = Verdict.OPEN) -> list[Divergence]:
    """Give each finding a verdict; what follows from another one is derived."""
    return [Divergence(item, Verdict.DERIVED if item.derived_from else verdict, "because", cluster_id(item)) for item in findings]


def told(findings: Sequence[Finding], answers: Sequence[Answers] = ()) -> tuple[tuple[Cluster, ...], tuple[Cause, ...]]:
    """Give the places and the causes of some findings."""
    divergences = judged(findings)
    places = cluster(divergences, ())
    return places, explain(places, divergences, answers)


def answers(exchange: int, primary: tuple[int, str, Any], candidate: tuple[int, str, Any], request: str = "") -> Answers:
    """Make both answers of an exchange: status, media type, body."""
    sides = []
    for status, media_type, value in (primary, candidate):
        body = value if isinstance(value, str) else json.dumps(value)
        sides.append(Answer(status, (), body, len(body), media_type, 1.0))
    return Answers(exchange, "POST", "/", (), request, *sides)


def missing(make: Make, route: str, path: str, exchange: str = "1") -> Finding:
    """Make the finding of a key that the candidate lacks."""
    return make(
        subject=Subject("exchange", exchange),
        route=route,
        difference=DifferenceClass.STRUCTURAL,
        kind="missing-key",
        path=path,
        at=path.replace("[*]", "[0]"),
        primary='"x"',
        candidate=None,
        transition="string → absent",
    )


ROUTES = [
    "GET /api/memories",
    "GET /api/memory/:id",
    "POST /api/memory/recall",
    "GET /api/knowledge/entities",
    "ALL /mcp",
    "GET /x",
    "DELETE (unknown)",
]
KINDS = ["missing-key", "extra-key", "value", "type", "missing-item", "order", "status", "header", "stream-end", "identity", "late", "body-kind"]
QUIRKS = ["", "", "", "q-time-format", "q-null", "q-null-left-out", "q-number-format"]
VALUES = [None, "null", "1", "2.5", '""', '"some words"', '"aWord"', '"a_word"', "[]", "{}", "true", "not json", '"\\ud800"', "9" * 400]
finding_values = st.fixed_dictionaries(
    {
        "check": st.sampled_from(["http", "http", "http", "schema"]),
        "subject": st.builds(Subject, st.just("exchange"), st.sampled_from("12345")),
        "route": st.none() | st.sampled_from(ROUTES),
        "kind": st.sampled_from(KINDS),
        "path": st.sampled_from(
            ["$", "status", "header:vary", "$.a", "$.memories[*].who", "$.count", '$["a.b\\"]"].c', "$.<sse>[*].data", "$.x[*]"]
        )
        | st.text(max_size=12),
        "primary": st.sampled_from(VALUES),
        "candidate": st.sampled_from(VALUES),
        "quirk": st.sampled_from(QUIRKS),
        "derived_from": st.sampled_from(["", "", "", "the status, which differs", "#2, which gave no id", "nothing known"]),
    }
)


@settings(max_examples=60)
@given(st.lists(finding_values, max_size=25), st.randoms(use_true_random=False))
def test_each_place_has_one_cause_and_totals_add_up(rows: list[dict[str, Any]], dice: random.Random) -> None:
    """Each place stands in exactly one cause or hangs on one; order changes nothing; a part of what is found has the ids of the whole."""
    findings = [_built(**row) for row in rows]
    places, causes = told(findings)
    standing = [place for place in places if place.verdict is not Verdict.DERIVED]
    held = Counter(identifier for cause in causes for identifier in cause.clusters)
    assert all(held[place.id] == 1 for place in standing)
    assert set(held) <= {place.id for place in places}
    assert len({cause.id for cause in causes}) == len(causes)
    members = {place.id: place for place in places}
    for cause in causes:
        assert {members[identifier].verdict for identifier in cause.clusters} == {cause.verdict}
        assert cause.difference in {members[identifier].difference for identifier in cause.clusters}
    derived = sum(bool(item.derived_from) for item in findings)
    told_derived = sum(cause.derived for cause in causes)
    alone = sum(members[identifier].count for cause in causes if cause.verdict is Verdict.DERIVED for identifier in cause.clusters)
    assert told_derived <= derived
    assert (told_derived + alone > 0) == (derived > 0)
    mixed = list(findings)
    dice.shuffle(mixed)
    assert {(cause.id, frozenset(cause.clusters), cause.derived) for cause in told(mixed)[1]} == {
        (cause.id, frozenset(cause.clusters), cause.derived) for cause in causes
    }

    part = [item for item in findings[::2] if not item.derived_from]
    in_sight = ("answer", "default", "settings", "stream-end")
    whole = {cause.id for cause in causes}
    assert {cause.id for cause in told(part)[1] if not cause.name.startswith(in_sight)} <= whole


def _built(**row: Any) -> Finding:
    plain = {"domain": "read", "difference": DifferenceClass.SEMANTIC, "at": row["path"], "transition": "text"}
    return Finding(**{**plain, **row})


def test_a_thing_that_lacks_keys_is_one_cause_over_its_routes(finding: Make) -> None:
    """Rows of memories that lack keys are one cause in lists, alone and within other answers; rows of another thing are another."""
    first = missing(finding, "GET /api/memories", "$.memories[*].scope")
    rest = [
        missing(finding, "GET /api/memory/:id", "$.scope", "2"),
        missing(finding, "GET /api/memory/:id", "$.visibility", "2"),
        missing(finding, "POST /api/hooks/session-start", "$.memories[*].scope", "3"),
    ]
    other = missing(finding, "GET /api/tasks/:id", "$.task.scope", "4")
    (alone,) = told([first])[1]
    causes = {cause.id: cause for cause in told([first, *rest, other])[1]}
    assert len(causes) == 2
    assert causes[alone.id].places == 4
    assert causes[alone.id].count == 3
    assert len(causes[alone.id].routes) == 3
    assert "`scope`, `visibility`" in causes[alone.id].title
    assert causes[alone.id].usual


def test_refusals_are_told_apart_by_their_words(finding: Make) -> None:
    """A part that is not there refuses on all its routes with the same words; another refusal with the same status is another cause."""
    status = {"kind": "status", "path": "status", "at": "status", "difference": DifferenceClass.STRUCTURAL, "primary": "200"}
    findings, shown = [], []
    for number, (route, said) in enumerate(
        [("POST /a", "router not initialized"), ("GET /b", "router not initialized"), ("GET /c", "worker 17 not running")], 1
    ):
        findings.append(finding(subject=Subject("exchange", str(number)), route=route, candidate="503", transition="200 → 503", **status))
        shown.append(answers(number, (200, "application/json", {}), (503, "application/json", {"error": said})))
    causes = told(findings, shown)[1]
    assert [(cause.title.partition(" [")[0], cause.places) for cause in causes] == [
        ("refuses with 503: “router not initialized”", 2),
        ("refuses with 503: “worker … not running”", 1),
    ]


def test_a_refusal_of_the_framework_is_a_habit(finding: Make) -> None:
    """What is refused in plain text before the handler sees it is one habit, whatever status it has."""
    findings, shown = [], []
    for number, status in enumerate((400, 415, 422), 1):
        findings.append(
            finding(
                subject=Subject("exchange", str(number)),
                kind="status",
                path="status",
                primary="200",
                candidate=str(status),
                transition=str(status),
            )
        )
        shown.append(answers(number, (200, "application/json", {}), (status, "text/plain; charset=utf-8", "Failed to parse the body")))
    (cause,) = told(findings, shown)[1]
    assert cause.name == "q-typed-body"
    assert "Json<T>" in cause.usual


def test_an_object_of_other_keys_is_another_object(finding: Make) -> None:
    """Where most keys are there on one side only, the answer is another object altogether, and not a thing that lacks a key."""
    route = "GET /api/report"
    gone = [missing(finding, route, f"$.k{number}") for number in range(5)]
    more = [replace(missing(finding, route, f"$.n{number}"), kind="extra-key", primary=None, candidate="1") for number in range(2)]
    body = {f"k{number}": "x" for number in range(5)}
    (cause,) = told([*gone, *more], [answers(1, (200, "application/json", body), (200, "application/json", {"n0": 1, "n1": 1}))])[1]
    assert cause.title.startswith(f"answers {route} with another object: lacks `k0`")
    causes = told([gone[0], more[0]], [answers(1, (200, "application/json", body), (200, "application/json", body))])[1]
    assert [cause.name for cause in causes] == ["envelope read"]


def test_an_rpc_call_goes_by_its_tool(finding: Make) -> None:
    """What a tool answers belongs to the thing that the tool is about, as on that thing's own routes."""
    own = missing(finding, "GET /api/memory/:id", "$.scope")
    call = missing(finding, "ALL /mcp", "$.result.content[*].text.<json>.scope", "2")
    request = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "memory_get", "arguments": {}}})
    (cause,) = told([own, call], [answers(2, (200, "application/json", {}), (200, "application/json", {}), request)])[1]
    assert cause.routes == ("ALL /mcp", "GET /api/memory/:id")


def test_verdicts_are_causes_of_their_own(finding: Make) -> None:
    """What a rule accepts of a habit is told beside what is open of it, under the same id with the verdict behind it."""
    open_one, accepted = finding(path="$.a"), finding(path="$.b", subject=Subject("exchange", "2"))
    divergences = [*judged([open_one]), *judged([accepted], Verdict.DOCUMENTED)]
    first, second = explain(cluster(divergences, ()), divergences)
    assert second.id == f"{first.id}-documented"
    assert (first.verdict, second.verdict) == (Verdict.OPEN, Verdict.DOCUMENTED)


def test_what_follows_is_counted_with_its_cause(finding: Make) -> None:
    """Derived divergences are no causes: each is counted with the cause of the place that it hangs on, named by exchange and path."""
    roots = [finding(path="$.a"), finding(path="$.<x>", kind="order", route="GET /b")]
    hanging = finding(subject=Subject("exchange", "7"), path="$.z", derived_from="#1, where “x” first differed ($.a)")
    causes = told([*roots, hanging])[1]
    assert [cause.derived for cause in causes if cause.name != "order"] == [1]
    assert sum(cause.derived for cause in causes) == 1
    unknown = told([finding(derived_from="something else")])[1]
    assert [cause.verdict for cause in unknown] == [Verdict.DERIVED]


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"kind": "type", "primary": "null", "candidate": '"[]"', "quirk": "q-null"}, "q-empty-for-null"),
        ({"kind": "type", "primary": '"x"', "candidate": "null", "quirk": "q-null"}, "q-unset"),
        ({"primary": '"a,b"', "candidate": '"[\\"a\\",\\"b\\"]"'}, "q-list-as-text"),
        ({"primary": '"checkFtsConsistency"', "candidate": '"check_fts"'}, "q-word-case"),
        ({"primary": '"agentStart"', "candidate": '"getDomState"', "route": "GET /api/memories"}, "state memory"),
        ({"path": "$.item.updatedBy", "primary": '"driver"', "candidate": '"api"'}, "q-actor"),
        ({"path": "$.error", "primary": '"no such thing"', "candidate": '"Thing not found"'}, "error-words"),
        ({"kind": "order", "path": "$.results", "route": "GET /api/memories"}, "order"),
        ({"kind": "missing-item", "path": "$.results[*]"}, "search"),
        ({"path": "$.took.durationMs", "primary": "12", "candidate": "0"}, "metrics"),
    ],
)
def test_habits_are_known_by_their_values(finding: Make, changes: dict[str, Any], name: str) -> None:
    """A habit shows in the two values alone, whatever the field is called."""
    (cause,) = told([finding(**changes)])[1]
    assert cause.name == name
