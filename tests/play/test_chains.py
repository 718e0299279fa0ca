"""
Every chain of ids from an answer to a later request: what the candidate gave is what it is asked for.

A chain is told once, with names in angle brackets; the recorded exchange has the recorded values in their places, the observed one the others.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from replay.identity import Bindings, learn
from replay.model import Connection, EndReason, Exchange, Request, Response
from replay.plan.births import Births
from replay.play.credentials import Credentials
from replay.play.dates import Dates
from replay.play.rewriting import Rewriter
from replay.play.verdicts import Verdicts

_SECRET = "0123456789abcdefghijABCDEFGHIJ_-kKlLmMnNoO1"  # noqa: S105 - of no key
_SESSION = "agent:alice:sess-alpha-0001"


def _uuid(name: str, side: int) -> str:
    return f"{ord(name):02x}{side}f6d4e-8c1b-4f3a-9d20-{ord(name):04d}0000c0{side}e"


_NAMED: Mapping[str, tuple[str, str]] = {
    **{name: (_uuid(name, 1), _uuid(name, 2)) for name in "abcdefghijklmnopqrstuvwxyz"},
    "time": ("2026-11-23T18:35:20.717Z", "2026-12-01T09:00:01.002Z"),
    "time%": ("2026-11-23T18%3A35%3A20.717Z", "2026-12-01T09%3A00%3A01.002Z"),
    "filetime": ("2026-11-23T18-35-20.717Z", "2026-12-01T09-00-01.002Z"),
    "ms": ("1795458974770", "1796115601002"),
    "agent": ("agent_1795458988736_1", "agent_1796115601888_1"),
    "chat": ("chatcmpl_1795458998822", "chatcmpl_1796115601999"),
    "base36": ("mwsyf24v-g1wab0", "mx3puw1a-ab12cd"),
    "keyid": ("key_WXQLVNI5hcmmMHei", "key_-a_b3Q9zXcV1bN_2"),
    "prefix": ("b7ff332ed0c6", "0a1b2c3d4e5f"),
    "key": (f"sig_sk_b7ff332ed0c6_{_SECRET}", f"sig_sk_0a1b2c3d4e5f_{_SECRET[::-1]}"),
    "bearer": (f"eyJzdWIiOiJkYXNoYm9hcmQ6YWRtaW4ifQ.{_SECRET}", f"eyJzdWIiOiJkYXNoYm9hcmQ6YWRtaW4iLCJpYXQiOjF9.{_SECRET[::-1]}"),
    "confirm": ("aea2dd191ca9bc463ba961fc8b3497e6", "42a052714fe7d1ad06c5dfb75ebfec07"),
    "group": ("5f2b7c1d9e8a4b3c2d1e0f9a8b7c6d5e", "0e1f2a3b4c5d6e7f8091a2b3c4d5e6f7"),
    "source": ("e157d79a502b59af", "0b17a7aa502b59c1"),
    "sha": ("ab" * 31 + "0f", "cd" * 31 + "1e"),
    "token": ("htr3alsu75ehacpv", "carfgd5umvw5fuoy"),
    "placeholder": ("REDACTEDgRWdEGi6DPnPB2BdMzLGfpD5", "REDACTEDkKk1kKk2kKk3kKk4kKk5kKk6"),
    "v1": ("1", "1"),
    "v2": ("2", "3"),
    "v3": ("3", "4"),
    "epoch": ("1", "2"),
}
_NAME = re.compile(r"<([a-z][a-z0-9]*%?)>")


def _spell(template: str, side: int) -> bytes:
    return _NAME.sub(lambda match: _NAMED[match[1]][side], template).encode()


@dataclass(frozen=True)
class Said:
    """One exchange as a template."""

    asked: str
    """`METHOD target body`."""
    answer: str = ""
    observed: str | None = None
    """What the candidate answers, where it is more than the same with other ids."""
    media: str = "application/json"
    headers: tuple[str, ...] = ()
    """Of the answer."""
    request_headers: tuple[str, ...] = ()

    def request(self, side: int) -> Request:
        """Spell the request."""
        method, target, *body = self.asked.split(" ", 2)
        raw = _spell(body[0], side) if body else b""
        headers = [(b"Host", b"127.0.0.1:3850"), *_headers(self.request_headers, side)]
        if raw:
            headers += [(b"Content-Type", b"application/json"), (b"Content-Length", str(len(raw)).encode())]
        return Request(method.encode(), _spell(target, side), b"HTTP/1.1", tuple(headers), raw)

    def response(self, side: int) -> Response:
        """Spell the answer."""
        template = self.observed if side and self.observed is not None else self.answer
        headers = ((b"content-type", self.media.encode()), *_headers(self.headers, side))
        return Response(b"HTTP/1.1", 200, b"OK", headers, _spell(template, side))

    def exchange(self, number: int) -> Exchange:
        """Spell the recorded exchange."""
        return Exchange(
            id=number,
            connection=Connection("c"),
            request=self.request(0),
            outcome=self.response(0),
            end=EndReason.COMPLETE,
            opened_event=2 * number,
            ended_event=2 * number + 1,
            started_at=1_795_458_920.0 + number,
            ended_at=1_795_458_920.5 + number,
        )


def _headers(templates: tuple[str, ...], side: int) -> list[tuple[bytes, bytes]]:
    pairs = (_spell(template, side).split(b": ", 1) for template in templates)
    return [(name, value) for name, value in pairs]


_REMEMBER = Said("POST /api/memory/remember {}", '{"id":"<a>","type":"fact","tags":"x","pinned":false,"content":"one","embedded":true}')
_ENTITIES = Said(
    "GET /api/knowledge/entities",
    '{"items":[{"entity":{"id":"<a>","name":"Helios","mentions":3}},{"entity":{"id":"<b>","name":"Kestrel","mentions":9}}]}',
    '{"items":[{"entity":{"id":"<b>","name":"Kestrel","mentions":8}},{"entity":{"id":"<a>","name":"Helios","mentions":4}}]}',
)
_RECALL = Said(
    "POST /api/memory/recall {}",
    '{"results":[{"id":"<a>","content":"one","score":0.5},{"id":"temporal:memory:<b>:occurred","content":"two","score":0.25}],"query":"q"}',
    '{"results":[{"id":"temporal:memory:<b>:occurred","content":"two","score":0.75},{"id":"<a>","content":"one","score":0.5}],"query":"q"}',
)
_PATCHED = Said("PATCH /api/memory/<a> {}", '{"id":"<a>","status":"updated","currentVersion":<v1>,"newVersion":<v2>}')
_READ = Said("GET /api/memory/<a>", '{"id":"<a>","content":"x","version":<v2>,"pinned":0}')
_SNAPSHOT = (
    '{"version":1,"exportedAt":"<time>","source":{"id":"github:<source>","kind":"github","root":"github://x"},"artifacts":['
    '{"sourcePath":"/v/a.md","sourceSha256":"<sha>","sessionId":"native:github:/v/a.md","sessionToken":"<placeholder>","capturedAt":"<time>"},'
    '{"sourcePath":"/v/b.md","manifestPath":"memory/<filetime>--<token>--manifest.md","n":1.50,"rows":[]}],"chunks":[{"id":"src_<group>"}]}'
)


@dataclass(frozen=True)
class Chain:
    """Answers that bear ids, and the requests that name them."""

    name: str
    producers: tuple[Said, ...]
    consumers: tuple[Said, ...]


def _asks(*asked: str, headers: tuple[str, ...] = ()) -> tuple[Said, ...]:
    return tuple(Said(one, request_headers=headers) for one in asked)


_CHAINS = (
    Chain(
        "1 memory, path", (_REMEMBER,), _asks("GET /api/memory/<a>", 'PATCH /api/memory/<a> {"tags":null}', "DELETE /api/memory/<a>?reason=x")
    ),
    Chain("2 history", (_REMEMBER,), _asks("GET /api/memory/<a>/history?limit=10")),
    Chain("3 recover", (_REMEMBER,), _asks('POST /api/memory/<a>/recover {"reason":"r"}')),
    Chain("4 forget", (_REMEMBER, _RECALL), _asks('POST /api/memory/forget {"mode":"execute", "ids": ["<a>", "<b>", "<a>"]}')),
    Chain("5 modify", (_REMEMBER,), _asks('POST /api/memory/modify {"patches":[{"id":"<a>","importance":0.50}],"reason":"x"}')),
    Chain("6 feedback keys", (_RECALL,), _asks('POST /api/memory/feedback {"sessionKey":"s","feedback":{"<a>": 0.8, "<b>": -0.4}}')),
    Chain("7 similar", (_REMEMBER,), _asks("GET /memory/similar?id=<a>&k=5")),
    Chain(
        "8 chunked",
        (Said("POST /api/memory/remember {}", '{"chunked":true,"chunk_count":2,"ids":["<a>","<b>"],"group_id":"chunk-group:<group>"}'),),
        _asks("GET /api/memory/<b>", "GET /api/knowledge/entities/chunk-group%3A<group>", "GET /api/knowledge/entities/chunk-group:<group>"),
    ),
    Chain(
        "9 duplicate",
        (Said("PATCH /api/memory/x {}", '{"status":"duplicate_content_hash","duplicateMemoryId":"<a>"}'),),
        _asks("GET /api/memory/<a>"),
    ),
    Chain("10 recall", (_RECALL,), _asks("GET /api/memory/<b>", 'POST /api/memory/forget {"ids":["temporal:memory:<b>:occurred"]}')),
    Chain(
        "11 aggregate",
        (
            Said(
                "POST /api/memory/recall {}",
                '{"results":[],"aggregate":{"id":"aggregate-recall:<sha>","savedMemoryId":"<a>","sourceMemoryIds":["<b>","<c>"]}}',
            ),
        ),
        _asks("GET /api/memory/<a>", "GET /api/memory/<c>", "GET /api/memory/aggregate-recall%3A<sha>"),
    ),
    Chain(
        "12 lists",
        (
            Said(
                "GET /api/memories",
                '{"memories":[{"id":"<a>","content":"one"},{"id":"<b>","content":"two"}],"stats":{"total":2}}',
                '{"memories":[{"id":"<z>","content":"new"},{"id":"<b>","content":"two"},{"id":"<a>","content":"one"}],"stats":{"total":3}}',
            ),
        ),
        _asks("GET /api/memory/<a>", "DELETE /api/memory/<b>"),
    ),
    Chain(
        "13 versions",
        (_REMEMBER, _RECALL, _PATCHED, _READ),
        _asks(
            'PATCH /api/memory/<a> {"tags":"2", "if_version": <v2>, "reason":"x"}',
            'PATCH /api/memory/<a> {"if_version":<v1>}',
            "DELETE /api/memory/<a>?reason=x&if_version=<v2>",
            'POST /api/memory/<a>/recover?if_version=<v2> {"reason":"2"}',
            'POST /api/memory/modify {"patches":[{"id":"<a>","if_version":<v2>},{"id":"<b>","if_version":2}]}',
            'POST /mcp {"jsonrpc":"2.0","id":2,"params":{"name":"memory_modify","arguments":{"id":"<a>","if_version":<v2>}}}',
        ),
    ),
    Chain(
        "14 confirm token",
        (Said("POST /api/memory/forget {}", '{"mode":"preview","count":1,"confirmToken":"<confirm>","candidates":[{"id":"<a>","score":0}]}'),),
        _asks('POST /api/memory/forget {"mode":"execute","ids":["<a>"],"confirm_token":"<confirm>"}'),
    ),
    Chain(
        "15, 16 documents",
        (Said("POST /api/documents {}", '{"id":"<d>","status":"queued","jobId":"<j>"}'),),
        _asks("GET /api/documents/<d>/chunks", "DELETE /api/documents/<d>?reason=driver+cleanup", "GET /api/memory/jobs/<j>"),
    ),
    Chain(
        "17 chunks",
        (Said("GET /api/documents/x/chunks", '{"chunks":[{"id":"<b>","content":"P 1"},{"id":"<a>","content":"P 0"}],"count":2}'),),
        _asks("GET /api/memory/<a>", "GET /api/memory/<b>"),
    ),
    Chain(
        "18 connectors",
        (Said("POST /api/connectors {}", '{"id":"<c>"}'),),
        _asks("POST /api/connectors/<c>/sync/full?confirm=true", 'POST /api/documents {"connector_id":"<c>"}'),
    ),
    Chain(
        "19 sources",
        (Said("POST /api/sources/github {}", '{"source":{"id":"github:<source>"},"job":{"id":"source-index:github:<source>:<ms>"}}'),),
        _asks(
            "GET /api/sources/github%3A<source>/health", "DELETE /api/sources/github:<source>", "GET /x/source-index%3Agithub%3A<source>%3A<ms>"
        ),
    ),
    Chain(
        "20 snapshot back",
        (
            Said("POST /api/sources/github {}", '{"source":{"id":"github:<source>"}}'),
            Said("GET /api/sources/github%3A<source>/snapshot", _SNAPSHOT),
        ),
        _asks(f"POST /api/sources/github%3A<source>/snapshot/import {_SNAPSHOT}"),
    ),
    Chain(
        "21, 22 tasks",
        (Said("POST /api/tasks {}", '{"id":"<t>","nextRunAt":"2027-01-01T00:00:00.000Z"}'), Said("POST /api/tasks/<t>/run", '{"runId":"<r>"}')),
        _asks('PATCH /api/tasks/<t> {"enabled":true}', "GET /api/tasks/<t>/stream", "GET /api/tasks/<t>/runs?run=<r>"),
    ),
    Chain(
        "22 runs in a stream",
        (Said("GET /api/tasks/x/stream", 'event: run\ndata: {"runId":"<r>","line":"x"}\n\n: ping\n\n', media="text/event-stream"),),
        _asks("GET /api/tasks/x/runs/<r>"),
    ),
    Chain(
        "23 bearer", (Said("POST /api/auth/login {}", '{"token":"<bearer>"}'),), _asks("GET /api/x", headers=("Authorization: Bearer <bearer>",))
    ),
    Chain(
        "24 api keys",
        (Said("POST /api/auth/api-keys {}", '{"apiKey":{"id":"<keyid>","prefix":"<prefix>","name":"l","key":"<key>"}}'),),
        (
            *_asks("DELETE /api/auth/api-keys/<keyid>", "DELETE /api/auth/api-keys/<prefix>", 'POST /api/x {"changedBy":"api-key:<keyid>"}'),
            *_asks("GET /api/x", headers=("authorization: Bearer <key>", "X-Api-Key: <key>")),
        ),
    ),
    Chain(
        "25 secret jobs",
        (Said("POST /api/secrets/exec {}", '{"id":"<j>","status":"running","createdAt":"<time>"}'),),
        _asks("GET /api/secrets/exec/<j>"),
    ),
    Chain("26 session jobs", (Said("POST /api/hooks/session-end {}", '{"memoriesSaved":0,"jobId":"<j>"}'),), _asks("GET /api/memory/jobs/<j>")),
    Chain(
        "27 compaction", (Said("POST /api/hooks/compaction-complete {}", '{"memoryId":"<a>","contextEpoch":1}'),), _asks("GET /api/memory/<a>")
    ),
    Chain(
        "28 epochs",
        (
            Said(
                f'POST /api/hooks/compaction-complete {{"sessionKey":"{_SESSION}"}}',
                '{"success":true,"memoryId":"<a>","contextEpoch":<epoch>}',
            ),
        ),
        _asks(
            f'POST /api/memory/recall {{"query":"1","sessionKey":"{_SESSION}","contextEpoch":<epoch>}}',
            'POST /api/memory/recall {"query":"1","sessionKey":"another","contextEpoch":1}',
        ),
    ),
    Chain(
        "29 summaries",
        (
            Said(
                "GET /api/sessions/summaries",
                f'{{"summaries":[{{"id":"<s>","kind":"session","sessionKey":"s"}},{{"id":"{_SESSION}:compaction:<ms>","kind":"compaction"}}]}}',
            ),
        ),
        _asks(
            'POST /api/sessions/summaries/expand {"id":"<s>","includeTranscript":true}',
            f'POST /api/sessions/summaries/expand {{"id": "{_SESSION}:compaction:<ms>"}}',
        ),
    ),
    Chain(
        "30 expanded sessions",
        (Said("POST /api/knowledge/expand/session {}", '{"summaries":[{"id":"<s>","sessionKey":"sess-1"},{"id":"<u>","sessionKey":"<k>"}]}'),),
        _asks("GET /api/sessions/sess-1/transcript", "GET /api/sessions/<k>/transcript"),
    ),
    Chain(
        "31 entities",
        (_ENTITIES,),
        _asks("GET /api/knowledge/entities/<a>/aspects", "POST /api/knowledge/entities/<b>/pin", 'POST /api/graph/impact {"entityId":"<b>"}'),
    ),
    Chain(
        "32 aspects",
        (_ENTITIES, Said("GET /api/knowledge/entities/<a>/aspects", '{"items":[{"aspect":{"id":"<p>","name":"storage","weight":0.5}}]}')),
        _asks("GET /api/knowledge/entities/<a>/aspects/<p>/attributes"),
    ),
    Chain(
        "33 attributes",
        (Said("GET /api/knowledge/entities/x/aspects/y/attributes", '{"items":[{"id":"<q>","content":"c","memoryId":"<m>"}]}'),),
        _asks('POST /api/ontology/assertions/x/link-claim {"attribute_id":"<q>","claim_attribute_id":"<q>"}', "GET /api/memory/<m>"),
    ),
    Chain(
        "34 dependencies",
        (Said("GET /api/knowledge/entities/x/dependencies", '{"items":[{"id":"<d>","direction":"out","dependencyType":"uses"}]}'),),
        _asks("GET /api/ontology/links/<d>/evidence"),
    ),
    Chain(
        "35 proposals",
        (
            Said("POST /api/ontology/proposals {}", '{"item":{"id":"<p>","operation":"create_entity","createdAt":"<time>"}}'),
            Said("POST /api/ontology/proposals/batch {}", '{"items":[{"id":"<q>","operation":"x"},{"id":"<r>","operation":"y"}]}'),
            Said("POST /api/ontology/operations/apply {}", '{"proposal":{"id":"<s>","status":"applied"},"result":{"entityId":"<e>"}}'),
        ),
        _asks(
            "GET /api/ontology/proposals/<p>/evidence",
            "POST /api/ontology/proposals/<r>/apply {}",
            "GET /api/ontology/proposals/<s>",
            "GET /x/<e>",
        ),
    ),
    Chain(
        "36 assertions",
        (Said("POST /api/ontology/assertions {}", '{"item":{"id":"<a>","content":"c"}}'),),
        _asks("POST /api/ontology/assertions/<a>/archive {}", 'POST /api/ontology/assertions/<a>/supersede {"by":"<a>"}'),
    ),
    Chain(
        "37 aliases",
        (_ENTITIES, Said("POST /api/ontology/entities/<a>/aliases {}", '{"item":{"id":"<l>","entityId":"<a>","alias":"Helios ingest"}}')),
        _asks("DELETE /api/ontology/entities/<a>/aliases/<l>"),
    ),
    Chain(
        "38 merges",
        (
            Said(
                "POST /api/ontology/proposals/repair/merge-plan {}",
                '{"target":{"id":"<t>","name":"Kestrel"},"sources":[{"id":"<s>","name":"SQLite"}],"proposal":{"id":"<p>",'
                '"payload":{"target_entity_id":"<t>","source_entity_ids":["<s>"]}}}',
            ),
        ),
        _asks('POST /api/ontology/proposals/<p>/apply {"target":"<t>","sources":["<s>"]}'),
    ),
    Chain(
        "39 reflections",
        (
            Said("GET /api/reflections/today", '{"reflection":{"id":"<f>","question":"Why?"},"reflections":[{"id":"<f>","question":"Why?"}]}'),
            Said("POST /api/reflections/<f>/answer {}", '{"ok":true,"memoryId":"<m>"}'),
        ),
        _asks('POST /api/reflections/<f>/answer {"answer":"a"}', "GET /api/memory/<m>"),
    ),
    Chain(
        "40 dreams",
        (Said("POST /api/dream/trigger {}", '{"passId":"<p>"}'),),
        _asks("GET /api/dream/status?pass=<p>"),
    ),
    Chain(
        "41 inference",
        (
            Said(
                "POST /api/inference/stream {}",
                'event: meta\ndata: {"requestId":"<i>","decision":{}}\n\nevent: done\ndata: {"usage":null}\n\n',
                media="text/event-stream",
                headers=("X-Signet-Request-Id: <h>",),
            ),
        ),
        _asks("DELETE /api/inference/requests/<i>", "DELETE /api/inference/requests/<h>", "GET /x", headers=("x-signet-request-id: <h>",)),
    ),
    Chain(
        "42 agent sessions",
        (Said("POST /api/os/agent-execute {}", '{"sessionId":"<agent>","serverId":"fixture-tools"}'),),
        _asks("GET /api/os/agent-events?session=<agent>", 'POST /api/os/agent-state {"sessionId":"<agent>","domState":{"n":1}}'),
    ),
    Chain(
        "43 servers",
        (Said("POST /api/marketplace/mcp/register {}", '{"success":true,"server":{"id":"fixture-tools"}}'),),
        _asks("GET /api/marketplace/mcp/fixture-tools", 'POST /api/marketplace/mcp/call {"serverId":"fixture-tools"}'),
    ),
    Chain(
        "44 reviews",
        (Said("POST /api/marketplace/reviews {}", '{"success":true,"review":{"id":"<r>","rating":4,"createdAt":"<time>"}}'),),
        _asks('PATCH /api/marketplace/reviews/<r> {"rating":5}'),
    ),
    Chain(
        "45 messages",
        (
            Said("POST /api/cross-agent/messages {}", '{"message":{"id":"<m>","createdAt":"<time>","content":"c"}}'),
            Said("POST /api/cross-agent/presence {}", '{"presence":{"key":"session:sess-bob-1","startedAt":"<time>"}}'),
        ),
        _asks("GET /api/cross-agent/messages?since=<time%>&agent_id=bob", "GET /x?since=<time>", "DELETE /api/cross-agent/presence/sess-bob-1"),
    ),
    Chain(
        "46 reviews of memories",
        (Said("GET /api/memory/review-queue", '{"items":[{"id":"<h>","memory_id":"<m>","event":"updated","created_at":"<time>"}]}'),),
        _asks('POST /api/memory/feedback {"feedback":{"<m>":1}}', 'POST /api/memory/modify {"patches":[{"id":"<m>"}]}'),
    ),
    Chain(
        "47 tools",
        (
            Said(
                'POST /mcp {"id":2}',
                '{"result":{"content":[{"text":"{\\n  \\"id\\": \\"<a>\\",\\n  \\"jobId\\": \\"<j>\\"\\n}"}]},"jsonrpc":"2.0"}',
            ),
            Said('POST /mcp {"id":3}', '{"result":{"content":[{"type":"text","text":"Stored as <b> (<keyid>)."}]},"id":3}'),
        ),
        _asks(
            'POST /mcp {"id":4,"params":{"name":"memory_get","arguments":{"id":"<a>"}}}',
            'POST /mcp {"id":5,"params":{"name":"memory_feedback","arguments":{"ratings":{"<a>":0.5},"session_key":"sess-mcp"}}}',
            'POST /mcp {"id":6,"params":{"arguments":{"note":"{\\"ids\\":[\\"<a>\\",\\"<b>\\"]}","jobId":"<j>"}}}',
            "GET /api/memory/<b>",
        ),
    ),
    Chain(
        "names in files and prose",
        (
            Said("GET /api/x", "# Notes\n\n- [<a>](memory/<filetime>--<token>--compaction.md)\n- done <base36>\n", media="text/markdown"),
            Said("POST /v1/chat/completions {}", '{"id":"<chat>","object":"chat.completion"}'),
        ),
        _asks("GET /files/memory%2F<filetime>--<token>--compaction.md", "GET /x/<base36>", "GET /v1/<chat>", "GET /api/memory/<a>"),
    ),
    Chain(
        "chosen by clients",
        (
            Said(
                'POST /api/hooks/session-start {"sessionKey":"<k>"}', '{"inject":"<k>","sessionKey":"<k>"}', '{"inject":"x","sessionKey":"<z>"}'
            ),
            Said('POST /mcp {"id":"<i>"}', '{"id":"<i>","result":{}}', '{"id":"<z>","result":{}}'),
            Said("POST /x {}", "{}", request_headers=("X-Signet-Request-Id: <h>", "X-Signet-Session-Key: <s>", "Idempotency-Key: <u>")),
            Said("GET /y", '{"requestId":"<h>","sessionKey":"<s>","key":"<u>"}', '{"requestId":"<y>","sessionKey":"<w>","key":"<v>"}'),
        ),
        (
            *_asks(
                f'POST /api/hooks/session-end {{"sessionKey":"{_NAMED["k"][0]}"}}',
                f'POST /mcp {{"id":"{_NAMED["i"][0]}"}}',
                headers=(
                    f"x-signet-request-id: {_NAMED['h'][0]}",
                    f"x-signet-session-key: {_NAMED['s'][0]}",
                    f"idempotency-key: {_NAMED['u'][0]}",
                ),
            ),
        ),
    ),
)


def _rewriter(bindings: Bindings) -> Rewriter:
    credentials = Credentials(Verdicts(), bindings, secret=None, clock=lambda: 0.0)
    return Rewriter(bindings, credentials=credentials, dates=Dates(bindings, clock=lambda: 0.0), replacements={})


@pytest.mark.parametrize("chain", _CHAINS, ids=lambda chain: chain.name)
def test_a_chain_is_kept(chain: Chain) -> None:
    """What an answer gave is what later requests name, byte for byte, and nothing else in them changes."""
    told = [said.exchange(number) for number, said in enumerate((*chain.producers, *chain.consumers), 1)]
    bindings = Bindings()
    chosen = Births(told).chosen
    for said, exchange in zip(chain.producers, told, strict=False):
        learn(said.response(0), said.response(1), bindings, exchange.id, chosen=chosen, request=exchange.request)
    assert bindings.contradictions == []
    rewriter = _rewriter(bindings)
    for said, exchange in zip(chain.consumers, told[len(chain.producers) :], strict=True):
        sent = rewriter.rewrite(exchange).request
        wanted = said.request(1)
        assert (sent.target, sent.body) == (wanted.target, wanted.body)
        assert sent.headers == wanted.headers
