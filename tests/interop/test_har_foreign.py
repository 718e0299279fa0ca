"""HAR files of other tools: taken as they say it, with what they lost noted, and nothing made up."""

import json
import zlib
from base64 import b64encode
from gzip import compress
from pathlib import Path
from typing import Any

import pytest
from mitmproxy import flow as flows
from mitmproxy.addons.savehar import SaveHar
from mitmproxy.test import tflow

from replay.archive import read, verify
from replay.interop.har import HarReport, import_har
from replay.model import ArchiveError, EndReason, Exchange, Gap, GapReason, NoResponse, Response, UsageError
from replay.redact import Redactor

TOKEN = "sig_sk_0123456789ab_" + "Zz9-_" * 8 + "abc"


def an_entry(**changes: Any) -> dict[str, Any]:
    """Give an entry as a plain HTTP/1.1 tool writes it; `a__b=x` changes what lies deeper, ABSENT takes it away."""
    made: dict[str, Any] = {
        "startedDateTime": "2026-11-23T12:00:00.000Z",
        "time": 60,
        "connection": "7",
        "request": {
            "method": "POST",
            "url": "http://localhost:3850/api/x?a=%20&a",
            "httpVersion": "HTTP/1.1",
            "headers": [{"name": "Host", "value": "localhost:3850"}, {"name": "content-type", "value": "application/json"}],
            "postData": {"mimeType": "application/json", "text": '{"ä":1}'},
            "bodySize": 8,
        },
        "response": {
            "status": 200,
            "statusText": "OK",
            "httpVersion": "HTTP/1.1",
            "headers": [{"name": "Content-Type", "value": "text/plain"}],
            "content": {"size": 2, "mimeType": "text/plain", "text": "ok"},
            "bodySize": 2,
        },
        "timings": {"blocked": 10, "dns": -1, "connect": -1, "ssl": -1, "send": 10, "wait": 20, "receive": 20},
    }
    for path, value in changes.items():
        *folders, last = path.split("__")
        place = made
        for folder in folders:
            place = place[folder]
        if value is ABSENT:
            del place[last]
        else:
            place[last] = value
    return made


ABSENT = object()


def bring(tmp_path: Path, *entries: Any, **options: Any) -> tuple[list[Exchange], HarReport]:
    """Import entries, and give the exchanges and the report; the archive always verifies."""
    source = tmp_path / "in.har"
    source.write_text(json.dumps({"log": {"version": "1.2", "creator": {"name": "Some Tool", "version": "1"}, "entries": entries}}), "utf-8")
    report = import_har(source, tmp_path / "out.parity", **options)
    assert verify(report.archive).problems == ()
    return read(report.archive).exchanges(), report


def bring_one(tmp_path: Path, **changes: Any) -> Exchange:
    """Import one entry."""
    [exchange], _ = bring(tmp_path, an_entry(**changes))
    return exchange


def answer_of(exchange: Exchange) -> Response:
    """Give its answer, which must be there."""
    assert isinstance(exchange.outcome, Response)
    return exchange.outcome


def test_a_complete_entry_lost_nothing(tmp_path: Path) -> None:
    """Of an entry that says everything, target, headers, bodies and times are as it says, and no note is made."""
    found = bring_one(tmp_path)
    assert (found.request.method, found.request.target, found.request.body) == (b"POST", b"/api/x?a=%20&a", '{"ä":1}'.encode())
    assert found.request.headers == ((b"Host", b"localhost:3850"), (b"content-type", b"application/json"))
    assert (answer_of(found).status, answer_of(found).body, found.note) == (200, b"ok", "")
    times = [found.request_ended_at, found.first_byte_at, found.ended_at]
    assert [round((at or 0) - found.started_at, 6) for at in times] == [0.02, 0.04, 0.06]
    assert (found.connection.client, found.connection.server, found.lane, found.end) == ("7", None, "daemon", EndReason.COMPLETE)
    assert (found.opened_event, found.headers_event, found.ended_event) == (1, 2, 3)


def test_mitmproxy_writes_and_we_read(tmp_path: Path) -> None:
    """What mitmproxy's own `hardump` writes is taken: packed bodies, failures and WebSockets as what they are."""
    plain, packed, failed, cut = (tflow.tflow(resp=True) for _ in range(4))
    assert packed.response
    packed.response.headers["content-encoding"] = "gzip"
    packed.response.data.content = compress(b"message", mtime=0)
    failed.response, failed.error = None, flows.Error("Client disconnected.", 946681207)
    cut.error = flows.Error("peer closed", 946681207)
    (tmp_path / "in.har").write_text(json.dumps(SaveHar().make_har([plain, packed, failed, cut, tflow.twebsocketflow()])))
    report = import_har(tmp_path / "in.har", tmp_path / "out.parity")
    assert verify(report.archive).problems == ()
    found = read(report.archive).exchanges()
    assert [item.outcome.body if isinstance(item.outcome, Response) else item.outcome.error for item in found] == [
        b"message",
        b"message",
        "Client disconnected.",
        b"message",
        b"",
    ]
    assert found[2].end is EndReason.CLIENT_LEFT
    assert "its Content-Encoding stands as it was sent (gzip)" in found[1].note
    assert "WebSocket messages: left out (3)" in found[4].note


def test_http_2(tmp_path: Path) -> None:
    """Chromium's pseudo headers become method, target and Host, and are noted; the version stays what the HAR calls it."""
    pseudo = [(":authority", "localhost:3850"), (":method", "GET"), (":path", "/raw%2Fpath?x"), (":scheme", "https"), ("accept", "*/*")]
    headers = [{"name": name, "value": value} for name, value in pseudo]
    found = bring_one(tmp_path, request__headers=headers, request__httpVersion="h2", request__postData=ABSENT, request__bodySize=0)
    assert found.request.headers == ((b"Host", b"localhost:3850"), (b"accept", b"*/*"))
    assert (found.request.target, found.request.version, found.request.body) == (b"/raw%2Fpath?x", b"h2", b"")
    assert "pseudo headers" in found.note


@pytest.mark.parametrize(
    ("changes", "body", "note"),
    [
        ({"request__postData": ABSENT}, None, "request's body is not in the HAR"),
        ({"request__postData": {"mimeType": "x", "params": [{"name": "a", "value": "b"}]}}, None, "only as params"),
        ({"request__postData": {"mimeType": "x"}, "request__bodySize": -1}, b"", ""),
        ({"request__postData": {"mimeType": "x", "text": "/wA=", "encoding": "base64"}}, b"\xff\x00", ""),
        ({"request__postData": {"mimeType": "text/x; charset=latin-1", "text": "ä"}}, b"\xe4", ""),
        ({"request__postData": {"mimeType": "text/x; charset=hex", "text": "ä"}}, "ä".encode(), ""),
        ({"request__postData": {"mimeType": "text/x", "text": "a�b"}}, "a�b".encode(), "bytes may be lost"),
        ({"request__postData": {"mimeType": "text/x; charset=ascii", "text": "ä"}}, "ä".encode(), "charset does not fit"),
        ({"request__postData": ABSENT, "request__bodySize": 0}, b"", ""),
        (
            {"request__headers": [{"name": "Host", "value": "h"}, {"name": "Content-Length", "value": "99"}]},
            '{"ä":1}'.encode(),
            "not as long as its Content-Length says (8 for 99)",
        ),
    ],
)
def test_request_bodies(tmp_path: Path, changes: dict[str, Any], body: bytes | None, note: str) -> None:
    """A request's body is what the HAR holds, by its charset; what it does not hold is not seen, never put together."""
    found = bring_one(tmp_path, **changes)
    assert found.request.body == body
    assert note in found.note
    assert bool(note) == bool(found.note)


@pytest.mark.parametrize(
    ("changes", "body", "note"),
    [
        ({"response__content": {"size": 5, "mimeType": "image/png"}}, None, "answer's body is not in the HAR"),
        ({"response__content": {}, "response__bodySize": -1}, None, "answer's body is not in the HAR"),
        ({"response__content": {"size": 0, "mimeType": "x"}, "response__bodySize": 0}, b"", ""),
        ({"response__content": {"size": 5, "text": ""}}, None, "answer's body is not in the HAR"),
        ({"response__content": {"size": 2, "text": "/wA=", "encoding": "base64"}}, b"\xff\x00", ""),
        ({"response__content": {"size": 1, "text": "ä", "mimeType": 'text/x; charset="ISO-8859-1"'}}, b"\xe4", ""),
        ({"response__content": {"size": 9, "text": "ok", "mimeType": "x"}}, b"ok", "shorter than the HAR says (2 of 9)"),
        ({"response__status": 204, "response__content": {"size": 0}}, b"", ""),
        ({"response__status": 304}, b"", "what the browser had cached: left out"),
        ({"request__method": "HEAD", "response__content": {"size": 7}}, b"", ""),
        ({"response__headers": [["content-encoding", "gzip"]]}, b"ok", "decoded"),
        (
            {"response__headers": [["content-encoding", "gzip"]], "response__content__text": b64encode(compress(b"ok", mtime=0)).decode()}
            | {"response__content__encoding": "base64"},
            compress(b"ok", mtime=0),
            "",
        ),
        ({"response__headers": [["content-length", "3"]]}, b"ok", "not as long as its Content-Length says (2 for 3)"),
        ({"response__headers": ABSENT}, b"ok", "no headers"),
    ],
)
def test_answer_bodies(tmp_path: Path, changes: dict[str, Any], body: bytes | None, note: str) -> None:
    """An answer's body is what the HAR holds; what it left out, decoded or shortened is noted."""
    found = bring_one(tmp_path, **changes)
    assert answer_of(found).body == body
    assert note in found.note
    assert bool(note) == bool(found.note)


@pytest.mark.parametrize(
    ("changes", "error", "end"),
    [
        ({"response__status": 0, "response___error": "net::ERR_ABORTED"}, "net::ERR_ABORTED", EndReason.CLIENT_LEFT),
        ({"response__status": 0, "response__statusText": ""}, "no answer in the HAR", EndReason.PROXY_ERROR),
        ({"response__status": -1, "response___error": "net::ERR_CONNECTION_REFUSED"}, "net::ERR_CONNECTION_REFUSED", EndReason.PROXY_ERROR),
        ({"response": ABSENT, "_error": "NS_BINDING_ABORTED"}, "NS_BINDING_ABORTED", EndReason.CLIENT_LEFT),
        ({"response": None}, "no answer in the HAR", EndReason.PROXY_ERROR),
    ],
)
def test_failures_are_no_answers(tmp_path: Path, changes: dict[str, Any], error: str, end: EndReason) -> None:
    """Status 0, or no answer at all, is never taken for an answer of the daemon; what the tool said of it is kept."""
    found = bring_one(tmp_path, **changes)
    assert (found.outcome, found.end, found.headers_event, found.first_byte_at) == (NoResponse(error), end, None, None)
    assert "no answer in the HAR" in found.note


@pytest.mark.parametrize(
    ("text", "at", "note"),
    [
        ("2026-11-23T12:00:00.123456789Z", 1_795_435_200.123456, ""),
        ("2026-11-23T13:00:00.5+01:00", 1_795_435_200.5, ""),
        ("2026-11-23T13:00:00+0100", 1_795_435_200.0, ""),
        ("2026-11-23T12:00:00", 1_795_435_200.0, "without a zone"),
        (" 2026-11-23 12:00 ", 1_795_435_200.0, "without a zone"),
        ("", 0.0, "no time of start"),
        (None, 0.0, "no time of start"),
    ],
)
def test_starts(tmp_path: Path, text: str | None, at: float, note: str) -> None:
    """Times are read in any precision and zone; one without a zone is UTC, and that is noted."""
    found = bring_one(tmp_path, startedDateTime=text)
    assert found.started_at == pytest.approx(at, abs=1e-6)
    assert note in found.note


@pytest.mark.parametrize(
    ("changes", "spans", "note"),
    [
        ({"timings": ABSENT}, (None, None, 0.06), "no timings"),
        ({"timings": {}, "time": ABSENT}, (None, None, 0.0), "no duration"),
        ({"timings": {"send": -1, "wait": 5, "receive": 5}, "time": -1}, (None, None, 0.01), "no timings"),
        ({"timings": {"send": 0, "wait": 5}, "time": None}, (0.0, 0.005, 0.005), ""),
    ],
)
def test_timings(tmp_path: Path, changes: dict[str, Any], spans: tuple[float | None, float | None, float], note: str) -> None:
    """Where timings lack, when the first byte came is not known; it is not made up from the duration."""
    found = bring_one(tmp_path, **changes)
    sent, first = (None if at is None else round(at - found.started_at, 6) for at in (found.request_ended_at, found.first_byte_at))
    assert (sent, first, round(found.ended_at - found.started_at, 6)) == spans
    assert note in found.note


def test_headers_of_all_tools(tmp_path: Path) -> None:
    """Pairs instead of objects, joined repeats, missing values and non-ASCII are read, and noted where something was lost."""
    headers = [["X", "1"], {"name": "set-cookie", "value": "a=1\nb=2"}, {"name": "y"}, {"name": "n", "value": "ä"}, {"name": "e", "value": ""}]
    found = bring_one(tmp_path, response__headers=headers)
    assert answer_of(found).headers == ((b"X", b"1"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"n", "ä".encode()), (b"e", b""))
    for words in ("joined by line breaks", "no name or no value", "not ASCII"):
        assert words in found.note


def test_hosts_become_lanes(tmp_path: Path) -> None:
    """Whom most requests asked is the daemon; every other host is a lane of its own, and all are kept."""
    urls = ["https://cdn.example/a", "http://LOCALHOST:3850/b", "http://localhost:3850/c", "http://[::1]/d", "http://u:p@[::1]:8080?e#f"]
    found, report = bring(tmp_path, *(an_entry(request__url=url) for url in urls))
    assert [item.lane for item in found] == ["cdn.example:443", "daemon", "daemon", "[::1]:80", "[::1]:8080"]
    assert report.lanes == {"cdn.example:443": 1, "daemon": 2, "[::1]:80": 1, "[::1]:8080": 1}
    assert (found[4].request.target, "a fragment" in found[4].note) == (b"/?e", True)
    assert read(report.archive).facts["daemon"] == {"host": "localhost", "port": 3850}


def test_what_never_was_a_request_is_a_gap(tmp_path: Path) -> None:
    """Entries of `data:` and other urls, and answers out of a browser's cache, are counted gaps and no exchanges."""
    _, report = bring(
        tmp_path,
        an_entry(),
        an_entry(request__url="data:text/plain,x"),
        an_entry(request__url="chrome-extension://id/x.js"),
        an_entry(_fromCache="memory"),
        an_entry(_fetchType="Disk Cache"),
    )
    assert (report.entries, report.exchanges) == (5, 1)
    assert [(gap.reason, gap.count, gap.detail.partition(" in the")[0]) for gap in read(report.archive).gaps()] == [
        (GapReason.SKIPPED, 2, "answers from the browser's cache"),
        (GapReason.SKIPPED, 1, "chrome-extension urls"),
        (GapReason.SKIPPED, 1, "data urls"),
    ]


def test_order_and_first(tmp_path: Path) -> None:
    """Ids follow the start and not the file; the first n are taken by it; overlapping exchanges have overlapping events."""
    late, early = an_entry(startedDateTime="2026-11-23T12:00:00.030Z"), an_entry()
    found, _ = bring(tmp_path, late, early)
    assert [(item.opened_event, item.ended_event) for item in found] == [(1, 4), (2, 6)]
    source = tmp_path / "in.har"
    report = import_har(source, tmp_path / "first.parity", first=1)
    assert (report.exchanges, report.left_out) == (1, 1)
    with pytest.raises(UsageError, match="at least 1"):
        import_har(source, tmp_path / "none.parity", first=0)


def test_losses_are_counted(tmp_path: Path) -> None:
    """The report and the manifest count what was lost by kind; comments are kept as notes and are no loss."""
    found, report = bring(tmp_path, an_entry(comment="slow!"), an_entry(connection=ABSENT), an_entry(connection=123))
    assert report.losses == {"no connection: taken as one of its own": 1}
    assert read(report.archive).facts["source"]["lost"] == report.losses
    assert read(report.archive).facts["recorder"] == "imported from a HAR of Some Tool 1"
    assert [item.note for item in found] == ["comment (slow!)", "no connection: taken as one of its own", ""]
    assert [item.connection.client for item in found] == ["7", "entry 2", "123"]


def test_redaction_is_asked_for(tmp_path: Path) -> None:
    """Credentials stay as they are unless a redactor is given; then none is left, in headers, bodies, notes or gaps."""
    entry = an_entry(
        request__headers=[["Host", "h"], ["Authorization", f"Bearer {TOKEN}"]], response__content__text=f'{{"key": "{TOKEN}"}}', comment=TOKEN
    )
    found, report = bring(tmp_path, entry)
    assert (found[0].request.headers[1][1], report.redactions) == (f"Bearer {TOKEN}".encode(), {})
    assert "only when asked" in read(report.archive).facts["redaction"]["why"]
    report = import_har(tmp_path / "in.har", tmp_path / "clean.parity", redactor=Redactor(b"k" * 32))
    assert sum(report.redactions.values()) >= 2
    assert TOKEN not in repr(list(read(report.archive).records()))
    assert verify(report.archive).suspects == ()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_marks_and_compression(tmp_path: Path, encoding: str) -> None:
    """A byte order mark, UTF-16, and mitmproxy's `.zhar` are read."""
    text = json.dumps({"log": {"entries": [an_entry(comment="ä")]}}, ensure_ascii=False)
    (tmp_path / "in.har").write_bytes(text.encode(encoding))
    (tmp_path / "in.zhar").write_bytes(zlib.compress(text.encode()))
    for name in ("in.har", "in.zhar"):
        report = import_har(tmp_path / name, tmp_path / f"{name}.parity")
        assert read(report.archive).exchanges()[0].note == "comment (ä)"


def test_an_empty_har(tmp_path: Path) -> None:
    """A HAR without entries gives an archive without exchanges."""
    found, report = bring(tmp_path)
    assert (found, report.entries) == ([], 0)


def test_our_own_from_a_newer_tool(tmp_path: Path) -> None:
    """An entry of a newer format of our own is refused, with its place."""
    with pytest.raises(ArchiveError, match=r"log\.entries\[0\]\._parity\.format"):
        bring(tmp_path, an_entry(_parity={"format": 2}))


def test_gaps_of_others_do_not_hide(tmp_path: Path) -> None:
    """A gap that a HAR of ours names twice, or with nonsense, is an error that names its place."""
    source = tmp_path / "in.har"
    source.write_text(json.dumps({"log": {"entries": [], "_parity": {"gaps": [{"reason": "because", "count": 1}]}}}))
    with pytest.raises(ArchiveError, match=r"log\._parity\.gaps\[0\]\.reason"):
        import_har(source, tmp_path / "out.parity")
    source.write_text(json.dumps({"log": {"entries": [], "_parity": {"gaps": [{"reason": "shed", "event": 4, "count": 1}]}}}))
    import_har(source, tmp_path / "out.parity")
    assert Gap(GapReason.SHED, event=4) in read(tmp_path / "out.parity").gaps()
