"""Each fault is real: it changes the bytes or rows that it says it changes, and nothing shows it without the fault."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from replay import routes
from replay.demo import FAULTS, evidence
from replay.demo.faults import DELETED_SECRET
from replay.model import DOMAINS, DifferenceClass, UsageError
from replay.workspace import secrets

STATE = [name for name, fault in FAULTS.items() if fault.kind == "state"]


def seals(transcript: Any) -> list[float]:
    """Give the scores of the first recall, as they came."""
    return [result["score"] for result in transcript.values("POST /api/memory/recall")[0]["results"]]


def buoy(transcript: Any) -> list[Any]:
    """Give the readings of the memory that was changed, after the change."""
    first = transcript.values("GET /api/memory/:id")[2]
    return [value for value in transcript.values("GET /api/memory/:id")[3:] if value["id"] == first["id"]]


def fetched(transcript: Any) -> str:
    """Give the content that memory_get gave through /mcp."""
    return str(json.loads(transcript.values("ALL /mcp")[-5]["result"]["content"][0]["text"])["content"])


SHOWN: dict[str, Callable[[Any], bool]] = {
    "wrong-status": lambda t: t.statuses("POST /api/auth/api-keys") == [200],
    "missing-header": lambda t: "www-authenticate" not in t.at("GET /api/auth/api-keys")[0].answer.headers,
    "wrong-role": lambda t: t.values("GET /api/auth/whoami")[1]["effectiveAccess"] == "operator",
    "missing-key": lambda t: "paused" not in t.values("GET /api/pipeline/status")[0],
    "null-for-absent": lambda t: t.values("GET /api/memory/:id")[0].get("project", "absent") is None,
    "number-as-string": lambda t: t.values("GET /api/git/status")[0]["uncommittedChanges"] == "2",
    "reordered-recall": lambda t: seals(t) == sorted(seals(t)),
    "late-answer": lambda t: all(seen.duration_s >= 0.3 for seen in t.at("GET /api/secrets")),
    "stream-cut-early": lambda t: b"run-completed" not in t.at("GET /api/tasks/:id/stream")[0].answer.body,
    "wrong-id-returned": lambda t: t.statuses("GET /api/documents/:id")[0] == 404,
    "foreign-id": lambda t: any(seen.value["id"] not in seen.target for seen in t.at("PATCH /api/memory/:id")),
    "flipped-flag": lambda t: all(value["embedded"] for value in t.values("POST /api/memory/remember")),
    "swapped-memories": lambda t: t.values("GET /api/memories")[0]["memories"][0]["content"].startswith("The north quay"),
    "stale-read": lambda t: [value["content"] for value in buoy(t)] == ["The red buoy blinks thrice."],
    "extra-item": lambda t: len(t.values("GET /api/harnesses")[0]["harnesses"]) == 2,
    "truncated-text": lambda t: (
        t.values("GET /api/config")[0]["files"][0]["size"] - 12 == len(t.values("GET /api/config")[0]["files"][0]["content"])
    ),
    "case-changed": lambda t: fetched(t) == "the cormorant sails on thursdays.",
    "error-code": lambda t: any(value.get("error", {}).get("code") == -32603 for value in t.values("ALL /mcp")),
    "off-by-one": lambda t: t.values("GET /api/memories")[0]["stats"]["total"] == len(t.values("GET /api/memories")[0]["memories"]) + 1,
    "wrong-content-type": lambda t: t.at("GET /api/diagnostics/database/schema")[0].answer.headers["content-type"].startswith("text/plain"),
    "lost-line": lambda t: t.at("GET /api/telemetry/memory-search/export")[0].answer.body.count(b"\n") == 7,
    "lost-setting": lambda t: t.values("GET /api/git/config")[1]["autoSync"] is False,
    "lost-write": lambda t: t.statuses("GET /api/memory/:id")[5] == 404,
    "stale-index": lambda t: len(t.values("GET /memory/search")[2]["results"]) == 1 and t.values("GET /memory/search")[3]["results"] == [],
    "failed-job": lambda t: t.values("GET /api/memory/jobs/:id")[0]["status"] == "dead",
    "missing-index": lambda t: "idx_memories_created" not in json.dumps(t.at("GET /api/diagnostics/database/schema")[0].value),
    "secret-kept": lambda t: DELETED_SECRET in t.values("GET /api/secrets")[-1]["secrets"],
}
"""Fault → what its answers show."""


@pytest.fixture(scope="session")
def broken(story: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Give the story as the `js` runtime answers it with every fault at once; they touch different places."""
    return story(tmp_path_factory.mktemp("broken") / "workspace", "js", *FAULTS)


def test_every_visible_fault_is_looked_for() -> None:
    """The expectations are as complete as the table."""
    assert set(SHOWN) == {name for name, fault in FAULTS.items() if fault.shows_in_traffic}
    assert {"plaintext-secret"} == FAULTS.keys() - SHOWN.keys()


@pytest.mark.parametrize("name", SHOWN)
def test_fault_shows_in_traffic(name: str, js: Any, broken: Any) -> None:
    """An answer of the route that the fault names is wrong with it and right without."""
    assert SHOWN[name](broken)
    assert not SHOWN[name](js)


@pytest.mark.parametrize("name", STATE)
def test_fault_shows_in_the_state(name: str, js: Any, broken: Any) -> None:
    """The row or file that the fault names is wrong with it and right without."""
    assert evidence(name, broken.workspace).startswith(FAULTS[name].state)
    assert evidence(name, js.workspace) == ""


def test_plaintext_lies_in_the_file(js: Any, broken: Any) -> None:
    """With its fault a secret's value is in the file for everybody to read; without, the demo's own machine id opens it."""
    plain = secrets.read(broken.workspace / secrets.FILE).secrets["DEMO_API_KEY"]
    store = secrets.read(js.workspace / secrets.FILE)
    key = secrets.derive_key((js.workspace / ".demo-machine-id").read_text().strip())

    assert secrets.leaked_text(plain.ciphertext) == "made-up-value-four"
    assert secrets.reveal(store, "DEMO_API_KEY", key) == "made-up-value-four"
    assert secrets.reveal(store, "DEMO_PASSWORD", key) == "made-up-välue-two"
    assert (js.workspace / secrets.FILE).stat().st_mode & 0o777 == 0o600


def test_table_is_sound() -> None:
    """Each fault is in the domain of the route that shows it; every domain and class has one; there are more than enough."""
    for fault in FAULTS.values():
        if fault.shows_in_traffic:
            method, _, template = fault.where.partition(" ")
            assert routes.match("POST" if method == "ALL" else method, template.replace(":", "")).domain == fault.domain
    assert {fault.domain for fault in FAULTS.values()} == set(DOMAINS)
    assert {fault.difference for fault in FAULTS.values()} == set(DifferenceClass)
    assert len(FAULTS) >= 14


def test_unknown_names_are_refused(tmp_path: Path) -> None:
    """A fault that is none, and evidence of one that leaves none, are errors of the caller."""
    with pytest.raises(UsageError, match="no fault named"):
        evidence("no-such-fault", tmp_path)
    with pytest.raises(UsageError, match="answers only"):
        evidence("late-answer", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["js", "rust"])
@pytest.mark.parametrize("name", FAULTS)
def test_fault_shows_alone(name: str, runtime: str, story: Callable[..., Any], tmp_path: Path) -> None:
    """One fault by itself shows on either runtime, except where the runtime has no such place."""
    if runtime == "rust" and name in ("number-as-string", "stream-cut-early", "plaintext-secret"):
        pytest.skip("the rust runtime differs at that very place")
    transcript = story(tmp_path / "workspace", runtime, name)

    assert transcript.said == ""
    if name in SHOWN:
        assert SHOWN[name](transcript)
    if name in STATE:
        assert evidence(name, transcript.workspace)
