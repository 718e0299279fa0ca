"""The client's story: it touches everything and comes out the same each time."""

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from replay import routes
from replay.demo.application import ROUTES
from replay.model import DOMAINS

ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(Z|\+00:00)")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
VOLATILE = {"uptime", "pid", "port", "totalMs", "durationMs", "token", "key", "prefix", "iat", "exp", "confirmToken"}


def settled(text: str, workspace: Path) -> str:
    """Give a body without what may differ from run to run."""
    numbers: dict[str, str] = {}
    text = text.replace(str(workspace), "<workspace>")
    text = UUID.sub(lambda match: numbers.setdefault(match.group(), f"<id {len(numbers)}>"), text)
    text = ISO.sub("<time>", text)
    try:
        return json.dumps(without_volatile(json.loads(text)))
    except ValueError:
        return text


def without_volatile(value: Any) -> Any:
    """Blank the volatile keys, at any depth."""
    if isinstance(value, dict):
        return {key: "<volatile>" if key in VOLATILE else without_volatile(inner) for key, inner in value.items()}
    return [without_volatile(inner) for inner in value] if isinstance(value, list) else value


def summary(transcript: Any) -> list[tuple[str, str, int, str]]:
    """Give a transcript in a form that can be compared."""
    return [
        (seen.method, UUID.sub("<id>", seen.target), seen.answer.status, settled(seen.answer.body.decode(), transcript.workspace))
        for seen in transcript.seen
    ]


def test_two_runs_are_alike(js: Any, story: Callable[..., Any], tmp_path: Path) -> None:
    """Beside ids, times, durations, pid, port and credentials, nothing differs between two runs from the same state."""
    again = story(tmp_path / "workspace", "js")

    assert summary(again) == summary(js)
    assert len(again.events) == len(js.events) == 5
    assert (again.exit_code, again.said) == (0, "")


def test_every_route_is_asked(js: Any, rust: Any) -> None:
    """The story asks each route at least once, on both runtimes, and no daemon stumbles."""
    for transcript in (js, rust):
        assert {seen.route for seen in transcript.seen} >= {route.name for route in ROUTES}
        assert max(seen.answer.status for seen in transcript.seen) < 500
        assert (transcript.exit_code, transcript.said) == (0, "")


def test_every_domain_has_several_exchanges(js: Any) -> None:
    """Each of the nine domains has at least five exchanges, by the house's own table of routes."""
    counts = Counter(routes.match(seen.method, seen.target).domain for seen in js.seen)

    assert set(counts) == set(DOMAINS)
    assert min(counts.values()) >= 5, counts


def test_routes_are_the_real_ones(js: Any) -> None:
    """Every route of the demo is one of the real daemon, under its name."""
    known = {route.name for route in routes.table()}

    assert {route.name for route in ROUTES} <= known


def test_recall_is_ranked(js: Any) -> None:
    """Recall gives its matches by falling score, with its timings."""
    first = js.values("POST /api/memory/recall")[0]
    scores = [result["score"] for result in first["results"]]

    assert len(scores) > 2
    assert scores == sorted(scores, reverse=True)
    assert first["meta"]["timings"]["totalMs"] > 0


def test_ids_of_answers_lead_on(js: Any) -> None:
    """What was remembered is read, changed, forgotten and brought back by the id that came back; jobs and chunks are there."""
    assert [value["status"] for value in js.values("GET /api/memory/jobs/:id")] == ["completed", "completed"]
    assert [value["status"] for value in js.values("PATCH /api/memory/:id")] == ["updated", "updated"]
    assert js.statuses("PATCH /api/memory/:id") == [200, 409, 200]
    assert len(js.values("GET /api/documents/:id/chunks")[0]["chunks"]) == 4
    assert js.values("POST /api/memory/:id/recover")[0]["status"] == "recovered"
    assert js.values("POST /api/memory/forget")[1]["deleted"] == 1
    assert js.values("POST /api/memory/feedback")[0]["accepted"] == 2


def test_credentials_are_looked_at(js: Any) -> None:
    """No token, a malformed, a forged and a revoked credential are refused; a weak role may read and not write."""
    refused = [seen for seen in js.seen if seen.answer.status == 401]

    assert [seen.target for seen in refused] == [
        "/api/memories",
        "/api/auth/api-keys",
        "/api/memories",
        "/api/auth/login",
        "/api/memories",
        "/api/memories?limit=1",
    ]
    assert refused[0].answer.headers["www-authenticate"] == "Bearer"
    assert [seen.target for seen in js.seen if seen.answer.status == 403] == [
        "/api/diagnostics/database/tables/api_keys/sample?limit=5",
        "/api/memory/remember",
        "/api/secrets",
    ]
