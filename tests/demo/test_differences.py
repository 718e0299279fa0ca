"""Each known difference of the pair is really there, at the bytes."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from replay import routes
from replay.demo import DIFFERENCES
from replay.demo.application import ROUTES
from replay.workspace import secrets

NANOSECONDS = re.compile(rb"\d\.\d{9}\+00:00\b")


def nanoseconds_in(domain: str) -> Callable[[Any], bool]:
    """Say whether the answers of a domain have nanoseconds."""

    def look(transcript: Any) -> bool:
        bodies = [seen.answer.body for seen in transcript.seen if routes.match(seen.method, seen.target).domain == domain]
        return any(NANOSECONDS.search(body) for body in bodies)

    return look


def content_type_of(transcript: Any, route: str, status: int) -> str:
    """Give the content type of a route's first answer with *status*; empty where there is none."""
    return next((str(seen.answer.headers["content-type"]) for seen in transcript.at(route) if seen.answer.status == status), "")


def fresh_status(transcript: Any) -> str:
    """Give extraction_status of a memory that was remembered in the story."""
    return str(
        next(value for value in transcript.values("GET /api/memory/:id") if value["content"] == "The red buoy blinks thrice.")[
            "extraction_status"
        ]
    )


def tool_names(transcript: Any) -> list[str]:
    """Give the names of the tools that /mcp lists."""
    return next(
        [tool["name"] for tool in value["result"]["tools"]] for value in transcript.values("ALL /mcp") if "tools" in value.get("result", {})
    )


EVIDENCE: dict[str, list[Callable[[Any], bool]]] = {
    "time-format": [nanoseconds_in(place.domain) for place in DIFFERENCES["time-format"].places],
    "history-created-row": [lambda t: t.values("GET /api/memory/:id/history")[1]["history"] != []],
    "remember-enqueues-nothing": [
        lambda t: t.values("GET /api/pipeline/status")[0]["queues"]["memory"]["completed"] == 2,
        lambda t: fresh_status(t) == "none",
    ],
    "secret-plaintext": [
        lambda t: any(secrets.leaked_text(entry.ciphertext) for entry in secrets.read(t.workspace / secrets.FILE).secrets.values())
    ],
    "secret-delete-absent": [lambda t: t.at("DELETE /api/secrets/:name")[1].value.get("existed") is False],
    "secret-empty-value": [lambda t: t.statuses("POST /api/secrets/:name")[4] == 200],
    "unknown-path": [lambda t: content_type_of(t, "GET /api/no/such/route", 200).startswith("text/html")],
    "body-extractor": [
        lambda t: (
            t.statuses("POST /api/memory/remember")[-4:-1] == [400, 422, 400]
            and content_type_of(t, "POST /api/memory/remember", 400).startswith("text/plain")
        ),
        lambda t: content_type_of(t, "POST /api/memory/recall", 400).startswith("text/plain"),
        lambda t: t.statuses("POST /api/auth/token") == [200, 400, 415],
    ],
    "log-stream-ends": [lambda t: len(t.events) == 1],
    "task-stream-ends": [lambda t: all(seen.answer.body.count(b"data:") == 1 for seen in t.at("GET /api/tasks/:id/stream"))],
    "memory-search-route": [lambda t: t.statuses("GET /api/memory/search") == [200]],
    "recall-untruncated": [
        lambda t: any(
            result["content_length"] > 500 and not result["truncated"]
            for value in t.values("POST /api/memory/recall")
            for result in value["results"]
        )
    ],
    "pipeline-queue-keys": [lambda t: "dead" not in t.values("GET /api/pipeline/status")[0]["queues"]["summary"]],
    "mcp-fewer-tools": [lambda t: "secret_list" not in tool_names(t)],
    "mcp-protocol-pinned": [lambda t: t.values("ALL /mcp")[0]["result"]["protocolVersion"] == "2024-11-05"],
    "mcp-notification-status": [lambda t: t.statuses("ALL /mcp")[1] == 200],
    "git-status-keys": [
        lambda t: "lastCommit" in t.values("GET /api/git/status")[0],
        lambda t: t.values("GET /api/git/status")[0]["remote"] != "origin",
    ],
    "git-sync-shape": [lambda t: set(t.values("POST /api/git/sync")[0]) == {"pull", "push"}],
    "schema-more-tables": [
        lambda t: "os_widgets" in {table["name"] for table in t.values("GET /api/diagnostics/database/schema")[0]["tables"]},
        lambda t: "settings_json" in t.values("GET /api/diagnostics/database/tables/:table/sample")[0]["rows"][0],
    ],
    "architecture-dashes": [lambda t: "—" not in json.dumps(t.values("GET /api/config")[0]["files"][2], ensure_ascii=False)],
}
"""Name → for each of its places, what is true of the `rust` runtime and false of the other."""


@pytest.mark.parametrize("name", DIFFERENCES)
def test_difference_is_there(name: str, js: Any, rust: Any) -> None:
    """The difference shows at each of its places on one runtime, and not on the other."""
    assert len(EVIDENCE[name]) == len(DIFFERENCES[name].places)
    for look in EVIDENCE[name]:
        assert look(rust)
        assert not look(js)


def test_places_are_routes_of_their_domains() -> None:
    """Each place names a route of the demo in the domain that the house's table gives it, and each row says where it is from."""
    names = {route.name for route in ROUTES}
    for difference in DIFFERENCES.values():
        assert re.match(r"signet-(state|http)\.md §\d", difference.citation)
        for place in difference.places:
            if place.visible == "state" or place.route == "*" or "(unknown)" in place.route:
                continue
            method, _, template = place.route.partition(" ")
            assert place.route in names
            assert routes.match("POST" if method == "ALL" else method, template.replace(":", "")).domain == place.domain
