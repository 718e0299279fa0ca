"""A plan that holds no exchanges says the same as one of exchanges at hand."""

import json
import string
import tempfile
import tracemalloc
import warnings
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay.archive import ArchiveWriter, read
from replay.model import (
    Attachment,
    Chunk,
    Chunks,
    Connection,
    Ended,
    EndReason,
    Exchange,
    Gap,
    GapReason,
    Opened,
    Request,
    Response,
    UsageError,
    WorkspaceChange,
)
from replay.plan import Births, Plan, Stretch, make_plan, plan
from replay.plan.births import answered

IDS = [f"{number}1111111-0000-4000-8000-00000000000{number}" for number in range(1, 6)]
TARGETS = ["/health", "/api/memory/remember", "/api/secrets/exec", "/mcp", "/api/config", "/api/update/run", "/api/memory/{id}", "/x?y={id}"]


def write(path: Path, exchanges: Iterable[Exchange], changes: Iterable[WorkspaceChange | Attachment] = (), gaps: Iterable[Gap] = ()) -> Path:
    """Write exchanges as a recorder does, by events."""
    records: list[tuple[int, Any]] = []
    for one in exchanges:
        bare = Request(one.request.method, one.request.target, one.request.version, one.request.headers)
        records.append((one.opened_event, Opened(one.id, one.opened_event, one.started_at, one.connection, bare, one.lane)))
        outcome = one.outcome
        if one.chunks and isinstance(outcome, Response):
            outcome = Response(outcome.version, outcome.status, outcome.reason, outcome.headers, None)
            records.extend((chunk.event, Chunks(one.id, (chunk,))) for chunk in one.chunks)
        ended = Ended(
            one.id, one.ended_event, one.ended_at, one.end, outcome, one.request.body,
            headers_event=one.headers_event, streamed=bool(one.chunks),
        )  # fmt: skip
        records.append((one.ended_event, ended))
    records += [(change.event, change) for change in changes]
    with ArchiveWriter.create(path, kind="recording", facts={}) as writer:
        for _, record in sorted(records, key=lambda one: one[0]):
            writer.append(record)
        for gap in gaps:
            writer.append(gap)
        writer.seal(event=10_000, at=1.0, reason="done")
    return path


def same(one: Plan, other: Plan) -> None:
    """See that two plans say the same."""
    assert list(one.steps) == list(other.steps)
    assert [one.steps[at] for at in range(len(one.steps))] == list(other.steps)
    assert list(one.gaps) == list(other.gaps)
    assert list(one.layings) == list(other.layings)
    assert (one.chosen, list(one.ends), one.started_at, one.unlaid) == (other.chosen, list(other.ends), other.started_at, other.unlaid)
    assert one.planned == other.planned


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Exchange], list[WorkspaceChange | Attachment], list[Gap]]:
    """Draw exchanges that overlap, stream, call themselves, name ids and bear them; and edits among them."""
    count = draw(st.integers(1, 9))
    events = draw(st.permutations(range(1, 4 * count + 1)))
    exchanges = []
    for at in range(count):
        opened, headers, chunk, ended = sorted(events[4 * at : 4 * at + 4])
        asked, given_ids = draw(st.sampled_from(IDS)), draw(st.lists(st.sampled_from(IDS), max_size=3))
        streamed = draw(st.booleans())
        text = json.dumps({"ids": given_ids}).encode()
        answer = Response(b"HTTP/1.1", 200, b"OK", ((b"x-request-id", draw(st.sampled_from(IDS)).encode()),), text)
        method, target = draw(st.sampled_from([b"GET", b"POST"])), draw(st.sampled_from(TARGETS)).format(id=asked).encode()
        actor = ((b"x-signet-actor", b"mcp-server"),) if draw(st.booleans()) else ()
        exchanges.append(
            Exchange(
                0,
                Request(
                    method, target, b"HTTP/1.1", ((b"Host", b"x"), *actor), draw(st.sampled_from([b"", json.dumps({"id": asked}).encode()]))
                ),
                answer,
                Connection(draw(st.sampled_from("abc")), peer="127.0.0.1:9"),
                opened,
                ended,
                draw(st.sampled_from([0.01, 1.0])) * opened,
                1.0 * ended,
                draw(st.sampled_from([EndReason.COMPLETE, EndReason.CLIENT_LEFT])),
                draw(st.sampled_from(["daemon", "daemon", "daemon", "provider"])),
                headers,
                chunks=(Chunk(chunk, 0.0, text),) if streamed else (),
            )
        )
    exchanges.sort(key=lambda one: one.opened_event)
    numbered = [replace(one, id=number) for number, one in enumerate(exchanges, 1)]
    edited = draw(st.lists(st.tuples(st.integers(1, 40), st.sampled_from(["USER.md", "MEMORY.md"])), max_size=3))
    edits: list[WorkspaceChange | Attachment] = [
        WorkspaceChange(4 * count + number, float(at), path, "d", b"text", modified_at=float(at)) for number, (at, path) in enumerate(edited, 1)
    ]
    edits += [Attachment(4 * count + 10, draw(st.integers(1, count + 1)), "/home/x", "d", draw(st.sampled_from([None, b"y"])))]
    gaps = [Gap(draw(st.sampled_from([GapReason.SHED, GapReason.NOT_WRITTEN])), exchange=draw(st.integers(1, count + 2)))]
    return numbered, edits, gaps if draw(st.booleans()) else []


@settings(max_examples=60, deadline=None)
@given(histories(), st.sampled_from([frozenset[str](), frozenset({"all"})]), st.booleans(), st.data())
def test_lazy_is_the_same(history: tuple[Any, Any, Any], allow: frozenset[str], reads_only: bool, data: st.DataObject) -> None:  # noqa: FBT001
    """Whatever happened: planned from disk, without holding it, every step, gap, laying and chosen id is the same."""
    exchanges, changes, gaps = history
    with tempfile.TemporaryDirectory() as folder:
        archive = read(write(Path(folder) / "a.parity", exchanges, changes, gaps))
        joined = archive.join()
        options: dict[str, Any] = {"allow": allow, "reads_only": reads_only}
        kind = data.draw(st.sampled_from(["all", "only", "stretch"]))
        if kind == "only" and joined.exchanges:
            options["only"] = data.draw(st.sampled_from([one.id for one in joined.exchanges if one.lane == "daemon"] or [1]))
        if kind == "stretch":
            options["stretch"] = Stretch(after=3, until=data.draw(st.integers(5, 30)), began=2, snapshot=1)
        kept = [record for record in archive.records() if isinstance(record, WorkspaceChange | Attachment)]
        try:
            at_hand = make_plan(joined.exchanges, gaps=joined.gaps, changes=kept, **options)
        except UsageError:
            with pytest.raises(UsageError):
                plan(archive, **options)
            return
        same(plan(archive, **options), at_hand)


def test_every_first_giver_counts() -> None:
    """Of many answers that bear an id the first is needed, and the first that is kept where that one is left out."""
    unsafe = _exchange(1, 1, 2, "/api/secrets/exec", {"id": IDS[0]}, method=b"POST")
    asks = _exchange(4, 20, 21, f"/api/memory/{IDS[0]}", {})
    listings = [_exchange(2, 4, 9, "/api/memories", {"id": IDS[0]}), _exchange(3, 5, 7, "/api/memories", {"id": IDS[0]})]
    assert [need.exchange for need in make_plan([unsafe, *listings, asks]).steps[-1].needs] == [3]
    assert [need.exchange for need in make_plan([unsafe, *listings, asks], allow=frozenset({"all"})).steps[-1].needs] == [1]


SNIPPETS = [
    *IDS,
    *("2026-01-09T10:11:12.123Z", "2026-01-09 10:11:12.123", "1795458931301", "x_1795458931301", "memory:1795458931301"),
    *("k2345678-abc12de", "sig_sk_0123456789ab", "--abcdefgh234567ab", "a:0123456789abcdef", "key_0123456789abcdef"),
    *("é", "\\n", '"', " ", ":", "/", "-", "word", "2026"),
]


@given(st.lists(st.sampled_from(SNIPPETS), max_size=12), st.text(string.printable, max_size=20))
def test_looking_for_ids_is_finding_them(parts: list[str], text: str) -> None:
    """Looking for wanted ids only gives what finding all ids and keeping those gives, in a body and in a header."""
    one = _exchange(1, 1, 9, "/", {})
    body, header = ("".join(parts) + text).encode(), "".join(parts[:4]).encode()
    both = replace(one, outcome=Response(b"HTTP/1.1", 200, b"", ((b"a", header),), body), headers_event=3)
    everything = set(answered(both))
    for wanted in ({word for _, word in everything}, {word for _, word in everything if word in IDS}, set[str]()):
        assert set(answered(both, wanted)) == {(event, word) for event, word in everything if word in wanted}


def test_memory_stays_flat(tmp_path: Path) -> None:
    """However many exchanges: planned and walked, each takes no more than three hundred bytes."""
    peaks = {}
    for count in (1000, 2500):
        answer = {"x": "y" * 4000}
        exchanges = (_exchange(number, 2 * number, 2 * number + 1, "/health", answer) for number in range(1, count + 1))
        archive = read(write(tmp_path / f"{count}.parity", exchanges))
        tracemalloc.start()
        try:
            planned = plan(archive)
            walked = sum(1 for _ in planned.steps)
            peaks[count] = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert walked == count
    assert (peaks[2500] - peaks[1000]) / 1500 < 300, peaks


@pytest.mark.samples
def test_the_real_recording_is_the_same_lazily(samples: Path, tmp_path: Path) -> None:
    """The real recording planned from disk says the same as planned from memory, all of it, a part, and one of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # mitmproxy's own
        from replay.interop.mitm import import_mitm
    import_mitm(samples / "js.mitm.xz", tmp_path / "js.parity")
    archive = read(tmp_path / "js.parity")
    joined = archive.join()
    options: dict[str, Any]
    for options in ({}, {"allow": frozenset({"all"})}, {"only": 300}, {"stretch": Stretch(after=500, until=900, began=490, snapshot=1)}):
        lazy, at_hand = plan(archive, **options), make_plan(joined.exchanges, gaps=joined.gaps, **options)
        assert list(lazy.steps) == list(at_hand.steps)
        assert list(lazy.gaps) == list(at_hand.gaps)
        assert (lazy.chosen, list(lazy.ends)) == (at_hand.chosen, list(at_hand.ends))


def test_births_are_those_of_a_simple_count() -> None:
    """The two remembered appearances are those that looking at all of them gives."""
    exchanges = [_exchange(number, 2 * number, 2 * number + 1, f"/m/{IDS[number % 5]}", {"id": IDS[(number * 3) % 5]}) for number in range(1, 9)]
    births = Births(exchanges)
    for word in IDS:
        bearers = [one.id for one in exchanges if word in str(one.outcome)]
        assert births.givers(word, 100) == bearers[:1]


def _exchange(number: int, opened: int, ended: int, target: str, answer: Any, *, method: bytes = b"GET") -> Exchange:
    request = Request(method, target.encode(), b"HTTP/1.1", ((b"Host", b"x"),))
    outcome = Response(b"HTTP/1.1", 200, b"OK", (), json.dumps(answer).encode())
    return Exchange(number, request, outcome, Connection("c"), opened, ended, float(opened), float(ended))
