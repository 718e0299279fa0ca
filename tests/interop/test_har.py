"""HAR out, and our own HAR in again."""

import json
import stat
from base64 import b64decode
from dataclasses import replace
from gzip import compress
from io import BytesIO
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mitmproxy import http
from mitmproxy.io import FlowReader

from replay.archive import ArchiveWriter, read, verify
from replay.interop.har import export_har, import_har
from replay.interop.har.access import Place
from replay.interop.har.entries import write_entry
from replay.interop.har.own import read_own
from replay.interop.mitm import import_mitm
from replay.interop.records import order_records
from replay.jobs.exchanging import bring_in, send_out
from replay.model import Chunk, Connection, EndReason, Exchange, Gap, GapReason, NoResponse, Redaction, Request, Response, UsageError

TEXT = {"type": "string"}
NUMBER = {"type": "number"}
NAMED = {"type": "array", "items": {"type": "object", "required": ["name", "value"], "properties": {"name": TEXT, "value": TEXT}}}


def an_object(**properties: Any) -> dict[str, Any]:
    """Describe an object that must hold these and may hold more only under `_` names, `comment` or what HAR 1.2 makes optional."""
    optional = {"comment", "postData", "compression", "encoding", "text", "connection", "pages", "params"}
    known = {name: schema for name, schema in properties.items() if name not in optional}
    return {
        "type": "object",
        "required": list(known),
        "properties": properties,
        "patternProperties": {"^_": {}},
        "additionalProperties": False,
    }


HAR_12 = an_object(
    log=an_object(
        version={"const": "1.2"},
        creator=an_object(name=TEXT, version=TEXT),
        comment=TEXT,
        pages={"type": "array"},
        entries={
            "type": "array",
            "items": an_object(
                startedDateTime={"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$"},
                time={"type": "number", "minimum": 0},
                request=an_object(
                    method=TEXT,
                    url={"type": "string", "pattern": "^https?://"},
                    httpVersion=TEXT,
                    cookies=NAMED,
                    headers=NAMED,
                    queryString=NAMED,
                    headersSize=NUMBER,
                    bodySize=NUMBER,
                    postData=an_object(mimeType=TEXT, params=NAMED, text=TEXT, comment=TEXT),
                ),
                response=an_object(
                    status={"type": "integer"},
                    statusText=TEXT,
                    httpVersion=TEXT,
                    cookies=NAMED,
                    headers=NAMED,
                    content=an_object(size=NUMBER, mimeType=TEXT, compression=NUMBER, text=TEXT, encoding={"const": "base64"}, comment=TEXT),
                    redirectURL=TEXT,
                    headersSize=NUMBER,
                    bodySize=NUMBER,
                ),
                cache=an_object(),
                timings=an_object(blocked=NUMBER, dns=NUMBER, connect=NUMBER, ssl=NUMBER, send=NUMBER, wait=NUMBER, receive=NUMBER),
                connection=TEXT,
                comment=TEXT,
            ),
        },
    )
)
"""HAR 1.2 as its specification has it."""

BASE = Exchange(
    id=1,
    request=Request(b"POST", b"/a%20b?x=1&x=&%zz", b"HTTP/1.1", ((b"hOst", b"127.0.0.1:3850"), (b"X", b"1"), (b"x", b"2"), (b"X", b"1")), b"hi"),
    outcome=Response(b"HTTP/1.1", 200, b"OK", ((b"Date", b"a"), (b"Date", b"b"), (b"content-type", b"application/json")), '{"ä":1}'.encode()),
    connection=Connection("c1", "s1", "127.0.0.1:5"),
    opened_event=1,
    headers_event=2,
    ended_event=3,
    started_at=1_700_000_000.125,
    request_ended_at=1_700_000_000.25,
    first_byte_at=1_700_000_000.5,
    ended_at=1_700_000_001.0,
)


def save(path: Path, *exchanges: Exchange, gaps: tuple[Gap, ...] = ()) -> Path:
    """Write an archive."""
    with ArchiveWriter.create(path, kind="recording", facts={"daemon": {"host": "127.0.0.1", "port": 3850}}) as writer:
        for _, record in order_records(exchanges):
            writer.append(record)
        for gap in gaps:
            writer.append(gap)
        writer.seal(event=max((item.ended_event for item in exchanges), default=0) + 1, at=0.0, reason="test")
    return path


def there_and_back(tmp_path: Path, *exchanges: Exchange, gaps: tuple[Gap, ...] = ()) -> tuple[Exchange, ...]:
    """Export, import, and give what came back."""
    export_har(read(save(tmp_path / "a.parity", *exchanges, gaps=gaps)), tmp_path / "a.har")
    assert import_har(tmp_path / "a.har", tmp_path / "b.parity").own
    return read(tmp_path / "b.parity").join().exchanges


def with_answer(body: bytes | None, *headers: tuple[bytes, bytes], **more: Any) -> Exchange:
    """Give an exchange with an answer."""
    return replace(BASE, outcome=Response(b"HTTP/1.1", 200, b"OK", headers, body), **more)


BODIES = [
    None,
    b"",
    b"plain",
    "ä".encode(),
    b"\xff\xfe\x00",
    b"\xef\xbb\xbfmarked",
    b"a\x00b",
    b'"\\\n\r\t\x7f\xe2\x80\xa8',
    compress(b"hello", mtime=0),
    bytes(range(256)),
]


@pytest.mark.parametrize(
    "kind", [b"text/plain", b"application/json", b"text/html; charset=latin-1", b"text/x; charset=utf-16", b"text/event-stream"]
)
@pytest.mark.parametrize("body", BODIES)
def test_bodies_come_back(tmp_path: Path, body: bytes | None, kind: bytes) -> None:
    """Every body of either side comes back byte for byte, whatever its type says; that it was not seen comes back, too."""
    made = with_answer(body, (b"Content-Type", kind), (b"content-encoding", b"gzip"))
    made = replace(made, request=replace(made.request, body=body, headers=((b"content-type", kind),)))
    assert there_and_back(tmp_path, made) == (made,)


@pytest.mark.parametrize(
    "request_",
    [
        replace(BASE.request, target=b"*", method=b"OPTIONS"),
        replace(BASE.request, target=b"http://other:1/x?y#z"),
        replace(BASE.request, target=b"/\xff/%2F?q=\xe4#frag"),
        replace(BASE.request, target=b"//double/slash"),
        replace(BASE.request, target=b""),
        replace(BASE.request, target=b"?only=query"),
        replace(BASE.request, headers=()),
        replace(BASE.request, headers=((b"Host", b"a b\xff/"), (b"", b""), (b"X-\xe4", b"\xff\n:"))),
        replace(BASE.request, method=b"M\xe4K", version=b"HTTP/1.0"),
        replace(BASE.request, trailers=((b"T", b"\xff"),)),
    ],
)
def test_requests_come_back(tmp_path: Path, request_: Request) -> None:
    """Raw targets, odd hosts, header order, case and duplicates, non-ASCII bytes and trailers come back."""
    made = replace(BASE, request=request_)
    assert there_and_back(tmp_path, made) == (made,)


def test_streams_ends_and_gaps_come_back(tmp_path: Path) -> None:
    """Chunks of both sides with times, ends without an answer, lanes, redactions, notes, opaque parts and gaps come back."""
    chunks = (Chunk(5, 1.5, b"da"), Chunk(6, 2.5, b""), Chunk(7, 3.5, b"ta"))
    stream = with_answer(
        b"data",
        (b"content-type", b"text/event-stream"),
        opened_event=1,
        headers_event=4,
        ended_event=8,
        chunks=chunks,
        request_chunks=(Chunk(2, 1.0, b"h"), Chunk(3, 1.1, b"i")),
        end=EndReason.CLIENT_LEFT,
        redactions=(
            Redaction("request.header:1", 0, 1, "api-key"),
            Redaction("chunk:2", 0, 1, "bearer"),
            Redaction("chunk:5", 0, 2, "bearer"),
            Redaction("response.header:0", 0, 4, "cookie"),
        ),
        note="die Wörter",
        opaque=b"mitm1:\x00\xff",
    )
    partly = replace(BASE, id=2, request=replace(BASE.request, body=None), request_chunks=(Chunk(10, 2.0, b"half"),), opened_event=9)
    partly = replace(
        partly, outcome=NoResponse("server closed"), headers_event=None, ended_event=11, end=EndReason.PROXY_ERROR, first_byte_at=None
    )
    other = replace(BASE, id=3, opened_event=12, headers_event=13, ended_event=14, lane="127.0.0.1:11434", request_ended_at=None)
    gaps = (Gap(GapReason.SHED, event=13, exchange=3, count=1, detail="body"), Gap(GapReason.CUT, event=15, exchange=9))
    assert there_and_back(tmp_path, stream, partly, other, gaps=gaps) == (stream, partly, other)
    assert read(tmp_path / "b.parity").gaps() == [*gaps]
    assert verify(tmp_path / "b.parity").problems == ()


def test_what_a_har_can_not_hold_is_a_gap(tmp_path: Path) -> None:
    """Event numbers of what is not in the HAR (a snapshot, an entry that someone took out) come back as a gap, and the archive verifies."""
    one = replace(BASE, opened_event=3, headers_event=4, ended_event=5)
    two, three = (
        replace(one, id=number, opened_event=3 * number, headers_event=3 * number + 1, ended_event=3 * number + 2) for number in (2, 3)
    )
    export_har(read(save(tmp_path / "a.parity", one, two, three)), tmp_path / "a.har")
    har = json.loads((tmp_path / "a.har").read_text())
    del har["log"]["entries"][1]
    (tmp_path / "a.har").write_text(json.dumps(har))
    import_har(tmp_path / "a.har", tmp_path / "b.parity")
    archive = read(tmp_path / "b.parity")
    assert archive.exchanges() == [one, three]
    assert [(gap.reason, gap.event, gap.count) for gap in archive.gaps()] == [(GapReason.NOT_WRITTEN, 1, 2), (GapReason.NOT_WRITTEN, 6, 3)]
    assert verify(tmp_path / "b.parity").problems == ()


def test_the_file_is_har(tmp_path: Path) -> None:
    """An export is HAR 1.2 by its schema, readable by its owner alone, and shows bodies decoded."""
    zipped = with_answer(compress(b"hello", mtime=0), (b"content-type", b"text/plain"), (b"content-encoding", b"gzip"))
    failed = replace(BASE, id=2, opened_event=4, headers_event=None, ended_event=5, outcome=NoResponse("gone"), end=EndReason.PROXY_ERROR)
    unseen = with_answer(None, id=3, opened_event=6, headers_event=7, ended_event=8)
    export_har(read(save(tmp_path / "a.parity", zipped, failed, unseen)), tmp_path / "a.har")
    assert stat.S_IMODE((tmp_path / "a.har").stat().st_mode) == 0o600
    har = json.loads((tmp_path / "a.har").read_text())
    jsonschema.validate(har, HAR_12)
    first, second, third = har["log"]["entries"]
    assert first["request"]["url"] == "http://127.0.0.1:3850/a%20b?x=1&x=&%zz"
    assert first["request"]["queryString"] == [{"name": "x", "value": "1"}, {"name": "x", "value": ""}, {"name": "%zz", "value": ""}]
    assert [field["name"] for field in first["request"]["headers"]] == ["hOst", "X", "x", "X"]
    assert (first["response"]["content"]["text"], first["response"]["content"]["size"]) == ("hello", 5)
    assert first["response"]["bodySize"] == len(compress(b"hello", mtime=0))
    assert first["timings"] == {"blocked": -1, "dns": -1, "connect": -1, "ssl": -1, "send": 125.0, "wait": 250.0, "receive": 500.0}
    assert (first["time"], first["startedDateTime"]) == (875.0, "2023-11-14T22:13:20.125000Z")
    assert (second["response"]["status"], second["response"]["_error"]) == (0, "gone")
    assert third["response"]["content"]["comment"] == "the body was not recorded"


def test_what_har_says_is_said_once(tmp_path: Path) -> None:
    """What HAR's own fields bring back is not repeated under `_parity`: whoever edits a field edits the exchange."""
    export_har(read(save(tmp_path / "a.parity", BASE)), tmp_path / "a.har")
    har = json.loads((tmp_path / "a.har").read_text())
    [entry] = har["log"]["entries"]
    assert entry["_parity"]["request"] == {}
    assert entry["_parity"]["response"] == {}
    entry["request"]["headers"][1]["value"] = "edited"
    (tmp_path / "a.har").write_text(json.dumps(har))
    import_har(tmp_path / "a.har", tmp_path / "b.parity")
    assert read(tmp_path / "b.parity").exchanges()[0].request.headers[1] == (b"X", b"edited")


def test_mitmproxy_opens_it(tmp_path: Path) -> None:
    """The HAR reader of mitmproxy itself gives the decoded bodies, the targets and the headers of our export."""
    zipped = with_answer(compress(b"hello", mtime=0), (b"Content-Type", b"text/plain"), (b"Content-Encoding", b"gzip"))
    binary = with_answer(bytes(range(256)), (b"Content-Type", b"image/png"), id=2, opened_event=4, headers_event=5, ended_event=6)
    text = with_answer("ä".encode(), (b"Content-Type", b"text/plain"), id=3, opened_event=7, headers_event=8, ended_event=9)
    failed = replace(BASE, id=4, opened_event=10, headers_event=None, ended_event=11, outcome=NoResponse("gone"), end=EndReason.PROXY_ERROR)
    export_har(read(save(tmp_path / "a.parity", zipped, binary, text, failed)), tmp_path / "a.har")
    flows = [flow for flow in FlowReader(BytesIO((tmp_path / "a.har").read_bytes())).stream() if isinstance(flow, http.HTTPFlow)]
    assert [flow.response.raw_content for flow in flows if flow.response] == [b"hello", bytes(range(256)), "ä".encode(), b""]
    assert {flow.request.path for flow in flows} == {"/a%20b?x=1&x=&%zz"}
    assert flows[0].request.headers.fields == (*BASE.request.headers, (b"content-length", b"2"))  # its reader adds the length
    assert flows[0].request.raw_content == b"hi"


NAMES = st.binary(max_size=6)
HEADERS = st.lists(st.tuples(st.sampled_from([b"Host", b"content-type", b"Cookie", b"set-cookie"]) | NAMES, st.binary(max_size=12)), max_size=4)
TIMES = st.floats(0, 253_402_300_799)
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
BODY = st.none() | st.binary(max_size=40) | st.text(st.characters(exclude_categories=["Cs"]), max_size=20).map(str.encode)


@st.composite
def exchanges(draw: st.DrawFn) -> Exchange:
    """Draw any exchange that an archive can give."""
    answer = st.builds(Response, NAMES, st.integers(0, 999), NAMES, HEADERS.map(tuple), BODY, HEADERS.map(tuple))
    outcome = draw(answer | st.builds(NoResponse, WORDS))
    request = draw(st.builds(Request, NAMES, st.binary(max_size=20), NAMES, HEADERS.map(tuple), BODY, HEADERS.map(tuple)))
    received = draw(st.lists(st.binary(max_size=8), max_size=3)) if isinstance(outcome, Response) else []
    sent = draw(st.lists(st.binary(max_size=8), max_size=3))
    numbers = iter(sorted(draw(st.sets(st.integers(1, 2**53), min_size=9, max_size=9))))
    opened = next(numbers)
    request_chunks = tuple(Chunk(next(numbers), draw(TIMES), data) for data in sent)
    headers_event = next(numbers) if isinstance(outcome, Response) else None
    chunks = tuple(Chunk(next(numbers), draw(TIMES), data) for data in received)
    if chunks and isinstance(outcome, Response):
        outcome = replace(outcome, body=b"".join(received))
    if sent:
        request = replace(request, body=draw(st.sampled_from([None, b"".join(sent)])))
    return Exchange(
        id=draw(st.integers(1, 2**53)),
        request=request,
        outcome=outcome,
        connection=draw(st.builds(Connection, WORDS, st.none() | WORDS, st.none() | WORDS)),
        opened_event=opened,
        ended_event=next(numbers),
        started_at=draw(TIMES),
        ended_at=draw(TIMES),
        end=draw(st.sampled_from(EndReason)),
        lane=draw(WORDS),
        headers_event=headers_event,
        request_ended_at=draw(st.none() | TIMES),
        first_byte_at=draw(st.none() | TIMES),
        chunks=chunks,
        request_chunks=request_chunks,
        redactions=tuple(draw(st.lists(st.builds(Redaction, WORDS, st.integers(0, 99), st.integers(0, 99), WORDS), max_size=2))),
        note=draw(WORDS),
        opaque=draw(st.binary(max_size=8)),
    )


@settings(max_examples=150)
@given(exchanges())
def test_any_exchange_comes_back(exchange: Exchange) -> None:
    """Whatever an exchange holds, its entry is HAR by the schema, survives JSON, and gives the very same exchange."""
    entry = json.loads(json.dumps(write_entry(exchange, "127.0.0.1:3850"), allow_nan=False))
    jsonschema.validate({"log": {"version": "1.2", "creator": {"name": "", "version": ""}, "entries": [entry]}}, _without_required_log(HAR_12))
    assert read_own(Place("entry", entry)) == exchange


def _without_required_log(schema: dict[str, Any]) -> dict[str, Any]:
    log = schema["properties"]["log"]
    return {**schema, "properties": {"log": {**log, "required": ["version", "creator", "entries"]}}}


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(exchanges())
def test_any_exchange_comes_back_through_archives(tmp_path_factory: pytest.TempPathFactory, exchange: Exchange) -> None:
    """The same through two archives on disk."""
    sound = replace(exchange, redactions=())
    assert there_and_back(tmp_path_factory.mktemp("har"), sound) == (sound,)


def test_two_exports_in_one_file_are_numbered_anew(tmp_path: Path) -> None:
    """Entries of two archives share ids; they are kept whole, numbered by time."""
    stream = with_answer(b"ab", opened_event=1, headers_event=2, ended_event=5, chunks=(Chunk(3, 1.7e9 + 1, b"a"), Chunk(4, 1.7e9 + 2, b"b")))
    stream = replace(stream, redactions=(Redaction("chunk:4", 0, 1, "bearer"),), ended_at=1.7e9 + 3)
    export_har(read(save(tmp_path / "a.parity", stream)), tmp_path / "a.har")
    har = json.loads((tmp_path / "a.har").read_text())
    har["log"]["entries"] *= 2
    (tmp_path / "a.har").write_text(json.dumps(har))
    assert not import_har(tmp_path / "a.har", tmp_path / "b.parity").own
    first, second = read(tmp_path / "b.parity").exchanges()
    assert (first.id, second.id, second.chunks[1].event) == (1, 2, 8)
    assert second.redactions == (Redaction("chunk:8", 0, 1, "bearer"),)
    assert (first.request, first.outcome) == (second.request, second.outcome) == (stream.request, stream.outcome)
    assert verify(tmp_path / "b.parity").problems == ()


def test_first_takes_the_first_of_our_own(tmp_path: Path) -> None:
    """The first n of our own export are taken by id."""
    two = replace(BASE, id=2, opened_event=4, headers_event=5, ended_event=6)
    export_har(read(save(tmp_path / "a.parity", BASE, two)), tmp_path / "a.har")
    report = import_har(tmp_path / "a.har", tmp_path / "b.parity", first=1)
    assert (report.exchanges, report.left_out) == (1, 1)
    assert read(tmp_path / "b.parity").exchanges() == [BASE]


def test_commands(tmp_path: Path) -> None:
    """`export` and `import` take `.har`; runs, snapshots and taken destinations are refused in words."""
    save(tmp_path / "a.parity", BASE)
    other = tmp_path / "other"
    other.touch()
    (tmp_path / ".a.har.partial").symlink_to(other)
    assert send_out(tmp_path / "a.parity", tmp_path / "a.har", salvage=False).startswith("1 entries")
    assert (other.read_bytes(), (tmp_path / "a.har").is_symlink()) == (b"", False)
    with pytest.raises(UsageError, match="is there already"):
        send_out(tmp_path / "a.parity", tmp_path / "a.har", salvage=False)
    said = bring_in(tmp_path / "a.har", tmp_path / "b.parity", first=None, redact=False, snapshot=None, workspace=None, progress=lambda *_: None)
    assert "ids and event numbers as recorded · nothing redacted" in said
    with pytest.raises(UsageError, match="replay --state"):
        bring_in(
            tmp_path / "a.har", tmp_path / "c.parity", first=None, redact=False, snapshot=tmp_path, workspace="/w", progress=lambda *_: None
        )


def test_a_body_that_is_no_text_says_where_it_is(tmp_path: Path) -> None:
    """HAR has no base64 for what is sent: a binary request body stands under `_parity`, and the entry says so."""
    made = replace(BASE, request=replace(BASE.request, body=b"\xff\x00"))
    export_har(read(save(tmp_path / "a.parity", made)), tmp_path / "a.har")
    [entry] = json.loads((tmp_path / "a.har").read_text())["log"]["entries"]
    assert "_parity.request.body" in entry["request"]["postData"]["comment"]
    assert b64decode(entry["_parity"]["request"]["body"]) == b"\xff\x00"


@pytest.mark.samples
@pytest.mark.parametrize("name", ["js", "rust-first-half"])
def test_real_recordings_come_back(samples: Path, tmp_path: Path, name: str) -> None:
    """Every exchange of the real recordings comes back equal; mitmproxy reads the same bodies from the file."""
    import_mitm(samples / f"{name}.mitm.xz", tmp_path / "a.parity")
    recorded = read(tmp_path / "a.parity").exchanges()
    export_har(read(tmp_path / "a.parity"), tmp_path / "a.har")
    import_har(tmp_path / "a.har", tmp_path / "b.parity")
    assert read(tmp_path / "b.parity").exchanges() == recorded
    assert verify(tmp_path / "b.parity").problems == ()
    with (tmp_path / "a.har").open("rb") as file:
        flows = [flow for flow in FlowReader(file).stream() if isinstance(flow, http.HTTPFlow)]
    bodies = [item.outcome.body or b"" if isinstance(item.outcome, Response) else b"" for item in recorded]
    assert [flow.response.raw_content for flow in flows if flow.response] == bodies
