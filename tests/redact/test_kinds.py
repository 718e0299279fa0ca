"""Every kind of secret that a daemon's traffic carries: planted, and not there afterwards under any encoding."""

import base64
import gzip
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from replay.model import (
    Answered,
    Attachment,
    Chunk,
    Chunks,
    Connection,
    Ended,
    EndReason,
    Header,
    Opened,
    Record,
    Request,
    Response,
    WorkspaceChange,
)
from replay.redact import RecordRedactor, Redactor

type Holds = Callable[[list[Record], bytes], bool]

PASSWORD = b"correct-horse-7battery"
KEY = b"Kk0-_" * 8 + b"xyz"
API_KEY = b"sig_sk_0123456789ab_" + KEY
SIGNATURE = b"Qq9-_" * 8 + b"abc"
TOKEN = base64.urlsafe_b64encode(b'{"sub":"token:admin","role":"admin"}').rstrip(b"=") + b"." + SIGNATURE
JWT = b"eyJhbGciOiJSUzI1NiJ9." + base64.urlsafe_b64encode(b'{"sub":"admin","role":"admin"}').rstrip(b"=") + b"." + b"Zz8_-" * 60
PEM_LINE = b"MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"
PEM = b"-----BEGIN RSA PRIVATE KEY-----\n" + PEM_LINE + b"\n-----END RSA PRIVATE KEY-----\n"
PROVIDER = b"a1B2" * 10


@dataclass(frozen=True)
class Plant:
    """Where a secret is put."""

    secret: bytes
    route: str = "GET /x"
    target: bytes = b"/x"
    headers: tuple[Header, ...] = ()
    body: bytes = b""
    answer: bytes = b""
    answer_headers: tuple[Header, ...] = field(default=())
    file: bytes = b""


def dump(value: object) -> bytes:
    """Write JSON as the daemon does."""
    return json.dumps(value, separators=(",", ":")).encode()


P = PASSWORD.decode()
KINDS: dict[str, Plant] = {
    "authorization": Plant(SIGNATURE, headers=((b"Authorization", b"Bearer " + TOKEN),)),
    "proxy authorization": Plant(PASSWORD, headers=((b"Proxy-Authorization", b"Basic " + PASSWORD),)),
    "cookie": Plant(PASSWORD, headers=((b"Cookie", b"a=b; sid=" + PASSWORD),)),
    "set-cookie": Plant(PASSWORD, answer_headers=((b"Set-Cookie", b"sid=" + PASSWORD + b"; Path=/"),)),
    "x-api-key": Plant(PASSWORD, headers=((b"X-Api-Key", PASSWORD),)),
    "url in a header": Plant(PASSWORD, headers=((b"Referer", b"http://h/x?token=" + PASSWORD),)),
    "query": Plant(PASSWORD, target=b"/x?a=1&token=" + PASSWORD),
    "query, percent-encoded": Plant(PASSWORD, target=b"/x?access_token=" + b"".join(b"%%%02X" % byte for byte in PASSWORD)),
    "sso state": Plant(PASSWORD, "GET /api/auth/sso/callback", b"/api/auth/sso/callback?code=abcd&state=" + PASSWORD),
    "file name": Plant(KEY, target=b"/files/" + API_KEY + b".json"),
    "file name, percent-encoded": Plant(KEY, target=b"/files/sig%5Fsk%5F0123456789ab%5F" + KEY),
    "login": Plant(PASSWORD, "POST /api/auth/login", body=dump({"username": "admin", "password": P})),
    "login's token": Plant(SIGNATURE, "POST /api/auth/login", answer=dump({"token": TOKEN.decode()})),
    "saml": Plant(PASSWORD, "POST /api/auth/saml/acs", body=b"SAMLResponse=" + PASSWORD + b"&RelayState=x"),
    "api key made": Plant(KEY, "POST /api/auth/api-keys", answer=dump({"apiKey": {"id": "key_1", "key": API_KEY.decode()}})),
    "secret's value": Plant(PASSWORD, "POST /api/secrets/:name", body=dump({"value": P})),
    "exec command": Plant(PASSWORD, "POST /api/secrets/exec", body=dump({"command": f"curl -u me:{P} http://h", "secrets": {"A": "B"}})),
    "exec environment": Plant(PASSWORD, "POST /api/secrets/:name/exec", body=dump({"env": {"ANY": P}})),
    "exec output": Plant(PASSWORD, "GET /api/secrets/exec/:jobId", answer=dump({"job": {"stdout": f"it is {P}", "stderr": ""}})),
    "bitwarden": Plant(PASSWORD, "POST /api/secrets/bitwarden/connect", body=dump({"session": P, "folderId": "f"})),
    "1password": Plant(PASSWORD, "POST /api/secrets/1password/connect", body=dump({"token": P})),
    "mcp environment": Plant(PASSWORD, "POST /api/marketplace/mcp/register", body=dump({"config": {"env": {"X": P}}})),
    "mcp headers": Plant(PASSWORD, "PATCH /api/marketplace/mcp/:id", body=dump({"config": {"headers": {"X": P}}})),
    "mcp url": Plant(PASSWORD, "POST /api/marketplace/mcp/test", body=dump({"config": {"url": f"https://h/mcp?api_key={P}&x=1"}})),
    "mcp call": Plant(PASSWORD, "POST /api/marketplace/mcp/call", body=dump({"args": {"apiKey": P}}), answer=dump({"result": {"authToken": P}})),
    "configuration in a string": Plant(
        PASSWORD, "GET /api/config", answer=dump({"files": [{"content": f"inference:\n  provider: x\n  apiKey: {P}\n  model: y\n"}]})
    ),
    "configuration, quoted": Plant(
        PASSWORD, "POST /api/config", body=dump({"file": "agent.yaml", "content": f'a:\n  client_secret: "{P}" # c\n'})
    ),
    "status": Plant(PASSWORD, "GET /api/status", answer=dump({"pipelineV2": {"telemetry": {"posthogApiKey": P}}})),
    "table rows": Plant(
        PASSWORD,
        "GET /api/diagnostics/database/tables/:table/sample",
        answer=dump({"rows": [{"id": "1", "key_hash": f"scrypt:{P}", "role": "admin"}]}),
    ),
    "git remote": Plant(PASSWORD, "POST /api/git/push", answer=dump({"message": f"fatal: https://me:{P}@example.org/r.git"})),
    "rpc arguments": Plant(
        PASSWORD, "ALL /mcp", body=dump({"method": "tools/call", "params": {"name": "secret_exec", "arguments": {"command": f"x {P}"}}})
    ),
    "rpc result in a string": Plant(
        PASSWORD, "ALL /mcp", answer=dump({"result": {"content": [{"type": "text", "text": dump({"stdout": f"a {P} b"}).decode()}]}})
    ),
    "provider's key": Plant(PROVIDER, answer=b"error: incorrect key sk-proj-" + PROVIDER),
    "key in JSON in JSON in JSON": Plant(PASSWORD, answer=dump({"a": dump({"b": dump({"refresh_token": P}).decode()}).decode()})),
    "environment file": Plant(PASSWORD, answer=b"A=1\nexport GITHUB_TOKEN=" + PASSWORD + b"\n"),
    "TOML": Plant(PASSWORD, file=b'[x]\nprivate_key = "' + PASSWORD + b'"\n'),
    "YAML block": Plant(PASSWORD, file=b"a:\n  secret: |\n    " + PASSWORD + b"\n  b: 1\n"),
    "JWT": Plant(b"Zz8_-" * 60, answer=b"see " + JWT + b" there"),
    "AWS": Plant(b"IOSFODNN7EXAMPLE", answer=b"id AKIAIOSFODNN7EXAMPLE."),
    "Google": Plant(b"SyA-1234567890_abcdefghijklmnopqrst", answer=b"key=AIzaSyA-1234567890_abcdefghijklmnopqrst&x"),
    "Slack": Plant(b"123456789012-abcdefABCDEF", answer=b"xoxb-123456789012-abcdefABCDEF"),
    "Stripe": Plant(PROVIDER, answer=b"sk_live_" + PROVIDER),
    "GitHub": Plant(b"A" * 36, answer=b"ghp_" + b"A" * 36),
    "private key": Plant(PEM_LINE, file=PEM),
    "private key in JSON": Plant(PEM_LINE, answer=dump({"note": PEM.decode()})),
    "basic URL": Plant(PASSWORD, answer=b"postgres://me:" + PASSWORD + b"@db/x"),
    "bearer in text": Plant(PASSWORD, answer=b"curl -H 'x: Bearer " + PASSWORD + b"'"),
    "basic in text": Plant(b"bWU6Y29ycmVjdC1ob3JzZQ==", answer=b"Basic bWU6Y29ycmVjdC1ob3JzZQ=="),
    "unicode escapes": Plant(PASSWORD, answer=b'{"pass\\u0077ord":"' + b"".join(b"\\u%04x" % byte for byte in PASSWORD) + b'"}'),
    "escaped URL": Plant(PASSWORD, answer=b'{"u":"https:\\/\\/me:' + PASSWORD + b'@h"}'),
    "base64": Plant(PASSWORD, answer=dump({"data": base64.b64encode(b'{"x":1,"password":"' + PASSWORD + b'"}').decode()})),
    "base64 for URLs": Plant(KEY, answer=b"x=" + base64.urlsafe_b64encode(b"see >>>???~~~ " + API_KEY).rstrip(b"=")),
    "base64 in base64": Plant(PASSWORD, answer=base64.b64encode(b"data: " + base64.b64encode(b"the password=" + PASSWORD + b" here"))),
    "hexadecimal": Plant(PASSWORD, answer=b"blob " + (b"password=" + PASSWORD).hex().encode()),
}
KINDS["gzip"] = Plant(PASSWORD, answer=gzip.compress(KINDS["environment file"].answer * 3), answer_headers=((b"Content-Encoding", b"gzip"),))
KINDS["deflate"] = Plant(PASSWORD, answer=zlib.compress(KINDS["environment file"].answer), answer_headers=((b"Content-Encoding", b"deflate"),))
KINDS["gzip, login"] = Plant(PASSWORD, "POST /api/auth/login", body=gzip.compress(KINDS["login"].body))


def records_of(plant: Plant, cut: int | None) -> list[Record]:
    """Put a plant into the records of an exchange: bodies whole, or cut in chunks of *cut* bytes."""
    request = Request(b"POST", plant.target, b"HTTP/1.1", plant.headers)
    response = Response(b"HTTP/1.1", 200, b"OK", plant.answer_headers, None if cut else plant.answer)
    records: list[Record] = [Opened(1, 1, 0.0, Connection("c"), request)]
    event = 2
    if cut:
        records.append(Answered(1, event, 0.0, response))
        for side, body in (("request", plant.body), ("response", plant.answer)):
            for at in range(0, len(body), cut):
                event += 1
                records.append(Chunks(1, (Chunk(event, 0.0, body[at : at + cut]),), side))  # type: ignore[arg-type]
    records.append(
        Ended(1, event + 1, 0.0, EndReason.COMPLETE, response, None if cut else plant.body, streamed=bool(cut), request_streamed=bool(cut))
    )
    records.append(WorkspaceChange(event + 2, 0.0, "notes.txt", "0", plant.file))
    records.append(Attachment(event + 3, 1, "notes.txt", "0", plant.file))
    return records


@pytest.mark.parametrize("cut", [None, 1, 7, 4096])
@pytest.mark.parametrize("name", KINDS)
def test_planted(redactor: Redactor, holds: Holds, name: str, cut: int | None) -> None:
    """A planted secret is there before, and afterwards under no encoding, whether the bodies come whole or in chunks."""
    plant = KINDS[name]
    records = records_of(plant, cut)
    assert holds(records, plant.secret)
    stream = RecordRedactor(redactor)
    clean = [out for record in records for out in stream.feed(record, plant.route)]
    assert stream.flush() == []
    assert stream.held_bytes == 0
    assert not holds(clean, plant.secret)


def test_equal_secrets_in_two_places_stay_equal(redactor: Redactor) -> None:
    """A secret has one placeholder in a body, a query, a header and a file, and the same one from another redactor with the same key."""
    wanted = redactor.response_body(b'{"client_secret":"' + PASSWORD + b'"}', "GET /x")[0]
    assert wanted is not None
    placeholder = wanted.split(b'"')[3]
    other = Redactor(b"k" * 32)
    assert placeholder in other.target(b"/x?token=" + PASSWORD, "GET /x")[0]
    assert placeholder in other.file(b"secret: " + PASSWORD + b"\n")[0]
    assert placeholder in (other.request_body(b'{"a":"{\\"authToken\\":\\"' + PASSWORD + b'\\"}"}', "GET /x")[0] or b"")
    assert placeholder == other.request(Request(b"GET", b"/", b"HTTP/1.1", ((b"x-api-key", PASSWORD),)), "GET /x")[0].headers[0][1]


def test_a_percent_encoded_secret_begins_alike(redactor: Redactor) -> None:
    """A longer spelling of a secret has a longer placeholder with the same letters behind tag and checksum."""
    plain = redactor.target(b"/x?token=correct+horse-7", "GET /x")[0].partition(b"=")[2]
    spelt = redactor.target(b"/x?token=correct+horse%2D7", "GET /x")[0].partition(b"=")[2]
    assert plain[4:14] == spelt[4:14]


KEPT: list[tuple[str, bytes]] = [
    ("POST /api/memory/forget", b'{"confirmToken":"9f86d081884c7d659a2feaa0c55ad015","count":3}'),
    ("POST /api/memory/forget", b'{"confirm_token":"9f86d081884c7d659a2feaa0c55ad015"}'),
    ("POST /api/hooks/session-start", b'{"sessionKey":"agent:main:claude-1795419510911","session_key":"abc123def456"}'),
    ("GET /x", b'{"tokenCount":12,"maxTokens":4096,"tokensConsumed":"1234567890123456","max_tokens":"12345678901234567"}'),
    ("GET /x", b'{"id":"0b5c1d3e-8f7a-4c6d-9e2b-1a2b3c4d5e6f","contentHash":"%s"}' % (b"9f86d081884c7d65" * 4)),
    ("POST /api/documents", b'{"idempotency_key":"2026-11-23T12-00-00-000Z-abcdef12","claim_key":"a1b2c3d4e5f6a7b8"}'),
    ("POST /api/secrets/exec", b'{"secrets":{"GITHUB_TOKEN":"MY_GITHUB_TOKEN"}}'),
    ("POST /api/config", b'{"content":"inference:\\n  apiKey: ${ANTHROPIC_API_KEY}\\n  secret: op://vault/item/field\\n"}'),
    ("GET /x", b'{"token":"Hello"}'),
    ("GET /x", b'{"authorization":"required","password":null,"hasSecret":true,"publicKey":"abcdefgh1234"}'),
    ("GET /x", b"the token budget is 4096, a secret is kept, the key: see below, and https://example.org/a@b"),
    ("ALL /mcp", b'{"params":{"name":"secret_exec_status","arguments":{"jobId":"job_1795419510911"}}}'),
    ("GET /x", b'{"nextPageToken":"abcdefgh1234567890","keyId":"key_0123456789abcdef","prefix":"sig_sk_0123456789ab"}'),
    ("POST /api/auth/login", b'{"username":"admin","password":""}'),
]


@pytest.mark.parametrize(("route", "body"), KEPT)
def test_what_a_replay_needs_stays(redactor: Redactor, route: str, body: bytes) -> None:
    """Ids, keys that name things, counts, references and prose are no secrets."""
    assert redactor.request_body(body, route) == (body, ())
    assert redactor.response_body(body, route) == (body, ())


@pytest.mark.parametrize("body", [base64.b64encode(bytes(range(256))), bytes(range(256)) * 20, gzip.compress(b"hello" * 50)])
def test_what_holds_nothing_stays(redactor: Redactor, body: bytes) -> None:
    """Bytes that decode to nothing secret are not touched."""
    assert redactor.response_body(body, "GET /x") == (body, ())
