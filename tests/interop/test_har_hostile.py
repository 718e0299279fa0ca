"""Any bytes, any JSON: an archive that verifies, or our error that names the place; never anything else."""

import json
import zlib
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from replay.archive import ArchiveWriter, read, verify
from replay.interop.har import export_har, import_har, reading
from replay.interop.har.source import read_har_file
from replay.interop.records import order_records
from replay.model import Chunk, Connection, Exchange, ParityError, Redaction, Request, Response, UsageError

FOREIGN: dict[str, Any] = {
    "startedDateTime": "2026-11-23T12:00:00.000Z",
    "time": 1,
    "connection": "7",
    "request": {
        "method": "GET",
        "url": "http://h:1/x",
        "httpVersion": "HTTP/1.1",
        "headers": [{"name": "a", "value": "b"}],
        "postData": {"mimeType": "text/plain", "text": "t", "params": []},
        "bodySize": 0,
    },
    "response": {
        "status": 200,
        "statusText": "OK",
        "httpVersion": "HTTP/1.1",
        "headers": [["a", "b"]],
        "content": {"size": 2, "mimeType": "text/plain", "text": "b2s=", "encoding": "base64"},
        "bodySize": 2,
    },
    "timings": {"blocked": 0, "send": 0, "wait": 1, "receive": 0},
    "_webSocketMessages": [{}],
    "comment": "c",
}
ODD: list[Any] = [
    None, True, -1, 0, 1e308, float("nan"), float("inf"), 10**400, 2**53 + 1, "", "ä\ud800\x00", "x" * 300, [], {}, [[]], [None], {"name": 1},
    "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00Z", "http://[::1:/", "http://:99999999/", "ws://h/", "A" * 5,
]  # fmt: skip


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Give an export of our own, as JSON."""
    folder = tmp_path_factory.mktemp("own")
    exchange = Exchange(
        id=1,
        request=Request(b"POST", b"/\xff", b"HTTP/1.1", ((b"Host", b"h\xff"),), b"\xff", ((b"T", b"1"),)),
        outcome=Response(b"HTTP/1.1", 200, b"OK", ((b"content-type", b"text/plain"),), b"abcd", ((b"T", b"1"),)),
        connection=Connection("c", "s", "p:1"),
        opened_event=1,
        headers_event=3,
        ended_event=6,
        started_at=1.0,
        ended_at=2.0,
        chunks=(Chunk(4, 1.5, b"ab"), Chunk(5, 1.6, b"cd")),
        request_chunks=(Chunk(2, 1.1, b"\xff"),),
        redactions=(Redaction("response.body", 0, 1, "bearer"),),
        opaque=b"o",
    )
    with ArchiveWriter.create(folder / "a.parity", kind="recording", facts={}) as writer:
        for _, record in order_records([exchange]):
            writer.append(record)
        writer.seal(event=7, at=2.0, reason="test")
    export_har(read(folder / "a.parity"), folder / "a.har")
    found: dict[str, Any] = json.loads((folder / "a.har").read_text())
    return found


def attempt(folder: Path, content: bytes, name: str = "in.har") -> str:
    """Import bytes: give why it was refused, or nothing where the archive that was made is whole. Nothing is left of a refused one."""
    (folder / name).write_bytes(content)
    target = folder / f"{len(list(folder.iterdir()))}.parity"
    try:
        import_har(folder / name, target)
    except ParityError as error:
        said = str(error)
    else:
        said = ""
    if said:
        assert not target.exists()
        assert said.startswith(str(folder / name))
        return said.removeprefix(str(folder / name))
    assert verify(target).problems == ()
    read(target).join()
    return ""


def places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Give the path of every value in some JSON."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, item in inner for found in places(item, (*path, key)))]


def put(value: Any, path: tuple[str | int, ...], odd: Any) -> Any:
    """Give a copy with one value replaced."""
    if not path:
        return odd
    copy = deepcopy(value)
    place = copy
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = odd
    return copy


@pytest.mark.slow
def test_every_value_replaced_by_odd_ones(tmp_path: Path, own: dict[str, Any]) -> None:
    """Whatever stands in any place of a foreign entry or of ours, it is taken or refused, and a refusal names a place."""
    wholes: list[Any] = [{"log": {"version": "1.2", "entries": [FOREIGN]}}, own]
    changes = ((whole, path, odd) for whole in wholes for path in places(whole) for odd in ODD)
    for number, (whole, path, odd) in enumerate(changes):
        (tmp_path / "in.har").write_bytes(json.dumps(put(whole, path, odd)).encode())
        try:
            reading._read(read_har_file(tmp_path / "in.har"), None)
        except ParityError as error:
            assert "log" in str(error) or "the file" in str(error)  # noqa: PT017 (it may as well be taken)
            continue
        if number % 29 == 0:  # to the disk and back only now and then: that takes a hundred times as long
            folder = tmp_path / str(number)
            folder.mkdir()
            attempt(folder, (tmp_path / "in.har").read_bytes())


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (("request", "method"), "log.entries[1].request.method: a list, where a string must stand"),
        (("request", "headers", 0, "value"), "log.entries[1].request.headers[0].value: a list, where a string must stand"),
        (("response", "status"), "log.entries[1].response.status: a list, where a number must stand"),
        (("timings", "wait"), "log.entries[1].timings.wait: a list, where a number must stand"),
        (("startedDateTime",), "log.entries[1].startedDateTime: a list, where a string must stand"),
    ],
)
def test_the_place_is_named(tmp_path: Path, change: tuple[str | int, ...], place: str) -> None:
    """A wrong type is refused with the file, the place, what stands there and what must."""
    har = {"log": {"entries": [FOREIGN, put(FOREIGN, change, [])]}}
    assert attempt(tmp_path, json.dumps(har).encode()) == f": {place}; nothing was imported"


def test_cut_at_every_byte(tmp_path: Path, own: dict[str, Any]) -> None:
    """A file that was cut anywhere is refused, and never taken as a shorter one; the text says that it is cut."""
    for number, whole in enumerate((json.dumps({"log": {"entries": [FOREIGN]}}).encode(), json.dumps(own).encode())):
        folder = tmp_path / str(number)
        folder.mkdir()
        said = [attempt(folder, whole[:length]) for length in range(len(whole))]
        assert all(said)
        assert sum("is cut" in text for text in said) > 0.7 * len(said)


def test_a_compressed_file_cut_at_every_byte(tmp_path: Path) -> None:
    """The same for a compressed one."""
    whole = zlib.compress(json.dumps({"log": {"entries": [FOREIGN]}}).encode())
    assert all(attempt(tmp_path, whole[:length], "in.zhar") for length in range(len(whole)))
    assert attempt(tmp_path, whole, "in.zhar") == ""


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"log":' * 200_000, "nested too deeply"),
        (b'{"log": {"entries": [' + b"9" * 5000 + b"]}}", "too many digits"),
        (b"\x80abc", "no text in UTF-8"),
        (b"\xff\xfea", "no text in UTF-8"),
        (b"null", "log: is missing"),
        (b"[]", "the file: a list"),
        (b'{"log": 1}', "log: a whole number"),
        (b'{"log": {"entries": {}}}', "log.entries: an object"),
        (b'{"log": {"entries": [1]}}', "log.entries[0]: a whole number"),
        (b'{"log": {"entries": []}} x', "is damaged"),
    ],
)
def test_what_is_no_har(tmp_path: Path, content: bytes, words: str) -> None:
    """What is no HAR is refused, saying what it is."""
    assert words in attempt(tmp_path, content)


def test_nan_where_a_number_is_read(tmp_path: Path) -> None:
    """NaN and infinity are no numbers of HAR; where they are read they are refused with their place."""
    text = json.dumps({"log": {"entries": [FOREIGN]}})
    for number in ("NaN", "-Infinity", "1e999"):
        said = attempt(tmp_path, text.replace('"wait": 1', f'"wait": {number}').encode())
        assert "log.entries[0].timings.wait" in said
        assert "a finite number must stand" in said


def test_too_big_to_be_read_whole(tmp_path: Path) -> None:
    """A file beyond the limit is refused before it is read, also one that only unpacks to that much."""
    with (tmp_path / "big.har").open("wb") as file:
        file.truncate((1 << 30) + 1)
    with pytest.raises(UsageError, match="export it in parts"):
        import_har(tmp_path / "big.har", tmp_path / "out.parity")
    (tmp_path / "bomb.zhar").write_bytes(zlib.compress(b" " * 100_000))
    with pytest.raises(UsageError, match="unpacks to more"):
        import_har(tmp_path / "bomb.zhar", tmp_path / "out.parity", bytes_max=50_000)
    with pytest.raises(UsageError, match="no such file"):
        import_har(tmp_path / "none.har", tmp_path / "out.parity")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*FOREIGN, *FOREIGN["request"], "_parity"]), inner, max_size=5),
    max_leaves=25,
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entries=st.lists(JSON, max_size=3))
def test_any_json(tmp_path_factory: pytest.TempPathFactory, entries: list[Any]) -> None:
    """Any JSON as entries: an archive that verifies, or our error."""
    attempt(tmp_path_factory.mktemp("json"), json.dumps({"log": {"entries": entries}}).encode())


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60))
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """Any bytes as a file, plain or compressed: our error."""
    assume(content)
    folder = tmp_path_factory.mktemp("bytes")
    assert attempt(folder, content)
    assert attempt(folder, content, "in.zhar")
