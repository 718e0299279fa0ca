"""Rate limits: neither hit nor missed by the replay's own pace."""

import asyncio
import json
import time
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from replay.model import Connection, Ended, EndReason, Opened, Request, Response
from replay.play.limits import LIMITS, Limit, Limits, limits_in
from replay.workspace import tokens

_LOGIN = Limit("login", 3, frozenset({b"POST"}), "/api/auth/login", by_peer=True)


def take(limits: Limits, number: int, at: float, status: int, *, target: str = "/api/auth/login", method: str = "POST", **options: Any) -> None:
    """Let a recorded exchange be taken in."""
    headers = ((b"authorization", options["token"].encode()),) if "token" in options else ()
    request = Request(method.encode(), target.encode(), b"HTTP/1.1", headers)
    response = Response(b"HTTP/1.1", status, b"", (), options.get("answer", b"{}"))
    limits.take(
        Opened(number, number * 2, at, Connection("c"), request),
        Ended(number, number * 2 + 1, at, EndReason.COMPLETE, response, options.get("body", b"")),
    )


def play(limits: Limits, numbers: range, pace_s: float = 0.01) -> dict[int, float]:
    """Send at a pace of one each so many seconds; gives the waits."""
    now, waits = 1000.0, {}
    for number in numbers:
        now += pace_s
        wait_s = limits.wait_s(number, now)[1]
        if wait_s:
            waits[number] = wait_s
            now += wait_s
        limits.sent(number, now)
    return waits


def daemon(limit: Limit, times: list[float]) -> list[bool]:
    """Do as the daemon's limiter does: say which of some requests pass."""
    passed, opened, count = [], float("-inf"), 0
    for at in times:
        if at - opened >= limit.window_s:
            opened, count = at, 0
        passed.append(count < limit.max)
        count += passed[-1]
    return passed


def test_what_was_spread_over_windows_waits_for_the_window() -> None:
    """Four logins twenty seconds apart passed; at full speed the fourth waits until the first three don't count."""
    limits = Limits((_LOGIN,))
    for number in range(1, 6):
        take(limits, number, number * 20.0, 401)
    waits = play(limits, range(1, 6))
    assert list(waits) == [4]
    assert 60 < waits[4] < 62


def test_a_burst_that_was_refused_waits_for_what_came_before() -> None:
    """Before a window in which some were refused, what was in an earlier window must not count; the burst itself is sent at full speed."""
    limits = Limits((_LOGIN,))
    for number, (at, status) in enumerate(((0, 200), (100, 401), (100.1, 401), (100.2, 401), (100.3, 429)), 1):
        take(limits, number, at, status)
    assert list(play(limits, range(1, 6))) == [2]


def test_in_one_window_nothing_waits() -> None:
    """What the recording had in one window is sent as fast as possible, also over the limit."""
    limits = Limits((_LOGIN,))
    for number, status in enumerate((401, 200, 401, 429, 429), 1):
        take(limits, number, number * 1.0, status)
    assert play(limits, range(1, 6)) == {}


def test_the_recording_shows_a_limit_better_than_the_table() -> None:
    """A limit of two that the recording shows holds, whatever is configured."""
    limits = Limits((_LOGIN,))
    for number, (at, status) in enumerate(((0, 401), (1, 401), (2, 429), (70, 401), (71, 401), (72, 429)), 1):
        take(limits, number, at, status)
    assert list(play(limits, range(1, 7))) == [4]


def test_more_than_the_table_allows_is_no_reason_to_wait() -> None:
    """Where more passed in one window than is configured, the daemon counted otherwise (it forgets where its configuration changes)."""
    limits = Limits((_LOGIN,))
    for number in range(1, 8):
        take(limits, number, number * 1.0, 401)
    assert play(limits, range(1, 8)) == {}


def test_a_refusal_whose_window_is_over_is_told() -> None:
    """A replay that is slower than the recording, or a window from before it, can't be refused again: a note says so."""
    limits = Limits((_LOGIN,))
    for number, status in enumerate((401, 401, 401, 429), 1):
        take(limits, number, number * 1.0, status)
    for number in (1, 2, 3):
        assert limits.sent(number, 1000.0) == ()
    assert "too long ago" in limits.sent(4, 1070.0)[0]


def test_askers_are_counted_apart_and_who_is_not_known_not_at_all() -> None:
    """A limit holds for a token's subject; a 401, and a 403 for want of a permission, come before the limiter."""
    admin = Limit("admin", 1, frozenset({b"GET"}), "/api/auth/api-keys")
    limits = Limits((admin,))
    a, b = (f"Bearer {tokens.mint(b'k' * 32, {'sub': who})}" for who in "ab")
    options: dict[str, Any] = {"target": "/api/auth/api-keys", "method": "GET"}
    take(limits, 1, 0, 200, token=a, **options)
    take(limits, 2, 1, 200, token=b, **options)
    take(limits, 3, 2, 401, **options)
    take(limits, 4, 3, 403, token=a, answer=b'{"error":"role lacks admin permission"}', **options)
    take(limits, 5, 80, 200, token=a, **options)
    assert list(play(limits, range(1, 6))) == [5]


def test_a_broken_refusal_is_one() -> None:
    """Over the admin limit the JS daemon answers 500: where the window is full that is a refusal."""
    admin = Limit("admin", 2, frozenset({b"POST"}), "/api/auth/token")
    limits = Limits((admin,))
    for number, (at, status) in enumerate(((0, 200), (50, 200), (55, 500), (200, 200), (201, 200), (202, 500)), 1):
        take(limits, number, at, status, target="/api/auth/token")
    assert list(play(limits, range(1, 7))) == [4]


def test_limits_come_from_the_configuration() -> None:
    """Without credentials only the login is limited; `auth.rateLimits` changes numbers; an unknown configuration has all."""
    assert [limit.name for limit in limits_in({"auth": {"mode": "local"}})] == ["login"]
    told = {"auth": {"mode": "team", "rateLimits": {"admin": {"windowMs": 30000, "max": 500}, "login": {"max": "many"}}}}
    found = {limit.name: (limit.max, limit.window_s) for limit in limits_in(told)}
    assert (found["admin"], found["login"]) == ((500, 30.0), (5, 60.0))
    assert limits_in({}) == LIMITS
    assert limits_in({"auth": "team"})[0].by_peer


def test_the_table_names_what_the_daemons_limit() -> None:
    """A memory's own path and the paths beside it are told apart; a recall counts where it asks the model."""
    limits = Limits()
    told = (
        ("DELETE", "/api/memory/x", b"", "forget"),
        ("PATCH", "/api/memory/x?y=1", b"", "modify"),
        ("POST", "/api/memory/forget", b"", "batchForget"),
        ("POST", "/api/memory/recall", b'{"aggregate": true}', "recallLlm"),
        ("POST", "/api/memory/recall", b'{"aggregate": false}', ""),
        ("GET", "/api/memory/x", b"", ""),
        ("DELETE", "/api/auth/api-keys/x", b"", "admin"),
    )
    for number, (method, target, body, name) in enumerate(told, 1):
        take(limits, number, 0.0, 200, target=target, method=method, body=body)
        assert limits.wait_s(number, 0.0)[0] == name


@given(st.lists(st.floats(min_value=0.0, max_value=90.0), min_size=1, max_size=25), st.floats(min_value=0.001, max_value=0.5))
def test_every_verdict_comes_again(gaps: list[float], pace_s: float) -> None:
    """Whatever the recorded times were, at full speed with the waits the daemon's limiter decides as it did."""
    times = [sum(gaps[: index + 1]) for index in range(len(gaps))]
    recorded = daemon(_LOGIN, times)
    limits = Limits((_LOGIN,))
    for number, (at, passes) in enumerate(zip(times, recorded, strict=True), 1):
        take(limits, number, at, 401 if passes else 429)
    now, sent = 1000.0, []
    for number in range(1, len(times) + 1):
        now += pace_s + limits.wait_s(number, now + pace_s)[1]
        limits.sent(number, now)
        sent.append(now)
    assert daemon(_LOGIN, sent) == recorded


def test_the_player_waits_counts_and_shows(bench: Any) -> None:
    """A wait is a record of the observed archive, before the exchange it is for."""
    (bench.folder / "agent.yaml").write_text("auth:\n  mode: local\n  rateLimits:\n    login: {windowMs: 300, max: 1}\n")
    tape = bench.tape()
    for number in (1, 2):
        tape.ask(number, "POST", "/api/auth/login", {"error": "x"}, {"username": "a", "password": "b"}, status=401)
        tape.pause(1.0)
    seen: list[float] = []

    async def run() -> None:
        async def answer(_: Any, writer: asyncio.StreamWriter) -> None:
            seen.append(time.monotonic())
            writer.write(bench.spell({"error": "x"}, 401))

        async with bench.running(answer) as small:
            played, observed = await bench.play(tape, small.port)
        waits = [wait for wait in observed.waits() if wait.worker == "rate limit login"]
        assert [wait.before_exchange for wait in waits] == [2]
        assert played.counts["rate_limit_waits"] == 1
        assert seen[1] - seen[0] > 0.3
        assert json.dumps(played.counts["recorded_credentials_sent"]) == "0"

    asyncio.run(run())
