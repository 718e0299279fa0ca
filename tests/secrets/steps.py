"""What the client asks and what the server shall answer, with secrets at all the places that the daemon's contract names."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from tests.secrets.texts import Text, escaped, piece, text

type Encoding = Literal["", "gzip", "deflate", "zstd"]

_JSON: Final = (b"Content-Type", text(b"application/json"))
_FILLER: Final = b"and so on, " * 120
"""Makes a body long enough to be handed on as it comes."""


@dataclass(frozen=True, slots=True)
class Step:
    """One exchange."""

    method: str
    target: Text
    headers: tuple[tuple[bytes, Text], ...] = ()
    body: Text = ()
    body_encoding: Encoding = ""
    uploads: bool = False
    """The request's body is sent in pieces that end inside its secrets."""
    status: int = 200
    answer_headers: tuple[tuple[bytes, Text], ...] = (_JSON,)
    answer: Text = (b"{}",)
    answer_encoding: Encoding = ""
    streams: bool = False
    """The answer goes in chunks that end inside its secrets."""
    hangs_up: bool = False
    """The server ends in the middle of its answer's head."""


def _post(target: bytes, body: Text | bytes, answer: Text | bytes = b"{}", **more: object) -> Step:
    return Step(
        "POST",
        text(target),
        headers=(_JSON,),
        body=text(body) if isinstance(body, bytes) else body,
        answer=text(answer) if isinstance(answer, bytes) else answer,
        **more,  # type: ignore[arg-type]  # fields of the step
    )


def _get(target: bytes, answer: Text | bytes = b"{}", headers: Mapping[bytes, bytes] | None = None, **more: object) -> Step:
    return Step(
        "GET",
        text(target),
        headers=tuple((name, text(value)) for name, value in (headers or {}).items()),
        answer=text(answer) if isinstance(answer, bytes) else answer,
        **more,  # type: ignore[arg-type]  # fields of the step
    )


def steps(transcript: Path) -> tuple[Step, ...]:
    """Give all exchanges; *transcript* is a file that one of them names."""
    sse = (b"Content-Type", text(b"text/event-stream"))
    lines = (b"Content-Type", text(b"application/x-ndjson"))
    plain = (b"Content-Type", text(b"text/plain"))
    named = str(transcript).encode()
    return (
        # headers, both ways
        _get(b"/api/memories?limit=3", headers={b"Authorization": b"Bearer <<api key>>"}),
        _get(b"/api/status", headers={b"AUTHORIZATION": b"bearer <<bearer>>", b"Cookie": b"sid=<<cookie>>; other=<<second cookie>>"}),
        _get(b"/api/status", headers={b"Authorization": b"Basic <<basic>>", b"X-Api-Key": b"<<x-api-key>>"}),
        _get(b"/api/status", headers={b"Proxy-Authorization": b"Bearer <<proxy>>", b"X-Auth-Token": b"<<x-auth-token>>"}),
        _get(b"/api/status", headers={b"X-Forwarded-Authorization": b"Bearer <<jwt>>", b"X-Note": b"key <<api key>> of mine"}),
        _get(b"/api/status", headers={b"Authorization": b"Bearer <<bad token>>"}, status=401),
        _get(
            b"/api/memories",
            headers={b"Referer": b"http://localhost:3850/?token=<<query token>>"},
            status=302,
            answer_headers=(
                _JSON,
                (b"Set-Cookie", text(b"sid=<<set cookie>>; Path=/; HttpOnly")),
                (b"Location", text(b"/next?access_token=<<moved token>>&page=2")),
            ),
        ),
        # targets
        _get(b"/api/logs/stream?token=<<query token>>&limit=5"),
        _get(b"/api/auth/sso/callback?code=<<query code>>&state=<<query state>>"),
        _get(b"/api/secrets/bitwarden/status?session=<<query session>>"),
        Step("GET", (b"/api/marketplace/mcp?url=", piece(b"https://h/?api_key=<<query key>>", "percent"))),
        Step("GET", (b"/api/memories?api_key=", piece(b"<<query key>>", "percent all"), b"&x=1")),
        _get(b"/api/memory/search?q=about+<<openai>>+again"),
        # bodies by route
        _post(b"/api/auth/login", b'{"username":"admin","password":"<<weak password>>"}', b'{"token":"<<login token>>","role":"admin"}'),
        _post(b"/api/auth/login", (b'{"password":"', *escaped(b"<<odd password>>", 1), b'"}'), b'{"error":"no"}', status=401),
        Step(
            "POST",
            text(b"/api/auth/login"),
            headers=((b"Content-Type", text(b"application/x-www-form-urlencoded")),),
            body=(b"username=admin&password=", piece(b"<<odd password>>", "percent")),
        ),
        _post(b"/api/auth/token", b'{"role":"agent"}', b'{"token":"<<minted token>>","expiresAt":"2026-11-30T00:00:00.000Z"}', status=201),
        _post(b"/api/auth/api-keys", b'{"name":"ci"}', b'{"apiKey":{"id":"k1","prefix":"x","key":"<<api key made>>"}}', status=201),
        Step(
            "POST",
            text(b"/api/auth/saml/acs"),
            headers=((b"Content-Type", text(b"application/x-www-form-urlencoded")),),
            body=text(b"SAMLResponse=<<saml>>"),
            status=501,
        ),
        _post(b"/api/secrets/DEPLOY", b'{"value":"<<secret value>>"}'),
        _post(b"/api/secrets/ODD", (b'{"value":"', *escaped(b"<<odd value>>", 1), b'"}')),
        _post(b"/api/secrets/STORED", b'{"value":"<<stored>>"}'),
        _post(b"/api/secrets/exec", b'{"command":"<<exec command>>","env":{"ANY":"<<exec env>>"}}', b'{"jobId":"j1"}', status=202),
        _get(b"/api/secrets/exec/j1", b'{"status":"done","result":{"stdout":"<<exec out>>","stderr":"","code":0}}'),
        _post(
            b"/api/secrets/bitwarden/connect",
            b'{"session":"<<vault session>>","folderId":"<<vault folder>>"}',
            b'{"ok":true,"token":"<<vault token>>"}',
        ),
        _post(b"/api/secrets/1password/connect", b'{"token":"<<one password>>"}'),
        _post(
            b"/api/marketplace/mcp/register",
            b'{"id":"s","config":{"env":{"ANY":"<<server env>>"},"headers":{"X-Any":"<<server header>>"},'
            b'"url":"https://h/sse?api_key=<<server url>>"}}',
            b'{"server":{"id":"s","config":{"env":{"ANY":"<<server env>>"},"headers":{"X-Any":"<<server header>>"}}}}',
            status=201,
        ),
        _get(b"/api/status", b'{"pipelineV2":{"telemetry":{"posthogApiKey":"<<posthog>>"}}}'),
        _get(b"/api/diagnostics/database/tables/api_keys/sample", b'{"rows":[{"id":"k1","key_hash":"<<key hash>>"}]}'),
        _post(
            b"/api/git/push",
            b"{}",
            b'{"success":false,"message":"fatal: https://me:<<git password>>@git.example/r.git and https://<<git token>>@github.com/r"}',
        ),
        _post(
            b"/mcp",
            b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"secret_exec","arguments":{"command":"<<rpc argument>>"}}}',
            (b'{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"', *escaped(b'{"stdout":"<<rpc result>>"}', 1), b'"}]}}'),
        ),
        # configuration in strings in strings
        _post(
            b"/api/config",
            (b'{"file":"agent.yaml","content":"', *escaped(b"llm:\n  apiKey: <<openai>>\n  other_api_key: '<<anthropic>>'\n", 1), b'"}'),
        ),
        _get(b"/api/config", (b'{"files":[{"name":"agent.yaml","content":"', *escaped(b'apiKey: "<<openai>>"\n', 1), b'"}]}')),
        _post(b"/api/hooks/user-prompt-submit", (b'{"prompt":"', *escaped(b'{"args":"{\\"password\\":\\"<<nested>>\\"}"}', 1), b'"}')),
        _post(b"/api/memory/remember", (b'{"content":"', *escaped(b'{"a":{"b":["{\\"clientSecret\\":\\"<<nested>>\\"}"]}}', 2), b'"}')),
        # anywhere, by shape
        _post(b"/api/memory/remember", b'{"content":"use <<openai>> or <<anthropic>>, <<slack>>; <<aws id>> and <<google>>"}'),
        _post(b"/api/memory/remember", b'{"content":"export AWS_SECRET_ACCESS_KEY=<<aws secret>>"}'),
        _post(b"/api/memory/remember", (b'{"content":"', *escaped(b"<<private key>>", 1), b'"}')),
        _post(b"/api/hooks/session-start", b'{"note":"Authorization: Bearer <<jwt>> worked, <<bearer>> too"}'),
        # at the beginning of a line, in a string, in a string in a string, in a query
        *(
            _post(
                b"/api/hooks/session-start",
                (b'{"text":"', *escaped(b"<<openai>>\n<<git token>>\t<<slack>>\r\n<<aws id>>\n<<google>>\n", depth), b'"}'),
            )
            for depth in (1, 2)
        ),
        _get(b"/api/memory/search?q=keys%0A<<openai>>%0A<<git token>>"),
        # under encodings
        *(
            _post(b"/api/documents", (b'{"blob":"', piece(before + b'{"api_key":"<<encoded>>"}', coat), b'"}'))
            for coat in ("base64", "base64url")
            for before in (b"", b" ", b"  ")
        ),
        _post(b"/api/documents", (b'{"blob":"', piece(b'{"api_key":"<<encoded>>"}', "hex"), b'"}')),
        _post(b"/api/documents", (b'{"blob":"', piece(b'{"a":"password=<<encoded>>"}', "base64", "base64"), b'"}')),
        _post(b"/api/documents", (b'{"blob":"', piece(b"<<api key>>", "base64"), b'","x":"', piece(b"token: <<escaped>>", "unicode"), b'"}')),
        _post(b"/api/documents", (b'{"password":"', piece(b"<<escaped>>", "unicode"), *text(b'","authToken":"<<escaped>>"}'))),
        # compressed
        _get(b"/api/config", b'{"files":[{"api_key":"<<gzip>>","note":"<<api key>>"}]}', answer_encoding="gzip"),
        _get(b"/api/config", b'{"files":[{"api_key":"<<deflate>>"}]}', answer_encoding="deflate"),
        _get(b"/api/config", b'{"files":[{"api_key":"<<zstd>>"}]}', answer_encoding="zstd"),
        _post(b"/api/secrets/PACKED", b'{"value":"<<gzip upload>>"}', body_encoding="gzip"),
        # across chunks
        _get(
            b"/api/logs/stream",
            b'event: log\ndata: {"message":"key <<api key>> seen"}\n\n'
            b'data: {"auth_token":"<<stream token>>"}\n\ndata: token <<bearer>> end\n\ndata: {"x":"<<openai>>"}\n\n',
            answer_headers=(sse,),
            streams=True,
        ),
        _get(
            b"/api/logs/stream",
            (
                b'data: {"blob":"',
                piece(b'{"password":"<<encoded>>"}', "base64"),
                b'"}\n\ndata: {"text":"',
                *escaped(b'{"secret":"<<stream token>>"}', 1),
                b'"}\n\ndata: https://u:<<git password>>@h/ and -- <<private key>>\n\n',
            ),
            answer_headers=(sse,),
            streams=True,
        ),
        _get(
            b"/api/sources/s1/export",
            b'{"n":1,"client_secret":"<<line token>>"}\n{"n":2,"v":"<<slack>>"}\n',
            answer_headers=(lines,),
            streams=True,
        ),
        _get(b"/api/config", b'{"files":[{"api_key":"<<gzip>>"}]}', answer_encoding="gzip", streams=True),
        _post(b"/api/documents", b'{"title":"t","auth_token":"<<upload token>>","content":"see <<api key>>. ' + _FILLER + b'"}', uploads=True),
        _post(b"/api/secrets/UPLOADED", b'{"note":"' + _FILLER + b'","value":"<<secret value>>"}', uploads=True),
        # other texts, and what fails
        _get(b"/api/troubleshoot", b"password: <<weak password>>\nOPENAI_API_KEY=<<openai>>\n", answer_headers=(plain,)),
        _get(b"/api/memories?token=<<gone>>", hangs_up=True),
        # a file that a request names
        _post(b"/api/hooks/session-end", b'{"sessionKey":"s1","transcriptPath":"' + named + b'"}'),
    )
