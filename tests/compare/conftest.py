"""Exchanges made by hand, with fixed times."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from replay.compare.state import Scene, Side, Window
from replay.identity import Bindings
from replay.model import Connection, EndReason, Exchange, Header, NoResponse, Outcome, Request, Response

RUN_STARTED_AT = 1_700_000_000.0


def make_exchange(
    number: int = 1,
    body: Any = None,
    *,
    status: int = 200,
    raw: bytes | None = None,
    media: bytes = b"application/json",
    method: bytes = b"GET",
    target: bytes = b"/api/memories",
    headers: tuple[Header, ...] = (),
    outcome: Outcome | None = None,
    end: EndReason = EndReason.COMPLETE,
    started_at: float = RUN_STARTED_AT + 10,
    duration_ms: float = 10.0,
    request_body: bytes = b"",
) -> Exchange:
    """Make an exchange whose answer holds *body* as JSON, or *raw* as it is."""
    data = raw if raw is not None else json.dumps(body).encode()
    answer = outcome or Response(b"HTTP/1.1", status, b"", ((b"content-type", media), *headers), data)
    return Exchange(
        id=number,
        request=Request(method, target, b"HTTP/1.1", ((b"host", b"x"),), request_body),
        outcome=answer,
        connection=Connection("c1"),
        opened_event=3 * number - 2,
        headers_event=3 * number - 1,
        ended_event=3 * number,
        started_at=started_at,
        ended_at=started_at + duration_ms / 1000,
        end=end,
    )


@pytest.fixture
def exchange() -> Callable[..., Exchange]:
    """Give the maker of exchanges."""
    return make_exchange


@pytest.fixture
def no_answer() -> NoResponse:
    """Give the outcome of an exchange without an answer."""
    return NoResponse("connection closed")


@pytest.fixture
def scene() -> Callable[[], Scene]:
    """Give a maker of fresh scenes: the observed run took place a day later."""

    def make() -> Scene:
        recorded = Window(RUN_STARTED_AT, RUN_STARTED_AT + 10, RUN_STARTED_AT + 11)
        later = RUN_STARTED_AT + 86_400
        return Scene(Side(Bindings()), "GET /api/memories", 1, recorded, Window(later, later + 10, later + 11))

    return make
