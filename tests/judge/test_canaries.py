"""Canaries: planted where answers were equal, found by the run's own comparison, rules and noise."""

import datetime as dt
import json

import pytest

from replay.compare import Comparison, Partners
from replay.compare.state import Side
from replay.identity import Bindings
from replay.judge import NoiseModel, load_rules, plant
from replay.judge.canaries import PER_CLASS, Ground
from replay.model import Canaries, Connection, Exchange, Pair, Request, Response

TODAY = dt.date(2026, 11, 23)
BODY = json.dumps({"name": "alpha beta", "kept": True, "count": 7, "items": ["one"]}).encode()


def exchanges(count: int, *, media: bytes = b"application/json", body: bytes = BODY) -> list[Exchange]:
    """Make equal exchanges."""
    answer = Response(b"HTTP/1.1", 200, b"", ((b"content-type", media),), body)
    request = Request(b"GET", b"/api/memories", b"HTTP/1.1", ())
    return [Exchange(n, request, answer, Connection("c"), 2 * n - 1, 2 * n, 10.0 * n, 10.0 * n + 0.01) for n in range(1, count + 1)]


def planted(
    recorded: list[Exchange], *, unequal: frozenset[int] = frozenset(), rules: str = "", seed: int = 1, times: float | None = None
) -> Canaries:
    """Plant into a run of these exchanges, but for those that are told to have findings."""
    events = (("primary", 1.0),) if recorded and (recorded[0].outcome.body or b"").startswith(b"data:") else ()  # type: ignore[union-attr]
    pairs = tuple(
        Pair(
            item.id,
            "read",
            "GET /api/memories",
            "GET",
            "/api/memories",
            None,
            findings=int(item.id in unequal),
            events=events,
            primary_ms=times,
            candidate_ms=times,
            control_ms=times,
        )
        for item in recorded
    )
    candidate = Partners({item.id: item for item in recorded}, {}, Side(Bindings()), 10.0)
    ground = Ground(recorded, candidate, None, load_rules(rules, "r.toml"), NoiseModel(), TODAY)
    return plant(Comparison(pairs, (), (), (), (), 5.0, ()), ground, seed)


def test_all_are_found() -> None:
    """Of each class that has a place, as many are planted as are drawn in a domain, each of another kind, and all are found."""
    made = planted(exchanges(9))

    assert made == Canaries(2 * PER_CLASS, 2 * PER_CLASS, 0, (), (), (("read, structural", 3, 3), ("read, semantic", 3, 3)))


def test_streams_have_their_own() -> None:
    """An event that is lost, doubled or out of order is planted where answers are streams."""
    made = planted(exchanges(3, media=b"text/event-stream", body=b'data: {"kept": true}\n\ndata: {"kept": false}\n\n'))

    assert ("read, stream", PER_CLASS, PER_CLASS) in made.kinds


def test_an_answer_that_hangs_is_planted() -> None:
    """Where a control was timed, one answer of each domain hangs, and is found by the run's own rule of time."""
    made = planted(exchanges(5), times=2.0)

    assert ("read, timing", 1, 1) in made.kinds


def test_an_answer_that_differs_serves_too() -> None:
    """Where nothing is equal, a fault is planted into an answer that differs, and must add something."""
    assert planted(exchanges(3), unequal=frozenset({1, 2, 3})).found == 2 * PER_CLASS


def test_a_comparer_that_sleeps_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A canary that adds no finding is missed, and named by exchange, route, fault and place."""
    import replay.judge.canaries as room

    monkeypatch.setattr(room, "find", lambda *_, **__: [])
    made = planted(exchanges(3))

    assert (made.planted, made.found) == (len(made.missed), 0)
    assert made.missed[0].startswith("#")
    assert "GET /api/memories: " in made.missed[0]


def test_a_rule_that_swallows_everything_is_blind() -> None:
    """A canary that a rule silences is counted as blind and named with the rule; it is not missed."""
    made = planted(exchanges(5), rules='[[rule]]\nid = "all"\nverdict = "documented"\nreason = "x"\nowner = "us"\nuntil = 2099-01-01\n')

    assert (made.found, made.missed) == (0, ())
    assert made.blind == made.planted == len(made.swallowed)
    assert made.swallowed[0][0] == "all"
    assert "rule all" in made.swallowed[0][1]


def test_the_seed_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same seed draws the same exchanges, another one others: a candidate can't learn where they lie."""
    import replay.judge.canaries as room

    def drawn(seed: int) -> list[int]:
        seen: list[int] = []
        inner = room.news

        def spy(exchange: Exchange, *rest: object) -> object:
            seen.append(exchange.id)
            return inner(exchange, *rest)  # type: ignore[arg-type]

        with monkeypatch.context() as patch:
            patch.setattr(room, "news", spy)
            planted(exchanges(50), seed=seed)
        return seen

    assert drawn(1) == drawn(1) != drawn(2)
