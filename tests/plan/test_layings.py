"""Which recorded changes of files are laid, and where in the order."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.model import Attachment, Connection, Exchange, Request, Response, WorkspaceChange
from replay.plan import Plan, make_plan
from replay.plan.layings import IN_THE_STATE, KEPT_BY_THE_DAEMON, NO_STEP, NOT_THERE


def exchange(number: int, opened: int, ended: int, target: str = "/health", *, method: str = "GET", body: Any = None) -> Exchange:
    """Build an exchange between two event numbers, a second of wall clock an event."""
    request = Request(method.encode(), target.encode(), b"HTTP/1.1", ((b"Host", b"x"),), b"" if body is None else json.dumps(body).encode())
    answer = Response(b"HTTP/1.1", 200, b"OK", (), b"{}")
    return Exchange(number, request, answer, Connection(f"c{number}"), opened, ended, float(opened), float(ended))


def edit(event: int, path: str = "USER.md", content: bytes | None = b"new", **more: Any) -> WorkspaceChange:
    """Build a change, noticed at its event's second."""
    at = more.pop("at", float(event))
    return WorkspaceChange(event, at, path, "d" if content else None, content, **{"modified_at": at if content is not None else None, **more})


def why(plan: Plan) -> dict[str, int]:
    """Count what is not laid, by reason."""
    return {each.why: each.count for each in plan.unlaid}


ALL = frozenset({"all"})


@pytest.mark.parametrize(
    "path",
    [
        "MEMORY.md",
        "agents/nova/MEMORY.md",
        "memory/MEMORY.backup-2026-01-01T00-00-00.md",
        "memory/2026-11-23T18-35-12.484Z--yvdl6ymqk37zzcnw--manifest.md",
        "SIGNET-ARCHITECTURE.md",
        "agents/nova/workspace/AGENTS.md",
        "sources.json",
        "marketplace/mcp-servers.json",
        ".secrets/secrets.enc",
        ".daemon/auth-secret",
        "memory/memories.db-wal",
        ".git/HEAD",
    ],
)
def test_what_the_daemon_keeps_is_not_laid(path: str) -> None:
    """A file that the daemon writes itself is never laid: that would hide where another daemon writes something else."""
    plan = make_plan([exchange(1, 1, 2)], changes=[edit(3, path)])
    assert (tuple(plan.layings), why(plan)) == ((), {KEPT_BY_THE_DAEMON: 1})


@pytest.mark.parametrize("path", ["USER.md", "agent.yaml", "memory/2026-01-09-field.md", "agents/nova/SOUL.md", "skills/x/SKILL.md", "é.md"])
def test_what_people_edit_is_laid(path: str) -> None:
    """With no request open that writes it, a change is a person's edit, and so is its going."""
    plan = make_plan([exchange(1, 1, 2)], changes=[edit(3, path), edit(4, path, None)])
    assert [laying.record.path for laying in plan.layings] == [path, path]
    assert [laying.after for laying in plan.layings] == [1, 1]


@pytest.mark.parametrize(
    ("request_", "path", "is_daemons"),
    [
        (("POST", "/api/config", {"file": "SOUL.md", "content": "x"}), "SOUL.md", True),
        (("POST", "/api/config", {"file": "SOUL.md", "content": "x"}), "USER.md", False),
        (("POST", "/api/pipeline/pause", None), "agent.yaml", True),
        (("POST", "/api/pipeline/pause", None), "USER.md", False),
        (("POST", "/api/skills/install", {"name": "x"}), "skills/x/SKILL.md", True),
        (("DELETE", "/api/skills/x", None), "skills/x/SKILL.md", True),
        (("POST", "/api/git/pull", None), "notes.md", True),
        (("POST", "/api/memory/remember", {"content": "x"}), "agent.yaml", False),
    ],
)
def test_what_a_request_writes_is_the_daemons(request_: tuple[str, str, Any], path: str, *, is_daemons: bool) -> None:
    """A change while a request is open that writes this very file is not laid, also just after its end; later it is a person's."""
    method, target, body = request_
    writing = exchange(1, 1, 3, target, method=method, body=body)
    for change in (edit(2, path), edit(4, path, at=3.1)):
        plan = make_plan([writing], changes=[change], allow=ALL)
        assert bool(plan.layings) is not is_daemons
    assert len(make_plan([writing], changes=[edit(9, path)], allow=ALL).layings) == 1


def test_what_the_state_holds_is_not_laid_again() -> None:
    """What changed before the snapshot was taken is in it, and what has no content can't be laid."""
    plan = make_plan([exchange(1, 5, 6)], changes=[edit(2), edit(3), edit(4), edit(5, content=None, modified_at=1.0)], state_from=3)
    assert [laying.event for laying in plan.layings] == [4]
    assert why(plan) == {IN_THE_STATE: 2, "its content was not recorded": 1}


def test_a_late_notice_is_put_right() -> None:
    """An edit that was made before a request began goes before it, though its event number came later; a moved file's time proves nothing."""
    exchanges = [exchange(1, 1, 2), exchange(2, 5, 8), exchange(3, 20, 21)]
    late = edit(6, at=5.001, modified_at=4.999)
    (laying,) = make_plan(exchanges, changes=[late]).layings
    assert (laying.event, laying.after) == (4, 1)
    (laying,) = make_plan(exchanges, changes=[replace(late, modified_at=1.5)]).layings
    assert (laying.event, laying.after) == (6, 1)
    (laying,) = make_plan(exchanges, changes=[edit(6, content=None, at=4.998)]).layings
    assert laying.event == 4


def test_the_daemon_gets_the_time_that_an_edit_had() -> None:
    """A silence after an edit settles as after a write, and one before an edit lets what came before settle."""
    write = exchange(1, 1, 2, "/api/memory/remember", method="POST")
    plan = make_plan([write, exchange(2, 9, 10)], changes=[edit(6)])
    (laying,) = plan.layings
    assert (laying.pause_s, laying.settles) == (4.0, True)
    assert [(step.pause_s, step.settles) for step in plan.steps] == [(0.0, False), (3.0, True)]
    quick = make_plan([exchange(1, 1, 2), exchange(2, 9, 10)], changes=[edit(6, at=8.95)])
    assert (quick.layings[0].settles, quick.steps[1].settles) == (False, False)


def test_a_named_file_is_laid_before_its_request() -> None:
    """A file that a request names comes right before it and breaks no silence; without a step or content it is counted."""
    write = exchange(1, 1, 2, "/api/memory/remember", method="POST")
    asks = exchange(2, 7, 8, "/api/hooks/session-end", method="POST")
    files = [
        Attachment(9, 2, "/home/x/t.jsonl", "d", b"x"),
        Attachment(10, 2, "/home/x/u.jsonl", None, None, note="not there"),
        Attachment(11, 7, "/home/x/t.jsonl", "d", b"x"),
    ]
    plan = make_plan([write, asks], changes=files)
    assert [(laying.event, laying.after, laying.record) for laying in plan.layings] == [(6, 1, files[0])]
    assert plan.steps[1].settles
    assert why(plan) == {NOT_THERE: 1, NO_STEP: 1}


@given(st.permutations(list(range(1, 17))), st.sets(st.integers(0, 15), max_size=6), st.data())
def test_the_order_of_layings_is_that_of_events(events: list[int], edited: set[int], data: st.DataObject) -> None:
    """Whatever overlaps: each edit comes after all ends before it, before all starts after it, and the frontier never falls."""
    numbers = [2 * event for event in events]
    spans = [sorted(numbers[at : at + 2]) for at in range(0, len(numbers), 2)]
    exchanges = [exchange(number, opened, ended) for number, (opened, ended) in enumerate(spans, 1)]
    changes = [edit(2 * at + 1, path=data.draw(st.sampled_from(["USER.md", "memory/a.md"]))) for at in sorted(edited)]
    plan = make_plan(exchanges, changes=data.draw(st.permutations(changes)))
    assert [laying.record for laying in plan.layings] == changes
    for laying in plan.layings:
        before = {one.id for one in exchanges if one.ended_event < laying.event}
        assert set(plan.ends[: laying.after]) == before
        assert laying.event == laying.record.event
    fronts = [laying.after for laying in plan.layings]
    assert fronts == sorted(fronts)
