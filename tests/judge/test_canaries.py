"""Canaries: planted where answers were equal, found by the run's own comparison, rules and noise."""

import datetime as dt
import json
from collections.abc import Callable

import pytest

from replay.compare import Comparison, Partners
from replay.compare.state import Side
from replay.identity import Bindings
from replay.judge import NoiseModel, RuleSet, load_rules, plant
from replay.judge.canaries import PER_DOMAIN, Ground
from replay.model import Canaries, Connection, Exchange, Pair, Request, Response

TODAY = dt.date(2026, 11, 23)
BODY = json.dumps({"name": "alpha", "kept": True}).encode()


def exchanges(count: int) -> list[Exchange]:
    """Make equal exchanges."""
    answer = Response(b"HTTP/1.1", 200, b"", ((b"content-type", b"application/json"),), BODY)
    request = Request(b"GET", b"/api/memories", b"HTTP/1.1", ())
    return [Exchange(n, request, answer, Connection("c"), 2 * n - 1, 2 * n, 10.0 * n, 10.0 * n + 0.01) for n in range(1, count + 1)]


def planted(*, of: int, unequal: frozenset[int] = frozenset(), rules: RuleSet | None = None, seed: int = 1) -> Canaries:
    """Plant into a run of equal exchanges, but for those that are told to have findings."""
    recorded = exchanges(of)
    pairs = tuple(
        Pair(item.id, "read", "GET /api/memories", "GET", "/api/memories", None, findings=int(item.id in unequal)) for item in recorded
    )
    candidate = Partners({item.id: item for item in recorded}, {}, Side(Bindings()), 10.0)
    ground = Ground(recorded, candidate, None, rules or RuleSet(), NoiseModel(), TODAY)
    return plant(Comparison(pairs, (), (), (), (), 5.0, ()), ground, seed)


def test_all_are_found() -> None:
    """Another status, a dropped key and a changed leaf are found, as many of each as are drawn in a domain."""
    assert planted(of=5) == Canaries(3 * PER_DOMAIN, 3 * PER_DOMAIN, 0, ())


def test_nothing_is_planted_where_something_differs() -> None:
    """Only answers that were equal can show that a difference would have been seen."""
    assert planted(of=3, unequal=frozenset({1, 2, 3})).planted == 0


def test_a_comparer_that_sleeps_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A canary without a finding is missed, and named by exchange, route and kind."""
    import replay.compare.archives as room

    monkeypatch.setattr(room, "compare_exchange", lambda *_: [])
    made = planted(of=1)

    assert (made.planted, made.found) == (3, 0)
    assert made.missed[0].startswith("#1 GET /api/memories")


def test_a_rule_that_swallows_everything_is_blind() -> None:
    """A canary that a rule silences is counted as blind, and is not missed."""
    text = '[[rule]]\nid = "all"\nverdict = "documented"\nreason = "x"\nowner = "us"\nuntil = 2099-01-01\n'

    assert planted(of=5, rules=load_rules(text, "r.toml")) == Canaries(6, 0, 6, ())


def test_the_seed_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same seed draws the same exchanges, another one others: a candidate can't learn where they lie."""
    import replay.judge.canaries as room

    def drawn(seed: int) -> list[int]:
        seen: list[int] = []
        fate: Callable[..., str] = room._fate

        def spy(exchange: Exchange, *rest: object) -> str:
            seen.append(exchange.id)
            return fate(exchange, *rest)

        with monkeypatch.context() as patch:
            patch.setattr(room, "_fate", spy)
            planted(of=50, seed=seed)
        return seen

    assert drawn(1) == drawn(1) != drawn(2)
