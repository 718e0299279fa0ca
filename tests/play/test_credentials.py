"""Credentials: what was good is minted again, what was bad stays bad in the same way, and nothing recorded is ever sent."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.identity import Bindings
from replay.model import Connection, Ended, EndReason, Exchange, GapReason, Opened, Record, Request, Response
from replay.play.credentials import Credentials, asks_for_nothing, stand_in
from replay.play.dates import Dates
from replay.play.rewriting import Rewriter
from replay.play.verdicts import Login, Verdict, Verdicts, read_login, survey, words, write_login
from replay.redact import Redactor
from replay.workspace import tokens

_THEN, _NOW = 1_795_419_000.0, 1_797_000_000.0
_RECORDED_KEY, _SECRET = b"r" * 32, b"s" * 32
_REFUSED = {"signature": "invalid signature", "expired": "token expired", "revoked": "api key revoked", "malformed": "malformed token"}


def token(*, exp: float = _THEN + 3600, iat: float = _THEN - 60, key: bytes = _RECORDED_KEY, **more: Any) -> str:
    """Make a recorded token."""
    return tokens.mint(key, {"sub": "token:agent", "scope": {}, "role": "agent", "iat": iat, "exp": exp, **more})


def asked(
    number: int, credential: str, status: int, answer: Any = None, *, at: float = _THEN, target: str = "/api/status", **options: Any
) -> Exchange:
    """Make a recorded exchange that showed a credential."""
    scheme = options.get("scheme", "Bearer ")
    request = Request(b"GET", target.encode(), b"HTTP/1.1", ((b"Authorization", f"{scheme}{credential}".encode("latin-1")),), b"")
    response = Response(b"HTTP/1.1", status, b"", (), json.dumps(answer or {}).encode())
    return Exchange(number, request, response, Connection("c"), number * 3, number * 3 + 2, at, at + 0.01)


def records(exchanges: list[Exchange]) -> Iterator[Record]:
    """Write exchanges as the records of an archive."""
    for each in exchanges:
        yield Opened(each.id, each.opened_event, each.started_at, each.connection, each.request)
        yield Ended(each.id, each.ended_event, each.ended_at, EndReason.COMPLETE, each.outcome, each.request.body)


def verdicts_of(exchanges: list[Exchange]) -> Verdicts:
    """Survey exchanges."""
    return survey(records(exchanges), lambda _opened, _ended: None)


def credentials(exchanges: list[Exchange], bindings: Bindings | None = None, **options: Any) -> Credentials:
    """Make credentials for exchanges, in a replay long after the recording."""
    given_ones = {"secret": _SECRET, "clock": lambda: _NOW, **options}
    return Credentials(verdicts_of(exchanges), bindings or Bindings(), **given_ones)


def sent(of: Credentials, exchange: Exchange) -> str:
    """Give the credential as it is sent."""
    name, value = exchange.request.headers[0]
    new = of.header(name, value, exchange, [])
    assert new is not None
    changed = Request(exchange.request.method, exchange.request.target, b"HTTP/1.1", ((name, new),), b"")
    assert of.recorded_in(changed) == ()
    return new.decode("latin-1").split(" ", 1)[1]


def test_a_good_token_is_signed_for_the_candidate() -> None:
    """Its claims go out byte by byte but for its times, which move to the replay's now; every time the same."""
    exchange = asked(1, token(scope={"project": "/srv/ü"}), 200)
    of = credentials([exchange])
    claims = tokens.verify(_SECRET, sent(of, exchange), now_s=_NOW)
    assert claims == {
        "sub": "token:agent",
        "scope": {"project": "/srv/ü"},
        "role": "agent",
        "iat": _NOW - 60,
        "exp": _NOW + 3600,
    }
    assert sent(of, asked(2, token(scope={"project": "/srv/ü"}), 200, at=_THEN + 5)) == sent(of, exchange)
    assert of.counts["tokens_minted"] == 3


def test_on_the_recordings_clock_a_token_keeps_its_times() -> None:
    """Where the daemon runs at the recording's time nothing moves."""
    exchange = asked(1, token(), 200)
    claims = tokens.verify(_SECRET, sent(credentials([exchange], clock=lambda: _THEN + 2, shifted=True), exchange), now_s=_THEN + 2)
    assert claims is not None
    assert (claims["iat"], claims["exp"]) == (_THEN - 60, _THEN + 3600)


def test_an_expired_token_is_signed_well_and_has_ended_as_long_ago() -> None:
    """The end is why it was refused, so the end is why it is refused again."""
    exchange = asked(1, token(exp=_THEN - 7), 401, {"error": _REFUSED["expired"]})
    new = sent(credentials([exchange]), exchange)
    claims = tokens.verify(_SECRET, new, now_s=None)
    assert claims is not None
    assert claims["exp"] == _NOW - 7
    assert tokens.verify(_SECRET, new, now_s=_NOW) is None


def test_a_token_that_ended_on_the_way_ends_again_at_another_pace() -> None:
    """It was good first and ended later; a replay that is there in no time sends it as old as it was."""
    first, last = asked(1, token(exp=_THEN + 60), 200), asked(2, token(exp=_THEN + 60), 401, {"error": "token expired"}, at=_THEN + 100)
    times = iter((_NOW, _NOW + 1))
    of = credentials([first, last], clock=lambda: next(times))
    assert tokens.verify(_SECRET, sent(of, first), now_s=_NOW) is not None
    new = sent(of, last)
    assert tokens.verify(_SECRET, new, now_s=None) is not None
    assert tokens.verify(_SECRET, new, now_s=_NOW + 1) is None


@pytest.mark.parametrize("redacted", [False, True])
def test_a_forged_token_is_forged_again(*, redacted: bool) -> None:
    """A wrong signature stays wrong, of the same length; the claims are whole and have not ended, so nothing else is why."""
    forged = token(key=b"another key, 32 bytes long......")
    exchange = asked(1, forged, 401, {"error": _REFUSED["signature"]})
    if redacted:
        request, _ = Redactor(b"k" * 32).request(exchange.request, "GET /api/status")
        exchange = asked(1, request.headers[0][1].decode().split(" ")[1], 401, {"error": _REFUSED["signature"]})
    new = sent(credentials([exchange]), exchange)
    claims = tokens.claims(new)
    assert claims is not None
    assert claims["exp"] > _NOW
    assert tokens.verify(_SECRET, new, now_s=None) is None
    assert len(new) == len(forged)


def test_why_a_token_was_refused_is_known_without_the_daemons_word() -> None:
    """An end before the request was made is why; without one it was the signature, and a broken shape is malformed."""
    found = verdicts_of(
        [
            asked(1, token(exp=_THEN - 1), 401),
            asked(2, token(exp=_THEN + 9), 401),
            asked(3, "not.a.token", 401),
            asked(4, "sig_sk_0123456789ab_" + "A" * 43, 401),
            asked(5, token(sub="seen"), 200, target="/health"),
        ]
    )
    named = [token(exp=_THEN - 1), token(exp=_THEN + 9), "not.a.token", "sig_sk_0123456789ab_" + "A" * 43, token(sub="seen")]
    assert [found.verdict(each) for each in named] == [
        Verdict.EXPIRED,
        Verdict.FORGED,
        Verdict.MALFORMED,
        Verdict.FORGED,
        Verdict.UNCHECKED,
    ]


def test_an_open_door_tells_a_bad_token_by_its_answer() -> None:
    """`whoami` answers 200 to everybody: what it says of the asker is what counts."""
    bad, good = token(sub="bad"), token(sub="good")
    found = verdicts_of(
        [
            asked(1, bad, 200, {"authenticated": False}, target="/api/auth/whoami"),
            asked(2, good, 200, {"authenticated": True}, target="/api/auth/whoami"),
        ]
    )
    assert (found.verdict(bad), found.verdict(good)) == (Verdict.FORGED, Verdict.GOOD)


def test_a_wrong_scheme_is_the_reason_and_stays_it() -> None:
    """The scheme goes out as it was with a token that is good, so that a candidate which takes it is found."""
    good = asked(1, token(), 200)
    wrong = asked(2, token(), 401, {"error": "authentication required"}, scheme="bearer ")
    of = credentials([good, wrong])
    value = of.header(b"Authorization", wrong.request.headers[0][1], wrong, [])
    assert value is not None
    scheme, _, new = value.decode().partition(" ")
    assert scheme == "bearer"
    assert tokens.verify(_SECRET, new, now_s=_NOW) is not None


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer ", "Basic"])
def test_no_credential_stays_none(value: str) -> None:
    """An empty header, or a scheme alone, is sent as it was."""
    assert words(value) == ()
    exchange = asked(1, "", 401, scheme=value)
    assert credentials([exchange]).header(b"authorization", value.encode(), exchange, []) is None


def test_what_the_candidate_gave_is_sent_as_it_gave_it() -> None:
    """A bound token or key is the candidate's own."""
    old, new, key, other = token(), token(key=_SECRET, exp=_NOW + 3600), "sig_sk_0123456789ab_" + "A" * 43, "sig_sk_ba9876543210_" + "B" * 43
    bindings = Bindings()
    bindings.bind("bearer", old, new, 1, "$")
    bindings.bind("api-key", key, other, 1, "$")
    of = credentials([asked(2, old, 200), asked(3, key, 200)], bindings)
    assert sent(of, asked(2, old, 200)) == new
    assert sent(of, asked(3, key, 200)) == other
    assert of.counts["credentials_given_by_the_candidate"] == 2


def test_the_candidates_own_lifetime_counts() -> None:
    """A token of one second that was used after six is six seconds old here too; were it given for longer, it would be good."""
    old = token(iat=_THEN, exp=_THEN + 1)
    for lifetime_s, ended in ((1, True), (3600, False)):
        bindings = Bindings()
        bindings.bind("bearer", old, token(key=_SECRET, iat=_NOW, exp=_NOW + lifetime_s), 1, "$")
        late = asked(2, old, 401, {"error": "token expired"}, at=_THEN + 6)
        new = sent(credentials([late], bindings, clock=lambda: _NOW + 0.2), late)
        assert (tokens.verify(_SECRET, new, now_s=_NOW + 0.2) is None) == ended
        assert tokens.verify(_SECRET, new, now_s=None) is not None


def test_a_key_that_never_was_keeps_its_prefix_only() -> None:
    """A wrong secret behind a key's public part is wrong again, behind the public part that the candidate gave."""
    born, theirs, wrong = (f"sig_sk_{prefix}_{letter * 43}" for prefix, letter in (("0" * 12, "A"), ("1" * 12, "B"), ("0" * 12, "C")))
    bindings = Bindings()
    bindings.bind("api-key", born, theirs, 1, "$")
    exchanges = [asked(1, token(), 201, {"apiKey": {"key": born}}), asked(2, wrong, 401, {"error": "invalid api key"})]
    new = sent(credentials(exchanges, bindings), exchanges[1])
    assert new.startswith("sig_sk_111111111111_")
    assert new not in {theirs, wrong}


def test_what_can_not_be_minted_is_withheld() -> None:
    """A good key without a row, and a good token without a signing key, make gaps; the refused ones are sent."""
    key, refused = "sig_sk_0123456789ab_" + "A" * 43, asked(3, "sig_sk_0123456789ab_" + "B" * 43, 401)
    exchanges = [asked(1, key, 200), asked(2, token(), 200), refused]
    of = credentials(exchanges, secret=None)
    assert "no row" in str(of.withheld(exchanges[0]))
    assert "no key here" in str(of.withheld(exchanges[1]))
    assert of.withheld(refused) is None
    assert credentials(exchanges, keys={key: "sig_sk_0123456789ab_" + "Z" * 43}).withheld(exchanges[0]) is None
    assert credentials(exchanges, secret=None, unguarded=True).withheld(exchanges[0]) is None
    assert credentials(exchanges[:1]).withheld(exchanges[0]) is None
    assert credentials(exchanges[:1], unguarded=False).withheld(exchanges[0]) is not None


def test_a_login_goes_out_with_the_cells_password() -> None:
    """One that succeeded gets it, one that was refused keeps a wrong one; without any the good one is withheld."""
    redactor = Redactor(b"k" * 32)
    exchanges = []
    for number, (password, status) in enumerate((("wrong-password", 401), ("the right one", 200), ("the right one", 429)), 1):
        request = Request(b"POST", b"/api/auth/login", b"HTTP/1.1", (), json.dumps({"username": "admin", "password": password}).encode())
        clean, _ = redactor.request(request, "POST /api/auth/login")
        exchanges.append(
            Exchange(number, clean, Response(b"HTTP/1.1", status, b"", (), b"{}"), Connection("c"), number * 3, number * 3 + 1, _THEN, _THEN)
        )
    of = credentials(exchanges, login=Login("root", 'p"w'))
    bodies = [of.body(each, each.request.body or b"") for each in exchanges]
    assert [body and json.loads(body) for body in bodies] == [
        None,
        {"username": "root", "password": 'p"w'},
        {"username": "root", "password": 'p"w'},
    ]
    without = credentials(exchanges)
    assert [without.withheld(each) is None for each in exchanges] == [True, False, False]
    assert "SIGNET_ADMIN_PASSWORD" in str(without.withheld(exchanges[1]))


@given(st.text(min_size=1, max_size=30), st.text(min_size=1, max_size=30))
def test_a_logins_body_is_rewritten_by_span(username: str, password: str) -> None:
    """Whatever the two texts are, they are what is read back, and all else is byte by byte."""
    body = b'{"username" : "a\\"b", "x": 1.0,"password":"\\u00e9"}'
    new = write_login(body, Login(username, password))
    assert json.loads(new) == {"username": username, "x": 1.0, "password": password}
    assert b'"x": 1.0,' in new
    assert read_login(body) == Login('a"b', "é")


@given(st.from_regex(r"[A-Za-z0-9_.~%=-]{1,90}", fullmatch=True))
def test_a_stand_in_has_the_shape_and_not_the_letters(word: str) -> None:
    """Length and dots stay; letters change; it is the same one each time."""
    new = stand_in(word)
    assert len(new) == len(word)
    assert [at for at, letter in enumerate(new) if letter == "."] == [at for at, letter in enumerate(word) if letter == "."]
    assert stand_in(word) == new
    assert new != word or not any(letter.isalnum() or letter in "~_-" for letter in word)


@given(st.floats(min_value=-1e9, max_value=1e9), st.dictionaries(st.text(max_size=5), st.text(max_size=9), max_size=3))
def test_times_move_and_nothing_else_does(by_s: float, scope: dict[str, str]) -> None:
    """A payload that is spelt in an odd way is spelt so again."""
    text = json.dumps({"exp": 1795419000, "scope": scope, "iat": 1795418000.5}, indent=1)
    whole = tokens.sign(_RECORDED_KEY, tokens._encode(text.encode()))
    payload = tokens.move(whole, by_s)
    assert payload is not None
    claims = tokens.claims(f"{payload}.AA")
    assert claims == {"exp": 1795419000 + round(by_s), "scope": scope, "iat": 1795418000.5 + by_s}


def test_a_daemon_in_local_mode_asks_for_nothing() -> None:
    """Only a configuration that is known to ask for nothing counts as one."""
    assert asks_for_nothing({"auth": {"mode": "local"}})
    assert asks_for_nothing({"name": "x"})
    assert not asks_for_nothing({"auth": {"mode": "team"}})
    assert not asks_for_nothing({})


def test_no_recorded_credential_reaches_the_daemon(bench: Any, tmp_path: Path) -> None:
    """What the daemon's socket got holds none, in no header, target or body; what could not be minted is a gap and is counted."""
    tokens.make_auth_secret(tmp_path / "auth-secret")
    good, forged, key, basic = token(), token(key=b"z" * 32), "sig_sk_0123456789ab_" + "A" * 43, "YTpiOmM6ZA=="
    born = token(sub="born")
    shown = [("Authorization", f"Bearer {each}") for each in (good, forged, key, born)] + [("Authorization", f"Basic {basic}")]
    tape = bench.tape()
    tape.ask(1, "POST", "/api/auth/token", {"token": born}, {}, headers=(shown[0],))
    tape.ask(2, "GET", "/api/status", {"error": "invalid signature"}, status=401, headers=(shown[1],))
    tape.ask(3, "GET", "/api/status", {}, headers=(shown[2],))
    tape.ask(4, "GET", f"/api/status?seen={good}", {}, headers=(shown[3],))
    tape.ask(5, "POST", "/api/memory/remember", {}, {"content": f"my token is {good}, keep it", "n": 1.0}, headers=(shown[0],))
    tape.ask(6, "GET", "/api/status", {"error": "authentication required"}, status=401, headers=(shown[4],))

    async def run() -> None:
        async def answer(asked: Any, writer: asyncio.StreamWriter) -> None:
            writer.write(bench.spell({"token": token(sub="given")} if asked.target.endswith("token") else {}))

        async with bench.running(answer) as daemon:
            played, observed = await bench.play(tape, daemon.port, facts=bench.facts(daemon.port, auth_secret=tmp_path / "auth-secret"))
        got = b"\n".join(each.head + each.body for each in daemon.asked)
        for word in (good, forged, key, basic, born):
            assert word.encode() not in got
        assert [(gap.exchange, gap.reason) for gap in observed.gaps()] == [(3, GapReason.CREDENTIAL)]
        assert played.counts["recorded_credentials_sent"] == 0
        assert len(daemon.asked) == 5
        quoting = next(each for each in daemon.asked if each.method == "POST" and b"my token" in each.body)
        assert int(quoting.header("content-length")) == len(quoting.body)

    asyncio.run(run())


def test_the_end_of_a_key_is_waited_for() -> None:
    """A key that had ended when it was refused is not used again before it has ended here; a good one, and a far end, wait for nothing."""
    theirs, ours = (f"sig_sk_{digit * 12}_{letter * 43}" for digit, letter in (("0", "A"), ("1", "B")))
    bindings = Bindings()
    bindings.bind("api-key", theirs, ours, 1, "$.apiKey.key")
    for lifetime_s, wait_s in ((5, 4.1), (500, 0.0)):
        end = datetime.fromtimestamp(_THEN + lifetime_s, UTC).isoformat().replace("+00:00", "Z")
        making = Request(b"POST", b"/api/auth/api-keys", b"HTTP/1.1", (), json.dumps({"expiresAt": end}).encode())
        made = replace(asked(1, "", 201, {"apiKey": {"key": theirs}}), request=making)
        used, late = asked(2, theirs, 200, at=_THEN + 1), asked(3, theirs, 401, {"error": "api key expired"}, at=_THEN + lifetime_s + 1)
        dates = Dates(bindings, clock=lambda: _NOW)
        rewriter = Rewriter(bindings, credentials=credentials([made, used, late], bindings), dates=dates, replacements={})
        told = json.loads(rewriter.rewrite(made).request.body or b"")["expiresAt"]
        assert datetime.fromisoformat(told).timestamp() == _NOW + lifetime_s
        assert rewriter.wait_s(used, _NOW + 1) == 0.0
        assert rewriter.wait_s(late, _NOW + 1) == pytest.approx(wait_s)
        assert rewriter.wait_s(late, _NOW + lifetime_s + 1) == 0.0
