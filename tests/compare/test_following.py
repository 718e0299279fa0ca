"""What follows from an earlier difference of the same thing, and what never does."""

import datetime as dt
import json
from typing import Any

import pytest

from replay.compare import find, findings_of, hear
from replay.compare.following import Trail
from replay.compare.partners import Partners
from replay.compare.state import Side
from replay.compare.things import asked_things
from replay.identity import Bindings
from replay.judge import NoiseModel, judge, load_rules
from replay.judge.rules import RuleSet
from replay.model import Connection, EndReason, Exchange, Finding, Request, Response, Verdict
from replay.routes import route_of

A, B, J = (f"{number}1111111-0000-4000-8000-00000000000{number}" for number in (1, 2, 3))
TODAY = dt.date(2026, 11, 23)

type Told = tuple[int, Any]
"""A status and a JSON body."""


class Run:
    """A comparison, exchange by exchange; the candidate keeps the recorded ids."""

    def __init__(self) -> None:
        self.trail = Trail()
        self.findings: list[Finding] = []
        self._number = 0
        self.bindings = Bindings()
        self._side = Side(self.bindings)

    def ask(self, method: str, target: str, recorded: Told, observed: Told, body: Any = None) -> list[Finding]:
        """Compare one exchange."""
        self._number += 1
        one, two = (self._exchange(method, target, told, body) for told in (recorded, observed))
        route = route_of(one.request)
        partners = Partners({}, {}, self._side, 0.0)
        self.trail.see(one, two, route)
        heard = self.trail.follow(hear(find(one, two, partners, 0.0, route, trial=False), None), one, two, self._side.bindings)
        found = findings_of(one, route, heard)
        self.findings += found
        return found

    def _exchange(self, method: str, target: str, told: Told, body: Any) -> Exchange:
        raw = b"" if body is None else json.dumps(body).encode()
        kind = ((b"content-type", b"application/json"),)
        request = Request(method.encode(), target.encode(), b"HTTP/1.1", kind, raw)
        outcome = Response(b"HTTP/1.1", told[0], b"", kind, json.dumps(told[1]).encode())
        number = self._number
        return Exchange(number, request, outcome, Connection("c"), 2 * number - 1, 2 * number, float(number), number + 0.1, EndReason.COMPLETE)


def memory(number: str, version: int = 1, content: str = "tea", **more: Any) -> dict[str, Any]:
    """Spell a memory."""
    return {"id": number, "version": version, "content": content, **more}


def derived(findings: list[Finding]) -> list[str]:
    """Give what findings hang on."""
    assert findings
    return [finding.derived_from for finding in findings]


def test_another_version_is_another_state() -> None:
    """Where a version differs once, other values, versions and statuses of that thing follow, and those of another thing do not."""
    run = Run()
    told_otherwise = ((200, {"id": A, "newVersion": 2}), (200, {"id": A, "newVersion": 1}))
    assert derived(run.ask("PATCH", f"/api/memory/{A}", *told_otherwise, {"content": "milk"})) == [""]
    told = f"#1, where uuid {A} first differed ($.newVersion)"
    assert set(derived(run.ask("GET", f"/api/memory/{A}", (200, memory(A, 2, "milk")), (200, memory(A, 1, "tea"))))) == {told}
    refused = run.ask("PATCH", f"/api/memory/{A}", (200, {"id": A}), (409, {"error": "version"}), {"if_version": 2})
    assert [finding.derived_from for finding in refused if finding.kind == "status"] == [told]
    assert set(derived(run.ask("GET", f"/api/memory/{B}", (200, memory(B, 2)), (200, memory(B, 1))))) == {""}


def test_a_lost_thing_is_lost_everywhere() -> None:
    """What is not found once lacks in lists, in keys and in its job; an item of another thing that lacks stands for itself."""
    run = Run()
    made = (201, {"id": A, "jobId": J})
    run.ask("POST", "/api/memory/remember", made, made)
    run.ask("GET", f"/api/memory/{A}", (200, memory(A)), (404, {"error": "not found"}))
    told = f"#2, where uuid {A} first differed (status)"
    listed = run.ask("GET", "/api/memories", (200, {"memories": [memory(A, content="x"), memory(B, content="y")]}), (200, {"memories": []}))
    assert sorted(derived(listed)) == ["", told]
    rated = run.ask("POST", "/api/memory/feedback", (200, {"rated": {A: 1}}), (200, {"rated": {}}), {"feedback": {A: 1}})
    assert derived(rated) == [told]
    job = run.ask("GET", f"/api/memory/jobs/{J}", (200, {"id": J}), (404, {}))
    assert told in derived(job)


@pytest.mark.parametrize(("key", "recorded", "observed"), [("score", 1, "1"), ("at", "2026-11-23T10:00:00.000Z", "2026-11-23T10:00:00Z")])
def test_how_an_answer_is_written_never_follows(key: str, recorded: Any, observed: Any) -> None:
    """Types and formats are the route's, whatever the thing's state."""
    run = Run()
    run.ask("GET", f"/api/memory/{A}", (200, memory(A, 2)), (200, memory(A, 1)))
    assert derived(run.ask("GET", "/api/memories", (200, [memory(A, **{key: recorded})]), (200, [memory(A, **{key: observed})]))) == [""]


def test_one_value_is_one_value() -> None:
    """Where one value of a thing differs, only the same change under the same key follows."""
    run = Run()
    run.ask("GET", f"/api/memory/{A}", (200, memory(A, type="fact")), (200, memory(A, type="note")))
    told = f"#1, where uuid {A} first differed ($.type)"
    assert derived(run.ask("GET", "/api/memories", (200, [memory(A, type="fact")]), (200, [memory(A, type="note")]))) == [told]
    assert derived(run.ask("GET", "/api/memories", (200, [memory(A, type="fact")]), (200, [memory(A, type="rule")]))) == [""]
    assert derived(run.ask("GET", "/api/memories", (200, [memory(A, who="ann")]), (200, [memory(A, who="bob")]))) == [""]


def test_another_time_in_its_place_is_another_change() -> None:
    """Two times are no same change because both are times: where a thing's date is wrong in another way, it stands for itself."""
    run = Run()
    first, second, third = ("2001-02-03", "2002-02-03", "2003-02-03")
    run.ask("GET", f"/api/memory/{A}", (200, memory(A, due=first)), (200, memory(A, due=second)))
    told = f"#1, where uuid {A} first differed ($.due)"
    assert derived(run.ask("GET", "/api/memories", (200, [memory(A, due=first)]), (200, [memory(A, due=second)]))) == [told]
    assert derived(run.ask("GET", "/api/memories", (200, [memory(A, due=first)]), (200, [memory(A, due=third)]))) == [""]


def test_the_count_of_a_listing_tells_nothing_of_one_thing() -> None:
    """Where a listing about a thing counts otherwise, the thing's own values still stand for themselves."""
    run = Run()
    run.ask("GET", f"/memory/similar?id={A}", (200, {"total": 3}), (200, {"total": 2}))
    assert derived(run.ask("GET", f"/api/memory/{A}", (200, memory(A, content="tea")), (200, memory(A, content="milk")))) == [""]


def test_a_search_that_lacks_a_thing_says_nothing() -> None:
    """A search gives the best few, so a thing that it lacks is not lost: what differs of it later stands for itself."""
    run = Run()
    run.ask("POST", "/api/memory/recall", (200, {"results": [memory(A), memory(B, content="x")]}), (200, {"results": [memory(B, content="x")]}))
    assert derived(run.ask("GET", "/api/memories", (200, [memory(A)]), (200, []))) == [""]
    assert derived(run.ask("GET", f"/api/memory/{A}", (200, memory(A, content="milk")), (200, memory(A, content="tea")))) == [""]


def test_an_order_follows_from_what_stands_elsewhere() -> None:
    """An order hangs on a thing that differs, if all others stand in the same order; else it stands for itself."""
    run = Run()
    others = [memory(f"{number}2222222-0000-4000-8000-000000000000", content=f"n{number}") for number in range(4)]
    run.ask("GET", f"/api/memory/{A}", (200, memory(A, content="zebra")), (200, memory(A, content="ant")))
    told = f"#1, where uuid {A} first differed ($.content)"
    moved = run.ask("GET", "/api/memories", (200, [*others, memory(A, content="zebra")]), (200, [memory(A, content="ant"), *others]))
    assert {(finding.kind, finding.derived_from) for finding in moved} == {("value", told), ("order", told)}
    mixed = run.ask("GET", "/api/memories", (200, [*others, memory(A, content="zebra")]), (200, [memory(A, content="ant"), *reversed(others)]))
    assert {(finding.kind, finding.derived_from) for finding in mixed} == {("value", told), ("order", "")}


@pytest.mark.parametrize("documented", [False, True])
def test_what_a_rule_accepts_excuses_nothing_elsewhere(documented: bool) -> None:  # noqa: FBT001  # a case of the test
    """A finding hangs on an open one only: where a rule documents that one, it is judged for itself."""
    run = Run()
    run.ask("GET", f"/api/memory/{A}", (200, memory(A, type="fact")), (200, memory(A, type="note")))
    run.ask("GET", "/api/memories", (200, [memory(A, type="fact")]), (200, [memory(A, type="note")]))
    rule = '[[rule]]\nid = "t"\nroute = "GET /api/memory/:id"\nverdict = "documented"\nreason = "r"\nowner = "o"\nuntil = 2027-01-01\n'
    rules = load_rules(rule, "rules.toml") if documented else RuleSet()
    verdicts = [divergence.verdict for divergence in judge(run.findings, rules, NoiseModel(), TODAY).divergences]
    assert verdicts == ([Verdict.DOCUMENTED, Verdict.OPEN] if documented else [Verdict.OPEN, Verdict.DERIVED])


@pytest.mark.parametrize("key", ["sessionKey", "session_id", "agentId", "project"])
def test_nothing_hangs_on_who_asked(key: str) -> None:
    """A write that fails says nothing of the rest of its session, agent or project, though each request names them."""
    run = Run()
    run.ask("POST", "/api/memory/remember", (201, {"id": A}), (500, {"error": "x"}), {"content": "a", key: J})
    later = run.ask("POST", "/api/memory/remember", (201, memory(B, type="fact")), (201, memory(B, type="note")), {"content": "b", key: J})
    assert derived(later) == [""]
    listed = run.ask("GET", f"/api/memories?{key}={J}", (200, {"memories": [], "mode": "all"}), (200, {"memories": [], "mode": "few"}))
    assert derived(listed) == [""]


def test_of_several_things_each_answers_for_itself() -> None:
    """Where a request names a thing that is lost and another, what differs of the other stands for itself."""
    run = Run()
    run.ask("GET", f"/api/memory/{A}", (200, memory(A)), (404, {"error": "not found"}))
    told = f"#1, where uuid {A} first differed (status)"
    rows = [[{"id": one, "done": done} for one, done in zip((A, B), dones, strict=True)] for dones in ((True, True), (False, False))]
    asked = run.ask("POST", "/api/memory/modify", (200, {"results": rows[0]}), (200, {"results": rows[1]}), {"ids": [A, B]})
    assert derived(asked) == [told, ""]
    history = f"/api/memory/{A}/history"
    own = run.ask("GET", history, (200, {"history": [{"id": J, "event": "made"}]}), (200, {"history": []}))
    assert derived(own) == [told]


def test_what_a_write_made_is_known_by_what_it_said() -> None:
    """Where a write gave another id than its own, the item that holds its words follows; one that shares no more than a project does not."""
    run = Run()
    other, project = f"4{A[1:]}", "/srv/projects/helios"
    run.bindings.bind("uuid", A, A, 0, "$.id")
    body = {"content": "The tea is green and hot.", "project": project, "sourceType": "conversation"}
    assert derived(run.ask("POST", "/api/memory/remember", (201, {"id": A}), (201, {"id": B}), body)) == [""]
    told = f"#1, where uuid {A} first differed ($.id)"
    for content, reason in (("The tea is green and hot.", told), ("What nobody ever wrote.", "")):
        other = f"{int(other[0]) + 1}{A[1:]}"
        extra = [memory(other, content=content, project=project, sourceType="conversation")]
        assert derived(run.ask("GET", "/api/memories", (200, {"memories": []}), (200, {"memories": extra}))) == [reason]


def test_a_refused_change_decides_what_it_sent_and_no_more() -> None:
    """Where a change was refused, what it sent stays other; another value of the thing, or another change, stands for itself."""
    run = Run()
    run.ask("PATCH", f"/api/memory/{A}", (200, {"id": A}), (409, {"error": "no"}), {"content": "milk", "tags": ["a"]})
    told = f"#1, where uuid {A} first differed (status)"
    later = run.ask("GET", f"/api/memory/{A}", (200, memory(A, 2, "milk", pinned=True)), (200, memory(A, 1, "tea", pinned=False)))
    assert {finding.path: finding.derived_from for finding in later} == {"$.version": told, "$.content": told, "$.pinned": ""}
    assert derived(run.ask("GET", f"/api/memory/{A}", (200, memory(A, content="wine")), (200, memory(A, content="beer")))) == [""]


def test_a_list_that_lacks_a_thing_speaks_for_itself_alone() -> None:
    """A thing that is known on both sides and lacks in one list is not lost: another list that lacks it stands for itself."""
    run = Run()
    run.bindings.bind("uuid", A, B, 0, "$.id")
    lacks: tuple[Told, Told] = ((200, {"nodes": [memory(A)]}), (200, {"nodes": []}))
    assert derived(run.ask("GET", "/api/embeddings/projection", *lacks)) == [""]
    assert derived(run.ask("GET", "/api/embeddings/projection", *lacks)) == [f"#1, where uuid {A} first differed ($.nodes[*])"]
    assert derived(run.ask("GET", "/api/memories", (200, {"memories": [memory(A)]}), (200, {"memories": []}))) == [""]


def test_an_absence_that_proves_wrong_is_taken_back() -> None:
    """What hung on the absence of a thing stands for itself once an answer shows the thing."""
    run = Run()
    for route, key in (("/api/embeddings/projection", "nodes"), ("/api/memories", "memories")):
        run.ask("GET", route, (200, {key: [memory(A)]}), (200, {key: []}))
    assert derived(run.findings) == ["", f"#1, where uuid {A} first differed ($.nodes[*])"]
    run.ask("GET", "/api/repair/dead-memories", (200, {"memories": []}), (200, {"memories": [memory(A)]}))
    assert derived(run.trail.settled(run.findings, run.bindings))[:2] == ["", ""]


def test_an_item_that_turns_out_to_be_recorded_is_taken_back() -> None:
    """Where what one list has more is later known as a recorded thing, another list that has it more stands for itself."""
    run = Run()
    for route, key in (("/api/memories", "memories"), ("/api/embeddings/projection", "nodes")):
        run.ask("GET", route, (200, {key: []}), (200, {key: [memory(B)]}))
    assert derived(run.findings) == ["", f"#1, where uuid {B} first differed ($.memories[*])"]
    run.bindings.bind("uuid", A, B, 3, "$.id")
    assert derived(run.trail.settled(run.findings, run.bindings)) == ["", ""]


def test_a_count_follows_from_items_that_are_named() -> None:
    """A count that differs by the items that lack beside it follows from them; by any other number, it stands for itself."""
    lists = [memory(number, content=number) for number in (A, B)]
    for total, count in ((0, 1), (1, 0)):
        run = Run()
        found = run.ask("GET", "/api/memories", (200, {"memories": lists, "total": 2}), (200, {"memories": [], "total": total}))
        counted = [finding.derived_from for finding in found if finding.path == "$.total"]
        assert sum(reason.endswith("first differed ($.memories[*])") for reason in counted) == count


@pytest.mark.parametrize(("status", "follows"), [(404, True), (500, False)])
def test_a_server_error_never_follows(status: int, follows: bool) -> None:  # noqa: FBT001  # a case of the test
    """A thing that was not made is not found later; that a daemon breaks on the question is another fault."""
    run = Run()
    run.ask("POST", "/api/memory/remember", (201, {"id": A}), (400, {"error": "x"}), {"content": "milk"})
    asked = run.ask("GET", f"/api/memory/{A}", (200, memory(A)), (status, {"error": "x"}))
    assert [bool(finding.derived_from) for finding in asked if finding.kind == "status"] == [follows]


def test_who_asks_is_known_in_escaped_json() -> None:
    """A session that is named in JSON inside a string is who asks, and no thing."""
    arguments = json.dumps({"sessionKey": J, "id": A})
    request = Request(b"POST", b"/mcp", b"HTTP/1.1", (), json.dumps({"arguments": arguments}).encode())
    assert asked_things(request) == (A,)
