"""Where secrets are looked for, and what is declared of them."""

import base64
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.model import Redaction, Request, Response
from replay.redact import Redactor, scan

API_KEY = b"sig_sk_0123456789ab_" + b"Kk0-_" * 8 + b"xyz"
TOKEN = base64.urlsafe_b64encode(b'{"sub":"token:admin","role":"admin"}').rstrip(b"=") + b"." + b"Qq9-_" * 8 + b"abc"
SIGNATURE = TOKEN.partition(b".")[2]
SECRET = b"correct horse battery staple"


@pytest.fixture
def redactor() -> Redactor:
    """Give a redactor under a fixed key."""
    return Redactor(b"k" * 32)


def ask(headers: tuple[tuple[bytes, bytes], ...] = (), body: bytes | None = b"", target: bytes = b"/") -> Request:
    """Make a request."""
    return Request(b"POST", target, b"HTTP/1.1", headers, body)


def spans_hold(data: bytes, redactions: tuple[Redaction, ...], where: str) -> list[bytes]:
    """Give what stands in the declared spans of one place."""
    return [data[item.start : item.start + item.length] for item in redactions if item.where == where]


@pytest.mark.parametrize(
    ("name", "value", "kept", "secret"),
    [
        (b"Authorization", b"Bearer " + TOKEN, b"Bearer " + TOKEN.partition(b".")[0] + b".", SIGNATURE),
        (b"authorization", b"Bearer " + API_KEY, b"Bearer sig_sk_0123456789ab_", API_KEY[20:]),
        (b"AUTHORIZATION", b"Basic YWRtaW46cGFzc3dvcmQ=", b"Basic ", b"YWRtaW46cGFzc3dvcmQ="),
        (b"Authorization", b"hunter2-and-some-more", b"", b"hunter2"),
        (b"Proxy-Authorization", b"Bearer abc.def", b"Bearer ", b"abc"),
        (b"Cookie", b"a=firstsecret; b=secondsecret", b"a=", b"secondsecret"),
        (b"Cookie", b" firstsecret ;b= secondsecret;;c=", b" ", b"firstsecret"),
        (b"Set-Cookie", b"sid=firstsecret; Path=/; HttpOnly", b"sid=", b"firstsecret"),
        (b"X-Api-Key", b"some-provider-key", b"", b"provider"),
        (b"X-Forwarded-Authorization", b"Bearer some-credential", b"Bearer ", b"some"),
        (b"X-Auth-Token", b"some-credential", b"", b"some"),
        (b"X-Anything", b"see " + API_KEY + b" there", b"see sig_sk_0123456789ab_", API_KEY[20:]),
        (b"Location", b"http://127.0.0.1/cb?token=verysecret&x=1", b"http://127.0.0.1/cb?token=", b"verysecret"),
    ],
)
def test_headers(redactor: Redactor, name: bytes, value: bytes, kept: bytes, secret: bytes) -> None:
    """Credentials in headers go, with the scheme, prefix, claims and attributes kept and the span declared."""
    clean, redactions = redactor.request(ask(((name, value),)), "GET /x")
    got = clean.headers[0][1]
    assert clean.headers[0][0] == name
    assert len(got) == len(value)
    assert got.startswith(kept)
    assert secret not in got
    assert redactions
    assert {item.where for item in redactions} == {"request.header:0"}
    for item in redactions:
        assert item.start + item.length <= len(got)
        assert got[: item.start] + value[item.start : item.start + item.length] == value[: item.start + item.length] or len(redactions) > 1
    assert redactor.request(clean, "GET /x") == (clean, redactions)


@pytest.mark.parametrize("value", [b"", b"Bearer", b"Bearer ", b"basic"])
def test_a_scheme_alone_is_no_secret(redactor: Redactor, value: bytes) -> None:
    """A client that sends a scheme without a credential is on record as it was."""
    request = ask(((b"Authorization", value),))
    assert redactor.request(request, "GET /x") == (request, ())


@pytest.mark.parametrize("name", [b"Host", b"Accept", b"Content-Length", b"X-Signet-Agent-Id", b"X-Signet-Session-Key"])
def test_other_headers_stay(redactor: Redactor, name: bytes) -> None:
    """Headers that carry no credential are not touched."""
    request = ask(((name, b"127.0.0.1:3850"),))
    assert redactor.request(request, "GET /x") == (request, ())


def test_query(redactor: Redactor) -> None:
    """Query parameters that carry credentials go, the rest of the target stays byte for byte."""
    clean, redactions = redactor.request(ask(target=b"/cb?q=a%20b&token=verysecret&code=othersecret&n=1"), "GET /cb")
    assert clean.target.startswith(b"/cb?q=a%20b&token=")
    assert clean.target.endswith(b"&n=1")
    assert b"secret" not in clean.target
    assert [item.kind for item in redactions] == ["query", "query"]


def test_a_session_that_the_daemon_named_stays(redactor: Redactor) -> None:
    """The `session` of agent events is an id that a replay needs, not a credential."""
    request = ask(target=b"/api/os/agent-events?session=agent_1795419510911_1")
    assert redactor.request(request, "GET /api/os/agent-events")[0] == request


@pytest.mark.parametrize(
    ("route", "body", "left"),
    [
        ("POST /api/auth/login", {"username": "admin", "password": SECRET.decode()}, b'"username": "admin"'),
        ("POST /api/secrets/:name", {"value": SECRET.decode(), "note": "n"}, b'"note": "n"'),
        ("POST /api/secrets/:name", {"value": {"deep": [SECRET.decode()]}}, b'"deep"'),
        ("POST /api/marketplace/mcp/test", {"config": {"env": {"A": SECRET.decode()}, "command": "x"}}, b'"command": "x"'),
    ],
)
def test_request_fields(redactor: Redactor, route: str, body: dict[str, object], left: bytes) -> None:
    """Secret fields of a route's body go, everything else stays, and the body is still the same JSON otherwise."""
    raw = json.dumps(body).encode()
    clean, redactions = redactor.request(ask(body=raw), route)
    assert clean.body is not None
    assert len(clean.body) == len(raw)
    assert SECRET not in clean.body
    assert left in clean.body
    assert json.loads(clean.body).keys() == body.keys()
    assert [item.where for item in redactions] == ["request.body"]
    assert redactor.request(clean, route) == (clean, redactions)


@pytest.mark.parametrize(
    "body",
    [
        b'{"pass\\u0077ord":"correct horse battery staple"}',
        b'{"password":"correct horse battery staple"',
        b"password=correct+horse+battery+staple&username=admin",
        b"correct horse battery staple",
        b'"correct horse battery staple"',
        b'\xef\xbb\xbf{"password":"correct horse battery staple"}',
        b'[{"password":"correct horse battery staple"}]',
        b'{"password":"correct horse battery staple","password":"correct horse battery staple"}',
        b'{"password":"correct horse battery staple","x":"\xff"}',
    ],
)
def test_awkward_bodies(redactor: Redactor, body: bytes) -> None:
    """Where a secret may stand, an escaped key, broken JSON, a form or plain text does not let it through."""
    clean, redactions = redactor.request(ask(body=body), "POST /api/auth/login")
    assert clean.body is not None
    assert len(clean.body) == len(body)
    assert b"horse" not in clean.body
    assert redactions


@pytest.mark.parametrize("body", [b"", None, b"{}", b"null", b'{"password":null}', b'{"password":""}'])
def test_nothing_to_hide(redactor: Redactor, body: bytes | None) -> None:
    """Bodies without a secret stay as they are."""
    assert redactor.request_body(body, "POST /api/auth/login") == (body, ())


@pytest.mark.parametrize(
    "body",
    [
        b'{"username":"a","Password" : "correct horse battery staple","x":1}',
        b'{"username":"a","password":"correct horse battery staple"',
        b'{"deep":[{"passphrase":"correct horse battery staple"}]}',
        b"username=a&passwd=correct+horse+battery+staple&x=1",
    ],
)
@pytest.mark.parametrize("route", ["(unknown)", "POST /api/auth/login"])
def test_passwords_on_any_route(redactor: Redactor, route: str, body: bytes) -> None:
    """A password is hidden by its name also where the client misspelt the route or the body; doing it again changes nothing."""
    clean, redactions = redactor.request_body(body, route)
    assert clean is not None
    assert len(clean) == len(body)
    assert b"horse" not in clean
    assert redactions
    assert redactor.request_body(clean, route) == (clean, redactions)


def test_a_provider_key_within_another(redactor: Redactor) -> None:
    """What looks like a second key inside a key does not keep the first one's beginning from being hidden."""
    text = b"see ghp_" + b"A" * 12 + b"-sk-" + b"B" * 30 + b", and task-" + b"C" * 30
    clean = redactor.text(text)
    assert b"AAAA" not in clean
    assert b"BBBB" not in clean
    assert clean.endswith(b", and task-" + b"C" * 30)
    assert redactor.text(clean) == clean


def test_equal_secrets_stay_equal_across_escapes(redactor: Redactor) -> None:
    """A secret keeps its placeholder from request to request."""
    first, _ = redactor.request_body(b'{"value":"' + SECRET + b'"}', "POST /api/secrets/:name")
    second, _ = redactor.request_body(b'{"x":1,"value":"' + SECRET + b'"}', "POST /api/secrets/:name")
    assert first is not None
    assert second is not None
    assert first[10:-2] == second[16:-2]


def test_responses(redactor: Redactor) -> None:
    """Tokens and keys that the daemon gives out go, claims and prefixes stay."""
    raw = b'{"token":"' + TOKEN + b'","apiKey":{"id":"key_1","key":"' + API_KEY + b'"}}'
    response = Response(b"HTTP/1.1", 200, b"OK", ((b"Set-Cookie", b"sid=abcdefghij"),), raw)
    clean, redactions = redactor.response(response, "POST /api/auth/token")
    assert clean.body is not None
    assert len(clean.body) == len(raw)
    assert SIGNATURE not in clean.body
    assert API_KEY[20:] not in clean.body
    assert sorted(item.kind for item in redactions) == ["api-key", "bearer", "cookie"]
    assert all(b"~" in part or b"REDACTED" in part for part in spans_hold(clean.body, redactions, "response.body"))


@given(st.binary(max_size=40), st.sampled_from([API_KEY, TOKEN, b"https://me:pass-word@host/", b"sk-" + b"a1B2" * 8]), st.binary(max_size=40))
def test_anywhere(before: bytes, secret: bytes, after: bytes) -> None:
    """Whatever stands around it, a secret known by its shape is found by the scanner, and not after redaction."""
    redactor = Redactor(b"k" * 32)
    data = before + b" " + secret + b" " + after
    assert scan(data)
    clean = redactor.text(data)
    assert len(clean) == len(data)
    assert scan(clean) == []
    assert redactor.text(clean) == clean


@given(st.binary(max_size=400))
def test_never_raises(data: bytes) -> None:
    """Any bytes anywhere are taken."""
    redactor = Redactor(b"k" * 32)
    for route in ("POST /api/auth/login", "GET /x"):
        clean, _ = redactor.request(Request(b"POST", data, b"HTTP/1.1", ((b"cookie", data), (b"authorization", data)), data), route)
        assert redactor.request(clean, route)[0] == clean
    scan(data)


@pytest.mark.parametrize("unit", [b"a", b"eyJ", b"sig_sk_", b"eyJhIjoxfQ.", b"." + b"a" * 43, b"://a:", b'\\\\"', b"[", b'{"a":'])
def test_takes_linear_time(redactor: Redactor, unit: bytes) -> None:
    """Eleven megabytes of the worst kind pass in a few seconds."""
    data = unit * (11_000_000 // len(unit))
    begun = time.monotonic()
    redactor.request_body(data, "POST /api/auth/login")
    redactor.text(data)
    scan(data)
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize("subject", ["token:readonly", "password:forgotten", "secret"])
def test_claims_of_a_bearer_token_stay(redactor: Redactor, subject: str) -> None:
    """A token keeps its claims whatever words stand in them: a replay signs a fresh one with the same; only the signature goes."""
    claims = base64.urlsafe_b64encode(json.dumps({"sub": subject, "role": "readonly", "exp": 2}).encode()).rstrip(b"=")
    clean = redactor.text(b"x " + claims + b"." + b"A1b2_" * 8 + b"xyz y")
    assert clean.startswith(b"x " + claims + b".REDACTED")
    assert redactor.text(b'{"sub":"token:readonly"}') == b'{"sub":"token:readonly"}'
