from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay.archive.codec import BODY_BYTES, Body, SegmentHead, decode, decode_one, digest_of, encode, reference
from replay.model import (
    RECORD_TYPES,
    Answered,
    ArchiveError,
    Attachment,
    Binding,
    Chunk,
    Chunks,
    Connection,
    DaemonRecord,
    End,
    Ended,
    EndReason,
    Gap,
    GapReason,
    NoResponse,
    Opened,
    ProviderCall,
    Record,
    Redaction,
    Request,
    Response,
    SnapshotRecord,
    Statistics,
    Wait,
    WorkspaceChange,
)

_WHOLE = st.integers(-(2**63), 2**63 - 1)
_TIME = st.floats(allow_nan=False, allow_infinity=False)
_TEXT = st.text(st.characters(exclude_categories=()), max_size=20)
_OCTETS = st.binary(max_size=40)
_HEADERS = st.lists(st.tuples(_OCTETS, _OCTETS), max_size=4).flatmap(
    # Duplicates, in the same and in another case, are ordinary.
    lambda rows: st.sampled_from([tuple(rows), tuple(rows + rows), tuple(rows + [(name.swapcase(), value) for name, value in rows])])
)
_REDACTIONS = st.lists(st.builds(Redaction, _TEXT, _WHOLE, _WHOLE, _TEXT), max_size=3).map(tuple)
_MAYBE_OCTETS = st.none() | _OCTETS
_MAYBE_WHOLE = st.none() | _WHOLE
_MAYBE_TIME = st.none() | _TIME
_MAYBE_TEXT = st.none() | _TEXT
_TEXTS = st.lists(_TEXT, max_size=3).map(tuple)
_REQUEST = st.builds(Request, _OCTETS, _OCTETS, _OCTETS, _HEADERS, _MAYBE_OCTETS, _HEADERS)
_OUTCOME = st.builds(Response, _OCTETS, _WHOLE, _OCTETS, _HEADERS, _MAYBE_OCTETS, _HEADERS) | st.builds(NoResponse, _TEXT)
_RECORDS: dict[str, st.SearchStrategy[Record]] = {
    "opened": st.builds(Opened, _WHOLE, _WHOLE, _TIME, st.builds(Connection, _TEXT, _MAYBE_TEXT, _MAYBE_TEXT), _REQUEST, _TEXT, _REDACTIONS),
    "answered": st.builds(
        Answered, _WHOLE, _WHOLE, _TIME, st.builds(Response, _OCTETS, _WHOLE, _OCTETS, _HEADERS, st.none(), _HEADERS), _REDACTIONS
    ),
    "chunks": st.builds(
        Chunks,
        _WHOLE,
        st.lists(st.builds(Chunk, _WHOLE, _TIME, _OCTETS), max_size=4).map(tuple),
        st.sampled_from(["request", "response"]),
        _REDACTIONS,
    ),
    "exchange": st.builds(
        Ended,
        exchange=_WHOLE,
        event=_WHOLE,
        at=_TIME,
        end=st.sampled_from(EndReason),
        outcome=_OUTCOME,
        request_body=_MAYBE_OCTETS,
        request_trailers=_HEADERS,
        server_connection=_MAYBE_TEXT,
        headers_event=_MAYBE_WHOLE,
        request_ended_at=_MAYBE_TIME,
        first_byte_at=_MAYBE_TIME,
        streamed=st.booleans(),
        request_streamed=st.booleans(),
        redactions=_REDACTIONS,
        note=_TEXT,
        opaque=_OCTETS,
    ),
    "gap": st.builds(Gap, st.sampled_from(GapReason), _MAYBE_WHOLE, _MAYBE_WHOLE, _WHOLE, _TEXT),
    "snapshot": st.builds(
        SnapshotRecord,
        file=_TEXT,
        event_before=_WHOLE,
        event_after=_WHOLE,
        workspace=_TEXT,
        files=_WHOLE,
        bytes=_WHOLE,
        digest=_TEXT,
        left_out=_TEXTS,
        taken_at=st.sampled_from(["start", "rotation", "seal"]),
        at=_TIME,
        duration_ms=_TIME,
        changed_meanwhile=_TEXTS,
        replaced=st.dictionaries(_TEXT, _WHOLE, max_size=3),
    ),
    "workspace": st.builds(WorkspaceChange, _WHOLE, _TIME, _TEXT, _MAYBE_TEXT, _MAYBE_OCTETS, _MAYBE_TIME, _REDACTIONS, _TEXT),
    "attachment": st.builds(Attachment, _WHOLE, _WHOLE, _TEXT, _MAYBE_TEXT, _MAYBE_OCTETS, _REDACTIONS, _TEXT),
    "statistics": st.builds(Statistics, _TIME, st.dictionaries(_TEXT, _TIME, max_size=3)),
    "binding": st.builds(Binding, _TEXT, _TEXT, _TEXT, _WHOLE, _TEXT),
    "wait": st.builds(Wait, _WHOLE, _TEXT, _TIME, _TEXT, _TEXT),
    "provider": st.builds(ProviderCall, _WHOLE, _TIME, _TEXT, _OCTETS, _OCTETS, _TEXT),
    "daemon": st.builds(DaemonRecord, _TIME, _TEXT, _TEXT, _TEXT),
    "end": st.builds(End, _WHOLE, _TIME, _TEXT, st.booleans()),
}
_GAP = {"type": "gap", "reason": "cut", "event": 1, "exchange": None, "count": 1, "detail": ""}


def _no_bodies(_: bytes) -> bytes:
    raise ArchiveError("no bodies here")


def _pack(value: Any) -> bytes:
    return bytes(msgpack.packb(value))


def test_every_record_type_has_a_strategy() -> None:
    """No record type of the model is left out of the round trip below."""
    assert _RECORDS.keys() == RECORD_TYPES.keys()


@pytest.mark.parametrize("name", list(_RECORDS))
@settings(deadline=None)
@given(data=st.data())
def test_roundtrip(name: str, data: st.DataObject) -> None:
    """What is encoded decodes to an equal value, whatever bytes and text are in it."""
    records = data.draw(st.lists(_RECORDS[name], min_size=1, max_size=3))

    raw = b"".join(encode(record) for record in records)

    assert list(decode(raw, _no_bodies)) == records
    assert [decode_one(encode(record), _no_bodies) for record in records] == records


@settings(deadline=None)
@given(raw=st.binary(max_size=200))
def test_any_bytes(raw: bytes) -> None:
    """Any bytes decode to whole entries or to an ArchiveError, nothing else."""
    try:
        entries = list(decode(raw, _no_bodies))
    except ArchiveError:
        return
    assert raw == b"" or entries


@settings(deadline=None)
@given(record=st.one_of(*_RECORDS.values()), data=st.data())
def test_one_entry_is_read_as_any(record: Record, data: st.DataObject) -> None:
    """The bytes of one entry, changed or cut, give alone what they give in a block, or an ArchiveError where they do there."""
    raw = bytearray(encode(record))
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    part = bytes(raw[: data.draw(st.integers(1, len(raw)))])
    try:
        entries = list(decode(part, _no_bodies))
    except ArchiveError:
        entries = []

    if len(entries) == 1:
        assert decode_one(part, _no_bodies) == entries[0]
    else:
        with pytest.raises(ArchiveError):
            decode_one(part, _no_bodies)


def test_keys_in_another_order_are_the_same_entry() -> None:
    """A map is read by its keys where they don't stand in the order in which they are written."""
    turned = dict(reversed(_GAP.items()))

    assert decode_one(_pack(turned), _no_bodies) == next(decode(_pack(_GAP), _no_bodies)) == Gap(GapReason.CUT, 1)


@settings(deadline=None)
@given(record=st.one_of(*_RECORDS.values()), data=st.data())
def test_one_changed_byte(record: Record, data: st.DataObject) -> None:
    """A record with one byte changed decodes to a record or to an ArchiveError."""
    raw = bytearray(encode(record))
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))

    try:
        entries = list(decode(bytes(raw), _no_bodies))
    except ArchiveError:
        return
    assert all(type(entry) in (*RECORD_TYPES.values(), SegmentHead, Body) for entry in entries)


@settings(deadline=None)
@given(record=st.one_of(*_RECORDS.values()), data=st.data())
def test_cut_bytes_are_noticed(record: Record, data: st.DataObject) -> None:
    """Bytes that end within an entry are an error, though msgpack alone would stay silent."""
    raw = encode(record)
    length = data.draw(st.integers(1, len(raw) - 1))

    with pytest.raises(ArchiveError):
        list(decode(raw + raw[:length], _no_bodies))


@pytest.mark.parametrize(
    "value",
    [
        {key: value for key, value in _GAP.items() if key != "detail"},
        {**_GAP, "more": 1},
        {**_GAP, "type": "gap2"},
        {**_GAP, "type": 7},
        {**_GAP, "reason": "because"},
        {**_GAP, "reason": b"cut"},
        {**_GAP, "event": True},
        {**_GAP, "event": "1"},
        {**_GAP, "count": 1.0},
        {**_GAP, "detail": b""},
        {"type": "end", "event": 1, "at": 1, "reason": ""},
        {"type": "end", "event": 1, "at": float("nan"), "reason": ""},
        {"type": "statistics", "at": 1.0, "values": {"a": "b"}},
        {"type": "statistics", "at": 1.0, "values": [1]},
        {"type": "chunks", "exchange": 1, "chunks": {}, "redactions": []},
        {"type": "chunks", "exchange": 1, "chunks": [7], "redactions": []},
        ["gap"],
        7,
        None,
    ],
)
def test_other_than_the_format_is_refused(value: Any) -> None:
    """An unknown type, key or enum value, a missing key and a value of another type are errors."""
    with pytest.raises(ArchiveError):
        list(decode(_pack(value), _no_bodies))


def test_a_key_that_stands_twice_is_refused() -> None:
    """A map with a repeated key has no single meaning."""
    raw = _pack({"type": "end", "event": 1, "at": 1.0, "reason": ""})
    twice = b"\x85" + raw[1:] + _pack("event") + _pack(2)

    with pytest.raises(ArchiveError, match="twice"):
        list(decode(twice, _no_bodies))


def test_deep_nesting_is_refused() -> None:
    """Nested arrays without end are an error, not a crash."""
    with pytest.raises(ArchiveError):
        list(decode(b"\x91" * 100_000 + b"\xc0", _no_bodies))


@pytest.mark.parametrize(
    "record",
    [
        End(2**70, 1.0, ""),
        End(1, float("inf"), ""),
        End("1", 1.0, ""),  # type: ignore[arg-type]
        End(True, 1.0, ""),
        Chunks(1, [Chunk(1, 1.0, b"")]),  # type: ignore[arg-type]
        Chunks(1, (Chunk(1, 1.0, bytearray(b"a")),)),  # type: ignore[arg-type]
        Gap("cut"),  # type: ignore[arg-type]
        Statistics(1.0, {"a": "1"}),  # type: ignore[dict-item]
        Request(b"", b"", b"", ()),
    ],
)
def test_what_could_not_be_read_is_not_written(record: Any) -> None:
    """A value of another type than its field declares is refused by name before it reaches a file."""
    with pytest.raises(ArchiveError, match="can't be written"):
        encode(record)


def test_whole_seconds_are_times() -> None:
    """An int where a time belongs is written as a float."""
    assert list(decode(encode(End(1, 5, "")), _no_bodies)) == [End(1, 5.0, "")]


def test_a_reference_is_resolved_by_its_digest() -> None:
    """A spilled body comes back through the resolver, in its place."""
    body = b"x" * (BODY_BYTES + 1)
    record = Attachment(1, 2, "p", "d", body)

    raw = encode(record, lambda data: reference(digest_of(data)) if len(data) > BODY_BYTES else data)

    assert len(raw) < 200
    assert list(decode(raw, {digest_of(body): body}.__getitem__)) == [record]


@pytest.mark.parametrize("extension", [msgpack.ExtType(2, b"x" * 32), msgpack.ExtType(1, b"x" * 31), msgpack.Timestamp(1, 2)])
def test_an_unknown_extension_is_refused(extension: Any) -> None:
    """Only references of the right length are known."""
    with pytest.raises(ArchiveError):
        list(decode(_pack({"type": "body", "data": extension}), _no_bodies))
